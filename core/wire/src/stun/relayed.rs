//! Looks through the wrapping that media wears between a client and its relay.

use super::{ChannelData, Class, Message, Method, kind};
use std::net::SocketAddr;

/// A payload found inside a relay's wrapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relayed<'a> {
    /// How it is addressed.
    pub via: Via,
    /// The payload, as far as captured.
    pub payload: &'a [u8],
    /// Its length on the wire.
    pub payload_len: u32,
}

/// How a relayed payload names the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Via {
    /// By a channel number, either direction.
    Channel(u16),
    /// A Send indication: from the client, for this peer.
    ToPeer(SocketAddr),
    /// A Data indication: for the client, from this peer.
    FromPeer(SocketAddr),
}

/// The payload inside ChannelData, a Send or a Data indication; `None` if a datagram of `declared_len` bytes
/// is none of these.
#[inline]
pub fn look_through(payload: &[u8], declared_len: u32) -> Option<Relayed<'_>> {
    match *payload.first()? {
        0x40..=0x4f => through_channel(payload, declared_len),
        0 => through_indication(payload, declared_len),
        _ => None,
    }
}

#[inline]
fn through_channel(payload: &[u8], declared_len: u32) -> Option<Relayed<'_>> {
    let frame = ChannelData::parse(payload, declared_len as usize)?;
    Some(Relayed { via: Via::Channel(frame.channel), payload: frame.data, payload_len: u32::from(frame.len) })
}

fn through_indication(payload: &[u8], declared_len: u32) -> Option<Relayed<'_>> {
    // The two types, before the walk through the attributes: most STUN is something else.
    if !matches!(payload.get(1)?, 0x16 | 0x17) {
        return None;
    }
    let message = Message::parse_cut(payload, declared_len as usize).ok()?;
    let peer = message.xor_peer_address()?;
    let via = match (message.class(), message.method()) {
        (Class::Indication, Method::Send) => Via::ToPeer(peer),
        (Class::Indication, Method::Data) => Via::FromPeer(peer),
        _ => return None,
    };
    let data = message.attribute(kind::DATA)?;
    Some(Relayed { via, payload: data.value, payload_len: u32::from(data.len) })
}
