//! What goes into the Front End and what comes out: plain values.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::{Plan, TrafficClass};
pub use carillon_wire::sip::Destination;
use carillon_wire::sip::{Flow, Transport};

use crate::messages::{HistoryEntry, HistoryPolicy, HistoryReceipt};
use crate::numbers::Dialling;
use crate::presence::Roster;
use crate::records::Record;
use crate::registrar::LockOut;
use crate::relays::Relays;
use crate::rules::CallRules;
use crate::user::{Algorithms, User};

/// A place where the Front End is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    /// What it speaks.
    pub transport: Transport,
    /// Where it is bound; flows are told by it. The port is the real one.
    pub address: SocketAddr,
    /// What Via and Record-Route say: a name or address with its port, as the peers reach it.
    pub advertised: String,
    /// What users are challenged with here.
    pub algorithms: Algorithms,
}

/// What the Front End wants done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Make this durable before anything that comes later leaves.
    Save(Change),
    /// Send this.
    Transmit(Transmit),
    /// A connection may stay: one of our users has proven to be behind it, or is in a call with whoever is. Connections of
    /// which this is not said may be ended soon; it is said as often as it is proven.
    Trust(Flow),
    /// Close a connection: what came on it cannot be trusted any more, or its user has gone.
    Close(Flow),
    /// Something that an administrator may want to know.
    Event(Event),
    /// Keep this of a call. Nothing waits for it.
    Record(Box<Record>),
}

/// A message to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Where to.
    pub to: Destination,
    /// Which decides the mark.
    pub class: TrafficClass,
    /// The whole message.
    pub bytes: Vec<u8>,
}

/// A change of what must survive a crash.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// A binding is new or refreshed; it replaces the one with the same `aor` and `key`.
    Bind(Arc<Binding>),
    /// A binding is gone.
    Unbind {
        /// Whose.
        aor: Arc<str>,
        /// Which of them.
        key: Arc<str>,
    },
    /// A device has published, or says that it still holds; it replaces what has the same `aor` and `key`.
    Publish(Arc<Publication>),
    /// What a device has published is over.
    Unpublish {
        /// Whose.
        aor: Arc<str>,
        /// Which of them.
        key: String,
    },
    /// A message waits for its user, or has been tried; it replaces what has the same `aor` and `key`.
    Keep(Arc<Letter>),
    /// A message has been delivered, or is over.
    Forget {
        /// Whose.
        aor: Arc<str>,
        /// Which of them.
        key: String,
    },
    /// A message has become part of the history of a user.
    Remember(Arc<HistoryEntry>),
    /// Something has become of messages of that name in the history of a user, if there are any.
    Receipt(Arc<HistoryReceipt>),
}

/// A message for a user who could not be reached when it came (RFC 3428).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// For whom: `alice@example.com`.
    pub aor: Arc<str>,
    /// Tells letters apart; later ones are greater.
    pub key: String,
    /// When it came, since the Unix epoch.
    pub kept: Duration,
    /// When nobody wants it any more, since the Unix epoch.
    pub expires: Duration,
    /// Whether it has been sent to a phone, which may have had it.
    pub tried: bool,
    /// The message without what belongs to the way that it came.
    pub text: Vec<u8>,
}

/// What a device has published of its user's presence (RFC 3903).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publication {
    /// Whose: `alice@example.com`.
    pub aor: Arc<str>,
    /// Tells publications of a user apart; stays while the device publishes anew.
    pub key: String,
    /// Names the state; another one after each PUBLISH.
    pub etag: String,
    /// When it was last said otherwise, since the Unix epoch.
    pub changed: Duration,
    /// When it ends, since the Unix epoch.
    pub expires: Duration,
    /// The document, as it came.
    pub document: String,
}

/// One contact of a user (RFC 3261, 10): where a phone can be reached, until when.
#[derive(Clone, PartialEq, Debug)]
pub struct Binding {
    /// Whose: `alice@example.com`.
    pub aor: Arc<str>,
    /// Tells bindings of a user apart: instance and reg-id (RFC 5626), or else the contact's URI, and then the same text.
    pub key: Arc<str>,
    /// The contact's URI, as the phone wrote it.
    pub contact: Arc<str>,
    /// Where the REGISTER came from; requests to the phone go back there.
    pub flow: Flow,
    /// The Path of the REGISTER, if it came through a proxy (RFC 3327).
    pub path: Vec<String>,
    /// Call-ID of the REGISTER.
    pub call_id: Box<str>,
    /// CSeq of the REGISTER: an older one changes nothing.
    pub cseq: u32,
    /// `q`, in thousandths.
    pub q: u16,
    /// When it ends, since the Unix epoch.
    pub expires: Duration,
    /// What the phone calls itself; one text for all phones of a kind.
    pub user_agent: Arc<str>,
    /// Version of the plan that the phone was last given.
    pub plan_version: Option<u64>,
}

/// What an administrator asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Add a user, or change one.
    PutUser(User),
    /// Remove a user with all bindings.
    RemoveUser(String),
    /// From now on this plan holds. Sockets that are open keep what they have until their sessions end.
    SetPlan {
        /// The plan.
        plan: Arc<Plan>,
        /// Its version.
        version: u64,
    },
    /// What a user keeps at the server: contacts, and who may watch it.
    SetRoster {
        /// Whose.
        aor: String,
        /// What.
        roster: Roster,
    },
    /// What becomes of calls for a user from now on.
    SetRules {
        /// Whose.
        aor: String,
        /// What.
        rules: CallRules,
    },
    /// What dialled numbers mean, and where voicemail is: an address of record, in lower case.
    SetDialling {
        /// The rules; without any every number is written from its `+` on.
        dialling: Dialling,
        /// Where calls go whose rules say voicemail; such rules can't be followed without it.
        voicemail: Option<String>,
    },
    /// Whose instant messages are kept from now on; nobody's before this is said.
    SetHistory(HistoryPolicy),
    /// The relays that users are given from now on; there are none before this is said.
    SetRelays(Option<Relays>),
    /// When who gives wrong passwords is locked out, from now on.
    SetLockOut(LockOut),
    /// Wrong passwords for this user are forgiven, wherever they came from.
    Unlock(String),
    /// The listeners from now on (reload).
    SetListeners(Vec<Listener>),
    /// Take on no new calls and registrations: they are answered 503 with Retry-After. What runs, goes on.
    Drain,
}

/// What happened. No secrets; addresses and names are for debug logs only.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A contact was added (not merely refreshed).
    Registered {
        /// Whose.
        aor: Arc<str>,
    },
    /// A contact ended: it was removed, it expired, or its connection closed.
    Unregistered {
        /// Whose.
        aor: Arc<str>,
    },
    /// Wrong credentials.
    Denied {
        /// Whom the request said it was from; not proven.
        aor: String,
        /// Where it came from.
        remote: SocketAddr,
        /// Why.
        why: Failure,
    },
    /// Somebody has given so many wrong passwords for a user that nothing more is looked at from there for a while.
    LockedOut {
        /// For whom.
        aor: String,
        /// Where they came from.
        remote: SocketAddr,
    },
    /// A user was given the document of the plan.
    Provisioned {
        /// Whom.
        aor: Arc<str>,
        /// The version given.
        version: u64,
    },
    /// A call was answered.
    CallStarted {
        /// Its Call-ID.
        call_id: String,
    },
    /// A call ended.
    CallEnded {
        /// Its Call-ID.
        call_id: String,
    },
}

/// Why credentials were refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Failure {
    /// No such user.
    UnknownUser,
    /// The response does not prove the password.
    WrongPassword,
    /// The nonce is not ours.
    ForeignNonce,
    /// The nonce count was seen before.
    Replay,
    /// Credentials for somebody else.
    WrongUser,
    /// A token that is not ours, is over, or is not of whom the request says it is from.
    WrongToken,
    /// Not looked at: there were too many wrong ones before.
    TooSoon,
    /// Not looked at: where they come from is locked out of this user.
    Locked,
    /// Not looked at: who judges this user's passwords is not asked for a while, as it would lock the user out.
    Withheld,
    /// They may be right, but who judges them does not let this user sign in now.
    Barred,
    /// Credentials that answer no challenge of ours: without `qop`, of an algorithm that was not offered or is not taken
    /// from this user, for another request.
    Unfit,
}

impl Failure {
    /// Whether it may be somebody who tries passwords. What answers no challenge of ours, and what was right once, is none.
    pub(crate) const fn is_guess(self) -> bool {
        match self {
            Failure::UnknownUser | Failure::WrongPassword | Failure::WrongUser | Failure::Unfit => true,
            // A token has too many bits to be found by trying.
            Failure::ForeignNonce
            | Failure::Replay
            | Failure::TooSoon
            | Failure::Locked
            | Failure::Withheld
            | Failure::Barred
            | Failure::WrongToken => false,
        }
    }

    /// A name for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Failure::UnknownUser => "unknown-user",
            Failure::WrongPassword => "wrong-password",
            Failure::ForeignNonce => "foreign-nonce",
            Failure::Replay => "replay",
            Failure::WrongUser => "wrong-user",
            Failure::WrongToken => "wrong-token",
            Failure::TooSoon => "too-soon",
            Failure::Locked => "locked",
            Failure::Withheld => "withheld",
            Failure::Barred => "barred",
            Failure::Unfit => "unfit",
        }
    }
}
