//! Two sites and a WAN, made of namespaces: each host, each router has its own network.
//!
//! Runs inside a user namespace, where an ordinary user may do all this; when the last process in it ends, all is gone.

use std::process::{Child, Command, Stdio};

use crate::answer::Failure;

/// A host or router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Node {
    /// Of its namespace.
    pub(super) name: &'static str,
    /// Its address; a router's on its own site.
    pub(super) address: &'static str,
}

/// Alice's machine at the first site.
pub(super) const ALICE: Node = Node { name: "alice", address: "10.1.0.10" };
/// The Front End, at the first site.
pub(super) const SERVER: Node = Node { name: "server", address: "10.1.0.5" };
/// A machine at the first site that sends a backup over the WAN.
pub(super) const BACKUP: Node = Node { name: "backup", address: "10.1.0.20" };
/// Bob's machine at the second site.
pub(super) const BOB: Node = Node { name: "bob", address: "10.2.0.10" };
/// Carol's machine at the second site.
pub(super) const CAROL: Node = Node { name: "carol", address: "10.2.0.11" };
/// The router of the first site.
const FIRST_ROUTER: Node = Node { name: "router-a", address: "10.1.0.1" };
/// The router of the second site.
const SECOND_ROUTER: Node = Node { name: "router-b", address: "10.2.0.1" };

const HOSTS: [(Node, Node); 5] = [
    (ALICE, FIRST_ROUTER),
    (SERVER, FIRST_ROUTER),
    (BACKUP, FIRST_ROUTER),
    (BOB, SECOND_ROUTER),
    (CAROL, SECOND_ROUTER),
];

/// This machine itself, for the demo without namespaces.
pub(super) const HERE: Node = Node { name: "", address: "127.0.0.1" };

/// Where captures are made: the router's side of a site's network, which all of the site's machines share.
pub(super) const FIRST_SITE: (Node, &str) = (FIRST_ROUTER, "site");
/// The same at the second site.
pub(super) const SECOND_SITE: (Node, &str) = (SECOND_ROUTER, "site");

/// What the WAN carries, in kilobits per second.
pub(super) const WAN_KBIT: u32 = 2000;
const WAN: &str = "wan";

/// The network, up to the last line.
pub(super) fn build() -> Result<(), Failure> {
    // `ip netns` keeps its names there; the namespace's own /run belongs to the system outside.
    run("mount", "-t tmpfs demo /run")?;
    for router in [FIRST_ROUTER, SECOND_ROUTER] {
        add(router)?;
        inside(router, "sysctl", "-qw net.ipv4.ip_forward=1")?;
        inside(router, "ip", "link add site type bridge")?;
        inside(router, "ip", &format!("addr add {}/24 dev site", router.address))?;
        inside(router, "ip", "link set site up")?;
    }
    for (host, router) in HOSTS {
        join(host, router)?;
    }
    wan()
}

fn add(node: Node) -> Result<(), Failure> {
    run("ip", &format!("netns add {}", node.name))?;
    inside(node, "sysctl", "-qw net.ipv6.conf.all.disable_ipv6=1")?;
    inside(node, "ip", "link set lo up")
}

/// A host with one cable to its site's switch, which is inside the router.
fn join(host: Node, router: Node) -> Result<(), Failure> {
    add(host)?;
    let (name, to) = (host.name, router.name);
    run("ip", &format!("link add eth0 netns {name} type veth peer name {name} netns {to}"))?;
    inside(router, "ip", &format!("link set {name} master site up"))?;
    inside(host, "ip", &format!("addr add {}/24 dev eth0", host.address))?;
    inside(host, "ip", "link set eth0 up")?;
    inside(host, "ip", &format!("route add default via {}", router.address))
}

fn wan() -> Result<(), Failure> {
    let (first, second) = (FIRST_ROUTER.name, SECOND_ROUTER.name);
    run("ip", &format!("link add {WAN} netns {first} type veth peer name {WAN} netns {second}"))?;
    for (router, here, there) in [(FIRST_ROUTER, "1", "2"), (SECOND_ROUTER, "2", "1")] {
        inside(router, "ip", &format!("addr add 10.9.0.{here}/30 dev {WAN}"))?;
        inside(router, "ip", &format!("link set {WAN} up"))?;
        inside(router, "ip", &format!("route add default via 10.9.0.{there}"))?;
        queues(router)?;
    }
    Ok(())
}

/// The queues of a router towards the WAN: voice first, then signaling, then what carries no mark.
fn queues(router: Node) -> Result<(), Failure> {
    let tc = |arguments: &str| inside(router, "tc", arguments);
    tc(&format!("qdisc add dev {WAN} root handle 1: htb default 30"))?;
    tc(&format!("class add dev {WAN} parent 1: classid 1:1 htb rate {WAN_KBIT}kbit ceil {WAN_KBIT}kbit"))?;
    for (class, rate, priority, limit) in [(10, 800, 0, 50), (20, 400, 1, 50), (30, 100, 7, 100)] {
        tc(&format!(
            "class add dev {WAN} parent 1:1 classid 1:{class} htb rate {rate}kbit ceil {WAN_KBIT}kbit prio {priority}"
        ))?;
        tc(&format!("qdisc add dev {WAN} parent 1:{class} pfifo limit {limit}"))?;
    }
    for (byte, class) in [("0xb8", 10), ("0x60", 20)] {
        tc(&format!(
            "filter add dev {WAN} parent 1: protocol ip u32 match ip dsfield {byte} 0xfc flowid 1:{class}"
        ))?;
    }
    Ok(())
}

/// The first router takes the mark off whatever goes to the WAN.
pub(super) fn bleach() -> Result<(), Failure> {
    let nft = |arguments: &str| inside(FIRST_ROUTER, "nft", arguments);
    nft("add table ip fault")?;
    nft("add chain ip fault out { type filter hook postrouting priority mangle ; }")?;
    nft(&format!("add rule ip fault out oifname {WAN} ip dscp ef ip dscp set cs0"))
}

/// Takes the fault away.
pub(super) fn repair() -> Result<(), Failure> {
    inside(FIRST_ROUTER, "nft", "delete table ip fault")
}

/// A process inside a host that ends, at the latest, with this value.
pub(super) struct Process(Child);

impl Process {
    /// Starts this program inside a host.
    pub(super) fn start(node: Node, configure: impl FnOnce(&mut Command)) -> Result<Process, Failure> {
        let own = std::env::current_exe().map_err(|error| Failure::new("cannot find this program", error))?;
        let mut command = if node == HERE {
            Command::new(own)
        } else {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", node.name]).arg(own);
            command
        };
        command.stdin(Stdio::null());
        configure(&mut command);
        let child = command
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start {command:?} in {}", node.name), error))?;
        Ok(Process(child))
    }

    /// The running child.
    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, name: &str) -> Result<(), Failure> {
        run("kill", &format!("-{name} {}", self.0.id()))
    }

    /// Asks it to end, as Ctrl-C would, and waits until it has.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.signal("INT")?;
        self.0.wait().map(drop).map_err(|error| Failure::new("cannot wait for a process", error))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or must now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn inside(node: Node, program: &str, arguments: &str) -> Result<(), Failure> {
    run("ip", &format!("netns exec {} {program} {arguments}", node.name))
}

fn run(program: &str, arguments: &str) -> Result<(), Failure> {
    let attempt = format!("{program} {arguments}");
    let output = Command::new(program)
        .args(arguments.split_ascii_whitespace())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(&attempt, error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(attempt, said.trim()))
}
