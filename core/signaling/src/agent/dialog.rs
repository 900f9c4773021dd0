//! What the requests of one conversation have in common (RFC 3261, 12).
//!
//! A registration and a subscription count their requests like a dialog, and are kept as one. No timers, no calls.

use carillon_wire::sip::{Address, Builder, Malformed, Message, Method, Name, Routing};

use super::token::Tokens;

/// Both ends, the way between them, and the numbers of requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// Our URI and tag.
    local: String,
    pub(super) local_tag: String,
    /// The other side's From or To without its tag.
    remote: String,
    pub(super) remote_tag: Option<String>,
    /// Where requests go in the end: the other side's Contact.
    target: String,
    route: Vec<String>,
    cseq: u32,
    remote_cseq: Option<u32>,
}

/// A request that has no number, branch and credentials yet; they differ each time it is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Draft {
    pub(super) method: Method<'static>,
    pub(super) fields: Vec<(&'static str, String)>,
    /// Content type and body.
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    /// How often a challenge was answered for it.
    pub(super) attempts: u8,
}

/// What makes a draft a message.
pub(super) struct Stamp<'a> {
    pub(super) via: &'a str,
    pub(super) cseq: u32,
    pub(super) user_agent: &'a str,
    pub(super) credentials: &'a [(&'static str, String)],
}

impl Draft {
    pub(super) fn new(method: Method<'static>) -> Draft {
        Draft { method, fields: Vec::new(), body: None, attempts: 0 }
    }

    pub(super) fn field(mut self, name: &'static str, value: impl Into<String>) -> Draft {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, content_type: &'static str, body: Vec<u8>) -> Draft {
        self.body = Some((content_type, body));
        self
    }
}

impl Dialog {
    /// One that begins with a request of ours to `remote`, a URI.
    pub(super) fn outgoing(tokens: &mut Tokens, local: &str, remote: &str, target: &str) -> Dialog {
        Dialog {
            call_id: tokens.text(),
            local: format!("<{local}>"),
            local_tag: tokens.text(),
            remote: format!("<{remote}>"),
            remote_tag: None,
            target: target.to_owned(),
            route: Vec::new(),
            cseq: 0,
            remote_cseq: None,
        }
    }

    /// One that begins with a request of the other side (RFC 3261, 12.1.1).
    pub(super) fn incoming<B: AsRef<[u8]>>(
        tokens: &mut Tokens,
        request: &Message<B>,
        routing: &Routing<'_>,
    ) -> Option<Dialog> {
        Some(Dialog {
            call_id: text(routing.call_id),
            local: format!("<{}>", text(routing.to.uri_text)),
            local_tag: tokens.text(),
            remote: untagged(&routing.from),
            remote_tag: routing.from.tag.map(text),
            target: contact(request)?,
            route: route(request),
            cseq: 0,
            remote_cseq: Some(routing.cseq.number),
        })
    }

    /// The way of the first request, before there is a dialog (RFC 3608).
    pub(super) fn preload(&mut self, route: &[String]) {
        self.route = route.to_vec();
    }

    /// Takes the other side's tag, contact and way from its answer to our first request (RFC 3261, 12.1.2).
    pub(super) fn establish<B: AsRef<[u8]>>(&mut self, response: &Message<B>) {
        self.remote_tag = tag(response.to());
        self.route = route(response);
        self.route.reverse();
        self.retarget(response);
    }

    /// The other side may move by giving another contact (RFC 3261, 12.2).
    pub(super) fn retarget<B: AsRef<[u8]>>(&mut self, message: &Message<B>) {
        if let Some(contact) = contact(message) {
            self.target = contact;
        }
    }

    /// Whether a request of the other side belongs here.
    pub(super) fn holds(&self, routing: &Routing<'_>) -> bool {
        routing.call_id == self.call_id.as_bytes()
            && routing.to.tag == Some(self.local_tag.as_bytes())
            && routing.from.tag == self.remote_tag.as_deref().map(str::as_bytes)
    }

    /// Whether a request is newer than all before it; then it is the newest (RFC 3261, 12.2.2).
    pub(super) fn advance(&mut self, cseq: u32) -> bool {
        let newer = self.remote_cseq.is_none_or(|last| cseq > last);
        if newer {
            self.remote_cseq = Some(cseq);
        }
        newer
    }

    /// The number of the next request.
    pub(super) fn next_cseq(&mut self) -> u32 {
        self.cseq += 1;
        self.cseq
    }

    /// What the Request-URI says; digests are made over it.
    pub(super) fn request_uri(&self) -> &str {
        match self.route.first() {
            Some(first) if is_strict(first) => uri_of(first),
            _ => &self.target,
        }
    }

    /// The message. An error means that something received cannot be sent.
    pub(super) fn write(&self, draft: &Draft, stamp: &Stamp<'_>) -> Result<Vec<u8>, Malformed> {
        let mut request = Builder::request(draft.method, self.request_uri().as_bytes())?
            .header(b"Via", stamp.via.as_bytes())?
            .header(b"Max-Forwards", b"70")?
            .header(b"From", format!("{};tag={}", self.local, self.local_tag).as_bytes())?
            .header(b"To", self.to().as_bytes())?
            .header(b"Call-ID", self.call_id.as_bytes())?
            .header(b"CSeq", format!("{} {}", stamp.cseq, draft.method).as_bytes())?;
        for hop in self.hops() {
            request = request.header(b"Route", hop.as_bytes())?;
        }
        for (name, value) in draft.fields.iter().chain(stamp.credentials) {
            request = request.header(name.as_bytes(), value.as_bytes())?;
        }
        request = request.header(b"User-Agent", stamp.user_agent.as_bytes())?;
        match &draft.body {
            Some((kind, body)) => Ok(request.header(b"Content-Type", kind.as_bytes())?.finish(body)),
            None => Ok(request.finish(b"")),
        }
    }

    fn to(&self) -> String {
        match &self.remote_tag {
            Some(tag) => format!("{};tag={tag}", self.remote),
            None => self.remote.clone(),
        }
    }

    /// The Route fields. A strict router takes its own URI out of the Request-URI and expects the target at the
    /// end (RFC 3261, 12.2.1.1).
    fn hops(&self) -> Vec<String> {
        match self.route.split_first() {
            Some((first, rest)) if is_strict(first) => {
                rest.iter().cloned().chain([format!("<{}>", self.target)]).collect()
            }
            _ => self.route.clone(),
        }
    }
}

/// Text that was received, on one line: a folded value is the same value (RFC 3261, 7.3.1).
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(['\r', '\n'], " ")
}

fn untagged(address: &Address<'_>) -> String {
    match address.display {
        [] => format!("<{}>", text(address.uri_text)),
        display => format!("\"{}\" <{}>", text(display), text(address.uri_text)),
    }
}

fn tag(address: Option<Result<Address<'_>, Malformed>>) -> Option<String> {
    address?.ok()?.tag.map(text)
}

fn contact<B: AsRef<[u8]>>(message: &Message<B>) -> Option<String> {
    let contact = message.addresses(Name::Contact).next()?.ok()?;
    contact.uri().ok()?;
    Some(text(contact.uri_text))
}

fn route<B: AsRef<[u8]>>(message: &Message<B>) -> Vec<String> {
    message.values(Name::RecordRoute).map(text).collect()
}

fn is_strict(hop: &str) -> bool {
    let address = Address::parse(hop.as_bytes()).and_then(|address| address.uri());
    address.is_ok_and(|uri| uri.params.get("lr").is_none())
}

fn uri_of(hop: &str) -> &str {
    let start = hop.find('<').map_or(0, |at| at + 1);
    let end = hop.rfind('>').unwrap_or(hop.len());
    hop.get(start..end).unwrap_or(hop)
}
