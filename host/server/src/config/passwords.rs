//! What the file says of passwords: what they must be, and what becomes of who gives wrong ones.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use carillon_signaling::{LockOut, Request};

use super::raw::{At, Block};
use super::resolve::Resolver;
use crate::users::PasswordRules;

/// Passwords.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Passwords {
    /// What they are checked against when they are set.
    pub rules: PasswordRules,
    /// When who gives wrong ones is locked out.
    pub lock_out: LockOut,
}

impl Passwords {
    /// What the Front End is told.
    pub(crate) fn request(&self) -> Request {
        Request::SetLockOut(self.lock_out)
    }
}

impl Resolver<'_> {
    pub(super) fn passwords(&mut self, block: &Block) -> Option<Passwords> {
        let denied = match block.text("denied") {
            Some(at) => self.denied(block, &at)?,
            None => BTreeSet::new(),
        };
        let length = usize::try_from(block.number("length")?.value).ok()?;
        let attempts = u32::try_from(block.number("attempts")?.value).ok()?;
        let lasts = Duration::from_secs(block.number("locked")?.value);
        let rules = PasswordRules { length, denied: Arc::new(denied) };
        Some(Passwords { rules, lock_out: LockOut { attempts, lasts } })
    }

    fn denied(&mut self, block: &Block, at: &At<String>) -> Option<BTreeSet<String>> {
        let path = self.readable(block, "denied", at)?;
        match String::from_utf8(self.read(&path).unwrap_or_default()) {
            Ok(text) => Some(text.lines().map(|line| line.trim().to_lowercase()).collect()),
            Err(_) => self.refuse(block, at.line, "denied", format!("`{}` holds no text", path.display())),
        }
    }
}
