//! Junos: a firewall filter that marks, lists of servers' prefixes, and class-of-service with a queue for each class.
//!
//! Evidence: Junos 10.4 policy framework guide for `dscp` in filters of `inet`, its class-of-service guide for the rest;
//! reference pages say that MX routers with MPCs take any mark, M320 and T series only 0.

use carillon_wire::ip::Dscp;

use super::super::{File, Guide, Order, Target, Unfit};
use super::queues::{self, Queue};
use super::sides::{self, Marked, NO_NETWORKS, Sides};
use super::{file, head, lines};
use crate::class::TrafficClass;
use crate::dscp;
use crate::plan::Network;
use crate::rule::Protocol;

pub(super) const TARGET: Target = Target { name: "junos", title: "Juniper Junos: marking and queuing", make };

/// An address family: its name, the list of servers in it, and what it calls a protocol and a mark.
struct Family {
    name: &'static str,
    is_v4: bool,
    servers: &'static str,
    protocol: &'static str,
    mark: &'static str,
}

const FAMILIES: [Family; 2] = [
    Family { name: "inet", is_v4: true, servers: "CARILLON-SERVERS", protocol: "protocol", mark: "dscp" },
    Family {
        name: "inet6",
        is_v4: false,
        servers: "CARILLON-SERVERS-V6",
        protocol: "next-header",
        mark: "traffic-class",
    },
];

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let sides = sides::of_plan(order)?;
    let queues = queues::of_plan(order)?;
    let warning = sides.left_out(NO_NETWORKS).filter(|_| sides.networks.is_empty());
    let head = head(order, warning.as_deref(), |line| format!("/* {line} */\n"));
    let mut text = Blocks { text: head, depth: 0 };
    if !sides.servers.marked.is_empty() && !sides.networks.is_empty() {
        text.block("policy-options", |text| {
            for family in &FAMILIES {
                prefix_list(family.servers, &sides.networks(family.is_v4), text);
            }
        });
    }
    text.block("firewall", |text| {
        for family in &FAMILIES {
            text.block(&format!("family {}", family.name), |text| filter(&sides, &queues, family, text));
        }
    });
    text.block("class-of-service", |text| class_of_service(&queues, text));
    Ok(vec![file("network/junos.conf", text.text, guide(order, warning))])
}

fn prefix_list(name: &str, networks: &[Network], text: &mut Blocks) {
    if !networks.is_empty() {
        text.block(&format!("prefix-list {name}"), |text| {
            networks.iter().for_each(|one| text.say(&format!("{}/{}", one.address(), one.prefix())));
        });
    }
}

/// A configuration under construction: statements and blocks, each on a line at its depth.
struct Blocks {
    text: String,
    depth: usize,
}

impl Blocks {
    fn line(&mut self, line: &str) {
        self.text.push_str(&format!("{:width$}{line}\n", "", width = self.depth * 4));
    }

    fn say(&mut self, statement: &str) {
        self.line(&format!("{statement};"));
    }

    fn block(&mut self, head: &str, inside: impl FnOnce(&mut Blocks)) {
        self.line(&format!("{head} {{"));
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line("}");
    }
}

/// Servers first: the first term that matches marks.
fn filter(sides: &Sides, queues: &[Queue], family: &Family, text: &mut Blocks) {
    let servers = (!sides.networks(family.is_v4).is_empty()).then_some(&sides.servers);
    let sides = servers.map(|side| (side, Some(family.servers))).into_iter().chain([(&sides.clients, None)]);
    text.block("filter CARILLON-IN", |text| {
        for (side, list) in sides {
            for marked in &side.marked {
                let name = format!("{}-{}", side.name, sides::mark_name(marked.mark));
                terms(&name, marked, list, queues, family, text);
            }
        }
        text.block("term REST", |text| text.block("then", |text| text.say("accept")));
    });
}

/// Each range from both ends, where there is a list for the hosts in it only.
fn terms(
    name: &str,
    marked: &Marked,
    list: Option<&str>,
    queues: &[Queue],
    family: &Family,
    text: &mut Blocks,
) {
    for (number, (protocol, ports)) in marked.ports.iter().enumerate() {
        for end in ["source", "destination"] {
            text.block(&format!("term {name}-{}-{end}", number + 1), |text| {
                text.block("from", |text| {
                    if let Some(list) = list {
                        text.block(&format!("{end}-prefix-list"), |text| text.say(list));
                    }
                    text.say(&format!("{} {}", family.protocol, protocols(*protocol)));
                    text.say(&format!("{end}-port {ports}"));
                });
                text.block("then", |text| then(marked, queues, family.mark, text));
            });
        }
    }
}

fn then(marked: &Marked, queues: &[Queue], word: &str, text: &mut Blocks) {
    let queue = queues.iter().find(|queue| queue.marks.contains(&marked.mark));
    if let Some((name, _)) = queue.and_then(own) {
        text.say(&format!("forwarding-class {name}"));
        text.say("loss-priority low");
    }
    text.say(&format!("{word} {}", keyword(marked.mark)));
    text.say("accept");
}

fn protocols(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Both => "[ udp tcp ]",
        Protocol::Udp => "udp",
        Protocol::Tcp => "tcp",
    }
}

/// `ef`, `af41`, `cs3`, `be`, else the number.
fn keyword(mark: Dscp) -> String {
    super::ios::keyword(mark).replace("default", "be")
}

/// The forwarding class of a class and its hardware queue. 0 to 3 belong to Junos, 3 of them to routing; file transfer
/// stays with best effort.
fn own(queue: &Queue) -> Option<(&'static str, u8)> {
    match queue.class {
        TrafficClass::Audio => Some(("CARILLON-AUDIO", 5)),
        TrafficClass::Video => Some(("CARILLON-VIDEO", 4)),
        TrafficClass::Signaling => Some(("CARILLON-SIGNALING", 6)),
        TrafficClass::Sharing => Some(("CARILLON-SHARING", 7)),
        TrafficClass::FileTransfer | TrafficClass::Management => None,
    }
}

fn class_of_service(queues: &[Queue], text: &mut Blocks) {
    let own: Vec<(&Queue, &str, u8)> =
        queues.iter().filter_map(|queue| own(queue).map(|(name, number)| (queue, name, number))).collect();
    text.block("classifiers", |text| {
        for kind in ["dscp", "dscp-ipv6"] {
            text.block(&format!("{kind} CARILLON"), |text| {
                text.say("import default");
                for (queue, name, _) in &own {
                    let points: Vec<String> = queue.marks.iter().map(|mark| dscp::binary(*mark)).collect();
                    let points = format!("loss-priority low code-points [ {} ]", points.join(" "));
                    text.block(&format!("forwarding-class {name}"), |text| text.say(&points));
                }
            });
        }
    });
    text.block("forwarding-classes", |text| {
        for (_, name, number) in &own {
            text.say(&format!("class {name} queue-num {number}"));
        }
    });
    text.block("scheduler-maps", |text| {
        text.block("CARILLON", |text| {
            for name in own.iter().map(|(_, name, _)| *name) {
                text.say(&format!("forwarding-class {name} scheduler {name}"));
            }
            text.say("forwarding-class network-control scheduler CARILLON-CONTROL");
            text.say("forwarding-class best-effort scheduler CARILLON-REST");
        });
    });
    text.block("schedulers", |text| {
        for (queue, name, _) in &own {
            let priority = if queue.class == TrafficClass::Audio { "strict-high" } else { "low" };
            scheduler(name, &format!("percent {}", queue.percent), priority, text);
        }
        scheduler("CARILLON-CONTROL", "percent 5", "high", text);
        scheduler("CARILLON-REST", "{ remainder; }", "low", text);
    });
}

fn scheduler(name: &str, rate: &str, priority: &str, text: &mut Blocks) {
    text.block(name, |text| {
        match rate {
            block if block.starts_with('{') => text.line(&format!("transmit-rate {block}")),
            rate => text.say(&format!("transmit-rate {rate}")),
        }
        text.say(&format!("priority {priority}"));
    });
}

fn guide(order: &Order<'_>, warning: Option<String>) -> Guide {
    let mut limits: Vec<String> = warning.into_iter().collect();
    limits.push(queues::remark(order));
    limits.extend(lines([
        "Audio is served before everything, routing too, and its percentage does not limit it: believe marks only of ports \
         where they are set, admit no more calls than the link bears, or add `rate-limit` where the device has it.",
        "Servers and clients are told by addresses and ports, not by programs: whatever else uses these ports there is \
         marked too. Windows gives programs ports from 49152 on.",
        "File transfer keeps its mark and shares the queue of best effort.",
        "The filter ends with `accept`: where a filter is in place already, put the terms before its own.",
        "Not tried on a device: no judge but the balance of the braces was at hand.",
    ]));
    Guide {
        purpose: "Marks at the first device for hosts that cannot mark themselves, and queues on links that are full. For \
                  Junos with eight queues; MX routers with MPCs set any mark, some older ones only none."
            .to_owned(),
        install: lines([
            "An earlier export first, for merging keeps its terms: `delete firewall family inet filter CARILLON-IN`, the same \
             with `inet6`, `delete policy-options prefix-list CARILLON-SERVERS`, the same with `CARILLON-SERVERS-V6`.",
            "`configure`, `load merge terminal`, paste the file, `show | compare`, `commit check`.",
            "`set interfaces ... unit ... family inet filter input CARILLON-IN` on ports towards clients and towards \
             servers, the same with `inet6`. On switches the filter belongs under `family ethernet-switching`: change the \
             word in the file.",
            "`set class-of-service interfaces ... scheduler-map CARILLON` and `... unit ... classifiers dscp CARILLON` on \
             the links.",
            "`commit confirmed 5`, look, `commit`.",
        ]),
        roll_back: lines(["`rollback 1`, `commit`; or wait: an unconfirmed commit takes itself back."]),
        check: lines([
            "`show interfaces queue` counts what each queue has sent and dropped.",
            "Give `show configuration` to `carillon plan check`: it compares what holds for every address.",
            "Capture before and behind the device and give both to `carillon verify`.",
        ]),
        limits,
    }
}
