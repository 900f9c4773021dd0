//! The verdict (being written).
pub mod cause;
pub mod report;
pub mod timeline;
