//! `carillon probe` between two hosts with five routers between them: what nftables filters, refuses or bleaches there
//! is found and told apart, over both families; so are strangers on the ports, and all reasons for not getting through.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::process::Process;
use carillon_interop::recording::Point;
use carillon_interop::routers::{Chain, ROUTERS};
use carillon_interop::scenario::possible;
use carillon_interop::tshark;
use carillon_interop::verdict::program;
use serde_json::Value;

const BOTH: [bool; 2] = [false, true];
const TOKEN: &str = "7f3k-9xq2-mm4d-0tzr";
const LIMIT: Duration = Duration::from_secs(20);

/// alice, five routers, and a listener at bob.
struct Site {
    chain: Chain,
    work: tempfile::TempDir,
    listener: Process,
}

impl Site {
    fn new(name: &str) -> Result<Option<Site>> {
        if !possible(name, &["python3", "openssl"])? {
            return Ok(None);
        }
        let (chain, work) = (Chain::new()?, tempfile::tempdir()?);
        let mut command = chain.bob.command(&program()?.to_string_lossy());
        command.args(["probe", "listen", "--token", TOKEN, "--wait", "0.6"]);
        let mut listener = Process::start(&mut command, &work.path().join("listener.log"))?;
        listener.wait_for("on the other host", LIMIT)?;
        Ok(Some(Site { chain, work, listener }))
    }

    fn bob(&self, v6: bool) -> IpAddr {
        self.chain.address(ROUTERS + 1, v6)
    }

    fn send(&self, host: &str, token: &str, more: &[&str]) -> Result<Output> {
        let mut command = self.chain.alice.command(&program()?.to_string_lossy());
        Ok(command.args(["probe", "send", host, "--token", token, "--wait", "0.6"]).args(more).output()?)
    }

    /// Tests, and gives exit status and report.
    fn probe(&self, v6: bool, more: &[&str]) -> Result<(Option<i32>, Report)> {
        let output = self.send(&self.bob(v6).to_string(), TOKEN, &[&["--json"], more].concat())?;
        let json: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok((output.status.code(), Report(json)))
    }

    /// A program of others at bob.
    fn stranger(&self, program: &str, arguments: &[&str]) -> Result<Process> {
        let mut command = self.chain.bob.command(program);
        let process = Process::start(command.args(arguments), &self.work.path().join("stranger.log"))?;
        std::thread::sleep(Duration::from_millis(700));
        Ok(process)
    }
}

struct Report(Value);

impl Report {
    /// The tests of a class over a transport, there and back.
    fn tests(&self, class: &str, transport: &str) -> Vec<&Value> {
        let all = self.0["tests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of = |test: &&Value| test["tested"]["class"] == class && test["tested"]["transport"] == transport;
        all.iter().filter(of).collect()
    }

    /// Asked, open, refused, filtered, foreign: there and back.
    fn counts(&self, class: &str, transport: &str) -> Vec<[u64; 5]> {
        let names = ["asked", "open", "refused", "filtered", "foreign"];
        let count = |test: &&Value| names.map(|name| test["summary"][name].as_u64().unwrap_or(u64::MAX));
        self.tests(class, transport).iter().map(count).collect()
    }

    /// Marks that arrived, there and back.
    fn arrived(&self, class: &str, transport: &str) -> Vec<BTreeMap<String, u64>> {
        let of =
            |test: &&Value| serde_json::from_value(test["summary"]["arrived"].clone()).unwrap_or_default();
        self.tests(class, transport).iter().map(of).collect()
    }

    fn faults(&self) -> String {
        let all = self.0["tests"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|test| test["summary"]["faults"].to_string()).collect()
    }
}

fn marks(mark: u8, count: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(mark.to_string(), count)])
}

#[test]
fn an_open_path_passes_every_port_with_its_mark_as_tshark_sees_it() -> Result<()> {
    let Some(site) = Site::new("probe-open")? else { return Ok(()) };
    for v6 in BOTH {
        let capture = Capture::on(&site.chain.bob, &Point::link("bob"), site.work.path())?;
        let (status, report) = site.probe(v6, &[])?;
        let capture = capture.stop()?;
        assert_eq!((status, &report.0["pass"]), (Some(0), &Value::Bool(true)), "{}", report.faults());
        for (class, mark) in [("audio", 46), ("video", 34), ("sharing", 0), ("file-transfer", 0)] {
            for transport in ["udp", "tcp"] {
                assert_eq!(report.counts(class, transport), [[40, 40, 0, 0, 0]; 2], "{class} {transport}");
                assert_eq!(report.arrived(class, transport), [marks(mark, 40), marks(mark, 40)]);
            }
        }
        audio_on_the_wire(&capture)?;
    }
    assert!(site.listener.printed().contains("is done: 640 ports tested"), "{}", site.listener.printed());
    Ok(())
}

/// Every audio port of both sides was reached, from an audio port, with EF alone; no answer was longer than a question.
fn audio_on_the_wire(capture: &Path) -> Result<()> {
    let range = 20000..=20039;
    for tcp in [false, true] {
        let flows = tshark::marks(capture, &[])?;
        let audio: Vec<_> = flows
            .iter()
            .filter(|(flow, _)| flow.tcp == tcp && range.contains(&flow.destination.port()))
            .collect();
        let ports = |end: fn(&tshark::Flow) -> std::net::SocketAddr| {
            audio.iter().map(|(flow, _)| end(flow)).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(ports(|flow| flow.destination), 80, "tcp: {tcp}");
        assert!(
            audio.iter().all(|(flow, marks)| range.contains(&flow.source.port()) && marks.keys().eq([&46]))
        );
    }
    Ok(())
}

#[test]
fn half_a_range_that_is_filtered_is_named_with_the_half_that_passes() -> Result<()> {
    let Some(site) = Site::new("probe-half")? else { return Ok(()) };
    site.chain
        .spoil(3, &["iifname west udp dport 20020-20039 drop", "iifname west tcp dport 20020-20039 drop"])?;
    for v6 in BOTH {
        let (status, report) = site.probe(v6, &["--class", "audio"])?;
        assert_eq!(status, Some(1));
        for transport in ["udp", "tcp"] {
            assert_eq!(report.counts("audio", transport), [[40, 20, 0, 20, 0], [40, 40, 0, 0, 0]]);
            let wanted =
                format!("lets 20000-20019 of 20000-20039 pass: open {transport} 20020-20039 from this host");
            assert!(report.faults().contains(&wanted), "{}", report.faults());
        }
    }
    Ok(())
}

#[test]
fn a_filter_that_says_so_is_named_and_a_host_that_refuses_is_no_filter() -> Result<()> {
    let Some(site) = Site::new("probe-refused")? else { return Ok(()) };
    let rules = [
        "iifname west udp dport 20004 reject with icmpx admin-prohibited",
        "iifname west tcp dport 20004 reject with icmpx admin-prohibited",
        "iifname west udp dport 20007 reject with icmpx port-unreachable",
        "iifname west tcp dport 20007 reject with tcp reset",
    ];
    site.chain.spoil(2, &rules)?;
    for v6 in BOTH {
        let (status, report) = site.probe(v6, &["--class", "audio"])?;
        assert_eq!(status, Some(1));
        for transport in ["udp", "tcp"] {
            assert_eq!(report.counts("audio", transport)[0], [40, 38, 1, 1, 0], "{}", report.faults());
            let there = &report.tests("audio", transport)[0]["tested"]["outcomes"];
            assert_eq!(there["20007"], "refused");
        }
        let there = &report.tests("audio", "udp")[0]["tested"]["outcomes"];
        assert_eq!(there["20004"]["filtered"]["by"], site.chain.address(2, v6).to_string());
    }
    Ok(())
}

#[test]
fn bleaching_one_way_is_told_with_its_direction() -> Result<()> {
    let Some(site) = Site::new("probe-bleached")? else { return Ok(()) };
    site.chain.spoil(4, &["iifname east ip dscp set 0", "iifname east ip6 dscp set 0"])?;
    for v6 in BOTH {
        let (status, report) = site.probe(v6, &["--class", "audio", "--every", "8"])?;
        assert_eq!(status, Some(1));
        for transport in ["udp", "tcp"] {
            assert_eq!(report.counts("audio", transport), [[6, 6, 0, 0, 0]; 2]);
            assert_eq!(report.arrived("audio", transport), [marks(46, 6), marks(0, 6)]);
        }
        let wanted = format!("leaves {} marked EF (46) and arrives at this host unmarked (0)", site.bob(v6));
        assert!(report.faults().contains(&wanted), "{}", report.faults());
    }
    Ok(())
}

#[test]
fn answers_that_are_lost_are_told_from_questions_that_are() -> Result<()> {
    let Some(site) = Site::new("probe-one-way")? else { return Ok(()) };
    site.chain.spoil(2, &["iifname east udp sport 20010 drop"])?;
    for v6 in BOTH {
        let (status, report) = site.probe(v6, &["--class", "audio", "--transport", "udp"])?;
        let there = &report.tests("audio", "udp")[0]["tested"]["outcomes"]["20010"];
        assert_eq!((status, &there["one-way"]["arrived"]), (Some(1), &46.into()), "{there}");
        assert!(report.faults().contains("answers do not come back"), "{}", report.faults());
    }
    Ok(())
}

#[test]
fn strangers_on_the_ports_are_told_by_what_they_say() -> Result<()> {
    let Some(site) = Site::new("probe-strangers")? else { return Ok(()) };
    let _web = site.stranger("python3", &["-m", "http.server", "20003", "--bind", "::"])?;
    let certificate = site.work.path().join("key.pem");
    let file = certificate.to_string_lossy();
    let new =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", &file, "-out", &file];
    site.chain.bob.run("openssl", &new)?;
    let _tls = site.stranger("openssl", &["s_server", "-accept", "20005", "-cert", &file, "-key", &file])?;
    for v6 in BOTH {
        let (status, report) = site.probe(v6, &["--class", "audio", "--transport", "tcp"])?;
        assert_eq!(
            (status, report.counts("audio", "tcp")),
            (Some(1), vec![[40, 38, 0, 0, 2], [40, 40, 0, 0, 0]])
        );
        let there = &report.tests("audio", "tcp")[0]["tested"]["outcomes"];
        assert_eq!((&there["20003"]["foreign"], &there["20005"]["foreign"]), (&"http".into(), &"tls".into()));
        assert!(report.faults().contains("answers a web server: stop it or move it"), "{}", report.faults());
        let instead = site.send(&site.bob(v6).to_string(), TOKEN, &["--json", "--control", "20003"])?;
        let said: Value = serde_json::from_slice(&instead.stdout)?;
        assert_eq!(said["failure"], "answers-with-something-else");
        assert!(said["text"].as_str().is_some_and(|text| text.contains("a web server")), "{said}");
    }
    Ok(())
}

#[test]
fn every_reason_for_not_getting_through_has_its_own_name_and_fix() -> Result<()> {
    let Some(site) = Site::new("probe-troubles")? else { return Ok(()) };
    site.chain.spoil(3, &["tcp dport 5098 drop"])?;
    let bob = site.bob(false).to_string();
    site.chain.alice.run("ip", &["route", "add", "unreachable", "10.99.0.0/16"])?;
    for (host, token, more, failure) in [
        ("nowhere.invalid", TOKEN, &[][..], "name-not-resolved"),
        ("10.99.0.1", TOKEN, &[], "no-route"),
        (&bob, TOKEN, &["--control", "5097"], "refused"),
        (&bob, TOKEN, &["--control", "5098"], "filtered"),
        (&bob, "0000-0000-0000-0000", &[], "wrong-token"),
    ] {
        let output = site.send(host, token, &[&["--json"], more].concat())?;
        let said: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!((output.status.code(), &said["failure"]), (Some(2), &failure.into()), "{said}");
        assert!(said["fix"].as_str().is_some_and(|fix| fix.len() > 20), "{said}");
    }
    assert!(site.listener.printed().contains("does not know the token"), "{}", site.listener.printed());
    // Who does not know the token has opened nothing.
    let open = site.chain.bob.run("ss", &["-Hltun"])?;
    assert!(!open.contains(":200"), "{open}");
    Ok(())
}
