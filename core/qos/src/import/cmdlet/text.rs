//! Bytes to text: UTF-8, UTF-16 as `>` writes it in PowerShell, or the code page of Western Windows.

/// The text; every byte sequence is one.
pub(in crate::import) fn decoded(bytes: &[u8]) -> String {
    let words = |order: fn([u8; 2]) -> u16| -> String {
        let pairs = bytes.get(2..).unwrap_or_default().chunks_exact(2);
        let units: Vec<u16> = pairs.map(|pair| order([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] => words(u16::from_le_bytes),
        [0xfe, 0xff, ..] => words(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
        },
    }
}

/// Only the quotes and dashes of the upper half matter; the rest is as in Latin-1.
fn windows_1252(byte: u8) -> char {
    match byte {
        0x91 => '\u{2018}',
        0x92 => '\u{2019}',
        0x93 => '\u{201c}',
        0x94 => '\u{201d}',
        0x96 => '\u{2013}',
        0x97 => '\u{2014}',
        byte => char::from(byte),
    }
}

/// Dashes that word processors and web pages put where a hyphen was typed.
pub(super) fn is_dash(c: char) -> bool {
    c == '-' || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Straight and typographic double quotes.
pub(super) fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}

/// Straight and typographic single quotes.
pub(super) fn is_single_quote(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}')
}

/// The line without a prompt that was copied with it: `PS C:\>`, `[PS] C:\>`, `>>`.
pub(super) fn without_prompt(line: &str) -> &str {
    let line = line.trim();
    let prompted = line.starts_with("PS ")
        || line.starts_with("PS>")
        || line.starts_with("[PS]")
        || line.starts_with(">>");
    match line.find('>') {
        Some(end) if prompted => line[end..].trim_start_matches('>').trim_start(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_out_of_every_encoding_that_windows_writes() {
        let text = "Set \u{2013}A";
        let le: Vec<u8> = "\u{feff}Set \u{2013}A".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = "\u{feff}Set \u{2013}A".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [text.as_bytes(), &le, &be, b"Set \x96A", b"\xef\xbb\xbfSet \xe2\x80\x93A"] {
            assert_eq!(decoded(bytes), text);
        }
    }

    #[test]
    fn a_prompt_is_no_part_of_a_command() {
        for line in ["PS C:\\Users\\x> Get-A", "[PS] C:\\>Get-A", ">> Get-A", "PS> Get-A", "  Get-A "] {
            assert_eq!(without_prompt(line), "Get-A");
        }
    }
}
