//! Texts as Windows writes them: UTF-16 or UTF-8, with a byte order mark or, if UTF-8, without.

use super::super::Note;

/// How much of a file is looked at to recognise it.
const HEAD: usize = 1 << 16;

/// The beginning of a file as text, whatever is wrong with it.
pub(super) fn head(bytes: &[u8]) -> String {
    let head = bytes.get(..HEAD).unwrap_or(bytes);
    match head {
        [0xff, 0xfe, rest @ ..] => String::from_utf16_lossy(&units(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => String::from_utf16_lossy(&units(rest, u16::from_be_bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        rest => String::from_utf8_lossy(rest).into_owned(),
    }
}

/// A whole file as text.
pub(super) fn decoded(bytes: &[u8]) -> Result<String, Vec<Note>> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => narrow(rest),
        rest => narrow(rest),
    }
}

fn units(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|pair| unit(*pair)).collect()
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Vec<Note>> {
    let mut text = String::new();
    let mut wrong = None;
    for c in char::decode_utf16(units(bytes, unit)) {
        match c {
            Ok(c) => text.push(c),
            Err(_) => wrong = wrong.or(Some("half a character of UTF-16")),
        }
        if wrong.is_some() {
            break;
        }
    }
    if bytes.len() % 2 == 1 && wrong.is_none() {
        wrong = Some("the file ends inside of a character of UTF-16");
    }
    match wrong {
        None => Ok(text),
        Some(wrong) => Err(vec![Note { place: line_at_end(&text), text: wrong.to_owned() }]),
    }
}

fn narrow(bytes: &[u8]) -> Result<String, Vec<Note>> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let place = line_at_end(&String::from_utf8_lossy(before));
        vec![Note { place, text: "neither UTF-8 nor UTF-16: save the file as Unicode".to_owned() }]
    })
}

fn line_at_end(text: &str) -> String {
    format!("line {}", text.matches('\n').count() + 1)
}
