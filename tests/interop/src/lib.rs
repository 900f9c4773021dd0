//! Calls between programs that Carillon did not make, captured in network namespaces.
//!
//! A [`scenario`] starts other people's programs in a [`network`], marks what they cannot mark themselves
//! and yields a [`recording::Recording`]. [`tshark`] reads it as the independent oracle, [`verdict`] asks
//! `carillon verify`, and [`agreement`] compares the two. Judging the plan is not done here.

pub mod agreement;
pub mod border;
pub mod capture;
pub mod exports;
pub mod names;
pub mod network;
pub mod perimeter;
pub mod phones;
pub mod process;
pub mod recording;
pub mod routers;
pub mod scenario;
pub mod scenarios;
pub mod servers;
pub mod sipp;
pub mod site;
pub mod speech;
pub mod tshark;
pub mod verdict;

/// What went wrong, in words: what was attempted and with what.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
