//! A credential from the A/V Authentication service, asked for as a Front End does: SERVICE over TLS, both ends proven.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_media::ice::turn::Credential;
use carillon_net::tls::{ClientConfig, ServerName};
use carillon_net::transports::{Incoming, Limits, Transports};
use carillon_signaling::read_relay_credential;
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Transport};

/// Who asks, and for whom.
pub(super) struct Asking<'a> {
    /// Where.
    pub(super) to: SocketAddr,
    /// What the certificate there must be for.
    pub(super) edge: &'a str,
    /// What our own is for.
    pub(super) own: &'a str,
    /// A user of this domain is asked for.
    pub(super) domain: &'a str,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) mark: Dscp,
    pub(super) wait: Duration,
}

/// Asks. An error says why nothing is given.
pub(super) fn ask(asking: &Asking<'_>) -> Result<Credential, String> {
    let name = ServerName::try_from(asking.edge.to_owned()).map_err(|_| "its name is none".to_owned())?;
    let mut transports =
        Transports::new(asking.mark, Limits::default()).map_err(|error| error.to_string())?;
    transports.set_client_tls(asking.tls.clone(), Some(name));
    let to = Destination::Address { transport: Transport::Tls, remote: asking.to, local: None };
    transports.send(to, request(asking).into_bytes());
    let (until, mut answer, mut over) = (Instant::now() + asking.wait, None, false);
    while answer.is_none() && !over && Instant::now() < until {
        let left = until.saturating_duration_since(Instant::now());
        let turn = transports.poll(Some(left), &mut |incoming| match incoming {
            Incoming::Message { bytes, .. } => answer = Some(bytes.to_vec()),
            Incoming::Closed { .. } | Incoming::Failed { .. } => over = true,
            _ => {}
        });
        turn.map_err(|error| error.to_string())?;
    }
    match (answer, over) {
        (Some(answer), _) => read(&answer),
        (None, true) => Err("it ends the connection: it does not hear this server".to_owned()),
        (None, false) => Err("it says nothing".to_owned()),
    }
}

/// As [MS-AVEDGEA] has it.
fn request(asking: &Asking<'_>) -> String {
    let Asking { own, domain, edge, .. } = asking;
    let user = format!("sip:carillon-edge-check@{domain}");
    let body = format!(
        "<request requestID=\"1\" from=\"{user}\" version=\"1.0\" to=\"sip:{edge}\" \
         xmlns=\"http://schemas.microsoft.com/2006/09/sip/mrasp\"><credentialsRequest credentialsRequestID=\"1\">\
         <identity>{user}</identity><location>intranet</location><duration>10</duration></credentialsRequest></request>"
    );
    format!(
        "SERVICE sip:{edge};gruu;opaque=srvr:MRAS SIP/2.0\r\nVia: SIP/2.0/TLS {own};branch=z9hG4bKcheck\r\n\
         From: <sip:{own}>;tag=check\r\nTo: <sip:{edge}>\r\nCall-ID: edge-check@{own}\r\nCSeq: 1 SERVICE\r\nMax-Forwards: 70\r\n\
         Content-Type: application/msrtc-media-relay-auth+xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn read(answer: &[u8]) -> Result<Credential, String> {
    let text = String::from_utf8_lossy(answer);
    let first = text.lines().next().unwrap_or_default();
    if !first.starts_with("SIP/2.0 200 ") {
        return Err(format!("it answers {}", crate::words::clean(first.trim_start_matches("SIP/2.0 "))));
    }
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let (username, password) = read_relay_credential(body).ok_or("its answer holds no credential")?;
    Ok(Credential { username, password })
}
