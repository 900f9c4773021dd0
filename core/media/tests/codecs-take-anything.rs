//! Every codec gives speech back as it was said, and survives whatever claims to be a payload.
#![allow(clippy::unwrap_used)]

use carillon_media::codec::{Codec, Decoder, Encoder, FRAME};
use carillon_media::speech::{Voice, similarity};
use proptest::prelude::*;

fn payloads(codec: Codec) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec).unwrap();
    let frames = Voice::Alice.frames();
    let encode = |frame| {
        let mut payload = Vec::new();
        assert!(encoder.encode(frame, &mut payload));
        payload
    };
    frames.iter().map(encode).collect()
}

#[test]
fn speech_survives_every_codec() {
    for (codec, least) in [(Codec::Opus, 0.93), (Codec::G722, 0.99), (Codec::Pcmu, 0.95), (Codec::Pcma, 0.95)]
    {
        let mut decoder = Decoder::new(codec).unwrap();
        let (mut heard, payloads) = (Vec::new(), payloads(codec));
        for payload in &payloads {
            let before = heard.len();
            assert_eq!(decoder.decode(payload, &mut heard), Ok(()));
            assert_eq!(heard.len() - before, FRAME, "{codec}");
        }
        let found = similarity(&Voice::Alice.samples(), &heard);
        assert!(found.score > least && found.lag < 300, "{codec}: {found:?}");
        let size = payloads.iter().map(Vec::len).sum::<usize>() / payloads.len();
        assert!(size == 160 || codec == Codec::Opus && (60..=110).contains(&size), "{codec}: {size}");
    }
}

#[test]
fn a_missing_frame_is_filled_by_every_codec_and_opus_finds_it_in_the_next() {
    for codec in Codec::ALL {
        let payloads = payloads(codec);
        let mut decoder = Decoder::new(codec).unwrap();
        let mut heard = Vec::new();
        for (at, payload) in payloads.iter().enumerate() {
            // Every tenth is lost.
            if at % 10 == 9 {
                decoder.conceal(payloads.get(at + 1).map(Vec::as_slice), &mut heard);
            } else {
                decoder.decode(payload, &mut heard).unwrap();
            }
        }
        assert_eq!(heard.len(), payloads.len() * FRAME);
        let found = similarity(&Voice::Alice.samples(), &heard);
        let least = if codec == Codec::Opus { 0.92 } else { 0.8 };
        assert!(found.score > least, "{codec}: {found:?}");
    }
}

#[test]
fn payloads_that_are_too_long_or_empty_are_garbage() {
    for codec in Codec::ALL {
        let (mut decoder, mut heard) = (Decoder::new(codec).unwrap(), Vec::new());
        assert!(decoder.decode(&[], &mut heard).is_err(), "{codec}");
        assert!(codec == Codec::Opus || decoder.decode(&[0; 961], &mut heard).is_err(), "{codec}");
        assert!(heard.is_empty());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_speech_of_bounded_length_or_garbage(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..12)
    ) {
        for codec in Codec::ALL {
            let mut decoder = Decoder::new(codec).unwrap();
            for (at, payload) in payloads.iter().enumerate() {
                let mut heard = Vec::new();
                let decoded = decoder.decode(payload, &mut heard);
                prop_assert!(heard.len() <= 6 * FRAME && (decoded.is_ok() || heard.is_empty()));
                decoder.conceal(payloads.get(at + 1).map(Vec::as_slice), &mut heard);
            }
        }
    }
}
