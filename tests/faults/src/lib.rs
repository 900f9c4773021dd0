//! Rewrites captures of real programs so that they show one fault, and holds the verdict against what was
//! rewritten. No fault is drawn from the verifier's own rules: a rewrite changes packets as a network would.
#![allow(clippy::expect_used, clippy::missing_panics_doc)]

pub mod carry;
pub mod encode;
pub mod packet;
pub mod rewrite;
pub mod scene;
pub mod trial;
pub mod video;

pub use packet::{Body, Packet};
pub use rewrite::{Capture, Link};
pub use trial::Trial;
