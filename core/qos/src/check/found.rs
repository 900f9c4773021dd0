//! What was found out by one question.

use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use super::cause::Cause;

/// What is asked. The order is that of the path: what comes later can only be well if what it needs is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Does the Edge run?
    Edge,
    /// Does a service run?
    Service,
    /// Is there exactly one socket where it should listen, and none where it should not?
    Listener,
    /// Does a name lead to it?
    Name,
    /// Do routes lead where they should?
    Route,
    /// Is it reached?
    Door,
    /// Does it prove itself as it should?
    Certificate,
    /// Is a credential given, and taken?
    Credential,
    /// Does the relay lend an address?
    Allocation,
    /// Do packets arrive through the relay, and come back?
    Relay,
    /// Do they arrive with the planned mark?
    Mark,
}

/// How it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Good,
    /// Worth a look; it works.
    Warning,
    /// An old tester would complain, for nothing.
    FalseAlarm,
    /// It could not be found out.
    Unknown,
    /// Not as it should be.
    Bad,
}

/// A question with its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// The pool.
    pub pool: String,
    /// The machine.
    pub machine: String,
    /// What was asked.
    pub kind: Kind,
    /// About what: a name, an address, a service.
    pub subject: String,
    /// The answer.
    pub state: State,
    /// Why it is not good.
    #[serde(serialize_with = "name")]
    pub cause: Option<Cause>,
    /// What was seen.
    pub text: String,
    /// What to do; commands stand on lines of their own.
    pub fix: String,
    /// The place in the report of the check that this one only follows from.
    pub follows: Option<usize>,
}

/// A check before it is known what it follows from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) at: usize,
    pub(super) check: Check,
    pub(super) about: About,
}

/// What a check is about, by which others are tied to it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct About {
    pub(super) service: Option<String>,
    pub(super) door: Option<(bool, SocketAddr)>,
    /// It was found by a name.
    pub(super) by_name: bool,
}

impl Kind {
    /// Stable kebab-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Edge => "edge",
            Kind::Service => "service",
            Kind::Listener => "listener",
            Kind::Name => "name",
            Kind::Route => "route",
            Kind::Door => "door",
            Kind::Certificate => "certificate",
            Kind::Credential => "credential",
            Kind::Allocation => "allocation",
            Kind::Relay => "relay",
            Kind::Mark => "mark",
        }
    }
}

impl Found {
    pub(super) fn good(kind: Kind, subject: impl Into<String>, text: impl Into<String>) -> Found {
        Found::new(kind, subject, State::Good, None, text, "")
    }

    pub(super) fn bad(
        kind: Kind,
        subject: impl Into<String>,
        cause: Cause,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Found {
        Found::new(kind, subject, State::Bad, Some(cause), text, fix)
    }

    pub(super) fn unknown(
        kind: Kind,
        subject: impl Into<String>,
        text: impl Into<String>,
        fix: &str,
    ) -> Found {
        Found::new(kind, subject, State::Unknown, None, text, fix)
    }

    pub(super) fn new(
        kind: Kind,
        subject: impl Into<String>,
        state: State,
        cause: Option<Cause>,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Found {
        let (pool, machine) = (String::new(), String::new());
        let (subject, text, fix) = (subject.into(), text.into(), fix.into());
        let check = Check { pool, machine, kind, subject, state, cause, text, fix, follows: None };
        Found { at: 0, check, about: About::default() }
    }

    /// Ties it to a service.
    pub(super) fn of(mut self, service: &str) -> Found {
        self.about.service = Some(service.to_owned());
        self
    }

    /// Ties it to a place.
    pub(super) fn at(mut self, is_stream: bool, address: SocketAddr) -> Found {
        self.about.door = Some((is_stream, address));
        self
    }
}

fn name<S: Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cause.map_or("", Cause::name))
}
