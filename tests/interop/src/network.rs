//! Network namespaces joined by veth pairs, made for one scenario and removed with it.
//!
//! Every scenario has its own, so all use the same addresses and can run side by side. Needs root.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Result;
use crate::process::run;

/// The interface of alice and of bob.
pub const INTERFACE: &str = "v0";

static MADE: AtomicU32 = AtomicU32::new(0);

/// A namespace with an address of each family.
pub struct Host {
    namespace: String,
    number: u8,
    subnet: u8,
}

impl Host {
    pub(crate) fn create(prefix: &str, name: &str, subnet: u8, number: u8) -> Result<Host> {
        let host = Host { namespace: format!("{prefix}{name}"), number, subnet };
        run(Command::new("ip").args(["netns", "add", &host.namespace]))?;
        host.run("ip", &["link", "set", "lo", "up"])?;
        host.run("sysctl", &["-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0"])?;
        Ok(host)
    }

    /// The name of its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its IPv4 address.
    pub fn v4(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 20, self.subnet, self.number)
    }

    /// Its IPv6 address.
    pub fn v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x20, self.subnet.into(), 0, 0, 0, 0, self.number.into())
    }

    /// Both addresses.
    pub fn addresses(&self) -> [IpAddr; 2] {
        [self.v4().into(), self.v6().into()]
    }

    /// A command that runs inside the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]);
        command
    }

    /// Runs a program inside the namespace to its end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        run(self.command(program).args(arguments))
    }

    /// Marks what leaves the host, for programs that cannot: both families, source or destination port.
    pub fn mark(&self, rules: &[MarkRule]) -> Result<()> {
        self.add_rules(rules, "")
    }

    /// Marks only what leaves the host with 0.
    pub fn mark_unmarked(&self, rules: &[MarkRule]) -> Result<()> {
        self.add_rules(rules, "dscp 0")
    }

    fn add_rules(&self, rules: &[MarkRule], condition: &str) -> Result<()> {
        self.run("nft", &["add table inet plan"])?;
        self.run("nft", &["add chain inet plan out { type filter hook output priority mangle; }"])?;
        for MarkRule { protocol, ports, dscp } in rules {
            for (port, family) in [("sport", "ip"), ("sport", "ip6"), ("dport", "ip"), ("dport", "ip6")] {
                let condition =
                    if condition.is_empty() { String::new() } else { format!("{family} {condition}") };
                let rule = format!("{protocol} {port} {ports} {condition} {family} dscp set {dscp}");
                self.run("nft", &[&format!("add rule inet plan out {rule}")])?;
            }
        }
        Ok(())
    }

    /// Limits the ports that a program gets that does not choose one.
    pub fn ephemeral_ports(&self, start: u16, end: u16) -> Result<()> {
        let setting = format!("net.ipv4.ip_local_port_range={start} {end}");
        self.run("sysctl", &["-qw", &setting]).map(drop)
    }

    /// Takes IPv6 away.
    pub fn disable_v6(&self) -> Result<()> {
        self.run("sysctl", &["-qw", "net.ipv6.conf.all.disable_ipv6=1"]).map(drop)
    }

    fn join(&self, interface: &str, number: u8, subnet: u8) -> Result<()> {
        let v4 = format!("10.20.{subnet}.{number}/24");
        let v6 = format!("fd00:20:{subnet:x}::{number:x}/64");
        self.run("ip", &["addr", "add", &v4, "dev", interface])?;
        self.run("ip", &["addr", "add", &v6, "dev", interface, "nodad"])?;
        self.run("ip", &["link", "set", interface, "up"]).map(drop)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Whoever still runs in our own namespace was started by this scenario.
        let pids = run(Command::new("ip").args(["netns", "pids", &self.namespace])).unwrap_or_default();
        for pid in pids.split_whitespace() {
            let _ = run(Command::new("kill").args(["-KILL", pid]));
        }
        let _ = run(Command::new("ip").args(["netns", "del", &self.namespace]));
    }
}

/// What nftables marks: `udp` or `tcp`, a port or range as nftables writes it, and the mark.
pub struct MarkRule {
    /// `udp` or `tcp`.
    pub protocol: &'static str,
    /// A port, or `first-last`.
    pub ports: &'static str,
    /// The mark, 0 to 63.
    pub dscp: u8,
}

/// SIP in clear, marked CS3 over both transports.
pub const SIP_MARKS: [MarkRule; 2] = [
    MarkRule { protocol: "udp", ports: "5060", dscp: 24 },
    MarkRule { protocol: "tcp", ports: "5060", dscp: 24 },
];

/// Audio in the range of the plans in `tests/captures/plans/`, marked EF.
pub const AUDIO_MARKS: [MarkRule; 1] = [MarkRule { protocol: "udp", ports: "50000-50019", dscp: 46 }];

/// Video in the range of the plans in `tests/captures/plans/`, marked AF41.
pub const VIDEO_MARKS: [MarkRule; 1] = [MarkRule { protocol: "udp", ports: "50020-50039", dscp: 34 }];

/// Two hosts, with or without a third between them.
pub struct Network {
    /// The caller; captures are made here.
    pub alice: Host,
    /// The one who is called.
    pub bob: Host,
    /// The host between them, if any; it does not forward.
    pub relay: Option<Host>,
}

impl Network {
    /// alice and bob on one link.
    pub fn pair() -> Result<Network> {
        let prefix = prefix()?;
        let alice = Host::create(&prefix, "a", 0, 10)?;
        let bob = Host::create(&prefix, "b", 0, 20)?;
        connect((&alice, INTERFACE, 0), (&bob, INTERFACE, 0))?;
        // Without a default route some programs believe that they are not connected at all.
        alice.run("ip", &["route", "add", "default", "via", &bob.v4().to_string()])?;
        bob.run("ip", &["route", "add", "default", "via", &alice.v4().to_string()])?;
        Ok(Network { alice, bob, relay: None })
    }

    /// alice and bob each on a link with a relay, which is the only way between them.
    pub fn with_relay() -> Result<Network> {
        let prefix = prefix()?;
        let alice = Host::create(&prefix, "a", 1, 10)?;
        let bob = Host::create(&prefix, "b", 2, 20)?;
        let relay = Host::create(&prefix, "r", 1, 1)?;
        relay.run("sysctl", &["-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0"])?;
        connect((&alice, INTERFACE, 1), (&relay, "v1", 1))?;
        connect((&bob, INTERFACE, 2), (&relay, "v2", 2))?;
        alice.run("ip", &["route", "add", "default", "via", "10.20.1.1"])?;
        bob.run("ip", &["route", "add", "default", "via", "10.20.2.1"])?;
        Ok(Network { alice, bob, relay: Some(relay) })
    }

    /// Another host, on a link of its own with the relay: 10.20.SUBNET.NUMBER, and the relay's end is `vSUBNET`.
    pub fn attach(&self, name: &str, subnet: u8, number: u8) -> Result<Host> {
        self.behind(self.relay.as_ref().ok_or("no host between alice and bob")?, name, subnet, number)
    }

    /// The same with any of its hosts.
    pub fn behind(&self, router: &Host, name: &str, subnet: u8, number: u8) -> Result<Host> {
        let host = Host::create(self.alice.namespace.trim_end_matches('a'), name, subnet, number)?;
        connect((&host, INTERFACE, subnet), (router, &format!("v{subnet}"), subnet))?;
        let gateway = format!("10.20.{subnet}.{}", router.number);
        host.run("ip", &["route", "add", "default", "via", &gateway])?;
        Ok(host)
    }

    /// One more host beside the relay: with links to alice, 10.20.3.10, and to bob, 10.20.4.20. It does not forward.
    pub fn beside_relay(&self, name: &str) -> Result<Host> {
        let prefix = self.alice.namespace.strip_suffix('a').ok_or("alice's host is not the first")?;
        let host = Host::create(prefix, name, 3, 7)?;
        host.run("sysctl", &["-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0"])?;
        connect((&self.alice, "v3", 3), (&host, "v3", 3))?;
        connect((&self.bob, "v4", 4), (&host, "v4", 4))?;
        Ok(host)
    }

    /// Marks on every host what leaves it.
    pub fn mark(&self, rules: &[MarkRule]) -> Result<()> {
        self.hosts().try_for_each(|(_, host)| host.mark(rules))
    }

    /// Every host with its name.
    pub fn hosts(&self) -> impl Iterator<Item = (&'static str, &Host)> {
        let relay = self.relay.as_ref().map(|relay| ("relay", relay));
        [("alice", &self.alice), ("bob", &self.bob)].into_iter().chain(relay)
    }
}

/// What the names of our namespaces begin with; those of a test that was killed are removed here.
pub(crate) fn prefix() -> Result<String> {
    for line in run(Command::new("ip").args(["netns", "list"]))?.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let owner = name.strip_prefix("cari").and_then(|rest| rest.split('x').next());
        let ended = |pid: &str| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists();
        if owner.is_some_and(ended) {
            // Another test may have been quicker.
            let _ = run(Command::new("ip").args(["netns", "del", name]));
            let _ = std::fs::remove_dir_all(Path::new("/etc/netns").join(name));
        }
    }
    Ok(format!("cari{}x{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)))
}

impl Network {
    /// One more host, 10.20.3.7, behind bob, who forwards for it.
    pub fn behind_bob(&self) -> Result<Host> {
        let host = Host::create(&prefix()?, "d", 3, 7)?;
        connect((&host, INTERFACE, 3), (&self.bob, "v3", 3))?;
        host.run("ip", &["route", "add", "default", "via", "10.20.3.20"])?;
        self.bob.run("sysctl", &["-qw", "net.ipv4.ip_forward=1"])?;
        let relay = self.relay.as_ref().ok_or("no host between")?;
        relay.run("ip", &["route", "add", "10.20.3.0/24", "via", "10.20.2.20"])?;
        Ok(host)
    }
}

/// Joins two hosts by a veth pair with hardware addresses that say whose they are.
pub(crate) fn connect(one: (&Host, &str, u8), other: (&Host, &str, u8)) -> Result<()> {
    let mac = |(host, _, subnet): (&Host, &str, u8)| format!("02:00:00:00:{subnet:02x}:{:02x}", host.number);
    let mut link = Command::new("ip");
    link.args(["link", "add", one.1, "netns", &one.0.namespace, "address", &mac(one), "type", "veth"]);
    link.args(["peer", "name", other.1, "netns", &other.0.namespace, "address", &mac(other)]);
    run(&mut link)?;
    one.0.join(one.1, one.0.number, one.2)?;
    other.0.join(other.1, other.0.number, other.2)
}

/// Joins a host to a bridge of the switch.
pub(crate) fn connect_to_switch(host: &Host, switch: &Host, port: &str, bridge: &str) -> Result<()> {
    let mac = format!("02:00:00:00:00:{:02x}", host.number);
    let mut link = Command::new("ip");
    link.args(["link", "add", INTERFACE, "netns", &host.namespace, "address", &mac, "type", "veth"]);
    run(link.args(["peer", "name", port, "netns", &switch.namespace]))?;
    switch.run("ip", &["link", "set", port, "master", bridge, "up"])?;
    host.join(INTERFACE, host.number, host.subnet)
}
