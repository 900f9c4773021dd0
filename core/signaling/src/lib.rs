//! The Front End as a state machine: SIP in, SIP out; no sockets, no clock, no files.
//!
//! Drive it with `handle_input`, `handle_request` and `handle_timeout`; after each of them take `poll_output` until it
//! is empty, and come back no later than `poll_timeout` says. `now` is the time since the Unix epoch and never goes back.
#![forbid(unsafe_code)]

mod address;
mod contract;
mod dialect;
pub mod digest;
pub mod provisioning;
mod registrar;
mod reply;
mod user;

pub use contract::{Binding, Change, Destination, Event, Failure, Listener, Output, Request, Transmit};
pub use user::{Algorithm, Algorithms, Ha1, User};
