//! Calls that are up: counted, bounded, and forgotten when their phones have fallen silent.

use std::time::Duration;

use carillon_wire::sip::{Message, Name, Routing};
use hashbrown::HashMap;

use crate::contract::Event;
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
}

struct Call {
    key: u128,
    call_id: Box<str>,
    silence: Duration,
    /// A 2xx that was repeated may come after the BYE: it does not begin the call again.
    has_ended: bool,
}

/// How long a 2xx may still be repeated: 64*T1 (RFC 3261, 13.3.1.4).
const REPEATED: Duration = Duration::from_secs(32);

impl Calls {
    pub(crate) fn new(now: Duration, most: usize, silence: Duration) -> Calls {
        Calls { table: Table::new(now), places: HashMap::default(), up: 0, most, silence }
    }

    pub(crate) fn len(&self) -> usize {
        self.up
    }

    pub(crate) fn is_full(&self) -> bool {
        self.up >= self.most || self.table.len() >= 2 * self.most
    }

    /// A 2xx to an INVITE passes: a call begins, or goes on.
    pub(crate) fn answered(&mut self, now: Duration, key: u128, response: &Message<&[u8]>) -> Option<Event> {
        let silence = session(response).unwrap_or(self.silence);
        if let Some(id) = self.places.get(&key).copied() {
            if let Some(call) = self.table.get_mut(id).filter(|call| !call.has_ended) {
                call.silence = silence;
                self.table.schedule(id, Some(now + silence));
            }
            return None;
        }
        if self.is_full() {
            return None;
        }
        let call_id = String::from_utf8_lossy(response.call_id().unwrap_or_default()).into_owned();
        let id = self.table.insert(Call { key, call_id: call_id.as_str().into(), silence, has_ended: false });
        self.up += 1;
        self.places.insert(key, id);
        self.table.schedule(id, Some(now + silence));
        Some(Event::CallStarted { call_id })
    }

    /// Whether a call is known to be up.
    pub(crate) fn is_up(&self, key: u128) -> bool {
        let call = self.places.get(&key).and_then(|id| self.table.get(*id));
        call.is_some_and(|call| !call.has_ended)
    }

    /// A request within a call passes.
    pub(crate) fn heard(&mut self, now: Duration, key: u128) {
        let Some(id) = self.places.get(&key).copied() else { return };
        if let Some(call) = self.table.get(id).filter(|call| !call.has_ended) {
            let due = now + call.silence;
            self.table.schedule(id, Some(due));
        }
    }

    /// A BYE passes.
    pub(crate) fn ended(&mut self, now: Duration, key: u128) -> Option<Event> {
        let id = *self.places.get(&key)?;
        let call = self.table.get_mut(id).filter(|call| !call.has_ended)?;
        call.has_ended = true;
        self.up -= 1;
        let call_id = call.call_id.to_string();
        self.table.schedule(id, Some(now + REPEATED));
        Some(Event::CallEnded { call_id })
    }

    /// Forgets a call that was silent for too long, or that ended a while ago.
    pub(crate) fn lapsed(&mut self, now: Duration) -> Option<Event> {
        loop {
            let call = self.table.due(now).and_then(|id| self.table.remove(id))?;
            self.places.remove(&call.key);
            if !call.has_ended {
                self.up -= 1;
                return Some(Event::CallEnded { call_id: call.call_id.into() });
            }
        }
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.table.next()
    }
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
