//! Damaged messages: nothing panics, views stay within the bytes, and edits keep what they do not touch.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read their corpus")]

use std::path::Path;

use carillon_wire::sip::{Builder, Decoded, Edits, Framing, Limits, Message, Name, Transport, decode, frame};
use proptest::prelude::*;

fn corpus() -> Vec<Vec<u8>> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sip");
    let mut files: Vec<_> = std::fs::read_dir(own).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "sip"));
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Reads everything there is to read.
fn touch(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    let headers = message.headers().map(|h| h.spelling.len() + h.value.len()).sum::<usize>();
    assert!(headers + message.body().len() <= bytes.len());
    for &name in Name::KNOWN {
        assert_eq!(message.all(name).count(), message.headers().filter(|h| h.name == name).count());
        for address in message.addresses(name).flatten() {
            let _ = (address.uri(), address.params.iter().count());
        }
        message.credentials(name).for_each(|c| _ = c.params().count());
    }
    message.vias().flatten().for_each(|via| _ = (via.received_ip(), via.transaction()));
    let _ = (message.expires(), message.max_forwards(), message.event(), message.product(), message.sdp());
    if let Ok(routing) = message.check() {
        assert_eq!(message.routing(), Ok(routing));
    }
}

/// Applied to a framed message, no edits give the same bytes.
fn round_trip(bytes: &[u8]) {
    if let Framing::Message { len, message } = frame(bytes, Transport::Udp, Limits::default()) {
        assert_eq!(Edits::new(&message).finish().unwrap(), &bytes[..len]);
        let mut edits = Edits::new(&message);
        edits.push(Name::Via, b"SIP/2.0/UDP new.example;branch=z9hG4bKnew").unwrap();
        let edited = edits.finish().unwrap();
        let edited = Message::parse(edited.as_slice()).unwrap();
        assert_eq!(edited.body(), message.body());
        assert_eq!(edited.index().len(), message.index().len() + 1);
    }
    if let Decoded::Wrong(message, answer) = decode(bytes, Limits::default()) {
        let response = Builder::response(&message, answer, b"t").unwrap().finish(b"");
        assert_eq!(Message::parse(response.as_slice()).unwrap().status(), Some(answer.code));
    }
}

#[test]
fn the_corpus_survives_a_round_trip() {
    for message in corpus() {
        touch(&message);
        round_trip(&message);
    }
}

/// On a stream the same messages come out however the bytes arrive.
#[test]
fn a_stream_cut_anywhere_waits_for_the_rest() {
    let whole = corpus().into_iter().find(|m| m.starts_with(b"SERVICE")).unwrap();
    for cut in 0..whole.len() {
        match frame(&whole[..cut], Transport::Tcp, Limits::default()) {
            Framing::More { needed } => assert!(needed > cut && needed <= whole.len()),
            other => panic!("{cut}: {other:?}"),
        }
    }
    let framed = frame(&whole, Transport::Tcp, Limits::default());
    assert!(matches!(framed, Framing::Message { len, .. } if len == whole.len()));
}

proptest! {
    #[test]
    fn damaged_messages_are_read_without_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        gone in 0usize..12,
        new in proptest::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\r\n \t:;,<>\"\\@[]=?%".to_vec())], 0..12),
    ) {
        let corpus = corpus();
        let mut message = which.get(&corpus).clone();
        let at = at.index(message.len());
        let end = (at + gone).min(message.len());
        message.splice(at..end, new);
        touch(&message);
        round_trip(&message);
        touch(&message[..at]);
        let _ = frame(&message, Transport::Tcp, Limits::default());
    }
}
