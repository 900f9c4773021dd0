//! A Front End with phones around it: literal messages in, literal messages out, in a time of its own.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file takes what it needs")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_signaling::digest::{Challenge, Login};
use carillon_signaling::records::Record;
use carillon_signaling::{
    BridgeWish, Bridging, Change, Config, Destination, Edge, Event, Expires, FrontEnd, Ha1, Handling, Limits,
    Listener, NotBridged, Output, Saved, User,
};
use carillon_wire::sip::{Flow, Message, Method, Transport};

pub const SECOND: Duration = Duration::from_secs(1);
pub const MS: Duration = Duration::from_millis(1);
/// 64 * T1.
pub const PATIENCE: Duration = Duration::from_secs(32);

/// `example.com`, with the users alice, bob and carol, on UDP and TCP 192.0.2.1:5060, TLS 192.0.2.1:5061 and
/// WSS 192.0.2.1:443. Callers from
/// other domains are let in, unless it is said otherwise: they need no proof, so that cases are short.
pub struct House {
    pub front: FrontEnd,
    pub now: Duration,
    pub events: Vec<Event>,
    /// Connections that may stay.
    pub trusted: Vec<Flow>,
    /// What was to be saved.
    pub saved: Vec<Change>,
    /// What was recorded of calls.
    pub records: Vec<Record>,
    /// What bridges were to do.
    pub wishes: Vec<BridgeWish>,
    /// What becomes of descriptions on them: of each, who has written it and its first audio section is left.
    pub bridge: fn(&Bridging) -> Result<String, NotBridged>,
    /// Registrations so far: the CSeq of the next ones.
    registered: u32,
}

/// A message that left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    pub transport: Transport,
    pub to: SocketAddr,
    pub text: String,
}

impl House {
    pub fn new() -> House {
        House::with(Limits::default())
    }

    pub fn with(limits: Limits) -> House {
        House::begun(Duration::from_secs(1_800_000_000), limits)
    }

    /// Nobody from elsewhere is let in.
    pub fn closed() -> House {
        House::open(false, Duration::from_secs(1_800_000_000), Limits::default())
    }

    /// The server begins at this moment.
    pub fn begun(now: Duration, limits: Limits) -> House {
        House::open(true, now, limits)
    }

    /// Nobody from elsewhere is let in but by this Edge.
    pub fn behind(edge: Edge) -> House {
        House::set(Some(edge), false, Duration::from_secs(1_800_000_000), Limits::default())
    }

    fn open(strangers: bool, now: Duration, limits: Limits) -> House {
        House::set(None, strangers, now, limits)
    }

    fn set(edge: Option<Edge>, strangers: bool, now: Duration, limits: Limits) -> House {
        let user = |name: &str| User {
            aor: format!("{name}@example.com"),
            ha1: Ha1::of(name, "example.com", "secret"),
            algorithms: None,
            site: None,
            number: None,
        };
        let config = Config {
            domains: vec!["example.com".into()],
            strangers,
            realm: "example.com".into(),
            listeners: listeners(),
            plan: Arc::new(Plan::preset("lync").unwrap()),
            plan_version: 1,
            expires: Expires::default(),
            watchers: Handling::Allow,
            edge,
            limits,
        };
        let users = ["alice", "bob", "carol"].map(user).to_vec();
        House {
            front: FrontEnd::new(config, users, Saved::default(), [42; 32], now),
            now,
            events: Vec::new(),
            trusted: Vec::new(),
            saved: Vec::new(),
            records: Vec::new(),
            wishes: Vec::new(),
            bridge: turned,
            registered: 0,
        }
    }

    /// A message comes over a flow; what leaves at once.
    pub fn hear(&mut self, flow: Flow, text: &str) -> Vec<Sent> {
        self.front.handle_input(self.now, flow, text.as_bytes());
        self.drain()
    }

    /// Time passes; what leaves meanwhile, with the moment counted from the beginning of it.
    pub fn wait(&mut self, time: Duration) -> Vec<(Duration, Sent)> {
        let (start, end) = (self.now, self.now + time);
        let mut sent = Vec::new();
        while let Some(at) = self.front.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.front.handle_timeout(self.now);
            sent.extend(self.drain().into_iter().map(|message| (self.now - start, message)));
        }
        self.now = end;
        sent
    }

    pub fn close(&mut self, flow: Flow) -> Vec<Sent> {
        self.front.handle_closed(self.now, flow);
        self.drain()
    }

    pub fn drain(&mut self) -> Vec<Sent> {
        while let Some(wish) = self.front.poll_bridge() {
            let (bridge, made) = (wish.bridge, (self.bridge)(&wish.what));
            let answers = wish.what != Bridging::Close;
            self.wishes.push(wish);
            if answers {
                self.front.handle_bridged(self.now, bridge, made);
            }
        }
        let mut sent = Vec::new();
        while let Some(output) = self.front.poll_output() {
            match output {
                Output::Transmit(transmit) => sent.push(Sent::of(transmit.to, transmit.bytes)),
                Output::Event(event) => self.events.push(event),
                Output::Trust(flow) => self.trusted.push(flow),
                Output::Save(change) => self.saved.push(change),
                Output::Record(record) => self.records.push(*record),
                Output::Close(_) => {}
            }
        }
        sent
    }

    /// Registers a phone with its password.
    pub fn register(&mut self, user: &str, flow: Flow, params: &str) {
        self.register_and_hear(user, flow, params);
    }

    /// The same, with what it is sent besides the 200.
    pub fn register_and_hear(&mut self, user: &str, flow: Flow, params: &str) -> Vec<Sent> {
        let first = self.registered;
        self.registered += 2;
        let contact = format!("<{}>{params}", contact(user, flow));
        let register = |cseq: u32, more: &str| {
            format!(
                "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{user}{}{cseq}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{user}@example.com>;tag=r\r\nTo: <sip:{user}@example.com>\r\n\
                 Call-ID: {user}{}\r\nCSeq: {cseq} REGISTER\r\nContact: {contact}\r\nExpires: 3600\r\n{more}\
                 Content-Length: 0\r\n\r\n",
                flow.transport, flow.remote, flow.id, flow.remote
            )
        };
        let challenge = self.hear(flow, &register(first + 1, ""));
        let answer = authorization(user, &challenge[0].text, Method::Register, "sip:example.com");
        let mut done = self.hear(flow, &register(first + 2, &answer));
        assert!(done[0].text.starts_with("SIP/2.0 200 OK\r\n"), "{}", done[0].text);
        done.split_off(1)
    }

    /// Nothing is left of transactions.
    pub fn assert_quiet(&self) {
        let counts = self.front.counts();
        assert_eq!((counts.server_transactions, counts.client_transactions, counts.queued), (0, 0, 0));
    }
}

/// What a bridge makes of a description, as far as these tests care.
fn turned(what: &Bridging) -> Result<String, NotBridged> {
    match what {
        Bridging::Offer { from, .. } => Ok(format!("v=0\r\ns=offer from {from:?}\r\n")),
        Bridging::Answer { from, .. } => Ok(format!("v=0\r\ns=answer from {from:?}\r\n")),
        Bridging::Close => Err(NotBridged::Unacceptable),
    }
}

impl Sent {
    fn of(to: Destination, bytes: Vec<u8>) -> Sent {
        let (transport, remote) = match to {
            Destination::Flow(flow) => (flow.transport, flow.remote),
            Destination::Address { transport, remote, .. } => (transport, remote),
        };
        Sent { transport, to: remote, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// The start line.
    pub fn start(&self) -> &str {
        self.text.split("\r\n").next().unwrap()
    }

    /// The values of all lines of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        fields(&self.text, name)
    }

    /// The value of the first line of this name.
    pub fn get(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    /// What a phone answers to it.
    pub fn answer(&self, status: &str, tag: &str, more: &str) -> String {
        answer(&self.text, status, tag, more)
    }
}

/// Start lines and where they went, in order.
pub fn starts(sent: &[Sent]) -> Vec<(&str, String)> {
    sent.iter().map(|sent| (sent.start(), sent.to.to_string())).collect()
}

/// Moments and start lines, in order.
pub fn moments(sent: &[(Duration, Sent)]) -> Vec<(u128, &str)> {
    sent.iter().map(|(at, sent)| (at.as_millis(), sent.start())).collect()
}

fn listeners() -> Vec<Listener> {
    let listener = |transport, address: &str| Listener {
        transport,
        address: address.parse().unwrap(),
        advertised: address.to_owned(),
        algorithms: Default::default(),
    };
    vec![
        listener(Transport::Udp, "192.0.2.1:5060"),
        listener(Transport::Tcp, "192.0.2.1:5060"),
        listener(Transport::Tls, "192.0.2.1:5061"),
        listener(Transport::Wss, "192.0.2.1:443"),
    ]
}

/// A UDP peer at 198.51.100.`host`.
pub fn udp(host: u8) -> Flow {
    let remote = SocketAddr::from(([198, 51, 100, host], 5060));
    Flow { transport: Transport::Udp, id: 1, local: "192.0.2.1:5060".parse().unwrap(), remote }
}

/// Connection number `id` from 198.51.100.`host`.
pub fn stream(transport: Transport, id: u64, host: u8) -> Flow {
    let remote = SocketAddr::from(([198, 51, 100, host], 40_000 + id as u16));
    let port = transport.default_port();
    Flow { transport, id, local: SocketAddr::from(([192, 0, 2, 1], port)), remote }
}

/// The Contact URI of a phone.
pub fn contact(user: &str, flow: Flow) -> String {
    let transport = flow.transport.name().to_lowercase();
    format!("sip:{user}@{};transport={transport}", flow.remote)
}

/// A request from an outsider, `ann@other.org`, to bob; `head` is all that the case is about: further fields, each with
/// its line break.
pub fn request(
    method: &str,
    uri: &str,
    flow: Flow,
    branch: &str,
    cseq: u32,
    to_tag: &str,
    head: &str,
) -> String {
    let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:ann@other.org>;tag=ann\r\nTo: <sip:bob@example.com>{to_tag}\r\nCall-ID: call-1\r\n\
         CSeq: {cseq} {method}\r\n{head}Content-Length: 0\r\n\r\n",
        flow.transport, flow.remote
    )
}

/// Ann calls bob.
pub fn invite(flow: Flow, branch: &str) -> String {
    let head = format!("Contact: <{}>\r\n", contact("ann", flow));
    request("INVITE", "sip:bob@example.com", flow, branch, 1, "", &head)
}

/// What a phone answers to a request: fields copied as RFC 3261, 8.2.6 and 12.1.1 say.
pub fn answer(request: &str, status: &str, tag: &str, more: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
        for value in fields(request, name) {
            let tagged = name == "To" && !tag.is_empty() && !value.contains(";tag=");
            let tag = if tagged { format!(";tag={tag}") } else { String::new() };
            text.push_str(&format!("{name}: {value}{tag}\r\n"));
        }
    }
    format!("{text}{more}Content-Length: 0\r\n\r\n")
}

/// The values of all lines of this name in a message.
pub fn fields<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let head = text.split("\r\n\r\n").next().unwrap();
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
    lines.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

/// The Route lines of the caller, from the answer that made the dialog.
pub fn caller_routes(answer: &str) -> String {
    fields(answer, "Record-Route").iter().rev().map(|value| format!("Route: {value}\r\n")).collect()
}

/// The Route lines of the one who was called, from the request that made the dialog.
pub fn callee_routes(request: &str) -> String {
    fields(request, "Record-Route").iter().map(|value| format!("Route: {value}\r\n")).collect()
}

/// The line with credentials that answers a challenge.
pub fn authorization(user: &str, challenged: &str, method: Method<'_>, uri: &str) -> String {
    let message = Message::parse(challenged.as_bytes()).unwrap();
    let proxy = message.status() == Some(407);
    let (challenge, name) = match proxy {
        true => ("Proxy-Authenticate", "Proxy-Authorization"),
        false => ("WWW-Authenticate", "Authorization"),
    };
    let values = fields(challenged, challenge);
    let challenge = Challenge::strongest(values.iter().map(|value| value.as_bytes())).unwrap();
    let login = Login { user, password: "secret", cnonce: "0a4f113b" };
    format!("{name}: {}\r\n", challenge.answer(&login, method, uri.as_bytes(), 1))
}
