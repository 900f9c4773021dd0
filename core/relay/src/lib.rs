//! The A/V Edge as a state machine: STUN and TURN in, STUN, TURN and forwarding rules out; no sockets, no clock.
//!
//! Drive [`Relay`] with `handle_input` (what clients send), `handle_peer_data` (what arrives at a relayed port and no rule
//! carries), `handle_request` and `handle_timeout`; after each of them take `poll_output` until it is empty, and come back no
//! later than `poll_timeout` says. `now` is the time since the Unix epoch and never goes back.
//!
//! RFC 8489 and 8656. Media does not take a turn here: a bound channel becomes a [`Rule`] that the forwarder repeats per packet.
//! A host that cannot repeat a rule hands every packet in and loses only speed.
#![forbid(unsafe_code)]

mod access;
mod allocate;
mod allocation;
mod answer;
mod binding;
mod budget;
mod channel;
mod config;
mod contract;
mod counts;
mod credential;
mod data;
mod gate;
mod integrity;
mod lapse;
mod marking;
mod network;
mod nonce;
mod opening;
mod peers;
mod permission;
mod refresh;
mod relay;
mod requests;
mod reservation;
mod secret;
mod status;
mod table;
mod users;

pub use access::{Access, Algorithms, User};
pub use config::{Config, Limits, Listener};
pub use contract::{
    Event, Flow, Icmp, NotOpened, Output, PortId, Request, Rule, RuleId, Tally, Transport, Wish, WishId,
};
pub use counts::Counts;
pub use credential::{Credential, issue};
pub use marking::Marking;
pub use network::Network;
pub use peers::Peers;
pub use relay::{Relay, is_plausible};
pub use status::{Relayed, View};
