//! Requests to the Front End itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Method, Name, Uri};

use crate::address;
use crate::admission::{UNAVAILABLE, unsupported};
use crate::contract::{Change, Output};
use crate::events::{ALLOW_EVENTS, Asked, Package};
use crate::front_end::{FrontEnd, unkept};
use crate::incoming::{Incoming, tag};
use crate::provisioning::Subscribe;
use crate::records::{self, QualityReport, Record};
use crate::reply::Reply;
use crate::transaction::Key;

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, MESSAGE, INFO, PRACK, UPDATE, REFER, PUBLISH, SERVICE";
const SUPPORTED: &[&str] = &["path", "outbound"];

impl FrontEnd {
    /// Whether a request is for the server and not for a user.
    pub(crate) fn is_for_us(&self, incoming: &Incoming<'_>, uri: &Uri<'_>) -> bool {
        (uri.user.is_none() || incoming.method() == Method::Register) && self.is_ours(incoming, uri)
    }

    pub(crate) fn serve(&mut self, now: Duration, incoming: &Incoming<'_>, key: Key) -> Result<(), Reply> {
        match incoming.method() {
            Method::Register => self.register(now, incoming, key),
            Method::Options => {
                unsupported(incoming, Name::Require, SUPPORTED)?;
                Err(self.homes(incoming).unwrap_or_else(|| abilities(Reply::new(200, "OK"))))
            }
            Method::Subscribe | Method::Publish if !incoming.has_dialog() => {
                Err(Reply::new(489, "Bad Event").field("Allow-Events", ALLOW_EVENTS))
            }
            Method::Service => self.relay_service(now, incoming, key),
            _ if incoming.has_dialog() => Err(Reply::new(481, "Call/Transaction Does Not Exist")),
            _ => Err(Reply::new(405, "Method Not Allowed").field("Allow", ALLOW)),
        }
    }

    /// A SUBSCRIBE or PUBLISH to one of the packages of which we tell; `to` is the user whom its Request-URI means.
    pub(crate) fn event(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        (package, to): (Package, &str),
        key: Key,
    ) -> Result<(), Reply> {
        // Who takes part in a list says so with Require, too.
        unsupported(
            incoming,
            Name::Require,
            if package == Package::Presence { &["eventlist"] } else { &[] },
        )?;
        let aor = self.watcher(now, incoming, package)?;
        let tag = tag(&self.proxy.secret, incoming.message);
        let end = self.proxy.ends.of(&incoming.flow).ok_or(Reply::new(403, "No Such Listener"))?;
        let (listener, request) = (&end.listener, incoming.message);
        let asked = Asked { flow: &incoming.flow, listener, request, tag: &tag, aor: &aor };
        let (registrar, out) = (&mut self.registrar, &mut self.proxy.out);
        let reply = match (package, incoming.method()) {
            (Package::Provisioning, _) => {
                self.provisioning.subscribe(now, Subscribe { asked, registrar, out })
            }
            (Package::Quality, _) => reported(&asked, out),
            (_, Method::Publish) => self.presence.publish(now, &asked, to, registrar, out),
            _ => self.presence.subscribe(now, &asked, (package, to), registrar),
        };
        self.proxy.answer(now, incoming, key, &reply);
        Ok(())
    }

    /// Who sent a request for an event. Our Edge has asked whoever is elsewhere for a certificate of its domain; such a one may
    /// watch, and nothing else.
    fn watcher(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        package: Package,
    ) -> Result<Arc<str>, Reply> {
        let may = package == Package::Presence && incoming.method() == Method::Subscribe;
        // Another Front End has proven who it is; or did so when the dialog began, and only they and we know its tags.
        let asserted = self.asserted(incoming).map(Arc::from);
        if let Some(asserted) = asserted.filter(|_| may) {
            return Ok(asserted);
        }
        let goes_on =
            incoming.has_dialog() && self.is_from_director(incoming) && !self.is_from_one_of_us(incoming);
        if !may || !self.edges.are(&incoming.flow) || self.must_prove(incoming) && !goes_on {
            return self.authenticate(now, incoming, false);
        }
        let from = incoming.routing.from.uri().ok().and_then(|from| address::aor(&from));
        from.map(Arc::from).ok_or(Reply::new(403, "Forbidden"))
    }

    /// A message for a user who can't be reached.
    pub(crate) fn keep(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        to: Option<Arc<str>>,
        (key, remembered): (Key, Vec<Change>),
    ) -> Result<(), Reply> {
        if !self.proxy.keeping {
            return Err(unkept());
        }
        let kept = to.is_some_and(|to| self.letters.keep(now, &to, incoming.message, &mut self.proxy.out));
        if !kept {
            return Err(UNAVAILABLE);
        }
        self.proxy.out.extend(remembered.into_iter().map(Output::Save));
        self.proxy.answer(now, incoming, key, &Reply::new(202, "Accepted"));
        Ok(())
    }

    fn register(&mut self, now: Duration, incoming: &Incoming<'_>, key: Key) -> Result<(), Reply> {
        let sender = self.sender(incoming);
        let end = self.proxy.ends.of(&incoming.flow).ok_or(Reply::new(403, "No Such Listener"))?;
        let (listener, out) = (&end.listener, &mut self.proxy.out);
        let reply = self.registrar.register(now, [&incoming.flow, &sender], listener, incoming.message, out);
        // A challenge may be given a second time; a change of bindings must not be made twice.
        match reply.answer.code {
            401 | 503 => Err(reply),
            _ => {
                self.proxy.answer(now, incoming, key, &reply);
                Ok(())
            }
        }
    }
}

fn abilities(reply: Reply) -> Reply {
    reply
        .field("Allow", ALLOW)
        .field("Accept", "application/sdp, application/pidf+xml, text/plain")
        .field("Allow-Events", ALLOW_EVENTS)
        .field("Accept-Encoding", "identity")
        .field("Accept-Language", "en")
        .field("Supported", SUPPORTED.join(", "))
}

/// A phone says how it has heard a call. The state is in the record, and nothing of it is kept here (RFC 3903, 4.1).
fn reported(asked: &Asked<'_>, out: &mut VecDeque<Output>) -> Reply {
    let is_report =
        asked.request.content_type().is_some_and(|kind| kind.is(b"application", records::EVENT.as_bytes()));
    if !is_report {
        return Reply::new(415, "Unsupported Media Type").field("Accept", records::DOCUMENT);
    }
    match QualityReport::read(asked.request.body(), asked.aor) {
        Some(report) => {
            out.push_back(Output::Record(Box::new(Record::Report(report))));
            Reply::new(200, "OK").field("SIP-ETag", asked.tag).field("Expires", "0")
        }
        None => Reply::new(400, "Unreadable Quality Report"),
    }
}
