//! Configuration files of desk phones and gateways.

mod asterisk;
mod keys;
mod lines;
mod polycom;
mod snom;
mod xml;

use carillon_wire::ip::Dscp;

use super::{Format, Note, Read};
use crate::dscp;

pub(super) const FORMATS: &[Format] = &[
    Format { name: "Polycom XML", recognise: polycom::recognise, read: polycom::read },
    Format { name: "Snom XML", recognise: snom::recognise_xml, read: snom::read_xml },
    Format { name: "Snom settings", recognise: snom::recognise_text, read: snom::read_text },
    Format { name: "Yealink configuration", recognise: lines::recognise_yealink, read: lines::read_yealink },
    Format { name: "AudioCodes ini", recognise: lines::recognise_audiocodes, read: lines::read_audiocodes },
    Format { name: "Asterisk configuration", recognise: asterisk::recognise, read: asterisk::read },
];

type Outcome = Result<Read, Vec<Note>>;

/// A remark about a line, counted from 1.
pub(super) fn note(line: usize, text: impl Into<String>) -> Note {
    Note { place: format!("line {line}"), text: text.into() }
}

/// Most errors of one file that are told.
const MAX_ERRORS: usize = 200;

/// What a reader returns: nothing of a file counts in which something is wrong.
pub(super) fn outcome(found: Read, mut wrong: Vec<Note>) -> Outcome {
    let more = wrong.len().saturating_sub(MAX_ERRORS);
    wrong.truncate(MAX_ERRORS);
    if more > 0 {
        wrong.push(Note { place: "file".to_owned(), text: format!("{more} more errors like these") });
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

/// The file as text without its byte order mark.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Vec<Note>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        vec![note(line, "a byte that is no UTF-8; save the file as UTF-8")]
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A mark in decimal or by name: in files of devices 101110 is a number that is too large, not a binary one.
pub(super) fn decimal_mark(text: &str) -> Result<Dscp, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if digits && text.len() > 3 {
        return Err(format!("{text} is no DSCP: the largest is 63"));
    }
    if text.len() > 7 || text.contains(['x', 'X']) {
        return Err(format!("{text:?} is no DSCP: write 0 to 63 or a name"));
    }
    dscp::parse(text).map_err(|error| error.to_string())
}

/// A port.
pub(super) fn port(text: &str) -> Result<u16, String> {
    let port = if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
    port.filter(|port| *port > 0).ok_or_else(|| format!("{text:?} is no port (1 to 65535)"))
}

/// Whether the bytes hold this word.
fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// Whether any line begins with one of these words, after blanks and in any case.
pub(super) fn has_line(bytes: &[u8], words: &[&str]) -> bool {
    bytes.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii_start();
        words
            .iter()
            .any(|word| line.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_decimal_or_names() {
        assert_eq!(decimal_mark("46"), decimal_mark("EF"));
        assert!(
            decimal_mark("101110").is_err()
                && decimal_mark("0x2e").is_err()
                && decimal_mark("64").is_err()
                && decimal_mark("-1").is_err()
        );
        assert!(decimal_mark("184").unwrap_err().contains("EF (46)"));
    }
}
