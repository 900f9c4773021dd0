//! What tells flows apart: one direction of one conversation, seen at one place.

use std::net::{IpAddr, Ipv6Addr};

/// The direction of a conversation at a capture point. IPv4 addresses are kept v4-mapped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FlowKey {
    pub(super) file: u16,
    pub(super) interface: u32,
    src: u128,
    dst: u128,
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) protocol: u8,
}

/// The hashes of a key: one that both directions share, one of its own.
#[derive(Clone, Copy)]
pub(super) struct KeyHash {
    /// Equal for both directions: decides the shard, so that a conversation is never split.
    pub(super) conversation: u64,
    /// Decides the place in the shard's table.
    pub(super) flow: u64,
}

impl FlowKey {
    #[inline]
    pub(super) fn new(point: (u16, u32), protocol: u8, src: (IpAddr, u16), dst: (IpAddr, u16)) -> FlowKey {
        FlowKey {
            file: point.0,
            interface: point.1,
            src: mapped(src.0),
            dst: mapped(dst.0),
            src_port: src.1,
            dst_port: dst.1,
            protocol,
        }
    }

    #[inline]
    pub(super) fn hash(&self) -> KeyHash {
        let from = mix(self.src, self.src_port);
        let to = mix(self.dst, self.dst_port);
        let place = u64::from(self.protocol) << 48 | u64::from(self.file) << 32 | u64::from(self.interface);
        KeyHash {
            conversation: fold(from ^ to, 0x9e37_79b9_7f4a_7c15),
            flow: fold(from.wrapping_add(to.rotate_left(17)) ^ place, 0xd6e8_feb8_6659_fd93),
        }
    }

    pub(super) fn src(&self) -> IpAddr {
        unmapped(self.src)
    }

    pub(super) fn dst(&self) -> IpAddr {
        unmapped(self.dst)
    }

    pub(super) fn is_v6(&self) -> bool {
        self.src().is_ipv6()
    }

    /// Whether an end is a server of names: DNS, multicast DNS, LLMNR (RFC 1035, 6762, 4795). Their messages begin
    /// with an identifier, which can look like RTP.
    pub(super) fn is_name_service(&self) -> bool {
        [self.src_port, self.dst_port].iter().any(|port| matches!(port, 53 | 5353 | 5355))
    }

    /// The opposite direction of the same conversation.
    pub(super) fn reversed(&self) -> FlowKey {
        FlowKey { src: self.dst, dst: self.src, src_port: self.dst_port, dst_port: self.src_port, ..*self }
    }
}

#[inline]
fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => 0xffff_0000_0000 | u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn unmapped(bits: u128) -> IpAddr {
    Ipv6Addr::from(bits).to_canonical()
}

#[inline]
fn mix(address: u128, port: u16) -> u64 {
    fold(address as u64 ^ u64::from(port) << 40, (address >> 64) as u64 ^ 0xa076_1d64_78bd_642f)
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0xe703_7ed1_a0b4_28db) * u128::from(b | 1);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(src: &str, src_port: u16, dst: &str, dst_port: u16) -> FlowKey {
        FlowKey::new((0, 0), 17, (src.parse().unwrap(), src_port), (dst.parse().unwrap(), dst_port))
    }

    #[test]
    fn both_directions_share_a_shard_but_not_a_flow() {
        let there = key("10.0.0.1", 20000, "10.0.0.2", 30000);
        let back = there.reversed();
        assert_eq!(there.hash().conversation, back.hash().conversation);
        assert_ne!(there.hash().flow, back.hash().flow);
        assert_eq!(back.src(), "10.0.0.2".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn neighbouring_keys_spread_over_shards() {
        let mut seen = [0u32; 16];
        for port in 20000..20400 {
            seen[(key("10.0.0.1", port, "fd00::2", 30000).hash().conversation >> 60) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n > 5), "{seen:?}");
    }
}
