//! Who may be a user: names, passwords and sites as administrators type them become users as the Front End knows them.
//!
//! The one place for these rules: the admin API and `carillon user` beside a stopped server both ask here.

pub mod csv;
mod list;
mod passwords;

use std::collections::BTreeMap;

use carillon_qos::Plan;
use carillon_qos::plan::nearest;
use carillon_signaling::{Algorithms, Ha1, Number, User};
use serde::{Deserialize, Serialize};

pub use list::UserList;
pub use passwords::PasswordRules;

use crate::config::Config;

/// A user as an administrator types it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// `alice`, or with one of the domains `alice@example.com`.
    pub name: String,
    /// The password; it is hashed and forgotten.
    pub password: String,
    /// The site of the plan that the user belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The number by which the user is called: `+49301234`, perhaps with separators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// What this user is challenged with, if not what the listener says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// Algorithms of a challenge, as words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digest {
    /// `md5`
    Md5,
    /// `sha-256`
    #[serde(rename = "sha-256")]
    Sha256,
    /// `both`
    Both,
}

/// What users are checked against.
#[derive(Clone, Debug)]
pub struct Rules {
    domains: Vec<String>,
    realm: String,
    sites: Vec<String>,
    passwords: PasswordRules,
}

impl Rules {
    /// Those of a configuration, with the plan that holds.
    pub fn new(config: &Config, plan: &Plan) -> Rules {
        Rules {
            domains: config.domains.clone(),
            realm: config.realm.clone(),
            sites: plan.sites().map(str::to_owned).collect(),
            passwords: config.passwords.rules.clone(),
        }
    }

    /// The address of record that a name means.
    pub fn aor(&self, name: &str) -> Result<String, String> {
        let name = name.to_ascii_lowercase();
        let (user, domain) = match name.split_once('@') {
            Some((user, domain)) => (user, domain),
            None => (name.as_str(), self.domains.first().map_or("", String::as_str)),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
        if user.is_empty() || user.len() > 64 || !user.chars().all(allowed) {
            return Err(format!("`{user}` is no user name: up to 64 letters, digits, and . - _ +"));
        }
        if !self.domains.iter().any(|ours| ours == domain) {
            return Err(format!("`{domain}` is not served here; domains are {}", self.domains.join(", ")));
        }
        Ok(format!("{user}@{domain}"))
    }

    /// The address of record of a user with whom nothing is wrong.
    pub fn check(&self, new: &NewUser) -> Result<String, String> {
        let aor = self.aor(&new.name)?;
        self.passwords.check(&new.password, &aor)?;
        new.number.as_deref().map(number_of).transpose()?;
        match new.site.as_deref().filter(|site| !self.sites.iter().any(|known| known == site)) {
            Some(site) => Err(self.unknown_site(site)),
            None => Ok(aor),
        }
    }

    /// What is wrong with each of those that are wrong, by its place.
    pub fn check_all(&self, new: &[NewUser]) -> Vec<(usize, String)> {
        let mut numbers = BTreeMap::new();
        let mut twice = |new: &NewUser| {
            let number = number_of(new.number.as_deref()?).ok()?;
            let first = numbers.insert(number.clone(), new.name.clone())?;
            Some(format!("{number} is the number of {first} already"))
        };
        let all = new.iter().enumerate();
        all.filter_map(|(place, new)| Some((place, self.check(new).err().or_else(|| twice(new))?))).collect()
    }

    /// The user, with the password hashed.
    pub fn user(&self, new: &NewUser) -> Result<User, String> {
        let aor = self.check(new)?;
        let ha1 = Ha1::of(&aor, &self.realm, &new.password);
        let number = new.number.as_deref().map(number_of).transpose()?;
        Ok(User { aor, ha1, algorithms: new.digest.map(Algorithms::from), site: new.site.clone(), number })
    }

    /// All the users, or why some are refused.
    pub fn users(&self, new: &[NewUser]) -> Result<Vec<User>, Vec<String>> {
        let wrong: Vec<String> = self.check_all(new).into_iter().map(|(_, reason)| reason).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        new.iter().map(|new| self.user(new).map_err(|reason| vec![reason])).collect()
    }

    fn unknown_site(&self, site: &str) -> String {
        match nearest(site, self.sites.iter().map(String::as_str)) {
            Some(near) => format!("site `{site}` is not in the plan; did you mean `{near}`?"),
            None if self.sites.is_empty() => format!("site `{site}` is not in the plan: it has no sites"),
            None => format!("site `{site}` is not in the plan; sites are {}", self.sites.join(", ")),
        }
    }
}

/// Reads a number as people write it, with separators.
pub(crate) fn number_of(text: &str) -> Result<Number, String> {
    let bare: String = text.chars().filter(|c| !" -.()/".contains(*c)).collect();
    Number::parse(&bare)
        .ok_or_else(|| format!("`{text}` is no number: + and up to 15 digits, the country first"))
}

/// Never shows the password.
impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("name", &self.name).field("site", &self.site).finish_non_exhaustive()
    }
}

impl From<Digest> for Algorithms {
    fn from(digest: Digest) -> Algorithms {
        match digest {
            Digest::Md5 => Algorithms::Md5,
            Digest::Sha256 => Algorithms::Sha256,
            Digest::Both => Algorithms::Both,
        }
    }
}

impl From<Algorithms> for Digest {
    fn from(algorithms: Algorithms) -> Digest {
        match algorithms {
            Algorithms::Md5 => Digest::Md5,
            Algorithms::Sha256 => Digest::Sha256,
            Algorithms::Both => Digest::Both,
        }
    }
}
