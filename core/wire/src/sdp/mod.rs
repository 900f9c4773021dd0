//! Session descriptions (RFC 8866) as views over their bytes: sections, lines, attributes, in the order written.
//!
//! Reading is lenient: lines end in CRLF or LF, what cannot be read is passed over, nothing is refused because of one
//! bad line. What offer and answer mean together (RFC 3264) is for the reader, except that port 0 refuses a stream.

mod attribute;
pub mod codec;
mod profile;
mod restrict;

use std::net::IpAddr;

pub use attribute::{
    Attribute, Candidate, CandidateKind, Crypto, Direction, Feedback, Fingerprint, Group, RtcpPort, Rtpmap,
    Ssrc,
};
pub use profile::Profile;

use codec::Codec;
pub use restrict::Restriction;

/// Most media sections, and most formats of one, that are read: the work that a description can ask for is the
/// product of these and its length.
const MAX_SECTIONS: usize = 128;
const MAX_FORMATS: usize = 128;

/// A description. Not copied, not validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session<'a> {
    /// All of it.
    pub raw: &'a [u8],
    head: &'a [u8],
}

impl<'a> Session<'a> {
    /// Reads a description: whatever begins with a `v=` line, perhaps after blank ones.
    pub fn parse(raw: &'a [u8]) -> Option<Session<'a>> {
        raw.trim_ascii_start().strip_prefix(b"v=")?;
        let end = next_media(raw, 0).unwrap_or(raw.len());
        Some(Session { raw, head: raw.get(..end)? })
    }

    /// Lines before the first `m=`.
    pub fn lines(&self) -> Lines<'a> {
        Lines { rest: self.head }
    }

    /// The `o=` line.
    pub fn origin(&self) -> Option<Origin<'a>> {
        let mut fields = text(self.lines().find(|line| line.kind == b'o')?.value)?.split_ascii_whitespace();
        Some(Origin {
            user: fields.next()?,
            id: fields.next()?,
            version: fields.next()?,
            address: fields.nth(2)?,
        })
    }

    /// The address of the `c=` line of the session; a media section may have its own.
    pub fn connection(&self) -> Option<Connection<'a>> {
        connection(self.lines())
    }

    /// Attributes of the session.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        attributes(self.lines())
    }

    /// The names of the sections that share one transport (RFC 9143), once per group.
    pub fn bundles(&self) -> impl Iterator<Item = Group<'a>> + use<'a> {
        self.attributes().filter_map(|attribute| match attribute {
            Attribute::Group(group) if group.semantics.eq_ignore_ascii_case("BUNDLE") => Some(group),
            _ => None,
        })
    }

    /// The media sections, in order, at most 128. None is left out: answers match offers by position.
    pub fn media(&self) -> impl Iterator<Item = Media<'a>> + use<'a> {
        let session = *self;
        let mut rest = self.raw.get(self.head.len()..).unwrap_or_default();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (section, after) = rest.split_at_checked(next_media(rest, 1).unwrap_or(rest.len()))?;
            rest = after;
            Some(Media::of(section, session))
        })
        .take(MAX_SECTIONS)
    }
}

/// The `o=` line: who made the session, and which version of it this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    /// User name or `-`.
    pub user: &'a str,
    /// Session number, as written.
    pub id: &'a str,
    /// Version number, as written.
    pub version: &'a str,
    /// Address of the maker.
    pub address: &'a str,
}

/// The `c=` line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection<'a> {
    /// Address as written, without the multicast suffixes.
    pub address: &'a str,
    /// The address, unless it is a host name.
    pub ip: Option<IpAddr>,
}

/// A media section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Media<'a> {
    /// All of the section, beginning with its `m=` line.
    pub raw: &'a [u8],
    /// `audio`, `video`, `application`, `message` and others; empty if the line cannot be read.
    pub kind: &'a str,
    /// Port; 0 refuses the stream (RFC 3264, 6) or leaves it to a bundle. An unreadable one counts as 0.
    pub port: u16,
    /// Number of ports, 1 unless written.
    pub count: u16,
    /// `RTP/AVP`, `RTP/SAVP`, `UDP/TLS/RTP/SAVPF` and others.
    pub protocol: &'a str,
    /// Payload types or other formats, in order of preference, as written.
    pub format_list: &'a str,
    session: Session<'a>,
}

impl<'a> Media<'a> {
    fn of(raw: &'a [u8], session: Session<'a>) -> Media<'a> {
        let line = Lines { rest: raw }.next().and_then(|line| text(line.value)).unwrap_or_default();
        let (kind, rest) = word(line);
        let (ports, rest) = word(rest);
        let (protocol, format_list) = word(rest);
        let (port, count) = ports.split_once('/').unwrap_or((ports, "1"));
        Media {
            raw,
            kind,
            port: port.parse().unwrap_or(0),
            count: count.parse().unwrap_or(1),
            protocol,
            format_list: format_list.trim(),
            session,
        }
    }

    /// What the writer wants to receive at most, in kilobits per second: `b=AS`, or `b=TIAS` without headers (RFC 3890).
    pub fn bandwidth(&self) -> Option<u32> {
        let limits = self.lines().filter(|line| line.kind == b'b').filter_map(|line| text(line.value));
        let kilobits = |limit: &str| {
            let (kind, value) = limit.split_once(':')?;
            let value: u32 = value.trim().parse().ok()?;
            match kind {
                "AS" => Some(value),
                "TIAS" => Some(value.div_ceil(1000)),
                _ => None,
            }
        };
        limits.filter_map(kilobits).max()
    }

    /// Lines of the section after the `m=` line.
    pub fn lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        Lines { rest: self.raw }.skip(1)
    }

    /// Attributes of the section.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        attributes(self.lines())
    }

    /// Formats in order of preference.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.format_list.split_ascii_whitespace()
    }

    /// Whether the port refuses the stream. In an offer a bundled section may have port 0 and
    /// `a=bundle-only` (RFC 9143, 6): that is none.
    pub fn is_refused(&self) -> bool {
        let bundle_only = |a| matches!(a, Attribute::Other { name: b"bundle-only", .. });
        self.port == 0 && !self.attributes().any(bundle_only)
    }

    /// Where media is wanted: the section's `c=` line, else the session's.
    pub fn connection(&self) -> Option<Connection<'a>> {
        connection(self.lines()).or_else(|| self.session.connection())
    }

    /// Where RTCP is wanted: `a=rtcp-mux` on the media port, `a=rtcp` where it says, else the port above.
    pub fn rtcp(&self) -> (u16, Option<IpAddr>) {
        let address = self.connection().and_then(|connection| connection.ip);
        if self.is_muxed() {
            return (self.port, address);
        }
        let named = self.attributes().find_map(|attribute| match attribute {
            Attribute::Rtcp(rtcp) => Some((rtcp.port, rtcp.ip.or(address))),
            _ => None,
        });
        let above = if self.port == 0 { 0 } else { self.port.saturating_add(1) };
        named.unwrap_or((above, address))
    }

    /// Whether RTP and RTCP share a port (RFC 5761).
    pub fn is_muxed(&self) -> bool {
        self.attributes().any(|attribute| attribute == Attribute::RtcpMux)
    }

    /// Direction, of the section or else of the session; both ways if neither says.
    pub fn direction(&self) -> Direction {
        let direction = |attribute| match attribute {
            Attribute::Direction(direction) => Some(direction),
            _ => None,
        };
        let own = self.attributes().find_map(direction);
        own.or_else(|| self.session.attributes().find_map(direction)).unwrap_or_default()
    }

    /// The name of the section in a group (RFC 5888).
    pub fn mid(&self) -> Option<&'a str> {
        self.attributes().find_map(|attribute| match attribute {
            Attribute::Mid(mid) => Some(mid),
            _ => None,
        })
    }

    /// ICE candidates of the section (RFC 8839).
    pub fn candidates(&self) -> impl Iterator<Item = Candidate<'a>> + use<'a> {
        self.attributes().filter_map(|attribute| match attribute {
            Attribute::Candidate(candidate) => Some(candidate),
            _ => None,
        })
    }

    /// Name and password of ICE, of the section or else of the session (RFC 8839, 5.4).
    pub fn ice_credentials(&self) -> Option<(&'a str, &'a str)> {
        let all = || self.attributes().chain(self.session.attributes());
        let ufrag = all().find_map(|attribute| match attribute {
            Attribute::IceUfrag(ufrag) => Some(ufrag),
            _ => None,
        })?;
        let password = all().find_map(|attribute| match attribute {
            Attribute::IcePwd(password) => Some(password),
            _ => None,
        })?;
        Some((ufrag, password))
    }

    /// Whether the writer answers checks and makes none (`a=ice-lite`, RFC 8839, 5.3).
    pub fn is_ice_lite(&self) -> bool {
        self.session
            .attributes()
            .any(|attribute| matches!(attribute, Attribute::Other { name: b"ice-lite", .. }))
    }

    /// Whether keys are agreed on by DTLS, beside the media (RFC 5764).
    pub fn is_dtls(&self) -> bool {
        matches!(self.protocol, "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF")
    }

    /// Hashes of the certificate that DTLS will show, of the section or else of the session (RFC 8122, 5).
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint<'a>> + use<'a> {
        let fingerprint = |attribute| match attribute {
            Attribute::Fingerprint(fingerprint) => Some(fingerprint),
            _ => None,
        };
        let own = self.attributes().filter_map(fingerprint);
        let common = self.session.attributes().filter_map(fingerprint);
        let has_own = self.attributes().filter_map(fingerprint).next().is_some();
        own.chain(common.filter(move |_| !has_own))
    }

    /// Who begins with DTLS, of the section or else of the session (RFC 4145, 4).
    pub fn setup(&self) -> Option<&'a str> {
        self.attributes().chain(self.session.attributes()).find_map(|attribute| match attribute {
            Attribute::Setup(setup) => Some(setup),
            _ => None,
        })
    }

    /// Sources announced (RFC 5576), as often as they are written.
    pub fn ssrcs(&self) -> impl Iterator<Item = Ssrc<'a>> + use<'a> {
        self.attributes().filter_map(|attribute| match attribute {
            Attribute::Ssrc(ssrc) => Some(ssrc),
            _ => None,
        })
    }

    /// What a payload type means here: by `a=rtpmap`, else by the static table of RFC 3551.
    pub fn codec(&self, payload_type: u8) -> Option<Codec<'a>> {
        let maps = self.lines().filter(|line| line.kind == b'a' && line.value.starts_with(b"rtpmap:"));
        let mapped = attributes(maps).find_map(|attribute| match attribute {
            Attribute::Rtpmap(map) if map.payload_type == payload_type => Some(map),
            _ => None,
        });
        match mapped {
            Some(map) => Some(Codec { name: map.name, clock: map.clock, channels: map.channels }),
            None => codec::static_payload(payload_type).map(|fixed| fixed.codec),
        }
    }

    /// The payload types with their codecs, in order of preference, of the first 128 formats; those that nothing
    /// explains are left out.
    pub fn codecs(&self) -> impl Iterator<Item = (u8, Codec<'a>)> + use<'a> {
        let media = *self;
        let numbers = media.formats().take(MAX_FORMATS).filter_map(|format| format.parse::<u8>().ok());
        numbers.filter_map(move |number| Some((number, media.codec(number)?)))
    }
}

/// One line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// The letter before the equals sign.
    pub kind: u8,
    /// What follows it.
    pub value: &'a [u8],
}

/// Lines of the form `letter=value`; others are passed over.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        while !self.rest.is_empty() {
            let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let line = self.rest.get(..end)?;
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if let [kind, b'=', value @ ..] = line.trim_ascii_end() {
                return Some(Line { kind: *kind, value });
            }
        }
        None
    }
}

/// Where the next `m=` line at or after `from` begins.
fn next_media(text: &[u8], from: usize) -> Option<usize> {
    let mut lines = memchr::memmem::find_iter(text.get(from..)?, b"m=").map(|at| at + from);
    lines.find(|&at| at == 0 || text.get(at - 1) == Some(&b'\n'))
}

fn connection<'a>(mut lines: impl Iterator<Item = Line<'a>>) -> Option<Connection<'a>> {
    let mut fields = text(lines.find(|line| line.kind == b'c')?.value)?.split_ascii_whitespace();
    let address = fields.nth(2)?.split('/').next()?;
    Some(Connection { address, ip: address.parse().ok() })
}

fn attributes<'a>(lines: impl Iterator<Item = Line<'a>>) -> impl Iterator<Item = Attribute<'a>> {
    lines.filter(|line| line.kind == b'a').map(|line| Attribute::parse(line.value))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The first word and what follows it.
fn word(line: &str) -> (&str, &str) {
    line.trim_start().split_once([' ', '\t']).unwrap_or((line.trim_start(), ""))
}
