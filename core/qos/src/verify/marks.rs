//! Which traffic bytes a flow carried, how often, and in which frame first.

use carillon_wire::ip::{Dscp, Ecn};

use super::report::MarkCount;

#[derive(Clone, Copy, Debug)]
struct Entry {
    byte: u8,
    frames: u64,
    first_frame: u64,
}

/// A count per traffic byte; at most 256 entries, almost always one.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    entries: Vec<Entry>,
    latest: usize,
    latest_byte: u8,
    /// Frames with the latest byte that are not in its entry yet: counting them here touches no other memory.
    pending: u64,
}

impl Marks {
    /// Counts one frame.
    #[inline]
    pub(super) fn count(&mut self, byte: u8, frame: u64) {
        if byte == self.latest_byte && self.pending > 0 {
            self.pending += 1;
        } else {
            self.count_other(byte, frame);
        }
    }

    #[cold]
    fn count_other(&mut self, byte: u8, frame: u64) {
        if let Some(entry) = self.entries.get_mut(self.latest) {
            entry.frames += self.pending;
        }
        (self.latest_byte, self.pending) = (byte, 1);
        match self.entries.iter().position(|entry| entry.byte == byte) {
            Some(found) => {
                self.latest = found;
                self.entries[found].first_frame = self.entries[found].first_frame.min(frame);
            }
            None => {
                self.latest = self.entries.len();
                self.entries.push(Entry { byte, frames: 0, first_frame: frame });
            }
        }
    }

    /// Counts what another one counted.
    pub(super) fn absorb(&mut self, other: &Marks) {
        for entry in other.entries().filter(|entry| entry.frames > 0) {
            self.count_other(entry.byte, entry.first_frame);
            self.pending += entry.frames - 1;
        }
    }

    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().enumerate().map(|(place, entry)| Entry {
            frames: entry.frames + if place == self.latest { self.pending } else { 0 },
            ..*entry
        })
    }

    /// Frames in all.
    pub(super) fn frames(&self) -> u64 {
        self.entries().map(|entry| entry.frames).sum()
    }

    /// Frames per mark, most frequent first.
    pub(super) fn by_dscp(&self) -> Vec<MarkCount> {
        let mut counts: Vec<MarkCount> = Vec::new();
        for entry in self.entries() {
            let dscp = Dscp::from_traffic_byte(entry.byte);
            match counts.iter_mut().find(|count| count.dscp == dscp) {
                Some(count) => {
                    count.packets += entry.frames;
                    count.first_frame = count.first_frame.min(entry.first_frame);
                }
                None => {
                    counts.push(MarkCount { dscp, packets: entry.frames, first_frame: entry.first_frame });
                }
            }
        }
        counts.sort_by_key(|count| (std::cmp::Reverse(count.packets), count.dscp));
        counts
    }

    /// Frames by ECN bits.
    pub(super) fn by_ecn(&self) -> [u64; 4] {
        let mut counts = [0; 4];
        for entry in self.entries() {
            counts[Ecn::from_traffic_byte(entry.byte) as usize] += entry.frames;
        }
        counts
    }

    /// The traffic byte seen most.
    pub(super) fn main_byte(&self) -> u8 {
        self.entries().max_by_key(|entry| (entry.frames, std::cmp::Reverse(entry.byte))).map_or(0, |e| e.byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_counted_is_added() {
        let counted = |frames: &[(u64, u8)]| {
            let mut marks = Marks::default();
            frames.iter().for_each(|&(frame, byte)| marks.count(byte, frame));
            marks
        };
        let mut marks = counted(&[(4, 184), (5, 184)]);
        marks.absorb(&counted(&[(1, 0), (2, 0), (3, 184)]));
        marks.absorb(&Marks::default());
        let by_dscp = marks.by_dscp();
        let told: Vec<_> = by_dscp.iter().map(|m| (m.dscp.value(), m.packets, m.first_frame)).collect();
        assert_eq!(told, [(46, 3, 3), (0, 2, 1)]);
    }

    #[test]
    fn bytes_with_one_dscp_and_different_ecn_are_one_mark() {
        let mut marks = Marks::default();
        for (frame, byte) in [(1, 184), (2, 0), (3, 184), (4, 186)] {
            marks.count(byte, frame);
        }
        let by_dscp = marks.by_dscp();
        assert_eq!((by_dscp[0].dscp.value(), by_dscp[0].packets, by_dscp[0].first_frame), (46, 3, 1));
        assert_eq!((by_dscp[1].dscp.value(), by_dscp[1].packets, by_dscp[1].first_frame), (0, 1, 2));
        assert_eq!(marks.by_ecn(), [3, 0, 1, 0]);
    }
}
