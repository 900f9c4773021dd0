//! Whom a request reaches: the user whom a Request-URI means, its phones, and what its rules say.

use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Method, Scheme, Uri};

use super::hunt::is_named;
use super::{Cause, Goal, Hunt, Told};
use crate::admission::{UNAVAILABLE, phones};
use crate::front_end::FrontEnd;
use crate::incoming::Incoming;
use crate::numbers::Dialled;
use crate::proxy::{Attempt, Route, Target};
use crate::reply::Reply;
use crate::transaction::Id;
use crate::user::domain_part;

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Course {
    /// The user of ours whom it is for, if it is for one.
    pub(crate) to: Option<Arc<str>>,
    /// What is tried first; nothing if it is a message that can be kept.
    pub(crate) attempts: Vec<Attempt>,
    /// What comes after that.
    pub(crate) hunt: Option<Box<Hunt>>,
}

impl Course {
    /// To one place, and nowhere else afterwards.
    pub(crate) fn to(target: Target) -> Course {
        Course::renamed(target, None)
    }

    /// The same, with another Request-URI if there is one.
    pub(crate) fn renamed(target: Target, uri: Option<String>) -> Course {
        let told = |uri| Arc::new(Told { uri, params: String::new(), history: Vec::new() });
        let attempt = Attempt { told: uri.map(told), ..Attempt::new(target) };
        Course { to: None, attempts: vec![attempt], hunt: None }
    }
}

impl FrontEnd {
    /// The user of ours whom a Request-URI means, by name or by number; `None` if it means somebody of another domain. A
    /// number is ours to explain, wherever it may belong: it never goes to another domain as it is.
    pub(crate) fn called(
        &self,
        caller: &str,
        incoming: &Incoming<'_>,
        uri: &Uri<'_>,
    ) -> Result<Option<Arc<str>>, Reply> {
        let named = self.aor(incoming, uri).and_then(|aor| self.registrar.user_of(&aor));
        if let Some(named) = named {
            return Ok(Some(Arc::clone(named)));
        }
        if uri.scheme != Scheme::Tel && !self.is_ours(incoming, uri) {
            return Ok(None);
        }
        let elsewhere = || {
            let aor = self.aor(incoming, uri).unwrap_or_default();
            !caller.is_empty() && self.has_director() && !aor.is_empty() && !self.registrar.knows(&aor)
        };
        let Some(mut dialled) = Dialled::of(uri) else {
            return if elsewhere() { Ok(None) } else { Err(Reply::new(404, "Not Found")) };
        };
        // In a context of ours a number is what it is for who dials it.
        dialled.context.take_if(|context| self.registrar.is_ours(context.as_bytes()));
        let site = self.registrar.site(caller);
        let owner = match self.switchboard.owner(site, &dialled) {
            Err(_) if elsewhere() => return Ok(None),
            owner => owner?,
        };
        self.registrar.user_of(&owner).cloned().map(Some).ok_or(UNAVAILABLE)
    }

    /// Where a request for one of our users goes.
    pub(crate) fn course(
        &self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        caller: &Arc<str>,
        to: Arc<str>,
    ) -> Result<Course, Reply> {
        let secure = way.uri.scheme == Scheme::Sips;
        // Most calls are for somebody without rules, by name: they cost nothing more.
        let plain = || is_named(&way.uri, &to) && self.switchboard.rules(&to).is_none();
        if !incoming.is_invite() || plain() {
            let attempts = self.phones_of(now, &to, secure);
            let keeps = incoming.method() == Method::Message && !incoming.has_dialog();
            return match attempts.is_empty() && !keeps {
                true => Err(UNAVAILABLE),
                false => Ok(Course { to: Some(to), attempts, hunt: None }),
            };
        }
        let mut hunt = Hunt::begin(incoming, &way.uri, Arc::clone(caller), Arc::clone(&to), secure);
        let attempts = self.ring(now, &mut hunt)?;
        let hunts = hunt.is_diverted() || self.switchboard.rules(&hunt.to).is_some();
        Ok(Course { to: Some(to), attempts, hunt: hunts.then(|| Box::new(hunt)) })
    }

    /// A call could not be brought to an end where it was: it goes where the rules say, or ends as it did.
    pub(crate) fn divert(&mut self, now: Duration, id: Id, cause: Cause) {
        let Some(mut hunt) = self.proxy.take_hunt(id) else { return };
        let attempts = match self.turn(&mut hunt, cause) {
            true => self.ring(now, &mut hunt).ok(),
            false => None,
        };
        match attempts {
            Some(attempts) => self.proxy.redirect(now, id, hunt, attempts),
            None => self.proxy.conclude(now, id),
        }
    }

    /// Who rings now.
    fn ring(&self, now: Duration, hunt: &mut Hunt) -> Result<Vec<Attempt>, Reply> {
        loop {
            let rules = self.switchboard.rules(&hunt.to);
            let cause = match rules.is_some_and(|rules| rules.always.is_some()) {
                true => Cause::Always,
                false => {
                    let attempts = self.attempts(now, hunt);
                    if !attempts.is_empty() {
                        hunt.patience =
                            rules.and_then(|rules| rules.no_answer.as_ref().map(|_| rules.patience));
                        return Ok(attempts);
                    }
                    Cause::Unreachable
                }
            };
            if !self.turn(hunt, cause) {
                return Err(UNAVAILABLE);
            }
        }
    }

    /// Sends a call where the rules of the user say that it goes for this reason; `false` if they don't, or can't be followed.
    fn turn(&self, hunt: &mut Hunt, cause: Cause) -> bool {
        let goal = self.switchboard.rules(&hunt.to).and_then(|rules| rules.goal(cause));
        let Some((goal, to)) = goal.and_then(|goal| Some((goal, self.switchboard.address(goal)?))) else {
            return false;
        };
        let known = self.is_elsewhere(&to) || self.registrar.knows(&to);
        known && hunt.divert(to, cause, *goal == Goal::Voicemail)
    }

    /// The phones of the user, and those that ring at the same time: the preferred ones of all first.
    fn attempts(&self, now: Duration, hunt: &Hunt) -> Vec<Attempt> {
        let mut attempts = self.reach(now, hunt, &hunt.to);
        let told = hunt.told();
        attempts.iter_mut().for_each(|attempt| attempt.told = told.clone());
        let rules = self.switchboard.rules(&hunt.to);
        let delegates = rules.into_iter().flat_map(|rules| rules.delegates.iter().cloned());
        let along = rules.into_iter().flat_map(|rules| &rules.along);
        let mut seen = vec![Arc::clone(&hunt.to), Arc::clone(&hunt.from)];
        for to in along.filter_map(|goal| self.switchboard.address(goal)).chain(delegates) {
            if seen.contains(&to) {
                continue;
            }
            let told = hunt.told_along(&to, seen.len() - 1);
            let reached = self.reach(now, hunt, &to).into_iter();
            attempts.extend(reached.map(|attempt| Attempt { told: Some(Arc::clone(&told)), ..attempt }));
            seen.push(to);
        }
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.target.q()));
        attempts
    }

    fn reach(&self, now: Duration, hunt: &Hunt, to: &str) -> Vec<Attempt> {
        match self.is_elsewhere(to) {
            true => self.to_edges(now, &hunt.call_id).into_iter().map(Attempt::new).collect(),
            false => self.phones_of(now, to, hunt.secure),
        }
    }

    fn phones_of(&self, now: Duration, aor: &str, secure: bool) -> Vec<Attempt> {
        let mut contacts = self.registrar.contacts(now, aor);
        if secure {
            contacts.retain(|binding| binding.flow.transport.is_secured());
        }
        phones(contacts).into_iter().map(Attempt::new).collect()
    }

    fn is_elsewhere(&self, aor: &str) -> bool {
        !self.registrar.is_ours(domain_part(aor).as_bytes())
            || self.has_director() && !self.registrar.knows(aor)
    }
}
