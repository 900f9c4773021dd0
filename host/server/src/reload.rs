//! A reload: the configuration is read again, and what can change while running does. After any mistake everything stays
//! as it was.

use std::sync::Arc;

use carillon_net::bind_error::BindError;
use carillon_net::notify::reloading;
use carillon_qos::Plan;
use carillon_signaling::Request;
use carillon_store::PlanSource;
use rustls::{ClientConfig, ServerConfig};
use serde::Serialize;

use crate::certificate::{CertificateError, Ours, client_tls, server_tls};
use crate::changes::PlanRefused;
use crate::config::{Config, ConfiguredPlan, ListenerConfig};
use crate::estate::{Bound, choose_plan};
use crate::service::tell;
use crate::start::listen;
use crate::turn::Server;

/// What a reload has done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Reloaded {
    /// The version of the plan that holds.
    pub plan_version: u64,
    /// Keys whose new values hold after a restart only.
    pub after_restart: Vec<&'static str>,
}

impl Server {
    /// Reads the configuration again; the reasons if it is refused, one a line.
    pub(crate) fn reload(&mut self) -> Result<Reloaded, Vec<String>> {
        tell(&reloading());
        let reloaded = self.read_again().and_then(|config| self.change_to(config));
        match &reloaded {
            Ok(done) if done.after_restart.is_empty() => tracing::info!("configuration reloaded"),
            Ok(done) => {
                tracing::warn!(keys = done.after_restart.join(", "), "reloaded; some keys need a restart")
            }
            Err(reasons) => {
                reasons.iter().for_each(|reason| tracing::error!("{reason}"));
                tracing::error!("the configuration is refused; the old one stays in force");
            }
        }
        tell("READY=1");
        reloaded
    }

    fn read_again(&self) -> Result<Config, Vec<String>> {
        let file =
            self.estate.file.as_deref().ok_or_else(|| vec!["there is no file to read again".to_owned()])?;
        Config::load(file).map_err(|refusal| refusal.0.iter().map(ToString::to_string).collect())
    }

    /// Everything that may fail comes first.
    pub(crate) fn change_to(&mut self, config: Config) -> Result<Reloaded, Vec<String>> {
        // Whom we prove ourselves to, and who is believed, stays with the servers that the core knows until a restart.
        let held = self.estate.config.clone().reloaded(config.clone());
        let (ours, client_tls) = certificates(&held).map_err(|error| vec![crate::chain(&error)])?;
        let tls = ours.as_ref().map(|ours| Arc::clone(&ours.tls));
        let listeners = self.open_new(&config, tls.clone())?;
        let (plan, version) = match self.adopt_plan(&config.plan) {
            Ok(adopted) => adopted,
            Err(refused) => {
                self.close_but(&self.estate.listeners.clone(), &listeners);
                return Err(vec![refused.to_string()]);
            }
        };
        self.close_but(&listeners, &self.estate.listeners.clone());
        self.greeting.send_replace(tls.clone());
        self.greet_with(tls, &listeners);
        let servers = ours.as_ref().map(|ours| ours.servers.clone());
        self.transports.set_servers(servers.unwrap_or_default());
        self.estate.certificate = ours.map(|ours| ours.facts);
        self.warned.again();
        self.transports.set_client_tls(client_tls, None);
        let after_restart = self.estate.config.differs_until_restart(&config);
        let relays = self.estate.config.relays != config.relays;
        let calls = self.estate.config.calls != config.calls;
        let history = self.estate.config.history != config.history;
        let lock_out = self.estate.config.passwords.lock_out != config.passwords.lock_out;
        self.estate.config = held;
        self.estate.listeners = listeners;
        let listeners = self.estate.front_end_listeners();
        self.front_end.handle_request(self.clock.now(), Request::SetListeners(listeners));
        if calls {
            let request = self.estate.config.calls.request();
            self.front_end.handle_request(self.clock.now(), request);
        }
        if history {
            let history = self.estate.config.history.clone();
            self.front_end.handle_request(self.clock.now(), Request::SetHistory(history));
            self.sweep.again();
        }
        if lock_out {
            let request = self.estate.config.passwords.request();
            self.front_end.handle_request(self.clock.now(), request);
        }
        if relays {
            let relays = self.estate.relays(self.clock);
            self.front_end.handle_request(self.clock.now(), Request::SetRelays(relays));
        }
        if version != self.estate.plan_version {
            self.obey(plan, version);
        }
        Ok(Reloaded { plan_version: version, after_restart })
    }

    /// The plan that holds from now on, stored, with its version.
    fn adopt_plan(&mut self, configured: &ConfiguredPlan) -> Result<(Arc<Plan>, u64), PlanRefused> {
        let author = self.author("configuration");
        let (plan, stored) = choose_plan(&self.store, configured).map_err(PlanRefused::Store)?;
        let version = match stored {
            Some(version) if version == self.estate.plan_version => version,
            Some(version) => self.keep_plan(&plan, |_| Ok(version))?,
            None => self.keep_plan(&plan, |store| {
                store.put_plan(&configured.toml, PlanSource::Configuration, &author)
            })?,
        };
        Ok((plan, version))
    }

    /// Opens the listeners that are not open yet; if one can't be, none of them stays.
    fn open_new(
        &mut self,
        config: &Config,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Vec<Bound>, Vec<String>> {
        let before = self.estate.listeners.clone();
        let mut listeners = Vec::new();
        let mut errors: Vec<BindError> = Vec::new();
        for wanted in &config.listeners {
            let open = before.iter().find(|bound| same_place(&bound.config, wanted));
            let bound = match open {
                Some(bound) => Ok(Bound { config: wanted.clone(), address: bound.address }),
                None => listen(&mut self.transports, wanted, tls.clone()),
            };
            match bound {
                Ok(bound) => listeners.push(bound),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            return Ok(listeners);
        }
        self.close_but(&before, &listeners);
        Err(errors.iter().map(|error| crate::chain(error)).collect())
    }

    /// Closes what is in `open` and not in `kept`.
    fn close_but(&mut self, kept: &[Bound], open: &[Bound]) {
        for bound in open {
            if !kept.iter().any(|kept| same_place(&kept.config, &bound.config)) {
                self.transports.stop_listening(bound.config.transport, bound.address);
            }
        }
    }

    fn greet_with(&mut self, tls: Option<Arc<ServerConfig>>, listeners: &[Bound]) {
        let Some(tls) = tls else { return };
        for bound in listeners.iter().filter(|bound| bound.config.transport.is_secured()) {
            self.transports.reload_tls(bound.address, tls.clone());
        }
    }
}

/// What others see, and whom we trust.
fn certificates(config: &Config) -> Result<(Option<Ours>, Arc<ClientConfig>), CertificateError> {
    let ours = config.needs_certificate().then(|| server_tls(config)).transpose()?;
    Ok((ours, client_tls(config)?))
}

fn same_place(one: &ListenerConfig, other: &ListenerConfig) -> bool {
    (one.transport, one.address) == (other.transport, other.address)
}
