//! The roots that Lync Phone Edition came with, by release (Schertz, "Lync Phone Edition and Public Certificates", 2014).
//!
//! Its firmware has no way to take in others later; phones of other makers that are told nothing by a server behave alike.
//!
//! The list is kept as it was published. Its days are those of American clocks, and one is a misprint: the root *AAA Certificate
//! Services* holds until the end of 2028, not of 2020.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// One root.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Root {
    /// Whose it is.
    pub vendor: &'static str,
    /// Its friendly name.
    pub name: &'static str,
    /// Its last day, as `2026-11-27`.
    pub expires: &'static str,
    /// SHA-1 of the certificate, in capital hexadecimal digits.
    pub thumbprint: &'static str,
    /// How it was signed.
    pub signature: Signature,
    /// Length of its RSA key.
    pub bits: u16,
    /// In firmware from this release on.
    pub added: Release,
}

/// How a certificate was signed, always with RSA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    /// MD2: forged in practice.
    Md2,
    /// MD5: forged in practice.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// A release of the firmware that changed the roots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub enum Release {
    /// The first.
    #[serde(rename = "RTM")]
    Rtm,
    /// Cumulative update of October 2013.
    #[serde(rename = "CU10")]
    Cu10,
    /// Cumulative update of January 2014.
    #[serde(rename = "CU11")]
    Cu11,
}

/// A version of the firmware: `4.0.7577.4414`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Firmware(pub [u32; 4]);

/// All roots, in the order of their source.
pub fn roots() -> impl Iterator<Item = Root> {
    include_str!("roots.csv").lines().skip(1).filter_map(Root::read)
}

/// The day as `2026-11-27`, in days since 1970; `None` if it is none (days from civil, H. Hinnant).
pub fn day(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1900..=9999).contains(&year) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

impl Root {
    fn read(line: &'static str) -> Option<Root> {
        let mut fields = line.split(',');
        let (vendor, name, expires, thumbprint) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (signature, bits, added) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
        let signature = Signature::from_word(signature)?;
        let added = Release::ALL.into_iter().find(|known| known.to_string() == added)?;
        Some(Root { vendor, name, expires, thumbprint, signature, bits, added })
    }

    /// Whether it holds no longer on a day since 1970.
    pub fn has_expired(&self, today: i64) -> bool {
        day(self.expires).is_some_and(|last| last < today)
    }

    /// Why nobody should rely on it, if so.
    pub fn weakness(&self) -> Option<String> {
        weakness(Some(self.signature), Some(self.bits))
    }
}

/// Why nobody should rely on what was signed like this, if so.
pub(super) fn weakness(signature: Option<Signature>, bits: Option<u16>) -> Option<String> {
    let broken = signature.filter(|signature| *signature <= Signature::Md5).map(Signature::word);
    let short = bits.filter(|bits| *bits < 2048).map(|bits| format!("a key of {bits} bits"));
    let broken = broken.map(|word| format!("a signature with {}", word.to_uppercase()));
    let reasons: Vec<String> = broken.into_iter().chain(short).collect();
    (!reasons.is_empty()).then(|| reasons.join(" and "))
}

impl Signature {
    const ALL: [Signature; 4] = [Signature::Md2, Signature::Md5, Signature::Sha1, Signature::Sha256];

    /// By the name of its hash: `sha256`.
    pub fn from_word(word: &str) -> Option<Signature> {
        Signature::ALL.into_iter().find(|known| known.word() == word)
    }

    /// Its hash.
    pub fn word(self) -> &'static str {
        match self {
            Signature::Md2 => "md2",
            Signature::Md5 => "md5",
            Signature::Sha1 => "sha1",
            Signature::Sha256 => "sha256",
        }
    }
}

impl Release {
    /// All of them, the oldest first.
    pub const ALL: [Release; 3] = [Release::Rtm, Release::Cu10, Release::Cu11];

    /// The first firmware of the release; the first release has none before it.
    pub fn firmware(self) -> Firmware {
        Firmware(match self {
            Release::Rtm => [0; 4],
            Release::Cu10 => [4, 0, 7577, 4414],
            Release::Cu11 => [4, 0, 7577, 4420],
        })
    }
}

impl Firmware {
    /// The release that its roots are of.
    pub fn release(self) -> Release {
        Release::ALL.into_iter().rfind(|release| release.firmware() <= self).unwrap_or(Release::Rtm)
    }

    /// Whether it has this root.
    pub fn holds(self, root: &Root) -> bool {
        root.added <= self.release()
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Release::Rtm => "RTM",
            Release::Cu10 => "CU10",
            Release::Cu11 => "CU11",
        })
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, build, revision] = self.0;
        write!(f, "{major}.{minor}.{build}.{revision}")
    }
}

impl FromStr for Firmware {
    type Err = String;

    fn from_str(text: &str) -> Result<Firmware, String> {
        let parts: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
        let parts = parts.and_then(|parts| <[u32; 4]>::try_from(parts).ok());
        parts.map(Firmware).ok_or_else(|| format!("{text:?} is no version like 4.0.7577.4414"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(release: Release) -> Vec<Root> {
        roots().filter(|root| root.added == release).collect()
    }

    fn expired(release: Release, date: &str) -> usize {
        let today = day(date).unwrap();
        of(release).iter().filter(|root| root.has_expired(today)).count()
    }

    #[test]
    fn there_are_34_roots_and_each_has_a_date_and_a_thumbprint() {
        assert_eq!(Release::ALL.map(|release| of(release).len()), [17, 1, 16]);
        assert!(roots().all(|root| day(root.expires).is_some() && root.thumbprint.len() == 40));
    }

    /// The article says "nearly half" of the first; by its own dates two were, and ten are weak.
    #[test]
    fn how_many_have_expired_is_computed_for_the_day() {
        assert_eq!(expired(Release::Rtm, "2014-10-28"), 2);
        assert_eq!(expired(Release::Rtm, "2026-11-21"), 13);
        assert_eq!(expired(Release::Cu11, "2026-11-21"), 1);
        assert_eq!(expired(Release::Cu11, "2026-11-27"), 1);
        assert_eq!(expired(Release::Cu11, "2026-11-28"), 2);
        assert_eq!(of(Release::Rtm).iter().filter(|root| root.weakness().is_some()).count(), 10);
    }

    #[test]
    fn a_firmware_has_the_roots_of_its_release_and_of_those_before() {
        let count = |text: &str| {
            let firmware: Firmware = text.parse().unwrap();
            roots().filter(|root| firmware.holds(root)).count()
        };
        assert_eq!(["4.0.7577.4397", "4.0.7577.4413"].map(count), [17, 17]);
        assert_eq!(["4.0.7577.4414", "4.0.7577.4419"].map(count), [18, 18]);
        assert_eq!(["4.0.7577.4420", "4.0.7577.4487", "5.0.0.0"].map(count), [34, 34, 34]);
        assert!("4.0.7577".parse::<Firmware>().is_err() && "4.0.7577.x".parse::<Firmware>().is_err());
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(day("1970-01-01"), Some(0));
        assert_eq!(day("2000-02-29"), Some(11_016));
        assert_eq!(day("2026-11-22"), Some(20_779));
        assert_eq!(day("1969-12-31"), Some(-1));
        assert_eq!([day("2026-13-01"), day("2026-11"), day("x")], [None; 3]);
    }
}
