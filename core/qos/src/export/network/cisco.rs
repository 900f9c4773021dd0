//! Cisco IOS and IOS XE: access lists, a marking policy for each side, a queuing policy for congested links.

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::queues::{self, Queue};
use super::sides::{self, Marked, Side};
use super::{file, ios, lines};
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::rule::Protocol;

pub(super) const TARGET: Target =
    Target { name: "cisco", title: "Cisco IOS and IOS XE: marking and queuing", make };

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let sides = sides::of_plan(order)?;
    let queues = queues::of_plan(order)?;
    let mut text = format!("! {}\n", stamp(order));
    for side in &sides {
        marking(side, &mut text);
    }
    queuing(&queues, &mut text);
    text.push_str("end\n");
    Ok(vec![file("network/cisco-ios.txt", text, guide(order, &sides))])
}

fn marking(side: &Side, text: &mut String) {
    for marked in &side.marked {
        let name = side.list_name(marked.mark);
        text.push_str(&format!("!\nip access-list extended {name}\n"));
        text.push_str(&entries(marked));
        text.push_str(&format!("!\nipv6 access-list {name}-V6\n"));
        text.push_str(&entries(marked));
        text.push_str(&format!("!\nclass-map match-any {name}\n match access-group name {name}\n"));
        text.push_str(&format!(" match access-group name {name}-V6\n"));
    }
    text.push_str(&format!("!\npolicy-map CARILLON-{}-IN\n", side.name));
    for marked in &side.marked {
        text.push_str(&format!(
            " class {}\n  set dscp {}\n",
            side.list_name(marked.mark),
            ios::keyword(marked.mark)
        ));
    }
}

/// From our ports and towards them, for each protocol.
fn entries(marked: &Marked) -> String {
    let mut text = String::new();
    for (protocol, ports) in &marked.ports {
        let ports = operator(*ports);
        let protocols: &[&str] = match protocol {
            Protocol::Both => &["udp", "tcp"],
            Protocol::Udp => &["udp"],
            Protocol::Tcp => &["tcp"],
        };
        for protocol in protocols {
            text.push_str(&format!(
                " permit {protocol} any {ports} any\n permit {protocol} any any {ports}\n"
            ));
        }
    }
    text
}

fn operator(ports: PortRange) -> String {
    match ports.count() {
        1 => format!("eq {}", ports.start()),
        _ => format!("range {} {}", ports.start(), ports.end()),
    }
}

fn queuing(queues: &[Queue], text: &mut String) {
    for queue in queues {
        let marks: Vec<String> = queue.marks.iter().map(|mark| ios::keyword(*mark)).collect();
        text.push_str(&format!("!\nclass-map match-any {}\n", name(queue)));
        for marks in marks.chunks(8) {
            text.push_str(&format!(" match dscp {}\n", marks.join(" ")));
        }
    }
    text.push_str("!\npolicy-map CARILLON-WAN-OUT\n");
    for queue in queues {
        let share = match queue.class {
            TrafficClass::Audio => format!("  priority percent {}\n", queue.percent),
            TrafficClass::Video => {
                format!("  bandwidth percent {}\n  random-detect dscp-based\n", queue.percent)
            }
            _ => format!("  bandwidth percent {}\n", queue.percent),
        };
        text.push_str(&format!(" class {}\n{share}", name(queue)));
    }
    text.push_str(" class class-default\n  fair-queue\n!\n");
}

fn name(queue: &Queue) -> String {
    format!("CARILLON-QUEUE-{}", queue.class.name().to_uppercase())
}

fn guide(order: &Order<'_>, sides: &[Side]) -> Guide {
    let attach = |side: &Side| {
        let (name, lower) = (side.name, side.name.to_lowercase());
        format!("On ports towards {lower}: `interface ...`, `service-policy input CARILLON-{name}-IN`.")
    };
    let mut install = lines([
        "Keep `show running-config` from before.",
        "`configure terminal`, then paste the file. It attaches nothing yet.",
    ]);
    install.extend(sides.iter().map(attach));
    install.extend(lines([
        "On the congested link: `interface ...`, `service-policy output CARILLON-WAN-OUT`.",
        "`write memory`.",
    ]));
    Guide {
        purpose: "Marks at the first switch for hosts that cannot mark themselves, and queues on links that are full. \
                  Hosts that mark by themselves need the queues only. For releases with modular QoS: IOS 12.4 and later, \
                  IOS XE, Catalyst 3650 and later."
            .to_owned(),
        install,
        roll_back: lines([
            "`no service-policy ...` on the interfaces; then `no policy-map`, `no class-map`, `no ip access-list \
             extended` and `no ipv6 access-list` for each name that begins with `CARILLON-`.",
        ]),
        check: lines([
            "`show policy-map interface` counts what each class has matched, marked and dropped.",
            "Give `show running-config` to `carillon plan check`.",
            "Capture before and behind the device and give both to `carillon verify`.",
        ]),
        limits: vec![
            queues::remark(order),
            "Catalyst 2960, 3560 and 3750 have `mls qos` and no queuing policy: take the marking part and the target \
             `queue-table`."
                .to_owned(),
            "Marks that hosts set otherwise are overwritten on the plan's ports and kept elsewhere.".to_owned(),
            "Not tried on a device.".to_owned(),
        ],
    }
}
