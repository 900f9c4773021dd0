//! STUN and TURN messages (RFC 8489, 8656; peers of RFC 5389, 5766, 6062): a checked view over the caller's
//! buffer and a [`Builder`]. Says where the message integrity lies and what it covers; verifying the HMAC
//! and everything with state (transactions, allocations, permissions) is not done here.

mod attribute;
mod builder;
mod channel_data;
mod classic;
mod fingerprint;
mod look;
mod relayed;
mod uri;

pub use attribute::{Attribute, Attributes, ErrorCode, Family, Integrity, kind, password_algorithm};
pub use builder::Builder;
pub use channel_data::{ChannelData, frame_len, frame_len_of_rfc5766, is_channel, is_channel_of_rfc5766};
pub use classic::Classic;
pub use fingerprint::Fingerprint;
pub use look::{Look, look};
pub use relayed::{Relayed, Via, look_through};
pub use uri::{NoTurnUri, TurnTransport, TurnUri};

use std::fmt;

/// Bytes 4 to 8 of every message since RFC 5389.
pub const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Length of the header; the length field counts what follows it.
pub const HEADER_LEN: usize = 20;

/// A message whose header and chain of attributes were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    bytes: &'a [u8],
    declared_len: usize,
    head: u16,
    transaction_id: &'a [u8; 12],
}

/// What a message is for (RFC 8489, 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// The answer of success.
    Success,
    /// The answer of failure; carries ERROR-CODE.
    Error,
}

/// The method (IANA, STUN Methods).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Method {
    /// 0x001: what is my address; also the connectivity check of ICE.
    Binding,
    /// 0x003: a relayed address, please.
    Allocate,
    /// 0x004: prolong or end an allocation.
    Refresh,
    /// 0x006: client to relay, data for a peer (indication).
    Send,
    /// 0x007: relay to client, data from a peer (indication).
    Data,
    /// 0x008: let this peer through.
    CreatePermission,
    /// 0x009: a number for a peer.
    ChannelBind,
    /// 0x00a: open a TCP connection to a peer (RFC 6062).
    Connect,
    /// 0x00b: tie a client connection to it (RFC 6062).
    ConnectionBind,
    /// 0x00c: a peer connected (RFC 6062, indication).
    ConnectionAttempt,
    /// Any other, 12 bits.
    Other(u16),
}

/// Why some bytes are no STUN message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Shorter than the header.
    Short,
    /// The two top bits or the magic cookie are not those of STUN.
    NotStun,
    /// The length field is not a multiple of four, or does not agree with the datagram.
    Length,
    /// An attribute reaches beyond the end of the message.
    Attribute,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Short => "shorter than a STUN header",
            Error::NotStun => "top bits or magic cookie are not those of STUN",
            Error::Length => "STUN length field is wrong",
            Error::Attribute => "a STUN attribute reaches beyond the message",
        })
    }
}

impl std::error::Error for Error {}

impl<'a> Message<'a> {
    /// Reads a datagram, or one message framed off a stream: the length must agree exactly.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Error> {
        Message::parse_cut(bytes, bytes.len())
    }

    /// Reads a datagram of `declared_len` bytes of which a capture kept only the first ones. Attributes
    /// behind the cut are missing, the one at the cut is short.
    pub fn parse_cut(bytes: &'a [u8], declared_len: usize) -> Result<Message<'a>, Error> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(Error::Short)?;
        let head = u16::from_be_bytes([header[0], header[1]]);
        if head & 0xc000 != 0 || header[4..8] != COOKIE {
            return Err(Error::NotStun);
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if length % 4 != 0 || length + HEADER_LEN != declared_len || bytes.len() > declared_len {
            return Err(Error::Length);
        }
        let transaction_id = header.last_chunk().ok_or(Error::Short)?;
        let message = Message { bytes, declared_len, head, transaction_id };
        match message.attributes().walks_to_the_end() {
            true => Ok(message),
            false => Err(Error::Attribute),
        }
    }

    /// The message as captured.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the capture kept only a part.
    pub fn is_cut(&self) -> bool {
        self.bytes.len() < self.declared_len
    }

    /// The class.
    pub fn class(&self) -> Class {
        Class::from_type(self.head)
    }

    /// The method.
    pub fn method(&self) -> Method {
        Method::from_type(self.head)
    }

    /// The 96 bits that tie an answer to its request.
    pub fn transaction_id(&self) -> &'a [u8; 12] {
        self.transaction_id
    }

    /// All attributes in order, known or not.
    pub fn attributes(&self) -> Attributes<'a> {
        let body = self.bytes.get(HEADER_LEN..).unwrap_or_default();
        Attributes::new(body, self.declared_len - HEADER_LEN, self.transaction_id)
    }

    /// FINGERPRINT, compared with the bytes before it (RFC 8489, 14.7).
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint::check(self)
    }
}

impl Class {
    const fn from_type(head: u16) -> Class {
        match (head & 0x0100 != 0, head & 0x0010 != 0) {
            (false, false) => Class::Request,
            (false, true) => Class::Indication,
            (true, false) => Class::Success,
            (true, true) => Class::Error,
        }
    }

    const fn bits(self) -> u16 {
        match self {
            Class::Request => 0x0000,
            Class::Indication => 0x0010,
            Class::Success => 0x0100,
            Class::Error => 0x0110,
        }
    }
}

impl Method {
    /// The twelve bits.
    pub const fn number(self) -> u16 {
        match self {
            Method::Binding => 0x001,
            Method::Allocate => 0x003,
            Method::Refresh => 0x004,
            Method::Send => 0x006,
            Method::Data => 0x007,
            Method::CreatePermission => 0x008,
            Method::ChannelBind => 0x009,
            Method::Connect => 0x00a,
            Method::ConnectionBind => 0x00b,
            Method::ConnectionAttempt => 0x00c,
            Method::Other(number) => number & 0x0fff,
        }
    }

    /// From the twelve bits.
    pub const fn from_number(number: u16) -> Method {
        match number & 0x0fff {
            0x001 => Method::Binding,
            0x003 => Method::Allocate,
            0x004 => Method::Refresh,
            0x006 => Method::Send,
            0x007 => Method::Data,
            0x008 => Method::CreatePermission,
            0x009 => Method::ChannelBind,
            0x00a => Method::Connect,
            0x00b => Method::ConnectionBind,
            0x00c => Method::ConnectionAttempt,
            other => Method::Other(other),
        }
    }

    /// The class bits lie between the method's (RFC 8489, figure 3).
    const fn from_type(head: u16) -> Method {
        Method::from_number((head & 0x000f) | (head & 0x00e0) >> 1 | (head & 0x3e00) >> 2)
    }

    const fn bits(self) -> u16 {
        let number = self.number();
        (number & 0x000f) | (number & 0x0070) << 1 | (number & 0x0f80) << 2
    }
}

/// The first two bytes of a message.
const fn message_type(class: Class, method: Method) -> u16 {
    class.bits() | method.bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_splits_into_class_and_method_and_back() {
        for head in 0..0x4000 {
            assert_eq!(message_type(Class::from_type(head), Method::from_type(head)), head);
        }
    }

    #[test]
    fn top_bits_cookie_and_length_are_strict() {
        let mut bytes = vec![0u8; HEADER_LEN];
        bytes[1] = 1;
        assert_eq!(Message::parse(&bytes), Err(Error::NotStun));
        bytes[4..8].copy_from_slice(&COOKIE);
        assert!(Message::parse(&bytes).is_ok());
        assert_eq!(Message::parse(&bytes[..19]), Err(Error::Short));
        bytes[0] = 0x40;
        assert_eq!(Message::parse(&bytes), Err(Error::NotStun));
        bytes[0] = 0;
        bytes[3] = 4;
        assert_eq!(Message::parse(&bytes), Err(Error::Length));
        bytes.extend([0x80, 0x22, 0, 1]);
        assert_eq!(Message::parse(&bytes), Err(Error::Attribute));
        bytes[23] = 0;
        assert!(Message::parse(&bytes).is_ok());
        bytes.extend([0, 0]);
        bytes[3] = 6;
        assert_eq!(Message::parse(&bytes), Err(Error::Length));
    }
}
