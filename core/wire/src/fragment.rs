//! Reassembly of IPv4 and IPv6 fragments (RFC 791, 8200, 5722) with bounded memory.
//!
//! Every fragment's mark counts, so a datagram comes out with the list of its pieces, and comes out even if it
//! never became whole. Time is the capture's own.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::ip::{self, IpHeader};
use crate::spans::{Fit, Spans};

/// How much a [`Reassembler`] may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Datagrams in progress; as many unfinished ones may wait to be taken.
    pub datagrams: usize,
    /// Bytes of all datagrams in progress, with what it takes to keep them.
    pub bytes: usize,
}

/// One fragment of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The number of its frame in the capture.
    pub frame: u64,
    /// Its own DSCP and ECN.
    pub traffic_byte: u8,
    /// Length of what its IP header carried, as declared.
    pub payload_len: u32,
}

/// A datagram, whole or given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Transport protocol; known only if the first fragment came in the case of IPv6.
    pub protocol: u8,
    /// Time of the first fragment seen.
    pub started: i64,
    /// Its fragments in the order of the capture, duplicates included.
    pub pieces: Vec<Piece>,
    /// Length on the wire of what `bytes` starts: of the whole datagram, or of what is known of it.
    pub declared_len: u32,
    /// The bytes from the start on, as far as captured without a hole: hand them to [`crate::packet::transport`].
    pub bytes: Vec<u8>,
    /// Whether it became whole, or why not.
    pub ending: Ending,
}

/// How a datagram ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// All fragments came.
    Whole,
    /// Some fragment did not come in time, or before the capture ended.
    TimedOut,
    /// It had to make room for others.
    Evicted,
    /// Its IPv6 fragments overlapped: RFC 5722 forbids to use it.
    Overlapped,
}

/// What became of a fragment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is kept; the datagram is not whole yet.
    Held,
    /// It completed this datagram.
    Whole(Datagram),
    /// It can't be a part of any datagram, and was counted ([`Reassembler::refused`]).
    Refused,
}

/// Puts fragments together. Its owner takes unfinished datagrams out after each push ([`Reassembler::take_unfinished`]).
#[derive(Clone, Debug)]
pub struct Reassembler {
    limits: Limits,
    in_progress: BTreeMap<Key, InProgress>,
    /// Who expires when; the serial number tells apart equal times.
    deadlines: BTreeMap<(i64, u64), Key>,
    serial: u64,
    cost: usize,
    unfinished: VecDeque<Datagram>,
    refused: u64,
    lost: u64,
}

/// What fragments of one datagram share. IPv6 fragments don't: only the first tells the real protocol.
type Key = (IpAddr, IpAddr, u32, u8);

#[derive(Clone, Debug)]
struct InProgress {
    deadline: (i64, u64),
    started: i64,
    protocol: u8,
    pieces: Vec<Piece>,
    spans: Spans,
    /// Known once the last fragment came.
    total: Option<u64>,
    overlapped: bool,
}

const NANOS: i64 = 1_000_000_000;
/// Linux gives up IPv4 datagrams after 30 s; RFC 8200, 4.5 asks for 60 s.
const TIMEOUT_V4: i64 = 30 * NANOS;
const TIMEOUT_V6: i64 = 60 * NANOS;
const MAX_DATAGRAM: u64 = 65_535;

impl Reassembler {
    /// An empty one.
    pub fn new(limits: Limits) -> Reassembler {
        Reassembler {
            limits,
            in_progress: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            serial: 0,
            cost: 0,
            unfinished: VecDeque::new(),
            refused: 0,
            lost: 0,
        }
    }

    /// Takes the fragment in `payload`, which may be cut by the capture, with its IP header and frame number.
    pub fn push(&mut self, now: i64, frame: u64, ip: &IpHeader, payload: &[u8]) -> Outcome {
        self.expire(now);
        let key = key(ip);
        let piece = Piece { frame, traffic_byte: ip.traffic_byte, payload_len: ip.payload_len };
        let Some((start, end, more)) = extent(ip) else { return self.refuse() };
        let before = self.in_progress.get(&key).map_or(0, InProgress::cost);
        let entry = self.entry(now, key, ip);
        if !entry.accepts(end, more) {
            return self.refuse();
        }
        entry.add(piece, start, ip, payload);
        let (whole, after) = (entry.is_whole(), entry.cost());
        self.cost = self.cost.saturating_sub(before) + after;
        if whole && let Some(entry) = self.remove(&key) {
            return Outcome::Whole(entry.into_datagram(key, Ending::Whole));
        }
        self.make_room();
        Outcome::Held
    }

    /// Gives up datagrams whose time is over at `now`; `i64::MAX` gives up all, at the end of a capture.
    pub fn expire(&mut self, now: i64) {
        while let Some((&(deadline, _), key)) = self.deadlines.first_key_value() {
            if deadline > now {
                break;
            }
            self.give_up(*key, Ending::TimedOut);
        }
    }

    /// The next datagram that was given up.
    pub fn take_unfinished(&mut self) -> Option<Datagram> {
        self.unfinished.pop_front()
    }

    /// Fragments refused: empty, beyond 65535 bytes, not on a multiple of eight, or against the known end.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Unfinished datagrams dropped because nobody took them.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Roughly the bytes held by datagrams in progress; never over [`Limits::bytes`] after a push.
    pub fn held(&self) -> usize {
        self.cost
    }

    fn refuse(&mut self) -> Outcome {
        self.refused = self.refused.saturating_add(1);
        Outcome::Refused
    }

    fn entry(&mut self, now: i64, key: Key, ip: &IpHeader) -> &mut InProgress {
        self.in_progress.entry(key).or_insert_with(|| {
            let timeout = if ip.src.is_ipv4() { TIMEOUT_V4 } else { TIMEOUT_V6 };
            self.serial = self.serial.wrapping_add(1);
            let deadline = (now.saturating_add(timeout), self.serial);
            self.deadlines.insert(deadline, key);
            InProgress {
                deadline,
                started: now,
                protocol: ip.protocol,
                pieces: Vec::new(),
                spans: Spans::default(),
                total: None,
                overlapped: false,
            }
        })
    }

    /// The one that would expire first goes first.
    fn make_room(&mut self) {
        while self.in_progress.len() > self.limits.datagrams || self.cost > self.limits.bytes {
            let Some((_, key)) = self.deadlines.first_key_value() else { break };
            self.give_up(*key, Ending::Evicted);
        }
    }

    fn give_up(&mut self, key: Key, ending: Ending) {
        let Some(entry) = self.remove(&key) else { return };
        let ending = if entry.overlapped { Ending::Overlapped } else { ending };
        if self.unfinished.len() >= self.limits.datagrams.max(1) {
            self.unfinished.pop_front();
            self.lost = self.lost.saturating_add(1);
        }
        self.unfinished.push_back(entry.into_datagram(key, ending));
    }

    fn remove(&mut self, key: &Key) -> Option<InProgress> {
        let entry = self.in_progress.remove(key)?;
        self.deadlines.remove(&entry.deadline);
        self.cost = self.cost.saturating_sub(entry.cost());
        Some(entry)
    }
}

fn key(ip: &IpHeader) -> Key {
    let id = ip.fragment.map_or(0, |part| part.id);
    (ip.src, ip.dst, id, if ip.src.is_ipv4() { ip.protocol } else { 0 })
}

/// From where to where a fragment reaches and whether others follow; `None` if that can't be.
fn extent(ip: &IpHeader) -> Option<(u64, u64, bool)> {
    let part = ip.fragment?;
    let (start, len) = (u64::from(part.offset), u64::from(ip.payload_len));
    let end = start + len;
    let fits = len > 0 && end <= MAX_DATAGRAM && (!part.more || len.is_multiple_of(8));
    fits.then_some((start, end, part.more))
}

impl InProgress {
    fn cost(&self) -> usize {
        self.spans.cost() + self.pieces.capacity() * size_of::<Piece>() + size_of::<(Key, InProgress)>()
    }

    /// Whether a fragment agrees with the end of the datagram; the last fragment fixes that end. The first
    /// fragment always does.
    fn accepts(&mut self, end: u64, more: bool) -> bool {
        match self.total {
            Some(total) => end <= total && (more || end == total),
            None if more => true,
            None => {
                let fits = end >= self.spans.end();
                self.total = fits.then_some(end);
                fits
            }
        }
    }

    fn add(&mut self, piece: Piece, start: u64, ip: &IpHeader, payload: &[u8]) {
        self.pieces.push(piece);
        if start == 0 {
            self.protocol = ip.protocol;
        }
        if self.overlapped {
            return;
        }
        let fit = self.spans.insert(start, ip.payload_len, payload);
        if fit == Fit::Overlap && ip.src.is_ipv6() {
            self.overlapped = true;
        }
    }

    fn is_whole(&self) -> bool {
        !self.overlapped && self.total == Some(self.spans.covered())
    }

    fn into_datagram(mut self, (src, dst, ..): Key, ending: Ending) -> Datagram {
        let known = self.total.unwrap_or_else(|| self.spans.end());
        let mut bytes = Vec::new();
        while let Some(span) = self.spans.take_at(bytes.len() as u64) {
            bytes.extend_from_slice(&span.data);
            if span.data.len() < span.declared as usize {
                break;
            }
        }
        let mut datagram = Datagram {
            src,
            dst,
            protocol: self.protocol,
            started: self.started,
            pieces: self.pieces,
            declared_len: known as u32,
            bytes,
            ending,
        };
        if src.is_ipv6() {
            datagram.strip_extensions();
        }
        datagram
    }
}

impl Datagram {
    /// Extension headers may lie inside the fragmented part (RFC 8200, 4.5), before the transport's.
    fn strip_extensions(&mut self) {
        if let Some((protocol, skipped, None)) = ip::walk_extensions(self.protocol, &self.bytes) {
            self.protocol = protocol;
            self.bytes.drain(..skipped);
            self.declared_len = self.declared_len.saturating_sub(skipped as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ip::FragmentPart;
    use crate::packet::{self, Transport};
    use proptest::prelude::*;

    const ROOMY: Limits = Limits { datagrams: 100, bytes: 1 << 20 };
    const SECOND: i64 = 1_000_000_000;

    /// A fragment of datagram `id`: IPv6 if `v6`, `len` bytes from `offset` on.
    fn header(v6: bool, id: u32, offset: u32, len: u32, more: bool) -> IpHeader {
        let (src, dst) = if v6 { ("2001:db8::1", "2001:db8::2") } else { ("192.0.2.1", "192.0.2.2") };
        IpHeader {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            traffic_byte: 184,
            ttl: 64,
            protocol: 17,
            payload_len: len,
            fragment: Some(FragmentPart { id, offset, more }),
        }
    }

    /// A UDP datagram of `len` bytes in all, from port 5004 to 5006.
    fn udp(len: u16) -> Vec<u8> {
        let mut bytes =
            [5004u16, 5006, len, 0].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        bytes.extend((8..len).map(|at| at as u8));
        bytes
    }

    fn cut_up(v6: bool, bytes: &[u8], size: usize) -> Vec<(IpHeader, Vec<u8>)> {
        let count = bytes.len().div_ceil(size);
        let piece = |(at, chunk): (usize, &[u8])| {
            let more = at + 1 < count;
            (header(v6, 7, (at * size) as u32, chunk.len() as u32, more), chunk.to_vec())
        };
        bytes.chunks(size).enumerate().map(piece).collect()
    }

    fn unfinished(reassembler: &mut Reassembler) -> Vec<Datagram> {
        std::iter::from_fn(|| reassembler.take_unfinished()).collect()
    }

    proptest! {
        #[test]
        fn any_order_with_any_duplicates_gives_the_datagram_back(
            v6: bool,
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..60),
            len in 9u16..900,
        ) {
            let bytes = udp(len);
            let pieces = cut_up(v6, &bytes, 64);
            let order = order.iter().map(|index| index.index(pieces.len())).chain(0..pieces.len());
            let mut reassembler = Reassembler::new(ROOMY);
            for (frame, at) in order.enumerate() {
                let (ip, payload) = &pieces[at];
                if pieces.len() == 1 {
                    continue;
                }
                if let Outcome::Whole(datagram) = reassembler.push(0, frame as u64, ip, payload) {
                    prop_assert_eq!(&datagram.bytes, &bytes);
                    prop_assert_eq!(datagram.declared_len, u32::from(len));
                    prop_assert_eq!(datagram.pieces.len(), frame + 1);
                    prop_assert_eq!(reassembler.held(), 0);
                    return Ok(());
                }
            }
            prop_assert!(pieces.len() == 1, "never became whole");
        }

        #[test]
        fn random_fragments_stay_within_the_bounds(
            fragments in prop::collection::vec((any::<bool>(), 0u32..4, 0u32..9000, 0u32..70_000, any::<bool>(), 0i64..50), 0..200),
        ) {
            let limits = Limits { datagrams: 3, bytes: 8 << 10 };
            let mut reassembler = Reassembler::new(limits);
            let payload = vec![0; 70_000];
            let mut now = 0;
            for (frame, (v6, id, offset, len, more, pause)) in fragments.into_iter().enumerate() {
                now += pause * SECOND;
                let ip = header(v6, id, offset * 8, len, more);
                reassembler.push(now, frame as u64, &ip, &payload[..len as usize % 900]);
                prop_assert!(reassembler.held() <= limits.bytes);
                prop_assert!(reassembler.in_progress.len() <= limits.datagrams);
                prop_assert_eq!(reassembler.in_progress.len(), reassembler.deadlines.len());
                let cost: usize = reassembler.in_progress.values().map(InProgress::cost).sum();
                prop_assert_eq!(reassembler.held(), cost);
            }
        }
    }

    #[test]
    fn endless_fragments_evict_the_oldest_and_each_comes_out_with_its_marks() {
        let mut reassembler = Reassembler::new(Limits { datagrams: 10, bytes: 1 << 20 });
        for id in 0..100_000u32 {
            let ip = header(false, id, 0, 64, true);
            assert_eq!(reassembler.push(i64::from(id), u64::from(id), &ip, &udp(64)), Outcome::Held);
            let given_up = unfinished(&mut reassembler);
            assert_eq!(given_up.len(), usize::from(id >= 10));
            for datagram in given_up {
                assert_eq!(
                    (datagram.ending, datagram.pieces[0].frame),
                    (Ending::Evicted, u64::from(id) - 10)
                );
                assert_eq!(datagram.pieces[0].traffic_byte, 184);
            }
        }
        assert_eq!(reassembler.lost(), 0);
    }

    #[test]
    fn endless_copies_of_one_fragment_are_bounded_too() {
        let mut reassembler = Reassembler::new(Limits { datagrams: 10, bytes: 16 << 10 });
        for frame in 0..10_000 {
            reassembler.push(0, frame, &header(false, 1, 0, 64, true), &udp(64));
            assert!(reassembler.held() <= 16 << 10);
        }
        assert!(!unfinished(&mut reassembler).is_empty());
    }

    #[test]
    fn nobody_taking_the_unfinished_loses_them_but_not_memory() {
        let mut reassembler = Reassembler::new(Limits { datagrams: 10, bytes: 1 << 20 });
        for id in 0..1000 {
            reassembler.push(0, 0, &header(false, id, 0, 64, true), &udp(64));
        }
        assert_eq!(reassembler.lost(), 980);
        assert_eq!(unfinished(&mut reassembler).len(), 10);
    }

    #[test]
    fn ipv4_waits_30_seconds_and_ipv6_60() {
        for (v6, timeout) in [(false, 30), (true, 60)] {
            let mut reassembler = Reassembler::new(ROOMY);
            reassembler.push(5, 1, &header(v6, 1, 0, 64, true), &udp(100)[..64]);
            reassembler.expire(4 + timeout * SECOND);
            assert_eq!(reassembler.take_unfinished(), None);
            reassembler.expire(5 + timeout * SECOND);
            let datagram = reassembler.take_unfinished().unwrap();
            assert_eq!((datagram.ending, datagram.bytes.len()), (Ending::TimedOut, 64));
            let Transport::Udp(udp) =
                packet::transport(datagram.protocol, &datagram.bytes, datagram.declared_len)
            else {
                panic!("the first piece shows the ports")
            };
            assert_eq!((udp.src_port, udp.dst_port), (5004, 5006));
        }
    }

    #[test]
    fn the_end_of_the_capture_gives_up_all_that_is_left() {
        let mut reassembler = Reassembler::new(ROOMY);
        reassembler.push(0, 1, &header(false, 1, 64, 64, false), &[0; 64]);
        reassembler.expire(i64::MAX);
        let datagram = reassembler.take_unfinished().unwrap();
        assert_eq!((datagram.bytes.len(), datagram.pieces.len(), datagram.declared_len), (0, 1, 128));
    }

    #[test]
    fn overlap_is_forbidden_in_ipv6_and_first_come_wins_in_ipv4() {
        let bytes = udp(128);
        for v6 in [true, false] {
            let mut reassembler = Reassembler::new(ROOMY);
            reassembler.push(0, 1, &header(v6, 1, 0, 64, true), &bytes[..64]);
            reassembler.push(0, 2, &header(v6, 1, 32, 40, true), &[0xee; 40]);
            let outcome = reassembler.push(0, 3, &header(v6, 1, 64, 64, false), &bytes[64..]);
            reassembler.expire(i64::MAX);
            if v6 {
                assert_eq!(outcome, Outcome::Held);
                let datagram = reassembler.take_unfinished().unwrap();
                assert_eq!((datagram.ending, datagram.pieces.len()), (Ending::Overlapped, 3));
            } else {
                let Outcome::Whole(datagram) = outcome else { panic!("{outcome:?}") };
                assert_eq!(datagram.bytes[..64], bytes[..64]);
                assert_eq!(datagram.bytes[64..72], [0xee; 8]);
                assert_eq!(datagram.bytes[72..], bytes[72..]);
            }
        }
    }

    #[test]
    fn lying_fragments_are_refused_and_counted() {
        let mut reassembler = Reassembler::new(ROOMY);
        let lies = [(65_528, 8, false), (0, 0, true), (0, 63, true)];
        for (offset, len, more) in lies {
            assert_eq!(
                reassembler.push(0, 1, &header(false, 1, offset, len, more), &[0; 64]),
                Outcome::Refused
            );
        }
        assert_eq!(reassembler.push(0, 1, &header(false, 1, 64, 64, false), &[0; 64]), Outcome::Held);
        let against_the_end = [(128, 64, true), (64, 32, false), (0, 16, false)];
        for (offset, len, more) in against_the_end {
            assert_eq!(
                reassembler.push(0, 1, &header(false, 1, offset, len, more), &[0; 64]),
                Outcome::Refused
            );
        }
        assert_eq!((reassembler.refused(), reassembler.in_progress.len()), (6, 1));
    }

    #[test]
    fn a_snap_length_leaves_the_first_bytes_and_the_whole_length() {
        let mut reassembler = Reassembler::new(ROOMY);
        reassembler.push(0, 1, &header(false, 1, 0, 1480, true), &udp(2000)[..40]);
        let Outcome::Whole(datagram) = reassembler.push(0, 2, &header(false, 1, 1480, 520, false), &[0; 40])
        else {
            panic!("both came")
        };
        assert_eq!((datagram.bytes.len(), datagram.declared_len), (40, 2000));
    }

    #[test]
    fn ipv6_extension_headers_inside_the_fragments_are_stripped() {
        let mut reassembler = Reassembler::new(ROOMY);
        let mut bytes = vec![17, 0, 1, 4, 0, 0, 0, 0];
        bytes.extend(udp(56));
        let first = IpHeader { protocol: 60, ..header(true, 1, 0, 32, true) };
        let second = IpHeader { protocol: 60, ..header(true, 1, 32, 32, false) };
        reassembler.push(0, 1, &second, &bytes[32..]);
        let Outcome::Whole(datagram) = reassembler.push(0, 2, &first, &bytes[..32]) else {
            panic!("both came")
        };
        assert_eq!((datagram.protocol, datagram.declared_len, datagram.bytes), (17, 56, udp(56)));
    }
}
