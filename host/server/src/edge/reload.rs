//! What changes while an Edge runs: plan, users, secrets, networks and limits. Listeners and addresses wait for a restart.

use carillon_net::notify::reloading;
use carillon_qos::TrafficClass;
use carillon_relay::Request;
use serde::Serialize;

use super::av::{AvEdge, Passing};
use super::start::{core, policy};
use crate::config::{Configuration, EdgeConfig};
use crate::desk::Service;
use crate::service::tell;

/// What a reload has done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Reloaded {
    /// Keys whose new values hold after a restart only.
    pub after_restart: Vec<&'static str>,
}

impl AvEdge {
    /// Reads the configuration again; the reasons if it is refused, one a line. Live relays are marked by the new plan
    /// from their next packet on.
    pub(crate) fn reload(&mut self) -> Result<Reloaded, Vec<String>> {
        let file =
            self.estate.file.as_deref().ok_or_else(|| vec!["there is no file to read again".to_owned()])?;
        let config = match Configuration::load(file) {
            Ok(Configuration::Edge(config)) => config,
            Ok(Configuration::FrontEnd(_)) => {
                return Err(vec!["the file is that of a Front End now; that needs a restart".to_owned()]);
            }
            Err(refusal) => return Err(refusal.0.iter().map(ToString::to_string).collect()),
        };
        let after_restart = self.estate.config.differs_until_restart(&config);
        self.change_to(self.estate.config.clone().reloaded(config));
        Ok(Reloaded { after_restart })
    }

    fn change_to(&mut self, config: EdgeConfig) {
        self.policy = policy(&config.plan.plan);
        for side in &self.sides {
            side.leases.set_policy(&self.policy);
        }
        let management = self.policy.mark(TrafficClass::Management);
        self.management.send_if_modified(|mark| std::mem::replace(mark, management) != management);
        let core = core(&config, &self.estate.listeners);
        self.estate.config = config;
        self.relay.handle_request(self.clock.now(), Request::Configure(Box::new(core)));
        self.obey(Passing::default());
    }
}

impl Service for AvEdge {
    fn reload(&mut self) {
        tell(&reloading());
        match AvEdge::reload(self) {
            Ok(done) if done.after_restart.is_empty() => tracing::info!("configuration reloaded"),
            Ok(done) => {
                tracing::warn!(keys = done.after_restart.join(", "), "reloaded; some keys need a restart");
            }
            Err(reasons) => {
                reasons.iter().for_each(|reason| tracing::error!("{reason}"));
                tracing::error!("the configuration is refused; the old one stays in force");
            }
        }
        tell("READY=1");
    }

    /// No new allocations; ends when those that run have ended; at once if asked again.
    fn stop(&mut self) {
        let now = self.clock.now();
        if self.until.is_some() {
            self.until = Some(now);
            return;
        }
        tracing::info!(allocations = self.relay.counts().allocations, "stopping");
        self.relay.handle_request(now, Request::Drain { alternates: Vec::new() });
        self.until = Some(now + self.estate.config.drain);
    }

    fn metrics(&self) -> String {
        AvEdge::metrics(self)
    }
}
