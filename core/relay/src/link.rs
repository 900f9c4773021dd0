//! Connections between relayed ports and peers (RFC 6062), and how they are found: by the host's number and by the client's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::connect::Dial;
use crate::contract::{Flow, LinkId};
use crate::secret::Secret;
use crate::table::Slot;

/// A connection with a peer.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: SocketAddr,
    pub(crate) stage: Stage,
}

/// How far it is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The peer is being called. A box, because few are.
    Dialling { dial: Box<Dial>, until: Duration },
    /// It is up, and the client has not come for it.
    Waits { link: LinkId, id: u32, until: Duration },
    /// It is joined with a connection of the client's.
    Joined { link: LinkId, client: Flow },
}

impl Link {
    /// When it is given up.
    pub(crate) fn until(&self) -> Option<Duration> {
        match self.stage {
            Stage::Dialling { until, .. } | Stage::Waits { until, .. } => Some(until),
            Stage::Joined { .. } => None,
        }
    }
}

impl Stage {
    pub(crate) fn waits(link: LinkId, id: u32, until: Duration) -> Stage {
        Stage::Waits { link, id, until }
    }

    pub(crate) fn dial(&self) -> Option<&Dial> {
        match self {
            Stage::Dialling { dial, .. } => Some(dial),
            _ => None,
        }
    }

    pub(crate) fn is_dialling(&self, wish: crate::contract::WishId) -> bool {
        self.dial().is_some_and(|dial| dial.wish == wish)
    }

    pub(crate) fn waits_as(&self, number: u32) -> bool {
        matches!(self, Stage::Waits { id, .. } if *id == number)
    }

    /// The host's number of it, if it is up.
    pub(crate) fn link(&self) -> Option<LinkId> {
        match self {
            Stage::Dialling { .. } => None,
            Stage::Waits { link, .. } | Stage::Joined { link, .. } => Some(*link),
        }
    }

    pub(crate) fn joined(&self) -> Option<(LinkId, Flow)> {
        match self {
            Stage::Joined { link, client } => Some((*link, *client)),
            _ => None,
        }
    }

    pub(crate) fn join(&mut self, client: Flow) {
        if let Stage::Waits { link, .. } = *self {
            *self = Stage::Joined { link, client };
        }
    }
}

/// Where connections are found. There are at most as many as allocations may have.
#[derive(Default, Debug)]
pub(crate) struct Links {
    /// By CONNECTION-ID, until the client has come.
    by_connection: BTreeMap<u32, Slot>,
    by_link: BTreeMap<LinkId, Slot>,
}

impl Links {
    pub(crate) fn len(&self) -> usize {
        self.by_link.len()
    }

    pub(crate) fn of_connection(&self, id: u32) -> Option<Slot> {
        self.by_connection.get(&id).copied()
    }

    pub(crate) fn of_link(&self, link: LinkId) -> Option<Slot> {
        self.by_link.get(&link).copied()
    }

    /// Takes one in; the number that its client comes with, which nobody else can guess.
    pub(crate) fn add(&mut self, secret: &mut Secret, slot: Slot, link: LinkId) -> u32 {
        let mut id = secret.draw() as u32;
        while self.by_connection.contains_key(&id) {
            id = secret.draw() as u32;
        }
        self.by_connection.insert(id, slot);
        self.by_link.insert(link, slot);
        id
    }

    /// The client has come: the number is good no more.
    pub(crate) fn bound(&mut self, id: u32) {
        self.by_connection.remove(&id);
    }

    pub(crate) fn remove(&mut self, stage: &Stage) {
        if let Stage::Waits { id, .. } = stage {
            self.by_connection.remove(id);
        }
        if let Some(link) = stage.link() {
            self.by_link.remove(&link);
        }
    }
}
