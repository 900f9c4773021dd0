//! What happens when nothing happens: retransmissions, silence, connections that are gone.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{Answer, Flow, Transport};

use super::{Path, Proxy};
use crate::contract::Destination;
use crate::transaction::{Due, Id, Lapse, Owner};

const TIMEOUT: Answer = Answer { code: 408, reason: "Request Timeout" };

impl Proxy {
    /// All that is due.
    pub(crate) fn lapse(&mut self, now: Duration) {
        while let Some(id) = self.servers.due(now) {
            self.server_due(now, id);
        }
        while let Some(id) = self.clients.due(now) {
            self.client_due(now, id);
        }
        for call in self.calls.lapse(now, &mut self.out) {
            self.bridges.call_ended(call);
        }
    }

    /// When [`Proxy::lapse`] is to be called.
    pub(crate) fn next(&self) -> Option<Duration> {
        [self.servers.next(), self.clients.next(), self.calls.next()].into_iter().flatten().min()
    }

    fn server_due(&mut self, now: Duration, id: Id) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let flow = server.flow;
        match server.lapse(now) {
            Due::Resend(reply) => {
                let bytes = reply.to_vec();
                self.counts.resent += 1;
                self.transmit(Destination::Flow(flow), bytes);
                self.settle_server(now, id);
            }
            Due::Unacknowledged => {
                self.counts.timeouts += 1;
                self.end_server(id);
            }
            Due::Alarm => self.alarm(now, id),
            Due::End => self.end_server(id),
        }
    }

    fn client_due(&mut self, now: Duration, id: Id) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let to = client.to;
        match client.lapse(now) {
            Lapse::Resend(sent) => {
                let bytes = sent.to_vec();
                self.counts.resent += 1;
                self.transmit(to, bytes);
                self.settle_client(now, id);
            }
            Lapse::GiveUp => self.cancel_branch(now, id, Some(b"SIP;cause=408")),
            Lapse::Silence => {
                self.counts.timeouts += 1;
                self.gone(now, id, Some(TIMEOUT));
            }
            Lapse::End => _ = self.end_client(id),
        }
    }

    /// A connection ended: what waits for an answer over it waits in vain.
    pub(crate) fn closed(&mut self, now: Duration, flow: &Flow) {
        self.flows.remove(&flow.id);
        self.lost(now, Path::Flow(flow.id));
        // No answer can reach a caller whose connection is gone: nobody shall go on ringing for it.
        let asking: Vec<u32> =
            self.asking.range((flow.id, 0)..=(flow.id, u32::MAX)).map(|(_, place)| *place).collect();
        for place in asking {
            if let Some((id, _)) = self.servers.at(place) {
                let call = self.servers.get_mut(id).and_then(|server| server.work.as_mut()?.call.as_mut());
                call.into_iter().for_each(|call| call.caller_lost = true);
                self.give_up(now, id, None);
            }
        }
    }

    /// A connection could not be made.
    pub(crate) fn unreachable(&mut self, now: Duration, transport: Transport, remote: SocketAddr) {
        self.lost(now, Path::Address(transport, remote));
    }

    fn lost(&mut self, now: Duration, path: Path) {
        let waiting = self.waiting.range((path, 0)..=(path, u32::MAX));
        let places: Vec<u32> = waiting.map(|(_, place)| *place).collect();
        for place in places {
            if let Some((id, _)) = self.clients.at(place) {
                self.gone(now, id, None);
            }
        }
    }

    /// A branch that no answer will come from.
    pub(super) fn gone(&mut self, now: Duration, id: Id, why: Option<Answer>) {
        let Some(client) = self.end_client(id) else { return };
        match client.owner {
            Owner::Nobody | Owner::Former(_) => {}
            Owner::Request(owner) => {
                // Who has been heard knows of the request, and would be asked twice; and after so long a silence only an
                // INVITE is still waited for.
                let open = client.is_unheard() && (why.is_none() || client.is_invite());
                let tried = client.tried.as_ref().filter(|_| open);
                if !tried.is_some_and(|tried| self.try_other(now, owner, tried)) {
                    self.failed(now, owner, why);
                }
            }
            Owner::Subscription(subscription) => {
                self.notified.push_back((subscription, why.map_or(503, |answer| answer.code)));
            }
        }
    }
}
