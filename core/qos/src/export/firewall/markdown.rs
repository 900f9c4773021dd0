//! The flows as tables for people: a section for each pair of zones, and the totals.

use std::collections::BTreeMap;

use super::super::Order;
use super::super::linux::origin;
use super::flows::{self, Opening, Reading};
use super::zone::Zone;

pub(super) fn text(order: &Order<'_>, openings: &[Opening]) -> String {
    let mut text = format!(
        "# Firewall rules\n\nMade by Carillon from {}. Each line is a rule in the direction of who begins; \
                            a stateful firewall lets the answers through.\n",
        origin(order)
    );
    text.push_str(&totals(order, openings));
    let mut pairs: BTreeMap<(Zone, Zone), Vec<&Opening>> = BTreeMap::new();
    for opening in openings {
        pairs.entry((opening.from, opening.to)).or_default().push(opening);
    }
    for ((from, to), rows) in pairs {
        text.push_str(&format!("\n## From {from} to {to}\n\nFrom {} to {}.\n\n", from.title(), to.title()));
        text.push_str("| rule | purpose | reading | source |\n|--|--|--|--|\n");
        for row in rows {
            text.push_str(&format!(
                "| {} | {} | {} | {} |\n",
                row.wire(),
                row.service,
                row.reading.name(),
                row.source
            ));
        }
    }
    text
}

fn totals(order: &Order<'_>, openings: &[Opening]) -> String {
    let clients = flows::client_ports(order);
    let count: u32 = clients.iter().map(|range| range.count()).sum();
    let ranges: Vec<String> = clients.iter().map(|range| range.to_string()).collect();
    let has = |from: Zone, to: Zone| openings.iter().any(|opening| (opening.from, opening.to) == (from, to));
    let inbound = has(Zone::Internet, Zone::EdgeExternal);
    let mut text = match has(Zone::Client, Zone::Client) || inbound {
        true => "\n| total | ports |\n|--|--|\n".to_owned(),
        false => String::new(),
    };
    if has(Zone::Client, Zone::Client) {
        let ranges = match ranges.as_slice() {
            [range] => format!("one range: {range}"),
            ranges => format!("{} ranges: {}", ranges.len(), ranges.join(" ")),
        };
        text.push_str(&format!("| between clients, {ranges} | {count} |\n"));
    }
    if inbound {
        for reading in [Reading::Documentation, Reading::Article] {
            let chosen: Vec<&Opening> =
                openings.iter().filter(|opening| reading.includes(opening.reading)).collect();
            let ports = flows::ports_into(&chosen, Zone::EdgeExternal);
            text.push_str(&format!(
                "| from the Internet to the Edge, UDP and TCP counted apart. {} | {ports} |\n",
                reading.title()
            ));
        }
    }
    text
}
