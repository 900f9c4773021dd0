//! The dialog that a SUBSCRIBE makes, and the NOTIFYs in it (RFC 6665; RFC 3261, 12).

use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Address, Builder, Flow, Malformed, Message, Method, Name};

use super::{Asked, Body, Notify, unknown};
use crate::contract::{Destination, Listener};
use crate::reply::Reply;

/// Longest text of a peer that is kept.
const MAX_TEXT: usize = 512;
/// Bytes that all its routes may take: twice what two Front Ends, the Director between them and an Edge write for a client of IPv6.
const MAX_ROUTES: usize = 2048;

/// A subscription, with what its package remembers of it.
#[derive(Debug)]
pub(crate) struct Subscription<T> {
    /// Who has subscribed.
    pub(crate) aor: Arc<str>,
    /// Where the SUBSCRIBE came from; the NOTIFYs go back there.
    pub(crate) flow: Flow,
    pub(crate) expires: Duration,
    /// Grows with each new subscription; the table gives it.
    pub(super) number: u64,
    pub(crate) state: T,
    event: String,
    contact: String,
    call_id: String,
    local: String,
    remote: String,
    remote_tag: String,
    target: String,
    routes: Vec<String>,
    sent: u32,
    heard: u32,
}

impl<T> Subscription<T> {
    /// The dialog of a first SUBSCRIBE, with our end of it called by the tag of the answer.
    pub(crate) fn begin(asked: &Asked<'_>, expires: Duration, state: T) -> Result<Subscription<T>, Reply> {
        let Asked { request, flow, listener, aor, tag } = asked;
        let routing = request.routing().map_err(|Malformed(reason)| Reply::new(400, reason))?;
        let remote_tag = text(routing.from.tag.unwrap_or_default())?;
        let mut remote = format!("<{}>", text(routing.from.uri_text)?);
        if !remote_tag.is_empty() {
            remote.push_str(&format!(";tag={remote_tag}"));
        }
        Ok(Subscription {
            aor: Arc::clone(aor),
            flow: **flow,
            expires,
            number: 0,
            state,
            event: text(event(request).as_bytes())?,
            contact: contact(listener),
            call_id: text(routing.call_id)?,
            local: format!("<{}>;tag={tag}", text(routing.to.uri_text)?),
            remote,
            remote_tag,
            target: target(request)?,
            routes: routes(request)?,
            sent: 0,
            heard: routing.cseq.number,
        })
    }

    /// A further SUBSCRIBE in the dialog. The client may have moved meanwhile.
    pub(crate) fn refresh(&mut self, asked: &Asked<'_>) -> Result<(), Reply> {
        let request = asked.request;
        let routing = request.routing().map_err(|Malformed(reason)| Reply::new(400, reason))?;
        let ours = self.call_id.as_bytes() == routing.call_id
            && self.remote_tag.as_bytes() == routing.from.tag.unwrap_or_default()
            && self.event == event(request)
            && self.aor == *asked.aor;
        if !ours {
            return Err(unknown());
        }
        if routing.cseq.number <= self.heard {
            return Err(Reply::new(500, "CSeq Out of Order"));
        }
        if request.get(Name::Contact).is_some() {
            self.target = target(request)?;
        }
        (self.heard, self.flow) = (routing.cseq.number, *asked.flow);
        Ok(())
    }

    /// A NOTIFY without its Via. `state` is the Subscription-State.
    pub(crate) fn notify(
        &mut self,
        tag: &Arc<str>,
        state: &str,
        body: Option<Body<'_>>,
    ) -> Result<Notify, Malformed> {
        self.sent += 1;
        let cseq = format!("{} NOTIFY", self.sent);
        let mut notify = Builder::request(Method::Notify, self.target.as_bytes())?;
        for route in &self.routes {
            notify = notify.header(b"Route", route.as_bytes())?;
        }
        for (name, value) in [
            ("Max-Forwards", "70"),
            ("From", &self.local),
            ("To", &self.remote),
            ("Call-ID", &self.call_id),
            ("CSeq", &cseq),
            ("Contact", &self.contact),
            ("Event", &self.event),
            ("Subscription-State", state),
        ] {
            notify = notify.header(name.as_bytes(), value.as_bytes())?;
        }
        if let Some(require) = body.and_then(|body| body.require) {
            notify = notify.header(b"Require", require.as_bytes())?;
        }
        if let Some(body) = body {
            notify = notify.header(b"Content-Type", body.kind.as_bytes())?;
        }
        let bytes = notify.finish(body.map_or("", |body| body.text).as_bytes());
        Ok(Notify { subscription: Arc::clone(tag), to: Destination::Flow(self.flow), bytes })
    }
}

/// Where requests of the client in a dialog are sent.
pub(super) fn contact(listener: &Listener) -> String {
    let transport = listener.transport.name().to_ascii_lowercase();
    format!("<sip:{};transport={transport}>", listener.advertised)
}

/// The event as it is written back: the package, and the id that tells subscriptions of a dialog apart (RFC 6665, 8.2.1).
pub(super) fn event(request: &Message<&[u8]>) -> String {
    let Some(event) = request.event() else { return String::new() };
    let id = event.params.get("id").map(|id| format!(";id={}", String::from_utf8_lossy(id)));
    format!("{}{}", String::from_utf8_lossy(event.kind), id.unwrap_or_default()).replace(['\r', '\n'], " ")
}

fn routes(request: &Message<&[u8]>) -> Result<Vec<String>, Reply> {
    let routes: Result<Vec<_>, _> = request.values(Name::RecordRoute).map(text).collect();
    let routes = routes?;
    // Many short ones cost more than their text.
    let kept = |route: &String| route.len() + size_of::<String>();
    match routes.iter().map(kept).sum::<usize>() > MAX_ROUTES {
        true => Err(Reply::new(400, "Record-Route Too Long")),
        false => Ok(routes),
    }
}

fn target(request: &Message<&[u8]>) -> Result<String, Reply> {
    let contact = request.addresses(Name::Contact).next().and_then(Result::ok);
    let is_sip = |contact: &Address<'_>| contact.uri().is_ok_and(|uri| uri.is_sip());
    text(contact.filter(is_sip).ok_or(Reply::new(400, "SUBSCRIBE Without a Contact"))?.uri_text)
}

/// A peer's text, as it can be written into a field: without the line breaks of folding.
fn text(bytes: &[u8]) -> Result<String, Reply> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= MAX_TEXT => Ok(text.replace(['\r', '\n'], " ")),
        Ok(_) => Err(Reply::new(400, "Address Too Long")),
        Err(_) => Err(Reply::new(400, "Address Is No Text")),
    }
}
