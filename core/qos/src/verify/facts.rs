//! What signaling says about media: session descriptions and relay allocations, bounded and mergeable.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::TrafficClass;

/// Session descriptions kept per shard: a trunk that carries every call is one conversation.
const MAX_MEDIA: usize = 16_384;
/// Addresses of other sections (fax, text) kept per shard.
const MAX_OTHERS: usize = 4096;
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
    /// Shared with descriptions that list the same: most calls of an estate do.
    pub(super) formats: Arc<[Format]>,
    pub(super) ssrcs: Vec<u32>,
    pub(super) encrypted: bool,
}

/// A relay gave this client this address (RFC 8656, 7.3), or bound a channel to this peer (12). An end can be reached at its
/// own address, or has a relayed one and no NAT before it: the relay sees the address that the host has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RelayFact {
    Allocated { client: SocketAddr, server: SocketAddr, relayed: SocketAddr },
    Channel { client: SocketAddr, server: SocketAddr, channel: u16, peer: SocketAddr },
    Host { address: SocketAddr },
    Untranslated { relayed: SocketAddr, host: SocketAddr },
}

/// Facts of one shard, or of all.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) media: Vec<MediaFact>,
    pub(super) relays: Vec<RelayFact>,
    /// What devices call themselves (User-Agent or Server header).
    pub(super) agents: Vec<(IpAddr, String)>,
    /// Where sections of no class (fax, text) receive: foreign to the plan, but no strangers.
    pub(super) others: BTreeSet<(IpAddr, u16)>,
    /// Facts for which there was no room.
    pub(super) lost: u64,
}

impl Facts {
    pub(super) fn note_media(&mut self, mut fact: MediaFact) {
        let latest = || self.media.iter().rev().take(64);
        // An offer that is repeated says nothing new; one that differs does, and from then on.
        if latest().any(|known| known.repeats(&fact)) {
            return;
        }
        if self.media.len() >= MAX_MEDIA {
            self.lost += 1;
            return;
        }
        if let Some(known) = latest().find(|known| known.formats == fact.formats) {
            fact.formats = known.formats.clone();
        }
        self.media.push(fact);
    }

    pub(super) fn note_other(&mut self, at: (IpAddr, u16)) {
        if self.others.len() < MAX_OTHERS {
            self.others.insert(at);
        } else {
            self.lost += u64::from(!self.others.contains(&at));
        }
    }

    pub(super) fn note_relay(&mut self, fact: RelayFact) {
        if self.relays.iter().rev().take(64).any(|known| *known == fact) {
            return;
        }
        if self.relays.len() < MAX_RELAYS {
            self.relays.push(fact);
        } else {
            self.lost += 1;
        }
    }

    /// Names are a courtesy to the reader: without room there is none, and nothing is judged otherwise.
    pub(super) fn note_agent(&mut self, address: IpAddr, name: &str) {
        if self.agents.len() < MAX_AGENTS && !self.agents.iter().any(|(known, _)| *known == address) {
            self.agents.push((address, name.chars().filter(|c| !c.is_control()).take(60).collect()));
        }
    }

    pub(super) fn absorb(&mut self, other: Facts) {
        self.media.extend(other.media);
        self.relays.extend(other.relays);
        self.agents.extend(other.agents);
        self.others.extend(other.others);
        self.lost += other.lost;
    }

    /// Puts the facts of all shards into the order of the capture.
    pub(super) fn sort(&mut self) {
        self.media.sort_by_key(|fact| (fact.file, fact.frame, fact.address, fact.port, fact.class));
        self.agents.sort();
        self.agents.dedup_by_key(|(address, _)| *address);
    }
}

impl MediaFact {
    /// Whether the other one says the same again.
    fn repeats(&self, other: &MediaFact) -> bool {
        let place = |fact: &MediaFact| (fact.file, fact.address, fact.port, fact.class, fact.encrypted);
        place(self) == place(other) && self.formats == other.formats && self.ssrcs == other.ssrcs
    }
}
