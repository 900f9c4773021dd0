//! What the file of an Edge means.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_relay::Network;

use super::access::AccessConfig;
use super::director::DirectorConfig;
use super::raw::{At, Block, Raw};
use super::resolve::{Resolver, log};
use super::units::{InternalTls, Replica, WebConferencing};
use super::{Authentication, ConfiguredPlan, Log, Secret};
use crate::edge::Unit;

/// What an Edge is told to do.
#[derive(Clone, PartialEq, Debug)]
pub struct EdgeConfig {
    /// Its name, or its pool's, towards the inside.
    pub name: String,
    /// What clients of the relay are challenged with.
    pub realm: String,
    /// Whether it carries media; else messages and presence only.
    pub media: bool,
    /// The plan that the file names.
    pub plan: ConfiguredPlan,
    /// Where it stands.
    pub addresses: Addresses,
    /// The A/V Edge.
    pub relay: Relay,
    /// What a Director does, if it is one: then it is nothing else.
    pub director: Option<DirectorConfig>,
    /// The Access Edge, if it is asked for.
    pub access: Option<AccessConfig>,
    /// What clients see over TLS: certificate and key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// What servers inside see, and whom of them it believes.
    pub internal_tls: Option<InternalTls>,
    /// The Web Conferencing Edge, if there is one.
    pub web_conferencing: Option<WebConferencing>,
    /// The Replica, if there is one.
    pub replica: Option<Replica>,
    /// Secrets that credentials are made with, the newest first.
    pub secrets: Vec<Secret>,
    /// The A/V Authentication service, if there is one.
    pub authentication: Option<Authentication>,
    /// Users of the relay whose password never ends.
    pub users: Vec<RelayUser>,
    /// The socket of the admin API.
    pub admin_socket: PathBuf,
    /// Where health and metrics are served.
    pub metrics: Option<SocketAddr>,
    /// How much is told while running.
    pub log: Log,
    /// How long a stop waits for running allocations.
    pub drain: Duration,
    /// Other Edges, where new clients are sent meanwhile.
    pub alternates: Vec<SocketAddr>,
}

/// Where an Edge stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addresses {
    /// Towards the Internet; relay ports are opened here.
    pub external: IpAddr,
    /// The same, of the other family.
    pub external6: Option<IpAddr>,
    /// How the Internet sees `external`.
    pub public: IpAddr,
    /// Those of the Access Edge, if it has its own.
    pub access: Vec<IpAddr>,
    /// Those of the Web Conferencing Edge, if it has its own.
    pub web_conferencing: Vec<IpAddr>,
    /// Towards the inside.
    pub internal: Option<IpAddr>,
    /// The networks behind `internal`.
    pub inside: Vec<Network>,
}

/// The A/V Edge: ports and bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relay {
    /// Ports over UDP, with the class of the allocations that are made there.
    pub udp: Vec<(u16, Option<TrafficClass>)>,
    /// Port over TCP.
    pub tcp: u16,
    /// Port over TLS; open only with a certificate.
    pub tls: u16,
    /// Allocations at once.
    pub allocations: usize,
    /// Of these, those of one user.
    pub allocations_per_user: u32,
    /// And those of one site, if they are limited.
    pub allocations_per_site: Option<u32>,
    /// Requests a second of one address that are answered without a proof.
    pub requests_per_source: u32,
    /// Networks that are reached on every port.
    pub peers: Vec<Network>,
    /// Networks that are not reached.
    pub denied: Vec<Network>,
    /// Bytes per second of one allocation, each direction.
    pub bandwidth: u64,
    /// Of these, bytes that leave with the mark of audio.
    pub audio_bandwidth: u64,
    /// Bytes per second of one user, each direction.
    pub bandwidth_per_user: u64,
    /// Bytes per second of one site, each direction, if they are limited.
    pub bandwidth_per_site: Option<u64>,
    /// How long packets may wait for each other under load.
    pub coalesce: Option<Duration>,
    /// Whether the kernel carries what it can.
    pub in_kernel: bool,
}

/// Somebody whose password never ends.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl EdgeConfig {
    /// As the A/V Edge holds it after a reload: what it can't change while it runs waits for its restart.
    pub(crate) fn reloaded(self, new: EdgeConfig) -> EdgeConfig {
        let addresses = Addresses { inside: new.addresses.inside, ..self.addresses };
        let Relay { udp, tcp, tls, coalesce, in_kernel, requests_per_source, .. } = self.relay;
        let relay = Relay { udp, tcp, tls, coalesce, in_kernel, requests_per_source, ..new.relay };
        let EdgeConfig { name, realm, admin_socket, metrics, log, .. } = self;
        // Without one there is no listener for it.
        let certificate = self.certificate.map(|held| new.certificate.clone().unwrap_or(held));
        EdgeConfig { name, realm, addresses, relay, certificate, admin_socket, metrics, log, ..new }
    }

    /// The keys in which the other differs, and which it would need a restart to obey: of that unit, or of everything.
    pub(crate) fn waits<'a>(
        &'a self,
        other: &'a EdgeConfig,
        unit: Option<Unit>,
    ) -> impl Iterator<Item = &'static str> + 'a {
        let (one, two) = (&self.addresses, &other.addresses);
        let [av, authentication] = [Unit::Av, Unit::Authentication].map(Some);
        let [conferencing, replica] = [Unit::WebConferencing, Unit::Replica].map(Some);
        let authentication_port =
            |config: &EdgeConfig| config.authentication.as_ref().map(|service| service.port);
        let port =
            |config: &EdgeConfig| config.web_conferencing.as_ref().map(|conferencing| conferencing.port);
        let replica_port = |config: &EdgeConfig| config.replica.as_ref().map(|replica| replica.port);
        let differences = [
            (None, "admin.socket", self.admin_socket != other.admin_socket),
            (None, "metrics.listen", self.metrics != other.metrics),
            (None, "log", self.log != other.log),
            (av, "name", self.name != other.name),
            (av, "realm", self.realm != other.realm),
            (av, "addresses.external", one.external != two.external),
            (av, "addresses.external6", one.external6 != two.external6),
            (av, "addresses.public", one.public != two.public),
            (av, "addresses.internal", one.internal != two.internal),
            (av, "relay.udp, relay.audio, relay.video, relay.sharing", self.relay.udp != other.relay.udp),
            (av, "relay.tcp", self.relay.tcp != other.relay.tcp),
            (av, "relay.tls", self.relay.tls != other.relay.tls),
            (av, "tls", self.certificate.is_some() != other.certificate.is_some()),
            (authentication, "authentication.port", authentication_port(self) != authentication_port(other)),
            (av, "relay.coalesce", self.relay.coalesce != other.relay.coalesce),
            (av, "relay.fast-path", self.relay.in_kernel != other.relay.in_kernel),
            (conferencing, "web-conferencing.port", port(self) != port(other)),
            (
                conferencing,
                "addresses",
                one.outside(Unit::WebConferencing) != two.outside(Unit::WebConferencing),
            ),
            (replica, "replica.port", replica_port(self) != replica_port(other)),
            (replica, "addresses.internal", one.internal != two.internal),
            (
                av,
                "relay.requests-per-source",
                self.relay.requests_per_source != other.relay.requests_per_source,
            ),
            (Some(Unit::Access), "access", self.access_waits(other)),
            (
                Some(Unit::Director),
                "everything but the plan and certificates",
                self.director != other.director,
            ),
        ];
        let found = differences.into_iter().filter(move |(of, _, differs)| *of == unit && *differs);
        found.map(|(_, key, _)| key)
    }
}

impl Resolver<'_> {
    /// An Edge's. `None` if something that must be there is not, or is wrong; then there is a mistake.
    pub(super) fn edge(&mut self, raw: &Raw) -> Option<EdgeConfig> {
        let (top, credentials) = (raw.block(""), raw.block("credentials"));
        let (name, media) = (self.name(&top), carries_media(&top));
        let plan = if media { self.edge_plan(&top) } else { self.plan(&top) };
        let addresses = self.addresses(&raw.block("addresses"));
        let internal_tls = self.internal_tls(raw);
        let web_conferencing = addresses.as_ref().and_then(|addresses| self.web_conferencing(raw, addresses));
        let replica = addresses.as_ref().and_then(|addresses| self.replica_settings(raw, addresses));
        let relay = self.relay(&raw.block("relay"));
        let certificate = self.certificate_files(&raw.block("tls"));
        let access = self.access(raw, addresses.as_ref(), certificate.as_ref());
        let secrets = self.secrets(&credentials);
        let users = self.relay_users(raw);
        let authentication = self.authentication(raw, addresses.as_ref());
        let metrics = self.metrics(&raw.block("metrics"));
        let alternates = self.alternates(&raw.block("service"));
        let name = name?;
        if !media {
            self.without_media(raw, &top);
        }
        if media && secrets.is_empty() && users.is_empty() && credentials.texts("secrets").is_none() {
            let text = "is missing, and there is no [[relay-users]]: nobody could use the relay";
            return self.refuse(&credentials, credentials.line, "secrets", text);
        }
        let config = EdgeConfig {
            realm: top.text("realm").map_or_else(|| name.clone(), |realm| realm.value),
            name,
            media,
            plan: plan?,
            addresses: addresses?,
            relay: relay?,
            director: None,
            access: access?,
            certificate: certificate?,
            internal_tls: internal_tls?,
            web_conferencing: web_conferencing?,
            replica: replica?,
            secrets,
            authentication: authentication?,
            users,
            admin_socket: self.path(&raw.block("admin"), "socket")?,
            metrics: metrics?,
            log: log(&raw.block("log"))?,
            drain: Duration::from_secs(raw.block("service").number("drain")?.value),
            alternates: alternates?,
        };
        self.conflicts(&config, raw);
        Some(config)
    }

    /// What an Edge for messages and presence only has no use for is a mistake: somebody expects it to work.
    fn without_media(&mut self, raw: &Raw, top: &Block) {
        if raw.blocks("access").is_empty() {
            let text = "`im-only` needs a section [access]: there is nothing else that such an Edge carries";
            self.refuse::<()>(top, top.text("profile").map_or(top.line, |at| at.line), "profile", text);
        }
        for section in ["authentication", "web-conferencing", "relay-users"] {
            for block in raw.blocks(section) {
                let text = "is for media, and the profile is `im-only`: take one of them out";
                self.refuse::<()>(block, block.line, "", text);
            }
        }
    }

    /// A plan that gives the Edge ports to relay from.
    fn edge_plan(&mut self, top: &Block) -> Option<ConfiguredPlan> {
        let (plan, line) = (self.plan(top)?, top.text("plan")?.line);
        if plan.plan.edge_ports().is_none() {
            let text =
                format!("{} has no relay ports: it needs `ports` in its section [edge]", plan.plan.name());
            return self.refuse(top, line, "plan", text);
        }
        Some(plan)
    }

    fn addresses(&mut self, block: &Block) -> Option<Addresses> {
        let [external, external6, public, internal] =
            ["external", "external6", "public", "internal"].map(|key| (self.side(block, key), key));
        let [access, web_conferencing] = ["access", "web-conferencing"].map(|key| self.own(block, key));
        let inside = self.networks(block, "inside");
        let wanted = external.0?;
        let (external6, public, internal) = (external6.0, public.0, internal.0);
        for (other, key, same_family) in [(external6, "external6", false), (public, "public", true)] {
            let Some(other) = other.filter(|other| (other.is_ipv4() == wanted.is_ipv4()) != same_family)
            else {
                continue;
            };
            let must =
                if same_family { "must be of the same family as" } else { "must be of another family than" };
            let line = block.text(key).map_or(block.line, |at| at.line);
            self.refuse::<()>(block, line, key, format!("{other} {must} `external`, {wanted}"));
        }
        let outside = [Some(wanted), external6].into_iter().flatten();
        if outside.chain(access.iter().chain(&web_conferencing).copied()).any(|other| internal == Some(other))
        {
            let line = block.text("internal").map_or(block.line, |at| at.line);
            let text = "is an external address too; leave it out where there is only one";
            self.refuse::<()>(block, line, "internal", text);
        }
        Some(Addresses {
            external: wanted,
            external6,
            public: public.unwrap_or(wanted),
            access,
            web_conferencing,
            internal,
            inside: inside?,
        })
    }

    /// The addresses of a service; none if it has none of its own.
    fn own(&mut self, block: &Block, key: &str) -> Vec<IpAddr> {
        let Some(At { value, line }) = block.texts(key) else { return Vec::new() };
        let mut own = Vec::new();
        for text in value {
            match text.parse::<IpAddr>() {
                Ok(address) if !address.is_unspecified() && !address.is_multicast() => own.push(address),
                _ => {
                    self.refuse::<()>(
                        block,
                        line,
                        key,
                        format!("{text:?} is not the address of one machine"),
                    );
                }
            }
        }
        own
    }

    /// An address that is one machine's: relaying from "any address" would leave the side to chance.
    fn side(&mut self, block: &Block, key: &str) -> Option<IpAddr> {
        let address = self.address(block, key)?;
        if address.is_unspecified() || address.is_multicast() {
            let line = block.text(key).map_or(block.line, |at| at.line);
            return self.refuse(block, line, key, format!("{address} is not the address of one machine"));
        }
        Some(address)
    }

    /// The inner list is empty if the key is not there.
    fn networks(&mut self, block: &Block, key: &str) -> Option<Vec<Network>> {
        let Some(At { value, line }) = block.texts(key) else { return Some(Vec::new()) };
        let mut networks = Vec::new();
        for text in &value {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => {
                    self.refuse::<()>(block, line, key, format!("{error}"));
                }
            }
        }
        (networks.len() == value.len()).then_some(networks)
    }

    /// Addresses with ports; empty if the key is not there.
    fn alternates(&mut self, block: &Block) -> Option<Vec<SocketAddr>> {
        let Some(At { value, line }) = block.texts("alternates") else { return Some(Vec::new()) };
        let mut alternates = Vec::new();
        for text in &value {
            match text.parse() {
                Ok(alternate) => alternates.push(alternate),
                Err(_) => {
                    let text = format!("{text:?} is no address with a port, as in 198.51.100.6:3478");
                    self.refuse::<()>(block, line, "alternates", text);
                }
            }
        }
        (alternates.len() == value.len()).then_some(alternates)
    }

    fn relay(&mut self, block: &Block) -> Option<Relay> {
        let classes = [
            ("udp", None),
            ("audio", Some(TrafficClass::Audio)),
            ("video", Some(TrafficClass::Video)),
            ("sharing", Some(TrafficClass::Sharing)),
        ];
        let mut udp: Vec<(u16, Option<TrafficClass>)> = Vec::new();
        for (key, class) in classes {
            let at = block.number(key)?;
            let port = u16::try_from(at.value).ok()?;
            if udp.iter().any(|(taken, _)| *taken == port) {
                return self.refuse(block, at.line, key, format!("{port} is the port of another class too"));
            }
            udp.push((port, class));
        }
        let [tcp, tls] = ["tcp", "tls"].map(|key| block.number(key));
        let (tcp, tls) = (tcp?, tls?);
        if tcp.value == tls.value {
            return self.refuse(block, tls.line, "tls", format!("{} is the port of TCP too", tls.value));
        }
        let [peers, denied] = ["peers", "denied"].map(|key| self.networks(block, key));
        let size = |key| usize::try_from(block.number(key)?.value).ok();
        let bytes = |key| Some(block.number(key)?.value * 1000 / 8);
        Some(Relay {
            udp,
            tcp: u16::try_from(tcp.value).ok()?,
            tls: u16::try_from(tls.value).ok()?,
            allocations: size("allocations")?,
            allocations_per_user: u32::try_from(block.number("allocations-per-user")?.value).ok()?,
            allocations_per_site: block
                .number("allocations-per-site")
                .and_then(|most| u32::try_from(most.value).ok()),
            requests_per_source: u32::try_from(block.number("requests-per-source")?.value).ok()?,
            peers: peers?,
            denied: denied?,
            bandwidth: bytes("bandwidth")?,
            audio_bandwidth: bytes("audio-bandwidth")?,
            bandwidth_per_user: bytes("bandwidth-per-user")?,
            bandwidth_per_site: bytes("bandwidth-per-site"),
            coalesce: Some(block.number("coalesce")?.value)
                .filter(|pause| *pause > 1)
                .map(Duration::from_micros),
            in_kernel: block.text("fast-path")?.value == "kernel",
        })
    }

    fn secrets(&mut self, block: &Block) -> Vec<Secret> {
        let Some(At { value, line }) = block.texts("secrets") else { return Vec::new() };
        value.into_iter().filter_map(|value| self.secret(block, "secrets", &At { value, line })).collect()
    }

    fn relay_users(&mut self, raw: &Raw) -> Vec<RelayUser> {
        let mut users: Vec<RelayUser> = Vec::new();
        for block in raw.blocks("relay-users") {
            let (Some(name), Some(password)) = (block.text("name"), block.text("password")) else { continue };
            if users.iter().any(|user| user.name == name.value) {
                self.refuse::<()>(block, name.line, "name", format!("{:?} is there twice", name.value));
            }
            users.push(RelayUser { name: name.value, password: password.value });
        }
        users
    }
}

/// Whether an Edge carries media, by its profile.
pub(super) fn carries_media(top: &Block) -> bool {
    top.text("profile").is_none_or(|profile| profile.value != "im-only")
}

impl std::fmt::Debug for RelayUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RelayUser({:?})", self.name)
    }
}
