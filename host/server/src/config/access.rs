//! What the files of an Edge and of a Front End say of the Access Edge.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use carillon_relay::Transport;
use carillon_signaling::access::Partner;

use super::edge::{Addresses, EdgeConfig, carries_media};
use super::listening::Listening;
use super::raw::{At, Block, Raw};
use super::resolve::{Resolver, is_host};
use crate::edge::Unit;

/// What an Access Edge is told to do.
#[derive(Clone, PartialEq, Debug)]
pub struct AccessConfig {
    /// The domains of the inside, in lower case.
    pub domains: Vec<String>,
    /// What the certificates of the servers inside say.
    pub next_hop: String,
    /// Where they are.
    pub servers: Vec<SocketAddr>,
    /// How it is reached from outside: a name or an address.
    pub name: String,
    /// Its ports.
    pub ports: AccessPorts,
    /// Files with the authorities of partners.
    pub partner_authorities: Vec<PathBuf>,
    /// Other domains.
    pub partners: Vec<Partner>,
    /// How often servers are asked whether they are there.
    pub probe: Duration,
    /// Whether sessions may ask for media.
    pub media: bool,
}

/// Ports of an Access Edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessPorts {
    /// For clients.
    pub clients: u16,
    /// For partners.
    pub federation: u16,
    /// For the inside.
    pub internal: u16,
}

impl EdgeConfig {
    /// Its part of the table: for partners first.
    pub(super) fn access_listening(&self) -> Vec<Listening> {
        let Some(access) = &self.access else { return Vec::new() };
        let row = |key, ip: IpAddr, port| Listening {
            unit: Unit::Access,
            key: ("access", key),
            transport: Transport::Tls,
            address: SocketAddr::new(ip, port),
            class: None,
        };
        let AccessPorts { clients, federation, internal } = access.ports;
        let outside = self.addresses.outside(Unit::Access);
        let partners = outside.iter().map(|ip| row("federation", *ip, federation));
        let own = outside.iter().filter(|_| clients != federation).map(|ip| row("port", *ip, clients));
        let inside = self.addresses.internal.map(|ip| row("internal", ip, internal));
        partners.chain(own).chain(inside).collect()
    }

    /// Whether the other asks more of the Access Edge than it can do while it runs: only partners and certificates come and go.
    pub(super) fn access_waits(&self, other: &EdgeConfig) -> bool {
        let but_partners = |access: &AccessConfig| AccessConfig {
            partners: Vec::new(),
            partner_authorities: Vec::new(),
            ..access.clone()
        };
        let (one, two) = (self.access.as_ref(), other.access.as_ref());
        one.map(but_partners) != two.map(but_partners) || self.addresses != other.addresses
    }
}

impl Resolver<'_> {
    /// The inner `None`: it is not asked for.
    pub(super) fn access(
        &mut self,
        raw: &Raw,
        addresses: Option<&Addresses>,
        certificate: Option<&Option<(PathBuf, PathBuf)>>,
    ) -> Option<Option<AccessConfig>> {
        let partners = self.partners(raw);
        let Some(block) = raw.blocks("access").first().cloned() else {
            return match raw.blocks("partners").first() {
                None => Some(None),
                Some(partner) => self.refuse(
                    partner,
                    partner.line,
                    "domain",
                    "needs a section [access]: nobody would talk to it",
                ),
            };
        };
        let (addresses, certificate) = (addresses?, certificate?);
        if certificate.is_none() {
            return self.refuse(
                &block,
                block.line,
                "certificate",
                "needs one in [tls] for clients and partners",
            );
        }
        if addresses.internal.is_none() {
            return self.refuse(
                &block,
                block.line,
                "internal",
                "needs `addresses.internal`, where servers reach it",
            );
        }
        let domains = block.texts("domains")?;
        for domain in domains.value.iter().filter(|domain| !is_host(domain)) {
            self.refuse::<()>(&block, domains.line, "domains", format!("{domain:?} is no domain name"));
        }
        let servers = self.places(&block, "servers");
        self.needs(raw, &block, "internal-tls");
        let port = |key| block.number(key).and_then(|at| u16::try_from(at.value).ok());
        let ports = AccessPorts {
            clients: port("port").unwrap_or(addresses.outside_port(Unit::Access)),
            federation: port("federation")?,
            internal: port("internal")?,
        };
        Some(Some(AccessConfig {
            domains: domains.value.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
            next_hop: self.certified(&block, "next-hop")?,
            servers: servers?,
            name: block.text("name").or_else(|| raw.block("").text("name"))?.value,
            ports,
            partner_authorities: self.files(&block, "partner-authorities"),
            partners,
            probe: Duration::from_secs(block.number("probe")?.value),
            media: carries_media(&raw.block("")),
        }))
    }

    /// Of a Front End. The inner `None`: there is none.
    pub(super) fn own_edge(&mut self, raw: &Raw) -> Option<Option<carillon_signaling::Edge>> {
        let (edge, director) = (raw.blocks("edge").first(), raw.blocks("director").first());
        if let (Some(_), Some(director)) = (edge, director) {
            let text = "stands in the place of [edge], which the Director knows: take one of them out";
            return self.refuse(director, director.line, "", text);
        }
        let Some(block) = edge.or(director).cloned() else { return Some(None) };
        let (name, addresses) = (self.certified(&block, "name"), self.places(&block, "addresses"));
        let (name, addresses, is_director) = (name?, addresses?, director.is_some());
        Some(Some(carillon_signaling::Edge { name, addresses, is_director }))
    }

    fn partners(&mut self, raw: &Raw) -> Vec<Partner> {
        let mut partners: Vec<Partner> = Vec::new();
        let inside = raw.blocks("access").first().and_then(|block| block.texts("servers"));
        let inside: Vec<SocketAddr> =
            inside.iter().flat_map(|servers| &servers.value).filter_map(|text| text.parse().ok()).collect();
        for block in raw.blocks("partners") {
            let domain = self.certified(block, "domain");
            let addresses = match block.texts("addresses") {
                Some(_) => self.places(block, "addresses"),
                // The DNS knows.
                None => Some(Vec::new()),
            };
            let (Some(domain), Some(addresses)) = (domain, addresses) else { continue };
            let domain = domain.to_ascii_lowercase();
            if partners.iter().any(|partner| partner.domain == domain) {
                self.refuse::<()>(block, block.line, "domain", format!("{domain:?} is there twice"));
            }
            if let Some(address) = addresses.iter().find(|address| inside.contains(address)) {
                let text = format!("{address} is in `access.servers`, and can't be a partner's too");
                self.refuse::<()>(block, block.line, "addresses", text);
            }
            partners.push(Partner { domain, addresses });
        }
        partners
    }

    /// A name as it stands in certificates.
    pub(super) fn certified(&mut self, block: &Block, key: &str) -> Option<String> {
        let At { value, line } = block.text(key)?;
        match is_host(&value) {
            true => Some(value),
            false => self.refuse(block, line, key, format!("{value:?} is no host name")),
        }
    }

    /// Addresses with their ports, at least one.
    pub(super) fn places(&mut self, block: &Block, key: &str) -> Option<Vec<SocketAddr>> {
        let At { value, line } = block.texts(key)?;
        let mut places = Vec::new();
        for text in &value {
            match text.parse() {
                Ok(place) => places.push(place),
                Err(_) => {
                    let text = format!("{text:?} is no ADDRESS:PORT, such as 192.0.2.80:5061");
                    self.refuse::<()>(block, line, key, text);
                }
            }
        }
        if value.is_empty() {
            return self.refuse(block, line, key, "names nobody");
        }
        (places.len() == value.len()).then_some(places)
    }

    fn files(&mut self, block: &Block, key: &str) -> Vec<PathBuf> {
        let Some(At { value, line }) = block.texts(key) else { return Vec::new() };
        value.into_iter().filter_map(|value| self.readable(block, key, &At { value, line })).collect()
    }
}
