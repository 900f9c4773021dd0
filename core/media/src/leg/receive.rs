//! The stream that comes: which source is listened to, what its numbers say, what of it is heard.

use std::time::Duration;

use carillon_qos::verify::jitter::Jitter;
use carillon_qos::verify::sequence::{Arrival, Sequence};
use carillon_wire::rtp;

use super::{Arrivals, Event};
use crate::codec::{Codec, Decoder, FRAME, FRAMES_PER_SECOND, Frame, SILENCE};
use crate::dtmf::Listener;
use crate::jitter::{self, Buffer, Popped};
use crate::negotiate::{Agreed, Format};

/// Comfort noise (RFC 3389): says that nobody speaks.
const COMFORT_NOISE: u8 = 13;
/// Mean square below which a frame may be left out unheard: about -50 dBm0.
const QUIET: i64 = 100 * 100;
/// Milliseconds of a frame.
const FRAME_MS: u32 = 1000 / FRAMES_PER_SECOND;

/// Packets of a stream by the count of its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Received {
    pub(super) packets: u64,
    pub(super) lost: i64,
    pub(super) duplicated: u64,
    pub(super) reordered: u64,
    /// Payloads that the codec did not understand.
    pub(super) garbled: u64,
}

/// The peer's streams, of which one is heard.
#[derive(Debug)]
pub(super) struct Receiver {
    formats: Vec<Format>,
    events: Option<u8>,
    stream: Option<Stream>,
    /// A source that spoke once, and its number: if it speaks on, it replaces the one that is heard.
    candidate: Option<(u32, u16)>,
    /// Counted of streams that were replaced.
    before: Received,
    keys: Listener,
    /// Decoded and not yet played.
    speech: Vec<i16>,
}

/// The stream that is heard.
pub(super) struct Stream {
    pub(super) ssrc: u32,
    pub(super) sequence: Sequence,
    pub(super) jitter: Jitter,
    pub(super) clock: u32,
    pub(super) buffer: Buffer,
    decoder: Option<(Codec, Decoder)>,
    garbled: u64,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("ssrc", &self.ssrc)
            .field("buffer", &self.buffer)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    pub(super) fn new(agreed: &Agreed) -> Receiver {
        Receiver {
            formats: agreed.receive.clone(),
            events: agreed.events.map(|events| events.receive),
            stream: None,
            candidate: None,
            before: Received::default(),
            keys: Listener::default(),
            speech: Vec::with_capacity(8 * FRAME),
        }
    }

    /// Takes a packet in the clear, whose payload is without padding.
    pub(super) fn handle(
        &mut self,
        now: Duration,
        packet: &rtp::Packet<'_>,
        payload: &[u8],
        arrivals: &mut Arrivals,
    ) -> [Option<Event>; 2] {
        let is_event = self.events == Some(packet.payload_type);
        let known = is_event || packet.payload_type == COMFORT_NOISE;
        let codec = self.codec(packet.payload_type);
        arrivals.unexpected += u64::from(codec.is_none() && !known);
        let was_silent = self.stream.is_none();
        let Some(begins) = self.follow(now, packet, codec) else {
            arrivals.stray += 1;
            return [None; 2];
        };
        let Some(stream) = &mut self.stream else { return [None; 2] };
        let is_new = stream.push(now, packet, codec.map(|_| payload), begins);
        let key = if is_event && is_new { self.keys.hear(packet.timestamp, payload) } else { None };
        [was_silent.then_some(Event::Started), key.map(Event::Key)]
    }

    /// From now on the peer sends this.
    pub(super) fn renegotiate(&mut self, agreed: &Agreed) {
        self.formats = agreed.receive.clone();
        self.events = agreed.events.map(|events| events.receive);
    }

    /// The next frame to be heard.
    pub(super) fn play(&mut self) -> Frame {
        let mut frame = SILENCE;
        while self.speech.len() < FRAME {
            match &mut self.stream {
                Some(stream) => stream.pop(&self.formats, &mut self.speech),
                None => return frame,
            }
        }
        frame.copy_from_slice(&self.speech[..FRAME]);
        self.speech.drain(..FRAME);
        frame
    }

    /// The stream that is heard.
    pub(super) fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    /// Counted of all streams.
    pub(super) fn received(&self) -> Received {
        self.stream.as_ref().map_or(self.before, |stream| sum(self.before, stream.received()))
    }

    fn codec(&self, payload_type: u8) -> Option<Codec> {
        self.formats.iter().find(|format| format.payload_type == payload_type).map(|format| format.codec)
    }

    /// Whether the packet begins the stream that is heard; `None` if it does not belong to it. Another source replaces
    /// it when two packets in a row came (RFC 3550, A.1): one alone may be a late one of a call that is over.
    fn follow(&mut self, now: Duration, packet: &rtp::Packet<'_>, codec: Option<Codec>) -> Option<bool> {
        match &self.stream {
            Some(stream) if stream.ssrc == packet.ssrc => return Some(false),
            Some(_) => {
                let before = self.candidate.replace((packet.ssrc, packet.sequence));
                if before != Some((packet.ssrc, packet.sequence.wrapping_sub(1))) {
                    return None;
                }
            }
            None => {}
        }
        let first = codec.or(self.formats.first().map(|format| format.codec))?;
        self.before = self.received();
        self.candidate = None;
        let mut buffer =
            self.stream.take().map_or_else(|| Buffer::new(first.clock()), |stream| stream.buffer);
        buffer.restart(first.clock());
        self.stream = Some(Stream::new(now, packet, first.clock(), buffer));
        Some(true)
    }
}

fn sum(a: Received, b: Received) -> Received {
    Received {
        packets: a.packets + b.packets,
        lost: a.lost + b.lost,
        duplicated: a.duplicated + b.duplicated,
        reordered: a.reordered + b.reordered,
        garbled: a.garbled + b.garbled,
    }
}

fn nanoseconds(now: Duration) -> i64 {
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

impl Stream {
    fn new(now: Duration, first: &rtp::Packet<'_>, clock: u32, buffer: Buffer) -> Stream {
        Stream {
            ssrc: first.ssrc,
            sequence: Sequence::new(first.sequence, 0),
            jitter: Jitter::new(nanoseconds(now), first.timestamp),
            clock,
            buffer,
            decoder: None,
            garbled: 0,
        }
    }

    pub(super) fn received(&self) -> Received {
        Received {
            packets: self.sequence.received,
            lost: self.sequence.lost(),
            duplicated: self.sequence.duplicates,
            reordered: self.sequence.reordered,
            garbled: self.garbled,
        }
    }

    /// Jitter now and at most, milliseconds (RFC 3550, 6.4.1).
    pub(super) fn jitter_ms(&self) -> (f64, f64) {
        self.jitter.at(self.clock).map_or((0.0, 0.0), |lane| (lane.now_ms, lane.max_ms))
    }

    /// What was decoded last.
    pub(super) fn codec(&self) -> Option<Codec> {
        self.decoder.as_ref().map(|(codec, _)| *codec)
    }

    /// Whether the packet is new: neither a duplicate nor a stray one.
    fn push(
        &mut self,
        now: Duration,
        packet: &rtp::Packet<'_>,
        speech: Option<&[u8]>,
        is_first: bool,
    ) -> bool {
        let time = nanoseconds(now);
        if !is_first {
            let jumped = || self.jitter.has_jumped(time, packet.timestamp);
            match self.sequence.push(packet.sequence, 0, &mut 0, jumped) {
                // The timestamps of key presses stand still, so they say nothing about jitter.
                Arrival::Forward(_) if speech.is_some() => self.jitter.push(time, packet.timestamp),
                Arrival::Forward(_) | Arrival::Late => {}
                Arrival::Duplicate | Arrival::Stray => return false,
                Arrival::Restart => {
                    self.jitter.restart(time, packet.timestamp);
                    self.buffer.restart(self.clock);
                }
            }
        }
        self.buffer.push(jitter::Packet {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            payload_type: packet.payload_type,
            payload: speech.map(<[u8]>::to_vec),
        });
        true
    }

    /// Appends one packet's worth of speech.
    fn pop(&mut self, formats: &[Format], speech: &mut Vec<i16>) {
        match self.buffer.pop() {
            Popped::Packet(packet) => self.decode(&packet, formats, speech),
            Popped::Missing => self.conceal(self.buffer.frame_ms(), true, speech),
            Popped::Starved => self.conceal(FRAME_MS, false, speech),
            Popped::Idle => speech.extend(SILENCE),
        }
    }

    fn decode(&mut self, packet: &jitter::Packet, formats: &[Format], speech: &mut Vec<i16>) {
        let start = speech.len();
        let format = formats.iter().find(|format| format.payload_type == packet.payload_type);
        if let Some(Format { codec, .. }) = format {
            self.switch_to(*codec);
        }
        let payload = packet.payload.as_deref().unwrap_or_default();
        let decoded = self.decoder.as_mut().map(|(_, decoder)| decoder.decode(payload, speech));
        if decoded != Some(Ok(())) {
            self.garbled += 1;
            self.conceal(self.buffer.frame_ms(), false, speech);
        }
        let heard = speech.get(start..).unwrap_or_default();
        if self.buffer.has_surplus() && is_quiet(heard) {
            speech.truncate(start);
            self.buffer.skipped();
        }
    }

    /// The peer may change among the agreed codecs at any packet.
    fn switch_to(&mut self, codec: Codec) {
        if self.decoder.as_ref().is_none_or(|(current, _)| *current != codec) {
            self.decoder = Decoder::new(codec).map(|decoder| (codec, decoder));
            self.clock = codec.clock();
        }
    }

    /// Fills the time of a packet. One that is lost for sure may be repeated in the next, if both are frames of ours.
    fn conceal(&mut self, ms: u32, lost: bool, speech: &mut Vec<i16>) {
        let Some((_, decoder)) = &mut self.decoder else { return speech.extend(SILENCE) };
        let wanted = speech.len() + (ms * FRAME as u32 / FRAME_MS) as usize;
        let repeated = self.buffer.peek().filter(|_| lost && ms == FRAME_MS);
        let next = repeated.and_then(|packet| packet.payload.as_deref());
        while speech.len() < wanted {
            decoder.conceal(next, speech);
        }
        speech.truncate(wanted);
    }
}

fn is_quiet(samples: &[i16]) -> bool {
    let energy: i64 = samples.iter().map(|sample| i64::from(*sample).pow(2)).sum();
    !samples.is_empty() && energy < QUIET * samples.len() as i64
}
