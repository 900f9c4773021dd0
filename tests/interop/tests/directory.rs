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

const PROGRAMS: &[&str] = &["slapd", "ldapmodify", "ldapsearch", "ldapwhoami", "openssl", "curl", "baresip"];
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
        self.curl_at(0, words)
    }

    /// On this phone's host.
    fn curl_at(&self, phone: usize, words: &[&str]) -> Result<(Value, u16)> {
        let mut command = self.site.phones[phone].command("curl");
        command.args(["-sS", "-4", "-w", "\n%{http_code}", "--cacert"]).arg(&self.server.ca).args(words);
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

    /// What a password of the directory gives on this phone's host.
    fn shows(&self, phone: usize, name: &str, password: &str) -> Result<u16> {
        Ok(self.curl_at(phone, &["--basic", "-u", &format!("{name}:{password}"), &url("/token")])?.1)
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

/// Five wrong passwords in a row lock these two, and dave's password has expired.
const WATCHED: &str = "
dn: cn=lock,dc=example,dc=com
objectClass: organizationalRole
objectClass: pwdPolicy
cn: lock
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 5
pwdFailureCountInterval: 1800

dn: uid=grace,dc=example,dc=com
objectClass: inetOrgPerson
uid: grace
cn: Grace
sn: Hope
mail: grace@carillon.test
userPassword: compiler-59
pwdPolicySubentry: cn=lock,dc=example,dc=com

dn: uid=heidi,dc=example,dc=com
objectClass: inetOrgPerson
uid: heidi
cn: Heidi
sn: Peak
mail: heidi@elsewhere.test
userPassword: mountain-7
pwdPolicySubentry: cn=lock,dc=example,dc=com

dn: uid=dave,dc=example,dc=com
objectClass: inetOrgPerson
objectClass: errAuxObject
uid: dave
cn: Dave
sn: Late
mail: dave@carillon.test
errCode: 49
errOp: bind
errText: 80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 532, v4563
";
const GRACE: &str = "uid=grace,dc=example,dc=com";
const HEIDI: &str = "uid=heidi,dc=example,dc=com";

/// From as many places as they like.
#[test]
fn strangers_who_guess_do_not_have_the_directory_lock_anybody() -> Result<()> {
    if !possible("directory-guesses", PROGRAMS)? {
        return Ok(());
    }
    let (site, work) = (Site::with_phones(&["a", "b", "c", "d"])?, tempfile::tempdir()?);
    let slapd = Slapd::start(&site, work.path(), &(PEOPLE.to_owned() + WATCHED))?;
    let more = settings(&slapd.ca, &format!("{PERSONS}addresses = [\"127.0.0.1:636\"]\n"), work.path())?;
    let server = Carillon::start(&site, &Settings { users: &[], digest: "md5", more: &more }, work.path())?;
    let stage = Stage { site: &site, server, work: work.path() };
    wait_until("users who are there", LIMIT, || Ok(stage.users()?.len() == 5))?;
    // So the directory does by itself: five wrong ones, and the right one is none any more.
    for _ in 0..5 {
        assert!(!slapd.proves(HEIDI, "guess"));
    }
    assert!(!slapd.proves(HEIDI, "mountain-7") && slapd.values(HEIDI, "pwdAccountLockedTime")?.len() == 1);

    assert_eq!(stage.shows(0, "grace", "compiler-59")?, 200);
    let guessed: Vec<u16> = [1, 2, 3, 1, 2, 3]
        .into_iter()
        .map(|phone| stage.shows(phone, "grace", "guess"))
        .collect::<Result<_>>()?;
    assert_eq!(guessed, [401, 401, 401, 429, 429, 429]);
    assert_eq!(slapd.values(GRACE, "pwdFailureTime")?.len(), 3);
    assert_eq!(stage.shows(3, "grace", "compiler-59")?, 429, "from a place that nobody knows");
    assert_eq!(stage.server.status()?["directory"]["withheld"], 1);
    assert!(stage.user(&["show", "grace"])?.contains("wherever the user has not signed in yet"));
    assert_eq!(stage.shows(3, "alice", "wonderland-7")?, 200, "somebody else");
    // Where grace has signed in before the right one is heard, and the directory counts from the beginning, and Carillon.
    assert_eq!(stage.shows(0, "grace", "compiler-59")?, 200);
    assert_eq!(stage.shows(3, "grace", "compiler-59")?, 200);
    for phone in [1, 2, 1, 2, 1, 2] {
        stage.shows(phone, "grace", "guess")?;
    }
    stage.shows(0, "grace", "guess")?;
    assert_eq!(stage.shows(0, "grace", "compiler-59")?, 429, "what is left was used up there");
    assert_eq!(slapd.values(GRACE, "pwdAccountLockedTime")?, Vec::<String>::new());
    assert_eq!(slapd.values(GRACE, "pwdFailureTime")?.len(), 4);
    stage.user(&["unlock", "grace"])?;
    assert_eq!(stage.shows(1, "grace", "compiler-59")?, 200);
    stage.server.assert_unharmed()
}

#[test]
fn who_may_not_sign_in_though_the_password_is_right_has_not_guessed() -> Result<()> {
    if !possible("directory-barred", PROGRAMS)? {
        return Ok(());
    }
    let (site, work) = (Site::with_phones(&["a", "b"])?, tempfile::tempdir()?);
    let slapd = Slapd::start(&site, work.path(), &(PEOPLE.to_owned() + WATCHED))?;
    let more = settings(&slapd.ca, &format!("{PERSONS}addresses = [\"127.0.0.1:636\"]\n"), work.path())?;
    let server = Carillon::start(&site, &Settings { users: &[], digest: "md5", more: &more }, work.path())?;
    let stage = Stage { site: &site, server, work: work.path() };
    wait_until("users who are there", LIMIT, || Ok(stage.users()?.len() == 5))?;
    for _ in 0..9 {
        assert_eq!(stage.shows(0, "dave", "too-old")?, 401, "a stranger learns no more");
    }
    assert!(!stage.user(&["list"])?.contains("locked"));
    assert_eq!(stage.server.metric(&site, "denied_total", "reason=\"barred\"")?, 9);
    let told =
        |audit: Vec<Value>| audit.iter().filter(|entry| entry["what"] == "sign-in.password-expired").count();
    assert_eq!(told(stage.server_audit()?), 1);
    // Where a phone of the user is signed in it is said why.
    let made = stage.user(&["passwd", "dave", "--generate"])?;
    let password = made.lines().find_map(|line| line.strip_prefix("password: ")).ok_or(made.clone())?;
    let phone = Baresip::sign_in(&site.phones[1], &stage.account("dave", password), work.path())?;
    let asked = stage.curl_at(1, &["--basic", "-u", "dave:too-old", &url("/token")])?;
    let text = "the user may not sign in now: its password in the directory has expired";
    assert_eq!(asked, (json!({ "errors": [text] }), 403));
    assert_eq!(stage.shows(0, "dave", "too-old")?, 401);
    drop(phone);
    stage.server.assert_unharmed()
}

/// People of ours, the first of them in an administrators' group by another way to write the name.
fn colleagues(count: usize) -> String {
    let person = |n| {
        format!(
            "\ndn: cn=p{n}+sn=Long\\, p{n},dc=example,dc=com\nobjectClass: inetOrgPerson\ncn: p{n}\nsn: Long, p{n}\nmail: p{n}@carillon.test\n"
        )
    };
    let group = "\ndn: cn=chiefs,dc=example,dc=com\nobjectClass: groupOfNames\ncn: chiefs\n\
                 member: SN=long\\2C  P0+CN=P0,dc=example,dc=com\n";
    (0..count).map(person).collect::<String>() + group
}

#[test]
fn many_who_vanish_at_once_stay_until_somebody_confirms_it() -> Result<()> {
    if !possible("directory-vanish", PROGRAMS)? {
        return Ok(());
    }
    let (site, work) = (Site::with_phones(&["a"])?, tempfile::tempdir()?);
    let slapd = Slapd::start(&site, work.path(), &(PEOPLE.to_owned() + &colleagues(40)))?;
    let chiefs = "administrators = \"cn=chiefs,dc=example,dc=com\"\n";
    let more =
        settings(&slapd.ca, &format!("{PERSONS}{chiefs}addresses = [\"127.0.0.1:636\"]\n"), work.path())?;
    let server = Carillon::start(&site, &Settings { users: &[], digest: "md5", more: &more }, work.path())?;
    let stage = Stage { site: &site, server, work: work.path() };
    let able = || Ok(stage.users()?.iter().filter(|row| row[3] == false).count());
    let able: &dyn Fn() -> Result<usize> = &able;
    wait_until("everybody", LIMIT, || Ok(able()? == 43))?;
    let role = || Ok(stage.user(&["role", "p0"])?.contains("administrator"));
    wait_until("a name that is written in another way", LIMIT, role)?;
    // The filter wants `mail`: these have none any more.
    let without = |from: usize, to: usize| -> String {
        let dn = |n| format!("cn=p{n}+sn=Long\\, p{n},dc=example,dc=com");
        (from..to).map(|n| format!("dn: {}\nchangetype: modify\ndelete: mail\n\n", dn(n))).collect()
    };
    slapd.change("ldapmodify", &without(0, 5))?;
    wait_until("a few who have gone", LIMIT, || Ok(able()? == 38))?;
    slapd.change("ldapmodify", &without(5, 25))?;
    let vanished = || Ok(stage.server.status()?["directory"]["vanished"] == 20);
    wait_until("the doubt", LIMIT, vanished)?;
    let status = stage.server.status()?;
    let error = status["directory"]["error"].as_str().unwrap_or_default();
    assert!(error.contains("20 of 38") && error.contains("confirm-vanished 20"), "{error}");
    assert!(
        status["warnings"].as_array().is_some_and(|all| all.iter().any(|warning| warning == error)),
        "{status}"
    );
    assert_eq!(stage.server.metric(&site, "directory_up", "")?, 0);
    assert_eq!(stage.server.metric(&site, "directory_vanished", "")?, 20);
    // Readings go on, and nobody goes.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(able()?, 38);
    assert!(stage.user(&["confirm-vanished", "19"]).is_err());
    // More than were confirmed may not go either.
    slapd.change("ldapmodify", &without(25, 26))?;
    wait_until("one more", LIMIT, || Ok(stage.server.status()?["directory"]["vanished"] == 21))?;
    assert!(stage.user(&["confirm-vanished", "20"]).is_err());
    stage.user(&["confirm-vanished", "21"])?;
    wait_until("those who have gone", LIMIT, || Ok(able()? == 17))?;
    let well = || Ok(stage.server.status()?["directory"]["error"].is_null());
    wait_until("all well again", LIMIT, well)?;
    assert!(
        stage
            .server_audit()?
            .iter()
            .any(|entry| entry["what"] == "directory.confirm" && entry["object"] == "21")
    );
    stage.server.assert_unharmed()
}
