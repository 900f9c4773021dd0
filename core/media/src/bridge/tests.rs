//! Descriptions of browsers and phones, and what the other end is told for them; then speech and keys across.

use carillon_wire::sdp::Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
use carillon_wire::sdp::Session;

use super::*;

/// What Chromium offers, as far as it matters: names instead of addresses, a group of two sections.
const PAGE: &str = "v=0\r\no=- 46117 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=candidate:1 1 udp 2113937151 a1b2.local 50001 typ host\r\n\
    a=ice-ufrag:Wq4s\r\na=ice-pwd:6Uo2mXU2Gd1oXBgX6FM3Fl0q\r\n\
    a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n\
    a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:110 telephone-event/48000\r\n\
    a=rtpmap:126 telephone-event/8000\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n";
const PHONE: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
    m=audio 6004 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

fn bridge(keys: bool) -> Bridge {
    let web = "192.0.2.1:49152".parse().unwrap();
    let phone = Local { rtp: "192.0.2.1:49154".parse().unwrap(), rtcp: Some(49_155) };
    Bridge::new(&Config { web, identity: Fingerprint([7; 32]), phone, keys, seed: [5; 32] })
}

fn agreed(page: &str, phone: &str) -> (String, Agreement) {
    let mut bridge = bridge(false);
    bridge.offer(Profile::Web, page.as_bytes()).unwrap();
    bridge.answer(Profile::Phone, phone.as_bytes()).unwrap()
}

#[test]
fn a_phone_is_offered_rtp_for_what_a_page_offers_and_the_page_is_answered_as_it_wants() {
    let mut bridge = bridge(false);
    let offer = bridge.offer(Profile::Web, PAGE.as_bytes()).unwrap();
    assert!(offer.contains("m=audio 49154 RTP/AVP 111 9 0 8 ") && offer.contains("a=crypto:1 "), "{offer}");
    for foreign in ["fingerprint", "candidate", "ice-", "m=video", "setup"] {
        assert!(!offer.contains(foreign), "{foreign}: {offer}");
    }
    let (answer, agreement) = bridge.answer(Profile::Phone, PHONE.as_bytes()).unwrap();
    for line in [
        "a=ice-lite",
        "m=audio 49152 UDP/TLS/RTP/SAVPF 111 110",
        "a=candidate:1 1 UDP 2130706431 192.0.2.1 49152 typ host",
        "a=setup:passive",
        "a=rtcp-mux",
        "a=mid:0",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
    ] {
        assert!(answer.contains(&format!("{line}\r\n")), "{line}: {answer}");
    }
    let Agreement { web, phone } = agreement;
    let dtls = web.dtls.unwrap();
    assert_eq!((dtls.peer.0[31], dtls.active, web.ice.unwrap().controlling), (31, false, false));
    assert_eq!((web.send.codec, phone.send.codec, phone.keys), (Codec::Opus, Codec::Pcmu, None));
}

#[test]
fn a_page_is_offered_what_it_wants_for_what_a_phone_offers() {
    let mut bridge = bridge(false);
    let offer = bridge.offer(Profile::Phone, PHONE.as_bytes()).unwrap();
    assert_eq!(Session::parse(offer.as_bytes()).unwrap().profile(), Some(Profile::Web));
    assert!(offer.contains("a=setup:actpass\r\n") && offer.contains("a=ice-lite\r\n"), "{offer}");
    let page = PAGE.replace("actpass", "active").split("m=video").next().unwrap().to_owned();
    let (answer, agreement) = bridge.answer(Profile::Web, page.as_bytes()).unwrap();
    assert!(answer.contains("m=audio 49154 RTP/AVP 0 101\r\n"), "{answer}");
    assert!(!agreement.web.dtls.unwrap().active);
    let other = page.replace("setup:active", "setup:passive");
    let (_, agreement) = bridge.answer(Profile::Web, other.as_bytes()).unwrap();
    assert!(agreement.web.dtls.unwrap().active, "somebody has to begin");
}

#[test]
fn a_phone_that_wants_keys_is_offered_nothing_else() {
    let offer = bridge(true).offer(Profile::Web, PAGE.as_bytes()).unwrap();
    assert!(offer.contains("m=audio 49154 RTP/SAVP ") && offer.contains("a=crypto:1 "), "{offer}");
}

#[test]
fn hold_crosses_both_ways() {
    for (said, to_phone, from_phone, answered) in [
        ("sendonly", "sendonly", "recvonly", "recvonly"),
        ("sendrecv", "sendrecv", "sendonly", "sendonly"),
        ("inactive", "inactive", "inactive", "inactive"),
    ] {
        let mut bridge = bridge(false);
        let offer = bridge.offer(Profile::Web, PAGE.replace("sendrecv", said).as_bytes()).unwrap();
        assert!(offer.contains(&format!("a={to_phone}\r\n")), "{offer}");
        let phone = PHONE.replace("sendrecv", from_phone);
        let (answer, _) = bridge.answer(Profile::Phone, phone.as_bytes()).unwrap();
        assert!(answer.contains(&format!("a={answered}\r\n")), "{answer}");
    }
    let page = PAGE.replace("sendrecv", "sendonly");
    let (_, Agreement { web, phone }) = agreed(&page, &PHONE.replace("sendrecv", "recvonly"));
    assert_eq!((web.direction, phone.direction), (RecvOnly, SendOnly));
    let (_, Agreement { web, phone }) = agreed(PAGE, &PHONE.replace("sendrecv", "inactive"));
    assert_eq!((web.direction, phone.direction), (Inactive, Inactive));
    let (_, Agreement { web, phone }) = agreed(PAGE, PHONE);
    assert_eq!((web.direction, phone.direction), (SendRecv, SendRecv));
}

#[test]
fn an_offer_may_be_answered_twice_and_a_new_one_in_between_changes_nothing_that_is_agreed() {
    let mut bridge = bridge(false);
    bridge.offer(Profile::Web, PAGE.as_bytes()).unwrap();
    let early = bridge.answer(Profile::Phone, PHONE.as_bytes()).unwrap();
    assert_eq!(bridge.answer(Profile::Phone, PHONE.as_bytes()).unwrap(), early, "the same again");
    let moved = PHONE.replace("audio 6004", "audio 6008");
    assert_eq!(bridge.answer(Profile::Phone, moved.as_bytes()).unwrap().1.phone.remote_rtp.port(), 6008);
    // One that is refused leaves keys and credentials as they are.
    bridge.offer(Profile::Phone, PHONE.as_bytes()).unwrap();
    bridge.offer(Profile::Web, PAGE.as_bytes()).unwrap();
    let (_, again) = bridge.answer(Profile::Phone, PHONE.as_bytes()).unwrap();
    assert_eq!(again.web.ice, early.1.web.ice);
}

#[test]
fn what_cannot_be_bridged_is_refused() {
    let refused = |page: &str| bridge(false).offer(Profile::Web, page.as_bytes()).unwrap_err();
    assert_eq!(refused("junk"), Refusal::Unreadable);
    assert_eq!(refused(&PAGE.replace("a=fingerprint:sha-256", "a=fingerprint:sha-1")), Refusal::Identity);
    assert_eq!(refused(&PAGE.replace("a=rtcp-mux\r\n", "")), Refusal::Identity);
    assert_eq!(refused(&PAGE.replace("a=ice-pwd", "a=ice-xyz")), Refusal::Identity);
    assert_eq!(refused(&PAGE.replace("opus", "isac")), Refusal::Codec);
    assert_eq!(refused(PHONE), Refusal::Transport);
    assert_eq!(bridge(false).offer(Profile::Phone, PAGE.as_bytes()).unwrap_err(), Refusal::Transport);
    assert_eq!(bridge(false).answer(Profile::Phone, PHONE.as_bytes()).unwrap_err(), Refusal::NothingOffered);
    let mut bridge = bridge(false);
    bridge.offer(Profile::Web, PAGE.as_bytes()).unwrap();
    assert_eq!(bridge.answer(Profile::Web, PAGE.as_bytes()).unwrap_err(), Refusal::NothingOffered);
    assert_eq!(
        bridge.answer(Profile::Phone, b"v=0\r\nm=audio 0 RTP/AVP 0\r\n").unwrap_err(),
        Refusal::NoAudio
    );
    assert!(bridge.answer(Profile::Phone, PHONE.as_bytes()).is_ok(), "the offer still stands");
}
