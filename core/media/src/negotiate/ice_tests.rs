//! ICE in offers and answers: spoken with who speaks it, and with nobody else.

use carillon_wire::sdp::Direction::SendRecv;

use super::*;
use crate::ice::{Candidate, Credentials, Description, Kind};
use crate::leg::Component;

fn candidate(component: Component, address: &str) -> Candidate {
    let address = address.parse().unwrap();
    Candidate { component, kind: Kind::Host, address, related: None, priority: 2_130_706_431, foundation: 1 }
}

fn end(port: u16, ice: bool) -> Negotiation {
    let rtp = SocketAddr::from(([192, 0, 2, 1], port));
    let local = Local { rtp, rtcp: Some(port + 1) };
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&port.to_be_bytes());
    let mut negotiation = Negotiation::new(Wishes::default(), local, &seed);
    if ice {
        let credentials = Credentials::new(&mut Random::new(&seed, *b"ice-self"));
        let rtcp = candidate(Component::Rtcp, &format!("192.0.2.1:{}", port + 1));
        let candidates = vec![candidate(Component::Rtp, &rtp.to_string()), rtcp];
        negotiation.speak_ice(Description { credentials, candidates, lite: false });
    }
    negotiation
}

#[test]
fn both_ends_come_to_the_same_session() {
    let (mut caller, mut callee) = (end(50_000, true), end(50_020, true));
    let offer = caller.offer(SendRecv);
    assert_eq!(offer.matches("a=candidate:1 ").count(), 2);
    let (answer, there) = callee.answer(offer.as_bytes(), SendRecv).unwrap();
    let here = caller.accept(answer.as_bytes()).unwrap();
    let (here, there) = (here.ice.unwrap(), there.ice.unwrap());
    assert!(here.controlling && !there.controlling, "who offers chooses");
    assert_eq!((&here.local, &here.remote.credentials), (&there.remote.credentials, &there.local));
    assert_eq!(there.remote.candidates.len(), 2);
    assert_eq!(here.remote.candidates.len(), 1, "RTCP goes with RTP");
}

#[test]
fn who_does_not_speak_it_gets_none() {
    for (caller, callee) in [(true, false), (false, true), (false, false)] {
        let (mut caller, mut callee) = (end(50_000, caller), end(50_020, callee));
        let (answer, there) = callee.answer(caller.offer(SendRecv).as_bytes(), SendRecv).unwrap();
        let here = caller.accept(answer.as_bytes()).unwrap();
        assert_eq!((here.ice, there.ice), (None, None));
        assert!(!answer.contains("a=candidate") && !answer.contains("a=ice-"), "{answer}");
    }
}

#[test]
fn an_address_that_somebody_in_between_has_put_there_ends_it() {
    let (mut caller, mut callee) = (end(50_000, true), end(50_020, true));
    let rewritten = caller.offer(SendRecv).replace("c=IN IP4 192.0.2.1", "c=IN IP4 192.0.2.99");
    let (answer, there) = callee.answer(rewritten.as_bytes(), SendRecv).unwrap();
    assert_eq!(there.ice, None);
    assert_eq!(there.remote_rtp, "192.0.2.99:50000".parse().unwrap());
    assert!(answer.contains("a=ice-mismatch\r\n"));
    assert_eq!(caller.accept(answer.as_bytes()).unwrap().ice, None);
}

#[test]
fn new_credentials_of_the_peer_are_answered_by_new_ones_and_the_same_by_the_same() {
    let (mut caller, mut callee) = (end(50_000, true), end(50_020, true));
    let mut local = |offer: &str| callee.answer(offer.as_bytes(), SendRecv).unwrap().1.ice.unwrap().local;
    let first = local(&caller.offer(SendRecv));
    assert_eq!(local(&caller.offer(SendRecv)), first);
    let again = local(&end(50_002, true).offer(SendRecv));
    assert_ne!(again, first);
}

#[test]
fn candidates_that_are_no_machine_are_not_checked() {
    let offer = end(50_000, true).offer(SendRecv);
    let more = ["224.0.0.1 5", "255.255.255.255 5", "127.0.0.1 5", "0.1.2.3 5", "2001:db8::1 5"]
        .map(|place| format!("a=candidate:9 1 UDP 7 {place} typ host\r\n"));
    let (_, agreed) = end(50_020, true).answer((offer + &more.concat()).as_bytes(), SendRecv).unwrap();
    assert_eq!(agreed.ice.unwrap().remote.candidates.len(), 2);
}
