//! NATs of every behaviour of RFC 4787: ours is what a list of packets says it is, and two agents find a direct way through two of
//! them exactly where a model that knows nothing of ICE finds one; else they are relayed, and without a relay they say so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ice;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_media::ice::{Event, Kind};
use carillon_media::leg::Component;
use carillon_sim::nat::{Behaviour, Dependence, Nat};
use ice::naive::{Between, Naive};
use ice::{End, LIFETIME, World, nothing};
use proptest::prelude::*;

const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

fn behaviours() -> impl Iterator<Item = Behaviour> + Clone {
    let filters =
        |mapping| Dependence::ALL.map(|filtering| Behaviour { mapping, filtering, hairpinning: true });
    Dependence::ALL.into_iter().flat_map(filters)
}

/// No NAT, or one of the nine.
fn nats() -> impl Iterator<Item = Option<Behaviour>> + Clone {
    [None].into_iter().chain(behaviours().map(Some))
}

/// A packet out of one of two sockets, or one that comes for the port that was seen so many packets ago.
#[derive(Clone, Copy, Debug)]
enum Step {
    Out { inner: u8, peer: u8 },
    In { peer: u8, seen: usize },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2u8, 0..5u8).prop_map(|(inner, peer)| Step::Out { inner, peer }),
        4 => (0..5u8, 0..6usize).prop_map(|(peer, seen)| Step::In { peer, seen }),
        1 => prop::sample::select(vec![1, 30, 59, 60]).prop_map(Step::Wait),
    ]
}

/// Four peers at two places, and one that is the NAT itself.
fn peer(number: u8) -> SocketAddr {
    match number {
        4 => SocketAddr::new(OUTSIDE, 20_001),
        _ => SocketAddr::new([203, 0, 113, number / 2].into(), 1000 + u16::from(number % 2)),
    }
}

fn inner(number: u8) -> SocketAddr {
    SocketAddr::new([192, 168, 0, 9].into(), 5000 + u16::from(number))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_nat_does_what_the_list_of_its_packets_says(
        (mapping, filtering) in (prop::sample::select(&Dependence::ALL), prop::sample::select(&Dependence::ALL)),
        hairpinning: bool,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let behaviour = Behaviour { mapping, filtering, hairpinning };
        let (mut nat, mut naive) = (Nat::new(OUTSIDE, behaviour, LIFETIME), Naive::new(OUTSIDE, behaviour));
        let (mut now, mut seen) = (Duration::from_secs(1000), Vec::new());
        for step in steps {
            match step {
                Step::Out { inner: of, peer: to } => {
                    let (of, to) = (inner(of), peer(to));
                    let demanded = naive.demanded(now, of, to);
                    let outer = nat.outbound(now, of, to);
                    match demanded {
                        Some(demanded) => prop_assert_eq!(outer, demanded),
                        None => prop_assert!(outer.ip() == OUTSIDE && !naive.is_taken(now, outer)),
                    }
                    naive.remember(now, of, to, outer);
                    seen.push(outer);
                }
                Step::In { peer: from, seen: ago } => {
                    let Some(outer) = seen.iter().rev().nth(ago).copied() else { continue };
                    let expected = naive.admits(now, peer(from), outer);
                    prop_assert_eq!(nat.inbound(now, peer(from), outer.port()), expected);
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
            }
        }
    }

    /// Whatever the packets take, as long as they come.
    #[test]
    fn the_way_does_not_depend_on_which_packet_comes_first(
        one in prop::sample::select(nats().collect::<Vec<_>>()),
        other in prop::sample::select(nats().collect::<Vec<_>>()),
        seed: u8,
    ) {
        let between = Between::Nats([one, other]);
        find(between, world(between, "wonder").shaken(40, seed));
    }
}

/// The four kinds by which NATs were called before (RFC 3489, 5): a pair has no direct way if one is symmetric and the other one
/// filters by port, as a symmetric one does.
#[test]
fn the_model_knows_the_table_that_everybody_knows() {
    let nat = |mapping, filtering| Some(Behaviour { mapping, filtering, hairpinning: true });
    let (any, address, port) = (Dependence::Independent, Dependence::Address, Dependence::AddressAndPort);
    let [full, restricted, by_port, symmetric] =
        [nat(any, any), nat(any, address), nat(any, port), nat(port, port)];
    let kinds = [None, full, restricted, by_port, symmetric];
    for one in kinds {
        for other in kinds {
            let filters_by_port = |nat| nat == by_port || nat == symmetric;
            let shut =
                one == symmetric && filters_by_port(other) || other == symmetric && filters_by_port(one);
            assert_eq!(Between::Nats([one, other]).has_direct_way(true), !shut, "{one:?} {other:?}");
            // Who was not seen by a server is found only if the other one is nowhere hidden.
            let found = one.is_none() || other.is_none();
            assert_eq!(Between::Nats([one, other]).has_direct_way(false), found, "{one:?} {other:?}");
        }
    }
}

#[test]
fn agents_go_directly_where_the_model_does_and_by_a_relay_everywhere_else() {
    let mut direct = 0;
    for between in nats().flat_map(|one| nats().map(move |other| Between::Nats([one, other]))) {
        direct += u32::from(find(between, world(between, "wonder")));
    }
    // Neither all nor none: the model has something to say.
    assert!((20..80).contains(&direct), "{direct} of 100 are direct");
}

#[test]
fn two_behind_one_nat_go_by_their_own_network_or_by_a_hairpin_or_by_a_relay() {
    let mut direct = 0;
    for nat in behaviours().flat_map(|nat| [nat, Behaviour { hairpinning: false, ..nat }]) {
        for isolated in [false, true] {
            let between = Between::Shared { nat, isolated };
            direct += u32::from(find(between, world(between, "wonder")));
        }
    }
    assert!((18..36).contains(&direct), "{direct} of 36 are direct");
}

#[test]
fn without_a_relay_agents_find_what_there_is_or_say_that_there_is_nothing() {
    for between in nats().flat_map(|one| nats().map(move |other| Between::Nats([one, other]))) {
        let mut world = world(between, "a wrong password").called();
        if between.has_direct_way(false) {
            let kinds = world.until_chosen().map(|path| [path.local.kind, path.remote.kind]);
            assert!(!kinds.concat().contains(&Kind::Relayed), "{between:?}: {kinds:?}");
            world.assert_talks();
            continue;
        }
        let told = |world: &World| world.ends.iter().all(|end| !end.events.is_empty());
        assert!(world.run(Duration::from_secs(60), told), "{between:?}: nothing is said");
        for end in &world.ends {
            assert!(end.chosen.is_empty() && end.events[0].1 == Event::Failed(Component::Rtp), "{between:?}");
        }
    }
}

fn world(between: Between, password: &str) -> World {
    let end = |seed, address, nat| End::with(password, seed, [Some(address), None], nat, nothing);
    let ends =
        |nats: [Option<Behaviour>; 2]| [end(1, "8.2.0.1:20000", nats[0]), end(2, "8.2.0.2:20000", nats[1])];
    match between {
        Between::Nats(nats) => World::new(ends(nats)),
        Between::Shared { nat, isolated } => World::behind_one(ends([None; 2]), nat, isolated),
    }
}

/// Both find a way, the same one; whether it is direct, which the model must have said.
fn find(between: Between, world: World) -> bool {
    let mut world = world.called();
    let [one, other] = world.chosen().unwrap_or_else(|| panic!("{between:?}: no way was found"));
    assert_eq!(
        (one.remote.address, other.remote.address),
        (other.local.address, one.local.address),
        "{between:?}"
    );
    let relayed = [one.local, one.remote].iter().any(|end| end.kind == Kind::Relayed);
    assert_eq!(!relayed, between.has_direct_way(true), "{between:?}: {one:?}");
    world.assert_talks();
    !relayed
}
