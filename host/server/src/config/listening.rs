//! Who listens where on an Edge: one table by address, port and service, which everything is opened by.
//!
//! On one address a port is one service's; on three addresses the same port may be three services'.

use std::net::{IpAddr, SocketAddr};

use carillon_qos::TrafficClass;
use carillon_relay::Transport;

use super::edge::{Addresses, EdgeConfig};
use super::raw::Raw;
use super::resolve::Resolver;
use crate::edge::Unit;

/// A place where a service of an Edge listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listening {
    /// Which service.
    pub unit: Unit,
    /// The section of the configuration and the key in it that say the port.
    pub key: (&'static str, &'static str),
    /// What is spoken.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// The class of all that is carried there, if it is only one.
    pub class: Option<TrafficClass>,
}

/// The port that every service would like: what passes where nothing else does.
const HTTPS: u16 = 443;

impl Addresses {
    /// Where a service is reached from the Internet.
    pub fn outside(&self, unit: Unit) -> Vec<IpAddr> {
        let own = match unit {
            Unit::Access => &self.access,
            Unit::WebConferencing => &self.web_conferencing,
            Unit::Av => &Vec::new(),
            Unit::Authentication | Unit::Replica | Unit::Director => return Vec::new(),
        };
        if own.is_empty() { [self.external].into_iter().chain(self.external6).collect() } else { own.clone() }
    }

    /// The port over TCP on which its clients are served unless the configuration says another. Of services that share an
    /// address only the first has 443: the A/V Edge before the Access Edge before the Web Conferencing Edge.
    pub fn outside_port(&self, unit: Unit) -> u16 {
        let own = self.outside(unit);
        let shares = |other: Unit| self.outside(other).iter().any(|address| own.contains(address));
        match unit {
            Unit::Access if shares(Unit::Av) => 5061,
            Unit::WebConferencing if shares(Unit::Av) || shares(Unit::Access) => 444,
            _ => HTTPS,
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<IpAddr> {
        let own = [Some(self.external), self.external6, Some(self.public), self.internal];
        let others = self.access.iter().chain(&self.web_conferencing).copied();
        own.into_iter().flatten().chain(others).collect()
    }
}

impl EdgeConfig {
    /// Whether a service is asked for.
    pub(crate) fn wants(&self, unit: Unit) -> bool {
        match unit {
            Unit::Av => self.media,
            Unit::Access => self.access.is_some(),
            Unit::Authentication => self.authentication.is_some(),
            Unit::WebConferencing => self.web_conferencing.is_some(),
            Unit::Replica => self.replica.is_some(),
            Unit::Director => self.director.is_some(),
        }
    }

    /// The services that such a server may have.
    pub(crate) fn units(&self) -> impl Iterator<Item = Unit> + use<> {
        let alone = self.director.is_some();
        let all = [Unit::Director].into_iter().chain(Unit::ALL);
        all.filter(move |unit| (*unit == Unit::Director) == alone)
    }

    /// The whole table.
    pub fn listeners(&self) -> Vec<Listening> {
        self.units().filter(|unit| self.wants(*unit)).flat_map(|unit| self.listening(unit)).collect()
    }

    /// The part of a service.
    pub fn listening(&self, unit: Unit) -> Vec<Listening> {
        match unit {
            Unit::Av => self.relay_listening(),
            Unit::Access => self.access_listening(),
            Unit::Authentication => self.authentication_listening(),
            Unit::WebConferencing => self.web_conferencing_listening(),
            Unit::Replica => self.replica_listening(),
            Unit::Director => self.director_listening(),
        }
    }

    /// Inside, and nowhere else.
    fn authentication_listening(&self) -> Vec<Listening> {
        let (Some(service), Some(internal)) = (&self.authentication, self.addresses.internal) else {
            return Vec::new();
        };
        vec![secured(Unit::Authentication, "authentication", SocketAddr::new(internal, service.port))]
    }

    /// Inside, where it is all of it.
    fn director_listening(&self) -> Vec<Listening> {
        let address = self.director.as_ref().map(|director| director.address);
        address.map(|address| secured(Unit::Director, "", address)).into_iter().collect()
    }

    fn web_conferencing_listening(&self) -> Vec<Listening> {
        let Some(conferencing) = &self.web_conferencing else { return Vec::new() };
        let place = |ip| SocketAddr::new(ip, conferencing.port);
        let addresses = self.addresses.outside(Unit::WebConferencing).into_iter().map(place);
        addresses.map(|address| secured(Unit::WebConferencing, "web-conferencing", address)).collect()
    }

    fn replica_listening(&self) -> Vec<Listening> {
        let (Some(replica), Some(internal)) = (&self.replica, self.addresses.internal) else {
            return Vec::new();
        };
        vec![secured(Unit::Replica, "replica", SocketAddr::new(internal, replica.port))]
    }

    /// Every port on all addresses, so that clients on either side find the same.
    fn relay_listening(&self) -> Vec<Listening> {
        let addresses = &self.addresses;
        let sides = [Some(addresses.external), addresses.external6, addresses.internal];
        sides.into_iter().flatten().flat_map(|ip| self.relay_ports(ip)).collect()
    }

    fn relay_ports(&self, ip: IpAddr) -> impl Iterator<Item = Listening> {
        let row = move |key, transport, port, class| Listening {
            unit: Unit::Av,
            key: ("relay", key),
            transport,
            address: SocketAddr::new(ip, port),
            class,
        };
        let key = |class| match class {
            Some(TrafficClass::Audio) => "audio",
            Some(TrafficClass::Video) => "video",
            Some(TrafficClass::Sharing) => "sharing",
            _ => "udp",
        };
        let udp =
            self.relay.udp.iter().map(move |(port, class)| row(key(*class), Transport::Udp, *port, *class));
        let tls = self.certificate.as_ref().map(|_| row("tls", Transport::Tls, self.relay.tls, None));
        udp.chain([row("tcp", Transport::Tcp, self.relay.tcp, None)]).chain(tls)
    }
}

impl Listening {
    fn is_where(&self, other: &Listening) -> bool {
        self.address == other.address && self.transport.is_stream() == other.transport.is_stream()
    }

    fn place(&self) -> String {
        let transport = if self.transport.is_stream() { "TCP" } else { "UDP" };
        format!("{} ({transport})", self.address)
    }
}

impl Resolver<'_> {
    /// Two services may not want the same place.
    pub(super) fn conflicts(&mut self, config: &EdgeConfig, raw: &Raw) {
        let table = config.listeners();
        for (at, row) in table.iter().enumerate() {
            let (section, key) = row.key;
            let block = raw.block(section);
            let line = block.number(key).map_or(block.line, |at| at.line);
            if let Some(other) = table.iter().take(at).find(|other| other.is_where(row)) {
                let (its_section, its_key) = other.key;
                let text = format!(
                    "{} is wanted by the {} and by the {} ({its_section}.{its_key})",
                    row.place(),
                    row.unit.name(),
                    other.unit.name(),
                );
                self.refuse::<()>(&block, line, key, text);
            }
            if row.transport.is_stream()
                && config.metrics.is_some_and(|metrics| overlaps(metrics, row.address))
            {
                let text =
                    format!("{} is wanted by the {} and by metrics.listen", row.place(), row.unit.name());
                self.refuse::<()>(&block, line, key, text);
            }
        }
    }
}

/// A place where only TLS is spoken, whose port is the section's `port`.
fn secured(unit: Unit, section: &'static str, address: SocketAddr) -> Listening {
    Listening { unit, key: (section, "port"), transport: Transport::Tls, address, class: None }
}

/// "Any address" is also that one.
fn overlaps(any: SocketAddr, one: SocketAddr) -> bool {
    any.port() == one.port() && (any.ip() == one.ip() || any.ip().is_unspecified())
}
