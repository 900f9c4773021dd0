//! What `carillon` does: flags in [`args`], one module per verb in [`verb`], captures read in [`pipeline`],
//! pages in [`page`].
//!
//! A library only so that `main.rs` stays short; nothing here is an interface for others.
#![forbid(unsafe_code)]

pub mod answer;
pub mod args;
pub mod page;
pub mod pipeline;
pub mod plans;
pub mod style;
pub mod table;
pub mod verb;
pub mod words;
