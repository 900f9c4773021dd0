//! What the RTP builder writes, the view reads, whole and cut.

use carillon_wire::payload::{Kind, classify};
use carillon_wire::rtp::{Builder, Packet};
use proptest::prelude::*;

proptest! {
    #[test]
    fn packets(
        (marker, payload_type, sequence, timestamp, ssrc) in (any::<bool>(), 0u8..128, any::<u16>(), any::<u32>(), any::<u32>()),
        csrcs in prop::collection::vec(any::<u32>(), 0..16),
        extension in prop::option::of((any::<u16>(), prop::collection::vec(any::<u8>(), 0..40))),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        padding: u8,
    ) {
        let extension = extension.as_ref().map(|(profile, data)| (*profile, &data[..]));
        let builder =
            Builder { marker, payload_type, sequence, timestamp, ssrc, csrcs: &csrcs, extension, padding };
        let mut bytes = Vec::new();
        builder.write(&payload, &mut bytes);
        let len = bytes.len() as u32;
        let packet = Packet::parse(&bytes, len).expect("a packet");
        prop_assert_eq!((packet.marker, packet.payload_type), (marker, payload_type));
        prop_assert_eq!((packet.sequence, packet.timestamp, packet.ssrc), (sequence, timestamp, ssrc));
        prop_assert_eq!(usize::from(packet.csrc_count), csrcs.len());
        prop_assert_eq!(packet.unpadded(), Some(&payload[..]));
        prop_assert_eq!(packet.payload_len as usize, payload.len() + usize::from(padding));
        prop_assert_eq!(packet.extension.map(|e| e.profile), extension.map(|e| e.0));
        if let (Some(read), Some((_, data))) = (packet.extension, extension) {
            prop_assert!(read.data.starts_with(data) && read.data.len() == data.len().next_multiple_of(4));
        }
        for cut in 0..bytes.len() {
            let read = Packet::parse(&bytes[..cut], len);
            prop_assert_eq!(read.map(|p| p.sequence), (cut >= 12).then_some(sequence));
        }
        let is_rtcp_type = (64..96).contains(&payload_type);
        let kind = classify(&bytes, len);
        prop_assert!(is_rtcp_type || kind == Kind::Rtp || timestamp >> 8 == 0x100, "{:?}", kind);
    }
}
