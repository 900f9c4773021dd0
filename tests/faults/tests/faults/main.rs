//! The fault matrix: every cause, in variants, made by rewriting captures of other programs.
#![allow(clippy::unwrap_used, reason = "helpers of tests, too, fail by panicking")]

mod class;
mod clean;
mod estate;
mod path;
mod sender;
mod traffic;
