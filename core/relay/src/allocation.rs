//! One allocation: a client's flow, the ports that were opened for it, and whom it may reach through them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::source::Debt;
use carillon_wire::stun::Family;

use crate::answer::{Code, family_of};
use crate::contract::{AccountId, Flow, PortId, RuleId, Tally, WishId};
use crate::integrity::Seal;
use crate::link::Link;
use crate::users::Holder;

#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) flow: Flow,
    pub(crate) user: Arc<str>,
    pub(crate) account: AccountId,
    /// The site that it counts on too.
    pub(crate) site: Option<(Arc<str>, AccountId)>,
    /// Of the credential.
    pub(crate) class: Option<TrafficClass>,
    /// When the credential ends that it was made or last refreshed with.
    pub(crate) expires: Option<Duration>,
    /// For what it has asked.
    pub(crate) asked: Debt,
    /// Of the Allocate: the same one again is the same request again.
    pub(crate) transaction: [u8; 12],
    pub(crate) born: Duration,
    /// Its ports are of TCP (RFC 6062).
    pub(crate) streams: bool,
    /// While the host opens ports.
    pub(crate) opening: Option<Box<Opening>>,
    /// The IPv4 leg, and the IPv6 leg.
    pub(crate) legs: [Option<Leg>; 2],
    /// The family of a pair that could not be had, and why.
    pub(crate) refused: Option<(Family, Code)>,
    /// The token of the port above, if that was asked for.
    pub(crate) reserved: Option<u64>,
    pub(crate) permissions: Vec<Permission>,
    pub(crate) channels: Vec<Channel>,
    /// Connections with peers, of an allocation for streams.
    pub(crate) links: Vec<Link>,
    pub(crate) to_client: Tally,
    pub(crate) to_peer: Tally,
    /// When it is looked at next.
    pub(crate) due: Option<Duration>,
}

/// What has to be remembered until the host has opened the ports.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) wishes: Vec<(WishId, Family)>,
    pub(crate) until: Duration,
    pub(crate) lifetime: Duration,
    /// The next port is wished for too.
    pub(crate) next: bool,
    pub(crate) seal: Seal,
    pub(crate) fingerprint: bool,
}

/// A relayed port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Leg {
    pub(crate) port: PortId,
    pub(crate) relayed: SocketAddr,
    pub(crate) until: Duration,
}

/// A peer that may send (RFC 8656, 9): all its ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Permission {
    pub(crate) peer: IpAddr,
    pub(crate) until: Duration,
}

/// A channel (RFC 8656, 12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Channel {
    pub(crate) number: u16,
    pub(crate) peer: SocketAddr,
    pub(crate) until: Duration,
    /// The rule that carries it, while there is one.
    pub(crate) rule: Option<RuleId>,
}

impl Allocation {
    /// Whose its ports are.
    pub(crate) fn holder(&self) -> Holder {
        Holder { user: self.user.clone(), account: self.account, site: self.site.clone() }
    }

    pub(crate) fn leg(&self, family: Family) -> Option<&Leg> {
        self.legs.get(place(family))?.as_ref()
    }

    pub(crate) fn leg_mut(&mut self, family: Family) -> Option<&mut Option<Leg>> {
        self.legs.get_mut(place(family))
    }

    /// The leg that reaches this peer.
    pub(crate) fn leg_to(&self, peer: SocketAddr) -> Option<&Leg> {
        self.leg(family_of(peer))
    }

    pub(crate) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.iter().flatten()
    }

    pub(crate) fn permits(&self, peer: IpAddr) -> bool {
        self.permissions.iter().any(|permission| permission.peer == peer)
    }

    pub(crate) fn channel(&self, number: u16) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.number == number)
    }

    pub(crate) fn channel_to(&self, peer: SocketAddr) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.peer == peer)
    }

    /// Lets a peer through until then.
    pub(crate) fn permit(&mut self, peer: IpAddr, until: Duration) {
        match self.permissions.iter_mut().find(|permission| permission.peer == peer) {
            Some(permission) => permission.until = until,
            None => {
                // One peer is the usual case; a vector would take room for four.
                self.permissions.reserve_exact(1);
                self.permissions.push(Permission { peer, until });
            }
        }
    }

    /// When something of it ends.
    pub(crate) fn next_end(&self) -> Option<Duration> {
        // Nothing else ends before its ports are open.
        if let Some(opening) = &self.opening {
            return Some(opening.until);
        }
        let legs = self.legs().map(|leg| leg.until);
        let permissions = self.permissions.iter().map(|permission| permission.until);
        let channels = self.channels.iter().map(|channel| channel.until);
        let links = self.links.iter().filter_map(Link::until);
        legs.chain(permissions).chain(channels).chain(links).min()
    }
}

pub(crate) const fn place(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}
