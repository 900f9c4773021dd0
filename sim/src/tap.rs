//! A capture of the virtual wire: every datagram becomes a real IP packet, and the verifier judges it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_qos::Plan;
use carillon_qos::verify::report::Report;
use carillon_qos::verify::{Frame, Limits, Options, Share, Verifier};
use carillon_wire::ip::{Dscp, Ecn, protocol};
use carillon_wire::link::LinkType;

/// Sees what arrives.
pub(crate) struct Tap {
    verifier: Verifier,
    frames: u64,
}

impl Tap {
    pub(crate) fn new() -> Tap {
        Tap { verifier: Verifier::new(Limits::default(), Share::ALL), frames: 0 }
    }

    pub(crate) fn datagram(
        &mut self,
        now: Duration,
        from: SocketAddr,
        to: SocketAddr,
        mark: Dscp,
        payload: &[u8],
    ) {
        self.frames += 1;
        let data = udp_packet(from, to, mark, payload);
        self.verifier.observe(&Frame {
            number: self.frames,
            time: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX),
            file: 0,
            interface: 0,
            link: LinkType::RawIp,
            original_len: u32::try_from(data.len()).unwrap_or(u32::MAX),
            data: &data,
        });
    }

    pub(crate) fn report(self, plan: Plan) -> Report {
        self.verifier.report(&Options {
            plan: Some(plan),
            files: vec!["the virtual wire".to_owned()],
            ..Options::default()
        })
    }
}

/// Without checksums: verdicts never trust them, since offload makes them wrong in honest captures too.
fn udp_packet(from: SocketAddr, to: SocketAddr, mark: Dscp, payload: &[u8]) -> Vec<u8> {
    let udp_len = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let byte = mark.traffic_byte(Ecn::NotCapable);
    let mut out = Vec::with_capacity(48 + payload.len());
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let total = u16::try_from(28 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
            out.extend([0x45, byte, total[0], total[1], 0, 0, 0x40, 0, 64, protocol::UDP, 0, 0]);
            out.extend(source.octets());
            out.extend(target.octets());
        }
        (source, target) => {
            out.extend([0x60 | byte >> 4, byte << 4, 0, 0, udp_len[0], udp_len[1], protocol::UDP, 64]);
            out.extend(v6(source));
            out.extend(v6(target));
        }
    }
    out.extend(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend(udp_len);
    out.extend([0, 0]);
    out.extend_from_slice(payload);
    out
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
