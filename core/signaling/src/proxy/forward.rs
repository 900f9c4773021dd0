//! The messages that leave towards a phone: the request with our marks in it, its CANCEL, its ACK.

use carillon_wire::sip::{Builder, Credentials, Edits, Malformed, Message, Method, Name, Uri};

use super::budget::Amended;
use super::route::Route;
use crate::bearer;
use crate::incoming::{Incoming, stamped};

/// What a request gets on its way to one target.
pub(crate) struct Hop<'a> {
    /// Our Via.
    pub(crate) via: String,
    /// The Request-URI, if it becomes another.
    pub(crate) uri: Option<&'a [u8]>,
    /// Route values in front of those that remain: the Path of a registration (RFC 3327).
    pub(crate) path: &'a [String],
    /// Our Record-Route entries, that of the side it goes to first (RFC 5658).
    pub(crate) record: Vec<String>,
    /// Our Path entry, if it is a REGISTER that we pass on (RFC 3327).
    pub(crate) crossed: Option<String>,
    /// Who has sent it, for a neighbour that believes us (RFC 3325): a value of P-Asserted-Identity.
    pub(crate) asserted: Option<&'a [u8]>,
    /// Its share of the breadth (RFC 5393).
    pub(crate) breadth: Option<u32>,
    /// By which stations it came, as far as rules of ours have sent it (RFC 7044).
    pub(crate) history: &'a [String],
    /// Our realm: credentials for it are not handed on.
    pub(crate) realm: &'a str,
    /// Its body, if not all of it goes on.
    pub(crate) body: Option<&'a [u8]>,
}

/// The request as it goes on (RFC 3261, 16.6).
pub(crate) fn request(
    incoming: &Incoming<'_>,
    route: &Route<'_>,
    hop: &Hop<'_>,
) -> Result<Vec<u8>, Malformed> {
    let message = incoming.message;
    let mut edits = Edits::new(message);
    edits.push(Name::Via, hop.via.as_bytes())?;
    if let Some(stamp) = stamped(&incoming.routing.via, &incoming.flow) {
        edits.replace(incoming.routing.via.raw, &stamp)?;
    }
    match hop.uri {
        Some(uri) => _ = edits.request_uri(uri)?,
        None if route.changed => _ = edits.request_uri(route.uri.raw)?,
        None => {}
    }
    let hops = incoming.routing.max_forwards.map_or(70, |hops| hops.saturating_sub(1));
    edits.set(Name::MaxForwards, hops.to_string().as_bytes())?;
    for entry in &hop.record {
        edits.push(Name::RecordRoute, entry.as_bytes())?;
    }
    if let Some(entry) = &hop.crossed {
        edits.push(Name::Path, entry.as_bytes())?;
    }
    if route.changed || !hop.path.is_empty() {
        edits.remove(Name::Route);
        for entry in hop.path.iter().map(String::as_bytes).chain(route.rest.iter().copied()) {
            edits.append(b"Route", &unfolded(entry))?;
        }
    }
    strip_credentials(&mut edits, message, hop.realm)?;
    strip_assertions(&mut edits);
    if let Some(asserted) = hop.asserted {
        edits.append(b"P-Asserted-Identity", &unfolded(asserted))?;
    }
    if let Some(breadth) = hop.breadth {
        let text = breadth.to_string();
        match message.named("Max-Breadth").next() {
            Some(value) => edits.replace(value, text.as_bytes())?,
            None => edits.append(b"Max-Breadth", text.as_bytes())?,
        };
    }
    for entry in hop.history {
        edits.append(b"History-Info", entry.as_bytes())?;
    }
    match hop.body {
        Some(body) => _ = edits.body(body)?,
        None => close(&mut edits, message)?,
    }
    edits.finish()
}

/// A response without our Via, for the one before us.
pub(crate) fn response(message: &Message<&[u8]>) -> Option<Vec<u8>> {
    amended(message, &Amended::default())
}

/// The same, where not all of it goes on.
pub(super) fn amended(message: &Message<&[u8]>, amended: &Amended) -> Option<Vec<u8>> {
    let mut edits = Edits::new(message);
    edits.pop(Name::Via).ok()?;
    strip_assertions(&mut edits);
    match &amended.body {
        Some(body) => _ = edits.body(body).ok()?,
        None => close(&mut edits, message).ok()?,
    }
    if let Some(warning) = &amended.warning {
        edits.append(b"Warning", warning.as_bytes()).ok()?;
    }
    edits.finish().ok()
}

/// Says where the body ends, if only the datagram said so: the next hop may be a stream.
fn close(edits: &mut Edits<'_, &[u8]>, message: &Message<&[u8]>) -> Result<(), Malformed> {
    if message.content_length()?.is_none() {
        edits.append(b"Content-Length", message.body().len().to_string().as_bytes())?;
    }
    Ok(())
}

/// Credentials that were for us stay here: whoever is called has no use for them but a bad one. A token is good for whoever
/// holds it, so none goes on in whichever field it stands.
fn strip_credentials(
    edits: &mut Edits<'_, &[u8]>,
    message: &Message<&[u8]>,
    realm: &str,
) -> Result<(), Malformed> {
    let foreign = |value: &[u8]| {
        let theirs = Credentials::parse(value)
            .filter(|given| !bearer::is_bearer(given))
            .and_then(|given| given.get("realm"));
        theirs.is_some_and(|theirs| theirs != realm.as_bytes())
    };
    let token = |value: &[u8]| Credentials::parse(value).is_some_and(|given| bearer::is_bearer(&given));
    if message.all(Name::Authorization).any(token) {
        edits.remove(Name::Authorization);
        for value in message.all(Name::Authorization).filter(|value| !token(value)) {
            edits.append(b"Authorization", &unfolded(value))?;
        }
    }
    if message.get(Name::ProxyAuthorization).is_none() {
        return Ok(());
    }
    edits.remove(Name::ProxyAuthorization);
    for value in message.all(Name::ProxyAuthorization).filter(|value| foreign(value)) {
        edits.append(b"Proxy-Authorization", &unfolded(value))?;
    }
    Ok(())
}

/// Who somebody is may only be asserted by those whom we trust (RFC 3325, 5), and no neighbour is but a Director. What a caller would like
/// us to assert is for us alone (RFC 3325, 9.2).
fn strip_assertions(edits: &mut Edits<'_, &[u8]>) {
    edits.remove(Name::PAssertedIdentity);
    edits.remove(Name::PPreferredIdentity);
}

/// A request of our own with its Via.
pub(crate) fn with_via(request: &[u8], via: &str) -> Option<Vec<u8>> {
    let message = Message::parse(request).ok()?;
    let mut edits = Edits::new(&message);
    edits.prepend(b"Via", via.as_bytes()).ok()?;
    edits.finish().ok()
}

/// The CANCEL of an INVITE that was sent (RFC 3261, 9.1); `reason` says why (RFC 3326).
pub(crate) fn cancel(sent: &[u8], reason: Option<&[u8]>) -> Option<Vec<u8>> {
    let invite = Message::parse(sent).ok()?;
    let mut cancel = companion(&invite, Method::Cancel, invite.get(Name::To)?)?;
    if let Some(reason) = reason {
        cancel = cancel.header(b"Reason", &unfolded(reason)).ok()?;
    }
    Some(cancel.finish(b""))
}

/// The ACK to an answer other than 2xx (RFC 3261, 17.1.1.3).
pub(crate) fn ack(sent: &[u8], response: &Message<&[u8]>) -> Option<Vec<u8>> {
    let invite = Message::parse(sent).ok()?;
    Some(companion(&invite, Method::Ack, response.get(Name::To)?)?.finish(b""))
}

fn companion(invite: &Message<&[u8]>, method: Method<'_>, to: &[u8]) -> Option<Builder> {
    let routing = invite.routing().ok()?;
    let uri: Uri<'_> = routing.uri?;
    let number = format!("{} {method}", routing.cseq.number);
    let mut request = Builder::request(method, uri.raw).ok()?;
    request = request.header(b"Via", routing.via.raw).ok()?;
    for route in invite.all(Name::Route) {
        request = request.header(b"Route", &unfolded(route)).ok()?;
    }
    request = request.header(b"Max-Forwards", b"70").ok()?;
    request = request.header(b"From", &unfolded(routing.from.raw)).ok()?;
    request = request.header(b"To", &unfolded(to)).ok()?;
    request = request.header(b"Call-ID", routing.call_id).ok()?;
    request.header(b"CSeq", number.as_bytes()).ok()
}

/// A value on one line.
fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}
