//! What goes into the user agent and what comes out: plain values.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::Transport;

use crate::contract::Transmit;

/// Who signs in where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address of record: `alice@example.com`.
    pub aor: String,
    /// Its password.
    pub password: Password,
    /// What leads to the server.
    pub transport: Transport,
    /// The server: everything is sent there, and requests are taken from nobody else.
    pub server: SocketAddr,
    /// What Via and Contact say. Port 0 leaves the port out, where only the connection leads back.
    pub local: SocketAddr,
    /// The device's name for life (RFC 5626, 4.1): `urn:uuid:…`.
    pub instance: String,
    /// What User-Agent says.
    pub user_agent: String,
    /// How long a registration shall hold, in seconds. The server may choose another time.
    pub expires: u32,
    /// Whether to ask for the document of the plan after every registration.
    pub provisioning: bool,
    /// How long to wait before signing in again.
    pub recovery: Recovery,
    /// Most calls at a time; a further one is answered 486.
    pub calls: usize,
}

impl Settings {
    /// What is before the `@`: the name that the password belongs to.
    pub(super) fn user(&self) -> &str {
        self.aor.split_once('@').map_or(&self.aor, |(user, _)| user)
    }

    /// What is behind the `@`.
    pub(super) fn domain(&self) -> &str {
        self.aor.split_once('@').map_or(&self.aor, |(_, domain)| domain)
    }
}

/// A password; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The waiting times of RFC 5626, 4.5: `base`, doubled with each failure up to `max`, of which half to all is waited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// The wait after the first failure.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for Recovery {
    fn default() -> Recovery {
        Recovery { base: Duration::from_secs(30), max: Duration::from_secs(1800) }
    }
}

/// A call, as the host and the agent call it. Never given a second time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallKey(pub(super) u64);

/// What the user wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Register, and stay registered.
    SignIn,
    /// End the registration. Calls go on.
    SignOut,
    /// Call somebody. The event [`Event::Calling`] names the call.
    Call {
        /// `bob@example.com`, or a whole SIP URI.
        to: String,
        /// The session description to offer.
        offer: Vec<u8>,
    },
    /// Say to the caller that it rings here.
    Ring(CallKey),
    /// Take a call, or agree to a change of it.
    Answer {
        /// Which.
        call: CallKey,
        /// The answer to what was offered; where nothing was offered, the offer.
        sdp: Vec<u8>,
    },
    /// Refuse a call, or a change of one that then goes on as it was.
    Reject {
        /// Which.
        call: CallKey,
        /// 400 to 699.
        code: u16,
        /// What is wrong here, for the other side's user (RFC 3261, 20.43).
        warning: Option<String>,
    },
    /// End a call, in whatever state it is.
    HangUp(CallKey),
    /// Publish a document to the server, which keeps no state of it. It is not told what became of it.
    Publish {
        /// The event package.
        event: &'static str,
        /// The type of the document.
        kind: &'static str,
        /// The document.
        document: Vec<u8>,
    },
}

/// What the agent wants done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Tell the user.
    Event(Event),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The registration holds. Comes once, not with every refresh.
    SignedIn {
        /// For how long the server keeps it without a refresh.
        expires: Duration,
        /// How often the server wants to hear line breaks on the flow (RFC 5626, 4.4).
        keep_alive: Option<Duration>,
    },
    /// The registration was ended as asked for.
    SignedOut,
    /// There is no registration, against the user's will.
    NotSignedIn {
        /// Why.
        why: Refusal,
        /// When it is tried again; never, if the server has said no.
        retry: Option<Duration>,
    },
    /// The document of the plan has come.
    Provisioned(Vec<u8>),
    /// The document of the plan was not given.
    NotProvisioned(Refusal),
    /// A call is being made.
    Calling {
        /// Which.
        call: CallKey,
        /// Its Call-ID.
        call_id: String,
    },
    /// The other side is being alerted, or something else goes on there.
    Progress {
        /// Which call.
        call: CallKey,
        /// 101 to 199.
        code: u16,
        /// A description that early media may follow.
        sdp: Option<Vec<u8>>,
    },
    /// Somebody calls. To be answered by [`Request::Answer`] or [`Request::Reject`].
    Incoming {
        /// Which call.
        call: CallKey,
        /// Its Call-ID.
        call_id: String,
        /// The URI that the caller claims.
        from: String,
        /// What is offered; `None` asks for our offer.
        offer: Option<Vec<u8>>,
    },
    /// The call is up.
    Answered {
        /// Which call.
        call: CallKey,
        /// The other side's answer, where ours was the offer.
        sdp: Option<Vec<u8>>,
    },
    /// The other side wants the session changed: held, resumed, moved. To be answered like a call.
    Offered {
        /// Which call.
        call: CallKey,
        /// What is offered; `None` asks for our offer.
        offer: Option<Vec<u8>>,
    },
    /// The call is over; nothing comes from it any more.
    Ended {
        /// Which call.
        call: CallKey,
        /// Why.
        why: Ending,
    },
}

/// Why a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// We hung up, or gave up before it was answered, or refused.
    HungUp,
    /// The other side hung up, or gave up before it was answered.
    RemoteHungUp {
        /// The Reason field, if there was one.
        reason: Option<String>,
    },
    /// The call was refused.
    Refused(Refusal),
    /// We answered, and the caller never confirmed it.
    NoAck,
}

/// A final answer other than success, from the other side or, for want of one, our own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// 300 to 699; 408 when nobody answered, 503 when the connection failed.
    pub code: u16,
    /// The reason phrase.
    pub reason: String,
    /// The Warning field, if there was one.
    pub warning: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)?;
        match &self.warning {
            Some(warning) => write!(f, " ({warning})"),
            None => Ok(()),
        }
    }
}
