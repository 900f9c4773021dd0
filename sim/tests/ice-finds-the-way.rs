//! Two agents of ICE and a relay in virtual time, behind NATs and firewalls: which way they find, how soon, and that it ends
//! when the other side has gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ice;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_media::ice::{Description, Event, Kind, Output, Path, Relaying, Session};
use carillon_media::leg::Component;
use carillon_sim::nat::Behaviour;
use ice::{EDGE, End, Packet, World, at, credentials, nothing};

const CONE: Behaviour = Behaviour::CONE;
const SYMMETRIC: Behaviour = Behaviour::SYMMETRIC;

fn udp(packet: &Packet) -> bool {
    packet.stream.is_none()
}

fn all_but_tls(packet: &Packet) -> bool {
    packet.to.port() != 5349
}

fn each_other(packet: &Packet) -> bool {
    packet.to.ip() != EDGE.parse::<IpAddr>().unwrap()
}

/// As short as a table needs it: local kind, remote kind, how the own relay is spoken to.
type Way = (Kind, Kind, Option<Relaying>);

fn way(path: &Path) -> Way {
    (path.local.kind, path.remote.kind, path.relaying)
}

#[test]
fn every_topology_has_its_way() {
    use Kind::{Host, PeerReflexive, Relayed, ServerReflexive};
    type Topology = (&'static str, [Option<Behaviour>; 2], [fn(&Packet) -> bool; 2], [Way; 2]);
    let (tcp, tls, by_udp) = (Some(Relaying::Tcp), Some(Relaying::Tls), Some(Relaying::Udp));
    let table: [Topology; 7] = [
        ("direct", [None; 2], [nothing; 2], [(Host, Host, None); 2]),
        (
            "one NAT",
            [Some(CONE), None],
            [nothing; 2],
            [(ServerReflexive, Host, None), (Host, ServerReflexive, None)],
        ),
        ("two cones", [Some(CONE); 2], [nothing; 2], [(ServerReflexive, ServerReflexive, None); 2]),
        (
            "two symmetric",
            [Some(SYMMETRIC); 2],
            [nothing; 2],
            [(PeerReflexive, Relayed, None), (Relayed, PeerReflexive, by_udp)],
        ),
        ("no UDP", [None; 2], [udp; 2], [(Relayed, Relayed, tcp); 2]),
        ("only TLS", [None; 2], [all_but_tls; 2], [(Relayed, Relayed, tls); 2]),
        ("a closed firewall", [None; 2], [each_other; 2], [(Host, Relayed, None), (Relayed, Host, by_udp)]),
    ];
    for (name, nats, blocked, expected) in table {
        let ends = [(1, "8.2.0.1:20000"), (2, "8.3.0.1:20000")];
        let [alice, bob] = [0, 1].map(|who| End::new(ends[who].0, ends[who].1, nats[who], blocked[who]));
        let mut world = World::call([alice, bob]);
        let paths = world.until_chosen();
        assert_eq!([way(&paths[0]), way(&paths[1])], expected, "{name}");
        assert_eq!(paths[0].remote.address, paths[1].local.address, "{name}");
        world.assert_talks();
    }
}

/// Between the VPN and the rest there is no way.
fn astray(packet: &Packet) -> bool {
    in_vpn(packet.from) != in_vpn(packet.to)
}

fn all_but_the_vpn(packet: &Packet) -> bool {
    astray(packet) || !in_vpn(packet.to) && each_other(packet)
}

fn in_vpn(address: SocketAddr) -> bool {
    address.to_string().starts_with("10.99.")
}

#[test]
fn a_way_through_a_vpn_beats_a_relay_and_a_direct_way_beats_both() {
    let (direct, vpn) = (["8.2.0.1:20000", "8.3.0.1:20000"], ["10.99.0.1:20000", "10.99.0.2:20000"]);
    for (blocked, expected) in [(astray as fn(&Packet) -> bool, direct), (all_but_the_vpn, vpn)] {
        let end = |who: usize| End::in_vpn(1 + who as u8, [direct[who], vpn[who]], blocked);
        let mut world = World::call([end(0), end(1)]);
        // RFC 8445, 5.1.2.1: addresses are preferred by their order, the VPN last.
        let hosts =
            world.ends[0].candidates.iter().flatten().filter(|candidate| candidate.kind == Kind::Host);
        let liked: Vec<_> = hosts.map(|candidate| (candidate.priority, candidate.address)).collect();
        let order = [liked.iter().max(), liked.iter().min()].map(|one| one.map(|(_, at)| *at));
        assert_eq!(order, [Some(at(direct[0])), Some(at(vpn[0]))]);
        assert!(liked[0].0 != liked[1].0, "{liked:?}");
        let paths = world.until_chosen();
        for (who, path) in paths.iter().enumerate() {
            assert_eq!(way(path), (Kind::Host, Kind::Host, None));
            assert_eq!((path.port, path.remote.address), (Some(at(expected[who])), at(expected[1 - who])));
        }
        world.assert_talks();
        world.run(Duration::from_secs(4), |_| false);
        assert_eq!(world.edge.counts().allocations, 0);
    }
}

#[test]
fn a_direct_way_costs_no_patience_and_relays_are_given_back() {
    let ends = [End::new(1, "8.2.0.1:20000", None, nothing), End::new(2, "8.3.0.1:20000", None, nothing)];
    let mut world = World::call(ends);
    let began = world.now;
    world.until_chosen();
    let took = world.ends[0].chosen[0].0 - began;
    assert!(took <= Duration::from_millis(100), "{took:?}");
    assert_eq!(world.edge.counts().allocations, 2);
    world.run(Duration::from_secs(4), |_| false);
    assert_eq!(world.edge.counts().allocations, 0);
    world.assert_talks();
}

/// A firewall that lets RTP pass and not RTCP: what was lent for RTCP goes back when no way for it is looked for any more.
#[test]
fn what_only_rtcp_was_lent_is_given_back_when_it_finds_no_way() {
    let mute: fn(&Packet) -> bool = |packet| packet.from.port() == 20001 || packet.stream.is_some();
    let mut world =
        World::call([End::with_rtcp(1, "8.2.0.1:20000", nothing), End::with_rtcp(2, "8.3.0.1:20000", mute)]);
    world.until_chosen();
    assert_eq!(world.edge.counts().allocations, 3);
    let failed = |world: &World| {
        let failed = |end: &End| end.events.iter().any(|(_, event)| *event == Event::Failed(Component::Rtcp));
        world.ends.iter().all(failed)
    };
    assert!(world.run(Duration::from_secs(60), failed));
    world.run(Duration::from_secs(4), |_| false);
    assert_eq!(world.edge.counts().allocations, 0);
    world.assert_talks();
}

#[test]
fn consent_keeps_a_way_for_hours_and_thirty_seconds_without_it_end_it() {
    let ends = [
        End::new(1, "8.2.0.1:20000", Some(SYMMETRIC), nothing),
        End::new(2, "8.3.0.1:20000", Some(SYMMETRIC), nothing),
    ];
    let mut world = World::call(ends);
    world.until_chosen();
    // Longer than an allocation, a permission, a channel and a nonce last.
    world.run(Duration::from_secs(3600), |_| false);
    world.assert_talks();
    world.ends[1].blocked = |_| true;
    let cut = world.now;
    assert!(world.run(Duration::from_secs(60), |world| !world.ends[0].events.is_empty()));
    assert_eq!(world.ends[0].events[0].1, Event::ConsentLost(Component::Rtp));
    let after = world.now - cut;
    assert!((Duration::from_secs(24)..=Duration::from_secs(30)).contains(&after), "{after:?}");
    assert!(!world.ends[0].agent.send(Component::Rtp, b"\x80more"));
}

#[test]
fn a_restart_finds_another_way_while_media_keeps_the_old_one() {
    let ends = [End::new(1, "8.2.0.1:20000", None, nothing), End::new(2, "8.3.0.1:20000", None, nothing)];
    let mut world = World::call(ends);
    world.until_chosen();
    world.agree(1, [3, 4]);
    world.assert_talks();
    world.agree(0, [3, 4]);
    world.assert_talks();
    let twice = |world: &World| world.ends.iter().all(|end| end.chosen.len() == 2);
    assert!(world.run(Duration::from_secs(3), twice));
    world.assert_talks();
}

#[test]
fn two_who_both_want_to_choose_agree_on_one() {
    let ends = [End::new(1, "8.2.0.1:20000", None, nothing), End::new(2, "8.3.0.1:20000", None, nothing)];
    let mut world = World::new(ends);
    world.gather();
    for who in 0..2 {
        let candidates = world.ends[1 - who].candidates.clone().unwrap();
        let remote = Description { credentials: credentials(2 - who as u8), candidates, lite: false };
        let session = Session { local: credentials(1 + who as u8), remote, controlling: true };
        world.ends[who].agent.agree(world.now, session, false);
    }
    world.until_chosen();
    world.assert_talks();
}

#[test]
fn a_peer_that_nothing_reaches_is_no_call() {
    let ends = [End::new(1, "8.2.0.1:20000", None, |_| true), End::new(2, "8.3.0.1:20000", None, nothing)];
    let mut world = World::call(ends);
    assert!(world.run(Duration::from_secs(40), |world| world.ends.iter().all(|end| !end.events.is_empty())));
    for end in &world.ends {
        assert_eq!(end.events[0].1, Event::Failed(Component::Rtp));
    }
}

#[test]
fn strangers_are_told_that_they_are_and_their_media_is_not_heard() {
    let ends = [End::new(1, "8.2.0.1:20000", None, nothing), End::new(2, "8.3.0.1:20000", None, nothing)];
    let mut world = World::call(ends);
    world.until_chosen();
    let stranger = at("8.9.0.1:5000");
    let agent = &mut world.ends[0].agent;
    assert_eq!(agent.handle_datagram(world.now, Component::Rtp, stranger, &[0x80, 0, 0, 1]), None);
    let binding = carillon_wire::stun::Builder::new(
        carillon_wire::stun::Class::Request,
        carillon_wire::stun::Method::Binding,
        [9; 12],
    );
    let bytes = binding.fingerprint().finish().unwrap();
    agent.handle_datagram(world.now, Component::Rtp, stranger, &bytes);
    let Some(Output::Transmit { to, bytes, .. }) = agent.poll_output() else { panic!("no answer") };
    let answer = carillon_wire::stun::Message::parse(&bytes).unwrap();
    assert_eq!((to, answer.error_code().unwrap().code), (stranger, 400));
    assert_eq!((agent.counts().strangers, agent.counts().foreign), (1, 1));
}
