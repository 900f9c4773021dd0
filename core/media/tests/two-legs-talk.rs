//! Two legs talk over a network that behaves, and over ones that don't; what counts is what was heard.
#![allow(clippy::unwrap_used)]

mod network;

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_media::codec::{Codec, RATE};
use carillon_media::dtmf::Key;
use carillon_media::leg::{Component, Event};
use carillon_media::negotiate::{Encryption, Wishes};
use carillon_media::speech::{Voice, similarity};
use carillon_media::srtp::Suite;
use carillon_wire::ip::Dscp;
use carillon_wire::rtp;
use network::{Call, Path, plain};

fn with(codec: Codec) -> Wishes {
    plain(Wishes { codecs: vec![codec], ..Wishes::default() })
}

/// Alice calls Bob and both speak at once: how much of each was heard, and how late, in milliseconds.
fn talked(call: &mut Call) -> [(f32, usize); 2] {
    call.talk(&Voice::Alice.frames(), &Voice::Bob.frames(), 25);
    let said = [Voice::Alice.samples(), Voice::Bob.samples()];
    [(0, &call.callee.heard), (1, &call.caller.heard)].map(|(who, heard)| {
        let found = similarity(&said[who], heard);
        (found.score, found.lag * 1000 / RATE as usize)
    })
}

#[test]
fn every_codec_and_every_suite_carries_speech_both_ways() {
    for codec in Codec::ALL {
        for suite in [None, Some(0), Some(1), Some(2), Some(3)] {
            let encryption = if suite.is_some() { Encryption::Required } else { Encryption::Off };
            let suites = suite.map(|at: usize| vec![Suite::ALL[at]]).unwrap_or_default();
            let wishes = Wishes { codecs: vec![codec], encryption, suites, mux: suite == Some(1) };
            let mut call = Call::new(&wishes, Path::clean(1), Path::clean(2));
            for (score, late) in talked(&mut call) {
                assert!(score > 0.9, "{codec} {suite:?}: {score}");
                assert!((40..=110).contains(&late), "{codec} {suite:?}: {late} ms");
            }
            let report = call.callee.leg.report();
            assert_eq!((report.packets_lost, report.packets_discarded, report.packets_garbled), (0, 0, 0));
            assert_eq!(report.codec_heard, Some(codec));
            assert_eq!(report.suite, suite.map(|at| Suite::ALL[at].name()));
            let clear =
                call.caller.sent.iter().any(|packet| packet.bytes.windows(8).any(|bytes| bytes == [0xff; 8]));
            assert!(suite.is_none() || !clear, "silence of PCMU would be seen");
            let muxed = call.caller.sent.iter().all(|packet| packet.component == Component::Rtp);
            assert_eq!(muxed, wishes.mux);
        }
    }
}

#[test]
fn silence_is_not_taken_for_speech() {
    let mut call = Call::new(&with(Codec::Pcmu), Path::clean(1), Path::clean(2));
    call.talk(&[[0; 320]; 200], &[[0; 320]; 200], 25);
    assert_eq!(call.callee.leg.report().packets_received, 200);
    assert_eq!(similarity(&Voice::Alice.samples(), &call.callee.heard).score, 0.0);
}

#[test]
fn loss_is_counted_concealed_and_told_to_the_sender() {
    for codec in Codec::ALL {
        let mut forth = Path::clean(3);
        forth.lost = 50;
        let mut call = Call::new(&with(codec), forth, Path::clean(4));
        let [(heard, _), (back, _)] = talked(&mut call);
        assert!(heard > 0.85 && back > 0.9, "{codec}: {heard} {back}");
        let report = call.callee.leg.report();
        let missing = call.caller.leg.report().packets_sent - report.packets_received;
        assert!(missing >= 5 && report.packets_lost == missing, "{codec}: {missing} {report:?}");
        assert!(report.frames_concealed >= missing);
        assert!((report.unheard_percent - report.loss_percent).abs() < 1e-9);
        assert!(report.clusters.gap_density > 0.0 || report.clusters.burst_density > 0.0);
        for _ in 0..600 {
            call.tick(Some(&[0; 320]), None);
        }
        let remote = call.caller.leg.report().remote.unwrap();
        assert!(remote.lost > 0, "{codec}");
        assert!(remote.voip_metrics.unwrap().loss_rate > 0);
    }
}

#[test]
fn opus_says_lost_words_a_second_time() {
    let heard = |codec| {
        let mut forth = Path::clean(5);
        forth.lost = 150;
        talked(&mut Call::new(&with(codec), forth, Path::clean(4)))[0].0
    };
    let (opus, g722) = (heard(Codec::Opus), heard(Codec::G722));
    assert!(opus > g722 + 0.03, "{opus} {g722}");
}

#[test]
fn packets_that_overtake_each_other_are_put_in_order() {
    let mut forth = Path::clean(6);
    (forth.jitter, forth.doubled) = (Duration::from_millis(60), 50);
    let mut call = Call::new(&with(Codec::Pcmu), forth, Path::clean(7));
    // The buffer grows while Alice is quiet, and then nothing is missing.
    call.talk(&[[0; 320]; 100], &[], 0);
    call.callee.heard.clear();
    let [(score, late), _] = talked(&mut call);
    assert!(score > 0.9 && late <= 200, "{score} {late}");
    let report = call.callee.leg.report();
    assert!(report.packets_duplicated > 5 && report.packets_reordered > 20, "{report:?}");
    assert_eq!(report.packets_lost, 0);
    assert!(report.packets_discarded < 10 && report.buffer_max_ms <= 200, "{report:?}");
    assert!((5.0..40.0).contains(&report.jitter_ms), "{}", report.jitter_ms);
}

#[test]
fn the_delay_shrinks_again_when_the_network_calms() {
    let mut forth = Path::clean(8);
    forth.jitter = Duration::from_millis(100);
    let mut call = Call::new(&with(Codec::Pcmu), forth, Path::clean(9));
    call.talk(&[[0; 320]; 250], &[], 0);
    let rough = call.callee.leg.report().buffer_ms;
    call.caller.path.jitter = Duration::ZERO;
    call.talk(&[[0; 320]; 1500], &[], 0);
    let calm = call.callee.leg.report().buffer_ms;
    assert!(rough >= 80 && calm <= 60, "{rough} ms, then {calm} ms");
}

#[test]
fn every_mark_is_counted_and_reported_with_what_was_sent() {
    let mut call = Call::new(&with(Codec::Pcmu), Path::clean(1), Path::clean(2));
    call.talk(&Voice::Alice.frames()[..100], &[], 5);
    call.caller.path.mark = Dscp::DEFAULT;
    call.talk(&Voice::Alice.frames()[100..110], &[], 300);
    let (here, there) = (call.caller.leg.report(), call.callee.leg.report());
    assert_eq!(there.rtp.marks, BTreeMap::from([(Dscp::EF, 100), (Dscp::DEFAULT, 10)]));
    assert_eq!(there.rtcp.marks.values().sum::<u64>(), here.reports_sent);
    assert_eq!(here.packets_sent, 110);
    assert_eq!(here.marks_sent, BTreeMap::from([(Dscp::EF, 110 + here.reports_sent)]));
}

#[test]
fn a_key_pressed_is_heard_once_in_every_codec_and_through_loss() {
    for codec in Codec::ALL {
        let mut forth = Path::clean(10);
        (forth.lost, forth.doubled) = (100, 100);
        forth.jitter = Duration::from_millis(30);
        let mut call = Call::new(&with(codec), forth, Path::clean(11));
        call.talk(&[], &[], 10);
        for key in "1855#*A".chars() {
            assert!(call.caller.leg.press(Key::new(key).unwrap()));
        }
        call.talk(&[[0; 320]; 200], &[], 20);
        let keys: String = call
            .callee
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Key(key) => Some(key.character()),
                _ => None,
            })
            .collect();
        assert_eq!(keys, "1855#*A", "{codec}");
        assert!(call.caller.events.iter().all(|event| !matches!(event, Event::Key(_))));
    }
}

#[test]
fn the_way_there_and_back_is_measured() {
    let mut call = Call::new(&Wishes::default(), Path::clean(1), Path::clean(2));
    for _ in 0..800 {
        call.tick(Some(&[0; 320]), Some(&[0; 320]));
    }
    for end in [&call.caller, &call.callee] {
        let report = end.leg.report();
        // 25 ms each way; a report that came between two ticks is answered at a tick, which its DLSR accounts for.
        let trip = report.round_trip_ms.unwrap();
        assert!((49.0..51.0).contains(&trip), "{trip}");
        assert!((2..=8).contains(&report.reports_sent), "{}", report.reports_sent);
        assert_eq!(report.mos(), None, "Opus has no score on the narrowband scale");
    }
}

#[test]
fn the_score_of_pcmu_falls_with_loss() {
    let score = |lost| {
        let mut forth = Path::clean(12);
        forth.lost = lost;
        let mut call = Call::new(&with(Codec::Pcmu), forth, Path::clean(2));
        talked(&mut call);
        call.callee.leg.report().mos().unwrap()
    };
    let (clean, lossy) = (score(0), score(100));
    assert!((4.3..4.5).contains(&clean) && lossy < clean - 0.3, "{clean} {lossy}");
}

#[test]
fn a_goodbye_is_said_once_and_nothing_after_it() {
    let mut call = Call::new(&with(Codec::G722), Path::clean(1), Path::clean(2));
    call.talk(&[[0; 320]; 10], &[], 0);
    call.caller.leg.end(call.now);
    call.caller.leg.end(call.now);
    call.talk(&[[0; 320]; 300], &[], 0);
    assert_eq!(call.callee.events, [Event::Started, Event::Left]);
    let report = call.caller.leg.report();
    assert_eq!((report.packets_sent, report.reports_sent), (10, 1));
}

#[test]
fn spoiled_packets_are_counted_and_not_heard() {
    let mut forth = Path::clean(1);
    forth.spoil = |bytes| {
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
    };
    let wishes = Wishes { encryption: Encryption::Required, ..Wishes::default() };
    let mut call = Call::new(&wishes, forth, Path::clean(2));
    let [(forth, _), (back, _)] = talked(&mut call);
    assert!(forth == 0.0 && back > 0.9);
    let report = call.callee.leg.report();
    assert_eq!(report.rtp.unauthentic, call.caller.leg.report().packets_sent);
    assert_eq!((report.packets_received, report.codec_heard), (0, None));
}

#[test]
fn strangers_are_counted_and_not_heard() {
    let mut call = Call::new(&with(Codec::Pcmu), Path::clean(1), Path::clean(2));
    call.talk(&[[0; 320]; 3], &[], 10);
    for sequence in 0..10 {
        let mut bytes = Vec::new();
        rtp::Builder { sequence, ssrc: 77, ..Default::default() }.write(&[0; 160], &mut bytes);
        call.callee.receive(call.now, Component::Rtp, network::address(7), bytes, Dscp::DEFAULT);
    }
    let report = call.callee.leg.report();
    assert_eq!((report.rtp.foreign, report.packets_received), (10, 3));
    assert_eq!(report.rtp.marks[&Dscp::DEFAULT], 10);
}

#[test]
fn another_source_takes_over_when_it_goes_on_and_its_losses_add_up() {
    let mut call = Call::new(&with(Codec::Pcmu), Path::clean(1), Path::clean(2));
    call.talk(&[[0; 320]; 20], &[], 10);
    let peer = call.caller.address;
    for (n, sequence) in [900_u16, 40, 41, 43, 44].into_iter().enumerate() {
        let mut bytes = Vec::new();
        let ssrc = if n == 0 { 78 } else { 77 };
        rtp::Builder { sequence, ssrc, timestamp: 160 * u32::from(sequence), ..Default::default() }
            .write(&[0; 160], &mut bytes);
        call.callee.receive(call.now, Component::Rtp, peer, bytes, Dscp::EF);
    }
    let report = call.callee.leg.report();
    assert_eq!(report.rtp.stray, 2, "one alone, and the first of the new source");
    assert_eq!((report.packets_received, report.packets_lost), (20 + 3, 1));
}

#[test]
fn a_peer_with_our_number_makes_us_take_another_once() {
    let mut call = Call::new(&with(Codec::Pcmu), Path::clean(1), Path::clean(2));
    call.talk(&[[0; 320]; 5], &[], 0);
    let peer = call.callee.address;
    let ssrc = |packet: &carillon_media::leg::Transmit| {
        rtp::Packet::parse(&packet.bytes, packet.bytes.len() as u32).unwrap().ssrc
    };
    let own = call.caller.sent[4].clone();
    for _ in 0..3 {
        call.caller.receive(call.now, Component::Rtp, peer, own.bytes.clone(), Dscp::EF);
    }
    call.talk(&[[0; 320]; 5], &[], 10);
    // What comes with the old number now is the peer's.
    assert_eq!(call.caller.events, [Event::Collided, Event::Started]);
    let last = call.caller.sent.iter().rev().find(|packet| packet.bytes.len() == 172).unwrap();
    assert_ne!(ssrc(last), ssrc(&own));
    assert!(call.callee.events.contains(&Event::Left), "goodbye was said to the old number");
    let reflected = last.bytes.clone();
    call.caller.receive(call.now, Component::Rtp, peer, reflected, Dscp::EF);
    assert_eq!(call.caller.events.len(), 2, "a second time it is no collision but a reflection");
    assert_eq!(call.caller.leg.report().rtp.looped, 2);
}

#[test]
fn garbage_is_counted_and_harms_nothing() {
    let mut call = Call::new(&Wishes::default(), Path::clean(1), Path::clean(2));
    let peer = call.caller.address;
    for bytes in
        [vec![], vec![0; 4], vec![0x80; 12], vec![0xff; 1500], vec![0x80, 200, 0, 6], b"INVITE".to_vec()]
    {
        call.callee.receive(call.now, Component::Rtp, peer, bytes.clone(), Dscp::DEFAULT);
        call.callee.receive(call.now, Component::Rtcp, peer, bytes, Dscp::DEFAULT);
    }
    let [(score, _), _] = talked(&mut call);
    assert!(score > 0.9);
    let report = call.callee.leg.report();
    let counted = |arrivals: &carillon_media::leg::Arrivals| arrivals.garbage + arrivals.unauthentic;
    assert_eq!(counted(&report.rtp) + counted(&report.rtcp), 8, "{report:?}");
    assert_eq!(report.rtp.marks[&Dscp::DEFAULT] + report.rtcp.marks[&Dscp::DEFAULT], 12);
}

#[test]
fn a_host_that_was_held_up_skips_time_and_says_so() {
    let mut call = Call::new(&with(Codec::Pcmu), Path::clean(1), Path::clean(2));
    call.talk(&[[0; 320]; 10], &[], 0);
    call.now += Duration::from_millis(400);
    call.talk(&[[0; 320]; 10], &[], 5);
    let timestamps: Vec<u32> = call
        .caller
        .sent
        .iter()
        .filter(|packet| packet.bytes.len() == 172)
        .map(|packet| rtp::Packet::parse(&packet.bytes, 172).unwrap().timestamp)
        .collect();
    assert_eq!(timestamps[10].wrapping_sub(timestamps[9]), 160 * 21);
    assert_eq!(call.caller.leg.report().ticks_skipped, 20);
}
