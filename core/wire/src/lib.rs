//! Bytes to values and back, without state and without effects.
//!
//! Two views of every protocol: a *view* over the caller's buffer, checked once and then read without
//! panics, and a *value* with only legal states. Reassembly of streams and fragments is a value that the
//! caller owns and bounds, and so is what [`source`] remembers of whom traffic counts for. Nothing here knows the plan: class and mark are the business of `carillon-qos`;
//! only the [`ip::Dscp`] type and its one shift live here, because the header does.
#![forbid(unsafe_code)]

pub mod capture;
pub mod forwarded;
pub mod fragment;
pub mod icmp;
pub mod ip;
pub mod link;
pub mod packet;
pub mod payload;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod source;
mod spans;
pub mod stream;
pub mod stun;
pub mod websocket;
