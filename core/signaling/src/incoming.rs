//! A message that came, and answers to it that nobody else has to give.

use std::net::IpAddr;

use carillon_wire::sip::{
    Answer, Flow, Framing, Garbage, Host, Limits, Message, Method, Name, Routing, Transport, Via, frame,
};

use crate::reply::Reply;
use crate::secret::{Secret, usage};

/// A message, and what is wrong with its frame.
pub(crate) type Whole<'a> = (Message<&'a [u8]>, Option<Answer>);

/// Reads what came, whole, or says why it is no message; nothing keeps a connection alive.
pub(crate) fn whole(bytes: &[u8], limits: Limits) -> Result<Whole<'_>, Option<Garbage>> {
    match frame(bytes, Transport::Udp, limits) {
        Framing::Message { message, .. } => Ok((message, None)),
        Framing::Wrong { message, answer } => Ok((message, Some(answer))),
        Framing::Garbage(garbage) => Err(Some(garbage)),
        Framing::KeepAlive { .. } | Framing::More { .. } => Err(None),
    }
}

/// A message that passed its check, with the fields that route it.
#[derive(Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) flow: Flow,
    pub(crate) message: &'a Message<&'a [u8]>,
    pub(crate) routing: Routing<'a>,
}

impl<'a> Incoming<'a> {
    /// The method of a request, or the one that a response answers.
    pub(crate) fn method(&self) -> Method<'a> {
        self.routing.cseq.method
    }

    pub(crate) fn is_invite(&self) -> bool {
        self.method() == Method::Invite
    }

    /// Whether the request belongs to a dialog already.
    pub(crate) fn has_dialog(&self) -> bool {
        self.routing.to.tag.is_some()
    }
}

/// The flow by which the sender of a request hears. On a datagram transport that is the port that it came from if its Via
/// asks for that (RFC 3581, 4), else the one of sent-by (RFC 3261, 18.2.2): some phones listen on another port than the one
/// that they send from. Where sent-by is not the source there is a NAT between, and only the source port leads through it.
pub(crate) fn way_back(flow: Flow, via: &Via<'_>) -> Flow {
    let direct = via.host == Host::Ip(flow.remote.ip().to_canonical());
    if flow.transport.is_stream() || via.rport.is_some() || !direct {
        return flow;
    }
    let mut remote = flow.remote;
    match via.port.unwrap_or(flow.transport.default_port()) {
        // Nobody listens there.
        0 => {}
        port => remote.set_port(port),
    }
    Flow { remote, ..flow }
}

/// The top Via as it is to be repeated: with the address that the request really came from (RFC 3261, 18.2.1; RFC
/// 3581, 4). `None` if nothing is to be added.
pub(crate) fn stamped(via: &Via<'_>, flow: &Flow) -> Option<Vec<u8>> {
    let remote = flow.remote.ip().to_canonical();
    let asked = via.rport == Some(None);
    if !asked && via.received.is_none() && via.host == Host::Ip(remote) {
        return None;
    }
    let mut text = Vec::with_capacity(via.raw.len() + 64);
    match rport_end(via).filter(|_| asked) {
        Some(end) => {
            text.extend_from_slice(via.raw.get(..end).unwrap_or_default());
            text.extend_from_slice(format!("={}", flow.remote.port()).as_bytes());
            text.extend_from_slice(via.raw.get(end..).unwrap_or_default());
        }
        None => text.extend_from_slice(via.raw),
    }
    // Whoever wrote a `received` itself has it behind ours; the first one counts.
    let received = match remote {
        IpAddr::V4(ip) => format!(";received={ip}"),
        IpAddr::V6(ip) => format!(";received={ip}"),
    };
    let at = params_start(&text);
    text.splice(at..at, received.into_bytes());
    text.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
    Some(text)
}

fn params_start(via: &[u8]) -> usize {
    via.iter().position(|&byte| byte == b';').unwrap_or(via.len())
}

/// Where in the Via the name of the parameter `rport` ends.
fn rport_end(via: &Via<'_>) -> Option<usize> {
    let name = via.params.iter().map_while(Result::ok).map(|param| param.name);
    let rport = name.into_iter().find(|name| name.eq_ignore_ascii_case(b"rport"))?;
    (rport.as_ptr() as usize + rport.len()).checked_sub(via.raw.as_ptr() as usize)
}

/// A tag for an answer of our own; the same for each retransmission of the request, so that nothing has to be kept.
pub(crate) fn tag(secret: &Secret, message: &Message<&[u8]>) -> String {
    let via = message.vias().next().and_then(Result::ok).map_or(&[][..], |via| via.raw);
    let from = message.get(Name::From).unwrap_or_default();
    let call_id = message.call_id().unwrap_or_default();
    format!("{:016x}", secret.hash(usage::TAG, &[via, from, call_id]))
}

/// An answer of our own: what RFC 3261, 8.2.6 copies from the request, the fields of the reply, its body. Works on
/// malformed requests with the fields that they have.
pub(crate) fn answer(message: &Message<&[u8]>, flow: &Flow, tag: &str, reply: &Reply) -> Vec<u8> {
    let Answer { code, reason } = reply.answer;
    let mut text = Vec::with_capacity(768);
    text.extend_from_slice(format!("SIP/2.0 {code} {reason}\r\n").as_bytes());
    vias(&mut text, message, flow);
    for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
        for value in message.all(name) {
            let bare = name == Name::To
                && code != 100
                && message.to().is_some_and(|to| to.is_ok_and(|to| to.tag.is_none()));
            let tag = if bare { format!(";tag={tag}") } else { String::new() };
            line(&mut text, name.as_str(), &[value, tag.as_bytes()]);
        }
    }
    for (name, value) in &reply.fields {
        line(&mut text, name, &[value.as_bytes()]);
    }
    let body = reply.body.as_ref().map_or("", |(_, body)| body);
    if let Some((kind, _)) = &reply.body {
        line(&mut text, "Content-Type", &[kind.as_bytes()]);
    }
    line(&mut text, "Content-Length", &[body.len().to_string().as_bytes()]);
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(body.as_bytes());
    text
}

fn vias(text: &mut Vec<u8>, message: &Message<&[u8]>, flow: &Flow) {
    let top = message.vias().next().and_then(Result::ok);
    let stamp = top.as_ref().and_then(|via| stamped(via, flow));
    for (at, value) in message.all(Name::Via).enumerate() {
        match (&top, &stamp) {
            (Some(via), Some(stamp)) if at == 0 => {
                line(text, "Via", &[stamp, value.get(via.raw.len()..).unwrap_or_default()]);
            }
            _ => line(text, "Via", &[value]),
        }
    }
}

/// A header line; a folded value is unfolded.
fn line(text: &mut Vec<u8>, name: &str, value: &[&[u8]]) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    let unfolded = |byte: u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
    value.iter().for_each(|part| text.extend(part.iter().map(|byte| unfolded(*byte))));
    text.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use carillon_wire::sip::Transport;

    use super::*;

    fn flow(remote: &str) -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        Flow { transport: Transport::Udp, id: 1, local, remote: remote.parse().unwrap() }
    }

    fn stamp(via: &str, remote: &str) -> Option<String> {
        let stamped = stamped(&Via::parse(via.as_bytes()).unwrap(), &flow(remote))?;
        Some(String::from_utf8(stamped).unwrap())
    }

    #[test]
    fn a_sender_hears_at_its_sent_by_unless_it_asks_for_more_or_is_behind_a_nat() {
        let cases = [
            ("SIP/2.0/UDP 192.0.2.9:5070;branch=b", "192.0.2.9:99", "192.0.2.9:5070"),
            ("SIP/2.0/UDP 192.0.2.9;branch=b", "192.0.2.9:99", "192.0.2.9:5060"),
            ("SIP/2.0/UDP 192.0.2.9:5070", "[::ffff:192.0.2.9]:99", "[::ffff:192.0.2.9]:5070"),
            ("SIP/2.0/UDP [2001:db8::9]:5070", "[2001:db8::9]:99", "[2001:db8::9]:5070"),
            ("SIP/2.0/UDP 192.0.2.9:5070;rport", "192.0.2.9:99", "192.0.2.9:99"),
            ("SIP/2.0/UDP 192.0.2.9:5070;rport=7", "192.0.2.9:99", "192.0.2.9:99"),
            ("SIP/2.0/UDP 10.0.0.9:5070;branch=b", "192.0.2.9:99", "192.0.2.9:99"),
            ("SIP/2.0/UDP h:5070;received=192.0.2.9", "192.0.2.9:99", "192.0.2.9:99"),
            ("SIP/2.0/UDP 192.0.2.9:0", "192.0.2.9:99", "192.0.2.9:99"),
        ];
        for (text, remote, expected) in cases {
            let via = Via::parse(text.as_bytes()).unwrap();
            assert_eq!(way_back(flow(remote), &via), flow(expected), "{text}");
            let connection = Flow { transport: Transport::Tcp, ..flow(remote) };
            assert_eq!(way_back(connection, &via), connection, "{text}");
        }
    }

    #[test]
    fn received_and_rport_say_where_a_request_came_from() {
        let cases = [
            ("SIP/2.0/UDP 192.0.2.9;branch=b", "192.0.2.9:99", None),
            ("SIP/2.0/UDP 192.0.2.9;branch=b", "[::ffff:192.0.2.9]:99", None),
            ("SIP/2.0/UDP h;branch=b", "192.0.2.9:99", Some("SIP/2.0/UDP h;received=192.0.2.9;branch=b")),
            ("SIP/2.0/UDP h", "192.0.2.9:99", Some("SIP/2.0/UDP h;received=192.0.2.9")),
            (
                "SIP/2.0/UDP 192.0.2.9;rport;branch=b",
                "192.0.2.9:99",
                Some("SIP/2.0/UDP 192.0.2.9;received=192.0.2.9;rport=99;branch=b"),
            ),
            ("SIP/2.0/TCP [::1]:5;RPORT", "[::2]:7", Some("SIP/2.0/TCP [::1]:5;received=::2;RPORT=7")),
            (
                "SIP/2.0/UDP 192.0.2.9;received=1.1.1.1",
                "192.0.2.9:99",
                Some("SIP/2.0/UDP 192.0.2.9;received=192.0.2.9;received=1.1.1.1"),
            ),
        ];
        for (via, remote, expected) in cases {
            assert_eq!(stamp(via, remote).as_deref(), expected, "{via}");
        }
    }

    #[test]
    fn an_answer_copies_what_it_must_and_tags_the_to() {
        let request = "OPTIONS sip:x SIP/2.0\r\nv: SIP/2.0/UDP h;rport, SIP/2.0/UDP i\r\nVia: SIP/2.0/UDP j\r\n\
            f: <sip:a@x>;tag=1\r\nt: Bob\r\n <sip:b@x>\r\ni: c\r\nCSeq: 1 OPTIONS\r\nSubject: no\r\n\r\n";
        let message = Message::parse(request.as_bytes()).unwrap();
        let reply =
            Reply { body: Some(("text/plain", "hi".into())), ..Reply::new(200, "OK").field("Allow", "A") };
        let text = String::from_utf8(answer(&message, &flow("192.0.2.9:99"), "t1", &reply)).unwrap();
        let expected = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;received=192.0.2.9;rport=99, SIP/2.0/UDP i\r\n\
            Via: SIP/2.0/UDP j\r\nFrom: <sip:a@x>;tag=1\r\nTo: Bob   <sip:b@x>;tag=t1\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\
            Allow: A\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(text, expected);
    }
}
