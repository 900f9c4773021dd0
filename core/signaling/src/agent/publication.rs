//! Publishing what the server is to know once, and keeps no state of (RFC 3903): how a call was heard.

use std::time::Duration;

use carillon_wire::sip::Method;

use super::client::Owner;
use super::dialog::{Dialog, Draft};
use super::line::{Answered, Line};

/// Publishes a document of an event package. What becomes of it is not told.
pub(super) fn publish(
    now: Duration,
    line: &mut Line,
    route: &[String],
    event: &'static str,
    kind: &'static str,
    document: Vec<u8>,
) {
    let uri = line.uri();
    let mut dialog = Dialog::outgoing(&mut line.tokens, &uri, &uri, &uri);
    dialog.preload(route);
    let draft = Draft::new(Method::Publish).field("Event", event).field("Expires", "0").body(kind, document);
    _ = line.request(now, &mut dialog, draft, Owner::Publication);
}

/// Sends it again with credentials, if they are asked for.
pub(super) fn answered(now: Duration, line: &mut Line, answered: &Answered<'_>) {
    let mut dialog = answered.sent.dialog.clone();
    if answered.is_final() {
        _ = line.prove(now, &mut dialog, answered);
    }
}
