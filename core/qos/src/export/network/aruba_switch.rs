//! ArubaOS-Switch (ProCurve): marks by port for the whole switch, and the priority of each mark. Its lines name no
//! addresses, so that servers' ranges stay out.
//!
//! Evidence: HP's advanced traffic management guides for the 6120, 5400zl and 8200zl: a mark needs a priority before it
//! can be given, `ipv4` and `ipv6` are words of the later releases, ranges of a protocol may not overlap.

use carillon_wire::ip::Dscp;

use super::super::{File, Guide, Order, Target, Unfit};
use super::sides;
use super::{file, head, lines};
use crate::dscp;
use crate::ports::PortRange;
use crate::rule::Protocol;

pub(super) const TARGET: Target = Target { name: "aruba-switch", title: "ArubaOS-Switch, ProCurve", make };

/// Why servers are left out, whatever the plan says.
const NO_ADDRESSES: &str = "these lines cannot name addresses";

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let mut entries: Vec<(Dscp, Protocol, PortRange)> = Vec::new();
    let sides = sides::of_plan(order)?;
    for marked in &sides.clients.marked {
        entries.extend(marked.ports.iter().map(|(protocol, ports)| (marked.mark, *protocol, *ports)));
    }
    if entries.is_empty() {
        return Err(Unfit(format!("the plan marks ports of servers only, and {NO_ADDRESSES}")));
    }
    let warning = sides.left_out(NO_ADDRESSES);
    let head = head(order, warning.as_deref(), |line| format!("; {line}\n"));
    let text = format!("{head}{}{}", priorities(&entries), ports(&entries));
    Ok(vec![file("network/aruba-switch.txt", text, guide(warning))])
}

fn marks(entries: &[(Dscp, Protocol, PortRange)]) -> Vec<Dscp> {
    let mut marks: Vec<Dscp> = Vec::new();
    for (mark, ..) in entries {
        if !marks.contains(mark) {
            marks.push(*mark);
        }
    }
    marks
}

/// A mark can be given only once it has a priority.
fn priorities(entries: &[(Dscp, Protocol, PortRange)]) -> String {
    let line = |mark: Dscp| {
        format!("qos dscp-map {} priority {}\n", dscp::binary(mark), dscp::default_priority(mark))
    };
    marks(entries).into_iter().map(line).collect()
}

/// The switch refuses ranges that overlap: those of one mark are joined.
fn ports(entries: &[(Dscp, Protocol, PortRange)]) -> String {
    let mut text = String::new();
    for mark in marks(entries) {
        for (word, other) in [("udp", Protocol::Tcp), ("tcp", Protocol::Udp)] {
            let of_mark = entries.iter().filter(|(m, protocol, _)| *m == mark && *protocol != other);
            for range in PortRange::merged(of_mark.map(|(_, _, ports)| *ports)) {
                let range = match range.count() {
                    1 => range.start().to_string(),
                    _ => format!("range {} {}", range.start(), range.end()),
                };
                for version in ["ipv4", "ipv6"] {
                    text.push_str(&format!(
                        "qos {word}-port {version} {range} dscp {}\n",
                        dscp::binary(mark)
                    ));
                }
            }
        }
    }
    text
}

fn guide(warning: Option<String>) -> Guide {
    let mut limits: Vec<String> = warning.into_iter().collect();
    limits.extend(lines([
        "The lines hold for the whole switch and for both ends of a flow.",
        "Older releases (ProCurve before K.15) know neither `ipv4` nor `ipv6` here: take the lines of IPv4 without the \
         word.",
        "The number of ranges is limited by the model. Not tried on a device.",
    ]));
    Guide {
        purpose: "Marks and 802.1p priorities at the first switch, for hosts that cannot mark themselves."
            .to_owned(),
        install: lines([
            "Keep `show running-config` from before.",
            "`configure`, then paste the file; `write memory`.",
            "On switches between others, that are to keep marks and obey them: `qos type-of-service diff-services`.",
        ]),
        roll_back: lines([
            "`no qos udp-port ...` and `no qos tcp-port ...` for each line, `no qos dscp-map ...` for each mark.",
        ]),
        check: lines([
            "`show qos tcp-udp-port-priority` and `show qos dscp-map`.",
            "Give `show running-config` to `carillon plan check`, and a capture to `carillon verify`.",
        ]),
        limits,
    }
}
