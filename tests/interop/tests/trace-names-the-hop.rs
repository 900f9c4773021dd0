//! `carillon trace` through five routers that nftables lets bleach, re-mark, or keep silent: it names the hop after
//! which the mark changed, and no other. The hops are compared with traceroute's, the probes are judged by tshark.

use std::path::Path;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::network::INTERFACE;
use carillon_interop::process::Process;
use carillon_interop::recording::Point;
use carillon_interop::routers::{Chain, ROUTERS};
use carillon_interop::scenario::possible;
use carillon_interop::tshark;
use carillon_interop::verdict::program;
use serde_json::Value;

const BOTH: [bool; 2] = [false, true];
/// Marks the UDP of both families; the statement stands behind `ip` or `ip6`.
const BLEACH: [&str; 2] = ["ip dscp set 0", "ip6 dscp set 0"];
const SCAVENGE: [&str; 2] = ["ip dscp ef ip dscp set cs1", "ip6 dscp ef ip6 dscp set cs1"];
const CONGEST: [&str; 2] = ["ip protocol udp ip ecn set ce", "ip6 nexthdr udp ip6 ecn set ce"];
const MUTE: [&str; 2] = ["icmp type time-exceeded drop", "icmpv6 type time-exceeded drop"];

/// What trace answered, and its exit status.
struct Traced {
    status: Option<i32>,
    json: Value,
}

impl Traced {
    fn after(&self) -> Value {
        self.json["verdict"]["change"]["after"]["hop"].clone()
    }

    fn before(&self) -> Value {
        self.json["verdict"]["change"]["before"]["hop"].clone()
    }

    /// The address of every hop that answered, with the marks it quotes.
    fn hops(&self) -> Vec<(u64, String, Vec<u64>)> {
        let hops = self.json["hops"].as_array().cloned().unwrap_or_default();
        let each = hops.iter().filter_map(|hop| {
            let answers = hop["answers"].as_array()?;
            let mut marks: Vec<u64> =
                answers.iter().filter_map(|one| one["quoted"]["mark"].as_u64()).collect();
            marks.dedup();
            Some((hop["hop"].as_u64()?, answers.first()?["from"].as_str()?.to_owned(), marks))
        });
        each.collect()
    }

    fn text(&self) -> String {
        self.json["text"].to_string()
    }
}

/// Traces from alice to bob with the audio of a plan.
fn trace(chain: &Chain, v6: bool, more: &[&str]) -> Result<Traced> {
    let to = chain.address(ROUTERS + 1, v6).to_string();
    let mut command = chain.alice.command(&program()?.to_string_lossy());
    let output = command.args(["trace", &to, "--plan", "lync-kloud", "--json"]).args(more).output()?;
    let json = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(Traced { status: output.status.code(), json })
}

fn chain(name: &str) -> Result<Option<Chain>> {
    if possible(name, &["traceroute", "python3"])? { Chain::new().map(Some) } else { Ok(None) }
}

#[test]
fn an_honest_path_is_kept_with_the_hops_of_traceroute_and_probes_as_planned() -> Result<()> {
    let Some(chain) = chain("trace-honest")? else { return Ok(()) };
    let work = tempfile::tempdir()?;
    for v6 in BOTH {
        let capture = Capture::on(&chain.alice, &Point::link("alice"), work.path())?;
        let traced = trace(&chain, v6, &[])?;
        let capture = capture.stop()?;
        assert_eq!((traced.status, &traced.json["verdict"]["outcome"]), (Some(0), &Value::from("kept")));
        let expected: Vec<_> =
            (1..=ROUTERS + 1).map(|hop| (hop.into(), chain.address(hop, v6).to_string(), vec![46])).collect();
        assert_eq!(traced.hops(), expected);
        let addresses: Vec<String> = expected.into_iter().map(|(_, address, _)| address).collect();
        assert_eq!(traceroute(&chain, v6)?, addresses);

        let flows = tshark::marks(&capture, &[])?;
        let probes: Vec<_> = flows.iter().filter(|(flow, _)| !flow.tcp).collect();
        let [(flow, marks)] = probes[..] else { return Err(format!("{probes:?}").into()) };
        assert_eq!(flow.destination.to_string(), traced.json["remote"]);
        assert_eq!(flow.source.to_string(), traced.json["local"]);
        assert!((20000..=20039).contains(&flow.source.port()) && flow.destination.port() == 20039);
        assert!(marks.keys().eq([&46]) && marks[&46] >= 18, "{marks:?}");
    }
    Ok(())
}

/// The hops as traceroute tells them; the host answers only so often, so it is asked once per hop.
fn traceroute(chain: &Chain, v6: bool) -> Result<Vec<String>> {
    let to = chain.address(ROUTERS + 1, v6).to_string();
    let printed = chain.alice.run("traceroute", &["-n", "-q", "1", "-N", "1", "-w", "2", &to])?;
    let hop = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    Ok(printed.lines().skip(1).filter_map(hop).collect())
}

#[test]
fn bleaching_is_found_after_every_router_it_can_happen_at() -> Result<()> {
    let Some(chain) = chain("trace-bleached")? else { return Ok(()) };
    for hop in (1..=ROUTERS).rev() {
        chain.spoil(hop, &BLEACH)?;
        for v6 in BOTH {
            let traced = trace(&chain, v6, &["--queries", "1"])?;
            assert_eq!(
                (traced.status, traced.after(), traced.before()),
                (Some(1), hop.into(), (hop + 1).into())
            );
            let change = &traced.json["verdict"]["change"];
            assert_eq!((&change["from"][0], &change["to"][0]), (&46.into(), &0.into()));
            assert_eq!(change["after"]["addresses"][0], chain.address(hop, v6).to_string());
        }
    }
    Ok(())
}

#[test]
fn remarking_to_the_scavenger_class_is_named_with_what_it_became() -> Result<()> {
    let Some(chain) = chain("trace-remarked")? else { return Ok(()) };
    chain.spoil(2, &SCAVENGE)?;
    for v6 in BOTH {
        let traced = trace(&chain, v6, &[])?;
        assert_eq!((traced.status, traced.after(), traced.before()), (Some(1), 2.into(), 3.into()));
        assert_eq!(traced.json["verdict"]["change"]["to"][0], 8);
        assert!(traced.text().contains("from EF (46) to CS1 (8) (worse than unmarked)"), "{}", traced.text());
        assert!(traced.json["fix"].as_str().is_some_and(|fix| fix.contains("trust DSCP")));
    }
    Ok(())
}

#[test]
fn a_change_of_ecn_alone_is_told_apart_and_is_no_change_of_the_mark() -> Result<()> {
    let Some(chain) = chain("trace-congested")? else { return Ok(()) };
    chain.spoil(3, &CONGEST)?;
    for v6 in BOTH {
        let traced = trace(&chain, v6, &[])?;
        assert_eq!((traced.status, traced.after()), (Some(0), Value::Null), "{}", traced.text());
        let ecn = &traced.json["verdict"]["ecn"];
        assert_eq!((ecn.as_array().map(Vec::len), &ecn[0]["after"]["hop"]), (Some(1), &3.into()));
        assert_eq!((&ecn[0]["before"]["hop"], &ecn[0]["to"][0]), (&4.into(), &3.into()));
    }
    Ok(())
}

#[test]
fn a_silent_hop_widens_the_place_and_is_not_blamed_alone() -> Result<()> {
    let Some(chain) = chain("trace-silent")? else { return Ok(()) };
    chain.spoil(2, &BLEACH)?;
    chain.silence(3, &MUTE)?;
    for v6 in BOTH {
        let traced = trace(&chain, v6, &["--wait", "0.5"])?;
        assert_eq!((traced.status, traced.after(), traced.before()), (Some(1), 2.into(), 4.into()));
        assert!(traced.text().contains("one hop does not tell"), "{}", traced.text());
        assert!(traced.hops().iter().all(|(hop, ..)| *hop != 3));
    }
    Ok(())
}

#[test]
fn a_hop_that_quotes_28_bytes_is_enough_and_one_that_quotes_a_header_is_counted() -> Result<()> {
    let Some(chain) = chain("trace-short")? else { return Ok(()) };
    let work = tempfile::tempdir()?;
    chain.spoil(4, &BLEACH)?;
    // The kernel's own errors are longer.
    let own =
        ["icmp type time-exceeded ip length > 70 drop", "icmpv6 type time-exceeded ip6 length > 70 drop"];
    chain.silence(3, &own)?;
    for (behind, v6) in [("8", false), ("8", true), ("0", false)] {
        let _router = short_quotes(&chain, 3, behind, work.path())?;
        let traced = trace(&chain, v6, &["--wait", "0.5"])?;
        assert_eq!((traced.status, traced.after(), traced.before()), (Some(1), 4.into(), 5.into()));
        let third = traced.hops().into_iter().find(|(hop, ..)| *hop == 3);
        if behind == "8" {
            assert_eq!(third, Some((3, chain.address(3, v6).to_string(), vec![46])));
        } else {
            let counted = traced.json["unnumbered"].as_u64() > Some(0);
            assert!(counted || third.is_some_and(|(_, _, marks)| marks == [46]), "{}", traced.json);
        }
    }
    Ok(())
}

fn short_quotes(chain: &Chain, hop: u8, behind: &str, work: &Path) -> Result<Process> {
    let mut command = chain.router(hop).command("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/short-quotes.py")).args(["west", behind]);
    let mut router = Process::start(&mut command, &work.join("short-quotes.log"))?;
    router.wait_for("ready", Duration::from_secs(10))?;
    Ok(router)
}

#[test]
fn a_filter_that_says_so_and_one_that_does_not_leave_it_untold() -> Result<()> {
    let Some(chain) = chain("trace-filtered")? else { return Ok(()) };
    chain.spoil(4, &["udp dport 20039 reject with icmpx admin-prohibited", "udp dport 20038 drop"])?;
    for v6 in BOTH {
        let refused = trace(&chain, v6, &["--queries", "1"])?;
        assert_eq!(refused.status, Some(2));
        assert!(refused.text().contains("refuses probes (a filter)"), "{}", refused.text());
        let dropped = trace(&chain, v6, &["--queries", "1", "--wait", "0.2", "--port", "20038"])?;
        assert_eq!(dropped.status, Some(2));
        assert!(dropped.text().contains("behind hop 4"), "{}", dropped.text());
    }
    Ok(())
}

#[test]
fn who_may_not_hear_errors_is_told_how_to() -> Result<()> {
    let Some(chain) = chain("trace-forbidden")? else { return Ok(()) };
    let mut command = chain.alice.command("setpriv");
    command.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw"]).arg(program()?);
    let output = command.args(["trace", "10.20.6.20"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("CAP_NET_RAW") && said.contains("sudo setcap cap_net_raw+ep"), "{said}");
    Ok(())
}

/// The interface of alice is the one that every test captures on.
#[test]
fn a_trace_for_people_has_a_row_per_hop_and_a_verdict_with_a_fix() -> Result<()> {
    let Some(chain) = chain("trace-people")? else { return Ok(()) };
    assert_eq!(INTERFACE, Point::link("alice").interface);
    chain.spoil(2, &BLEACH)?;
    let output = chain.alice.command(&program()?.to_string_lossy()).args(["trace", "10.20.6.20"]).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    assert!(
        lines[0].starts_with("audio of a client by plan lync-kloud, marked EF (46): UDP 10.20.1.10:200"),
        "{printed}"
    );
    assert!(lines[2].starts_with("  1  EF  ") && lines[2].contains("10.20.1.1"), "{printed}");
    assert!(lines[4].starts_with("  3  unmarked  ") && lines[4].contains("10.20.3.3"), "{printed}");
    let verdict = "CHANGED  The mark changes after hop 2 (10.20.2.2) and before hop 3 (10.20.3.3): from EF (46) to unmarked (0).";
    assert_eq!(lines[8], verdict, "{printed}");
    assert!(lines[9].starts_with("  fix: look at the way out of hop 2 (10.20.2.2)"), "{printed}");
    Ok(())
}
