//! What could not be judged is never called good, and what looks like a server need not be one.

mod support;

use carillon_qos::Role;
use carillon_qos::verify::cause::Cause;
use carillon_qos::verify::report::{Content, Report, Verdict};
use carillon_wire::stun::{Builder, Class, Method, kind};
use support::call;

const PLAN: &str = r#"
name = "office"
[classes]
audio = "EF"
[roles.client]
audio = "6000-6024"
[roles.conferencing]
audio = "49152-57499"
"#;

#[test]
fn media_that_nothing_tells_the_class_of_leaves_a_doubt() {
    // Five packets of a dynamic type from a foreign port, four times over: too few for a shape.
    let crumbs = (0..4u8).map(|n| of_sender(call(30_000 + u16::from(n), 0, 111), n)[..5].to_vec());
    let calls: Vec<_> = std::iter::once(call(6010, 46, 0)).chain(crumbs).collect();
    let report = judged(&calls);
    assert_eq!((report.verdict, report.totals.unclassified), (Verdict::Unjudged, 20));
    assert!(report.unjudged[0].contains("20 packets look like media"), "{:?}", report.unjudged);
}

#[test]
fn many_senders_that_start_at_once_on_one_transport_are_all_confirmed() {
    let senders: Vec<_> = (0..40u8).map(|n| of_sender(call(6010, 0, 0), n)).collect();
    let interleaved = (0..50).flat_map(|packet| senders.iter().map(move |sender| sender[packet].clone()));
    let report = judged(&[interleaved.collect()]);
    assert_eq!((report.verdict, report.flows.len(), report.totals.wrong_mark), (Verdict::Fail, 40, 2000));
}

#[test]
fn hosts_with_a_servers_ports_in_each_others_company_only_are_clients() {
    let there = call(50_100, 46, 0);
    let turned = |mut packet: Vec<u8>| {
        packet[12..20].rotate_left(4);
        packet[20..22].copy_from_slice(&50_200u16.to_be_bytes());
        packet
    };
    let back = there.iter().cloned().map(turned).collect();
    let report = support::told(PLAN, &[], &[there, back]);
    assert_eq!(report.verdict, Verdict::Fail);
    assert!(report.flows.iter().all(|flow| flow.role == Role::Client && flow.in_range == Some(false)));
}

#[test]
fn what_is_sealed_with_a_relay_may_be_voice_and_elsewhere_its_mark_is_stolen() {
    let rogue = |calls: &[Vec<Vec<u8>>]| {
        let found = judged(calls).findings;
        found.iter().any(|finding| finding.cause == Cause::RogueMarked)
    };
    assert!(rogue(&[tls(8443)]));
    assert!(!rogue(&[tls(5349)]), "TURN over TLS");
    // On a port that everybody uses, it is for whoever was seen to lend addresses.
    let lends = Builder::new(Class::Success, Method::Allocate, [7; 12])
        .xor_address(kind::XOR_RELAYED_ADDRESS, ([10, 0, 0, 1], 50_000).into())
        .finish()
        .unwrap();
    assert!(rogue(&[tls(443)]));
    assert!(!rogue(&[vec![udp(3478, &lends)], tls(443)]));
}

#[test]
fn messages_of_stun_that_no_card_has_cut_yet_are_stun() {
    let question = Builder::new(Class::Request, Method::Binding, [7; 12]).finish().unwrap();
    let report = judged(&[vec![udp(6010, &question.repeat(3))], call(6010, 46, 0)]);
    let contents: Vec<Content> = report.flows.iter().map(|flow| flow.content).collect();
    assert!(contents.contains(&Content::Stun) && !contents.contains(&Content::Other), "{contents:?}");
}

/// Records of TLS from this port, marked EF.
fn tls(port: u16) -> Vec<Vec<u8>> {
    let record = |number: u32| {
        let mut segment = [port.to_be_bytes(), 40_000u16.to_be_bytes()].concat();
        segment.extend((1 + number * 105).to_be_bytes());
        segment.extend([0, 0, 0, 1, 0x50, 0x18, 255, 255, 0, 0, 0, 0]);
        segment.extend(if number == 0 { [0x16, 3, 3, 0, 100, 2] } else { [0x17, 3, 3, 0, 100, 9] });
        segment.resize(20 + 105, 0);
        support::ip(6, 46, &segment)
    };
    (0..20).map(record).collect()
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    let mut udp = [port.to_be_bytes(), 30_000u16.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    udp.extend(payload);
    support::ip(17, 46, &udp)
}

fn of_sender(mut packets: Vec<Vec<u8>>, number: u8) -> Vec<Vec<u8>> {
    packets.iter_mut().for_each(|packet| packet[39] = number);
    packets
}

fn judged(calls: &[Vec<Vec<u8>>]) -> Report {
    support::judged(PLAN, Role::Client, calls)
}
