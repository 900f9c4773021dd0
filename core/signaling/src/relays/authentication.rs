//! The A/V Authentication service of an Edge: gives servers credentials for their users. Whoever is heard here has been proven
//! to be such a server, and has proven its users.

use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::sip::{Decoded, Destination, Flow, Limits, Message, Method, Uri, decode};

use super::ask::granted;
use super::{RelayServer, Relays};
use crate::address;
use crate::contract::Transmit;
use crate::dialect::media_relay;
use crate::incoming::{answer, tag};
use crate::reply::Reply;
use crate::secret::Secret;

const ALLOW: &str = "SERVICE, OPTIONS";
/// Largest message that is read, in bytes of its body.
const BODY: usize = 16 << 10;

/// The service. It remembers nothing: each request is answered by itself.
#[derive(Debug)]
pub struct Authentication {
    relays: Relays,
    /// The relays as clients inside reach them; those of `relays` are for clients outside.
    inside: Vec<RelayServer>,
    secret: Secret,
    counts: AuthenticationCounts,
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AuthenticationCounts {
    /// Credentials that were given.
    pub given: u64,
    /// Requests that got nothing.
    pub refused: u64,
    /// Messages that could not be read.
    pub garbage: u64,
}

impl Authentication {
    /// The relays as clients outside reach them, and as those inside do. The seed must be hard to guess.
    pub fn new(relays: Relays, inside: Vec<RelayServer>, seed: [u8; 32]) -> Authentication {
        let counts = AuthenticationCounts::default();
        Authentication { relays, inside, secret: Secret::new(&seed), counts }
    }

    /// From now on these relays.
    pub fn set_relays(&mut self, relays: Relays, inside: Vec<RelayServer>) {
        (self.relays, self.inside) = (relays, inside);
    }

    /// One message of a server, whole. What it is answered with.
    pub fn handle_input(&mut self, now: Duration, flow: Flow, bytes: &[u8]) -> Option<Transmit> {
        let limits = Limits { body: BODY, ..Limits::default() };
        let (message, reply) = match decode(bytes, limits) {
            Decoded::Valid(message) if message.status().is_some() => return None,
            Decoded::Valid(message) => {
                let reply = self.reply(now, &message)?;
                (message, reply)
            }
            Decoded::Wrong(message, wrong) => (message, Reply::new(wrong.code, wrong.reason)),
            Decoded::Garbage(_) => {
                self.counts.garbage += 1;
                return None;
            }
            Decoded::KeepAlive => return None,
        };
        self.counts.refused += u64::from(reply.answer.code >= 300);
        let bytes = answer(&message, &flow, &tag(&self.secret, &message), &reply);
        Some(Transmit { to: Destination::Flow(flow), class: TrafficClass::Signaling, bytes })
    }

    /// What was counted.
    pub fn counts(&self) -> AuthenticationCounts {
        self.counts
    }

    fn reply(&mut self, now: Duration, message: &Message<&[u8]>) -> Option<Reply> {
        match message.method()? {
            Method::Ack => None,
            Method::Options => Some(Reply::new(200, "OK").field("Allow", ALLOW)),
            Method::Service => Some(self.serve(now, message)),
            _ => Some(Reply::new(405, "Method Not Allowed").field("Allow", ALLOW)),
        }
    }

    fn serve(&mut self, now: Duration, message: &Message<&[u8]>) -> Reply {
        if !message.content_type().is_some_and(|kind| kind.is(b"application", media_relay::SUBTYPE)) {
            return Reply::new(415, "Unsupported Media Type").field("Accept", media_relay::TYPE);
        }
        let (outside, inside) = (&self.relays.servers, &self.inside);
        let servers = |is_outside| if is_outside { &outside[..] } else { &inside[..] };
        let (reply, given) = granted(&self.relays, now, message.body(), user_of, servers);
        self.counts.given += given;
        reply
    }
}

/// Whose quota an identity counts on. Of which site users are, only their own servers know, and the request has no word for it.
fn user_of(identity: &str) -> Option<(String, Option<String>)> {
    let user = Uri::parse(identity.as_bytes()).ok().and_then(|uri| address::aor(&uri))?;
    Some((user, None))
}
