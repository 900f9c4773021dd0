//! What relayed addresses have carried, and what they may: every packet is charged here once, whether a rule carries it or the
//! caller sends it.
//!
//! What is charged is the packet towards the peer with its IP and UDP headers: many small packets cost as they should.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use carillon_wire::stun::{Look, look};

use super::PortId;
use super::kernel::{Book as SharedBook, SharedMeter};

/// What may come at once after a rest, in time of the budget.
pub(super) const BURST: Duration = Duration::from_millis(250);
/// A connection brings so much of a second's budget at once: a quarter of the burst.
const PARTS: u64 = 16;
/// IP and UDP (RFC 791, RFC 8200, RFC 768).
const HEADERS: [u64; 2] = [28, 48];
/// Of a connection, in how many packets its bytes come.
const SEGMENT: usize = 1400;

/// Bytes a second in each direction, headers included; a quarter of a second of them may come at once.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Budgets {
    /// Of one relayed address.
    pub port: Option<NonZeroU64>,
    /// Of all that one account has, see [`super::Forwarder::charge_to`].
    pub account: Option<NonZeroU64>,
    /// Of all that one group of accounts has.
    pub group: Option<NonZeroU64>,
    /// Of what leaves one relayed address with this mark (RFC 3246: what is expedited is policed).
    pub policed: Option<(Dscp, NonZeroU64)>,
}

/// Whoever pays for some relayed addresses together, or a group of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Account(pub u64);

/// Who pays for several ports, as the kernel has to know it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Payer {
    Account(Account),
    Group(Account),
}

/// What has passed in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Passed {
    /// Packets that were sent on.
    pub packets: u64,
    /// Bytes of their payload.
    pub bytes: u64,
    /// Those of them that are STUN: connectivity checks and consent (RFC 7675).
    pub checks: u64,
    /// Packets that were dropped: over the budget.
    pub dropped: u64,
}

/// What has passed a relayed address.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// From the client to peers.
    pub to_peer: Passed,
    /// From peers to the client.
    pub to_client: Passed,
}

/// What is charged for a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payload {
    /// Its bytes, without what the relay puts around it.
    pub len: usize,
    /// It is STUN.
    pub is_check: bool,
}

/// Where a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Towards {
    Peer,
    Client,
}

/// All books.
#[derive(Default)]
pub(super) struct Ledger {
    budgets: Budgets,
    ports: HashMap<PortId, Book>,
    accounts: Accounts,
    groups: Accounts,
    /// Ports with news for the caller.
    touched: Vec<PortId>,
}

/// Of one relayed address.
struct Book {
    headers: u64,
    account: Option<usize>,
    group: Option<usize>,
    to_peer: Lane,
    to_client: Lane,
    /// Stands among those with news.
    is_touched: bool,
}

/// One direction of it.
#[derive(Default)]
struct Lane {
    all: Meter,
    policed: Meter,
    passed: Passed,
}

/// Who pays for several ports.
#[derive(Default)]
struct Accounts {
    /// By the place that books name; those of no port are used again.
    holders: Vec<Holder>,
    places: HashMap<Account, usize>,
    free: Vec<usize>,
}

/// Of one account.
struct Holder {
    account: Account,
    ports: usize,
    to_peer: Meter,
    to_client: Meter,
}

/// What is being spent: the moment at which what has passed would be paid for (GCRA, ITU-T I.371).
#[derive(Default)]
struct Meter {
    paid: Option<Instant>,
    /// Where that is written instead if the kernel spends from it too.
    shared: Option<SharedMeter>,
}

impl Payload {
    /// Of these bytes.
    pub fn of(data: &[u8]) -> Payload {
        Payload { len: data.len(), is_check: look(data) == Look::Message }
    }
}

impl Ledger {
    /// What was spent stays spent.
    pub(super) fn set_budgets(&mut self, budgets: Budgets) {
        self.budgets = budgets;
    }

    /// Opens the book of a port.
    pub(super) fn open(&mut self, port: PortId, is_v4: bool) {
        let [v4, v6] = HEADERS;
        let headers = if is_v4 { v4 } else { v6 };
        let (to_peer, to_client) = (Lane::default(), Lane::default());
        let book = Book { headers, account: None, group: None, to_peer, to_client, is_touched: false };
        self.ports.insert(port, book);
    }

    /// From now on the port is one of that account's, and of that group's.
    pub(super) fn charge_to(&mut self, port: PortId, account: Account, group: Option<Account>) {
        let Some(book) = self.ports.get_mut(&port) else { return };
        let account = Some(self.accounts.join(account));
        let group = group.map(|group| self.groups.join(group));
        self.accounts.leave(std::mem::replace(&mut book.account, account));
        self.groups.leave(std::mem::replace(&mut book.group, group));
    }

    /// Closes a book; what has passed since it was last told.
    pub(super) fn close(&mut self, port: PortId) -> Traffic {
        let Some(book) = self.ports.remove(&port) else { return Traffic::default() };
        self.accounts.leave(book.account);
        self.groups.leave(book.group);
        book.traffic()
    }

    /// Who pays for a port together with others.
    pub(super) fn payers(&self, port: PortId) -> Vec<Payer> {
        let Some(Book { account, group, .. }) = self.ports.get(&port) else { return Vec::new() };
        let account = self.accounts.at(*account).map(Payer::Account);
        account.into_iter().chain(self.groups.at(*group).map(Payer::Group)).collect()
    }

    /// The kernel charges this port too from now on, and writes it there.
    pub(super) fn share(&mut self, port: PortId, with: &SharedBook) {
        let Some(book) = self.ports.get_mut(&port) else { return };
        for (lane, towards) in [(&mut book.to_peer, Towards::Peer), (&mut book.to_client, Towards::Client)] {
            lane.all.share(with.meter(towards, false));
            lane.policed.share(with.meter(towards, true));
        }
    }

    /// The same for who pays for several.
    pub(super) fn share_payer(&mut self, payer: Payer, with: &SharedBook) {
        let Some(holder) = self.holder(payer) else { return };
        holder.to_peer.share(with.meter(Towards::Peer, false));
        holder.to_client.share(with.meter(Towards::Client, false));
    }

    /// The kernel does so no longer.
    pub(super) fn keep_payer_alone(&mut self, payer: Payer) {
        let Some(holder) = self.holder(payer) else { return };
        holder.to_peer.keep_alone();
        holder.to_client.keep_alone();
    }

    fn holder(&mut self, payer: Payer) -> Option<&mut Holder> {
        match payer {
            Payer::Account(account) => self.accounts.of(account),
            Payer::Group(group) => self.groups.of(group),
        }
    }

    /// Writes down what the kernel has carried, and charged.
    pub(super) fn note(&mut self, port: PortId, traffic: Traffic) {
        let Ledger { ports, touched, .. } = self;
        let Some(book) = ports.get_mut(&port) else { return };
        book.to_peer.passed.join(traffic.to_peer);
        book.to_client.passed.join(traffic.to_client);
        if !std::mem::replace(&mut book.is_touched, true) {
            touched.push(port);
        }
    }

    /// Charges a packet with this mark; false, and it is counted as dropped: a budget is spent.
    pub(super) fn charge(
        &mut self,
        port: PortId,
        towards: Towards,
        mark: Dscp,
        payload: Payload,
        now: Instant,
    ) -> bool {
        let Ledger { budgets, ports, accounts, groups, touched } = self;
        let Some(book) = ports.get_mut(&port) else { return false };
        if !std::mem::replace(&mut book.is_touched, true) {
            touched.push(port);
        }
        let size = payload.len as u64 + book.headers;
        let (passed, meters) = book.meters(*budgets, (accounts, groups), towards, mark);
        let has_room = meters.iter().flatten().all(|(meter, _)| meter.has_room(now));
        if has_room {
            for (meter, rate) in meters.into_iter().flatten() {
                meter.spend(size, rate, now);
            }
        }
        passed.add(payload, has_room);
        has_room
    }

    /// How much of what a connection has brought may pass now, or when to ask again. It takes a part of the burst and leaves the
    /// rest to datagrams, which can't wait.
    pub(super) fn room_of_stream(
        &mut self,
        port: PortId,
        towards: Towards,
        mark: Dscp,
        now: Instant,
    ) -> Result<usize, Instant> {
        let Ledger { budgets, ports, accounts, groups, .. } = self;
        let Some(book) = ports.get_mut(&port) else { return Ok(usize::MAX) };
        let (_, meters) = book.meters(*budgets, (accounts, groups), towards, mark);
        let (mut room, mut until) = (usize::MAX, now);
        for (meter, rate) in meters.into_iter().flatten() {
            room = room.min((rate.get() / PARTS) as usize);
            until = meter.paid().map_or(until, |paid| until.max(paid - BURST / 4));
        }
        if until > now { Err(until) } else { Ok(room.max(SEGMENT)) }
    }

    /// Charges what passes of a connection.
    pub(super) fn charge_stream(
        &mut self,
        port: PortId,
        towards: Towards,
        mark: Dscp,
        len: usize,
        now: Instant,
    ) {
        let Ledger { budgets, ports, accounts, groups, touched } = self;
        let Some(book) = ports.get_mut(&port) else { return };
        if !std::mem::replace(&mut book.is_touched, true) {
            touched.push(port);
        }
        let size = len as u64 + book.headers * len.div_ceil(SEGMENT) as u64;
        let (passed, meters) = book.meters(*budgets, (accounts, groups), towards, mark);
        passed.add(Payload { len, is_check: false }, true);
        for (meter, rate) in meters.into_iter().flatten() {
            meter.spend(size, rate, now);
        }
    }

    /// What has passed each port since the last time; those that carried nothing are not there.
    pub(super) fn news(&mut self) -> Vec<(PortId, Traffic)> {
        let Ledger { ports, touched, .. } = self;
        let told = touched.drain(..).filter_map(|port| {
            let book = ports.get_mut(&port)?;
            book.is_touched = false;
            let traffic = book.traffic();
            (book.to_peer.passed, book.to_client.passed) = (Passed::default(), Passed::default());
            Some((port, traffic))
        });
        told.collect()
    }
}

impl Accounts {
    /// One port more; the account's place.
    fn join(&mut self, account: Account) -> usize {
        let place = self.place(account);
        self.holders.get_mut(place).into_iter().for_each(|holder| holder.ports += 1);
        place
    }

    /// One port less.
    fn leave(&mut self, place: Option<usize>) {
        let Some((place, holder)) = place.and_then(|place| Some((place, self.holders.get_mut(place)?)))
        else {
            return;
        };
        holder.ports -= 1;
        if holder.ports == 0 {
            self.places.remove(&holder.account);
            self.free.push(place);
        }
    }

    /// What pays for one direction.
    fn meter(&mut self, place: Option<usize>, towards: Towards) -> Option<&mut Meter> {
        let holder = self.holders.get_mut(place?)?;
        Some(match towards {
            Towards::Peer => &mut holder.to_peer,
            Towards::Client => &mut holder.to_client,
        })
    }

    fn at(&self, place: Option<usize>) -> Option<Account> {
        Some(self.holders.get(place?)?.account)
    }

    fn of(&mut self, account: Account) -> Option<&mut Holder> {
        self.holders.get_mut(*self.places.get(&account)?)
    }

    fn place(&mut self, account: Account) -> usize {
        if let Some(place) = self.places.get(&account) {
            return *place;
        }
        let holder = Holder { account, ports: 0, to_peer: Meter::default(), to_client: Meter::default() };
        let place = self.free.pop().unwrap_or(self.holders.len());
        match self.holders.get_mut(place) {
            Some(free) => *free = holder,
            None => self.holders.push(holder),
        }
        self.places.insert(account, place);
        place
    }
}

impl Book {
    /// Where a packet is written down, and what it is paid from.
    fn meters<'a>(
        &'a mut self,
        budgets: Budgets,
        (accounts, groups): (&'a mut Accounts, &'a mut Accounts),
        towards: Towards,
        mark: Dscp,
    ) -> (&'a mut Passed, [Option<(&'a mut Meter, NonZeroU64)>; 4]) {
        let lane = match towards {
            Towards::Peer => &mut self.to_peer,
            Towards::Client => &mut self.to_client,
        };
        let of_account = accounts.meter(self.account, towards);
        let of_group = groups.meter(self.group, towards);
        let policed = budgets.policed.filter(|(policed, _)| *policed == mark);
        let meters = [
            budgets.port.map(|rate| (&mut lane.all, rate)),
            policed.map(|(_, rate)| (&mut lane.policed, rate)),
            budgets.account.zip(of_account).map(|(rate, meter)| (meter, rate)),
            budgets.group.zip(of_group).map(|(rate, meter)| (meter, rate)),
        ];
        (&mut lane.passed, meters)
    }

    fn traffic(&self) -> Traffic {
        Traffic { to_peer: self.to_peer.passed, to_client: self.to_client.passed }
    }
}

impl Passed {
    fn join(&mut self, more: Passed) {
        self.packets += more.packets;
        self.bytes += more.bytes;
        self.checks += more.checks;
        self.dropped += more.dropped;
    }

    fn add(&mut self, payload: Payload, passes: bool) {
        if !passes {
            self.dropped += 1;
            return;
        }
        self.packets += 1;
        self.bytes += payload.len as u64;
        self.checks += u64::from(payload.is_check);
    }
}

impl Meter {
    fn has_room(&self, now: Instant) -> bool {
        self.paid().is_none_or(|paid| paid <= now + BURST)
    }

    fn spend(&mut self, bytes: u64, per_second: NonZeroU64, now: Instant) {
        let paid = self.paid().map_or(now, |paid| paid.max(now));
        // At most what a connection brings in a turn, 192 kB: no overflow.
        let paid = paid + Duration::from_nanos(bytes * 1_000_000_000 / per_second);
        match &self.shared {
            Some(shared) => shared.raise(paid),
            None => self.paid = Some(paid),
        }
    }

    fn paid(&self) -> Option<Instant> {
        self.shared.as_ref().map_or(self.paid, SharedMeter::paid)
    }

    /// What is spent elsewhere is spent here too from now on.
    fn share(&mut self, with: SharedMeter) {
        self.paid().into_iter().for_each(|paid| with.raise(paid));
        self.shared = Some(with);
    }

    /// The opposite; what was spent stays spent.
    fn keep_alone(&mut self) {
        self.paid = self.paid();
        self.shared = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::sockets::SocketId;
    use super::*;

    const EMPTY: Payload = Payload { len: 0, is_check: false };

    fn rate(bytes: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(bytes)
    }

    fn port(place: u32) -> PortId {
        PortId(SocketId { place, ..SocketId::default() })
    }

    fn ledger(budgets: Budgets) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.set_budgets(budgets);
        (0..3).for_each(|place| ledger.open(port(place), place != 2));
        ledger
    }

    fn passing(ledger: &mut Ledger, place: u32, mark: Dscp, now: Instant) -> usize {
        (0..1000).filter(|_| ledger.charge(port(place), Towards::Peer, mark, EMPTY, now)).count()
    }

    /// A packet without payload is one of 28 or 48 bytes on the wire.
    #[test]
    fn an_empty_packet_costs_its_headers() {
        let (mut ledger, now) =
            (ledger(Budgets { port: rate(28 * 48), ..Budgets::default() }), Instant::now());
        assert_eq!(passing(&mut ledger, 0, Dscp::DEFAULT, now), 48 / 4 + 1);
        assert_eq!(passing(&mut ledger, 2, Dscp::DEFAULT, now), 28 / 4 + 1);
        assert_eq!(passing(&mut ledger, 0, Dscp::DEFAULT, now + Duration::from_secs(9)), 48 / 4 + 1);
    }

    #[test]
    fn of_what_has_the_policed_mark_less_passes() {
        let budgets = Budgets {
            policed: Some((Dscp::EF, NonZeroU64::MIN.saturating_add(28 * 40 - 1))),
            ..Budgets::default()
        };
        let (mut ledger, now) = (ledger(budgets), Instant::now());
        assert_eq!(passing(&mut ledger, 0, Dscp::EF, now), 11);
        assert_eq!(passing(&mut ledger, 0, Dscp::DEFAULT, now), 1000);
        assert!(
            ledger.charge(port(0), Towards::Client, Dscp::EF, EMPTY, now),
            "the other direction has its own"
        );
    }

    #[test]
    fn ports_of_an_account_share_its_budget_and_others_do_not() {
        let (mut ledger, now) =
            (ledger(Budgets { account: rate(28 * 40), ..Budgets::default() }), Instant::now());
        ledger.charge_to(port(0), Account(7), None);
        ledger.charge_to(port(1), Account(7), None);
        assert_eq!(passing(&mut ledger, 0, Dscp::EF, now) + passing(&mut ledger, 1, Dscp::EF, now), 11);
        assert_eq!(passing(&mut ledger, 2, Dscp::EF, now), 1000);
        // Whoever has no port any more has no debts: the next with this place begins anew.
        ledger.close(port(0));
        ledger.close(port(1));
        ledger.open(port(1), true);
        ledger.charge_to(port(1), Account(8), None);
        assert_eq!((ledger.accounts.holders.len(), passing(&mut ledger, 1, Dscp::EF, now)), (1, 11));
    }

    #[test]
    fn accounts_of_a_group_share_its_budget_beside_their_own() {
        let budgets = Budgets { account: rate(28 * 40), group: rate(28 * 60), ..Budgets::default() };
        let (mut ledger, now) = (ledger(budgets), Instant::now());
        ledger.charge_to(port(0), Account(7), Some(Account(1)));
        ledger.charge_to(port(1), Account(8), Some(Account(1)));
        assert_eq!(passing(&mut ledger, 0, Dscp::EF, now), 11, "its own is spent first");
        assert_eq!(passing(&mut ledger, 1, Dscp::EF, now), 16 - 11, "what is left of the group's");
        ledger.charge_to(port(2), Account(9), Some(Account(2)));
        assert!(passing(&mut ledger, 2, Dscp::EF, now) > 5, "another group has its own");
    }

    /// Audio of one user beside transfers of another at a budget that both share, for twenty seconds.
    #[test]
    fn transfers_take_what_audio_leaves_of_a_budget_and_cost_it_nothing() {
        const RATE: usize = 250_000;
        for transfers in [0, 1, 4] {
            let budgets = Budgets { group: rate(RATE as u64), ..Budgets::default() };
            let (mut ledger, start) = (ledger(budgets), Instant::now());
            ledger.charge_to(port(0), Account(7), Some(Account(1)));
            ledger.charge_to(port(1), Account(8), Some(Account(1)));
            let (mark, towards, audio) = (Dscp::EF, Towards::Peer, Payload { len: 172, is_check: false });
            for ms in 0..20_000 {
                let now = start + Duration::from_millis(ms);
                if ms % 20 == 0 {
                    assert!(ledger.charge(port(0), towards, mark, audio, now), "{transfers} at {ms}");
                }
                for _ in 0..transfers {
                    if let Ok(len) = ledger.room_of_stream(port(1), towards, mark, now) {
                        ledger.charge_stream(port(1), towards, mark, len, now);
                    }
                }
            }
            let passed = ledger.close(port(1)).to_peer.bytes as usize;
            let rest = 20 * (RATE - 50 * 200) * SEGMENT / (SEGMENT + 28);
            assert!(transfers == 0 || passed > rest * 98 / 100, "{passed} of {rest}");
        }
    }

    #[test]
    fn news_are_of_ports_that_carried_something_since_the_last_time() {
        let (mut ledger, now) = (ledger(Budgets::default()), Instant::now());
        passing(&mut ledger, 1, Dscp::EF, now);
        let news = ledger.news();
        assert_eq!(
            news.iter().map(|(port, traffic)| (*port, traffic.to_peer.packets)).collect::<Vec<_>>(),
            [(port(1), 1000)]
        );
        assert!(ledger.news().is_empty());
        passing(&mut ledger, 1, Dscp::EF, now);
        assert_eq!(ledger.close(port(1)).to_peer.packets, 1000);
        assert!(ledger.news().is_empty());
    }
}
