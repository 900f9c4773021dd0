//! The stream that we send: numbers, payloads, counters for sender reports.

use carillon_wire::rtp::Builder;

use crate::codec::{Codec, Encoder, Frame};
use crate::dtmf::{self, Presser};
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
    /// Presses keys, in this payload type.
    presser: Option<(u8, Presser)>,
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
            presser: presser(agreed),
            ssrc: random.u32(),
            // In the lower half: a loss of the first packets must not be taken for a wrap by SRTP (RFC 3711, 3.3.1).
            sequence: random.u32() as u16 & 0x7fff,
            timestamp: random.u32(),
            talking: false,
            sent: Sent::default(),
        })
    }

    /// From now on we send this. `None` only if a codec library refuses its fixed parameters.
    pub(super) fn renegotiate(&mut self, agreed: &Agreed) -> Option<()> {
        if agreed.send.codec != self.format.codec {
            self.encoder = Encoder::new(agreed.send.codec)?;
        }
        self.format = agreed.send;
        self.presser = presser(agreed);
        Some(())
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Another has our number.
    pub(super) fn change_ssrc(&mut self, random: &mut Random) {
        self.ssrc = random.u32();
        self.sent = Sent::default();
    }

    /// The timestamp of the frame that the next tick sends.
    pub(super) fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// What was sent under the present SSRC.
    pub(super) fn sent(&self) -> Sent {
        self.sent
    }

    /// `false` if the peer knows no key presses, or too many wait.
    pub(super) fn press(&mut self, key: dtmf::Key) -> bool {
        self.presser.as_mut().is_some_and(|(_, presser)| presser.press(key))
    }

    /// The next frame's time: a packet of a key press, or of speech if there is some. Speech keeps silent while a key is
    /// down (RFC 4733, 2.5.1.2), but its coder goes on.
    pub(super) fn tick(&mut self, speech: Option<&Frame>, may_press: bool) -> Option<Vec<u8>> {
        let spoken = speech.and_then(|frame| self.encode(frame));
        let press = self.presser.as_mut().filter(|_| may_press);
        let press = press.and_then(|(payload_type, presser)| Some((*payload_type, presser.tick()?)));
        let packet = match (press, &spoken) {
            (Some((payload_type, press)), _) => {
                let since = self.codec().ticks_per_frame().wrapping_mul(press.age);
                let began = self.timestamp.wrapping_sub(since);
                Some(self.packet(payload_type, press.is_first, began, &press.payload))
            }
            (None, Some(payload)) => {
                Some(self.packet(self.format.payload_type, !self.talking, self.timestamp, payload))
            }
            (None, None) => None,
        };
        self.talking = press.is_none() && spoken.is_some();
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

    fn encode(&mut self, frame: &Frame) -> Option<Vec<u8>> {
        let mut payload = Vec::with_capacity(256);
        self.encoder.encode(frame, &mut payload).then_some(payload)
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

fn presser(agreed: &Agreed) -> Option<(u8, Presser)> {
    agreed.events.map(|events| (events.send, Presser::new(events.clock)))
}
