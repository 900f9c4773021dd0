//! The presence of many in one NOTIFY (RFC 4662): a list that names them, and behind it the documents of those that changed.

use std::fmt::Write;
use std::sync::Arc;

use crate::xml::escaped;

/// The type of the list.
pub(super) const TYPE: &str = "application/rlmi+xml";
/// What a client must understand who is sent one.
pub(super) const EVENTLIST: &str = "eventlist";
/// Documents of one NOTIFY together, in bytes; the rest follows in the next one. With the list it fits into a datagram.
pub(super) const ROOM: usize = 30 << 10;

/// What a NOTIFY says of a whole list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    /// The URI of the list.
    pub(super) uri: &'a str,
    /// Counts the NOTIFYs.
    pub(super) version: u32,
    /// Whether all are named, or those that changed.
    pub(super) full: bool,
    /// What nobody else has: makes the boundary and the names of the parts.
    pub(super) tag: &'a str,
}

/// What a NOTIFY says of one of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) address: Arc<str>,
    /// How the user calls it.
    pub(super) name: Option<String>,
    pub(super) state: State,
}

/// How far watching has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Watched, and its document, if it is told now.
    Active(Option<Arc<str>>),
    /// It has not decided yet.
    Pending,
    /// Not watched, for this reason (RFC 4662, 5.5).
    Terminated(&'static str),
}

/// Content-Type and body.
pub(super) fn write(head: Head<'_>, entries: &[Entry]) -> (String, String) {
    let Head { tag, version, .. } = head;
    let boundary = format!("carillon-{tag}-{version}");
    let mut text = String::new();
    part(&mut text, &boundary, "list", TYPE, &rlmi(head, entries));
    for (number, entry) in entries.iter().enumerate() {
        if let State::Active(Some(document)) = &entry.state {
            part(&mut text, &boundary, &number.to_string(), "application/pidf+xml", document);
        }
    }
    _ = write!(text, "--{boundary}--\r\n");
    let start = cid(&boundary, "list");
    let kind = format!("multipart/related;type=\"{TYPE}\";start=\"<{start}>\";boundary=\"{boundary}\"");
    (kind, text)
}

fn part(text: &mut String, boundary: &str, name: &str, kind: &str, document: &str) {
    let cid = cid(boundary, name);
    _ = write!(
        text,
        "--{boundary}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{cid}>\r\n\
         Content-Type: {kind};charset=\"UTF-8\"\r\n\r\n{document}\r\n"
    );
}

fn cid(boundary: &str, name: &str) -> String {
    format!("{name}@{boundary}")
}

fn rlmi(head: Head<'_>, entries: &[Entry]) -> String {
    let Head { uri, version, full, tag } = head;
    let boundary = format!("carillon-{tag}-{version}");
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:{}\" \
         version=\"{version}\" fullState=\"{full}\">\n",
        escaped(uri)
    );
    for (number, entry) in entries.iter().enumerate() {
        _ = write!(text, "<resource uri=\"sip:{}\">", escaped(&entry.address));
        if let Some(name) = &entry.name {
            _ = write!(text, "<name>{}</name>", escaped(name));
        }
        let state = match &entry.state {
            State::Active(Some(_)) => format!("active\" cid=\"{}", cid(&boundary, &number.to_string())),
            State::Active(None) => "active".to_owned(),
            State::Pending => "pending".to_owned(),
            State::Terminated(reason) => format!("terminated\" reason=\"{reason}"),
        };
        _ = writeln!(text, "<instance id=\"1\" state=\"{state}\"/></resource>");
    }
    text + "</list>\n"
}
