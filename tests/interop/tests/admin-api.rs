//! The admin API over HTTPS: what each role may, by curl; and all of what its document promises, by Schemathesis.

use std::process::Command;

use carillon_interop::Result;
use carillon_interop::process::{Process, run};
use carillon_interop::scenario::possible;
use carillon_interop::servers::api::{Api, HTTPS, url};
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::site::{DOMAIN, Site};
use carillon_interop::verdict::program;
use serde_json::{Value, json};

const USERS: &[(&str, &str)] = &[("alice", "wonderland-7"), ("bob", "builder-8"), ("root", "gardener-9")];

/// A server, and somebody who asks it from another host.
struct Stage {
    site: Site,
    server: Carillon,
    work: tempfile::TempDir,
}

impl Stage {
    fn set(tools: &[&str]) -> Result<Option<Stage>> {
        if !possible("admin-api", tools)? {
            return Ok(None);
        }
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["a"])?;
        let server =
            Carillon::start(&site, &Settings { users: USERS, digest: "md5", more: HTTPS }, work.path())?;
        let stage = Stage { site, server, work };
        for (name, role) in [("bob", "help-desk"), ("root", "administrator")] {
            let said = stage.user(&["role", name, role])?;
            assert!(said.contains(role), "{said}");
        }
        Ok(Some(stage))
    }

    /// `carillon user`, on the server itself.
    fn user(&self, words: &[&str]) -> Result<String> {
        let socket = self.work.path().join("admin.sock");
        run(Command::new(program()?).arg("user").args(words).arg("--socket").arg(socket))
    }

    /// From another host.
    fn api(&self) -> Api<'_> {
        Api { host: &self.site.phones[0], server: &self.server }
    }

    fn token(&self, user: usize) -> Result<String> {
        self.api().token(USERS[user])
    }

    fn ask(&self, token: &str, method: &str, path: &str, body: &str) -> Result<(Value, u16)> {
        self.api().ask(token, method, path, body)
    }
}

#[test]
fn each_role_may_what_is_its_own_and_what_is_refused_stands_in_the_audit() -> Result<()> {
    let Some(stage) = Stage::set(&["curl"])? else { return Ok(()) };
    let [alice, bob, root] = [stage.token(0)?, stage.token(1)?, stage.token(2)?];
    let password = |word: &str| json!({ "password": word }).to_string();
    let status = |token: &str, method: &str, path: &str, body: &str| -> Result<u16> {
        Ok(stage.ask(token, method, path, body)?.1)
    };
    // A user: its own, and nothing else.
    assert_eq!(status(&alice, "GET", "/users/alice", "")?, 200);
    assert_eq!(status(&alice, "PUT", "/users/alice/call-rules", "{\"always\":\"bob@carillon.test\"}")?, 200);
    let rules = stage.ask(&alice, "GET", "/users/alice/call-rules", "")?;
    assert_eq!(rules, (json!({ "always": "bob@carillon.test" }), 200));
    assert_eq!(status(&alice, "GET", "/users/bob", "")?, 403);
    assert_eq!(status(&alice, "GET", "/status", "")?, 403);
    assert_eq!(status(&alice, "PUT", "/users/alice/role", "{\"role\":\"administrator\"}")?, 403);
    let (said, refused) = stage.ask(&alice, "PUT", "/plan", "\"enabled = false\"")?;
    assert_eq!(refused, 403);
    assert_eq!(said["errors"][0], "it takes the role `administrator`; you have `user`");
    // The help desk: sees all, sets passwords of users, and of nobody who may do more.
    assert_eq!(status(&bob, "GET", "/users", "")?, 200);
    assert_eq!(status(&bob, "PUT", "/users/root", &password("taken-over-1"))?, 403);
    assert_eq!(status(&bob, "PUT", "/users/alice", &password("new-wonders-1"))?, 200);
    assert_eq!(status(&alice, "GET", "/users/alice", "")?, 401, "the token ended with the old password");
    assert_eq!(status(&bob, "DELETE", "/users/alice", "")?, 403);
    // The administrator.
    assert_eq!(status(&root, "PUT", "/users/alice/role", "{\"role\":\"help-desk\"}")?, 200);
    assert_eq!(status(&bob, "PUT", "/users/alice", &password("and-again-2"))?, 403);
    assert_eq!(status(&root, "DELETE", "/users/alice", "")?, 204);
    // Nobody, and somebody who was.
    assert_eq!(stage.api().curl(&[&url("/api/status")])?.1, 401);
    assert_eq!(status("Authorization: Bearer AAAA", "GET", "/status", "")?, 401);
    stage.user(&["role", "root", "user"])?;
    assert_eq!(status(&root, "GET", "/status", "")?, 403);
    let (audit, _) = stage.ask(&bob, "GET", "/audit?limit=1000", "")?;
    let rows = audit.as_array().ok_or("no rows")?.iter();
    let refused: Vec<_> =
        rows.filter(|row| row["what"] == "refused").map(|row| (&row["who"], &row["object"])).collect();
    let by = |who: &str, what: &str| (json!(format!("{who}@{DOMAIN}")), json!(what));
    let expected = [
        by("root", "GET /status"),
        by("bob", "PUT /users/alice"),
        by("bob", "DELETE /users/alice"),
        by("bob", "PUT /users/root"),
        by("alice", "PUT /plan"),
        by("alice", "PUT /users/alice/role"),
        by("alice", "GET /status"),
        by("alice", "GET /users/bob"),
    ];
    assert!(refused.into_iter().eq(expected.iter().map(|(who, what)| (who, what))), "{audit}");
    stage.server.assert_unharmed()
}

/// What a check of Schemathesis may be answered that sends what the document forbids; it does not know 412.
const EXPECTED: &str = "[checks.negative_data_rejection]\n\
    expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429, \"5xx\"]\n";
/// By these the administrator in whose name it asks may be removed, or be none any more.
const DANGEROUS: [&str; 4] = ["put-user", "remove-user", "put-role", "import-users"];

#[test]
fn schemathesis_finds_nothing_that_the_document_does_not_promise() -> Result<()> {
    let Some(stage) = Stage::set(&["curl", "schemathesis"])? else { return Ok(()) };
    std::fs::write(stage.work.path().join("expected.toml"), EXPECTED)?;
    let token = stage.token(2)?;
    for option in ["--exclude-operation-id", "--include-operation-id"] {
        let mut command = stage.site.phones[0].command("schemathesis");
        command.args(["--config-file", "expected.toml", "--no-color", "run", &url("/api/openapi.json")]);
        command.args(["-H", &token, "--tls-verify"]).arg(&stage.server.ca);
        command.args(DANGEROUS.iter().flat_map(|operation| [option, *operation]));
        // What a schema can't say, as whether there is a site of that name, is answered 422. The door takes 50 requests in a second.
        command.args([
            "--checks",
            "all",
            "--exclude-checks",
            "positive_data_acceptance",
            "--rate-limit",
            "40/s",
        ]);
        command.args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "10",
            "--seed",
            "1",
            "--no-shrink",
        ]);
        command.current_dir(stage.work.path());
        let mut process = Process::start(&mut command, &stage.work.path().join("schemathesis.log"))?;
        let ended = process.wait_for_success(std::time::Duration::from_secs(180));
        ended.map_err(|error| format!("{error}: {}", process.printed()))?;
    }
    stage.server.assert_unharmed()
}
