//! ArubaOS mobility controllers: a session list that marks, and the Wi-Fi categories of voice and video.
//!
//! Evidence: ArubaOS 6 user guides: `permit tos ... dot1p-priority ...` in session lists, up to eight marks in
//! `wmm-vo-dscp` and `wmm-vi-dscp`, the first of which replaces a mark that is not among them.

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::queues::{self, Queue};
use super::sides::{self, Side};
use super::{file, lines};
use crate::class::TrafficClass;
use crate::dscp;
use crate::rule::Protocol;

pub(super) const TARGET: Target =
    Target { name: "aruba-controller", title: "ArubaOS mobility controllers", make };

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let sides = sides::of_plan(order)?;
    let queues = queues::of_plan(order)?;
    let mut text = format!("! {}\n", stamp(order));
    for side in &sides {
        list(side, &queues, &mut text);
    }
    text.push_str("wlan ssid-profile \"carillon\"\n  wmm\n");
    for (class, word) in [(TrafficClass::Audio, "wmm-vo-dscp"), (TrafficClass::Video, "wmm-vi-dscp")] {
        if let Some(queue) = queues.iter().find(|queue| queue.class == class) {
            let marks: Vec<String> =
                queue.marks.iter().take(8).map(|mark| mark.value().to_string()).collect();
            text.push_str(&format!("  {word} {}\n", marks.join(",")));
        }
    }
    text.push_str("!\n");
    Ok(vec![file("network/aruba-controller.txt", text, guide())])
}

fn list(side: &Side, queues: &[Queue], text: &mut String) {
    text.push_str(&format!("ip access-list session carillon-{}\n", side.name.to_lowercase()));
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
                        "  any any {word} {start}{end} permit tos {mark} dot1p-priority {priority}\n"
                    ));
                }
            }
        }
    }
    text.push_str("!\n");
}

fn guide() -> Guide {
    Guide {
        purpose: "Marks at the controller for stations that cannot mark themselves, and the Wi-Fi categories of voice and \
                  video: without them a station's EF is sent as video."
            .to_owned(),
        install: lines([
            "Keep `show running-config` from before.",
            "`configure terminal`, paste the lists; `user-role ...`, `access-list session carillon-clients position 1`.",
            "Put the lines of the profile `carillon` into the SSID profile in use.",
            "`write memory`.",
        ]),
        roll_back: lines([
            "`no access-list session carillon-clients` in the role, `no wmm-vo-dscp` and `no wmm-vi-dscp` in the profile.",
        ]),
        check: lines([
            "`show datapath session table` shows the mark of each session.",
            "Capture behind the controller and give it to `carillon verify`.",
        ]),
        limits: lines([
            "The lines name the destination's ports, and count for the whole session; a session towards ports outside the \
             plan is not marked here.",
            "The lines permit what they mark: they open these ports for the role.",
            "Names and words are those of ArubaOS 6; not tried on a device.",
        ]),
    }
}
