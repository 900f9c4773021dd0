//! SIP messages (RFC 3261): found, framed, indexed in one pass, and read field by field on access.
//!
//! [`frame()`] says where a message ends, [`Message`] reads it without copying, [`Message::check`] says whether it may
//! be processed and else what to answer, [`Edits`] changes it without touching the rest. No transactions, no
//! dialogs, no policy.

mod address;
mod build;
mod check;
mod edit;
mod field;
mod flow;
mod frame;
mod index;
mod lex;
mod message;
mod name;
mod outcome;
mod start;
mod uri;
mod via;

pub use address::Address;
pub use build::Builder;
pub use check::Routing;
pub use edit::Edits;
pub use field::{Credentials, MediaType, Part, Parts};
pub use flow::{Destination, Flow, Transport, source};
pub use frame::{Framing, Limits, frame};
pub use index::Index;
pub use lex::{Param, ParamIter, Params, Values};
pub use message::{Header, Message};
pub use name::Name;
pub use outcome::{Answer, Fault, Garbage, Malformed};
pub use start::{CSeq, Method, StartLine};
pub use uri::{Host, Scheme, Uri, unescape};
pub use via::Via;

/// A datagram, decoded and judged.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation per message")]
pub enum Decoded<'a> {
    /// Process it; [`Message::routing`] will succeed.
    Valid(Message<&'a [u8]>),
    /// A request that was understood and must be refused: send the answer.
    Wrong(Message<&'a [u8]>, Answer),
    /// Drop it and count.
    Garbage(Garbage),
    /// Line breaks only (RFC 5626).
    KeepAlive,
}

/// Decodes a datagram: [`frame()`] and [`Message::check`] in one.
pub fn decode(bytes: &[u8], limits: Limits) -> Decoded<'_> {
    let (message, framed) = match frame(bytes, Transport::Udp, limits) {
        Framing::Message { message, .. } => (message, None),
        Framing::Wrong { message, answer } => (message, Some(answer)),
        Framing::Garbage(garbage) => return Decoded::Garbage(garbage),
        Framing::KeepAlive { .. } | Framing::More { .. } => return Decoded::KeepAlive,
    };
    let fault = match framed {
        Some(answer) => Some(message.fault(answer)),
        None => message.check().err(),
    };
    match fault {
        None => Decoded::Valid(message),
        Some(Fault::Answer(answer)) => Decoded::Wrong(message, answer),
        Some(Fault::Drop(garbage)) => Decoded::Garbage(garbage),
    }
}
