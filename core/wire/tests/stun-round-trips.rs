//! What the builder writes, the view reads; what a relay wraps, the look-through finds.
#![allow(clippy::unwrap_used)]

use carillon_wire::stun::{
    Builder, ChannelData, Class, ErrorCode, Family, Fingerprint, Message, Method, Via, kind, look_through,
};
use proptest::prelude::*;
use std::net::SocketAddr;

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        any::<([u8; 16], u16)>().prop_map(SocketAddr::from),
    ]
}

fn class() -> impl Strategy<Value = Class> {
    prop::sample::select(vec![Class::Request, Class::Indication, Class::Success, Class::Error])
}

proptest! {
    #[test]
    fn typed_attributes(
        (class, method, id) in (class(), 0u16..0x1000, any::<[u8; 12]>()),
        (mapped, relayed) in (address(), address()),
        peers in prop::collection::vec(address(), 0..4),
        (lifetime, priority, tie, channel) in any::<(u32, u32, u64, u16)>(),
        (user, realm) in ("\\PC{0,40}", "\\PC{0,40}"),
        data in prop::collection::vec(any::<u8>(), 0..300),
        code in 300u16..700,
    ) {
        let mut builder = Builder::new(class, Method::from_number(method), id)
            .address(kind::MAPPED_ADDRESS, mapped)
            .xor_address(kind::XOR_MAPPED_ADDRESS, mapped)
            .xor_address(kind::XOR_RELAYED_ADDRESS, relayed)
            .u32(kind::LIFETIME, lifetime)
            .u32(kind::PRIORITY, priority)
            .u64(kind::ICE_CONTROLLING, tie)
            .attribute(kind::USE_CANDIDATE, &[])
            .channel_number(channel)
            .requested_transport(17)
            .family(kind::REQUESTED_ADDRESS_FAMILY, Family::V6)
            .family(kind::ADDITIONAL_ADDRESS_FAMILY, Family::V4)
            .error_code(code, &realm)
            .attribute(kind::USERNAME, user.as_bytes())
            .attribute(kind::REALM, realm.as_bytes())
            .attribute(kind::DATA, &data);
        for peer in &peers {
            builder = builder.xor_address(kind::XOR_PEER_ADDRESS, *peer);
        }
        let bytes = builder.fingerprint().finish().unwrap();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!((message.class(), message.method().number()), (class, method));
        prop_assert_eq!(message.transaction_id(), &id);
        prop_assert_eq!(message.mapped_address(), Some(mapped));
        prop_assert_eq!(message.xor_mapped_address(), Some(mapped));
        prop_assert_eq!(message.xor_relayed_address(), Some(relayed));
        prop_assert_eq!(message.xor_peer_addresses().collect::<Vec<_>>(), peers.clone());
        prop_assert_eq!(message.xor_peer_address(), peers.first().copied());
        prop_assert_eq!((message.lifetime(), message.priority()), (Some(lifetime), Some(priority)));
        prop_assert_eq!((message.ice_controlling(), message.ice_controlled()), (Some(tie), None));
        prop_assert!(message.use_candidate());
        prop_assert_eq!((message.channel_number(), message.requested_transport()), (Some(channel), Some(17)));
        prop_assert_eq!(message.requested_address_family(), Some(Family::V6));
        prop_assert_eq!(message.additional_address_family(), Some(Family::V4));
        prop_assert_eq!(message.error_code(), Some(ErrorCode { code, reason: &realm }));
        prop_assert_eq!((message.username(), message.realm()), (Some(&*user), Some(&*realm)));
        prop_assert_eq!(message.data(), Some(&data[..]));
        prop_assert_eq!(message.fingerprint(), Fingerprint::Valid);
        for len in 0..bytes.len() {
            let cut = Message::parse_cut(&bytes[..len], bytes.len());
            prop_assert_eq!(cut.is_ok(), len >= 20);
            prop_assert!(Message::parse(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn relayed_payloads(
        peer in address(),
        channel in 0x4000u16..0x5000,
        payload in prop::collection::vec(any::<u8>(), 0..200),
        to_peer: bool,
    ) {
        let (method, via) = match to_peer {
            true => (Method::Send, Via::ToPeer(peer)),
            false => (Method::Data, Via::FromPeer(peer)),
        };
        let indication = Builder::new(Class::Indication, method, [9; 12])
            .xor_address(kind::XOR_PEER_ADDRESS, peer)
            .attribute(kind::DATA, &payload)
            .finish()
            .unwrap();
        let mut frame = Vec::new();
        ChannelData::write(channel, &payload, &mut frame).unwrap();
        for (wrapped, via) in [(indication, via), (frame, Via::Channel(channel))] {
            let found = look_through(&wrapped, wrapped.len() as u32).unwrap();
            prop_assert_eq!((found.via, found.payload), (via, &payload[..]));
            for len in 0..wrapped.len() {
                let Some(cut) = look_through(&wrapped[..len], wrapped.len() as u32) else { continue };
                prop_assert_eq!((cut.via, cut.payload_len as usize), (via, payload.len()));
                prop_assert!(payload.starts_with(cut.payload));
            }
        }
    }

    #[test]
    fn any_bytes_behind_a_header_do_no_harm(mut body in prop::collection::vec(any::<u8>(), 0..128), head in 0u16..0x4000) {
        body.truncate(body.len() & !3);
        let mut bytes = head.to_be_bytes().to_vec();
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(carillon_wire::stun::COOKIE);
        bytes.extend([1; 12]);
        bytes.extend(&body);
        if let Ok(message) = Message::parse(&bytes) {
            let used: usize = message.attributes().map(|a| 4 + usize::from(a.len).next_multiple_of(4)).sum();
            prop_assert_eq!(used, body.len());
        }
    }
}

#[test]
fn attributes_behind_the_integrity_do_not_count() {
    let bytes = Builder::new(Class::Request, Method::Binding, [0; 12])
        .u32(kind::PRIORITY, 1)
        .u32(kind::PRIORITY, 2)
        .attribute(kind::MESSAGE_INTEGRITY, &[0; 20])
        .attribute(kind::USERNAME, b"forged")
        .attribute(kind::MESSAGE_INTEGRITY_SHA256, &[0; 32])
        .attribute(kind::REALM, b"forged")
        .fingerprint()
        .finish()
        .unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.priority(), Some(1));
    assert_eq!((message.username(), message.realm()), (None, None));
    assert!(message.message_integrity().is_some() && message.message_integrity_sha256().is_some());
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
}

#[test]
fn what_does_not_fit_into_the_length_field_is_not_written() {
    let builder = Builder::new(Class::Indication, Method::Send, [0; 12]).attribute(kind::DATA, &[0; 65000]);
    assert!(builder.clone().finish().is_some());
    assert_eq!(builder.attribute(kind::DATA, &[0; 600]).finish(), None);
}

#[test]
fn only_indications_with_a_peer_and_data_are_wrappings() {
    let plain = |class, method| Builder::new(class, method, [0; 12]);
    let peer = "192.0.2.9:5004".parse::<SocketAddr>().unwrap();
    for builder in [
        plain(Class::Indication, Method::Send).attribute(kind::DATA, b"x"),
        plain(Class::Indication, Method::Data).xor_address(kind::XOR_PEER_ADDRESS, peer),
        plain(Class::Request, Method::Send)
            .xor_address(kind::XOR_PEER_ADDRESS, peer)
            .attribute(kind::DATA, b"x"),
        plain(Class::Indication, Method::Binding).xor_address(kind::XOR_PEER_ADDRESS, peer),
    ] {
        let bytes = builder.finish().unwrap();
        assert_eq!(look_through(&bytes, bytes.len() as u32), None);
    }
}
