//! Who has which number and which rules, and where voicemail is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CallRules, Goal};
use crate::numbers::{Dialled, Dialling, Number};
use crate::reply::Reply;
use crate::user::User;

/// Numbers and call rules of all users.
#[derive(Debug, Default)]
pub(crate) struct Switchboard {
    pub(crate) dialling: Dialling,
    /// Where voicemail is: an address of record.
    pub(crate) voicemail: Option<Arc<str>>,
    owners: BTreeMap<Number, Arc<str>>,
    /// Only of those who have some.
    rules: BTreeMap<Arc<str>, CallRules>,
}

impl Switchboard {
    pub(crate) fn new(users: &[User]) -> Switchboard {
        let mut switchboard = Switchboard::default();
        users.iter().for_each(|user| switchboard.put_user(None, user));
        switchboard
    }

    /// A user is new, or has perhaps another number than before.
    pub(crate) fn put_user(&mut self, before: Option<&User>, user: &User) {
        before.into_iter().for_each(|before| self.forget(before));
        if let Some(number) = &user.number {
            self.owners.insert(number.clone(), Arc::from(user.aor.as_str()));
        }
    }

    pub(crate) fn remove_user(&mut self, user: &User) {
        self.forget(user);
        self.rules.remove(user.aor.as_str());
    }

    pub(crate) fn set_rules(&mut self, aor: &str, rules: CallRules) {
        match rules == CallRules::default() {
            true => self.rules.remove(aor),
            false => self.rules.insert(aor.into(), rules),
        };
    }

    pub(crate) fn rules(&self, aor: &str) -> Option<&CallRules> {
        self.rules.get(aor)
    }

    /// Who may call in the name of a user.
    pub(crate) fn delegates(&self, aor: &str) -> &[Arc<str>] {
        self.rules(aor).map_or(&[], |rules| &rules.delegates)
    }

    /// Whose phones are called where this is dialled by somebody at a site.
    pub(crate) fn owner(&self, site: Option<&str>, dialled: &Dialled) -> Result<Arc<str>, Reply> {
        let (number, _) = match self.dialling.number(site, dialled) {
            Ok(number) => number,
            Err(_) if self.dialling.is_empty() => return Err(Reply::new(404, "Not Found")),
            // Q.850 (RFC 6432): invalid number format, and unallocated number.
            Err(why) => return Err(Reply::new(484, "Address Incomplete").field("Reason", reason(28, why))),
        };
        let owner = self.owners.get(&number).cloned();
        owner.ok_or_else(|| {
            Reply::new(404, "Not Found").field("Reason", reason(1, "nobody here has this number"))
        })
    }

    fn forget(&mut self, user: &User) {
        let number = user.number.as_ref();
        if let Some(number) =
            number.filter(|number| self.owners.get(*number).is_some_and(|owner| **owner == *user.aor))
        {
            self.owners.remove(number);
        }
    }

    /// The address of record that a goal means.
    pub(super) fn address(&self, goal: &Goal) -> Option<Arc<str>> {
        match goal {
            Goal::Address(aor) => Some(Arc::clone(aor)),
            Goal::Number(number) => self.owners.get(number).cloned(),
            Goal::Voicemail => self.voicemail.clone(),
        }
    }
}

fn reason(cause: u16, text: impl std::fmt::Display) -> String {
    format!("Q.850;cause={cause};text=\"{text}\"")
}
