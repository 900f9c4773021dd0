//! Attributes of a message: the chain, and a typed getter for each that the relay and the verifier need.

use super::{COOKIE, Message};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Attribute numbers (IANA, STUN Attributes). Under 0x8000 a receiver must understand them.
#[allow(missing_docs, reason = "each is the name in the registry")]
pub mod kind {
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub const CHANNEL_NUMBER: u16 = 0x000c;
    pub const LIFETIME: u16 = 0x000d;
    pub const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub const DATA: u16 = 0x0013;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub const EVEN_PORT: u16 = 0x0018;
    pub const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub const DONT_FRAGMENT: u16 = 0x001a;
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    pub const PASSWORD_ALGORITHM: u16 = 0x001d;
    pub const USERHASH: u16 = 0x001e;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const RESERVATION_TOKEN: u16 = 0x0022;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const CONNECTION_ID: u16 = 0x002a;
    pub const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
    pub const ADDRESS_ERROR_CODE: u16 = 0x8001;
    pub const PASSWORD_ALGORITHMS: u16 = 0x8002;
    pub const ICMP: u16 = 0x8004;
    pub const SOFTWARE: u16 = 0x8022;
    pub const ALTERNATE_SERVER: u16 = 0x8023;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802a;
}

/// Numbers of password algorithms (IANA, STUN Password Algorithms): what turns a password into the key of the integrity.
pub mod password_algorithm {
    /// MD5 of user name, realm and password.
    pub const MD5: u16 = 1;
    /// SHA-256 of the same.
    pub const SHA256: u16 = 2;
}

/// One attribute, without its padding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attribute<'a> {
    /// The number, see [`kind`].
    pub kind: u16,
    /// Where its header starts, counted from the start of the message.
    pub at: usize,
    /// The value, as far as it was captured.
    pub value: &'a [u8],
    /// Length of the value on the wire.
    pub len: u16,
    transaction_id: &'a [u8; 12],
}

/// ERROR-CODE (RFC 8489, 14.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorCode<'a> {
    /// 300 to 699.
    pub code: u16,
    /// For humans.
    pub reason: &'a str,
}

/// An address family, as TURN asks for it (RFC 8656, 18.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// 1
    V4,
    /// 2
    V6,
}

/// MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256: the HMAC covers the message up to `at`, with the length
/// field set as if the message ended behind this attribute (RFC 8489, 14.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Integrity<'a> {
    /// Where the attribute's header starts, counted from the start of the message.
    pub at: usize,
    /// The HMAC; 20 bytes of SHA-1, or 16 to 32 of SHA-256.
    pub mac: &'a [u8],
}

/// Walks the chain of attributes.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    /// Bytes of the body from here to its end on the wire.
    remaining: usize,
    at: usize,
    transaction_id: &'a [u8; 12],
}

impl<'a> Attributes<'a> {
    pub(super) fn new(body: &'a [u8], declared: usize, transaction_id: &'a [u8; 12]) -> Attributes<'a> {
        Attributes { rest: body, remaining: declared, at: super::HEADER_LEN, transaction_id }
    }

    /// Whether the lengths add up, as far as was captured.
    pub(super) fn walks_to_the_end(mut self) -> bool {
        while self.next().is_some() {}
        self.remaining == 0 || self.rest.len() < self.remaining && self.rest.len() < 4
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let head: &[u8; 4] = self.rest.first_chunk()?;
        let len = u16::from_be_bytes([head[2], head[3]]);
        let padded = usize::from(len).next_multiple_of(4);
        let remaining = self.remaining.checked_sub(4 + padded)?;
        let held = self.rest.len().min(4 + usize::from(len));
        let attribute = Attribute {
            kind: u16::from_be_bytes([head[0], head[1]]),
            at: self.at,
            value: self.rest.get(4..held)?,
            len,
            transaction_id: self.transaction_id,
        };
        self.rest = self.rest.get(4 + padded..).unwrap_or_default();
        self.remaining = remaining;
        self.at += 4 + padded;
        Some(attribute)
    }
}

impl<'a> Attribute<'a> {
    /// Whether a receiver that does not know it must refuse the message.
    pub fn is_required(&self) -> bool {
        self.kind < 0x8000
    }

    /// The value as an address in the clear.
    pub fn address(&self) -> Option<SocketAddr> {
        decode_address(self.value, [0; 4], &[0; 12])
    }

    /// The value as an address hidden from translators by the cookie and the transaction (RFC 8489, 14.2).
    pub fn xor_address(&self) -> Option<SocketAddr> {
        decode_address(self.value, COOKIE, self.transaction_id)
    }

    /// The value as UTF-8, if it is and was captured whole.
    pub fn text(&self) -> Option<&'a str> {
        (self.value.len() == usize::from(self.len)).then(|| std::str::from_utf8(self.value).ok())?
    }

    fn u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.value.try_into().ok()?))
    }

    fn u64(&self) -> Option<u64> {
        Some(u64::from_be_bytes(self.value.try_into().ok()?))
    }

    fn family(&self) -> Option<Family> {
        match *self.value {
            [1, _, _, _] => Some(Family::V4),
            [2, _, _, _] => Some(Family::V6),
            _ => None,
        }
    }
}

/// Getters. Of an attribute that occurs twice the first counts, and none counts that follows the message
/// integrity, FINGERPRINT excepted (RFC 8489, 5 and 14.5): nobody vouches for it.
impl<'a> Message<'a> {
    /// The first attribute of this number that counts.
    pub fn attribute(&self, kind: u16) -> Option<Attribute<'a>> {
        self.counting().find(|a| a.kind == kind)
    }

    /// MAPPED-ADDRESS.
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        self.attribute(kind::MAPPED_ADDRESS)?.address()
    }

    /// XOR-MAPPED-ADDRESS.
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        self.attribute(kind::XOR_MAPPED_ADDRESS)?.xor_address()
    }

    /// XOR-RELAYED-ADDRESS.
    pub fn xor_relayed_address(&self) -> Option<SocketAddr> {
        self.attribute(kind::XOR_RELAYED_ADDRESS)?.xor_address()
    }

    /// The first XOR-PEER-ADDRESS.
    pub fn xor_peer_address(&self) -> Option<SocketAddr> {
        self.attribute(kind::XOR_PEER_ADDRESS)?.xor_address()
    }

    /// Every XOR-PEER-ADDRESS: CreatePermission may name several.
    pub fn xor_peer_addresses(&self) -> impl Iterator<Item = SocketAddr> + 'a {
        self.counting().filter(|a| a.kind == kind::XOR_PEER_ADDRESS).filter_map(|a| a.xor_address())
    }

    /// CHANNEL-NUMBER; whether it is in range is [`super::is_channel`]'s to say.
    pub fn channel_number(&self) -> Option<u16> {
        Some((self.attribute(kind::CHANNEL_NUMBER)?.u32()? >> 16) as u16)
    }

    /// LIFETIME in seconds.
    pub fn lifetime(&self) -> Option<u32> {
        self.attribute(kind::LIFETIME)?.u32()
    }

    /// DATA, as far as captured.
    pub fn data(&self) -> Option<&'a [u8]> {
        Some(self.attribute(kind::DATA)?.value)
    }

    /// USERNAME.
    pub fn username(&self) -> Option<&'a str> {
        self.attribute(kind::USERNAME)?.text()
    }

    /// REALM.
    pub fn realm(&self) -> Option<&'a str> {
        self.attribute(kind::REALM)?.text()
    }

    /// NONCE.
    pub fn nonce(&self) -> Option<&'a str> {
        self.attribute(kind::NONCE)?.text()
    }

    /// SOFTWARE.
    pub fn software(&self) -> Option<&'a str> {
        self.attribute(kind::SOFTWARE)?.text()
    }

    /// ERROR-CODE.
    pub fn error_code(&self) -> Option<ErrorCode<'a>> {
        let value = self.attribute(kind::ERROR_CODE)?.value;
        let &[_, _, class, number] = value.first_chunk()?;
        let (class, number) = (u16::from(class & 7), u16::from(number));
        if !(3..=6).contains(&class) || number > 99 {
            return None;
        }
        let reason = std::str::from_utf8(value.get(4..)?).ok()?;
        Some(ErrorCode { code: class * 100 + number, reason })
    }

    /// REQUESTED-TRANSPORT: a protocol number of IP, 17 for UDP, 6 for TCP.
    pub fn requested_transport(&self) -> Option<u8> {
        match *self.attribute(kind::REQUESTED_TRANSPORT)?.value {
            [protocol, _, _, _] => Some(protocol),
            _ => None,
        }
    }

    /// REQUESTED-ADDRESS-FAMILY.
    pub fn requested_address_family(&self) -> Option<Family> {
        self.attribute(kind::REQUESTED_ADDRESS_FAMILY)?.family()
    }

    /// ADDITIONAL-ADDRESS-FAMILY.
    pub fn additional_address_family(&self) -> Option<Family> {
        self.attribute(kind::ADDITIONAL_ADDRESS_FAMILY)?.family()
    }

    /// EVEN-PORT: whether the next port is to be reserved too (RFC 8656, 18.7).
    pub fn even_port(&self) -> Option<bool> {
        match *self.attribute(kind::EVEN_PORT)?.value {
            [flags, ..] => Some(flags & 0x80 != 0),
            [] => None,
        }
    }

    /// Whether DONT-FRAGMENT is there.
    pub fn dont_fragment(&self) -> bool {
        self.attribute(kind::DONT_FRAGMENT).is_some()
    }

    /// RESERVATION-TOKEN.
    pub fn reservation_token(&self) -> Option<u64> {
        self.attribute(kind::RESERVATION_TOKEN)?.u64()
    }

    /// USERHASH: SHA-256 of user name and realm, joined by a colon (RFC 8489, 14.4).
    pub fn userhash(&self) -> Option<&'a [u8; 32]> {
        self.attribute(kind::USERHASH)?.value.try_into().ok()
    }

    /// PASSWORD-ALGORITHM: its number, see [`password_algorithm`]; parameters are not looked at, the registered ones have none.
    pub fn password_algorithm(&self) -> Option<u16> {
        Some((self.attribute(kind::PASSWORD_ALGORITHM)?.u32()? >> 16) as u16)
    }

    /// PRIORITY of the candidate that a check would make (RFC 8445, 7.1.1).
    pub fn priority(&self) -> Option<u32> {
        self.attribute(kind::PRIORITY)?.u32()
    }

    /// Whether USE-CANDIDATE is there: the controlling side chose this pair.
    pub fn use_candidate(&self) -> bool {
        self.attribute(kind::USE_CANDIDATE).is_some()
    }

    /// ICE-CONTROLLING, its tie breaker.
    pub fn ice_controlling(&self) -> Option<u64> {
        self.attribute(kind::ICE_CONTROLLING)?.u64()
    }

    /// ICE-CONTROLLED, its tie breaker.
    pub fn ice_controlled(&self) -> Option<u64> {
        self.attribute(kind::ICE_CONTROLLED)?.u64()
    }

    /// CONNECTION-ID (RFC 6062).
    pub fn connection_id(&self) -> Option<u32> {
        self.attribute(kind::CONNECTION_ID)?.u32()
    }

    /// MESSAGE-INTEGRITY (HMAC-SHA1).
    pub fn message_integrity(&self) -> Option<Integrity<'a>> {
        self.integrity(kind::MESSAGE_INTEGRITY, 20..=20)
    }

    /// MESSAGE-INTEGRITY-SHA256, which may be truncated to 16 bytes.
    pub fn message_integrity_sha256(&self) -> Option<Integrity<'a>> {
        self.integrity(kind::MESSAGE_INTEGRITY_SHA256, 16..=32)
    }

    fn integrity(&self, kind: u16, lengths: std::ops::RangeInclusive<usize>) -> Option<Integrity<'a>> {
        let found = self.attribute(kind)?;
        let len = found.value.len();
        (lengths.contains(&len) && len % 4 == 0).then_some(Integrity { at: found.at, mac: found.value })
    }

    /// The message up to an integrity attribute, as its HMAC covers it: the header with the length field set as if the message
    /// ended behind that attribute, and the attributes before it.
    pub fn covered(&self, integrity: &Integrity<'_>) -> ([u8; super::HEADER_LEN], &'a [u8]) {
        let mut header = [0; super::HEADER_LEN];
        header.iter_mut().zip(self.bytes()).for_each(|(to, from)| *to = *from);
        let length = integrity.at + 4 + integrity.mac.len() - super::HEADER_LEN;
        let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        header[2] = high;
        header[3] = low;
        (header, self.bytes().get(super::HEADER_LEN..integrity.at).unwrap_or_default())
    }

    /// Every attribute that counts.
    pub fn counting(&self) -> impl Iterator<Item = Attribute<'a>> + 'a {
        let mut vouched = 0u8;
        self.attributes().filter(move |a| {
            let rank = match a.kind {
                kind::MESSAGE_INTEGRITY => 1,
                kind::MESSAGE_INTEGRITY_SHA256 => 2,
                kind::FINGERPRINT => return true,
                _ => 0,
            };
            let counts = rank > vouched || vouched == 0;
            vouched = vouched.max(rank);
            counts
        })
    }
}

fn decode_address(value: &[u8], cookie: [u8; 4], transaction_id: &[u8; 12]) -> Option<SocketAddr> {
    let (&[_, family, port_high, port_low], address) = value.split_first_chunk()?;
    let port = u16::from_be_bytes([port_high ^ cookie[0], port_low ^ cookie[1]]);
    let mask = u128::from_be_bytes(concat(cookie, transaction_id));
    let ip = match family {
        1 => {
            let bits = u32::from_be_bytes(address.try_into().ok()?) ^ (mask >> 96) as u32;
            IpAddr::V4(Ipv4Addr::from(bits))
        }
        2 => IpAddr::V6(Ipv6Addr::from(u128::from_be_bytes(address.try_into().ok()?) ^ mask)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Appends the value of an address attribute; with a zero cookie and transaction it is in the clear.
pub(super) fn encode_address(
    out: &mut Vec<u8>,
    address: SocketAddr,
    cookie: [u8; 4],
    transaction_id: &[u8; 12],
) {
    let mask = u128::from_be_bytes(concat(cookie, transaction_id));
    let family = if address.is_ipv4() { 1 } else { 2 };
    out.extend([0, family]);
    out.extend((address.port() ^ (mask >> 112) as u16).to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => out.extend((ip.to_bits() ^ (mask >> 96) as u32).to_be_bytes()),
        IpAddr::V6(ip) => out.extend((ip.to_bits() ^ mask).to_be_bytes()),
    }
}

fn concat(cookie: [u8; 4], id: &[u8; 12]) -> [u8; 16] {
    let [c0, c1, c2, c3] = cookie;
    let [i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11] = *id;
    [c0, c1, c2, c3, i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11]
}
