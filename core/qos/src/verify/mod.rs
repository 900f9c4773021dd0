//! The verdict (being written).
