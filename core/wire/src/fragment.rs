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
mod tests;
