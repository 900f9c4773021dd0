//! Spellings of a mark: `46`, `EF`, `0x2e`, `101110` all mean the code point whose traffic byte is 184.
//!
//! The value itself and its one shift live in `carillon-wire`; here are only names, bases and serde helpers.

use carillon_wire::ip::{Dscp, Ecn};

/// A text that is no DSCP, with what was wrong about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadDscp(String);

impl std::fmt::Display for BadDscp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadDscp {}

/// Standard names: class selectors (RFC 2474), assured forwarding (RFC 2597), expedited forwarding
/// (RFC 3246), voice admit (RFC 5865), lower effort (RFC 8622). The first name of a value is its own.
const NAMES: [(&str, u8); 27] = [
    ("DF", 0),
    ("LE", 1),
    ("CS1", 8),
    ("AF11", 10),
    ("AF12", 12),
    ("AF13", 14),
    ("CS2", 16),
    ("AF21", 18),
    ("AF22", 20),
    ("AF23", 22),
    ("CS3", 24),
    ("AF31", 26),
    ("AF32", 28),
    ("AF33", 30),
    ("CS4", 32),
    ("AF41", 34),
    ("AF42", 36),
    ("AF43", 38),
    ("CS5", 40),
    ("VA", 44),
    ("EF", 46),
    ("CS6", 48),
    ("CS7", 56),
    ("CS0", 0),
    ("BE", 0),
    ("DEFAULT", 0),
    ("UNMARKED", 0),
];

/// Reads any spelling: a name in either case (`EF`, `af41`, `cs3`, `va`, `le`, `df`, `be`, `default`,
/// `unmarked`), decimal 0 to 63, hexadecimal `0x2e`, binary `0b101110`. Exactly six digits that are all
/// 0 or 1 are binary, as switches print them; fewer digits are decimal, so `11` is eleven.
pub fn parse(text: &str) -> Result<Dscp, BadDscp> {
    let word = text.trim().to_ascii_uppercase();
    if let Some((_, value)) = NAMES.iter().find(|(name, _)| *name == word) {
        return Dscp::new(*value).ok_or_else(|| unknown(text));
    }
    let number = match (word.strip_prefix("0X"), word.strip_prefix("0B")) {
        (Some(digits), _) => from_digits(digits, 16),
        (_, Some(digits)) => from_digits(digits, 2),
        _ if word.len() == 6 && word.bytes().all(|b| b == b'0' || b == b'1') => from_digits(&word, 2),
        _ => from_digits(&word, 10),
    };
    match number {
        Some(value @ 0..=63) => Dscp::new(value as u8).ok_or_else(|| unknown(text)),
        Some(value) => Err(too_large(value)),
        None => Err(unknown(text)),
    }
}

/// The standard name, or the decimal value of a code point that has none.
pub fn name(dscp: Dscp) -> String {
    match NAMES.iter().find(|(_, value)| *value == dscp.value()) {
        Some((name, _)) => (*name).to_owned(),
        None => dscp.value().to_string(),
    }
}

/// Whether the code point has a standard name.
pub fn has_name(dscp: Dscp) -> bool {
    NAMES.iter().any(|(_, value)| *value == dscp.value())
}

/// Name and value for people: `EF (46)`; `unmarked (0)` for best effort; `7` where there is no name.
pub fn label(dscp: Dscp) -> String {
    match dscp {
        Dscp::DEFAULT => "unmarked (0)".to_owned(),
        _ if has_name(dscp) => format!("{} ({})", name(dscp), dscp.value()),
        _ => dscp.value().to_string(),
    }
}

/// Two hexadecimal digits of the code point: `0x2E`.
pub fn hex(dscp: Dscp) -> String {
    format!("0x{:02X}", dscp.value())
}

/// The six bits, as switches print them: `101110`.
pub fn binary(dscp: Dscp) -> String {
    format!("{:06b}", dscp.value())
}

/// The traffic byte with ECN 0, as routers, phones and captures show it: 184 for 46.
pub fn tos_byte(dscp: Dscp) -> u8 {
    dscp.traffic_byte(Ecn::NotCapable)
}

/// The 802.1p priority and 802.11 user priority that equipment takes when nobody maps anything: the
/// upper three bits. EF becomes 5, which Wi-Fi sends as video (RFC 8325, 2.3).
pub fn default_priority(dscp: Dscp) -> u8 {
    dscp.value() / 8
}

fn from_digits(digits: &str, base: u32) -> Option<u32> {
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    u32::from_str_radix(digits, base).ok()
}

fn too_large(value: u32) -> BadDscp {
    let hint = match u8::try_from(value).map(Dscp::from_traffic_byte) {
        Ok(dscp) if u32::from(tos_byte(dscp)) == value => {
            format!("; as a TOS byte it is DSCP {}", label(dscp))
        }
        _ => String::new(),
    };
    BadDscp(format!("{value} is no DSCP: the largest is 63{hint}"))
}

fn unknown(text: &str) -> BadDscp {
    BadDscp(format!("`{text}` is no DSCP: write a name (EF, AF41, CS3), 0 to 63, 0x2e or six binary digits"))
}

/// `#[serde(with = "carillon_qos::dscp::number")]`: a mark as its decimal value, for reports in JSON.
pub mod number {
    use carillon_wire::ip::Dscp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the decimal value.
    pub fn serialize<S: Serializer>(dscp: &Dscp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(dscp.value())
    }

    /// Reads a decimal value from 0 to 63.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Dscp, D::Error> {
        Dscp::new(u8::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("a DSCP is 0 to 63"))
    }

    /// Writes the decimal value, or nothing.
    pub fn serialize_option<S: Serializer>(dscp: &Option<Dscp>, serializer: S) -> Result<S::Ok, S::Error> {
        match dscp {
            Some(dscp) => serializer.serialize_some(&dscp.value()),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> impl Iterator<Item = Dscp> {
        (0..64).filter_map(Dscp::new)
    }

    #[test]
    fn all_64_values_survive_every_spelling() {
        for dscp in every() {
            let byte = tos_byte(dscp);
            for spelling in [
                name(dscp),
                name(dscp).to_lowercase(),
                dscp.value().to_string(),
                hex(dscp),
                hex(dscp).to_lowercase(),
                binary(dscp),
                format!("0b{:b}", dscp.value()),
            ] {
                assert_eq!(parse(&spelling), Ok(dscp), "{spelling}");
            }
            assert_eq!(u32::from(byte), u32::from(dscp.value()) * 4);
            assert_eq!(Dscp::from_traffic_byte(byte), dscp);
            assert_eq!(u8::from_str_radix(&binary(dscp), 2), Ok(dscp.value()));
        }
    }

    #[test]
    fn the_table_of_the_phone_article_holds() {
        for (text, value, hexadecimal, bits) in
            [("CS3", 24, "0x18", "011000"), ("AF41", 34, "0x22", "100010"), ("EF", 46, "0x2E", "101110")]
        {
            let dscp = parse(text).unwrap();
            assert_eq!((dscp.value(), hex(dscp), binary(dscp)), (value, hexadecimal.into(), bits.into()));
            assert_eq!(parse(bits), Ok(dscp));
        }
        assert_eq!(tos_byte(Dscp::EF), 0xb8);
    }

    #[test]
    fn twenty_three_values_have_names() {
        assert_eq!(every().filter(|d| has_name(*d)).count(), 23);
        assert_eq!(name(Dscp::new(7).unwrap()), "7");
        assert_eq!(parse("va").unwrap().value(), 44);
        assert_eq!(parse(" le ").unwrap().value(), 1);
        for default in ["default", "df", "be", "cs0", "unmarked", "000000", "0"] {
            assert_eq!(parse(default), Ok(Dscp::DEFAULT));
        }
    }

    #[test]
    fn six_binary_digits_are_binary_and_fewer_are_decimal() {
        assert_eq!(parse("000011").unwrap().value(), 3);
        assert_eq!(parse("11").unwrap().value(), 11);
        assert!(parse("10111").is_err());
    }

    #[test]
    fn what_is_no_dscp_is_refused_with_a_hint() {
        for text in ["", "64", "-1", "+5", "0x", "0x40", "AF44", "EF46", "1e1", "99999999999999", "é"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("184").unwrap_err().to_string().contains("as a TOS byte it is DSCP EF (46)"));
        assert!(!parse("185").unwrap_err().to_string().contains("TOS"));
    }

    #[test]
    fn wifi_puts_unmapped_voice_into_the_video_category() {
        assert_eq!(default_priority(Dscp::EF), 5);
        assert_eq!(default_priority(parse("AF41").unwrap()), 4);
        assert_eq!(default_priority(parse("CS3").unwrap()), 3);
    }
}
