//! Forwarding rules as values, and the table that finds the one of a packet. No sockets here: another executor of
//! the same rules needs nothing else.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use carillon_wire::ip::Dscp;
use carillon_wire::stun;

use super::ledger::{Ledger, Payload, Towards, Traffic};
use super::{Client, PortId};

/// The name of a rule, chosen by whoever decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleId(pub u64);

/// A channel between a client and a peer, as it was decided: which packets go where, and with which marks. It is
/// found by both legs, so each may stand in one rule only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The client's leg.
    pub client: Client,
    /// The number of the channel on that leg: 0x4000 to 0x4fff (RFC 8656, 12), to 0x7fff for clients of RFC 5766.
    pub channel: u16,
    /// The peer's leg: from where the peer is reached.
    pub port: PortId,
    /// The peer.
    pub peer: SocketAddr,
    /// The mark of packets to the peer.
    pub to_peer: Dscp,
    /// The mark of packets to the client.
    pub to_client: Dscp,
}

/// Why a rule was not installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The number is none of a channel.
    Channel(u16),
    /// The client already has another rule for this channel.
    ChannelTaken(u16),
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
    rules: Vec<Option<Rule>>,
    free: Vec<usize>,
    by_id: HashMap<RuleId, usize>,
    by_client: HashMap<(Client, u16), usize>,
    by_peer: HashMap<(PortId, SocketAddr), usize>,
    /// Those of each port that has some.
    by_port: HashMap<PortId, Vec<RuleId>>,
    /// What all packets are charged to, with a rule or without.
    pub(super) ledger: Ledger,
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It passes, by this rule.
    Passes(Rule),
    /// The budget is spent.
    OverBudget,
    /// There is no rule for it.
    Unknown,
}

impl Table {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Adds a rule, or puts it in place of that of the same name.
    pub(super) fn install(&mut self, id: RuleId, rule: Rule, most: usize) -> Result<(), Refused> {
        let before = self.by_id.get(&id).copied();
        self.check(before, &rule)?;
        let at = match before {
            Some(at) => at,
            None if self.len() >= most => return Err(Refused::Full(most)),
            None => self.place(rule),
        };
        if let Some(live) = self.rules.get_mut(at).and_then(Option::as_mut) {
            self.by_client.remove(&(live.client, live.channel));
            self.by_peer.remove(&(live.port, live.peer));
            strike(&mut self.by_port, live.port, id);
            *live = rule;
        }
        self.by_id.insert(id, at);
        self.by_client.insert((rule.client, rule.channel), at);
        self.by_peer.insert((rule.port, rule.peer), at);
        self.by_port.entry(rule.port).or_default().push(id);
        Ok(())
    }

    /// Takes a rule away; false if there is none.
    pub(super) fn remove(&mut self, id: RuleId) -> bool {
        let at = self.by_id.remove(&id);
        let live = at.and_then(|at| Some((at, self.rules.get_mut(at)?.take()?)));
        let Some((at, rule)) = live else { return false };
        self.by_client.remove(&(rule.client, rule.channel));
        self.by_peer.remove(&(rule.port, rule.peer));
        strike(&mut self.by_port, rule.port, id);
        self.free.push(at);
        true
    }

    /// The names of a port's rules.
    pub(super) fn rules_of(&self, port: PortId) -> impl Iterator<Item = RuleId> + '_ {
        self.by_port.get(&port).into_iter().flatten().copied()
    }

    /// Forgets a port that is closed, with its rules; what has passed it since that was last told.
    pub(super) fn forget(&mut self, port: PortId) -> Traffic {
        for id in self.by_port.remove(&port).unwrap_or_default() {
            self.remove(id);
        }
        self.ledger.close(port)
    }

    /// What becomes of a packet of a client with this payload.
    pub(super) fn pass_to_peer(
        &mut self,
        client: Client,
        channel: u16,
        data: &[u8],
        now: Instant,
    ) -> Verdict {
        let at = self.by_client.get(&(client, channel));
        let rule = at.and_then(|at| self.rules.get(*at)?.as_ref());
        let Some(rule) = rule else { return Verdict::Unknown };
        let passes = self.ledger.charge(rule.port, Towards::Peer, rule.to_peer, Payload::of(data), now);
        if passes { Verdict::Passes(*rule) } else { Verdict::OverBudget }
    }

    /// What becomes of a packet of a peer.
    pub(super) fn pass_to_client(
        &mut self,
        port: PortId,
        peer: SocketAddr,
        data: &[u8],
        now: Instant,
    ) -> Verdict {
        let at = self.by_peer.get(&(port, peer));
        let rule = at.and_then(|at| self.rules.get(*at)?.as_ref());
        let Some(rule) = rule else { return Verdict::Unknown };
        let passes = self.ledger.charge(rule.port, Towards::Client, rule.to_client, Payload::of(data), now);
        if passes { Verdict::Passes(*rule) } else { Verdict::OverBudget }
    }

    /// Whether neither leg is in use by another rule.
    fn check(&self, before: Option<usize>, rule: &Rule) -> Result<(), Refused> {
        if !stun::is_channel_of_rfc5766(rule.channel) {
            return Err(Refused::Channel(rule.channel));
        }
        let other = |at: Option<&usize>| at.is_some_and(|at| Some(*at) != before);
        if other(self.by_client.get(&(rule.client, rule.channel))) {
            return Err(Refused::ChannelTaken(rule.channel));
        }
        match other(self.by_peer.get(&(rule.port, rule.peer))) {
            true => Err(Refused::PeerTaken(rule.peer)),
            false => Ok(()),
        }
    }

    fn place(&mut self, rule: Rule) -> usize {
        let at = self.free.pop().unwrap_or(self.rules.len());
        match self.rules.get_mut(at) {
            Some(place) => *place = Some(rule),
            None => self.rules.push(Some(rule)),
        }
        at
    }
}

fn strike(by_port: &mut HashMap<PortId, Vec<RuleId>>, port: PortId, id: RuleId) {
    let Some(rules) = by_port.get_mut(&port) else { return };
    rules.retain(|other| *other != id);
    if rules.is_empty() {
        by_port.remove(&port);
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Channel(number) => write!(f, "{number:#06x} is no channel: 0x4000 to 0x7fff are"),
            Refused::ChannelTaken(number) => {
                write!(f, "channel {number:#06x} of this client has another rule")
            }
            Refused::PeerTaken(peer) => write!(f, "{peer} has another channel on this relayed address"),
            Refused::Closed => write!(f, "a leg of the rule is closed"),
            Refused::Full(most) => write!(f, "all {most} forwarding rules are in use; raise the limit"),
        }
    }
}

impl std::error::Error for Refused {}
