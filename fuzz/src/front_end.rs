//! The Front End as a whole, driven by a script: whatever comes over which flow in which order, it says nothing but SIP, its
//! tables stay within their limits, and when all have fallen silent nothing is left but what was saved.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::{Plan, TrafficClass};
use carillon_signaling::digest::{Challenge, Login};
use carillon_signaling::provisioning;
use carillon_signaling::{
    Algorithms, Binding, BridgeWish, Bridging, Change, Config, Destination, Expires, FrontEnd, Ha1, Handling,
    HistoryLimits, HistoryPolicy, InstantMessage, Limits, Listener, NotBridged, Output, Request, Saved, User,
};
use carillon_wire::sip::{self, Answer, Flow, Message, Name, Transport};

/// Steps of one script, and their length: what is behind is left out.
const MOST_STEPS: usize = 64;
/// Between steps.
const SEPARATOR: u8 = 0x1e;
const START: Duration = Duration::from_secs(1_800_000_000);
const METHODS: [&str; 12] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "SUBSCRIBE",
    "OPTIONS",
    "MESSAGE",
    "UPDATE",
    "NOTIFY",
    "PUBLISH",
    "X",
];
const STATUSES: [&str; 8] = ["100 T", "180 R", "200 OK", "302 M", "407 P", "486 B", "503 U", "603 D"];
const USERS: [&str; 2] = ["alice", "bob"];
const END: &[u8] = b"Content-Length: 0\r\n\r\n";
const MORE_AND_END: &[u8] = b"\r\nContent-Length: 0\r\n\r\n";
const LIMITS: Limits = Limits {
    transactions: 16,
    calls: 4,
    waiting: 32 << 10,
    queue: 100,
    contacts: 3,
    watchers: 8,
    letters: 4,
    silence: Duration::from_secs(3600),
    message: sip::Limits { head: 4096, body: 4096 },
};

/// A script: each step is two bytes, what happens and where, and a text. The last byte of the first is a choice.
pub fn front_end(data: &[u8]) {
    let mut world = World::new();
    for step in data.split(|byte| *byte == SEPARATOR).take(MOST_STEPS) {
        if let Some((&[what, place], text)) = step.split_first_chunk() {
            world.step(what, place, text);
            world.assert_bounded();
        }
    }
    // The longest session that may be agreed on, a registration and a message that waits come to their end.
    world.wait(Duration::from_secs(8 * 86_400));
    let counts = world.front.counts();
    assert_eq!((counts.server_transactions, counts.client_transactions, counts.unanswered), (0, 0, 0));
    assert_eq!((counts.calls, counts.registrations, counts.subscriptions + counts.watchers), (0, 0, 0));
    assert!(world.saved.is_empty() && world.published.is_empty(), "{:?} {:?}", world.saved, world.published);
    assert!(world.kept.is_empty(), "{:?}", world.kept);
    assert!(counts.bridges == 0 && world.bridges.is_empty(), "{:?}", world.bridges);
    assert!(world.reserved().all(|(reserved, _)| reserved == 0), "{:?}", world.front.links());
}

struct World {
    front: FrontEnd,
    now: Duration,
    /// The last that was sent over each flow.
    sent: Vec<Vec<u8>>,
    saved: Vec<Arc<Binding>>,
    /// Whose publications are saved, and which.
    published: BTreeSet<(Arc<str>, String)>,
    /// Whose messages wait, and which.
    kept: BTreeSet<(Arc<str>, String)>,
    /// Bridges that were opened and not closed.
    bridges: BTreeSet<u64>,
    /// Credentials used: no two with the same count.
    proofs: u32,
}

impl World {
    fn new() -> World {
        let config = Config {
            domains: vec!["a.b".into()],
            strangers: true,
            realm: "a.b".into(),
            listeners: Transport::ALL.map(listener).to_vec(),
            plan: linked(),
            plan_version: 1,
            expires: Expires::default(),
            watchers: Handling::Allow,
            edge: None,
            limits: LIMITS,
        };
        let mut front = FrontEnd::new(config, USERS.map(user).to_vec(), Saved::default(), [5; 32], START);
        let limits = HistoryLimits { age: Duration::from_secs(86_400), messages: 10 };
        let history = HistoryPolicy { everybody: Some(limits), ..HistoryPolicy::default() };
        front.handle_request(START, Request::SetHistory(history));
        World {
            front,
            now: START,
            sent: vec![Vec::new(); 6],
            saved: Vec::new(),
            published: BTreeSet::new(),
            kept: BTreeSet::new(),
            bridges: BTreeSet::new(),
            proofs: 0,
        }
    }

    fn step(&mut self, what: u8, place: u8, text: &[u8]) {
        let at = usize::from(place) % self.sent.len();
        let (flow, choice) = (flow(at), usize::from(what >> 3));
        let last = self.sent.get(at).cloned().unwrap_or_default();
        match what & 7 {
            0 => self.hear(flow, text),
            1 => {
                let asked = self.ask(flow, choice, place, text, &last);
                self.hear(flow, &asked);
            }
            2 => self.hear(flow, &answer(&last, choice, text)),
            3 => self.hear(flow, &self.sent.get(choice % 6).cloned().unwrap_or_default()),
            4 => self.wait(Duration::from_millis(u64::from(place) << (choice % 20))),
            5 => self.front.handle_closed(self.now, flow),
            6 => self.front.handle_failed(self.now, flow.transport, flow.remote),
            _ if text.is_empty() => self.administer(choice),
            _ => self.front.handle_wrong(flow, text, Answer { code: 400, reason: "Bad" }),
        }
        self.drain();
    }

    fn hear(&mut self, flow: Flow, text: &[u8]) {
        self.front.handle_input(self.now, flow, text);
    }

    /// A request with these further lines, and with the proof that was last asked for on this flow.
    fn ask(&mut self, flow: Flow, choice: usize, place: u8, lines: &[u8], last: &[u8]) -> Vec<u8> {
        let method = METHODS[choice % METHODS.len()];
        let [caller, callee] = if place & 0x80 == 0 { USERS } else { [USERS[1], USERS[0]] };
        let callee = if matches!(method, "REGISTER" | "SUBSCRIBE" | "PUBLISH") { caller } else { callee };
        // The second time through the methods it is about presence.
        let presence = method == "PUBLISH" || choice >= METHODS.len();
        let event = if presence { "presence" } else { "vnd-microsoft-provisioning-v2" };
        let uri = if method == "REGISTER" { "sip:a.b".to_owned() } else { format!("sip:{callee}@a.b") };
        self.proofs += 1;
        let proof = proof(last, caller, method, &uri, self.proofs);
        let (number, remote, transport) = (place >> 4 & 7, flow.remote, flow.transport);
        let to_tag = if matches!(method, "ACK" | "BYE" | "UPDATE") { ";tag=t" } else { "" };
        let head = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {remote};branch=z9hG4bK{number}\r\n\
             From: <sip:{caller}@a.b>;tag=f\r\nTo: <sip:{callee}@a.b>{to_tag}\r\nCall-ID: c\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:{caller}@{remote}>\r\nEvent: {event}\r\n{proof}"
        );
        let end = if lines.is_empty() { END } else { MORE_AND_END };
        let end = if method == "PUBLISH" { published().into_bytes() } else { end.to_vec() };
        [head.as_bytes(), routes(last).as_bytes(), lines, &end].concat()
    }

    fn administer(&mut self, choice: usize) {
        let user = USERS[choice / 4 % 2];
        let request = match choice % 4 {
            0 => Request::SetPlan { plan: preset("teams"), version: 2 },
            1 => Request::RemoveUser(format!("{user}@a.b")),
            2 => Request::PutUser(User { algorithms: Some(Algorithms::Sha256), ..self::user(user) }),
            _ => Request::SetListeners(Transport::ALL.map(listener).to_vec()),
        };
        self.front.handle_request(self.now, request);
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.front.poll_timeout().filter(|at| *at <= until) {
            // What is due is dealt with: it is not due again at once.
            self.now = self.now.max(at);
            self.front.handle_timeout(self.now);
            self.drain();
            assert!(self.front.poll_timeout().is_none_or(|next| next > self.now));
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(BridgeWish { bridge, what }) = self.front.poll_bridge() {
            match what {
                Bridging::Offer { opening, .. } => {
                    self.bridges.extend(opening.map(|_| bridge));
                    let made =
                        if bridge % 3 == 0 { Err(NotBridged::NoPorts) } else { Ok("v=0\r\n".to_owned()) };
                    self.front.handle_bridged(self.now, bridge, made);
                }
                Bridging::Answer { .. } => {
                    self.front.handle_bridged(self.now, bridge, Ok("v=0\r\n".to_owned()));
                }
                Bridging::Close => assert!(self.bridges.remove(&bridge), "it was not open"),
            }
        }
        while let Some(output) = self.front.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.class, TrafficClass::Signaling);
                    // A refusal repeats what was wrong with the request.
                    let is_fine =
                        |message: Message<&[u8]>| message.status().is_some() || message.check().is_ok();
                    assert!(Message::parse(&*transmit.bytes).is_ok_and(is_fine));
                    let remote = match transmit.to {
                        Destination::Flow(flow) => flow.remote,
                        Destination::Address { remote, .. } => remote,
                    };
                    let place = (0..self.sent.len()).find(|at| flow(*at).remote == remote);
                    place
                        .and_then(|at| self.sent.get_mut(at))
                        .into_iter()
                        .for_each(|sent| sent.clone_from(&transmit.bytes));
                }
                Output::Save(Change::Bind(binding)) => {
                    self.saved.retain(|saved| (&saved.aor, &saved.key) != (&binding.aor, &binding.key));
                    self.saved.push(binding);
                }
                Output::Save(Change::Unbind { aor, key }) => {
                    let before = self.saved.len();
                    self.saved.retain(|saved| (&saved.aor, &saved.key) != (&aor, &key));
                    assert_eq!(self.saved.len() + 1, before, "{aor} {key} was not there");
                }
                Output::Save(Change::Publish(publication)) => {
                    self.published.insert((publication.aor.clone(), publication.key.clone()));
                }
                Output::Save(Change::Keep(letter)) => {
                    self.kept.insert((letter.aor.clone(), letter.key.clone()));
                }
                Output::Save(Change::Forget { aor, key }) => {
                    assert!(self.kept.remove(&(aor, key)), "it was not there");
                }
                Output::Save(Change::Unpublish { aor, key }) => {
                    assert!(self.published.remove(&(aor, key)), "it was not there");
                }
                Output::Save(Change::Remember(entry)) => {
                    assert!(entry.body.len() <= 64 << 10 && !entry.body.is_empty());
                    assert!(USERS.iter().any(|name| *entry.aor == format!("{name}@a.b")), "{}", entry.aor);
                }
                Output::Save(Change::Receipt(receipt)) => assert!(!receipt.id.is_empty()),
                Output::Trust(flow) | Output::Close(flow) => assert!(flow.transport.is_stream()),
                Output::Event(_) | Output::Record(_) => {}
            }
        }
    }

    /// What is reserved of links, and what there is.
    fn reserved(&self) -> impl Iterator<Item = (u64, Option<u32>)> {
        let links = self.front.links().into_iter().flat_map(|link| [link.audio, link.video]);
        links.map(|class| (class.reserved, class.capacity))
    }

    fn assert_bounded(&self) {
        let fits = |(reserved, capacity): (u64, Option<u32>)| {
            capacity.is_none_or(|most| reserved <= u64::from(most))
        };
        assert!(self.reserved().all(fits), "{:?}", self.front.links());
        let counts = self.front.counts();
        let subscriptions = 10 * USERS.len();
        // In calls that are up, a quarter more; each with its branches and their CANCELs; and the NOTIFYs.
        let transactions = LIMITS.transactions * 5 / 4
            + 2 * LIMITS.contacts
            + 2 * LIMITS.transactions
            + 2 * (subscriptions + LIMITS.watchers + USERS.len());
        assert!(counts.server_transactions + counts.client_transactions <= transactions, "{counts:?}");
        assert!(counts.calls <= LIMITS.calls && counts.subscriptions <= subscriptions, "{counts:?}");
        assert!(
            counts.watchers <= LIMITS.watchers
                && counts.publications == self.published.len()
                && counts.letters == self.kept.len()
                && counts.letters <= LIMITS.letters,
            "{counts:?}"
        );
        assert_eq!((counts.registrations, counts.queued), (self.saved.len(), 0));
        assert!(counts.registrations <= LIMITS.contacts * USERS.len());
    }
}

/// What a device publishes, with the fields that say so.
fn published() -> String {
    let document = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='x'><tuple id='a'><status><basic>open</basic></status>\
        </tuple></presence>";
    format!("Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{document}", document.len())
}

/// The credentials that a challenge asks for, if this is one.
fn proof(challenged: &[u8], user: &str, method: &str, uri: &str, nc: u32) -> String {
    let Ok(message) = Message::parse(challenged) else { return String::new() };
    let (asks, says) = match message.status() {
        Some(401) => (Name::WwwAuthenticate, "Authorization"),
        Some(407) => (Name::ProxyAuthenticate, "Proxy-Authorization"),
        _ => return String::new(),
    };
    let Some(challenge) = Challenge::strongest(message.all(asks)) else { return String::new() };
    let login = Login { user, password: "secret", cnonce: "c" };
    let method = sip::Method::Other(method.as_bytes());
    format!("{says}: {}\r\n", challenge.answer(&login, method, uri.as_bytes(), nc))
}

/// The way back along the Record-Route of what was heard last.
fn routes(heard: &[u8]) -> String {
    let Ok(message) = Message::parse(heard) else { return String::new() };
    let routes: Vec<_> = message.values(Name::RecordRoute).map(String::from_utf8_lossy).collect();
    let way: Vec<_> =
        if message.status().is_some() { routes.iter().rev().collect() } else { routes.iter().collect() };
    way.iter().map(|route| format!("Route: {route}\r\n")).collect()
}

/// What a phone answers to what it heard last, with these further lines.
fn answer(heard: &[u8], choice: usize, lines: &[u8]) -> Vec<u8> {
    let Ok(message) = Message::parse(heard) else { return Vec::new() };
    let mut text = format!("SIP/2.0 {}\r\n", STATUSES[choice % STATUSES.len()]).into_bytes();
    for name in [Name::Via, Name::RecordRoute, Name::From, Name::To, Name::CallId, Name::CSeq] {
        for value in message.all(name) {
            let bare = name == Name::To && message.to().is_some_and(|to| to.is_ok_and(|to| to.tag.is_none()));
            text.extend(
                [name.as_str().as_bytes(), b": ", value, if bare { b";tag=t" } else { b"" }, b"\r\n"]
                    .concat(),
            );
        }
    }
    [text.as_slice(), lines, if lines.is_empty() { END } else { MORE_AND_END }].concat()
}

/// The first two phones are behind a link for two calls.
const LINKED: &str = r#"
    base = "lync"
    [management.NetworkConfiguration.Global]
    EnableBandwidthPolicyCheck = true
    [management.NetworkBandwidthPolicyProfile.Thin]
    BWPolicy = ["BWLimit=320;BWPolicyModality=Audio", "BWLimit=350;BWSessionLimit=350;BWPolicyModality=Video"]
    [management.NetworkSite.Oslo]
    BWPolicyProfileID = "Thin"
    [management.NetworkSubnet."198.51.100.0"]
    MaskBits = 31
    NetworkSiteID = "Oslo"
"#;

fn linked() -> Arc<Plan> {
    Arc::new(Plan::from_toml(LINKED).unwrap_or_else(|problems| panic!("{problems:?}")))
}

fn preset(name: &str) -> Arc<Plan> {
    Arc::new(Plan::preset(name).unwrap_or_else(|| panic!("no preset {name}")))
}

fn listener(transport: Transport) -> Listener {
    let address = ([192, 0, 2, 1], transport.default_port()).into();
    Listener { transport, address, advertised: address.to_string(), algorithms: Algorithms::Both }
}

fn user(name: &str) -> User {
    let aor = format!("{name}@a.b");
    User { aor, ha1: Ha1::of(name, "a.b", "secret"), algorithms: None, site: None, number: None }
}

/// Two phones on each transport.
fn flow(at: usize) -> Flow {
    // The last is a page.
    let transport = if at == 5 { Transport::Wss } else { Transport::ALL[at % 3] };
    let id = if transport.is_stream() { 10 + at as u64 } else { 1 };
    let remote = ([198, 51, 100, at as u8], 5060).into();
    Flow { transport, id, local: ([192, 0, 2, 1], transport.default_port()).into(), remote }
}

/// A document. What is read says each class once, and ports that can be leased.
pub fn provisioning(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(given) = provisioning::parse(text) else { return };
    let classes: Vec<_> = given.classes.iter().map(|given| given.class).collect();
    let expected: Vec<_> = TrafficClass::ALL.into_iter().filter(|class| classes.contains(class)).collect();
    assert_eq!(classes, expected);
    for ports in given.classes.iter().filter_map(|given| given.ports).chain(given.legacy) {
        assert!(ports.start() > 0 && ports.start() <= ports.end());
    }
    assert!(given.source.is_none_or(|source| source.plan.len() + source.scope.len() <= data.len()));
}

/// A document that a device publishes. What is read is written as one that can be read again, unless it has grown too large, and
/// then stays as long as it is.
pub fn presence(data: &[u8]) {
    let seen = |text: &str| carillon_signaling::presence_of("a@b.c", text);
    let Some(first) = std::str::from_utf8(data).ok().and_then(|text| seen(text).ok()) else { return };
    assert!(first.len() < 200 << 10, "{} bytes", first.len());
    match seen(&first) {
        Ok(second) => assert_eq!(seen(&second).map(|third| third.len()), Ok(second.len())),
        Err(_) => assert!(first.len() > 4096, "{first}"),
    }
}

/// What a MESSAGE is about: its media type and its encoding in a line each, then its body. What is kept has a size, and is the same
/// when it is read again without what wrapped it.
pub fn message(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let [media_type, encoding, body] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let encoding = Some(encoding).filter(|encoding| !encoding.is_empty());
    match InstantMessage::read(media_type, encoding, body) {
        InstantMessage::Content { id, media_type, body } => {
            assert!((1..=64 << 10).contains(&body.len()) && (1..=256).contains(&media_type.len()));
            assert!(
                !media_type.contains(char::is_control) && id.is_none_or(|id| (1..=256).contains(&id.len()))
            );
            if !media_type.to_ascii_lowercase().starts_with("message/") {
                let again = InstantMessage::read(media_type.as_bytes(), None, &body);
                assert_eq!(again, InstantMessage::Content { id: None, media_type, body });
            }
        }
        InstantMessage::Receipt { id, .. } => assert!((1..=256).contains(&id.len())),
        InstantMessage::Passing => {}
    }
}
