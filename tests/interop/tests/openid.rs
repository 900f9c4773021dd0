//! Signing in by an OpenID provider: oidc-provider is the provider, curl the browser.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::phones::web::packages;
use carillon_interop::process::{Process, run};
use carillon_interop::recording::asset;
use carillon_interop::scenario::possible;
use carillon_interop::servers::authority::Authority;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::site::{DOMAIN, Site};
use carillon_interop::verdict::program;
use serde_json::Value;

const USERS: &[(&str, &str)] = &[("alice", "wonderland-7")];
const LOGIN: &str = "login.carillon.test";
const PAGE: &str = "https://phone.carillon.test/app?x=1";
const LIMIT: Duration = Duration::from_secs(20);
/// Redirects and forms of one sign-in at most.
const STEPS: usize = 20;

struct Stage {
    site: Site,
    server: Carillon,
    provider: Process,
    work: tempfile::TempDir,
}

impl Stage {
    fn set(name: &str, more: &str) -> Result<Option<Stage>> {
        if !possible(name, &["node", "esbuild", "openssl", "curl"])? {
            return Ok(None);
        }
        let (site, work) = (Site::with_phones(&["a"])?, tempfile::tempdir()?);
        let authority = Authority::new(&work.path().join("login"))?;
        authority.issue(LOGIN)?;
        // A module of node looks for others around itself.
        fs::copy(asset("openid-provider.mjs"), work.path().join("provider.mjs"))?;
        symlink(packages()?, work.path().join("node_modules"))?;
        let provider = provider(&site, work.path())?;
        let secret = work.path().join("client-secret");
        fs::write(&secret, "a-secret-of-carillon\n")?;
        let more = format!(
            "https.listen = \"[::]:8443\"\nhttps.administration = \"on\"\nhttps.origins = [\"https://phone.carillon.test\"]\n\
             [openid]\nclient = \"carillon\"\nsecret = {secret:?}\nauthorities = {:?}\n{more}",
            authority.file("ca.pem")
        );
        let server =
            Carillon::start(&site, &Settings { users: USERS, digest: "md5", more: &more }, work.path())?;
        Ok(Some(Stage { site, server, provider, work }))
    }

    /// What the browser of this name is answered: status, where it is sent next, and the body.
    fn get(&self, browser: &str, url: &str, fields: &[&str]) -> Result<(u16, String, String)> {
        let jar = self.work.path().join(browser);
        let mut command = self.site.phones[0].command("curl");
        command.args(["-sS", "-w", "\n%{http_code} %{redirect_url}", "--cacert"]);
        command.arg(self.trusted()?).arg("-b").arg(&jar).arg("-c").arg(&jar);
        command.args(fields.iter().flat_map(|field| ["--data-urlencode", field]));
        let said = run(command.arg(url))?;
        let (body, last) = said.rsplit_once('\n').ok_or("no status")?;
        let (status, next) = last.split_once(' ').ok_or("no status")?;
        Ok((status.parse()?, next.to_owned(), body.to_owned()))
    }

    /// Whom the browser trusts: both.
    fn trusted(&self) -> Result<std::path::PathBuf> {
        let both = self.work.path().join("both.pem");
        fs::write(
            &both,
            fs::read_to_string(&self.server.ca)?
                + &fs::read_to_string(self.work.path().join("login/ca.pem"))?,
        )?;
        Ok(both)
    }

    /// Signs in as somebody; where the browser comes back with the code, and where it is sent then.
    fn sign_in(&self, browser: &str, name: &str) -> Result<(String, String)> {
        let (status, mut next, body) = self.get(browser, &begin(PAGE), &[])?;
        assert_eq!(status, 303, "{body}");
        let mut back = String::new();
        for _ in 0..STEPS {
            if next.starts_with("https://phone.carillon.test/") {
                return Ok((back, next));
            }
            let here = next.clone();
            if here.contains("/openid/return") {
                back.clone_from(&here);
            }
            let (status, there, body) = self.get(browser, &here, &[])?;
            next = there;
            if status == 200 {
                let login = ["prompt=login".to_owned(), format!("login={name}"), "password=any".to_owned()];
                let consent = ["prompt=consent".to_owned()];
                let fields = if body.contains("name=\"login\"") { &login[..] } else { &consent[..] };
                let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                (_, next, _) = self.get(browser, &here, &fields)?;
            }
            if next.is_empty() {
                return Err(format!(
                    "{here} leads nowhere: {status} {body}; the server printed {:?}",
                    self.printed()
                )
                .into());
            }
        }
        Err("it goes round and round".into())
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.work.path().join("carillon.log")).unwrap_or_default()
    }
}

fn provider(site: &Site, work: &Path) -> Result<Process> {
    let mut command = site.server.command("node");
    let file = |name: &str| work.join("login").join(name);
    command.arg(work.join("provider.mjs")).args([&site.server.v4().to_string(), "9443"]);
    command.arg(file(&format!("{LOGIN}.key"))).arg(file(&format!("{LOGIN}.pem")));
    command.arg(format!("https://{DOMAIN}:8443/openid/return"));
    let mut process = Process::start(&mut command, &work.join("provider.log"))?;
    process.wait_for("listening", LIMIT)?;
    Ok(process)
}

fn begin(page: &str) -> String {
    let page = page.replace(':', "%3A").replace('/', "%2F").replace('?', "%3F").replace('=', "%3D");
    format!("https://{DOMAIN}:8443/openid/begin?state=of-the-page&page={page}")
}

fn field<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, fragment) = url.split_once('#')?;
    fragment
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

#[test]
fn who_is_a_user_comes_back_with_a_token_and_nobody_else_does() -> Result<()> {
    let issuer = format!("issuer = \"https://{LOGIN}:9443\"\nclaim = \"preferred_username\"\n");
    let Some(mut stage) = Stage::set("openid", &issuer)? else { return Ok(()) };
    let (back, page) = stage.sign_in("one", "alice")?;
    assert!(page.starts_with(&format!("{PAGE}#")), "{page}");
    assert_eq!(field(&page, "state"), Some("of-the-page"), "{page}");
    let token = field(&page, "access_token").ok_or(page.clone())?;
    let mut command = stage.site.phones[0].command("curl");
    command.args(["-sS", "--cacert"]).arg(stage.trusted()?);
    command.args([
        "-H",
        &format!("Authorization: Bearer {token}"),
        &format!("https://{DOMAIN}:8443/api/users/alice"),
    ]);
    let own: Value = serde_json::from_str(&run(&mut command)?)?;
    assert_eq!(own["name"], format!("alice@{DOMAIN}"));

    // The same code again; the same in another browser; a page of somebody else.
    assert_eq!(stage.get("one", &back, &[])?.0, 403);
    assert_eq!(stage.get("two", &back, &[])?.0, 403);
    for page in ["https://phone.carillon.test.evil.test/", "https://evil.test/", "javascript:alert(1)", ""] {
        assert!([403, 422].contains(&stage.get("two", &begin(page), &[])?.0), "{page}");
    }
    // Somebody whom the provider knows, and who is no user here.
    let (_, page) = stage.sign_in("two", "mallory")?;
    assert_eq!(
        (field(&page, "error"), field(&page, "access_token")),
        (Some("access_denied"), None),
        "{page}"
    );
    // What begins in one browser does not end in another: somebody would be signed in as the attacker.
    let (_, next, _) = stage.get("three", &begin(PAGE), &[])?;
    let state = next.split("state=").nth(1).and_then(|rest| rest.split('&').next()).ok_or("no state")?;
    let forged = format!("https://{DOMAIN}:8443/openid/return?code=x&state={state}");
    assert_eq!(stage.get("two", &forged, &[])?.0, 403);
    let (status, page, _) = stage.get("three", &forged, &[])?;
    assert_eq!((status, field(&page, "error")), (303, Some("access_denied")), "a code that is none: {page}");

    one_account_is_one_user(&stage)?;

    // The provider has another key from now on.
    stage.provider.terminate(LIMIT)?;
    stage.provider = provider(&stage.site, stage.work.path())?;
    std::thread::sleep(Duration::from_secs(11));
    let (_, page) = stage.sign_in("four", "alice")?;
    assert!(field(&page, "access_token").is_some(), "{page}: {}", stage.printed());
    let logged = stage.printed();
    for secret in ["alice", "a-secret-of-carillon", token] {
        assert!(!logged.contains(secret), "{secret} is in the log");
    }
    stage.server.assert_unharmed()
}

#[test]
fn who_is_vouched_for_becomes_a_user_where_that_is_wanted() -> Result<()> {
    let more = format!("issuer = \"https://{LOGIN}:9443\"\nclaim = \"email\"\ncreate = \"on\"\n");
    let Some(stage) = Stage::set("openid-create", &more)? else { return Ok(()) };
    let (_, page) = stage.sign_in("one", "newcomer")?;
    assert!(field(&page, "access_token").is_some(), "{page}: {}", stage.printed());
    assert_eq!(stage.server.counted("users")?, 2);
    let (_, page) = stage.sign_in("one", "newcomer")?;
    assert!(field(&page, "access_token").is_some(), "{page}");
    // The same account by another name makes no other user.
    let (_, page) = stage.sign_in("two", "newcomer~other")?;
    assert_eq!(
        (field(&page, "error"), field(&page, "access_token")),
        (Some("access_denied"), None),
        "{page}"
    );
    assert!(page.contains("this%20account%20of%20the%20provider%20is%20another%20user"), "{page}");
    assert_eq!(stage.server.counted("users")?, 2);
    Ok(())
}

/// An address that goes to another person, or a claim that people can change.
fn one_account_is_one_user(stage: &Stage) -> Result<()> {
    let (_, page) = stage.sign_in("five", "alice+2")?;
    assert_eq!(
        (field(&page, "error"), field(&page, "access_token")),
        (Some("access_denied"), None),
        "{page}"
    );
    let description = field(&page, "error_description").unwrap_or_default();
    assert!(description.starts_with("this%20user%20signs%20in%20by%20another%20account"), "{page}");
    let socket = stage.work.path().join("admin.sock");
    let user =
        |words: &[&str]| run(Command::new(program()?).arg("user").args(words).arg("--socket").arg(&socket));
    assert!(user(&["show", "alice"])?.contains("id of alice at https://"));
    let (_, page) = stage.sign_in("six", "alice")?;
    assert!(field(&page, "access_token").is_some(), "{page}");
    // An administrator knows better.
    user(&["release-account", "alice"])?;
    let (_, page) = stage.sign_in("seven", "alice+2")?;
    assert!(field(&page, "access_token").is_some(), "{page}");
    let (_, page) = stage.sign_in("eight", "alice")?;
    assert_eq!(field(&page, "error"), Some("access_denied"), "{page}");
    user(&["release-account", "alice"])?;
    assert!(user(&["release-account", "alice"]).is_err(), "there is none to release");
    Ok(())
}

#[test]
fn a_provider_that_calls_itself_otherwise_is_not_believed() -> Result<()> {
    let Some(stage) = Stage::set("openid-issuer", &format!("issuer = \"https://{LOGIN}:9443/\"\n"))? else {
        return Ok(());
    };
    assert_eq!(stage.get("one", &begin(PAGE), &[])?.0, 503);
    assert!(stage.printed().contains("calls itself"), "{}", stage.printed());
    Ok(())
}
