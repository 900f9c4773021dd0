//! The table from mark to hardware queue, for switches whose queues are set mark by mark.

use carillon_wire::ip::Dscp;

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::queues::{self, Queue};
use super::{file, lines};
use crate::dscp;
use crate::plan::QueueMap;

pub(super) const TARGET: Target =
    Target { name: "queue-table", title: "Any switch: the queue of each mark, for 4 and 8 queues", make };

pub(super) const NETGEAR: Target = Target {
    name: "netgear",
    title: "NetGear GS110TP and its like: what to change in the table",
    make: correct,
};

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let queues = queues::of_plan(order)?;
    let table = |count: u8| {
        let text = text(&stamp(order), &map(&queues, count), None);
        let mut limits = shared(&queues, count);
        limits.extend(lines([
            "A higher queue is served first, on switches with strict priority; with weights, give the higher ones more.",
            "CS6 and CS7 are routing protocols: they share the highest queue, so that no call can starve them.",
        ]));
        file(&format!("network/queues-{count}.txt"), text, Guide { limits, ..guide(count) })
    };
    Ok(vec![table(4), table(8)])
}

/// Routing in the highest queue, then what the plan marks; what has no mark of the plan is served last.
fn map(queues: &[Queue], count: u8) -> QueueMap {
    let mut map = QueueMap::uniform(0);
    for mark in (48..64).filter_map(Dscp::new) {
        map.set(mark, count - 1);
    }
    place(queues, count, &mut map);
    map
}

/// Audio in the highest queue, then video, then signaling, each in one of its own while there are any.
fn place(queues: &[Queue], count: u8, map: &mut QueueMap) {
    let numbers = || (0..count).rev().chain(std::iter::repeat(0));
    for (queue, number) in queues.iter().zip(numbers()) {
        for mark in queue.marks.iter().flat_map(|mark| with_drop_precedences(*mark)) {
            map.set(mark, number);
        }
    }
    // The plan's own marks after those that only share an assured forwarding class with one of them.
    for (queue, number) in queues.iter().zip(numbers()) {
        for mark in &queue.marks {
            map.set(*mark, number);
        }
    }
}

/// The marks of one assured forwarding class must not overtake each other (RFC 2597, 2): they share a queue.
fn with_drop_precedences(mark: Dscp) -> Vec<Dscp> {
    let (class, drop) = (mark.value() / 8, mark.value() % 8);
    match (class, drop) {
        (1..=4, 2 | 4 | 6) => [2, 4, 6].into_iter().filter_map(|drop| Dscp::new(class * 8 + drop)).collect(),
        _ => vec![mark],
    }
}

/// Which classes have to share the last queue with best effort.
fn shared(queues: &[Queue], count: u8) -> Vec<String> {
    let last = queues.iter().skip(usize::from(count) - 1);
    last.map(|queue| format!("{} shares the queue of best effort: {count} queues are too few.", queue.class))
        .collect()
}

/// The table that the switch has from the factory, with the plan's classes taken apart: every class in a queue of its
/// own if there are enough, and a more important one never behind a less important one.
fn correct(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let queues = queues::of_plan(order)?;
    let factory = QueueMap::preset("netgear-gs110tp").ok_or_else(|| Unfit("no table".to_owned()))?;
    let mut corrected = factory.clone();
    place(&queues, 4, &mut corrected);
    let text = text(&stamp(order), &corrected, Some(&factory));
    let mut limits = shared(&queues, 4);
    limits.extend(lines([
        "The table from the factory is known for CS3 (1), AF41 (2) and EF (2); the rest follows their rule of sixteen \
         marks a queue, which is not verified.",
    ]));
    let guide = Guide {
        purpose: "The table from DSCP to queue of NetGear's small switches. From the factory EF and AF41 share queue 2: \
                  voice waits behind video. Lines that end in `changed` are what has to be set."
            .to_owned(),
        install: lines([
            "In the web interface: QoS, CoS, DSCP to Queue Mapping; set the changed lines, Apply. The switch shows marks \
             in binary.",
            "QoS, CoS, Global: trust mode DSCP.",
        ]),
        ..guide(4)
    };
    Ok(vec![file("network/netgear-queues.txt", text, Guide { limits, ..guide })])
}

/// One line a mark: mark and queue, behind them the other spellings.
fn text(stamp: &str, map: &QueueMap, factory: Option<&QueueMap>) -> String {
    let mut text = format!("# {stamp}\n# DSCP queue   # name, binary, 802.1p\n");
    for mark in (0..64).filter_map(Dscp::new) {
        let name = if dscp::has_name(mark) { dscp::name(mark) } else { "-".to_owned() };
        let changed = factory.is_some_and(|factory| factory.queue(mark) != map.queue(mark));
        text.push_str(&format!(
            "{:<4} {:<7} # {name}, {}, {}{}\n",
            mark.value(),
            map.queue(mark),
            dscp::binary(mark),
            dscp::default_priority(mark),
            if changed { ", changed" } else { "" }
        ));
    }
    text
}

fn guide(count: u8) -> Guide {
    Guide {
        purpose: format!(
            "The queue of each of the 64 marks on a switch with {count} queues, 0 the lowest, and its 802.1p priority where \
             nobody maps it."
        ),
        install: lines([
            "Set the queue of each mark of the plan in the switch's table (it may be called DSCP to queue, DSCP to CoS, or \
             DSCP to traffic class), and let it trust DSCP on the ports.",
        ]),
        roll_back: lines(["Set the table's old values, or its defaults."]),
        check: lines([
            "Copy the switch's own table into a file, a mark and a queue on each line, and give it to `carillon plan \
             check`: classes that share a queue are named.",
        ]),
        limits: Vec::new(),
    }
}
