//! Our own ends: which listener a flow belongs to, how we write ourselves into messages, and whether a URI means us.

use std::net::IpAddr;

use carillon_wire::sip::{Flow, Host, Transport, Uri};

use crate::contract::{Destination, Listener};

/// The listeners, with their advertised names taken apart.
pub(crate) struct Ends {
    ends: Vec<End>,
    domains: Vec<String>,
}

/// One listener.
pub(crate) struct End {
    pub(crate) listener: Listener,
    host: Name,
    port: u16,
    /// What follows the token in a Record-Route of ours.
    pub(crate) uri: String,
}

#[derive(PartialEq, Eq)]
enum Name {
    Ip(IpAddr),
    Text(String),
}

impl Ends {
    pub(crate) fn new(listeners: Vec<Listener>, domains: &[String]) -> Ends {
        Ends { ends: listeners.into_iter().map(End::new).collect(), domains: domains.to_vec() }
    }

    /// The listener at our end of a flow; for a connection that we made, the first of its transport and family.
    pub(crate) fn of(&self, flow: &Flow) -> Option<&End> {
        let same = |end: &&End| end.listener.transport == flow.transport;
        let exact = |end: &&End| same(end) && end.covers(flow.local.ip()) && end.bound() == flow.local.port();
        let family = |end: &&End| same(end) && end.listener.address.is_ipv4() == flow.local.is_ipv4();
        let find = |fits: &dyn Fn(&&End) -> bool| self.ends.iter().find(fits);
        find(&exact).or_else(|| find(&family)).or_else(|| find(&same))
    }

    /// The same for where a message goes.
    pub(crate) fn towards(&self, to: &Destination) -> Option<&End> {
        match to {
            Destination::Flow(flow) => self.of(flow),
            Destination::Address { transport, remote, local } => self.of(&Flow {
                transport: *transport,
                id: 0,
                local: local.unwrap_or(*remote),
                remote: *remote,
            }),
        }
    }

    /// Whether a URI names one of our ends: by advertised name or by address, and by port. `here` is our address as the one
    /// who wrote the URI sees it; a listener on all addresses does not know it.
    pub(crate) fn are(&self, uri: &Uri<'_>, here: IpAddr) -> bool {
        let Some(host) = uri.host else { return false };
        self.ends.iter().any(|end| end.is(host, uri.port, here))
    }

    /// Whether a Route entry means us: some phones are told the domain as their outbound proxy.
    pub(crate) fn are_routed(&self, uri: &Uri<'_>, here: IpAddr) -> bool {
        let Some(Host::Name(host)) = uri.host else { return self.are(uri, here) };
        let domain = self.domains.iter().any(|domain| domain.as_bytes().eq_ignore_ascii_case(host));
        let port =
            uri.port.is_none_or(|port| self.ends.iter().any(|end| end.port == port || end.bound() == port));
        domain && port || self.are(uri, here)
    }
}

impl End {
    fn new(listener: Listener) -> End {
        let text = format!("sip:{}", listener.advertised);
        let read = Uri::parse(text.as_bytes()).ok();
        let host = match read.and_then(|uri| uri.host) {
            Some(Host::Ip(ip)) => Name::Ip(ip),
            Some(Host::Name(name)) => Name::Text(String::from_utf8_lossy(name).to_ascii_lowercase()),
            None => Name::Ip(listener.address.ip()),
        };
        let port = read.and_then(|uri| uri.port).unwrap_or(listener.address.port());
        let transport = listener.transport.parameter();
        let uri = format!("@{};transport={transport};lr", listener.advertised);
        End { host, port, uri, listener }
    }

    fn bound(&self) -> u16 {
        self.listener.address.port()
    }

    fn covers(&self, ip: IpAddr) -> bool {
        let bound = self.listener.address.ip();
        bound.is_unspecified() || bound == ip || bound == ip.to_canonical()
    }

    /// A URI without a port means the default one of either transport: a phone may not say which it speaks.
    fn is(&self, host: Host<'_>, port: Option<u16>, here: IpAddr) -> bool {
        let ports = [self.port, self.bound()];
        let port_fits = match port {
            Some(port) => ports.contains(&port),
            None => {
                ports.contains(&Transport::Udp.default_port())
                    || ports.contains(&Transport::Tls.default_port())
            }
        };
        let host_fits = match (host, &self.host) {
            (Host::Ip(ip), name) => *name == Name::Ip(ip) || self.covers(ip) && ip == here.to_canonical(),
            (Host::Name(text), Name::Text(name)) => text.eq_ignore_ascii_case(name.as_bytes()),
            (Host::Name(_), Name::Ip(_)) => false,
        };
        port_fits && host_fits
    }
}

/// How the far end of a flow is reached: a connection as itself; a datagram peer by its address, which outlives sockets.
pub(crate) fn reach(flow: &Flow) -> Destination {
    match flow.transport {
        Transport::Udp => {
            Destination::Address { transport: Transport::Udp, remote: flow.remote, local: Some(flow.local) }
        }
        _ => Destination::Flow(*flow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 5));

    fn ends() -> Ends {
        let listener = |transport, address: &str, advertised: &str| Listener {
            transport,
            address: address.parse().unwrap(),
            advertised: advertised.to_owned(),
            algorithms: Default::default(),
        };
        let listeners = vec![
            listener(Transport::Udp, "192.0.2.1:5060", "192.0.2.1:5060"),
            listener(Transport::Tls, "[::]:5061", "Sip.Example.com:5061"),
            listener(Transport::Udp, "10.0.0.1:5080", "10.0.0.1:5080"),
        ];
        Ends::new(listeners, &["example.com".to_owned()])
    }

    #[test]
    fn uris_of_ours_are_known_by_name_address_and_port() {
        let cases = [
            ("sip:192.0.2.1", true),
            ("sip:x@192.0.2.1:5060;lr", true),
            ("sip:192.0.2.1:5070", false),
            ("sip:sip.example.com", true),
            ("sip:sip.example.com:5061", true),
            ("sip:sip.example.com:5060", false),
            ("sip:10.0.0.1", false),
            ("sip:10.0.0.1:5080", true),
            ("sip:other.example.com", false),
            ("tel:5061", false),
            ("sip:198.51.100.5:5061", true),
            ("sip:198.51.100.5:5060", false),
            ("sip:198.51.100.6:5061", false),
        ];
        for (uri, ours) in cases {
            assert_eq!(ends().are(&Uri::parse(uri.as_bytes()).unwrap(), HERE), ours, "{uri}");
        }
    }

    #[test]
    fn a_route_may_name_the_domain() {
        for (uri, ours) in [
            ("sip:example.com;lr", true),
            ("sip:EXAMPLE.com:5080", true),
            ("sip:example.com:5070", false),
            ("sip:example.org", false),
            ("sip:192.0.2.1;lr", true),
        ] {
            assert_eq!(ends().are_routed(&Uri::parse(uri.as_bytes()).unwrap(), HERE), ours, "{uri}");
        }
    }

    #[test]
    fn a_flow_belongs_to_the_listener_at_its_local_address() {
        let flow = |transport, local: &str| {
            let local = local.parse().unwrap();
            Flow { transport, id: 1, local, remote: local }
        };
        let of = |flow| ends().of(&flow).map(|end| end.listener.advertised.clone());
        assert_eq!(of(flow(Transport::Udp, "10.0.0.1:5080")).as_deref(), Some("10.0.0.1:5080"));
        assert_eq!(of(flow(Transport::Tls, "192.0.2.7:5061")).as_deref(), Some("Sip.Example.com:5061"));
        assert_eq!(of(flow(Transport::Udp, "192.0.2.1:49152")).as_deref(), Some("192.0.2.1:5060"));
        assert_eq!(of(flow(Transport::Tcp, "192.0.2.1:5060")), None);
    }
}
