//! One direction of one conversation, while packets come in.

use carillon_wire::payload::Kind;

use super::key::FlowKey;
use super::marks::Marks;
use super::report::Content;
use super::shard::Budget;
use super::stream::{RtpPacket, RtpStream};
use super::tcp::TcpSide;

/// Senders that one flow keeps in detail; a mixer's bundle has a few dozen.
const MAX_STREAMS: usize = 1024;
/// Senders seen once that may wait for their second packet: a browser's bundle starts with so many at once.
const FREE_CANDIDATES: usize = 8;
/// A mixer's transport may start with more, as long as the shard has room for them.
const MAX_CANDIDATES: usize = 64;
/// A flow or sender with fewer packets may be forgotten when room is needed.
const WEAK: u64 = 20;
/// Steps of the sequence number between two packets that make an SSRC believable.
const BELIEVABLE_STEP: u16 = 100;

/// Frames of a flow that carry no confirmed RTP, by content.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) content: Content,
    pub(super) marks: Marks,
    pub(super) first_frame: u64,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// What a frame adds to a tally.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) frame: u64,
    pub(super) time: i64,
    pub(super) traffic_byte: u8,
    pub(super) ip_len: u32,
}

/// One direction of one conversation.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) key: FlowKey,
    pub(super) vlan: Option<u16>,
    pub(super) first_frame: u64,
    pub(super) last_time: i64,
    pub(super) frames: u64,
    /// Confirmed senders; the one of the latest packet is at `latest`.
    pub(super) streams: Vec<RtpStream>,
    latest: usize,
    /// Packets that look like RTP, but whose SSRC was seen once only.
    candidates: Vec<RtpPacket>,
    pub(super) tallies: Vec<Tally>,
    latest_tally: usize,
    /// Whether the latest packet went to a stream, not to a tally.
    latest_was_rtp: bool,
    pub(super) tcp: Option<Box<TcpSide>>,
    /// Packets of senders for which there was no room.
    pub(super) forgotten: u64,
    /// First frame longer than links allow.
    pub(super) oversized: Option<u64>,
    /// First frame of a datagram whose fragments carry different marks.
    pub(super) mixed_fragments: Option<u64>,
}

impl Flow {
    pub(super) fn new(key: FlowKey, vlan: Option<u16>, seen: &Seen) -> Flow {
        Flow {
            key,
            vlan,
            first_frame: seen.frame,
            last_time: seen.time,
            frames: 0,
            streams: Vec::new(),
            latest: 0,
            candidates: Vec::new(),
            tallies: Vec::new(),
            latest_tally: 0,
            latest_was_rtp: false,
            tcp: None,
            forgotten: 0,
            oversized: None,
            mixed_fragments: None,
        }
    }

    /// Whether the flow may be forgotten when there are too many: nothing in it is ours for certain. `None` if
    /// not; else whether it at least looks like media.
    pub(super) fn expendable(&self) -> Option<bool> {
        let ours = |tally: &Tally| matches!(tally.content, Content::Sip | Content::Rtp | Content::Rtcp);
        let weak = self.frames < WEAK && !self.tallies.iter().any(ours);
        weak.then_some(!self.streams.is_empty())
    }

    /// Gives back what it kept, before it is forgotten.
    pub(super) fn release(&self, budget: &mut Budget) {
        budget.streams += self.streams.len();
        budget.candidates += self.candidates.len().saturating_sub(FREE_CANDIDATES);
        budget.bytes += self.tcp.as_ref().map_or(0, |side| side.held());
    }

    /// Takes an RTP packet.
    #[inline]
    pub(super) fn push_rtp(&mut self, packet: &RtpPacket, budget: &mut Budget) -> Option<&mut RtpStream> {
        let latest = self.latest;
        match self.streams.get(latest) {
            Some(stream) if stream.ssrc == packet.ssrc && stream.wrap == packet.wrap => {}
            _ => match self.find_stream(*packet, budget) {
                Some(found) => self.latest = found,
                None => {
                    self.latest_was_rtp = false;
                    return None;
                }
            },
        }
        self.latest_was_rtp = true;
        let stream = self.streams.get_mut(self.latest)?;
        stream.push(packet, &mut budget.runs);
        Some(stream)
    }

    /// The sender's place; a second believable packet of an SSRC confirms it as a sender.
    #[cold]
    fn find_stream(&mut self, packet: RtpPacket, budget: &mut Budget) -> Option<usize> {
        let same = |stream: &RtpStream| stream.ssrc == packet.ssrc && stream.wrap == packet.wrap;
        if let Some(found) = self.streams.iter().position(same) {
            return Some(found);
        }
        let first = self.candidates.iter().position(|first| believable(first, &packet));
        match first.map(|place| self.take_candidate(place, budget)) {
            Some(first) if self.make_room(budget) => {
                self.streams.push(RtpStream::new(&first));
                Some(self.streams.len() - 1)
            }
            first => {
                self.forgotten += u64::from(first.is_some());
                self.reject(first);
                self.add_candidate(packet, budget);
                None
            }
        }
    }

    fn add_candidate(&mut self, packet: RtpPacket, budget: &mut Budget) {
        let held = self.candidates.len();
        if held >= FREE_CANDIDATES {
            if held == MAX_CANDIDATES || budget.candidates == 0 {
                let oldest = self.candidates.remove(0);
                self.reject(Some(oldest));
            } else {
                budget.candidates -= 1;
            }
        }
        self.candidates.push(packet);
    }

    fn take_candidate(&mut self, place: usize, budget: &mut Budget) -> RtpPacket {
        budget.candidates += usize::from(self.candidates.len() > FREE_CANDIDATES);
        self.candidates.remove(place)
    }

    /// Room for one more sender; one that sent next to nothing goes for it, if there is no other way.
    fn make_room(&mut self, budget: &mut Budget) -> bool {
        if self.streams.len() < MAX_STREAMS && budget.streams > 0 {
            budget.streams -= 1;
            return true;
        }
        let weak = (0..self.streams.len()).filter(|&n| self.streams[n].packets < WEAK);
        let Some(idle) = weak.min_by_key(|&n| self.streams[n].end) else { return false };
        self.forgotten += self.streams.swap_remove(idle).packets;
        true
    }

    /// A candidate that nothing confirmed was some other protocol's packet.
    fn reject(&mut self, candidate: Option<RtpPacket>) {
        let Some(packet) = candidate else { return };
        let RtpPacket { frame, time, traffic_byte, ip_len, .. } = packet;
        self.tally(Content::Unconfirmed, Seen { frame, time, traffic_byte, ip_len });
    }

    /// Nothing more will come: candidates left over are counted as what they are, unconfirmed.
    pub(super) fn finish(&mut self) {
        for candidate in std::mem::take(&mut self.candidates) {
            self.reject(Some(candidate));
        }
    }

    /// Counts a further fragment of the datagram just counted: its mark was on the wire too.
    pub(super) fn count_piece(&mut self, byte: u8, frame: u64, first_byte: u8) {
        let stream = self.streams.get_mut(self.latest).filter(|_| self.latest_was_rtp);
        let tally = self.tallies.get_mut(self.latest_tally);
        if let Some(marks) = stream.map(|s| &mut s.marks).or(tally.map(|t| &mut t.marks)) {
            marks.count(byte, frame);
        }
        if byte != first_byte {
            self.mixed_fragments.get_or_insert(frame);
        }
    }

    /// Counts a frame that is no RTP packet.
    #[inline]
    pub(super) fn tally(&mut self, content: Content, seen: Seen) {
        let place = self.tallies.iter().position(|tally| tally.content == content);
        let place = place.unwrap_or_else(|| self.open_tally(content, seen));
        (self.latest_tally, self.latest_was_rtp) = (place, false);
        let tally = &mut self.tallies[place];
        tally.marks.count(seen.traffic_byte, seen.frame);
        tally.packets += 1;
        tally.bytes += u64::from(seen.ip_len);
        tally.start = tally.start.min(seen.time);
        tally.end = tally.end.max(seen.time);
        tally.first_frame = tally.first_frame.min(seen.frame);
    }

    #[cold]
    fn open_tally(&mut self, content: Content, seen: Seen) -> usize {
        self.tallies.push(Tally {
            content,
            marks: Marks::default(),
            first_frame: seen.frame,
            start: seen.time,
            end: seen.time,
            packets: 0,
            bytes: 0,
        });
        self.tallies.len() - 1
    }
}

fn believable(first: &RtpPacket, next: &RtpPacket) -> bool {
    let step = next.seq.wrapping_sub(first.seq);
    let near = step <= BELIEVABLE_STEP || step >= 0u16.wrapping_sub(BELIEVABLE_STEP);
    first.ssrc == next.ssrc && first.wrap == next.wrap && near
}

/// What a payload's kind means for a tally.
pub(super) fn content_of(kind: Kind) -> Content {
    match kind {
        Kind::Rtp => Content::Rtp,
        Kind::Rtcp => Content::Rtcp,
        Kind::Stun | Kind::ClassicStun => Content::Stun,
        Kind::ChannelData => Content::Relayed,
        Kind::Dtls => Content::Dtls,
        Kind::Quic(_) => Content::Quic,
        Kind::Sip => Content::Sip,
        _ => Content::Other,
    }
}
