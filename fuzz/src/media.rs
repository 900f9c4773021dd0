//! STUN, RTP, RTCP, and which of them a payload is.

use carillon_wire::payload::{Kind, StreamKind, classify, classify_stream};
use carillon_wire::stun::{self, Builder, ChannelData, Classic, Fingerprint, Message, Via, kind};
use carillon_wire::{rtcp, rtp};

/// A datagram of STUN. What parses survives being built again, up to the padding; a cut message says nothing
/// that the whole one does not.
pub fn stun(data: &[u8]) {
    let _ = (Classic::parse(data, data.len()), stun::look_through(data, data.len() as u32));
    if let Some(&[_, _, l0, l1]) = data.first_chunk() {
        let declared = stun::HEADER_LEN + usize::from(u16::from_be_bytes([l0, l1]));
        let _ = Message::parse_cut(data, declared).map(|cut| read_all(&cut));
        let _ = stun::look_through(data, declared as u32);
    }
    let Ok(message) = Message::parse(data) else { return };
    read_all(&message);
    rebuild(&message);
    if let Ok(cut) = Message::parse_cut(&data[..data.len() / 2], data.len()) {
        let (some, all) = (cut.attributes(), message.attributes());
        assert!(some.zip(all).all(|(s, a)| (s.kind, s.at, s.len) == (a.kind, a.at, a.len)));
    }
}

/// A stream of TURN: every frame is at least a header long, and either a message, ChannelData, or refused.
pub fn stun_stream(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some(len)) = stun::frame_len(rest) {
        assert!(len >= 4 && len % 4 == 0);
        let Some((frame, after)) = rest.split_at_checked(len) else { return };
        match ChannelData::parse_stream(frame) {
            Some(channel) => rewrap(&channel),
            None => assert!(!matches!(Message::parse(frame), Ok(m) if m.bytes().len() != len)),
        }
        rest = after;
    }
}

/// A datagram of RTP: header, extension and payload lie inside; what parses and has its padding survives a
/// round trip.
pub fn rtp(data: &[u8]) {
    let _ = rtp::Packet::parse(data, data.len() as u32 + 100);
    let Some(packet) = rtp::Packet::parse(data, data.len() as u32) else { return };
    assert_eq!(packet.payload.len(), packet.payload_len as usize);
    let Some(unpadded) = packet.unpadded() else { return };
    let head = &data[rtp::HEADER_LEN..][..usize::from(packet.csrc_count) * 4];
    let csrcs: Vec<u32> =
        head.chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]])).collect();
    let mut written = Vec::new();
    rtp::Builder {
        marker: packet.marker,
        payload_type: packet.payload_type,
        sequence: packet.sequence,
        timestamp: packet.timestamp,
        ssrc: packet.ssrc,
        csrcs: &csrcs,
        extension: packet.extension.map(|e| (e.profile, e.data)),
        padding: (packet.payload.len() - unpadded.len()) as u8,
    }
    .write(unpadded, &mut written);
    // The bytes of padding before the count are anyone's.
    let up_to_padding = data.len() - (packet.payload.len() - unpadded.len());
    assert_eq!((written.len(), &written[..up_to_padding]), (data.len(), &data[..up_to_padding]));
}

/// A datagram of RTCP or SRTCP: the packets tile it, and nothing yields more than its bytes allow.
pub fn rtcp(data: &[u8]) {
    for declared in [data.len() as u32, data.len() as u32 + 40] {
        let used: usize = rtcp::packets(data, declared).map(|packet| 4 + packet.body.len()).sum();
        assert!(used <= data.len());
        let things: usize = rtcp::packets(data, declared).map(|packet| things_in(&packet)).sum();
        assert!(things <= data.len());
        let protected = rtcp::srtcp(data, declared).is_some();
        assert!(!(protected && rtcp::is_compound(data, declared)));
    }
    if rtcp::is_compound(data, data.len() as u32) {
        let used: usize = rtcp::packets(data, data.len() as u32).map(|packet| 4 + packet.body.len()).sum();
        assert_eq!(used, data.len());
    }
}

/// A payload or the start of a stream: what a kind promises, its decoder accepts; what is wrapped is inside.
pub fn payload(data: &[u8]) {
    let declared = data.len() as u32;
    match classify(data, declared) {
        Kind::Rtp => assert!(rtp::Packet::parse(data, declared).is_some()),
        Kind::Rtcp => assert!(rtcp::packets(data, declared).next().is_some()),
        Kind::ClassicStun => assert!(Classic::parse(data, data.len()).is_some()),
        Kind::ChannelData => assert!(ChannelData::parse(data, data.len()).is_some()),
        Kind::Stun => assert_ne!(Message::parse(data).err(), Some(stun::Error::Length)),
        Kind::Empty => assert!(data.is_empty()),
        Kind::KeepAlive => assert!(data.len() <= 4),
        Kind::Dtls | Kind::Quic(_) | Kind::Sip | Kind::Other => {}
    }
    let _ = (classify(data, declared + 1), classify(data, 0));
    assert_ne!(classify_stream(&[data, &[0; 64]].concat()), StreamKind::NeedMore);
    classify_stream(data);
    if let Some(inner) = stun::look_through(data, declared) {
        assert!(inner.payload.len() == inner.payload_len as usize && inner.payload.len() < data.len());
        assert!(!matches!(inner.via, Via::Channel(number) if !stun::is_channel(number)));
    }
}

fn read_all(message: &Message<'_>) {
    let _ = (message.class(), message.method(), message.error_code(), message.fingerprint());
    let _ = (message.mapped_address(), message.xor_mapped_address(), message.xor_relayed_address());
    let _ = (message.username(), message.realm(), message.nonce(), message.software(), message.data());
    let _ = (message.channel_number(), message.lifetime(), message.priority(), message.requested_transport());
    let _ = (message.ice_controlled(), message.ice_controlling(), message.use_candidate());
    let _ = (message.requested_address_family(), message.additional_address_family());
    assert!(message.xor_peer_addresses().count() * 12 <= message.bytes().len());
    for integrity in [message.message_integrity(), message.message_integrity_sha256()].into_iter().flatten() {
        assert_eq!(message.bytes()[integrity.at + 4..][..integrity.mac.len()], *integrity.mac);
    }
}

fn rebuild(message: &Message<'_>) {
    let mut builder = Builder::new(message.class(), message.method(), *message.transaction_id());
    for attribute in message.attributes() {
        builder = match attribute.kind {
            kind::FINGERPRINT if message.fingerprint() == Fingerprint::Valid => builder.fingerprint(),
            number => builder.attribute(number, attribute.value),
        };
    }
    let built = builder.finish().unwrap_or_default();
    assert_eq!(built.len(), message.bytes().len());
    let again = Message::parse(&built).map(|again| again.attributes().count());
    assert_eq!(again, Ok(message.attributes().count()));
}

fn rewrap(channel: &ChannelData<'_>) {
    let mut written = Vec::new();
    assert!(ChannelData::write_stream(channel.channel, channel.data, &mut written).is_some());
    assert_eq!(ChannelData::parse_stream(&written), Some(*channel));
}

fn things_in(packet: &rtcp::Packet<'_>) -> usize {
    match packet.content() {
        rtcp::Content::SenderReport(_, blocks) | rtcp::Content::ReceiverReport(_, blocks) => blocks.count(),
        rtcp::Content::SourceDescription(chunks) => chunks.count(),
        rtcp::Content::Bye(bye) => bye.sources().count(),
        rtcp::Content::App(app) => app.data.len(),
        rtcp::Content::TransportFeedback(f) | rtcp::Content::PayloadFeedback(f) => f.fci.len(),
        rtcp::Content::ExtendedReport(_, blocks) => blocks.filter_map(|block| block.voip_metrics()).count(),
        rtcp::Content::Other => 0,
    }
}
