//! The A/V Authentication service: SIP over TLS on the internal address, from servers whose certificates name them, which ask
//! for credentials of the relay on behalf of their users. What is answered is `carillon_signaling`'s.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::peers::server_config_for;
use carillon_net::transports::{Incoming, Limits, Transports};
use carillon_qos::TrafficClass;
use carillon_relay::{Transport, issue_at};
use carillon_signaling::{Authentication, Bearer, Issuer, RelayCredential, RelayServer, Relays, Transmit};
use carillon_wire::ip::Dscp;
use carillon_wire::sip;
use carillon_wire::stun::{TurnTransport, TurnUri};

use super::start::{StartError, policy};
use super::status::EdgeListener;
use super::unit::{Context, Facts, Opened, Part, Unit};
use crate::certificate::{CertificateError, Greeting, internal};
use crate::certificate_facts::CertificateFacts;
use crate::clock::Clock;
use crate::config::{EdgeConfig, Listening};
use crate::desk::{Desk, Health, Orders, Service};
use crate::metrics::Page;

/// A running A/V Authentication service.
struct AuthenticationEdge {
    transports: Transports,
    service: Authentication,
    listeners: Vec<Listening>,
    /// What is shown there.
    shown: CertificateFacts,
    clock: Clock,
    context: Context,
    orders: Orders<dyn Part>,
    stopped: bool,
}

/// Opens what it listens on.
pub(super) fn open(context: &Context) -> Result<Opened, StartError> {
    let config = EdgeConfig::clone(&context.config.borrow());
    let mut transports = Transports::new(mark(&config), Limits::default()).map_err(StartError::Kernel)?;
    let Greeting { tls, facts } = greeting(&config).map_err(StartError::Certificate)?;
    let mut listeners = Vec::new();
    for wanted in config.listening(Unit::Authentication) {
        let address = transports.listen(sip::Transport::Tls, wanted.address, Some(tls.clone()));
        listeners.push(Listening { address: address.map_err(StartError::Bind)?, ..wanted });
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    let clock = Clock::start();
    let (outside, inside) = relays(&config, clock);
    let (desk, orders) = Desk::new(transports.waker(), Arc::new(Health::default()));
    let edge = AuthenticationEdge {
        transports,
        service: Authentication::new(outside, inside, seed),
        listeners,
        shown: facts,
        clock,
        context: context.clone(),
        orders,
        stopped: false,
    };
    Ok(Opened { desk, run: Box::new(move || edge.run()) })
}

impl AuthenticationEdge {
    fn run(mut self) -> io::Result<()> {
        while !self.stopped {
            self.turn()?;
            if let Some(order) = self.orders.take() {
                order(&mut self);
            }
        }
        Ok(())
    }

    /// Waits for messages or an order, and answers.
    fn turn(&mut self) -> io::Result<()> {
        let wait = self.orders.are_waiting().then_some(Duration::ZERO);
        let (clock, service, mut answers) = (&self.clock, &mut self.service, Vec::new());
        self.transports.poll(wait, &mut |incoming| {
            if let Incoming::Message { flow, bytes } = incoming {
                answers.push((flow, service.handle_input(clock.now(), flow, bytes)));
            }
        })?;
        for (flow, answer) in answers {
            // The handshake has proven whose connection it is.
            self.transports.trust(flow);
            if let Some(Transmit { to, bytes, .. }) = answer {
                self.transports.send(to, bytes);
            }
        }
        self.transports.flush();
        Ok(())
    }

    fn adopt(&mut self, config: &EdgeConfig) -> Result<(), String> {
        let Greeting { tls, facts } = greeting(config).map_err(|error| crate::chain(&error))?;
        self.shown = facts;
        for listening in &self.listeners {
            self.transports.reload_tls(listening.address, tls.clone());
        }
        let (outside, inside) = relays(config, self.clock);
        self.service.set_relays(outside, inside);
        self.transports.set_mark(mark(config)).map_err(|error| error.to_string())
    }
}

impl Service for AuthenticationEdge {
    fn reload(&mut self) {
        let config = EdgeConfig::clone(&self.context.config.borrow());
        if let Err(error) = self.adopt(&config) {
            tracing::error!(unit = Unit::Authentication.word(), "what was reloaded does not hold: {error}");
        }
    }

    /// A request is answered in the turn in which it came: nothing is left to wait for.
    fn stop(&mut self) {
        self.stopped = true;
    }
}

impl Part for AuthenticationEdge {
    fn facts(&self) -> Facts {
        let listeners = self.listeners.iter().map(|one| EdgeListener::of(one).showing(&self.shown));
        Facts { listeners: listeners.collect(), ..Facts::default() }
    }

    fn metrics(&self) -> String {
        let (mut page, counts) = (Page(String::new()), self.service.counts());
        let outcomes = [("given", counts.given), ("refused", counts.refused), ("garbage", counts.garbage)];
        let help = "Requests of servers for credentials of the relay.";
        page.many("authentication_requests_total", "counter", help, "outcome", outcomes);
        page.0
    }
}

/// What servers inside are shown, and who of them is heard.
fn greeting(config: &EdgeConfig) -> Result<Greeting, CertificateError> {
    let service = config.authentication.as_ref().ok_or(CertificateError::Missing("authentication"))?;
    let (identity, trusted) = internal(config)?;
    Greeting::of(&identity, server_config_for(&identity, &trusted, &service.servers))
}

/// The mark of what it says, towards the inside.
fn mark(config: &EdgeConfig) -> Dscp {
    policy(&config.plan.plan).mark(TrafficClass::Signaling)
}

/// The relay as clients outside reach it, with who makes credentials, and as clients inside do.
fn relays(config: &EdgeConfig, clock: Clock) -> (Relays, Vec<RelayServer>) {
    let at = |address: Option<IpAddr>| {
        let rows =
            config.listening(Unit::Av).into_iter().filter(move |row| Some(row.address.ip()) == address);
        rows.map(|row| RelayServer { class: row.class, uri: uri(config, &row) }).collect::<Vec<_>>()
    };
    let secret = config.secrets.first().cloned();
    let issue = move |Bearer { user, site }: Bearer<'_>, class, expires| {
        let expires = clock.on_the_wall(expires);
        let made = secret.as_ref().map(|secret| issue_at(&secret.0, user, site, class, expires));
        let (username, password) = made.map(|made| (made.username, made.password)).unwrap_or_default();
        RelayCredential { class, username, password }
    };
    let lifetime = config.authentication.as_ref().map_or(Default::default(), |wanted| wanted.lifetime);
    let outside =
        Relays { servers: at(Some(config.addresses.external)), lifetime, issuer: Issuer(Arc::new(issue)) };
    (outside, at(config.addresses.internal))
}

/// Where a listener of the relay is reached: outside by the address that the Internet sees.
fn uri(config: &EdgeConfig, row: &Listening) -> TurnUri {
    let address = row.address.ip();
    let told = if address == config.addresses.external { config.addresses.public } else { address };
    let transport = match row.transport {
        Transport::Udp => TurnTransport::Udp,
        Transport::Tcp => TurnTransport::Tcp,
        Transport::Tls => TurnTransport::Tls,
    };
    TurnUri { host: told.to_string(), port: row.address.port(), transport }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use carillon_net::authority::Authority;
    use carillon_net::tls::Identity;
    use carillon_net::udp::UdpPort;
    use carillon_wire::sip::Destination;
    use rustls::crypto::aws_lc_rs;
    use rustls::{ClientConfig, RootCertStore};
    use tokio::sync::watch;

    use super::*;
    use crate::config::Configuration;

    const SERVICE: &str = "SERVICE sip:a;gruu;opaque=srvr:MRAS SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1\r\n\
        From: <sip:sip.example.com>;tag=1\r\nTo: <sip:a>\r\nCall-ID: c\r\nCSeq: 1 SERVICE\r\nMax-Forwards: 70\r\n\
        Content-Type: application/msrtc-media-relay-auth+xml\r\n";
    const BODY: &str = "<request requestID=\"1\" from=\"sip:alice@example.com\" version=\"1.0\" to=\"sip:a\" \
        xmlns=\"http://schemas.microsoft.com/2006/09/sip/mrasp\"><credentialsRequest credentialsRequestID=\"1\">\
        <identity>sip:alice@example.com</identity><location>internet</location></credentialsRequest></request>";

    fn context(folder: &Path, port: u16) -> (Context, watch::Sender<Arc<EdgeConfig>>) {
        let text = format!(
            "role = \"edge\"\nplan = \"lync-kloud\"\nname = \"edge.example.com\"\n\
             addresses.external = \"127.0.0.2\"\naddresses.public = \"192.0.2.5\"\naddresses.internal = \"127.0.0.1\"\n\
             credentials.secrets = [\"secret\"]\ninternal-tls.certificate = \"server.pem\"\n\
             internal-tls.key = \"server.key\"\ninternal-tls.trusted = [\"ca.pem\"]\n\
             [authentication]\nport = {port}\nservers = [\"sip.example.com\"]\n"
        );
        std::fs::write(folder.join("secret"), "a secret of the test\n").unwrap();
        let file = folder.join("edge.toml");
        std::fs::write(&file, text).unwrap();
        let Ok(Configuration::Edge(config)) = Configuration::load(&file) else { panic!("no Edge") };
        let sender = watch::Sender::new(Arc::new(config));
        // Nobody takes the orders: the service gives none.
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (edge, _) = Desk::new(waker, Arc::default());
        (Context { config: sender.subscribe(), edge }, sender)
    }

    /// What a server with that certificate is answered; nothing if it is not heard.
    fn asked(authority: &Authority, client: Identity, remote: std::net::SocketAddr) -> Option<String> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.unwrap().with_root_certificates(roots);
        let config = config.with_client_auth_cert(client.chain, client.key).unwrap();
        let mut transports = Transports::new(Dscp::DEFAULT, Limits::default()).unwrap();
        transports.set_client_tls(Arc::new(config), Some("edge.example.com".try_into().unwrap()));
        let to = Destination::Address { transport: sip::Transport::Tls, remote, local: None };
        let message = format!("{SERVICE}Content-Length: {}\r\n\r\n{BODY}", BODY.len());
        transports.send(to, message.into_bytes());
        let (mut answer, mut over) = (None, false);
        while answer.is_none() && !over {
            let took = transports.poll(Some(Duration::from_secs(20)), &mut |incoming| match incoming {
                Incoming::Message { bytes, .. } => answer = Some(String::from_utf8_lossy(bytes).into_owned()),
                Incoming::Closed { .. } | Incoming::Failed { .. } => over = true,
                _ => {}
            });
            took.unwrap();
        }
        answer
    }

    #[test]
    fn only_listed_servers_are_given_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), "inside").unwrap();
        authority.identity(folder.path(), &["edge.example.com"], &[]).unwrap();
        // A port that is free may be somebody's a moment later.
        let tried = || {
            let port = UdpPort::bind("127.0.0.1:0".parse().unwrap(), Dscp::DEFAULT).unwrap().local().port();
            let (context, sender) = context(folder.path(), port);
            open(&context).map(|opened| (opened, port, sender))
        };
        let (Opened { desk, run }, port, _sender) = (0..9).find_map(|_| tried().ok()).unwrap();
        let running = std::thread::spawn(run);
        let remote = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let ask = |authority: &Authority, name| {
            asked(
                &Authority::open(folder.path(), "").unwrap(),
                authority.issue(&[name], &[]).unwrap(),
                remote,
            )
        };
        let answer = ask(&authority, "sip.example.com").unwrap();
        assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("<hostName>192.0.2.5</hostName><udpPort>3478</udpPort><tcpPort>443</tcpPort>")
        );
        assert_eq!(ask(&authority, "www.example.com"), None, "another name");
        assert_eq!(ask(&Authority::create("other").unwrap(), "sip.example.com"), None, "another authority");
        desk.stop();
        running.join().unwrap().unwrap();
    }
}
