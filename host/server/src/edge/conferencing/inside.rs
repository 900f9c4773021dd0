//! The servers inside: whom a connection may lead to, which of them answer, and by what rules.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use carillon_net::secured::{Connected, connect};
use carillon_qos::TrafficClass;
use carillon_qos::plan::EdgeExternal;
use carillon_wire::ip::Dscp;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::timeout;

use super::super::start::policy;
use super::super::status::InsideRow;
use crate::certificate::{CertificateError, Greeting, external_tls, internal_client_tls};
use crate::config::EdgeConfig;

/// A server that has not answered by then does not.
const PATIENCE: Duration = Duration::from_secs(5);

/// What holds for connections that come now.
pub(super) struct Rules {
    /// What those outside see.
    pub(super) greeting: Greeting,
    /// What servers inside see, and must show.
    inside_tls: Arc<ClientConfig>,
    name: ServerName<'static>,
    servers: Vec<SocketAddr>,
    from: Option<IpAddr>,
    pub(super) outside_mark: Dscp,
    pub(super) inside_mark: Dscp,
    pub(super) connections: usize,
    pub(super) connections_per_source: usize,
}

/// What is known of the servers inside.
#[derive(Default)]
pub(super) struct Inside {
    /// Why a server did not answer the last time; `None` if it did.
    known: Mutex<BTreeMap<SocketAddr, Option<String>>>,
    next: AtomicUsize,
}

impl Rules {
    /// As the configuration and its plan say. Web conferences are sharing.
    pub(super) fn of(config: &EdgeConfig) -> Result<Rules, CertificateError> {
        let missing = || CertificateError::Missing("web-conferencing");
        let conferencing = config.web_conferencing.as_ref().ok_or_else(missing)?;
        let plan = &config.plan.plan;
        let mark = policy(plan).mark(TrafficClass::Sharing);
        let name = ServerName::try_from(conferencing.name.clone()).map_err(|_| missing())?;
        Ok(Rules {
            greeting: external_tls(config)?,
            inside_tls: internal_client_tls(config)?,
            name,
            servers: conferencing.inside.clone(),
            from: config.addresses.internal,
            outside_mark: if plan.edge_external() == EdgeExternal::Plan { mark } else { Dscp::DEFAULT },
            inside_mark: mark,
            connections: conferencing.connections,
            connections_per_source: conferencing.connections_per_source,
        })
    }

    async fn connect(&self, server: SocketAddr) -> io::Result<Connected> {
        let (name, config) = (self.name.clone(), self.inside_tls.clone());
        let connecting = connect(self.from, server, name, config, self.inside_mark);
        timeout(PATIENCE, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Inside {
    /// A connection to one of the servers, by turns; those that did not answer the last time come last.
    pub(super) async fn reach(&self, rules: &Rules) -> Option<Connected> {
        let mut servers = rules.servers.clone();
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % servers.len().max(1);
        servers.rotate_left(turn);
        servers.sort_by_key(|server| self.error(*server).is_some());
        for server in servers {
            let outcome = rules.connect(server).await;
            self.note(server, &outcome);
            if let Ok(connected) = outcome {
                return Some(connected);
            }
        }
        None
    }

    /// Asks every server whether it answers.
    pub(super) async fn probe(&self, rules: &Rules) {
        for server in &rules.servers {
            let outcome = rules.connect(*server).await;
            self.note(*server, &outcome);
        }
    }

    /// All of them, as they answered the last time.
    pub(super) fn rows(&self, rules: &Rules) -> Vec<InsideRow> {
        rules
            .servers
            .iter()
            .map(|server| InsideRow { address: *server, error: self.error(*server) })
            .collect()
    }

    fn error(&self, server: SocketAddr) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&server).cloned().flatten()
    }

    fn note(&self, server: SocketAddr, outcome: &io::Result<Connected>) {
        let error = outcome.as_ref().err().map(ToString::to_string);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(server, error.clone()).flatten();
        match (before, error) {
            (None, Some(error)) => tracing::warn!("a server of web conferences does not answer: {error}"),
            (Some(_), None) => tracing::info!("a server of web conferences answers again"),
            _ => {}
        }
    }
}
