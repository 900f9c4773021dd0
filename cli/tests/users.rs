//! `carillon user import`, `check-config`, and the admin API underneath.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use support::server::Server;
use support::{Folder, carillon};

#[test]
fn an_import_with_wrong_rows_names_them_all_and_imports_nothing() {
    let server = Server::dev();
    let folder = Folder::new("import");
    let csv = "name,password,site\ncarol,open-sesame,\nda ve,x,\nerin,,\nfrank,x-marks-it,Prag\ngrace@elsewhere.com,x,\ncarol,y,\nheidi,x\nivan,sesame,\njudy,Password1,\n";
    let file = folder.file("users.csv", csv);
    let refused = server.carillon(&["user", "import", &file], "");
    assert_eq!(refused.status(), 1);
    let expected = "\
line 3: `da ve` is no user name: up to 64 letters, digits, and . - _ +
line 4: the password has 0 bytes; 1 to 256 are allowed
line 5: site `Prag` is not in the plan: it has no sites
";
    assert!(refused.out().starts_with(expected), "{}", refused.out());
    assert!(refused.out().contains("line 6: `elsewhere.com` is not served here; domains are localhost"));
    assert!(
        refused.out().contains("line 7: `carol` stands in line 2 already\nline 8: has 2 fields, not 3\n")
    );
    assert!(refused.out().contains(
        "line 9: the password has 6 characters; it takes 8\nline 10: the password is one of those"
    ));
    assert!(refused.out().ends_with("8 rows are wrong; nothing was imported (--skip-bad leaves them out)\n"));
    assert_eq!(server.status()["users"], 2);
    let imported = server.carillon(&["user", "import", &file, "--skip-bad"], "");
    assert!(
        imported.out().ends_with("8 rows are wrong and left out\n1 user added, 0 changed\n"),
        "{}",
        imported.out()
    );
    assert_eq!(server.status()["users"], 3);
}

#[test]
fn a_hundred_thousand_users_are_imported_into_a_running_server() {
    let server = Server::dev();
    let rows: String = (0..100_000).map(|n| format!("u{n:06},passcode-{n}\n")).collect();
    let imported = server.carillon(&["user", "import", "-"], &format!("name,password\n{rows}"));
    assert_eq!(imported.out(), "100,000 users added, 0 changed\n", "{}", imported.err());
    assert_eq!(server.status()["users"], 100_002);
    let list = server.carillon(&["user", "list", "--json"], "").json();
    assert_eq!(list.as_array().unwrap().len(), 100_002);
}

#[test]
fn an_import_that_is_interrupted_says_what_is_stored_and_can_be_repeated() {
    let server = Server::dev();
    let store = rusqlite::Connection::open(server.path("carillon.db")).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON users WHEN new.aor = 'u2500@localhost'
                BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    store.execute_batch(full).unwrap();
    let rows: String = (0..5000).map(|n| format!("u{n},passcode-{n}\n")).collect();
    let file = format!("name,password\n{rows}");
    let interrupted = server.carillon(&["user", "import", "-"], &file);
    assert_eq!((interrupted.status(), interrupted.out().as_str()), (2, ""));
    let stored = "at least 2000 of 5,000 users are stored, those before line 2002";
    assert!(
        interrupted.err().contains("disk full") && interrupted.err().contains(stored),
        "{}",
        interrupted.err()
    );
    assert_eq!(server.status()["users"], 2002);
    store.execute_batch("DROP TRIGGER full").unwrap();
    let again = server.carillon(&["user", "import", "-"], &file);
    assert_eq!(again.out(), "3,000 users added, 2000 changed\n");
}

#[test]
fn a_plan_is_replaced_only_by_who_has_seen_it() {
    let server = Server::dev();
    let shown = server.http("GET /plan", "");
    assert!(shown.contains("etag: \"1\"") && shown.contains("name = \"lync-kloud\""), "{shown}");
    let toml = carillon(&["plan", "show", "cisco", "--toml"]).out();
    let blind = server.http("PUT /plan", &toml);
    assert!(blind.starts_with("HTTP/1.1 428 "), "{blind}");
    let put = server.http("PUT /plan\nIf-Match: \"1\"", &toml);
    assert!(put.starts_with("HTTP/1.1 200 ") && put.ends_with("{\"version\":2}"), "{put}");
    let late = server.http("PUT /plan\nIf-Match: \"1\"", &toml);
    assert!(late.starts_with("HTTP/1.1 412 ") && late.contains("etag: \"2\""), "{late}");
    let wrong = server.http("PUT /plan\nIf-Match: \"2\"", "base = \"cisko\"\nx = 1\n");
    assert!(
        wrong.starts_with("HTTP/1.1 422 ")
            && wrong.contains("line 1: ")
            && wrong.contains("line 2: x: unknown key")
    );
    let status = server.status();
    assert_eq!((&status["plan"]["name"], &status["plan"]["version"]), (&"cisco".into(), &2.into()));
    assert!(status["listeners"].as_array().unwrap().iter().all(|l| l["v4"] == l["planned"]), "{status}");
    let versions = server.http("GET /plan/versions", "");
    assert!(
        versions.contains("\"source\":\"admin\",") && versions.contains("\"source\":\"configuration\","),
        "{versions}"
    );
    assert!(server.http("GET /plan/versions/1", "").contains("lync-kloud"));
    let audit = server.http("GET /audit?limit=1", "");
    assert!(
        audit.contains("\"what\":\"plan.put\"")
            && audit.contains("\"before\":1")
            && audit.contains("\"who\":\"uid ")
    );
}

#[test]
fn a_user_is_changed_only_by_who_has_seen_it() {
    let server = Server::dev();
    let put =
        |head: &str| server.http(head, "{\"password\":\"open-sesame\"}").lines().next().unwrap().to_owned();
    let json = "\nContent-Type: application/json";
    assert_eq!(put(&format!("PUT /users/carol{json}\nIf-None-Match: *")), "HTTP/1.1 201 Created");
    assert_eq!(put(&format!("PUT /users/carol{json}\nIf-None-Match: *")), "HTTP/1.1 412 Precondition Failed");
    assert_eq!(put(&format!("PUT /users/carol{json}\nIf-Match: \"1\"")), "HTTP/1.1 200 OK");
    assert_eq!(put(&format!("PUT /users/carol{json}\nIf-Match: \"1\"")), "HTTP/1.1 412 Precondition Failed");
    assert_eq!(put(&format!("PUT /users/dave{json}\nIf-Match: \"1\"")), "HTTP/1.1 404 Not Found");
    let shown = server.http("GET /users/carol", "");
    assert!(shown.contains("etag: \"2\"") && !shown.contains("sesame"), "{shown}");
    let removed = server.http("DELETE /users/carol", "");
    assert!(removed.starts_with("HTTP/1.1 204 "), "{removed}");
    assert!(server.http("DELETE /users/carol", "").starts_with("HTTP/1.1 404 "));
    let audit = server.http("GET /audit", "");
    assert_eq!(audit.matches("\"object\":\"carol@localhost\"").count(), 3, "{audit}");
}

#[test]
fn a_password_never_stands_in_the_audit_or_in_the_store() {
    let server = Server::dev();
    server.carillon(&["user", "add", "carol"], "sesame-open\n");
    assert!(!server.http("GET /audit", "").contains("sesame"));
    for file in ["carillon.db", "carillon.db-wal"] {
        let bytes = std::fs::read(server.path(file)).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"sesame"), "{file}");
    }
}

#[test]
fn without_a_server_the_socket_is_named() {
    let asked = carillon(&["status", "--socket", "/nowhere/admin.sock"]);
    assert_eq!(asked.status(), 2);
    assert!(asked.err().contains("no server answers at `/nowhere/admin.sock`"), "{}", asked.err());
}

#[test]
fn a_configuration_is_checked_without_being_served() {
    let folder = Folder::new("check-config");
    let sample = carillon(&["check-config", "--sample"]);
    let good = folder.file("good.toml", sample.out());
    let checked = carillon(&["check-config", &good]);
    assert_eq!(checked.status(), 0, "{}", checked.out());
    let bad = folder.file("bad.toml", "domains = [\"a\"]\nplan = \"lync\"\nnaem = 1\n");
    let checked = carillon(&["check-config", &bad]);
    let expected = format!(
        "{bad}: line 1: name: is missing; for example name = \"sip.example.com\"\n\
         {bad}: line 3: naem: unknown key; did you mean `name`?\n2 mistakes\n"
    );
    assert_eq!((checked.status(), checked.out()), (1, expected.clone()));
    let json = carillon(&["check-config", &bad, "--json"]).json();
    assert_eq!((&json["valid"], &json["mistakes"][1]["line"]), (&false.into(), &3.into()));
    let refused = carillon(&["serve", "--config", &bad]);
    assert_eq!(refused.status(), 2);
    assert!(refused.err().contains("line 3: naem: unknown key"), "{}", refused.err());
}

#[test]
fn a_number_and_call_rules_are_set_shown_and_refused_with_the_reason() {
    let server = Server::dev();
    let numbered = server.carillon(&["user", "number", "alice", "+49 30 1234"], "");
    assert_eq!(numbered.status(), 0, "{}", numbered.err());
    let list = server.carillon(&["user", "list", "--json"], "").json();
    let number = |name: &str| {
        let row = list.as_array().unwrap().iter().find(|row| row["name"] == format!("{name}@localhost"));
        row.unwrap()["number"].clone()
    };
    assert_eq!((number("alice"), number("bob")), ("+49301234".into(), serde_json::Value::Null));
    let taken = server.carillon(&["user", "number", "bob", "+49301234"], "");
    assert_eq!(taken.status(), 2);
    assert!(taken.err().contains("+49301234 is the number of alice@localhost already"), "{}", taken.err());
    let wrong = server.carillon(&["user", "number", "bob", "0301234"], "");
    assert!(wrong.err().contains("`0301234` is no number: + and up to 15 digits"), "{}", wrong.err());

    let rules = r#"{"busy":"bob@localhost","no-answer":"voicemail","after":15}"#;
    let set = server.carillon(&["user", "rules", "alice", "--set", "-"], rules);
    assert_eq!(set.out(), "alice has these call rules\n", "{}", set.err());
    let shown = server.carillon(&["user", "rules", "alice"], "").out();
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert!(words.join(" ").contains("refused bob@localhost nobody answers for 15 s voicemail"), "{shown}");
    let refused = server.carillon(&["user", "rules", "alice", "--set", "-"], r#"{"busy":"0301234"}"#);
    assert!(refused.err().contains("busy: `0301234` is neither an address"), "{}", refused.err());
    let kept = server.carillon(&["user", "rules", "alice", "--json"], "").json();
    assert_eq!(kept["busy"], "bob@localhost");
    let none = server.carillon(&["user", "rules", "bob"], "").out();
    assert_eq!(none, "calls go to the user's phones, and nowhere else\n");
}

#[test]
fn a_user_is_shown_and_unlocked_and_that_stands_in_the_audit() {
    let server = Server::dev();
    let shown = server.carillon(&["user", "show", "alice"], "").out();
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert!(
        words.join(" ").contains("address alice@localhost from this server phones signed in 0"),
        "{shown}"
    );
    let json = server.carillon(&["user", "show", "alice", "--json"], "").json();
    assert_eq!((&json["user"]["name"], &json["locks"]), (&"alice@localhost".into(), &serde_json::json!([])));
    assert_eq!(server.carillon(&["user", "show", "nobody"], "").status(), 2);
    assert_eq!(server.carillon(&["user", "unlock", "alice"], "").out(), "alice unlocked\n");
    assert_eq!(server.carillon(&["user", "unlock", "nobody"], "").status(), 2);
    let audit = server.http("GET /audit?limit=1", "");
    assert!(audit.contains("\"what\":\"user.unlock\"") && audit.contains("alice@localhost"), "{audit}");
}

#[test]
fn what_is_dialled_is_explained_by_the_rules_of_the_configuration() {
    let folder = Folder::new("dialled");
    let rules = "[[dialling]]\nsite = \"Berlin\"\ndialled = \"^0([1-9][0-9]+)$\"\nnumber = \"+49$1\"\n";
    let text =
        format!("domains = [\"example.com\"]\nplan = \"lync-kloud\"\nname = \"sip.example.com\"\n{rules}");
    let file = folder.file("carillon.toml", &text);
    let explain = |dialled: &str, site: &str| {
        carillon(&["explain", "number", dialled, "--site", site, "--config", &file])
    };
    let meant = explain("030 1234", "Berlin");
    assert_eq!((meant.status(), meant.out().as_str()), (0, "030 1234 is +49301234  by [[dialling]] 1\n"));
    let none = explain("0301234", "London");
    let said = "0301234 is no number: no rule for dialled numbers fits\n";
    assert_eq!((none.status(), none.out().as_str()), (1, said));
    let number = explain("+49301234", "London");
    assert_eq!(number.out(), "+49301234 is +49301234  as it is\n");
}
