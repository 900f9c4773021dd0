//! The Front End as a state machine: SIP in, SIP out; no sockets, no clock, no files.
//!
//! Drive [`FrontEnd`] with `handle_input`, `handle_request` and `handle_timeout`; after each of them take `poll_output`
//! until it is empty, and come back no later than `poll_timeout` says. `now` is the time since the Unix epoch and never
//! goes back.
#![forbid(unsafe_code)]

mod address;
mod admission;
pub mod agent;
mod calls;
mod config;
mod contract;
mod counts;
mod dialect;
pub mod digest;
mod front_end;
mod incoming;
mod local;
pub mod provisioning;
mod proxy;
mod registrar;
mod reply;
mod secret;
mod timer;
mod transaction;
mod user;

pub use config::{Config, Expires, Limits};
pub use contract::{Binding, Change, Destination, Event, Failure, Listener, Output, Request, Transmit};
pub use counts::Counts;
pub use front_end::FrontEnd;
pub use user::{Algorithm, Algorithms, Ha1, User};
