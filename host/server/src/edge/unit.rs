//! The services of an Edge, each a unit: started, watched, stopped and restarted alone.
//!
//! What is here is how a unit is named and reached; the `supervisor` looks after it. One more of them is: its part of the
//! table in `config::listening`, an opener in [`Units`] that gives its desk and its loop, and [`Part`] for that loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::access::AccessStatus;
use super::director::DirectorStatus;
use super::start::StartError;
use super::status::{AllocationRow, ConferencingStatus, EdgeListener, RelayStatus};
use super::{Edge, av, conferencing, replica};
use crate::config::EdgeConfig;
use crate::desk::{Desk, Service};

/// A service of an Edge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// SIP between the inside and those outside: clients and other domains.
    Access,
    /// Gives servers credentials of the relay for their users.
    Authentication,
    /// STUN and TURN.
    Av,
    /// Carries the connections of web conferences to the inside.
    WebConferencing,
    /// Takes the settings that the inside sends.
    Replica,
    /// No service of an Edge: the only one of a Director, SIP between Edges and Front Ends.
    Director,
}

impl Unit {
    /// Those of an Edge, in the order in which they are shown.
    pub const ALL: [Unit; 5] =
        [Unit::Access, Unit::Authentication, Unit::Av, Unit::WebConferencing, Unit::Replica];

    /// Its name for commands.
    pub const fn word(self) -> &'static str {
        match self {
            Unit::Access => "access",
            Unit::Authentication => "authentication",
            Unit::Av => "av",
            Unit::WebConferencing => "web-conferencing",
            Unit::Replica => "replica",
            Unit::Director => "director",
        }
    }

    /// Its name as administrators know it.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Access => "Access Edge",
            Unit::Authentication => "A/V Authentication",
            Unit::Av => "A/V Edge",
            Unit::WebConferencing => "Web Conferencing Edge",
            Unit::Replica => "Replica",
            Unit::Director => "Director",
        }
    }

    /// The one with that name for commands.
    pub fn from_word(word: &str) -> Option<Unit> {
        Unit::ALL.into_iter().chain([Unit::Director]).find(|unit| unit.word() == word)
    }
}

/// A unit that runs, as others see it. Its loop, on a thread of its own, carries out what is left at its desk.
/// `reload` takes what has changed in [`Context::config`].
pub(crate) trait Part: Service {
    /// What it is doing, for status.
    fn facts(&self) -> Facts;

    /// What it has opened for somebody, and for whom.
    fn allocations(&self) -> Vec<Allocated> {
        Vec::new()
    }

    /// Numbers for Prometheus.
    fn metrics(&self) -> String {
        String::new()
    }
}

/// What a unit says of itself.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Where it listens.
    pub(crate) listeners: Vec<EdgeListener>,
    /// What the A/V Edge relays.
    pub(crate) relay: Option<RelayStatus>,
    /// Whom the Director connects.
    pub(crate) director: Option<DirectorStatus>,
    /// Whom the Access Edge connects.
    pub(crate) access: Option<AccessStatus>,
    /// What the Web Conferencing Edge does.
    pub(crate) conferencing: Option<ConferencingStatus>,
    /// Why it runs and can't do what it should.
    pub(crate) impaired: Option<String>,
}

/// A port that was opened for an allocation.
#[derive(Debug)]
pub(crate) struct Allocated {
    pub(crate) local: SocketAddr,
    /// Over TCP.
    pub(crate) is_stream: bool,
    pub(crate) class: Option<String>,
    pub(crate) row: AllocationRow,
}

/// What a unit is opened with.
#[derive(Clone)]
pub(crate) struct Context {
    /// The configuration that holds; another one after a reload.
    pub(crate) config: watch::Receiver<Arc<EdgeConfig>>,
    /// Where the Edge takes orders.
    pub(crate) edge: Desk<Edge>,
}

/// A unit whose sockets are open and that waits for its thread.
pub(crate) struct Opened {
    pub(crate) desk: Desk<dyn Part>,
    /// Until it is stopped. An error, or a panic, ends this unit and no other.
    pub(crate) run: Box<dyn FnOnce() -> io::Result<()> + Send>,
}

/// How units come to life.
pub(crate) trait Source: Send {
    /// Whether the configuration asks for it.
    fn wants(&self, unit: Unit, config: &EdgeConfig) -> bool;
    /// Opens what it listens on.
    fn open(&self, unit: Unit, context: &Context) -> Result<Opened, StartError>;
}

/// The units that there are.
pub(crate) struct Units;

impl Source for Units {
    fn wants(&self, unit: Unit, config: &EdgeConfig) -> bool {
        config.wants(unit)
    }

    fn open(&self, unit: Unit, context: &Context) -> Result<Opened, StartError> {
        match unit {
            Unit::Av => av::open(context),
            Unit::Access => super::access::open(context),
            Unit::Authentication => super::authentication::open(context),
            Unit::WebConferencing => conferencing::open(context),
            Unit::Replica => replica::open(context),
            Unit::Director => super::director::open(context),
        }
    }
}
