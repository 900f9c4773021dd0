//! One direction of a TCP connection, put back in order with bounded memory (RFC 9293, 3.4).
//!
//! Made for captures, not for endpoints: it starts in the middle if it must, and does not wait for ever for
//! what the capture lost or cut, but tells that bytes are missing, so that framing can find its feet again.

use crate::packet::Tcp;
use crate::spans::Spans;

/// What an [`Assembler`] hands to its consumer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input<'a> {
    /// The stream starts here (a SYN was seen): the next byte starts a message.
    Start,
    /// This many bytes are missing here, 0 if nobody knows: the next byte may be inside a message.
    Gap(u64),
    /// All bytes not consumed yet. The consumer returns how many it has used up; the rest comes again, with
    /// more behind it.
    Bytes(&'a [u8]),
}

/// Puts the segments of one direction in order.
///
/// ```
/// # use carillon_wire::{packet::Tcp, stream::{Assembler, Input}};
/// # let segment = Tcp { src_port: 1, dst_port: 2, seq: 7, flags: 24, payload_len: 3, payload: b"abc" };
/// let mut assembler = Assembler::new(64 * 1024);
/// assembler.push(&segment, |input| match input {
///     Input::Bytes(bytes) => bytes.len(), // frame messages here, return what they used
///     Input::Start | Input::Gap(_) => 0,
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Assembler {
    limit: usize,
    state: State,
    /// Delivered to the consumer, not consumed yet: ends at `next`.
    unread: Vec<u8>,
    /// Behind a hole, by position.
    ahead: Spans,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// No byte of the stream seen yet.
    Idle,
    Open(Position),
}

#[derive(Clone, Copy, Debug)]
struct Position {
    /// Bytes of the stream before the next one expected; sequence numbers wrap, this does not.
    next: u64,
    /// The sequence number of that byte.
    seq: u32,
    /// The SYN's number, once seen.
    syn: Option<u32>,
    /// Where the stream ends, once a FIN or RST was seen.
    end: Option<u64>,
}

/// No window is larger (RFC 7323, 2.3): a segment farther away belongs to another connection.
const MAX_WINDOW: i32 = 1 << 30;

impl Assembler {
    /// An assembler that holds at most about `limit` bytes unread and as many behind holes.
    pub fn new(limit: usize) -> Assembler {
        Assembler { limit, state: State::Idle, unread: Vec::new(), ahead: Spans::default() }
    }

    /// Takes a segment and tells `consumer` what it made available. The usual segment, in order and with
    /// nothing unread before it, is handed over without a copy.
    pub fn push(&mut self, segment: &Tcp<'_>, mut consumer: impl FnMut(Input<'_>) -> usize) {
        let seq = self.synchronize(segment, &mut consumer);
        let State::Open(position) = &mut self.state else { return };
        let delta = seq.wrapping_sub(position.seq).cast_signed();
        let start = position.next.checked_add_signed(i64::from(delta));
        if segment.flags & (Tcp::FIN | Tcp::RST) != 0 {
            let end = start.unwrap_or(0).saturating_add(u64::from(segment.payload_len));
            position.end = Some(end.max(position.next));
        }
        // What lies before the next byte was delivered already: a retransmission.
        let old = if delta < 0 { delta.unsigned_abs() } else { 0 };
        let declared = segment.payload_len.saturating_sub(old);
        if declared == 0 {
            return;
        }
        let data = segment.payload.get(old as usize..).unwrap_or_default();
        let data = data.get(..declared as usize).unwrap_or(data);
        if delta > 0 {
            self.ahead.insert(start.unwrap_or(0), declared, data);
        } else {
            self.deliver(declared, data, &mut consumer);
        }
        self.catch_up(self.limit, &mut consumer);
    }

    /// Delivers what still lies behind holes, at the end of a capture.
    pub fn finish(&mut self, mut consumer: impl FnMut(Input<'_>) -> usize) {
        self.catch_up(0, &mut consumer);
    }

    /// Whether all bytes up to a FIN or RST were delivered.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Open(Position { next, end: Some(end), .. }) if next >= end)
    }

    /// Roughly the bytes held.
    pub fn held(&self) -> usize {
        self.unread.len() + self.ahead.cost()
    }

    /// Finds the sequence number of the segment's first byte and starts the stream if this segment does.
    fn synchronize(&mut self, segment: &Tcp<'_>, consumer: &mut impl FnMut(Input<'_>) -> usize) -> u32 {
        let syn = (segment.flags & Tcp::SYN != 0).then_some(segment.seq);
        let seq = segment.seq.wrapping_add(u32::from(syn.is_some()));
        let carries = syn.is_some() || segment.payload_len > 0;
        let starts = match &mut self.state {
            State::Idle => carries,
            State::Open(position) => carries && !position.continues_with(seq, syn),
        };
        if starts {
            self.unread.clear();
            self.ahead = Spans::default();
            self.state = State::Open(Position { next: 0, seq, syn, end: None });
            consumer(if syn.is_some() { Input::Start } else { Input::Gap(0) });
        }
        seq
    }

    /// Delivers what follows without a hole, and skips holes as long as more than `limit` waits behind them.
    fn catch_up(&mut self, limit: usize, consumer: &mut impl FnMut(Input<'_>) -> usize) {
        while let (State::Open(position), Some(first)) = (&mut self.state, self.ahead.first()) {
            let hole = first.saturating_sub(position.next);
            if hole > 0 && self.ahead.cost() <= limit {
                return;
            }
            if hole > 0 {
                position.advance(hole);
                self.tell_gap(hole, consumer);
            }
            self.deliver_ahead(first, consumer);
        }
    }

    /// Delivers the piece kept at `start`, less what came meanwhile.
    fn deliver_ahead(&mut self, start: u64, consumer: &mut impl FnMut(Input<'_>) -> usize) {
        let (State::Open(position), Some(span)) = (self.state, self.ahead.take_at(start)) else { return };
        let old = u32::try_from(position.next.saturating_sub(start)).unwrap_or(u32::MAX);
        let data = span.data.get(old as usize..).unwrap_or_default();
        self.deliver(span.declared.saturating_sub(old), data, consumer);
    }

    /// Delivers the next `declared` bytes, of which the capture holds `data`.
    fn deliver(&mut self, declared: u32, data: &[u8], consumer: &mut impl FnMut(Input<'_>) -> usize) {
        let State::Open(position) = &mut self.state else { return };
        position.advance(u64::from(declared));
        if !data.is_empty() {
            self.offer(data, consumer);
        }
        let cut = (declared as usize).saturating_sub(data.len());
        if cut > 0 {
            self.tell_gap(cut as u64, consumer);
        }
    }

    fn offer(&mut self, data: &[u8], consumer: &mut impl FnMut(Input<'_>) -> usize) {
        if self.unread.is_empty() {
            let used = consumer(Input::Bytes(data));
            self.unread.extend_from_slice(data.get(used..).unwrap_or_default());
        } else {
            self.unread.extend_from_slice(data);
            let used = consumer(Input::Bytes(&self.unread)).min(self.unread.len());
            self.unread.drain(..used);
        }
        // An empty buffer keeps its room; thousands of connections would keep much.
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
        if self.unread.len() > self.limit {
            self.tell_gap(self.unread.len() as u64, consumer);
        }
    }

    /// What is unread before a gap can't become a message any more.
    fn tell_gap(&mut self, missing: u64, consumer: &mut impl FnMut(Input<'_>) -> usize) {
        self.unread = Vec::new();
        consumer(Input::Gap(missing));
    }
}

impl Position {
    fn advance(&mut self, bytes: u64) {
        self.next = self.next.saturating_add(bytes);
        self.seq = self.seq.wrapping_add(bytes as u32);
    }

    /// Whether a segment belongs to this connection and not to a later one on the same ports.
    fn continues_with(&mut self, seq: u32, syn: Option<u32>) -> bool {
        let distance = seq.wrapping_sub(self.seq).cast_signed();
        match (syn, self.syn) {
            (None, _) => distance.unsigned_abs() <= MAX_WINDOW.unsigned_abs(),
            (Some(new), Some(known)) => new == known,
            // The capture's first segments were swapped: this SYN stands right before what was seen first.
            (Some(new), None) => {
                let ours = u64::from(self.seq.wrapping_sub(seq)) == self.next;
                self.syn = ours.then_some(new);
                ours
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(seq: u32, flags: u8, payload: &[u8]) -> Tcp<'_> {
        Tcp { src_port: 5060, dst_port: 5061, seq, flags, payload_len: payload.len() as u32, payload }
    }

    /// What a consumer that uses up everything was told.
    #[derive(Default, PartialEq, Debug)]
    struct Told {
        starts: usize,
        gaps: Vec<u64>,
        bytes: Vec<u8>,
    }

    impl Told {
        fn take(&mut self, input: Input<'_>) -> usize {
            match input {
                Input::Start => self.starts += 1,
                Input::Gap(missing) => self.gaps.push(missing),
                Input::Bytes(bytes) => self.bytes.extend_from_slice(bytes),
            }
            usize::MAX
        }
    }

    fn run(limit: usize, segments: &[Tcp<'_>]) -> (Assembler, Told) {
        let (mut assembler, mut told) = (Assembler::new(limit), Told::default());
        for segment in segments {
            assembler.push(segment, |input| told.take(input));
        }
        (assembler, told)
    }

    proptest! {
        #[test]
        fn any_order_with_overlaps_and_retransmissions_gives_the_stream_back(
            isn: u32,
            cuts in prop::collection::vec((0usize..300, 1usize..80), 0..60),
            greed in 1usize..40,
        ) {
            let stream: Vec<u8> = (0..300u32).map(|at| (at * 7) as u8).collect();
            let whole = (0..300).step_by(50).map(|at| (at, 50));
            let (mut assembler, mut read) = (Assembler::new(1 << 20), Vec::new());
            let mut consumer = |input: Input<'_>| match input {
                Input::Bytes(bytes) => {
                    let used = bytes.len() / greed * greed;
                    read.extend_from_slice(&bytes[..used]);
                    used
                }
                _ => 0,
            };
            assembler.push(&segment(isn, Tcp::SYN, &[]), &mut consumer);
            for (start, len) in cuts.into_iter().chain(whole) {
                let end = (start + len).min(stream.len());
                let seq = isn.wrapping_add(1).wrapping_add(start as u32);
                assembler.push(&segment(seq, 0, &stream[start..end]), &mut consumer);
            }
            prop_assert_eq!(&read[..], &stream[..300 / greed * greed]);
            prop_assert_eq!(&assembler.unread[..], &stream[300 / greed * greed..]);
            prop_assert_eq!(assembler.ahead.cost(), 0);
        }

        #[test]
        fn random_segments_stay_within_the_bound(
            segments in prop::collection::vec((any::<u32>(), any::<u8>(), 0usize..200, 0u32..300), 0..200),
            near: bool,
        ) {
            let (mut assembler, payload) = (Assembler::new(1000), [0; 200]);
            for (seq, flags, held, payload_len) in segments {
                let seq = if near { seq % 5000 } else { seq };
                let segment = Tcp { payload_len, ..segment(seq, flags, &payload[..held]) };
                assembler.push(&segment, |_| 0);
                prop_assert!(assembler.held() <= 2 * 1000);
            }
            assembler.finish(|_| 0);
            prop_assert!(assembler.ahead.cost() == 0);
        }
    }

    #[test]
    fn the_usual_segment_is_not_copied() {
        let payload = b"OPTIONS sip:a SIP/2.0\r\n";
        let (mut assembler, mut seen) = (Assembler::new(1000), None);
        assembler.push(&segment(5, 0, payload), |input| {
            if let Input::Bytes(bytes) = input {
                seen = Some(bytes.as_ptr());
            }
            usize::MAX
        });
        assert_eq!((seen, assembler.unread.capacity()), (Some(payload.as_ptr()), 0));
    }

    #[test]
    fn what_is_not_consumed_comes_again_with_more_behind_it() {
        let mut assembler = Assembler::new(1000);
        let mut seen = Vec::new();
        for (seq, payload) in [(0, b"abc"), (3, b"def"), (6, b"ghi")] {
            assembler.push(&segment(seq, 0, payload), |input| {
                let Input::Bytes(bytes) = input else { return 0 };
                seen.push(String::from_utf8(bytes.to_vec()).unwrap());
                2
            });
        }
        assert_eq!(seen, ["abc", "cdef", "efghi"]);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let (assembler, told) = run(
            1000,
            &[
                segment(u32::MAX - 3, Tcp::SYN, &[]),
                segment(2, 0, b"efg"),
                segment(u32::MAX - 2, 0, b"ab"),
                segment(u32::MAX, 0, b"xcd"),
                segment(0, 0, b"cd"),
                segment(5, Tcp::FIN, &[]),
            ],
        );
        assert_eq!(told, Told { starts: 1, gaps: vec![], bytes: b"abxcdefg".to_vec() });
        assert!(assembler.is_finished());
    }

    #[test]
    fn a_capture_that_starts_in_the_middle_says_so() {
        let (_, told) = run(1000, &[segment(77, 16, &[]), segment(77, 0, b"tail of something")]);
        assert_eq!(told, Told { starts: 0, gaps: vec![0], bytes: b"tail of something".to_vec() });
    }

    #[test]
    fn a_hole_is_skipped_once_too_much_waits_behind_it() {
        let payload = [7; 100];
        let segments: Vec<_> = (1..=7).map(|number| segment(number * 100, 0, &payload)).collect();
        let (mut assembler, mut told) = run(1000, &[segment(0, 0, b"start")]);
        for segment in &segments[..6] {
            assembler.push(segment, |input| told.take(input));
        }
        assert_eq!((&told.gaps[..], told.bytes.len()), (&[0][..], 5));
        assembler.push(&segments[6], |input| told.take(input));
        assert_eq!((&told.gaps[..], told.bytes.len()), (&[0, 95][..], 5 + 700));
    }

    #[test]
    fn the_end_of_the_capture_delivers_what_waits_behind_holes() {
        let (mut assembler, mut told) =
            run(1000, &[segment(0, 0, b"a"), segment(2, 0, b"c"), segment(5, 0, b"f")]);
        assert_eq!(told.bytes, b"a");
        assembler.finish(|input| told.take(input));
        assert_eq!((told.gaps, told.bytes), (vec![0, 1, 2], b"acf".to_vec()));
    }

    #[test]
    fn a_payload_cut_by_the_snap_length_is_a_gap() {
        let cut = Tcp { payload_len: 100, ..segment(0, 0, b"INVITE") };
        let (_, told) = run(1000, &[segment(u32::MAX, Tcp::SYN, &[]), cut, segment(100, 0, b"next")]);
        assert_eq!(told, Told { starts: 1, gaps: vec![94], bytes: b"INVITEnext".to_vec() });
    }

    #[test]
    fn a_new_connection_on_the_same_ports_starts_again() {
        let (assembler, told) = run(
            1000,
            &[
                segment(0, Tcp::SYN, &[]),
                segment(0, Tcp::SYN, &[]),
                segment(1, 0, b"old"),
                segment(4, Tcp::RST, &[]),
                segment(9000, Tcp::SYN, &[]),
                segment(9001, 0, b"new"),
            ],
        );
        assert_eq!(told, Told { starts: 2, gaps: vec![], bytes: b"oldnew".to_vec() });
        assert!(!assembler.is_finished());
    }

    #[test]
    fn a_syn_captured_after_the_first_data_does_not_start_again() {
        let (_, told) =
            run(1000, &[segment(1, 0, b"data"), segment(0, Tcp::SYN, &[]), segment(5, 0, b"more")]);
        assert_eq!(told, Told { starts: 0, gaps: vec![0], bytes: b"datamore".to_vec() });
    }

    #[test]
    fn a_message_larger_than_the_limit_is_dropped_and_told() {
        let (mut assembler, payload) = (Assembler::new(1000), [0; 400]);
        let mut gaps = Vec::new();
        for at in 0..4u32 {
            assembler.push(&segment(at * 400, 0, &payload), |input| {
                if let Input::Gap(missing) = input {
                    gaps.push(missing);
                }
                0
            });
        }
        assert_eq!((gaps, assembler.held()), (vec![0, 1200], 400));
    }
}
