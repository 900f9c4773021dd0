//! Who may sign in.

use crate::numbers::Number;

/// A digest algorithm (RFC 8760).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// `MD5`: what every phone knows.
    Md5,
    /// `SHA-256`.
    Sha256,
}

/// Which algorithms a challenge offers, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Algorithms {
    /// MD5 alone: some phones refuse every answer in which SHA-256 is named.
    #[default]
    Md5,
    /// SHA-256 alone.
    Sha256,
    /// SHA-256 first, then MD5.
    Both,
}

/// The hashes of `user:realm:password` under both algorithms; the password itself is never kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1 {
    /// Under MD5.
    pub md5: [u8; 16],
    /// Under SHA-256.
    pub sha256: [u8; 32],
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1(..)")
    }
}

/// Someone with an address of record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// `alice@example.com`, in lower case.
    pub aor: String,
    /// Proves the password.
    pub ha1: Ha1,
    /// Which proofs are taken from this user, if not all that the listener offers. The challenge is the same for everybody,
    /// so that it does not tell whether there is such a user.
    pub algorithms: Option<Algorithms>,
    /// The site of the plan that the user belongs to.
    pub site: Option<String>,
    /// The number by which the user is called; nobody else has it.
    pub number: Option<Number>,
}

impl User {
    /// Whether a proof under this algorithm is taken.
    pub(crate) fn takes(&self, algorithm: Algorithm) -> bool {
        self.algorithms.is_none_or(|algorithms| algorithms.offered().contains(&algorithm))
    }
}

/// What is before the `@`.
pub(crate) fn user_part(aor: &str) -> &str {
    aor.split_once('@').map_or(aor, |(user, _)| user)
}

/// What is behind the `@`.
pub(crate) fn domain_part(aor: &str) -> &str {
    aor.split_once('@').map_or("", |(_, domain)| domain)
}
