//! A Director with two Front Ends behind it, each home to others: who is found where, what is believed, and what strangers hear.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_signaling::director::{Config, Director, Group, Output};
use carillon_signaling::{
    Algorithms, Destination, Edge, Expires, FrontEnd, Ha1, Handling, Limits, Listener, Output as FrontOutput,
    Request, Saved, User,
};
use carillon_wire::sip::{self, Flow, Method, Transport};
use support::{SECOND, answer, authorization, callee_routes, caller_routes, fields};

const DIRECTOR: &str = "10.0.0.7:5061";
const EDGE: &str = "10.0.0.5:5061";
const FRONTS: [&str; 2] = ["10.0.0.11:5061", "10.0.0.12:5061"];
const NAMES: [&str; 2] = ["front1.example.com", "front2.example.com"];
/// The first connection of a phone; those with the Front Ends are 1 and 2, and those of the Edge 3 and 4.
const PHONES: u64 = 10;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn user(name: &str) -> User {
    User {
        aor: format!("{name}@example.com"),
        ha1: Ha1::of(name, "example.com", "secret"),
        algorithms: None,
        site: None,
        number: None,
    }
}

fn front(at_: usize, users: &[&str], now: Duration) -> FrontEnd {
    let listener = |transport| Listener {
        transport,
        address: at(FRONTS[at_]),
        advertised: FRONTS[at_].to_owned(),
        algorithms: Algorithms::default(),
    };
    let director =
        Edge { name: "director.example.com".into(), addresses: vec![at(DIRECTOR)], is_director: true };
    let config = carillon_signaling::Config {
        domains: vec!["example.com".into()],
        strangers: false,
        realm: "example.com".into(),
        listeners: [Transport::Tls, Transport::Tcp].map(listener).to_vec(),
        plan: Arc::new(Plan::preset("lync").unwrap()),
        plan_version: 1,
        expires: Expires::default(),
        watchers: Handling::Allow,
        edge: Some(director),
        limits: Limits::default(),
    };
    let users = users.iter().map(|name| user(name)).collect();
    FrontEnd::new(config, users, Saved::default(), [at_ as u8 + 1; 32], now)
}

fn config(edge: Option<Group>, front_ends: Vec<Group>) -> Config {
    Config {
        name: "director.example.com".into(),
        domains: vec!["example.com".into()],
        transport: Transport::Tls,
        address: at(DIRECTOR),
        advertised: DIRECTOR.into(),
        edge,
        front_ends,
        probe: SECOND * 3,
        message: sip::Limits::default(),
    }
}

/// The wires between the Director and the Front Ends are there; what leaves for elsewhere is told by the connection.
struct Site {
    director: Director,
    fronts: [FrontEnd; 2],
    /// Whether a Front End answers.
    up: [bool; 2],
    /// Whether the certificate of each names both.
    one_certificate: bool,
    now: Duration,
    left: Vec<(u64, String)>,
}

impl Site {
    fn new() -> Site {
        let now = Duration::from_secs(1_800_000_000);
        let group = |name: &str, address: &str| Group { name: name.into(), addresses: vec![at(address)] };
        let edge = group("edge.example.com", EDGE);
        let config = config(Some(edge), vec![group(NAMES[0], FRONTS[0]), group(NAMES[1], FRONTS[1])]);
        let fronts = [front(0, &["alice"], now), front(1, &["bob"], now)];
        let mut site = Site {
            director: Director::new(config, [9; 32], now),
            fronts,
            up: [true; 2],
            one_certificate: false,
            now,
            left: Vec::new(),
        };
        site.director.handle_connected(from_edge(), &["edge.example.com"]);
        site
    }

    /// As it is when all know each other.
    fn begun() -> Site {
        let mut site = Site::new();
        site.wait(SECOND);
        site.left.clear();
        site
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.director.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.director.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    /// Connection `id` of the Director says something to it.
    fn hear(&mut self, flow: Flow, text: &str) -> Vec<(u64, String)> {
        self.director.handle_input(self.now, flow, text.as_bytes());
        self.run();
        std::mem::take(&mut self.left)
    }

    /// A phone says something to its Front End.
    fn phone(&mut self, front: usize, text: &str) -> Vec<(u64, String)> {
        self.fronts[front].handle_input(self.now, phone(front), text.as_bytes());
        self.run();
        std::mem::take(&mut self.left)
    }

    fn run(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.director.poll_output() {
                quiet = false;
                let Output::Transmit { to, bytes } = output else { continue };
                let (id, remote) = match to {
                    Destination::Flow(flow) => (flow.id, flow.remote),
                    Destination::Address { remote, .. } => (4, remote),
                };
                match FRONTS.iter().position(|front| at(front) == remote) {
                    Some(front) => self.reach(front, &bytes),
                    None => self.left.push((id, String::from_utf8(bytes).unwrap())),
                }
            }
            for front in 0..2 {
                while let Some(output) = self.fronts[front].poll_output() {
                    quiet = false;
                    let FrontOutput::Transmit(transmit) = output else { continue };
                    let id = match transmit.to {
                        Destination::Flow(flow) => flow.id,
                        Destination::Address { remote, .. } => {
                            assert_eq!(remote, at(DIRECTOR));
                            1
                        }
                    };
                    match id < PHONES {
                        true => self.director.handle_input(self.now, wire(front).0, &transmit.bytes),
                        false => self.left.push((id, String::from_utf8(transmit.bytes).unwrap())),
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn reach(&mut self, front: usize, bytes: &[u8]) {
        if !self.up[front] {
            return self.director.handle_failed(self.now, Transport::Tls, at(FRONTS[front]));
        }
        let (here, there) = wire(front);
        let names = if self.one_certificate { &NAMES[..] } else { &NAMES[front..=front] };
        self.director.handle_connected(here, names);
        self.fronts[front].handle_connected(there, &["director.example.com"]);
        self.fronts[front].handle_input(self.now, there, bytes);
    }

    /// Somebody outside signs in through the Edge.
    fn sign_in(&mut self, name: &str) {
        let challenged = self.hear(from_edge(), &register(name, 1, ""));
        let proof = authorization(name, &challenged[0].1, Method::Register, "sip:example.com");
        let done = self.hear(from_edge(), &register(name, 2, &proof));
        assert!(done[0].1.starts_with("SIP/2.0 200 OK\r\n"), "{}", done[0].1);
        let path = "<sip:10.0.0.7:5061;transport=tls;lr>, <sip:token@10.0.0.5:5061;transport=tls;lr;ob>";
        assert_eq!(fields(&done[0].1, "Path"), [path]);
    }

    /// A phone inside signs in at its Front End.
    fn sign_in_inside(&mut self, front: usize, name: &str) -> Vec<(u64, String)> {
        let register = |cseq, more: &str| register(name, cseq, more).replace(PATH, "");
        let challenged = self.phone(front, &register(1, ""));
        let proof = authorization(name, &challenged[0].1, Method::Register, "sip:example.com");
        let done = self.phone(front, &register(2, &proof));
        assert!(done[0].1.starts_with("SIP/2.0 200 OK\r\n"), "{}", done[0].1);
        done
    }

    /// Somebody sends a request and shows the password that is asked for: from outside, or with a phone of a Front End.
    fn prove(
        &mut self,
        front: Option<usize>,
        name: &str,
        request: &dyn Fn(&str) -> String,
    ) -> Vec<(u64, String)> {
        let mut say = |text: &str| match front {
            Some(front) => self.phone(front, text),
            None => self.hear(from_edge(), text),
        };
        let heard = say(&request(""));
        let is_challenge = |text: &str| text.starts_with("SIP/2.0 401") || text.starts_with("SIP/2.0 407");
        let Some((_, challenge)) = heard.iter().find(|(_, text)| is_challenge(text)) else {
            panic!("nobody asks: {heard:?}")
        };
        let asked = request("");
        let (method, uri) = asked.split(" SIP/2.0").next().and_then(|line| line.split_once(' ')).unwrap();
        say(&request(&authorization(name, challenge, Method::of(method.as_bytes()), uri)))
    }

    /// The first answer to a request from outside, without what differs from case to case.
    fn status(&mut self, text: &str) -> String {
        let heard = self.hear(from_edge(), text);
        heard.first().map_or(String::new(), |(_, text)| text.split("\r\n").next().unwrap().to_owned())
    }
}

/// The connection between the Director and a Front End, as each of them sees it.
fn wire(front: usize) -> (Flow, Flow) {
    let (id, near) = (front as u64 + 1, SocketAddr::new(at(DIRECTOR).ip(), 40_000));
    let here = Flow { transport: Transport::Tls, id, local: near, remote: at(FRONTS[front]) };
    (here, Flow { transport: Transport::Tls, id, local: at(FRONTS[front]), remote: near })
}

fn from_edge() -> Flow {
    Flow { transport: Transport::Tls, id: 3, local: at(DIRECTOR), remote: at("10.0.0.5:40000") }
}

fn phone(front: usize) -> Flow {
    let id = PHONES + front as u64;
    Flow { transport: Transport::Tls, id, local: at(FRONTS[front]), remote: at("10.1.0.9:5061") }
}

const PATH: &str = "Path: <sip:token@10.0.0.5:5061;transport=tls;lr;ob>\r\n";

fn register(name: &str, cseq: u32, more: &str) -> String {
    format!(
        "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS 10.0.0.5:5061;branch=z9hG4bK{name}{cseq};rport\r\n\
         Via: SIP/2.0/TLS 10.9.9.9:5061;received=198.51.100.7;branch=z9hG4bKc{name}{cseq}\r\nMax-Forwards: 69\r\n\
         From: <sip:{name}@example.com>;tag=r\r\nTo: <sip:{name}@example.com>\r\nCall-ID: reg{name}\r\n\
         CSeq: {cseq} REGISTER\r\nContact: <sip:{name}@10.9.9.9:5061;transport=tls>\r\nExpires: 600\r\n{PATH}{more}\
         Content-Length: 0\r\n\r\n"
    )
}

/// A request with which something begins, or goes on if there is more about that.
fn request(method: &str, uri: &str, from: &str, to: &str, more: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS 10.1.0.9:5061;branch=z9hG4bK{method}{};rport\r\nMax-Forwards: 70\r\n\
         From: {from}\r\nTo: {to}\r\nCall-ID: call-1\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n",
        more.len()
    )
}

const ALICE: &str = "<sip:alice@example.com>;tag=a";
const BOB: &str = "<sip:bob@example.com>";

#[test]
fn users_of_two_front_ends_call_each_other_and_are_reached_behind_the_edge() {
    let mut site = Site::begun();
    assert_eq!(
        site.director.view().groups.iter().map(|group| group.users).collect::<Vec<_>>(),
        [None, Some(1), Some(1)]
    );
    site.sign_in("bob");
    site.sign_in_inside(0, "alice");
    // Her own Front End asks who she is, and bob's does not again.
    let contact = "Contact: <sip:alice@10.1.0.9:5061;transport=tls>\r\n";
    let challenged = site.phone(0, &request("INVITE", "sip:bob@example.com", ALICE, BOB, contact));
    let challenge = challenged.iter().find(|(_, text)| text.starts_with("SIP/2.0 407")).unwrap();
    let proof = authorization("alice", &challenge.1, Method::Invite, "sip:bob@example.com");
    let sent =
        site.phone(0, &request("INVITE", "sip:bob@example.com", ALICE, BOB, &format!("{contact}{proof}")));
    let (id, invite) = sent.iter().find(|(_, text)| text.starts_with("INVITE")).unwrap().clone();
    assert_eq!(id, 4, "by the connection to the Edge");
    assert_eq!(fields(&invite, "Route"), ["<sip:token@10.0.0.5:5061;transport=tls;lr;ob>"]);
    assert_eq!(fields(&invite, "P-Asserted-Identity"), [""; 0], "{invite}");
    let entries = fields(&invite, "Record-Route");
    assert_eq!(
        entries.iter().filter(|entry| entry.starts_with("<sip:10.0.0.7:5061;")).count(),
        2,
        "{invite}"
    );
    // The answer comes back, and each side finds the other one by the route that it was told.
    let more = "Contact: <sip:bob@10.9.9.9:5061;transport=tls>\r\n";
    site.director.handle_connected(to_edge(), &["edge.example.com"]);
    let heard = site.hear(to_edge(), &answer(&invite, "200 OK", "b", more));
    let (id, ok) = heard.iter().find(|(_, text)| text.starts_with("SIP/2.0 200")).unwrap().clone();
    assert_eq!(id, PHONES);
    let bye = request(
        "BYE",
        "sip:bob@10.9.9.9:5061;transport=tls",
        ALICE,
        "<sip:bob@example.com>;tag=b",
        &caller_routes(&ok),
    );
    let heard = site.phone(0, &bye.replace("CSeq: 1", "CSeq: 2"));
    assert!(heard.iter().any(|(id, text)| *id == 4 && text.starts_with("BYE sip:bob@10.9.9.9")), "{heard:?}");
    let routes = callee_routes(&invite);
    let bye = request(
        "BYE",
        "sip:alice@10.1.0.9:5061;transport=tls",
        "<sip:bob@example.com>;tag=b",
        ALICE,
        &routes,
    );
    let heard = site.hear(from_edge(), &bye);
    assert!(heard.iter().any(|(id, text)| *id == PHONES && text.starts_with("BYE sip:alice@")), "{heard:?}");
}

#[test]
fn who_is_outside_reaches_who_is_at_home_on_another_front_end() {
    let mut site = Site::begun();
    site.sign_in("alice");
    site.sign_in_inside(1, "bob");
    let from = "<sip:alice@example.com>;tag=a";
    let challenged = site.hear(from_edge(), &request("MESSAGE", "sip:bob@example.com", from, BOB, ""));
    let proof = authorization("alice", &challenged[0].1, Method::Message, "sip:bob@example.com");
    let heard = site.hear(from_edge(), &request("MESSAGE", "sip:bob@example.com", from, BOB, &proof));
    let arrived = heard.iter().find(|(_, text)| text.starts_with("MESSAGE")).unwrap();
    assert_eq!(arrived.0, PHONES + 1);
    assert!(
        !arrived.1.contains("P-Asserted-Identity") && !arrived.1.contains("Authorization"),
        "{}",
        arrived.1
    );
}

const SUBSCRIBED: &str = "Event: presence\r\nSupported: eventlist\r\nExpires: 600\r\nContact: <sip:alice@10.1.0.9:5061;transport=tls>\r\n";

#[test]
fn a_contact_list_is_at_home_where_its_owner_is() {
    let mut site = Site::begun();
    let list = "sip:alice-contacts@example.com";
    let subscribe = |uri: &str, more: &str| {
        request("SUBSCRIBE", uri, ALICE, &format!("<{uri}>"), &format!("{SUBSCRIBED}{more}"))
    };
    for front in [None, Some(0)] {
        let heard = site.prove(front, "alice", &|more| subscribe(list, more));
        let starts: Vec<_> = heard.iter().map(|(_, text)| text.split("\r\n").next().unwrap()).collect();
        assert!(starts.contains(&"SIP/2.0 200 OK"), "{front:?}: {starts:?}");
        assert!(starts.iter().any(|line| line.starts_with("NOTIFY ")), "{front:?}: {starts:?}");
    }
    // That of somebody of another Front End is nobody else's.
    let heard = site.prove(Some(0), "alice", &|more| subscribe("sip:bob-contacts@example.com", more));
    assert!(heard[0].1.starts_with("SIP/2.0 404 "), "{heard:?}");
}

/// Both addresses of a client of IPv6 are in the token of its Edge.
#[test]
fn whom_somebody_outside_watches_may_be_at_home_on_another_front_end() {
    let mut site = Site::begun();
    let entry = |place: &str| format!("<sip:{}@{place};transport=tls;lr>", "t".repeat(78));
    let entries = [entry("edge.example.com:5061"), entry("sip-access.example.com:443")];
    let recorded: String = entries.iter().map(|entry| format!("Record-Route: {entry}\r\n")).collect();
    let subscribe = |number: u32, to: &str, more: &str| {
        let more = format!("{SUBSCRIBED}{recorded}{more}");
        let text = request("SUBSCRIBE", "sip:bob@example.com", ALICE, to, &more);
        text.replace("CSeq: 1", &format!("CSeq: {number}"))
    };
    let heard = site.prove(None, "alice", &|more| subscribe(1, BOB, more));
    let find = |start: &str| heard.iter().find(|(_, text)| text.starts_with(start)).map(|(_, text)| text);
    let accepted = find("SIP/2.0 200 OK").unwrap_or_else(|| panic!("{heard:?}"));
    let length: usize = fields(accepted, "Record-Route").iter().map(|entry| entry.len()).sum();
    assert!(length > 512, "{length}: no more than fitted before");
    let notify = find("NOTIFY sip:alice@10.1.0.9:5061").unwrap_or_else(|| panic!("{heard:?}"));
    assert_eq!(fields(notify, "Route"), entries);
    // It goes on by the way that was recorded.
    let contact = fields(accepted, "Contact")[0].trim_matches(['<', '>']);
    let routes = caller_routes(accepted).split_inclusive("\r\n").skip(2).collect::<String>();
    let again = subscribe(2, fields(accepted, "To")[0], &routes);
    let heard = site.hear(from_edge(), &again.replace("sip:bob@example.com SIP", &format!("{contact} SIP")));
    assert!(heard.iter().any(|(_, text)| text.starts_with("SIP/2.0 200 OK")), "{heard:?}");
}

#[test]
fn routes_that_nobody_needs_are_not_kept() {
    let mut site = Site::begun();
    for (entries, code) in [(10, "200"), (60, "400")] {
        let recorded = "Record-Route: <sip:t@10.1.0.9:5061;lr>\r\n".repeat(entries);
        let subscribe = |more: &str| {
            let more = format!("{SUBSCRIBED}{recorded}{more}");
            request("SUBSCRIBE", "sip:alice@example.com", ALICE, "<sip:alice@example.com>", &more)
                .replace("call-1", &format!("call-{entries}"))
        };
        let heard = site.prove(Some(0), "alice", &subscribe);
        assert!(heard.iter().any(|(_, text)| text.starts_with(&format!("SIP/2.0 {code} "))), "{heard:?}");
    }
}

/// Some phones write the address of their server where others write the domain.
#[test]
fn who_dials_by_the_address_of_a_front_end_reaches_who_is_at_home_on_another() {
    let mut site = Site::begun();
    site.sign_in_inside(1, "bob");
    for (method, number) in [("MESSAGE", 1), ("INVITE", 2)] {
        let ask = |more: &str| {
            let more = format!("Contact: <sip:alice@10.1.0.9:5061;transport=tls>\r\n{more}");
            let text = request(method, "sip:bob@10.0.0.11:5061", ALICE, "<sip:bob@10.0.0.11>", &more);
            text.replace("call-1", &format!("call-{number}"))
        };
        let heard = site.prove(Some(0), "alice", &ask);
        let reached = |(id, text): &(u64, String)| *id == PHONES + 1 && text.starts_with(method);
        assert!(heard.iter().any(reached), "{method}: {heard:?}");
    }
    let subscribe = |more: &str| {
        request("SUBSCRIBE", "sip:bob@10.0.0.11:5061", ALICE, BOB, &format!("{SUBSCRIBED}{more}"))
    };
    let heard = site.prove(Some(0), "alice", &subscribe);
    assert!(heard.iter().any(|(_, text)| text.starts_with("NOTIFY ")), "{heard:?}");
}

/// Of the Edge's connection that we made.
fn to_edge() -> Flow {
    Flow { transport: Transport::Tls, id: 4, local: at("10.0.0.7:40001"), remote: at(EDGE) }
}

#[test]
fn a_front_end_believes_what_another_has_proven_and_nothing_that_comes_from_outside() {
    let mut site = Site::begun();
    site.sign_in("bob");
    let claim = "P-Asserted-Identity: <sip:alice@example.com>\r\n";
    // Who is outside goes to his own home first, whatever he says of himself.
    let from_alice = request("MESSAGE", "sip:bob@example.com", ALICE, BOB, claim);
    assert_eq!(site.status(&from_alice), "SIP/2.0 407 Proxy Authentication Required");
    // A partner is one; the claim is not passed on, so that nobody takes him for alice.
    let partner = request("MESSAGE", "sip:bob@example.com", "<sip:x@other.org>;tag=x", BOB, claim);
    let heard = site.hear(from_edge(), &partner);
    assert!(heard.iter().all(|(_, text)| !text.contains("P-Asserted")), "{heard:?}");
    // Not even in front of the Front End that alice is not known to.
    let direct = request("MESSAGE", "sip:bob@10.0.0.12:5061", ALICE, BOB, claim);
    assert_eq!(site.status(&direct), "SIP/2.0 407 Proxy Authentication Required");
    // A phone inside is not the Director.
    let heard = site.phone(1, &from_alice);
    assert!(heard[0].1.starts_with("SIP/2.0 407"), "{heard:?}");
    // Her Front End is believed.
    let (here, _) = wire(0);
    let heard = site.hear(here, &from_alice);
    assert!(
        heard.iter().any(|(id, text)| *id == 4 && text.starts_with("MESSAGE sip:bob@10.9.9.9")),
        "{heard:?}"
    );
}

#[test]
fn who_is_unknown_hears_what_everybody_hears_and_who_is_new_is_found_at_the_next_question() {
    let mut site = Site::begun();
    for name in ["alice", "bob", "nobody", "carol"] {
        assert_eq!(site.status(&register(name, 1, "")), "SIP/2.0 401 Unauthorized", "{name}");
    }
    // From inside it is plain.
    let (here, _) = wire(0);
    let unknown = request("MESSAGE", "sip:carol@example.com", ALICE, "<sip:carol@example.com>", "");
    let heard = site.hear(here, &unknown);
    assert!(heard.is_empty(), "the Front End gets it: {heard:?}");
    assert_eq!(site.director.view().refused.get(&404), Some(&1));
    site.fronts[1].handle_request(site.now, Request::PutUser(user("carol")));
    site.wait(SECOND * 3);
    site.left.clear();
    site.sign_in("carol");
    assert_eq!(site.director.view().groups[2].users, Some(2));
    site.fronts[1].handle_request(site.now, Request::RemoveUser("carol@example.com".into()));
    site.wait(SECOND * 3);
    assert_eq!(site.director.view().groups[2].users, Some(1));
}

#[test]
fn without_one_front_end_the_users_of_the_other_go_on_and_all_others_hear_why_not() {
    let mut site = Site::begun();
    site.up[1] = false;
    site.director.handle_closed(site.now, wire(1).0);
    site.sign_in("alice");
    assert_eq!(site.status(&register("bob", 1, "")), "SIP/2.0 504 Server Time-out");
    assert_eq!(site.status(&request("OPTIONS", "sip:example.com", ALICE, BOB, "")), "SIP/2.0 200 OK");
    let state = |site: &Site| site.director.view().groups[2].servers[0].answers;
    assert!(!state(&site));
    site.up[1] = true;
    site.wait(SECOND * 3);
    assert!(state(&site));
    site.left.clear();
    site.sign_in("bob");
}

#[test]
fn before_the_front_ends_have_said_who_is_at_home_nobody_is_sent_to_a_wrong_one() {
    let mut site = Site::new();
    assert_eq!(site.status(&register("alice", 1, "")), "SIP/2.0 503 Service Unavailable");
    assert_eq!(
        site.status(&request("OPTIONS", "sip:example.com", ALICE, BOB, "")),
        "SIP/2.0 503 Service Unavailable"
    );
    // One that is not there holds up who is at home on the other no longer than that is unknown.
    site.up[1] = false;
    site.wait(SECOND);
    site.left.clear();
    site.sign_in("alice");
    assert_eq!(site.status(&register("bob", 1, "")), "SIP/2.0 504 Server Time-out");
}

#[test]
fn strangers_are_not_heard_and_no_stranger_is_sent_anything() {
    let mut site = Site::begun();
    let stranger = Flow { id: 5, remote: at("10.0.0.66:40000"), ..from_edge() };
    let status = |heard: Vec<(u64, String)>| heard[0].1.split("\r\n").next().unwrap().to_owned();
    let forbidden = "SIP/2.0 403 Forbidden";
    // With no certificate, or with one of somebody else.
    assert_eq!(status(site.hear(stranger, &register("alice", 1, ""))), forbidden);
    site.director.handle_connected(stranger, &[]);
    assert_eq!(status(site.hear(stranger, &register("alice", 1, ""))), forbidden);
    // An answer of a stranger to a question that we asked a Front End, even if the branch is right, is none.
    let users = site.director.view().groups[1].users;
    site.director.handle_timeout(site.now + SECOND * 3);
    let mut asked = Vec::new();
    while let Some(output) = site.director.poll_output() {
        let Output::Transmit { bytes, .. } = output else { continue };
        asked.push(String::from_utf8(bytes).unwrap());
    }
    for question in asked.iter().filter(|text| text.contains("uri-list")) {
        let lie = answer(question, "200 OK", "t", "SIP-ETag: x\r\nContent-Type: text/uri-list\r\n");
        let lie = lie.replace("Content-Length: 0\r\n\r\n", "Content-Length: 9\r\n\r\nm@x\r\nn@x\n");
        site.hear(stranger, &lie);
        // Nor of one Front End to what another was asked.
        site.hear(wire(1).0, &lie);
    }
    assert_eq!(asked.len(), 3);
    assert_eq!(site.director.view().groups[1].users, users);
    // The Edge sends nobody to where we don't know anybody.
    let away = "Route: <sip:203.0.113.66:5061;transport=tls;lr>\r\n";
    assert_eq!(site.status(&request("INVITE", "sip:bob@example.com", ALICE, BOB, away)), forbidden);
    let other = "<sip:x@other.org>;tag=x";
    assert_eq!(site.status(&request("INVITE", "sip:y@evil.test", other, BOB, "")), forbidden);
}

#[test]
fn nobody_but_the_director_itself_is_told_who_the_users_are() {
    let mut site = Site::begun();
    let wants = "Accept: text/uri-list\r\nAuthorization: Digest x\r\n";
    let routed = format!("Route: <sip:{};transport=tls;lr>\r\n{wants}", FRONTS[1]);
    let mut heard = Vec::new();
    for to in ["<sip:example.com>", "<sip:example.com>;tag=2"] {
        for from in ["<sip:x@example.com>;tag=1", "<sip:bob@example.com>;tag=1", "<sip:x@other.org>;tag=1"] {
            for more in [wants, &routed] {
                let branch = format!("z9hG4bK{}x", heard.len());
                let asked = request("OPTIONS", "sip:example.com", from, to, more).replace("z9hG4bK", &branch);
                // From outside, by another Front End, and from a phone inside; what a Front End hears is not looked at here.
                heard.extend(site.hear(from_edge(), &asked));
                heard.extend(site.hear(wire(0).0, &asked));
                heard.extend(site.phone(1, &asked));
                // A Front End does not rely on the Director.
                let via = "SIP/2.0\r\nVia: SIP/2.0/TLS 10.0.0.7:5061;branch=z9hG4bKdirector\r\n";
                let (now, passed) = (site.now, asked.replacen("SIP/2.0\r\n", via, 1));
                site.fronts[1].handle_input(now, wire(1).1, passed.as_bytes());
                while let Some(output) = site.fronts[1].poll_output() {
                    let FrontOutput::Transmit(sent) = output else { continue };
                    heard.push((2, String::from_utf8_lossy(&sent.bytes).into_owned()));
                }
            }
        }
    }
    assert!(heard.len() >= 36, "{}", heard.len());
    let tells =
        |text: &String| text.contains("bob@example.com\r\n") || text.contains("Content-Type: text/uri-list");
    assert!(!heard.iter().any(|(_, text)| tells(text)), "{heard:#?}");
}

#[test]
fn front_ends_with_one_certificate_are_told_apart_by_where_they_are() {
    let mut site = Site::new();
    site.one_certificate = true;
    site.wait(SECOND);
    site.left.clear();
    let users = |site: &Site| site.director.view().groups.iter().map(|group| group.users).collect::<Vec<_>>();
    assert_eq!(users(&site), [None, Some(1), Some(1)]);
    // Bob's Front End comes to the Director: what it says of him is believed.
    let incoming =
        Flow { id: 7, local: at(DIRECTOR), remote: at("10.0.0.12:40000"), transport: Transport::Tls };
    site.director.handle_connected(incoming, &NAMES);
    site.sign_in("alice");
    let claim = "P-Asserted-Identity: <sip:bob@example.com>\r\n";
    let from = "<sip:bob@example.com>;tag=b";
    let heard = site
        .hear(incoming, &request("MESSAGE", "sip:alice@example.com", from, "<sip:alice@example.com>", claim));
    assert!(heard.iter().any(|(_, text)| text.starts_with("MESSAGE sip:alice@10.9.9.9")), "{heard:#?}");
}

#[test]
fn a_front_end_with_two_addresses_tells_its_users_once() {
    let now = Duration::from_secs(1_800_000_000);
    let config = config(None, vec![Group { name: NAMES[0].into(), addresses: FRONTS.map(at).to_vec() }]);
    let mut director = Director::new(config, [9; 32], now);
    (0..2).for_each(|front| director.handle_connected(wire(front).0, &NAMES[..1]));
    let tell = |question: &str| match question {
        text if !text.contains("uri-list") => answer(text, "200 OK", "t", ""),
        text if text.contains("Suppress-If-Match: T\r\n") => answer(text, "200 OK", "t", "SIP-ETag: T\r\n"),
        text => {
            let is_first = !text.contains("Carillon-After: b@x\r\n");
            let after = if is_first { "Carillon-After: b@x\r\n" } else { "" };
            let more = format!("SIP-ETag: T\r\nContent-Type: text/uri-list\r\n{after}");
            let names = if is_first { "a@x\r\nb@x\r\n" } else { "c@x\r\n" };
            let bare = answer(text, "200 OK", "t", &more);
            bare.replace(
                "Content-Length: 0\r\n\r\n",
                &format!("Content-Length: {}\r\n\r\n{names}", names.len()),
            )
        }
    };
    for round in 0..4 {
        let now = now + SECOND * 3 * round;
        director.handle_timeout(now);
        // Both are asked before one of them answers.
        loop {
            let mut asked = Vec::new();
            while let Some(output) = director.poll_output() {
                if let Output::Transmit { to, bytes } = output {
                    let remote = match to {
                        Destination::Flow(flow) => flow.remote,
                        Destination::Address { remote, .. } => remote,
                    };
                    let front = FRONTS.iter().position(|front| at(front) == remote).unwrap();
                    asked.push((front, String::from_utf8(bytes).unwrap()));
                }
            }
            if asked.is_empty() {
                break;
            }
            let lists = asked.iter().filter(|(_, text)| text.contains("uri-list"));
            assert!(lists.clone().all(|(front, _)| *front == 0) && lists.count() == 1, "{asked:?}");
            for (front, question) in &asked {
                director.handle_input(now, wire(*front).0, tell(question).as_bytes());
            }
        }
        assert_eq!(director.view().groups[0].users, Some(3), "{round}");
    }
    // The second address tells them once the first is not there.
    director.handle_closed(now, wire(0).0);
    director.handle_failed(now + SECOND * 20, Transport::Tls, at(FRONTS[0]));
    director.handle_timeout(now + SECOND * 20);
    let mut asked = Vec::new();
    while let Some(output) = director.poll_output() {
        let Output::Transmit { to: Destination::Address { remote, .. }, bytes } = output else { continue };
        asked.push((remote, String::from_utf8(bytes).unwrap().contains("uri-list")));
    }
    assert!(asked.contains(&(at(FRONTS[1]), true)), "{asked:?}");
}

#[test]
fn a_subscription_outlives_the_connection_with_the_director() {
    let mut site = Site::begun();
    let subscribe =
        |more: &str| request("SUBSCRIBE", "sip:bob@example.com", ALICE, BOB, &format!("{SUBSCRIBED}{more}"));
    let notified = |heard: &[(u64, String)], says: &str| {
        heard.iter().any(|(id, text)| *id == PHONES && text.starts_with("NOTIFY ") && text.contains(says))
    };
    let heard = site.prove(Some(0), "alice", &subscribe);
    assert!(notified(&heard, "<basic>closed"), "{heard:#?}");
    let notify = heard.iter().find(|(_, text)| text.starts_with("NOTIFY ")).unwrap().1.clone();
    site.phone(0, &answer(&notify, "200 OK", "a", ""));
    // Another Director takes its place.
    let (here, there) = wire(1);
    site.fronts[1].handle_closed(site.now, there);
    site.director.handle_closed(site.now, here);
    site.director.handle_connected(here, &NAMES[1..]);
    site.left.clear();
    let mut heard = site.sign_in_inside(1, "bob");
    for _ in 0..10 {
        site.now += SECOND;
        let now = site.now;
        site.fronts[1].handle_timeout(now);
        site.run();
    }
    heard.append(&mut site.left);
    assert!(notified(&heard, "<basic>open"), "{heard:#?}");
}
