//! Requests of ours that wait for an answer (client transactions: RFC 3261, 17.1; RFC 6026).

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_wire::sip::{Message, Method, StartLine};

use super::CallKey;
use super::dialog::{Dialog, Draft};
use super::timer::{LONG, Resend, T2, T4};

/// Whom an answer concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Registration,
    Subscription,
    Call(CallKey),
    Publication,
    Nobody,
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) draft: Draft,
    pub(super) cseq: u32,
    /// The dialog at that time: other branches of a forked INVITE begin here too.
    pub(super) dialog: Dialog,
    pub(super) credentials: Vec<(&'static str, String)>,
    pub(super) bytes: Vec<u8>,
}

/// One request, as long as answers to it may come.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) owner: Owner,
    pub(super) sent: Sent,
    phase: Phase,
    resend: Option<Resend>,
    ends: Option<Duration>,
}

#[derive(Debug)]
enum Phase {
    /// Nothing has come.
    Calling,
    /// A provisional answer has come.
    Proceeding,
    /// A final answer has come; `acks` confirm it, one for each To tag.
    Completed { acks: Vec<(Option<String>, Vec<u8>)> },
}

/// What an answer means here.
#[derive(Debug)]
pub(super) enum Received {
    /// News for the owner.
    Answer,
    /// A final answer again: confirm it again.
    Again(Vec<u8>),
    /// A second branch of a forked INVITE was answered as well.
    Fork,
    /// Nothing to do.
    Absorbed,
}

impl Client {
    fn is_invite(&self) -> bool {
        self.sent.draft.method == Method::Invite
    }

    fn receive(&mut self, code: u16, tag: Option<&[u8]>, now: Duration, reliable: bool) -> Received {
        if let Phase::Completed { acks } = &self.phase {
            let same = |of: &Option<String>| of.as_deref().map(str::as_bytes) == tag;
            return match acks.iter().find(|(of, _)| same(of)) {
                Some((_, ack)) if code >= 200 => Received::Again(ack.clone()),
                None if self.is_invite() && (200..300).contains(&code) => Received::Fork,
                _ => Received::Absorbed,
            };
        }
        match code {
            ..200 => self.proceed(),
            _ => self.complete(code, now, reliable),
        }
        Received::Answer
    }

    /// A provisional answer: an INVITE is not sent again and may wait for ever, others are sent less often.
    fn proceed(&mut self) {
        if self.is_invite() {
            self.resend = None;
            if matches!(self.phase, Phase::Calling) {
                self.ends = None;
            }
        } else if let Some(resend) = &mut self.resend {
            resend.slow();
        }
        self.phase = Phase::Proceeding;
    }

    fn complete(&mut self, code: u16, now: Duration, reliable: bool) {
        let wait = match (self.is_invite(), code) {
            (true, 200..300) => LONG,
            _ if reliable => Duration::ZERO,
            (true, _) => LONG,
            (false, _) => T4,
        };
        self.phase = Phase::Completed { acks: Vec::new() };
        self.resend = None;
        self.ends = Some(now + wait);
    }
}

fn name(method: Method<'_>, branch: &str) -> String {
    format!("{method} {branch}")
}

/// All that wait, by method and branch.
pub(super) struct Clients {
    waiting: BTreeMap<String, Client>,
    /// Whether the transport repeats what is lost.
    reliable: bool,
}

impl Clients {
    /// Most at a time: no more are begun.
    const MOST: usize = 256;

    pub(super) fn new(reliable: bool) -> Clients {
        Clients { waiting: BTreeMap::new(), reliable }
    }

    /// Returns the name under which the request is found: its method and branch.
    pub(super) fn begin(&mut self, now: Duration, branch: &str, owner: Owner, sent: Sent) -> String {
        let longest = if sent.draft.method == Method::Invite { LONG } else { T2 };
        let resend = (!self.reliable).then(|| Resend::new(now, longest));
        let client = Client { owner, sent, phase: Phase::Calling, resend, ends: Some(now + LONG) };
        let name = name(client.sent.draft.method, branch);
        self.waiting.insert(name.clone(), client);
        name
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= Clients::MOST
    }

    pub(super) fn get(&self, name: &str) -> Option<&Client> {
        self.waiting.get(name)
    }

    /// Finds what a response answers (RFC 3261, 17.1.3).
    pub(super) fn receive<B: AsRef<[u8]>>(
        &mut self,
        response: &Message<B>,
        now: Duration,
    ) -> Option<(String, Received)> {
        let routing = response.routing().ok()?;
        let StartLine::Response { code, .. } = routing.start else { return None };
        let branch = std::str::from_utf8(routing.via.branch?).ok()?;
        let name = name(routing.cseq.method, branch);
        let client = self.waiting.get_mut(&name)?;
        let ours = routing.cseq.number == client.sent.cseq;
        ours.then(|| (name, client.receive(code, routing.to.tag, now, self.reliable)))
    }

    /// Keeps what confirms a final answer to an INVITE, to be sent again with each repetition of it.
    pub(super) fn confirm(&mut self, name: &str, tag: Option<String>, ack: Vec<u8>) {
        if let Some(Client { phase: Phase::Completed { acks }, .. }) = self.waiting.get_mut(name) {
            acks.push((tag, ack));
        }
    }

    /// An INVITE that was cancelled has its final answer soon, or never (RFC 3261, 9.1).
    pub(super) fn cancelled(&mut self, name: &str, now: Duration) {
        if let Some(client) = self.waiting.get_mut(name) {
            client.ends = Some(now + LONG);
        }
    }

    /// The INVITE of that name, if it may be cancelled: a provisional answer has come, and nothing was done about it.
    pub(super) fn cancellable(&self, name: &str) -> Option<&Client> {
        let open = |client: &&Client| matches!(client.phase, Phase::Proceeding) && client.ends.is_none();
        self.waiting.get(name).filter(open)
    }

    /// What to send again now.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Vec<u8>> {
        let due = |client: &mut Client| client.resend.as_mut().is_some_and(|resend| resend.is_due(now));
        let ended = |client: &Client| client.ends.is_some_and(|ends| now >= ends);
        let clients = self.waiting.values_mut().filter(|client| !ended(client));
        clients.filter_map(|client| due(client).then(|| client.sent.bytes.clone())).collect()
    }

    /// Removes those whose time is over; returns those that had no final answer.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<(String, Client)> {
        self.remove(|client| client.ends.is_some_and(|ends| now >= ends))
    }

    /// The connection is gone: no answer comes any more to what was sent on it.
    pub(super) fn fail(&mut self) -> Vec<(String, Client)> {
        self.remove(|client| !matches!(client.phase, Phase::Completed { .. }))
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.waiting
            .values()
            .flat_map(|client| [client.ends, client.resend.map(|resend| resend.at)])
            .flatten()
            .min()
    }

    fn remove(&mut self, over: impl Fn(&Client) -> bool) -> Vec<(String, Client)> {
        let over: Vec<String> = self
            .waiting
            .iter()
            .filter(|(_, client)| over(client))
            .map(|(branch, _)| branch.clone())
            .collect();
        let removed = over.into_iter().filter_map(|branch| self.waiting.remove_entry(&branch));
        removed.filter(|(_, client)| !matches!(client.phase, Phase::Completed { .. })).collect()
    }
}
