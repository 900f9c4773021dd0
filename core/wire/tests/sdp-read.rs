//! Descriptions of real shapes: an old mobile client, a browser, a Lync client, and nonsense.

use carillon_wire::sdp::{Attribute, CandidateKind, Direction, Session};
use proptest::prelude::*;

const MOBILE: &str = "v=0\r\no=- 0 0 IN IP4 192.0.2.7\r\ns=session\r\nc=IN IP4 192.0.2.7\r\nb=CT:99980\r\nt=0 0\r\n\
    m=audio 50020 RTP/AVP 104 9 111 0 8 103 97 13 118 101\r\n\
    a=rtpmap:104 SILK/16000\r\na=fmtp:104 useinbandfec=1; usedtx=0\r\na=rtpmap:111 SIREN/16000\r\na=fmtp:111 bitrate=16000\r\n\
    a=rtpmap:103 SILK/8000\r\na=rtpmap:97 RED/8000\r\na=rtpmap:118 CN/16000\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=rtcp:50021\r\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:abc|2^31\r\na=ptime:20\r\na=x-unknown:kept as is\r\n\
    m=video 0 RTP/AVP 121\r\na=rtpmap:121 x-rtvc1/90000\r\na=rtcp-fb:* x-message app send:dsh recv:dsh\r\n";

const BROWSER: &str = "v=0\no=mozilla 7 2 IN IP6 2001:db8::5\ns=-\nt=0 0\na=sendonly\n\
    a=group:BUNDLE 0 1\na=fingerprint:sha-256 AB:CD\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 9\nc=IN IP6 ::1\na=mid:0\na=rtcp:9 IN IP4 0.0.0.0\na=rtcp-mux\na=ice-ufrag:u\na=ice-pwd:p\n\
    a=setup:actpass\na=rtpmap:111 opus/48000/2\na=ssrc:3735928559 cname:x y\na=ssrc:3735928559 msid:- t\n\
    a=candidate:1 1 UDP 2122252543 192.0.2.5 50001 typ host generation 0\n\
    a=candidate:2 2 udp 1686052607 198.51.100.9 40001 typ srflx raddr 192.0.2.5 rport 50001\n\
    a=candidate:3 1 TCP 1015021823 f00.local 9 typ host tcptype active\n\
    m=video 0 UDP/TLS/RTP/SAVPF 96\na=bundle-only\na=mid:1\na=recvonly\na=rtpmap:96 VP8/90000\na=label:main\na=content:slides\n";

#[test]
fn the_order_of_formats_is_kept_and_each_is_explained() {
    let session = Session::parse(MOBILE.as_bytes()).unwrap();
    let audio = session.media().next().unwrap();
    assert_eq!(audio.format_list, "104 9 111 0 8 103 97 13 118 101");
    let names: Vec<_> = audio.codecs().map(|(number, codec)| (number, codec.name, codec.clock)).collect();
    assert_eq!(
        names[..4],
        [(104, "SILK", 16000), (9, "G722", 8000), (111, "SIREN", 16000), (0, "PCMU", 8000)]
    );
    assert_eq!(
        names[4..],
        [
            (8, "PCMA", 8000),
            (103, "SILK", 8000),
            (97, "RED", 8000),
            (13, "CN", 8000),
            (118, "CN", 16000),
            (101, "telephone-event", 8000)
        ]
    );
    assert_eq!(audio.rtcp(), (50021, "192.0.2.7".parse().ok()));
    assert!(
        audio
            .attributes()
            .any(|a| a == Attribute::Fmtp { format: "104", params: "useinbandfec=1; usedtx=0" })
    );
    assert!(audio.attributes().any(|a| a == Attribute::Ptime(20)));
}

#[test]
fn port_zero_refuses_unless_bundled() {
    let refused: Vec<_> = [MOBILE, BROWSER]
        .iter()
        .flat_map(|text| Session::parse(text.as_bytes()).unwrap().media())
        .map(|media| (media.port, media.is_refused()))
        .collect();
    assert_eq!(refused, [(50020, false), (0, true), (9, false), (0, false)]);
}

#[test]
fn a_browsers_sections_ports_and_candidates_are_read() {
    let session = Session::parse(BROWSER.as_bytes()).unwrap();
    assert_eq!(session.connection(), None);
    assert_eq!(session.origin().map(|o| (o.id, o.version, o.address)), Some(("7", "2", "2001:db8::5")));
    assert_eq!(session.bundles().flat_map(|g| g.mids()).collect::<Vec<_>>(), ["0", "1"]);
    let media: Vec<_> = session.media().collect();
    assert_eq!((media[0].mid(), media[0].rtcp()), (Some("0"), (9, "::1".parse().ok())));
    assert_eq!((media[0].direction(), media[1].direction()), (Direction::SendOnly, Direction::RecvOnly));
    assert_eq!(
        media[0].ssrcs().map(|s| (s.id, s.attribute, s.value)).collect::<Vec<_>>(),
        [(3735928559, "cname", "x y"), (3735928559, "msid", "- t")]
    );
    let found: Vec<_> = media[0].candidates().collect();
    assert_eq!(
        (found[0].ip, found[0].port, found[0].kind),
        ("192.0.2.5".parse().ok(), 50001, CandidateKind::Host)
    );
    assert_eq!((found[1].component, found[1].related), (2, Some(("192.0.2.5".parse().unwrap(), 50001))));
    assert_eq!((found[2].ip, found[2].address, found[2].extensions), (None, "f00.local", "tcptype active"));
    let labels: Vec<_> =
        media[1].attributes().filter(|a| matches!(a, Attribute::Label(_) | Attribute::Content(_))).collect();
    assert_eq!(labels, [Attribute::Label("main"), Attribute::Content("slides")]);
}

#[test]
fn unknown_and_misspelt_attributes_pass_with_their_bytes() {
    let session = Session::parse(b"v=0\na=x-odd:\xff\xfe\na=rtpmap:900 x/1\na=ptime\na=rtcp:none\n").unwrap();
    let kept: Vec<_> = session.attributes().collect();
    let other = |name, value| Attribute::Other { name, value };
    assert_eq!(
        kept,
        [
            other(&b"x-odd"[..], Some(&b"\xff\xfe"[..])),
            other(b"rtpmap", Some(b"900 x/1")),
            other(b"ptime", None),
            other(b"rtcp", Some(b"none"))
        ]
    );
    let session = Session::parse(MOBILE.as_bytes()).unwrap();
    let feedback = session.media().nth(1).unwrap().attributes().find_map(|a| match a {
        Attribute::RtcpFb(feedback) => Some((feedback.payload_type, feedback.value)),
        _ => None,
    });
    assert_eq!(feedback, Some((None, "x-message app send:dsh recv:dsh")));
}

#[test]
fn an_unreadable_section_keeps_its_place() {
    let session =
        Session::parse(b"v=0\nc=IN IP4 239.1.1.1/127\nm=\xff 1 x 0\nm=audio x\nm=audio 7/2 RTP/AVP 0\n")
            .unwrap();
    let media: Vec<_> = session.media().map(|m| (m.kind, m.port, m.count)).collect();
    assert_eq!(media, [("", 0, 1), ("audio", 0, 1), ("audio", 7, 2)]);
    assert_eq!(session.connection().and_then(|c| c.ip), "239.1.1.1".parse().ok());
}

#[test]
fn the_work_for_a_description_is_bounded() {
    let many = format!(
        "v=0\n{}m=audio 1 RTP/AVP{}\n{}",
        "a=x\n".repeat(2000),
        " 0".repeat(2000),
        "m=a 1 b c\n".repeat(2000)
    );
    let session = Session::parse(many.as_bytes()).unwrap();
    assert_eq!(session.media().count(), 128);
    assert_eq!(session.media().next().unwrap().codecs().count(), 128);
}

#[test]
fn what_is_no_description_is_none() {
    assert_eq!(Session::parse(b""), None);
    assert_eq!(Session::parse(b"{\"sdp\":1}"), None);
}

fn touch(bytes: &[u8]) -> usize {
    let Some(session) = Session::parse(bytes) else { return 0 };
    let mut seen = session.attributes().count() + session.bundles().count();
    seen += usize::from(session.origin().is_some());
    for media in session.media() {
        seen += 1 + media.codecs().count() + media.candidates().count() + media.ssrcs().count();
        seen += usize::from(media.rtcp().0 > 0 && media.is_refused());
    }
    seen
}

proptest! {
    #[test]
    fn damaged_descriptions_do_not_panic(at in 0usize..900, bytes in proptest::collection::vec(any::<u8>(), 0..9)) {
        for text in [MOBILE, BROWSER] {
            let mut damaged = text.as_bytes().to_vec();
            let at = at.min(damaged.len());
            let end = (at + bytes.len()).min(damaged.len());
            damaged.splice(at..end, bytes.iter().copied());
            touch(&damaged);
            touch(&damaged[..at]);
        }
    }

    #[test]
    fn sections_cover_the_description(text in "(v=0\r?\n)([acm]=[a-z0-9: /]{0,12}\r?\n){0,12}") {
        let session = Session::parse(text.as_bytes()).unwrap();
        let sections: usize = session.media().map(|m| m.raw.len()).sum();
        let head = text.find("\nm=").map_or(text.len(), |at| at + 1);
        prop_assert_eq!(head + sections, text.len());
        prop_assert!(session.media().all(|m| m.raw.starts_with(b"m=")));
    }
}
