//! The plan (being written).

/// The plan.
pub struct Plan;
