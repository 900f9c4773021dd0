//! What signaling says about media: session descriptions and relay allocations, bounded and mergeable.

use std::net::{IpAddr, SocketAddr};

use crate::TrafficClass;

/// Session descriptions kept per shard.
const MAX_MEDIA: usize = 4096;
/// Relay facts kept per shard.
const MAX_RELAYS: usize = 4096;
/// Devices whose name is kept per shard.
const MAX_AGENTS: usize = 1024;
/// Formats, SSRCs kept per media description.
pub(super) const MAX_FORMATS: usize = 32;

/// A payload type as a session description names it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format {
    pub(super) payload_type: u8,
    pub(super) codec: String,
    pub(super) clock_rate: u32,
}

/// "At this address and port, media of this class is received" (RFC 8866, 5.14).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MediaFact {
    pub(super) file: u16,
    pub(super) frame: u64,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) class: TrafficClass,
    pub(super) formats: Vec<Format>,
    pub(super) ssrcs: Vec<u32>,
    pub(super) encrypted: bool,
}

/// A relay gave this client this address (RFC 8656, 7.3), or bound a channel to this peer (12).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RelayFact {
    Allocated { client: SocketAddr, server: SocketAddr, relayed: SocketAddr },
    Channel { client: SocketAddr, server: SocketAddr, channel: u16, peer: SocketAddr },
}

/// Facts of one shard, or of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) media: Vec<MediaFact>,
    pub(super) relays: Vec<RelayFact>,
    /// What devices call themselves (User-Agent or Server header).
    pub(super) agents: Vec<(IpAddr, String)>,
}

impl Facts {
    pub(super) fn note_media(&mut self, fact: MediaFact) {
        let same = |known: &&mut MediaFact| {
            (known.file, known.address, known.port, known.class)
                == (fact.file, fact.address, fact.port, fact.class)
        };
        if let Some(known) = self.media.iter_mut().rev().take(64).find(same) {
            known.widen(fact);
        } else if self.media.len() < MAX_MEDIA {
            self.media.push(fact);
        }
    }

    pub(super) fn note_relay(&mut self, fact: RelayFact) {
        if self.relays.len() < MAX_RELAYS && !self.relays.iter().rev().take(64).any(|known| *known == fact) {
            self.relays.push(fact);
        }
    }

    pub(super) fn note_agent(&mut self, address: IpAddr, name: &str) {
        if self.agents.len() < MAX_AGENTS && !self.agents.iter().any(|(known, _)| *known == address) {
            self.agents.push((address, name.chars().filter(|c| !c.is_control()).take(60).collect()));
        }
    }

    pub(super) fn absorb(&mut self, other: Facts) {
        self.media.extend(other.media);
        self.relays.extend(other.relays);
        self.agents.extend(other.agents);
    }

    /// Puts the facts of all shards into the order of the capture.
    pub(super) fn sort(&mut self) {
        self.media.sort_by_key(|fact| (fact.file, fact.frame, fact.address, fact.port, fact.class));
        self.agents.sort();
        self.agents.dedup_by_key(|(address, _)| *address);
    }
}

impl MediaFact {
    /// A later offer or answer for the same place adds formats; it takes none away, for calls follow calls.
    fn widen(&mut self, later: MediaFact) {
        for format in later.formats {
            if !self.formats.contains(&format) && self.formats.len() < MAX_FORMATS {
                self.formats.push(format);
            }
        }
        for ssrc in later.ssrcs {
            if !self.ssrcs.contains(&ssrc) && self.ssrcs.len() < MAX_FORMATS {
                self.ssrcs.push(ssrc);
            }
        }
        self.encrypted |= later.encrypted;
    }
}
