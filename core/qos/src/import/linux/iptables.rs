//! iptables: what `iptables-save` and `iptables -S` print of the table mangle, and the same lines as commands.

use carillon_wire::ip::Dscp;

use super::marks::{self, Hooked};
use super::rule::{Marking, NO_PORTS, Place};
use super::{Note, Read, at, text};
use crate::dscp;
use crate::import::Reach;
use crate::import::skipped::Skipped;
use crate::ports::PortRange;

/// The chains that the kernel has, and their hooks.
const HOOKS: [(&str, &str); 5] = [
    ("PREROUTING", "prerouting"),
    ("INPUT", "input"),
    ("FORWARD", "forward"),
    ("OUTPUT", "output"),
    ("POSTROUTING", "postrouting"),
];

/// Most lines with a rule.
const MAX_RULES: usize = 20_000;

pub(super) fn recognise(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(bytes.get(..1 << 16).unwrap_or(bytes));
    head.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.contains(&"-A") && (words.contains(&"DSCP") || words.contains(&"TOS"))
    })
}

pub(super) fn read(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let (mut rules, mut errors, mut skipped) = (Vec::new(), Vec::new(), Skipped::default());
    let mut marks_here = true;
    for (number, line) in (1..).zip(text(bytes)?.lines()) {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] | ["COMMIT" | "-P" | "-N", ..] => {}
            [first, ..] if first.starts_with(['#', ':']) => {}
            [first] if first.starts_with('*') => marks_here = *first == "*mangle",
            _ if !marks_here => {}
            words => match Line::of(number, words) {
                Ok(Some(_)) if rules.len() >= MAX_RULES => {
                    return Err(vec![at(number, format!("more than {MAX_RULES} rules"))]);
                }
                Ok(Some(rule)) => rules.extend(rule),
                Ok(None) => skipped.add(number, line),
                Err(error) => errors.push(error),
            },
        }
    }
    if !errors.is_empty() {
        errors.truncate(MAX_ERRORS);
        return Err(errors);
    }
    let mut read = marks::of_rules(&rules)?;
    read.notes.extend(skipped.notes());
    Ok(read)
}

/// Errors that are told.
const MAX_ERRORS: usize = 100;

/// The words of a line, those in quotes as one.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

/// A line while it is read.
struct Line {
    number: u32,
    /// Whether it is for IPv4 and for IPv6; a saved file does not say.
    versions: (bool, bool),
    chain: String,
    marking: Marking,
    mark: Option<Dscp>,
    target: String,
}

impl Line {
    /// A rule; nothing in it for lines that do something else, `None` for what is no rule at all.
    fn of(number: u32, words: &[&str]) -> Result<Option<Option<Hooked>>, Note> {
        let (versions, words) = match words.split_first() {
            Some((first, rest)) if first.starts_with("iptables") => ((true, false), rest),
            Some((first, rest)) if first.starts_with("ip6tables") => ((false, true), rest),
            _ => ((true, true), words),
        };
        let words = match words {
            ["-t", "mangle", rest @ ..] => rest,
            ["-t", ..] => return Ok(Some(None)),
            words => words,
        };
        let (chain, words) = match words {
            ["-A" | "--append", chain, rest @ ..] => (*chain, rest),
            ["-F" | "-X" | "-L" | "-S" | "-N" | "-P" | "-D", ..] => return Ok(Some(None)),
            _ => return Ok(None),
        };
        let mut line = Line {
            number,
            versions,
            chain: chain.to_owned(),
            marking: Marking::empty(number),
            mark: None,
            target: String::new(),
        };
        line.options(words)?;
        Ok(Some(line.hooked()))
    }

    fn options(&mut self, words: &[&str]) -> Result<(), Note> {
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            if word == "!" {
                self.marking.unknown.push(format!("! {}", words.next().unwrap_or_default()));
                continue;
            }
            let value = words.next().unwrap_or_default();
            match word {
                "-p" | "--protocol" => self.protocol(value),
                "-m" | "--match" => {}
                "--sport" | "--sports" | "--source-port" | "--source-ports" => {
                    let ports = self.ports(value)?;
                    self.marking.source_ports.extend(ports);
                }
                "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
                    let ports = self.ports(value)?;
                    self.marking.destination_ports.extend(ports);
                }
                // Either end: two rules, of which one may be there for other packets.
                "--port" | "--ports" => self.marking.unknown.push(format!("{word} {value}, either end")),
                "--comment" => self.marking.name = Some(value.to_owned()),
                "-s" | "--source" => self.place(Reach::Sources, word, value),
                "-d" | "--destination" => self.place(Reach::Destinations, word, value),
                "-i" | "-o" => self.place(Reach::Interfaces, word, value),
                "--uid-owner" | "--gid-owner" | "--cgroup" | "--path" => {
                    self.place(Reach::OneProgram, word, value)
                }
                "-j" | "--jump" | "-g" | "--goto" => self.target = value.to_owned(),
                "--set-dscp" | "--set-dscp-class" => self.mark = Some(self.dscp(value)?),
                "--set-tos" => self.mark = Some(self.tos(value)?),
                other => self.marking.unknown.push(format!("{other} {value}")),
            }
        }
        Ok(())
    }

    fn protocol(&mut self, word: &str) {
        let all = matches!(word, "all" | "ip");
        self.marking.udp = all || matches!(word, "udp" | "17");
        self.marking.tcp = all || matches!(word, "tcp" | "6");
    }

    fn place(&mut self, reach: Reach, option: &str, value: &str) {
        self.marking.place.push(Place { reach, text: format!("{option} {value}") });
    }

    fn ports(&self, text: &str) -> Result<Vec<PortRange>, Note> {
        let port = |text: &str| {
            let wrong = || at(self.number, format!("`{text}` is no port and no range"));
            PortRange::parse(text).ok_or_else(wrong)
        };
        text.split(',').map(port).collect()
    }

    fn dscp(&self, text: &str) -> Result<Dscp, Note> {
        dscp::parse(text).map_err(|error| at(self.number, error.to_string()))
    }

    /// `0xb8` or `0xb8/0xff`: the whole byte.
    fn tos(&self, text: &str) -> Result<Dscp, Note> {
        let byte = text.split('/').next().unwrap_or_default();
        let byte = match byte.strip_prefix("0x") {
            Some(digits) => u8::from_str_radix(digits, 16).ok(),
            None => byte.parse().ok(),
        };
        let wrong = || at(self.number, format!("`{text}` is no TOS byte (0 to 255)"));
        byte.map(Dscp::from_traffic_byte).ok_or_else(wrong)
    }

    fn hooked(self) -> Option<Hooked> {
        let hook = HOOKS.iter().find(|(chain, _)| *chain == self.chain).map(|(_, hook)| (*hook).to_owned());
        let mut marking = self.marking;
        let (mut markings, mut ending) = (Vec::new(), None);
        match (self.mark, self.target.as_str()) {
            (Some(mark), _) => {
                let no_ports = marking.source_ports.is_empty() && marking.destination_ports.is_empty();
                if no_ports {
                    marking.unknown.push(NO_PORTS.to_owned());
                }
                if hook.is_none() {
                    marking.unknown.push(format!("the chain {}, which is reached by jumps only", self.chain));
                }
                let versions =
                    [(4, self.versions.0), (6, self.versions.1)].into_iter().filter(|(_, has)| *has);
                markings.extend(versions.map(|(version, _)| Marking { version, mark, ..marking.clone() }));
            }
            (None, "ACCEPT" | "RETURN" | "DROP" | "QUEUE") => ending = Some(marking),
            _ => return None,
        }
        Some(Hooked { hook: hook.unwrap_or_default(), chain: self.chain, markings, ending })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Fact, What};

    fn said(text: &str) -> Vec<String> {
        let read = read(text.as_bytes()).unwrap();
        let rule = |fact: &Fact| match &fact.what {
            What::Rule(rule) => {
                let caveats: String =
                    fact.caveats.iter().map(|caveat| format!("; {}", caveat.text)).collect();
                format!("{}: {}{caveats}", fact.place, rule.describe())
            }
            other => format!("{other:?}"),
        };
        read.facts.iter().map(rule).chain(read.notes.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn a_saved_table_is_read() {
        let text = "*mangle\n:OUTPUT ACCEPT [0:0]\n\
            -A OUTPUT -p udp -m multiport --sports 20000:20039 -m comment --comment \"a b\" -j DSCP --set-dscp 0x2e\n\
            -A OUTPUT -p tcp -m multiport --sports 20000:20039 -j DSCP --set-dscp-class EF\n\
            -A INPUT -p udp -m udp --sport 5000 -j TOS --set-tos 0x88/0xff\n\
            -A OUTPUT -p tcp -d 10.0.0.0/8 --dport 5061 -j DSCP --set-dscp 0x18\nCOMMIT\n*filter\n-A INPUT -j ACCEPT\n";
        assert_eq!(
            said(text),
            [
                "line 3: every program, UDP and TCP, source 20000-20039: EF (46)",
                "line 5: every program, UDP, source 5000: AF41 (34); in a chain of hook input, which sees what arrives and \
                 marks nothing that leaves",
                "line 6: every program, TCP, destination 5061: CS3 (24); only where `-d 10.0.0.0/8` holds",
            ]
        );
    }

    #[test]
    fn commands_are_for_one_version_and_what_comes_first_counts() {
        let text = "iptables -t mangle -A OUTPUT -j RETURN\niptables -t mangle -A OUTPUT -p udp --sport 5000 -j DSCP --set-dscp 46\n\
            ip6tables -t mangle -A OUTPUT -p udp --sport 5000 -j DSCP --set-dscp 46\nsysctl x\n";
        assert_eq!(
            said(text),
            [
                "line 2: every program, UDP, source 5000: EF (46); never reached: line 1 takes its packets first",
                "line 4: `sysctl x` is not understood: passed over"
            ]
        );
        let wrong = read(b"-A OUTPUT -p udp --sport 0 -j DSCP --set-dscp 99\n").unwrap_err();
        assert_eq!(wrong[0].to_string(), "line 1: `0` is no port and no range");
    }
}
