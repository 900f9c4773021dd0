//! One media leg as a state machine: packets and speech in, packets and speech out; no sockets, no clock.
//!
//! [`negotiate`] turns offers and answers into an [`negotiate::Agreed`]; a [`leg::Leg`] is made of it and then driven by
//! packets and by a tick every 20 ms. Two legs with what one hears said by the other are a [`bridge`]. Which port a leg uses and which mark its packets carry is decided elsewhere.
#![forbid(unsafe_code)]

pub mod bridge;
pub mod codec;
pub mod dtmf;
pub mod ice;
pub mod jitter;
pub mod leg;
pub mod negotiate;
pub mod quality;
pub mod random;
pub mod speech;
pub mod srtp;
