//! From a configuration to a server that is ready for its first turn: store, plan, certificate, sockets, core.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::bind_error::BindError;
use carillon_net::lease::Leases;
use carillon_net::transports::{Listening, Transports};
use carillon_qos::TrafficClass;
use carillon_signaling::{Binding, Expires, FrontEnd, Handling, Request, Roster, Saved};
use carillon_store::{Author, Bindings, Document, DocumentRecord, PlanSource, Store};
use carillon_wire::sip::{Flow, Transport};
use rustls::ServerConfig;
use tokio::sync::watch;

use crate::bridges::Bridges;
use crate::call_rules::CallRulesFile;
use crate::certificate::{CertificateError, client_tls, server_tls};
use crate::clock::Clock;
use crate::config::{Config, ListenerConfig};
use crate::desk::{Desk, Health};
use crate::directory::{Directory, DirectoryStatus};
use crate::documents::UserDocument;
use crate::estate::{Bound, Estate, choose_plan, policy, signaling_mark};
use crate::history::Sweep;
use crate::openid::OpenId;
use crate::records::RecordBook;
use crate::rosters::RosterFile;
use crate::turn::{Server, TurnCounts};
use crate::warnings::Warned;

/// Media serves both families from one socket.
const UNSPECIFIED: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Why the server does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be used.
    Store(carillon_store::Error),
    /// Passwords are hashed for another realm.
    Realm {
        /// The realm of the passwords.
        stored: String,
        /// The realm of the configuration.
        configured: String,
        /// How many users could not sign in any more.
        users: u64,
    },
    /// There is no certificate.
    Certificate(CertificateError),
    /// An address cannot be had.
    Bind(BindError),
    /// The kernel refuses.
    Kernel(std::io::Error),
    /// There is no randomness.
    Random(getrandom::Error),
}

/// Opens everything. `file` is where the configuration is read from again on reload.
pub fn start(config: Config, file: Option<PathBuf>) -> Result<(Server, Desk), StartError> {
    let clock = Clock::start();
    let author = Author { who: "configuration".to_owned(), time: clock.now() };
    let mut store = Store::open(&config.store)?;
    check_realm(&mut store, &config)?;
    let (plan, stored) = choose_plan(&store, &config.plan)?;
    let plan_version = match stored {
        Some(version) => version,
        None => store.put_plan(&config.plan.toml, PlanSource::Configuration, &author)?,
    };
    let policy = policy(&plan);
    let mark = signaling_mark(&policy);
    let mut transports = Transports::new(mark, config.limits.transports()).map_err(StartError::Kernel)?;
    let certificate = if config.needs_certificate() { Some(server_tls(&config)?) } else { None };
    let tls = certificate.as_ref().map(|ours| Arc::clone(&ours.tls));
    transports.set_client_tls(client_tls(&config)?, None);
    transports.set_servers(certificate.as_ref().map(|ours| ours.servers.clone()).unwrap_or_default());
    transports.set_origins(&config.origins);
    transports.set_proxies(config.proxies.clone());
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        listeners.push(listen(&mut transports, listener, tls.clone())?);
    }
    let greeting = watch::Sender::new(tls);
    let certificate = certificate.map(|ours| ours.facts);
    let estate = Estate { config, file, plan, plan_version, listeners, mark, certificate };
    let bindings = load_bindings(&store, clock.now())?;
    let counts = TurnCounts { unreadable: bindings.unreadable.len() as u64, ..TurnCounts::default() };
    let front_end = front_end(&estate, &mut store, bindings.readable, &transports.listening(), clock)?;
    let records = record_book(&estate, &store, clock.now())?;
    let health = Arc::new(Health::default());
    let (desk, orders) = Desk::new(transports.waker(), health.clone());
    let management = watch::Sender::new(policy.mark(TrafficClass::Management));
    let directory = estate.config.directory.as_ref();
    let directory = directory.map(|config| Directory::new(config, management.subscribe())).transpose()?;
    let openid = estate.config.openid.as_ref();
    let openid = openid.map(|config| OpenId::new(config, management.subscribe())).transpose()?;
    let leases = Leases::new(&policy, UNSPECIFIED, clock.now().as_nanos() as u64);
    let bridges = Bridges::new(leases.clone(), policy.mark(TrafficClass::Audio), clock);
    let edges = crate::replication::rows(&estate.config);
    let server = Server {
        transports,
        leases,
        bridges,
        front_end,
        policy,
        store,
        records,
        estate,
        management,
        versions: watch::Sender::new(plan_version),
        edges,
        directory: directory.map(Arc::new),
        openid: openid.map(Arc::new),
        directory_status: DirectoryStatus::default(),
        greeting,
        clock,
        health,
        orders,
        counts,
        until: None,
        changes: Vec::new(),
        leaving: Vec::new(),
        warned: Warned::default(),
        sweep: Sweep::default(),
        unsaved: None,
    };
    Ok((server, desk))
}

/// Opens a listener.
pub(crate) fn listen(
    transports: &mut Transports,
    listener: &ListenerConfig,
    tls: Option<Arc<ServerConfig>>,
) -> Result<Bound, BindError> {
    let tls = tls.filter(|_| listener.transport.is_secured());
    let address = transports.listen(listener.transport, listener.address, tls)?;
    Ok(Bound { config: listener.clone(), address })
}

/// A password is hashed with its realm: under another one nobody could sign in any more.
pub(crate) fn check_realm(store: &mut Store, config: &Config) -> Result<(), StartError> {
    let stored = store.realm()?;
    let users = store.count_users()?;
    match stored {
        Some(stored) if stored != config.realm && users > 0 => {
            Err(StartError::Realm { stored, configured: config.realm.clone(), users })
        }
        Some(stored) if stored == config.realm => Ok(()),
        _ => Ok(store.set_realm(&config.realm)?),
    }
}

/// Registrations that can't be read are left out: their phones register again.
fn load_bindings(store: &Store, now: Duration) -> Result<Bindings, StartError> {
    let bindings = store.load_bindings(now)?;
    if let Some(first) = bindings.unreadable.first() {
        let (rows, first) = (bindings.unreadable.len(), crate::chain(first));
        tracing::error!(
            rows,
            "registrations in the store can't be read and are left out; the first: {first}"
        );
    }
    Ok(bindings)
}

/// After the core was made: the store has its seed.
fn record_book(estate: &Estate, store: &Store, now: Duration) -> Result<RecordBook, StartError> {
    let seed = store.seed()?.unwrap_or_default();
    Ok(RecordBook::open(&estate.config.records, seed, now)?)
}

fn front_end(
    estate: &Estate,
    store: &mut Store,
    bindings: Vec<Binding>,
    listening: &[Listening],
    clock: Clock,
) -> Result<FrontEnd, StartError> {
    let (registrations, now) = (estate.config.registrations, clock.now());
    let config = carillon_signaling::Config {
        domains: estate.config.domains.clone(),
        strangers: false,
        realm: estate.config.realm.clone(),
        listeners: estate.front_end_listeners(),
        plan: estate.plan.clone(),
        plan_version: estate.plan_version,
        expires: Expires { min: registrations.min, max: registrations.max, default: registrations.default },
        watchers: estate.config.watchers,
        edge: estate.config.edge.clone(),
        limits: estate.config.limits.front_end(),
    };
    let bindings = bindings.into_iter().enumerate();
    // A clock that was ahead when they were saved makes them last no longer than any other.
    let last = now + Duration::from_secs(u64::from(registrations.max));
    let bindings = bindings.map(|(number, binding)| {
        let expires = binding.expires.min(last);
        Binding { expires, ..revived(binding, number as u64, listening) }
    });
    let bindings = bindings.collect();
    let (publications, letters) = (store.load_publications(now)?, store.load_letters(now)?);
    let saved = Saved { bindings, publications, letters };
    let mut front_end = FrontEnd::new(config, store.load_users()?, saved, seed(store)?, now);
    front_end.handle_request(now, Request::SetRelays(estate.relays(clock)));
    front_end.handle_request(now, estate.config.calls.request());
    front_end.handle_request(now, estate.config.passwords.request());
    front_end.handle_request(now, Request::SetHistory(estate.config.history.clone()));
    for record in store.load_documents(Document::Roster)? {
        set_roster(&mut front_end, now, record);
    }
    for record in store.load_documents(Document::CallRules)? {
        set_rules(&mut front_end, now, record);
    }
    Ok(front_end)
}

/// Where it can't be read any more whom a user lets watch, everybody waits.
fn set_roster(front_end: &mut FrontEnd, now: Duration, record: DocumentRecord) {
    let file = serde_json::from_str::<RosterFile>(&record.document);
    let roster = file.ok().and_then(|file| file.roster().ok()).unwrap_or_else(|| {
        tracing::error!("a roster in the store can't be read: its user's watchers have to wait");
        Roster { others: Some(Handling::Confirm), ..Roster::default() }
    });
    front_end.handle_request(now, Request::SetRoster { aor: record.aor, roster });
}

/// Where it can't be read any more what becomes of a user's calls, its phones ring.
fn set_rules(front_end: &mut FrontEnd, now: Duration, record: DocumentRecord) {
    let file = serde_json::from_str::<CallRulesFile>(&record.document);
    match file.ok().and_then(|file| file.request(record.aor).ok().flatten()) {
        Some(request) => front_end.handle_request(now, request),
        None => tracing::error!("call rules in the store can't be read: the user's calls go to its phones"),
    }
}

/// Numbers of flows begin anew with the process, and one of before must not be mistaken for one of now. A UDP flow gets the
/// number of the socket that is bound there now; connections ended with their process and get a number that is never
/// given, so that whoever sends on one is told that it is closed.
fn revived(binding: Binding, number: u64, listening: &[Listening]) -> Binding {
    let local = binding.flow.local;
    let here = |l: &&Listening| {
        let all = l.address.ip().is_unspecified() && l.address.port() == local.port();
        l.transport == binding.flow.transport && (l.address == local || all)
    };
    let id = match binding.flow.transport {
        Transport::Udp => listening.iter().find(here).map(|listening| listening.id),
        _ => None,
    };
    Binding { flow: Flow { id: id.unwrap_or(u64::MAX - number), ..binding.flow }, ..binding }
}

/// The same as before a restart, so that calls that were up can still be ended, and nonces still hold.
fn seed(store: &mut Store) -> Result<[u8; 32], StartError> {
    if let Some(seed) = store.seed()? {
        return Ok(seed);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    store.set_seed(seed)?;
    Ok(seed)
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Store(error) => error.fmt(f),
            StartError::Realm { stored, configured, users } => write!(
                f,
                "the passwords of {users} users are hashed for the realm `{stored}`, and the configuration says \
                 `{configured}`: set realm = \"{stored}\", or remove the users and add them again"
            ),
            StartError::Certificate(error) => error.fmt(f),
            StartError::Bind(error) => error.fmt(f),
            StartError::Kernel(error) => write!(f, "cannot wait for sockets: {error}"),
            StartError::Random(error) => write!(f, "cannot get randomness from the kernel: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Store(error) => error.source(),
            _ => None,
        }
    }
}

impl From<carillon_store::Error> for StartError {
    fn from(error: carillon_store::Error) -> StartError {
        StartError::Store(error)
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> StartError {
        StartError::Bind(error)
    }
}

impl From<CertificateError> for StartError {
    fn from(error: CertificateError) -> StartError {
        StartError::Certificate(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(transport: Transport, local: &str) -> Binding {
        let (local, remote) = (local.parse().unwrap(), "192.0.2.7:5060".parse().unwrap());
        Binding {
            aor: "alice@example.com".into(),
            key: "".into(),
            contact: "".into(),
            flow: Flow { transport, id: 7, local, remote },
            path: Vec::new(),
            call_id: "".into(),
            cseq: 1,
            q: 1000,
            expires: Duration::from_secs(1),
            user_agent: "".into(),
            plan_version: None,
        }
    }

    fn listening(id: u64, transport: Transport, address: &str) -> Listening {
        let marks = Err(std::io::ErrorKind::Other.into());
        Listening { id, transport, address: address.parse().unwrap(), marks }
    }

    #[test]
    fn a_number_of_before_is_never_one_of_now() {
        let now = [
            listening(1, Transport::Tcp, "192.0.2.1:5060"),
            listening(2, Transport::Udp, "192.0.2.1:5060"),
            listening(3, Transport::Udp, "0.0.0.0:5070"),
        ];
        let id = |transport, local| revived(saved(transport, local), 5, &now).flow.id;
        assert_eq!(id(Transport::Udp, "192.0.2.1:5060"), 2);
        assert_eq!(id(Transport::Udp, "198.51.100.1:5070"), 3);
        // Nobody listens there any more; connections have ended.
        for (transport, local) in [
            (Transport::Udp, "198.51.100.1:5060"),
            (Transport::Tcp, "192.0.2.1:5060"),
            (Transport::Tls, "192.0.2.1:5061"),
        ] {
            assert_eq!(id(transport, local), u64::MAX - 5, "{transport} {local}");
        }
    }
}
