//! What is done once a second: the core, which keeps the books, hears what ports have carried, what the clock on the wall shows, and
//! which addresses the machine has.

use std::time::Duration;

use carillon_net::addresses;
use carillon_net::forward::{Passed, RuleId, Traffic};
use carillon_relay::{PortId, Request, Rule, Tally};

use super::start::carried;
use super::{AvEdge, Passing};

/// How often.
const EVERY: Duration = Duration::from_secs(1);

impl AvEdge {
    /// Tells the core what is new.
    pub(crate) fn measure(&mut self, now: Duration) {
        self.measure_at = now + EVERY;
        for (port, traffic) in self.forwarder.news() {
            if let Some(port) = self.places.core_port(port) {
                self.relay.handle_request(now, counted(port, traffic));
            }
        }
        self.look_at_kernel();
        self.relay.handle_request(now, Request::Clock(self.clock.wall()));
        self.look_for_addresses();
        self.obey(Passing::default());
        let waiting: Vec<Rule> = self.refused.values().copied().collect();
        waiting.into_iter().for_each(|rule| self.install(rule));
    }

    /// Policies of IPsec come and go.
    fn look_at_kernel(&mut self) {
        let kernel = self.forwarder.in_kernel();
        if kernel.is_some_and(|kernel| kernel.has_ipsec != self.no_kernel.is_some()) {
            self.no_kernel = carried(&self.forwarder);
        }
    }

    /// Addresses come while it runs: a neighbour's that has failed, those of a prefix that a router announces. What listens there is
    /// nobody's peer: packets of a relay would reach it past every firewall.
    fn look_for_addresses(&mut self) {
        // What can't be read is taken to be as it was; the start has said so.
        let Ok(found) = addresses::of_this_machine() else { return };
        if found == self.estate.own {
            return;
        }
        tracing::info!(
            addresses = found.len(),
            "this machine has other addresses than before: no relay reaches them"
        );
        self.estate.own = found;
        self.configure();
    }

    /// Closes a port, or gives back one that was kept; what it has carried last is not lost.
    pub(crate) fn close(&mut self, port: PortId) {
        let known = self.places.remove(port);
        self.dials.retain(|_, (_, of)| *of != port);
        let last = known.and_then(|known| self.forwarder.close(known));
        if let Some(traffic) = last.filter(|traffic| *traffic != Traffic::default()) {
            self.relay.handle_request(self.clock.now(), counted(port, traffic));
        }
        drop(self.places.release(port));
    }

    /// Ends a rule, at work or refused.
    pub(crate) fn remove(&mut self, rule: carillon_relay::RuleId) {
        self.refused.remove(&rule);
        self.forwarder.remove(RuleId(rule.0));
    }
}

fn counted(port: PortId, traffic: Traffic) -> Request {
    Request::Counted { port, to_client: tally(traffic.to_client), to_peer: tally(traffic.to_peer) }
}

fn tally(passed: Passed) -> Tally {
    Tally { packets: passed.packets, bytes: passed.bytes, checks: passed.checks }
}
