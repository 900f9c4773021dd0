//! The Front End dies and comes back: what it acknowledged, it knows.

mod support;

use std::time::Duration;

use carillon_sim::path::Path;
use support::Estate;

#[test]
fn acknowledged_bindings_survive_and_phones_are_reached_at_once() {
    for seed in 0..20 {
        let mut estate = Estate::new(seed, Path::BAD);
        let alice = estate.phone("alice", [192, 0, 2, 10], None);
        let bob = estate.phone("bob", [192, 0, 2, 20], None);
        estate.sign_in(&[alice, bob]);
        let now = estate.world.now();
        let server = estate.world.host(0).server();
        assert_eq!((server.saved("alice@sim.example"), server.saved("bob@sim.example")), (1, 1));
        estate.world.host(0).server().crash(now);
        estate.talk(alice, bob, "bob@sim.example", 20);
        estate.end(alice, bob);
        estate.verdict();
    }
}

#[test]
fn a_call_goes_on_while_the_server_restarts_and_can_be_ended() {
    let mut estate = Estate::new(5, Path::CLEAN);
    let alice = estate.phone("alice", [192, 0, 2, 10], None);
    let bob = estate.phone("bob", [192, 0, 2, 20], None);
    estate.sign_in(&[alice, bob]);
    estate.talk(alice, bob, "bob@sim.example", 50);
    let now = estate.world.now();
    estate.world.host(0).server().crash(now);
    let before = estate.world.host(bob).phone().heard();
    estate.world.run(Duration::from_secs(2), |_| false);
    assert!(estate.world.host(bob).phone().heard() >= before + 90);
    estate.end(alice, bob);
    estate.verdict();
}
