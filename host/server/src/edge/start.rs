//! What every unit of an Edge starts with: the plan's word for it, and why it may not start.

use std::fmt;

use carillon_net::bind_error::BindError;
use carillon_qos::plan::{RolePolicy, Scope};
use carillon_qos::{Plan, Role};

use crate::certificate::CertificateError;

/// What the plan says of an Edge.
pub(crate) fn policy(plan: &Plan) -> RolePolicy {
    plan.policy(Role::Edge, &Scope::default())
}

/// Why an Edge does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be had.
    Bind(BindError),
    /// There is no certificate.
    Certificate(CertificateError),
    /// The kernel refuses.
    Kernel(std::io::Error),
    /// There is no randomness.
    Random(getrandom::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind(error) => error.fmt(f),
            StartError::Certificate(error) => error.fmt(f),
            StartError::Kernel(error) => write!(f, "cannot wait for sockets: {error}"),
            StartError::Random(error) => write!(f, "cannot get randomness from the kernel: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Bind(error) => error.source(),
            _ => None,
        }
    }
}
