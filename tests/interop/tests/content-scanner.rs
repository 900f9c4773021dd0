//! A content scanner in the way of web conferences: sslsplit opens the TLS of the Web Conferencing Edge and shows certificates of its
//! own. `carillon edge probe` names it; openssl agrees.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::network::{Host, Network};
use carillon_interop::process::{Process, run, wait_until};
use carillon_interop::scenario::possible;
use carillon_interop::servers::authority::Authority;
use carillon_interop::servers::edge::{Edge, probe};
use serde_json::Value;

const PLAN: &str = "base = \"lync-kloud\"\n[edge]\nmark-internal = true\n";
const EDGE: &str = "edge.carillon.test";
const LIMIT: Duration = Duration::from_secs(20);
/// Where the scanner waits for what is led to it.
const SCANNER: &str = "10443";

/// The Web Conferencing Edge and the Replica, with certificates of the authority on both sides.
fn start(network: &Network, authority: &Authority, work: &Path) -> Result<Edge> {
    let [certificate, key, ca] =
        [&format!("{EDGE}.pem"), &format!("{EDGE}.key"), "ca.pem"].map(|name| authority.file(name));
    let more = format!(
        "internal-tls.certificate = \"{certificate}\"\ninternal-tls.key = \"{key}\"\ninternal-tls.trusted = [\"{ca}\"]\n\
         web-conferencing.inside = [\"10.20.2.20:8057\"]\nweb-conferencing.name = \"pool.carillon.test\"\n\
         access.domains = [\"carillon.test\"]\naccess.next-hop = \"fe.carillon.test\"\naccess.servers = [\"10.20.2.20:5061\"]\n"
    );
    let edge = Edge::start(network, PLAN, &more, work)?;
    fs::copy(certificate, work.join("cert.pem"))?;
    fs::copy(key, work.join("key.pem"))?;
    edge.change_plan(PLAN)?;
    Ok(edge)
}

/// Somebody inside who takes what the Edge brings: were there nobody, the Edge would hang up, and the scanner with it, at times before
/// it has shown its certificate.
fn conference(host: &Host, work: &Path) -> Result<Process> {
    let listens = "import socket,time\ns=socket.create_server(('10.20.2.20',8057))\ntime.sleep(600)";
    let mut command = host.command("python3");
    let process = Process::start(command.args(["-c", listens]), &work.join("conference.log"))?;
    let there = |line: &str| line.contains(":8057 ");
    wait_until("somebody inside", LIMIT, || Ok(host.run("ss", &["-Hlnt"])?.lines().any(there)))?;
    Ok(process)
}

/// sslsplit, and the rule that leads conferences to it.
fn scanner(host: &Host, work: &Path) -> Result<Process> {
    let words =
        "req -x509 -newkey rsa:2048 -nodes -keyout scanner.key -out scanner.pem -days 2 -subj /CN=scanner";
    run(Command::new("openssl").args(words.split(' ')).current_dir(work))?;
    let [key, certificate] =
        ["scanner.key", "scanner.pem"].map(|name| work.join(name).to_string_lossy().into_owned());
    let mut command = host.command("sslsplit");
    command.args(["-u", "root", "-k", &key, "-c", &certificate, "ssl", "0.0.0.0", SCANNER]);
    let process = Process::start(&mut command, &work.join("sslsplit.log"))?;
    let waits = |line: &str| line.contains(&format!(":{SCANNER} "));
    wait_until("a scanner", LIMIT, || Ok(host.run("ss", &["-Hlnt"])?.lines().any(waits)))?;
    for words in [
        "add table ip scanner",
        "add chain ip scanner in { type nat hook prerouting priority -100; }",
        &format!("add rule ip scanner in tcp dport 444 redirect to :{SCANNER}"),
    ] {
        host.run("nft", &[words])?;
    }
    Ok(process)
}

/// What is said of a port.
fn row(said: &Value, port: u64) -> Result<&Value> {
    let rows = said["listeners"].as_array().ok_or("no listeners")?;
    rows.iter().find(|row| row["port"] == port).ok_or_else(|| format!("no {port}: {said:#}").into())
}

#[test]
fn a_scanner_that_opens_conferences_is_named_by_whom_it_has_its_certificate_from() -> Result<()> {
    if !possible("content-scanner", &["sslsplit", "openssl", "nft", "ss"])? {
        return Ok(());
    }
    let (work, network) = (tempfile::tempdir()?, Network::with_relay()?);
    let authority = Authority::new(&work.path().join("authority"))?;
    authority.issue(EDGE)?;
    let edge = start(&network, &authority, work.path())?;
    let _conference = conference(&network.bob, work.path())?;
    let (place, ca) = (edge.external.to_string(), authority.file("ca.pem"));
    let knock = |more: &[&str]| {
        let only = ["--only", "web-conferencing,access", "--name", EDGE];
        probe(&network.alice, &[&[place.as_str()], &only[..], more].concat())
    };
    let believes = || {
        let to = format!("{place}:444");
        let words =
            ["s_client", "-connect", &to, "-servername", EDGE, "-verify_return_error", "-CAfile", &ca];
        network.alice.run("openssl", &words).is_ok()
    };
    wait_until("certificates of the authority", LIMIT, || Ok(believes()))?;
    let (status, said) = knock(&["--trusted", &ca])?;
    assert_eq!(status, Some(0), "{said:#}");
    let own = row(&said, 444)?["certificate"].clone();
    assert_eq!(own["issuer"], "CN=authority", "{said:#}");

    let relay = network.relay.as_ref().ok_or("no relay")?;
    let scanner = scanner(relay, work.path())?;
    assert!(!believes(), "openssl believes the scanner");
    let (status, said) = knock(&["--trusted", &ca])?;
    assert_eq!(status, Some(1), "{said:#}; it printed:\n{}", scanner.printed());
    let found = row(&said, 444)?;
    let text = found["text"].as_str().unwrap_or_default();
    assert!(text.contains("CN=scanner made") && text.contains("content scanner"), "{found:#}");
    assert!(found["fix"].as_str().is_some_and(|fix| fix.contains("tcp 444")), "{found:#}");
    assert!(found["breaks"].as_str().is_some_and(|what| !what.is_empty()), "{found:#}");
    // The name on it is right, and so is the Access Edge's, which nobody opens.
    assert_eq!(found["certificate"]["names"], own["names"]);
    assert_eq!(row(&said, 5061)?["certificate"]["issuer"], "CN=authority", "{said:#}");
    // Without the authority the two places can be compared.
    let (_, said) = knock(&[])?;
    assert_eq!(row(&said, 444)?["certificate"]["issuer"], "CN=scanner", "{said:#}");
    assert_ne!(row(&said, 444)?["certificate"]["key"], own["key"]);
    Ok(())
}
