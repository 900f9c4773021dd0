//! The messages of RFC 5769, 2.1 to 2.4, byte for byte; then the same messages by the builder.
#![allow(clippy::unwrap_used)]

use carillon_wire::stun::{Builder, Class, Fingerprint, Message, Method, kind};
use std::net::SocketAddr;

const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
    002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5\
    b2d3f249c1b571a280280004e57a3bcf";
const ANSWER_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147\
    e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
const ANSWER_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147\
    0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000\
    0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341\
    0014000b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_sample_request() {
    let bytes = bytes(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::Binding));
    assert_eq!(message.transaction_id()[..4], [0xb7, 0xe7, 0xa7, 0x01]);
    assert_eq!(message.software(), Some("STUN test client"));
    assert_eq!(message.priority(), Some(0x6e00_01ff));
    assert_eq!(message.ice_controlled(), Some(0x932f_f9b1_5126_3b36));
    assert_eq!(message.ice_controlling(), None);
    assert!(!message.use_candidate());
    assert_eq!(message.username(), Some("evtj:h6vY"));
    let integrity = message.message_integrity().unwrap();
    assert_eq!((integrity.at, integrity.mac[0], integrity.mac[19]), (76, 0x9a, 0xa2));
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
    assert_eq!(message.attributes().count(), 6);
}

#[test]
fn the_sample_answers_give_the_mapped_address() {
    for (hex, address) in
        [(ANSWER_V4, "192.0.2.1:32853"), (ANSWER_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let bytes = bytes(hex);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Success, Method::Binding));
        assert_eq!(message.software(), Some("test vector"));
        assert_eq!(message.xor_mapped_address(), Some(address.parse::<SocketAddr>().unwrap()));
        assert_eq!(message.fingerprint(), Fingerprint::Valid);
    }
}

#[test]
fn the_request_with_long_term_credentials() {
    let bytes = bytes(LONG_TERM);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username(), Some("\u{30de}\u{30c8}\u{30ea}\u{30c3}\u{30af}\u{30b9}"));
    assert_eq!(message.nonce(), Some("f//499k954d6OL34oL9FSTvy64sA"));
    assert_eq!(message.realm(), Some("example.org"));
    assert_eq!(message.message_integrity().map(|i| i.mac.len()), Some(20));
    assert_eq!(message.fingerprint(), Fingerprint::Absent);
}

#[test]
fn any_changed_byte_spoils_the_fingerprint() {
    let whole = bytes(ANSWER_V4);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x04;
        let verdict = Message::parse(&changed).map(|message| message.fingerprint());
        assert_ne!(verdict, Ok(Fingerprint::Valid), "byte {at}");
    }
}

/// The samples pad with spaces, the builder with zeros, so the fingerprint differs; the answer with its
/// padding given as text is equal to the last byte.
#[test]
fn the_builder_writes_the_sample_answer() {
    let sample = bytes(ANSWER_V6);
    let message = Message::parse(&sample).unwrap();
    let start = Builder::new(Class::Success, Method::Binding, *message.transaction_id())
        .attribute(kind::SOFTWARE, b"test vector")
        .xor_address(kind::XOR_MAPPED_ADDRESS, message.xor_mapped_address().unwrap());
    let mut input = start.integrity_input(20);
    input[35] = b' ';
    assert_eq!(input[4..], sample[4..60]);
    assert_eq!(usize::from(input[3]) + 20, sample.len() - 8);
    let mac = message.message_integrity().unwrap().mac;
    let built = start.attribute(kind::MESSAGE_INTEGRITY, mac).fingerprint().finish().unwrap();
    assert_eq!(built.len(), sample.len());
    assert_eq!(Message::parse(&built).unwrap().fingerprint(), Fingerprint::Valid);
}

#[test]
fn every_truncation_is_refused_whole_and_read_as_cut() {
    for hex in [REQUEST, ANSWER_V4, ANSWER_V6, LONG_TERM] {
        let whole = bytes(hex);
        for len in 0..whole.len() {
            assert!(Message::parse(&whole[..len]).is_err(), "{len} bytes of {hex}");
            let cut = Message::parse_cut(&whole[..len], whole.len());
            assert_eq!(cut.is_ok(), len >= 20);
            let Ok(cut) = cut else { continue };
            assert!(cut.is_cut() && cut.attributes().count() <= 6);
            assert_eq!(cut.fingerprint(), Fingerprint::Absent);
        }
    }
}
