//! Relays for signed-in users: what a Front End gives them over HTTPS and by SERVICE opens the Edge to other people's clients,
//! as long as it lasts, and nothing else does. curl, sipp, baresip, Chromium and coturn's client judge.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::perimeter::{Perimeter, Relays, USERS};
use carillon_interop::phones::assert_heard;
use carillon_interop::phones::baresip::Baresip;
use carillon_interop::process::{run, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::scenarios::webrtc::{Peer, hear_through_relays};
use carillon_interop::servers::edge::uclient;
use carillon_interop::sipp::Sipp;
use carillon_interop::site::DOMAIN;
use carillon_interop::tshark;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
/// Long enough to know a voice again.
const TALK: Duration = Duration::from_secs(5);
const EF: u8 = 46;

/// Where alice is outside and bob inside, if these programs are there.
fn perimeter(name: &str, programs: &[&str], edge: &str) -> Result<Option<Perimeter>> {
    let possible = possible(name, &[&["curl", "openssl"], programs].concat())?;
    if possible { Perimeter::new(edge).map(Some) } else { Ok(None) }
}

/// From now on credentials last for so many seconds: the Front End reads its configuration again.
fn credentials_last(at: &Perimeter, seconds: &str) -> Result<()> {
    let config = at.path("front-end.toml");
    let text = fs::read_to_string(&config)?.replace("lifetime = 600", &format!("lifetime = {seconds}"));
    fs::write(&config, text)?;
    run(Command::new("kill").args(["-HUP", &at.front_end.id().to_string()]))?;
    wait_until("a reload", LIMIT, || Ok(at.front_end.printed().contains("configuration reloaded")))
}

/// What the Front End and the Edge have logged must name neither passwords nor credentials.
fn assert_silent(at: &Perimeter, secrets: &[&str]) {
    let logged = at.front_end.printed() + &at.edge.printed();
    for secret in secrets.iter().chain(&["a secret of the test", "sesame", "melon"]) {
        assert!(!logged.contains(secret), "{secret} is in a log:\n{logged}");
    }
}

#[test]
fn curl_gets_what_opens_the_edge_for_its_users_password_and_for_nothing_else() -> Result<()> {
    let name = "edge-credentials-for-curl";
    let more = "relay.allocations-per-user = 2";
    let Some(stage) = perimeter(name, &["turnutils_uclient"], more)? else { return Ok(()) };
    let [alice, bob, ..] = USERS;
    let given = stage.relays(alice, "&class=audio")?;
    let edge = stage.edge.external;
    let expected = [
        format!("turn:{edge}:3479?transport=udp"),
        format!("turn:{edge}:3478?transport=udp"),
        format!("turn:{edge}:443?transport=tcp"),
        format!("turns:{edge}:5349?transport=tcp"),
    ];
    assert_eq!(given.uris, expected);
    assert!(given.name.ends_with(&format!(":alice@{DOMAIN}:audio")), "{}", given.name);
    for (login, query, scheme, status) in [
        (("alice", "wrong"), "?service=turn", "--digest", 401),
        (("nobody", "sesame"), "?service=turn", "--digest", 401),
        // Bob's password, for alice.
        (bob, "?service=turn&username=alice", "--digest", 401),
        // A password in clear is not even looked at.
        (alice, "?service=turn", "--basic", 401),
        (alice, "?service=turn&class=signaling", "--digest", 422),
        (alice, "?service=mail", "--digest", 422),
        (alice, "?service=turn&username=alice", "--digest", 200),
        (alice, &format!("?service=turn&username=alice@{DOMAIN}"), "--digest", 200),
    ] {
        let (found, body) = stage.fetch(login, query, scheme)?;
        assert_eq!(found, status, "{} {query} {scheme}: {body}", login.0);
        assert_eq!(body["password"].is_string(), status == 200, "{body}");
    }
    let credentials = refused_when_expired_foreign_or_too_many(&stage)?;
    assert_silent(&stage, &credentials.iter().map(String::as_str).collect::<Vec<_>>());
    only_pages_of_listed_origins_may_ask(&stage)
}

/// The Edge by coturn's client: what it was shown.
fn refused_when_expired_foreign_or_too_many(stage: &Perimeter) -> Result<Vec<String>> {
    let ([alice, bob, ..], edge) = (USERS, stage.edge.external);
    let client = &stage.network.alice;
    let echo = ["-y", "-m", "1", "-n", "5", "-c"];
    let talks = |(name, password)| uclient(client, edge, (name, password), &echo);
    let (of_alice, of_bob) = (stage.relays(alice, "")?, stage.relays(bob, "")?);
    // Each of them wants three allocations and gets two, whatever the other one holds.
    for given in [&of_alice, &of_bob] {
        let refused = talks(given.login()).err().ok_or("a third allocation of one user")?.to_string();
        assert!(refused.contains("486 (Allocation Quota Reached)"), "{refused}");
    }
    let rows = stage.edge.ports()?;
    let held = |user| {
        let user = format!("{user}@{DOMAIN}");
        rows.iter().filter(|row| row["allocation"]["user"] == user.as_str()).count()
    };
    assert_eq!([held("alice"), held("bob")], [2, 2]);
    let foreign = (of_alice.name.as_str(), of_bob.password.as_str());
    let classed = format!("{}:video", of_bob.name);
    credentials_last(stage, "1")?;
    let of_carol = stage.relays(USERS[2], "")?;
    wait_until_over(&of_carol)?;
    for (why, login) in [
        ("wrong-password", foreign),
        ("wrong-password", (classed.as_str(), of_bob.password.as_str())),
        ("expired-credential", of_carol.login()),
    ] {
        let before = stage.edge.status()?["denied"][why].as_u64().unwrap_or(0);
        let refused = talks(login).err().ok_or(why)?.to_string();
        assert!(refused.contains("Cannot complete Allocation"), "{why}: {refused}");
        assert!(stage.edge.status()?["denied"][why].as_u64() > Some(before), "{why}");
    }
    Ok(vec![of_alice.password, of_bob.password, of_carol.password])
}

/// Until an Edge, which hears once a second what the clock on the wall shows, must take a credential for expired.
fn wait_until_over(given: &Relays) -> Result<()> {
    let end: u64 = given.name.split(':').next().unwrap_or_default().parse()?;
    wait_until("the end of a credential", LIMIT, || {
        Ok(SystemTime::now().duration_since(UNIX_EPOCH)? > Duration::from_secs(end + 2))
    })
}

fn only_pages_of_listed_origins_may_ask(stage: &Perimeter) -> Result<()> {
    let url = format!("https://{}:8443/turn?service=turn", stage.edge.external);
    let ca = stage.path("authority/ca.pem");
    for (origin, allowed) in [("https://pages.carillon.test", true), ("https://evil.test", false)] {
        for method in ["GET", "OPTIONS"] {
            let mut command = stage.network.alice.command("curl");
            command
                .args(["-sS", "-i", "-X", method, "-H", &format!("Origin: {origin}"), "--cacert"])
                .arg(&ca);
            let answer = run(command.arg(&url))?.to_lowercase();
            let told = answer.contains(&format!("access-control-allow-origin: {origin}"));
            assert_eq!(told, allowed, "{method} from {origin}: {answer}");
        }
    }
    Ok(())
}

#[test]
fn baresip_speaks_through_the_relay_with_what_its_user_was_given() -> Result<()> {
    let programs = ["baresip", "sox"];
    let Some(stage) = perimeter("edge-credentials-for-baresip", &programs, "")? else { return Ok(()) };
    let (of_alice, of_bob) =
        (stage.account(USERS[0], stage.edge.external), stage.account(USERS[1], stage.edge.internal));
    let given = stage.relays(USERS[0], "&class=audio")?;
    let relay = given.uris.first().ok_or("no relay")?;
    let relay = (relay.split('?').next().unwrap_or_default(), given.name.as_str(), given.password.as_str());
    fs::create_dir_all(stage.path("bob"))?;
    let capture = Capture::start(&stage.network, &Point::link("bob"), &stage.path("bob"))?;
    let bob = Baresip::sign_in(&stage.network.bob, &of_bob, stage.work())?;
    let mut alice = Baresip::sign_in_behind(&stage.network.alice, &of_alice, relay, stage.work())?;
    alice.call(&of_bob.address())?;
    std::thread::sleep(TALK);
    let held: Vec<Value> = stage.edge.ports()?;
    let held: Vec<_> = held.iter().filter_map(|row| row["allocation"]["user"].as_str()).collect();
    assert!(!held.is_empty() && held.iter().all(|user| *user == format!("alice@{DOMAIN}")), "{held:?}");
    alice.hang_up()?;
    assert_heard("bob", &bob.heard()?, &of_alice)?;
    assert_heard("alice", &alice.heard()?, &of_bob)?;
    assert_silent(&stage, &[&given.password]);
    // Whatever the Edge sent to bob's ports of media is voice.
    let marks = tshark::marks(&capture.stop()?, &[])?;
    let media = marks.iter().filter(|(flow, _)| {
        flow.source.ip() != IpAddr::from(stage.network.bob.v4())
            && (50000..50010).contains(&flow.destination.port())
    });
    let marks: Vec<_> = media.flat_map(|(_, marks)| marks.iter()).collect();
    assert!(marks.iter().map(|(_, count)| **count).sum::<u64>() > 100, "{marks:?}");
    assert!(marks.iter().all(|(mark, _)| **mark == EF), "{marks:?}");
    Ok(())
}

#[test]
fn browsers_hear_each_other_through_relays_that_each_user_was_given() -> Result<()> {
    let Some(stage) = perimeter("edge-credentials-for-browsers", &["chromium"], "")? else {
        return Ok(());
    };
    let start = |host, log: &str| Peer::start("chromium-peer.py", host, &stage.path(log));
    let (mut alice, mut bob) =
        (start(&stage.network.alice, "alice.log")?, start(&stage.network.bob, "bob.log")?);
    let [of_alice, of_bob] = [USERS[0], USERS[1]].map(|user| stage.relays(user, "&class=audio"));
    let (of_alice, of_bob) = (of_alice?, of_bob?);
    // Each of the places by itself: UDP at two ports, TCP and TLS.
    assert_eq!((of_alice.uris.len(), &of_alice.uris), (4, &of_bob.uris));
    for uri in &of_alice.uris {
        let relays = [(uri.as_str(), of_alice.login()), (uri.as_str(), of_bob.login())];
        hear_through_relays([&mut alice, &mut bob], relays).map_err(|error| format!("{uri}: {error}"))?;
    }
    Ok(())
}

#[test]
fn sipp_is_given_by_service_what_opens_the_edge_and_not_for_somebody_else() -> Result<()> {
    let programs = ["sipp", "turnutils_uclient", "base64"];
    let Some(stage) = perimeter("edge-credentials-for-sipp", &programs, "")? else { return Ok(()) };
    let server = SocketAddr::new(stage.edge.external, 5060);
    let sipp = |port| Sipp { host: &stage.network.alice, server, transport: "udp", port, work: stage.work() };
    let log = stage.path("given.log");
    let logged = ["-trace_logs", "-log_file", &log.to_string_lossy()];
    sipp(6001).run("service", &[("alice", "open-sesame", "alice")], 1, &logged)?;
    let line = fs::read_to_string(&log)?;
    let given: Vec<String> = line.split_whitespace().skip(1).map(plain).collect::<Result<_>>()?;
    let [name, password] = &given[..] else { return Err(format!("{line:?}").into()) };
    assert!(name.ends_with(&format!(":alice@{DOMAIN}")), "{name}");
    let echo = ["-y", "-m", "1", "-n", "5", "-c"];
    let outcome = uclient(&stage.network.alice, stage.edge.external, (name, password), &echo)?;
    assert_eq!(outcome.sent, outcome.received, "{}", outcome.printed);
    let other = sipp(6002).run("service", &[("alice", "open-sesame", "bob")], 1, &[]);
    let refused = other.err().ok_or("alice was given what is bob's")?.to_string();
    assert!(refused.contains("403 Not Your Identity"), "{refused}");
    Ok(())
}

/// What a text in base64 says.
fn plain(text: &str) -> Result<String> {
    let mut command = Command::new("sh");
    run(command.args(["-c", "printf %s \"$1\" | base64 -d", "sh", text]))
        .map(|text| text.trim_end().to_owned())
}
