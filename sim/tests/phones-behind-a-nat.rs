//! Phones behind a NAT: answers and calls take the way back that the REGISTER opened.

mod support;

use std::time::Duration;

use carillon_signaling::agent::Event;
use carillon_sim::nat::{Behaviour, Nat};
use carillon_sim::path::Path;
use support::Estate;

const BOB: [u8; 4] = [192, 0, 2, 20];
const INSIDE: [u8; 4] = [10, 0, 0, 10];
const OUTSIDE: [u8; 4] = [198, 51, 100, 1];

#[test]
fn a_phone_behind_any_nat_is_reached_by_the_flow_of_its_registration() {
    for behaviour in [Behaviour::CONE, Behaviour::SYMMETRIC] {
        let mut estate = Estate::new(3, Path::CLEAN);
        let nat = estate.world.add_nat(Nat::new(OUTSIDE.into(), behaviour, Duration::from_secs(60)));
        let (alice, bob) = (estate.phone("alice", INSIDE, Some(nat)), estate.phone("bob", BOB, None));
        estate.sign_in(&[alice, bob]);
        let now = estate.world.now();
        estate.world.host(bob).phone().call(now, "alice@sim.example");
        // Signaling goes both ways. Media towards a NAT needs ICE, which is not there yet: bob hears alice, who sends first.
        let done = estate.world.run(Duration::from_secs(30), |world| {
            let answered = |event: &Event| matches!(event, Event::Answered { .. });
            let phones = [alice, bob].map(|phone| world.host(phone).phone().events.iter().any(answered));
            phones == [true, true] && world.host(bob).phone().heard() > 0
        });
        assert!(done, "{behaviour:?}: {:#?}", estate.events(&[alice, bob]));
        estate.end(bob, alice);
    }
}
