//! Questions and answers of `carillon probe` on loopback, over both families and both transports.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

use std::net::IpAddr;
use std::time::Duration;

use carillon_net::probe::{Asker, Conversation, Door, Responder};
use carillon_qos::PortRange;
use carillon_qos::probe::{Key, Outcome, Service, Token, Transport};
use carillon_wire::ip::Dscp;

const OWN: [&str; 2] = ["127.0.0.1", "::1"];
const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];
const WAIT: Duration = Duration::from_millis(400);

fn key(token: u8) -> Key {
    Token::new([token; 10]).key(&[1; 16], &[2; 16])
}

/// Ports of this test alone: below those that systems give to anybody.
fn ports(test: u16) -> Vec<u16> {
    let base = 21000 + (std::process::id() % 480) as u16 * 24 + test * 4;
    (base..base + 4).collect()
}

fn asker(own: IpAddr, from: &[u16], token: u8) -> Asker {
    let from = PortRange::from_ends(from[0], from[from.len() - 1]).unwrap();
    Asker { own, from, mark: Dscp::EF, to: own, wait: WAIT, key: key(token) }
}

#[test]
fn a_port_that_listens_is_open_and_tells_the_mark_and_one_that_does_not_refuses() {
    for (own, transport) in OWN.into_iter().flat_map(|own| BOTH.map(|transport| (own, transport))) {
        let (own, asked, from): (IpAddr, _, _) = (own.parse().unwrap(), ports(0), ports(1));
        let responder = Responder::open(own, transport, &asked[..2], Dscp::DEFAULT, key(7)).unwrap();
        assert!(responder.taken().is_empty());
        let found = asker(own, &from, 7).ask(transport, &asked[..3]).unwrap();
        let arrived = responder.finish();
        let returned = (transport == Transport::Udp).then_some(Dscp::DEFAULT);
        let open = Outcome::Open { arrived: Some(Dscp::EF), returned };
        assert_eq!(
            found.into_values().collect::<Vec<_>>(),
            [open, open, Outcome::Refused],
            "{own} {transport}"
        );
        assert_eq!(arrived, asked[..2].iter().map(|port| (*port, Some(Dscp::EF))).collect());
    }
}

#[test]
fn without_the_token_a_port_stays_silent_and_remembers_nobody() {
    let (own, asked, from): (IpAddr, _, _) = (OWN[0].parse().unwrap(), ports(2), ports(3));
    let responder = Responder::open(own, Transport::Udp, &asked, Dscp::EF, key(7)).unwrap();
    let found = asker(own, &from, 8).ask(Transport::Udp, &asked[..1]).unwrap();
    assert_eq!(found[&asked[0]], Outcome::Filtered { by: None });
    assert!(responder.finish().is_empty());
}

#[test]
fn a_port_that_somebody_holds_is_named_and_what_it_says_is_told() {
    let (own, asked, from): (IpAddr, _, _) = (OWN[0].parse().unwrap(), ports(4), ports(5)[..1].to_vec());
    let door = Door::open((own, asked[0]).into(), Dscp::DEFAULT).unwrap();
    let stranger = std::thread::spawn(move || {
        let mut visitor = door.accept(Duration::from_secs(5)).unwrap().unwrap();
        visitor.tell(&"SSH-2.0-OpenSSH_9.2, which is as long as an answer would be").unwrap();
        let _ = visitor.hear(WAIT);
    });
    let responder = Responder::open(own, Transport::Tcp, &asked, Dscp::EF, key(7)).unwrap();
    assert_eq!(responder.taken(), &asked[..1]);
    let found = asker(own, &from, 7).ask(Transport::Tcp, &asked[..2]).unwrap();
    assert_eq!(found[&asked[0]], Outcome::Foreign(Service::Ssh));
    assert_eq!(found[&asked[1]], Outcome::Untested, "there was one port to ask from");
    stranger.join().unwrap();
}

#[test]
fn a_conversation_gives_whole_lines_and_what_came_of_broken_ones() {
    let door = Door::open((OWN[0].parse::<IpAddr>().unwrap(), 0).into(), Dscp::EF).unwrap();
    let to = door.local();
    let other = std::thread::spawn(move || {
        let mut line = Conversation::connect(to, Dscp::EF, WAIT).unwrap();
        line.tell(&"one\ntwo").unwrap();
        line.tell(&"three").unwrap();
        line.peer()
    });
    let mut line = door.accept(Duration::from_secs(5)).unwrap().unwrap();
    for word in ["one", "two", "three"] {
        assert_eq!(line.hear(WAIT).unwrap(), word.as_bytes());
    }
    assert_eq!(other.join().unwrap(), line.local());
    assert_eq!(line.hear(WAIT).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(door.accept(Duration::from_millis(1)).unwrap().is_none());
}
