//! What our certificate says of itself: for administrators who ask which one is in use. It judges nothing; whether a
//! certificate may be used is decided by rustls before.

use carillon_qos::trust::day;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// A certificate, as lists show it. What could not be read is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Who made it: `CN=Example CA, O=Example`.
    pub issuer: String,
    /// Whose it is.
    pub subject: String,
    /// Hexadecimal.
    pub serial: String,
    /// From when it holds: `2026-11-21 18:05:59Z`.
    pub not_before: String,
    /// Until when.
    pub not_after: String,
    /// Names and addresses for which it holds.
    pub names: Vec<String>,
    /// SHA-1 of the whole certificate, hexadecimal.
    pub thumbprint: String,
    /// How it was signed, as Windows says it: `sha256RSA`. Empty for what phones of its time do not know.
    #[serde(default)]
    pub signature: String,
    /// Length of its key, if that is one of RSA.
    #[serde(default)]
    pub bits: Option<u16>,
    /// SHA-256 of its public key, hexadecimal: the same in every certificate for one key.
    #[serde(default)]
    pub key: String,
}

impl CertificateFacts {
    /// Reads them (RFC 5280, 4.1).
    pub fn of(certificate: &CertificateDer<'_>) -> CertificateFacts {
        let thumbprint = hexadecimal(&Sha1::digest(certificate.as_ref()));
        let facts = Element::first(certificate.as_ref()).and_then(read).unwrap_or_default();
        CertificateFacts { thumbprint, ..facts }
    }

    /// From when it holds, in seconds since 1970.
    pub fn begins(&self) -> Option<i64> {
        since_1970(&self.not_before)
    }

    /// Until when it holds, in seconds since 1970.
    pub fn ends(&self) -> Option<i64> {
        since_1970(&self.not_after)
    }

    /// What is to be said of it at a time, in seconds since 1970: nothing, if it holds for another 30 days.
    pub fn warning(&self, now: i64) -> Option<String> {
        let remedy = "put a new one into its files and reload; `carillon cert check` says which phones would not believe it";
        let (begins, ends, subject) = (self.begins()?, self.ends()?, &self.subject);
        if now < begins {
            return Some(format!(
                "the certificate of {subject} holds from {} on: until then it is refused; the machine's clock may be wrong",
                self.not_before
            ));
        }
        let (until, days) = (&self.not_after, (ends - now).div_euclid(DAY));
        match ends - now {
            ..=0 => Some(format!(
                "the certificate of {subject} has ended, {until}: whoever comes over TLS refuses it; {remedy}"
            )),
            1..SOON => Some(format!(
                "the certificate of {subject} ends in {days} {}, {until}: {remedy}",
                if days == 1 { "day" } else { "days" },
            )),
            _ => None,
        }
    }
}

/// How long before its end a certificate is warned of, in seconds.
const SOON: i64 = 30 * DAY;
const DAY: i64 = 86_400;

/// `2026-11-21 18:05:59Z`.
fn since_1970(text: &str) -> Option<i64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once(' ')?;
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    Some(day(date)? * DAY + hour * 3600 + minute * 60 + second)
}

/// The common name of a certificate that has no alternative names at all; of any other it says nothing (RFC 6125, 6.4.4).
pub(crate) fn common_name_alone(certificate: &CertificateDer<'_>) -> Option<String> {
    let to_be_signed = Element::first(certificate.as_ref())?.children().next()?;
    let mut fields = to_be_signed.children().filter(|field| field.tag != VERSION);
    let subject = fields.nth(4)?;
    let extensions = fields.find(|field| field.tag == EXTENSIONS);
    if extensions.is_some_and(|extensions| alternative(extensions).is_some()) {
        return None;
    }
    let is_name = |part: &Element<'_>| part.children().next().is_some_and(|id| id.content == COMMON_NAME);
    // The last one is the most special.
    let found = subject.children().flat_map(Element::children).filter(is_name).last()?;
    found.children().nth(1).map(Element::text)
}

fn read(certificate: Element<'_>) -> Option<CertificateFacts> {
    let mut parts = certificate.children();
    let (to_be_signed, algorithm) = (parts.next()?, parts.next()?);
    let mut fields = to_be_signed.children().filter(|field| field.tag != VERSION);
    let (serial, _, issuer, validity, subject) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let key = fields.next()?;
    let mut times = validity.children().map(time);
    Some(CertificateFacts {
        issuer: name(issuer),
        subject: name(subject),
        serial: hexadecimal(serial.content),
        not_before: times.next()??,
        not_after: times.next()??,
        names: fields.find(|field| field.tag == EXTENSIONS).map(alternative_names).unwrap_or_default(),
        thumbprint: String::new(),
        signature: algorithm.children().next().map(signature).unwrap_or_default(),
        bits: rsa_bits(key),
        key: hexadecimal(&Sha256::digest(key.content)),
    })
}

const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// id-ce-subjectAltName.
const ALTERNATIVE_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
/// id-at-commonName.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// The attributes that names are made of (RFC 4519), by the last part of 2.5.4.x.
const ATTRIBUTES: [(u8, &str); 6] = [(3, "CN"), (6, "C"), (7, "L"), (8, "ST"), (10, "O"), (11, "OU")];

/// What RSA signs with, by the last part of 1.2.840.113549.1.1.x (RFC 8017, A.2.4; RFC 3279, 2.2.1).
const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const SIGNATURES: [(u8, &str); 6] =
    [(2, "md2RSA"), (4, "md5RSA"), (5, "sha1RSA"), (11, "sha256RSA"), (12, "sha384RSA"), (13, "sha512RSA")];
/// rsaEncryption, likewise.
const RSA_KEY: u8 = 1;

fn of_rsa(algorithm: Element<'_>) -> Option<u8> {
    algorithm.content.strip_prefix(&RSA).and_then(|rest| rest.first().copied())
}

fn signature(algorithm: Element<'_>) -> String {
    let known = of_rsa(algorithm).and_then(|number| SIGNATURES.iter().find(|(known, _)| *known == number));
    known.map(|(_, word)| (*word).to_owned()).unwrap_or_default()
}

/// From SubjectPublicKeyInfo: a bit string with the modulus and the exponent.
fn rsa_bits(key: Element<'_>) -> Option<u16> {
    let mut parts = key.children();
    let (algorithm, bits) = (parts.next()?.children().next()?, parts.next()?);
    of_rsa(algorithm).filter(|number| *number == RSA_KEY)?;
    let modulus = Element::first(bits.content.strip_prefix(&[0])?)?.children().next()?.content;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros)?;
    u16::try_from((modulus.len() - zeros) * 8 - first.leading_zeros() as usize).ok()
}

/// An element of DER (X.690).
#[derive(Clone, Copy)]
struct Element<'d> {
    tag: u8,
    content: &'d [u8],
}

impl<'d> Element<'d> {
    fn first(bytes: &'d [u8]) -> Option<Element<'d>> {
        Element::split(bytes).map(|(element, _)| element)
    }

    fn split(bytes: &'d [u8]) -> Option<(Element<'d>, &'d [u8])> {
        let [tag, length, rest @ ..] = bytes else { return None };
        let (length, rest) = match *length {
            short @ 0..=0x7f => (usize::from(short), rest),
            long => {
                let (digits, rest) =
                    rest.split_at_checked(usize::from(long & 0x7f)).filter(|(d, _)| d.len() <= 4)?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some((Element { tag: *tag, content }, rest))
    }

    fn children(self) -> impl Iterator<Item = Element<'d>> {
        let mut rest = self.content;
        std::iter::from_fn(move || {
            let (element, behind) = Element::split(rest)?;
            rest = behind;
            Some(element)
        })
    }

    fn text(self) -> String {
        String::from_utf8_lossy(self.content).into_owned()
    }
}

/// The parts of a name, the most special first, as Windows prints them.
fn name(name: Element<'_>) -> String {
    let part = |pair: Element<'_>| {
        let mut pair = pair.children();
        let (attribute, value) = (pair.next()?, pair.next()?);
        let word = match attribute.content {
            [0x55, 0x04, number] => {
                ATTRIBUTES.iter().find(|(known, _)| known == number).map(|(_, word)| *word)
            }
            _ => None,
        };
        Some(format!("{}={}", word?, value.text()))
    };
    let mut parts: Vec<String> = name.children().flat_map(Element::children).filter_map(part).collect();
    parts.reverse();
    parts.join(", ")
}

/// UTCTime and GeneralizedTime as certificates write them: `261121180559Z`, `20261121180559Z`.
fn time(time: Element<'_>) -> Option<String> {
    let text = time.text();
    let century = match text.len() {
        13 if text.as_str() < "5" => "20",
        13 => "19",
        _ => "",
    };
    let text = format!("{century}{text}");
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, clock) = (
        format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?),
        format!("{}:{}:{}Z", part(8, 10)?, part(10, 12)?, part(12, 14)?),
    );
    Some(format!("{date} {clock}"))
}

/// The extension with the alternative names.
fn alternative(extensions: Element<'_>) -> Option<Element<'_>> {
    let named = |extension: &Element<'_>| {
        extension.children().next().is_some_and(|id| id.content == ALTERNATIVE_NAME)
    };
    extensions.children().flat_map(Element::children).find(named)
}

fn alternative_names(extensions: Element<'_>) -> Vec<String> {
    let value =
        alternative(extensions).and_then(|extension| extension.children().last()).map(|value| value.content);
    let names = value.and_then(Element::first);
    let shown = |name: Element<'_>| match (name.tag, name.content) {
        (0x82, _) => Some(name.text()),
        (0x87, address) => <[u8; 4]>::try_from(address)
            .map(|v4| std::net::IpAddr::from(v4).to_string())
            .or_else(|_| <[u8; 16]>::try_from(address).map(|v6| std::net::IpAddr::from(v6).to_string()))
            .ok(),
        _ => None,
    };
    names.into_iter().flat_map(Element::children).filter_map(shown).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_net::authority::Authority;

    #[test]
    fn a_certificate_of_our_own_authority_says_who_made_it_and_for_whom() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), "Test authority").unwrap();
        let address = "192.0.2.7".parse().unwrap();
        let identity = authority.identity(folder.path(), &["fe.example.com"], &[address]).unwrap();
        let facts = CertificateFacts::of(&identity.chain[0]);
        assert_eq!(facts.issuer, "CN=Test authority");
        assert_eq!(facts.names, ["fe.example.com", "192.0.2.7"]);
        assert!(facts.not_before < facts.not_after && facts.not_after.ends_with('Z'), "{facts:?}");
        assert_eq!((facts.thumbprint.len(), facts.not_after.len()), (40, 20));
        assert!(!facts.serial.is_empty() && !facts.subject.is_empty(), "{facts:?}");
    }

    #[test]
    fn a_certificate_is_warned_of_thirty_days_before_its_end_and_after_it() {
        let facts = CertificateFacts {
            subject: "CN=fe.example.com".to_owned(),
            not_before: "2026-01-01 00:00:00Z".to_owned(),
            not_after: "2026-12-31 12:00:00Z".to_owned(),
            ..CertificateFacts::default()
        };
        let (begins, ends) = (facts.begins().unwrap(), facts.ends().unwrap());
        let said = |now| facts.warning(now).unwrap_or_default();
        assert_eq!(said(ends - SOON), "");
        assert!(said(ends - SOON + 1).contains("ends in 29 days, 2026-12-31 12:00:00Z"));
        assert!(said(ends - DAY).contains("ends in 1 day, "));
        assert!(said(ends).contains("has ended"));
        assert!(said(begins - 1).contains("holds from 2026-01-01"));
        assert_eq!(said(begins), "");
        // What can't be read is no reason to warn.
        assert_eq!(CertificateFacts::default().warning(0), None);
    }

    #[test]
    fn the_end_of_a_certificate_is_a_time() {
        assert_eq!(since_1970("1970-01-01 00:00:00Z"), Some(0));
        assert_eq!(since_1970("2000-02-29 00:00:00Z"), Some(951_782_400));
        assert_eq!(since_1970("2024-05-31 09:12:44Z"), Some(1_717_146_764));
        assert_eq!(since_1970("1969-12-31 00:00:00Z"), Some(-86_400));
        assert_eq!(since_1970(""), None);
    }

    #[test]
    fn what_is_cut_off_anywhere_is_read_as_far_as_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), "Test authority").unwrap();
        let whole = authority.identity(folder.path(), &["fe.example.com"], &[]).unwrap().chain[0].to_vec();
        for end in 0..whole.len() {
            let facts = CertificateFacts::of(&CertificateDer::from(&whole[..end]));
            assert_eq!(facts.subject, "", "the outermost length is checked first");
        }
        for place in 0..whole.len() {
            let mut spoiled = whole.clone();
            spoiled[place] ^= 0xff;
            CertificateFacts::of(&CertificateDer::from(spoiled));
        }
    }
}
