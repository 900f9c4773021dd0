//! A hierarchical timer wheel: one timer per key, all operations in constant time, no allocation per timer.
//!
//! Keys are small numbers, as the places of a table are. The wheel counts milliseconds.

use std::time::Duration;

const LEVELS: usize = 6;
const SLOTS: usize = 64;
/// The last timer that fits: two years ahead. Later ones are set again when they get there.
const HORIZON: u64 = (1 << (6 * LEVELS)) - 1;
const NONE: u32 = u32::MAX;

/// Timers by the key of what they belong to.
#[derive(Debug)]
pub(crate) struct Wheel {
    now: u64,
    heads: [[u32; SLOTS]; LEVELS],
    occupied: [u64; LEVELS],
    nodes: Vec<Node>,
}

/// A timer, and its neighbours in the list of its slot.
#[derive(Clone, Copy, Debug)]
struct Node {
    due: u64,
    previous: u32,
    next: u32,
    place: Option<(u8, u8)>,
}

const IDLE: Node = Node { due: 0, previous: NONE, next: NONE, place: None };

impl Wheel {
    pub(crate) fn new(now: Duration) -> Wheel {
        Wheel { now: floor(now), heads: [[NONE; SLOTS]; LEVELS], occupied: [0; LEVELS], nodes: Vec::new() }
    }

    /// Sets the timer of `key`, in place of the one that it had.
    pub(crate) fn set(&mut self, key: u32, due: Duration) {
        self.cancel(key);
        if self.nodes.len() <= key as usize {
            self.nodes.resize(key as usize + 1, IDLE);
        }
        self.place(key, ceil(due).max(self.now));
    }

    /// Takes the timer of `key` away, if it has one.
    pub(crate) fn cancel(&mut self, key: u32) {
        let Some(node) = self.nodes.get_mut(key as usize) else { return };
        let Some((level, slot)) = node.place.take() else { return };
        let Node { previous, next, .. } = *node;
        match self.nodes.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => self.set_head(level, slot, next),
        }
        if let Some(next) = self.nodes.get_mut(next as usize) {
            next.previous = previous;
        }
    }

    /// Takes one key whose timer is due; call until there is none.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<u32> {
        let now = floor(now);
        while let Some((level, slot, at)) = self.first().filter(|(_, _, at)| *at <= now) {
            self.now = self.now.max(at);
            let key = self.head(level, slot);
            self.cancel(key);
            let due = self.nodes.get(key as usize).map_or(0, |node| node.due);
            if due <= self.now {
                return Some(key);
            }
            self.place(key, due);
        }
        self.now = self.now.max(now);
        None
    }

    /// When to come back: not after the first timer, perhaps before it.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.first().map(|(_, _, at)| Duration::from_millis(at))
    }

    fn place(&mut self, key: u32, due: u64) {
        let near = due.min(self.now.saturating_add(HORIZON >> 1));
        let level = ((near ^ self.now).max(1).ilog2() / 6).min(LEVELS as u32 - 1) as u8;
        let slot = (near >> (6 * level)) as u8 % SLOTS as u8;
        let next = self.head(level, slot);
        if let Some(next) = self.nodes.get_mut(next as usize) {
            next.previous = key;
        }
        if let Some(node) = self.nodes.get_mut(key as usize) {
            *node = Node { due, previous: NONE, next, place: Some((level, slot)) };
        }
        self.set_head(level, slot, key);
    }

    /// The first slot that holds a timer, and when it begins.
    fn first(&self) -> Option<(u8, u8, u64)> {
        let slots = self.occupied.iter().enumerate().filter(|(_, slots)| **slots != 0);
        slots.map(|(level, slots)| self.first_of(level as u8, *slots)).min_by_key(|(_, _, at)| *at)
    }

    fn first_of(&self, level: u8, slots: u64) -> (u8, u8, u64) {
        let width = 6 * u32::from(level);
        let current = (self.now >> width) as u32 % SLOTS as u32;
        let ahead = slots.rotate_right(current).trailing_zeros();
        let at = ((self.now >> width) + u64::from(ahead)) << width;
        (level, ((current + ahead) % SLOTS as u32) as u8, at.max(self.now))
    }

    fn head(&self, level: u8, slot: u8) -> u32 {
        let slots = self.heads.get(usize::from(level));
        slots.and_then(|slots| slots.get(usize::from(slot))).copied().unwrap_or(NONE)
    }

    fn set_head(&mut self, level: u8, slot: u8, key: u32) {
        let (Some(slots), Some(occupied)) =
            (self.heads.get_mut(usize::from(level)), self.occupied.get_mut(usize::from(level)))
        else {
            return;
        };
        slots.get_mut(usize::from(slot)).into_iter().for_each(|head| *head = key);
        match key {
            NONE => *occupied &= !(1 << slot),
            _ => *occupied |= 1 << slot,
        }
    }
}

fn floor(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

fn ceil(at: Duration) -> u64 {
    floor(at).saturating_add(u64::from(!at.subsec_nanos().is_multiple_of(1_000_000)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_timer_fires_when_due_and_not_before() {
        let mut wheel = Wheel::new(Duration::from_secs(1_800_000_000));
        let start = Duration::from_secs(1_800_000_000);
        for (key, after) in [(0, 500), (1, 32_000), (2, 180_000), (3, 3), (4, 500)] {
            wheel.set(key, start + MS * after);
        }
        assert_eq!(wheel.pop(start + MS * 2), None);
        assert_eq!((wheel.pop(start + MS * 3), wheel.pop(start + MS * 3)), (Some(3), None));
        assert_eq!(wheel.pop(start + MS * 499), None);
        wheel.cancel(4);
        assert_eq!((wheel.pop(start + MS * 500), wheel.pop(start + MS * 500)), (Some(0), None));
        assert_eq!(wheel.pop(start + MS * 179_999), Some(1));
        assert_eq!(wheel.pop(start + MS * 180_000), Some(2));
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_timer_that_is_late_already_fires_at_once() {
        let mut wheel = Wheel::new(Duration::from_secs(9));
        wheel.set(0, Duration::from_secs(1));
        assert_eq!(wheel.next(), Some(Duration::from_secs(9)));
        assert_eq!(wheel.pop(Duration::from_secs(9)), Some(0));
    }

    proptest! {
        #[test]
        fn it_does_what_a_sorted_table_does(
            steps in prop::collection::vec((0u32..40, 0u64..5_000_000, 0u64..200_000, any::<bool>()), 1..200)
        ) {
            let mut now = Duration::from_millis(123_456_789);
            let mut wheel = Wheel::new(now);
            let mut table = BTreeMap::new();
            for (key, after, pass, set) in steps {
                if set {
                    wheel.set(key, now + Duration::from_millis(after));
                    table.insert(key, now + Duration::from_millis(after));
                } else {
                    wheel.cancel(key);
                    table.remove(&key);
                }
                let first = table.values().min().copied();
                prop_assert_eq!(wheel.next().is_some(), first.is_some());
                prop_assert!(wheel.next() <= first.or(wheel.next()));
                now += Duration::from_millis(pass);
                let mut fired = Vec::new();
                while let Some(key) = wheel.pop(now) {
                    fired.push(key);
                }
                fired.sort_unstable();
                let due: Vec<u32> = table.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
                prop_assert_eq!(&fired, &due);
                table.retain(|_, at| *at > now);
            }
        }
    }
}
