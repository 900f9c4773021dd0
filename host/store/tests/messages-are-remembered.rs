//! Histories of messages, written and read again by others on the same file: bounded, deleted, and gone with their users.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use carillon_signaling::{Change, HistoryEntry, HistoryReceipt, Receipt};
use carillon_store::{HistoryPage, HistoryQuery, HistorySize, Store, UserReader};
use support::{NOW, author, user};

const ALICE: &str = "alice@example.com";
const HOUR: Duration = Duration::from_secs(3600);

fn fresh() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("carillon.db")).unwrap();
    store.import_users(&["alice", "bob"].map(user), &author()).unwrap();
    (folder, store)
}

/// Message number `number` of alice with bob or carol, an hour after the one before.
fn entry(number: u32, peer: &str) -> HistoryEntry {
    HistoryEntry {
        aor: ALICE.into(),
        peer: format!("{peer}@example.com").into(),
        sent: number % 2 == 0,
        at: NOW + HOUR * number,
        id: format!("m{number}"),
        media_type: "text/plain".to_owned(),
        body: format!("text {number} \u{fc}").into_bytes(),
        most: 100,
    }
}

fn remember(store: &mut Store, entry: HistoryEntry) {
    store.apply(&[Change::Remember(Arc::new(entry))]).unwrap();
}

fn query() -> HistoryQuery {
    HistoryQuery { aor: ALICE.to_owned(), peer: None, since: Duration::ZERO, before: None, limit: 100 }
}

fn page(store: &Store, query: &HistoryQuery) -> HistoryPage {
    UserReader::open(store.path().unwrap()).unwrap().history(query).unwrap()
}

/// The names of messages, which are in their texts.
fn numbers(page: &HistoryPage) -> Vec<u32> {
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
    page.rows.iter().map(|row| text(&row.body).split(' ').nth(1).unwrap().parse().unwrap()).collect()
}

fn filled(store: &mut Store) {
    for number in 0..10 {
        remember(store, entry(number, if number < 4 { "carol" } else { "bob" }));
    }
}

#[test]
fn messages_come_back_in_pages_the_newest_first_and_with_one_other() {
    let (_folder, mut store) = fresh();
    filled(&mut store);
    remember(&mut store, HistoryEntry { aor: "bob@example.com".into(), ..entry(10, "alice") });
    let all = page(&store, &query());
    assert_eq!(numbers(&all), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!((all.version, all.next), (10, None));
    let (row, told) = (&all.rows[1], entry(8, "bob"));
    assert_eq!((row.peer.as_str(), row.sent, row.time), (&*told.peer, true, told.at));
    assert_eq!((row.media_type.as_str(), &row.body), ("text/plain", &told.body));
    assert_eq!((row.delivered, row.displayed), (None, None));
    let first = page(&store, &HistoryQuery { limit: 4, ..query() });
    assert_eq!(numbers(&first), [9, 8, 7, 6]);
    let second = page(&store, &HistoryQuery { limit: 4, before: first.next, ..query() });
    assert_eq!(numbers(&second), [5, 4, 3, 2]);
    let last = page(&store, &HistoryQuery { limit: 4, before: second.next, ..query() });
    assert_eq!((numbers(&last), last.next), (vec![1, 0], None));
    let with = HistoryQuery { peer: Some("carol@example.com".to_owned()), limit: 3, ..query() };
    assert_eq!(numbers(&page(&store, &with)), [3, 2, 1]);
    assert_eq!(numbers(&page(&store, &HistoryQuery { since: NOW + HOUR * 8, ..query() })), [9, 8]);
    assert_eq!(page(&store, &HistoryQuery { aor: "x@y.z".to_owned(), ..query() }), HistoryPage::default());
}

#[test]
fn the_oldest_go_when_there_are_too_many_or_they_are_too_old() {
    let (_folder, mut store) = fresh();
    filled(&mut store);
    remember(&mut store, HistoryEntry { most: 3, ..entry(10, "bob") });
    assert_eq!(numbers(&page(&store, &query())), [10, 9, 8], "fewer fit than before");
    assert_eq!(store.history_size(ALICE).unwrap().messages, 3);
    remember(&mut store, HistoryEntry { aor: "bob@example.com".into(), ..entry(1, "alice") });
    let version = store.history_size(ALICE).unwrap().version;
    let [alice, bob] =
        ["alice", "bob"].map(|name| (format!("{name}@example.com"), Some("Prague".to_owned())));
    assert_eq!(store.history_users("", 1).unwrap(), [alice]);
    assert_eq!(store.history_users(ALICE, 9).unwrap(), [bob]);
    let oldest = [(ALICE.to_owned(), NOW + HOUR * 9), ("bob@example.com".to_owned(), NOW)];
    assert_eq!(store.forget_messages(&oldest).unwrap(), 1);
    assert_eq!(numbers(&page(&store, &query())), [10, 9]);
    assert_eq!(store.history_size(ALICE).unwrap(), HistorySize { version: version + 1, messages: 2 });
    assert_eq!(store.history_size("bob@example.com").unwrap().messages, 1);
    assert_eq!(store.forget_messages(&oldest).unwrap(), 0);
    assert_eq!(store.history_size(ALICE).unwrap().version, version + 1, "nothing was too old");
}

#[test]
fn receipts_are_of_the_message_between_the_two_and_the_first_counts() {
    let (_folder, mut store) = fresh();
    filled(&mut store);
    let receipt = |id: &str, peer: &str, receipt, hours: u32| {
        let (peer, id) = (format!("{peer}@example.com").into(), id.to_owned());
        let at = NOW + HOUR * hours;
        Change::Receipt(Arc::new(HistoryReceipt { aor: ALICE.into(), peer, sent: true, id, receipt, at }))
    };
    let told = |store: &Store, place: usize| {
        let row = page(store, &query()).rows.swap_remove(place);
        (row.delivered, row.displayed)
    };
    // Not of somebody else, not of one that was received, not of one that there is not.
    for change in
        [receipt("m8", "carol", Receipt::Displayed, 20), receipt("m9", "bob", Receipt::Displayed, 20)]
    {
        store.apply(&[change, receipt("m99", "bob", Receipt::Delivered, 20)]).unwrap();
    }
    assert_eq!((told(&store, 0), told(&store, 1)), ((None, None), (None, None)));
    let [once, twice] = [20, 21].map(|hours| receipt("m8", "bob", Receipt::Delivered, hours));
    store.apply(&[once, twice, receipt("m8", "bob", Receipt::Displayed, 22)]).unwrap();
    assert_eq!(told(&store, 1), (Some(NOW + HOUR * 20), Some(NOW + HOUR * 22)));
    assert_eq!(store.history_size(ALICE).unwrap(), HistorySize { version: 12, messages: 10 });
}

#[test]
fn a_history_is_deleted_in_parts_or_as_a_whole_and_goes_with_its_user() {
    let (_folder, mut store) = fresh();
    filled(&mut store);
    assert_eq!(store.delete_history(ALICE, Some("carol@example.com"), &author()).unwrap(), 11);
    assert_eq!(numbers(&page(&store, &query())), [9, 8, 7, 6, 5, 4]);
    assert_eq!(
        store.delete_history(ALICE, Some("carol@example.com"), &author()).unwrap(),
        11,
        "there was none"
    );
    assert_eq!(store.delete_history(ALICE, None, &author()).unwrap(), 12);
    assert_eq!(store.history_size(ALICE).unwrap(), HistorySize { version: 12, messages: 0 });
    let audit = store.audit(None, 9).unwrap();
    let deleted: Vec<_> = audit.iter().filter(|entry| entry.what == "messages.delete").collect();
    assert_eq!(deleted.len(), 2);
    assert_eq!(
        (deleted[0].object.as_str(), deleted[0].before, deleted[0].after),
        (ALICE, Some(11), Some(12))
    );
    remember(&mut store, entry(11, "bob"));
    assert!(page(&store, &query()).rows[0].id > 10, "no id comes twice");
    store.remove_user(ALICE, &author()).unwrap();
    assert_eq!(page(&store, &query()), HistoryPage::default());
    // One that was on its way when its user was removed: whoever has the name next does not read it.
    remember(&mut store, entry(12, "bob"));
    store.put_user(&user("alice"), &author()).unwrap();
    assert_eq!(page(&store, &query()), HistoryPage::default());
}
