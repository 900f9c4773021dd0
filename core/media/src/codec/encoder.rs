//! Frames to payloads.

use audio_codec::g722::G722Encoder;
use audio_codec::pcma::PcmaEncoder;
use audio_codec::pcmu::PcmuEncoder;
use audio_codec::{BoxedResampler, Encoder as _};
use ropus::{Application, Bitrate, Channels, InbandFec};

use super::{Codec, FRAME, Frame, RATE};

/// Bits per second of Opus: wideband speech with room for its redundancy.
const OPUS_BITRATE: u32 = 32_000;
/// Where Opus turns from cheap to good for speech: above it, time doubles and ears don't notice.
const OPUS_COMPLEXITY: u8 = 5;
/// Loss to be ready for, percent: without it Opus adds no redundancy.
const OPUS_LOSS: u8 = 10;
/// The most that a frame becomes (RFC 6716, 3.4).
const MOST_BYTES: usize = 1275;

/// Codes one stream.
pub struct Encoder(Kind);

enum Kind {
    Pcmu(BoxedResampler, PcmuEncoder),
    Pcma(BoxedResampler, PcmaEncoder),
    G722(Box<G722Encoder>),
    Opus(Box<ropus::Encoder>),
}

impl Encoder {
    /// `None` only if a library refuses the fixed parameters used here.
    pub fn new(codec: Codec) -> Option<Encoder> {
        let down = || BoxedResampler::new(RATE as usize, 8_000).ok();
        Some(Encoder(match codec {
            Codec::Pcmu => Kind::Pcmu(down()?, PcmuEncoder::new()),
            Codec::Pcma => Kind::Pcma(down()?, PcmaEncoder::new()),
            Codec::G722 => Kind::G722(Box::new(G722Encoder::new())),
            Codec::Opus => Kind::Opus(Box::new(opus()?)),
        }))
    }

    /// Appends the payload of one frame; `false` if the codec failed, and then nothing is appended.
    pub fn encode(&mut self, frame: &Frame, out: &mut Vec<u8>) -> bool {
        let (start, mut narrow) = (out.len(), [0; FRAME / 2]);
        out.resize(start + MOST_BYTES, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let written = match &mut self.0 {
            Kind::Pcmu(down, law) => {
                down.resample_into(frame, &mut narrow).and_then(|_| law.encode_into(&narrow, room)).ok()
            }
            Kind::Pcma(down, law) => {
                down.resample_into(frame, &mut narrow).and_then(|_| law.encode_into(&narrow, room)).ok()
            }
            Kind::G722(g722) => g722.encode_into(frame, room).ok(),
            Kind::Opus(opus) => opus.encode(frame, room).ok(),
        };
        out.truncate(start + written.unwrap_or(0));
        written.is_some()
    }
}

fn opus() -> Option<ropus::Encoder> {
    ropus::Encoder::builder(RATE, Channels::Mono, Application::Voip)
        .bitrate(Bitrate::Bits(OPUS_BITRATE))
        .complexity(OPUS_COMPLEXITY)
        .inband_fec(InbandFec::Enabled)
        .packet_loss_perc(OPUS_LOSS)
        .build()
        .ok()
}
