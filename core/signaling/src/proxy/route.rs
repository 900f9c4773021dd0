//! Which way a request goes by its own account (RFC 3261, 16.4): Request-URI and Route, without what was meant for us.

use carillon_wire::sip::{Address, Name, Uri};

use super::ends::Ends;
use super::token::Token;
use crate::incoming::Incoming;
use crate::secret::Secret;

/// What Request-URI and Route say when our own entries are taken off.
pub(crate) struct Route<'a> {
    /// The Request-URI that is meant.
    pub(crate) uri: Uri<'a>,
    /// Route values that remain, as written.
    pub(crate) rest: Vec<&'a [u8]>,
    /// Whether anything was taken off.
    pub(crate) changed: bool,
    /// The way that we wrote ourselves when the dialog began; proves that this request belongs to it.
    pub(crate) token: Option<Token>,
}

/// Reads the route of a request; `None` if it cannot be read.
pub(crate) fn route<'a>(ends: &Ends, secret: &Secret, request: &Incoming<'a>) -> Option<Route<'a>> {
    let call_id = request.routing.call_id;
    let here = request.flow.local.ip();
    let mut uri = request.routing.uri?;
    let mut rest: Vec<&[u8]> = request.message.values(Name::Route).collect();
    let mut changed = false;
    let tags = [request.routing.from.tag.unwrap_or_default(), request.routing.to.tag.unwrap_or_default()];
    let open = |uri: &Uri<'_>| Token::open(secret, call_id, tags, uri.user?);
    // A strict router before us put our own entry into the Request-URI and the real one to the end.
    let mut token = open(&uri).filter(|_| ends.are(&uri, here));
    if token.is_some() {
        uri = Address::parse(rest.pop()?).ok()?.uri().ok()?;
        changed = true;
    }
    let mut own = 0;
    for value in &rest {
        let entry = Address::parse(value).ok()?.uri().ok()?;
        if !ends.are_routed(&entry, here) {
            break;
        }
        token = open(&entry).or(token);
        own += 1;
    }
    rest.drain(..own);
    // A dialog has a To tag; what has none begins something new, whatever it claims.
    let token = token.filter(|_| request.has_dialog());
    Some(Route { uri, rest, changed: changed || own > 0, token })
}
