//! Phones that are pages: JsSIP in Chromium signs in at `carillon serve` over a WebSocket, writes, and calls. What the pages hear is
//! compared with what was said; tshark looks at the marks of what the server sent.

use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::phones::web::{ORIGIN, Proof, Web};
use carillon_interop::phones::{Account, assert_heard};
use carillon_interop::process::{run, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::site::{DOMAIN, SWITCH, Site};
use carillon_interop::tshark;

const PROGRAMS: &[&str] = &["chromium", "python3", "esbuild", "curl", "tshark"];
const USERS: &[(&str, &str)] = &[("alice", "wonderland-7"), ("bob", "builder-8")];
const LIMIT: Duration = Duration::from_secs(20);
/// Long enough to know a voice again.
const TALK: Duration = Duration::from_secs(7);
/// The marks of signaling and of the management of the server.
const SIGNALING: u8 = 24;

/// Where pages connect, and from where they may.
fn doors(origin: &str) -> String {
    format!(
        "[[listeners]]\ntransport = \"wss\"\naddress = \"::\"\n[[listeners]]\ntransport = \"ws\"\naddress = \"::\"\n\
         [https]\nlisten = \"[::]:8443\"\norigins = [{origin:?}]\n"
    )
}

fn account(server: &Carillon, user: usize, transport: &'static str) -> Account {
    let (name, password) = USERS[user];
    let mut place = server.address("tls");
    place.set_port(if transport == "wss" { 443 } else { 80 });
    Account {
        user: name.to_owned(),
        password: password.to_owned(),
        server: place,
        transport,
        ca: server.ca.clone(),
        codec: "OPUS/48000/2",
        srtp: false,
        ports: 50000,
        ice: false,
    }
}

/// What curl is given on alice's host for her password.
fn token(site: &Site, server: &Carillon) -> Result<String> {
    let (name, password) = USERS[0];
    let mut command = site.phones[0].command("curl");
    command
        .args(["-sS", "--fail", "--digest", "-u", &format!("{name}:{password}"), "--cacert"])
        .arg(&server.ca);
    command.arg("--resolve").arg(format!("{DOMAIN}:8443:{}", server.address("tls").ip()));
    let printed = run(command.arg(format!("https://{DOMAIN}:8443/token")))?;
    let given: serde_json::Value = serde_json::from_str(&printed)?;
    assert_eq!((given["token_type"].as_str(), given["expires_in"].as_u64()), (Some("Bearer"), Some(3600)));
    Ok(given["access_token"].as_str().ok_or("no token")?.to_owned())
}

#[test]
fn pages_sign_in_write_and_call_each_other_and_the_server_marks_what_it_sends() -> Result<()> {
    if !possible("web-phones", PROGRAMS)? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let site = Site::with_phones(&["a", "b"])?;
    let point = Point { interface: SWITCH.to_owned(), ..Point::link("switch") };
    let capture = Capture::on(&site.switch, &point, work.path())?;
    let settings = Settings { users: USERS, digest: "md5", more: &doors(ORIGIN) };
    let server = Carillon::start(&site, &settings, work.path())?;
    let token = token(&site, &server)?;
    let (alice, bob) = (account(&server, 0, "wss"), account(&server, 1, "ws"));
    let mut page = Web::open(&site.phones[0], &alice, work.path())?;
    let forged = token.replace(&token[..4], "AAAA");
    let refused = page.sign_in(&alice, Proof::Token(&forged))?;
    assert!(refused.contains(" 401 Bearer ") && refused.contains("error=\"invalid_token\""), "{refused}");
    assert_eq!(page.sign_in(&alice, Proof::Token(&token))?, "registered");
    let mut other = Web::open(&site.phones[1], &bob, work.path())?;
    assert_eq!(other.sign_in(&bob, Proof::Password)?, "registered");
    assert_eq!(server.counted("registrations")?, 2);

    assert_eq!(page.write(&bob.address(), "are you there")?, 200);
    assert_eq!(other.messages()?, serde_json::json!(["are you there"]));
    page.call(&bob.address())?;
    std::thread::sleep(TALK);
    other.hang_up()?;
    wait_until("the end of the call", LIMIT, || page.is_over())?;
    assert_heard("alice", &page.heard()?, &bob)?;
    assert_heard("bob", &other.heard()?, &alice)?;

    // Whoever leaves is gone with the connection.
    drop(other);
    wait_until("bob's leaving", LIMIT, || Ok(server.counted("registrations")? == 1))?;
    server.assert_unharmed()?;
    let mut packets = 0;
    for (flow, marks) in tshark::marks(&capture.stop()?, &[])? {
        if flow.tcp
            && site.server.addresses().contains(&flow.source.ip())
            && [80, 443].contains(&flow.source.port())
        {
            assert!(marks.keys().eq([&SIGNALING]), "{flow:?}: {marks:?}");
            packets += marks.values().sum::<u64>();
        }
    }
    assert!(packets > 20, "only {packets} packets of ours in the capture");
    Ok(())
}

#[test]
fn a_page_from_elsewhere_gets_no_connection() -> Result<()> {
    if !possible("web-phones-from-elsewhere", PROGRAMS)? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let site = Site::with_phones(&["a"])?;
    let settings = Settings { users: USERS, digest: "md5", more: &doors("https://pages.carillon.test") };
    let server = Carillon::start(&site, &settings, work.path())?;
    let alice = account(&server, 0, "wss");
    let mut page = Web::open(&site.phones[0], &alice, work.path())?;
    let refused = page.sign_in(&alice, Proof::Password).err().ok_or("a connection")?.to_string();
    assert!(refused.contains("disconnected"), "{refused}");
    wait_until("a refusal", LIMIT, || Ok(server.metric(&site, "transport_total", "upgrade_refused")? > 0))
}
