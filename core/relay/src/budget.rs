//! Bytes that may pass in a second: a bucket that holds one second's worth.

use std::time::Duration;

/// The bucket of one direction; it starts full.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Budget {
    /// Spent of the last second's worth.
    spent: u64,
    at: Duration,
}

impl Budget {
    /// Takes as many; false: they do not fit, and nothing is taken.
    pub(crate) fn take(&mut self, now: Duration, rate: Option<u64>, bytes: usize) -> bool {
        let Some(rate) = rate else { return true };
        let nanos = now.saturating_sub(self.at).as_nanos().min(1_000_000_000);
        let refilled = u64::try_from(u128::from(rate) * nanos / 1_000_000_000).unwrap_or(u64::MAX);
        let spent = self.spent.saturating_sub(refilled).saturating_add(bytes as u64);
        if spent > rate {
            return false;
        }
        (self.spent, self.at) = (spent, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_its_rate_and_no_more() {
        let mut budget = Budget::default();
        let mut take = |millis: u64, bytes| budget.take(Duration::from_millis(millis), Some(1000), bytes);
        assert!(take(5000, 600) && take(5000, 400) && !take(5000, 1));
        assert!(!take(5099, 100) && take(5100, 100) && !take(5100, 1));
        assert!(take(9000, 1000) && !take(9000, 1));
        assert!(Budget::default().take(Duration::ZERO, None, usize::MAX));
    }
}
