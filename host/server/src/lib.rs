//! The running server: the turn, configuration, admin API, metrics. Only this crate knows all the others.
//!
//! Begin with [`turn`], the way of a message.
#![forbid(unsafe_code)]

pub mod admin;
mod bridges;
pub mod call_rules;
pub mod calls;
mod certificate;
mod certificate_facts;
mod changes;
mod clock;
pub mod config;
mod desk;
pub mod dev;
pub mod directory;
pub mod documents;
pub mod edge;
mod estate;
mod history;
mod log;
mod metrics;
pub mod offline;
mod openid;
mod records;
mod reload;
mod replication;
pub mod roles;
pub mod rosters;
mod service;
mod signals;
mod start;
pub mod status;
mod tls_door;
pub mod turn;
pub mod users;
mod warnings;

pub use certificate::CertificateError;
pub use certificate_facts::CertificateFacts;
pub use desk::{Busy, Desk, Health};
pub use replication::EdgeRow;
pub use service::{Ready, ServiceError, serve};
pub use start::{StartError, start};

/// An error with everything that led to it: `what: why: why`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some errors already say what their source says.
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
