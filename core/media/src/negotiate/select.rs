//! What of a peer's audio section we can do, and prefer.

use std::net::{IpAddr, SocketAddr};

use carillon_wire::sdp::{Attribute, Direction, Media};

use super::describe::{event_number, own_format};
use super::{Agreed, Dtls, Encryption, Events, Format, Keys, Negotiation, Refusal};
use crate::codec::Codec;
use crate::ice::{Candidate, Description, is_mismatched, tells_mismatch};
use crate::srtp::{Offered, parse};

/// What was found in a section.
pub(super) struct Selected<'a> {
    pub(super) media: Media<'a>,
    /// Everything but the direction, which is as the peer sees it.
    agreed: Agreed,
    /// The number of the peer's `a=crypto` that was taken.
    pub(super) tag: Option<u32>,
    /// The peer's end of ICE.
    pub(super) ice: Option<Description>,
    /// Somebody in between has changed addresses, so that ICE cannot be spoken.
    pub(super) mismatch: bool,
}

impl Selected<'_> {
    /// The outcome, if we want media to flow this way.
    pub(super) fn agreed(&self, wanted: Direction) -> Agreed {
        Agreed { direction: common(self.agreed.direction, wanted), ..self.agreed.clone() }
    }
}

/// Our choice from an offer: the codec that we like best, in the offer's payload types, both ways (RFC 3264, 6.1).
pub(super) fn from_offer<'a>(ours: &Negotiation, media: &Media<'a>) -> Result<Selected<'a>, Refusal> {
    check_transport(ours, media)?;
    let send = ours.wishes.codecs.iter().find_map(|codec| format_of(media, *codec)).ok_or(Refusal::Codec)?;
    let crypto = crypto_of_offer(ours, media)?;
    let events = events_of(media, send.codec).map(|(payload_type, clock)| Events {
        send: payload_type,
        receive: payload_type,
        clock,
    });
    let mux = ours.wishes.mux && media.is_muxed();
    select(ours, media, (send, vec![send]), events, mux, crypto)
}

/// The peer's choice from our offer: we send the first codec of its answer, and it may send any of them in the payload
/// types of our offer.
pub(super) fn from_answer<'a>(ours: &Negotiation, media: &Media<'a>) -> Result<Selected<'a>, Refusal> {
    check_transport(ours, media)?;
    let offered = |codec: &Codec| ours.wishes.codecs.contains(codec);
    let formats: Vec<Format> = media
        .codecs()
        .filter_map(|(payload_type, encoding)| Some(Format { payload_type, codec: Codec::of(&encoding)? }))
        .filter(|format| offered(&format.codec))
        .collect();
    let send = *formats.first().ok_or(Refusal::Codec)?;
    let receive = formats.iter().map(|format| own_format(ours, format.codec));
    let events = events_of(media, send.codec).map(|(send, clock)| Events {
        send,
        receive: event_number(ours, clock),
        clock,
    });
    let crypto = crypto_of_answer(ours, media)?;
    let mux = ours.wishes.mux && media.is_muxed();
    select(ours, media, (send, receive.collect()), events, mux, crypto)
}

fn select<'a>(
    ours: &Negotiation,
    media: &Media<'a>,
    (send, receive): (Format, Vec<Format>),
    events: Option<Events>,
    mux: bool,
    crypto: Option<Offered>,
) -> Result<Selected<'a>, Refusal> {
    let address = |ip: Option<IpAddr>| ip.map(|ip| ip.to_canonical()).filter(|ip| is_reachable(ours, *ip));
    let named = media.connection().and_then(|connection| connection.ip);
    let web = ours.identity.is_some();
    // Browsers write names or nothing there: checks find out where they are.
    let ip = if web { ours.address() } else { address(named).ok_or(Refusal::Address)? };
    let (rtcp_port, rtcp_ip) = if mux { (media.port, None) } else { media.rtcp() };
    let keys = crypto.as_ref().and_then(|offered| {
        Some(Keys { send: ours.key(offered.key.suite())?.clone(), receive: offered.key.clone() })
    });
    let agreed = Agreed {
        send,
        receive,
        events,
        remote_rtp: SocketAddr::new(ip, media.port),
        remote_rtcp: SocketAddr::new(address(rtcp_ip).unwrap_or(ip), rtcp_port),
        mux,
        // The address 0.0.0.0 is how RFC 2543 put on hold: nothing is to be sent there.
        direction: if ip.is_unspecified() { without_receiving(media.direction()) } else { media.direction() },
        keys,
        ptime_ms: ptime(media),
        voip_metrics: asks_for_voip_metrics(media),
        ice: None,
        dtls: if web { Some(Dtls::read(media).filter(|_| mux).ok_or(Refusal::Identity)?) } else { None },
    };
    let reachable = |candidate: &Candidate| web || is_reachable(ours, candidate.address.ip());
    let ice = Description::read(media, reachable).filter(|_| !tells_mismatch(media));
    // Who holds by the address zero means no place (RFC 3264, 8.4).
    let mismatch = !web && ice.as_ref().is_some_and(|ice| !ip.is_unspecified() && is_mismatched(media, ice));
    let ice = ice.filter(|_| !mismatch);
    if web && ice.is_none() {
        return Err(Refusal::Identity);
    }
    Ok(Selected { media: *media, agreed, tag: crypto.map(|offered| offered.tag), ice, mismatch })
}

/// Whether an address is that of one machine that we can send to. Media to a group or to everybody would let one INVITE
/// flood a network, and another machine's loopback is our own. Zero, of IPv4 only, is a hold (RFC 3264, 8.4).
fn is_reachable(ours: &Negotiation, ip: IpAddr) -> bool {
    let one = match ip {
        IpAddr::V4(ip) => !ip.is_broadcast() && (ip.is_unspecified() || ip.octets()[0] != 0),
        IpAddr::V6(ip) => !ip.is_unspecified(),
    };
    let same_family = ip.is_ipv4() == ours.address().is_ipv4();
    same_family && one && !ip.is_multicast() && (!ip.is_loopback() || ours.address().is_loopback())
}

fn check_transport(ours: &Negotiation, media: &Media<'_>) -> Result<(), Refusal> {
    let known = match ours.identity {
        Some(_) => media.is_dtls(),
        None => matches!(media.protocol, "RTP/AVP" | "RTP/AVPF" | "RTP/SAVP" | "RTP/SAVPF"),
    };
    if known { Ok(()) } else { Err(Refusal::Transport) }
}

fn is_secure(protocol: &str) -> bool {
    protocol.starts_with("RTP/SAVP")
}

fn format_of(media: &Media<'_>, codec: Codec) -> Option<Format> {
    let mut codecs = media.codecs().filter(|(_, encoding)| Codec::of(encoding) == Some(codec));
    codecs.next().map(|(payload_type, _)| Format { payload_type, codec })
}

/// Payload type and clock of telephone events: with the clock of the audio (RFC 4733, 2.1), else with any.
fn events_of(media: &Media<'_>, codec: Codec) -> Option<(u8, u32)> {
    let events =
        || media.codecs().filter(|(_, encoding)| encoding.is("telephone-event") && encoding.clock > 0);
    let same = events().find(|(_, encoding)| encoding.clock == codec.clock());
    same.or_else(|| events().next()).map(|(payload_type, encoding)| (payload_type, encoding.clock))
}

/// The keys to use with an offer: by our order of suites.
fn crypto_of_offer(ours: &Negotiation, media: &Media<'_>) -> Result<Option<Offered>, Refusal> {
    let secure = is_secure(media.protocol);
    let found = match ours.wishes.encryption {
        Encryption::Off => None,
        Encryption::Optional | Encryption::Required => {
            let with = |suite| cryptos(media).find(|offered| offered.key.suite() == suite);
            ours.wishes.suites.iter().find_map(|suite| with(*suite))
        }
    };
    match (found, ours.wishes.encryption) {
        (None, _) if secure => Err(Refusal::EncryptionRefused),
        (None, Encryption::Required) => Err(Refusal::EncryptionMissing),
        (found, _) => Ok(found),
    }
}

/// The keys of an answer: it takes one line of our offer, or none if encryption was optional.
fn crypto_of_answer(ours: &Negotiation, media: &Media<'_>) -> Result<Option<Offered>, Refusal> {
    if is_secure(media.protocol) != (ours.wishes.encryption == Encryption::Required) {
        return Err(Refusal::Transport);
    }
    let ours_by_tag = |tag: u32| ours.keys.get((tag as usize).checked_sub(1)?);
    let taken = cryptos(media)
        .find(|offered| ours_by_tag(offered.tag).is_some_and(|key| key.suite() == offered.key.suite()));
    match (taken, ours.wishes.encryption) {
        (_, Encryption::Off) => Ok(None),
        (None, Encryption::Required) => Err(Refusal::EncryptionMissing),
        (taken, _) => Ok(taken),
    }
}

fn cryptos<'a>(media: &Media<'a>) -> impl Iterator<Item = Offered> + use<'a> {
    media.attributes().filter_map(|attribute| match attribute {
        Attribute::Crypto(crypto) => parse(&crypto).ok(),
        _ => None,
    })
}

fn ptime(media: &Media<'_>) -> u32 {
    let ptime = |attribute| match attribute {
        Attribute::Ptime(ms) => Some(ms),
        _ => None,
    };
    media.attributes().find_map(ptime).unwrap_or(20)
}

fn asks_for_voip_metrics(media: &Media<'_>) -> bool {
    media.attributes().any(|attribute| match attribute {
        Attribute::Other { name: b"rtcp-xr", value: Some(value) } => {
            value.split(|byte| *byte == b' ').any(|format| format.starts_with(b"voip-metrics"))
        }
        _ => false,
    })
}

/// What both ends allow, as we see it; `theirs` is as the peer sees it.
fn common(theirs: Direction, ours: Direction) -> Direction {
    let (they_send, they_receive) = sends_and_receives(theirs);
    let (we_send, we_receive) = sends_and_receives(ours);
    match (we_send && they_receive, we_receive && they_send) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

fn sends_and_receives(direction: Direction) -> (bool, bool) {
    match direction {
        Direction::SendRecv => (true, true),
        Direction::SendOnly => (true, false),
        Direction::RecvOnly => (false, true),
        Direction::Inactive => (false, false),
    }
}

fn without_receiving(direction: Direction) -> Direction {
    if sends_and_receives(direction).0 { Direction::SendOnly } else { Direction::Inactive }
}
