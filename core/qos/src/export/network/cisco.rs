//! Cisco IOS and IOS XE: access lists, a marking policy, a queuing policy for congested links.
//!
//! Addresses stand in the lists themselves: object groups are refused in classes of many releases.

use super::super::{File, Guide, Order, Target, Unfit};
use super::queues::{self, Queue};
use super::sides::{self, Marked, NO_NETWORKS, Side, Sides};
use super::{file, head, ios, lines};
use crate::class::TrafficClass;
use crate::plan::Network;
use crate::ports::PortRange;
use crate::rule::Protocol;

pub(super) const TARGET: Target =
    Target { name: "cisco", title: "Cisco IOS and IOS XE: marking and queuing", make };

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let sides = sides::of_plan(order)?;
    let queues = queues::of_plan(order)?;
    let warning = sides.left_out(NO_NETWORKS).filter(|_| sides.networks.is_empty());
    let mut text = head(order, warning.as_deref(), |line| format!("! {line}\n"));
    text.push_str("! Pasted over an earlier export, its lists would grow: take that back first.\n");
    marking(&sides, &mut text);
    queuing(&queues, &mut text);
    text.push_str("end\n");
    Ok(vec![file("network/cisco-ios.txt", text, guide(order, warning))])
}

/// Lists and classes of both sides, then the policy: servers first, because the first class that matches marks.
fn marking(sides: &Sides, text: &mut String) {
    let mut policy = "!\npolicy-map CARILLON-IN\n".to_owned();
    for (side, bound) in [(&sides.servers, true), (&sides.clients, false)] {
        let ends = |is_v4| if bound { addresses(&sides.networks(is_v4)) } else { vec!["any".to_owned()] };
        let (v4, v6) = (ends(true), ends(false));
        for marked in side.marked.iter().filter(|_| !v4.is_empty() || !v6.is_empty()) {
            let name = side.list_name(marked.mark);
            lists(side, marked, &v4, &v6, text);
            policy.push_str(&format!(" class {name}\n  set dscp {}\n", ios::keyword(marked.mark)));
        }
    }
    text.push_str(&policy);
}

/// The lists of one mark and their class. A list without entries would match everything, so there is none.
fn lists(side: &Side, marked: &Marked, v4: &[String], v6: &[String], text: &mut String) {
    let name = side.list_name(marked.mark);
    let mut class = format!("!\nclass-map match-any {name}\n");
    for (kind, name, ends) in
        [("ip access-list extended", name.clone(), v4), ("ipv6 access-list", format!("{name}-V6"), v6)]
    {
        if !ends.is_empty() {
            text.push_str(&format!("!\n{kind} {name}\n{}", entries(marked, ends)));
            class.push_str(&format!(" match access-group name {name}\n"));
        }
    }
    text.push_str(&class);
}

/// From our ports and towards them, for each protocol and each place.
fn entries(marked: &Marked, ends: &[String]) -> String {
    let mut text = String::new();
    for (protocol, ports) in &marked.ports {
        let ports = operator(*ports);
        let protocols: &[&str] = match protocol {
            Protocol::Both => &["udp", "tcp"],
            Protocol::Udp => &["udp"],
            Protocol::Tcp => &["tcp"],
        };
        for (protocol, end) in
            protocols.iter().flat_map(|protocol| ends.iter().map(move |end| (protocol, end)))
        {
            text.push_str(&format!(
                " permit {protocol} {end} {ports} any\n permit {protocol} any {end} {ports}\n"
            ));
        }
    }
    text
}

/// `host 10.1.0.7`, `10.1.0.0 0.0.0.255`, `2001:DB8::/64`.
fn addresses(networks: &[Network]) -> Vec<String> {
    let spelt = |network: &Network| match (network.is_host(), network.mask()) {
        (true, _) => format!("host {}", network.address()),
        (false, Some(mask)) => {
            let wildcard = std::net::Ipv4Addr::from_bits(!mask.to_bits());
            format!("{} {wildcard}", network.address())
        }
        (false, None) => network.to_string(),
    };
    networks.iter().map(spelt).collect()
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

fn guide(order: &Order<'_>, warning: Option<String>) -> Guide {
    let mut limits: Vec<String> = warning.into_iter().collect();
    limits.extend([
        queues::remark(order),
        "Servers and clients are told by addresses and ports, not by programs: whatever else uses these ports there is \
         marked too. Windows gives programs ports from 49152 on."
            .to_owned(),
        "Catalyst 2960, 3560 and 3750 have `mls qos` and no queuing policy: take the marking part and the target \
         `queue-table`."
            .to_owned(),
        "Marks that hosts set otherwise are overwritten on the plan's ports and kept elsewhere.".to_owned(),
        "Not tried on a device.".to_owned(),
    ]);
    Guide {
        purpose: "Marks at the first switch for hosts that cannot mark themselves, and queues on links that are full. \
                  Hosts that mark by themselves need the queues only. For releases with modular QoS: IOS 12.4 and later, \
                  IOS XE, Catalyst 3650 and later."
            .to_owned(),
        install: lines([
            "Keep `show running-config` from before.",
            "`configure terminal`, then paste the file. It attaches nothing yet. Lists of an earlier export grow: take \
             them back first.",
            "On ports towards clients and towards servers: `interface ...`, `service-policy input CARILLON-IN`.",
            "On the congested link: `interface ...`, `service-policy output CARILLON-WAN-OUT`.",
            "`write memory`.",
        ]),
        roll_back: lines([
            "`no service-policy ...` on the interfaces; then `no policy-map`, `no class-map`, `no ip access-list \
             extended` and `no ipv6 access-list` for each name that begins with `CARILLON-`.",
        ]),
        check: lines([
            "`show policy-map interface` counts what each class has matched, marked and dropped.",
            "Give `show running-config` to `carillon plan check`: it compares what holds for every address.",
            "Capture before and behind the device and give both to `carillon verify`.",
        ]),
        limits,
    }
}
