//! A router in front of the Edge that translates its address one to one: peers are told another one than sockets are bound to.
//!
//! Two clients of one Edge know each other by what they were told. Their packets do not go out to the router and back, which few
//! turn around, but straight to the socket.

use std::net::{IpAddr, SocketAddr};

/// Addresses as peers are told them, and as they are bound here.
#[derive(Clone, Default, Debug)]
pub(crate) struct Translation(Vec<(IpAddr, IpAddr)>);

impl Translation {
    /// Of pairs: told, bound.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (IpAddr, IpAddr)>) -> Translation {
        Translation(pairs.into_iter().filter(|(told, bound)| told != bound).collect())
    }

    /// Where packets for this peer are sent.
    pub(crate) fn bound(&self, peer: SocketAddr) -> SocketAddr {
        let own = self.0.iter().find(|(told, _)| *told == peer.ip());
        own.map_or(peer, |(_, bound)| SocketAddr::new(*bound, peer.port()))
    }

    /// As whom a peer is known from whom something came.
    pub(crate) fn told(&self, peer: SocketAddr) -> SocketAddr {
        let own = self.0.iter().find(|(_, bound)| *bound == peer.ip());
        own.map_or(peer, |(told, _)| SocketAddr::new(*told, peer.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_address_is_another_inside_and_back_again() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let [public, external, six] = ["198.51.100.5:50000", "10.0.0.5:50000", "[2001:db8::5]:50000"].map(at);
        let translation = Translation::of([(public.ip(), external.ip()), (six.ip(), six.ip())]);
        assert_eq!((translation.bound(public), translation.told(external)), (external, public));
        for other in [six, at("198.51.100.6:50000"), at("10.0.0.6:50000")] {
            assert_eq!((translation.bound(other), translation.told(other)), (other, other));
        }
    }
}
