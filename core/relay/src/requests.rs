//! Requests: every one but Binding is proven before anything else is looked at (RFC 8656, 5), then answered.

use carillon_wire::stun::{Builder, Class, Message, Method, kind};

use crate::access::{Denied, Proven};
use crate::answer::{Code, Refusal};
use crate::counts::dropped;
use crate::relay::{Asked, Relay};
use crate::table::Slot;

/// Attributes that are understood, of those that have to be (RFC 8489, 14; RFC 8656, 18; RFC 8445, 16). BANDWIDTH and TIMER-VAL
/// of the drafts before RFC 5766 are reserved, and some clients still send them.
const KNOWN: [u16; 22] = [
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
];

/// The name of a method that is answered.
pub(crate) const fn name(method: Method) -> Option<&'static str> {
    match method {
        Method::Binding => Some("binding"),
        Method::Allocate => Some("allocate"),
        Method::Refresh => Some("refresh"),
        Method::CreatePermission => Some("create-permission"),
        Method::ChannelBind => Some("channel-bind"),
        _ => None,
    }
}

impl Relay {
    pub(crate) fn request(&mut self, asked: &Asked<'_>) {
        let Some(name) = name(asked.message.method()) else { return self.counts.drop(dropped::UNEXPECTED) };
        self.counts.request(name);
        // Whoever has an allocation has proven something; others borrow a token and get it back with their proof.
        let place = asked.flow.remote.ip();
        if asked.slot.is_none() && !self.gate.take(&self.secret, asked.now, place) {
            return self.counts.drop(dropped::TOO_MANY);
        }
        if asked.message.method() == Method::Binding {
            return self.binding(asked);
        }
        match self.door.prove(&self.secret, asked.now, place, &asked.message) {
            Ok(proven) => {
                if asked.slot.is_none() {
                    self.gate.give_back(&self.secret, asked.now, place);
                }
                self.proven(asked, proven);
            }
            Err(denied) => self.deny(asked, denied),
        }
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
        if let Some(refusal) = self.unknown(&asked.message) {
            return self.conclude(asked, seal, Err(refusal));
        }
        let outcome: Result<Option<Builder>, Refusal> = match asked.message.method() {
            Method::Allocate => self.allocate(asked, &proven),
            Method::Refresh => self.refresh(asked, &proven).map(Some),
            Method::CreatePermission => self.create_permission(asked, &proven).map(Some),
            _ => self.channel_bind(asked, &proven).map(Some),
        };
        if let Some(outcome) = outcome.transpose() {
            self.conclude(asked, seal, outcome);
        }
    }

    /// RFC 8489, 9.2.4: nothing in the answer that only a proven client should see.
    fn deny(&mut self, asked: &Asked<'_>, denied: Denied) {
        self.counts.deny(denied.name());
        let place = asked.flow.remote.ip();
        if asked.slot.is_some() && !self.gate.take(&self.secret, asked.now, place) {
            return self.counts.drop(dropped::TOO_MANY);
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
