//! A flow's time in a bounded number of slices: when they run out, each becomes twice as long.

/// The most slices a flow keeps.
pub const BUCKETS: usize = 60;
