//! The user part of our Record-Route URIs: which flow leads to the phone on that side, provably written by us for this
//! call (RFC 5626, 5.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carillon_wire::sip::{Flow, Transport};

use crate::secret::{PROOF, Secret};

/// The way to one side of a dialog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) flow: Flow,
    /// Whose phone it is, if it is one of ours: after a new connection it is found by that. Empty if not.
    pub(crate) aor: String,
}

/// First byte: the form of what follows, and the transport.
const FORM: u8 = 0x10;
const V6: u8 = 0x08;

impl Token {
    /// Text for a user part: letters, digits, `-` and `_`.
    pub(crate) fn seal(&self, secret: &Secret, call_id: &[u8]) -> String {
        let mut bytes = vec![0; PROOF];
        let v6 = self.flow.remote.is_ipv6() || self.flow.local.is_ipv6();
        bytes.push(FORM | if v6 { V6 } else { 0 } | self.flow.transport as u8);
        bytes.extend_from_slice(&self.flow.id.to_be_bytes());
        for end in [self.flow.local, self.flow.remote] {
            match end.ip() {
                IpAddr::V4(ip) if !v6 => bytes.extend_from_slice(&ip.octets()),
                IpAddr::V4(ip) => bytes.extend_from_slice(&ip.to_ipv6_mapped().octets()),
                IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
            }
            bytes.extend_from_slice(&end.port().to_be_bytes());
        }
        bytes.extend_from_slice(self.aor.as_bytes());
        let proof = bytes.get(PROOF..).map(|content| secret.proof(&[call_id, content]));
        bytes.iter_mut().zip(proof.unwrap_or_default()).for_each(|(to, from)| *to = from);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The token in a user part, if it was sealed for this call with this secret.
    pub(crate) fn open(secret: &Secret, call_id: &[u8], text: &[u8]) -> Option<Token> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (proof, content) = bytes.split_at_checked(PROOF)?;
        let expected = secret.proof(&[call_id, content]);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(proof, expected.as_slice())) {
            return None;
        }
        let mut rest = content;
        let [form] = take(&mut rest)?;
        if form & 0xf0 != FORM {
            return None;
        }
        let transport = Transport::ALL.into_iter().find(|t| *t as u8 == form & 0x07)?;
        let id = u64::from_be_bytes(take(&mut rest)?);
        let local = address(&mut rest, form & V6 != 0)?;
        let remote = address(&mut rest, form & V6 != 0)?;
        let aor = String::from_utf8(rest.to_vec()).ok()?;
        Some(Token { flow: Flow { transport, id, local, remote }, aor })
    }
}

fn address(rest: &mut &[u8], v6: bool) -> Option<SocketAddr> {
    let ip = match v6 {
        true => IpAddr::V6(Ipv6Addr::from(take::<16>(rest)?)),
        false => IpAddr::V4(Ipv4Addr::from(take::<4>(rest)?)),
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(take(rest)?)))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(local: &str, remote: &str, aor: &str) -> Token {
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        Token { flow: Flow { transport: Transport::Tls, id: 77, local, remote }, aor: aor.to_owned() }
    }

    #[test]
    fn a_token_opens_with_its_secret_and_call_only() {
        let secret = Secret::new(&[1; 32]);
        for token in [
            token("192.0.2.1:5061", "198.51.100.7:49152", "bob@example.com"),
            token("[2001:db8::1]:5061", "[2001:db8::7]:49152", ""),
        ] {
            let text = token.seal(&secret, b"call-1");
            assert_eq!(Token::open(&secret, b"call-1", text.as_bytes()), Some(token));
            assert_eq!(Token::open(&secret, b"call-2", text.as_bytes()), None);
            assert_eq!(Token::open(&Secret::new(&[2; 32]), b"call-1", text.as_bytes()), None);
            for at in 0..text.len() {
                let mut forged = text.clone().into_bytes();
                forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(Token::open(&secret, b"call-1", &forged), None, "{at}");
            }
        }
        assert_eq!(Token::open(&secret, b"call-1", b""), None);
    }
}
