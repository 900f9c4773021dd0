//! What administrators change while the server runs: users, the plan, the end.
//!
//! Every change is durable, with its line in the audit, before the core hears of it.

use std::sync::Arc;

use carillon_qos::Plan;
use carillon_qos::plan::Problem;
use carillon_signaling::{Request, User};
use carillon_store::{Author, Error, PlanSource};

use crate::estate::{policy, signaling_mark};
use crate::turn::Server;

/// Why a plan was not taken.
#[derive(Debug)]
pub(crate) enum PlanRefused {
    /// It is not the plan that the caller has seen; this version holds.
    Changed(u64),
    /// Something is wrong with it.
    Wrong(Vec<Problem>),
    /// It could not be saved.
    Store(Error),
}

impl Server {
    /// Adds or changes users, all of them or none; their versions.
    pub(crate) fn put_users(&mut self, users: Vec<User>, who: &str) -> Result<Vec<u64>, Error> {
        let author = self.author(who);
        let versions = self.store.import_users(&users, &author)?;
        let now = self.clock.now();
        users.into_iter().for_each(|user| self.front_end.handle_request(now, Request::PutUser(user)));
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

    /// Has another plan hold, if the caller has seen the one that it replaces.
    pub(crate) fn put_plan(&mut self, toml: &str, seen: u64, who: &str) -> Result<u64, PlanRefused> {
        if seen != self.estate.plan_version {
            return Err(PlanRefused::Changed(self.estate.plan_version));
        }
        let plan = Plan::from_toml(toml).map_err(PlanRefused::Wrong)?;
        let author = self.author(who);
        let version = self.store.put_plan(toml, PlanSource::Admin, &author).map_err(PlanRefused::Store)?;
        self.obey(Arc::new(plan), version);
        Ok(version)
    }

    /// From now on this plan holds: new sockets, new documents, and the marks of sockets that are open.
    pub(crate) fn obey(&mut self, plan: Arc<Plan>, version: u64) {
        self.policy = policy(&plan);
        self.leases.set_policy(&self.policy);
        let mark = signaling_mark(&self.policy);
        if let Err(error) = self.transports.set_mark(mark) {
            tracing::error!("some connections keep their old mark: {error}");
        }
        (self.estate.mark, self.estate.plan, self.estate.plan_version) = (mark, plan.clone(), version);
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
