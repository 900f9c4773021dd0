//! What changes while an Edge runs: plan, users, secrets, networks and limits. Listeners and addresses wait until their unit is
//! restarted.

use std::sync::Arc;

use carillon_relay::Request;
use serde::Serialize;

use super::av::{AvEdge, Passing};
use super::settings::with_held;
use super::start::{budgets, core, policy};
use super::supervisor::{Edge, management};
use crate::certificate::{Greeting, external_tls};
use crate::config::{Configuration, EdgeConfig};
use crate::desk::Service;

/// What a reload has done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Reloaded {
    /// Keys whose new values hold after a restart only: of the unit that is named, or of the service.
    pub after_restart: Vec<String>,
}

impl Edge {
    /// Reads the configuration again; the reasons if it is refused, one a line.
    pub(crate) fn reload(&mut self) -> Result<Reloaded, Vec<String>> {
        let file = self.file.as_deref().ok_or_else(|| vec!["there is no file to read again".to_owned()])?;
        let config = match Configuration::load(file) {
            Ok(Configuration::Edge(config)) => config,
            Ok(Configuration::FrontEnd(_)) => {
                return Err(vec!["the file is that of a Front End now; that needs a restart".to_owned()]);
            }
            Err(refusal) => return Err(refusal.0.iter().map(ToString::to_string).collect()),
        };
        self.change_to(config);
        Ok(Reloaded { after_restart: self.waiting() })
    }

    /// A plan that the Replica has taken goes before that of the file.
    pub(super) fn change_to(&mut self, config: EdgeConfig) {
        let config = with_held(config, self.held.as_ref());
        let mark = management(&config);
        self.management.send_if_modified(|held| std::mem::replace(held, mark) != mark);
        self.config.send_replace(Arc::new(config));
        self.tell_units();
    }

    /// What the configuration says and does not hold yet.
    fn waiting(&self) -> Vec<String> {
        let config = self.config.borrow();
        let mut waiting: Vec<String> = self.first.waits(&config, None).map(str::to_owned).collect();
        for slot in &self.slots {
            let Some(running) = slot.running() else { continue };
            let keys = running.config.waits(&config, Some(slot.unit));
            waiting.extend(keys.map(|key| format!("{key} (carillon edge restart {})", slot.unit.word())));
        }
        waiting
    }
}

impl AvEdge {
    /// Live relays are marked by the new plan from their next packet on.
    fn change_to(&mut self, config: EdgeConfig) {
        self.policy = policy(&config.plan.plan);
        for side in &self.sides {
            side.leases.set_policy(&self.policy);
        }
        self.forwarder.set_budgets(budgets(&config.relay, &self.policy));
        let core = core(&config, &self.estate.listeners);
        self.estate.config = config;
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
