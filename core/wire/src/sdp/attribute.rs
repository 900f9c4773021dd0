//! Attribute lines. What is not known, or not written as its RFC says, is [`Attribute::Other`] with its bytes.

use std::net::IpAddr;

use super::text;

/// An `a=` line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attribute<'a> {
    /// `rtpmap`: what a payload type means.
    Rtpmap(Rtpmap<'a>),
    /// `fmtp`: parameters of a format.
    Fmtp {
        /// The format.
        format: &'a str,
        /// Its parameters as written.
        params: &'a str,
    },
    /// `rtcp` (RFC 3605).
    Rtcp(RtcpPort),
    /// `rtcp-mux` (RFC 5761).
    RtcpMux,
    /// `rtcp-fb` (RFC 4585).
    RtcpFb(Feedback<'a>),
    /// `ssrc` (RFC 5576).
    Ssrc(Ssrc<'a>),
    /// `candidate` (RFC 8839, 5.1).
    Candidate(Candidate<'a>),
    /// `ice-ufrag`.
    IceUfrag(&'a str),
    /// `ice-pwd`.
    IcePwd(&'a str),
    /// `group` (RFC 5888).
    Group(Group<'a>),
    /// `mid` (RFC 5888).
    Mid(&'a str),
    /// `crypto` (RFC 4568).
    Crypto(Crypto<'a>),
    /// `fingerprint` (RFC 8122).
    Fingerprint(Fingerprint<'a>),
    /// `setup` (RFC 4145): `active`, `passive`, `actpass`, `holdconn`.
    Setup(&'a str),
    /// `sendrecv`, `sendonly`, `recvonly`, `inactive`.
    Direction(Direction),
    /// `ptime`, milliseconds of media per packet.
    Ptime(u32),
    /// `maxptime`, milliseconds.
    MaxPtime(u32),
    /// `label` (RFC 4574).
    Label(&'a str),
    /// `content` (RFC 4796).
    Content(&'a str),
    /// Any other.
    Other {
        /// Before the colon.
        name: &'a [u8],
        /// After the colon, if there is one.
        value: Option<&'a [u8]>,
    },
}

impl<'a> Attribute<'a> {
    /// Reads what follows `a=`.
    pub fn parse(line: &'a [u8]) -> Attribute<'a> {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (line.get(..colon).unwrap_or_default(), line.get(colon + 1..)),
            None => (line, None),
        };
        let known = match value {
            Some(value) => text(value).and_then(|value| with_value(name, value)),
            None => flag(name),
        };
        known.unwrap_or(Attribute::Other { name, value })
    }
}

fn with_value<'a>(name: &[u8], value: &'a str) -> Option<Attribute<'a>> {
    match name {
        b"rtpmap" => Rtpmap::parse(value).map(Attribute::Rtpmap),
        b"fmtp" => {
            value.split_once(' ').map(|(format, params)| Attribute::Fmtp { format, params: params.trim() })
        }
        b"rtcp" => RtcpPort::parse(value).map(Attribute::Rtcp),
        b"rtcp-fb" => Feedback::parse(value).map(Attribute::RtcpFb),
        b"ssrc" => Ssrc::parse(value).map(Attribute::Ssrc),
        b"candidate" => Candidate::parse(value).map(Attribute::Candidate),
        b"ice-ufrag" => Some(Attribute::IceUfrag(value)),
        b"ice-pwd" => Some(Attribute::IcePwd(value)),
        b"group" => Group::parse(value).map(Attribute::Group),
        b"mid" => Some(Attribute::Mid(value.trim())),
        b"crypto" => Crypto::parse(value).map(Attribute::Crypto),
        b"fingerprint" => {
            value.split_once(' ').map(|(hash, value)| Attribute::Fingerprint(Fingerprint { hash, value }))
        }
        b"setup" => Some(Attribute::Setup(value.trim())),
        b"ptime" => milliseconds(value).map(Attribute::Ptime),
        b"maxptime" => milliseconds(value).map(Attribute::MaxPtime),
        b"label" => Some(Attribute::Label(value)),
        b"content" => Some(Attribute::Content(value)),
        _ => None,
    }
}

fn flag(name: &[u8]) -> Option<Attribute<'static>> {
    match name {
        b"rtcp-mux" => Some(Attribute::RtcpMux),
        b"sendrecv" => Some(Attribute::Direction(Direction::SendRecv)),
        b"sendonly" => Some(Attribute::Direction(Direction::SendOnly)),
        b"recvonly" => Some(Attribute::Direction(Direction::RecvOnly)),
        b"inactive" => Some(Attribute::Direction(Direction::Inactive)),
        _ => None,
    }
}

/// Some write `20.0`.
fn milliseconds(value: &str) -> Option<u32> {
    value.trim().split('.').next()?.parse().ok()
}

/// Which way media flows, as the writer of the description sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// The writer sends.
    SendOnly,
    /// The writer receives.
    RecvOnly,
    /// Neither: hold.
    Inactive,
}

/// `<payload type> <name>/<clock>[/<channels>]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtpmap<'a> {
    /// Payload type.
    pub payload_type: u8,
    /// Name as written; names are compared without case.
    pub name: &'a str,
    /// RTP clock in Hz. Some leave it out (RFC 4475 has such a message): then 0.
    pub clock: u32,
    /// Channels, 1 unless written.
    pub channels: u8,
}

impl<'a> Rtpmap<'a> {
    fn parse(value: &'a str) -> Option<Rtpmap<'a>> {
        let (number, encoding) = value.trim().split_once([' ', '\t'])?;
        let mut parts = encoding.trim().split('/');
        Some(Rtpmap {
            payload_type: number.parse().ok().filter(|number| *number < 128)?,
            name: parts.next().filter(|name| !name.is_empty())?,
            clock: parts.next().map_or(Some(0), |clock| clock.parse().ok())?,
            channels: parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1),
        })
    }
}

/// `<port> [IN IP4 <address>]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtcpPort {
    /// Port for RTCP.
    pub port: u16,
    /// Its address, if it differs from that of the media.
    pub ip: Option<IpAddr>,
}

impl RtcpPort {
    fn parse(value: &str) -> Option<RtcpPort> {
        let mut fields = value.split_ascii_whitespace();
        Some(RtcpPort {
            port: fields.next()?.parse().ok()?,
            ip: fields.nth(2).and_then(|address| address.parse().ok()),
        })
    }
}

/// `<format or *> <what>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Feedback<'a> {
    /// Payload type; `None` is the `*` for all.
    pub payload_type: Option<u8>,
    /// Kind and parameters as written: `nack pli`, `x-message app send:dsh recv:dsh`.
    pub value: &'a str,
}

impl<'a> Feedback<'a> {
    fn parse(value: &'a str) -> Option<Feedback<'a>> {
        let (format, value) = value.split_once(' ')?;
        let payload_type = if format == "*" { None } else { Some(format.parse().ok()?) };
        Some(Feedback { payload_type, value })
    }
}

/// `<source> <attribute>[:<value>]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ssrc<'a> {
    /// The source.
    pub id: u32,
    /// `cname`, `msid` and others.
    pub attribute: &'a str,
    /// Its value; empty if it has none.
    pub value: &'a str,
}

impl<'a> Ssrc<'a> {
    fn parse(value: &'a str) -> Option<Ssrc<'a>> {
        let (id, rest) = value.split_once(' ').unwrap_or((value, ""));
        let (attribute, value) = rest.split_once(':').unwrap_or((rest, ""));
        Some(Ssrc { id: id.parse().ok()?, attribute, value })
    }
}

/// What kind of address a candidate is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CandidateKind<'a> {
    /// Of the host itself.
    Host,
    /// As a STUN server saw it.
    ServerReflexive,
    /// As the peer saw it.
    PeerReflexive,
    /// On a TURN server.
    Relayed,
    /// Any other, as written.
    Other(&'a str),
}

/// An ICE candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate<'a> {
    /// Foundation.
    pub foundation: &'a str,
    /// 1 is RTP, 2 is RTCP.
    pub component: u16,
    /// `UDP`, `TCP`, `TCP-ACT`, `TCP-PASS`, as written.
    pub transport: &'a str,
    /// Priority.
    pub priority: u32,
    /// Address as written: an address, or a name such as browsers make up (`….local`).
    pub address: &'a str,
    /// The address, unless it is a name.
    pub ip: Option<IpAddr>,
    /// Port.
    pub port: u16,
    /// Kind of address.
    pub kind: CandidateKind<'a>,
    /// The address and port behind a reflexive or relayed one.
    pub related: Option<(IpAddr, u16)>,
    /// `tcptype`, extensions and all else, as written.
    pub extensions: &'a str,
}

impl<'a> Candidate<'a> {
    fn parse(value: &'a str) -> Option<Candidate<'a>> {
        let mut rest = value.trim();
        let mut field = || {
            let (word, after) = super::word(rest);
            rest = after;
            (!word.is_empty()).then_some(word)
        };
        let (foundation, component, transport) = (field()?, field()?.parse().ok()?, field()?);
        let (priority, address, port) = (field()?.parse().ok()?, field()?, field()?.parse().ok()?);
        let kind = field().filter(|word| *word == "typ").and_then(|_| field())?;
        Some(Candidate {
            foundation,
            component,
            transport,
            priority,
            address,
            ip: address.parse().ok(),
            port,
            kind: CandidateKind::of(kind),
            related: related(rest),
            extensions: rest,
        })
    }
}

fn related(extensions: &str) -> Option<(IpAddr, u16)> {
    let after = |key| {
        let mut words = extensions.split_ascii_whitespace();
        words.find(|word| *word == key).and_then(|_| words.next())
    };
    Some((after("raddr")?.parse().ok()?, after("rport")?.parse().ok()?))
}

impl<'a> CandidateKind<'a> {
    fn of(word: &'a str) -> CandidateKind<'a> {
        match word {
            "host" => CandidateKind::Host,
            "srflx" => CandidateKind::ServerReflexive,
            "prflx" => CandidateKind::PeerReflexive,
            "relay" => CandidateKind::Relayed,
            other => CandidateKind::Other(other),
        }
    }
}

/// Sections that belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group<'a> {
    /// `BUNDLE`, `LS` and others.
    pub semantics: &'a str,
    names: &'a str,
}

impl<'a> Group<'a> {
    fn parse(value: &'a str) -> Option<Group<'a>> {
        let (semantics, names) = super::word(value);
        (!semantics.is_empty()).then_some(Group { semantics, names })
    }

    /// The names of the sections, as in their `mid`.
    pub fn mids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.names.split_ascii_whitespace()
    }
}

/// Keys for SRTP, in the clear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crypto<'a> {
    /// Number of this offer.
    pub tag: u32,
    /// `AES_CM_128_HMAC_SHA1_80` and others.
    pub suite: &'a str,
    /// Key and session parameters as written.
    pub keys: &'a str,
}

impl<'a> Crypto<'a> {
    fn parse(value: &'a str) -> Option<Crypto<'a>> {
        let (tag, rest) = super::word(value);
        let (suite, keys) = super::word(rest);
        (!keys.is_empty()).then_some(Crypto { tag: tag.parse().ok()?, suite, keys })
    }
}

/// Hash of a DTLS certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint<'a> {
    /// `sha-256` and others.
    pub hash: &'a str,
    /// Bytes in hexadecimal, parted by colons.
    pub value: &'a str,
}
