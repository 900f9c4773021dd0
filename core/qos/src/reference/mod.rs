//! What ports and codes of the field mean: who listens where, what breaks if a port is closed, what a number in an event
//! log says. Facts only; which ports media uses is said by a plan.

mod code;
mod service;

pub use code::{Code, Decoded, Layer, decode};
pub use service::{Listens, SERVICES, Service};
