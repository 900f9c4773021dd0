//! Requests for credentials of relays, as servers send them to an Edge.

use std::sync::Arc;
use std::time::Duration;

use carillon_signaling::{Authentication, Bearer, Issuer, RelayCredential, RelayServer, Relays};
use carillon_wire::sip::{Flow, Message, Transport};
use carillon_wire::stun::{TurnTransport, TurnUri};

/// The body of a SERVICE: whatever it is, it is answered by one message that can be read, and one that gives a credential says
/// so.
pub fn authentication(data: &[u8]) {
    let uri = TurnUri { host: "edge.example.com".to_owned(), port: 3478, transport: TurnTransport::Udp };
    let servers = vec![RelayServer { uri, class: None }];
    let issue = |bearer: Bearer<'_>, class, _| RelayCredential {
        class,
        username: bearer.user.to_owned(),
        password: String::new(),
    };
    let issuer = Issuer(Arc::new(issue));
    let relays = Relays { servers: servers.clone(), lifetime: Duration::from_secs(3600), issuer };
    let mut service = Authentication::new(relays, servers, [3; 32]);
    let place = std::net::SocketAddr::from(([192, 0, 2, 1], 5062));
    let flow = Flow { transport: Transport::Tls, id: 1, local: place, remote: place };
    let head = format!(
        "SERVICE sip:a SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:a>\r\nCall-ID: c\r\n\
         CSeq: 1 SERVICE\r\nMax-Forwards: 70\r\nContent-Type: application/msrtc-media-relay-auth+xml\r\n\
         Content-Length: {}\r\n\r\n",
        data.len()
    );
    let now = Duration::from_secs(1_800_000_000);
    let answer = service.handle_input(now, flow, &[head.as_bytes(), data].concat());
    let bytes = answer.map(|answer| answer.bytes).unwrap_or_default();
    let code = Message::parse(&*bytes).ok().and_then(|message| message.status());
    assert!(matches!(code, Some(200 | 400 | 403 | 513)), "{code:?}");
    assert_eq!(code == Some(200), service.counts().given > 0);
}
