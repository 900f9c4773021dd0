//! The Front End as a state machine: SIP in, SIP out; no sockets, no clock, no files. With it what it shares the proxy with:
//! [`access`], the Access Edge; and [`agent`], the phone at the other end.
//!
//! Drive [`FrontEnd`] with `handle_input`, `handle_request` and `handle_timeout`; after each of them take `poll_output`
//! until it is empty, and come back no later than `poll_timeout` says. `now` is the time since the Unix epoch and never
//! goes back. Where calls may need media legs of the server's own, `poll_bridge` is emptied before the next call, too.
#![forbid(unsafe_code)]

pub mod access;
mod address;
mod admission;
pub mod agent;
mod bandwidth;
mod bearer;
mod bridging;
mod calls;
mod config;
mod contract;
mod counts;
mod dialect;
pub mod digest;
pub mod director;
mod door;
mod edges;
mod events;
mod front_end;
mod incoming;
mod local;
mod messages;
mod numbers;
mod presence;
pub mod provisioning;
mod proxy;
pub mod records;
mod registrar;
mod relays;
mod reply;
mod rules;
mod secret;
mod timer;
mod transaction;
mod user;
mod xml;

pub use bandwidth::{ClassUse, LinkUse};
pub use bridging::{BridgeWish, Bridging, NotBridged, Opening};
pub use config::{Config, Edge, Expires, Limits};
pub use contract::{
    Binding, Change, Destination, Event, Failure, Letter, Listener, Output, Publication, Request, Transmit,
};
pub use counts::Counts;
pub use door::{DoorQuestion, DoorRefusal};
pub use front_end::{FrontEnd, Saved};
pub use messages::{HistoryEntry, HistoryLimits, HistoryPolicy, HistoryReceipt, InstantMessage, Receipt};
pub use numbers::{DialRule, Dialling, Number, Undialled};
pub use presence::{Contact, Handling, Roster, Rule, presence_of};
pub use registrar::{Lock, LockOut};
pub use relays::{
    Authentication, AuthenticationCounts, Bearer, Issuer, RelayAccess, RelayAnswer, RelayCredential,
    RelayServer, RelayService, Relays, read_relay_credential,
};
pub use rules::{CallRules, Goal};
pub use user::{Algorithm, Algorithms, Ha1, User};
