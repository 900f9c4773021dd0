//! Forwarding rules as values, and the table that finds the one of a packet. No sockets here: another executor of
//! the same rules needs nothing else.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use carillon_wire::stun;

use super::{Client, PortId};

/// What a flow may send at once after a rest, in time of its budget.
const BURST: Duration = Duration::from_millis(250);

/// A channel between a client and a peer, as it was decided: which packets go where, and with which marks. It is
/// found by both legs, so each may stand in one rule only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The client's leg.
    pub client: Client,
    /// The number of the channel on that leg: 0x4000 to 0x4fff (RFC 8656, 12).
    pub channel: u16,
    /// The peer's leg: from where the peer is reached.
    pub port: PortId,
    /// The peer.
    pub peer: SocketAddr,
    /// The mark of packets to the peer.
    pub to_peer: Dscp,
    /// The mark of packets to the client.
    pub to_client: Dscp,
    /// Payload that may pass in each direction, in bytes per second; a quarter of a second of it may come at once.
    pub budget: Option<NonZeroU64>,
}

/// What has passed in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Passed {
    /// Packets that were sent on.
    pub packets: u64,
    /// Bytes of their payload, without the header of the channel.
    pub bytes: u64,
    /// Packets that were dropped: over the budget.
    pub dropped: u64,
}

/// What has passed by a rule since it was installed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// From the client to the peer.
    pub to_peer: Passed,
    /// From the peer to the client.
    pub to_client: Passed,
}

/// Why a rule was not installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The number is none of a channel.
    Channel(u16),
    /// The peer already has another channel on this port.
    PeerTaken(SocketAddr),
    /// A leg is closed.
    Closed,
    /// There are as many rules as allowed.
    Full(usize),
}

/// All rules.
#[derive(Default)]
pub(super) struct Table {
    rules: Vec<Option<Live>>,
    free: Vec<usize>,
    by_client: HashMap<(Client, u16), usize>,
    by_peer: HashMap<(PortId, SocketAddr), usize>,
}

/// A rule at work.
pub(super) struct Live {
    pub(super) rule: Rule,
    pub(super) to_peer: Way,
    pub(super) to_client: Way,
}

/// One direction of a rule.
#[derive(Default)]
pub(super) struct Way {
    passed: Passed,
    meter: Option<Meter>,
}

/// A budget that is being spent: the moment at which what has passed would be paid for (GCRA, ITU-T I.371).
struct Meter {
    per_second: NonZeroU64,
    paid: Option<Instant>,
}

impl Table {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }

    /// Adds a rule, or puts it in place of that of the same channel; then what has passed stays counted.
    pub(super) fn install(&mut self, rule: Rule, most: usize) -> Result<(), Refused> {
        let (client, peer) = ((rule.client, rule.channel), (rule.port, rule.peer));
        if !stun::is_channel(rule.channel) {
            return Err(Refused::Channel(rule.channel));
        }
        let before = self.by_client.get(&client).copied();
        if self.by_peer.get(&peer).is_some_and(|at| Some(*at) != before) {
            return Err(Refused::PeerTaken(rule.peer));
        }
        let at = match before {
            Some(at) => {
                self.replace(at, rule);
                at
            }
            None if self.len() >= most => return Err(Refused::Full(most)),
            None => self.place(Live::new(rule)),
        };
        self.by_client.insert(client, at);
        self.by_peer.insert(peer, at);
        Ok(())
    }

    /// Takes a rule away and says what has passed.
    pub(super) fn remove(&mut self, client: Client, channel: u16) -> Option<Traffic> {
        let at = self.by_client.remove(&(client, channel))?;
        let live = self.rules.get_mut(at)?.take()?;
        self.by_peer.remove(&(live.rule.port, live.rule.peer));
        self.free.push(at);
        Some(live.traffic())
    }

    /// Takes all rules away for which this holds.
    pub(super) fn remove_where(&mut self, is: impl Fn(&Rule) -> bool) {
        let legs = self.rules.iter().flatten().filter(|live| is(&live.rule));
        let legs: Vec<_> = legs.map(|live| (live.rule.client, live.rule.channel)).collect();
        for (client, channel) in legs {
            self.remove(client, channel);
        }
    }

    pub(super) fn traffic(&self, client: Client, channel: u16) -> Option<Traffic> {
        let at = *self.by_client.get(&(client, channel))?;
        Some(self.rules.get(at)?.as_ref()?.traffic())
    }

    /// The rule of a packet of a client.
    pub(super) fn of_client(&mut self, client: Client, channel: u16) -> Option<&mut Live> {
        let at = *self.by_client.get(&(client, channel))?;
        self.rules.get_mut(at)?.as_mut()
    }

    /// The rule of a packet of a peer.
    pub(super) fn of_peer(&mut self, port: PortId, peer: SocketAddr) -> Option<&mut Live> {
        let at = *self.by_peer.get(&(port, peer))?;
        self.rules.get_mut(at)?.as_mut()
    }

    fn replace(&mut self, at: usize, rule: Rule) {
        if let Some(live) = self.rules.get_mut(at).and_then(Option::as_mut) {
            self.by_peer.remove(&(live.rule.port, live.rule.peer));
            live.replace(rule);
        }
    }

    fn place(&mut self, live: Live) -> usize {
        let at = self.free.pop().unwrap_or(self.rules.len());
        match self.rules.get_mut(at) {
            Some(place) => *place = Some(live),
            None => self.rules.push(Some(live)),
        }
        at
    }
}

impl Live {
    fn new(rule: Rule) -> Live {
        Live { rule, to_peer: Way::new(rule.budget), to_client: Way::new(rule.budget) }
    }

    fn replace(&mut self, rule: Rule) {
        if rule.budget != self.rule.budget {
            self.to_peer.meter = rule.budget.map(Meter::new);
            self.to_client.meter = rule.budget.map(Meter::new);
        }
        self.rule = rule;
    }

    fn traffic(&self) -> Traffic {
        Traffic { to_peer: self.to_peer.passed, to_client: self.to_client.passed }
    }
}

impl Way {
    fn new(budget: Option<NonZeroU64>) -> Way {
        Way { passed: Passed::default(), meter: budget.map(Meter::new) }
    }

    /// Counts a packet with so many bytes of payload; false if it may not pass.
    pub(super) fn takes(&mut self, bytes: usize, now: Instant) -> bool {
        let takes = self.meter.as_mut().is_none_or(|meter| meter.takes(bytes, now));
        if takes {
            self.passed.packets += 1;
            self.passed.bytes += bytes as u64;
        } else {
            self.passed.dropped += 1;
        }
        takes
    }
}

impl Meter {
    fn new(per_second: NonZeroU64) -> Meter {
        Meter { per_second, paid: None }
    }

    fn takes(&mut self, bytes: usize, now: Instant) -> bool {
        let paid = self.paid.map_or(now, |paid| paid.max(now));
        if paid > now + BURST {
            return false;
        }
        // At most 65 535 bytes: no overflow.
        let costs = Duration::from_nanos(bytes as u64 * 1_000_000_000 / self.per_second);
        self.paid = Some(paid + costs);
        true
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Channel(number) => write!(f, "{number:#06x} is no channel: 0x4000 to 0x4fff are"),
            Refused::PeerTaken(peer) => write!(f, "{peer} has another channel on this relayed address"),
            Refused::Closed => write!(f, "a leg of the rule is closed"),
            Refused::Full(most) => write!(f, "all {most} forwarding rules are in use; raise the limit"),
        }
    }
}

impl std::error::Error for Refused {}
