//! Calls that are up: counted, bounded, and forgotten when their phones have fallen silent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Message, Method, Name, Routing};
use hashbrown::HashMap;

use crate::bandwidth::Bandwidth;
use crate::contract::{Event, Output};
use crate::incoming::Incoming;
use crate::records::{End, Ending, OpenCall};
use crate::secret::{Secret, usage};
use crate::transaction::{Id, Plain, Table};

pub(crate) struct Calls {
    table: Table<Call>,
    places: HashMap<u128, Id, Plain>,
    /// Calls that are up; the table also holds those that have just ended.
    up: usize,
    /// How many fit.
    most: usize,
    silence: Duration,
    /// What they have reserved of the links between sites.
    pub(crate) bandwidth: Bandwidth,
}

struct Call {
    key: u128,
    call_id: Box<str>,
    /// What is recorded of it; none of a call that was up before we were.
    open: Option<Box<OpenCall>>,
    silence: Duration,
    /// A 2xx that was repeated may come after the BYE: it does not begin the call again.
    has_ended: bool,
}

/// How long a 2xx may still be repeated: 64*T1 (RFC 3261, 13.3.1.4).
const REPEATED: Duration = Duration::from_secs(32);

impl Calls {
    pub(crate) fn new(now: Duration, most: usize, silence: Duration, bandwidth: Bandwidth) -> Calls {
        Calls { table: Table::new(now), places: HashMap::default(), up: 0, most, silence, bandwidth }
    }

    pub(crate) fn len(&self) -> usize {
        self.up
    }

    pub(crate) fn is_full(&self) -> bool {
        self.up >= self.most || self.table.len() >= 2 * self.most
    }

    /// A 2xx to an INVITE passes: a call begins, or goes on. `open` is what was recorded of one that begins.
    pub(crate) fn answered(
        &mut self,
        now: Duration,
        key: u128,
        response: &Incoming<'_>,
        open: Option<Box<OpenCall>>,
        out: &mut VecDeque<Output>,
    ) {
        let silence = session(response.message).unwrap_or(self.silence);
        if let Some(id) = self.places.get(&key).copied() {
            if let Some(call) = self.table.get_mut(id).filter(|call| !call.has_ended) {
                call.silence = silence;
                self.table.schedule(id, Some(now + silence));
            }
            return self.changed(key, response, out);
        }
        if self.is_full() {
            let end = End::alone(now, Ending::Overloaded);
            return open.into_iter().for_each(|open| record(&open, Some(end), out));
        }
        let call_id = String::from_utf8_lossy(response.routing.call_id).into_owned();
        open.iter().for_each(|open| record(open, None, out));
        let call = Call { key, call_id: call_id.as_str().into(), open, silence, has_ended: false };
        let id = self.table.insert(call);
        self.up += 1;
        self.places.insert(key, id);
        self.table.schedule(id, Some(now + silence));
        out.push_back(Output::Event(Event::CallStarted { call_id }));
    }

    /// A 2xx within a call passes: what was offered is agreed on.
    pub(crate) fn changed(&mut self, key: u128, response: &Incoming<'_>, out: &mut VecDeque<Output>) {
        let Some(open) = self.open(key) else { return };
        open.described(open.speaker(&response.routing).other(), response.message);
        record(open, None, out);
    }

    /// A link had no room for something of a call that is up.
    pub(crate) fn found_full(&mut self, key: u128, link: &Arc<str>) {
        self.open(key).into_iter().for_each(|open| open.over_budget = Some(Arc::clone(link)));
    }

    /// Whether a call is known to be up.
    pub(crate) fn is_up(&self, key: u128) -> bool {
        let call = self.places.get(&key).and_then(|id| self.table.get(*id));
        call.is_some_and(|call| !call.has_ended)
    }

    /// A request within a call passes.
    pub(crate) fn heard(
        &mut self,
        now: Duration,
        key: u128,
        request: &Incoming<'_>,
        out: &mut VecDeque<Output>,
    ) {
        let Some(id) = self.places.get(&key).copied() else { return };
        if let Some(call) = self.table.get(id).filter(|call| !call.has_ended) {
            let due = now + call.silence;
            self.table.schedule(id, Some(due));
        }
        let Some(open) = self.open(key) else { return };
        let by = open.speaker(&request.routing);
        match request.method() {
            Method::Invite | Method::Update => open.offered(by, request.message),
            Method::Ack if request.message.sdp().is_some() => {
                open.described(by, request.message);
                record(open, None, out);
            }
            _ => {}
        }
    }

    /// A BYE passes.
    pub(crate) fn ended(&mut self, now: Duration, key: u128, bye: &Incoming<'_>, out: &mut VecDeque<Output>) {
        let Some(id) = self.places.get(&key).copied() else { return };
        let Some(call) = self.table.get_mut(id).filter(|call| !call.has_ended) else { return };
        call.has_ended = true;
        self.up -= 1;
        self.bandwidth.hung_up(key);
        if let Some(open) = call.open.take() {
            let by = open.speaker(&bye.routing);
            record(&open, Some(End::by(by, now, bye.message)), out);
            out.extend(open.stat(by, bye.message).map(Output::Record));
        }
        out.push_back(Output::Event(Event::CallEnded { call_id: call.call_id.to_string() }));
        self.table.schedule(id, Some(now + REPEATED));
    }

    /// Forgets calls that were silent for too long, or that ended a while ago, and says which.
    pub(crate) fn lapse(&mut self, now: Duration, out: &mut VecDeque<Output>) -> Vec<u128> {
        let mut forgotten = Vec::new();
        while let Some(call) = self.table.due(now).and_then(|id| self.table.remove(id)) {
            self.places.remove(&call.key);
            forgotten.push(call.key);
            if !call.has_ended {
                self.up -= 1;
                self.bandwidth.hung_up(call.key);
                let end = End::alone(now, Ending::WentSilent);
                call.open.iter().for_each(|open| record(open, Some(end), out));
                out.push_back(Output::Event(Event::CallEnded { call_id: call.call_id.into() }));
            }
        }
        forgotten
    }

    /// Who speaks in a call that is up, and with whom, as far as both are known.
    pub(crate) fn ends(&self, key: u128, routing: &Routing<'_>) -> Option<[Arc<str>; 2]> {
        let call = self.table.get(*self.places.get(&key)?).filter(|call| !call.has_ended)?;
        call.open.as_ref()?.ends(routing)
    }

    fn open(&mut self, key: u128) -> Option<&mut OpenCall> {
        let call = self.places.get(&key).and_then(|id| self.table.get_mut(*id));
        call.and_then(|call| call.open.as_deref_mut())
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.table.next()
    }
}

fn record(open: &OpenCall, end: Option<End>, out: &mut VecDeque<Output>) {
    out.extend(open.legs(end).map(Output::Record));
}

/// Names a call by its Call-ID and the tags of both ends, whoever speaks.
pub(crate) fn key(secret: &Secret, routing: &Routing<'_>) -> u128 {
    let tags = [routing.from.tag.unwrap_or_default(), routing.to.tag.unwrap_or_default()];
    let [from, to] = tags;
    secret.wide(usage::CALL, &[routing.call_id, from.min(to), from.max(to)])
}

/// What the session timer allows (RFC 4028), with time for the last refresh.
fn session(response: &Message<&[u8]>) -> Option<Duration> {
    let value = response.get(Name::SessionExpires)?;
    let digits = value.split(|byte| !byte.is_ascii_digit()).next()?;
    let seconds: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Duration::from_secs(u64::from(seconds.clamp(90, 86_400)) + 32))
}
