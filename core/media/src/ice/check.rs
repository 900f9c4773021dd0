//! A check: a binding request between two ends, and its answers (RFC 8445, 7).

use std::net::SocketAddr;

use carillon_wire::stun::{Builder, Class, Fingerprint, Message, Method, kind};

use super::description::Credentials;
use super::seal::{is_sealed, seal};

/// What a check says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check<'a> {
    pub(super) id: [u8; 12],
    pub(super) local: &'a Credentials,
    pub(super) remote: &'a Credentials,
    pub(super) priority: u32,
    pub(super) controlling: bool,
    pub(super) tie_breaker: u64,
    pub(super) nominates: bool,
}

/// What is wrong with a request that is none of our peer's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wrong {
    /// It proves nothing: 400.
    Unsealed,
    /// It proves something else: 401.
    Stranger,
    /// It wants what we don't know: 420.
    Unknown(u16),
}

/// What a request must be understood by (RFC 8489, 6.3.1), among what it may say.
const KNOWN: [u16; 4] = [kind::USERNAME, kind::MESSAGE_INTEGRITY, kind::PRIORITY, kind::USE_CANDIDATE];

impl Check<'_> {
    /// The request; `None` if names are longer than a message.
    pub(super) fn write(&self) -> Option<Vec<u8>> {
        let username = format!("{}:{}", self.remote.ufrag, self.local.ufrag);
        let role = if self.controlling { kind::ICE_CONTROLLING } else { kind::ICE_CONTROLLED };
        let builder = Builder::new(Class::Request, Method::Binding, self.id)
            .attribute(kind::USERNAME, username.as_bytes())
            .u32(kind::PRIORITY, self.priority)
            .u64(role, self.tie_breaker);
        let builder = if self.nominates { builder.attribute(kind::USE_CANDIDATE, &[]) } else { builder };
        seal(builder, self.remote.password.as_bytes())
    }
}

/// Whether a datagram is meant for the agent: STUN with a fingerprint, so that no media is taken for it (RFC 8445, 7.1.3).
pub(super) fn read(bytes: &[u8]) -> Option<Message<'_>> {
    let message = Message::parse(bytes).ok()?;
    (message.method() == Method::Binding && message.fingerprint() == Fingerprint::Valid).then_some(message)
}

/// Whether a request is of somebody who has read our description.
pub(super) fn verify(message: &Message<'_>, local: &Credentials) -> Result<(), Wrong> {
    let (Some(username), Some(_)) = (message.username(), message.message_integrity()) else {
        return Err(Wrong::Unsealed);
    };
    let is_ours = username.split(':').next() == Some(local.ufrag.as_str());
    if !is_ours || !is_sealed(message, local.password.as_bytes()) {
        return Err(Wrong::Stranger);
    }
    let unknown = message.counting().find(|a| a.is_required() && !KNOWN.contains(&a.kind));
    unknown.map_or(Ok(()), |attribute| Err(Wrong::Unknown(attribute.kind)))
}

/// The answer to a good one: this is where you are.
pub(super) fn success(message: &Message<'_>, source: SocketAddr, local: &Credentials) -> Option<Vec<u8>> {
    let builder = Builder::new(Class::Success, Method::Binding, *message.transaction_id());
    seal(builder.xor_address(kind::XOR_MAPPED_ADDRESS, source), local.password.as_bytes())
}

/// 487: both ends think that they choose, or that the other does (RFC 8445, 7.3.1.1).
pub(super) fn role_conflict(message: &Message<'_>, local: &Credentials) -> Option<Vec<u8>> {
    let builder = Builder::new(Class::Error, Method::Binding, *message.transaction_id());
    seal(builder.error_code(487, "Role Conflict"), local.password.as_bytes())
}

/// The answer to a wrong one (RFC 8489, 9.1.3). Only who is proven gets it sealed.
pub(super) fn refusal(message: &Message<'_>, wrong: Wrong, local: &Credentials) -> Option<Vec<u8>> {
    let builder = Builder::new(Class::Error, Method::Binding, *message.transaction_id());
    match wrong {
        Wrong::Unsealed => builder.error_code(400, "Bad Request").fingerprint().finish(),
        Wrong::Stranger => builder.error_code(401, "Unauthenticated").fingerprint().finish(),
        Wrong::Unknown(attribute) => {
            let builder = builder
                .error_code(420, "Unknown Attribute")
                .attribute(kind::UNKNOWN_ATTRIBUTES, &attribute.to_be_bytes());
            seal(builder, local.password.as_bytes())
        }
    }
}
