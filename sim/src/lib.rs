//! A virtual network and clock around the cores: NATs, loss, reordering, duplicates, retransmission.
//!
//! The same seed gives the same run, and every run ends with a verdict of its packets against the plan.
#![forbid(unsafe_code)]

pub mod host;
pub mod nat;
pub mod path;
pub mod phone;
pub mod random;
pub mod server;
mod tap;
pub mod world;
