//! An Edge: a machine between the inside and the Internet that knows no users.
//!
//! [`av`] is the way of a packet through it; read it first.

pub mod av;
mod measure;
mod places;
mod reload;
mod service;
mod start;
pub mod status;

pub use av::AvEdge;
pub use service::serve;
pub use start::{StartError, start};
