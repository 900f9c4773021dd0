//! Classes: of the credential, of the listener, of the planned port; and what a new plan changes for those who are connected.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use carillon_qos::plan::Scope;
use carillon_qos::{Plan, TrafficClass};
use carillon_relay::{Access, Config, Listener, Marking, Output, Peers, Request, Transport, issue};
use carillon_wire::stun::{Method, kind};
use support::{Client, Edge, INSIDE_PEER, PEER, START, config, networks, planned, rule_ids, to_peer};

const AUDIO: Option<TrafficClass> = Some(TrafficClass::Audio);
const VIDEO: Option<TrafficClass> = Some(TrafficClass::Video);

const PLAN: &str = r#"
name = "edge"
enabled = true

[classes]
audio = "EF"
video = "AF41"

[roles.client]
audio = { start = 20000, count = 40 }
video = { start = 20040, count = 40 }
"#;

fn by_plan() -> Config {
    let plan = Plan::from_toml(PLAN).unwrap_or_else(|problems| panic!("{problems:?}"));
    let marking = Marking::of(&plan, &Scope::default(), networks(&["10.0.0.0/8"]));
    let access = Access { secrets: vec!["north".to_owned()], ..config().access };
    Config { marking, access, ..config() }
}

#[test]
fn the_credential_decides_before_the_listener_and_the_listener_before_the_port() {
    for (class, listener, port, expected) in [
        (VIDEO, 1, 20000, VIDEO),
        (None, 1, 20040, AUDIO),
        (None, 0, 20040, VIDEO),
        (None, 0, 20079, VIDEO),
        (None, 0, 20080, None),
        (None, 9, 20000, AUDIO),
    ] {
        let mut edge = Edge::with(by_plan());
        let credential = issue("north", "alice", class, START + Duration::from_secs(3600));
        let mut alice = Client::new(&credential.username, &credential.password).on(listener);
        alice.allocate(&mut edge);
        assert_eq!(alice.bind(&mut edge, 0x4000, &format!("10.0.0.9:{port}")), 0);
        assert_eq!(
            (edge.rules[0].to_peer, edge.rules[0].to_client),
            (expected, None),
            "{class:?} {listener} {port}"
        );
    }
}

/// As the Edge's own policy does it: by the destination, so each direction by its own.
#[test]
fn an_inside_client_is_told_by_its_own_planned_port() {
    let mut edge = Edge::with(by_plan());
    let mut alice = Client::alice().from("10.0.0.5:20040");
    alice.allocate(&mut edge);
    alice.bind(&mut edge, 0x4000, "9.9.9.9:20000");
    alice.bind(&mut edge, 0x4001, "10.0.0.9:20000");
    let marks: Vec<_> = edge.rules.iter().map(|rule| (rule.to_client, rule.to_peer)).collect();
    assert_eq!(marks, [(VIDEO, None), (VIDEO, AUDIO)]);
}

#[test]
fn what_the_relay_itself_says_has_the_class_of_its_flow() {
    let mut edge = Edge::new();
    for (remote, listener, expected) in
        [("10.0.0.5:1", 1, AUDIO), ("10.0.0.5:2", 2, VIDEO), ("10.0.0.5:3", 0, None), ("7.7.7.7:4", 1, None)]
    {
        let mut alice = Client::alice().from(remote).on(listener);
        let bytes = alice.bare(Method::Binding, |b| b);
        let outputs = edge.hear(alice.flow, &bytes);
        assert!(matches!(outputs[..], [Output::Transmit { class, .. }] if class == expected), "{outputs:?}");
    }
}

/// Marks that change within a connection would have it reorder itself (RFC 7657).
#[test]
fn a_stream_has_one_class_and_none_if_its_channels_disagree() {
    let mut edge = Edge::with(by_plan());
    let mut alice = Client::alice().from("10.0.0.5:1025").over(Transport::Tcp);
    alice.allocate(&mut edge);
    let classes =
        |edge: &Edge| edge.rules.iter().map(|rule| (rule.to_client, rule.to_peer)).collect::<Vec<_>>();
    alice.bind(&mut edge, 0x4000, "10.0.0.9:20000");
    alice.bind(&mut edge, 0x4001, "10.0.0.8:20001");
    assert_eq!(classes(&edge), [(AUDIO, AUDIO); 2]);
    alice.bind(&mut edge, 0x4002, "10.0.0.8:20040");
    assert_eq!(classes(&edge), [(None, AUDIO), (None, AUDIO), (None, VIDEO)]);
    let heard = edge.hear_peer(edge.ports[0], "10.0.0.9:20000", b"x");
    assert!(matches!(heard[..], [Output::ToClient { class: None, .. }]), "{heard:?}");
}

#[test]
fn the_answer_to_the_end_of_an_allocation_has_its_class() {
    let mut edge = Edge::with(by_plan());
    let credential = issue("north", "alice", VIDEO, START + Duration::from_secs(3600));
    let mut alice = Client::new(&credential.username, &credential.password).from("10.0.0.5:1025").on(1);
    alice.allocate(&mut edge);
    let bytes = alice.proven(Method::Refresh, |b| b.u32(kind::LIFETIME, 0));
    let outputs = edge.hear(alice.flow, &bytes);
    let class = outputs.iter().find_map(|output| match output {
        Output::Transmit { class, .. } => Some(*class),
        _ => None,
    });
    assert_eq!(class, Some(VIDEO));
}

#[test]
fn a_new_plan_issues_the_rules_of_live_relays_again_under_their_names() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice().on(1));
    alice.allocate(&mut edge);
    alice.bind(&mut edge, 0x4000, INSIDE_PEER);
    alice.bind(&mut edge, 0x4001, PEER);
    let before = rule_ids(&edge);
    assert_eq!(edge.rules.iter().map(|rule| rule.to_peer).collect::<Vec<_>>(), [AUDIO, None]);
    let listeners = vec![Listener::default(), Listener { class: VIDEO }];
    let marking = Marking { outside: true, ..config().marking };
    let outputs = edge.request(Request::Configure(Box::new(Config { listeners, marking, ..config() })));
    assert!(outputs.iter().all(|output| matches!(output, Output::Install(_))), "{outputs:?}");
    assert_eq!(rule_ids(&edge), before);
    assert_eq!(
        edge.rules.iter().map(|rule| (rule.to_peer, rule.to_client)).collect::<Vec<_>>(),
        [(VIDEO, VIDEO); 2]
    );
    assert_eq!(to_peer(&alice.send_on(&mut edge, 0x4000, b"x")).unwrap().1, VIDEO);
}

#[test]
fn a_user_who_is_taken_off_the_list_keeps_the_call_and_gets_no_longer_lifetime() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    alice.bind(&mut edge, 0x4000, PEER);
    edge.request(Request::Configure(Box::new(Config { access: Access::default(), ..config() })));
    assert_eq!(edge.rules.len(), 1);
    assert_eq!(alice.refresh(&mut edge, 600), 401);
}

/// What is bound to a port that the plan names no longer goes on, and can be kept for as long as its client likes; what begins goes by
/// the plan of now.
#[test]
fn a_plan_that_moves_ports_leaves_calls_that_run_on_the_old_ones_alone() {
    let (mut edge, mut alice) = (Edge::with(planned("20000-20039")), Client::alice());
    alice.allocate(&mut edge);
    assert_eq!(alice.bind(&mut edge, 0x4000, "10.0.0.9:20000"), 0);
    let before = rule_ids(&edge);
    edge.request(Request::Configure(Box::new(planned("21000-21039"))));
    assert_eq!(rule_ids(&edge), before, "the rule goes on");
    assert!(to_peer(&alice.send_on(&mut edge, 0x4000, b"x")).is_some());
    for _ in 0..3 {
        edge.wait(Duration::from_secs(290));
        alice.fetch_nonce(&mut edge);
        assert_eq!((alice.refresh(&mut edge, 600), alice.bind(&mut edge, 0x4000, "10.0.0.9:20000")), (0, 0));
        assert_eq!(edge.rules.len(), 1);
    }
    // The next call.
    for (channel, peer, expected) in [
        (0x4001, "10.0.0.9:20001", 403),
        (0x4001, "10.0.0.8:20000", 403),
        (0x4001, "10.0.0.9:21000", 0),
        // Another number is another channel.
        (0x4002, "10.0.0.9:20000", 403),
    ] {
        assert_eq!(alice.bind(&mut edge, channel, peer), expected, "{channel:#x} {peer}");
    }
    // Once it has ended, it begins anew like any other.
    edge.wait(Duration::from_secs(580));
    alice.fetch_nonce(&mut edge);
    assert_eq!(alice.refresh(&mut edge, 600), 0);
    edge.wait(Duration::from_secs(30));
    assert_eq!(alice.bind(&mut edge, 0x4000, "10.0.0.9:20000"), 403);
}

#[test]
fn a_network_that_is_inside_no_longer_is_cut_off_whatever_its_port() {
    let (mut edge, mut alice) = (Edge::with(planned("20000-20039")), Client::alice());
    alice.allocate(&mut edge);
    assert_eq!(alice.bind(&mut edge, 0x4000, "10.0.0.9:20000"), 0);
    let Config { peers, .. } = planned("20000-20039");
    let without = Config { peers: Peers { inside: networks(&["10.1.0.0/16"]), ..peers }, ..config() };
    edge.request(Request::Configure(Box::new(without)));
    assert_eq!((rule_ids(&edge), to_peer(&alice.send_on(&mut edge, 0x4000, b"x"))), (vec![], None));
    assert_eq!(alice.bind(&mut edge, 0x4000, "10.0.0.9:20000"), 403);
}
