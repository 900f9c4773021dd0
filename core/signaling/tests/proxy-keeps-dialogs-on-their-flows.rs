//! Requests within a call: by our Record-Route, over the flow of the phone that they are for.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use carillon_signaling::Limits;
use carillon_wire::sip::{Flow, Method, Transport};
use support::*;

/// A call from alice's TCP phone to bob's TLS phone: the request and the answer that made the dialog.
fn up(house: &mut House, alice: Flow, bob: Flow) -> (Sent, Sent) {
    house.register("alice", alice, "");
    house.register("bob", bob, "");
    let invite = |branch: &str, cseq: u32, more: &str| {
        request("INVITE", "sip:bob@example.com", alice, branch, cseq, "", more)
            .replace("sip:ann@other.org", "sip:alice@example.com")
    };
    let challenge = house.hear(alice, &invite("i1", 1, ""));
    let method = Method::Invite;
    let proof = authorization("alice", &challenge[0].text, method, "sip:bob@example.com");
    let invited = house.hear(alice, &invite("i2", 2, &proof)).remove(1);
    let taken = house.hear(bob, &invited.answer("200 OK", "bob", "")).remove(0);
    (invited, taken)
}

fn bye_to_bob(house: &mut House, alice: Flow, bob: Flow, routes: &str) -> Vec<Sent> {
    house.hear(alice, &request("BYE", &contact("bob", bob), alice, "b1", 3, "bob", routes))
}

#[test]
fn each_side_sees_the_listener_that_it_speaks_to() {
    let mut house = House::new();
    let (alice, bob) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    let (invited, taken) = up(&mut house, alice, bob);
    let ends = |sent: &Sent| -> Vec<String> {
        let end = |value: &&str| value.split_once('@').unwrap().1.to_owned();
        sent.all("Record-Route").iter().map(end).collect()
    };
    let expected = ["192.0.2.1:5061;transport=tls;lr>", "192.0.2.1:5060;transport=tcp;lr>"];
    assert_eq!(
        (ends(&invited), ends(&taken)),
        (expected.map(str::to_owned).to_vec(), expected.map(str::to_owned).to_vec())
    );
}

#[test]
fn a_phone_that_came_back_on_a_new_connection_is_found() {
    let mut house = House::new();
    let (alice, bob) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    let (_, taken) = up(&mut house, alice, bob);
    house.close(bob);
    let back = stream(Transport::Tls, 7, 2);
    house.register("bob", back, "");
    let bye = bye_to_bob(&mut house, alice, bob, &caller_routes(&taken.text));
    assert_eq!(
        starts(&bye),
        [(format!("BYE {} SIP/2.0", contact("bob", bob)).as_str(), back.remote.to_string())]
    );
}

/// Connections may be numbered anew after a restart; the seed is the same.
#[test]
fn a_connection_of_the_same_number_is_another_one_after_a_restart() {
    let mut house = House::new();
    let (alice, bob) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    let (_, taken) = up(&mut house, alice, bob);
    let routes = caller_routes(&taken.text);
    let mut house = House::new();
    house.register("carol", stream(Transport::Tls, 6, 9), "");
    let failed = [("SIP/2.0 430 Flow Failed", alice.remote.to_string())];
    assert_eq!(starts(&bye_to_bob(&mut house, alice, bob, &routes)), failed);
    let back = stream(Transport::Tls, 7, 2);
    house.register("bob", back, "");
    let bye = house.hear(alice, &request("BYE", &contact("bob", bob), alice, "b2", 4, "bob", &routes));
    assert_eq!(bye[0].to, back.remote);
}

#[test]
fn of_several_phones_the_one_of_the_dialog_is_found_by_its_contact() {
    let mut house = House::new();
    let (alice, bob) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    let (_, taken) = up(&mut house, alice, bob);
    house.close(bob);
    house.register("bob", stream(Transport::Tls, 8, 3), "");
    house.register("bob", stream(Transport::Tls, 9, 4), "");
    let routes = caller_routes(&taken.text);
    let wrong = bye_to_bob(&mut house, alice, bob, &routes);
    assert_eq!(starts(&wrong), [("SIP/2.0 430 Flow Failed", alice.remote.to_string())]);
    let third = stream(Transport::Tls, 9, 4);
    let right = house.hear(alice, &request("BYE", &contact("bob", third), alice, "b2", 4, "bob", &routes));
    assert_eq!(right[0].to, third.remote);
}

#[test]
fn a_flow_that_is_gone_for_good_is_told() {
    let mut house = House::new();
    let (alice, bob) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    let (_, taken) = up(&mut house, alice, bob);
    let routes = caller_routes(&taken.text);
    let info = house.hear(alice, &request("INFO", &contact("bob", bob), alice, "n1", 3, "bob", &routes));
    assert_eq!(info[0].to, bob.remote);
    let failed = [("SIP/2.0 430 Flow Failed", alice.remote.to_string())];
    assert_eq!(starts(&house.close(bob)), failed);
    assert_eq!(starts(&bye_to_bob(&mut house, alice, bob, &routes)), failed);
}

/// The seed is the same after a restart, and nothing else is known of the dialog any more.
#[test]
fn a_dialog_that_is_not_known_to_be_up_has_ended_after_a_day() {
    const HOUR: Duration = Duration::from_secs(3600);
    let mut house = House::new();
    let (alice, bob) = (udp(1), udp(2));
    let (invited, taken) = up(&mut house, alice, bob);
    let (to_bob, to_alice) = (caller_routes(&taken.text), callee_routes(&invited.text));
    let over = "SIP/2.0 481 Call/Transaction Does Not Exist";
    for (hours, from_alice, from_bob) in [
        (
            23,
            format!("BYE {} SIP/2.0", contact("bob", bob)),
            format!("BYE {} SIP/2.0", contact("alice", alice)),
        ),
        (26, over.to_owned(), over.to_owned()),
    ] {
        let mut house = House::begun(house.now + HOUR * hours, Limits::default());
        assert_eq!(bye_to_bob(&mut house, alice, bob, &to_bob)[0].start(), from_alice, "{hours}");
        let bye = request("BYE", &contact("alice", alice), bob, "b9", 3, "ann", &to_alice)
            .replace("<sip:ann@other.org>;tag=ann", "<sip:bob@example.com>;tag=bob");
        assert_eq!(house.hear(bob, &bye)[0].start(), from_bob, "{hours}");
    }
    house.wait(HOUR * 26);
    let late = request("ACK", &contact("bob", bob), alice, "a9", 2, "bob", &to_bob);
    assert_eq!((house.hear(alice, &late), house.front.counts().dropped["sip_stray_ack"]), (vec![], 1));
}

#[test]
fn a_call_that_is_refreshed_may_last_for_days() {
    let mut house = House::new();
    let (alice, bob) = (udp(1), udp(2));
    let (invited, taken) = up(&mut house, alice, bob);
    let (to_bob, to_alice) = (caller_routes(&taken.text), callee_routes(&invited.text));
    for day in 0..6 {
        house.wait(SECOND * 11 * 3600);
        let refresh =
            request("UPDATE", &contact("bob", bob), alice, &format!("u{day}"), 3 + day, "bob", &to_bob);
        assert_eq!(house.hear(alice, &refresh)[0].to, bob.remote, "{day}");
    }
    let info = request("INFO", &contact("alice", alice), bob, "n9", 3, "ann", &to_alice)
        .replace("<sip:ann@other.org>;tag=ann", "<sip:bob@example.com>;tag=bob");
    assert_eq!(house.hear(bob, &info)[0].to, alice.remote);
    assert_eq!(bye_to_bob(&mut house, alice, bob, &to_bob)[0].to, bob.remote);
}

#[test]
fn a_strict_router_before_us_is_understood() {
    let mut house = House::new();
    let (alice, bob) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    let (_, taken) = up(&mut house, alice, bob);
    let ours = taken.all("Record-Route");
    let [outer, inner] = [ours[1], ours[0]].map(|value| value.trim_start_matches('<').trim_end_matches('>'));
    let target = contact("bob", bob);
    let routes = format!("Route: <{inner}>, <{target}>\r\n");
    let bye = house.hear(alice, &request("BYE", outer, alice, "b1", 3, "bob", &routes));
    assert_eq!(starts(&bye), [(format!("BYE {target} SIP/2.0").as_str(), bob.remote.to_string())]);
    assert_eq!(bye[0].all("Route"), Vec::<&str>::new());
}

#[test]
fn routes_of_others_behind_ours_are_kept() {
    let mut house = House::new();
    let (alice, bob) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    let (_, taken) = up(&mut house, alice, bob);
    let routes = format!(
        "{}Route: <sip:edge.other.org;lr>,\r\n <sip:core.other.org;lr>\r\n",
        caller_routes(&taken.text)
    );
    let bye = bye_to_bob(&mut house, alice, bob, &routes);
    assert_eq!(bye[0].all("Route"), ["<sip:edge.other.org;lr>", "<sip:core.other.org;lr>"]);
}

#[test]
fn a_call_that_falls_silent_is_forgotten() {
    let mut house = House::new();
    let (ann, bob) = (udp(1), udp(2));
    house.register("bob", bob, "");
    let invited = house.hear(ann, &invite(ann, "i1")).remove(1);
    let taken =
        house.hear(bob, &invited.answer("200 OK", "bob", "Session-Expires: 600;refresher=uac\r\n")).remove(0);
    house.wait(SECOND * 600);
    let routes = caller_routes(&taken.text);
    house.hear(ann, &request("UPDATE", &contact("bob", bob), ann, "u1", 2, "bob", &routes));
    house.wait(SECOND * 631);
    assert_eq!(house.front.counts().calls, 1);
    house.wait(SECOND * 2);
    assert_eq!(house.front.counts().calls, 0);
    house.assert_quiet();
}

/// RFC 3261, 18.2.2, and RFC 3581, 4: a phone that sends from another port than the one that it listens on is reached where
/// it listens, one behind a NAT where it came from; with its answers, with calls to it, and within them.
#[test]
fn datagrams_go_where_their_sender_hears() {
    for (sent_by, hears) in [
        ("198.51.100.2:5070;branch", "198.51.100.2:5070"),
        ("198.51.100.2;branch", "198.51.100.2:5060"),
        ("198.51.100.2:5070;rport;branch", "198.51.100.2:49152"),
        ("10.0.0.2:5070;branch", "198.51.100.2:49152"),
        ("phone.example.com:5070;branch", "198.51.100.2:49152"),
    ] {
        let mut house = House::new();
        let bob = Flow { remote: "198.51.100.2:49152".parse().unwrap(), ..udp(2) };
        let from_bob = |text: String| text.replace("198.51.100.2:49152;branch", sent_by);
        let wrong = from_bob(request("REGISTER", "sip:example.com", bob, "w", 1, "", ""));
        let register = |cseq: u32, proof: &str| {
            let head = format!("Contact: <sip:bob@198.51.100.2:5070>\r\n{proof}");
            from_bob(request("REGISTER", "sip:example.com", bob, &format!("r{cseq}"), cseq, "", &head))
                .replace("sip:ann@other.org", "sip:bob@example.com")
        };
        let challenge = house.hear(bob, &register(1, "")).remove(0);
        let proof = authorization("bob", &challenge.text, Method::Register, "sip:example.com");
        let done = house.hear(bob, &register(2, &proof)).remove(0);
        let again = house.hear(bob, &register(2, &proof)).remove(0);
        let refused = house.hear(bob, &wrong.replace("CSeq: 1", "CSeq: x")).remove(0);
        let invited = house.hear(udp(1), &invite(udp(1), "i1")).remove(1);
        let taken = house.hear(bob, &invited.answer("200 OK", "bob", "")).remove(0);
        let ack =
            request("ACK", "sip:bob@198.51.100.2:5070", udp(1), "a1", 1, "bob", &caller_routes(&taken.text));
        let acknowledged = house.hear(udp(1), &ack).remove(0);
        let sent = [challenge, done, again, refused, invited, acknowledged];
        let to = |sent: &Sent| {
            (sent.start().split(' ').take(2).collect::<Vec<_>>().join(" "), sent.to.to_string())
        };
        let expected = [
            "SIP/2.0 401",
            "SIP/2.0 200",
            "SIP/2.0 200",
            "SIP/2.0 400",
            "INVITE sip:bob@198.51.100.2:5070",
            "ACK sip:bob@198.51.100.2:5070",
        ];
        assert_eq!(
            sent.each_ref().map(to),
            expected.map(|start| (start.to_owned(), hears.to_owned())),
            "{sent_by}"
        );
    }
}
