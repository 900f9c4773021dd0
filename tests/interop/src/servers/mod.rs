//! SIP servers that phones sign in at: Carillon, and for comparison another one.

pub mod access;
pub mod api;
pub mod authority;
pub mod carillon;
pub mod edge;
pub mod kamailio;
pub mod slapd;
