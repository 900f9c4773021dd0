//! Forwarding rules as values, and the table that finds the one of a packet. No sockets here: another executor of
//! the same rules needs nothing else.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use carillon_wire::stun;

use super::gate::{self, Look};
use super::{Client, PortId};

/// What a flow may send at once after a rest, in time of its budget.
const BURST: Duration = Duration::from_millis(250);

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
    /// Payload that all rules of this port together may pass in each direction, in bytes per second; a quarter of a
    /// second of it may come at once. The rule installed last says it for all.
    pub budget: Option<NonZeroU64>,
}

/// What has passed in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Passed {
    /// Packets that were sent on.
    pub packets: u64,
    /// Bytes of their payload, without the header of the channel.
    pub bytes: u64,
    /// Those of them that are STUN: connectivity checks and consent (RFC 7675).
    pub checks: u64,
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
    rules: Vec<Option<Live>>,
    free: Vec<usize>,
    by_id: HashMap<RuleId, usize>,
    by_client: HashMap<(Client, u16), usize>,
    by_peer: HashMap<(PortId, SocketAddr), usize>,
    budgets: HashMap<PortId, Budget>,
}

/// A rule at work.
struct Live {
    id: RuleId,
    rule: Rule,
    traffic: Traffic,
}

/// What the rules of a port may spend in each direction.
struct Budget {
    to_peer: Meter,
    to_client: Meter,
}

/// What is being spent: the moment at which what has passed would be paid for (GCRA, ITU-T I.371).
struct Meter {
    per_second: NonZeroU64,
    paid: Option<Instant>,
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

    /// Adds a rule, or puts it in place of that of the same name; then what has passed stays counted.
    pub(super) fn install(&mut self, id: RuleId, rule: Rule, most: usize) -> Result<(), Refused> {
        let before = self.by_id.get(&id).copied();
        self.check(before, &rule)?;
        let at = match before {
            Some(at) => at,
            None if self.len() >= most => return Err(Refused::Full(most)),
            None => self.place(Live { id, rule, traffic: Traffic::default() }),
        };
        if let Some(live) = self.rules.get_mut(at).and_then(Option::as_mut) {
            self.by_client.remove(&(live.rule.client, live.rule.channel));
            self.by_peer.remove(&(live.rule.port, live.rule.peer));
            live.rule = rule;
        }
        self.by_id.insert(id, at);
        self.by_client.insert((rule.client, rule.channel), at);
        self.by_peer.insert((rule.port, rule.peer), at);
        self.set_budget(rule.port, rule.budget);
        Ok(())
    }

    /// Takes a rule away and says what has passed.
    pub(super) fn remove(&mut self, id: RuleId) -> Option<Traffic> {
        let at = self.by_id.remove(&id)?;
        let Live { rule, traffic, .. } = self.rules.get_mut(at)?.take()?;
        self.by_client.remove(&(rule.client, rule.channel));
        self.by_peer.remove(&(rule.port, rule.peer));
        self.free.push(at);
        Some(traffic)
    }

    /// Takes all rules away for which this holds.
    pub(super) fn remove_where(&mut self, is: impl Fn(&Rule) -> bool) {
        let live = self.rules.iter().flatten().filter(|live| is(&live.rule));
        let ids: Vec<RuleId> = live.map(|live| live.id).collect();
        for id in ids {
            self.remove(id);
        }
    }

    /// Forgets a port that is closed, with all its rules.
    pub(super) fn forget(&mut self, port: PortId) {
        self.remove_where(|rule| rule.port == port);
        self.budgets.remove(&port);
    }

    pub(super) fn traffic(&self, id: RuleId) -> Option<Traffic> {
        Some(self.rules.get(*self.by_id.get(&id)?)?.as_ref()?.traffic)
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
        let live = at.and_then(|at| self.rules.get_mut(*at)?.as_mut());
        let Some(Live { rule, traffic, .. }) = live else { return Verdict::Unknown };
        let budget = rule.budget.and_then(|_| self.budgets.get_mut(&rule.port));
        pass(rule, &mut traffic.to_peer, budget.map(|budget| &mut budget.to_peer), data, now)
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
        let live = at.and_then(|at| self.rules.get_mut(*at)?.as_mut());
        let Some(Live { rule, traffic, .. }) = live else { return Verdict::Unknown };
        let budget = rule.budget.and_then(|_| self.budgets.get_mut(&rule.port));
        pass(rule, &mut traffic.to_client, budget.map(|budget| &mut budget.to_client), data, now)
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

    fn place(&mut self, live: Live) -> usize {
        let at = self.free.pop().unwrap_or(self.rules.len());
        match self.rules.get_mut(at) {
            Some(place) => *place = Some(live),
            None => self.rules.push(Some(live)),
        }
        at
    }

    /// What was spent stays spent if the budget is what it was.
    fn set_budget(&mut self, port: PortId, budget: Option<NonZeroU64>) {
        let before = self.budgets.get(&port).map(|budget| budget.to_peer.per_second);
        match budget {
            Some(per_second) if before != budget => {
                let meter = || Meter { per_second, paid: None };
                self.budgets.insert(port, Budget { to_peer: meter(), to_client: meter() });
            }
            Some(_) => {}
            None => drop(self.budgets.remove(&port)),
        }
    }
}

fn pass(rule: &Rule, passed: &mut Passed, meter: Option<&mut Meter>, data: &[u8], now: Instant) -> Verdict {
    if meter.is_some_and(|meter| !meter.takes(data.len(), now)) {
        passed.dropped += 1;
        return Verdict::OverBudget;
    }
    passed.packets += 1;
    passed.bytes += data.len() as u64;
    passed.checks += u64::from(gate::look(data) == Look::Message);
    Verdict::Passes(*rule)
}

impl Meter {
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
