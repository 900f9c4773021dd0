//! A verdict made by hand: one good call, one whose return path is unmarked, a phone that nobody configured.

use std::net::IpAddr;

use carillon_qos::verify::cause::Cause;
use carillon_qos::verify::report::*;
use carillon_qos::{PortRange, Role, TrafficClass};
use carillon_wire::ip::Dscp;

use super::{Band, Context};

fn dscp(value: u8) -> Dscp {
    Dscp::new(value).unwrap()
}

fn range(start: u16, count: u32) -> PortRange {
    PortRange::from_count(start, count).unwrap()
}

/// A flow as planned: audio of a client.
pub fn flow(id: usize) -> FlowReport {
    let slice = |at: u64| TimelineBucket {
        at_ms: at * 1000,
        packets: 50,
        dscp: 46,
        off_mark: 0,
        lost: u64::from(at % 17 == 9) * 2,
        jitter_ms: 1.5 + ((at * 7) % 11) as f64 / 4.0,
    };
    FlowReport {
        id,
        point: 0,
        src: "10.1.7.31".parse::<IpAddr>().unwrap(),
        src_port: 20004,
        dst: "10.1.0.5".parse::<IpAddr>().unwrap(),
        dst_port: 50122,
        protocol: "udp",
        vlan: None,
        content: Content::Rtp,
        class: Some(TrafficClass::Audio),
        class_by: Some(Evidence::Sdp),
        role: Role::Client,
        direction: Direction::ToServer,
        relayed: None,
        ssrc: Some(0x1d0c_77a0 + id as u32),
        payload_type: Some(0),
        codec: Some("PCMU".into()),
        encrypted: false,
        range: Some(range(20000, 40)),
        in_range: Some(true),
        expected: Some(Dscp::EF),
        marks: vec![MarkCount { dscp: Dscp::EF, packets: 2000, first_frame: 12 }],
        ecn: [2000, 0, 0, 0],
        packets: 2000,
        frames: 2000,
        bytes: 400_000,
        first_frame: 12,
        start_ns: 1_717_146_764_000_000_000,
        end_ns: 1_717_146_804_000_000_000,
        rtp: Some(RtpReport {
            expected: 2006,
            lost: 6,
            loss_percent: 0.3,
            jitter_mean_ms: Some(2.4),
            jitter_max_ms: Some(4.1),
            max_gap_ms: 61.0,
            clock_rate: Some(8000),
            talk_time_s: 40.0,
            mos: Some(4.36),
            loss_judged: true,
            ..RtpReport::default()
        }),
        first_offending: None,
        verdict: Verdict::Pass,
        reasons: Vec::new(),
        timeline: (0..40).map(slice).collect(),
    }
}

fn unmarked_return(id: usize) -> FlowReport {
    let good = flow(id);
    FlowReport {
        src: good.dst,
        src_port: 50122,
        dst: good.src,
        dst_port: 20004,
        role: Role::Conferencing,
        direction: Direction::FromServer,
        range: Some(range(49152, 8348)),
        marks: vec![MarkCount { dscp: dscp(0), packets: 1998, first_frame: 14 }],
        first_offending: Some(14),
        verdict: Verdict::Fail,
        reasons: vec!["1,998 of 1,998 packets carry 0 instead of EF".into()],
        timeline: good.timeline.iter().map(|b| TimelineBucket { dscp: 0, off_mark: 50, ..*b }).collect(),
        ..good
    }
}

fn stray_phone(id: usize) -> FlowReport {
    let good = flow(id);
    let part = |at: usize, b: &TimelineBucket| {
        let mark = if at < 12 { 46 } else { 40 };
        TimelineBucket { dscp: mark, off_mark: if at == 11 { 20 } else { 0 }, ..*b }
    };
    FlowReport {
        src: "10.1.7.200".parse().unwrap(),
        src_port: 2230,
        role: Role::Phone,
        in_range: Some(false),
        class_by: Some(Evidence::Shape),
        marks: vec![
            MarkCount { dscp: dscp(40), packets: 1420, first_frame: 811 },
            MarkCount { dscp: dscp(46), packets: 580, first_frame: 40 },
        ],
        first_offending: Some(40),
        verdict: Verdict::Fail,
        reasons: vec!["port 2230 lies outside 20000-20039".into(), "1,420 packets carry CS5".into()],
        rtp: good.rtp.clone().map(|rtp| RtpReport {
            mos: Some(3.41),
            loss_percent: 4.2,
            clock_assumed: true,
            ..rtp
        }),
        timeline: good.timeline.iter().enumerate().map(|(at, b)| part(at, b)).collect(),
        ..good
    }
}

fn video(id: usize) -> FlowReport {
    let good = flow(id);
    FlowReport {
        src_port: 20042,
        class: Some(TrafficClass::Video),
        class_by: Some(Evidence::Port),
        range: Some(range(20040, 40)),
        expected: Some(dscp(34)),
        codec: Some("H264".into()),
        marks: vec![MarkCount { dscp: dscp(34), packets: 90_412, first_frame: 77 }],
        packets: 90_412,
        rtp: good.rtp.clone().map(|rtp| RtpReport { mos: None, loss_percent: 0.0, ..rtp }),
        timeline: good.timeline.iter().map(|b| TimelineBucket { dscp: 34, lost: 0, ..*b }).collect(),
        ..good
    }
}

fn web(id: usize) -> FlowReport {
    FlowReport {
        src_port: 51_544,
        dst: "2001:db8::443".parse().unwrap(),
        src: "2001:db8::7:31".parse().unwrap(),
        dst_port: 443,
        protocol: "tcp",
        content: Content::Tls,
        class: None,
        class_by: None,
        ssrc: None,
        codec: None,
        range: None,
        in_range: None,
        expected: None,
        rtp: None,
        marks: vec![MarkCount { dscp: dscp(0), packets: 420, first_frame: 3 }],
        packets: 420,
        timeline: Vec::new(),
        ..flow(id)
    }
}

fn finding(cause: Cause, text: &str, flow: usize, frame: u64) -> Finding {
    let info = cause.info();
    Finding {
        cause,
        severity: info.severity,
        text: text.into(),
        fix: info.fix.into(),
        flow: Some(flow),
        flows: vec![flow],
        frame: Some(frame),
    }
}

/// A verdict of FAIL with three findings over five flows.
pub fn report() -> Report {
    Report {
        verdict: Verdict::Fail,
        unjudged: Vec::new(),
        plan: Some("lync-kloud".into()),
        fit: vec![PlanFit { plan: "lync-kloud".into(), score: 87.5, ports: 97.9, marks: 87.5 }],
        points: vec![Point { file: 0, name: "calls-site-b.pcapng".into(), interface: 0 }],
        totals: Totals {
            frames: 98_240,
            bytes: 81_000_000,
            ip: 98_211,
            judged: 96_410,
            wrong_mark: 3_418,
            out_of_range: 2_000,
            icmp: 4,
            undecoded: 29,
            start_ns: 1_717_146_764_000_000_000,
            end_ns: 1_717_146_889_000_000_000,
            ..Totals::default()
        },
        flows: vec![flow(0), unmarked_return(1), stray_phone(2), video(3), web(4)],
        findings: vec![
            finding(
                Cause::ReturnPathUnmarked,
                "Audio from 10.1.7.31 to 10.1.0.5 carries EF; all 1,998 packets back from 10.1.0.5:50122 carry 0.",
                1,
                14,
            ),
            finding(
                Cause::EndpointNotConfigured,
                "Phone 10.1.7.200 sends audio from port 2230, outside 20000-20039, while 2 others obey.",
                2,
                40,
            ),
            finding(Cause::TcpFallback, "1 flow of media runs inside TCP 10.1.7.31:51544.", 4, 3),
        ],
    }
}

/// What the plan adds.
pub fn context() -> Context {
    let band = |class, role, start, count| Band { class, roles: vec![role], range: range(start, count) };
    Context {
        plan_title: Some("Lync 2013 as in the Kloud guide".into()),
        plan_text: Some("name = \"lync-kloud\"\n".into()),
        bands_of: Some("lync-kloud".into()),
        bands: vec![
            band(TrafficClass::Audio, Role::Client, 20000, 40),
            band(TrafficClass::Video, Role::Client, 20040, 40),
            band(TrafficClass::Sharing, Role::Client, 20080, 40),
            band(TrafficClass::FileTransfer, Role::Client, 20120, 40),
            band(TrafficClass::Sharing, Role::Application, 40803, 8348),
            band(TrafficClass::Audio, Role::Conferencing, 49152, 8348),
            band(TrafficClass::Video, Role::Conferencing, 57501, 8034),
        ],
    }
}
