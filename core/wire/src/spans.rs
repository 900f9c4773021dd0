//! Pieces of a byte sequence that arrive in any order: what fragments and TCP segments have in common.
//! First come wins; a piece may hold fewer bytes than it declares, because captures cut packets.

use std::collections::BTreeMap;

/// What a piece costs beside its bytes: the tree's entry and the allocation, roughly.
const OVERHEAD: usize = 64;

/// Pieces that don't overlap, by their position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    spans: BTreeMap<u64, Span>,
    cost: usize,
    covered: u64,
}

/// One piece: `declared` bytes long, of which the capture holds `data`.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) declared: u32,
    pub(crate) data: Vec<u8>,
}

/// How a new piece lay to those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fit {
    /// It touched none of them.
    New,
    /// One of the same place and length was there.
    Duplicate,
    /// It covered another partly; only what was new has been added.
    Overlap,
}

impl Spans {
    /// Adds what is new of a piece of `declared` bytes at `start`.
    pub(crate) fn insert(&mut self, start: u64, declared: u32, data: &[u8]) -> Fit {
        let end = start.saturating_add(u64::from(declared));
        if self.spans.get(&start).is_some_and(|span| span.declared == declared) {
            return Fit::Duplicate;
        }
        let mut fit = Fit::New;
        let mut at = start;
        if let Some(before) = self.spans.range(..=start).next_back().map(Span::end).filter(|end| *end > start)
        {
            (at, fit) = (before, Fit::Overlap);
        }
        while at < end {
            let next =
                self.spans.range(at..end).next().map(|(start, span)| (*start, Span::end((start, span))));
            let until = next.map_or(end, |(start, _)| start);
            if at < until {
                self.add(at, until, data.get((at - start) as usize..).unwrap_or_default());
            }
            let Some((_, next_end)) = next else { break };
            (at, fit) = (next_end, Fit::Overlap);
        }
        fit
    }

    /// Takes the first piece if it starts at `at`.
    pub(crate) fn take_at(&mut self, at: u64) -> Option<Span> {
        let span = self.spans.remove(&at)?;
        self.cost = self.cost.saturating_sub(span.data.len() + OVERHEAD);
        self.covered = self.covered.saturating_sub(u64::from(span.declared));
        Some(span)
    }

    /// Where the first piece starts.
    pub(crate) fn first(&self) -> Option<u64> {
        self.spans.first_key_value().map(|(start, _)| *start)
    }

    /// How many bytes the pieces declare together.
    pub(crate) fn covered(&self) -> u64 {
        self.covered
    }

    /// Where the last piece ends.
    pub(crate) fn end(&self) -> u64 {
        self.spans.last_key_value().map_or(0, Span::end)
    }

    /// Roughly the memory held.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    fn add(&mut self, start: u64, end: u64, data: &[u8]) {
        let declared = (end - start) as u32;
        let data = data.get(..declared as usize).unwrap_or(data).to_vec();
        self.cost += data.len() + OVERHEAD;
        self.covered += u64::from(declared);
        self.spans.insert(start, Span { declared, data });
    }
}

impl Span {
    fn end((start, span): (&u64, &Span)) -> u64 {
        start.saturating_add(u64::from(span.declared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn first_come_wins_as_in_a_plain_array(pieces in prop::collection::vec((0usize..60, 1usize..20), 0..20)) {
            let (mut spans, mut model) = (Spans::default(), [None; 80]);
            for (number, (start, len)) in pieces.iter().copied().enumerate() {
                let before = model;
                let fit = spans.insert(start as u64, len as u32, &vec![number as u8; len]);
                let room = &mut model[start..start + len];
                let touched = room.iter().any(Option::is_some);
                room.iter_mut().for_each(|byte| *byte = byte.or(Some(number as u8)));
                prop_assert_eq!(fit == Fit::New, !touched);
                prop_assert!(fit != Fit::Duplicate || before == model);
            }
            prop_assert_eq!(spans.covered(), model.iter().flatten().count() as u64);
            prop_assert_eq!(spans.end(), model.iter().rposition(Option::is_some).map_or(0, |at| at as u64 + 1));
            let mut read = [None; 80];
            while let Some(start) = spans.first() {
                let span = spans.take_at(start).unwrap();
                for (slot, byte) in read[start as usize..].iter_mut().zip(&span.data) {
                    *slot = Some(*byte);
                }
            }
            prop_assert_eq!(read, model);
            prop_assert_eq!((spans.cost(), spans.covered()), (0, 0));
        }
    }

    #[test]
    fn a_piece_cut_by_the_capture_keeps_its_declared_length() {
        let mut spans = Spans::default();
        spans.insert(0, 10, &[1, 2, 3]);
        assert_eq!(spans.insert(2, 10, &[7; 10]), Fit::Overlap);
        assert_eq!(spans.covered(), 12);
        assert_eq!(
            (spans.take_at(0).unwrap().data, spans.take_at(10).unwrap().data),
            (vec![1, 2, 3], vec![7, 7])
        );
    }
}
