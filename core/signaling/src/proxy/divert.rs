//! Calls that rules send elsewhere: the phones before are let go, others ring, and the caller is told (181).
//!
//! Where such a call goes is decided in [`crate::rules`].

use std::time::Duration;

use super::Proxy;
use super::fork::Attempt;
use crate::incoming::{Incoming, answer, tag};
use crate::reply::Reply;
use crate::rules::{Cause, Hunt};
use crate::transaction::{Id, Owner};

/// What phones that ring no longer are told: nobody has taken the call there.
const FORWARDED: &[u8] = b"SIP;cause=408;text=\"Call forwarded\"";

impl Proxy {
    /// The rules of a request that is not answered.
    pub(crate) fn take_hunt(&mut self, id: Id) -> Option<Box<Hunt>> {
        let fork = self.servers.get_mut(id)?.work.as_mut().filter(|fork| !fork.cancelled)?;
        fork.hunt.take()
    }

    /// Goes on elsewhere. Nobody waits for the phones that are let go; one that answers at this moment has the call.
    pub(crate) fn redirect(&mut self, now: Duration, id: Id, hunt: Box<Hunt>, attempts: Vec<Attempt>) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let Some(fork) = server.work.as_mut() else { return };
        let weight = fork.request.len() * attempts.len();
        server.weight += weight;
        server.alarm = hunt.patience.map(|patience| now + patience);
        let former = fork.turn(hunt, attempts);
        self.held += weight;
        for branch in &former {
            let client = self.clients.get_mut(*branch).filter(|client| client.owner == Owner::Request(id));
            client.into_iter().for_each(|client| client.owner = Owner::Former(id));
        }
        self.cancel_branches(now, &former, Some(FORWARDED));
        self.resume(id, |proxy, fork, incoming, way| {
            proxy.tell_forwarded(now, id, incoming);
            proxy.launch(now, id, fork, incoming, way);
        });
    }

    /// No rule sends it elsewhere: it ends as it did, or goes on ringing.
    pub(crate) fn conclude(&mut self, now: Duration, id: Id) {
        self.advance_if_done(now, id);
    }

    /// Nobody has answered in time.
    pub(super) fn alarm(&mut self, now: Duration, id: Id) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.alarm = None;
        self.diverting.push_back((id, Cause::NoAnswer));
        self.settle_server(now, id);
    }

    /// 181: the caller learns that somebody else will answer.
    pub(super) fn tell_forwarded(&mut self, now: Duration, id: Id, incoming: &Incoming<'_>) {
        let reply = Reply::new(181, "Call Is Being Forwarded");
        let bytes = answer(incoming.message, &incoming.flow, &tag(&self.secret, incoming.message), &reply);
        self.counts.answer(181);
        self.give(now, id, 181, bytes);
    }
}
