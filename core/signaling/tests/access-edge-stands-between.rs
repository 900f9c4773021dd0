//! The Access Edge with a Front End inside, clients and a partner outside: what passes, by which way, and what does not.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_signaling::access::{
    AccessEdge, Config, Event, Listener, NextHop, Output, Partner, Rate, Reach, Side,
};
use carillon_signaling::{Destination, Edge};
use carillon_wire::sip::{Flow, Limits, Method, Transport};
use support::{House, SECOND, Sent, answer, authorization, callee_routes, caller_routes, fields, starts};

const FRONT: &str = "192.0.2.1:5061";
const INSIDE: &str = "192.0.2.9:5061";
const CLIENTS: &str = "203.0.113.5:443";
const PARTNERS: &str = "203.0.113.5:5061";
const FAR: &str = "198.51.100.80:5061";
/// The connection that the Edge made to the Front End: its number and port at the Edge.
const UP: (u64, u16) = (900, 49152);

/// `example.com` with an Edge. The wire between the Edge and the Front End is there; what else leaves is returned.
struct Site {
    edge: AccessEdge,
    house: House,
    up: bool,
    marks: Vec<(SocketAddr, Option<TrafficClass>)>,
    events: Vec<Event>,
    trusted: Vec<Flow>,
    introduced: Vec<Flow>,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn config() -> Config {
    let listener = |side, address: &str, advertised: &str| Listener {
        side,
        transport: Transport::Tls,
        address: at(address),
        advertised: advertised.to_owned(),
    };
    Config {
        name: "edge.example.com".into(),
        domains: vec!["example.com".into()],
        listeners: vec![
            listener(Side::Outside, PARTNERS, "sip.example.com:5061"),
            listener(Side::Outside, CLIENTS, "sip.example.com:443"),
            listener(Side::Inside, INSIDE, INSIDE),
        ],
        next_hop: NextHop {
            name: "front.example.com".into(),
            transport: Transport::Tls,
            addresses: vec![at(FRONT)],
        },
        partners: vec![Partner { domain: "other.org".into(), addresses: vec![at(FAR)] }],
        probe: SECOND * 15,
        strangers: Rate { per_second: 1, at_once: 5 },
        media: true,
        message: Limits::default(),
    }
}

impl Site {
    fn new() -> Site {
        let edge = Edge { name: "edge.example.com".into(), addresses: vec![at(INSIDE)], is_director: false };
        let house = House::behind(edge);
        Site {
            edge: AccessEdge::new(config(), [7; 32], house.now),
            house,
            up: false,
            marks: Vec::new(),
            events: Vec::new(),
            trusted: Vec::new(),
            introduced: Vec::new(),
        }
    }

    /// A message from outside; what leaves towards the outside.
    fn hear(&mut self, flow: Flow, text: &str) -> Vec<Sent> {
        self.edge.handle_input(self.house.now, flow, text.as_bytes());
        self.drain()
    }

    /// A phone inside says something; what leaves, wherever.
    fn inside(&mut self, flow: Flow, text: &str) -> Vec<Sent> {
        let sent = self.house.hear(flow, text);
        self.carry(sent)
    }

    fn drain(&mut self) -> Vec<Sent> {
        let mut left = Vec::new();
        while let Some(output) = self.edge.poll_output() {
            match output {
                Output::Transmit { to, class, bytes } => {
                    let remote = match to {
                        Destination::Flow(flow) => flow.remote,
                        Destination::Address { remote, .. } => remote,
                    };
                    self.marks.push((remote, class));
                    let text = String::from_utf8(bytes).unwrap();
                    match remote == at(FRONT) {
                        true => left.extend(self.send_to_front(&text)),
                        false => left.push(Sent { transport: to.transport(), to: remote, text }),
                    }
                }
                Output::Trust(flow) => self.trusted.push(flow),
                Output::Introduce(flow) => self.introduced.push(flow),
                Output::Event(event) => self.events.push(event),
            }
        }
        left
    }

    /// Over the wire to the Front End, and what comes of it.
    fn send_to_front(&mut self, text: &str) -> Vec<Sent> {
        let (id, port) = UP;
        let near = SocketAddr::new(at(INSIDE).ip(), port);
        let here = Flow { transport: Transport::Tls, id, local: near, remote: at(FRONT) };
        let there = Flow { transport: Transport::Tls, id: 1, local: at(FRONT), remote: near };
        if !std::mem::replace(&mut self.up, true) {
            self.edge.handle_connected(here, &["front.example.com"]);
            self.house.front.handle_connected(there, &["edge.example.com"]);
        }
        let sent = self.house.hear(there, text);
        self.carry(sent)
    }

    /// What the Front End sends: to the Edge over the wire, and the rest to phones inside.
    fn carry(&mut self, sent: Vec<Sent>) -> Vec<Sent> {
        let (id, port) = UP;
        let near = SocketAddr::new(at(INSIDE).ip(), port);
        let here = Flow { transport: Transport::Tls, id, local: near, remote: at(FRONT) };
        let mut left = Vec::new();
        for message in sent {
            match message.to == near {
                true => {
                    self.edge.handle_input(self.house.now, here, message.text.as_bytes());
                    left.extend(self.drain());
                }
                false => left.push(message),
            }
        }
        left
    }

    fn sign_in(&mut self, user: &str, flow: Flow) {
        let challenged = self.hear(flow, &register(user, flow, 1, ""));
        assert!(challenged[0].text.starts_with("SIP/2.0 401"), "{}", challenged[0].text);
        let proof = authorization(user, &challenged[0].text, Method::Register, "sip:example.com");
        let done = self.hear(flow, &register(user, flow, 2, &proof));
        assert!(done[0].text.starts_with("SIP/2.0 200 OK\r\n"), "{}", done[0].text);
    }

    fn partner(&mut self, id: u64) -> Flow {
        let remote = SocketAddr::new(at(FAR).ip(), 40_000 + id as u16);
        let flow = Flow { transport: Transport::Tls, id, local: at(PARTNERS), remote };
        self.edge.handle_connected(flow, &["other.org"]);
        self.drain();
        flow
    }

    fn wait(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.house.now + time;
        let mut left = Vec::new();
        while let Some(at) = self.edge.poll_timeout().filter(|at| *at <= end) {
            self.house.now = self.house.now.max(at);
            self.edge.handle_timeout(self.house.now);
            left.extend(self.drain());
        }
        self.house.now = end;
        left
    }
}

/// Connection number `id` of a client behind the NAT 198.51.100.`host`.
fn client(id: u64, host: u8) -> Flow {
    let remote = SocketAddr::from(([198, 51, 100, host], 40_000 + id as u16));
    Flow { transport: Transport::Tls, id, local: at(CLIENTS), remote }
}

fn phone_inside() -> Flow {
    support::stream(Transport::Tcp, 77, 200)
}

fn register(user: &str, flow: Flow, cseq: u32, more: &str) -> String {
    let id = flow.id;
    format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS 10.1.1.{id}:5061;branch=z9hG4bKr{id}{cseq};rport\r\n\
         Max-Forwards: 70\r\nRoute: <sip:203.0.113.5:443;transport=tls;lr>\r\nFrom: <sip:{user}@example.com>;tag=r{id}\r\n\
         To: <sip:{user}@example.com>\r\nCall-ID: reg{id}\r\nCSeq: {cseq} REGISTER\r\n\
         Contact: <sip:{user}@10.1.1.{id}:5061;transport=tls>\r\nExpires: 600\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

/// A request of a dialog from `from` to `to`, both addresses of record, tags with them.
fn request(method: &str, uri: &str, via: &str, from: &str, to: &str, more: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS {via};rport\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\n\
         Call-ID: call-1\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

fn start(sent: &[Sent]) -> Vec<(&str, String)> {
    starts(sent)
}

#[test]
fn a_register_goes_inside_with_a_path_and_comes_back_with_where_it_came_from() {
    let mut edge = AccessEdge::new(config(), [7; 32], SECOND);
    let flow = client(3, 7);
    edge.handle_input(SECOND, flow, register("alice", flow, 1, "").as_bytes());
    let Some(Output::Transmit { to, class, bytes }) = edge.poll_output() else { panic!("nothing left") };
    let front = Destination::Address { transport: Transport::Tls, remote: at(FRONT), local: None };
    assert_eq!((to, class), (front, Some(TrafficClass::Signaling)));
    assert_eq!(edge.poll_output(), None);
    let text = String::from_utf8(bytes).unwrap();
    let vias = fields(&text, "Via");
    let path = fields(&text, "Path");
    let token = path[0].strip_prefix("<sip:").unwrap().split('@').next().unwrap();
    let branch = vias[0].split("branch=").nth(1).unwrap();
    assert!(token.len() > 40 && !token.contains("198"), "{token}");
    let expected = format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.9:5061;rport;branch={branch}\r\n\
         Via: SIP/2.0/TLS 10.1.1.3:5061;received=198.51.100.7;branch=z9hG4bKr31;rport=40003\r\nMax-Forwards: 69\r\n\
         From: <sip:alice@example.com>;tag=r3\r\nTo: <sip:alice@example.com>\r\nCall-ID: reg3\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:alice@10.1.1.3:5061;transport=tls>\r\nExpires: 600\r\nContent-Length: 0\r\n\
         Path: <sip:{token}@192.0.2.9:5061;transport=tls;lr;ob>\r\n\r\n"
    );
    assert_eq!(text, expected);
    // The answer finds the connection by the branch alone, and only as it was written.
    let back = answer(&text, "401 Unauthorized", "t", "");
    let wire = Flow { transport: Transport::Tls, id: 900, local: at("192.0.2.9:49152"), remote: at(FRONT) };
    edge.handle_connected(wire, &["front.example.com"]);
    assert_eq!(edge.poll_output(), Some(Output::Trust(wire)));
    edge.handle_input(SECOND, wire, back.as_bytes());
    let news = Event::NextHop { address: at(FRONT), answers: true };
    assert_eq!(edge.poll_output(), Some(Output::Event(news)));
    let Some(Output::Transmit { to, class, bytes }) = edge.poll_output() else { panic!("nothing left") };
    assert_eq!((to, class), (Destination::Flow(flow), None));
    assert!(
        String::from_utf8(bytes)
            .unwrap()
            .starts_with("SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/TLS 10.1.1.3")
    );
    let forged = back.replace(branch, &format!("{}A", &branch[..branch.len() - 1]));
    let forged = if forged == back {
        back.replace(branch, &format!("{}B", &branch[..branch.len() - 1]))
    } else {
        forged
    };
    edge.handle_input(SECOND, wire, forged.as_bytes());
    assert_eq!(edge.poll_output(), None);
    assert_eq!(edge.view().dropped.get("sip_stray_response"), Some(&1));
}

#[test]
fn a_route_may_name_the_domain_by_which_the_edges_of_a_pool_are_found() {
    for (route, is_ours) in [("example.com:443", true), ("example.com:5080", false), ("other.org:443", false)]
    {
        let mut edge = AccessEdge::new(config(), [7; 32], SECOND);
        let flow = client(3, 7);
        let text = register("alice", flow, 1, "").replace("203.0.113.5:443", route);
        edge.handle_input(SECOND, flow, text.as_bytes());
        let Some(Output::Transmit { bytes, .. }) = edge.poll_output() else { panic!("nothing left") };
        assert_eq!(fields(&String::from_utf8(bytes).unwrap(), "Route").is_empty(), is_ours, "{route}");
    }
}

#[test]
fn somebody_outside_calls_somebody_inside_and_either_may_end_it() {
    for caller_ends in [true, false] {
        let mut site = Site::new();
        let (alice, bob) = (client(3, 7), phone_inside());
        site.sign_in("alice", alice);
        assert!(site.trusted.contains(&alice), "signing in is what makes a connection stay");
        assert_eq!(site.events[1..], [Event::SignedIn]);
        site.house.register("bob", bob, "");
        let (from, to) = ("<sip:alice@example.com>;tag=a", "<sip:bob@example.com>");
        let contact = "Contact: <sip:alice@10.1.1.3:5061;transport=tls>\r\n";
        let invite = |branch: &str, more: &str| {
            request(
                "INVITE",
                "sip:bob@example.com",
                &format!("10.1.1.3:5061;branch={branch}"),
                from,
                to,
                more,
            )
        };
        let challenged = site.hear(alice, &invite("z9hG4bKi1", contact));
        let challenge = challenged.last().unwrap();
        assert!(challenge.text.starts_with("SIP/2.0 407"), "{challenged:?}");
        let proof = authorization("alice", &challenge.text, Method::Invite, "sip:bob@example.com");
        let sent = site.hear(alice, &invite("z9hG4bKi2", &format!("{contact}{proof}")));
        let (trying, ringing) = (&sent[0], &sent[1]);
        assert_eq!((trying.start(), trying.to), ("SIP/2.0 100 Trying", alice.remote));
        assert_eq!(ringing.to, bob.remote);
        let records = ringing.all("Record-Route");
        let hosts: Vec<_> = records.iter().map(|entry| entry.split('@').nth(1).unwrap()).collect();
        let ours = ["192.0.2.9:5061;transport=tls;lr>", "sip.example.com:443;transport=tls;lr>"];
        assert_eq!(hosts[hosts.len() - 2..], ours, "inside first, then outside: {records:?}");
        assert!(ringing.all("Proxy-Authorization").is_empty());
        let accepted =
            site.inside(bob, &ringing.answer("200 OK", "b", "Contact: <sip:bob@192.0.2.200:5060>\r\n"));
        assert_eq!(start(&accepted), [("SIP/2.0 200 OK", alice.remote.to_string())]);
        let routes = caller_routes(&accepted[0].text);
        let to = "<sip:bob@example.com>;tag=b";
        let ack =
            request("ACK", "sip:bob@192.0.2.200:5060", "10.1.1.3:5061;branch=z9hG4bKi3", from, to, &routes);
        assert_eq!(
            start(&site.hear(alice, &ack)),
            [("ACK sip:bob@192.0.2.200:5060 SIP/2.0", bob.remote.to_string())]
        );
        let (bye, answered) = match caller_ends {
            true => {
                let bye = request(
                    "BYE",
                    "sip:bob@192.0.2.200:5060",
                    "10.1.1.3:5061;branch=z9hG4bKi4",
                    from,
                    to,
                    &routes,
                )
                .replace("1 BYE", "2 BYE");
                let bye = site.hear(alice, &bye);
                assert_eq!(bye[0].to, bob.remote);
                let answered = site.inside(bob, &bye[0].answer("200 OK", "", ""));
                (bye, answered)
            }
            false => {
                let uri = "sip:alice@10.1.1.3:5061;transport=tls";
                let routes = callee_routes(&ringing.text);
                let bye = request("BYE", uri, "192.0.2.200:5060;branch=z9hG4bKo1", to, from, &routes)
                    .replace("SIP/2.0/TLS", "SIP/2.0/TCP");
                let bye = site.inside(bob, &bye);
                assert_eq!(bye[0].to, alice.remote);
                assert!(bye[0].all("Route").is_empty(), "{}", bye[0].text);
                let answered = site.hear(alice, &bye[0].answer("200 OK", "", ""));
                (bye, answered)
            }
        };
        assert!(bye[0].start().starts_with("BYE "), "{bye:?}");
        assert_eq!(answered[0].start(), "SIP/2.0 200 OK");
        assert_eq!(answered[0].to, if caller_ends { alice.remote } else { bob.remote });
        assert!(
            site.marks.iter().all(|(to, class)| (to.ip() == at(FRONT).ip()) == class.is_some()),
            "{:?}",
            site.marks
        );
    }
}

#[test]
fn somebody_inside_calls_somebody_outside_until_the_connection_ends() {
    let mut site = Site::new();
    let (alice, bob) = (client(3, 7), phone_inside());
    site.sign_in("alice", alice);
    site.house.register("bob", bob, "");
    let (from, to) = ("<sip:bob@example.com>;tag=b", "<sip:alice@example.com>");
    let invite = |number: u32, more: &str| {
        let via = format!("192.0.2.200:5060;branch=z9hG4bKi{number}");
        let text = request("INVITE", "sip:alice@example.com", &via, from, to, more);
        text.replace("SIP/2.0/TLS", "SIP/2.0/TCP").replace("call-1", &format!("call-{number}"))
    };
    let challenged = site.inside(bob, &invite(1, ""));
    let proof =
        authorization("bob", &challenged.last().unwrap().text, Method::Invite, "sip:alice@example.com");
    let sent = site.inside(bob, &invite(2, &format!("Contact: <sip:bob@192.0.2.200>\r\n{proof}")));
    let ringing = &sent[1];
    assert_eq!(
        (ringing.start(), ringing.to),
        ("INVITE sip:alice@10.1.1.3:5061;transport=tls SIP/2.0", alice.remote)
    );
    assert!(ringing.all("Route").is_empty(), "the Path has been followed: {}", ringing.text);
    let first = ringing.all("Record-Route")[0];
    assert!(first.contains("@sip.example.com:443;"), "the side that it goes to is first: {first}");
    // CANCEL finds the same transaction at the phone.
    let cancel = invite(2, "").replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
    site.hear(alice, &ringing.answer("180 Ringing", "a", ""));
    let cancelled = site.inside(bob, &cancel);
    let cancel = cancelled.iter().find(|sent| sent.start().starts_with("CANCEL")).unwrap();
    assert_eq!((cancel.to, cancel.all("Via")[0]), (alice.remote, ringing.all("Via")[0]));
    let ended = site.hear(alice, &ringing.answer("487 Request Terminated", "a", ""));
    let ack = ended.iter().find(|sent| sent.start().starts_with("ACK")).unwrap();
    assert_eq!((ack.to, ack.all("Via")[0]), (alice.remote, ringing.all("Via")[0]));
    // Nobody else is reached by a Path when its connection is no more.
    site.edge.handle_closed(site.house.now, alice);
    let challenged = site.inside(bob, &invite(3, ""));
    let proof =
        authorization("bob", &challenged.last().unwrap().text, Method::Invite, "sip:alice@example.com");
    let later = site.inside(bob, &invite(4, &proof).replace("call-4", "call-3"));
    assert!(later.iter().all(|sent| sent.to == bob.remote), "{later:?}");
    assert_eq!(site.edge.view().refused.get(&430), Some(&1), "{later:?}");
}

#[test]
fn who_has_not_signed_in_may_do_only_that_and_not_too_often() {
    let mut site = Site::new();
    let flow = client(3, 7);
    let from = "<sip:alice@example.com>;tag=a";
    let via = "10.1.1.3:5061;branch=z9hG4bK1";
    let cases = [
        ("INVITE", "sip:bob@example.com", from, "sign in first"),
        ("MESSAGE", "sip:bob@example.com", from, "sign in first"),
        ("INVITE", "sip:bob@evil.net", from, "requests are not passed on to that domain"),
        ("INVITE", "sip:bob@other.org", from, "requests are not passed on to that domain"),
        ("REGISTER", "sip:evil.net", from, "requests are not passed on to that domain"),
        (
            "INVITE",
            "sip:bob@example.com",
            "<sip:x@evil.net>;tag=a",
            "From is not of a domain that is served here",
        ),
    ];
    for (method, uri, from, why) in cases {
        let sent = site.hear(flow, &request(method, uri, via, from, "<sip:bob@example.com>", ""));
        assert_eq!(start(&sent), [("SIP/2.0 403 Forbidden", flow.remote.to_string())], "{method} {uri}");
        assert_eq!(sent[0].get("Warning"), format!("399 edge.example.com \"{why}\""));
    }
    // A token that was not sealed here is none.
    let route = "Route: <sip:AAAAAAAAAAAAAAAAAAAAAAAAAAAA@sip.example.com:443;lr>\r\n";
    let sent =
        site.hear(flow, &request("BYE", "sip:bob@10.0.0.9", via, from, "<sip:b@example.com>;tag=b", route));
    assert_eq!(start(&sent), [("SIP/2.0 403 Forbidden", flow.remote.to_string())]);
    let codes: Vec<String> = (1..=7)
        .map(|cseq| site.hear(flow, &register("alice", flow, cseq, ""))[0].start().to_owned())
        .collect();
    assert_eq!(codes.iter().filter(|code| code.contains("401")).count(), 5, "{codes:?}");
    assert_eq!(codes[5..], ["SIP/2.0 503 Service Unavailable"; 2]);
    let other = client(4, 8);
    assert!(site.hear(other, &register("alice", other, 1, ""))[0].start().contains("401"));
    assert!(site.trusted.iter().all(|flow| flow.id == UP.0), "{:?}", site.trusted);
}

#[test]
fn a_client_cannot_use_the_path_of_another_one() {
    let mut site = Site::new();
    let (alice, mallory) = (client(3, 7), client(4, 8));
    let mut edge = AccessEdge::new(config(), [7; 32], site.house.now);
    edge.handle_input(site.house.now, alice, register("alice", alice, 1, "").as_bytes());
    let Some(Output::Transmit { bytes, .. }) = edge.poll_output() else { panic!() };
    let text = String::from_utf8(bytes).unwrap();
    let path = format!("Route: {}\r\n", fields(&text, "Path")[0]);
    site.sign_in("carol", mallory);
    let (via, from) = ("10.1.1.4:5061;branch=z9hG4bK1", "<sip:carol@example.com>;tag=c");
    let sent = site.hear(
        mallory,
        &request("MESSAGE", "sip:alice@10.1.1.3", via, from, "<sip:alice@example.com>", &path),
    );
    assert_eq!(start(&sent), [("SIP/2.0 403 Forbidden", mallory.remote.to_string())]);
}

#[test]
fn on_the_inner_side_only_the_inside_is_heard() {
    let mut site = Site::new();
    let stranger =
        Flow { transport: Transport::Tls, id: 5, local: at(INSIDE), remote: at("192.0.2.77:5000") };
    let question = request(
        "OPTIONS",
        "sip:example.com",
        "h;branch=z9hG4bK1",
        "<sip:example.com>;tag=1",
        "<sip:example.com>",
        "",
    );
    site.edge.handle_connected(stranger, &["other.org"]);
    assert!(site.hear(stranger, &question)[0].start().contains("403"));
    site.edge.handle_connected(stranger, &["front.example.com"]);
    assert!(site.hear(stranger, &question)[0].start().contains("200"));
    // A certificate of the inside says nothing outside.
    let outside = client(6, 9);
    site.edge.handle_connected(outside, &["front.example.com"]);
    let message = request(
        "MESSAGE",
        "sip:ann@other.org",
        "h;branch=z9hG4bK2",
        "<sip:alice@example.com>;tag=1",
        "<sip:ann@other.org>",
        "",
    );
    assert!(site.hear(outside, &message)[0].start().contains("403"));
}

/// A connection that we made to a partner's Edge.
fn wire_to(far: &str, id: u64) -> Flow {
    Flow { transport: Transport::Tls, id, local: at("203.0.113.5:50000"), remote: at(far) }
}

#[test]
fn a_partner_whose_certificate_says_our_name_too_is_a_partner() {
    let mut site = Site::new();
    let wire = wire_to(FAR, 30);
    site.edge.handle_connected(wire, &["other.org", "front.example.com"]);
    let deceit = request(
        "MESSAGE",
        "sip:ann@other.org",
        "h;branch=z9hG4bK1",
        "<sip:alice@example.com>;tag=1",
        "<sip:ann@other.org>",
        "",
    );
    let refused = site.hear(wire, &deceit);
    assert_eq!(start(&refused), [("SIP/2.0 403 Forbidden", FAR.to_owned())]);
    assert!(refused[0].get("Warning").contains("certificate"), "{}", refused[0].text);
}

#[test]
fn in_a_dialog_nobody_speaks_for_others_and_only_by_its_own_way() {
    let mut site = Site::new();
    let (alice, bob, carol) = (client(3, 7), phone_inside(), support::stream(Transport::Tcp, 78, 201));
    site.sign_in("alice", alice);
    site.house.register("bob", bob, "");
    site.house.register("carol", carol, "");
    let (from, to) = ("<sip:alice@example.com>;tag=a", "<sip:bob@example.com>");
    let invite = |branch: &str, more: &str| {
        let via = format!("10.1.1.3:5061;branch={branch}");
        request("INVITE", "sip:bob@example.com", &via, from, to, more)
    };
    let contact = "Contact: <sip:alice@10.1.1.3:5061;transport=tls>\r\n";
    let challenged = site.hear(alice, &invite("z9hG4bKi1", contact));
    let challenge = &challenged.last().unwrap().text;
    let proof = authorization("alice", challenge, Method::Invite, "sip:bob@example.com");
    let sent = site.hear(alice, &invite("z9hG4bKi2", &format!("{contact}{proof}")));
    let accepted =
        site.inside(bob, &sent[1].answer("200 OK", "b", "Contact: <sip:bob@192.0.2.200:5060>\r\n"));
    let routes = caller_routes(&accepted[0].text);
    // The Edge's own entries only: they say that a dialog is there, and nothing of which.
    let of_the_edge: String = routes
        .lines()
        .filter(|line| line.contains("sip.example.com:443") || line.contains("192.0.2.9:5061"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    assert_eq!(of_the_edge.lines().count(), 2, "{routes}");
    let say = |site: &mut Site, from: &str, number: u32, routes: &str| {
        let via = format!("10.1.1.3:5061;branch=z9hG4bKm{number}");
        let to = "<sip:carol@example.com>;tag=x";
        let text = request("MESSAGE", "sip:carol@example.com", &via, from, to, routes);
        site.hear(alice, &text).iter().map(|sent| (sent.start().to_owned(), sent.to)).collect::<Vec<_>>()
    };
    let refused = say(&mut site, "<sip:ceo@other.org>;tag=a", 1, &of_the_edge);
    assert_eq!(refused, [("SIP/2.0 403 Forbidden".to_owned(), alice.remote)]);
    let others =
        [(from, "407"), ("<sip:+4930123@203.0.113.9>;tag=a", "481"), ("<tel:+4930123>;tag=a", "481")];
    for (number, (from, code)) in (2..).zip(others) {
        let lost = say(&mut site, from, number, &of_the_edge);
        assert!(lost.iter().all(|(line, to)| line.contains(code) && *to == alice.remote), "{from}: {lost:?}");
    }
    // What is said in the call goes to who is called.
    let to = "<sip:bob@example.com>;tag=b";
    let uri = "sip:bob@192.0.2.200:5060";
    let info = request("INFO", uri, "10.1.1.3:5061;branch=z9hG4bKn", from, to, &routes);
    assert_eq!(site.hear(alice, &info)[0].to, bob.remote);
}

#[test]
fn nobody_writes_to_partners_by_the_way_of_another_dialog() {
    let mut site = Site::new();
    let (alice, bob) = (client(3, 7), phone_inside());
    site.sign_in("alice", alice);
    site.house.register("bob", bob, "");
    let (from, to) = ("<sip:alice@example.com>;tag=a", "<sip:bob@example.com>");
    let contact = "Contact: <sip:alice@10.1.1.3:5061;transport=tls>\r\n";
    let invite = |number: u32, more: &str| {
        let via = format!("10.1.1.3:5061;branch=z9hG4bKi{number}");
        request("INVITE", "sip:bob@example.com", &via, from, to, &format!("{contact}{more}"))
    };
    let challenged = site.hear(alice, &invite(1, ""));
    let challenge = &challenged.last().unwrap().text;
    let proof = authorization("alice", challenge, Method::Invite, "sip:bob@example.com");
    let ringing = site.hear(alice, &invite(2, &proof)).remove(1);
    let accepted =
        site.inside(bob, &ringing.answer("200 OK", "b", "Contact: <sip:bob@192.0.2.200:5060>\r\n"));
    // The entries of the Front End, without those of the Edge: what follows them out is of no dialog with a partner.
    let routes = caller_routes(&accepted[0].text);
    let of_the_front_end: Vec<&str> = routes.lines().filter(|line| line.contains("@192.0.2.1:")).collect();
    assert_eq!(of_the_front_end.len(), 2, "{routes}");
    for (number, route) in (1..).zip(of_the_front_end) {
        for method in ["MESSAGE", "INVITE"] {
            let (via, ceo) =
                (format!("10.1.1.3:5061;branch=z9hG4bKs{number}"), "<sip:ceo@example.com>;tag=a");
            let to = "<sip:victim@other.org>;tag=x";
            let text = request(method, "sip:victim@other.org", &via, ceo, to, &format!("{route}\r\n"));
            let sent = site.hear(alice, &text);
            // Whoever gets the ACK of a refusal without having refused anything drops it.
            let reached = |sent: &&Sent| sent.to == at(FAR) && !sent.start().starts_with("ACK ");
            assert_eq!(sent.iter().find(reached), None);
        }
    }
    assert_eq!(site.edge.view().refused.get(&481), Some(&2), "{:?}", site.edge.view());
    assert_eq!(site.edge.view().partners[0].outgoing, 0);
}

#[test]
fn partners_may_share_an_edge_and_each_learns_when_it_is_gone() {
    let partner = |domain: &str| Partner { domain: domain.into(), addresses: vec![at(FAR)] };
    let mut site = Site::new();
    site.edge.set_partners(site.house.now, vec![partner("other.org"), partner("third.org")]);
    let bob = phone_inside();
    site.house.register("bob", bob, "");
    site.sign_in("alice", client(3, 7));
    let wire = wire_to(FAR, 30);
    let asked = site.wait(SECOND);
    site.edge.handle_connected(wire, &["other.org", "third.org"]);
    let asked: Vec<_> = asked.iter().filter(|sent| sent.to == at(FAR)).collect();
    assert_eq!(asked.len(), 2, "each is asked");
    for question in asked {
        site.hear(wire, &answer(&question.text, "200 OK", "n", ""));
    }
    let states = |site: &Site| site.edge.view().partners.iter().map(|one| one.state).collect::<Vec<_>>();
    assert_eq!(states(&site), [Reach::Works, Reach::Works]);
    site.edge.handle_closed(site.house.now, wire);
    let uri = "sip:ann@third.org";
    let text = |number: u32, more: &str| {
        let via = format!("192.0.2.200:5060;branch=z9hG4bK{number}");
        request("INVITE", uri, &via, "<sip:bob@example.com>;tag=b", &format!("<{uri}>"), more)
            .replace("SIP/2.0/TLS", "SIP/2.0/TCP")
    };
    let challenged = site.inside(bob, &text(1, ""));
    let proof = authorization("bob", &challenged.last().unwrap().text, Method::Invite, uri);
    site.inside(bob, &text(2, &proof));
    site.edge.handle_failed(site.house.now, Transport::Tls, at(FAR));
    let refused = site.drain();
    let refused: Vec<_> = refused.iter().filter(|sent| sent.to == bob.remote).collect();
    assert_eq!(refused[0].start(), "SIP/2.0 504 Server Time-out");
    site.wait(SECOND * 31);
    assert_eq!(states(&site), [Reach::Unreachable, Reach::Unreachable]);
}

#[test]
fn partners_reach_our_users_and_are_reached_and_nobody_else() {
    let mut site = Site::new();
    let bob = phone_inside();
    site.house.register("bob", bob, "");
    let ann = site.partner(20);
    assert!(site.trusted.contains(&ann));
    let (from, to) = ("<sip:ann@other.org>;tag=n", "<sip:bob@example.com>");
    let via = "edge.other.org:5061;branch=z9hG4bK1";
    let contact = "Contact: <sip:ann@10.9.9.9>\r\n";
    let sent = site.hear(ann, &request("INVITE", "sip:bob@example.com", via, from, to, contact));
    assert_eq!(sent[1].to, bob.remote);
    let accepted = site.inside(bob, &sent[1].answer("200 OK", "b", "Contact: <sip:bob@192.0.2.200>\r\n"));
    assert_eq!(start(&accepted), [("SIP/2.0 200 OK", ann.remote.to_string())]);
    // The connection ends; the call goes on by a new one, to the address that is known.
    site.edge.handle_closed(site.house.now, ann);
    let routes = callee_routes(&sent[1].text);
    let bye = request(
        "BYE",
        "sip:ann@10.9.9.9",
        "192.0.2.200:5060;branch=z9hG4bKo1",
        "<sip:bob@example.com>;tag=b",
        from,
        &routes,
    );
    let bye = site.inside(bob, &bye.replace("SIP/2.0/TLS", "SIP/2.0/TCP"));
    assert_eq!(start(&bye), [("BYE sip:ann@10.9.9.9 SIP/2.0", FAR.to_owned())]);
    let ann = site.partner(21);
    let cases = [
        (
            "INVITE",
            "sip:bob@example.com",
            "<sip:alice@example.com>;tag=n",
            "From is not of a domain of your certificate",
        ),
        ("INVITE", "sip:x@evil.net", from, "requests are not passed on to that domain"),
        ("REGISTER", "sip:example.com", from, "users of other domains do not sign in here"),
    ];
    for (method, uri, from, why) in cases {
        let sent = site.hear(ann, &request(method, uri, via, from, to, ""));
        assert_eq!(sent[0].get("Warning"), format!("399 edge.example.com \"{why}\""), "{method} {uri}");
    }
    let view = site.edge.view();
    let partner = &view.partners[0];
    assert_eq!((partner.incoming, partner.refused, partner.outgoing), (3, 3, 1));
}

#[test]
fn whose_domain_becomes_a_partner_is_one_on_the_connection_that_there_is() {
    let mut site = Site::new();
    site.house.register("bob", phone_inside(), "");
    let partner = |domain: &str| Partner { domain: domain.into(), addresses: vec![at(FAR)] };
    let (ann, alice) = (site.partner(20), client(3, 7));
    site.sign_in("alice", alice);
    // Her Edge has a certificate of both domains.
    let change = |site: &mut Site, domains: &[&str]| {
        let partners = domains.iter().map(|domain| partner(domain)).collect();
        site.edge.set_partners(site.house.now, partners);
        site.drain();
        for flow in std::mem::take(&mut site.introduced) {
            assert_eq!(flow, ann, "nobody else may be one");
            let names: Vec<String> = site.edge.names().map(str::to_owned).collect();
            let own = ["other.org", "third.org"];
            let proven: Vec<&str> =
                own.into_iter().filter(|own| names.iter().any(|name| name == own)).collect();
            site.edge.handle_connected(flow, &proven);
            site.drain();
        }
    };
    let mut number = 0;
    let mut status = |site: &mut Site, domain: &str| {
        number += 1;
        let (via, from) = (format!("e;branch=z9hG4bKn{number}"), format!("<sip:ann@{domain}>;tag=n"));
        let text = request("MESSAGE", "sip:bob@example.com", &via, &from, "<sip:bob@example.com>", "");
        let sent = site.hear(ann, &text.replace("call-1", &format!("call-{number}")));
        sent[0].start().to_owned()
    };
    let (passes, refused) = ("MESSAGE sip:bob@", "SIP/2.0 403 Forbidden");
    assert!(status(&mut site, "other.org").starts_with(passes));
    assert_eq!(status(&mut site, "third.org"), refused);
    for (domains, third, other) in [
        // It serves another one.
        (&["other.org", "third.org"][..], true, true),
        (&["third.org", "other.org"], true, true),
        // A mistake, and its repair.
        (&["othr.org"], false, false),
        (&["other.org"], false, true),
    ] {
        change(&mut site, domains);
        for (domain, may) in [("third.org", third), ("other.org", other)] {
            let heard = status(&mut site, domain);
            assert!(heard.starts_with(if may { passes } else { refused }), "{domains:?} {domain}: {heard}");
        }
    }
}

#[test]
fn our_users_call_partners_and_hear_why_others_are_not_reached() {
    let mut site = Site::new();
    let bob = phone_inside();
    site.house.register("bob", bob, "");
    // Any request: the wire to the Front End is up then.
    site.sign_in("alice", client(3, 7));
    let call = |site: &mut Site, number: u32, uri: &str| {
        let text = |more: &str| {
            let via = format!("192.0.2.200:5060;branch=z9hG4bK{number}{}", more.len());
            let text = request("INVITE", uri, &via, "<sip:bob@example.com>;tag=b", &format!("<{uri}>"), more);
            text.replace("SIP/2.0/TLS", "SIP/2.0/TCP").replace("call-1", &format!("call-{number}"))
        };
        let challenged = site.inside(bob, &text(""));
        let proof = authorization("bob", &challenged.last().unwrap().text, Method::Invite, uri);
        site.inside(bob, &text(&format!("Contact: <sip:bob@192.0.2.200>\r\n{proof}")))
    };
    let refused = call(&mut site, 1, "sip:x@evil.net");
    let last = refused.iter().find(|sent| sent.start().contains("403")).unwrap();
    assert_eq!(last.get("Warning"), "399 edge.example.com \"that domain is no partner\"");
    let sent = call(&mut site, 2, "sip:ann@other.org");
    let invite = sent.iter().find(|sent| sent.to == at(FAR)).unwrap();
    assert_eq!(invite.start(), "INVITE sip:ann@other.org SIP/2.0");
    assert!(
        invite.all("Via")[0].contains("sip.example.com:5061"),
        "the listener for partners: {}",
        invite.text
    );
    assert!(invite.all("Proxy-Authorization").is_empty());
    let wire = Flow { transport: Transport::Tls, id: 30, local: at("203.0.113.5:50000"), remote: at(FAR) };
    site.edge.handle_connected(wire, &["other.org"]);
    let contact = "Contact: <sip:ann@10.9.9.9>\r\n";
    let accepted = site.hear(wire, &answer(&invite.text, "200 OK", "n", contact));
    assert_eq!(start(&accepted), [("SIP/2.0 200 OK", bob.remote.to_string())]);
    // She ends it, by a connection of her own.
    let ann = site.partner(31);
    let bye = request(
        "BYE",
        "sip:bob@192.0.2.200",
        "edge.other.org;branch=z9hG4bK9",
        "<sip:ann@other.org>;tag=n",
        "<sip:bob@example.com>;tag=b",
        &callee_routes(&invite.text),
    );
    let bye = site.hear(ann, &bye.replace("call-1", "call-2"));
    assert_eq!(start(&bye), [("BYE sip:bob@192.0.2.200 SIP/2.0", bob.remote.to_string())]);
    let view = site.edge.view();
    assert_eq!(
        (view.partners[0].outgoing, view.partners[0].answered, view.partners[0].state),
        (1, 1, Reach::Works)
    );
}

#[test]
fn a_call_to_a_partner_that_is_not_there_is_refused_at_once_and_told() {
    let mut site = Site::new();
    let bob = phone_inside();
    site.house.register("bob", bob, "");
    site.sign_in("alice", client(3, 7));
    let uri = "sip:ann@other.org";
    let text = |number: u32, more: &str| {
        let via = format!("192.0.2.200:5060;branch=z9hG4bK{number}");
        request("INVITE", uri, &via, "<sip:bob@example.com>;tag=b", &format!("<{uri}>"), more)
            .replace("SIP/2.0/TLS", "SIP/2.0/TCP")
    };
    let challenged = site.inside(bob, &text(1, ""));
    let proof = authorization("bob", &challenged.last().unwrap().text, Method::Invite, uri);
    site.inside(bob, &text(2, &proof));
    site.edge.handle_failed(site.house.now, Transport::Tls, at(FAR));
    let refused = site.drain();
    let refused: Vec<_> = refused.iter().filter(|sent| sent.to == bob.remote).collect();
    assert_eq!(refused[0].start(), "SIP/2.0 504 Server Time-out");
    assert_eq!(refused[0].get("Warning"), "399 edge.example.com \"the partner's Edge cannot be reached\"");
    let told = Event::Partner { domain: "other.org".into(), state: Reach::Unreachable };
    assert!(site.events.contains(&told), "{:?}", site.events);
    assert_eq!(site.edge.view().partners[0].failed, 1);
}

#[test]
fn partners_and_the_inside_are_asked_every_quarter_of_a_minute_and_silence_is_told() {
    let mut site = Site::new();
    let asked = site.wait(SECOND);
    assert_eq!(start(&asked), [("OPTIONS sip:other.org SIP/2.0", FAR.to_owned())]);
    assert!(site.edge.view().next_hops[0].answers, "the Front End has answered over the wire");
    let wire = Flow { transport: Transport::Tls, id: 30, local: at("203.0.113.5:50000"), remote: at(FAR) };
    site.edge.handle_connected(wire, &["other.org"]);
    site.hear(wire, &answer(&asked[0].text, "200 OK", "n", ""));
    assert_eq!(site.events.last(), Some(&Event::Partner { domain: "other.org".into(), state: Reach::Works }));
    // No answer to the next one: by the one after it, after a quarter of a minute, it is known.
    site.events.clear();
    assert_eq!(site.wait(SECOND * 15).len(), 1);
    assert_eq!(site.events, []);
    site.wait(SECOND * 15);
    assert_eq!(site.events, [Event::Partner { domain: "other.org".into(), state: Reach::Unreachable }]);
    // It asks us: one direction only.
    let flow = site.partner(40);
    let question = request(
        "OPTIONS",
        "sip:example.com",
        "edge.other.org;branch=z9hG4bK1",
        "<sip:other.org>;tag=1",
        "<sip:example.com>",
        "",
    );
    assert_eq!(start(&site.hear(flow, &question)), [("SIP/2.0 200 OK", flow.remote.to_string())]);
    assert_eq!(
        site.events.last(),
        Some(&Event::Partner { domain: "other.org".into(), state: Reach::IncomingOnly })
    );
}

#[test]
fn without_an_inside_everybody_learns_it_and_a_second_server_takes_over() {
    let second = at("192.0.2.2:5061");
    let mut config = config();
    config.next_hop.addresses.push(second);
    let mut edge = AccessEdge::new(config, [7; 32], SECOND);
    let flow = client(3, 7);
    edge.handle_input(SECOND, flow, register("alice", flow, 1, "").as_bytes());
    let left = |edge: &mut AccessEdge| -> Vec<(String, String)> {
        let mut left = Vec::new();
        while let Some(output) = edge.poll_output() {
            let Output::Transmit { to, bytes, .. } = output else { continue };
            let to = match to {
                Destination::Flow(flow) => flow.remote,
                Destination::Address { remote, .. } => remote,
            };
            let text = String::from_utf8(bytes).unwrap();
            left.push((to.to_string(), text.split("\r\n").next().unwrap().to_owned()));
        }
        left
    };
    let register = |to: &str| (to.to_owned(), "REGISTER sip:example.com SIP/2.0".to_owned());
    assert_eq!(left(&mut edge), [register(FRONT)]);
    edge.handle_failed(SECOND, Transport::Tls, at(FRONT));
    assert_eq!(left(&mut edge), [register(&second.to_string())]);
    edge.handle_failed(SECOND, Transport::Tls, second);
    assert_eq!(left(&mut edge), [(flow.remote.to_string(), "SIP/2.0 504 Server Time-out".to_owned())]);
    assert_eq!(edge.view().refused.get(&504), Some(&1));
}

#[test]
fn who_guesses_outside_keeps_nobody_else_outside_out() {
    let mut site = Site::new();
    let (alice, bob) = (client(3, 7), client(4, 8));
    // Somebody with a phone comes by the same connection to the Front End, and that makes nobody's guesses better.
    site.sign_in("alice", alice);
    let challenged = site.hear(bob, &register("alice", bob, 1, ""));
    let proof = authorization("alice", &challenged[0].text, Method::Register, "sip:example.com");
    let at = proof.find("response=\"").unwrap() + 10;
    let wrong = format!("{}{}{}", &proof[..at], "0".repeat(32), &proof[at + 32..]);
    let mut codes = Vec::new();
    for number in 0..70u32 {
        site.house.now += SECOND;
        let wrong = wrong.replace("nc=00000001", &format!("nc={:08x}", number + 1));
        let answered = site.hear(bob, &register("alice", bob, 10 + number, &wrong));
        codes.push(answered[0].start().split(' ').nth(1).unwrap().to_owned());
    }
    assert!(codes[..4].iter().all(|code| code == "401"), "{codes:?}");
    assert!(codes.contains(&"503".to_owned()), "a guesser waits: {codes:?}");
    let carol = client(5, 9);
    site.sign_in("carol", carol);
}

#[test]
fn an_edge_that_is_being_stopped_lets_calls_go_on_and_takes_on_nothing_new() {
    let mut site = Site::new();
    let (alice, bob) = (client(3, 7), phone_inside());
    site.sign_in("alice", alice);
    site.house.register("bob", bob, "");
    let (from, to) = ("<sip:alice@example.com>;tag=a", "<sip:bob@example.com>");
    let invite = |number: u32, more: &str| {
        let via = format!("10.1.1.3:5061;branch=z9hG4bKi{number}");
        request("INVITE", "sip:bob@example.com", &via, from, to, more)
    };
    let challenged = site.hear(alice, &invite(1, ""));
    let challenge = &challenged.last().unwrap().text;
    let proof = authorization("alice", challenge, Method::Invite, "sip:bob@example.com");
    let contact = "Contact: <sip:alice@10.1.1.3:5061;transport=tls>\r\n";
    let ringing = site.hear(alice, &invite(2, &format!("{contact}{proof}"))).remove(1);
    site.edge.drain();
    // The answer to what came before, and what belongs to that call, pass.
    let accepted =
        site.inside(bob, &ringing.answer("200 OK", "b", "Contact: <sip:bob@192.0.2.200:5060>\r\n"));
    assert_eq!(start(&accepted), [("SIP/2.0 200 OK", alice.remote.to_string())]);
    let routes = caller_routes(&accepted[0].text);
    let (to, via) = ("<sip:bob@example.com>;tag=b", "10.1.1.3:5061;branch=z9hG4bKi3");
    let bye = request("BYE", "sip:bob@192.0.2.200:5060", via, from, to, &routes).replace("1 BYE", "2 BYE");
    assert_eq!(site.hear(alice, &bye)[0].to, bob.remote);
    // Nothing new does.
    for text in [invite(4, &proof), register("alice", alice, 9, "")] {
        let refused = site.hear(alice, &text);
        assert_eq!(start(&refused), [("SIP/2.0 503 Service Unavailable", alice.remote.to_string())]);
        assert_eq!(refused[0].get("Retry-After"), "30");
    }
    let ann = site.partner(20);
    let question = request(
        "OPTIONS",
        "sip:example.com",
        "edge.other.org;branch=z9hG4bK1",
        "<sip:other.org>;tag=1",
        "<sip:x>",
        "",
    );
    assert!(site.hear(ann, &question)[0].start().contains("503"), "partners take another Edge");
    for (number, uri, told) in [(5, "sip:alice@example.com", "480"), (7, "sip:ann@other.org", "500")] {
        let invite = |number: u32, more: &str| {
            let via = format!("192.0.2.200:5060;branch=z9hG4bKi{number}");
            request("INVITE", uri, &via, "<sip:bob@example.com>;tag=b", &format!("<{uri}>"), more)
                .replace("SIP/2.0/TLS", "SIP/2.0/TCP")
                .replace("call-1", &format!("call-{uri}"))
        };
        let challenged = site.inside(bob, &invite(number, ""));
        let proof = authorization("bob", &challenged.last().unwrap().text, Method::Invite, uri);
        let sent = site.inside(bob, &invite(number + 1, &proof));
        assert!(sent.iter().all(|sent| sent.to == bob.remote), "{sent:?}");
        assert!(sent.last().unwrap().start().contains(told), "{uri}: {sent:?}");
    }
    assert_eq!(site.house.front.counts().registrations, 1, "alice is to come by another Edge");
    site.edge.handle_closed(site.house.now, ann);
    assert!(!site.edge.is_idle());
    site.edge.handle_closed(site.house.now, alice);
    assert!(site.edge.is_idle());
}

#[test]
fn a_path_of_before_a_restart_is_a_flow_that_has_failed() {
    let (alice, now) = (client(3, 7), SECOND);
    let mut before = AccessEdge::new(config(), [7; 32], now);
    before.handle_input(now, alice, register("alice", alice, 1, "").as_bytes());
    let Some(Output::Transmit { bytes, .. }) = before.poll_output() else { panic!() };
    let text = String::from_utf8(bytes).unwrap();
    let path = format!("Route: {}\r\n", fields(&text, "Path")[0]);
    let mut edge = AccessEdge::new(config(), [8; 32], now);
    let wire = Flow { transport: Transport::Tls, id: 900, local: at("192.0.2.9:49152"), remote: at(FRONT) };
    edge.handle_connected(wire, &["front.example.com"]);
    edge.poll_output();
    let (from, to) = ("<sip:bob@example.com>;tag=b", "<sip:alice@example.com>");
    let invite = request("INVITE", "sip:alice@10.1.1.3", "192.0.2.1:5061;branch=z9hG4bK1", from, to, &path);
    edge.handle_input(now, wire, invite.as_bytes());
    assert_eq!(edge.view().refused.get(&430), Some(&1), "{:?}", edge.view());
}

#[test]
fn an_edge_for_messages_only_refuses_media_both_ways_and_says_why() {
    let mut edge = AccessEdge::new(Config { media: false, ..config() }, [7; 32], SECOND);
    let (flow, wire) = (client(3, 7), inner_wire(&mut edge));
    let sdp = |lines: &str| {
        format!("v=0\r\no=- 1 1 IN IP4 10.1.1.3\r\ns=-\r\nc=IN IP4 10.1.1.3\r\nt=0 0\r\n{lines}")
    };
    let offer = |method: &str, kind: &str, body: &str| {
        let more = format!("Proxy-Authorization: Digest x\r\nContent-Type: {kind}\r\n");
        let (from, to) = ("<sip:alice@example.com>;tag=a", "<sip:bob@example.com>");
        let head = request(method, "sip:bob@example.com", "10.1.1.3:5061;branch=z9hG4bKi1", from, to, &more);
        head.replace("Content-Length: 0", &format!("Content-Length: {}", body.len())) + body
    };
    let [audio, refused, messages, fax] = [
        "m=message 2855 TCP/MSRP *\r\nm=audio 20000 RTP/AVP 0\r\n",
        "m=audio 0 RTP/AVP 0\r\nm=message 2855 TCP/MSRP *\r\n",
        "m=x-ms-message 5060 sip null\r\n",
        "m=image 4000 udptl t38\r\n",
    ]
    .map(sdp);
    for (method, kind, body, passes) in [
        ("INVITE", "application/sdp", &audio, false),
        ("UPDATE", "application/sdp", &audio, false),
        ("INVITE", "application/sdp", &fax, false),
        ("INVITE", "multipart/mixed;boundary=x", &messages, false),
        ("INVITE", "application/sdp", &String::new(), false),
        ("INVITE", "application/sdp", &refused, true),
        ("INVITE", "APPLICATION/SDP", &messages, true),
        ("MESSAGE", "text/plain", &audio, true),
        ("UPDATE", "application/sdp", &String::new(), true),
    ] {
        for from in [flow, wire] {
            edge.handle_input(SECOND, from, offer(method, kind, body).as_bytes());
            let mut left = std::iter::from_fn(|| edge.poll_output()).filter_map(|output| match output {
                Output::Transmit { bytes, .. } => Some(String::from_utf8(bytes).unwrap()),
                _ => None,
            });
            let text = left.next().unwrap();
            let warned = text.contains("\r\nWarning: 304 edge.example.com \"");
            let is_refused = text.starts_with("SIP/2.0 488 Not Acceptable Here\r\n") && warned;
            assert_eq!(is_refused, !passes, "{method} {kind} {body}: {text}");
            assert_eq!(left.next(), None);
        }
    }
}

/// The connection to the Front End, which is up.
fn inner_wire(edge: &mut AccessEdge) -> Flow {
    let wire = Flow { transport: Transport::Tls, id: 900, local: at("192.0.2.9:49152"), remote: at(FRONT) };
    edge.handle_connected(wire, &["front.example.com"]);
    while edge.poll_output().is_some() {}
    wire
}
