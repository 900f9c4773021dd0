//! Which of our probes an error is about.
//!
//! Probes are alike but for their length: it stands in the first 8 bytes of UDP, which every router quotes (RFC 792),
//! and no router shares out flows by it.

use std::net::SocketAddr;

use carillon_wire::icmp::IcmpError;
use carillon_wire::ip::protocol;

use super::hop::Quoted;

/// Bytes of payload of the probe with number 0; each further probe is a byte longer. Long enough for any checksum
/// trick of middleboxes to leave the number alone, short enough for every link.
pub const PROBE_LEN: usize = 32;
const UDP_HEADER: usize = 8;

/// Both ends of the probes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Where they leave from.
    pub local: SocketAddr,
    /// Where they go.
    pub remote: SocketAddr,
}

/// What an error is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// The probe with this number.
    Probe(u16, Quoted),
    /// One of ours, but too little is quoted to say which.
    OneOfOurs(Quoted),
    /// Other traffic.
    Others,
}

impl Flow {
    /// Compares what is quoted with what was sent. Addresses and ports may be translated on the way; then the length
    /// and one of the ends must fit.
    pub fn about(&self, error: &IcmpError<'_>) -> About {
        let Some(quote) = error.quote.filter(|quote| quote.ip.protocol == protocol::UDP) else {
            return About::Others;
        };
        let ip = quote.ip;
        let (from_us, to_them) = (ip.src == self.local.ip(), ip.dst == self.remote.ip());
        let quoted = |translated| Quoted { mark: ip.dscp(), ecn: ip.ecn(), translated };
        let Some(transport) = quote.transport else {
            return if from_us && to_them { About::OneOfOurs(quoted(false)) } else { About::Others };
        };
        let source = transport.src_port == self.local.port();
        let destination = transport.dst_port == self.remote.port();
        let number = usize::from(transport.length).checked_sub(UDP_HEADER + PROBE_LEN);
        let fits = (destination && to_them) || (source && from_us);
        match number.and_then(|number| u16::try_from(number).ok()).filter(|_| fits) {
            Some(number) => About::Probe(number, quoted(!(from_us && to_them && source && destination))),
            None => About::Others,
        }
    }
}

#[cfg(test)]
mod tests {
    use carillon_wire::icmp;
    use carillon_wire::ip::{Dscp, Ecn};

    use super::*;

    const FLOW: [&str; 2] = ["192.0.2.1:50000", "198.51.100.2:50019"];

    fn flow() -> Flow {
        Flow { local: FLOW[0].parse().unwrap(), remote: FLOW[1].parse().unwrap() }
    }

    /// An error of a router that quotes so many bytes of a probe between these ends.
    fn about(local: &str, remote: &str, payload: usize, tos: u8, len: usize) -> About {
        let (local, remote): (SocketAddr, SocketAddr) = (local.parse().unwrap(), remote.parse().unwrap());
        let octets = |address: SocketAddr| match address {
            SocketAddr::V4(v4) => v4.ip().octets(),
            SocketAddr::V6(_) => panic!(),
        };
        let mut bytes =
            vec![11, 0, 0, 0, 0, 0, 0, 0, 0x45, tos, 0, (28 + payload) as u8, 0, 0, 0, 0, 1, 17, 0, 0];
        bytes.extend([octets(local), octets(remote)].concat());
        bytes.extend([local.port(), remote.port(), 8 + payload as u16, 0].map(u16::to_be_bytes).concat());
        bytes.resize(28 + 8 + payload, 0);
        flow().about(&icmp::decode(1, &bytes[..(8 + len).min(bytes.len())]).unwrap())
    }

    fn ef(translated: bool) -> Quoted {
        Quoted { mark: Dscp::EF, ecn: Ecn::NotCapable, translated }
    }

    #[test]
    fn a_probe_is_known_by_its_length_even_from_28_bytes() {
        for len in [28, 60, 1000] {
            assert_eq!(about(FLOW[0], FLOW[1], PROBE_LEN + 7, 184, len), About::Probe(7, ef(false)), "{len}");
        }
        let congested = Quoted { mark: Dscp::EF, ecn: Ecn::Congestion, translated: false };
        assert_eq!(about(FLOW[0], FLOW[1], PROBE_LEN, 187, 28), About::Probe(0, congested));
    }

    #[test]
    fn a_header_without_ports_is_ours_by_its_addresses() {
        assert_eq!(about(FLOW[0], FLOW[1], PROBE_LEN, 184, 20), About::OneOfOurs(ef(false)));
        assert_eq!(about("192.0.2.9:50000", FLOW[1], PROBE_LEN, 184, 20), About::Others);
    }

    #[test]
    fn translated_quotes_are_ours_if_one_end_fits() {
        assert_eq!(about("203.0.113.5:1033", FLOW[1], PROBE_LEN + 1, 184, 28), About::Probe(1, ef(true)));
        assert_eq!(about(FLOW[0], "10.9.9.9:50019", PROBE_LEN + 1, 184, 28), About::Probe(1, ef(true)));
    }

    #[test]
    fn other_programs_traffic_is_not_ours() {
        assert_eq!(about("203.0.113.5:1033", "198.51.100.2:53", PROBE_LEN, 184, 28), About::Others);
        assert_eq!(about("203.0.113.5:1033", "10.0.0.1:50019", PROBE_LEN, 184, 28), About::Others);
        assert_eq!(about(FLOW[0], FLOW[1], PROBE_LEN - 1, 184, 28), About::Others);
    }
}
