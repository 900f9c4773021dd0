//! What is exported for firewalls, loaded by nft in a router: between any two zones exactly the listed ports pass.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::exports::{exported, installed_file, knock, load, preset, routed, traffic};
use carillon_interop::network::{Host, INTERFACE, Network};
use carillon_interop::process::{Process, run};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::tshark;
use carillon_qos::export::{File, Zone};

/// A knock: zones, protocol and port.
type Knock = (Zone, Zone, &'static str, u16);

/// The line of `flows.csv` in as far as it decides.
struct Row {
    from: Zone,
    to: Zone,
    protocols: String,
    source_ports: Option<(u16, u16)>,
    ports: Vec<(u16, u16)>,
    reading: String,
}

impl Row {
    fn passes(&self, (from, to, protocol, port): Knock) -> bool {
        let ports =
            self.ports.is_empty() || self.ports.iter().any(|(start, end)| (*start..=*end).contains(&port));
        let from_any = self.source_ports.is_none_or(|(start, end)| (start..=end).contains(&SOURCE_PORT));
        let protocol = self.protocols.to_lowercase().contains(protocol);
        (self.from, self.to) == (from, to) && protocol && ports && from_any
    }
}

/// Knocks come from here: inside none of the ranges.
const SOURCE_PORT: u16 = 33333;

/// Ports that must not pass between a client and a Front End: next to ranges, and what worms like.
const ODD: [u16; 5] = [135, 445, 3389, 5060, 5062];

fn rows(files: &[File]) -> Result<Vec<Row>> {
    let csv = files.iter().find(|file| file.path == "firewall/flows.csv").ok_or("no flows.csv")?;
    std::str::from_utf8(&csv.bytes)?.lines().skip(1).map(row).collect()
}

fn row(line: &str) -> Result<Row> {
    let fields: Vec<&str> = line.split(',').collect();
    let zone = |name: &str| Zone::from_name(name).ok_or_else(|| format!("no zone {name}"));
    let range = |text: &str| -> Result<(u16, u16)> {
        let (start, end) = text.split_once('-').unwrap_or((text, text));
        Ok((start.parse()?, end.parse()?))
    };
    let any_or = |text: &str| -> Result<Vec<(u16, u16)>> {
        if text == "any" { Ok(Vec::new()) } else { text.split(' ').map(range).collect() }
    };
    Ok(Row {
        from: zone(fields[0])?,
        to: zone(fields[1])?,
        protocols: fields[2].to_owned(),
        source_ports: any_or(fields[3])?.first().copied(),
        ports: any_or(fields[4])?,
        reading: fields.iter().rev().nth(1).ok_or("no reading")?.to_string(),
    })
}

/// The address of a zone on each side of the router; the Internet's is in no zone.
fn address(side: u8, zone: Zone, v6: bool) -> String {
    let number = 100 + Zone::ALL.iter().position(|other| *other == zone).unwrap_or(0);
    if v6 { format!("fd00:20:{side}::{number}") } else { format!("10.20.{side}.{number}") }
}

fn zone(address: IpAddr) -> Option<Zone> {
    let number = match address {
        IpAddr::V4(v4) => usize::from(v4.octets()[3]),
        IpAddr::V6(v6) => format!("{:x}", v6.segments()[7]).parse().ok()?,
    };
    Zone::ALL.get(number.checked_sub(100)?).copied()
}

/// Gives both sides an address in every zone, and the firewall the addresses of its zones.
fn zones(network: &Network, work: &Path, files: &[File], name: &str) -> Result<std::path::PathBuf> {
    let mut edits = Vec::new();
    for zone in Zone::ALL {
        for (side, host) in [(1, &network.alice), (2, &network.bob)] {
            host.run(
                "ip",
                &["addr", "replace", &format!("{}/24", address(side, zone, false)), "dev", INTERFACE],
            )?;
            host.run(
                "ip",
                &["addr", "replace", &format!("{}/64", address(side, zone, true)), "dev", INTERFACE, "nodad"],
            )?;
        }
        if zone != Zone::Internet {
            for (suffix, v6) in [("4", false), ("6", true)] {
                let line = format!("define {}{suffix} = {{ }}", zone.name().replace('-', "_"));
                let elements = format!("{}, {}", address(1, zone, v6), address(2, zone, v6));
                edits.push((line.clone(), line.replace("{ }", &format!("{{ {elements} }}"))));
            }
        }
    }
    let edits: Vec<(&str, &str)> = edits.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    installed_file(work, files, name, &edits)
}

/// Every pair of zones with every port that begins, ends or borders a range.
fn knocks(rows: &[Row]) -> Vec<Knock> {
    let mut ports = BTreeSet::from(ODD);
    for (start, end) in rows.iter().flat_map(|row| &row.ports) {
        ports.extend([start.saturating_sub(1).max(1), *start, *end, end.saturating_add(1)]);
    }
    let pairs = Zone::ALL.into_iter().flat_map(|from| Zone::ALL.map(|to| (from, to)));
    let with_ports = |(from, to): (Zone, Zone)| {
        ports
            .iter()
            .flat_map(move |port| ["udp", "tcp"].map(|protocol| (from, to, protocol, *port)))
            .collect::<Vec<_>>()
    };
    pairs.flat_map(with_ports).collect()
}

/// What a firewall by this reading lets pass: the rows; and what is not between two zones, or within one that has none.
fn expected(rows: &[Row], reading: &str, knock: Knock) -> bool {
    let (from, to, ..) = knock;
    let has_rows = rows.iter().any(|row| (row.from, row.to) == (from, to));
    let outside = from == Zone::Internet || to == Zone::Internet;
    let edge = from == Zone::EdgeExternal || to == Zone::EdgeExternal;
    let ours = if outside { edge } else { from != to || has_rows };
    !ours || rows.iter().any(|row| (row.reading == "all" || row.reading == reading) && row.passes(knock))
}

#[test]
fn between_any_two_zones_the_listed_ports_pass_and_no_other() -> Result<()> {
    if !possible("exports-firewall", &["python3", "ping"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let (network, router) = routed()?;
    let files = exported("firewall", &preset()?)?;
    let rows = rows(&files)?;
    let knocks = knocks(&rows);
    for (name, reading) in
        [("firewall/firewall.nft", "documentation"), ("firewall/firewall-relay-inbound.nft", "article")]
    {
        load(&router, &zones(&network, work.path(), &files, name)?)?;
        for v6 in [false, true] {
            let wanted: BTreeSet<Knock> =
                knocks.iter().copied().filter(|knock| expected(&rows, reading, *knock)).collect();
            let passed = passed(&network, work.path(), &knocks, v6)?;
            let wrong: Vec<&Knock> = passed.symmetric_difference(&wanted).take(10).collect();
            assert!(wrong.is_empty(), "{name}, IPv6 {v6}: {wrong:?}");
            let front_end = |port| (Zone::Client, Zone::Conferencing, "tcp", port);
            assert!(passed.contains(&front_end(5061)) && passed.contains(&front_end(57499)));
            assert!(
                ODD.iter().all(|port| !passed.contains(&front_end(*port)))
                    && !passed.contains(&front_end(57500))
            );
            let relay = (Zone::Internet, Zone::EdgeExternal, "udp", 50000);
            assert_eq!(passed.contains(&relay), reading == "article");
        }
    }
    answers_pass(&network, &router, work.path())
}

/// Which of these knocks at bob's came through.
fn passed(network: &Network, work: &Path, knocks: &[Knock], v6: bool) -> Result<BTreeSet<Knock>> {
    let line = |(from, to, protocol, port): &Knock| {
        format!("{protocol} {} {SOURCE_PORT} {} {port}", address(1, *from, v6), address(2, *to, v6))
    };
    let capture = Capture::on(&network.bob, &Point::link("bob"), work)?;
    knock(&network.alice, work, &knocks.iter().map(line).collect::<Vec<_>>())?;
    let flows = tshark::marks(&capture.stop()?, &[])?;
    let of_alice = flows.keys().filter(|flow| flow.source.port() == SOURCE_PORT);
    let named = of_alice.filter_map(|flow| {
        let protocol = if flow.tcp { "tcp" } else { "udp" };
        Some((zone(flow.source.ip())?, zone(flow.destination.ip())?, protocol, flow.destination.port()))
    });
    Ok(named.collect())
}

/// Only who may begin can begin; then both sides talk.
fn answers_pass(network: &Network, router: &Host, work: &Path) -> Result<()> {
    let mut echo = Process::start(&mut traffic(&network.bob, &["echo", "49152"]), &work.join("echo.log"))?;
    echo.wait_for("bound", Duration::from_secs(10))?;
    let (client, server) = (address(1, Zone::Client, false), address(2, Zone::Conferencing, false));
    let talk = format!(
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.bind(('{client}', 20000)); \
         s.sendto(b'x', ('{server}', 49152)); s.recv(9)"
    );
    run(network.alice.command("python3").args(["-c", &talk]))?;
    let counters = router.run("nft", &["list", "chain", "inet", "carillon_firewall", "forward"])?;
    assert!(counters.contains("counter packets"), "{counters}");
    Ok(())
}
