//! What the file of a Director means.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_signaling::director::Group;

use super::edge::{Addresses, EdgeConfig, Relay};
use super::raw::{At, Block, Raw};
use super::resolve::{Resolver, is_host, log};

/// What a Director is told to do, beside what every such server is.
#[derive(Clone, PartialEq, Debug)]
pub struct DirectorConfig {
    /// The domains of the users, in lower case.
    pub domains: Vec<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The Edges.
    pub edge: Option<Group>,
    /// The Front Ends; at least one.
    pub front_ends: Vec<Group>,
    /// How often all of them are asked.
    pub probe: Duration,
}

impl Resolver<'_> {
    /// A Director's: the configuration of an Edge that has no outside and no service but this one.
    pub(super) fn director(&mut self, raw: &Raw) -> Option<EdgeConfig> {
        let top = raw.block("");
        let (name, plan, address) = (self.name(&top), self.plan(&top), self.one_address(&top));
        let internal_tls = self.internal_tls(raw);
        if raw.blocks("internal-tls").is_empty() {
            let text = "is missing: nobody believes a Director that does not prove itself";
            self.refuse::<()>(&top, top.line, "internal-tls", text);
        }
        let edge = raw.blocks("edge").first().map(|block| self.group(block));
        let front_ends: Vec<_> = raw.blocks("front-ends").iter().map(|block| self.group(block)).collect();
        if front_ends.is_empty() {
            self.refuse::<()>(&top, top.line, "front-ends", "is missing: nobody would be at home anywhere");
        }
        let domains = self.own_domains(&top);
        let metrics = self.metrics(&raw.block("metrics"));
        let (name, address) = (name?, address?);
        let director = DirectorConfig {
            domains: domains?,
            address: SocketAddr::new(address, u16::try_from(top.number("port")?.value).ok()?),
            edge: match edge {
                Some(edge) => Some(edge?),
                None => None,
            },
            front_ends: front_ends.into_iter().collect::<Option<_>>()?,
            probe: Duration::from_secs(top.number("probe")?.value),
        };
        self.twice(raw, &director);
        Some(EdgeConfig {
            realm: name.clone(),
            name,
            media: false,
            plan: plan?,
            addresses: inside_only(address),
            relay: no_relay(),
            director: Some(director),
            access: None,
            certificate: None,
            internal_tls: internal_tls?,
            web_conferencing: None,
            replica: None,
            secrets: Vec::new(),
            authentication: None,
            users: Vec::new(),
            admin_socket: self.path(&raw.block("admin"), "socket")?,
            metrics: metrics?,
            log: log(&raw.block("log"))?,
            drain: Duration::ZERO,
            alternates: Vec::new(),
        })
    }

    fn group(&mut self, block: &Block) -> Option<Group> {
        let (name, addresses) = (self.certified(block, "name"), self.places(block, "addresses"));
        Some(Group { name: name?, addresses: addresses? })
    }

    fn own_domains(&mut self, top: &Block) -> Option<Vec<String>> {
        let At { value, line } = top.texts("domains")?;
        for domain in value.iter().filter(|domain| !is_host(domain)) {
            self.refuse::<()>(top, line, "domains", format!("{domain:?} is no domain name"));
        }
        if value.is_empty() {
            return self.refuse(top, line, "domains", "names none");
        }
        Some(value.iter().map(|domain| domain.to_ascii_lowercase()).collect())
    }

    fn one_address(&mut self, top: &Block) -> Option<IpAddr> {
        let address = self.address(top, "address")?;
        if address.is_unspecified() || address.is_multicast() {
            let line = top.text("address").map_or(top.line, |at| at.line);
            return self.refuse(top, line, "address", format!("{address} is not the address of one machine"));
        }
        Some(address)
    }

    /// Who a server is its certificate says, and where a dialog goes its address: neither may be two servers'.
    fn twice(&mut self, raw: &Raw, director: &DirectorConfig) {
        let groups: Vec<&Group> = director.edge.iter().chain(&director.front_ends).collect();
        let blocks: Vec<_> = raw.blocks("edge").iter().chain(raw.blocks("front-ends")).cloned().collect();
        for (at, (group, block)) in groups.iter().zip(&blocks).enumerate() {
            let before = || groups.iter().take(at);
            if before().any(|other| other.name.eq_ignore_ascii_case(&group.name)) {
                self.refuse::<()>(block, block.line, "name", format!("{:?} is there twice", group.name));
            }
            let known =
                |ip: IpAddr| before().flat_map(|other| &other.addresses).any(|other| other.ip() == ip);
            for twice in group.addresses.iter().filter(|address| known(address.ip())) {
                let text = format!("{} is the address of another server too", twice.ip());
                self.refuse::<()>(block, block.line, "addresses", text);
            }
        }
    }
}

fn inside_only(address: IpAddr) -> Addresses {
    Addresses {
        external: address,
        external6: None,
        public: address,
        access: Vec::new(),
        web_conferencing: Vec::new(),
        internal: Some(address),
        inside: Vec::new(),
    }
}

/// That of a server that relays nothing.
fn no_relay() -> Relay {
    Relay {
        udp: Vec::new(),
        tcp: 0,
        tls: 0,
        allocations: 0,
        allocations_per_user: 0,
        allocations_per_site: None,
        requests_per_source: 0,
        peers: Vec::new(),
        denied: Vec::new(),
        bandwidth: 0,
        audio_bandwidth: 0,
        bandwidth_per_user: 0,
        bandwidth_per_site: None,
        coalesce: None,
        in_kernel: false,
    }
}
