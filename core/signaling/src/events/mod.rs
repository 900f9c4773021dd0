//! Subscriptions (RFC 6665), whatever they are to: their dialogs, how long they last, and the NOTIFYs in them.
//!
//! What is told, to whom and when is the business of each event package.

mod dialog;
mod table;

use std::sync::Arc;

use carillon_wire::sip::{Flow, Message, Method, Name};

use crate::contract::{Destination, Listener};
use crate::dialect::provisioning::EVENT as PROVISIONING;
use crate::records;
use crate::reply::Reply;
pub(crate) use dialog::Subscription;
pub(crate) use table::Table;

/// Seconds that a subscription or a publication may last: less is refused, more is cut down; what it lasts if the client does
/// not say.
pub(crate) const MIN_EXPIRES: u32 = 60;
const MAX_EXPIRES: u32 = 8 * 3600;
const DEFAULT_EXPIRES: u32 = 3600;

/// The packages of which the Front End itself tells.
pub(crate) const ALLOW_EVENTS: &str = "presence, presence.winfo, vnd-microsoft-provisioning-v2, vq-rtcpxr";

/// What can be subscribed to here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Package {
    /// The plan's document.
    Provisioning,
    /// How a user can be reached (RFC 3856), or all contacts of a list (RFC 4662).
    Presence,
    /// Who watches a user (RFC 3857).
    Watchers,
    /// How calls are heard (RFC 6035): published here, told to nobody.
    Quality,
}

/// A request of ours that waits to be sent. It has no Via yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Notify {
    /// Whose answer the package wants to hear.
    pub(crate) subscription: Arc<str>,
    pub(crate) to: Destination,
    pub(crate) bytes: Vec<u8>,
}

/// What a NOTIFY carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) kind: &'a str,
    pub(crate) text: &'a str,
    /// What the client must understand.
    pub(crate) require: Option<&'static str>,
}

/// A SUBSCRIBE or PUBLISH for the Front End itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) listener: &'a Listener,
    pub(crate) request: &'a Message<&'a [u8]>,
    /// What the answer's To gets if it has no tag.
    pub(crate) tag: &'a str,
    /// Who sent it, proven.
    pub(crate) aor: &'a Arc<str>,
}

impl Package {
    /// The package of a SUBSCRIBE or PUBLISH, if it is one of ours. Whatever address it is sent to.
    pub(crate) fn of(request: &Message<&[u8]>) -> Option<Package> {
        let event = request.event()?.kind;
        let is = |name: &str| event.eq_ignore_ascii_case(name.as_bytes());
        match request.method()? {
            Method::Subscribe if is(PROVISIONING) => Some(Package::Provisioning),
            Method::Subscribe if is("presence.winfo") => Some(Package::Watchers),
            Method::Subscribe | Method::Publish if is("presence") => Some(Package::Presence),
            Method::Publish if is(records::EVENT) => Some(Package::Quality),
            _ => None,
        }
    }
}

impl Asked<'_> {
    /// The tag that we gave the dialog of this request, if it belongs to one.
    pub(crate) fn dialog(&self) -> Result<Option<&str>, Reply> {
        let Some(tag) = self.request.to().and_then(Result::ok).and_then(|to| to.tag) else { return Ok(None) };
        std::str::from_utf8(tag).map(Some).map_err(|_| unknown())
    }

    /// The 200. The route that the SUBSCRIBE recorded goes back with it (RFC 3261, 12.1.1): later ones come the same way.
    pub(crate) fn accepted(&self, expires: u32) -> Reply {
        let routes = self.request.values(Name::RecordRoute).map(String::from_utf8_lossy);
        let reply = routes.fold(Reply::new(200, "OK"), |reply, route| {
            reply.field("Record-Route", route.replace(['\r', '\n'], " "))
        });
        reply
            .field("Expires", expires.to_string())
            .field("Contact", dialog::contact(self.listener))
            .field("Event", dialog::event(self.request))
    }

    /// 406 unless the client takes a document of this type.
    pub(crate) fn check_takes(&self, document: &'static str) -> Result<(), Reply> {
        let takes = |kind: &[u8]| {
            let kind = kind.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
            kind == b"*/*"
                || kind.eq_ignore_ascii_case(b"application/*")
                || kind.eq_ignore_ascii_case(document.as_bytes())
        };
        let mut accepts = self.request.values(Name::Accept).peekable();
        match accepts.peek().is_none() || accepts.any(takes) {
            true => Ok(()),
            false => Err(Reply::new(406, "Not Acceptable").field("Accept", document)),
        }
    }
}

/// Seconds granted; 0: nothing that lasts, or the end of it.
pub(crate) fn expires(request: &Message<&[u8]>) -> Result<u32, Reply> {
    match request.expires().and_then(Result::ok).unwrap_or(DEFAULT_EXPIRES) {
        0 => Ok(0),
        1..MIN_EXPIRES => {
            Err(Reply::new(423, "Interval Too Brief").field("Min-Expires", MIN_EXPIRES.to_string()))
        }
        seconds => Ok(seconds.min(MAX_EXPIRES)),
    }
}

/// What is said of a dialog that is not, or not that client's.
pub(crate) fn unknown() -> Reply {
    Reply::new(481, "Subscription Does Not Exist")
}
