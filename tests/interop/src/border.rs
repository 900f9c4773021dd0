//! Two sites behind routers that may hide them or shut them off, with a Front End and an Edge between them: how phones of both
//! reach each other.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::capture::Capture;
use crate::network::{Host, INTERFACE, connect, prefix};
use crate::process::{Process, wait_until};
use crate::recording::{Point, asset, captures_dir};
use crate::servers::carillon::{Carillon, Settings};
use crate::servers::edge::{Addresses, Edge};
use crate::site::{DOMAIN, Site};
use crate::verdict::program;

/// How long a step may take.
const LIMIT: Duration = Duration::from_secs(30);
/// What both servers make credentials with.
pub const SECRET: &str = "a secret of the test\n";
/// The link of a router towards its own site.
const INNER: &str = "in0";
/// The interface of a VPN, and where it is spoken over UDP.
const VPN: &str = "vpn0";
const VPN_PORT: &str = "1194";

/// What a router does to what passes it, besides routing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Router {
    /// Nothing.
    Open,
    /// Hides its site behind one address. A port inside is the same port outside, for everybody it sends to.
    Cone,
    /// Hides its site behind one address, with another port for everybody it sends to.
    Symmetric,
    /// Hides nothing, and lets through only what these statements of nftables allow, and answers to it.
    Firewall(&'static [&'static str]),
    /// Lets nothing pass from its site to the other one, not even answers, and everything from there.
    OneWay,
}

/// How phones sign in, and what the Edge speaks on 443.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrecy {
    /// SIP over TCP; TURN over TCP.
    Clear,
    /// SIP over TLS; TURN over TLS.
    Tls,
}

/// How a call goes.
pub struct Course<'a> {
    /// Of everything that belongs to it.
    pub name: &'a str,
    /// Where SIP is spoken.
    pub port: u16,
    /// How long it is meant to last, from the answer on.
    pub seconds: u32,
    /// Whether what is captured is alice's end of the VPN, and not her link.
    pub in_vpn: bool,
}

/// The hosts and servers.
pub struct Border {
    /// Outside, where both servers and both routers are.
    pub site: Site,
    /// One phone.
    pub alice: Host,
    /// The other.
    pub bob: Host,
    /// The Front End.
    pub front_end: Carillon,
    /// The Edge.
    pub edge: Edge,
    secrecy: Secrecy,
    own: Vec<PathBuf>,
    work: tempfile::TempDir,
}

/// What became of a call, at both ends.
#[derive(Debug)]
pub struct Outcome {
    /// The report of alice, who called.
    pub alice: Value,
    /// The report of bob.
    pub bob: Value,
    /// What was seen on alice's link.
    pub capture: PathBuf,
    /// The plan in force, with what the Edge needs.
    pub plan: PathBuf,
}

impl Border {
    /// Starts everything: routers that only route, the Front End at 10.20.0.1, the Edge at 10.20.0.30.
    pub fn new(secrecy: Secrecy) -> Result<Border> {
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["ra", "rb", "e"])?;
        let prefix = prefix()?;
        let (alice, bob) = (Host::create(&prefix, "a", 1, 11)?, Host::create(&prefix, "b", 2, 21)?);
        for (host, router, subnet) in [(&alice, &site.phones[0], 1), (&bob, &site.phones[1], 2)] {
            connect((host, INTERFACE, subnet), (router, INNER, subnet))?;
            router.run("sysctl", &["-qw", "net.ipv4.ip_forward=1"])?;
            let gateway = Ipv4Addr::new(10, 20, subnet, router.v4().octets()[3]).to_string();
            host.run("ip", &["route", "add", "default", "via", &gateway])?;
            host.disable_v6()?;
        }
        route(&site)?;
        fs::write(work.path().join("shared-secret"), SECRET)?;
        let edge = start_edge(&site, secrecy, work.path())?;
        let front_end = start_front_end(&site, secrecy, work.path())?;
        let mut border = Border { site, alice, bob, front_end, edge, secrecy, own: Vec::new(), work };
        border.name_the_server()?;
        Ok(border)
    }

    /// A VPN between alice, 10.99.0.1, and bob, 10.99.0.2. It ends with what is given back.
    pub fn vpn(&self) -> Result<[Process; 2]> {
        let start = |(own, address): (&Host, &str), peer: &Host| {
            let mut command = own.command("python3");
            command.arg(asset("tunnel.py")).args([address, &own.v4().to_string(), &peer.v4().to_string()]);
            let log = self.work.path().join(format!("{}.log", own.namespace()));
            let mut process = Process::start(command.arg(VPN_PORT), &log)?;
            process.wait_for("ready", LIMIT)?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(process)
        };
        let (alice, bob) = (&self.alice, &self.bob);
        Ok([start((alice, "10.99.0.1/24"), bob)?, start((bob, "10.99.0.2/24"), alice)?])
    }

    /// From now on the routers of alice and bob are like this.
    pub fn routers(&self, of_alice: Router, of_bob: Router) -> Result<()> {
        for (router, how) in self.site.phones.iter().zip([of_alice, of_bob]) {
            let rules = self.work.path().join("rules.nft");
            fs::write(&rules, format!("flush ruleset\n{}", how.rules()))?;
            router.run("nft", &["-f", &rules.to_string_lossy()])?;
            // What another router let through is no acquaintance of this one.
            router.run("conntrack", &["--flush"])?;
        }
        Ok(())
    }

    /// alice calls bob, both talk, and both say what they heard. `meanwhile` is called while they talk.
    pub fn call(&self, course: &Course<'_>, meanwhile: impl FnOnce() -> Result<()>) -> Result<Outcome> {
        let Course { name, port, seconds, in_vpn } = *course;
        let work = self.work.path().join(name.replace(' ', "-"));
        fs::create_dir_all(&work)?;
        let tunnel = Point { interface: VPN.to_owned(), link_type: "RAW".to_owned(), ..Point::link("alice") };
        let point = if in_vpn { tunnel } else { Point::link("alice") };
        let capture = Capture::on(&self.alice, &point, &work)?;
        let mut bob = self.phone(&self.bob, "bob", port, &["--answer", "--once", "--ring", "0"], &work)?;
        wait_until("bob signed in", LIMIT, || Ok(self.front_end.registered()?.contains("bob")))
            .map_err(|error| format!("{name}: {error}: {}", bob.printed()))?;
        let to = format!("bob@{DOMAIN}");
        let calls = ["--to", &to, "--duration", &seconds.to_string()];
        let mut alice = self.phone(&self.alice, "alice", port, &calls, &work)?;
        meanwhile().map_err(|error| format!("{name}: {error}: {}", alice.printed()))?;
        let limit = LIMIT + Duration::from_secs(seconds.into());
        for phone in [&mut alice, &mut bob] {
            phone.wait_for_end(limit).map_err(|error| format!("{name}: {error}: {}", phone.printed()))?;
        }
        let report = |phone: &Process| -> Result<Value> {
            let printed = phone.printed();
            let mut read: Value =
                serde_json::from_str(&printed).map_err(|error| format!("{name}: {error}: {printed}"))?;
            Ok(read["calls"][0].take())
        };
        Ok(Outcome {
            alice: report(&alice)?,
            bob: report(&bob)?,
            capture: capture.stop()?,
            plan: self.work.path().join("edge/plan.toml"),
        })
    }

    fn phone(&self, host: &Host, user: &str, port: u16, more: &[&str], work: &Path) -> Result<Process> {
        let password = work.join("password");
        fs::write(&password, "a-secret-of-ours")?;
        let expected = if user == "alice" { "bob" } else { "alice" };
        let mut command: Command = host.command(&program()?.to_string_lossy());
        match self.secrecy {
            Secrecy::Clear => {
                let server = format!("{}:{port}", self.site.server.v4());
                command.args(["call", "--transport", "tcp", "--server", &server]);
            }
            Secrecy::Tls => {
                let authorities = work.join("authorities.pem");
                let own = fs::read_to_string(&self.front_end.ca)?;
                let of_edge = fs::read_to_string(self.work.path().join("edge/cert.pem"))?;
                fs::write(&authorities, own + &of_edge)?;
                let server = format!("{DOMAIN}:{port}");
                command.args(["call", "--transport", "tls", "--server", &server, "--ca"]).arg(authorities);
            }
        }
        command.args(["--user", &format!("{user}@{DOMAIN}"), "--password-file"]).arg(password);
        command.args(["--expect", expected, "--codec", "pcmu", "--json"]).args(more);
        Process::start(&mut command, &work.join(format!("{user}.log")))
    }
}

impl Border {
    /// What phones are told without asking anybody: their firewalls may let no questions through.
    fn name_the_server(&mut self) -> Result<()> {
        for host in [&self.alice, &self.bob] {
            let own = Path::new("/etc/netns").join(host.namespace());
            fs::create_dir_all(&own)?;
            fs::write(
                own.join("hosts"),
                format!("127.0.0.1 localhost\n{} {DOMAIN}\n", self.site.server.v4()),
            )?;
            self.own.push(own);
        }
        Ok(())
    }
}

impl Drop for Border {
    fn drop(&mut self) {
        for own in &self.own {
            let _ = fs::remove_dir_all(own);
        }
    }
}

impl Router {
    /// A packet from outside that nobody inside has asked for is dropped before it is known to connection tracking: else the
    /// answer to it would be what takes the port.
    fn rules(self) -> String {
        let masquerade = match self {
            Router::Open => return String::new(),
            Router::Cone => "oifname v0 masquerade persistent",
            Router::Symmetric => "oifname v0 masquerade fully-random",
            Router::Firewall(_) | Router::OneWay => "",
        };
        let refused = match self {
            Router::OneWay => format!("iifname {INNER} ip daddr != 10.20.0.0/24 drop"),
            _ => String::new(),
        };
        let allowed = match self {
            Router::Firewall(allowed) => allowed.join("\n"),
            Router::OneWay => "accept".to_owned(),
            _ => format!("iifname {INNER} accept"),
        };
        format!(
            "table ip border {{\n\
             chain nat {{ type nat hook postrouting priority srcnat;\n{masquerade}\n}}\n\
             chain input {{ type filter hook input priority filter;\niifname v0 meta l4proto {{ tcp, udp }} drop\n}}\n\
             chain forward {{ type filter hook forward priority filter; policy drop;\n{refused}\n\
             ct state established,related accept\n{allowed}\n}}\n}}\n"
        )
    }
}

fn route(site: &Site) -> Result<()> {
    let (alice, bob) = (site.phones[0].v4().to_string(), site.phones[1].v4().to_string());
    for host in [&site.server, &site.phones[0], &site.phones[1], &site.phones[2]] {
        for (number, via) in [(10, &alice), (20, &bob)] {
            if host.v4().to_string() != *via {
                let network = format!("10.20.{}.0/24", number / 10);
                host.run("ip", &["route", "add", &network, "via", via])?;
            }
        }
    }
    Ok(())
}

fn start_edge(site: &Site, secrecy: Secrecy, work: &Path) -> Result<Edge> {
    let host = &site.phones[2];
    host.run("ip", &["addr", "add", "10.20.0.31/24", "dev", INTERFACE])?;
    // What leaves as one for the network card to cut would be captured uncut.
    host.run("ethtool", &["-K", INTERFACE, "tx-udp-segmentation", "off", "gso", "off"])?;
    let plan = fs::read_to_string(captures_dir().join("plans/phones.toml"))?;
    let plan = format!("{plan}\n[edge]\nports = \"50000-59999\"\nmark-internal = true\n");
    let addresses = Addresses {
        external: host.v4().into(),
        external6: host.v6().into(),
        internal: [10, 20, 0, 31].into(),
        inside: r#"["10.20.0.0/16"]"#,
    };
    let dir = work.join("edge");
    fs::create_dir_all(&dir)?;
    let doors = if secrecy == Secrecy::Tls { "relay.tcp = 3478\nrelay.tls = 443" } else { "" };
    Edge::on(host, &addresses, &plan, doors, &dir)
}

fn start_front_end(site: &Site, secrecy: Secrecy, work: &Path) -> Result<Carillon> {
    let edge = site.phones[2].v4();
    let (doors, transport) =
        if secrecy == Secrecy::Tls { ("tcp = 3478\ntls = 443\n", "tls") } else { ("", "tcp") };
    let more = format!(
        "[relay]\nservers = [\"{edge}\"]\nsecret = {:?}\n{doors}\
         [[listeners]]\ntransport = \"{transport}\"\naddress = \"0.0.0.0\"\nport = 443\ndigest = \"both\"\n",
        work.join("shared-secret")
    );
    let users = [("alice", "a-secret-of-ours"), ("bob", "a-secret-of-ours")];
    let dir = work.join("front-end");
    fs::create_dir_all(&dir)?;
    Carillon::start(site, &Settings { users: &users, digest: "both", more: &more }, &dir)
}
