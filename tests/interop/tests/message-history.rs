//! Messages between linphone and baresip, read again by curl: each once, by its user alone, over a crash.

use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::phones::{Account, baresip::Baresip, linphone::Linphone};
use carillon_interop::process::wait_until;
use carillon_interop::scenario::possible;
use carillon_interop::servers::api::{Api, HTTPS};
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::site::{DOMAIN, Site};
use serde_json::{Value, json};

const USERS: &[(&str, &str)] =
    &[("alice", "wonderland-7"), ("bob", "builder-8"), ("carol", "singer-9"), ("root", "gardener-1")];
/// Of everybody but carol.
const HISTORY: &str = "[[history]]\ndays = 7\nmessages = 100\n\
    [[history]]\nusers = [\"carol@carillon.test\"]\nkeep = \"off\"\n";
const LIMIT: Duration = Duration::from_secs(20);

struct Stage {
    work: tempfile::TempDir,
    site: Site,
    server: Carillon,
}

impl Stage {
    fn set(programs: &[&str], hosts: &[&str]) -> Result<Option<Stage>> {
        if !possible("message-history", programs)? {
            return Ok(None);
        }
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(hosts)?;
        let settings = Settings { users: USERS, digest: "md5", more: &format!("{HTTPS}{HISTORY}") };
        let server = Carillon::start(&site, &settings, work.path())?;
        Ok(Some(Stage { work, site, server }))
    }

    fn account(&self, user: usize) -> Account {
        let (name, password) = USERS[user];
        Account {
            user: name.to_owned(),
            password: password.to_owned(),
            server: self.server.address("tcp"),
            transport: "tcp",
            ca: self.server.ca.clone(),
            codec: "PCMU/8000/1",
            srtp: false,
            ports: 50000,
            ice: false,
        }
    }

    fn api(&self) -> Api<'_> {
        Api { host: &self.site.phones[0], server: &self.server }
    }

    /// A user asks for messages, its own or others'.
    fn asks(&self, user: usize, method: &str, path: &str) -> Result<(Value, u16)> {
        let api = self.api();
        api.ask(&api.token(USERS[user])?, method, path, "")
    }

    /// What a user reads: direction, peer and text, the newest first.
    fn reads(&self, user: usize, query: &str) -> Result<Vec<(String, String, String)>> {
        let rows = self.messages(user, query)?;
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let peer = |row: &Value| text(row, "peer").trim_end_matches(&format!("@{DOMAIN}")).to_owned();
        Ok(rows.iter().map(|row| (text(row, "direction"), peer(row), text(row, "body"))).collect())
    }

    fn messages(&self, user: usize, query: &str) -> Result<Vec<Value>> {
        let path = format!("/users/{}/messages{query}", USERS[user].0);
        match self.asks(user, "GET", &path)? {
            (page, 200) => Ok(page["messages"].as_array().ok_or("no messages")?.clone()),
            (said, status) => Err(format!("{path}: {status}: {said}").into()),
        }
    }
}

fn row(direction: &str, peer: &str, text: &str) -> (String, String, String) {
    (direction.to_owned(), peer.to_owned(), text.to_owned())
}

#[test]
fn each_of_two_reads_what_was_said_once_though_two_phones_have_it_and_the_server_died() -> Result<()> {
    let Some(mut stage) = Stage::set(&["linphonec", "baresip", "curl"], &["a", "b", "c"])? else {
        return Ok(());
    };
    let [alice, bob] = [0, 1].map(|user| stage.account(user));
    let (phones, work) = (&stage.site.phones, stage.work.path());
    let mut linphone = Linphone::sign_in(&phones[0], &alice, work)?;
    let mut baresip = Baresip::sign_in_writing(&phones[1], &bob, &alice.address(), work)?;
    let second = work.join("second");
    std::fs::create_dir(&second)?;
    let mut other = Baresip::sign_in(&phones[2], &bob, &second)?;
    // Both phones of bob have it.
    linphone.say(&format!("chat {} are you there", bob.address()))?;
    baresip.process.wait_for("are you there", LIMIT)?;
    other.process.wait_for("are you there", LIMIT)?;
    baresip.say("/message here I am")?;
    linphone.process.wait_for("here I am", LIMIT)?;
    let alices = [row("received", "bob", "here I am"), row("sent", "bob", "are you there")];
    wait_until("the answer", LIMIT, || Ok(stage.reads(0, "")? == alices))?;
    assert_eq!(
        stage.reads(1, "")?,
        [row("sent", "alice", "here I am"), row("received", "alice", "are you there")]
    );

    // Of what waits the sender knows at once; the crash takes nothing away, and the delivery adds nothing. Carol keeps nothing.
    linphone.say(&format!("chat sip:carol@{DOMAIN} call me"))?;
    let waiting = |stage: &Stage| stage.server.metric(&stage.site, "messages_waiting", "");
    wait_until("a message that waits", LIMIT, || Ok(waiting(&stage)? == 1))?;
    stage.server.kill()?;
    stage.server.restart(&stage.site)?;
    let carol = stage.account(2);
    let mut third = Baresip::sign_in(&stage.site.phones[2], &carol, stage.work.path())?;
    third.process.wait_for("call me", LIMIT)?;
    wait_until("the message to be delivered", LIMIT, || Ok(waiting(&stage)? == 0))?;
    assert_eq!(stage.reads(0, "")?, [&[row("sent", "carol", "call me")], &alices[..]].concat());
    assert_eq!(stage.reads(2, "")?, []);
    let page = stage.asks(0, "GET", "/users/alice/messages?limit=1")?.0;
    let next = format!("?limit=1&before={}", page["next"]);
    assert_eq!(stage.reads(0, &next)?, alices[..1]);
    assert_eq!(stage.reads(0, "?with=carol%40carillon.test")?, [row("sent", "carol", "call me")]);
    stage.server.assert_unharmed()
}

/// linphone packs its receipts (`Content-Encoding: deflate`) and its messages (CPIM).
#[test]
fn what_linphone_has_got_and_shown_is_marked_and_its_receipts_are_no_messages() -> Result<()> {
    let Some(stage) = Stage::set(&["linphonec", "curl"], &["a", "b"])? else { return Ok(()) };
    let [alice, bob] = [0, 1].map(|user| stage.account(user));
    let (phones, work) = (&stage.site.phones, stage.work.path());
    let mut first = Linphone::sign_in_with_receipts(&phones[0], &alice, work)?;
    let mut second = Linphone::sign_in_with_receipts(&phones[1], &bob, work)?;
    first.say(&format!("chat {} with a receipt", bob.address()))?;
    second.process.wait_for("with a receipt", LIMIT)?;
    let at_both = |key: &str| -> Result<bool> {
        let [one, other] = [stage.messages(0, "")?, stage.messages(1, "")?];
        Ok(one.iter().chain(&other).filter(|row| row[key].is_number()).count() == 2)
    };
    wait_until("the receipt", LIMIT, || at_both("delivered"))?;
    let rows = stage.messages(0, "")?;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["body"], &rows[0]["base64"]), (&json!("with a receipt"), &json!(false)));
    assert!(rows[0]["content_type"].as_str().is_some_and(|kind| kind.starts_with("text/plain")), "{rows:?}");
    assert_eq!(stage.reads(1, "")?, [row("received", "alice", "with a receipt")]);
    stage.server.assert_unharmed()
}

#[test]
fn nobody_else_reads_it_and_what_administrators_delete_stands_in_the_audit() -> Result<()> {
    let Some(stage) = Stage::set(&["linphonec", "curl"], &["a"])? else { return Ok(()) };
    stage.server.user(&["role", "root", "administrator"])?;
    let mut linphone = Linphone::sign_in(&stage.site.phones[0], &stage.account(0), stage.work.path())?;
    let count = |user: usize, name: &str| -> Result<Value> {
        Ok(stage.asks(user, "GET", &format!("/users/{name}/messages/count"))?.0["messages"].clone())
    };
    for (number, text) in ["one", "two"].into_iter().enumerate() {
        linphone.say(&format!("chat sip:bob@{DOMAIN} {text}"))?;
        wait_until("the message", LIMIT, || Ok(count(0, "alice")? == json!(number + 1)))?;
    }
    // Neither another user, nor an administrator, nor whoever is root on the machine.
    let path = "/users/alice/messages";
    assert_eq!(stage.asks(1, "GET", path)?.1, 403);
    assert_eq!(stage.asks(1, "DELETE", path)?.1, 403);
    assert_eq!(stage.asks(1, "GET", "/users/alice/messages/count")?.1, 403);
    assert_eq!(stage.asks(3, "GET", path)?.1, 403);
    let socket = stage.work.path().join("admin.sock");
    let mut local = std::process::Command::new("curl");
    local.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket"]).arg(socket);
    let status = carillon_interop::process::run(local.arg(format!("http://carillon{path}")))?;
    assert_eq!(status, "403");
    assert_eq!(count(3, "alice")?, json!(2));
    let kept = stage.asks(2, "GET", "/users/carol/messages/count")?.0;
    assert_eq!(kept, json!({ "messages": 0, "most": null, "days": null }));
    // The user its own; the administrator everybody's.
    assert_eq!(stage.asks(0, "DELETE", "/users/alice/messages?with=carol%40carillon.test")?.1, 204);
    assert_eq!(stage.reads(0, "")?.len(), 2, "there were none with carol");
    assert_eq!(stage.asks(3, "DELETE", "/users/bob/messages")?.1, 204);
    assert_eq!((count(3, "bob")?, count(3, "alice")?), (json!(0), json!(2)));
    assert_eq!(stage.asks(0, "DELETE", path)?.1, 204);
    assert_eq!(count(0, "alice")?, json!(0));
    let audit = stage.asks(3, "GET", "/audit?limit=100")?.0;
    let of =
        |row: &Value| ["who", "what", "object"].map(|key| row[key].as_str().unwrap_or_default().to_owned());
    let rows: Vec<_> = audit.as_array().ok_or("no rows")?.iter().map(of).collect();
    let line = |who: &str, what: &str, object: &str| [who, what, object].map(str::to_owned);
    let (alice, bob, root) = ("alice@carillon.test", "bob@carillon.test", "root@carillon.test");
    for expected in [
        line(root, "messages.delete", bob),
        line(alice, "messages.delete", alice),
        line(root, "refused", "GET /users/alice@carillon.test/messages"),
        line(bob, "refused", "GET /users/alice/messages"),
        line(bob, "refused", "DELETE /users/alice/messages"),
    ] {
        assert_eq!(rows.iter().filter(|row| **row == expected).count(), 1, "{expected:?} in {rows:?}");
    }
    stage.server.assert_unharmed()
}
