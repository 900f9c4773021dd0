//! Lines of `key = value`: Yealink's phones and AudioCodes' gateways.

use super::super::Note;
use super::keys::{self, Key, Part, Stated};
use super::{Outcome, has_line, note, text};
use crate::class::TrafficClass::{Audio, Signaling, Video};

/// Both generations of names; the marks are DSCP in spite of theirs.
const YEALINK: [Key; 9] = [
    Key { name: "static.network.qos.audiotos", class: Audio, part: Part::Dscp },
    Key { name: "static.network.qos.videotos", class: Video, part: Part::Dscp },
    Key { name: "static.network.qos.signaltos", class: Signaling, part: Part::Dscp },
    Key { name: "static.network.port.min_rtpport", class: Audio, part: Part::Start },
    Key { name: "static.network.port.max_rtpport", class: Audio, part: Part::End },
    Key { name: "network.qos.rtptos", class: Audio, part: Part::Dscp },
    Key { name: "network.qos.signaltos", class: Signaling, part: Part::Dscp },
    Key { name: "network.port.min_rtpport", class: Audio, part: Part::Start },
    Key { name: "network.port.max_rtpport", class: Audio, part: Part::End },
];

const AUDIOCODES: [Key; 3] = [
    Key { name: "PremiumServiceClassMediaDiffServ", class: Audio, part: Part::Dscp },
    Key { name: "PremiumServiceClassControlDiffServ", class: Signaling, part: Part::Dscp },
    Key { name: "BaseUDPPort", class: Audio, part: Part::Start },
];

const SPACING: &str = "UdpPortSpacing";

/// Tables of an ini file whose rows have marks or ports of their own.
const TABLES: [&str; 3] = ["CpMediaRealm ", "IpProfile ", "IPProfile_"];

pub(super) fn recognise_yealink(bytes: &[u8]) -> bool {
    has_line(
        bytes,
        &["#!version:1.0.0", "static.network.qos.", "static.network.port.", "network.qos.", "network.port."],
    )
}

pub(super) fn read_yealink(bytes: &[u8]) -> Outcome {
    let stated = pairs(text(bytes)?, '#');
    keys::facts("yealink", &YEALINK, &stated, Vec::new())
}

pub(super) fn recognise_audiocodes(bytes: &[u8]) -> bool {
    has_line(bytes, &["PremiumServiceClass", "BaseUDPPort", SPACING])
}

pub(super) fn read_audiocodes(bytes: &[u8]) -> Outcome {
    let stated = pairs(text(bytes)?, ';');
    let mut notes: Vec<Note> = Vec::new();
    for one in &stated {
        if one.key.eq_ignore_ascii_case(SPACING) && !["4", "5", "10"].contains(&one.value.as_str()) {
            return Err(vec![note(one.line, format!("{SPACING}: {:?} is none of 4, 5, 10", one.value))]);
        }
        let table = TABLES.iter().find(|table| one.key.starts_with(**table));
        if let Some(table) = table.filter(|_| notes.is_empty()) {
            let text = "states marks or ports of its own, which win; the table is not read";
            notes.push(note(one.line, format!("{} {text}", table.trim_end_matches(['_', ' ']))));
        }
    }
    keys::facts("audiocodes-gateway", &AUDIOCODES, &stated, notes)
}

/// Every line with a key and a value; comments begin with this character.
pub(super) fn pairs(text: &str, comment: char) -> Vec<Stated> {
    let mut stated = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(comment)) else {
            continue;
        };
        let value = value.trim_start_matches('>').split(comment).next().unwrap_or("").trim();
        stated.push(Stated { line: number + 1, key: key.trim().to_owned(), value: value.to_owned() });
    }
    stated
}
