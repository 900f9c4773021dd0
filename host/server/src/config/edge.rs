//! What the file of an Edge means.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_relay::Network;

use super::raw::{At, Block, Raw};
use super::resolve::{Resolver, log};
use super::{ConfiguredPlan, Log};

/// What an Edge is told to do.
#[derive(Clone, PartialEq, Debug)]
pub struct EdgeConfig {
    /// Its name, or its pool's, towards the inside.
    pub name: String,
    /// What clients of the relay are challenged with.
    pub realm: String,
    /// The plan that the file names.
    pub plan: ConfiguredPlan,
    /// Where it stands.
    pub addresses: Addresses,
    /// The A/V Edge.
    pub relay: Relay,
    /// What clients see over TLS: certificate and key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Secrets that credentials are made with, the newest first.
    pub secrets: Vec<Secret>,
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
    /// Bytes per second of one allocation, each direction.
    pub bandwidth: u64,
    /// Bytes per second of one user, each direction.
    pub bandwidth_per_user: u64,
    /// How long packets may wait for each other under load.
    pub coalesce: Option<Duration>,
}

/// What credentials are made with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

/// Somebody whose password never ends.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl EdgeConfig {
    /// This one with what a reload changes; the rest waits for a restart.
    pub(crate) fn reloaded(self, new: EdgeConfig) -> EdgeConfig {
        let addresses = Addresses { inside: new.addresses.inside, ..self.addresses };
        let Relay { udp, tcp, tls, coalesce, .. } = self.relay;
        let relay = Relay { udp, tcp, tls, coalesce, ..new.relay };
        let EdgeConfig { name, realm, certificate, admin_socket, metrics, log, .. } = self;
        EdgeConfig { name, realm, addresses, relay, certificate, admin_socket, metrics, log, ..new }
    }

    /// What can't be changed while running: the names of the keys in which the other differs.
    pub fn differs_until_restart(&self, other: &EdgeConfig) -> Vec<&'static str> {
        let (one, two) = (&self.addresses, &other.addresses);
        let differences = [
            ("name", self.name != other.name),
            ("realm", self.realm != other.realm),
            ("addresses.external", one.external != two.external),
            ("addresses.external6", one.external6 != two.external6),
            ("addresses.public", one.public != two.public),
            ("addresses.internal", one.internal != two.internal),
            ("relay.udp, relay.audio, relay.video, relay.sharing", self.relay.udp != other.relay.udp),
            ("relay.tcp", self.relay.tcp != other.relay.tcp),
            ("relay.tls", self.relay.tls != other.relay.tls),
            ("tls", self.certificate != other.certificate),
            ("relay.coalesce", self.relay.coalesce != other.relay.coalesce),
            ("admin.socket", self.admin_socket != other.admin_socket),
            ("metrics.listen", self.metrics != other.metrics),
            ("log", self.log != other.log),
        ];
        differences.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

impl Addresses {
    /// All of them.
    pub(crate) fn all(&self) -> Vec<IpAddr> {
        let own = [Some(self.external), self.external6, Some(self.public), self.internal];
        own.into_iter().flatten().collect()
    }
}

impl Resolver<'_> {
    /// An Edge's. `None` if something that must be there is not, or is wrong; then there is a mistake.
    pub(super) fn edge(&mut self, raw: &Raw) -> Option<EdgeConfig> {
        let (top, credentials) = (raw.block(""), raw.block("credentials"));
        let name = self.name(&top);
        let plan = self.edge_plan(&top);
        let addresses = self.addresses(&raw.block("addresses"));
        let relay = self.relay(&raw.block("relay"));
        let certificate = self.certificate_files(&raw.block("tls"));
        let secrets = self.secrets(&credentials);
        let users = self.relay_users(raw);
        let metrics = self.metrics(&raw.block("metrics"));
        let name = name?;
        if secrets.is_empty() && users.is_empty() && credentials.texts("secrets").is_none() {
            let text = "is missing, and there is no [[relay-users]]: nobody could use the relay";
            return self.refuse(&credentials, credentials.line, "secrets", text);
        }
        Some(EdgeConfig {
            realm: top.text("realm").map_or_else(|| name.clone(), |realm| realm.value),
            name,
            plan: plan?,
            addresses: addresses?,
            relay: relay?,
            certificate: certificate?,
            secrets,
            users,
            admin_socket: self.path(&raw.block("admin"), "socket")?,
            metrics: metrics?,
            log: log(&raw.block("log"))?,
            drain: Duration::from_secs(raw.block("service").number("drain")?.value),
        })
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
        let inside = self.inside(block);
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
        if internal.is_some() && [Some(wanted), external6].contains(&internal) {
            let line = block.text("internal").map_or(block.line, |at| at.line);
            let text = "is the external address too; leave it out where there is only one";
            self.refuse::<()>(block, line, "internal", text);
        }
        Some(Addresses {
            external: wanted,
            external6,
            public: public.unwrap_or(wanted),
            internal,
            inside: inside?,
        })
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
    fn inside(&mut self, block: &Block) -> Option<Vec<Network>> {
        let Some(At { value, line }) = block.texts("inside") else { return Some(Vec::new()) };
        let mut networks = Vec::new();
        for text in &value {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => {
                    self.refuse::<()>(block, line, "inside", format!("{error}"));
                }
            }
        }
        (networks.len() == value.len()).then_some(networks)
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
        let size = |key| usize::try_from(block.number(key)?.value).ok();
        let bytes = |key| Some(block.number(key)?.value * 1000 / 8);
        Some(Relay {
            udp,
            tcp: u16::try_from(tcp.value).ok()?,
            tls: u16::try_from(tls.value).ok()?,
            allocations: size("allocations")?,
            allocations_per_user: u32::try_from(block.number("allocations-per-user")?.value).ok()?,
            bandwidth: bytes("bandwidth")?,
            bandwidth_per_user: bytes("bandwidth-per-user")?,
            coalesce: Some(block.number("coalesce")?.value)
                .filter(|pause| *pause > 1)
                .map(Duration::from_micros),
        })
    }

    /// One line each; what is too short to be a secret is refused.
    fn secrets(&mut self, block: &Block) -> Vec<Secret> {
        let Some(At { value, line }) = block.texts("secrets") else { return Vec::new() };
        let mut secrets = Vec::new();
        for name in value {
            let Some(path) = self.readable(block, "secrets", &At { value: name, line }) else { continue };
            let Ok(text) = String::from_utf8(self.read(&path).unwrap_or_default()) else {
                self.refuse::<()>(block, line, "secrets", format!("`{}` holds no text", path.display()));
                continue;
            };
            let secret = text.trim().to_owned();
            if secret.len() < 16 {
                let text = format!("`{}` holds less than 16 characters", path.display());
                self.refuse::<()>(block, line, "secrets", text);
            }
            secrets.push(Secret(secret));
        }
        secrets
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

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl std::fmt::Debug for RelayUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RelayUser({:?})", self.name)
    }
}
