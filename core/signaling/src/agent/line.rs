//! The line to the server: sends requests and answers of ours, and finds out what an incoming message belongs to.
//!
//! Transactions and credentials end here; registration, subscription and calls are above.

use std::collections::VecDeque;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::sip::{
    Answer, Builder, Destination, Flow, Message, Method, Name, Routing, StartLine, Transport,
};

use super::client::{Client, Clients, Owner, Received, Sent};
use super::contract::{Event, Output, Refusal, Settings};
use super::dialog::{Dialog, Draft, Stamp, text};
use super::keyring::Keyring;
use super::server::{Arrived, Key, Servers};
use super::token::Tokens;
use crate::contract::Transmit;

/// What is served, for Allow.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY";

/// One line.
pub(super) struct Line {
    pub(super) settings: Settings,
    pub(super) tokens: Tokens,
    pub(super) out: VecDeque<Output>,
    clients: Clients,
    servers: Servers,
    keyring: Keyring,
}

/// A request of the other side that can be answered.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) message: Message<Vec<u8>>,
    pub(super) flow: Flow,
    pub(super) key: Key,
}

/// An answer to a request of ours; for want of one, our own: 408 or 503.
pub(super) struct Answered<'m> {
    pub(super) owner: Owner,
    pub(super) name: String,
    pub(super) code: u16,
    pub(super) message: Option<&'m Message<&'m [u8]>>,
    pub(super) sent: Sent,
}

impl Answered<'_> {
    pub(super) fn is_final(&self) -> bool {
        self.code >= 200
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }

    pub(super) fn refusal(&self) -> Refusal {
        let own = if self.code == 408 { "No Answer" } else { "Connection Failed" };
        let reason = |message: &Message<&[u8]>| match message.start() {
            StartLine::Response { reason, .. } => text(reason),
            StartLine::Request { .. } => String::new(),
        };
        Refusal {
            code: self.code,
            reason: self.message.map_or_else(|| own.to_owned(), reason),
            warning: self.message.and_then(|message| message.get(Name::Warning)).map(text),
        }
    }
}

impl Line {
    pub(super) fn new(settings: Settings, seed: [u8; 32]) -> Line {
        let clients = Clients::new(settings.transport.is_stream());
        Line {
            settings,
            tokens: Tokens::new(seed),
            out: VecDeque::new(),
            clients,
            servers: Servers::default(),
            keyring: Keyring::default(),
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// `sip:alice@example.com`.
    pub(super) fn uri(&self) -> String {
        format!("sip:{}", self.settings.aor)
    }

    /// Our Contact, as a URI.
    pub(super) fn contact(&self) -> String {
        let user = self.settings.user();
        let transport = match self.settings.transport {
            Transport::Udp => String::new(),
            stream => format!(";transport={}", stream.parameter()),
        };
        format!("sip:{user}@{}{transport}", self.address())
    }

    /// Sends a request and waits for its answer. Returns its name; `None` if it cannot be sent, and then nothing
    /// comes of it.
    pub(super) fn request(
        &mut self,
        now: Duration,
        dialog: &mut Dialog,
        draft: Draft,
        owner: Owner,
    ) -> Option<String> {
        if self.clients.is_full() {
            return None;
        }
        let cseq = dialog.next_cseq();
        let uri = dialog.request_uri();
        let credentials = self.keyring.credentials(&mut self.tokens, &self.settings, draft.method, uri);
        let (branch, bytes) = self.write(dialog, &draft, cseq, &credentials)?;
        let sent = Sent { draft, cseq, dialog: dialog.clone(), credentials, bytes: bytes.clone() };
        let name = self.clients.begin(now, &branch, owner, sent);
        self.transmit(bytes);
        Some(name)
    }

    /// Sends a request again with credentials, if its answer asks for some and we have not given them in vain.
    pub(super) fn prove(
        &mut self,
        now: Duration,
        dialog: &mut Dialog,
        answered: &Answered<'_>,
    ) -> Option<String> {
        let message = answered.message.filter(|_| matches!(answered.code, 401 | 407))?;
        let mut draft = answered.sent.draft.clone();
        if !self.keyring.learn(message, draft.attempts) {
            return None;
        }
        draft.attempts += 1;
        self.request(now, dialog, draft, answered.owner)
    }

    /// Confirms a 2xx to our INVITE (RFC 3261, 13.2.2.4).
    pub(super) fn ack(&mut self, dialog: &Dialog, name: &str, sent: &Sent) {
        let draft = Draft::new(Method::Ack);
        let Some((_, bytes)) = self.write(dialog, &draft, sent.cseq, &sent.credentials) else { return };
        self.clients.confirm(name, dialog.remote_tag.clone(), bytes.clone());
        self.transmit(bytes);
    }

    /// Cancels an INVITE, if that is allowed already (RFC 3261, 9.1).
    pub(super) fn cancel(&mut self, now: Duration, name: &str) {
        let Some(client) = self.clients.cancellable(name) else { return };
        let sent = client.sent.clone();
        let draft = Draft::new(Method::Cancel);
        let Some((branch, bytes)) = self.same_hop(&sent, &sent.dialog, &draft) else { return };
        self.clients.cancelled(name, now);
        let cancel = Sent { draft, bytes: bytes.clone(), ..sent };
        self.clients.begin(now, &branch, Owner::Nobody, cancel);
        self.transmit(bytes);
    }

    /// Answers a request.
    pub(super) fn respond(&mut self, now: Duration, asked: &Asked, reply: Reply<'_>) {
        let Some(bytes) = reply.write(&asked.message, &self.settings.user_agent) else { return };
        self.servers.respond(&asked.key, reply.answer.code, bytes.clone(), now);
        self.transmit_on(asked.flow, bytes);
    }

    /// Answers without remembering it.
    pub(super) fn refuse(&mut self, flow: Flow, message: &Message<&[u8]>, answer: Answer) {
        let tag = self.tokens.text();
        let bytes = Reply::new(answer.code, answer.reason, &tag).write(message, &self.settings.user_agent);
        if let Some(bytes) = bytes {
            self.transmit_on(flow, bytes);
        }
    }

    /// A request: whether it is new. One that came before is answered as before.
    pub(super) fn arrive(
        &mut self,
        flow: Flow,
        message: &Message<&[u8]>,
        routing: &Routing<'_>,
    ) -> Option<Box<Asked>> {
        let key = Key::of(routing);
        match self.servers.arrive(&key, flow, routing) {
            Arrived::New => Message::parse(message.bytes().to_vec())
                .ok()
                .map(|message| Box::new(Asked { message, flow, key })),
            Arrived::Again(response) => {
                if let Some(response) = response {
                    self.transmit_on(flow, response);
                }
                None
            }
            Arrived::TooMany => {
                self.refuse(flow, message, Answer { code: 503, reason: "Too Many Requests" });
                None
            }
        }
    }

    /// An ACK, of whatever kind, ends the repetition of the answer to this INVITE.
    pub(super) fn confirmed(&mut self, key: &Key) {
        self.servers.confirm(key);
    }

    /// An answer: whom it concerns. Repetitions and further branches of a fork are settled here.
    pub(super) fn answered<'m>(
        &mut self,
        now: Duration,
        message: &'m Message<&'m [u8]>,
    ) -> Option<Answered<'m>> {
        let code = message.status()?;
        let (name, received) = self.clients.receive(message, now)?;
        let client = self.clients.get(&name)?;
        let (owner, sent) = (client.owner, client.sent.clone());
        match received {
            Received::Absorbed => None,
            Received::Again(ack) => {
                self.transmit(ack);
                None
            }
            Received::Fork => {
                self.drop_branch(now, &name, sent, message);
                None
            }
            Received::Answer => {
                if code >= 300 && sent.draft.method == Method::Invite {
                    self.ack_refusal(&name, &sent, message);
                }
                Some(Answered { owner, name, code, message: Some(message), sent })
            }
        }
    }

    /// Sends again what is due; returns what nobody has answered in time, and whose 2xx was not confirmed.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> (Vec<Answered<'static>>, Vec<Key>) {
        for bytes in self.clients.due(now) {
            self.transmit(bytes);
        }
        let unconfirmed = self.servers.expire(now);
        for (flow, bytes) in self.servers.due(now) {
            self.transmit_on(flow, bytes);
        }
        (self.clients.expire(now).into_iter().map(|client| unanswered(408, client)).collect(), unconfirmed)
    }

    /// The connection is gone, and no answer comes on it.
    pub(super) fn handle_closed(&mut self) -> Vec<Answered<'static>> {
        self.clients.fail().into_iter().map(|client| unanswered(503, client)).collect()
    }

    pub(super) fn next(&self) -> Option<Duration> {
        [self.clients.next(), self.servers.next()].into_iter().flatten().min()
    }

    /// Who cannot be part of the call any more is told so (RFC 3261, 13.2.2.4).
    fn drop_branch(&mut self, now: Duration, name: &str, sent: Sent, message: &Message<&[u8]>) {
        let mut dialog = sent.dialog.clone();
        dialog.establish(message);
        self.ack(&dialog, name, &sent);
        self.request(now, &mut dialog, Draft::new(Method::Bye), Owner::Nobody);
    }

    /// Confirms a refusal to the next hop (RFC 3261, 17.1.1.3).
    fn ack_refusal(&mut self, name: &str, sent: &Sent, message: &Message<&[u8]>) {
        let mut dialog = sent.dialog.clone();
        dialog.remote_tag = message.to().and_then(Result::ok).and_then(|to| to.tag).map(text);
        let Some((_, bytes)) = self.same_hop(sent, &dialog, &Draft::new(Method::Ack)) else { return };
        self.clients.confirm(name, dialog.remote_tag, bytes.clone());
        self.transmit(bytes);
    }

    /// A request with the Via and the number of one that was sent: it is for the hop that has that one.
    fn same_hop(&self, sent: &Sent, dialog: &Dialog, draft: &Draft) -> Option<(String, Vec<u8>)> {
        let invite = Message::parse(sent.bytes.as_slice()).ok()?;
        let via = invite.get(Name::Via).map(text)?;
        let branch = invite.vias().next()?.ok()?.branch.map(text)?;
        let stamp =
            Stamp { via: &via, cseq: sent.cseq, user_agent: &self.settings.user_agent, credentials: &[] };
        Some((branch, dialog.write(draft, &stamp).ok()?))
    }

    fn write(
        &mut self,
        dialog: &Dialog,
        draft: &Draft,
        cseq: u32,
        credentials: &[(&'static str, String)],
    ) -> Option<(String, Vec<u8>)> {
        let branch = format!("z9hG4bK{}", self.tokens.text());
        let via = format!("SIP/2.0/{} {};branch={branch};rport", self.settings.transport, self.address());
        let stamp = Stamp { via: &via, cseq, user_agent: &self.settings.user_agent, credentials };
        Some((branch, dialog.write(draft, &stamp).ok()?))
    }

    fn address(&self) -> String {
        let local = self.settings.local;
        match (local.port(), local.is_ipv6()) {
            (0, true) => format!("[{}]", local.ip()),
            (0, false) => local.ip().to_string(),
            _ => local.to_string(),
        }
    }

    fn transmit(&mut self, bytes: Vec<u8>) {
        let Settings { transport, server, local, .. } = self.settings;
        let local = (!transport.is_stream()).then_some(local);
        self.transmit_to(Destination::Address { transport, remote: server, local }, bytes);
    }

    fn transmit_on(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.transmit_to(Destination::Flow(flow), bytes);
    }

    fn transmit_to(&mut self, to: Destination, bytes: Vec<u8>) {
        self.out.push_back(Output::Transmit(Transmit { to, class: TrafficClass::Signaling, bytes }));
    }
}

fn unanswered(code: u16, (name, client): (String, Client)) -> Answered<'static> {
    Answered { owner: client.owner, name, code, message: None, sent: client.sent }
}

/// An answer of ours.
pub(super) struct Reply<'a> {
    answer: Answer,
    tag: &'a str,
    fields: Vec<(&'static str, String)>,
    sdp: Option<&'a [u8]>,
    /// Whether it makes a dialog: then it goes back the way that the request came.
    routed: bool,
}

impl<'a> Reply<'a> {
    pub(super) fn new(code: u16, reason: &'static str, tag: &'a str) -> Reply<'a> {
        Reply { answer: Answer { code, reason }, tag, fields: Vec::new(), sdp: None, routed: false }
    }

    pub(super) fn field(mut self, name: &'static str, value: impl Into<String>) -> Reply<'a> {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn sdp(self, sdp: &'a [u8]) -> Reply<'a> {
        Reply { sdp: Some(sdp), ..self }
    }

    /// One that makes a dialog, with our contact (RFC 3261, 12.1.1).
    pub(super) fn dialog(self, contact: &str) -> Reply<'a> {
        Reply { routed: true, ..self }.field("Contact", format!("<{contact};ob>"))
    }

    fn write<B: AsRef<[u8]>>(&self, request: &Message<B>, user_agent: &str) -> Option<Vec<u8>> {
        let mut builder = Builder::response(request, self.answer, self.tag.as_bytes()).ok()?;
        if self.routed {
            for route in request.all(Name::RecordRoute) {
                builder = builder.header(b"Record-Route", text(route).as_bytes()).ok()?;
            }
        }
        for (name, value) in &self.fields {
            builder = builder.header(name.as_bytes(), value.as_bytes()).ok()?;
        }
        builder = builder.header(b"User-Agent", user_agent.as_bytes()).ok()?;
        match self.sdp {
            Some(sdp) => Some(builder.header(b"Content-Type", b"application/sdp").ok()?.finish(sdp)),
            None => Some(builder.finish(b"")),
        }
    }
}
