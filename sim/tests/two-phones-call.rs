//! Two phones call each other through the Front End, on good paths and bad ones.

mod support;

use std::time::Duration;

use carillon_sim::path::Path;
use support::Estate;

const ALICE: [u8; 4] = [192, 0, 2, 10];
const BOB: [u8; 4] = [192, 0, 2, 20];

#[test]
fn on_a_clean_path_every_packet_arrives() {
    let mut estate = Estate::new(1, Path::CLEAN);
    let (alice, bob) = (estate.phone("alice", ALICE, None), estate.phone("bob", BOB, None));
    estate.sign_in(&[alice, bob]);
    estate.talk(alice, bob, "bob@sim.example", 200);
    estate.end(alice, bob);
    let report = estate.verdict();
    assert!(
        report
            .flows
            .iter()
            .filter_map(|flow| flow.rtp.as_ref())
            .all(|rtp| rtp.lost == 0 && rtp.reordered == 0)
    );
}

#[test]
fn on_bad_paths_calls_are_made_and_ended_all_the_same() {
    for seed in 0..40 {
        let mut estate = Estate::new(seed, Path::BAD);
        let (alice, bob) = (estate.phone("alice", ALICE, None), estate.phone("bob", BOB, None));
        estate.sign_in(&[alice, bob]);
        estate.talk(alice, bob, "bob@sim.example", 50);
        estate.end(alice, bob);
        estate.verdict();
    }
}

#[test]
fn a_third_of_all_packets_may_be_lost() {
    let path = Path { loss: 330, ..Path::BAD };
    for seed in 0..20 {
        let mut estate = Estate::new(seed, path);
        let (alice, bob) = (estate.phone("alice", ALICE, None), estate.phone("bob", BOB, None));
        estate.sign_in(&[alice, bob]);
        estate.talk(alice, bob, "bob@sim.example", 20);
        estate.end(alice, bob);
        estate.verdict();
    }
}

#[test]
fn when_all_is_quiet_the_front_end_remembers_only_registrations() {
    let mut estate = Estate::new(7, Path::BAD);
    let (alice, bob) = (estate.phone("alice", ALICE, None), estate.phone("bob", BOB, None));
    estate.sign_in(&[alice, bob]);
    for _ in 0..5 {
        estate.talk(alice, bob, "bob@sim.example", 10);
        estate.end(alice, bob);
    }
    // Longer than any transaction lives (64*T1, and Timer C for the INVITE).
    estate.world.set_path(Path::CLEAN);
    estate.world.run(Duration::from_secs(400), |_| false);
    let counts = estate.world.host(0).server().core().counts();
    assert_eq!((counts.server_transactions, counts.client_transactions, counts.calls), (0, 0, 0));
    assert_eq!(counts.registrations, 2);
    estate.verdict();
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut estate = Estate::new(seed, Path::BAD);
        let (alice, bob) = (estate.phone("alice", ALICE, None), estate.phone("bob", BOB, None));
        estate.sign_in(&[alice, bob]);
        estate.talk(alice, bob, "bob@sim.example", 30);
        estate.end(alice, bob);
        let (at, events) = (estate.world.now(), format!("{:?}", estate.events(&[alice, bob])));
        (at, events, estate.verdict().totals.frames)
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}
