//! Payloads to samples, and what is heard where a payload is missing.

use audio_codec::g722::G722Decoder;
use audio_codec::pcma::PcmaDecoder;
use audio_codec::pcmu::PcmuDecoder;
use audio_codec::{BoxedResampler, Decoder as _};
use ropus::{Channels, DecodeMode};

use super::conceal::Concealer;
use super::{Codec, FRAME, RATE, SILENCE};

/// The longest payload that is believed: 120 ms, which is also the most that Opus allows (RFC 6716, 3.2.5).
const MOST_SAMPLES: usize = RATE as usize * 120 / 1000;
/// The same, in bytes of G.711 and G.722.
const MOST_BYTES: usize = 960;

/// A payload that its codec does not understand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Garbage;

/// Decodes one stream.
pub struct Decoder {
    kind: Kind,
    concealer: Concealer,
}

enum Kind {
    Pcmu(BoxedResampler, PcmuDecoder),
    Pcma(BoxedResampler, PcmaDecoder),
    G722(Box<G722Decoder>),
    Opus(Box<ropus::Decoder>),
}

impl Decoder {
    /// `None` only if a library refuses the fixed parameters used here.
    pub fn new(codec: Codec) -> Option<Decoder> {
        let up = || BoxedResampler::new(8_000, RATE as usize).ok();
        let kind = match codec {
            Codec::Pcmu => Kind::Pcmu(up()?, PcmuDecoder::new()),
            Codec::Pcma => Kind::Pcma(up()?, PcmaDecoder::new()),
            Codec::G722 => Kind::G722(Box::new(G722Decoder::new())),
            Codec::Opus => Kind::Opus(Box::new(ropus::Decoder::new(RATE, Channels::Mono).ok()?)),
        };
        Some(Decoder { kind, concealer: Concealer::default() })
    }

    /// Appends the samples of one payload, at most 120 ms of them.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Result<(), Garbage> {
        let start = out.len();
        out.resize(start + MOST_SAMPLES, 0);
        let written = self.decode_into(payload, out.get_mut(start..).unwrap_or_default());
        out.truncate(start + written.unwrap_or(0));
        self.concealer.heard(out.get_mut(start..).unwrap_or_default());
        written.map(|_| ()).ok_or(Garbage)
    }

    fn decode_into(&mut self, payload: &[u8], out: &mut [i16]) -> Option<usize> {
        let mut narrow = [0; MOST_BYTES];
        if payload.is_empty() || payload.len() > MOST_BYTES && !matches!(self.kind, Kind::Opus(_)) {
            return None;
        }
        let mut widen = |up: &mut BoxedResampler, law: &mut dyn audio_codec::Decoder| {
            let count = law.decode_into(payload, &mut narrow).ok()?;
            up.resample_into(narrow.get(..count)?, out).ok()
        };
        match &mut self.kind {
            Kind::Pcmu(up, law) => widen(up, law),
            Kind::Pcma(up, law) => widen(up, law),
            Kind::G722(g722) => g722.decode_into(payload, out).ok(),
            Kind::Opus(opus) => opus.decode(payload, out, DecodeMode::Normal).ok(),
        }
    }

    /// Appends a frame in place of one that is missing. `next` is the payload after it, if it is there already: Opus may
    /// carry the missing one in it a second time (RFC 6716, 2.1.7).
    pub fn conceal(&mut self, next: Option<&[u8]>, out: &mut Vec<i16>) {
        let mut frame = SILENCE;
        let opus = match &mut self.kind {
            Kind::Opus(opus) => {
                let redundant = next.and_then(|next| opus.decode(next, &mut frame, DecodeMode::Fec).ok());
                redundant.or_else(|| opus.decode(&[], &mut frame, DecodeMode::Normal).ok())
            }
            _ => None,
        };
        if opus != Some(FRAME) {
            frame = self.concealer.invent();
        }
        out.extend(frame);
    }
}
