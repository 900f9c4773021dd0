//! A flow's time in a bounded number of slices: when they run out, each becomes twice as long.

use carillon_wire::ip::Dscp;

use super::report::TimelineBucket;

/// The most slices a flow keeps.
pub const BUCKETS: usize = 60;
/// Length of a slice at first.
const FIRST_WIDTH_NS: i64 = 250_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Packets with `byte`.
    main: u32,
    /// Packets with another traffic byte.
    other: u32,
    byte: u8,
    lost: u32,
    jitter_ms: f32,
}

impl Slice {
    #[inline]
    fn count(&mut self, byte: u8) {
        if self.main == 0 {
            self.byte = byte;
        }
        if self.byte == byte {
            self.main += 1;
        } else {
            self.other += 1;
        }
    }

    fn join(self, next: Slice) -> Slice {
        let (major, minor) = if self.main >= next.main { (self, next) } else { (next, self) };
        let same = minor.byte == major.byte;
        Slice {
            main: major.main + if same { minor.main } else { 0 },
            other: major.other + minor.other + if same { 0 } else { minor.main },
            byte: major.byte,
            lost: self.lost.saturating_add(next.lost),
            jitter_ms: self.jitter_ms.max(next.jitter_ms),
        }
    }
}

/// Slices of equal length from the first packet on.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    start: i64,
    width: i64,
    /// End of the slice being filled, for the fast path.
    until: i64,
    open: Slice,
    done: Vec<Slice>,
}

impl Timeline {
    pub(super) fn new(start: i64) -> Timeline {
        Timeline {
            start,
            width: FIRST_WIDTH_NS,
            until: start.saturating_add(FIRST_WIDTH_NS),
            open: Slice::default(),
            done: Vec::new(),
        }
    }

    /// Counts a packet; `jitter_ms` is asked only when a slice ends.
    #[inline]
    pub(super) fn count(&mut self, time: i64, byte: u8, lost: u16, jitter_ms: impl FnOnce() -> f32) {
        if time >= self.until {
            self.open.jitter_ms = jitter_ms();
            self.advance(time);
        }
        self.open.count(byte);
        self.open.lost = self.open.lost.saturating_add(u32::from(lost));
    }

    #[cold]
    fn advance(&mut self, time: i64) {
        self.done.push(std::mem::take(&mut self.open));
        loop {
            let wanted = (time.saturating_sub(self.start) / self.width) as usize;
            // At the ends of time no slice ends after its packets; they are bounded all the same.
            let needed = wanted.max(self.done.len());
            if needed < BUCKETS {
                self.done.resize(needed, Slice::default());
                break;
            }
            self.halve();
        }
        self.until = self.start.saturating_add(self.width.saturating_mul(self.done.len() as i64 + 1));
    }

    /// Joins neighbours, so that the same slices cover twice the time.
    fn halve(&mut self) {
        self.done = self
            .done
            .chunks(2)
            .map(|pair| pair.iter().copied().reduce(Slice::join).unwrap_or_default())
            .collect();
        self.width = self.width.saturating_mul(2);
    }

    /// The slices, judged against the mark that the plan expects.
    pub(super) fn buckets(&self, expected: Option<Dscp>, last_jitter_ms: f32) -> Vec<TimelineBucket> {
        let open = Slice { jitter_ms: last_jitter_ms, ..self.open };
        let slices = self.done.iter().copied().chain([open]);
        slices.enumerate().map(|(index, slice)| self.bucket(index, slice, expected)).collect()
    }

    fn bucket(&self, index: usize, slice: Slice, expected: Option<Dscp>) -> TimelineBucket {
        let dscp = Dscp::from_traffic_byte(slice.byte);
        let right = expected.is_none_or(|mark| mark == dscp);
        TimelineBucket {
            at_ms: (self.width / 1_000_000) as u64 * index as u64,
            packets: u64::from(slice.main) + u64::from(slice.other),
            dscp: dscp.value(),
            off_mark: u64::from(if right { slice.other } else { slice.main }),
            lost: u64::from(slice.lost),
            jitter_ms: f64::from(slice.jitter_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_stay_bounded_and_lose_no_packet() {
        let mut timeline = Timeline::new(0);
        for n in 0..100_000i64 {
            timeline.count(n * 20_000_000, 184, 0, || 1.0);
        }
        let buckets = timeline.buckets(Dscp::new(46), 0.0);
        assert!(buckets.len() <= BUCKETS, "{}", buckets.len());
        assert_eq!(buckets.iter().map(|b| b.packets).sum::<u64>(), 100_000);
        assert_eq!(buckets.iter().map(|b| b.off_mark).sum::<u64>(), 0);
    }

    #[test]
    fn a_change_of_mark_shows_at_its_time() {
        let mut timeline = Timeline::new(0);
        for n in 0..100i64 {
            timeline.count(n * 20_000_000, if n < 50 { 184 } else { 0 }, 0, || 0.0);
        }
        let buckets = timeline.buckets(Dscp::new(46), 0.0);
        assert_eq!(buckets.iter().find(|b| b.off_mark > 0).unwrap().at_ms, 1000);
    }

    #[test]
    fn packets_at_the_end_of_time_need_no_slices() {
        for start in [i64::MIN, 0, i64::MAX] {
            let mut timeline = Timeline::new(start);
            for _ in 0..1000 {
                timeline.count(i64::MAX, 184, u16::MAX, || 1.0);
            }
            let buckets = timeline.buckets(None, 0.0);
            assert!(buckets.len() <= BUCKETS, "{}", buckets.len());
            assert_eq!(buckets.iter().map(|b| b.packets).sum::<u64>(), 1000);
        }
    }

    #[test]
    fn a_leap_in_time_costs_nothing() {
        let mut timeline = Timeline::new(0);
        timeline.count(0, 0, 0, || 0.0);
        timeline.count(i64::MAX - 1, 0, 0, || 0.0);
        assert!(timeline.buckets(None, 0.0).len() <= BUCKETS);
    }
}
