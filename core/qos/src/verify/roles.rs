//! Who plays which part, where nobody said so: told from the ports of media, with care.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ground::Policies;
use super::report::Content;
use super::row::Row;
use crate::Role;

/// Roles of people's devices, whose ranges are narrow enough to speak for themselves.
const DEVICES: [Role; 2] = [Role::Client, Role::Phone];
/// What clients call themselves in SIP, in small letters.
const CLIENT_AGENTS: [&str; 2] = ["uccapi", "ucwa"];

/// A network and the role of its hosts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoleAssignment {
    /// Any address of the network.
    pub network: IpAddr,
    /// Leading bits that count.
    pub prefix: u8,
    /// The role.
    pub role: Role,
}

impl RoleAssignment {
    /// Whether the address lies in the network.
    pub fn holds(&self, address: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, true),
            IpAddr::V6(v6) => (u128::from(v6), false),
        };
        let ((a, a_v4), (b, b_v4)) = (bits(self.network), bits(address));
        let keep = u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0);
        a_v4 == b_v4 && (a & keep) == (b & keep)
    }
}

/// The roles of senders whose ports lie in a role's ranges; all others are clients.
///
/// A server's range is wide and covers the ports that systems give to anybody. So a port in it makes a server
/// only of a host that talks to some host which is none: of two hosts in each other's company only, both with
/// such ports, neither is more of a server than the other, and both are judged as clients.
pub(super) fn infer(
    rows: &[Row],
    policies: &Policies,
    agents: &BTreeMap<IpAddr, String>,
) -> BTreeMap<IpAddr, Role> {
    let mut roles = by_ports(rows, policies);
    let is_client = |address: &IpAddr| {
        let agent = agents.get(address).map(|agent| agent.to_ascii_lowercase());
        agent.is_some_and(|agent| CLIENT_AGENTS.iter().any(|name| agent.contains(name)))
    };
    let servers: BTreeSet<IpAddr> = roles
        .iter()
        .filter(|(address, role)| !DEVICES.contains(role) && !is_client(address))
        .map(|(address, _)| *address)
        .collect();
    let proven = talkers(rows, &servers);
    for (address, role) in &mut roles {
        if !DEVICES.contains(role) && !proven.contains(address) {
            *role = Role::Client;
        }
    }
    roles
}

/// Servers that send media to, or get it from, a host that is none.
fn talkers(rows: &[Row], servers: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
    let media = rows.iter().filter(|row| row.out.content == Content::Rtp);
    let pairs = media.flat_map(|row| [(row.out.src, row.out.dst), (row.out.dst, row.out.src)]);
    let mixed = pairs.filter(|(own, peer)| servers.contains(own) && !servers.contains(peer));
    mixed.map(|(own, _)| own).collect()
}

/// The role whose ranges hold most of a sender's media; the first of equals, so that a client's port makes a client.
fn by_ports(rows: &[Row], policies: &Policies) -> BTreeMap<IpAddr, Role> {
    let mut packets: BTreeMap<IpAddr, [u64; Role::ALL.len()]> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.out.content == Content::Rtp) {
        let counts = packets.entry(row.out.src).or_default();
        for (count, &role) in counts.iter_mut().zip(&Role::ALL) {
            let inside = role != Role::Edge && policies.class_of(role, row.out.src_port).is_some();
            *count += if inside { row.out.packets } else { 0 };
        }
    }
    let best = |counts: &[u64; Role::ALL.len()]| {
        let best = (0..counts.len()).max_by_key(|&n| (counts[n], std::cmp::Reverse(n)));
        best.filter(|&n| counts[n] > 0).map(|n| Role::ALL[n])
    };
    packets.iter().filter_map(|(address, counts)| Some((*address, best(counts)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_hosts_only() {
        let told =
            RoleAssignment { network: "10.1.0.0".parse().unwrap(), prefix: 16, role: Role::Conferencing };
        assert!(told.holds("10.1.2.3".parse().unwrap()));
        assert!(!told.holds("10.2.2.3".parse().unwrap()));
        assert!(!told.holds("fd00::1".parse().unwrap()));
        let all = RoleAssignment { prefix: 0, ..told };
        assert!(all.holds("192.0.2.1".parse().unwrap()));
    }
}
