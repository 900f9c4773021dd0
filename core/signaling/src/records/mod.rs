//! Call records: what is known of each leg of a call, from its INVITE to its end.
//!
//! Nothing waits for a record. Where they are kept, for how long, and how much of a name is shown, is the host's business.

mod ending;
mod media;
mod open;
mod report;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::Transport;

pub use ending::Ending;
pub(crate) use ending::Refused;
pub(crate) use media::goes_along;
pub use media::{Path, Stream};
pub(crate) use open::{Caller, OpenCall, Records};
pub use report::{DOCUMENT, EVENT, Quality, QualityReport};

/// Something to be kept of calls.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// A leg as it is now; it replaces what has the same call and side, but for its quality.
    Leg(CallLeg),
    /// How a phone heard a call; it may come after the end.
    Report(QualityReport),
}

/// The two sides of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// Who called.
    Caller,
    /// Whose phone answered.
    Callee,
}

impl Side {
    /// The word in records.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Caller => "caller",
            Side::Callee => "callee",
        }
    }

    /// The other one.
    pub const fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

/// One leg: what a phone and the server have to do with each other for a call. Every call has its caller's; one that was
/// answered has that of the phone that answered, too.
#[derive(Clone, PartialEq, Debug)]
pub struct CallLeg {
    /// Names the call, the same for its legs: microseconds since the Unix epoch at its begin, made unique.
    pub call: u64,
    /// Which leg.
    pub side: Side,
    /// The Call-ID of SIP.
    pub call_id: Arc<str>,
    /// Whose leg: `alice@example.com`; as From says it where nobody could prove it.
    pub user: Arc<str>,
    /// The other one, or who was called.
    pub peer: Arc<str>,
    /// Where its signaling came from, as the Edge saw it if it came through one; none of a phone behind an Edge that was called.
    pub address: Option<IpAddr>,
    /// The site of the plan that has this address.
    pub site: Option<Arc<str>>,
    /// What its signaling came over.
    pub transport: Transport,
    /// Whether it came through an Edge of ours.
    pub through_edge: bool,
    /// When it began, since the Unix epoch.
    pub begun: Duration,
    /// When the first phone rang.
    pub rung: Option<Duration>,
    /// When it was answered.
    pub answered: Option<Duration>,
    /// How it ended; `None` while it is open.
    pub end: Option<End>,
    /// The link between sites that had no room: for the call, if it was refused, or for its video.
    pub over_budget: Option<Arc<str>>,
    /// Its end of the audio.
    pub audio: Option<Stream>,
    /// Its end of the video.
    pub video: Option<Stream>,
}

/// The end of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// When, since the Unix epoch.
    pub at: Duration,
    /// Why.
    pub ending: Ending,
    /// The final answer, if it was never up.
    pub code: Option<u16>,
    /// Who ended it; the server, if neither did.
    pub by: Option<Side>,
}
