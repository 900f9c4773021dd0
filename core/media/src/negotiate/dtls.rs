//! Who the ends of DTLS-SRTP are (RFC 5763): the hash of a certificate stands in the description, whoever shows another one is
//! somebody else. The handshake itself is the host's.

use std::fmt;

use carillon_wire::sdp::Media;

/// The hash of a certificate by SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(pub [u8; 32]);

/// What an end has to know for the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dtls {
    /// The certificate that the peer has to show.
    pub peer: Fingerprint,
    /// Whether we begin.
    pub active: bool,
}

impl Dtls {
    /// Of a section; `None` if it names no certificate by SHA-256. Who leaves it to us waits for the peer: it is behind the
    /// firewalls, not we.
    pub(super) fn read(media: &Media<'_>) -> Option<Dtls> {
        let hashes = media.fingerprints().filter(|found| found.hash.eq_ignore_ascii_case("sha-256"));
        let peer = hashes.filter_map(|found| Fingerprint::parse(found.value)).next()?;
        Some(Dtls { peer, active: media.setup() == Some("passive") })
    }
}

impl Fingerprint {
    fn parse(text: &str) -> Option<Fingerprint> {
        let mut bytes = [0; 32];
        let mut parts = text.trim().split(':');
        for byte in &mut bytes {
            let is_byte =
                |part: &&str| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            let part = parts.next().filter(is_byte)?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha-256 ")?;
        for (at, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if at == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_as_it_is_written() {
        let own = Fingerprint(std::array::from_fn(|at| at as u8 * 8));
        let text = own.to_string();
        assert!(text.starts_with("sha-256 00:08:10:"), "{text}");
        let value = text.strip_prefix("sha-256 ").unwrap();
        assert_eq!(Fingerprint::parse(value), Some(own));
        assert_eq!(Fingerprint::parse(&value.to_lowercase()), Some(own));
        for wrong in [
            "",
            "00",
            &value[3..],
            &format!("{value}:00"),
            &value.replace("08", "8"),
            &value.replace("08", "+8"),
        ] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
