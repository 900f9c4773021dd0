//! The running server: configuration, the turn, admin API, metrics. Only this crate knows all the others.
#![forbid(unsafe_code)]

pub mod config;
