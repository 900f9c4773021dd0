//! The dialog that a SUBSCRIBE makes, and the NOTIFYs in it (RFC 6665; RFC 3261, 12).

use std::sync::Arc;
use std::time::Duration;

use carillon_wire::sip::{Address, Builder, Flow, Malformed, Message, Method, Name};

use super::Notify;
use crate::contract::{Destination, Listener};
use crate::dialect::provisioning::{EVENT, TYPE};
use crate::reply::Reply;

/// Longest text of a peer that is kept, and of all its routes together.
const MAX_TEXT: usize = 512;

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) aor: Arc<str>,
    /// Where the SUBSCRIBE came from; the NOTIFYs go back there.
    pub(super) flow: Flow,
    pub(super) expires: Duration,
    /// Grows with each new subscription; the table gives it.
    pub(super) number: u64,
    /// The version in the NOTIFY that is on its way.
    pub(super) told: Option<u64>,
    /// There was more to tell meanwhile.
    pub(super) again: bool,
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

impl Subscription {
    /// The dialog of a first SUBSCRIBE, with our end of it called `tag`.
    pub(super) fn begin(
        request: &Message<&[u8]>,
        flow: &Flow,
        listener: &Listener,
        aor: &Arc<str>,
        tag: &str,
    ) -> Result<Subscription, Reply> {
        let malformed = |Malformed(reason)| Reply::new(400, reason);
        let routing = request.routing().map_err(malformed)?;
        let remote_tag = text(routing.from.tag.unwrap_or_default())?;
        let mut remote = format!("<{}>", text(routing.from.uri_text)?);
        if !remote_tag.is_empty() {
            remote.push_str(&format!(";tag={remote_tag}"));
        }
        let routes: Result<Vec<_>, _> = request.values(Name::RecordRoute).map(text).collect();
        let routes = routes?;
        if routes.iter().map(String::len).sum::<usize>() > MAX_TEXT {
            return Err(Reply::new(400, "Record-Route Too Long"));
        }
        Ok(Subscription {
            aor: Arc::clone(aor),
            flow: *flow,
            expires: Duration::ZERO,
            number: 0,
            told: None,
            again: false,
            contact: contact(listener),
            call_id: text(routing.call_id)?,
            local: format!("<{}>;tag={tag}", text(routing.to.uri_text)?),
            remote,
            remote_tag,
            target: target(request)?,
            routes,
            sent: 0,
            heard: routing.cseq.number,
        })
    }

    /// A further SUBSCRIBE in the dialog. The client may have moved meanwhile.
    pub(super) fn refresh(
        &mut self,
        request: &Message<&[u8]>,
        flow: &Flow,
        aor: &Arc<str>,
    ) -> Result<(), Reply> {
        let routing = request.routing().map_err(|Malformed(reason)| Reply::new(400, reason))?;
        let ours = self.call_id.as_bytes() == routing.call_id
            && self.remote_tag.as_bytes() == routing.from.tag.unwrap_or_default()
            && self.aor == *aor;
        if !ours {
            return Err(Reply::new(481, "Subscription Does Not Exist"));
        }
        if routing.cseq.number <= self.heard {
            return Err(Reply::new(500, "CSeq Out of Order"));
        }
        if request.get(Name::Contact).is_some() {
            self.target = target(request)?;
        }
        (self.heard, self.flow) = (routing.cseq.number, *flow);
        Ok(())
    }

    /// A NOTIFY without its Via. `state` is the Subscription-State.
    pub(super) fn notify(
        &mut self,
        tag: &Arc<str>,
        state: &str,
        body: Option<&str>,
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
            ("Event", EVENT),
            ("Subscription-State", state),
        ] {
            notify = notify.header(name.as_bytes(), value.as_bytes())?;
        }
        if body.is_some() {
            notify = notify.header(b"Content-Type", TYPE.as_bytes())?;
        }
        let bytes = notify.finish(body.unwrap_or_default().as_bytes());
        Ok(Notify { subscription: Arc::clone(tag), to: Destination::Flow(self.flow), bytes })
    }
}

/// Where requests of the client in a dialog are sent.
pub(super) fn contact(listener: &Listener) -> String {
    let transport = listener.transport.name().to_ascii_lowercase();
    format!("<sip:{};transport={transport}>", listener.advertised)
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
