//! A user agent under test: what it sends as text with its random parts numbered, and answers to that.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file takes what it needs")]

use std::net::SocketAddr;
use std::time::Duration;

use carillon_signaling::agent::{Agent, CallKey, Event, Output, Password, Recovery, Request, Settings};
use carillon_wire::sip::{Flow, Transport};

pub const OFFER: &[u8] = b"v=0\r\no=offer\r\n";
pub const ANSWER: &[u8] = b"v=0\r\no=answer\r\n";

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn settings(name: &str, transport: Transport) -> Settings {
    Settings {
        aor: format!("{name}@example.com"),
        password: Password("secret".to_owned()),
        transport,
        server: address("192.0.2.1:5060"),
        local: address("192.0.2.7:5070"),
        instance: "urn:uuid:00000000-0000-4000-8000-000000000001".to_owned(),
        user_agent: "Carillon".to_owned(),
        expires: 3600,
        provisioning: false,
        recovery: Recovery::default(),
        calls: 2,
    }
}

/// An agent with its time.
pub struct Phone {
    pub agent: Agent,
    pub now: Duration,
    flow: Flow,
    /// What it drew, in the order of appearance.
    drawn: Vec<String>,
    pub events: Vec<Event>,
}

impl Phone {
    pub fn new(settings: Settings) -> Phone {
        let (transport, remote, local) = (settings.transport, settings.server, settings.local);
        let now = Duration::from_secs(1_000_000);
        let agent = Agent::new(settings, [7; 32]);
        Phone {
            agent,
            now,
            flow: Flow { transport, id: 1, local, remote },
            drawn: Vec::new(),
            events: Vec::new(),
        }
    }

    pub fn udp() -> Phone {
        Phone::new(settings("alice", Transport::Udp))
    }

    /// Asks for something; returns what is sent.
    pub fn ask(&mut self, request: Request) -> Vec<String> {
        self.agent.handle_request(self.now, request);
        self.sent()
    }

    /// A message comes; its numbered parts are those of the agent.
    pub fn hear(&mut self, text: &str) -> Vec<String> {
        let mut text = text.to_owned();
        for (at, drawn) in self.drawn.iter().enumerate() {
            text = text.replace(&format!("{{{}}}", at + 1), drawn);
        }
        self.agent.handle_input(self.now, self.flow, text.as_bytes());
        self.sent()
    }

    /// Time passes up to the next timeout; returns how much and what is sent then.
    pub fn wait(&mut self) -> (Duration, Vec<String>) {
        let next = self.agent.poll_timeout().unwrap().max(self.now);
        let waited = next - self.now;
        self.now = next;
        self.agent.handle_timeout(self.now);
        (waited, self.sent())
    }

    /// Lets that much time pass; returns all that is sent meanwhile.
    pub fn pass(&mut self, time: Duration) -> Vec<String> {
        let until = self.now + time;
        let mut all = Vec::new();
        while let Some(next) = self.agent.poll_timeout().filter(|next| *next <= until) {
            self.now = next.max(self.now);
            self.agent.handle_timeout(self.now);
            all.extend(self.sent());
        }
        self.now = until;
        all
    }

    pub fn close(&mut self) -> Vec<String> {
        self.agent.handle_closed(self.now, self.flow);
        self.sent()
    }

    /// The events since the last look.
    pub fn news(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn sent(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    sent.push(self.numbered(String::from_utf8(transmit.bytes).unwrap()))
                }
                Output::Event(event) => self.events.push(event),
            }
        }
        sent
    }

    /// Each token of sixteen hexadecimal digits becomes its number in curly brackets.
    fn numbered(&mut self, mut text: String) -> String {
        let is_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
        while let Some(at) = text.as_bytes().windows(16).position(|window| window.iter().all(is_hex)) {
            let token = text[at..at + 16].to_owned();
            let number = self.drawn.iter().position(|drawn| *drawn == token).unwrap_or_else(|| {
                self.drawn.push(token.clone());
                self.drawn.len() - 1
            });
            text = text.replace(&token, &format!("{{{}}}", number + 1));
        }
        text
    }
}

/// The call that the last event names.
pub fn call_of(event: Option<&Event>) -> CallKey {
    match event {
        Some(Event::Calling { call, .. } | Event::Incoming { call, .. } | Event::Offered { call, .. }) => {
            *call
        }
        other => panic!("no call in {other:?}"),
    }
}

/// The value of a header field in a message.
pub fn field<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in\n{message}"))
}

/// An answer to a request, tagged `there`.
pub fn answer(request: &str, status: &str, more: &str) -> String {
    answer_with(request, status, more, "")
}

pub fn answer_with(request: &str, status: &str, more: &str, body: &str) -> String {
    let to = field(request, "To");
    let to = if to.contains("tag=") || status.starts_with("100") {
        to.to_owned()
    } else {
        format!("{to};tag=there")
    };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        field(request, "Via"),
        field(request, "From"),
        field(request, "Call-ID"),
        field(request, "CSeq"),
        body.len()
    )
}

/// The first line of each message.
pub fn starts(messages: &[String]) -> Vec<&str> {
    messages.iter().filter_map(|message| message.lines().next()).collect()
}
