//! What two session descriptions say of a call's media: where each side hears, and by which codec.

use std::net::{IpAddr, SocketAddr};

use carillon_wire::sdp::codec::Codec;
use carillon_wire::sdp::{Attribute, CandidateKind, Media, Session};

/// By which way a side's media goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Path {
    /// From an address of its own.
    Host,
    /// From an address that a NAT gave it.
    Reflexive,
    /// By a relay.
    Relayed,
}

impl Path {
    /// All there are.
    pub const ALL: [Path; 3] = [Path::Host, Path::Reflexive, Path::Relayed];

    /// The word in records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Path::Host => "host",
            Path::Reflexive => "reflexive",
            Path::Relayed => "relayed",
        }
    }

    /// The path of that name; those of RFC 8839 are known too.
    pub fn named(word: &str) -> Option<Path> {
        match word {
            "srflx" | "prflx" => Some(Path::Reflexive),
            "relay" => Some(Path::Relayed),
            word => Path::ALL.into_iter().find(|path| path.name() == word),
        }
    }
}

/// One side's end of a stream, as the descriptions have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    /// Where it hears; `None` if that is a name.
    pub address: Option<SocketAddr>,
    /// The codec that both agreed on.
    pub codec: Option<String>,
    /// Samples of its sound a second: 16000 for G.722, whose clock says 8000; none for video.
    pub rate: Option<u32>,
    /// Whether the packets are encrypted.
    pub encrypted: bool,
    /// The way, where the descriptions leave no doubt.
    pub path: Option<Path>,
    /// Whether the port is one of the plan's for this side; `None` where the plan has none for it.
    pub in_range: Option<bool>,
    /// The mark that the plan wants on what this side sends.
    pub mark: Option<u8>,
}

/// One description: the first audio and the first video line that is not refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Described {
    pub(crate) audio: Option<Line>,
    pub(crate) video: Option<Line>,
}

/// A media line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    pub(crate) stream: Stream,
    /// Whether it speaks ICE: then its address is a proposal.
    is_ice: bool,
}

impl Described {
    /// Reads a description; `source` is where the message came from.
    pub(crate) fn of(sdp: &[u8]) -> Option<Described> {
        let session = Session::parse(sdp)?;
        let first = |kind: &str| {
            let mut lines = session.media().filter(|media| media.kind == kind && !media.is_refused());
            lines.next().map(|media| Line::of(&media))
        };
        Some(Described { audio: first("audio"), video: first("video") })
    }
}

/// What offer and answer agreed on: the streams of the one who offered and of the one who answered.
pub(crate) fn agreed(offer: Option<&Line>, answer: Option<&Line>) -> [Option<Stream>; 2] {
    let (Some(offer), Some(answer)) = (offer, answer) else { return [None, None] };
    let ice = offer.is_ice && answer.is_ice;
    // The answer has the codec that is spoken, first (RFC 3264, 6.1).
    let side = |line: &Line| Stream {
        codec: answer.stream.codec.clone(),
        rate: answer.stream.rate,
        encrypted: offer.stream.encrypted && answer.stream.encrypted,
        path: line.stream.path.filter(|_| !ice),
        ..line.stream.clone()
    };
    [Some(side(offer)), Some(side(answer))]
}

impl Line {
    fn of(media: &Media<'_>) -> Line {
        let ip = media.connection().and_then(|connection| connection.ip);
        let codec = media.codecs().map(|(_, codec)| codec).find(|codec| !goes_along(codec));
        let (is_ice, path) = path(media, ip);
        Line {
            stream: Stream {
                address: ip.map(|ip| SocketAddr::new(ip, media.port)),
                codec: codec.map(|codec| codec.name.to_owned()),
                rate: codec.and_then(|codec| codec.sample_rate()),
                encrypted: media.protocol.contains("SAVP") || has_key(media),
                path,
                in_range: None,
                mark: None,
            },
            is_ice,
        }
    }
}

/// Some offer keys beside plain RTP, and mean it if the answer has one too.
fn has_key(media: &Media<'_>) -> bool {
    media.attributes().any(|attribute| matches!(attribute, Attribute::Crypto(_)))
}

/// Whether it speaks ICE, and of which kind the address is that it names.
fn path(media: &Media<'_>, ip: Option<IpAddr>) -> (bool, Option<Path>) {
    let is_ice = media.ice_credentials().is_some();
    let named = media
        .candidates()
        .find(|candidate| candidate.component == 1 && candidate.ip == ip && candidate.port == media.port);
    let path = match named.map(|candidate| candidate.kind) {
        Some(CandidateKind::Host) => Some(Path::Host),
        Some(CandidateKind::ServerReflexive | CandidateKind::PeerReflexive) => Some(Path::Reflexive),
        Some(CandidateKind::Relayed) => Some(Path::Relayed),
        _ if is_ice => None,
        _ => Some(Path::Host),
    };
    (is_ice, path)
}

/// What is no speech itself.
pub(crate) fn goes_along(codec: &Codec<'_>) -> bool {
    ["telephone-event", "CN", "red", "rtx", "ulpfec"].iter().any(|name| codec.is(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\nc=IN IP4 10.1.0.7\r\nm=audio 50000 RTP/AVP 101 9 0\r\na=rtpmap:101 telephone-event/8000\r\n\
        m=video 58000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";

    fn both(offer: &str, answer: &str) -> ([Option<Stream>; 2], [Option<Stream>; 2]) {
        let (offer, answer) =
            (Described::of(offer.as_bytes()).unwrap(), Described::of(answer.as_bytes()).unwrap());
        (
            agreed(offer.audio.as_ref(), answer.audio.as_ref()),
            agreed(offer.video.as_ref(), answer.video.as_ref()),
        )
    }

    #[test]
    fn the_answer_says_the_codec_and_each_its_own_port() {
        let answer = "v=0\r\nc=IN IP4 10.2.0.9\r\nm=audio 50010 RTP/AVP 9 101\r\na=rtpmap:101 telephone-event/8000\r\nm=video 0 RTP/AVP 96\r\n";
        let ([offerer, answerer], video) = both(OFFER, answer);
        let (offerer, answerer) = (offerer.unwrap(), answerer.unwrap());
        assert_eq!((offerer.codec.as_deref(), offerer.rate), (Some("G722"), Some(16_000)), "wideband");
        assert_eq!(offerer.address, Some("10.1.0.7:50000".parse().unwrap()));
        assert_eq!(answerer.address, Some("10.2.0.9:50010".parse().unwrap()));
        assert_eq!(
            (offerer.path, answerer.path, offerer.encrypted),
            (Some(Path::Host), Some(Path::Host), false)
        );
        assert_eq!(video, [None, None], "refused");
    }

    #[test]
    fn keys_beside_plain_rtp_count_where_both_have_one() {
        let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";
        let plain = "v=0\r\nc=IN IP4 10.2.0.9\r\nm=audio 50010 RTP/AVP 0\r\n".to_owned();
        let keyed = format!("{plain}{key}");
        let encrypted =
            |([offerer, _], _): ([Option<Stream>; 2], [Option<Stream>; 2])| offerer.unwrap().encrypted;
        assert!(encrypted(both(&keyed, &keyed)) && !encrypted(both(&keyed, &plain)));
    }

    #[test]
    fn where_both_check_connectivity_a_default_address_is_no_path() {
        let ice = "v=0\r\nc=IN IP4 192.0.2.5\r\nm=audio 49200 RTP/SAVP 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n\
            a=candidate:1 1 UDP 1 192.0.2.5 49200 typ relay raddr 10.0.0.1 rport 9\r\n";
        let plain = "v=0\r\nc=IN IP4 10.2.0.9\r\nm=audio 50010 RTP/SAVP 0\r\n";
        let path = |[offerer, _]: [Option<Stream>; 2]| offerer.unwrap().path;
        assert_eq!(path(both(ice, ice).0), None);
        assert_eq!(
            path(both(ice, plain).0),
            Some(Path::Relayed),
            "the other side sends there and nowhere else"
        );
    }
}
