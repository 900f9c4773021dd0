//! The user part of our Record-Route URIs: which flow leads to the phone on that side, provably written by us for this
//! dialog and this day (RFC 5626, 5.2). What it says is for us alone: a caller may not want to be known (RFC 3323).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use carillon_wire::sip::{Flow, Transport};

use crate::secret::{PROOF, Secret};

/// Full hours for which a token holds. No proxy can change the route of a dialog that is there, so this is how long one may
/// last of which nothing is known: after a restart, or of a subscription. A session is refreshed more often (RFC 4028).
const HOURS: u32 = 24;

/// The way to one side of a dialog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) flow: Flow,
    /// Whose phone it is, if it is one of ours: after a new connection it is found by that. Empty if not.
    pub(crate) aor: String,
    /// The last hour in which it holds, counted since the Unix epoch.
    last: u32,
}

/// First byte: the form of what follows, and the transport.
const FORM: u8 = 0x40;
const V6: u8 = 0x10;
/// The zones of link-local addresses are there.
const SCOPED: u8 = 0x08;
const TRANSPORT: u8 = 0x07;

/// base64url with a dot in place of `q`: programs that look for the name of a header anywhere in a message (sipp does, for
/// `CSeq`) must not find it in here, as they would in one call of 80 000.
const TEXT: GeneralPurpose = GeneralPurpose::new(
    &match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop.rstuvwxyz0123456789-_") {
        Ok(alphabet) => alphabet,
        Err(_) => panic!("64 different characters"),
    },
    NO_PAD,
);

impl Token {
    pub(crate) fn new(now: Duration, flow: Flow, aor: &str) -> Token {
        Token { flow, aor: aor.to_owned(), last: hour(now) + HOURS }
    }

    /// Whether a dialog that it was written for should have ended.
    pub(crate) fn is_over(&self, now: Duration) -> bool {
        hour(now) > self.last
    }

    /// Text for a user part: letters, digits, `-`, `_` and `.`. The dialog is the one in which the caller has this tag; that of
    /// the other side is not known yet.
    pub(crate) fn seal(&self, secret: &Secret, call_id: &[u8], tag: &[u8]) -> String {
        let content = self.content();
        let proof = secret.proof(&[call_id, tag, &content]);
        let mut bytes = proof.to_vec();
        bytes.extend(secret.masked(&proof, &content));
        TEXT.encode(bytes)
    }

    /// The token in a user part, if it was sealed with this secret for this call, and for one of these tags.
    pub(crate) fn open(secret: &Secret, call_id: &[u8], tags: [&[u8]; 2], text: &[u8]) -> Option<Token> {
        let bytes = TEXT.decode(text).ok()?;
        let (proof, masked) = bytes.split_at_checked(PROOF)?;
        let content = secret.masked(proof, masked);
        let is_ours = |tag: &[u8]| {
            let expected = secret.proof(&[call_id, tag, &content]);
            bool::from(subtle::ConstantTimeEq::ct_eq(proof, expected.as_slice()))
        };
        if !tags.into_iter().any(is_ours) {
            return None;
        }
        let mut rest = content.as_slice();
        let [form] = take(&mut rest)?;
        if form & 0xe0 != FORM {
            return None;
        }
        let transport = Transport::ALL.into_iter().find(|t| *t as u8 == form & TRANSPORT)?;
        let [a, b, c] = take(&mut rest)?;
        let id = u64::from_be_bytes(take(&mut rest)?);
        let (local, remote) = (address(&mut rest, form)?, address(&mut rest, form)?);
        let aor = String::from_utf8(rest.to_vec()).ok()?;
        let last = u32::from_be_bytes([0, a, b, c]);
        Some(Token { flow: Flow { transport, id, local, remote }, aor, last })
    }

    fn content(&self) -> Vec<u8> {
        let ends = [self.flow.local, self.flow.remote];
        let flag = |set: bool, bit| if set { bit } else { 0 };
        let form = FORM
            | flag(ends.iter().any(SocketAddr::is_ipv6), V6)
            | flag(ends.iter().any(|end| zone(end) != 0), SCOPED)
            | self.flow.transport as u8;
        let mut bytes = vec![form];
        bytes.extend(self.last.to_be_bytes().iter().skip(1));
        bytes.extend(self.flow.id.to_be_bytes());
        for end in ends {
            match end.ip() {
                IpAddr::V4(ip) if form & V6 == 0 => bytes.extend(ip.octets()),
                IpAddr::V4(ip) => bytes.extend(ip.to_ipv6_mapped().octets()),
                IpAddr::V6(ip) => bytes.extend(ip.octets()),
            }
            bytes.extend(end.port().to_be_bytes());
            if form & SCOPED != 0 {
                bytes.extend(zone(&end).to_be_bytes());
            }
        }
        bytes.extend(self.aor.as_bytes());
        bytes
    }
}

fn hour(time: Duration) -> u32 {
    (time.as_secs() / 3600) as u32
}

fn zone(end: &SocketAddr) -> u32 {
    match end {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(end) => end.scope_id(),
    }
}

fn address(rest: &mut &[u8], form: u8) -> Option<SocketAddr> {
    if form & V6 == 0 {
        let ip = Ipv4Addr::from(take::<4>(rest)?);
        return Some(SocketAddr::new(ip.into(), u16::from_be_bytes(take(rest)?)));
    }
    let (ip, port) = (Ipv6Addr::from(take::<16>(rest)?), u16::from_be_bytes(take(rest)?));
    let zone = if form & SCOPED == 0 { 0 } else { u32::from_be_bytes(take(rest)?) };
    Some(SocketAddrV6::new(ip, port, 0, zone).into())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn token(local: &str, remote: &str, aor: &str) -> Token {
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        Token::new(NOW, Flow { transport: Transport::Tls, id: 77, local, remote }, aor)
    }

    #[test]
    fn a_token_opens_with_its_secret_and_dialog_only() {
        let secret = Secret::new(&[1; 32]);
        let open = |text: &str| Token::open(&secret, b"call-1", [b"to", b"from"], text.as_bytes());
        for token in [
            token("192.0.2.1:5061", "198.51.100.7:49152", "bob@example.com"),
            token("[2001:db8::1]:5061", "[2001:db8::7]:49152", ""),
            token("[fe80::1%2]:5061", "[fe80::7%2]:49152", "bob@example.com"),
        ] {
            let text = token.seal(&secret, b"call-1", b"from");
            assert_eq!(open(&text), Some(token.clone()));
            assert_eq!(open(&token.seal(&secret, b"call-1", b"to")), Some(token.clone()));
            assert_eq!(open(&token.seal(&secret, b"call-2", b"from")), None);
            assert_eq!(open(&token.seal(&secret, b"call-1", b"other")), None);
            assert_eq!(open(&token.seal(&Secret::new(&[2; 32]), b"call-1", b"from")), None);
            for at in 0..text.len() {
                let mut forged = text.clone().into_bytes();
                forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(open(std::str::from_utf8(&forged).unwrap()), None, "{at}");
            }
        }
        assert_eq!(open(""), None);
    }

    /// The zone of a link-local address is part of who is at the other end.
    #[test]
    fn the_same_link_local_address_of_another_link_is_another_one() {
        let secret = Secret::new(&[1; 32]);
        let there = |zone: u32| token("[fe80::1%2]:5061", &format!("[fe80::7%{zone}]:49152"), "");
        let text = there(3).seal(&secret, b"c", b"t");
        let opened = Token::open(&secret, b"c", [b"t", b""], text.as_bytes()).unwrap();
        assert_eq!(opened.flow, there(3).flow);
        assert_ne!(opened.flow, there(2).flow);
    }

    #[test]
    fn a_token_holds_for_a_day_and_less_than_an_hour_more() {
        let token = token("192.0.2.1:5061", "198.51.100.7:49152", "");
        for (hours, over) in [(0, false), (24, false), (25, true), (7 * 24, true)] {
            assert_eq!(token.is_over(NOW + Duration::from_secs(hours * 3600)), over, "{hours}");
        }
    }

    #[test]
    fn no_token_has_the_name_of_a_header_in_it() {
        let token = token("192.0.2.1:5061", "198.51.100.7:49152", "bob@example.com");
        let secret = Secret::new(&[1; 32]);
        let written = (0..1000u32).map(|call| token.seal(&secret, &call.to_be_bytes(), b"from"));
        assert!(written.into_iter().all(|text| !text.contains('q')));
    }

    #[test]
    fn a_token_is_short_and_tells_nobody_whose_it_is() {
        let secret = Secret::new(&[1; 32]);
        let token = token("192.0.2.1:5061", "198.51.100.7:49152", "bob@example.com");
        let text = token.seal(&secret, b"call-1", b"from");
        assert_eq!(text.len(), 66);
        let bytes = TEXT.decode(&text).unwrap();
        let shows = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!shows(b"bob") && !shows(&[198, 51, 100, 7]), "{text}");
    }
}
