//! Writes messages. The length field is kept right after every attribute, so that integrity and fingerprint
//! can be computed where they stand.

use super::attribute::encode_address;
use super::{COOKIE, Class, Family, HEADER_LEN, Method, fingerprint, kind, message_type};
use std::net::SocketAddr;

/// A message being written. Attributes stand in the order of the calls; one that would make the message
/// longer than its length field can say is left out, and [`Builder::finish`] then returns `None`.
#[derive(Clone, Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    transaction_id: [u8; 12],
    overflowed: bool,
}

impl Builder {
    /// Starts a message.
    pub fn new(class: Class, method: Method, transaction_id: [u8; 12]) -> Builder {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(message_type(class, method).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(COOKIE);
        bytes.extend(transaction_id);
        Builder { bytes, transaction_id, overflowed: false }
    }

    /// Any attribute; the padding is added (RFC 8489, 14).
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Builder {
        let padded = value.len().next_multiple_of(4);
        let Ok(length) = u16::try_from(self.bytes.len() - HEADER_LEN + 4 + padded) else {
            self.overflowed = true;
            return self;
        };
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend((value.len() as u16).to_be_bytes());
        self.bytes.extend(value);
        self.bytes.resize(HEADER_LEN + usize::from(length), 0);
        self.set_length(length);
        self
    }

    /// An address in the clear (MAPPED-ADDRESS).
    pub fn address(self, kind: u16, address: SocketAddr) -> Builder {
        let mut value = Vec::with_capacity(20);
        encode_address(&mut value, address, [0; 4], &[0; 12]);
        self.attribute(kind, &value)
    }

    /// An address hidden by cookie and transaction (the XOR-… attributes).
    pub fn xor_address(self, kind: u16, address: SocketAddr) -> Builder {
        let mut value = Vec::with_capacity(20);
        encode_address(&mut value, address, COOKIE, &self.transaction_id);
        self.attribute(kind, &value)
    }

    /// A number of four bytes (LIFETIME, PRIORITY, CONNECTION-ID).
    pub fn u32(self, kind: u16, value: u32) -> Builder {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// A number of eight bytes (ICE-CONTROLLING, ICE-CONTROLLED).
    pub fn u64(self, kind: u16, value: u64) -> Builder {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// CHANNEL-NUMBER.
    pub fn channel_number(self, channel: u16) -> Builder {
        self.u32(kind::CHANNEL_NUMBER, u32::from(channel) << 16)
    }

    /// REQUESTED-TRANSPORT.
    pub fn requested_transport(self, protocol: u8) -> Builder {
        self.attribute(kind::REQUESTED_TRANSPORT, &[protocol, 0, 0, 0])
    }

    /// REQUESTED-ADDRESS-FAMILY or ADDITIONAL-ADDRESS-FAMILY.
    pub fn family(self, kind: u16, family: Family) -> Builder {
        let number = if family == Family::V4 { 1 } else { 2 };
        self.attribute(kind, &[number, 0, 0, 0])
    }

    /// ERROR-CODE; `code` from 300 to 699.
    pub fn error_code(self, code: u16, reason: &str) -> Builder {
        let mut value = vec![0, 0, (code / 100) as u8 & 7, (code % 100) as u8];
        value.extend(reason.as_bytes());
        self.attribute(kind::ERROR_CODE, &value)
    }

    /// ADDRESS-ERROR-CODE: why there is no address of this family (RFC 8656, 18.12).
    pub fn address_error_code(self, family: Family, code: u16, reason: &str) -> Builder {
        let number = if family == Family::V4 { 1 } else { 2 };
        let mut value = vec![number, 0, (code / 100) as u8 & 7, (code % 100) as u8];
        value.extend(reason.as_bytes());
        self.attribute(kind::ADDRESS_ERROR_CODE, &value)
    }

    /// ICMP: an error that came for a packet to a peer (RFC 8656, 18.13): a type of 7 bits, a code of 9, and the next hop's MTU
    /// if it is about that, else 0.
    pub fn icmp(self, number: u8, code: u8, data: u32) -> Builder {
        let head = u32::from(number & 0x7f) << 9 | u32::from(code);
        self.u64(kind::ICMP, u64::from(head) << 32 | u64::from(data))
    }

    /// The bytes an HMAC of `mac_len` bytes has to cover if it comes next: the length field counts it already.
    pub fn integrity_input(&self, mac_len: u16) -> Vec<u8> {
        let mut copy = self.clone();
        let length = (copy.bytes.len() - HEADER_LEN).saturating_add(4 + usize::from(mac_len));
        copy.set_length(u16::try_from(length).unwrap_or(u16::MAX));
        copy.bytes
    }

    /// FINGERPRINT; it has to be the last.
    pub fn fingerprint(self) -> Builder {
        let covered = self.integrity_input(4);
        self.u32(kind::FINGERPRINT, fingerprint::value(&covered))
    }

    /// The message; `None` if an attribute did not fit into it.
    pub fn finish(self) -> Option<Vec<u8>> {
        (!self.overflowed).then_some(self.bytes)
    }

    fn set_length(&mut self, length: u16) {
        if let Some(field) = self.bytes.get_mut(2..4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }
}
