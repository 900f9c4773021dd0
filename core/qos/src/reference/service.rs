//! The listeners of a unified communications estate, as Lync Server 2013 and Skype for Business 2015 lay them out.

use serde::Serialize;

use crate::ports::PortRange;

/// A port with a fixed meaning on one kind of server. The same number may mean something else elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Service {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
    /// `tcp`, `udp` or `tcp+udp`.
    pub transport: &'static str,
    /// Which server, and at the Edge which side of it.
    pub at: &'static str,
    /// Who opens connections.
    pub direction: Listens,
    /// What listens.
    pub name: &'static str,
    /// What it is for, and who talks to it.
    pub purpose: &'static str,
    /// What happens if a firewall closes it.
    pub closed: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// Whether it listens in every deployment, so that no media range of any role should contain it.
    pub everywhere: bool,
}

/// Who opens connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listens {
    /// The server named listens.
    In,
    /// The server named connects to others.
    Out,
    /// Both.
    Both,
}

use Listens::{Both, In, Out};

const SERVER: &str = "Lync Server 2013: ports and protocols for internal servers";
const EDGE: &str = "Lync Server 2013: port summary for the Edge";
const CLIENT: &str = "Lync Server 2013: ports and protocols for clients";
const LATER: &str = "Skype for Business Server 2015: port and protocol requirements";

macro_rules! services {
    ($($first:literal $(..= $last:literal)? $transport:literal $at:literal $direction:ident $name:literal
        $purpose:literal; closed: $closed:literal; $source:ident $(, $everywhere:ident)?;)*) => {
        /// Every known service, in the order of ports.
        pub const SERVICES: &[Service] = &[$(Service {
            first: $first,
            last: last($first, &[$($last)?]),
            transport: $transport,
            at: $at,
            direction: $direction,
            name: $name,
            purpose: $purpose,
            closed: $closed,
            source: $source,
            everywhere: is_said(&[$(stringify!($everywhere))?]),
        }),*];
    };
}

services! {
    53 "tcp+udp" "Edge, external" Out "DNS" "Names of partners and of the Internet."; closed: "federation and public IM find nobody"; EDGE;
    80 "tcp" "Front End, Director" In "web services, internal" "Pages and lists of revoked certificates, where HTTPS is not used."; closed: "phones cannot fetch certificates and updates"; SERVER;
    80 "tcp" "Edge, external" Out "revocation lists" "Asks whether certificates of partners are revoked."; closed: "TLS with partners is slow or fails"; EDGE;
    135 "tcp" "Front End" In "DCOM" "Moving users, address book, replication of users."; closed: "users cannot be moved between pools"; SERVER;
    443 "tcp" "Front End, Director" In "web services, internal" "Address book, meeting join, Autodiscover, device updates (HTTPS)."; closed: "clients sign in without address book, and cannot join meetings by link"; SERVER;
    443 "tcp" "Edge, internal" In "A/V Edge (MediaRelaySvc.exe)" "STUN and TURN over TCP: the fallback for media, the only way for sharing and files."; closed: "sharing with people outside fails, calls fail where UDP 3478 is closed too"; EDGE, everywhere;
    443 "tcp" "Edge, external Access" In "Access Edge (RTCSrv.exe)" "SIP over TLS of people outside."; closed: "nobody outside can sign in"; EDGE;
    443 "tcp" "Edge, external A/V" Both "A/V Edge (MediaRelaySvc.exe)" "STUN and TURN over TCP: not HTTPS, so certificate checkers see no certificate."; closed: "calls from networks that allow TCP 443 only have no sound"; EDGE;
    443 "tcp" "Edge, external Web Conferencing" In "Web Conferencing Edge (DataProxy.exe)" "PSOM: whiteboard, polls, uploads of people outside."; closed: "people outside see no whiteboard and no polls"; EDGE;
    444 "tcp" "Front End" In "focus" "Conference state between servers; branch appliances too (HTTPS)."; closed: "conferences cannot be created or joined"; SERVER;
    445 "tcp" "Central Management" Out "master replicator" "Sends settings to every server (SMB)."; closed: "servers keep old settings"; SERVER;
    448 "tcp" "Front End" In "bandwidth policy" "Call admission control."; closed: "all calls are allowed, whatever the link bears"; SERVER;
    881 "tcp" "Persistent Chat" In "Persistent Chat (WCF)" "Compliance and administration."; closed: "rooms cannot be administered"; SERVER;
    1434 "udp" "every server" In "SQL browser" "Finds the local database instance."; closed: "services that use the local database do not start"; SERVER;
    3478 "udp" "Edge, internal" In "A/V Edge (MediaRelaySvc.exe)" "STUN and TURN: the preferred way of media of clients and servers inside. All classes share this port, so marks are set by the other end's port."; closed: "media falls back to TCP 443: calls connect late and sound worse"; EDGE, everywhere;
    3478 "udp" "Edge, external A/V" Both "A/V Edge (MediaRelaySvc.exe)" "STUN and TURN of people outside and of partners' Edges."; closed: "media of people outside falls back to TCP 443"; EDGE;
    4443 "tcp" "Edge, internal" In "replica (ReplicaReplicatorAgent.exe)" "Settings pushed by Central Management (HTTPS); listens on all interfaces."; closed: "the Edge keeps old settings"; EDGE, everywhere;
    4443 "tcp" "Front End, Director" In "web services, external" "What the reverse proxy publishes from its 443 (HTTPS)."; closed: "people outside cannot join meetings by link; mobiles cannot sign in"; SERVER;
    5041 "tcp" "Persistent Chat" In "Persistent Chat" "SIP with Front Ends (MTLS)."; closed: "chat rooms are not there"; SERVER;
    5060 "tcp" "Front End, Director" In "registrar and proxy, in clear" "Static routes to trusted services only; optional."; closed: "gateways that know no TLS are not reached"; SERVER;
    5061 "tcp" "Front End, Director" In "SIP over TLS, registrar and proxy" "All SIP of clients and servers (TLS, MTLS). Takes a connection and says nothing until it is spoken to."; closed: "nobody can sign in"; SERVER, everywhere;
    5061 "tcp" "Edge, internal" Both "Access Edge (RTCSrv.exe)" "SIP with Director or Front End (MTLS); never with clients."; closed: "nobody outside can sign in, no federation"; EDGE;
    5061 "tcp" "Edge, external Access" Both "Access Edge (RTCSrv.exe)" "Federation and public IM (MTLS); with one address for all, people outside too."; closed: "no federation"; EDGE;
    5062 "tcp" "Front End" In "IM conferencing" "SIP with the server of instant messages in conferences."; closed: "no instant messages in conferences"; SERVER;
    5062 "tcp" "Edge, internal" In "A/V Authentication (MRASSvc.exe)" "Front Ends ask for relay credentials of users; clients never ask themselves."; closed: "clients get no relay: calls to people outside have no sound"; EDGE, everywhere;
    5063 "tcp" "Front End" In "A/V conferencing" "SIP with the server of audio and video in conferences."; closed: "no audio and video in conferences"; SERVER;
    5064 "tcp" "Front End" In "Conferencing Attendant" "SIP of those who dial in."; closed: "nobody can dial in to conferences"; SERVER;
    5065 "tcp" "Front End" In "application sharing" "SIP with the server of sharing in conferences."; closed: "no sharing in conferences"; SERVER;
    5066 "tcp" "Front End" Out "E9-1-1 gateway" "Emergency calls to their gateway."; closed: "emergency calls take the ordinary way"; SERVER;
    5067 "tcp" "Mediation" In "Mediation, gateway side" "SIP over TLS from gateways."; closed: "no calls from the telephone network (TLS)"; SERVER;
    5068 "tcp" "Mediation" In "Mediation, gateway side, in clear" "SIP over TCP from gateways; only where it is defined."; closed: "no calls from the telephone network (TCP)"; SERVER;
    5070 "tcp" "Mediation" In "Mediation" "SIP from Front Ends."; closed: "no calls to and from the telephone network"; SERVER;
    5071 "tcp" "Front End" In "Response Group" "SIP of groups and queues."; closed: "calls to groups and queues fail"; SERVER;
    5072 "tcp" "Front End" In "Conferencing Attendant" "SIP of those who dial in."; closed: "nobody can dial in to conferences"; SERVER;
    5073 "tcp" "Front End" In "Conferencing Announcement" "SIP of the service that announces who comes and goes."; closed: "no announcements in conferences"; SERVER;
    5075 "tcp" "Front End" In "Call Park" "SIP of parked calls."; closed: "calls cannot be parked"; SERVER;
    5076 "tcp" "Front End" In "Audio Test" "SIP of the test call."; closed: "test calls fail"; SERVER;
    5080 "tcp" "Front End" In "bandwidth policy" "Call admission control; A/V Edges ask for relayed media."; closed: "all calls are allowed, whatever the link bears"; SERVER;
    5081..=5082 "tcp" "Mediation" Out "Mediation, to gateways" "SIP to gateways: 5081 TCP, 5082 TLS, where Mediation shares a server with the Front End."; closed: "no calls to the telephone network"; SERVER;
    5086..=5087 "tcp" "Front End" In "mobility (Mcx)" "Inside and outside requests of mobiles; talked to by the web services only."; closed: "older mobiles do not sign in"; SERVER;
    5088..=5089 "tcp" "Front End" In "UCWA" "Inside and outside requests of mobiles and web clients; talked to by the web services only."; closed: "mobiles and web clients do not sign in"; LATER;
    5269 "tcp" "Edge, external Access" Both "XMPP" "Federation with XMPP."; closed: "no XMPP partners"; EDGE;
    5353 "udp" "every machine" In "multicast DNS" "Names on the link; programs of the system hold it."; closed: "nothing of the plan; a range that contains it loses a port"; CLIENT;
    5355 "udp" "every machine" In "LLMNR" "Names on the link; programs of the system hold it."; closed: "nothing of the plan; a range that contains it loses a port"; CLIENT;
    6891..=6901 "tcp" "client" In "file transfer" "Files to and from old clients."; closed: "old clients cannot exchange files"; CLIENT;
    7100..=7102 "tcp" "client" In "SIP, dynamic ports of old clients" "Set by default with the client ranges (ClientSipDynamicPort 7100, 3 ports), and without effect since Lync 2010: SIP goes out from any port to 5061 or 443."; closed: "nothing: clients open their SIP connections themselves"; CLIENT;
    8057 "tcp" "Front End" In "web conferencing" "PSOM of clients inside (TLS): whiteboard, polls, uploads. Says bytes when connected."; closed: "no whiteboard, polls or uploads in meetings"; SERVER, everywhere;
    8057 "tcp" "Edge, internal" In "Web Conferencing Edge (DataProxy.exe)" "PSOM between Front End and Edge (MTLS)."; closed: "people outside see no whiteboard and no polls"; EDGE;
    8058 "tcp" "Front End" In "web conferencing compatibility" "PSOM of Live Meeting clients."; closed: "Live Meeting clients cannot join"; SERVER;
    8060..=8061 "tcp" "Front End" In "data sharing of the web app" "Component inside the Front End (MTLS): 8060 for inside, 8061 for outside data sharing. Not in the listener table of the Edge; not needed from the Internet."; closed: "between servers: the web app shows no shared data; from the Internet: nothing, keep it closed"; SERVER;
    8080 "tcp" "Front End, Director" In "web services, external" "What the reverse proxy publishes from its 80."; closed: "nothing, if the reverse proxy publishes 443 only"; SERVER;
    8404 "tcp" "Front End" In "Response Group" "Between servers (MTLS)."; closed: "groups and queues do not run"; SERVER;
    23456 "tcp" "Edge, internal" In "XMPP proxy" "From the XMPP gateway of the Front End (MTLS)."; closed: "no XMPP partners"; EDGE;
    50000..=59999 "tcp+udp" "Edge, external A/V" Both "relayed media" "Ports given to calls one by one; idle ones are closed, so a port scan shows nothing. TCP out is always wanted; in and UDP for partners of 2007, recommended for the best paths."; closed: "media goes through 3478 and 443 instead: longer ways, worse sound"; EDGE;
    50001..=50003 "tcp" "every server, Edge internal" In "centralized logging" "Controller and agents (MTLS). The numbers lie inside the Edge's media range, on another interface."; closed: "logs cannot be gathered centrally"; SERVER;
}

/// The relay's program.
const RELAY: &str = "MediaRelaySvc.exe";

const fn is_said(words: &[&str]) -> bool {
    !words.is_empty()
}

const fn last(first: u16, last: &[u16]) -> u16 {
    if let [last] = last { *last } else { first }
}

impl Service {
    /// Its ports.
    pub fn ports(&self) -> Option<PortRange> {
        PortRange::from_ends(self.first, self.last)
    }

    /// Those that listen in every deployment, one for each port.
    pub fn everywhere() -> impl Iterator<Item = &'static Service> {
        SERVICES.iter().filter(|service| service.everywhere)
    }

    /// Those that use a port.
    pub fn at_port(port: u16) -> impl Iterator<Item = &'static Service> {
        SERVICES.iter().filter(move |service| (service.first..=service.last).contains(&port))
    }

    /// Whether the relay of an Edge sends from this port on the inside, over `udp` or `tcp`.
    pub fn relays(port: u16, transport: &str) -> bool {
        let is_relay = |service: &Service| service.at == "Edge, internal" && service.name.contains(RELAY);
        Service::at_port(port).any(|service| is_relay(service) && service.transport == transport)
    }

    /// The known ports nearest to a port that is none, below and above.
    pub fn nearest(port: u16) -> Vec<u16> {
        let below = SERVICES.iter().map(|service| service.last).filter(|last| *last < port).max();
        let above = SERVICES.iter().map(|service| service.first).filter(|first| *first > port).min();
        let mut near: Vec<u16> = below.into_iter().chain(above).collect();
        near.sort_by_key(|other| other.abs_diff(port));
        near
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_row_says_everything() {
        assert!(SERVICES.is_sorted_by_key(|service| service.first));
        for service in SERVICES {
            assert!(service.ports().is_some() && service.first <= service.last, "{service:?}");
            assert!(["tcp", "udp", "tcp+udp"].contains(&service.transport), "{service:?}");
            assert!(service.purpose.ends_with('.') && !service.closed.ends_with('.'), "{service:?}");
        }
    }

    #[test]
    fn a_relay_sends_from_two_ports() {
        for (port, transport, relays) in [
            (3478, "udp", true),
            (443, "tcp", true),
            (443, "udp", false),
            (5061, "tcp", false),
            (50_000, "udp", false),
        ] {
            assert_eq!(Service::relays(port, transport), relays, "{port} {transport}");
        }
    }

    /// A published table has 3468 for it, calls the inner one external, and lets the range end at 59000.
    #[test]
    fn misprints_of_the_published_table_are_not_repeated() {
        let at = |port| Service::at_port(port).map(|service| service.at).collect::<Vec<_>>();
        assert_eq!((at(3478).contains(&"Edge, internal"), at(3468)), (true, vec![]));
        assert!(at(59_999).contains(&"Edge, external A/V") && !at(60_000).contains(&"Edge, external A/V"));
    }

    #[test]
    fn no_port_of_every_deployment_is_there_twice() {
        let ports: Vec<u16> = Service::everywhere().map(|service| service.first).collect();
        assert_eq!(ports, [443, 3478, 4443, 5061, 5062, 8057]);
        assert!(Service::everywhere().all(|service| service.first == service.last));
    }

    #[test]
    fn one_number_means_different_services_on_different_addresses() {
        let at = |port| Service::at_port(port).map(|service| service.at).collect::<Vec<_>>();
        assert_eq!(at(8057), ["Front End", "Edge, internal"]);
        assert_eq!(at(5062), ["Front End", "Edge, internal"]);
        assert_eq!(at(443).iter().filter(|at| at.starts_with("Edge, external")).count(), 3);
        assert_eq!(at(50002), ["Edge, external A/V", "every server, Edge internal"]);
        assert!(at(8059).is_empty());
        assert_eq!(Service::nearest(8059), [8058, 8060]);
    }
}
