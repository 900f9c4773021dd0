//! Polycom UC Software: parameters are attributes of any element.

use super::super::Note;
use super::keys::{self, Key, Part, Stated};
use super::xml::{self, Mended};
use super::{Outcome, contains, note, text};
use crate::class::TrafficClass::{Audio, Signaling, Video};

const KEYS: [Key; 7] = [
    Key { name: "qos.ip.rtp.dscp", class: Audio, part: Part::Dscp },
    Key { name: "qos.ip.rtp.video.dscp", class: Video, part: Part::Dscp },
    Key { name: "qos.ip.callControl.dscp", class: Signaling, part: Part::Dscp },
    Key { name: "tcpIpApp.port.rtp.mediaPortRangeStart", class: Audio, part: Part::Start },
    Key { name: "tcpIpApp.port.rtp.mediaPortRangeEnd", class: Audio, part: Part::End },
    Key { name: VIDEO_START, class: Video, part: Part::Start },
    Key { name: VIDEO_END, class: Video, part: Part::End },
];

const VIDEO_START: &str = "tcpIpApp.port.rtp.videoPortRangeStart";
const VIDEO_END: &str = "tcpIpApp.port.rtp.videoPortRangeEnd";
const VIDEO_ENABLE: &str = "tcpIpApp.port.rtp.videoPortRange.enable";

/// XML with a parameter of ports or marks, or the master file, which only names such files.
pub(super) fn recognise(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let xml = bytes.first() == Some(&b'<');
    xml && ["tcpIpApp.port.rtp.", "qos.ip.", "qos.ethernet.", "CONFIG_FILES="]
        .iter()
        .any(|word| contains(bytes, word))
}

pub(super) fn read(bytes: &[u8]) -> Outcome {
    let mut mended = Mended::from_text(text(bytes)?)?;
    let mut notes = std::mem::take(&mut mended.notes);
    let mut stated = attributes(&mended)?;
    own_video_pool(&mut stated, &mut notes)?;
    keys::facts("vvx", &KEYS, &stated, notes)
}

fn attributes(mended: &Mended) -> Result<Vec<Stated>, Vec<Note>> {
    let starts = mended.line_starts();
    let document =
        mended.parse().map_err(|error| vec![note(1, format!("no XML that is read here: {error}"))])?;
    let attributes = document.descendants().flat_map(|node| node.attributes());
    let known = |name: &str| name == VIDEO_ENABLE || KEYS.iter().any(|key| key.name == name);
    let stated = attributes.filter(|attribute| known(attribute.name())).map(|attribute| Stated {
        line: xml::line(&starts, attribute.range().start),
        key: attribute.name().to_owned(),
        value: attribute.value().to_owned(),
    });
    Ok(stated.collect())
}

/// Without its switch the video range is text only: video then shares the ports of audio.
fn own_video_pool(stated: &mut Vec<Stated>, notes: &mut Vec<Note>) -> Result<(), Vec<Note>> {
    let mut enabled = false;
    for one in stated.iter().filter(|one| one.key == VIDEO_ENABLE) {
        match one.value.trim() {
            "1" => enabled = true,
            "0" | "" => enabled = false,
            other => {
                return Err(vec![note(one.line, format!("{VIDEO_ENABLE}: {other:?} is neither 0 nor 1"))]);
            }
        }
    }
    let range = |one: &Stated| one.key == VIDEO_START || one.key == VIDEO_END;
    if !enabled && let Some(unused) = stated.iter().find(|one| range(one)) {
        let text = format!(
            "{} has no effect without {VIDEO_ENABLE}=\"1\": video shares the ports of audio",
            unused.key
        );
        notes.push(note(unused.line, text));
        stated.retain(|one| !range(one));
    }
    Ok(())
}
