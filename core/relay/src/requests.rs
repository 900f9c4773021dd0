//! Requests: every one but Binding is proven before anything else is looked at (RFC 8656, 5), then answered.

use carillon_wire::stun::{Builder, Class, Message, Method, kind};

use crate::allocation::Allocation;
use crate::answer::{Code, Refusal};
use crate::contract::{Event, Output};
use crate::counts::dropped;
use crate::nonce::Nonce;
use crate::proofs::{Denied, Proven};
use crate::relay::{Asked, Relay};
use crate::table::Slot;

/// Attributes that are understood, of those that have to be (RFC 8489, 14; RFC 8656, 18; RFC 8445, 16; RFC
/// 6062, 6). BANDWIDTH and TIMER-VAL
/// of the drafts before RFC 5766 are reserved, and some clients still send them.
const KNOWN: [u16; 23] = [
    kind::MAPPED_ADDRESS,
    kind::USERNAME,
    kind::MESSAGE_INTEGRITY,
    kind::ERROR_CODE,
    kind::UNKNOWN_ATTRIBUTES,
    kind::CHANNEL_NUMBER,
    kind::LIFETIME,
    kind::XOR_PEER_ADDRESS,
    kind::DATA,
    kind::REALM,
    kind::NONCE,
    kind::XOR_RELAYED_ADDRESS,
    kind::REQUESTED_ADDRESS_FAMILY,
    kind::EVEN_PORT,
    kind::REQUESTED_TRANSPORT,
    kind::MESSAGE_INTEGRITY_SHA256,
    kind::PASSWORD_ALGORITHM,
    kind::USERHASH,
    kind::XOR_MAPPED_ADDRESS,
    kind::RESERVATION_TOKEN,
    kind::PRIORITY,
    kind::USE_CANDIDATE,
    kind::CONNECTION_ID,
];

/// The name of a method that is answered.
pub(crate) const fn name(method: Method) -> Option<&'static str> {
    match method {
        Method::Binding => Some("binding"),
        Method::Allocate => Some("allocate"),
        Method::Refresh => Some("refresh"),
        Method::CreatePermission => Some("create-permission"),
        Method::ChannelBind => Some("channel-bind"),
        Method::Connect => Some("connect"),
        Method::ConnectionBind => Some("connection-bind"),
        _ => None,
    }
}

impl Relay {
    pub(crate) fn request(&mut self, asked: &Asked<'_>) {
        let Some(name) = name(asked.message.method()) else { return self.counts.drop(dropped::UNEXPECTED) };
        self.counts.request(name);
        let place = asked.flow.remote.ip();
        if asked.message.method() == Method::Binding {
            return match self.strangers.bindings.take(asked.now, place) {
                true => self.binding(asked),
                false => self.refuse_silently(asked),
            };
        }
        let worth = self.door.worth(&self.secret, asked.now, place, &asked.message);
        if !self.pays(asked, worth) {
            return;
        }
        match self.door.prove(worth, &asked.message) {
            Ok(proven) if self.is_over(asked, &proven) => self.deny(asked, worth, Denied::Expired),
            Ok(proven) => self.proven(asked, proven),
            Err(denied) => self.deny(asked, worth, denied),
        }
    }

    /// Whether a request is worth the work of its proof. Who shows a nonce of ours pays from an account of its own, so that
    /// nobody else behind its address, or who writes that address on packets, keeps it out.
    fn pays(&mut self, asked: &Asked<'_>, worth: Nonce) -> bool {
        let (now, place) = (asked.now, asked.flow.remote.ip());
        let rate = self.config.limits.requests;
        let allocation = asked.slot.and_then(|slot| self.table.get_mut(slot));
        let (pays, is_known) = (&mut self.strangers, worth != Nonce::Foreign);
        match allocation {
            Some(allocation) if is_known => {
                if !allocation.asked.take(rate, now) {
                    self.shut_out(asked.flow, dropped::TOO_MANY_OF_CLIENT);
                    return false;
                }
            }
            None if is_known && pays.proofs.take(now, place) => {}
            _ if !is_known && pays.answers.has_room(now, place) => {}
            _ => {
                self.refuse_silently(asked);
                return false;
            }
        }
        true
    }

    /// A source has used up what it may. Its streams end, but for those that have an allocation: somebody else may have done it.
    fn refuse_silently(&mut self, asked: &Asked<'_>) {
        match asked.slot {
            Some(_) => self.counts.drop(dropped::TOO_MANY),
            None => self.shut_out(asked.flow, dropped::TOO_MANY),
        }
    }

    /// Whether a credential has ended. A call that runs goes on with the one that it was made with, for so long.
    fn is_over(&self, asked: &Asked<'_>, proven: &Proven) -> bool {
        let wall = self.wall(asked.now);
        let Some(expires) = proven.expires.filter(|expires| *expires <= wall) else { return false };
        let allocation = asked.slot.and_then(|slot| self.table.get(slot));
        let made_it = |allocation: &Allocation| {
            allocation.expires == Some(expires) && *allocation.user == *proven.identity
        };
        let goes_on = asked.message.method() != Method::Allocate && allocation.is_some_and(made_it);
        !goes_on || expires + self.config.limits.after_expiry <= wall
    }

    /// The allocation of a request that only its owner may make.
    pub(crate) fn owned(&self, asked: &Asked<'_>, proven: &Proven) -> Result<Slot, Refusal> {
        let slot = asked.slot.ok_or(Code::AllocationMismatch)?;
        let allocation = self.table.get(slot).filter(|allocation| allocation.opening.is_none());
        match *allocation.ok_or(Code::AllocationMismatch)?.user == *proven.identity {
            true => Ok(slot),
            false => Err(Code::WrongCredentials.into()),
        }
    }

    /// What has to be understood and is not. DONT-FRAGMENT is, where the host can do it.
    pub(crate) fn unknown(&self, message: &Message<'_>) -> Option<Refusal> {
        let fragments = |kind: u16| kind == kind::DONT_FRAGMENT && self.config.forbids_fragments;
        let required = message.counting().filter(|attribute| attribute.is_required());
        let mut unknown: Vec<u16> = required.map(|attribute| attribute.kind).collect();
        unknown.retain(|kind| !KNOWN.contains(kind) && !matches!(kind, 0x0010 | 0x0021) && !fragments(*kind));
        unknown.dedup();
        (!unknown.is_empty()).then_some(Refusal::Unknown(unknown))
    }

    fn proven(&mut self, asked: &Asked<'_>, proven: Proven) {
        let seal = proven.seal;
        self.notice_sharing(asked, &proven);
        if let Some(refusal) = self.unknown(&asked.message) {
            return self.conclude(asked, seal, Err(refusal));
        }
        let outcome: Result<Option<Builder>, Refusal> = match asked.message.method() {
            Method::Allocate => self.allocate(asked, &proven),
            Method::Refresh => self.refresh(asked, &proven).map(Some),
            Method::CreatePermission => self.create_permission(asked, &proven).map(Some),
            Method::Connect => self.connect(asked, &proven),
            Method::ConnectionBind => self.connection_bind(asked, &proven),
            _ => self.channel_bind(asked, &proven).map(Some),
        };
        if let Some(outcome) = outcome.transpose() {
            self.conclude(asked, seal, outcome);
        }
    }

    /// Two users cannot have the same address and port, unless somebody translates addresses and mixes them up.
    fn notice_sharing(&mut self, asked: &Asked<'_>, proven: &Proven) {
        let allocation = asked.slot.and_then(|slot| self.table.get(slot));
        if allocation.is_some_and(|allocation| *allocation.user != *proven.identity) {
            self.counts.shared_addresses += 1;
            self.out.push_back(Output::Event(Event::SharedAddress { flow: asked.flow }));
        }
    }

    /// RFC 8489, 9.2.4: nothing in the answer that only a proven client should see.
    fn deny(&mut self, asked: &Asked<'_>, worth: Nonce, denied: Denied) {
        self.counts.deny(denied.name());
        let place = asked.flow.remote.ip();
        // Whoever has proven a password, with a nonce of ours that is too old, is no stranger.
        let is_known = denied == Denied::StaleNonce && worth == Nonce::Old;
        if !is_known && !self.strangers.answers.take(asked.now, place) {
            return self.refuse_silently(asked);
        }
        let code = match denied {
            Denied::Malformed => Code::BadRequest,
            Denied::StaleNonce => Code::StaleNonce,
            _ => Code::Unauthenticated,
        };
        let mut answer = self.refusal(asked, &code.into());
        if code != Code::BadRequest {
            answer = self.door.challenge(&self.secret, asked.now, place, answer);
        }
        self.answer(asked, None, answer);
    }

    /// An answer of success that says no more than that.
    pub(crate) fn done(asked: &Asked<'_>) -> Builder {
        asked.answer(Class::Success)
    }
}
