//! What TURN messages say about relayed addresses and channels.

use std::net::SocketAddr;

use carillon_wire::stun::{Class, Message, Method};

use super::facts::{Facts, RelayFact};
use super::key::FlowKey;

/// Keeps what an Allocate answer or a ChannelBind request says; other messages say nothing about relays.
pub(super) fn note(facts: &mut Facts, key: FlowKey, payload: &[u8], declared_len: u32) {
    // The two types, before anything is parsed: most STUN is connectivity checks.
    if !matches!(payload.first_chunk(), Some([0x01, 0x03] | [0x00, 0x09])) {
        return;
    }
    let Ok(message) = Message::parse_cut(payload, declared_len as usize) else { return };
    let (src, dst) = (SocketAddr::new(key.src(), key.src_port), SocketAddr::new(key.dst(), key.dst_port));
    let fact = match (message.class(), message.method()) {
        (Class::Success, Method::Allocate) => message
            .xor_relayed_address()
            .map(|relayed| RelayFact::Allocated { client: dst, server: src, relayed }),
        (Class::Request, Method::ChannelBind) => message
            .channel_number()
            .zip(message.xor_peer_address())
            .map(|(channel, peer)| RelayFact::Channel { client: src, server: dst, channel, peer }),
        _ => None,
    };
    if let Some(fact) = fact {
        facts.note_relay(fact);
    }
}
