//! Why there is no lease, and what to do about it.

use std::fmt;

use carillon_qos::TrafficClass;

use super::{Counts, Shape};
use crate::bind_error::{BindError, Holder};

/// Why there is no lease.
#[derive(Debug)]
pub enum LeaseError {
    /// Every port of the range is leased, or taken by other programs. No other port is ever given instead.
    Exhausted(Exhausted),
    /// A port could not be opened for a reason that holds for all of them.
    Bind(BindError),
    /// The class has no media ports.
    NotMedia(TrafficClass),
}

/// A range in which nothing is left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exhausted {
    /// Class, range and how it is used.
    pub counts: Counts,
    /// What would have been enough.
    pub shape: Shape,
    /// Who holds one of the ports that other programs have taken, if that can be seen.
    pub holder: Option<Holder>,
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaseError::Exhausted(exhausted) => exhausted.fmt(f),
            LeaseError::Bind(error) => error.fmt(f),
            LeaseError::NotMedia(class) => write!(f, "{class} has no media ports to lease"),
        }
    }
}

impl std::error::Error for LeaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LeaseError::Bind(error) => error.source(),
            _ => None,
        }
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { class, range, leased, blocked, sessions, .. } = self.counts;
        let wanted = match self.shape {
            Shape::Any => "port",
            Shape::Even => "even port",
            Shape::Pair => "even port with the odd one above it",
        };
        write!(f, "no {wanted} is left for {class} in {range}: {leased} of {} leased", range.count())?;
        write!(f, " ({class} has {sessions} sessions)")?;
        match &self.holder {
            Some(holder) => write!(f, ", {blocked} taken by other programs, such as {holder}")?,
            None if blocked > 0 => write!(f, ", {blocked} taken by other programs")?,
            None => {}
        }
        write!(f, "; wait for calls to end, use rtcp-mux, or give {class} a larger range in the plan")
    }
}
