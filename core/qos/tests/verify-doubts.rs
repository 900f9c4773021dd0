//! What could not be judged is never called good, and what looks like a server need not be one.

mod support;

use carillon_qos::Role;
use carillon_qos::verify::report::{Report, Verdict};
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

fn of_sender(mut packets: Vec<Vec<u8>>, number: u8) -> Vec<Vec<u8>> {
    packets.iter_mut().for_each(|packet| packet[39] = number);
    packets
}

fn judged(calls: &[Vec<Vec<u8>>]) -> Report {
    support::judged(PLAN, Role::Client, calls)
}
