//! What is asked of a relay: how it is written, and when it is asked again.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_wire::stun::{Builder, Class, Family, Method, kind};

use crate::ice::seal::seal;

/// The first time to wait for an answer (RFC 8489, 6.2.1).
const RTO: Duration = Duration::from_millis(500);
/// How often something is said.
const TRIES: u32 = 7;
/// How long the last word, or the only one of a stream, is waited for.
const LAST: Duration = Duration::from_secs(8);
/// The protocol number of UDP.
const UDP: u8 = 17;

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    Allocate(Family),
    Refresh,
    /// A lifetime of zero.
    Release,
    Permit(IpAddr),
    Bind(SocketAddr, u16),
}

/// What proves a request.
pub(super) struct Proof<'a> {
    pub(super) username: &'a str,
    pub(super) realm: &'a str,
    pub(super) nonce: &'a str,
    pub(super) key: &'a [u8; 16],
}

/// A request whose answer is awaited.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) ask: Ask,
    pub(super) id: [u8; 12],
    /// When it is said again, or given up.
    pub(super) due: Duration,
    pub(super) proven: bool,
    /// It was said for an old nonce before: not a third time.
    pub(super) again: bool,
    bytes: Vec<u8>,
    tries: u32,
}

impl Pending {
    pub(super) fn new(
        ask: Ask,
        id: [u8; 12],
        bytes: Vec<u8>,
        now: Duration,
        proven: bool,
        over_stream: bool,
    ) -> Pending {
        let (tries, wait) = if over_stream { (TRIES, LAST) } else { (1, RTO) };
        Pending { ask, id, due: now + wait, proven, again: false, bytes, tries }
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.tries >= TRIES
    }

    /// The same bytes once more.
    pub(super) fn repeat(&mut self, now: Duration) -> Vec<u8> {
        self.tries += 1;
        self.due = now + if self.is_exhausted() { LAST } else { RTO * (1 << (self.tries - 1)) };
        self.bytes.clone()
    }
}

/// The message; `None` if it became too long.
pub(super) fn write(ask: Ask, id: [u8; 12], proof: Option<&Proof<'_>>) -> Option<Vec<u8>> {
    let builder = match ask {
        Ask::Allocate(family) => {
            let builder = Builder::new(Class::Request, Method::Allocate, id).requested_transport(UDP);
            // Servers of RFC 5766 know one family only.
            match family {
                Family::V4 => builder,
                Family::V6 => builder.family(kind::REQUESTED_ADDRESS_FAMILY, family),
            }
        }
        Ask::Refresh => Builder::new(Class::Request, Method::Refresh, id),
        Ask::Release => Builder::new(Class::Request, Method::Refresh, id).u32(kind::LIFETIME, 0),
        Ask::Permit(peer) => Builder::new(Class::Request, Method::CreatePermission, id)
            .xor_address(kind::XOR_PEER_ADDRESS, SocketAddr::new(peer, 0)),
        Ask::Bind(peer, number) => Builder::new(Class::Request, Method::ChannelBind, id)
            .channel_number(number)
            .xor_address(kind::XOR_PEER_ADDRESS, peer),
    };
    let Some(proof) = proof else { return builder.finish() };
    let named = builder
        .attribute(kind::USERNAME, proof.username.as_bytes())
        .attribute(kind::REALM, proof.realm.as_bytes())
        .attribute(kind::NONCE, proof.nonce.as_bytes());
    seal(named, proof.key)
}
