//! What TURN messages and candidates of ICE say about relayed addresses, channels and NATs.

use std::net::SocketAddr;

use carillon_wire::sdp::{Candidate, CandidateKind, Media};
use carillon_wire::stun::{Class, Message, Method};

use super::facts::{Facts, RelayFact};
use super::key::FlowKey;

/// Candidates looked at per section.
const MAX_CANDIDATES: usize = 32;

/// Keeps what an Allocate answer or a ChannelBind request says; other messages say nothing about relays.
pub(super) fn note(facts: &mut Facts, key: FlowKey, payload: &[u8], declared_len: u32) {
    // The two types, before anything is parsed: most STUN is connectivity checks.
    if !matches!(payload.first_chunk(), Some([0x01, 0x03] | [0x00, 0x09])) {
        return;
    }
    let Ok(message) = Message::parse_cut(payload, declared_len as usize) else { return };
    let (src, dst) = (SocketAddr::new(key.src(), key.src_port), SocketAddr::new(key.dst(), key.dst_port));
    if let Some(fact) = untranslated(&message, dst) {
        facts.note_relay(fact);
    }
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

/// Keeps what a session description says of its writer's addresses: its own, and whether a relay sees the same (RFC 8839, 5.1).
pub(super) fn note_candidates(facts: &mut Facts, media: &Media<'_>) {
    let candidates = || media.candidates().take(MAX_CANDIDATES);
    let of = |candidate: &Candidate<'_>| Some(SocketAddr::new(candidate.ip?, candidate.port));
    let hosts: Vec<SocketAddr> = candidates()
        .filter(|candidate| candidate.kind == CandidateKind::Host)
        .filter_map(|candidate| of(&candidate))
        .collect();
    for address in &hosts {
        facts.note_relay(RelayFact::Host { address: *address });
    }
    for candidate in candidates().filter(|candidate| candidate.kind == CandidateKind::Relayed) {
        let host = candidate.related.map(SocketAddr::from).filter(|seen| hosts.contains(seen));
        if let Some((relayed, host)) = of(&candidate).zip(host) {
            facts.note_relay(RelayFact::Untranslated { relayed, host });
        }
    }
}

/// A client whose address the relay sees as it is.
fn untranslated(message: &Message<'_>, client: SocketAddr) -> Option<RelayFact> {
    let allocated = (message.class(), message.method()) == (Class::Success, Method::Allocate);
    let relayed = message.xor_relayed_address().filter(|_| allocated)?;
    let same = message.xor_mapped_address() == Some(client);
    same.then_some(RelayFact::Untranslated { relayed, host: client })
}
