//! URIs of relays (RFC 7065): where one is and what leads to it. Names are looked up elsewhere.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// What leads to a relay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TurnTransport {
    /// UDP.
    Udp,
    /// TCP, for clients that no UDP passes to.
    Tcp,
    /// TLS over TCP, for clients that pass nothing else.
    Tls,
}

/// `turn:relay.example.com:3478?transport=udp`, taken apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TurnUri {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What leads there.
    pub transport: TurnTransport,
}

/// What is no such URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoTurnUri;

impl TurnTransport {
    /// The port that is meant where none is written.
    pub const fn default_port(self) -> u16 {
        match self {
            TurnTransport::Udp | TurnTransport::Tcp => 3478,
            TurnTransport::Tls => 5349,
        }
    }
}

/// Port and transport are always written: some clients take another default for them.
impl fmt::Display for TurnUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, transport) = match self.transport {
            TurnTransport::Udp => ("turn", "udp"),
            TurnTransport::Tcp => ("turn", "tcp"),
            TurnTransport::Tls => ("turns", "tcp"),
        };
        let TurnUri { host, port, .. } = self;
        match host.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "{scheme}:[{address}]:{port}?transport={transport}"),
            Err(_) => write!(f, "{scheme}:{host}:{port}?transport={transport}"),
        }
    }
}

impl FromStr for TurnUri {
    type Err = NoTurnUri;

    fn from_str(text: &str) -> Result<TurnUri, NoTurnUri> {
        let (scheme, rest) = text.split_once(':').ok_or(NoTurnUri)?;
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let named = query.map(|query| query.split_once('=').filter(|(key, _)| *key == "transport"));
        let transport = match (scheme.to_ascii_lowercase().as_str(), named) {
            ("turn", None | Some(Some((_, "udp")))) => TurnTransport::Udp,
            ("turn", Some(Some((_, "tcp")))) => TurnTransport::Tcp,
            // DTLS, which is `turns` with `udp`, is not spoken.
            ("turns", None | Some(Some((_, "tcp")))) => TurnTransport::Tls,
            _ => return Err(NoTurnUri),
        };
        let (host, port) = place_of(place).ok_or(NoTurnUri)?;
        Ok(TurnUri { host, port: port.unwrap_or(transport.default_port()), transport })
    }
}

impl fmt::Display for NoTurnUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no URI of a relay, such as turn:relay.example.com:3478?transport=udp")
    }
}

impl std::error::Error for NoTurnUri {}

/// Host and port, if one is written.
fn place_of(text: &str) -> Option<(String, Option<u16>)> {
    let number = |text: &str| {
        let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse().ok().filter(|port| *port > 0) } else { None }
    };
    let port = |rest: &str| match rest.strip_prefix(':') {
        Some(text) => number(text).map(Some),
        None => rest.is_empty().then_some(None),
    };
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let address: Ipv6Addr = address.parse().ok()?;
        return Some((address.to_string(), port(rest)?));
    }
    let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
    let readable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let named = (1..=253).contains(&host.len()) && host.bytes().all(readable);
    let host = host.parse::<IpAddr>().map_or_else(|_| host.to_owned(), |address| address.to_string());
    if named { Some((host, port(rest)?)) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first ones are from RFC 7065, appendix B.
    #[test]
    fn a_uri_says_where_and_how() {
        for (text, host, port, transport) in [
            ("turn:example.org", "example.org", 3478, TurnTransport::Udp),
            ("turns:example.org", "example.org", 5349, TurnTransport::Tls),
            ("turn:example.org:8000", "example.org", 8000, TurnTransport::Udp),
            ("turn:example.org?transport=udp", "example.org", 3478, TurnTransport::Udp),
            ("turn:example.org?transport=tcp", "example.org", 3478, TurnTransport::Tcp),
            ("turns:example.org?transport=tcp", "example.org", 5349, TurnTransport::Tls),
            ("TURN:192.0.2.5:3479?transport=udp", "192.0.2.5", 3479, TurnTransport::Udp),
            ("turn:[2001:db8::5]:443?transport=tcp", "2001:db8::5", 443, TurnTransport::Tcp),
            ("turns:[2001:db8:0::5]", "2001:db8::5", 5349, TurnTransport::Tls),
        ] {
            assert_eq!(text.parse(), Ok(TurnUri { host: host.to_owned(), port, transport }), "{text}");
        }
    }

    #[test]
    fn what_is_no_uri_of_a_relay_is_refused() {
        for text in [
            "",
            "turn",
            "turn:",
            "stun:example.org",
            "turn:example.org:",
            "turn:example.org:0",
            "turn:example.org:65536",
            "turn:example.org:+1",
            "turn:example.org?transport=sctp",
            "turns:example.org?transport=udp",
            "turn:example.org?",
            "turn:example.org?port=1",
            "turn:[2001:db8::5",
            "turn:[example.org]",
            "turn:[::1]3478",
            "turn:a b",
            "turn:user@example.org",
            "turn:example.org/path",
        ] {
            assert_eq!(text.parse::<TurnUri>(), Err(NoTurnUri), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            host in "[a-z][a-z0-9-]{0,9}|192\\.0\\.2\\.[1-9]|2001:db8::[1-9]",
            port in 1u16..,
            transport in prop::sample::select(vec![TurnTransport::Udp, TurnTransport::Tcp, TurnTransport::Tls]),
        ) {
            let uri = TurnUri { host, port, transport };
            prop_assert_eq!(uri.to_string().parse(), Ok(uri));
        }

        #[test]
        fn no_text_panics(text in "(turns?:)?[\\[\\]:?=a-z0-9.\\PC]{0,40}") {
            let _ = text.parse::<TurnUri>();
        }
    }
}
