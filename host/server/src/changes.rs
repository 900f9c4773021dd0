//! What administrators change while the server runs: users, the plan, the end.
//!
//! Every change is durable, with its line in the audit, before the core hears of it.

use std::sync::Arc;

use carillon_qos::plan::Problem;
use carillon_qos::{Plan, TrafficClass};
use carillon_signaling::{Request, User};
use carillon_store::{Author, Error, PlanSource, Store};

use crate::documents::UserDocument;
use crate::estate::{change_mark, policy, signaling_mark};
use crate::turn::Server;

/// Why a plan was not taken.
#[derive(Debug)]
pub(crate) enum PlanRefused {
    /// It is not the plan that the caller has seen; this version holds.
    Changed(u64),
    /// Something is wrong with it.
    Wrong(Vec<Problem>),
    /// Sockets can't carry its marks.
    Marks(std::io::Error),
    /// It could not be saved.
    Store(Error),
}

impl std::fmt::Display for PlanRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PlanRefused::Changed(version) => write!(f, "version {version} of the plan holds"),
            PlanRefused::Wrong(problems) => problems.iter().try_for_each(|problem| writeln!(f, "{problem}")),
            PlanRefused::Marks(error) => write!(f, "the sockets can't carry the marks of this plan: {error}"),
            PlanRefused::Store(error) => f.write_str(&crate::chain(error)),
        }
    }
}

impl Server {
    /// Adds or changes users, all of them or none; their versions.
    pub(crate) fn put_users(&mut self, users: Vec<User>, who: &str) -> Result<Vec<u64>, Error> {
        let author = self.author(who);
        let versions = self.store.import_users(&users, &author)?;
        let now = self.clock.now();
        for user in users {
            // Who is disabled is nobody to the Front End, whatever else changes.
            if !self.store.user(&user.aor)?.is_some_and(|record| record.is_disabled()) {
                self.front_end.handle_request(now, Request::PutUser(user));
            }
        }
        Ok(versions)
    }

    /// Removes a user with all registrations; the version that it had.
    pub(crate) fn remove_user(&mut self, aor: &str, who: &str) -> Result<Option<u64>, Error> {
        let author = self.author(who);
        let removed = self.store.remove_user(aor, &author)?;
        if removed.is_some() {
            self.front_end.handle_request(self.clock.now(), Request::RemoveUser(aor.to_owned()));
        }
        Ok(removed)
    }

    /// Keeps what a user has written, and obeys it; its version. It has been checked.
    pub(crate) fn put_document<T: UserDocument>(
        &mut self,
        aor: &str,
        file: &T,
        who: &str,
    ) -> Result<u64, Error> {
        let author = self.author(who);
        let document = serde_json::to_string(file).unwrap_or_default();
        let version = self.store.put_document(T::ABOUT, aor, &document, &author)?;
        if let Ok(Some(request)) = file.request(aor.to_owned()) {
            self.front_end.handle_request(self.clock.now(), request);
        }
        Ok(version)
    }

    /// Has another plan hold, if the caller has seen the one that it replaces.
    pub(crate) fn put_plan(&mut self, toml: &str, seen: u64, who: &str) -> Result<u64, PlanRefused> {
        if seen != self.estate.plan_version {
            return Err(PlanRefused::Changed(self.estate.plan_version));
        }
        let plan = Plan::from_toml(toml).map_err(PlanRefused::Wrong)?;
        let author = self.author(who);
        let version = self.keep_plan(&plan, |store| store.put_plan(toml, PlanSource::Admin, &author))?;
        self.obey(Arc::new(plan), version);
        Ok(version)
    }

    /// What may fail of having another plan hold: SIP sockets carry its mark, and it is stored. After an error neither.
    pub(crate) fn keep_plan(
        &mut self,
        plan: &Plan,
        store: impl FnOnce(&mut Store) -> Result<u64, Error>,
    ) -> Result<u64, PlanRefused> {
        let (old, new, transports) = (self.estate.mark, signaling_mark(&policy(plan)), &mut self.transports);
        change_mark(old, new, |mark| transports.set_mark(mark)).map_err(PlanRefused::Marks)?;
        match store(&mut self.store) {
            Ok(version) => {
                self.estate.mark = new;
                Ok(version)
            }
            Err(error) => {
                let undone = change_mark(new, old, |mark| transports.set_mark(mark));
                undone.unwrap_or_else(|_| self.estate.mark = new);
                Err(PlanRefused::Store(error))
            }
        }
    }

    /// From now on this plan, which was kept, holds: new sockets, new documents, and the marks of health and metrics.
    pub(crate) fn obey(&mut self, plan: Arc<Plan>, version: u64) {
        self.policy = policy(&plan);
        self.leases.set_policy(&self.policy);
        self.bridges.mark = self.policy.mark(TrafficClass::Audio);
        let management = self.policy.mark(TrafficClass::Management);
        self.management.send_if_modified(|mark| std::mem::replace(mark, management) != management);
        (self.estate.plan, self.estate.plan_version) = (plan.clone(), version);
        self.versions.send_replace(version);
        self.front_end.handle_request(self.clock.now(), Request::SetPlan { plan, version });
        tracing::info!(version, "another version of the plan holds");
    }

    /// Takes on nothing new, and ends when running calls have ended; at once if asked again.
    pub(crate) fn stop(&mut self) {
        let now = self.clock.now();
        if self.until.is_some() {
            self.until = Some(now);
            return;
        }
        tracing::info!(calls = self.front_end.counts().calls, "stopping");
        self.front_end.handle_request(now, Request::Drain);
        self.until = Some(now + self.estate.config.drain);
    }

    pub(crate) fn author(&self, who: &str) -> Author {
        Author { who: who.to_owned(), time: self.clock.now() }
    }
}
