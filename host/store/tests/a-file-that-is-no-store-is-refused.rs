//! Files of other programs, of a newer Carillon, and damaged ones: each is named, and none is touched.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use std::os::unix::fs::PermissionsExt;

use carillon_store::Store;
use rusqlite::Connection;
use support::{author, user};

fn refused(path: &std::path::Path) -> String {
    let before = std::fs::read(path).unwrap();
    let error = Store::open(path).unwrap_err();
    assert_eq!(std::fs::read(path).unwrap(), before, "a refused file stays as it is");
    error.to_string().replace(path.to_str().unwrap(), "FILE")
}

#[test]
fn a_file_of_another_program_is_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "These are notes and no database, however long they may be.\n".repeat(40)).unwrap();
    let foreign = "`FILE` is no store of Carillon: name another file, or move this one away";
    assert_eq!(refused(&path), foreign);
    let path = folder.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE users (name TEXT)").unwrap();
    assert_eq!(refused(&path), foreign);
}

#[test]
fn a_newer_store_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("carillon.db");
    drop(Store::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(&path).unwrap_err().to_string();
    assert!(error.contains("has tables of version 99, this program knows up to 7"), "{error}");
}

#[test]
fn a_damaged_store_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("carillon.db");
    let mut store = Store::open(&path).unwrap();
    let users: Vec<_> = (0..200).map(|n| user(&format!("u{n}"))).collect();
    store.import_users(&users, &author()).unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    // Everything behind the first page, where SQLite keeps its own records.
    bytes[4096..].fill(0x55);
    std::fs::write(&path, bytes).unwrap();
    let error = Store::open(&path).unwrap_err().to_string();
    assert!(error.contains("is damaged (") && error.contains("restore a copy"), "{error}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let error = Store::open(std::path::Path::new("/nowhere/carillon.db")).unwrap_err();
    assert_eq!(error.to_string(), "cannot open the store `/nowhere/carillon.db`");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("No such file"));
}

#[test]
fn only_the_owner_can_read_what_proves_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("carillon.db");
    let mut store = Store::open(&path).unwrap();
    store.put_user(&user("alice"), &author()).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
