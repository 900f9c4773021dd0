//! Hold, codecs that change in the middle, packets of other lengths, ports and reports: as offer and answer have it.
#![allow(clippy::unwrap_used)]

mod network;

use std::time::Duration;

use carillon_media::codec::{Codec, Encoder, Frame};
use carillon_media::leg::{Component, Event};
use carillon_media::negotiate::{Agreed, Encryption, Events, Format, Wishes};
use carillon_media::speech::{Voice, similarity};
use carillon_wire::ip::Dscp;
use carillon_wire::rtcp::{Content, packets};
use carillon_wire::rtp;
use carillon_wire::sdp::Direction;
use network::{Call, Path, address, negotiation, plain};

const QUIET: Frame = [0; 320];

fn pcmu() -> Wishes {
    plain(Wishes { codecs: vec![Codec::Pcmu], ..Wishes::default() })
}

/// Packets as a foreign phone would send them: payloads of any codec and length.
struct Phone {
    sequence: u16,
    timestamp: u32,
}

impl Phone {
    fn say(&mut self, call: &mut Call, payload_type: u8, payload: &[u8], ticks: u32) {
        let mut bytes = Vec::new();
        let (sequence, timestamp) = (self.sequence, self.timestamp);
        let header =
            rtp::Builder { payload_type, sequence, timestamp, ssrc: 5, padding: 4, ..Default::default() };
        header.write(payload, &mut bytes);
        let from = call.caller.address;
        call.callee.receive(call.now, Component::Rtp, from, bytes, Dscp::EF);
        self.sequence += 1;
        self.timestamp += ticks;
    }
}

#[test]
fn packets_of_ten_thirty_and_sixty_milliseconds_are_heard_whole() {
    for ms in [10, 30, 60] {
        let mut call = Call::new(&pcmu(), Path::clean(1), Path::clean(2));
        let (mut coder, mut law) = (Encoder::new(Codec::Pcmu).unwrap(), Vec::new());
        Voice::Alice.frames().iter().for_each(|frame| assert!(coder.encode(frame, &mut law)));
        let mut phone = Phone { sequence: 7, timestamp: 9 };
        let mut said = law.chunks(8 * ms);
        for tick in 0..law.len() / 160 + 40 {
            // As many as begin in this tick.
            for _ in (tick * 20).div_ceil(ms)..((tick + 1) * 20).div_ceil(ms) {
                if let Some(payload) = said.next() {
                    phone.say(&mut call, 0, payload, 8 * ms as u32);
                }
            }
            call.tick(None, None);
        }
        let found = similarity(&Voice::Alice.samples(), &call.callee.heard);
        assert!(found.score > 0.95, "{ms} ms: {found:?}");
        let report = call.callee.leg.report();
        assert_eq!((report.packets_lost, report.packets_discarded), (0, 0), "{ms} ms");
        assert!(report.buffer_max_ms <= 200, "{ms} ms: {report:?}");
    }
}

#[test]
fn the_peer_may_change_its_codec_at_any_packet() {
    let mut call = Call::new(&plain(Wishes::default()), Path::clean(1), Path::clean(2));
    let formats = [(Codec::Pcmu, 0), (Codec::G722, 9)];
    let agreed = Agreed {
        receive: formats.map(|(codec, payload_type)| Format { payload_type, codec }).to_vec(),
        ..call.callee.leg.agreed().clone()
    };
    call.callee.leg.renegotiate(agreed).unwrap();
    let mut coders = formats.map(|(codec, number)| (number, Encoder::new(codec).unwrap()));
    let mut phone = Phone { sequence: 7, timestamp: 9 };
    for (at, frame) in Voice::Alice.frames().iter().enumerate() {
        let (number, coder) = &mut coders[at / 50 % 2];
        let mut payload = Vec::new();
        coder.encode(frame, &mut payload);
        phone.say(&mut call, *number, &payload, 160);
        call.tick(None, None);
    }
    call.talk(&[], &[], 10);
    // A second each; codecs differ in their delay, so the whole would not match at one lag.
    for part in Voice::Alice.samples().chunks_exact(16_000) {
        let found = similarity(part, &call.callee.heard);
        assert!(found.score > 0.85, "{found:?}");
    }
    let report = call.callee.leg.report();
    assert_eq!((report.rtp.unexpected, report.packets_garbled), (0, 0));
    phone.say(&mut call, 18, &[0; 20], 160);
    assert_eq!(call.callee.leg.report().rtp.unexpected, 1, "G.729 was not agreed");
}

#[test]
fn hold_silences_both_ways_and_resuming_goes_on_with_the_same_stream_and_keys() {
    let wishes = Wishes { encryption: Encryption::Required, ..Wishes::default() };
    let mut call = Call::new(&wishes, Path::clean(1), Path::clean(2));
    let (mut caller, mut callee) = (negotiation(&wishes, 50_000), negotiation(&wishes, 50_020));
    let mut agree = |call: &mut Call, direction| {
        let (answer, there) = callee.answer(caller.offer(direction).as_bytes(), Direction::SendRecv).unwrap();
        call.callee.leg.renegotiate(there).unwrap();
        call.caller.leg.renegotiate(caller.accept(answer.as_bytes()).unwrap()).unwrap();
    };
    let frames = Voice::Alice.frames();
    call.talk(&frames[..50], &frames[..50], 0);
    agree(&mut call, Direction::Inactive);
    let sent = |call: &Call| call.caller.leg.report().packets_sent + call.callee.leg.report().packets_sent;
    let before = sent(&call);
    call.caller.heard.clear();
    call.talk(&frames[50..100], &frames[50..100], 0);
    assert_eq!(sent(&call), before);
    assert!(call.caller.heard.iter().all(|sample| *sample == 0));
    agree(&mut call, Direction::SendRecv);
    call.callee.heard.clear();
    call.talk(&frames, &[], 25);
    assert!(similarity(&Voice::Alice.samples(), &call.callee.heard).score > 0.9);
    let report = call.callee.leg.report();
    assert_eq!((report.rtp.unauthentic, report.rtp.replayed, report.packets_lost), (0, 0, 0), "{report:?}");
    assert_eq!(call.callee.events.iter().filter(|event| **event == Event::Started).count(), 1);
}

#[test]
fn a_key_that_comes_back_goes_on_with_its_counters() {
    let wishes = Wishes { encryption: Encryption::Required, mux: false, ..Wishes::default() };
    let mut call = Call::new(&wishes, Path::clean(1), Path::clean(2));
    call.talk(&[QUIET; 400], &[], 0);
    let secret = (call.caller.leg.agreed().clone(), call.callee.leg.agreed().clone());
    let old: Vec<_> = call.caller.sent.clone();
    for keys in [false, true] {
        let turn = |agreed: &Agreed| Agreed { keys: agreed.keys.clone().filter(|_| keys), ..agreed.clone() };
        call.caller.leg.renegotiate(turn(&secret.0)).unwrap();
        call.callee.leg.renegotiate(turn(&secret.1)).unwrap();
        call.talk(&[QUIET; 400], &[], 10);
    }
    let report = call.callee.leg.report();
    let spoiled = |report: &carillon_media::quality::Report| {
        [&report.rtp, &report.rtcp].map(|arrivals| (arrivals.unauthentic, arrivals.replayed))
    };
    assert_eq!(spoiled(&report), [(0, 0); 2], "the peer goes on, too");
    assert!(report.packets_received >= 1200);
    let counts = call.caller.sent.iter().filter_map(|packet| {
        carillon_wire::rtcp::srtcp(&packet.bytes, packet.bytes.len() as u32)
            .filter(|_| packet.bytes[1] == 200)
    });
    let counts: Vec<u32> =
        counts.filter(|word| word.encrypted == Some(true)).filter_map(|word| word.index).collect();
    assert!(
        counts.len() > 2 && counts.iter().zip(0..).all(|(index, expected)| *index == expected),
        "{counts:?}"
    );
    // What was recorded before is not heard again.
    let from = call.caller.address;
    for packet in old.iter().filter(|packet| packet.component == Component::Rtp) {
        call.callee.receive(call.now, Component::Rtp, from, packet.bytes.clone(), Dscp::EF);
    }
    assert_eq!(call.callee.leg.report().rtp.replayed, 400);
}

#[test]
fn a_peer_that_only_receives_is_not_heard() {
    let mut call = Call::new(&pcmu(), Path::clean(1), Path::clean(2));
    let agreed = Agreed { direction: Direction::SendOnly, ..call.callee.leg.agreed().clone() };
    call.callee.leg.renegotiate(agreed).unwrap();
    call.talk(&Voice::Alice.frames(), &[], 10);
    assert!(call.callee.heard.iter().all(|sample| *sample == 0));
    assert!(call.callee.leg.report().packets_received > 100, "but counted");
}

#[test]
fn nothing_is_sent_to_the_address_zero() {
    let mut call = Call::new(&pcmu(), Path::clean(1), Path::clean(2));
    let nowhere = "0.0.0.0:6000".parse().unwrap();
    let agreed = Agreed { remote_rtp: nowhere, remote_rtcp: nowhere, ..call.caller.leg.agreed().clone() };
    call.caller.leg.renegotiate(agreed).unwrap();
    call.talk(&[QUIET; 500], &[], 0);
    let report = call.caller.leg.report();
    assert_eq!((report.packets_sent, report.reports_sent, call.caller.sent.len()), (0, 0, 0));
}

#[test]
fn reports_go_to_their_own_port_unless_it_is_shared() {
    for mux in [false, true] {
        let mut call = Call::new(&Wishes { mux, ..pcmu() }, Path::clean(1), Path::clean(2));
        call.talk(&[QUIET; 250], &[], 0);
        let report = |packet: &&carillon_media::leg::Transmit| packet.bytes[1] == 200;
        let sent = call.caller.sent.iter().find(report).unwrap();
        let expected = if mux { (Component::Rtp, 50_020) } else { (Component::Rtcp, 50_021) };
        assert_eq!((sent.component, sent.to.port()), expected);
    }
}

#[test]
fn reports_come_at_random_times_around_their_interval_with_a_name_and_metrics() {
    let mut call = Call::new(&pcmu(), Path::clean(1), Path::clean(2));
    let start = call.now;
    let mut times = Vec::new();
    for _ in 0..3000 {
        call.tick(Some(&QUIET), Some(&QUIET));
        while times.len() < call.caller.sent.iter().filter(|packet| packet.bytes[1] == 200).count() {
            times.push(call.now - start);
        }
    }
    let steps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((1000..3150).contains(&times[0].as_millis()), "{times:?}");
    assert!(steps.iter().all(|step| (2000..6250).contains(&step.as_millis())), "{steps:?}");
    assert!(steps.iter().any(|step| *step != steps[0]));
    let last = call.caller.sent.iter().rev().find(|packet| packet.bytes[1] == 200).unwrap();
    let contents: Vec<Content<'_>> =
        packets(&last.bytes, last.bytes.len() as u32).map(|packet| packet.content()).collect();
    let [
        Content::SenderReport(info, mut blocks),
        Content::SourceDescription(names),
        Content::ExtendedReport(_, mut xr),
    ] = contents[..]
    else {
        panic!("{contents:?}");
    };
    assert_eq!(u64::from(info.octets), 160 * u64::from(info.packets));
    assert_eq!(names.cname(), Some((info.ssrc, &b"0000000000000000000000000000c350"[..])), "{names:?}");
    let block = blocks.next().unwrap();
    assert!(block.last_sr != 0 && block.delay_since_sr > 0 && block.cumulative_lost == 0);
    let metrics = xr.next().unwrap().voip_metrics().unwrap();
    assert_eq!((metrics.ssrc, metrics.gmin, metrics.loss_rate), (block.ssrc, 16, 0));
    assert_eq!((metrics.mos_conversation, metrics.r_factor, metrics.round_trip_delay), (44, 127, 50));
}

#[test]
fn who_sends_nothing_gives_a_receiver_report_and_no_metrics_unless_asked() {
    let mut call = Call::new(&pcmu(), Path::clean(1), Path::clean(2));
    let agreed = Agreed { voip_metrics: false, ..call.callee.leg.agreed().clone() };
    call.callee.leg.renegotiate(agreed).unwrap();
    call.talk(&[QUIET; 600], &[], 0);
    let kinds: Vec<u8> = call.callee.sent.iter().map(|packet| packet.bytes[1]).collect();
    assert!(kinds.len() > 1 && kinds.iter().all(|kind| *kind == 201), "{kinds:?}");
    let last = &call.callee.sent.last().unwrap().bytes;
    let has_metrics = packets(last, last.len() as u32).any(|packet| packet.packet_type == 207);
    assert!(!has_metrics);
}

#[test]
fn key_presses_count_in_the_clock_that_was_agreed() {
    let mut call = Call::new(&plain(Wishes::default()), Path::clean(1), Path::clean(2));
    let agreed = Agreed {
        events: Some(Events { send: 100, receive: 100, clock: 8000 }),
        ..call.caller.leg.agreed().clone()
    };
    call.caller.leg.renegotiate(agreed).unwrap();
    call.tick(Some(&QUIET), None);
    assert!(call.caller.leg.press(carillon_media::dtmf::Key::new('7').unwrap()));
    call.talk(&[QUIET; 20], &[], 0);
    let read = |packet: &carillon_media::leg::Transmit| {
        let read = rtp::Packet::parse(&packet.bytes, packet.bytes.len() as u32).unwrap();
        (read.payload_type, read.marker, read.timestamp, read.payload.to_vec())
    };
    let sent: Vec<_> = call.caller.sent.iter().map(read).collect();
    let presses: Vec<_> = sent.iter().filter(|packet| packet.0 == 100).collect();
    assert_eq!(presses.len(), 10);
    assert!(presses.iter().all(|packet| packet.2 == sent[0].2.wrapping_add(960)), "the time of the press");
    assert_eq!(presses.iter().filter(|packet| packet.1).count(), 1);
    assert_eq!(presses[9].3, [7, 0x8a, 5, 0], "160 ms at 8000 Hz");
    let speech_after = &sent[11];
    assert_eq!((speech_after.0, speech_after.1), (111, true), "speech begins anew");
    assert_eq!(speech_after.2, sent[0].2.wrapping_add(960 * 11));
}

#[test]
fn proven_packets_are_heard_wherever_they_come_from() {
    let wishes = Wishes { encryption: Encryption::Required, codecs: vec![Codec::Pcmu], ..Wishes::default() };
    let mut call = Call::new(&wishes, Path::clean(1), Path::clean(2));
    call.caller.address = address(40_007);
    call.talk(&Voice::Alice.frames(), &[], 10);
    assert!(similarity(&Voice::Alice.samples(), &call.callee.heard).score > 0.9);
    let report = call.callee.leg.report();
    assert_eq!(report.rtp.foreign, report.packets_received);
}

#[test]
fn comfort_noise_and_a_mark_set_later() {
    let mut call = Call::new(&pcmu(), Path::clean(1), Path::clean(2));
    let mut phone = Phone { sequence: 1, timestamp: 0 };
    phone.say(&mut call, 0, &[0xff; 160], 160);
    phone.say(&mut call, 13, &[60], 160);
    phone.say(&mut call, 0, &[0xff; 160], 160);
    let report = call.callee.leg.report();
    assert_eq!((report.rtp.unexpected, report.packets_received, report.packets_lost), (0, 3, 0));
    call.caller.leg.set_mark(Dscp::DEFAULT);
    call.talk(&[QUIET; 4], &[], 0);
    assert_eq!(call.caller.leg.report().marks_sent.into_iter().collect::<Vec<_>>(), [(Dscp::DEFAULT, 4)]);
}
