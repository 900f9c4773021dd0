//! Do the plan's ports pass the firewalls between two hosts? What the two say to each other, what became of each port,
//! and what it means. Nothing here opens a port.
//!
//! One host listens, the other sends. They talk over one TCP connection ([`Request`], [`Reply`]) after both have proved
//! that they know the [`Token`]; what goes to the ports under test are [`Datagram`]s, signed with it, and answers are as
//! long as questions.
//!
//! Of an Edge that runs, every listener has its own manner towards a stranger who knocks: [`listeners`].

mod certificate;
mod control;
mod datagram;
mod edge;
mod outcome;
mod summary;
mod token;

pub use control::{Hello, MOST_PORTS, Offer, Reply, Request};
pub use datagram::Datagram;
pub use edge::{Heard, Listener, Manner, Meaning, listeners};
pub use outcome::{Outcome, Service};
pub use summary::{Direction, Summary, Tested, Transport, summarize};
pub use token::{Key, Nonce, Side, Tag, Token};
