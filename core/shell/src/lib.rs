//! The management shell: the documented cmdlets, over the plan. What it does to the world it asks of a [`Host`]; it opens
//! nothing itself.
//!
//! `language` reads scripts, `object` is what cmdlets hand on, `cmdlet` is the table of cmdlets, `estate` is what they act on.
#![forbid(unsafe_code)]

mod cmdlet;
mod error;
mod estate;
mod evaluate;
mod host;
pub mod language;
pub mod object;
mod operators;
mod output;
mod shell;

pub use cmdlet::help::Completion;
pub use error::{Error, Fault};
pub use host::{Certificate, Failed, Host, Server, Stored, Stream, User, Version};
pub use shell::{Options, Outcome, Shell};
