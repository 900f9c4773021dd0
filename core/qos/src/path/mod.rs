//! The path of marked packets: probes with rising time to live, what each hop says, and who changed the mark.
//!
//! [`Walk`] decides which probe to send when, [`Flow`] which error is about which probe, [`judge`] what the hops
//! together mean. Sending and hearing are done elsewhere.

mod hop;
mod quote;
mod verdict;
mod walk;

pub use hop::{Answer, Hop, Quoted};
pub use quote::{About, Flow, PROBE_LEN};
pub use verdict::{Change, EcnChange, Outcome, Point, Reach, Refusal, Verdict, judge};
pub use walk::{Limits, Probe, Walk};
