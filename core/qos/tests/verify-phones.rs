//! Desk phones are judged by what their family can do [requirements 163, 165, 166, 171].

use std::net::Ipv4Addr;

use carillon_qos::verify::report::{Report, Verdict};
use carillon_qos::verify::{Frame, Limits, Options, RoleAssignment, Share, Verifier};
use carillon_qos::{Plan, Role};
use carillon_wire::link::LinkType;

const PLAN: &str = r#"
name = "office"
[classes]
signaling = "CS3"
audio = "EF"
video = "AF41"
[roles.client]
audio = "6000-6024"
video = "6050-6074"
[phones.vvx]
audio-start = 6000
audio = "EF"
[signaling]
ports = [5061]
"#;

#[test]
fn a_phone_may_use_either_reading_of_its_fixed_range() {
    let narrow = judged(PLAN, &[call(6010, 46, 0)]);
    assert_eq!(narrow.verdict, Verdict::Pass, "{:?}", narrow.findings);
    assert_eq!(narrow.flows[0].range.unwrap().to_string(), "6000-6023");
    let wide = judged(PLAN, &[call(6040, 46, 0)]);
    assert_eq!(wide.verdict, Verdict::Pass, "{:?}", wide.findings);
    assert_eq!(wide.flows[0].range.unwrap().to_string(), "6000-6047");
    let outside = judged(PLAN, &[call(6048, 46, 0)]);
    assert_eq!(outside.verdict, Verdict::Fail);
}

#[test]
fn without_a_video_mark_of_its_own_a_phone_marks_video_as_audio() {
    let report = judged(PLAN, &[call(6060, 46, 34)]);
    let video = &report.flows[0];
    assert_eq!(video.expected.unwrap().value(), 46, "{:?}", report.findings);
}

#[test]
fn lync_phone_edition_is_not_blamed_for_unmarked_signaling() {
    let plan =
        PLAN.replace("[phones.vvx]\naudio-start = 6000\naudio = \"EF\"", "[phones.lpe]\naudio = \"EF\"");
    let signaling: Vec<Vec<u8>> = (0..20).map(|_| tcp(49152, 5061, 0)).collect();
    let report = judged(&plan, &[call(6010, 46, 0), signaling]);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.findings);
}

#[test]
fn its_factory_default_of_40_is_no_excuse() {
    let plan = PLAN.replace("[phones.vvx]\naudio-start = 6000\naudio = \"EF\"", "[phones.lpe]");
    let report = judged(&plan, &[call(6010, 40, 0)]);
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(report.flows[0].expected.unwrap().value(), 46);
}

#[allow(clippy::unwrap_used, reason = "a test: a broken plan is a broken test")]
fn judged(plan: &str, calls: &[Vec<Vec<u8>>]) -> Report {
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
    let phone = RoleAssignment { network: Ipv4Addr::new(10, 0, 0, 1).into(), prefix: 32, role: Role::Phone };
    let plan = Plan::from_toml(plan).unwrap();
    verifier.report(&Options { plan: Some(plan), roles: vec![phone], ..Options::default() })
}

/// A second of RTP from the phone.
fn call(port: u16, dscp: u8, payload_type: u8) -> Vec<Vec<u8>> {
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

fn tcp(src: u16, dst: u16, dscp: u8) -> Vec<u8> {
    let mut segment = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 255, 255, 0, 0, 0, 0]);
    ip(6, dscp, &segment)
}

fn ip(protocol: u8, dscp: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x45, dscp << 2, total[0], total[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(payload);
    packet
}
