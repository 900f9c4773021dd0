//! The Front End with our own agent and with a client that stays subscribed: who signs in is given the plan, and is told
//! when it changes.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::{Plan, PortRange, TrafficClass};
use carillon_signaling::agent::{self, Agent, Password, Recovery};
use carillon_signaling::digest::{Challenge, Login};
use carillon_signaling::{
    Algorithms, Binding, Change, Config, Destination, Event, Expires, FrontEnd, Ha1, Handling, Limits,
    Listener, Output, Request, Saved, User, provisioning,
};
use carillon_wire::sip::{Flow, Message, Method, Name, Transport};

const START: Duration = Duration::from_secs(1_800_000_000);
const SERVER: &str = "192.0.2.1:5061";
const PHONE: &str = "192.0.2.7:4001";

fn plan(audio: &str) -> Arc<Plan> {
    let text = format!(
        "name = \"p\"\nclasses.audio = \"EF\"\nclasses.signaling = \"CS3\"\nroles.client.audio = \"{audio}\"\n\
         [sites.Redmond]\nclasses.audio = 44\n"
    );
    Arc::new(Plan::from_toml(&text).unwrap())
}

fn front_end(bindings: Vec<Binding>, now: Duration) -> FrontEnd {
    let listener = Listener {
        transport: Transport::Tls,
        address: SERVER.parse().unwrap(),
        advertised: SERVER.to_owned(),
        algorithms: Algorithms::Both,
    };
    let config = Config {
        domains: vec!["example.com".to_owned()],
        strangers: false,
        realm: "example.com".to_owned(),
        listeners: vec![listener],
        plan: plan("20000-20039"),
        plan_version: 7,
        expires: Expires::default(),
        watchers: Handling::Allow,
        edge: None,
        limits: Limits::default(),
    };
    let ha1 = Ha1::of("alice@example.com", "example.com", "secret");
    let alice = User {
        aor: "alice@example.com".to_owned(),
        ha1,
        algorithms: None,
        site: Some("Redmond".to_owned()),
        number: None,
    };
    let saved = Saved { bindings, ..Saved::default() };
    FrontEnd::new(config, vec![alice], saved, [3; 32], now)
}

fn flow(server: bool, id: u64) -> Flow {
    let (ours, theirs): (SocketAddr, SocketAddr) = (SERVER.parse().unwrap(), PHONE.parse().unwrap());
    let (local, remote) = if server { (ours, theirs) } else { (theirs, ours) };
    Flow { transport: Transport::Tls, id, local, remote }
}

/// What came out, apart: texts sent to the phone, and the rest in words.
fn drain(front_end: &mut FrontEnd) -> (Vec<String>, Vec<String>) {
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    while let Some(output) = front_end.poll_output() {
        match output {
            Output::Transmit(transmit) => {
                assert_eq!(
                    (transmit.to, transmit.class),
                    (Destination::Flow(flow(true, 1)), TrafficClass::Signaling)
                );
                sent.push(String::from_utf8(transmit.bytes).unwrap());
            }
            Output::Save(Change::Bind(binding)) => told.push(format!("saved {:?}", binding.plan_version)),
            Output::Event(Event::Provisioned { version, .. }) => told.push(format!("provisioned {version}")),
            other => told.push(format!("{other:?}")),
        }
    }
    (sent, told)
}

/// Our own agent on a connection to the Front End.
struct Signed {
    front_end: FrontEnd,
    agent: Agent,
    told: Vec<String>,
    news: Vec<agent::Event>,
}

impl Signed {
    fn new() -> Signed {
        let settings = agent::Settings {
            aor: "alice@example.com".to_owned(),
            password: Password("secret".to_owned()),
            transport: Transport::Tls,
            server: SERVER.parse().unwrap(),
            local: PHONE.parse().unwrap(),
            instance: "urn:uuid:00000000-0000-4000-8000-000000000001".to_owned(),
            user_agent: "Carillon".to_owned(),
            expires: 600,
            provisioning: true,
            recovery: Recovery::default(),
            calls: 2,
        };
        let agent = Agent::new(settings, [5; 32]);
        let mut signed =
            Signed { front_end: front_end(Vec::new(), START), agent, told: Vec::new(), news: Vec::new() };
        signed.agent.handle_request(START, agent::Request::SignIn);
        signed.run();
        signed
    }

    /// Carries messages both ways until nobody has more to say.
    fn run(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.agent.poll_output() {
                match output {
                    agent::Output::Transmit(transmit) => {
                        self.front_end.handle_input(START, flow(true, 1), &transmit.bytes);
                        quiet = false;
                    }
                    agent::Output::Event(event) => self.news.push(event),
                }
            }
            let (sent, told) = drain(&mut self.front_end);
            self.told.extend(told);
            for text in sent {
                self.agent.handle_input(START, flow(false, 9), text.as_bytes());
                quiet = false;
            }
            if quiet {
                return;
            }
        }
    }
}

#[test]
fn our_agent_signs_in_and_has_the_ranges_and_marks_of_its_site() {
    let signed = Signed::new();
    let documents = signed.news.iter().filter_map(|event| match event {
        agent::Event::Provisioned(document) => Some(String::from_utf8(document.clone()).unwrap()),
        _ => None,
    });
    let [document] = documents.collect::<Vec<_>>().try_into().unwrap();
    let given = provisioning::parse(&document).unwrap();
    let audio = given.class(TrafficClass::Audio).unwrap();
    assert_eq!(
        (audio.ports, audio.mark.value(), audio.mark_from.as_str()),
        (PortRange::parse("20000-20039"), 44, "site:Redmond")
    );
    assert_eq!(given.source.unwrap().version, 7);
    // Known to the binding, and saved, before the phone has it.
    let last: Vec<&str> = signed.told.iter().map(String::as_str).collect();
    assert_eq!(&last[last.len() - 2..], ["saved Some(7)", "provisioned 7"]);
    let counts = signed.front_end.counts();
    assert_eq!((counts.registrations, counts.subscriptions, counts.client_transactions), (1, 0, 0));
}

/// A client that stays subscribed, by hand.
struct Client {
    front_end: FrontEnd,
    now: Duration,
    challenge: Option<Challenge>,
    nc: u32,
}

impl Client {
    fn subscribe(&mut self, cseq: u32, to_tag: &str, expires: u32) -> Vec<String> {
        let uri = "sip:alice@example.com";
        self.nc += 1;
        let authorization = self.challenge.as_ref().map_or(String::new(), |challenge| {
            let login = Login { user: "alice", password: "secret", cnonce: "c" };
            format!(
                "Authorization: {}\r\n",
                challenge.answer(&login, Method::Subscribe, uri.as_bytes(), self.nc)
            )
        });
        let text = format!(
            "SUBSCRIBE {uri} SIP/2.0\r\nVia: SIP/2.0/TLS {PHONE};branch=z9hG4bK{cseq}\r\nMax-Forwards: 70\r\n\
             From: <{uri}>;tag=theirs\r\nTo: <{uri}>{to_tag}\r\nCall-ID: s1\r\nCSeq: {cseq} SUBSCRIBE\r\n\
             Contact: <sip:alice@{PHONE};transport=tls>\r\nEvent: vnd-microsoft-provisioning-v2\r\n\
             Expires: {expires}\r\n{authorization}Content-Length: 0\r\n\r\n"
        );
        self.hear(&text)
    }

    fn hear(&mut self, text: &str) -> Vec<String> {
        self.front_end.handle_input(self.now, flow(true, 1), text.as_bytes());
        let (sent, _) = drain(&mut self.front_end);
        sent
    }

    fn pass(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        self.front_end.handle_timeout(self.now);
        drain(&mut self.front_end).0
    }

    /// Subscribed, with the first NOTIFY not yet answered.
    fn new() -> (Client, String, String) {
        let mut client =
            Client { front_end: front_end(Vec::new(), START), now: START, challenge: None, nc: 0 };
        let [challenged] = client.subscribe(1, "", 600).try_into().unwrap();
        assert!(challenged.starts_with("SIP/2.0 401 Unauthorized\r\n"));
        let message = Message::parse(challenged.as_bytes()).unwrap();
        client.challenge = Challenge::strongest(message.all(Name::WwwAuthenticate));
        client.nc = 0;
        let [accepted, notify] = client.subscribe(2, "", 600).try_into().unwrap();
        (client, accepted, notify)
    }
}

fn answer(request: &str, status: &str) -> String {
    let fields = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| {
        let line = request.split("\r\n").find(|line| line.starts_with(&format!("{name}:")));
        format!("{}\r\n", line.unwrap())
    });
    format!("SIP/2.0 {status}\r\n{}Content-Length: 0\r\n\r\n", fields.concat())
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

#[test]
fn a_subscriber_is_notified_in_the_dialog_and_again_when_the_plan_changes() {
    let (mut client, accepted, notify) = Client::new();
    assert!(accepted.starts_with("SIP/2.0 200 OK\r\n") && field(&accepted, "Expires") == "600");
    assert_eq!(field(&notify, "From"), field(&accepted, "To"));
    assert!(field(&notify, "Via").starts_with(&format!("SIP/2.0/TLS {SERVER};rport;branch=z9hG4bK-")));
    assert!(notify.starts_with(&format!("NOTIFY sip:alice@{PHONE};transport=tls SIP/2.0\r\n")));
    assert_eq!(client.front_end.counts().subscriptions, 1);
    assert_eq!(client.hear(&answer(&notify, "200 OK")), [""; 0]);

    client.front_end.handle_request(client.now, Request::SetPlan { plan: plan("30000-30039"), version: 8 });
    let [changed] = client.pass(Duration::ZERO).try_into().unwrap();
    let body = changed.split("\r\n\r\n").nth(1).unwrap();
    let given = provisioning::parse(body).unwrap();
    assert_eq!(given.source.unwrap().version, 8);
    assert_eq!(field(&changed, "CSeq"), "2 NOTIFY");
    assert_ne!(field(&changed, "Via"), field(&notify, "Via"));
    client.hear(&answer(&changed, "200 OK"));

    let tag = field(&accepted, "To").split(";tag=").nth(1).unwrap();
    let [ended, last] = client.subscribe(3, &format!(";tag={tag}"), 0).try_into().unwrap();
    assert_eq!(
        (field(&ended, "Expires"), field(&last, "Subscription-State")),
        ("0", "terminated;reason=timeout")
    );
    client.hear(&answer(&last, "200 OK"));
    client.pass(Duration::from_secs(40));
    let counts = client.front_end.counts();
    assert_eq!((counts.subscriptions, counts.client_transactions), (0, 0));
}

#[test]
fn a_subscriber_who_refuses_or_stays_silent_is_forgotten() {
    for status in [Some("481 Gone"), None] {
        let (mut client, _, notify) = Client::new();
        match status {
            Some(status) => _ = client.hear(&answer(&notify, status)),
            None => _ = client.pass(Duration::from_secs(32)),
        }
        assert_eq!(client.front_end.counts().subscriptions, 0, "{status:?}");
        client
            .front_end
            .handle_request(client.now, Request::SetPlan { plan: plan("30000-30039"), version: 8 });
        assert_eq!(client.pass(Duration::from_secs(1)), [""; 0]);
    }
}

#[test]
fn a_subscription_ends_with_its_connection_and_with_its_user() {
    let (mut client, ..) = Client::new();
    client.front_end.handle_closed(client.now, flow(true, 1));
    assert_eq!(client.front_end.counts().subscriptions, 0);
    let (mut client, _, notify) = Client::new();
    client.hear(&answer(&notify, "200 OK"));
    client.front_end.handle_request(client.now, Request::RemoveUser("alice@example.com".to_owned()));
    let [last] = drain(&mut client.front_end).0.try_into().unwrap();
    assert_eq!(field(&last, "Subscription-State"), "terminated;reason=noresource");
    assert_eq!(client.front_end.counts().subscriptions, 0);
}

#[test]
fn a_stranger_is_told_nothing() {
    let mut client = Client { front_end: front_end(Vec::new(), START), now: START, challenge: None, nc: 0 };
    for expires in [0, 600] {
        let [challenged] = client.subscribe(1, "", expires).try_into().unwrap();
        assert!(challenged.starts_with("SIP/2.0 401 Unauthorized\r\n"));
        assert!(challenged.ends_with("Content-Length: 0\r\n\r\n"));
    }
    assert_eq!(client.front_end.counts().subscriptions, 0);
}
