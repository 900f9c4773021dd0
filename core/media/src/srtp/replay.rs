//! Which packets of a source were seen (RFC 3711, 3.3.2), and where sequence numbers stand (3.3.1).

/// Packets that may come late.
const WIDTH: u64 = 128;

/// The newest packets of one source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    highest: u64,
    /// Bit n: whether `highest - n` was seen.
    seen: u128,
}

impl Window {
    /// Of a source whose first packet this is.
    pub(super) fn new(index: u64) -> Window {
        Window { highest: index, seen: 1 }
    }

    /// Whether a packet was seen, or is too old to tell.
    pub(super) fn has(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => false,
            Some(back) => back >= WIDTH || self.seen >> back & 1 == 1,
        }
    }

    /// Notes a packet that was proven genuine.
    pub(super) fn note(&mut self, index: u64) {
        match index.checked_sub(self.highest) {
            Some(ahead) => {
                self.seen = if ahead < WIDTH { self.seen << ahead } else { 0 } | 1;
                self.highest = index;
            }
            None => {
                let back = self.highest - index;
                self.seen |= if back < WIDTH { 1 << back } else { 0 };
            }
        }
    }

    /// The index that a sequence number means: the nearest to the highest.
    pub(super) fn index(&self, sequence: u16) -> u64 {
        let ahead = i64::from(sequence.wrapping_sub(self.highest as u16) as i16);
        let nearest = self.highest.checked_add_signed(ahead);
        // Before the first wrap there is nothing in front.
        nearest.unwrap_or(u64::from(sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_known_within_the_window_and_presumed_before_it() {
        let mut window = Window::new(1000);
        assert!(window.has(1000) && !window.has(999) && !window.has(1001));
        window.note(1003);
        assert!(window.has(1003) && window.has(1000) && !window.has(1001));
        window.note(1001);
        assert!(window.has(1001) && !window.has(1002));
        window.note(1128);
        assert!(window.has(1000) && window.has(1001) && !window.has(1002), "1000 is out of the window");
        window.note(5000);
        assert!(!window.has(4999) && window.has(5000) && window.has(4872) && !window.has(4873));
    }

    #[test]
    fn sequence_numbers_wrap_forward_and_late_ones_belong_to_the_turn_before() {
        let mut window = Window::new(65_530);
        assert_eq!(window.index(3), 65_536 + 3);
        window.note(65_536 + 3);
        assert_eq!(window.index(65_535), 65_535);
        assert_eq!(window.index(4), 65_536 + 4);
        assert_eq!(Window::new(3).index(65_535), 65_535, "there is no turn before the first");
    }
}
