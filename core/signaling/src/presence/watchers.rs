//! Who watches a user, as the user is told (RFC 3857, RFC 3858).

use std::fmt::Write;

use crate::xml::escaped;

/// The type of the document.
pub(super) const TYPE: &str = "application/watcherinfo+xml";

/// One who watches, or wants to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Watcher<'a> {
    /// Names the subscription.
    pub(super) id: &'a str,
    pub(super) address: &'a str,
    pub(super) pending: bool,
    /// Seconds that are left.
    pub(super) left: u64,
}

/// All of them. `version` counts the documents of a subscription.
pub(super) fn write(aor: &str, version: u32, watchers: &[Watcher<'_>]) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" \
         version=\"{version}\" state=\"full\">\n<watcher-list resource=\"sip:{}\" package=\"presence\">\n",
        escaped(aor)
    );
    for Watcher { id, address, pending, left } in watchers {
        let status = if *pending { "pending" } else { "active" };
        let address = escaped(address);
        _ = writeln!(
            text,
            "<watcher status=\"{status}\" id=\"w{id}\" event=\"subscribe\" expiration=\"{left}\">sip:{address}</watcher>"
        );
    }
    text + "</watcher-list>\n</watcherinfo>\n"
}
