//! Hostile captures: more of everything than can be kept. Memory stays bounded, and a real call in the middle
//! is judged as if it were alone.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, too, fail by panicking and tell numbers"
)]

use carillon_faults::scene::{call, phones};
use carillon_faults::{Body, Capture, Packet, encode};
use carillon_qos::verify::cause::Cause;
use carillon_qos::verify::report::{Content, Report, Verdict};
use carillon_qos::verify::{Frame, Limits, Options, Share, Verifier};
use carillon_wire::link::LinkType;

/// What a verdict may take in a debug build, beside the test itself.
const MOST_MEMORY: u64 = 256 << 20;

/// A verifier that is fed frame by frame; memory is looked at on the way.
struct Flood {
    verifier: Verifier,
    frames: u64,
    time: i64,
    before: u64,
    most: u64,
}

impl Flood {
    fn new() -> Flood {
        let before = resident();
        let verifier = Verifier::new(Limits::default(), Share::ALL);
        Flood { verifier, frames: 0, time: 1_700_000_000_000_000_000, before, most: 0 }
    }

    fn frame(&mut self, data: &[u8]) {
        self.frames += 1;
        self.time += 1000;
        if self.frames.is_multiple_of(65_536) {
            self.most = self.most.max(resident().saturating_sub(self.before));
        }
        self.verifier.observe(&Frame {
            number: self.frames,
            time: self.time,
            file: 0,
            interface: 0,
            link: LinkType::RawIp,
            original_len: data.len() as u32,
            data,
        });
    }

    /// The verdict; a call of this many packets each way was in the flood.
    #[track_caller]
    fn judged(mut self, call: &Capture) -> Report {
        self.most = self.most.max(resident().saturating_sub(self.before));
        let options = Options { plan: Some(phones()), ..Options::default() };
        let report = self.verifier.report(&options);
        println!("{} frames, {} flows, {} MB", self.frames, report.flows.len(), self.most >> 20);
        assert!(self.most < MOST_MEMORY, "{} MB", self.most >> 20);
        assert!(report.flows.len() <= 2 * Limits::default().flows, "{} flows", report.flows.len());
        let sent = call.packets.iter().filter(|packet| carillon_faults::packet::rtp(packet)).count() as u64;
        let media = report.flows.iter().filter(|flow| flow.content == Content::Rtp && flow.packets > 100);
        let judged: Vec<_> =
            media.map(|flow| (flow.packets, flow.verdict, flow.rtp.as_ref().unwrap().lost)).collect();
        assert_eq!(judged.iter().map(|(packets, ..)| packets).sum::<u64>(), sent, "{judged:?}");
        assert!(
            judged.iter().all(|(_, verdict, lost)| *verdict == Verdict::Pass && *lost == 0),
            "{judged:?}"
        );
        report
    }
}

/// Frames of a call, to be mixed into a flood.
fn frames(call: &Capture) -> Vec<Vec<u8>> {
    let ip = call.packets.iter().filter(|packet| packet.ports().is_some());
    ip.filter_map(|packet| encode::frame(packet, encode::Link::Raw, true)).collect()
}

/// Feeds the call with `between` foreign frames after each of its own.
fn mixed(flood: &mut Flood, call: &Capture, between: usize, mut foreign: impl FnMut(u64) -> Vec<u8>) {
    let mut n = 0;
    for frame in frames(call) {
        flood.frame(&frame);
        for _ in 0..between {
            flood.frame(&foreign(n));
            n += 1;
        }
    }
}

fn template(from: &str, to: &str, payload: Vec<u8>) -> Vec<u8> {
    let packet = Packet::udp(0, from.parse().unwrap(), to.parse().unwrap(), 0, payload);
    encode::frame(&packet, encode::Link::Raw, true).unwrap()
}

/// Another source for each number.
fn readdress(frame: &mut [u8], n: u64) {
    let spread = (n as u32).wrapping_mul(2_654_435_761);
    frame[13..16].copy_from_slice(&spread.to_be_bytes()[1..]);
    frame[20..22].copy_from_slice(&((n >> 24) as u16 ^ 0x9000 ^ spread as u16 & 0xff).to_be_bytes());
}

fn rtp(seq: u16, ssrc: u32) -> Vec<u8> {
    let mut payload = vec![0x80, 0];
    payload.extend(seq.to_be_bytes());
    payload.extend([0, 0, 0, 9]);
    payload.extend(ssrc.to_be_bytes());
    payload.resize(60, 0x55);
    payload
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).map_or(0, |kb: u64| kb << 10)
}

fn has(report: &Report, cause: Cause) -> bool {
    report.findings.iter().any(|finding| finding.cause == cause)
}

#[test]
fn three_million_conversations_do_not_push_a_call_out() {
    let (mut flood, call) = (Flood::new(), call());
    let mut frame = template("10.99.0.1:9", "10.20.0.9:9", vec![7; 24]);
    mixed(&mut flood, &call, 6000, |n| {
        readdress(&mut frame, n);
        frame.clone()
    });
    let report = flood.judged(&call);
    assert!(has(&report, Cause::LimitReached) && report.totals.beyond_limit > 2_500_000);
    assert_eq!(report.verdict, Verdict::Unjudged);
}

#[test]
fn conversations_that_look_like_media_do_not_push_a_call_out() {
    let (mut flood, call) = (Flood::new(), call());
    mixed(&mut flood, &call, 600, |n| {
        let mut frame = template("10.99.0.1:9", "10.20.0.9:9", rtp((n % 2) as u16, (n / 2) as u32));
        readdress(&mut frame, n / 2);
        frame
    });
    let report = flood.judged(&call);
    assert!(has(&report, Cause::LimitReached));
}

#[test]
fn thousands_of_relays_that_drop_the_mark_are_one_finding_in_little_time() {
    const RELAYS: u32 = 15_000;
    let limits = Limits { flows: 4 * Limits::default().flows, ..Limits::default() };
    let mut flood = Flood { verifier: Verifier::new(limits, Share::ALL), ..Flood::new() };
    let mut towards = template("10.0.0.1:50000", "10.64.0.1:50002", rtp(0, 0));
    let mut onwards = template("10.64.0.1:50004", "10.20.0.9:50006", rtp(0, 0));
    towards[1] = 46 << 2;
    for n in 0..RELAYS {
        let [_, high, middle, low] = n.to_be_bytes();
        let relay = [10, 64 | high, middle, low];
        towards[13..16].copy_from_slice(&[high, middle, low]);
        towards[16..20].copy_from_slice(&relay);
        onwards[12..16].copy_from_slice(&relay);
        for seq in 0..3 {
            for leg in [&mut towards, &mut onwards] {
                leg[28..].copy_from_slice(&rtp(seq, 0x5000_0000 + n));
                flood.frame(leg);
            }
        }
    }
    let begun = std::time::Instant::now();
    let report = flood.verifier.report(&Options { plan: Some(phones()), ..Options::default() });
    let took = begun.elapsed();
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.cause, finding.flows.len())).collect();
    println!("{} flows in {took:?}: {}", report.flows.len(), report.findings[0].text);
    assert_eq!(found, [(Cause::RelayDropsMark, RELAYS as usize)]);
    // A look at every row for every relay would take far longer in a debug build.
    assert!(took.as_secs() < 5, "{took:?}");
}

#[test]
fn endless_fragments_of_datagrams_that_never_end_take_bounded_memory() {
    let (mut flood, call) = (Flood::new(), call());
    mixed(&mut flood, &call, 700, |n| {
        let body = Body::Piece {
            protocol: 17,
            id: n as u32,
            offset: 1480 * (n % 3) as usize,
            more: true,
            bytes: vec![3; 1480],
        };
        let first =
            Packet::udp(0, "10.99.0.1:9".parse().unwrap(), "10.20.0.9:9".parse().unwrap(), 0, Vec::new());
        let mut frame = encode::frame(&Packet { body, ..first }, encode::Link::Raw, true).unwrap();
        frame[13..16].copy_from_slice(&(n as u32 >> 12).to_be_bytes()[1..]);
        frame
    });
    let report = flood.judged(&call);
    assert!(report.totals.fragments > 300_000);
}

#[test]
fn endless_pieces_of_one_datagram_take_bounded_memory() {
    let (mut flood, call) = (Flood::new(), call());
    mixed(&mut flood, &call, 700, |n| {
        let offset = (n.wrapping_mul(7919) % 8000) as usize * 8;
        let body = Body::Piece { protocol: 17, id: 7, offset, more: true, bytes: vec![3; 8] };
        let first =
            Packet::udp(0, "10.99.0.1:9".parse().unwrap(), "10.20.0.9:9".parse().unwrap(), 0, Vec::new());
        encode::frame(&Packet { body, ..first }, encode::Link::Raw, true).unwrap()
    });
    flood.judged(&call);
}

#[test]
fn endless_senders_in_the_flow_of_a_call_do_not_hide_it() {
    let (mut flood, call) = (Flood::new(), call());
    let (alice, bob) = (carillon_faults::scene::ALICE, carillon_faults::scene::BOB);
    let ends = [
        std::net::SocketAddr::new(alice, call.media_port(alice)).to_string(),
        std::net::SocketAddr::new(bob, call.media_port(bob)).to_string(),
    ];
    // Each shows itself twice, so that it is believed; a hundred of them come before the call.
    let sender = |n: u64| {
        let mut frame = template(&ends[0], &ends[1], rtp((n % 2) as u16, 0x4000_0000 + (n / 2) as u32));
        frame[1] = 184;
        frame
    };
    (0..200).for_each(|n| flood.frame(&sender(n + 10_000_000)));
    mixed(&mut flood, &call, 40, sender);
    (0..300_000).for_each(|n| flood.frame(&sender(n + 20_000_000)));
    let report = flood.judged(&call);
    assert!(report.flows.len() < 1_100, "{} flows", report.flows.len());
    assert!(has(&report, Cause::LimitReached));
}

#[test]
fn many_flows_with_many_senders_take_bounded_memory() {
    let (mut flood, call) = (Flood::new(), call());
    // 4000 flows with 64 senders each, of three packets: more than all flows may keep together.
    mixed(&mut flood, &call, 1500, |n| {
        let (flow, sender) = (n / 3 % 4000, n / 12_000);
        let mut frame = template("10.99.0.1:9", "10.20.0.9:9", rtp((n % 3) as u16, sender as u32 + 1));
        readdress(&mut frame, flow);
        frame
    });
    let report = flood.judged(&call);
    assert!(has(&report, Cause::LimitReached));
}

#[test]
fn garbage_over_tcp_with_lying_lengths_takes_bounded_memory() {
    let (mut flood, call) = (Flood::new(), call());
    let invite = "INVITE sip:a@b SIP/2.0\r\nContent-Length: 48000\r\nCall-ID: x\r\n\r\n";
    let starts: [Vec<u8>; 4] = [
        invite.as_bytes().to_vec(),
        vec![0xff, 0xff, 0x80, 0],
        vec![0, 1, 0xff, 0xf0, 0x21, 0x12, 0xa4, 0x42],
        vec![0x40, 1, 0xff, 0xff],
    ];
    // 20 000 connections, each with a beginning that promises much more than comes.
    mixed(&mut flood, &call, 1000, |n| {
        let (connection, part) = (n % 20_000, n / 20_000);
        let mut payload = starts[connection as usize % 4].clone();
        if part > 0 {
            payload = vec![b'a'; 1400];
        } else {
            payload.resize(1400, b'x');
        }
        // Every other connection also leaves a hole that is never filled.
        let hole = if connection.is_multiple_of(2) { 0 } else { 1400 * u64::from(part > 1) };
        let seq = (1000 + part * 1400 + hole) as u32;
        let body = Body::Tcp { src_port: 9, dst_port: 5060, seq, flags: 0x18, payload };
        let first =
            Packet::udp(0, "10.99.0.1:9".parse().unwrap(), "10.20.0.9:9".parse().unwrap(), 0, Vec::new());
        let mut frame = encode::frame(&Packet { body, ..first }, encode::Link::Raw, true).unwrap();
        readdress(&mut frame, connection);
        frame
    });
    flood.judged(&call);
}

#[test]
fn a_file_of_noise_is_an_error_and_no_panic() {
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut flood = Flood::new();
    for _ in 0..200_000 {
        let noise: Vec<u8> = (0..8)
            .flat_map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed.to_le_bytes()
            })
            .collect();
        flood.frame(&noise);
    }
    let report = flood.verifier.report(&Options { plan: Some(phones()), ..Options::default() });
    assert_eq!(report.totals.frames, 200_000);
    assert!(report.findings.iter().all(|finding| finding.cause != Cause::NoPlanInForce));
}
