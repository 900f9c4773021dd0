//! Snom: settings as XML elements or as lines `name$: value`; marks are whole TOS bytes.

use super::keys::{self, Key, Part, Stated};
use super::xml::{self, Mended};
use super::{Outcome, contains, has_line, note, text};
use crate::class::TrafficClass::{Audio, Signaling};

const KEYS: [Key; 4] = [
    Key { name: "codec_tos", class: Audio, part: Part::TosByte },
    Key { name: "signaling_tos", class: Signaling, part: Part::TosByte },
    Key { name: "rtp_port_start", class: Audio, part: Part::Start },
    Key { name: "rtp_port_end", class: Audio, part: Part::End },
];

/// XML with one of the elements.
pub(super) fn recognise_xml(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    bytes.first() == Some(&b'<') && KEYS.iter().any(|key| contains(bytes, &format!("<{}", key.name)))
}

/// Lines that begin with one of the names.
pub(super) fn recognise_text(bytes: &[u8]) -> bool {
    has_line(bytes, &KEYS.map(|key| key.name))
}

pub(super) fn read_xml(bytes: &[u8]) -> Outcome {
    let mut mended = Mended::from_text(text(bytes)?)?;
    let notes = std::mem::take(&mut mended.notes);
    let starts = mended.line_starts();
    let document =
        mended.parse().map_err(|error| vec![note(1, format!("no XML that is read here: {error}"))])?;
    let known = document.descendants().filter(|node| KEYS.iter().any(|key| node.has_tag_name(key.name)));
    let stated: Vec<Stated> = known
        .map(|node| Stated {
            line: xml::line(&starts, node.range().start),
            key: node.tag_name().name().to_owned(),
            value: node.text().unwrap_or("").to_owned(),
        })
        .collect();
    keys::facts("snom", &KEYS, &stated, notes)
}

/// Before the colon stands who may change the value: `$`, `!`, `&` or `?`, or nothing.
pub(super) fn read_text(bytes: &[u8]) -> Outcome {
    let mut stated = Vec::new();
    for (number, line) in text(bytes)?.lines().enumerate() {
        if let Some((key, value)) = line.split_once(':').filter(|_| !line.trim_start().starts_with('#')) {
            let key = key.trim().trim_end_matches(['$', '!', '&', '?']).to_owned();
            stated.push(Stated { line: number + 1, key, value: value.trim().to_owned() });
        }
    }
    keys::facts("snom", &KEYS, &stated, Vec::new())
}
