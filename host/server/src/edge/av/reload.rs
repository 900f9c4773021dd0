//! What changes while the A/V Edge runs: plan, users, secrets, networks and limits. Listeners and addresses wait until it is restarted.

use carillon_relay::Request;

use super::start::{budgets, core};
use super::{AvEdge, Passing};
use crate::certificate::{Greeting, external_tls};
use crate::config::EdgeConfig;
use crate::desk::Service;
use crate::edge::start::policy;

impl AvEdge {
    /// Live relays are marked by the new plan from their next packet on.
    fn change_to(&mut self, config: EdgeConfig) {
        self.policy = policy(&config.plan.plan);
        for side in &self.sides {
            side.leases.set_policy(&self.policy);
        }
        self.forwarder.set_budgets(budgets(&config.relay, &self.policy));
        self.estate.config = config;
        self.configure();
    }

    /// Tells the core what holds from now on.
    pub(super) fn configure(&mut self) {
        let core = core(&self.estate.config, &self.estate.own, &self.estate.listeners);
        self.relay.handle_request(self.clock.now(), Request::Configure(Box::new(core)));
        self.obey(Passing::default());
    }
}

impl Service for AvEdge {
    fn reload(&mut self) {
        let new = EdgeConfig::clone(&self.estate.context.config.borrow());
        self.change_to(self.estate.config.clone().reloaded(new));
        if self.estate.config.certificate.is_some() {
            match external_tls(&self.estate.config) {
                Ok(Greeting { tls, facts }) => {
                    self.forwarder.reload_tls(&tls);
                    self.estate.shown = Some(facts);
                }
                Err(error) => tracing::error!("the relay keeps its certificate: {}", crate::chain(&error)),
            }
        }
    }

    /// No new allocations; ends when those that run have ended; at once if asked again.
    fn stop(&mut self) {
        let (now, alternates) = (self.clock.now(), self.estate.config.alternates.clone());
        if self.until.is_some() {
            self.until = Some(now);
            return;
        }
        tracing::info!(allocations = self.relay.live(), "draining");
        self.relay.handle_request(now, Request::Drain { alternates });
        self.until = Some(now + self.estate.config.drain);
    }
}
