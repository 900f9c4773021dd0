//! What comes: checks of the peer, answers to ours, and what relays hand on.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::stun::{COOKIE, Class, Message};

use super::agent::{Agent, peer_reflexive};
use super::check::{self, Wrong};
use super::checklist::{Asked, Pair, State};
use super::seal::is_sealed;
use super::{Base, Candidate, End, Kind, Media};
use crate::leg::Component;

/// The most checks that are kept until their sender is known.
const MOST_EARLY: usize = 16;
/// The most candidates of a peer, those of its description and those that its checks have shown.
const MOST_REMOTES: usize = 64;
/// Of these, those of one place that checks have shown to one of our ends: NATs that take another port for every peer show each
/// other new ones for as long as they are asked back.
const MOST_SHOWN: usize = 8;

/// A check from somebody who has read our description, and whose description we have not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Early {
    base: Base,
    from: SocketAddr,
    priority: u32,
    nominates: bool,
}

impl Agent {
    /// A message or frame of a relay.
    pub(super) fn handle_relayed<'a>(
        &mut self,
        now: Duration,
        at: usize,
        bytes: &'a [u8],
    ) -> Option<Media<'a>> {
        let relay = self.gathering.relays.get_mut(at)?;
        let data = relay.client.handle(now, &mut self.random, bytes);
        self.drain_relay(at);
        self.gather(now);
        let (peer, data) = data?;
        self.handle_packet(now, Base::Relay(at), peer, data)
    }

    /// A packet of a peer, or of anybody.
    pub(super) fn handle_packet<'a>(
        &mut self,
        now: Duration,
        base: Base,
        from: SocketAddr,
        bytes: &'a [u8],
    ) -> Option<Media<'a>> {
        if !is_stun(bytes) {
            let media = Media { component: self.component(base)?, from, bytes };
            let known = self.is_known(base, from);
            self.counts.foreign += u64::from(!known);
            return known.then_some(media);
        }
        match check::read(bytes) {
            Some(message) if message.class() == Class::Request => self.asked(now, base, from, &message),
            Some(message) if matches!(message.class(), Class::Success | Class::Error) => {
                self.answered(now, base, from, &message);
            }
            // An indication keeps a NAT open, and that was all (RFC 8445, 11).
            Some(_) => {}
            None => self.counts.garbage += 1,
        }
        None
    }

    /// The same as if it came now.
    pub(super) fn replay(&mut self, now: Duration, early: &Early) {
        self.check_back(now, early);
    }

    fn asked(&mut self, now: Duration, base: Base, from: SocketAddr, message: &Message<'_>) {
        if let Err(wrong) = check::verify(message, &self.local) {
            self.counts.strangers += u64::from(!matches!(wrong, Wrong::Unknown(_)));
            let refusal = check::refusal(message, wrong, &self.local);
            return refusal.into_iter().for_each(|bytes| self.transmit(base, from, &bytes));
        }
        if self.is_role_conflict(message) {
            let refusal = check::role_conflict(message, &self.local);
            return refusal.into_iter().for_each(|bytes| self.transmit(base, from, &bytes));
        }
        if let Some(bytes) = check::success(message, from, &self.local) {
            self.counts.checks_answered += 1;
            self.transmit(base, from, &bytes);
        }
        let (priority, nominates) = (message.priority().unwrap_or(0), message.use_candidate());
        let early = Early { base, from, priority, nominates };
        match self.remote {
            Some(_) => self.check_back(now, &early),
            None if self.early.len() < MOST_EARLY && !self.early.contains(&early) => self.early.push(early),
            None => {}
        }
    }

    /// RFC 8445, 7.3.1.1: the one with the greater number chooses. `true` if the peer has to change.
    fn is_role_conflict(&mut self, message: &Message<'_>) -> bool {
        if self.remote.is_none() {
            return false;
        }
        let (theirs, we_win_by) =
            match (self.controlling, message.ice_controlling(), message.ice_controlled()) {
                (true, Some(theirs), _) => (theirs, true),
                (false, _, Some(theirs)) => (theirs, false),
                _ => return false,
            };
        let we_have_more = self.tie_breaker >= theirs;
        if we_have_more == we_win_by {
            return true;
        }
        self.controlling = !self.controlling;
        false
    }

    /// Who reaches us that way is tried back (RFC 8445, 7.3.1.3 to 7.3.1.5).
    fn check_back(&mut self, now: Duration, early: &Early) {
        let Early { base, from, priority, nominates } = *early;
        let Some((_, local)) = self.gathering.bases().into_iter().find(|(of, _)| *of == base) else { return };
        let here = |pair: &&Pair| pair.base == base && pair.component == local.component;
        let listed = self.list.pairs.iter().filter(here).map(|pair| &pair.remote);
        let described = self.remote.iter().flat_map(|remote| &remote.candidates);
        let known = described
            .chain(listed.clone())
            .copied()
            .find(|remote| remote.component == local.component && remote.address == from);
        let shown =
            |remote: &&Candidate| remote.kind == Kind::PeerReflexive && remote.address.ip() == from.ip();
        let room = self.list.pairs.len() < MOST_REMOTES && listed.filter(shown).count() < MOST_SHOWN;
        let Some(remote) = known.or_else(|| room.then(|| peer_reflexive(local.component, from, priority)))
        else {
            return;
        };
        let Some(at) = self.list.add(base, local, remote) else { return };
        self.permit(now, base, from);
        let Some(pair) = self.list.pairs.get_mut(at) else { return };
        pair.heard = true;
        pair.nominated |= nominates && !self.controlling;
        match pair.state {
            State::Succeeded if pair.nominated && !self.controlling => self.take(now, at),
            State::Succeeded => {}
            State::Frozen | State::Waiting | State::InProgress | State::Failed => {
                (pair.state, pair.asked) = (State::Waiting, None);
                self.list.trigger(at);
            }
        }
        self.choose(now);
    }

    fn answered(&mut self, now: Duration, base: Base, from: SocketAddr, message: &Message<'_>) {
        let id = message.transaction_id();
        let Some(remote) = &self.remote else { return };
        if !is_sealed(message, remote.credentials.password.as_bytes()) {
            self.counts.garbage += 1;
            return;
        }
        if let Some(chosen) = self.chosen.values_mut().find(|chosen| chosen.is_answer(id)) {
            let is_there = chosen.base == base && chosen.path.remote.address == from;
            if message.class() == Class::Success && is_there {
                chosen.agree(now, id);
            }
            return;
        }
        let of = |asked: &Option<Asked>| asked.is_some_and(|asked| asked.id == *id);
        let Some(at) = self.list.pairs.iter().position(|pair| of(&pair.asked)) else {
            self.counts.garbage += 1;
            return;
        };
        match message.class() {
            Class::Success => self.succeeded(now, at, base, from, message),
            _ => self.failed(now, at, message),
        }
    }

    /// RFC 8445, 7.2.5.2 and 7.2.5.3. An answer that came another way than its request went is none.
    fn succeeded(&mut self, now: Duration, at: usize, base: Base, from: SocketAddr, message: &Message<'_>) {
        let candidates = self.gathering.candidates();
        let Some(pair) = self.list.pairs.get_mut(at) else { return };
        let Some(asked) = pair.asked.take() else { return };
        let mapped =
            message.xor_mapped_address().filter(|_| pair.base == base && pair.remote.address == from);
        let Some(mapped) = mapped else {
            pair.state = State::Failed;
            return;
        };
        let known = candidates.iter().find(|own| own.component == pair.component && own.address == mapped);
        let kind = known.map_or(Kind::PeerReflexive, |own| own.kind);
        pair.mapped = Some(End { kind, address: mapped });
        pair.state = State::Succeeded;
        let (component, is_chosen) =
            (pair.component, pair.nominated && (asked.nominates || !self.controlling));
        self.list.thaw_like(at);
        if let Some(first) = self.open.get_mut(&component) {
            first.get_or_insert(now);
        }
        if is_chosen {
            self.take(now, at);
        }
        self.choose(now);
    }

    fn failed(&mut self, now: Duration, at: usize, message: &Message<'_>) {
        let code = message.error_code().map_or(0, |error| error.code);
        let Some(pair) = self.list.pairs.get_mut(at) else { return };
        let Some(asked) = pair.asked.take() else { return };
        if code == 487 {
            // Whoever was wrong about its role has changed it; the check is made again (RFC 8445, 7.2.5.1).
            pair.state = State::Waiting;
            if asked.controlling == self.controlling {
                self.controlling = !self.controlling;
                self.tie_breaker = u64::from_be_bytes(self.random.bytes());
            }
            self.list.trigger(at);
            return;
        }
        (pair.state, pair.nominated) = (State::Failed, false);
        self.choose(now);
    }

    /// Whether somebody is there who has read our description.
    fn is_known(&self, base: Base, from: SocketAddr) -> bool {
        let mut chosen = self.chosen.values().map(|chosen| (chosen.base, chosen.path.remote.address));
        let proven =
            |pair: &Pair| pair.base == base && pair.remote.address == from && (pair.heard || pair.is_valid());
        let early = |early: &Early| early.base == base && early.from == from;
        chosen.any(|way| way == (base, from))
            || self.list.pairs.iter().any(proven)
            || self.early.iter().any(early)
    }

    fn component(&self, base: Base) -> Option<Component> {
        match base {
            Base::Port(component, _) => Some(component),
            Base::Relay(at) => self.gathering.relays.get(at).map(|relay| relay.component),
        }
    }
}

/// RFC 7983: RTP and RTCP begin with other bits.
fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| *first < 4) && bytes.get(4..8) == Some(&COOKIE)
}
