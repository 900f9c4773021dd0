//! The flows as a table of nftables: a chain for each pair of zones, and what no chain accepts is dropped.

use std::collections::BTreeSet;

use super::super::Order;
use super::super::linux::origin;
use super::flows::{Opening, Reading};
use super::zone::Zone;
use crate::ports::PortRange;
use crate::rule::Protocol;

/// The table's name: loading a file again replaces this one, and no other.
const TABLE: &str = "inet carillon_firewall";

/// IP versions: the suffix of names, and how addresses are matched.
const FAMILIES: [(&str, &str, &str); 2] = [("4", "ip", "ipv4_addr"), ("6", "ip6", "ipv6_addr")];

pub(super) fn text(order: &Order<'_>, openings: &[&Opening], reading: Option<Reading>) -> String {
    let zones: BTreeSet<Zone> = openings.iter().flat_map(|opening| [opening.from, opening.to]).collect();
    let zones: Vec<Zone> = zones.into_iter().filter(|zone| *zone != Zone::Internet).collect();
    let pairs: BTreeSet<(Zone, Zone)> = openings.iter().map(|opening| (opening.from, opening.to)).collect();
    let mut text = head(order, reading);
    for zone in &zones {
        let name = word(*zone);
        text.push_str(&format!("# {}\ndefine {name}4 = {{ }}\ndefine {name}6 = {{ }}\n", zone.title()));
    }
    text.push_str(&format!("\ntable {TABLE}\ndelete table {TABLE}\n\ntable {TABLE} {{\n"));
    text.push_str(&sets(&zones));
    text.push_str(&forward(&zones, &pairs));
    for (from, to) in pairs {
        let rows: Vec<&Opening> =
            openings.iter().copied().filter(|opening| (opening.from, opening.to) == (from, to)).collect();
        text.push_str(&chain(from, to, &rows));
    }
    text + "}\n"
}

fn head(order: &Order<'_>, reading: Option<Reading>) -> String {
    let mut text = format!(
        "#!/usr/sbin/nft -f\n# What the roles of a plan need from each other, and nothing else. Made by Carillon from {}.\n",
        origin(order)
    );
    if let Some(reading) = reading {
        text.push_str(&format!("# {}.\n", reading.title()));
    }
    text + "# Loading it again replaces this table and touches no other.\n\n\
            # Addresses and networks of each zone, with commas between them. An address may be in several zones.\n"
}

fn sets(zones: &[Zone]) -> String {
    let mut text = String::new();
    for (suffix, _, kind) in FAMILIES {
        let mut set = |name: &str, elements: String| {
            text.push_str(&format!(
                "    set {name}{suffix} {{ type {kind}; flags interval; auto-merge; elements = {{ {elements} }}; }}\n"
            ));
        };
        for zone in zones {
            set(word(*zone), format!("${}{suffix}", word(*zone)));
        }
        let all: Vec<String> = zones.iter().map(|zone| format!("${}{suffix}", word(*zone))).collect();
        set("zones", all.join(", "));
    }
    text + "\n"
}

const DROPS: &str = "        # Here ends what the plan knows of: remote desktop, SSH, file sharing and sign-in between zones too. To see
        # what would be refused before it is, load the file with `counter` in place of `counter drop`.\n";

/// Pairs of zones jump and come back: an address may be in several zones.
fn forward(zones: &[Zone], pairs: &BTreeSet<(Zone, Zone)>) -> String {
    let mut text =
        "    chain forward {\n        type filter hook forward priority filter; policy accept;\n        \
                    ct state established,related accept\n"
            .to_owned();
    for (suffix, family, _) in FAMILIES {
        for (from, to) in pairs {
            let place =
                format!("{} {}", end(*from, family, "saddr", suffix), end(*to, family, "daddr", suffix));
            text.push_str(&format!("        {place} jump {}\n", name(*from, *to)));
        }
    }
    text.push_str("        # Among servers of one role, and behind them, other rules decide.\n");
    for (suffix, family, _) in FAMILIES {
        for zone in zones.iter().filter(|zone| !pairs.contains(&(**zone, **zone))) {
            let set = format!("{}{suffix}", word(*zone));
            text.push_str(&format!("        {family} saddr @{set} {family} daddr @{set} return\n"));
        }
    }
    text.push_str(DROPS);
    for (suffix, family, _) in FAMILIES {
        text.push_str(&format!(
            "        {family} saddr @zones{suffix} {family} daddr @zones{suffix} counter drop\n"
        ));
        if zones.contains(&Zone::EdgeExternal) {
            let edge = format!("@{}{suffix}", word(Zone::EdgeExternal));
            text.push_str(&format!(
                "        {family} saddr {edge} counter drop\n        {family} daddr {edge} counter drop\n"
            ));
        }
    }
    text + "    }\n"
}

/// The Internet is whoever is in no zone.
fn end(zone: Zone, family: &str, side: &str, suffix: &str) -> String {
    match zone {
        Zone::Internet => format!("{family} {side} != @zones{suffix}"),
        zone => format!("{family} {side} @{}{suffix}", word(zone)),
    }
}

/// One pair: a comment for each flow, then all its ports in as few rules as possible.
fn chain(from: Zone, to: Zone, rows: &[&Opening]) -> String {
    let mut text = format!("\n    chain {} {{\n", name(from, to));
    for row in rows {
        text.push_str(&format!("        # {}: {}\n", row.wire(), row.service));
    }
    for (protocol, word) in [(Protocol::Udp, "udp"), (Protocol::Tcp, "tcp")] {
        let same = || rows.iter().filter(|row| row.protocol == protocol || row.protocol == Protocol::Both);
        let ports = PortRange::merged(same().flat_map(|row| row.ports.iter().copied()));
        if !ports.is_empty() {
            let list: Vec<String> = ports.iter().map(PortRange::to_string).collect();
            text.push_str(&format!("        {word} dport {{ {} }} accept\n", list.join(", ")));
        }
        for range in same().filter_map(|row| row.source_ports) {
            text.push_str(&format!("        {word} sport {range} accept\n"));
        }
    }
    text + "    }\n"
}

/// `client_to_edge`.
fn name(from: Zone, to: Zone) -> String {
    format!("{}_to_{}", word(from), word(to))
}

/// A zone's name as nftables takes it.
fn word(zone: Zone) -> &'static str {
    if zone == Zone::EdgeExternal { "edge_external" } else { zone.name() }
}
