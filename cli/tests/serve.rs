//! `carillon serve` from the outside: phones, signals, reloads, restarts.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use support::carillon;
use support::server::{Phone, Server, free_port};

/// A service on loopback with these further lines; TLS on a port, everything in the folder.
fn config(port: u16, more: &str) -> String {
    format!(
        "domains = [\"localhost\"]\nplan = \"lync-kloud\"\nname = \"localhost\"\nstore = \"carillon.db\"\n{more}\n\
         [tls]\nauthority = \"authority\"\n[admin]\nsocket = \"admin.sock\"\n\
         [[listeners]]\ntransport = \"tls\"\naddress = \"127.0.0.1\"\nport = {port}\n"
    )
}

#[test]
fn a_phone_that_was_answered_200_is_still_signed_in_after_kill_9() {
    let server = Server::dev();
    let phone = Phone::new(server.address("UDP"));
    assert_eq!(phone.register("alice", &server.password("alice")), "SIP/2.0 200 OK");
    assert_eq!(server.status()["registrations"], 1);
    let password = server.password("alice");
    server.signal("-KILL");
    let (status, _, folder) = server.ended();
    assert_eq!(status, None);
    let server = Server::dev_in(folder);
    assert_eq!(server.status()["registrations"], 1);
    assert_eq!(server.password("alice"), password, "the same phone keeps working");
    let list = server.carillon(&["user", "list", "--json"], "").json();
    assert_eq!((&list[0]["name"], &list[0]["contacts"]), (&"alice@localhost".into(), &1.into()));
}

#[test]
fn a_wrong_password_and_a_stranger_are_not_let_in() {
    let server = Server::dev();
    let phone = Phone::new(server.address("UDP"));
    assert!(phone.register("alice", "wrong").starts_with("SIP/2.0 40"));
    assert!(phone.register("mallory", "wrong").starts_with("SIP/2.0 40"));
    assert_eq!(server.status()["registrations"], 0);
}

#[test]
fn the_welcome_says_what_to_type_and_that_plain_sip_stays_on_this_machine() {
    let server = Server::dev();
    for part in [
        "sip:alice@localhost  alice",
        "For TLS the phone must trust",
        "ca.pem",
        "UDP and TCP are open on this machine only",
        "localhost:",
    ] {
        assert!(server.welcome.contains(part), "{part}: {}", server.welcome);
    }
    assert!(server.welcome.contains(&server.password("bob")));
    let status = server.status();
    let listeners = status["listeners"].as_array().unwrap();
    assert!(listeners.iter().all(|l| l["address"].as_str().unwrap().starts_with(['1', '['])));
    let marked = |l: &serde_json::Value| l["v4"] == 24 && (l["v6"] == 24 || l["v6"].is_null());
    assert!(listeners.len() >= 3 && listeners.iter().all(marked), "{listeners:?}");
}

#[test]
fn an_administrator_adds_a_user_and_the_phone_signs_in_at_once() {
    let server = Server::dev();
    assert_eq!(server.carillon(&["user", "add", "carol"], "open-sesame\n").out(), "carol added\n");
    let phone = Phone::new(server.address("UDP"));
    assert_eq!(phone.register("carol", "open-sesame"), "SIP/2.0 200 OK");
    let again = server.carillon(&["user", "add", "carol"], "another-sesame\n");
    assert_eq!(again.status(), 2);
    assert!(again.err().contains("there is a user `carol` already"), "{}", again.err());
    assert_eq!(server.carillon(&["user", "passwd", "carol"], "another-sesame\n").status(), 0);
    let phone = Phone::new(server.address("UDP"));
    assert!(phone.register("carol", "open-sesame").starts_with("SIP/2.0 40"));
    assert_eq!(server.carillon(&["user", "remove", "carol", "dave"], "").status(), 1);
    assert_eq!(server.status()["registrations"], 0);
}

#[test]
fn users_of_a_server_that_does_not_run_are_there_when_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carillon.toml");
    let text = config(free_port(), "");
    std::fs::write(&file, &text).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let added = support::carillon_with(&["user", "add", "alice", "--config", &file], b"open-sesame\n");
    assert_eq!(added.status(), 0, "{}", added.err());
    let made_up = carillon(&["user", "add", "bob", "--generate", "--config", &file]);
    assert!(made_up.out().contains("password: "), "{}", made_up.out());
    let server = Server::with(folder, &text);
    assert_eq!(server.status()["users"], 2);
    let audit = server.http("GET /audit", "");
    assert!(audit.contains(", beside the server\"") && audit.contains("bob@localhost"), "{audit}");
}

#[test]
fn a_taken_port_names_the_address_the_port_and_the_process() {
    let first = Server::dev();
    let taken = first.address("TLS");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carillon.toml");
    std::fs::write(&file, config(taken.port(), "")).unwrap();
    let refused = carillon(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(refused.status(), 2);
    let expected = format!(
        "error: cannot serve: can't open {taken} (TLS): the port is held by carillon (process {}, bound to {taken}); \
         stop it, or choose another port\n",
        first.pid()
    );
    assert_eq!(refused.err(), expected);
}

#[test]
fn a_reload_with_a_mistake_changes_nothing_and_a_good_one_does() {
    let (port, other) = (free_port(), free_port());
    let server = Server::with(tempfile::tempdir().unwrap(), &config(port, ""));
    let before = server.status();
    let file = server.path("carillon.toml");
    std::fs::write(&file, config(port, "naem = 1").replace("lync-kloud", "teams")).unwrap();
    let refused = server.http("POST /reload", "");
    assert!(refused.starts_with("HTTP/1.1 422 "), "{refused}");
    assert!(refused.contains("line 5: naem: unknown key; did you mean `name`?"), "{refused}");
    assert_eq!(
        (&server.status()["listeners"], &server.status()["plan"]),
        (&before["listeners"], &before["plan"])
    );
    let tcp = format!("[[listeners]]\ntransport = \"tcp\"\naddress = \"127.0.0.1\"\nport = {other}\n");
    std::fs::write(&file, config(port, "").replace("lync-kloud", "cisco") + &tcp).unwrap();
    server.signal("-HUP");
    let after = server.until("two listeners", |status| status["listeners"].as_array().unwrap().len() == 2);
    assert_eq!((&after["plan"]["name"], &after["plan"]["version"]), (&"cisco".into(), &2.into()));
    let planned = |l: &serde_json::Value| l["v4"] == l["planned"];
    assert!(after["listeners"].as_array().unwrap().iter().all(planned), "{after}");
    // One listener goes, and a port that is taken takes the other back.
    let held = Server::dev();
    let both = config(port, "") + &tcp.replace(&other.to_string(), &held.address("TCP").port().to_string());
    std::fs::write(&file, both).unwrap();
    let refused = server.http("POST /reload", "");
    assert!(refused.contains("the port is held by carillon"), "{refused}");
    assert_eq!(server.status()["listeners"], after["listeners"]);
    server.signal("-TERM");
    let (_, log, _) = server.ended();
    assert!(log.contains("line 5: naem: unknown key") && log.contains("the old one stays in force"), "{log}");
}

#[test]
fn sigterm_ends_the_service_in_good_order() {
    let server = Server::with(tempfile::tempdir().unwrap(), &config(free_port(), ""));
    server.signal("-TERM");
    let (status, log, folder) = server.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
    assert!(!folder.path().join("admin.sock").exists());
}

#[test]
fn nobody_is_named_in_a_log_that_is_not_for_debugging() {
    let server = Server::dev();
    let phone = Phone::new(server.address("UDP"));
    phone.register("alice", &server.password("alice"));
    phone.register("mallory", "wrong");
    server.carillon(&["user", "add", "carol"], "open-sesame\n");
    server.carillon(&["user", "remove", "carol"], "");
    let secrets = [server.password("alice"), "open-sesame".to_owned()];
    server.signal("-TERM");
    let (_, log, _) = server.ended();
    assert!(log.contains("stopping"), "{log}");
    for name in
        ["alice", "mallory", "carol", "127.0.0.1"].into_iter().chain(secrets.iter().map(String::as_str))
    {
        assert!(!log.contains(name), "{name}: {log}");
    }
}

#[test]
fn another_realm_is_refused_while_there_are_users() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carillon.toml");
    std::fs::write(&file, config(free_port(), "")).unwrap();
    let path = file.to_str().unwrap().to_owned();
    support::carillon_with(&["user", "add", "alice", "--config", &path], b"open-sesame\n");
    std::fs::write(&file, config(free_port(), "realm = \"elsewhere\"")).unwrap();
    let refused = carillon(&["serve", "--config", &path]);
    assert_eq!(refused.status(), 2);
    let expected = "the passwords of 1 users are hashed for the realm `localhost`, and the configuration says `elsewhere`";
    assert!(refused.err().contains(expected), "{}", refused.err());
}

#[test]
fn while_nothing_can_be_saved_no_phone_hears_a_200() {
    let server = Server::dev();
    let store = rusqlite::Connection::open(server.path("carillon.db")).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON bindings BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    store.execute_batch(full).unwrap();
    let (address, password) = (server.address("UDP"), server.password("alice"));
    let registering = std::thread::spawn(move || Phone::new(address).register("alice", &password));
    let mut health = String::new();
    while !health.starts_with("HTTP/1.1 503 ") {
        assert!(!registering.is_finished(), "the phone was answered");
        health = server.http("GET /health", "");
    }
    assert!(
        health
            .ends_with("\"trouble\":\"cannot save changes: disk full: Error code 1811: constraint failed\"}"),
        "{health}"
    );
    assert!(!registering.is_finished());
    store.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(registering.join().unwrap(), "SIP/2.0 200 OK");
    assert_eq!(server.status()["registrations"], 1);
    assert!(server.http("GET /health", "").starts_with("HTTP/1.1 200 "));
}
