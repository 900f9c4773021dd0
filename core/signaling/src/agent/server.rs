//! Requests that were received, and what was answered (server transactions: RFC 3261, 17.2; RFC 6026).

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_wire::sip::{Flow, Method, Routing};

use super::dialog::text;
use super::timer::{LONG, Resend, T2};

/// Tells requests apart: branch, sent-by and method (RFC 3261, 17.2.3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key(String);

impl Key {
    /// An ACK has the key of its INVITE.
    pub(super) fn of(routing: &Routing<'_>) -> Key {
        match routing.cseq.method {
            Method::Ack => Key::of_method(routing, Method::Invite),
            method => Key::of_method(routing, method),
        }
    }

    /// What a CANCEL means.
    pub(super) fn of_invite(routing: &Routing<'_>) -> Key {
        Key::of_method(routing, Method::Invite)
    }

    fn of_method(routing: &Routing<'_>, method: Method<'_>) -> Key {
        let via = &routing.via;
        let branch = via.transaction().map_or_else(|| text(via.raw), text);
        let port = via.port.unwrap_or_default();
        Key(format!("{method} {branch} {}:{port} {}", via.host, text(routing.call_id)))
    }
}

/// One request, as long as it may come again.
struct Server {
    flow: Flow,
    is_invite: bool,
    /// The newest answer.
    response: Option<(u16, Vec<u8>)>,
    /// A final answer to an INVITE is sent until it is confirmed.
    resend: Option<Resend>,
    ends: Option<Duration>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Servers(BTreeMap<Key, Server>);

/// What a request that came means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Arrived {
    /// It is new.
    New,
    /// It came before; this was the answer.
    Again(Option<Vec<u8>>),
    /// There are too many to remember this one.
    TooMany,
}

impl Servers {
    /// Most at a time.
    const MOST: usize = 512;

    pub(super) fn arrive(&mut self, key: &Key, flow: Flow, routing: &Routing<'_>) -> Arrived {
        if let Some(server) = self.0.get(key) {
            let accepted = server.is_invite && matches!(server.response, Some((200..300, _)));
            let response = server.response.as_ref().filter(|_| !accepted);
            return Arrived::Again(response.map(|(_, bytes)| bytes.clone()));
        }
        if self.0.len() >= Servers::MOST {
            return Arrived::TooMany;
        }
        let is_invite = routing.cseq.method == Method::Invite;
        self.0.insert(key.clone(), Server { flow, is_invite, response: None, resend: None, ends: None });
        Arrived::New
    }

    /// Remembers an answer.
    pub(super) fn respond(&mut self, key: &Key, code: u16, bytes: Vec<u8>, now: Duration) {
        let Some(server) = self.0.get_mut(key) else { return };
        server.response = Some((code, bytes));
        if code >= 200 {
            // A 2xx is repeated on streams too: proxies on the way may use others (RFC 3261, 13.3.1.4).
            let repeat = server.is_invite && (code < 300 || !server.flow.transport.is_stream());
            server.resend = repeat.then(|| Resend::new(now, T2));
            server.ends = Some(now + LONG);
        }
    }

    /// An answer to an INVITE has been confirmed.
    pub(super) fn confirm(&mut self, key: &Key) {
        if let Some(server) = self.0.get_mut(key) {
            server.resend = None;
        }
    }

    /// What to send again now.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(Flow, Vec<u8>)> {
        let due = |server: &mut Server| {
            let resend = server.resend.as_mut().is_some_and(|resend| resend.is_due(now));
            let response = server.response.as_ref().filter(|_| resend)?;
            Some((server.flow, response.1.clone()))
        };
        self.0.values_mut().filter_map(due).collect()
    }

    /// Removes those whose time is over; returns the INVITEs whose 2xx nobody has confirmed.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<Key> {
        let over = |server: &Server| server.ends.is_some_and(|ends| now >= ends);
        let unconfirmed = |server: &Server| {
            over(server) && server.resend.is_some() && matches!(server.response, Some((200..300, _)))
        };
        let lost = self.0.iter().filter(|(_, server)| unconfirmed(server)).map(|(key, _)| key.clone());
        let lost = lost.collect();
        self.0.retain(|_, server| !over(server));
        lost
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.0
            .values()
            .flat_map(|server| [server.ends, server.resend.map(|resend| resend.at)])
            .flatten()
            .min()
    }
}
