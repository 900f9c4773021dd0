//! Which connections may stay: those behind which one of our users is, or somebody who talks with one.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_wire::sip::{Method, Transport};
use support::*;

const FOREIGN: &str = "SIP/2.0 401 Unauthorized\r\n\
    WWW-Authenticate: Digest realm=\"example.com\", nonce=\"of somebody else\", qop=\"auth\"\r\n\r\n";

#[test]
fn messages_alone_prove_nothing() {
    let mut house = House::closed();
    let stranger = stream(Transport::Tcp, 5, 1);
    for (at, (method, uri)) in
        [("OPTIONS", "sip:example.com"), ("REGISTER", "sip:example.com"), ("INVITE", "sip:bob@example.com")]
            .into_iter()
            .enumerate()
    {
        let asked = request(method, uri, stranger, &format!("s{at}"), 1, "", "");
        assert_eq!(house.hear(stranger, &asked).len(), 1, "{method}");
        let ours = asked.replace("ann@other.org", "bob@example.com").replace("z9hG4bKs", "z9hG4bKt");
        assert_eq!(house.hear(stranger, &ours).len(), 1, "{method}");
    }
    let proof = authorization("bob", FOREIGN, Method::Register, "sip:example.com");
    house.hear(stranger, &request("REGISTER", "sip:example.com", stranger, "r2", 2, "", &proof));
    assert_eq!(house.trusted, []);
}

#[test]
fn who_has_proven_a_password_may_stay() {
    let mut house = House::closed();
    let phone = stream(Transport::Tls, 6, 2);
    house.register("bob", phone, "");
    assert_eq!(house.trusted, [phone]);
    house.register("alice", udp(1), "");
    assert_eq!(house.trusted, [phone], "datagrams have no connection");
}

#[test]
fn a_caller_from_elsewhere_may_stay_when_one_of_ours_has_taken_the_call() {
    let mut house = House::new();
    let (ann, bob) = (stream(Transport::Tcp, 5, 1), stream(Transport::Tls, 6, 2));
    house.register("bob", bob, "");
    house.trusted.clear();
    let invited = house.hear(ann, &invite(ann, "i1")).remove(1);
    house.hear(bob, &invited.answer("180 Ringing", "bob", ""));
    assert_eq!(house.trusted, []);
    house.hear(bob, &invited.answer("200 OK", "bob", ""));
    assert_eq!(house.trusted, [ann]);
}
