//! WebSocket as a server of SIP meets it (RFC 6455, RFC 7118): the request that opens it, and the frames of a client.
//!
//! No extension and no sockets; what has come of a message is a value that the caller owns and bounds.

mod frame;
mod upgrade;

pub use frame::{CloseCode, Frame, Frames, close, message, pong};
pub use upgrade::{REQUEST, Refusal, Upgrade};
