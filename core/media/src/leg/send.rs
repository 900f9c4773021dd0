//! The stream that we send: numbers, payloads, counters for sender reports.

use carillon_wire::rtp::Builder;

use crate::codec::{Codec, Encoder, Frame};
use crate::negotiate::{Agreed, Format};
use crate::random::Random;

/// What was sent since the start (RFC 3550, 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Sent {
    pub(super) packets: u64,
    /// Of payload, without headers.
    pub(super) octets: u64,
}

/// Our stream.
pub(super) struct Sender {
    format: Format,
    encoder: Encoder,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// The last frame was sent: the next one begins no talk spurt.
    talking: bool,
    sent: Sent,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("format", &self.format)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl Sender {
    pub(super) fn new(agreed: &Agreed, random: &mut Random) -> Option<Sender> {
        Some(Sender {
            format: agreed.send,
            encoder: Encoder::new(agreed.send.codec)?,
            ssrc: random.u32(),
            // In the lower half: a loss of the first packets must not be taken for a wrap by SRTP (RFC 3711, 3.3.1).
            sequence: random.u32() as u16 & 0x7fff,
            timestamp: random.u32(),
            talking: false,
            sent: Sent::default(),
        })
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The next frame's time: a packet, if there is speech.
    pub(super) fn tick(&mut self, speech: Option<&Frame>) -> Option<Vec<u8>> {
        let packet = speech.and_then(|frame| self.speech(frame));
        self.talking = packet.is_some();
        self.timestamp = self.timestamp.wrapping_add(self.codec().ticks_per_frame());
        packet
    }

    /// Frames whose time has passed unused.
    pub(super) fn skip(&mut self, frames: u32) {
        self.timestamp = self.timestamp.wrapping_add(self.codec().ticks_per_frame().wrapping_mul(frames));
    }

    fn codec(&self) -> Codec {
        self.format.codec
    }

    fn speech(&mut self, frame: &Frame) -> Option<Vec<u8>> {
        let mut payload = Vec::with_capacity(256);
        if !self.encoder.encode(frame, &mut payload) {
            return None;
        }
        Some(self.packet(self.format.payload_type, !self.talking, self.timestamp, &payload))
    }

    fn packet(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(payload.len() + 32);
        let (sequence, ssrc) = (self.sequence, self.ssrc);
        let header = Builder { marker, payload_type, sequence, timestamp, ssrc, ..Builder::default() };
        header.write(payload, &mut packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.sent.packets += 1;
        self.sent.octets += payload.len() as u64;
        packet
    }
}
