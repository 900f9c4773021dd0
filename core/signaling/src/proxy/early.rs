//! Dialogs that have no answer yet (RFC 3261, 12): what is described in them changes a call that is not one.
//!
//! A bridge of ours has an offer and no answer then, and passes nothing else on; links have promised what the INVITE asked for, and no
//! more.

use std::collections::BTreeSet;

use carillon_wire::sip::{Answer, Method};
use hashbrown::HashMap;

use super::budget::OVER_BUDGET;
use super::fork::Fork;
use super::{Crossing, Proxy};
use crate::bandwidth::{Asked, Full, Wanted, restricted};
use crate::calls;
use crate::incoming::Incoming;
use crate::transaction::{Id, Owner, Plain};

/// A bridge has one offer at a time.
const TOO_EARLY: Answer = Answer { code: 488, reason: "Media Cannot Be Bridged Before The Answer" };
/// Early dialogs that are remembered of one branch. A phone has one; a proxy of others may have several behind it.
const MOST: usize = 8;

/// The INVITEs that dialogs without an answer belong to, as far as somebody has to know.
#[derive(Default)]
pub(super) struct Early {
    invites: HashMap<u128, Id, Plain>,
    dialogs: BTreeSet<(Id, u128)>,
}

impl Early {
    fn begins(&mut self, id: Id, dialog: u128) {
        if !self.invites.contains_key(&dialog) && self.of(id).count() < MOST {
            self.invites.insert(dialog, id);
            self.dialogs.insert((id, dialog));
        }
    }

    /// An INVITE is over.
    pub(super) fn ended(&mut self, id: Id) {
        let dialogs: Vec<u128> = self.of(id).collect();
        for dialog in dialogs {
            self.invites.remove(&dialog);
            self.dialogs.remove(&(id, dialog));
        }
    }

    fn of(&self, id: Id) -> impl Iterator<Item = u128> + '_ {
        self.dialogs.range((id, 0)..=(id, u128::MAX)).map(|(_, dialog)| *dialog)
    }
}

impl Proxy {
    /// A provisional answer to an INVITE begins a dialog.
    pub(super) fn begins_early(&mut self, id: Id, answer: &Incoming<'_>) {
        let Some(client) = self.clients.get(id).filter(|client| client.is_invite()) else { return };
        let matters = client.crossing.is_some_and(Crossing::begins) || !self.calls.bandwidth.is_idle();
        if matters && answer.has_dialog() {
            self.early.begins(id, calls::key(&self.secret, &answer.routing));
        }
    }

    /// An UPDATE or a PRACK that describes something before the answer (RFC 3311, 5.1; RFC 3262, 5): its body, if not all of it
    /// may pass.
    pub(super) fn meanwhile(
        &self,
        fork: &mut Fork,
        incoming: &Incoming<'_>,
    ) -> Result<Option<Vec<u8>>, Answer> {
        if self.early.invites.is_empty() || !matches!(incoming.method(), Method::Update | Method::Prack) {
            return Ok(None);
        }
        let key = calls::key(&self.secret, &incoming.routing);
        let id = self.early.invites.get(&key).filter(|_| !self.calls.is_up(key));
        let (Some(client), Some(wanted)) =
            (id.and_then(|id| self.clients.get(*id)), Wanted::of(incoming.message))
        else {
            return Ok(None);
        };
        if client.crossing.is_some() {
            return Err(TOO_EARLY);
        }
        let Owner::Request(owner) = client.owner else { return Ok(None) };
        let asked = Asked { id: owner, to: self.records.site(client.to.remote()), side: None };
        match self.calls.bandwidth.meanwhile(&asked, &wanted) {
            None => Ok(None),
            Some(Ok(granted)) => Ok(restricted(incoming.message, granted)),
            Some(Err(Full(link))) => {
                fork.full = Some(link);
                Err(OVER_BUDGET)
            }
        }
    }
}
