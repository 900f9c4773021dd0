//! Junos: a firewall filter for each side that marks, and class-of-service with a queue for each class.
//!
//! Evidence: Junos 10.4 policy framework guide for `dscp` in filters of `inet`, its class-of-service guide for the rest;
//! reference pages say that MX routers with MPCs take any mark, M320 and T series only 0.

use carillon_wire::ip::Dscp;

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::queues::{self, Queue};
use super::sides::{self, Marked, Side};
use super::{file, lines};
use crate::class::TrafficClass;
use crate::dscp;
use crate::rule::Protocol;

pub(super) const TARGET: Target = Target { name: "junos", title: "Juniper Junos: marking and queuing", make };

/// The address families, what they call a protocol and a mark.
const FAMILIES: [(&str, &str, &str); 2] =
    [("inet", "protocol", "dscp"), ("inet6", "next-header", "traffic-class")];

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let sides = sides::of_plan(order)?;
    let queues = queues::of_plan(order)?;
    let mut text = Blocks { text: format!("/* {} */\n", stamp(order)), depth: 0 };
    text.block("firewall", |text| {
        for (family, protocol, mark) in FAMILIES {
            text.block(&format!("family {family}"), |text| {
                for side in &sides {
                    filter(side, &queues, (protocol, mark), text);
                }
            });
        }
    });
    text.block("class-of-service", |text| class_of_service(&queues, text));
    Ok(vec![file("network/junos.conf", text.text, guide(order))])
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

fn filter(side: &Side, queues: &[Queue], words: (&str, &str), text: &mut Blocks) {
    text.block(&format!("filter CARILLON-{}", side.name), |text| {
        for marked in &side.marked {
            for (number, (protocol, ports)) in marked.ports.iter().enumerate() {
                for end in ["source", "destination"] {
                    let name = format!("{}-{}-{end}", sides::mark_name(marked.mark), number + 1);
                    text.block(&format!("term {name}"), |text| {
                        text.block("from", |text| {
                            text.say(&format!("{} {}", words.0, protocols(*protocol)));
                            text.say(&format!("{end}-port {ports}"));
                        });
                        text.block("then", |text| then(marked, queues, words.1, text));
                    });
                }
            }
        }
        text.block("term REST", |text| text.block("then", |text| text.say("accept")));
    });
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

fn guide(order: &Order<'_>) -> Guide {
    Guide {
        purpose: "Marks at the first device for hosts that cannot mark themselves, and queues on links that are full. For \
                  Junos with eight queues; MX routers with MPCs set any mark, some older ones only none."
            .to_owned(),
        install: lines([
            "`configure`, `load merge terminal`, paste the file, `show | compare`, `commit check`.",
            "`set interfaces ... unit ... family inet filter input CARILLON-CLIENTS` on ports towards clients, the same \
             with `inet6`; `CARILLON-SERVERS` on ports towards servers. On switches the filter belongs under `family \
             ethernet-switching`: change the word in the file.",
            "`set class-of-service interfaces ... scheduler-map CARILLON` and `... unit ... classifiers dscp CARILLON` on \
             the links.",
            "`commit confirmed 5`, look, `commit`.",
        ]),
        roll_back: lines(["`rollback 1`, `commit`; or wait: an unconfirmed commit takes itself back."]),
        check: lines([
            "`show interfaces queue` counts what each queue has sent and dropped.",
            "Give `show configuration` to `carillon plan check`.",
            "Capture before and behind the device and give both to `carillon verify`.",
        ]),
        limits: vec![
            queues::remark(order),
            "File transfer keeps its mark and shares the queue of best effort.".to_owned(),
            "The filters end with `accept`: where a filter is in place already, put the terms before its own.".to_owned(),
            "Not tried on a device: no judge but the balance of the braces was at hand.".to_owned(),
        ],
    }
}
