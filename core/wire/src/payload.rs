//! Tells what a UDP payload or the start of a TCP stream is, by its first bytes and its length: the order of
//! RFC 7983 and RFC 9443, made strict on lengths because here no port or negotiation vouches for anything.
//! Random bytes can still pass for RTP; only the following packets tell.

use crate::{rtcp::packet_type, stun};
use memchr::memchr;

/// What a UDP payload is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// STUN or TURN with the cookie.
    Stun,
    /// STUN of RFC 3489.
    ClassicStun,
    /// TURN ChannelData.
    ChannelData,
    /// A DTLS record whose length agrees.
    Dtls,
    /// A QUIC long header of this version; 0 is version negotiation.
    Quic(u32),
    /// A SIP request or answer.
    Sip,
    /// No payload at all.
    Empty,
    /// Line ends, zeros or a single byte, sent to keep a translator's binding open.
    KeepAlive,
    /// Anything else, also QUIC short headers: nothing in them can be checked.
    Other,
}

/// What a TCP stream is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StreamKind {
    /// TLS, or something that pretends to be.
    Tls,
    /// SIP in the clear.
    Sip,
    /// TURN or STUN over TCP.
    Stun,
    /// RTP, RTCP, STUN or DTLS, each behind a length of two bytes (RFC 4571, 6544).
    FramedRtp,
    /// HTTP 1 or 2 in the clear; WebSocket starts so too.
    Http,
    /// TPKT (RFC 1006): remote desktop, or H.323 call signalling.
    Tpkt,
    /// Anything else.
    Other,
    /// Not enough bytes to say.
    NeedMore,
}

/// Tells what a UDP payload is; `declared_len` is its length on the wire, of which a capture may have kept
/// only the first bytes.
#[inline]
pub fn classify(payload: &[u8], declared_len: u32) -> Kind {
    let Some(first) = payload.first() else {
        return if declared_len == 0 { Kind::Empty } else { Kind::Other };
    };
    match first {
        0x80..=0xbf => rtp_or_rtcp(payload, declared_len),
        0x00..=0x03 => stun(payload, declared_len),
        0x14..=0x19 => dtls_plain(payload, declared_len),
        0x24..=0x27 | 0x2c..=0x2f => dtls_unified(payload, declared_len),
        0x40..=0x4f => channel_data_or_text(payload, declared_len),
        0xc0..=0xff => quic(payload, declared_len),
        _ => text(payload, declared_len),
    }
}

/// Tells what a TCP stream is by the bytes that one side sent first.
pub fn classify_stream(stream: &[u8]) -> StreamKind {
    let stream = after_line_ends(stream);
    match *stream {
        [] => StreamKind::NeedMore,
        _ if is_sip(stream) => StreamKind::Sip,
        _ if is_http(stream) => StreamKind::Http,
        _ if is_tls(stream) => StreamKind::Tls,
        _ if is_stun_stream(stream) => StreamKind::Stun,
        _ if is_tpkt(stream) => StreamKind::Tpkt,
        _ if is_framed(stream) => StreamKind::FramedRtp,
        [first, ..] => undecided(first, stream.len()),
    }
}

/// A text's first line may come in small pieces; of binary protocols the longest that we look at is a framed
/// STUN header.
fn undecided(first: u8, len: usize) -> StreamKind {
    let enough = if first.is_ascii_graphic() { 64 } else { 24 };
    if len < enough { StreamKind::NeedMore } else { StreamKind::Other }
}

#[inline]
fn rtp_or_rtcp(payload: &[u8], declared_len: u32) -> Kind {
    let Some(&[flags, second, l0, l1]) = payload.first_chunk() else { return Kind::Other };
    let is_rtcp =
        (192..=223).contains(&second) && is_rtcp(flags, second, u16::from_be_bytes([l0, l1]), declared_len);
    match second & 0x7f {
        _ if is_rtcp => Kind::Rtcp,
        // With the marker bit these would be SR to APP. RFC 5761, 4 advises against 64 to 95 altogether, but only
        // where RTCP shares the port.
        72..=76 => Kind::Other,
        _ => rtp(payload, flags, declared_len),
    }
}

/// A packet type has a least length, and the first packet fits into the datagram.
#[inline]
fn is_rtcp(flags: u8, number: u8, words: u16, declared_len: u32) -> bool {
    let (words, count) = (u32::from(words), u32::from(flags & 0x1f));
    let least = match number {
        packet_type::SR => 6 + count * 6,
        packet_type::RR => 1 + count * 6,
        packet_type::SDES => count * 2,
        packet_type::BYE => count,
        packet_type::APP | packet_type::RTPFB | packet_type::PSFB => 2,
        _ => 1,
    };
    words >= least && (words + 1) * 4 <= declared_len
}

#[inline]
fn rtp(payload: &[u8], flags: u8, declared_len: u32) -> Kind {
    let Some(fixed) = payload.first_chunk::<12>() else { return Kind::Other };
    let sources = 12 + u32::from(flags & 0x0f) * 4;
    let extension = if flags & 0x10 == 0 { 0 } else { extension_len(payload, sources as usize) };
    if sources + extension > declared_len || looks_like_dns(fixed) {
        return Kind::Other;
    }
    Kind::Rtp
}

#[inline]
fn extension_len(payload: &[u8], at: usize) -> u32 {
    match payload.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        Some(&[_, _, l0, l1]) => 4 + u32::from(u16::from_be_bytes([l0, l1])) * 4,
        None => 4,
    }
}

/// A quarter of all DNS messages have an identifier that starts like RTP. They ask one question, and their
/// three other counts are small.
#[inline]
fn looks_like_dns(fixed: &[u8; 12]) -> bool {
    let standard_query = fixed[2] & 0x78 == 0 && fixed[3] & 0x40 == 0;
    standard_query && fixed[4..7] == [0, 1, 0] && fixed[8] == 0 && fixed[10] == 0 && fixed[11] < 32
}

#[inline]
fn stun(payload: &[u8], declared_len: u32) -> Kind {
    let Some(&[_, _, l0, l1, c0, c1, c2, c3]) = payload.first_chunk() else {
        return keep_alive(payload, declared_len);
    };
    let length = u32::from(u16::from_be_bytes([l0, l1]));
    if [c0, c1, c2, c3] == stun::COOKIE && length % 4 == 0 && length + 20 == declared_len {
        Kind::Stun
    } else if stun::Classic::parse(payload, declared_len as usize).is_some() {
        Kind::ClassicStun
    } else {
        Kind::Other
    }
}

/// Records before encryption starts, and those of DTLS 1.2 (RFC 6347, 4.1). Versions: 1.0, 1.2, and 1.3's own
/// number, which nobody should send.
#[inline]
fn dtls_plain(payload: &[u8], declared_len: u32) -> Kind {
    let Some(&[_, 0xfe, 0xff | 0xfd | 0xfc, _, _, _, _, _, _, _, _, l0, l1]) = payload.first_chunk() else {
        return Kind::Other;
    };
    let record = 13 + u32::from(u16::from_be_bytes([l0, l1]));
    let next_is_record = || match payload.get(record as usize) {
        Some(next) => (20..=63).contains(next),
        None => payload.len() < declared_len as usize,
    };
    let agrees = record == declared_len || record + 13 <= declared_len && next_is_record();
    if agrees { Kind::Dtls } else { Kind::Other }
}

/// DTLS 1.3's unified header, 001CSLEE (RFC 9147, 4). Only without connection identifier and with length can
/// anything be checked; the record is at least a content type and a tag of 16.
#[inline]
fn dtls_unified(payload: &[u8], declared_len: u32) -> Kind {
    let Some(&[first, _, b2, b3, b4]) = payload.first_chunk() else { return Kind::Other };
    let (header, length) = match first & 0x08 {
        0 => (4, u16::from_be_bytes([b2, b3])),
        _ => (5, u16::from_be_bytes([b3, b4])),
    };
    if length >= 17 && header + u32::from(length) == declared_len {
        Kind::Dtls
    } else {
        text(payload, declared_len)
    }
}

#[inline]
fn channel_data_or_text(payload: &[u8], declared_len: u32) -> Kind {
    match stun::ChannelData::parse(payload, declared_len as usize) {
        Some(_) => Kind::ChannelData,
        None => text(payload, declared_len),
    }
}

/// A long header (RFC 9000, 17.2; RFC 9369): a version that exists, and identifiers of at most 20 bytes.
#[inline]
fn quic(payload: &[u8], declared_len: u32) -> Kind {
    let Some(&[_, v0, v1, v2, v3, id_len]) = payload.first_chunk() else {
        return keep_alive(payload, declared_len);
    };
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    let exists = match version {
        0 | 1 | 0x6b33_43cf | 0xff00_0000..=0xff00_00ff => true,
        // Google's own ("Q043" and later), and versions reserved to exercise negotiation.
        _ => version & 0xffff_f000 == 0x5130_3000 || version & 0x0f0f_0f0f == 0x0a0a_0a0a,
    };
    let second_len = payload.get(6 + usize::from(id_len)).copied().unwrap_or(0);
    let rest = declared_len.checked_sub(7 + u32::from(id_len) + u32::from(second_len));
    let fits = match (version, rest) {
        // A list of versions follows. (A clock's first question is 48 bytes, 0xe3 and zeros.)
        (0, Some(list)) => list > 0 && list % 4 == 0,
        (_, rest) => rest.is_some(),
    };
    if exists && id_len <= 20 && second_len <= 20 && fits { Kind::Quic(version) } else { Kind::Other }
}

fn text(payload: &[u8], declared_len: u32) -> Kind {
    let lines = after_line_ends(payload);
    match lines.is_empty() || declared_len <= 4 {
        true => keep_alive(payload, declared_len),
        false if is_sip(lines) => Kind::Sip,
        false => Kind::Other,
    }
}

/// Four bytes at most: line ends (RFC 5626, 3.5.1), zeros, or one byte of anything (0xff: RFC 3948, 2.3).
fn keep_alive(payload: &[u8], declared_len: u32) -> Kind {
    match payload {
        [_] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r', b'\n'] | [0, 0] | [0, 0, 0] | [0, 0, 0, 0]
            if payload.len() == declared_len as usize =>
        {
            Kind::KeepAlive
        }
        _ => Kind::Other,
    }
}

/// A start line of SIP: an answer, or a method, one space and a URI (RFC 3261, 7). Schemes other than the
/// usual count if the line ends with the version.
fn is_sip(text: &[u8]) -> bool {
    if text.starts_with(b"SIP/2.0 ") {
        return true;
    }
    let head = text.get(..64).unwrap_or(text);
    let Some(space) = memchr(b' ', head).filter(|at| *at > 0) else { return false };
    let (method, rest) = (&text[..space], &text[space + 1..]);
    method.iter().all(|byte| is_token(*byte)) && (has_sip_scheme(rest) || line_ends_with_version(rest))
}

fn has_sip_scheme(uri: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 6] = [b"sip:", b"sips:", b"tel:", b"urn:", b"pres:", b"im:"];
    SCHEMES
        .iter()
        .any(|scheme| uri.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

fn line_ends_with_version(rest: &[u8]) -> bool {
    let head = rest.get(..1024).unwrap_or(rest);
    let Some(end) = memchr(b'\n', head) else { return false };
    head[..end].trim_ascii_end().ends_with(b" SIP/2.0")
}

/// RFC 3261, 25.1.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

fn is_http(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 11] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"DELETE ",
        b"PATCH ",
        b"OPTIONS ",
        b"CONNECT ",
        b"TRACE ",
        b"HTTP/",
        b"PRI * HTTP/2",
    ];
    STARTS.iter().any(|start| text.starts_with(start))
}

/// A record: content type, version 3.0 to 3.4, at most 2^14 + 2048 bytes (RFC 5246, 6.2.3; RFC 8446, 5.1).
fn is_tls(stream: &[u8]) -> bool {
    matches!(*stream, [20..=23, 3, 0..=4, l0, l1, ..] if (1..=18432).contains(&u16::from_be_bytes([l0, l1])))
}

fn is_stun_stream(stream: &[u8]) -> bool {
    stream.len() >= 8 && matches!(*stream, [0..=0x3f, ..]) && matches!(stun::frame_len(stream), Ok(Some(_)))
}

/// Version 3, then X.224's connect, confirm or data (RFC 1006, 6), or Q.931 as H.225 uses it.
fn is_tpkt(stream: &[u8]) -> bool {
    matches!(*stream, [3, 0, l0, l1, b4, b5, ..] if (7..=16384).contains(&u16::from_be_bytes([l0, l1]))
        && (matches!(b5, 0xe0 | 0xd0 | 0xf0) || b4 == 8))
}

fn is_framed(stream: &[u8]) -> bool {
    let Some((&[l0, l1], inner)) = stream.split_first_chunk() else { return false };
    let len = u16::from_be_bytes([l0, l1]);
    let inner = inner.get(..usize::from(len)).unwrap_or(inner);
    matches!(classify(inner, u32::from(len)), Kind::Rtp | Kind::Rtcp | Kind::Stun | Kind::Dtls)
}

/// Line ends before a start line are to be ignored (RFC 3261, 7.5).
fn after_line_ends(text: &[u8]) -> &[u8] {
    let after_one = text.strip_prefix(b"\r\n").unwrap_or(text);
    after_one.strip_prefix(b"\r\n").unwrap_or(after_one)
}
