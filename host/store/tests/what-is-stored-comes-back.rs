//! Users, bindings, plans and the audit, written and read again by another `Store` on the same file.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use std::path::Path;
use std::time::Duration;

use carillon_signaling::{Change, Ha1, Number, Publication, User};
use carillon_store::{Account, Document, Entry, Named, PlanSource, Store, UserReader};
use support::{NOW, author, bind, binding, user};

/// Another one on the same file, as after a restart.
fn reopened(store: &Store) -> Store {
    Store::open(store.path().unwrap()).unwrap()
}

fn fresh() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("carillon.db")).unwrap();
    (folder, store)
}

#[test]
fn a_binding_comes_back_to_the_last_bit() {
    let (_folder, mut store) = fresh();
    store.apply(&[bind("bob", 2), bind("alice", 1)]).unwrap();
    assert_eq!(
        reopened(&store).load_bindings(NOW).unwrap().readable,
        [binding("alice", 1), binding("bob", 2)]
    );
}

#[test]
fn a_refresh_replaces_and_an_end_removes() {
    let (_folder, mut store) = fresh();
    let refreshed = carillon_signaling::Binding { cseq: 9, ..binding("alice", 1) };
    store.apply(&[bind("alice", 1), bind("alice", 2)]).unwrap();
    let gone = Change::Unbind { aor: "alice@example.com".into(), key: binding("alice", 2).key };
    store.apply(&[Change::Bind(refreshed.clone().into()), gone]).unwrap();
    assert_eq!(reopened(&store).load_bindings(NOW).unwrap().readable, [refreshed]);
    assert_eq!((store.commits().transactions, store.commits().changes), (2, 4));
}

#[test]
fn what_was_published_comes_back_until_it_ends_or_its_user_is_removed() {
    let (_folder, mut store) = fresh();
    let published = |name: &str, etag: &str| Publication {
        aor: format!("{name}@example.com").into(),
        key: "k".to_owned(),
        etag: etag.to_owned(),
        changed: NOW,
        expires: NOW + Duration::from_secs(60),
        document: "<presence>ü</presence>".to_owned(),
    };
    let publish = |name, etag| Change::Publish(published(name, etag).into());
    store.apply(&[publish("bob", "1"), publish("alice", "1"), publish("alice", "2")]).unwrap();
    let load = |store: &Store, now| reopened(store).load_publications(now).unwrap();
    assert_eq!(load(&store, NOW), [published("alice", "2"), published("bob", "1")]);
    assert_eq!(load(&store, NOW + Duration::from_secs(60)), []);
    store.apply(&[Change::Unpublish { aor: "bob@example.com".into(), key: "k".to_owned() }]).unwrap();
    assert_eq!(load(&store, NOW).len(), 1);
    store.put_user(&user("alice"), &author()).unwrap();
    store.remove_user("alice@example.com", &author()).unwrap();
    assert_eq!(load(&store, NOW), []);
}

#[test]
fn what_has_run_out_is_not_loaded() {
    let (_folder, mut store) = fresh();
    store.apply(&[bind("alice", 1)]).unwrap();
    let end = binding("alice", 1).expires;
    assert_eq!(store.load_bindings(end).unwrap().readable, []);
    assert_eq!(store.load_bindings(end - Duration::from_millis(1)).unwrap().readable.len(), 1);
}

#[test]
fn a_row_that_cannot_be_read_takes_no_other_away_and_is_told_without_a_name() {
    let (folder, mut store) = fresh();
    store.apply(&[bind("alice", 1), bind("bob", 2), bind("carol", 3), bind("dave", 4)]).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("carillon.db")).unwrap();
    for spoiled in [
        "UPDATE bindings SET remote = 'nowhere' WHERE aor = 'alice@example.com'",
        "UPDATE bindings SET cseq = 'many' WHERE aor = 'carol@example.com'",
        "UPDATE bindings SET path = '[' WHERE aor = 'dave@example.com'",
    ] {
        assert_eq!(other.execute(spoiled, []).unwrap(), 1);
    }
    let bindings = reopened(&store).load_bindings(NOW).unwrap();
    assert_eq!(bindings.readable, [binding("bob", 2)]);
    let told: Vec<String> = bindings.unreadable.iter().map(ToString::to_string).collect();
    let expected = [
        "the store holds something unknown: `remote` of the bindings of user (17 letters)",
        "cannot read a binding",
        "the store holds something unknown: `path` of the bindings of user (16 letters)",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_commit_that_fails_leaves_nothing_and_is_counted() {
    let (folder, mut store) = fresh();
    store.apply(&[bind("alice", 1)]).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("carillon.db")).unwrap();
    // The second change of the transaction is refused, so the first must not stay either.
    other
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON bindings WHEN new.aor = 'carol@example.com'
             BEGIN SELECT RAISE(ABORT, 'disk full'); END",
        )
        .unwrap();
    let error = store.apply(&[bind("bob", 1), bind("carol", 1)]).unwrap_err();
    assert_eq!(error.to_string(), "cannot save changes");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk full");
    assert_eq!(store.commits().failures, 1);
    assert_eq!(reopened(&store).load_bindings(NOW).unwrap().readable, [binding("alice", 1)]);
    other.execute_batch("DROP TRIGGER full").unwrap();
    store.apply(&[bind("bob", 1), bind("carol", 1)]).unwrap();
    assert_eq!(reopened(&store).load_bindings(NOW).unwrap().readable.len(), 3);
}

#[test]
fn users_come_back_with_their_versions_and_every_change_leaves_one_line() {
    let (_folder, mut store) = fresh();
    let plain = User { algorithms: None, site: None, ..user("bob") };
    assert_eq!(store.put_user(&user("alice"), &author()).unwrap(), 1);
    assert_eq!(store.import_users([&plain, &user("alice")], &author()).unwrap(), [1, 2]);
    assert_eq!(reopened(&store).load_users().unwrap(), [user("alice"), plain]);
    let alice = store.user("alice@example.com").unwrap().unwrap();
    assert_eq!((alice.version, alice.created), (2, NOW));
    assert_eq!(store.remove_user("bob@example.com", &author()).unwrap(), Some(1));
    assert_eq!(store.remove_user("bob@example.com", &author()).unwrap(), None);
    let audit = reopened(&store).audit(None, 10).unwrap();
    let lines: Vec<_> =
        audit.iter().map(|e| (e.id, e.what.as_str(), e.object.as_str(), e.before, e.after)).collect();
    let expected = [
        (4, "user.remove", "bob@example.com", Some(1), None),
        (3, "user.put", "alice@example.com", Some(1), Some(2)),
        (2, "user.put", "bob@example.com", None, Some(1)),
        (1, "user.put", "alice@example.com", None, Some(1)),
    ];
    assert_eq!(lines, expected);
    assert!(audit.iter().all(|entry| (entry.who.as_str(), entry.time) == ("uid 7", NOW)));
    assert_eq!(store.audit(Some(3), 1).unwrap(), audit[2..3]);
}

#[test]
fn a_user_who_is_removed_takes_the_bindings_along() {
    let (_folder, mut store) = fresh();
    store.import_users([&user("alice"), &user("bob")], &author()).unwrap();
    store.apply(&[bind("alice", 1), bind("alice", 2), bind("bob", 3)]).unwrap();
    let contacts = |store: &Store| -> Vec<u64> {
        store.users_with_contacts("", 10, NOW).unwrap().into_iter().map(|(_, contacts)| contacts).collect()
    };
    assert_eq!(contacts(&store), [2, 1]);
    store.remove_user("alice@example.com", &author()).unwrap();
    assert_eq!(reopened(&store).load_bindings(NOW).unwrap().readable, [binding("bob", 3)]);
}

#[test]
fn a_hundred_thousand_users_are_imported_and_read_page_by_page() {
    let (_folder, mut store) = fresh();
    let ha1 = user("x").ha1;
    let many: Vec<User> = (0..100_000)
        .map(|n| User {
            aor: format!("u{n:06}@example.com"),
            ha1: ha1.clone(),
            algorithms: None,
            site: None,
            number: None,
        })
        .collect();
    assert_eq!(store.import_users(&many, &author()).unwrap(), vec![1; 100_000]);
    assert_eq!(store.count_users().unwrap(), 100_000);
    let page = store.users_after("u049999@example.com", 2).unwrap();
    let names: Vec<_> = page.iter().map(|record| record.user.aor.as_str()).collect();
    assert_eq!(names, ["u050000@example.com", "u050001@example.com"]);
}

#[test]
fn the_newest_plan_holds_and_the_last_of_the_configuration_is_remembered() {
    let (_folder, mut store) = fresh();
    assert_eq!(store.plan().unwrap(), None);
    assert_eq!(store.put_plan("base = \"lync\"", PlanSource::Configuration, &author()).unwrap(), 1);
    assert_eq!(store.put_plan("base = \"teams\"", PlanSource::Admin, &author()).unwrap(), 2);
    let store = reopened(&store);
    let newest = store.plan().unwrap().unwrap();
    assert_eq!(
        (newest.version, newest.toml.as_str(), newest.source),
        (2, "base = \"teams\"", PlanSource::Admin)
    );
    assert_eq!(store.configured_plan().unwrap().unwrap().version, 1);
    assert_eq!(store.plan_version(1).unwrap().unwrap().toml, "base = \"lync\"");
    assert_eq!(store.plan_version(3).unwrap(), None);
    let audit = store.audit(None, 1).unwrap();
    assert_eq!((audit[0].what.as_str(), audit[0].before, audit[0].after), ("plan.put", Some(1), Some(2)));
}

#[test]
fn contacts_on_an_older_plan_are_counted_and_named() {
    let (_folder, mut store) = fresh();
    store.apply(&[bind("alice", 1), bind("bob", 2)]).unwrap();
    assert_eq!(store.outdated(3, NOW, 10).unwrap(), (0, vec![]));
    let (count, named) = store.outdated(4, NOW, 1).unwrap();
    assert_eq!((count, named), (2, vec![("alice@example.com".to_owned(), 3)]));
    assert_eq!(store.outdated(4, binding("bob", 2).expires, 10).unwrap().0, 0);
}

#[test]
fn realm_and_seed_outlive_a_restart() {
    let (_folder, mut store) = fresh();
    assert_eq!((store.realm().unwrap(), store.seed().unwrap()), (None, None));
    store.set_realm("a").unwrap();
    store.set_realm("b").unwrap();
    store.set_seed([7; 32]).unwrap();
    let store = reopened(&store);
    assert_eq!((store.realm().unwrap().as_deref(), store.seed().unwrap()), (Some("b"), Some([7; 32])));
}

#[test]
fn a_number_is_one_users_and_free_again_when_that_user_has_another() {
    let (_folder, mut store) = fresh();
    let with = |name: &str, number: &str| User { number: Number::parse(number), ..user(name) };
    store
        .import_users([&with("alice", "+4930100"), &with("bob", "+4930200"), &user("carol")], &author())
        .unwrap();
    assert_eq!(reopened(&store).user("bob@example.com").unwrap().unwrap().user, with("bob", "+4930200"));
    let taken = store.import_users([&with("dave", "+4930300"), &with("carol", "+4930100")], &author());
    assert_eq!(taken.unwrap_err().to_string(), "+4930100 is the number of alice@example.com already");
    // All of them or none.
    assert_eq!(store.user("dave@example.com").unwrap(), None);
    store.put_user(&with("alice", "+4930101"), &author()).unwrap();
    store.put_user(&with("carol", "+4930100"), &author()).unwrap();
    store.remove_user("bob@example.com", &author()).unwrap();
    store.put_user(&with("alice", "+4930200"), &author()).unwrap();
}

#[test]
fn documents_come_back_with_their_versions_and_go_with_their_user() {
    let (_folder, mut store) = fresh();
    store.put_user(&user("alice"), &author()).unwrap();
    for about in [Document::Roster, Document::CallRules, Document::Role] {
        assert_eq!(store.document(about, "alice@example.com").unwrap(), None);
        assert_eq!(store.put_document(about, "alice@example.com", "{}", &author()).unwrap(), 1);
        assert_eq!(store.put_document(about, "alice@example.com", "{\"a\":1}", &author()).unwrap(), 2);
        let all = reopened(&store).load_documents(about).unwrap();
        let shown: Vec<_> =
            all.iter().map(|one| (one.aor.as_str(), one.document.as_str(), one.version)).collect();
        assert_eq!(shown, [("alice@example.com", "{\"a\":1}", 2)]);
    }
    let audit = store.audit(None, 2).unwrap();
    assert_eq!((audit[0].what.as_str(), audit[0].before, audit[0].after), ("role.put", Some(1), Some(2)));
    store.remove_user("alice@example.com", &author()).unwrap();
    assert_eq!(store.load_documents(Document::Roster).unwrap(), []);
    assert_eq!(store.load_documents(Document::CallRules).unwrap(), []);
    assert_eq!(store.load_documents(Document::Role).unwrap(), []);
}

#[test]
fn users_of_a_directory_come_back_with_their_entries_are_found_and_go_with_them() {
    let (_folder, mut store) = fresh();
    let entry = |name: &str, display: &str, disabled| Entry {
        aor: format!("{name}@example.com"),
        id: format!("id of {name}"),
        dn: format!("uid={name}"),
        name: Some(display.to_owned()),
        disabled,
    };
    let there = [
        named(entry("alice", "Alice Bell", false), None),
        named(entry("bob", "Bob 100% Bauer", false), Number::parse("+4930200")),
        named(entry("carol", "Carol Bauer", true), None),
    ];
    let put = store.put_entries(&there, &author()).unwrap();
    assert_eq!((put.len(), put[2].0.as_ref(), put[2].1.is_disabled()), (3, None, true));
    store.put_user(&user("dave"), &author()).unwrap();
    let again = reopened(&store);
    let new = |name: &str| User { ha1: unproven(), algorithms: None, site: None, ..user(name) };
    let bob = User { number: Number::parse("+4930200"), ..new("bob") };
    assert_eq!(again.load_users().unwrap(), [new("alice"), bob, user("dave")], "carol may not sign in");
    let records = UserReader::open(store.path().unwrap()).unwrap().all().unwrap();
    assert_eq!(records.len(), 4);
    assert_eq!(records[2].entry, Some(entry("carol", "Carol Bauer", true)));
    assert!(records[2].is_disabled() && records[3].entry.is_none());
    let path = store.path().unwrap().to_owned();
    let found = |beginning: &str, limit| -> Vec<String> {
        let rows = UserReader::open(&path).unwrap().search(beginning, limit).unwrap();
        rows.into_iter().map(|listed| listed.aor.split('@').next().unwrap().to_owned()).collect()
    };
    assert_eq!(found("bau", 9), ["bob"], "a word of the name, and nobody who may not sign in");
    assert_eq!(found("+49302", 9), ["bob"]);
    assert_eq!(found("ALI", 9), ["alice"]);
    assert_eq!((found("100%", 9), found("%", 9), found("_", 9)), (vec!["bob".to_owned()], vec![], vec![]));
    assert_eq!(found("' OR 1", 9), Vec::<String>::new());
    store.put_entries(&[named(entry("carol", "Carol Bauer", false), None)], &author()).unwrap();
    assert_eq!(found("bau", 1), ["bob"]);
    assert_eq!(found("bau", 9), ["bob", "carol"]);
    let what: Vec<String> = store.audit(None, 9).unwrap().into_iter().map(|entry| entry.what).collect();
    assert_eq!(what[..2], ["user.enable", "user.put"]);
    assert_eq!(what.iter().filter(|what| *what == "user.disable").count(), 1);
    store.remove_user("bob@example.com", &author()).unwrap();
    store.put_user(&user("bob"), &author()).unwrap();
    assert_eq!(store.user("bob@example.com").unwrap().unwrap().entry, None);
}

fn unproven() -> Ha1 {
    Ha1 { md5: [7; 16], sha256: [7; 32] }
}

fn named(entry: Entry, number: Option<Number>) -> Named {
    Named { entry, number, gone: false, unproven: unproven() }
}

/// What was read before and is written now is older than what others have written in between.
#[test]
fn a_directory_changes_what_it_says_and_nothing_else() {
    let (_folder, mut store) = fresh();
    let aor = "alice@example.com".to_owned();
    let entry = |id: &str| Entry {
        aor: aor.clone(),
        id: id.to_owned(),
        dn: format!("uid={id}"),
        name: None,
        disabled: false,
    };
    store.put_entries(&[named(entry("one"), Number::parse("+4930100"))], &author()).unwrap();
    // A password for phones, a site and a digest, as others set them; then another number by the directory.
    store.put_user(&user("alice"), &author()).unwrap();
    let put = store.put_entries(&[named(entry("one"), Number::parse("+4930200"))], &author()).unwrap();
    let expected = User { number: Number::parse("+4930200"), ..user("alice") };
    assert_eq!(
        (put[0].0.as_ref().map(|record| &record.user), &put[0].1.user),
        (Some(&user("alice")), &expected)
    );
    let gone =
        Named { gone: true, entry: Entry { disabled: true, ..entry("one") }, ..named(entry("one"), None) };
    let put = store.put_entries(std::slice::from_ref(&gone), &author()).unwrap();
    assert_eq!((&put[0].1.user, put[0].1.is_disabled()), (&user("alice"), true));
    // Somebody else with the address has neither the password nor the account of the one before.
    let account = Account { issuer: "https://login".to_owned(), subject: "7".to_owned() };
    store.bind_account(&aor, &account, &author()).unwrap();
    store.put_entries(&[named(entry("one"), None)], &author()).unwrap();
    assert_eq!(store.account(&aor).unwrap().as_ref(), Some(&account));
    let put = store.put_entries(&[named(entry("two"), None)], &author()).unwrap();
    assert_eq!(put[0].1.user, User { ha1: unproven(), ..user("alice") });
    assert_eq!(store.account(&aor).unwrap(), None);
    // Whom an administrator has removed or added in between.
    store.remove_user(&aor, &author()).unwrap();
    assert_eq!(store.put_entries(std::slice::from_ref(&gone), &author()).unwrap(), []);
    assert_eq!(store.user(&aor).unwrap(), None);
    store.put_user(&user("alice"), &author()).unwrap();
    assert_eq!(store.put_entries(&[named(entry("one"), None), gone], &author()).unwrap(), []);
    assert_eq!(store.user(&aor).unwrap().unwrap().entry, None);
}

#[test]
fn an_account_of_a_provider_is_one_user_until_it_is_released() {
    let (_folder, mut store) = fresh();
    store.import_users([&user("alice"), &user("bob")], &author()).unwrap();
    let of = |subject: &str| Account { issuer: "https://login".to_owned(), subject: subject.to_owned() };
    let (alice, bob) = ("alice@example.com", "bob@example.com");
    store.bind_account(alice, &of("7"), &author()).unwrap();
    let mut store = reopened(&store);
    assert_eq!(store.account(alice).unwrap(), Some(of("7")));
    assert_eq!((store.account(bob).unwrap(), store.account_holder(&of("8")).unwrap()), (None, None));
    assert_eq!(store.account_holder(&of("7")).unwrap().as_deref(), Some(alice));
    assert!(
        store.bind_account(alice, &of("8"), &author()).is_err()
            && store.bind_account(bob, &of("7"), &author()).is_err()
    );
    assert!(
        store.release_account(alice, &author()).unwrap() && !store.release_account(alice, &author()).unwrap()
    );
    store.bind_account(bob, &of("7"), &author()).unwrap();
    store.remove_user(bob, &author()).unwrap();
    assert_eq!(store.account_holder(&of("7")).unwrap(), None);
    let what: Vec<String> = store.audit(None, 9).unwrap().into_iter().map(|entry| entry.what).collect();
    assert_eq!(what[..4], ["user.remove", "account.bind", "account.release", "account.bind"]);
}

/// What each version brought, newest first, taken away again: leaves a file as the version before wrote it.
const TAKEN_AWAY: [&str; 6] = [
    "DROP TABLE history; DROP TABLE histories",
    "DROP TABLE accounts",
    "DROP TABLE entries",
    "DROP TABLE roles",
    "DROP TABLE call_rules; DROP INDEX users_number; ALTER TABLE users DROP COLUMN number",
    "DROP TABLE publications; DROP TABLE letters; DROP TABLE rosters",
];

fn version(path: &Path) -> usize {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap() as usize
}

#[test]
fn a_store_of_any_version_before_keeps_all_that_is_in_it() {
    for steps in 1..=TAKEN_AWAY.len() {
        let (folder, mut store) = fresh();
        store.put_user(&user("alice"), &author()).unwrap();
        store.apply(&[bind("alice", 1)]).unwrap();
        let plan = store.put_plan("name = \"old\"", PlanSource::Admin, &author()).unwrap();
        let path = folder.path().join("carillon.db");
        drop(store);
        let newest = version(&path);
        assert_eq!(newest, TAKEN_AWAY.len() + 1, "every version is tried");
        let before = TAKEN_AWAY[..steps].join(";");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(&format!("{before}; PRAGMA user_version = {}", newest - steps)).unwrap();
        drop(connection);

        let mut store = Store::open(&path).unwrap();
        assert_eq!(version(&path), newest);
        assert_eq!(store.load_users().unwrap(), [user("alice")]);
        assert_eq!(store.load_bindings(NOW).unwrap().readable, [binding("alice", 1)]);
        assert_eq!(store.plan_version(plan).unwrap().unwrap().toml, "name = \"old\"");
        let numbered = User { number: Number::parse("+4930100"), ..user("alice") };
        assert_eq!(store.put_user(&numbered, &author()).unwrap(), 2);
        store.put_document(Document::Role, "alice@example.com", "{}", &author()).unwrap();
    }
}
