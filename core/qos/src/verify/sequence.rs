//! RTP sequence numbers of one sender: loss, duplicates, reordering (RFC 3550, A.1 and A.3), and which
//! packets carried which mark, so that two capture points can be compared packet by packet.

/// Steps up to this are believed: forward they are loss, backward reordering (RFC 3550, A.1).
const NEAR: u16 = 100;
/// Steps of half a cycle and more lead backward.
const HALF_CYCLE: u16 = 0x8000;

/// A run of consecutive packets with one traffic byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Extended sequence number of the first packet.
    pub start: u64,
    /// Packets.
    pub len: u32,
    /// Their traffic byte.
    pub byte: u8,
}

/// What a packet's sequence number meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// The next one, or a later one: that many are missing in between.
    Forward(u16),
    /// An earlier one that had been missing.
    Late,
    /// One that had been seen.
    Duplicate,
    /// One that fits nothing: a stray, or the first of a new series; the next one tells.
    Stray,
    /// The sender began anew, with the stray before.
    Restart,
}

/// A packet that may begin a new series.
#[derive(Clone, Copy, Debug)]
struct Stray {
    seq: u16,
    byte: u8,
    /// Packets received with it.
    received: u64,
}

/// The sequence of one SSRC.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// First extended number of the present series.
    base: u64,
    /// Highest extended number.
    highest: u64,
    /// Bit n: whether `highest - n` was seen.
    window: u64,
    /// Expected packets of series before the last restart, and strays.
    expected_before: u64,
    stray: Option<Stray>,
    /// Packets received, duplicates not counted.
    pub received: u64,
    /// Packets received again.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// The run that grows, beside those that are over.
    open: Run,
    runs: Vec<Run>,
    /// Runs were dropped because the budget was used up.
    pub runs_incomplete: bool,
}

impl Sequence {
    /// Of a stream that begins with this packet.
    pub fn new(first: u16, byte: u8) -> Sequence {
        // One cycle in hand, so that packets before the first one have numbers too.
        let base = 0x1_0000 + u64::from(first);
        Sequence {
            base,
            highest: base,
            window: 1,
            expected_before: 0,
            stray: None,
            received: 1,
            duplicates: 0,
            reordered: 0,
            open: Run { start: base, len: 1, byte },
            runs: Vec::new(),
            runs_incomplete: false,
        }
    }

    /// Takes the next packet; `budget` counts down the runs that may still be stored. `jumped` says whether the
    /// timestamp jumped too: it is asked only about a long step forward, which is an outage if not.
    #[inline]
    pub fn push(&mut self, seq: u16, byte: u8, budget: &mut u32, jumped: impl FnOnce() -> bool) -> Arrival {
        let step = seq.wrapping_sub(self.highest as u16);
        if step != 0 && step <= NEAR {
            return self.advance(step, byte, budget);
        }
        self.push_unusual(seq, byte, budget, jumped)
    }

    #[inline]
    fn advance(&mut self, step: u16, byte: u8, budget: &mut u32) -> Arrival {
        self.highest += u64::from(step);
        self.window = if step < 64 { self.window << step | 1 } else { 1 };
        self.received += 1;
        self.note_run(self.highest, byte, budget);
        Arrival::Forward(step - 1)
    }

    #[cold]
    fn push_unusual(
        &mut self,
        seq: u16,
        byte: u8,
        budget: &mut u32,
        jumped: impl FnOnce() -> bool,
    ) -> Arrival {
        let step = seq.wrapping_sub(self.highest as u16);
        match step.wrapping_neg() {
            back if back <= NEAR => self.push_late(back, byte, budget),
            _ if step < HALF_CYCLE && !jumped() => self.advance(step, byte, budget),
            _ => self.push_stray(seq, byte, budget),
        }
    }

    fn push_late(&mut self, back: u16, byte: u8, budget: &mut u32) -> Arrival {
        let number = self.highest - u64::from(back);
        let bit = 1u64.checked_shl(u32::from(back)).unwrap_or(0);
        if number >= self.base && (bit == 0 || self.window & bit != 0) {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        self.window |= bit;
        self.base = self.base.min(number);
        self.received += 1;
        self.reordered += 1;
        self.note_run(number, byte, budget);
        Arrival::Late
    }

    /// One alone is neither loss nor a restart: it is expected because it is there.
    fn push_stray(&mut self, seq: u16, byte: u8, budget: &mut u32) -> Arrival {
        let before = self.stray.filter(|stray| {
            stray.received == self.received && (1..=NEAR).contains(&seq.wrapping_sub(stray.seq))
        });
        if let Some(first) = before {
            self.restart(first, budget);
            self.advance(seq.wrapping_sub(first.seq), byte, budget);
            return Arrival::Restart;
        }
        self.expected_before += 1;
        self.received += 1;
        self.stray = Some(Stray { seq, byte, received: self.received });
        Arrival::Stray
    }

    /// The stray was the first of a new series, and is expected as such.
    fn restart(&mut self, first: Stray, budget: &mut u32) {
        self.expected_before += self.highest - self.base;
        // A whole cycle further, so that numbers of two series never meet.
        self.base = ((self.highest >> 16) + 2) << 16 | u64::from(first.seq);
        self.highest = self.base;
        self.window = 1;
        self.note_run(self.base, first.byte, budget);
    }

    #[inline]
    fn note_run(&mut self, number: u64, byte: u8, budget: &mut u32) {
        let run = &mut self.open;
        if run.byte == byte && run.start + u64::from(run.len) == number && run.len < u32::MAX {
            run.len += 1;
        } else {
            self.open_run(number, byte, budget);
        }
    }

    #[cold]
    fn open_run(&mut self, number: u64, byte: u8, budget: &mut u32) {
        match budget.checked_sub(1) {
            Some(left) => {
                *budget = left;
                self.runs.push(self.open);
                self.open = Run { start: number, len: 1, byte };
            }
            None => self.runs_incomplete = true,
        }
    }

    /// The highest number, extended by the count of wraps (RFC 3550, 6.4.1); it goes on through restarts.
    pub fn highest(&self) -> u32 {
        (self.highest - 0x1_0000) as u32
    }

    /// Packets expected by the numbers.
    pub fn expected(&self) -> u64 {
        self.expected_before + self.highest - self.base + 1
    }

    /// Expected minus received; duplicates do not hide loss.
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Runs in order of sequence numbers. Extended numbers of two points differ by whole cycles only.
    pub fn runs(&self) -> Vec<Run> {
        let mut runs = self.runs.clone();
        runs.push(self.open);
        runs.sort_by_key(|run| run.start);
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(numbers: &[u16]) -> Sequence {
        let mut budget = 100;
        let mut sequence = Sequence::new(numbers[0], 184);
        for &seq in &numbers[1..] {
            sequence.push(seq, 184, &mut budget, || false);
        }
        sequence
    }

    /// The same, where the timestamps of long steps jump as well.
    fn fed_with_jumps(numbers: &[u16]) -> Sequence {
        let mut budget = 100;
        let mut sequence = Sequence::new(numbers[0], 184);
        for &seq in &numbers[1..] {
            sequence.push(seq, 184, &mut budget, || true);
        }
        sequence
    }

    #[test]
    fn a_hole_is_loss() {
        assert_eq!(fed(&[10, 11, 14, 15]).lost(), 2);
    }

    #[test]
    fn a_late_packet_fills_its_hole() {
        let sequence = fed(&[10, 12, 11, 13]);
        assert_eq!((sequence.lost(), sequence.reordered, sequence.duplicates), (0, 1, 0));
    }

    #[test]
    fn a_packet_before_the_first_one_moves_the_base() {
        let sequence = fed(&[11, 10, 12]);
        assert_eq!((sequence.expected(), sequence.lost()), (3, 0));
    }

    #[test]
    fn a_duplicate_does_not_hide_loss() {
        let sequence = fed(&[10, 11, 11, 13]);
        assert_eq!((sequence.lost(), sequence.duplicates), (1, 1));
    }

    #[test]
    fn numbers_wrap() {
        let sequence = fed(&[65534, 65535, 0, 2]);
        assert_eq!((sequence.expected(), sequence.lost()), (5, 1));
    }

    #[test]
    fn a_restart_is_not_loss() {
        let sequence = fed(&[10, 11, 40000, 40001]);
        assert_eq!((sequence.expected(), sequence.lost()), (4, 0));
    }

    #[test]
    fn an_outage_is_loss_however_long_it_was() {
        assert_eq!(fed(&[10, 11, 3512, 3513]).lost(), 3500);
        assert_eq!(fed(&[60_000, 60_001, 20_000, 20_001]).lost(), 25_534, "the numbers wrap meanwhile");
    }

    #[test]
    fn a_forward_restart_is_told_from_an_outage_by_its_timestamps() {
        let sequence = fed_with_jumps(&[10, 11, 3512, 3513, 3515]);
        assert_eq!((sequence.expected(), sequence.lost()), (6, 1));
    }

    #[test]
    fn a_stray_packet_is_neither_loss_nor_a_restart() {
        for stray in [40_000, 3_000, 65_000] {
            let sequence = fed_with_jumps(&[10, 11, stray, 12, 13, 15]);
            assert_eq!((sequence.expected(), sequence.lost()), (7, 1), "{stray}");
            assert_eq!(sequence.received, 6);
        }
    }

    #[test]
    fn strays_apart_from_each_other_are_no_series() {
        let sequence = fed_with_jumps(&[10, 11, 40_000, 12, 40_001, 13]);
        assert_eq!((sequence.expected(), sequence.lost()), (6, 0));
        assert_eq!(sequence.highest as u16, 13);
    }

    #[test]
    fn a_restart_whose_packets_come_twice_is_one_restart() {
        let sequence = fed(&[10, 10, 11, 11, 40_000, 40_000, 40_001, 40_001, 40_002]);
        assert_eq!((sequence.lost(), sequence.highest as u16), (0, 40_002));
    }

    #[test]
    fn runs_end_at_holes_and_at_changes_of_mark() {
        let mut budget = 100;
        let mut sequence = Sequence::new(10, 184);
        for (seq, byte) in [(11, 184), (12, 0), (14, 0)] {
            sequence.push(seq, byte, &mut budget, || false);
        }
        let lens: Vec<_> = sequence.runs().iter().map(|run| (run.len, run.byte)).collect();
        assert_eq!(lens, [(2, 184), (1, 0), (1, 0)]);
        assert_eq!(budget, 98);
    }
}
