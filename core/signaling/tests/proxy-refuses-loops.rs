//! A request that comes back: refused if it would go the same way again, welcome if it goes elsewhere.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::*;

/// Bob's contact is another proxy, which sends what it gets back to us, with this Request-URI.
fn returned(uri: &str) -> Vec<Sent> {
    let mut house = House::new();
    house.register("bob", udp(9), "");
    house.register("carol", udp(3), "");
    let sent = house.hear(udp(1), &invite(udp(1), "i1"));
    let back = sent[1].text.replacen(sent[1].start(), &format!("INVITE {uri} SIP/2.0"), 1).replacen(
        "\r\n",
        "\r\nVia: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bKother\r\n",
        1,
    );
    house.hear(udp(9), &back)
}

#[test]
fn a_loop_is_refused() {
    let refused = returned("sip:bob@example.com");
    assert_eq!(starts(&refused), [("SIP/2.0 482 Loop Detected", udp(9).remote.to_string())]);
}

#[test]
fn a_spiral_goes_on() {
    let sent = returned("sip:carol@example.com");
    assert_eq!((sent[0].start(), sent[1].to), ("SIP/2.0 100 Trying", udp(3).remote));
}

fn with_hops(method: &str, uri: &str, hops: &str) -> Vec<Sent> {
    let mut house = House::new();
    house.register("bob", udp(2), "");
    let text = request(method, uri, udp(1), "x1", 1, "", "").replace("Max-Forwards: 70\r\n", hops);
    house.hear(udp(1), &text)
}

#[test]
fn hops_are_counted_and_their_end_is_told() {
    let uri = "sip:bob@example.com";
    assert_eq!(with_hops("MESSAGE", uri, "Max-Forwards: 0\r\n")[0].start(), "SIP/2.0 483 Too Many Hops");
    assert_eq!(with_hops("MESSAGE", uri, "Max-Forwards: 1\r\n")[0].get("Max-Forwards"), "0");
    assert_eq!(with_hops("MESSAGE", uri, "")[0].get("Max-Forwards"), "70");
}

#[test]
fn the_last_hop_may_be_us() {
    let uri = "sip:192.0.2.1:5060";
    let answer = &with_hops("OPTIONS", uri, "Max-Forwards: 0\r\n")[0];
    assert_eq!((answer.start(), answer.get("Supported")), ("SIP/2.0 200 OK", "path, outbound"));
}
