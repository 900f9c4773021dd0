//! The sockets of `carillon probe`: questions to ports of another host, answers from ports of this one, and the line
//! between the two. All are marked before their first packet, and open only while their ports are tested.
//!
//! What is said, and what it means, is `carillon_qos::probe`'s.

mod asker;
mod conversation;
mod errors;
mod responder;

pub use asker::Asker;
pub use conversation::{Conversation, Door};
pub use responder::Responder;
