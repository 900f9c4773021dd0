//! The plan, and the verdict.
//!
//! One plan decides, for every traffic class and every role, which ports may be used and which mark each
//! packet carries ([`plan`]). [`export`] spells it for every device, [`import`] reads those spellings back,
//! [`drift`] compares what is deployed with it, and [`verify`] judges captured packets against it. All are pure
//! functions.
#![forbid(unsafe_code)]

pub mod bandwidth;
pub mod check;
pub mod class;
pub mod drift;
pub mod dscp;
pub mod export;
pub mod import;
pub mod listening;
pub mod path;
pub mod plan;
pub mod ports;
pub mod probe;
pub mod reference;
pub mod role;
pub mod rule;
pub mod trust;
pub mod verify;

pub use class::TrafficClass;
pub use plan::Plan;
pub use ports::PortRange;
pub use role::Role;
pub use rule::{MarkingRule, Protocol};
