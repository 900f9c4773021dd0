//! Small captures of one sender, 10.0.0.1, and their verdict.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file takes what it needs")]

use std::net::Ipv4Addr;

use carillon_qos::verify::report::Report;
use carillon_qos::verify::{Frame, Limits, Options, RoleAssignment, Share, Verifier};
use carillon_qos::{Plan, Role};
use carillon_wire::link::LinkType;

/// The verdict over packets that come 20 ms apart, by a plan in TOML; 10.0.0.1 has this role.
pub fn judged(plan: &str, role: Role, calls: &[Vec<Vec<u8>>]) -> Report {
    let sender = RoleAssignment { network: Ipv4Addr::new(10, 0, 0, 1).into(), prefix: 32, role };
    told(plan, &[sender], calls)
}

/// The same with these roles told, or none.
pub fn told(plan: &str, roles: &[RoleAssignment], calls: &[Vec<Vec<u8>>]) -> Report {
    let plan = (!plan.is_empty()).then(|| Plan::from_toml(plan).unwrap());
    let mut verifier = Verifier::new(Limits::default(), Share::ALL);
    for (number, data) in (1..).zip(calls.iter().flatten()) {
        verifier.observe(&Frame {
            number,
            time: number as i64 * 20_000_000,
            file: 0,
            interface: 0,
            link: LinkType::RawIp,
            original_len: data.len() as u32,
            data,
        });
    }
    verifier.report(&Options { plan, roles: roles.to_vec(), ..Options::default() })
}

/// A second of RTP from this port.
pub fn call(port: u16, dscp: u8, payload_type: u8) -> Vec<Vec<u8>> {
    let packet = |seq: u16| {
        let mut rtp = vec![0x80, payload_type];
        rtp.extend(seq.to_be_bytes());
        rtp.extend((u32::from(seq) * 160).to_be_bytes());
        rtp.extend(0x1234_5678u32.to_be_bytes());
        rtp.resize(172, 0xd5);
        let mut udp = [port.to_be_bytes(), 30000u16.to_be_bytes(), 180u16.to_be_bytes(), [0, 0]].concat();
        udp.extend(rtp);
        ip(17, dscp, &udp)
    };
    (0..50).map(packet).collect()
}

/// A TCP acknowledgement.
pub fn tcp(src: u16, dst: u16, dscp: u8) -> Vec<u8> {
    let mut segment = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 255, 255, 0, 0, 0, 0]);
    ip(6, dscp, &segment)
}

pub fn ip(protocol: u8, dscp: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x45, dscp << 2, total[0], total[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(payload);
    packet
}
