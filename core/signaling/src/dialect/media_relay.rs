//! Requests for credentials of relays, and their answers, as XML in SERVICE ([MS-AVEDGEA]). Who asks, and what is given, is
//! decided elsewhere.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_wire::stun::{TurnTransport, TurnUri};
use roxmltree::{Document, Node, ParsingOptions};

use crate::relays::{RelayCredential, RelayServer};
use crate::xml::escaped;

/// The type of both.
pub(crate) const TYPE: &str = "application/msrtc-media-relay-auth+xml";
/// The same without its first half.
pub(crate) const SUBTYPE: &[u8] = b"msrtc-media-relay-auth+xml";

const MRASP: &str = "http://schemas.microsoft.com/2006/09/sip/mrasp";
/// Largest request that is read, in bytes, most elements in it, longest text, and most credentials at once.
const MAX_REQUEST: usize = 16 << 10;
const MAX_NODES: u32 = 200;
const MAX_TEXT: usize = 512;
const MAX_WANTED: usize = 8;

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    id: String,
    version: String,
    to: String,
    from: String,
    pub(crate) wanted: Vec<Wanted>,
}

/// One credential that is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    id: String,
    /// For whom: a SIP URI.
    pub(crate) identity: String,
    /// On which side of the Edge the client is.
    location: Option<&'static str>,
    pub(crate) minutes: Option<u32>,
}

/// One that is given.
pub(crate) struct Given<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) credential: RelayCredential,
    pub(crate) lasts: Duration,
    /// Where its client reaches relays.
    pub(crate) servers: &'a [RelayServer],
}

/// Why nothing is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    Malformed,
    Forbidden,
}

impl Wanted {
    /// Whether the client is on the side of the Internet.
    pub(crate) fn is_outside(&self) -> bool {
        self.location == Some("internet")
    }
}

impl Reason {
    const fn text(self) -> &'static str {
        match self {
            Reason::Malformed => "Request Malformed",
            Reason::Forbidden => "Forbidden",
        }
    }
}

/// Reads a request; `None` if it is none. Document types and entities are refused.
pub(crate) fn read(body: &[u8]) -> Option<Asked> {
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_REQUEST)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let request = document.root_element();
    if !request.has_tag_name((MRASP, "request")) {
        return None;
    }
    let of = |name| short(request.attribute(name)?);
    let (id, version, to, from) = (of("requestID")?, of("version")?, of("to")?, of("from")?);
    let elements = request.children().filter(|node| node.has_tag_name((MRASP, "credentialsRequest")));
    let wanted: Vec<_> = elements.map(wanted).collect::<Option<_>>()?;
    let served = (1..=MAX_WANTED).contains(&wanted.len());
    served.then_some(Asked { id, version, to, from, wanted })
}

/// The answer that gives. Relays are told by name; the class of media is told by what is sent through them.
pub(crate) fn granted(asked: &Asked, given: &[Given<'_>]) -> String {
    let mut text = head(Some(asked), "OK");
    for Given { wanted, credential, lasts, servers } in given {
        let [name, password] = [&credential.username, &credential.password].map(|text| STANDARD.encode(text));
        let (id, minutes) = (escaped(&wanted.id), lasts.as_secs() / 60);
        text.push_str(&format!(
            "<credentialsResponse credentialsRequestID=\"{id}\">\n<credentials><username>{name}</username>\
             <password>{password}</password><duration>{minutes}</duration></credentials>\n<mediaRelayList>\n"
        ));
        let hosts = servers.iter().filter(|server| server.class.is_none()).map(|server| &server.uri.host);
        let mut told: Vec<&String> = Vec::new();
        for host in hosts {
            if !told.contains(&host) {
                told.push(host);
                text.push_str(&relay(host, wanted.location, servers));
            }
        }
        text.push_str("</mediaRelayList>\n</credentialsResponse>\n");
    }
    text.push_str("</response>\n");
    text
}

/// The first credential of an answer: user name and password. `None` if it gives none.
pub(crate) fn read_given(body: &str) -> Option<(String, String)> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let body = Some(body).filter(|body| body.len() <= MAX_REQUEST)?;
    let document = Document::parse_with_options(body, options).ok()?;
    let text = |name| {
        let node = document.descendants().find(|node| node.has_tag_name((MRASP, name)))?;
        String::from_utf8(STANDARD.decode(node.text()?.trim()).ok()?).ok()
    };
    Some((text("username")?, text("password")?))
}

/// The answer that gives nothing.
pub(crate) fn refused(asked: Option<&Asked>, why: Reason) -> String {
    head(asked, why.text()) + "</response>\n"
}

fn wanted(node: Node<'_, '_>) -> Option<Wanted> {
    let child = |name| node.children().find(|node| node.has_tag_name((MRASP, name)));
    let text = |node: Node<'_, '_>| node.text().map(str::trim).and_then(short);
    let location = match child("location").map(text) {
        None => None,
        Some(place) => ["intranet", "internet"].into_iter().find(|known| place.as_deref() == Some(*known)),
    };
    let minutes = match child("duration").map(text) {
        None => None,
        // A positive number of any length: what is more than we give is cut down in any case.
        Some(number) => {
            let number = number?;
            let positive =
                number.bytes().all(|byte| byte.is_ascii_digit()) && number.bytes().any(|b| b != b'0');
            Some(positive.then(|| number.parse().unwrap_or(u32::MAX))?)
        }
    };
    let id = short(node.attribute("credentialsRequestID")?)?;
    Some(Wanted { id, identity: text(child("identity")?)?, location, minutes })
}

fn short(text: &str) -> Option<String> {
    (!text.is_empty() && text.len() <= MAX_TEXT).then(|| text.to_owned())
}

/// The beginning of an answer, which repeats what the request says of itself.
fn head(asked: Option<&Asked>, reason: &str) -> String {
    let about = asked.map_or(String::new(), |Asked { id, version, to, from, .. }| {
        let [id, version, to, from] = [id, version, to, from].map(|text| escaped(text));
        format!(" requestID=\"{id}\" version=\"{version}\" to=\"{to}\" from=\"{from}\"")
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <response xmlns=\"{MRASP}\"{about} serverVersion=\"1.0\" reasonPhrase=\"{reason}\">\n"
    )
}

/// One relay, with its ports for every class.
fn relay(host: &str, location: Option<&str>, servers: &[RelayServer]) -> String {
    let port = |transport| {
        let fits = |uri: &&TurnUri| uri.host == host && uri.transport == transport;
        let common = servers.iter().filter(|server| server.class.is_none()).map(|server| &server.uri);
        let port = common.filter(fits).map(|uri| uri.port).next();
        port.map_or(String::new(), |port| match transport {
            TurnTransport::Udp => format!("<udpPort>{port}</udpPort>"),
            TurnTransport::Tcp | TurnTransport::Tls => format!("<tcpPort>{port}</tcpPort>"),
        })
    };
    let (udp, tcp) = (port(TurnTransport::Udp), port(TurnTransport::Tcp));
    let location = location.unwrap_or("intranet");
    format!(
        "<mediaRelay><location>{location}</location><hostName>{}</hostName>{udp}{tcp}</mediaRelay>\n",
        escaped(host)
    )
}
