//! What phones trust: the root certificates in a firmware -> whether a chain is believed, by which phones, until when, and how
//! the others learn its root.
//!
//! Certificates come in as values. Nothing here checks a signature; that is the business of whoever speaks TLS.

mod judge;
mod publish;
mod roots;

pub use judge::{Finding, Judgement, Severity, Trust, judge};
pub use publish::{Published, publish};
pub use roots::{Firmware, Release, Root, Signature, day, roots};

/// A certificate of a chain, as far as it matters here. The chain begins with the server's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Whose it is: `CN=fe.example.com, O=Example`.
    pub subject: String,
    /// Who made it, in the same spelling.
    pub issuer: String,
    /// SHA-1 of all of it, in capital hexadecimal digits.
    pub thumbprint: String,
    /// Until when it holds, in seconds since 1970.
    pub ends: i64,
    /// From when, in seconds since 1970.
    pub begins: i64,
    /// How it was signed; `None` for what no firmware of 2014 knows.
    pub signature: Option<Signature>,
    /// Length of its key; `None` if it is no RSA key.
    pub bits: Option<u16>,
}

impl Certificate {
    /// Whether it made itself, as roots do.
    pub fn is_root(&self) -> bool {
        self.subject == self.issuer
    }

    /// The common name, or all of the name if it has none.
    pub fn name(&self) -> &str {
        common_name(&self.subject)
    }
}

/// The common name in a name, or all of it.
fn common_name(name: &str) -> &str {
    name.split(", ").find_map(|part| part.strip_prefix("CN=")).unwrap_or(name)
}
