//! The A/V Edge as a state machine: STUN and TURN in, STUN, TURN and forwarding rules out; no sockets, no clock.
//!
//! Drive [`Relay`] with `handle_input` (what clients send), `handle_peer_data` (what arrives at a relayed port and no rule
//! carries), `handle_request` and `handle_timeout`; after each of them take `poll_output` until it is empty, and come back no
//! later than `poll_timeout` says. `now` is the time since the Unix epoch and never goes back.
//!
//! RFC 8489, 8656 and 6062. Media does not take a turn here: a bound channel becomes a [`Rule`] that the forwarder repeats per packet,
//! two connections become a [`Joint`].
//! A host that cannot repeat a rule hands every packet in and loses only speed.
#![forbid(unsafe_code)]

mod allocate;
mod allocation;
mod answer;
mod binding;
mod channel;
mod config;
mod connect;
mod contract;
mod counts;
mod credential;
mod data;
mod integrity;
mod lapse;
mod link;
mod marking;
mod network;
mod nonce;
mod opening;
mod peers;
mod permission;
mod proofs;
mod refresh;
mod relay;
mod requests;
mod reservation;
mod secret;
mod status;
mod table;
mod users;

pub use carillon_wire::source::Rate;
pub use config::{Config, Limits, Listener};
pub use contract::{
    AccountId, Event, Flow, Icmp, Joint, LinkId, NotOpened, Output, PortId, Quota, Request, Rule, RuleId,
    Tally, Transport, Wish, WishId,
};
pub use counts::Counts;
pub use credential::{Credential, issue, issue_at};
pub use marking::Marking;
pub use network::Network;
pub use peers::{Peers, planned_ports};
pub use proofs::{Access, Algorithms, User};
pub use relay::Relay;
pub use status::{Relayed, View};
