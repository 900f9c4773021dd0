//! The jitter buffer: packets in as they come, one out whenever speech is needed, in order and never backwards.
//!
//! It counts in packets. Its delay begins with two of them, grows when packets come too late, and shrinks when all have
//! come in time for a while. It knows no codec: what a missing packet sounds like, and whether a frame is quiet enough
//! to be left out, is for its owner.

use std::collections::BTreeMap;

use crate::quality::Bursts;

/// Packets that are waited for before speech begins.
const LEAST_DEPTH: usize = 2;
/// The most that is ever waited for, milliseconds.
pub const MOST_DELAY_MS: u32 = 200;
/// How many packets are taken out before the depth is judged: about five seconds.
const WINDOW: u32 = 256;
/// A number this far from the expected one belongs to another series.
const FAR: i64 = 3000;

/// A packet that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP payload type.
    pub payload_type: u8,
    /// Payload; `None` for a packet that has no speech in it (a key press, comfort noise), only a number.
    pub payload: Option<Vec<u8>>,
}

/// What became of a packet that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// It waits for its turn.
    Queued,
    /// Its turn is over: what it said was concealed already.
    Late,
    /// It waits already.
    Duplicate,
}

/// What there is when speech is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Popped {
    /// The next packet.
    Packet(Packet),
    /// The next packet is missing, and later ones are there: it is given up.
    Missing,
    /// Nothing is there. The next packet may still come; meanwhile something has to be heard.
    Starved,
    /// Nobody speaks, or speech is about to begin.
    Idle,
}

/// What happened, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets that were thrown away because the delay would have become too long.
    pub overflowed: u64,
    /// Packets that came twice while they waited.
    pub duplicated: u64,
    /// Frames that had to be concealed, for missing packets and for late ones.
    pub concealed: u64,
    /// Frames that were left out to make the delay shorter.
    pub skipped: u64,
}

/// Packets of one stream.
#[derive(Debug)]
pub struct Buffer {
    packets: BTreeMap<i64, Packet>,
    /// The number whose turn it is, extended over wraps; before the first packet, none.
    next: Option<i64>,
    playing: bool,
    /// Frames concealed in a row because nothing was there.
    starved: usize,
    /// A frame is to be concealed though the next packet is there: the delay becomes longer.
    stretch: bool,
    /// Packets to wait for before speech begins.
    target: usize,
    window: Window,
    frame_ms: u32,
    clock: u32,
    most_ms: u32,
    counts: Counts,
    bursts: Bursts,
}

/// The least depth seen in the present window, and whether all came in time.
#[derive(Clone, Copy, Debug)]
struct Window {
    pops: u32,
    least: usize,
    calm: bool,
    /// Depth that was never needed in the window before.
    surplus: usize,
}

const FRESH: Window = Window { pops: 0, least: usize::MAX, calm: true, surplus: 0 };

impl Buffer {
    /// For a stream with this RTP clock, in Hz.
    pub fn new(clock: u32) -> Buffer {
        Buffer {
            packets: BTreeMap::new(),
            next: None,
            playing: false,
            starved: 0,
            stretch: false,
            target: LEAST_DEPTH,
            window: FRESH,
            frame_ms: 20,
            clock: clock.max(1000),
            most_ms: 0,
            counts: Counts::default(),
            bursts: Bursts::default(),
        }
    }

    /// The sender began anew: what waits is forgotten, what was learned about the network is not.
    pub fn restart(&mut self, clock: u32) {
        self.packets.clear();
        (self.next, self.playing, self.starved, self.stretch) = (None, false, 0, false);
        self.clock = clock.max(1000);
    }

    /// Takes a packet.
    pub fn push(&mut self, packet: Packet) -> Pushed {
        let mut number = self.number(packet.sequence);
        if self.next.is_some_and(|next| (number - next).abs() > FAR) {
            self.restart(self.clock);
            number = self.number(packet.sequence);
        }
        if self.next.is_some_and(|next| number < next) {
            return self.late();
        }
        if self.packets.contains_key(&number) {
            self.counts.duplicated += 1;
            return Pushed::Duplicate;
        }
        if self.starved > 0 && self.next == Some(number) {
            self.target = (self.target + 1).min(self.most_depth());
        }
        self.learn_duration(number, packet.timestamp);
        self.packets.insert(number, packet);
        self.bound();
        Pushed::Queued
    }

    /// Gives what is to be heard for the next frame's time. Packets without speech take no time.
    pub fn pop(&mut self) -> Popped {
        self.most_ms = self.most_ms.max(self.delay_ms());
        if !self.playing && !self.begin() {
            return Popped::Idle;
        }
        if std::mem::take(&mut self.stretch) {
            self.counts.concealed += 1;
            return Popped::Starved;
        }
        self.judge_depth();
        loop {
            let Some(next) = self.next else { return Popped::Idle };
            match self.packets.remove(&next) {
                Some(packet) => {
                    self.next = Some(next + 1);
                    if packet.payload.is_some() {
                        self.starved = 0;
                        self.bursts.good();
                        return Popped::Packet(packet);
                    }
                }
                None if self.packets.is_empty() => return self.starve(),
                None => {
                    self.next = Some(next + 1);
                    self.bursts.bad();
                    // Its time was filled while nothing was there.
                    if self.starved == 0 {
                        self.counts.concealed += 1;
                        return Popped::Missing;
                    }
                    self.starved -= 1;
                }
            }
        }
    }

    /// The payload that follows, if it is there.
    pub fn peek(&self) -> Option<&Packet> {
        self.packets.get(&self.next?)
    }

    /// Whether the delay has been longer than needed for a while: the owner may leave out a quiet frame, and says so by
    /// [`Buffer::skipped`].
    pub fn has_surplus(&self) -> bool {
        self.window.surplus > 0
    }

    /// A frame was left out.
    pub fn skipped(&mut self) {
        self.counts.skipped += 1;
        self.window.surplus = self.window.surplus.saturating_sub(1);
    }

    /// The delay now, milliseconds.
    pub fn delay_ms(&self) -> u32 {
        (self.depth() as u32).saturating_mul(self.frame_ms)
    }

    /// The longest delay so far, milliseconds.
    pub fn most_delay_ms(&self) -> u32 {
        self.most_ms
    }

    /// Milliseconds of a packet, as far as known.
    pub fn frame_ms(&self) -> u32 {
        self.frame_ms
    }

    /// What happened since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How what was not heard clusters.
    pub fn bursts(&self) -> &Bursts {
        &self.bursts
    }

    /// The number nearest to the expected one that ends in these 16 bits.
    fn number(&self, sequence: u16) -> i64 {
        let reference = self.next.or_else(|| self.packets.keys().next_back().copied()).unwrap_or(0x1_0000);
        reference + i64::from(sequence.wrapping_sub(reference as u16) as i16)
    }

    /// Waiting longer would have saved it.
    fn late(&mut self) -> Pushed {
        self.counts.late += 1;
        self.window.calm = false;
        if self.target < self.most_depth() {
            self.target += 1;
            self.stretch = self.playing;
        }
        Pushed::Late
    }

    fn learn_duration(&mut self, number: i64, timestamp: u32) {
        let Some(before) = self.packets.get(&(number - 1)) else { return };
        let ms = u64::from(timestamp.wrapping_sub(before.timestamp)) * 1000 / u64::from(self.clock);
        if (5..=120).contains(&ms) {
            self.frame_ms = ms as u32;
        }
    }

    /// Keeps the delay within its limit: holes in front go first, then the oldest packets.
    fn bound(&mut self) {
        while self.depth() > self.most_depth() {
            let Some(first) = self.packets.keys().next().copied() else { return };
            if self.next.is_none_or(|next| next >= first) {
                let packet = self.packets.remove(&first);
                if packet.is_some_and(|packet| packet.payload.is_some()) {
                    self.counts.overflowed += 1;
                    self.bursts.bad();
                }
                self.next = self.next.map(|_| first + 1);
            } else {
                self.next = Some(first);
            }
        }
    }

    fn most_depth(&self) -> usize {
        (MOST_DELAY_MS / self.frame_ms).max(LEAST_DEPTH as u32 + 1) as usize
    }

    /// From the packet whose turn it is to the newest.
    fn depth(&self) -> usize {
        let (Some((first, _)), Some((last, _))) =
            (self.packets.first_key_value(), self.packets.last_key_value())
        else {
            return 0;
        };
        let from = self.next.filter(|_| self.playing).unwrap_or(*first);
        usize::try_from(last - from + 1).unwrap_or(0)
    }

    fn begin(&mut self) -> bool {
        if self.depth() < self.target {
            return false;
        }
        self.next = self.packets.keys().next().copied();
        (self.playing, self.starved) = (true, 0);
        true
    }

    fn starve(&mut self) -> Popped {
        self.starved += 1;
        if self.starved > self.most_depth() {
            self.playing = false;
            return Popped::Idle;
        }
        if self.starved == 1 {
            self.window.calm = false;
        }
        self.counts.concealed += 1;
        Popped::Starved
    }

    fn judge_depth(&mut self) {
        self.window.pops += 1;
        self.window.least = self.window.least.min(self.depth());
        if self.window.pops < WINDOW {
            return;
        }
        let surplus = if self.window.calm { self.window.least.saturating_sub(LEAST_DEPTH) } else { 0 };
        // No quiet frame came along in a whole window: a loud one goes.
        if surplus > 0 && self.window.surplus > 0 {
            self.give_up_one();
        }
        if self.window.calm {
            self.target = (self.target - 1).max(LEAST_DEPTH);
        }
        self.window = Window { surplus, ..FRESH };
    }

    fn give_up_one(&mut self) {
        if let Some(next) = self.next {
            self.packets.remove(&next);
            self.next = Some(next + 1);
            self.skipped();
        }
    }
}

#[cfg(test)]
mod tests;
