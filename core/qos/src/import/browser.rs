//! Browsers: the range of WebRTC in a policy for Linux (JSON) or for macOS (a profile). That for Windows is a `.reg`.

use roxmltree::{Document, Node, ParsingOptions};

use super::phone::{note, text};
use super::{Fact, Format, Note, Read, What};
use crate::ports::PortRange;

pub(super) const FORMATS: &[Format] = &[
    Format { name: "browser policy (JSON)", recognise: is_json, read: read_json },
    Format { name: "macOS profile", recognise: is_profile, read: read_profile },
];

const POLICY: &str = "WebRtcUdpPortRange";
/// Most nodes of a profile.
const MAX_NODES: u32 = 500_000;

fn names(bytes: &[u8]) -> bool {
    bytes.windows(POLICY.len()).any(|window| window == POLICY.as_bytes())
}

fn is_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{') && names(bytes)
}

fn is_profile(bytes: &[u8]) -> bool {
    let plist = bytes.windows(6).any(|window| window == b"<plist");
    bytes.trim_ascii_start().first() == Some(&b'<') && plist && names(bytes)
}

fn read_json(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = text(bytes)?;
    let root: serde_json::Value =
        serde_json::from_str(text).map_err(|error| vec![note(error.line(), format!("no JSON: {error}"))])?;
    let line = text.lines().position(|line| line.contains(POLICY)).map_or(1, |at| at + 1);
    let value = root
        .get(POLICY)
        .ok_or_else(|| vec![note(line, format!("{POLICY} is no policy at the top of the file"))])?;
    let ports = value.as_str().ok_or_else(|| vec![note(line, format!("{POLICY} is no text"))])?;
    let others = root.as_object().map_or(0, |policies| policies.len() - 1);
    let mut read = Read { facts: vec![fact(line, ports)?], notes: Vec::new() };
    if others > 0 {
        read.notes.push(note(1, format!("{others} policies that are not about ports were passed over")));
    }
    Ok(read)
}

/// Each browser has its own payload; what they say in the same words is said once for each.
fn read_profile(bytes: &[u8]) -> Result<Read, Vec<Note>> {
    let text = without_document_type(text(bytes)?)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).map_err(|error| {
        let line = usize::try_from(error.pos().row).unwrap_or(1);
        vec![note(line, format!("no XML that is read here: {error}"))]
    })?;
    let keys = document.descendants().filter(|node| node.has_tag_name("key") && node.text() == Some(POLICY));
    let mut facts = Vec::new();
    for key in keys {
        let before = text.get(..key.range().start).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let value = key.next_siblings().skip(1).find(Node::is_element);
        let value = value.filter(|node| node.has_tag_name("string")).and_then(|node| node.text());
        facts.push(fact(
            line,
            value.ok_or_else(|| vec![note(line, format!("{POLICY} has no text behind it"))])?,
        )?);
    }
    Ok(Read { facts, notes: Vec::new() })
}

fn fact(line: usize, value: &str) -> Result<Fact, Vec<Note>> {
    let ports = PortRange::parse(value).filter(|_| !value.contains(':'));
    let ports =
        ports.ok_or_else(|| vec![note(line, format!("{value:?} is no range such as 20000-20079"))])?;
    Ok(Fact::new(format!("line {line}"), What::Browser { ports }))
}

/// Every profile names Apple's document type, which is not needed; one with definitions of its own is refused.
fn without_document_type(text: &str) -> Result<String, Vec<Note>> {
    let Some(start) = text.find("<!DOCTYPE") else { return Ok(text.to_owned()) };
    let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.find('>').unwrap_or(rest.len().saturating_sub(1));
    let (declared, behind) = rest.split_at((end + 1).min(rest.len()));
    if declared.contains('[') {
        return Err(vec![note(line, "a document type with definitions of its own, which is not read")]);
    }
    let newlines: String = declared.chars().filter(|c| *c == '\n').collect();
    Ok(format!("{}{newlines}{behind}", text.get(..start).unwrap_or_default()))
}
