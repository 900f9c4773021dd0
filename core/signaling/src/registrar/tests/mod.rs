//! Phones against the registrar, message by message.

mod bindings_hang_on_their_flows;
mod contacts_come_and_go;
mod hostile_fields_do_no_harm;
mod the_book_is_what_a_naive_list_is;
mod users_prove_who_they_are;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Flow, Message, Method, Transport};

use super::{Asking, Registrar, Settings, destination};
use crate::contract::{Binding, Change, Destination, Event, Failure, Listener, Output};
use crate::digest::{Challenge, Login};
use crate::reply::Reply;
use crate::user::{Algorithms, Ha1, User};

const START: Duration = Duration::from_secs(1_800_000_000);
const INSTANCE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";

impl Registrar {
    /// For tests of others: a binding as if it had been registered.
    pub(crate) fn bind(&mut self, binding: Binding) {
        self.book.replace(&Arc::clone(&binding.aor), vec![Arc::new(binding)], &mut VecDeque::new());
    }
}

struct World {
    registrar: Registrar,
    listener: Listener,
    now: Duration,
    out: VecDeque<Output>,
}

fn settings() -> Settings {
    Settings {
        domains: vec!["example.com".into(), "example.net".into()],
        realm: "example.com".into(),
        expires: 60..=3600,
        default_expires: 600,
        contacts: 3,
        nonce: Duration::from_secs(300),
    }
}

fn user(aor: &str) -> User {
    let ha1 = Ha1::of(aor, "example.com", &format!("secret of {aor}"));
    User { aor: aor.into(), ha1, algorithms: None, site: None, number: None }
}

fn users() -> Vec<User> {
    ["alice@example.com", "bob@example.com", "alice@example.net"].map(user).to_vec()
}

fn flow(transport: Transport, id: u64) -> Flow {
    let remote = SocketAddr::from(([192, 0, 2, 7], 40_000 + (id % 1000) as u16));
    Flow { transport, id, local: "192.0.2.1:5061".parse().unwrap(), remote }
}

fn tls(id: u64) -> Flow {
    flow(Transport::Tls, id)
}

impl World {
    fn new() -> World {
        World::restarted(Vec::new(), START)
    }

    fn restarted(bindings: Vec<Binding>, now: Duration) -> World {
        let listener = Listener {
            transport: Transport::Tls,
            address: "0.0.0.0:5061".parse().unwrap(),
            advertised: "sip.example.com:5061".into(),
            algorithms: Algorithms::Md5,
        };
        let registrar = Registrar::new(settings(), users(), bindings, [9; 32], now);
        World { registrar, listener, now, out: VecDeque::new() }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.registrar.handle_timeout(self.now, &mut self.out);
    }

    fn send(&mut self, flow: Flow, text: &str) -> Reply {
        let message = Message::parse(text.as_bytes()).unwrap();
        self.registrar.register(self.now, [&flow, &flow], &self.listener, &message, &mut self.out)
    }

    /// What was saved, as `+key` and `-key`, and the events between.
    fn told(&mut self) -> Vec<String> {
        let told = |output| match output {
            Output::Save(Change::Bind(binding)) => format!("+{}", binding.key),
            Output::Save(Change::Unbind { key, .. }) => format!("-{key}"),
            Output::Event(Event::Registered { .. }) => "registered".to_owned(),
            Output::Event(Event::Unregistered { .. }) => "unregistered".to_owned(),
            Output::Event(Event::Denied { why, .. }) => format!("{why:?}"),
            other => format!("{other:?}"),
        };
        let said = self.out.drain(..).filter(|output| !matches!(output, Output::Trust(_)));
        said.map(told).collect()
    }

    fn contacts(&self, aor: &str) -> Vec<String> {
        self.registrar.contacts(self.now, aor).iter().map(|binding| binding.contact.to_string()).collect()
    }

    /// All bindings in the form in which the store gives them back.
    fn stored(&self, aor: &str) -> Vec<Binding> {
        self.registrar.book.bindings(aor).iter().map(|binding| (**binding).clone()).collect()
    }
}

/// A phone that keeps its challenge and counts.
#[derive(Clone)]
struct Phone {
    name: &'static str,
    aor: &'static str,
    password: String,
    call_id: &'static str,
    cseq: u32,
    challenge: Option<Challenge>,
    nc: u32,
}

impl Phone {
    fn new(aor: &'static str) -> Phone {
        let name = aor.split('@').next().unwrap();
        let password = format!("secret of {aor}");
        Phone { name, aor, password, call_id: "c1", cseq: 0, challenge: None, nc: 0 }
    }

    fn calling(self, call_id: &'static str) -> Phone {
        Phone { call_id, cseq: 0, ..self }
    }

    fn text(&mut self, fields: &str) -> String {
        self.cseq += 1;
        let uri = format!("sip:{}", self.aor.split('@').nth(1).unwrap());
        let mut authorization = String::new();
        if let Some(challenge) = &self.challenge {
            self.nc += 1;
            let login = Login { user: self.name, password: &self.password, cnonce: "0a4f113b" };
            let answer = challenge.answer(&login, Method::Register, uri.as_bytes(), self.nc);
            authorization = format!("Authorization: {answer}\r\n");
        }
        let (aor, call_id, cseq) = (self.aor, self.call_id, self.cseq);
        format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK{cseq}\r\nFrom: <sip:{aor}>;tag=1\r\n\
             To: <sip:{aor}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n{authorization}{fields}\
             Content-Length: 0\r\n\r\n"
        )
    }

    /// Registers, answering challenges as long as the server says that they are stale.
    fn register(&mut self, world: &mut World, flow: Flow, fields: &str) -> Reply {
        for _ in 0..3 {
            let fresh = self.challenge.is_none();
            let reply = world.send(flow, &self.text(fields));
            if reply.answer.code != 401 {
                return reply;
            }
            let challenge = challenge(&reply);
            let stale = challenge.is_stale();
            (self.challenge, self.nc) = (Some(challenge), 0);
            if !fresh && !stale {
                return reply;
            }
        }
        panic!("challenged without end");
    }
}

fn challenge(reply: &Reply) -> Challenge {
    Challenge::strongest(values(reply, "WWW-Authenticate").map(str::as_bytes)).unwrap()
}

fn values<'a>(reply: &'a Reply, name: &str) -> impl Iterator<Item = &'a str> {
    reply.fields.iter().filter(move |(field, _)| *field == name).map(|(_, value)| value.as_str())
}

fn code(reply: &Reply) -> (u16, &'static str) {
    (reply.answer.code, reply.answer.reason)
}

const OUTBOUND: &str = "Supported: path, outbound\r\n";

fn outbound(contact: &str, reg_id: u32) -> String {
    format!("Contact: <{contact}>;{INSTANCE};reg-id={reg_id}\r\n{OUTBOUND}")
}
