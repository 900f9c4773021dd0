//! Contact lists and who may watch, as users and administrators write them: checked, and as the Front End knows them.

use std::collections::BTreeSet;
use std::sync::Arc;

use carillon_signaling::{Contact, Handling, Roster, Rule};
use serde::{Deserialize, Serialize};

use crate::config::is_host;

/// Most contacts: with their names they fit into a NOTIFY. Most rules, and most groups of a contact.
const CONTACTS: usize = 200;
const RULES: usize = 200;
const GROUPS: usize = 10;
/// Longest name of a contact or a group, in bytes, and longest address.
const NAME: usize = 128;
const ADDRESS: usize = 256;

/// A roster as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterFile {
    /// The contact list.
    #[serde(default)]
    pub contacts: Vec<ContactRow>,
    /// What becomes of some watchers; the first that fits counts.
    #[serde(default)]
    pub rules: Vec<RuleRow>,
    /// What becomes of the others: `allow`, `confirm`, `block`, `polite-block`; without it what the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Word>,
}

/// Somebody on a contact list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactRow {
    /// `bob@example.com`.
    pub address: String,
    /// How the user calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Groups of the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// What becomes of some watchers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleRow {
    /// `eve@example.com`, or `@example.org` for a whole domain.
    pub watcher: String,
    /// What.
    pub handling: Word,
}

/// What becomes of a watcher, as a word of RFC 5025.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Sees all.
    Allow,
    /// Waits for the user to decide.
    Confirm,
    /// Is refused.
    Block,
    /// Sees somebody who is never there.
    PoliteBlock,
}

impl RosterFile {
    /// The roster, or all that is wrong with it.
    ///
    /// # Errors
    /// One line for each mistake, with its place.
    pub fn roster(&self) -> Result<Roster, Vec<String>> {
        let mut wrong = Vec::new();
        if self.contacts.len() > CONTACTS {
            wrong.push(format!("{} contacts; at most {CONTACTS} are kept", self.contacts.len()));
        }
        if self.rules.len() > RULES {
            wrong.push(format!("{} rules; at most {RULES} are kept", self.rules.len()));
        }
        let mut known = BTreeSet::new();
        for (place, contact) in self.contacts.iter().enumerate() {
            let reasons = contact.mistakes(&mut known).into_iter();
            wrong.extend(reasons.map(|reason| format!("contacts[{place}]: {reason}")));
        }
        for (place, rule) in self.rules.iter().enumerate().filter(|(_, rule)| !is_watcher(&rule.watcher)) {
            let watcher = &rule.watcher;
            wrong.push(format!("rules[{place}]: `{watcher}` is neither an address nor @ and a domain"));
        }
        if wrong.is_empty() { Ok(self.checked()) } else { Err(wrong) }
    }

    fn checked(&self) -> Roster {
        let contact = |row: &ContactRow| Contact {
            address: Arc::from(row.address.to_lowercase()),
            name: row.name.clone(),
            groups: row.groups.clone(),
        };
        let rule =
            |row: &RuleRow| Rule { watcher: row.watcher.to_lowercase(), handling: row.handling.into() };
        Roster {
            contacts: self.contacts.iter().map(contact).collect(),
            rules: self.rules.iter().map(rule).collect(),
            others: self.others.map(Handling::from),
        }
    }
}

impl ContactRow {
    fn mistakes(&self, known: &mut BTreeSet<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        if !is_address(&self.address) {
            wrong.push(format!("`{}` is no address like bob@example.com", self.address));
        } else if !known.insert(self.address.to_lowercase()) {
            wrong.push(format!("`{}` is there twice", self.address));
        }
        if self.groups.len() > GROUPS {
            wrong.push(format!("{} groups; at most {GROUPS} are kept", self.groups.len()));
        }
        let names = self.name.iter().chain(&self.groups);
        for name in
            names.filter(|name| name.is_empty() || name.len() > NAME || name.contains(char::is_control))
        {
            wrong.push(format!("{name:?} is no name: 1 to {NAME} bytes without control characters"));
        }
        wrong
    }
}

impl From<Word> for Handling {
    fn from(word: Word) -> Handling {
        match word {
            Word::Allow => Handling::Allow,
            Word::Confirm => Handling::Confirm,
            Word::Block => Handling::Block,
            Word::PoliteBlock => Handling::PoliteBlock,
        }
    }
}

/// As addresses of record are compared: a user without spaces, and a host.
pub(crate) fn is_address(text: &str) -> bool {
    let fits = |(user, host): (&str, &str)| {
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"@<>\"".contains(c);
        !user.is_empty() && user.chars().all(plain) && is_host(host)
    };
    text.len() <= ADDRESS && text.split_once('@').is_some_and(fits)
}

fn is_watcher(text: &str) -> bool {
    text.strip_prefix('@').map_or_else(|| is_address(text), is_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roster_is_read_as_it_is_written() {
        let text = r#"{"contacts":[{"address":"Bob@Example.com","name":"Bob","groups":["Team"]}],
            "rules":[{"watcher":"@example.org","handling":"polite-block"}],"others":"confirm"}"#;
        let roster = serde_json::from_str::<RosterFile>(text).unwrap().roster().unwrap();
        let contact = Contact {
            address: "bob@example.com".into(),
            name: Some("Bob".into()),
            groups: vec!["Team".into()],
        };
        let rule = Rule { watcher: "@example.org".into(), handling: Handling::PoliteBlock };
        let expected = Roster { contacts: vec![contact], rules: vec![rule], others: Some(Handling::Confirm) };
        assert_eq!(roster, expected);
        assert_eq!(serde_json::from_str::<RosterFile>("{}").unwrap().roster(), Ok(Roster::default()));
        assert!(serde_json::from_str::<RosterFile>(r#"{"contact":[]}"#).is_err());
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = r#"{"contacts":[{"address":"bob"},{"address":"a@b.c"},{"address":"A@b.c","name":"\u0007"},
            {"address":"x y@b.c","groups":["","","","","","","","","","",""]}],
            "rules":[{"watcher":"a@b.c","handling":"allow"},{"watcher":"@","handling":"block"}]}"#;
        let wrong = serde_json::from_str::<RosterFile>(text).unwrap().roster().unwrap_err();
        assert_eq!(wrong[0], "contacts[0]: `bob` is no address like bob@example.com");
        assert_eq!(wrong[1], "contacts[2]: `A@b.c` is there twice");
        assert_eq!(wrong[2], "contacts[2]: \"\\u{7}\" is no name: 1 to 128 bytes without control characters");
        assert_eq!(wrong[3], "contacts[3]: `x y@b.c` is no address like bob@example.com");
        assert_eq!(wrong[4], "contacts[3]: 11 groups; at most 10 are kept");
        assert_eq!(wrong.last().unwrap(), "rules[1]: `@` is neither an address nor @ and a domain");
        let row = ContactRow { address: "a@b.c".to_owned(), name: None, groups: Vec::new() };
        let many = RosterFile { contacts: vec![row; 201], ..RosterFile::default() };
        assert_eq!(many.roster().unwrap_err()[0], "201 contacts; at most 200 are kept");
    }
}
