//! Why there is no way between two ends, as far as their candidates tell.

use std::net::IpAddr;

use super::candidate::{Candidate, Kind};

/// What is missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// Neither end has an address outside of its own network: nothing but private addresses of hosts.
    BothInternal,
    /// No relay lent this end anything, and its own addresses are not reached.
    RelayHere,
    /// No relay lent the other end anything, and its own addresses are not reached.
    RelayThere,
    /// Both have a relay, and not even those reach each other.
    BetweenRelays,
}

impl Missing {
    /// Of two ends that have found no way.
    pub fn of(ours: &[Candidate], theirs: &[Candidate]) -> Missing {
        let has_relay = |all: &[Candidate]| all.iter().any(|candidate| candidate.kind == Kind::Relayed);
        let is_internal = |all: &[Candidate]| {
            all.iter().all(|candidate| candidate.kind == Kind::Host && is_private(candidate.address.ip()))
        };
        match (has_relay(ours), has_relay(theirs)) {
            (false, false) if is_internal(ours) && is_internal(theirs) => Missing::BothInternal,
            (false, _) => Missing::RelayHere,
            (true, false) => Missing::RelayThere,
            (true, true) => Missing::BetweenRelays,
        }
    }

    /// What it means, and what to do, for whoever looks after the network.
    pub const fn words(self) -> &'static str {
        match self {
            Missing::BothInternal => {
                "no way to the other side was found: both endpoints are internal, and no relay lent either an address that the \
                 other's network leads to; clients must reach the Edge inside (UDP 3478, TCP 443), and it needs a route back to \
                 every network of theirs: `carillon edge check` on the Edge names what is missing"
            }
            Missing::RelayHere => {
                "no way to the other side was found: no relay lent an address here; see whether this host reaches the Edge (UDP \
                 3478, TCP 443), and whether the Edge has a route back: `carillon edge probe`, and `carillon edge check` on the \
                 Edge"
            }
            Missing::RelayThere => {
                "no way to the other side was found: it has no relay, and its own addresses are not reached; its Edge is where to \
                 look"
            }
            Missing::BetweenRelays => {
                "no way to the other side was found: both have a relay, and the two do not reach each other; see whether UDP 3478 \
                 and the range of relayed ports pass between the Edges"
            }
        }
    }
}

/// Not routed between organisations (RFC 1918, 6598, 3927, 4193, 4291).
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || first == 100 && second & 0xc0 == 64
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leg::Component;

    fn candidate(kind: Kind, address: &str) -> Candidate {
        let address = address.parse().unwrap();
        Candidate { component: Component::Rtp, kind, address, related: None, priority: 1, foundation: 1 }
    }

    #[test]
    fn two_ends_with_private_addresses_alone_are_both_internal_and_others_are_not() {
        let inside = candidate(Kind::Host, "10.1.2.3:5000");
        let other = candidate(Kind::Host, "[fd00::7]:5000");
        let public = candidate(Kind::Host, "203.0.113.9:5000");
        let seen = candidate(Kind::ServerReflexive, "203.0.113.10:5000");
        let relay = candidate(Kind::Relayed, "203.0.113.5:50000");
        for (ours, theirs, missing) in [
            (&[inside][..], &[other][..], Missing::BothInternal),
            (&[inside, other], &[inside], Missing::BothInternal),
            (&[inside], &[public], Missing::RelayHere),
            (&[inside, seen], &[other], Missing::RelayHere),
            (&[inside], &[other, relay], Missing::RelayHere),
            (&[inside, relay], &[other], Missing::RelayThere),
            (&[inside, relay], &[other, relay], Missing::BetweenRelays),
        ] {
            assert_eq!(Missing::of(ours, theirs), missing, "{ours:?} {theirs:?}");
        }
        assert!(Missing::BothInternal.words().contains("both endpoints are internal"));
    }
}
