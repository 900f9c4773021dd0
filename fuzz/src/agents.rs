//! The user agent, driven by a script: whatever the server says and the user wants, what leaves is SIP, calls are bounded, and
//! a call that has ended is never heard of again.

use std::collections::BTreeSet;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_signaling::agent::{Agent, CallKey, Event, Output, Password, Recovery, Request, Settings};
use carillon_wire::sip::{Flow, Message, Name, Transport};

const MOST_STEPS: usize = 64;
const SEPARATOR: u8 = 0x1e;
const CALLS: usize = 2;
const METHODS: [&str; 10] =
    ["INVITE", "INVITE", "ACK", "BYE", "CANCEL", "NOTIFY", "OPTIONS", "MESSAGE", "UPDATE", "X"];
const STATUSES: [&str; 16] = [
    "100 T", "180 R", "183 P", "200 OK", "200 OK", "302 M", "401 U", "403 F", "407 P", "408 T", "423 B",
    "481 N", "486 B", "491 P", "503 U", "603 D",
];

/// A script: the first byte chooses the transport; then steps, each a byte of what happens, with a choice in its upper bits,
/// and a text.
pub fn agent(data: &[u8]) {
    let Some((transport, script)) = data.split_first() else { return };
    let mut world = World::new(Transport::ALL[usize::from(transport % 3)]);
    for step in script.split(|byte| *byte == SEPARATOR).take(MOST_STEPS) {
        if let Some((what, text)) = step.split_first() {
            world.step(*what, text);
        }
    }
    world.agent.handle_request(world.now, Request::SignOut);
    for call in world.open.clone() {
        world.agent.handle_request(world.now, Request::HangUp(call));
    }
    world.drain();
    // Nobody answers any more: what was begun ends by itself.
    world.wait(Duration::from_secs(3600));
    assert!(world.open.is_empty(), "{:?}", world.open);
}

struct World {
    agent: Agent,
    flow: Flow,
    now: Duration,
    /// Requests that were sent, the last one last, and the last answer.
    asked: Vec<Vec<u8>>,
    answered: Vec<u8>,
    open: BTreeSet<CallKey>,
    ended: BTreeSet<CallKey>,
}

impl World {
    fn new(transport: Transport) -> World {
        let (server, local) = (([192, 0, 2, 1], 5060).into(), ([192, 0, 2, 7], 5070).into());
        let settings = Settings {
            aor: "alice@a.b".to_owned(),
            password: Password("secret".to_owned()),
            transport,
            server,
            local,
            instance: "urn:uuid:0".to_owned(),
            user_agent: "Fuzz".to_owned(),
            expires: 3600,
            provisioning: true,
            recovery: Recovery::default(),
            calls: CALLS,
        };
        World {
            agent: Agent::new(settings, [6; 32]),
            flow: Flow { transport, id: 1, local, remote: server },
            now: Duration::from_secs(1_800_000_000),
            asked: Vec::new(),
            answered: Vec::new(),
            open: BTreeSet::new(),
            ended: BTreeSet::new(),
        }
    }

    fn step(&mut self, what: u8, text: &[u8]) {
        let choice = usize::from(what >> 3);
        match what & 7 {
            0 => self.agent.handle_input(self.now, self.flow, text),
            1 | 2 => {
                let answer = self.answer(choice, what & 1 == 0, text);
                self.agent.handle_input(self.now, self.flow, &answer);
            }
            3 => {
                let request = self.request(choice, text);
                self.agent.handle_input(self.now, self.flow, &request);
            }
            4 | 5 => {
                let wish = self.wish(choice, text);
                wish.into_iter().for_each(|wish| self.agent.handle_request(self.now, wish));
            }
            6 => self.wait(Duration::from_millis(1 << choice.min(22))),
            _ if choice % 2 == 0 => self.agent.handle_closed(self.now, self.flow),
            _ => self.agent.handle_failed(self.now, self.flow.transport, self.flow.remote),
        }
        self.drain();
    }

    /// What the server says to one of the last requests, with these further lines or this body.
    fn answer(&self, choice: usize, has_body: bool, text: &[u8]) -> Vec<u8> {
        let back = choice / STATUSES.len();
        let Some(asked) = self.asked.iter().rev().nth(back) else { return Vec::new() };
        let Ok(message) = Message::parse(asked.as_slice()) else { return Vec::new() };
        let mut answer = format!("SIP/2.0 {}\r\n", STATUSES[choice % STATUSES.len()]).into_bytes();
        for name in [Name::Via, Name::RecordRoute, Name::From, Name::To, Name::CallId, Name::CSeq] {
            for value in message.all(name) {
                let bare =
                    name == Name::To && message.to().is_some_and(|to| to.is_ok_and(|to| to.tag.is_none()));
                let tag: &[u8] = if bare { b";tag=t" } else { b"" };
                answer.extend([name.as_str().as_bytes(), b": ", value, tag, b"\r\n"].concat());
            }
        }
        let challenge = "WWW-Authenticate: Digest realm=\"a.b\", nonce=\"n\", qop=\"auth\"\r\nContact: <sip:s@192.0.2.1>\r\n";
        answer.extend_from_slice(challenge.as_bytes());
        finished(answer, has_body, text)
    }

    /// What somebody else wants: in the dialog of the last INVITE that was answered, or to begin one.
    fn request(&self, choice: usize, text: &[u8]) -> Vec<u8> {
        let method = METHODS[choice % METHODS.len()];
        let answered = Message::parse(self.answered.as_slice()).ok();
        let to = answered.as_ref().and_then(|message| message.get(Name::To)).map(String::from_utf8_lossy);
        let within = choice >= METHODS.len();
        let to = to.filter(|_| within).unwrap_or("<sip:alice@a.b>".into());
        let head = format!(
            "{method} sip:alice@192.0.2.7:5070 SIP/2.0\r\nVia: SIP/2.0/{} 192.0.2.1:5060;branch=z9hG4bK{choice}{method}\r\n\
             From: <sip:bob@a.b>;tag=b\r\nTo: {to}\r\nCall-ID: c\r\nCSeq: {} {method}\r\nContact: <sip:bob@192.0.2.8>\r\n\
             Event: vnd-microsoft-provisioning-v2\r\nSubscription-State: active\r\n",
            self.flow.transport,
            1 + choice / METHODS.len()
        );
        finished(head.into_bytes(), choice.is_multiple_of(2), text)
    }

    fn wish(&self, choice: usize, text: &[u8]) -> Option<Request> {
        let call = self.open.iter().nth(choice / 8).copied();
        // Only calls that come are limited; nobody makes more alone.
        let is_busy = self.open.len() >= CALLS;
        Some(match choice % 8 {
            2 | 3 if is_busy => return None,
            0 => Request::SignIn,
            1 => Request::SignOut,
            2 => Request::Call { to: String::from_utf8_lossy(text).into_owned(), offer: b"v=0\r\n".to_vec() },
            3 => Request::Call { to: "bob@a.b".to_owned(), offer: text.to_vec() },
            4 => Request::Ring(call?),
            5 => Request::Answer { call: call?, sdp: text.to_vec() },
            6 => Request::Reject {
                call: call?,
                code: 488,
                warning: std::str::from_utf8(text).ok().map(str::to_owned),
            },
            _ => Request::HangUp(call?),
        })
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.agent.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.agent.handle_timeout(self.now);
            self.drain();
            assert!(self.agent.poll_timeout().is_none_or(|next| next > self.now));
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    assert_eq!(transmit.class, TrafficClass::Signaling);
                    let message =
                        Message::parse(&*transmit.bytes).unwrap_or_else(|_| panic!("no SIP: {transmit:?}"));
                    match message.status() {
                        Some(_) => self.answered.clone_from(&transmit.bytes),
                        None => self.asked.push(transmit.bytes.clone()),
                    }
                }
                Output::Event(event) => self.happened(&event),
            }
        }
        assert!(self.open.len() <= CALLS);
    }

    fn happened(&mut self, event: &Event) {
        match event {
            Event::Calling { call, .. } | Event::Incoming { call, .. } => {
                assert!(!self.ended.contains(call) && self.open.insert(*call), "{event:?} twice");
            }
            Event::Progress { call, .. } | Event::Answered { call, .. } | Event::Offered { call, .. } => {
                assert!(self.open.contains(call), "{event:?} of a call that is not there");
            }
            Event::Ended { call, .. } => {
                // One that cannot even be begun ends without a beginning.
                self.open.remove(call);
                assert!(self.ended.insert(*call), "{event:?} twice");
            }
            _ => {}
        }
    }
}

/// With the text as body, or as further lines.
fn finished(head: Vec<u8>, has_body: bool, text: &[u8]) -> Vec<u8> {
    let (lines, body): (&[u8], &[u8]) = if has_body { (b"", text) } else { (text, b"") };
    let line_end = if lines.is_empty() { "" } else { "\r\n" };
    let end = format!("{line_end}Content-Length: {}\r\n\r\n", body.len());
    [head.as_slice(), lines, end.as_bytes(), body].concat()
}
