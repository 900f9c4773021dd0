//! What rules have carried, for the core that keeps the books.

use std::time::Duration;

use carillon_net::forward::{self, Passed, Traffic};
use carillon_relay::{Request, RuleId, Tally};

use super::av::AvEdge;
use super::places::Installed;

/// How often.
const EVERY: Duration = Duration::from_secs(1);

impl AvEdge {
    /// Tells the core what has passed since the last time.
    pub(crate) fn measure(&mut self, now: Duration) {
        self.measure_at = now + EVERY;
        let mut news = Vec::new();
        for (rule, installed) in self.places.rules() {
            if let Some(traffic) = self.forwarder.traffic(forward::RuleId(rule.0)) {
                news.extend(new_since(installed, traffic));
            }
        }
        for request in news {
            self.relay.handle_request(now, request);
        }
    }

    /// Ends a rule; what it has carried last is not lost.
    pub(crate) fn remove(&mut self, rule: RuleId) {
        let Some(mut installed) = self.places.forget(rule) else { return };
        let traffic = self.forwarder.remove(forward::RuleId(rule.0));
        if let Some(request) = traffic.and_then(|traffic| new_since(&mut installed, traffic)) {
            self.relay.handle_request(self.clock.now(), request);
        }
    }
}

/// What has passed since the core was told, if anything has.
fn new_since(installed: &mut Installed, traffic: Traffic) -> Option<Request> {
    let told = std::mem::replace(&mut installed.told, traffic);
    let to_client = difference(traffic.to_client, told.to_client);
    let to_peer = difference(traffic.to_peer, told.to_peer);
    let anything = to_client.packets + to_peer.packets > 0;
    anything.then_some(Request::Counted { port: installed.port, to_client, to_peer })
}

fn difference(now: Passed, before: Passed) -> Tally {
    Tally {
        packets: now.packets - before.packets,
        bytes: now.bytes - before.bytes,
        checks: now.checks - before.checks,
    }
}
