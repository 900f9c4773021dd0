//! Requests to the Front End itself.

use std::time::Duration;

use carillon_wire::sip::{Method, Name, Uri};

use crate::admission::unsupported;
use crate::front_end::FrontEnd;
use crate::incoming::{Incoming, tag};
use crate::provisioning::{self, Subscribe};
use crate::reply::Reply;
use crate::transaction::Key;

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, MESSAGE, INFO, PRACK, UPDATE, REFER, PUBLISH";
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
                Err(abilities(Reply::new(200, "OK")))
            }
            Method::Subscribe if provisioning::is_asked_for(incoming.message) => {
                self.provision(now, incoming, key)
            }
            _ if incoming.has_dialog() => Err(Reply::new(481, "Call/Transaction Does Not Exist")),
            _ => Err(Reply::new(405, "Method Not Allowed").field("Allow", ALLOW)),
        }
    }

    /// A SUBSCRIBE for the plan's document.
    pub(crate) fn provision(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        key: Key,
    ) -> Result<(), Reply> {
        unsupported(incoming, Name::Require, &[])?;
        let aor = self.authenticate(now, incoming, false)?;
        let tag = tag(&self.proxy.secret, incoming.message);
        let end = self.proxy.ends.of(&incoming.flow).ok_or(Reply::new(403, "No Such Listener"))?;
        let asked = Subscribe {
            flow: &incoming.flow,
            listener: &end.listener,
            request: incoming.message,
            tag: &tag,
            aor: &aor,
            registrar: &mut self.registrar,
            out: &mut self.proxy.out,
        };
        let reply = self.provisioning.subscribe(now, asked);
        self.proxy.answer(now, incoming, key, &reply);
        Ok(())
    }

    fn register(&mut self, now: Duration, incoming: &Incoming<'_>, key: Key) -> Result<(), Reply> {
        let end = self.proxy.ends.of(&incoming.flow).ok_or(Reply::new(403, "No Such Listener"))?;
        let (listener, out) = (&end.listener, &mut self.proxy.out);
        let reply = self.registrar.register(now, &incoming.flow, listener, incoming.message, out);
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
        .field("Accept-Encoding", "identity")
        .field("Accept-Language", "en")
        .field("Supported", SUPPORTED.join(", "))
}
