//! From whom the directory names and who is known here to what must change. Nothing is done here.
//!
//! Users whom an administrator has added stay the administrator's. Who is gone from the directory may not sign in any more, but
//! keeps contacts and rules; messages that wait for them are lost, and their phones have to sign in again.
//!
//! An entry is known by its identifier. Another one with the address of somebody who was here before is somebody else: no password
//! and no role goes over. While both are in the directory the address stays with the one that had it.

use std::collections::{BTreeMap, BTreeSet};

use carillon_signaling::{Ha1, Number};
use carillon_store::{Entry, Named, UserRecord};

use super::dn::DistinguishedName;
use super::entry::Found;
use crate::roles::UserRole;
use crate::users::{Rules, number_of};

/// So many users may vanish at once, and so many in a hundred of those who may sign in. More are a mistyped filter or a right that
/// was taken away as probably as people who have left.
const VANISH: u64 = 10;
const VANISH_PERCENT: u64 = 20;

/// What the directory says, whole.
pub(super) struct Reading {
    /// Who is there, in its order.
    pub(super) found: Vec<Found>,
    /// Members of the groups that give roles; `None` for a group that the configuration does not name.
    pub(super) administrators: Option<BTreeSet<DistinguishedName>>,
    pub(super) help_desk: Option<BTreeSet<DistinguishedName>>,
}

/// What must change here.
#[derive(Default)]
pub(super) struct Changes {
    /// What is to be said of whom, in this order: numbers are given up before somebody else gets them.
    pub(super) put: Vec<Named>,
    /// The roles that users of the directory should have, if groups give them.
    pub(super) roles: Vec<(String, UserRole)>,
    /// Users that the directory names.
    pub(super) users: u64,
    /// Of these, those who may not sign in.
    pub(super) disabled: u64,
    /// Users who could sign in until now.
    pub(super) able: u64,
    /// Of these, those whom the directory does not name any more.
    pub(super) vanished: u64,
    /// Entries that are no users here, by why.
    pub(super) skipped: BTreeMap<String, u64>,
}

impl Changes {
    /// Whether more vanish than usually do.
    pub(super) fn are_doubtful(&self) -> bool {
        self.vanished > VANISH && self.vanished * 100 > self.able * VANISH_PERCENT
    }
}

/// Compares. `unproven` makes hashes that no password has: a user of a directory begins without a password of ours.
pub(super) fn reconcile(
    reading: &Reading,
    known: &[UserRecord],
    rules: &Rules,
    unproven: impl FnMut() -> Ha1,
) -> Changes {
    let mut comparison = Comparison {
        known: known.iter().map(|record| (record.user.aor.as_str(), record)).collect(),
        numbers: numbers_of_others(known),
        unproven,
        changes: Changes::default(),
        seen: BTreeSet::new(),
        wanted: Vec::new(),
    };
    for found in &reading.found {
        if let Err(why) = comparison.take(found, reading, rules) {
            *comparison.changes.skipped.entry(why.to_owned()).or_default() += 1;
        }
    }
    comparison.finish()
}

struct Comparison<'a, U> {
    known: BTreeMap<&'a str, &'a UserRecord>,
    /// Who has which number: first those of users who are not of the directory.
    numbers: BTreeMap<Number, String>,
    unproven: U,
    changes: Changes,
    seen: BTreeSet<String>,
    wanted: Vec<Wanted>,
}

/// What the directory says of a user.
#[derive(Clone)]
struct Wanted {
    entry: Entry,
    number: Option<Number>,
    gone: bool,
}

/// The first of its addresses that a user here may have.
fn address(found: &Found, rules: &Rules) -> Option<String> {
    found.addresses.iter().find_map(|address| rules.aor(address).ok())
}

fn numbers_of_others(known: &[UserRecord]) -> BTreeMap<Number, String> {
    let others = known.iter().filter(|record| record.entry.is_none());
    others.filter_map(|record| Some((record.user.number.clone()?, record.user.aor.clone()))).collect()
}

impl<U: FnMut() -> Ha1> Comparison<'_, U> {
    /// One who is there; else why it is no user here.
    fn take(&mut self, found: &Found, reading: &Reading, rules: &Rules) -> Result<(), &'static str> {
        let aor = address(found, rules).ok_or("no address in a domain of ours")?;
        let before = self.known.get(aor.as_str()).copied();
        if before.is_some_and(|record| record.entry.is_none()) {
            return Err("an administrator has added a user of that address");
        }
        let another =
            before.and_then(|record| record.entry.as_ref()).is_some_and(|entry| entry.id != found.id);
        let owner = before.filter(|_| another).and_then(|record| record.entry.as_ref());
        let still = |other: &Found| {
            owner.is_some_and(|owner| owner.id == other.id) && address(other, rules).as_ref() == Some(&aor)
        };
        if owner.is_some() && reading.found.iter().any(still) {
            return Err("another entry has that address");
        }
        if !self.seen.insert(aor.clone()) {
            return Err("another entry has that address");
        }
        let number = self.number(found, &aor);
        let (id, dn, name, disabled) =
            (found.id.clone(), found.dn.clone(), found.name.clone(), found.disabled);
        self.changes.users += 1;
        self.changes.disabled += u64::from(disabled);
        let role = role(reading, &dn).or(another.then_some(UserRole::User));
        self.changes.roles.extend(role.map(|role| (aor.clone(), role)));
        self.wanted.push(Wanted { entry: Entry { aor, id, dn, name, disabled }, number, gone: false });
        Ok(())
    }

    /// The first number that nobody else has.
    fn number(&mut self, found: &Found, aor: &str) -> Option<Number> {
        let mut numbers = found.numbers.iter().filter_map(|text| number_of(text).ok());
        let number = numbers.find(|number| !self.numbers.contains_key(number));
        if let Some(number) = &number {
            self.numbers.insert(number.clone(), aor.to_owned());
        } else if !found.numbers.is_empty() {
            *self.changes.skipped.entry("number that is none or somebody else's".to_owned()).or_default() +=
                1;
        }
        number
    }

    fn finish(mut self) -> Changes {
        self.disable_who_is_gone();
        let differs = |wanted: &Wanted| {
            self.known.get(wanted.entry.aor.as_str()).is_none_or(|record| {
                record.user.number != wanted.number || record.entry.as_ref() != Some(&wanted.entry)
            })
        };
        let changed: Vec<Wanted> = self.wanted.drain(..).filter(differs).collect();
        let all = given_up(&changed, &self.known).into_iter().chain(changed);
        self.changes.put = all
            .map(|Wanted { entry, number, gone }| Named { entry, number, gone, unproven: (self.unproven)() })
            .collect();
        self.changes
    }

    /// Who is not in the directory any more keeps everything but the number.
    fn disable_who_is_gone(&mut self) {
        for entry in self.known.values().filter_map(|record| record.entry.as_ref()) {
            self.changes.able += u64::from(!entry.disabled);
            if self.seen.contains(&entry.aor) {
                continue;
            }
            self.changes.vanished += u64::from(!entry.disabled);
            let entry = Entry { disabled: true, ..entry.clone() };
            self.wanted.push(Wanted { entry, number: None, gone: true });
        }
    }
}

/// Who changes to a number that somebody else still has here gives up the own one first, so that two may change places.
fn given_up(changed: &[Wanted], known: &BTreeMap<&str, &UserRecord>) -> Vec<Wanted> {
    let numbers: BTreeSet<&Number> = changed.iter().filter_map(|wanted| wanted.number.as_ref()).collect();
    let gives_up = |wanted: &&Wanted| {
        let before = known.get(wanted.entry.aor.as_str()).and_then(|record| record.user.number.as_ref());
        before.is_some_and(|before| wanted.number.as_ref() != Some(before) && numbers.contains(before))
    };
    changed.iter().filter(gives_up).map(|wanted| Wanted { number: None, ..wanted.clone() }).collect()
}

/// The role that groups give; `None` if no group is named.
fn role(reading: &Reading, dn: &str) -> Option<UserRole> {
    let name = DistinguishedName::parse(dn);
    let is_in = |group: &Option<BTreeSet<DistinguishedName>>| {
        group.as_ref().zip(name.as_ref()).is_some_and(|(names, name)| names.contains(name))
    };
    match reading {
        Reading { administrators: None, help_desk: None, .. } => None,
        Reading { administrators, .. } if is_in(administrators) => Some(UserRole::Administrator),
        Reading { help_desk, .. } if is_in(help_desk) => Some(UserRole::HelpDesk),
        _ => Some(UserRole::User),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use carillon_signaling::User;
    use carillon_store::{Author, Store};

    use super::*;
    use crate::config::Config;

    const GOOD: &str = "domains = [\"example.com\"]\nplan = \"lync-kloud\"\nname = \"sip.example.com\"\n";

    fn ha1(byte: u8) -> Ha1 {
        Ha1 { md5: [byte; 16], sha256: [byte; 32] }
    }

    fn found(name: &str, number: Option<&str>) -> Found {
        Found {
            id: format!("id of {name}"),
            dn: format!("uid={name},dc=example,dc=com"),
            addresses: vec![format!("{name}@elsewhere.net"), format!("{name}@example.com")],
            numbers: number.map(str::to_owned).into_iter().collect(),
            name: Some(name.to_uppercase()),
            disabled: false,
        }
    }

    fn reading(found: Vec<Found>) -> Reading {
        Reading { found, administrators: None, help_desk: None }
    }

    fn compare(reading: &Reading, known: &[UserRecord]) -> Changes {
        let config = Config::from_toml(GOOD, std::path::Path::new("/x/c.toml")).unwrap();
        let mut next = 0;
        let unproven = || {
            next += 1;
            ha1(next)
        };
        reconcile(reading, known, &Rules::new(&config, &config.plan.plan), unproven)
    }

    /// What the store has after these changes.
    fn stored(known: &[UserRecord], changes: &Changes) -> Vec<UserRecord> {
        let author = Author { who: "directory".to_owned(), time: Duration::ZERO };
        let mut store = Store::in_memory().unwrap();
        store
            .import_users(
                known.iter().map(|record| &record.user).filter(|user| !is_named(known, user)),
                &author,
            )
            .unwrap();
        let before = |record: &UserRecord| {
            let (entry, unproven) = (record.entry.clone()?, record.user.ha1.clone());
            Some(Named { entry, number: record.user.number.clone(), gone: false, unproven })
        };
        store.put_entries(&known.iter().filter_map(before).collect::<Vec<_>>(), &author).unwrap();
        store.put_entries(&changes.put, &author).unwrap();
        let all = store.users_after("", usize::MAX).unwrap().into_iter();
        all.map(|record| UserRecord { version: 1, ..record }).collect()
    }

    fn is_named(known: &[UserRecord], user: &User) -> bool {
        known.iter().any(|record| record.user.aor == user.aor && record.entry.is_some())
    }

    fn local(name: &str, number: Option<&str>) -> UserRecord {
        let (aor, number) = (format!("{name}@example.com"), number.and_then(Number::parse));
        let user = User { aor, ha1: ha1(99), algorithms: None, site: None, number };
        UserRecord { user, created: Duration::ZERO, version: 1, entry: None }
    }

    fn shown(records: &[UserRecord]) -> Vec<(String, Option<String>, bool)> {
        let row = |record: &UserRecord| {
            let number = record.user.number.as_ref().map(ToString::to_string);
            (record.user.aor.clone(), number, record.is_disabled())
        };
        records.iter().map(row).collect()
    }

    #[test]
    fn who_is_there_becomes_a_user_and_a_second_look_changes_nothing() {
        let there = reading(vec![found("alice", Some("+49 30 1")), found("bob", Some("+49 30 1"))]);
        let changes = compare(&there, &[]);
        assert_eq!((changes.users, changes.skipped["number that is none or somebody else's"]), (2, 1));
        let users = stored(&[], &changes);
        let expected = [
            ("alice@example.com".to_owned(), Some("+49301".to_owned()), false),
            ("bob@example.com".to_owned(), None, false),
        ];
        assert_eq!(shown(&users), expected);
        assert_ne!(users[0].user.ha1, users[1].user.ha1);
        assert!(compare(&there, &users).put.is_empty());
    }

    #[test]
    fn somebody_else_with_an_address_of_before_has_neither_its_password_nor_its_role() {
        let mut users = stored(&[], &compare(&reading(vec![found("alice", None)]), &[]));
        users[0].user.ha1 = ha1(77);
        let newcomer = Found { id: "another".to_owned(), dn: "uid=other".to_owned(), ..found("alice", None) };
        // Both claim it: it stays where it was, whoever comes first.
        let both = compare(&reading(vec![newcomer.clone(), found("alice", None)]), &users);
        assert!(both.put.is_empty() && both.skipped["another entry has that address"] == 1, "{:?}", both.put);
        let alone = compare(&reading(vec![newcomer.clone()]), &users);
        let after = &stored(&users, &alone)[0];
        assert_eq!(
            (after.user.ha1 == ha1(77), after.entry.as_ref().unwrap().id.as_str()),
            (false, "another")
        );
        assert_eq!(alone.roles, [("alice@example.com".to_owned(), UserRole::User)]);
        // Who had it is called otherwise now.
        let renamed = Found { id: users[0].entry.as_ref().unwrap().id.clone(), ..found("alicia", None) };
        let changes = compare(&reading(vec![newcomer, renamed]), &users);
        assert_eq!((changes.users, changes.put[0].entry.id.as_str()), (2, "another"));
    }

    #[test]
    fn who_has_gone_may_not_sign_in_and_comes_back_as_the_same() {
        let (alice, bob) = (found("alice", Some("+49301")), found("bob", None));
        let users = stored(&[], &compare(&reading(vec![alice.clone(), bob.clone()]), &[]));
        let without = stored(&users, &compare(&reading(vec![bob.clone()]), &users));
        assert_eq!(shown(&without)[0], ("alice@example.com".to_owned(), None, true));
        assert!(compare(&reading(vec![bob.clone()]), &without).put.is_empty(), "it is said once");
        assert_eq!(stored(&without, &compare(&reading(vec![alice, bob]), &without)), users);
    }

    /// A filter that is wrong misses many at once; people leave one by one.
    #[test]
    fn many_who_vanish_at_once_are_doubtful() {
        let people =
            |count: usize| -> Vec<Found> { (0..count).map(|n| found(&format!("u{n}"), None)).collect() };
        for (known, left, vanished, doubtful) in [
            (12, 1, 11, true),
            (12, 2, 10, false),
            (100, 80, 20, false),
            (100, 79, 21, true),
            (50, 50, 0, false),
        ] {
            let users = stored(&[], &compare(&reading(people(known)), &[]));
            let changes = compare(&reading(people(left)), &users);
            assert_eq!((changes.able, changes.vanished), (known as u64, vanished), "{known} {left}");
            assert_eq!(changes.are_doubtful(), doubtful, "{known} {left}");
            // Who may not sign in any more vanishes once.
            let after = compare(&reading(people(left)), &stored(&users, &changes));
            assert_eq!((after.able, after.vanished, after.are_doubtful()), (left as u64, 0, false));
        }
    }

    #[test]
    fn users_of_an_administrator_and_their_numbers_are_left_alone() {
        let known = [local("alice", Some("+49301"))];
        let there = reading(vec![found("alice", None), found("bob", Some("+49301")), found("bob", None)]);
        let changes = compare(&there, &known);
        let put: Vec<_> =
            changes.put.iter().map(|named| (named.entry.aor.as_str(), named.number.clone())).collect();
        assert_eq!(put, [("bob@example.com", None)]);
        assert_eq!(changes.skipped["an administrator has added a user of that address"], 1);
        assert_eq!(changes.skipped["another entry has that address"], 1);
        let elsewhere = Found { addresses: vec!["x@elsewhere.net".to_owned()], ..found("x", None) };
        assert_eq!(compare(&reading(vec![elsewhere]), &[]).skipped["no address in a domain of ours"], 1);
    }

    #[test]
    fn two_may_change_their_numbers_with_each_other() {
        let there = |one, other| reading(vec![found("alice", Some(one)), found("bob", Some(other))]);
        let users = stored(&[], &compare(&there("+49301", "+49302"), &[]));
        let changed = stored(&users, &compare(&there("+49302", "+49301"), &users));
        let numbers: Vec<_> = shown(&changed).into_iter().filter_map(|(_, number, _)| number).collect();
        assert_eq!(numbers, ["+49302", "+49301"]);
    }

    #[test]
    fn groups_give_roles_and_take_them() {
        let mut there = reading(vec![found("alice", None), found("bob", None), found("carol", None)]);
        assert!(compare(&there, &[]).roles.is_empty(), "no group is named");
        let names =
            |names: &[&str]| Some(names.iter().filter_map(|name| DistinguishedName::parse(name)).collect());
        there.administrators = names(&["UID=Alice, DC=example,DC=com"]);
        there.help_desk = names(&["uid=alice,dc=example,dc=com", r"uid=\62ob,dc=example,dc=com"]);
        let roles: Vec<UserRole> = compare(&there, &[]).roles.into_iter().map(|(_, role)| role).collect();
        assert_eq!(roles, [UserRole::Administrator, UserRole::HelpDesk, UserRole::User]);
    }
}
