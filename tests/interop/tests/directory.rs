//! Users of a directory: OpenLDAP's slapd names them, its tools change them, and curl and baresip sign in as them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::phones::Account;
use carillon_interop::phones::baresip::Baresip;
use carillon_interop::process::{run, wait_until};
use carillon_interop::scenario::possible;
use carillon_interop::servers::authority::Authority;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::servers::slapd::{BASE, NAME, READER, Slapd};
use carillon_interop::site::{DOMAIN, Site};
use carillon_interop::verdict::program;
use serde_json::{Value, json};

const PROGRAMS: &[&str] = &["slapd", "ldapmodify", "openssl", "curl", "baresip"];
/// Whom an administrator has added; the directory names one of them too.
const USERS: &[(&str, &str)] = &[("carol", "singer-9x")];
const LIMIT: Duration = Duration::from_secs(20);

const PEOPLE: &str = "dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=reader,dc=example,dc=com
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: a-secret-of-the-reader

dn: uid=alice,dc=example,dc=com
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Bell
displayName: Alice Bell
mail: Alice@carillon.test
telephoneNumber: +49 30 1234
userPassword: wonderland-7

dn: cn=bob,dc=example,dc=com
objectClass: user
cn: bob
sn: Bauer
displayName: Bob Bauer
mail: bob@carillon.test
userAccountControl: 512
userPassword: builder-8x

dn: uid=carol,dc=example,dc=com
objectClass: inetOrgPerson
uid: carol
cn: Carol
sn: Singer
mail: carol@carillon.test
userPassword: another-carol

dn: uid=erin,dc=example,dc=com
objectClass: inetOrgPerson
uid: erin
cn: Erin
sn: Elsewhere
mail: erin@elsewhere.test
userPassword: out-of-reach

dn: cn=frank,dc=example,dc=com
objectClass: user
cn: frank
sn: Fern
displayName: Frank Fern
objectCategory: person
objectGUID:: 3q2+7wABAgMEBQYHCAkKCw==
proxyAddresses: SMTP:f.fern@elsewhere.test
proxyAddresses: sip:Frank@carillon.test
msRTCSIP-Line: tel:+493055;ext=55
userAccountControl: 512

dn: cn=admins,dc=example,dc=com
objectClass: groupOfNames
cn: admins
member: UID=Alice,dc=example,dc=com
";

/// People as most directories have them.
const PERSONS: &str = "kind = \"inetorgperson\"\nfilter = \"(&(objectClass=inetOrgPerson)(mail=*))\"\n";

/// A server that follows the directory.
fn settings(ca: &str, more: &str, work: &Path) -> Result<String> {
    let secret = work.join("reader");
    std::fs::write(&secret, READER.1)?;
    Ok(format!(
        "https.listen = \"[::]:8443\"\nhttps.administration = \"on\"\npasswords.attempts = 3\n\
         [directory]\nname = {NAME:?}\nauthorities = [{ca:?}]\nbind = {:?}\nsecret = {secret:?}\nbase = {BASE:?}\n\
         interval = 1\n{more}",
        READER.0
    ))
}

struct Stage<'a> {
    site: &'a Site,
    server: Carillon,
    work: &'a Path,
}

impl Stage<'_> {
    /// `carillon user`, on the server itself.
    fn user(&self, words: &[&str]) -> Result<String> {
        let socket = self.work.join("admin.sock");
        run(Command::new(program()?).arg("user").args(words).arg("--socket").arg(socket))
    }

    /// Whom the server knows: address, number, display name, and whether disabled.
    fn users(&self) -> Result<Vec<Value>> {
        let rows: Vec<Value> = serde_json::from_str(&self.user(&["list", "--json"])?)?;
        let row = |row: &Value| json!([row["name"], row["number"], row["display"], row["disabled"]]);
        Ok(rows.iter().map(row).collect())
    }

    fn wait_for(&self, what: &str, users: &[Value]) -> Result<()> {
        let same = wait_until(what, LIMIT, || Ok(self.users()? == users));
        let found = || self.users().and_then(|users| Ok((users, self.server.status()?["directory"].clone())));
        same.map_err(|error| format!("{error}: {:?}", found()).into())
    }

    fn curl(&self, words: &[&str]) -> Result<(Value, u16)> {
        let mut command = self.site.phones[0].command("curl");
        command.args(["-sS", "-w", "\n%{http_code}", "--cacert"]).arg(&self.server.ca).args(words);
        let said = run(&mut command)?;
        let (body, status) = said.rsplit_once('\n').ok_or("no status")?;
        Ok((serde_json::from_str(body).unwrap_or(Value::Null), status.parse()?))
    }

    /// What signing in with a password gives.
    fn sign_in(&self, scheme: &str, name: &str, password: &str) -> Result<(Value, u16)> {
        self.curl(&[scheme, "-u", &format!("{name}:{password}"), &url("/token")])
    }

    fn status_of(&self, scheme: &str, name: &str, password: &str) -> Result<u16> {
        Ok(self.sign_in(scheme, name, password)?.1)
    }

    fn ask(&self, token: &str, method: &str, path: &str) -> Result<(Value, u16)> {
        self.curl(&["-X", method, "-H", token, &url(&format!("/api{path}"))])
    }

    fn account(&self, user: &str, password: &str) -> Account {
        Account {
            user: user.to_owned(),
            password: password.to_owned(),
            server: self.server.address("udp"),
            transport: "udp",
            ca: self.server.ca.clone(),
            codec: "PCMU/8000/1",
            srtp: false,
            ice: false,
            ports: 50000,
        }
    }
}

fn url(path: &str) -> String {
    format!("https://{DOMAIN}:8443{path}")
}

fn row(name: &str, number: Option<&str>, display: Option<&str>, disabled: bool) -> Value {
    json!([format!("{name}@{DOMAIN}"), number, display, disabled])
}

fn modify(dn: &str, attribute: &str, value: &str) -> String {
    format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n")
}

/// More than the directory gives in one piece, so that it has to be read by pages; nobody of them is a user here.
const CROWD: usize = 1200;

fn crowd() -> String {
    let person = |n| {
        format!(
            "\ndn: uid=p{n},dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: p{n}\ncn: p{n}\nsn: p{n}\nmail: p{n}@elsewhere.test\n"
        )
    };
    (0..CROWD).map(person).collect()
}

const ALICE: &str = "uid=alice,dc=example,dc=com";
const BOB: &str = "cn=bob,dc=example,dc=com";

#[test]
fn users_follow_the_directory_which_judges_their_passwords() -> Result<()> {
    if !possible("directory", PROGRAMS)? {
        return Ok(());
    }
    let (site, work) = (Site::with_phones(&["a", "b"])?, tempfile::tempdir()?);
    let mut slapd = Slapd::start(&site, work.path(), &(PEOPLE.to_owned() + &crowd()))?;
    let group = "administrators = \"cn=admins,dc=example,dc=com\"\naddresses = [\"127.0.0.1:1\", \"127.0.0.1:636\"]\n";
    let more = settings(&slapd.ca, &format!("{PERSONS}{group}"), work.path())?;
    let server = Carillon::start(&site, &Settings { users: USERS, digest: "md5", more: &more }, work.path())?;
    let stage = Stage { site: &site, server, work: work.path() };
    let alice = |number, disabled| row("alice", number, Some("Alice Bell"), disabled);
    let bob = |disabled| row("bob", None, Some("Bob Bauer"), disabled);
    let carol = row("carol", None, None, false);
    stage.wait_for("users who are there", &[alice(Some("+49301234"), false), bob(false), carol.clone()])?;
    let directory = &stage.server.status()?["directory"];
    assert_eq!((&directory["users"], &directory["error"]), (&json!(2), &Value::Null));
    let skipped = json!({ "an administrator has added a user of that address": 1, "no address in a domain of ours": CROWD + 1 });
    assert_eq!(directory["skipped"], skipped);

    passwords_are_judged_by_the_directory(&stage)?;
    let phone_password = phones_have_a_password_of_their_own(&stage)?;

    // What changes there changes here.
    slapd.change("ldapmodify", &modify(ALICE, "telephoneNumber", "+49 30 777"))?;
    stage.wait_for("another number", &[alice(Some("+4930777"), false), bob(false), carol.clone()])?;
    let phone = Baresip::sign_in(&site.phones[1], &stage.account("alice", &phone_password), work.path())?;
    assert_eq!(stage.server.registered()?, ["alice".to_owned()].into());
    let (given, _) = stage.sign_in("--basic", "alice", "wonderland-7")?;
    let token = format!("Authorization: Bearer {}", given["access_token"].as_str().ok_or("no token")?);
    slapd.change("ldapmodify", &modify(ALICE, "pwdAccountLockedTime", "000001010000Z"))?;
    slapd.change("ldapmodify", &modify(BOB, "userAccountControl", "514"))?;
    stage.wait_for("both disabled", &[alice(Some("+4930777"), true), bob(true), carol.clone()])?;
    assert_eq!(stage.server.counted("registrations")?, 0, "a disabled user is signed out");
    assert_eq!(stage.status_of("--digest", "alice", &phone_password)?, 401);
    assert_eq!(stage.status_of("--basic", "bob", "builder-8x")?, 401);
    assert_eq!(stage.ask(&token, "GET", "/users/alice")?.1, 401);
    drop(phone);
    slapd.change("ldapmodify", &modify(BOB, "userAccountControl", "512"))?;
    stage.wait_for("bob is back", &[alice(Some("+4930777"), true), bob(false), carol.clone()])?;

    // Without a directory everybody stays who is known, and nobody can be judged.
    slapd.stop()?;
    let error = || Ok(stage.server.status()?["directory"]["error"].is_string());
    wait_until("the directory counted as lost", LIMIT, error)?;
    assert_eq!(stage.status_of("--basic", "bob", "builder-8x")?, 503);
    assert_eq!(stage.users()?, [alice(Some("+4930777"), true), bob(false), carol]);
    slapd.restart()?;
    wait_until("the directory counted as found", LIMIT, || error().map(|lost| !lost))?;
    assert_eq!(stage.status_of("--basic", "bob", "builder-8x")?, 200);

    let audit = stage.server_audit()?;
    for what in ["user.disable", "user.enable", "role.put"] {
        assert!(
            audit.iter().any(|entry| entry["what"] == what && entry["who"] == "directory"),
            "{what}: {audit:?}"
        );
    }
    stage.server.assert_unharmed()
}

impl Stage<'_> {
    fn server_audit(&self) -> Result<Vec<Value>> {
        let mut command = Command::new("curl");
        command.args(["-sS", "--unix-socket"]).arg(self.work.join("admin.sock"));
        Ok(serde_json::from_str(&run(command.arg("http://carillon/audit?limit=1000"))?)?)
    }
}

fn passwords_are_judged_by_the_directory(stage: &Stage<'_>) -> Result<()> {
    let (given, status) = stage.sign_in("--basic", "alice", "wonderland-7")?;
    assert_eq!((status, given["token_type"].as_str()), (200, Some("Bearer")), "{given}");
    let token = format!("Authorization: Bearer {}", given["access_token"].as_str().ok_or("no token")?);
    assert_eq!(stage.ask(&token, "GET", "/status")?.1, 200, "the group makes alice an administrator");
    let (found, _) = stage.ask(&token, "GET", "/directory?q=bau")?;
    assert_eq!(found, json!([{ "address": format!("bob@{DOMAIN}"), "name": "Bob Bauer", "number": null }]));
    assert_eq!(stage.ask(&token, "GET", "/directory?q=%25%25")?.0, json!([]), "no pattern gets through");
    // No password at all is a yes of many directories, and what is typed is never part of a question.
    for (name, password) in [
        ("alice", ""),
        ("bob", "wrong-one"),
        ("*)(uid=*", "wonderland-7"),
        ("alice)(uid=alice", "wonderland-7"),
        ("uid=alice,dc=example,dc=com", "wonderland-7"),
        // An administrator has added this one: the directory has no say.
        ("carol", "another-carol"),
        ("erin", "out-of-reach"),
    ] {
        assert_eq!(stage.status_of("--basic", name, password)?, 401, "{name}");
    }
    assert_eq!(stage.status_of("--digest", "carol", "singer-9x")?, 200);
    assert_eq!(
        stage.status_of("--digest", "alice", "wonderland-7")?,
        401,
        "nothing here can be proven by Digest"
    );
    // Three wrong ones lock curl's host out, whatever it says then; somebody else is heard.
    for _ in 0..2 {
        stage.status_of("--basic", "bob", "wrong-one")?;
    }
    assert_eq!(stage.status_of("--basic", "bob", "builder-8x")?, 429);
    assert!(stage.user(&["list"])?.contains("locked"));
    let shown = stage.user(&["show", "bob"])?;
    assert!(shown.contains("locked out until") && shown.contains("the directory"), "{shown}");
    stage.user(&["unlock", "bob"])?;
    assert_eq!(stage.status_of("--basic", "bob", "builder-8x")?, 200);
    stage.user(&["unlock", "alice"]).map(drop)
}

/// By Digest, with a password that is made up here.
fn phones_have_a_password_of_their_own(stage: &Stage<'_>) -> Result<String> {
    let (given, _) = stage.sign_in("--basic", "alice", "wonderland-7")?;
    let token = format!("Authorization: Bearer {}", given["access_token"].as_str().ok_or("no token")?);
    let (made, status) = stage.ask(&token, "POST", "/users/alice/device-password")?;
    assert_eq!((status, made["username"].as_str()), (200, Some("alice")), "{made}");
    let password = made["password"].as_str().ok_or("no password")?.to_owned();
    assert_eq!(stage.status_of("--digest", "alice", &password)?, 200);
    assert_eq!(stage.ask(&token, "GET", "/users/alice")?.1, 401, "what was given before is void");
    Ok(password)
}

#[test]
fn a_directory_that_does_not_prove_itself_is_told_nothing() -> Result<()> {
    if !possible("directory-tls", PROGRAMS)? {
        return Ok(());
    }
    let (site, work) = (Site::with_phones(&["a"])?, tempfile::tempdir()?);
    let slapd = Slapd::start(&site, work.path(), PEOPLE)?;
    let other = Authority::new(&work.path().join("other"))?;
    for (number, (ca, more, why)) in [
        (other.file("ca.pem"), "addresses = [\"127.0.0.1:636\"]\n", Some("certificate")),
        (
            other.file("ca.pem"),
            "addresses = [\"127.0.0.1:389\"]\nsecurity = \"start-tls\"\n",
            Some("certificate"),
        ),
        (slapd.ca.clone(), "addresses = [\"127.0.0.1:389\"]\n", Some("127.0.0.1:389")),
        (slapd.ca.clone(), "addresses = [\"127.0.0.1:389\"]\nsecurity = \"start-tls\"\n", None),
    ]
    .into_iter()
    .enumerate()
    {
        let place = work.path().join(number.to_string());
        std::fs::create_dir_all(&place)?;
        let more = settings(&ca, &format!("{PERSONS}{more}"), &place)?;
        let server = Carillon::start(&site, &Settings { users: USERS, digest: "md5", more: &more }, &place)?;
        let told = || -> Result<(u64, String)> {
            let status = server.status()?["directory"].clone();
            let error = status["error"].as_str().unwrap_or_default().to_owned();
            Ok((status["users"].as_u64().unwrap_or(0), error))
        };
        wait_until("what came of it", LIMIT, || told().map(|(users, error)| users > 0 || !error.is_empty()))?;
        let (users, error) = told()?;
        match why {
            Some(why) => assert!(users == 0 && error.contains(why), "{number}: {users} users, {error:?}"),
            None => assert_eq!((users, error.as_str()), (2, ""), "{number}"),
        }
    }
    Ok(())
}

/// By slapd with Active Directory's attributes, which is all of it that is at hand.
#[test]
fn who_is_in_active_directory_is_found_by_what_is_usual_there() -> Result<()> {
    if !possible("directory-kind", PROGRAMS)? {
        return Ok(());
    }
    let (site, work) = (Site::with_phones(&["a"])?, tempfile::tempdir()?);
    let slapd = Slapd::start(&site, work.path(), PEOPLE)?;
    let more = settings(&slapd.ca, "addresses = [\"127.0.0.1:636\"]\n", work.path())?;
    let server = Carillon::start(&site, &Settings { users: &[], digest: "md5", more: &more }, work.path())?;
    let stage = Stage { site: &site, server, work: work.path() };
    stage.wait_for("the one with a line", &[row("frank", Some("+493055"), Some("Frank Fern"), false)])?;
    slapd.change("ldapmodify", &modify("cn=frank,dc=example,dc=com", "userAccountControl", "66050"))?;
    stage.wait_for("disabled", &[row("frank", Some("+493055"), Some("Frank Fern"), true)])
}
