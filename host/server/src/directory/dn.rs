//! Distinguished names as texts (RFC 4514), read so that two which mean the same entry are equal.
//!
//! Values are compared without case and with blanks that do not count left out, as caseIgnoreMatch does (RFC 4517, 4.2.11): names of
//! people and units are. What is no name is nobody's.

use std::collections::BTreeSet;

/// The longest that is read, in bytes.
const LONGEST: usize = 2048;
/// Types that are written by their numbers, too (RFC 4514, 3).
const NUMBERS: [(&str, &str); 9] = [
    ("2.5.4.3", "cn"),
    ("2.5.4.7", "l"),
    ("2.5.4.8", "st"),
    ("2.5.4.10", "o"),
    ("2.5.4.11", "ou"),
    ("2.5.4.6", "c"),
    ("2.5.4.9", "street"),
    ("0.9.2342.19200300.100.1.25", "dc"),
    ("0.9.2342.19200300.100.1.1", "uid"),
];
/// Kinds of texts in BER: OCTET STRING, UTF8String, PrintableString, TeletexString, IA5String.
const TEXTS: [u8; 5] = [0x04, 0x0c, 0x13, 0x14, 0x16];

/// A distinguished name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DistinguishedName(Vec<BTreeSet<(String, Value)>>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Value {
    Text(Vec<u8>),
    /// In BER, what is no short text.
    Encoded(Vec<u8>),
}

impl DistinguishedName {
    /// Reads one; `None` if it is none.
    pub fn parse(text: &str) -> Option<DistinguishedName> {
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        let mut reader = Reader(text.as_bytes());
        let mut steps = Vec::new();
        loop {
            let mut step = BTreeSet::new();
            let end = loop {
                step.insert((reader.kind()?, reader.value()?));
                match reader.next() {
                    Some(b'+') => continue,
                    end => break end,
                }
            };
            steps.push(step);
            match end {
                Some(b',') => continue,
                None => return Some(DistinguishedName(steps)),
                _ => return None,
            }
        }
    }
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The type up to its `=`.
    fn kind(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == b'=')?;
        let kind = std::str::from_utf8(&self.0[..end]).ok()?.trim_matches(' ').to_ascii_lowercase();
        self.0 = &self.0[end + 1..];
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if kind.is_empty() || !kind.chars().all(allowed) {
            return None;
        }
        let number = kind.strip_prefix("oid.").unwrap_or(&kind);
        let named = NUMBERS.iter().find(|(known, _)| *known == number);
        Some(named.map_or_else(|| number.to_owned(), |(_, name)| (*name).to_owned()))
    }

    /// The value up to the `,` or `+` behind it, which stays.
    fn value(&mut self) -> Option<Value> {
        while self.0.first() == Some(&b' ') {
            self.next();
        }
        if self.0.first() == Some(&b'#') {
            return self.encoded();
        }
        let mut value = Vec::new();
        while let Some(byte) = self.0.first().copied().filter(|byte| !b",+".contains(byte)) {
            self.next();
            match byte {
                b'\\' => value.push(self.escaped()?),
                b'"' | b';' | b'<' | b'>' | 0 => return None,
                _ => value.push(byte),
            }
        }
        Some(comparable(value))
    }

    /// What stands behind a backslash: a character that means itself, or two digits (RFC 4514, 2.4).
    fn escaped(&mut self) -> Option<u8> {
        let first = self.next()?;
        match digit(first) {
            Some(high) => Some(high << 4 | digit(self.next()?)?),
            None => Some(first).filter(|byte| b" \"#+,;<=>\\".contains(byte)),
        }
    }

    /// `#` and the value in BER, as digits. A short text is read as that.
    fn encoded(&mut self) -> Option<Value> {
        self.next();
        let end = self.0.iter().position(|byte| b",+".contains(byte)).unwrap_or(self.0.len());
        let digits = self.0[..end].trim_ascii_end();
        self.0 = &self.0[end..];
        let pairs = digits.chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        let bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
        match &*bytes {
            [] => None,
            [kind, length, text @ ..] if TEXTS.contains(kind) && usize::from(*length) == text.len() => {
                Some(comparable(text.to_vec()))
            }
            _ => Some(Value::Encoded(bytes)),
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// In lower case, with one blank for several, and none at the ends.
fn comparable(value: Vec<u8>) -> Value {
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    Value::Text(match String::from_utf8(value) {
        Ok(text) => words(&text.to_lowercase()).into_bytes(),
        Err(no_text) => no_text.into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<DistinguishedName> {
        DistinguishedName::parse(text)
    }

    #[test]
    fn names_of_one_entry_are_equal_however_they_are_written() {
        for (one, other) in [
            ("CN=Alice,DC=example,DC=com", "cn = alice , dc=Example,dc=COM"),
            (r"CN=Bauer\, Bob,DC=x", r"cn=bauer\2C bob,dc=x"),
            (r"CN=Lu\C4\8Di\C4\87", "cn=lučić"),
            ("CN=Bob  Bauer", "cn=bob bauer"),
            (r"CN=\ Bob\ ", "cn=bob"),
            ("CN=Bob+SN=Bauer,DC=x", "sn=bauer+cn=bob,dc=x"),
            ("2.5.4.3=Bob,0.9.2342.19200300.100.1.25=x", "CN=bob,OID.0.9.2342.19200300.100.1.25=X"),
            ("UID=#0403426f62", "uid=bob"),
            (r"CN=a\=b\+c\#\\", "cn=A=b\\2bC#\\5c"),
        ] {
            assert!(read(one).is_some(), "{one}");
            assert_eq!(read(one), read(other), "{one} and {other}");
        }
    }

    #[test]
    fn names_of_two_entries_are_not() {
        for (one, other) in [
            // Each of these was one name by a reading that splits at commas.
            (r"CN=a\,cn=b,DC=x", "CN=a,CN=b,DC=x"),
            ("CN=a = b", "CN=a=b"),
            (r"CN=admins\,DC\=x", "CN=admins,DC=x"),
            ("CN=a,DC=x", "DC=x,CN=a"),
            ("CN=a+CN=b", "CN=a,CN=b"),
            ("CN=#0500", r"CN=\#0500"),
            ("CN=a", "OU=a"),
            (r"CN=\FF", r"CN=\FE"),
        ] {
            assert!(read(one).is_some() && read(other).is_some(), "{one} and {other}");
            assert_ne!(read(one), read(other), "{one} and {other}");
        }
    }

    #[test]
    fn what_is_no_name_is_none() {
        let long = format!("CN={}", "a".repeat(LONGEST));
        for wrong in [
            "", "alice", "CN=a,", "=a", "CN=a\\", r"CN=\4", r"CN=\x", "CN=#4", "CN=#", "C N=a", "CN=\"a\"",
            "CN=a;b", &long,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(read("CN=").is_some(), "an empty value is one");
    }
}
