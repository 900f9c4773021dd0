//! An Edge: a machine between the inside and the Internet that knows no users. And a Director, a machine between Edges and Front Ends that
//! is looked after in the same way, with one unit.
//!
//! [`supervisor`] looks after its units; [`av`] is the way of a packet through the one that relays. Read them first.

mod access;
mod authentication;
pub mod av;
mod conferencing;
mod director;
mod inbox;
mod reload;
pub(crate) mod replica;
mod service;
pub(crate) mod settings;
mod start;
pub mod status;
pub mod supervisor;
mod unit;

pub use av::AvEdge;
pub use service::serve;
pub use start::StartError;
pub use supervisor::{Edge, start};
pub use unit::Unit;
