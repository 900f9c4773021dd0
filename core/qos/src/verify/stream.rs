//! One RTP sender (SSRC) inside one flow: everything that is counted per packet.

use std::net::SocketAddr;

use super::jitter::Jitter;
use super::marks::Marks;
use super::sequence::{Arrival, Sequence};
use super::timeline::Timeline;

/// Silence longer than this is no talk time.
const TALK_GAP_NS: i64 = 250_000_000;

/// Packets in a row with another payload type that make it the codec of the stream.
const NEW_CODEC_PACKETS: u8 = 50;

/// How media came wrapped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Wrap {
    /// Not at all.
    Bare,
    /// TURN ChannelData.
    Channel(u16),
    /// TURN Send or Data indication, to or from this peer.
    Peer(SocketAddr),
    /// RFC 4571 frames in a TCP connection.
    Framed,
}

/// Header fields of an RTP packet with what its frame says.
#[derive(Clone, Copy, Debug)]
pub(super) struct RtpPacket {
    pub(super) frame: u64,
    pub(super) time: i64,
    pub(super) traffic_byte: u8,
    pub(super) ssrc: u32,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) payload_type: u8,
    /// Bytes of the RTP packet on the wire.
    pub(super) len: u32,
    /// Bytes of the whole IP packet.
    pub(super) ip_len: u32,
    pub(super) wrap: Wrap,
}

/// What is known of one SSRC in one flow.
#[derive(Clone, Debug)]
pub(super) struct RtpStream {
    pub(super) ssrc: u32,
    pub(super) wrap: Wrap,
    pub(super) marks: Marks,
    pub(super) sequence: Sequence,
    pub(super) jitter: Jitter,
    pub(super) timeline: Timeline,
    pub(super) first_frame: u64,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) talk_ns: i64,
    pub(super) max_gap_ns: i64,
    /// The codec's payload type, whose timestamps jitter is measured by.
    payload_type: u8,
    payload_types: Vec<(u8, u64)>,
    latest_type: usize,
    /// Packets in a row of the latest type, which are not in the list yet.
    same_type: u64,
    latest_type_number: u8,
    /// Packets in a row with another type than the codec's.
    foreign_run: u8,
    /// RTP packet sizes, and how many packets share a timestamp with the one before: video does.
    pub(super) largest: u32,
    pub(super) payload_bytes: u64,
    pub(super) same_timestamp: u64,
    timestamp: u32,
    /// Frames that hold more than one packet: the capture was taken before segmentation.
    pub(super) aggregated: u64,
    pub(super) first_aggregated: Option<u64>,
    /// Whether the latest packet is longer than all before it.
    pub(super) newest_is_longest: bool,
}

impl RtpStream {
    pub(super) fn new(first: &RtpPacket) -> RtpStream {
        let mut marks = Marks::default();
        marks.count(first.traffic_byte, first.frame);
        let mut timeline = Timeline::new(first.time);
        timeline.count(first.time, first.traffic_byte, 0, || 0.0);
        RtpStream {
            ssrc: first.ssrc,
            wrap: first.wrap,
            marks,
            sequence: Sequence::new(first.seq, first.traffic_byte),
            jitter: Jitter::new(first.time, first.timestamp),
            timeline,
            first_frame: first.frame,
            start: first.time,
            end: first.time,
            packets: 1,
            bytes: u64::from(first.ip_len),
            talk_ns: 0,
            max_gap_ns: 0,
            payload_type: first.payload_type,
            payload_types: vec![(first.payload_type, 0)],
            latest_type: 0,
            same_type: 1,
            latest_type_number: first.payload_type,
            foreign_run: 0,
            largest: first.len,
            payload_bytes: u64::from(first.len),
            same_timestamp: 0,
            timestamp: first.timestamp,
            aggregated: 0,
            first_aggregated: None,
            newest_is_longest: true,
        }
    }

    /// Takes the next packet; `budget` bounds the runs that all streams may keep.
    #[inline]
    pub(super) fn push(&mut self, packet: &RtpPacket, budget: &mut u32) {
        self.packets += 1;
        self.bytes += u64::from(packet.ip_len);
        self.payload_bytes += u64::from(packet.len);
        // The packet that confirms the sender is the first that anybody looks at.
        self.newest_is_longest = packet.len > self.largest || self.packets == 2;
        self.largest = self.largest.max(packet.len);
        self.marks.count(packet.traffic_byte, packet.frame);
        let (jitter, time, timestamp) = (&self.jitter, packet.time, packet.timestamp);
        let arrival = self
            .sequence
            .push(packet.seq, packet.traffic_byte, budget, move || jitter.has_jumped(time, timestamp));
        let lost = self.note_arrival(arrival, packet);
        let jitter = &self.jitter;
        self.timeline.count(packet.time, packet.traffic_byte, lost, || jitter.least_ms());
        self.note_time(packet.time);
        self.note_payload_type(packet.payload_type);
    }

    /// Jitter wants packets in order; returns how many are missing before this one.
    #[inline]
    fn note_arrival(&mut self, arrival: Arrival, packet: &RtpPacket) -> u16 {
        match arrival {
            Arrival::Forward(missing) => {
                self.same_timestamp += u64::from(packet.timestamp == self.timestamp);
                self.timestamp = packet.timestamp;
                // Tones and comfort noise keep their timestamps on purpose: they say nothing about jitter.
                if packet.payload_type == self.payload_type {
                    self.jitter.push(packet.time, packet.timestamp);
                }
                missing
            }
            Arrival::Late | Arrival::Duplicate | Arrival::Stray => 0,
            Arrival::Restart => {
                self.timestamp = packet.timestamp;
                self.jitter.restart(packet.time, packet.timestamp);
                0
            }
        }
    }

    #[inline]
    fn note_time(&mut self, time: i64) {
        let gap = time.saturating_sub(self.end);
        if gap > self.max_gap_ns {
            self.max_gap_ns = gap;
        }
        if gap > 0 {
            self.end = time;
            if gap < TALK_GAP_NS {
                self.talk_ns += gap;
            }
        }
    }

    #[inline]
    fn note_payload_type(&mut self, number: u8) {
        if number == self.latest_type_number {
            self.same_type += 1;
        } else {
            self.change_payload_type(number);
        }
        self.foreign_run = if number == self.payload_type { 0 } else { self.foreign_run.saturating_add(1) };
        if self.foreign_run > NEW_CODEC_PACKETS {
            self.payload_type = number;
        }
    }

    /// There are 128 payload types at most.
    #[cold]
    fn change_payload_type(&mut self, number: u8) {
        self.payload_types[self.latest_type].1 += self.same_type;
        (self.latest_type_number, self.same_type) = (number, 1);
        let place = self.payload_types.iter().position(|(known, _)| *known == number);
        self.latest_type = place.unwrap_or(self.payload_types.len());
        if place.is_none() {
            self.payload_types.push((number, 0));
        }
    }

    /// The payload type seen most.
    pub(super) fn main_payload_type(&self) -> u8 {
        let pending = |place| if place == self.latest_type { self.same_type } else { 0 };
        let counted = self.payload_types.iter().enumerate();
        counted
            .max_by_key(|(place, (_, count))| count + pending(*place))
            .map_or(self.payload_type, |(_, (number, _))| *number)
    }
}
