//! Speech to payload and back. Every codec meets the rest of the crate as mono at 16 kHz in frames of 20 ms.

mod conceal;
mod decoder;
mod encoder;

pub use decoder::{Decoder, Garbage};
pub use encoder::Encoder;

use carillon_wire::sdp::codec::Codec as Encoding;

/// Samples per second of all speech inside.
pub const RATE: u32 = 16_000;
/// Samples of a frame of 20 ms.
pub const FRAME: usize = 320;
/// Frames per second.
pub const FRAMES_PER_SECOND: u32 = 50;
/// 20 ms of speech, mono, 16 kHz.
pub type Frame = [i16; FRAME];
/// 20 ms of nothing.
pub const SILENCE: Frame = [0; FRAME];

/// A codec that a leg can speak.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Codec {
    /// Opus (RFC 6716, 7587), coded and decoded at 16 kHz.
    Opus,
    /// G.722 at 64 kbit/s.
    G722,
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// All, the best sounding first.
    pub const ALL: [Codec; 4] = [Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma];

    /// Encoding name, as `a=rtpmap` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::G722 => "G722",
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// RTP clock in Hz. That of G.722 is 8000 though it samples at 16 000 (RFC 3551, 4.5.2); that of Opus is always
    /// 48 000 (RFC 7587, 4.1).
    pub const fn clock(self) -> u32 {
        match self {
            Codec::Opus => 48_000,
            Codec::G722 | Codec::Pcmu | Codec::Pcma => 8_000,
        }
    }

    /// Channels as `a=rtpmap` has them; Opus always says 2 (RFC 7587, 7), whatever is sent.
    pub const fn channels(self) -> u8 {
        if matches!(self, Codec::Opus) { 2 } else { 1 }
    }

    /// Payload type that is fixed (RFC 3551) or, for Opus, the one that we offer.
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Opus => 111,
            Codec::G722 => 9,
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// How far the RTP timestamp moves in a frame.
    pub const fn ticks_per_frame(self) -> u32 {
        self.clock() / FRAMES_PER_SECOND
    }

    /// The codec that a session description means.
    pub fn of(encoding: &Encoding<'_>) -> Option<Codec> {
        // Some write `opus/48000` without its channels.
        Codec::ALL.into_iter().find(|codec| encoding.is(codec.name()) && encoding.clock == codec.clock())
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
