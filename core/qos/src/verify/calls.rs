//! What SIP messages say about media: where it is received, of which class, in which codecs.

use std::net::IpAddr;

use carillon_wire::sdp::{Media, Session};
use carillon_wire::sip::Message;

use super::facts::{Facts, Format, MAX_FORMATS, MediaFact};
use super::key::FlowKey;
use super::relays::note_candidates;
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
pub(super) fn note_message(facts: &mut Facts, key: FlowKey, frame: u64, message: &Message<&[u8]>) {
    // A proxy repeats the product of the device behind it; only a first hop speaks for its own address.
    let first_hop = message.method().is_some() && message.vias().count() <= 1;
    if let Some(product) = message.product().filter(|_| first_hop) {
        facts.note_agent(key.src(), &String::from_utf8_lossy(product));
    }
    if let Some(session) = message.sdp().and_then(Session::parse) {
        note_session(facts, key.file, frame, &session);
    }
}

fn note_session(facts: &mut Facts, file: u16, frame: u64, session: &Session<'_>) {
    // In a bundle (RFC 9143) every section uses the transport of the first, whatever its own port says.
    let bundled = session.bundles().next().is_some();
    let sections = || session.media().take(MAX_SECTIONS).filter(|media| !media.is_refused());
    for media in sections() {
        note_candidates(facts, &media);
        let transports = if bundled { sections().flat_map(transports).collect() } else { transports(media) };
        for at in transports {
            match class_of(&media) {
                Some(class) => facts.note_media(fact(file, frame, at, class, &media)),
                None => facts.note_other(at),
            }
        }
    }
}

/// Where a section's media is received: its own address, and its candidates (RFC 8839).
fn transports(media: Media<'_>) -> Vec<(IpAddr, u16)> {
    let own = media.connection().and_then(|connection| connection.ip).map(|ip| (ip, media.port));
    let candidates = media.candidates().filter_map(|candidate| Some((candidate.ip?, candidate.port)));
    own.into_iter().chain(candidates.take(MAX_CANDIDATES)).collect()
}

/// The class of a media section; text, control channels and the like have none.
fn class_of(media: &Media<'_>) -> Option<TrafficClass> {
    match media.kind {
        "audio" => Some(TrafficClass::Audio),
        // Lync's names for the main video, the panorama and for sharing, by video or by RDP.
        "video" | "main-video" | "panoramic-video" => Some(TrafficClass::Video),
        "applicationsharing" | "applicationsharing-video" => Some(TrafficClass::Sharing),
        "data" | "filetransfer" => Some(TrafficClass::FileTransfer),
        _ => None,
    }
}

fn fact(file: u16, frame: u64, at: (IpAddr, u16), class: TrafficClass, media: &Media<'_>) -> MediaFact {
    let formats = media.codecs().take(MAX_FORMATS).map(|(payload_type, codec)| Format {
        payload_type,
        codec: codec.name.chars().take(32).collect(),
        clock_rate: codec.clock,
    });
    MediaFact {
        file,
        frame,
        address: at.0,
        port: at.1,
        class,
        formats: formats.collect(),
        ssrcs: media.ssrcs().map(|ssrc| ssrc.id).take(MAX_FORMATS).collect(),
        encrypted: media.protocol.contains("SAVP"),
    }
}
