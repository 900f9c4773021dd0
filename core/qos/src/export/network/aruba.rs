//! ArubaOS mobility controllers: a session list that marks, and the Wi-Fi categories of voice and video.
//!
//! Evidence: ArubaOS 6 user guides: `permit tos ... dot1p-priority ...` in session lists, up to eight marks in
//! `wmm-vo-dscp` and `wmm-vi-dscp`, the first of which replaces a mark that is not among them.

use super::super::{File, Guide, Order, Target, Unfit};
use super::queues::{self, Queue};
use super::sides::{self, Side};
use super::{file, head, lines};
use crate::class::TrafficClass;
use crate::dscp;
use crate::plan::Network;
use crate::rule::Protocol;

pub(super) const TARGET: Target =
    Target { name: "aruba-controller", title: "ArubaOS mobility controllers", make };

/// Why servers are left out: sessions over IPv6 cannot be marked at all.
const NO_NETWORKS: &str = "the plan names none of IPv4: write `servers.networks` into it and export again";

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let sides = sides::of_plan(order)?;
    let queues = queues::of_plan(order)?;
    let networks = sides.networks(true);
    let warning = sides.left_out(NO_NETWORKS).filter(|_| networks.is_empty());
    let mut text = head(order, warning.as_deref(), |line| format!("! {line}\n"));
    let servers = (!networks.is_empty() && !sides.servers.marked.is_empty()).then_some(&sides.servers);
    if servers.is_some() {
        text.push_str(&destination(&networks));
    }
    text.push_str("ip access-list session carillon-media\n");
    if let Some(side) = servers {
        text.push_str(&entries(side, "any alias carillon-servers", &queues));
    }
    text.push_str(&entries(&sides.clients, "any any", &queues));
    text.push_str("!\nwlan ssid-profile \"carillon\"\n  wmm\n");
    for (class, word) in [(TrafficClass::Audio, "wmm-vo-dscp"), (TrafficClass::Video, "wmm-vi-dscp")] {
        if let Some(queue) = queues.iter().find(|queue| queue.class == class) {
            let marks: Vec<String> =
                queue.marks.iter().take(8).map(|mark| mark.value().to_string()).collect();
            text.push_str(&format!("  {word} {}\n", marks.join(",")));
        }
    }
    text.push_str("!\n");
    Ok(vec![file("network/aruba-controller.txt", text, guide(warning))])
}

fn destination(networks: &[Network]) -> String {
    let line = |network: &Network| match network.mask().filter(|_| !network.is_host()) {
        Some(mask) => format!("  network {} {mask}\n", network.address()),
        None => format!("  host {}\n", network.address()),
    };
    let lines: String = networks.iter().map(line).collect();
    format!("netdestination carillon-servers\n{lines}!\n")
}

fn entries(side: &Side, ends: &str, queues: &[Queue]) -> String {
    let mut text = String::new();
    for marked in &side.marked {
        // Voice in its Wi-Fi category (RFC 8325, 4.3): the upper three bits would send it as video.
        let voice = queues.iter().any(|q| q.class == TrafficClass::Audio && q.marks.contains(&marked.mark));
        let priority = if voice { 6 } else { dscp::default_priority(marked.mark) };
        for (protocol, ports) in &marked.ports {
            for (word, other) in [("udp", Protocol::Tcp), ("tcp", Protocol::Udp)] {
                if *protocol != other {
                    let (start, end, mark) = (ports.start(), ports.end(), marked.mark.value());
                    let end = if start == end { String::new() } else { format!(" {end}") };
                    text.push_str(&format!(
                        "  {ends} {word} {start}{end} permit tos {mark} dot1p-priority {priority}\n"
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
        "IPv4 only: rules for IPv6 permit or deny, and mark nothing.",
        "The lines name the destination's ports, and count for the whole session; a session towards ports outside the \
         plan is not marked here.",
        "The lines permit what they mark: they open these ports for the role.",
        "Names and words are those of ArubaOS 6; not tried on a device.",
    ]));
    Guide {
        purpose: "Marks at the controller for stations that cannot mark themselves, and the Wi-Fi categories of voice and \
                  video: without them a station's EF is sent as video."
            .to_owned(),
        install: lines([
            "Keep `show running-config` from before.",
            "`configure terminal`, paste the list; `user-role ...`, `access-list session carillon-media position 1`.",
            "Put the lines of the profile `carillon` into the SSID profile in use.",
            "`write memory`.",
        ]),
        roll_back: lines([
            "`no access-list session carillon-media` in the role, `no ip access-list session carillon-media`, `no wmm-vo-dscp` and `no wmm-vi-dscp` in the profile.",
        ]),
        check: lines([
            "`show datapath session table` shows the mark of each session.",
            "Capture behind the controller and give it to `carillon verify`.",
        ]),
        limits,
    }
}
