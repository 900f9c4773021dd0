//! The plan, and the verdict.
//!
//! One plan decides, for every traffic class and every role, which ports may be used and which mark each
//! packet carries ([`plan`]). [`verify`] judges captured packets against it, as a pure function.
#![forbid(unsafe_code)]

pub mod class;
pub mod dscp;
pub mod plan;
pub mod ports;
pub mod role;
pub mod verify;

pub use class::TrafficClass;
pub use plan::Plan;
pub use ports::PortRange;
pub use role::Role;
