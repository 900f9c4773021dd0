//! Messages to users who can't be reached (RFC 3428): kept, acknowledged with 202, and delivered when a phone registers.
//!
//! One that was acknowledged is delivered at least once, in order, one at a time. It is forgotten when a phone has answered; if
//! nobody knows whether a phone did, because this process or the connection died meanwhile, it is delivered again, and says so.
//! What is written at the moment (RFC 3994) is of no use later and never kept. What was delivered or kept may be remembered beyond
//! that: [`history`].

mod content;
pub(crate) mod history;
mod letter;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::Message;

use crate::contract::{Binding, Change, Letter, Output};
use crate::events::Notify;
use crate::registrar::destination;
use crate::secret::{Secret, usage};

pub use content::{InstantMessage, Receipt};
pub use history::{HistoryEntry, HistoryLimits, HistoryPolicy, HistoryReceipt};

/// Letters of one user, and their bytes together.
const PER_USER: usize = 100;
const BYTES_PER_USER: usize = 256 << 10;
/// How long a letter is kept, unless it asks for less with Expires.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How names of deliveries begin; those of subscriptions never do.
const DELIVERY: &str = "letter-";

#[derive(Debug)]
pub(crate) struct Letters {
    secret: Secret,
    sequence: u64,
    /// By user, the oldest first.
    of_user: BTreeMap<Arc<str>, VecDeque<Arc<Letter>>>,
    due: BTreeSet<(Duration, Arc<str>)>,
    /// Whose letter is on its way, and which.
    posted: BTreeMap<Arc<str>, String>,
    /// All of them, and how many fit.
    count: usize,
    most: usize,
}

impl Letters {
    /// Begins with those that were saved.
    pub(crate) fn new(seed: &[u8; 32], saved: Vec<Letter>, most: usize, now: Duration) -> Letters {
        let mut letters = Letters {
            secret: Secret::new(seed),
            sequence: now.as_nanos() as u64,
            of_user: BTreeMap::new(),
            due: BTreeSet::new(),
            posted: BTreeMap::new(),
            count: 0,
            most,
        };
        let mut saved = saved;
        saved.sort_by(|a, b| (a.kept, &a.key).cmp(&(b.kept, &b.key)));
        saved.into_iter().for_each(|letter| letters.put(Arc::new(letter)));
        letters
    }

    /// Keeps a MESSAGE for a user, if it is worth it and there is room.
    pub(crate) fn keep(
        &mut self,
        now: Duration,
        aor: &Arc<str>,
        request: &Message<&[u8]>,
        out: &mut VecDeque<Output>,
    ) -> bool {
        let lasts =
            request.expires().and_then(Result::ok).map_or(KEPT, |s| Duration::from_secs(s.into()).min(KEPT));
        let Some(text) = letter::strip(request, now)
            .filter(|_| InstantMessage::of(request) != InstantMessage::Passing && !lasts.is_zero())
        else {
            return false;
        };
        let theirs = self.of_user.get(aor);
        let bytes: usize = theirs.into_iter().flatten().map(|letter| letter.text.len()).sum();
        let full = theirs.map_or(0, VecDeque::len) >= PER_USER || self.count >= self.most;
        if full || bytes + text.len() > BYTES_PER_USER {
            return false;
        }
        self.sequence = self.sequence.wrapping_add(1);
        let name = self.secret.hash(usage::ENTITY, &[b"letter", &self.sequence.to_be_bytes()]);
        // In the order in which they came.
        let key = format!("{:020}-{name:016x}", self.sequence);
        let letter =
            Letter { aor: Arc::clone(aor), key, kept: now, expires: now + lasts, tried: false, text };
        let letter = Arc::new(letter);
        out.push_back(Output::Save(Change::Keep(Arc::clone(&letter))));
        self.put(letter);
        true
    }

    /// Whether there is something for this user.
    pub(crate) fn wait_for(&self, aor: &str) -> bool {
        self.of_user.contains_key(aor)
    }

    /// A phone of this user may be reached: the first letter is sent to the best of these contacts. That it is tried is saved
    /// before it leaves.
    pub(crate) fn post(
        &mut self,
        aor: &Arc<str>,
        contacts: &[Arc<Binding>],
        out: &mut VecDeque<Output>,
    ) -> Option<Notify> {
        let first = self.of_user.get_mut(aor)?.front_mut()?;
        let binding = contacts.first()?;
        if self.posted.contains_key(aor) {
            return None;
        }
        let bytes = letter::address(first, binding)?;
        *first = Arc::new(Letter { tried: true, ..Letter::clone(first) });
        out.push_back(Output::Save(Change::Keep(Arc::clone(first))));
        self.posted.insert(Arc::clone(aor), first.key.clone());
        let subscription = Arc::from(format!("{DELIVERY}{aor}"));
        Some(Notify { subscription, to: destination(binding)?, bytes })
    }

    /// The final answer to a delivery; whose next letter may follow. Nothing happens if it was not ours.
    pub(crate) fn answered(
        &mut self,
        delivery: &str,
        code: u16,
        out: &mut VecDeque<Output>,
    ) -> Option<Arc<str>> {
        let (aor, key) = self.posted.remove_entry(delivery.strip_prefix(DELIVERY)?)?;
        match code {
            // Nobody was there: when a phone registers again.
            408 | 430 | 480 | 500.. => None,
            // Taken, or not wanted by the phone that its user has.
            _ => {
                let all = self.of_user.get_mut(&aor)?;
                // It may have run out meanwhile.
                let letter = if all.front()?.key == key { all.pop_front() } else { None };
                self.settle(&aor);
                letter.into_iter().for_each(|letter| self.gone(&letter, out));
                Some(aor)
            }
        }
    }

    /// Forgets what was not fetched in time.
    pub(crate) fn handle_timeout(&mut self, now: Duration, out: &mut VecDeque<Output>) {
        while let Some((_, aor)) = self.due.first().filter(|(due, _)| *due <= now).cloned() {
            let all = self.of_user.remove(&aor).unwrap_or_default();
            let (over, left): (VecDeque<_>, _) = all.into_iter().partition(|letter| letter.expires <= now);
            over.iter().for_each(|letter| {
                self.due.remove(&(letter.expires, Arc::clone(&aor)));
                self.gone(letter, out);
            });
            self.of_user.insert(Arc::clone(&aor), left);
            self.settle(&aor);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A user was removed, with its letters.
    pub(crate) fn user_removed(&mut self, aor: &str, out: &mut VecDeque<Output>) {
        for letter in self.of_user.remove(aor).unwrap_or_default() {
            self.due.remove(&(letter.expires, Arc::clone(&letter.aor)));
            self.gone(&letter, out);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    fn put(&mut self, letter: Arc<Letter>) {
        self.count += 1;
        self.due.insert((letter.expires, Arc::clone(&letter.aor)));
        self.of_user.entry(Arc::clone(&letter.aor)).or_default().push_back(letter);
    }

    fn gone(&mut self, letter: &Letter, out: &mut VecDeque<Output>) {
        self.count -= 1;
        out.push_back(Output::Save(Change::Forget { aor: Arc::clone(&letter.aor), key: letter.key.clone() }));
    }

    /// What is known of a user when a letter has gone.
    fn settle(&mut self, aor: &Arc<str>) {
        let of = |(_, of): &(Duration, Arc<str>)| of == aor;
        let all = self.of_user.get(aor).into_iter().flatten();
        let left: BTreeSet<_> = all.map(|letter| (letter.expires, Arc::clone(aor))).collect();
        if left.is_empty() {
            self.of_user.remove(aor);
        }
        self.due.retain(|entry| !of(entry) || left.contains(entry));
    }
}
