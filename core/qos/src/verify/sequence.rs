//! RTP sequence numbers of one sender: loss, duplicates, reordering (RFC 3550, A.1 and A.3), and which
//! packets carried which mark, so that two capture points can be compared packet by packet.

/// Steps forward beyond this are a restart of the sender, not loss.
const MAX_DROPOUT: u16 = 3000;
/// Steps backward up to this are reordering.
const MAX_MISORDER: u16 = 100;

/// A run of consecutive packets with one traffic byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    /// Extended sequence number of the first packet.
    pub(super) start: u64,
    /// Packets.
    pub(super) len: u32,
    /// Their traffic byte.
    pub(super) byte: u8,
}

/// What a packet's sequence number meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// The next one, or a later one: that many are missing in between.
    Forward(u16),
    /// An earlier one that had been missing.
    Late,
    /// One that had been seen.
    Duplicate,
    /// The sender began anew.
    Restart,
}

/// The sequence of one SSRC.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    /// First extended number of the present series.
    base: u64,
    /// Highest extended number.
    highest: u64,
    /// Bit n: whether `highest - n` was seen.
    window: u64,
    /// Expected packets of series before the last restart.
    expected_before: u64,
    pub(super) received: u64,
    pub(super) duplicates: u64,
    pub(super) reordered: u64,
    /// The run that grows, beside those that are over.
    open: Run,
    runs: Vec<Run>,
    /// Runs were dropped because the budget was used up.
    pub(super) runs_incomplete: bool,
}

impl Sequence {
    pub(super) fn new(first: u16, byte: u8) -> Sequence {
        // One cycle in hand, so that packets before the first one have numbers too.
        let base = 0x1_0000 + u64::from(first);
        Sequence {
            base,
            highest: base,
            window: 1,
            expected_before: 0,
            received: 1,
            duplicates: 0,
            reordered: 0,
            open: Run { start: base, len: 1, byte },
            runs: Vec::new(),
            runs_incomplete: false,
        }
    }

    /// Takes the next packet; `budget` counts down the runs that may still be stored.
    #[inline]
    pub(super) fn push(&mut self, seq: u16, byte: u8, budget: &mut u32) -> Arrival {
        let step = seq.wrapping_sub(self.highest as u16);
        if step != 0 && step < MAX_DROPOUT {
            self.highest += u64::from(step);
            self.window = if step < 64 { self.window << step | 1 } else { 1 };
            self.received += 1;
            self.note_run(self.highest, byte, budget);
            return Arrival::Forward(step - 1);
        }
        self.push_unusual(seq, byte, budget)
    }

    #[cold]
    fn push_unusual(&mut self, seq: u16, byte: u8, budget: &mut u32) -> Arrival {
        let back = (self.highest as u16).wrapping_sub(seq);
        if back > MAX_MISORDER {
            self.restart(seq, byte, budget);
            return Arrival::Restart;
        }
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

    fn restart(&mut self, seq: u16, byte: u8, budget: &mut u32) {
        self.expected_before += self.highest - self.base + 1;
        // A whole cycle further, so that numbers of two series never meet.
        self.base = ((self.highest >> 16) + 2) << 16 | u64::from(seq);
        self.highest = self.base;
        self.window = 1;
        self.received += 1;
        self.note_run(self.base, byte, budget);
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

    /// Packets expected by the numbers.
    pub(super) fn expected(&self) -> u64 {
        self.expected_before + self.highest - self.base + 1
    }

    /// Expected minus received; duplicates do not hide loss.
    pub(super) fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Runs in order of sequence numbers. Extended numbers of two points differ by whole cycles only.
    pub(super) fn runs(&self) -> Vec<Run> {
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
            sequence.push(seq, 184, &mut budget);
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
    fn runs_end_at_holes_and_at_changes_of_mark() {
        let mut budget = 100;
        let mut sequence = Sequence::new(10, 184);
        for (seq, byte) in [(11, 184), (12, 0), (14, 0)] {
            sequence.push(seq, byte, &mut budget);
        }
        let lens: Vec<_> = sequence.runs().iter().map(|run| (run.len, run.byte)).collect();
        assert_eq!(lens, [(2, 184), (1, 0), (1, 0)]);
        assert_eq!(budget, 98);
    }
}
