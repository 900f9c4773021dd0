//! What SIP messages say about media: where it is received, of which class, in which codecs.

use std::net::IpAddr;

use carillon_wire::sip::{self, Message};

use super::facts::{Facts, Format, MAX_FORMATS, MediaFact};
use super::key::FlowKey;
use crate::TrafficClass;

/// Media sections of one description that are looked at.
const MAX_SECTIONS: usize = 32;
/// Candidates of one section that are looked at.
const MAX_CANDIDATES: usize = 32;

/// Keeps what a datagram with SIP says.
pub(super) fn note_datagram(facts: &mut Facts, key: FlowKey, frame: u64, payload: &[u8]) {
    if let Ok(message) = Message::parse(payload) {
        note_message(facts, key, frame, &message);
    }
}

/// Keeps what a message says.
pub(super) fn note_message(facts: &mut Facts, key: FlowKey, frame: u64, message: &sip::Message<&[u8]>) {
    // A proxy repeats the product of the device behind it; only one hop's own name is worth keeping.
    let one_hop = message.vias().count() <= 1;
    if let (true, Some(product)) = (one_hop && message.method().is_some(), message.product()) {
        facts.note_agent(key.src(), &String::from_utf8_lossy(product));
    }
    let _ = (frame,);
}
