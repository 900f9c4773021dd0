//! Five routers in a row between alice and bob, each of which can spoil what it passes on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Result;
use crate::network::{Host, INTERFACE, connect, prefix};

/// alice, five routers, bob: seven namespaces and six links, both families.
pub struct Chain {
    /// Who asks.
    pub alice: Host,
    /// From alice to bob; the first is hop 1.
    pub routers: Vec<Host>,
    /// Who is asked for: hop 6.
    pub bob: Host,
}

/// Routers between alice and bob.
pub const ROUTERS: u8 = 5;

impl Chain {
    /// Everything is forwarded and nothing spoiled. How often routers send errors is limited as Linux does by itself.
    pub fn new() -> Result<Chain> {
        let prefix = prefix()?;
        let alice = Host::create(&prefix, "a", 1, 10)?;
        let bob = Host::create(&prefix, "b", ROUTERS + 1, 20)?;
        let router = |at| Host::create(&prefix, &format!("r{at}"), at, at);
        let routers = (1..=ROUTERS).map(router).collect::<Result<Vec<_>>>()?;
        let chain = Chain { alice, routers, bob };
        chain.join()?;
        chain.route()?;
        Ok(chain)
    }

    /// The router that is so many hops from alice, from 1.
    pub fn router(&self, hop: u8) -> &Host {
        &self.routers[usize::from(hop) - 1]
    }

    /// The address that a hop answers from: that of its link toward alice.
    pub fn address(&self, hop: u8, v6: bool) -> IpAddr {
        address(hop, if hop > ROUTERS { 20 } else { hop }, v6)
    }

    /// What a router does to what it passes on: statements of nftables, one rule each.
    pub fn spoil(&self, hop: u8, rules: &[&str]) -> Result<()> {
        self.add(hop, "forward", rules)
    }

    /// What a router does to what it sends itself.
    pub fn silence(&self, hop: u8, rules: &[&str]) -> Result<()> {
        self.add(hop, "output", rules)
    }

    fn add(&self, hop: u8, hook: &str, rules: &[&str]) -> Result<()> {
        let router = self.router(hop);
        router.run("nft", &["add table inet spoil"])?;
        let chain = format!("add chain inet spoil {hook} {{ type filter hook {hook} priority mangle; }}");
        router.run("nft", &[&chain])?;
        rules.iter().try_for_each(|rule| {
            router.run("nft", &[&format!("add rule inet spoil {hook} {rule}")]).map(drop)
        })
    }

    fn join(&self) -> Result<()> {
        let hosts: Vec<&Host> =
            std::iter::once(&self.alice).chain(&self.routers).chain([&self.bob]).collect();
        for (at, (west, east)) in hosts.iter().zip(hosts.iter().skip(1)).enumerate() {
            let from = if at == 0 { INTERFACE } else { "east" };
            let to = if at + 1 == hosts.len() - 1 { INTERFACE } else { "west" };
            connect((west, from, at as u8 + 1), (east, to, at as u8 + 1))?;
        }
        Ok(())
    }

    /// Everything not known goes east; the links further west are known.
    fn route(&self) -> Result<()> {
        default(&self.alice, 1, 1)?;
        default(&self.bob, ROUTERS + 1, ROUTERS)?;
        for (router, at) in self.routers.iter().zip(1..) {
            router.run("sysctl", &["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])?;
            if at < ROUTERS {
                default(router, at + 1, at + 1)?;
            }
            for subnet in 1..at {
                let (v4, v6) = (format!("10.20.{subnet}.0/24"), format!("fd00:20:{subnet:x}::/64"));
                router.run("ip", &["route", "add", &v4, "via", &address(at, at - 1, false).to_string()])?;
                router
                    .run("ip", &["-6", "route", "add", &v6, "via", &address(at, at - 1, true).to_string()])?;
            }
        }
        Ok(())
    }
}

fn default(host: &Host, subnet: u8, number: u8) -> Result<()> {
    let (v4, v6) = (address(subnet, number, false), address(subnet, number, true));
    host.run("ip", &["route", "add", "default", "via", &v4.to_string()])?;
    host.run("ip", &["-6", "route", "add", "default", "via", &v6.to_string()]).map(drop)
}

fn address(subnet: u8, number: u8, v6: bool) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0xfd00, 0x20, subnet.into(), 0, 0, 0, 0, number.into()).into()
    } else {
        Ipv4Addr::new(10, 20, subnet, number).into()
    }
}
