//! ArubaOS-Switch (ProCurve): lines that mark by port, for both ends of a flow, and the priority of each mark.

use std::collections::BTreeMap;

use super::{Outcome, fact, has_line, note, outcome, range, text};
use crate::dscp;
use crate::import::{Fact, Mark, Read, What};
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};
use carillon_wire::ip::Dscp;

pub(super) fn recognise(bytes: &[u8]) -> bool {
    has_line(bytes, &["qos udp-port ", "qos tcp-port ", "qos dscp-map "])
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let mut wrong = Vec::new();
    let mut order = Vec::new();
    let mut priorities: BTreeMap<String, (usize, Vec<Mark>)> = BTreeMap::new();
    let mut protocols: BTreeMap<(PortRange, Dscp), (Option<Protocol>, Vec<usize>)> = BTreeMap::new();
    for (number, line) in text(bytes)?.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["qos", "dscp-map", mark, "priority", priority, ..] = words.as_slice() {
            match dscp::parse(mark) {
                Ok(mark) => {
                    priorities
                        .entry((*priority).to_owned())
                        .or_insert((number + 1, Vec::new()))
                        .1
                        .push(Mark(mark));
                }
                Err(error) => wrong.push(note(number + 1, error.to_string())),
            }
        }
        match entry(&words) {
            None => {}
            Some(Err(error)) => wrong.push(note(number + 1, error)),
            Some(Ok((protocol, ports, mark))) => {
                let (known, lines) = protocols.entry((ports, mark)).or_insert_with(|| {
                    order.push((ports, mark));
                    (None, Vec::new())
                });
                *known =
                    Some(if known.is_none_or(|known| known == protocol) { protocol } else { Protocol::Both });
                lines.push(number + 1);
            }
        }
    }
    let mut found = Read::default();
    for (ports, mark) in order {
        let Some((Some(protocol), lines)) = protocols.get(&(ports, mark)) else { continue };
        let name = format!("qos ports {ports}");
        let rule = |source_ports, destination_ports| {
            let (name, application, protocol) = (name.clone(), None, *protocol);
            fact(lines, MarkingRule { name, application, protocol, source_ports, destination_ports, mark })
        };
        found.facts.extend([rule(Some(ports), None), rule(None, Some(ports))]);
    }
    for (priority, (line, marks)) in priorities {
        let what = What::Queue { name: format!("priority {priority}"), marks };
        found.facts.push(Fact::new(format!("line {line}"), what));
    }
    outcome(found, wrong)
}

/// `qos udp-port [ipv4] range 20000 20039 dscp 101110`; lines that give a priority alone mark nothing.
fn entry(words: &[&str]) -> Option<Result<(Protocol, PortRange, Dscp), String>> {
    let (protocol, rest) = match words {
        ["qos", "udp-port", rest @ ..] => (Protocol::Udp, rest),
        ["qos", "tcp-port", rest @ ..] => (Protocol::Tcp, rest),
        _ => return None,
    };
    let rest = match rest {
        ["ipv4" | "ipv6" | "ip-all", rest @ ..] => rest,
        rest => rest,
    };
    let (ports, mark) = match rest {
        ["range", first, last, "dscp", mark, ..] => (range(first, last), mark),
        [port, "dscp", mark, ..] => (range(port, port), mark),
        ["range", _, _, "priority", ..] | [_, "priority", ..] => return None,
        _ => return Some(Err("a line for ports without ports and a mark".to_owned())),
    };
    let mark = dscp::parse(mark).map_err(|error| error.to_string());
    Some(ports.and_then(|ports| Ok((protocol, ports, mark?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_binary_decimal_or_names() {
        let entry = |line: &str| entry(&line.split(' ').collect::<Vec<_>>());
        for mark in ["101110", "46", "ef"] {
            let read = entry(&format!("qos tcp-port range 5 9 dscp {mark}")).unwrap().unwrap();
            assert_eq!(read, (Protocol::Tcp, PortRange::parse("5-9").unwrap(), Dscp::EF));
        }
        assert_eq!(entry("qos udp-port 5060 priority 7"), None);
        assert!(entry("qos udp-port range 9 5 dscp ef").unwrap().is_err());
        assert!(entry("qos udp-port dscp").unwrap().is_err());
    }
}
