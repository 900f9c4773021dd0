//! Offers of ours and of others, and what becomes of them.

use carillon_wire::sdp::Direction::{Inactive, RecvOnly, SendOnly, SendRecv};

use super::*;

fn local(address: &str, rtcp: Option<u16>) -> Local {
    Local { rtp: address.parse().unwrap(), rtcp }
}

fn end(wishes: Wishes, port: u16) -> Negotiation {
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&port.to_be_bytes());
    let address = format!("192.0.2.1:{port}");
    Negotiation::new(wishes, local(&address, Some(port + 1)), &seed)
}

fn wishes(codecs: &[Codec], encryption: Encryption) -> Wishes {
    Wishes { codecs: codecs.to_vec(), encryption, ..Wishes::default() }
}

/// Offer by the one, answer by the other: what each of them thinks was agreed.
fn agree(caller: Wishes, callee: Wishes) -> Result<(Agreed, Agreed), Refusal> {
    let (mut caller, mut callee) = (end(caller, 50_000), end(callee, 50_020));
    let (answer, there) = callee.answer(caller.offer(SendRecv).as_bytes(), SendRecv)?;
    Ok((caller.accept(answer.as_bytes())?, there))
}

#[test]
fn our_offer_is_this() {
    let wishes = Wishes { suites: vec![Suite::AesCm128HmacSha1Tag80], ..Wishes::default() };
    let mut caller = Negotiation::new(wishes, local("192.0.2.1:50000", Some(50_001)), &[3; 32]);
    let offer = caller.offer(SendRecv);
    let masked: String = offer
        .lines()
        .map(|line| match line.split_once("inline:") {
            Some((before, key)) => format!("{before}inline:({})\n", key.len()),
            None if line.starts_with("o=") => "o=\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    let expected = "v=0\no=\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n\
        m=audio 50000 RTP/AVP 111 9 0 8 101 110\n\
        a=rtpmap:111 opus/48000/2\n\
        a=fmtp:111 maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1\n\
        a=rtpmap:9 G722/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\n\
        a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n\
        a=rtpmap:110 telephone-event/48000\na=fmtp:110 0-15\n\
        a=ptime:20\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:(40)\n\
        a=rtcp-mux\na=rtcp-xr:voip-metrics\na=sendrecv\n";
    assert_eq!(masked, expected);
    assert!(offer.lines().count() == offer.matches("\r\n").count());
}

#[test]
fn both_ends_agree_on_the_same() {
    let (here, there) = agree(Wishes::default(), Wishes::default()).unwrap();
    assert_eq!((here.send.codec, here.send.payload_type), (Codec::Opus, 111));
    assert_eq!((here.send, &here.receive), (there.send, &there.receive));
    assert_eq!((here.events, there.events), (there.events, here.events));
    assert_eq!(here.events.unwrap(), Events { send: 110, receive: 110, clock: 48_000 });
    assert_eq!((here.remote_rtp.port(), there.remote_rtp.port()), (50_020, 50_000));
    assert!(here.mux && there.mux && here.voip_metrics && there.voip_metrics);
    assert_eq!((here.remote_rtcp.port(), there.remote_rtcp.port()), (50_020, 50_000));
    let (here, there) = (here.keys.unwrap(), there.keys.unwrap());
    assert_eq!((&here.send, &here.receive), (&there.receive, &there.send));
    assert_ne!(here.send, here.receive);
}

#[test]
fn the_answerer_prefers_within_what_is_offered() {
    let caller = wishes(&[Codec::Pcmu, Codec::G722, Codec::Pcma], Encryption::Off);
    let callee = wishes(&[Codec::Opus, Codec::Pcma, Codec::Pcmu], Encryption::Off);
    let (here, there) = agree(caller, callee).unwrap();
    assert_eq!((here.send.codec, there.send.codec), (Codec::Pcma, Codec::Pcma));
    assert_eq!(here.events.unwrap(), Events { send: 101, receive: 101, clock: 8000 });
    let none = agree(wishes(&[Codec::Pcmu], Encryption::Off), wishes(&[Codec::Opus], Encryption::Off));
    assert_eq!(none.unwrap_err(), Refusal::Codec);
}

#[test]
fn encryption_is_as_both_want_it() {
    use Encryption::{Off, Optional, Required};
    let outcome = |caller, callee| {
        let codecs = [Codec::Pcmu];
        agree(wishes(&codecs, caller), wishes(&codecs, callee)).map(|(here, there)| {
            assert_eq!(here.keys.is_some(), there.keys.is_some());
            here.keys.is_some()
        })
    };
    assert_eq!(outcome(Required, Required), Ok(true));
    assert_eq!(outcome(Required, Optional), Ok(true));
    assert_eq!(outcome(Required, Off), Err(Refusal::EncryptionRefused));
    assert_eq!(outcome(Optional, Required), Ok(true));
    assert_eq!(outcome(Optional, Optional), Ok(true));
    assert_eq!(outcome(Optional, Off), Ok(false));
    assert_eq!(outcome(Off, Required), Err(Refusal::EncryptionMissing));
    assert_eq!(outcome(Off, Optional), Ok(false));
    assert_eq!(outcome(Off, Off), Ok(false));
}

#[test]
fn suites_follow_the_answerers_order_and_keep_the_tag() {
    let mut caller = end(Wishes::default(), 50_000);
    let suites = vec![Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1Tag32];
    let mut callee = end(Wishes { suites, ..Wishes::default() }, 50_020);
    let (answer, there) = callee.answer(caller.offer(SendRecv).as_bytes(), SendRecv).unwrap();
    assert!(answer.contains("a=crypto:3 AEAD_AES_256_GCM inline:"), "{answer}");
    assert_eq!(answer.matches("a=crypto").count(), 1);
    assert_eq!(there.keys.unwrap().send.suite(), Suite::AeadAes256Gcm);
    let wrong_tag = answer.replace("crypto:3", "crypto:1");
    assert_eq!(caller.accept(wrong_tag.as_bytes()).unwrap().keys, None, "the tag belongs to another suite");
}

const PHONE: &str = "v=0\r\no=phone 1 1 IN IP4 198.51.100.7\r\ns=call\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
    m=video 6006 RTP/AVP 99 98\r\na=mid:v\r\na=rtpmap:99 H264/90000\r\n\
    m=audio 6004 RTP/AVP 97 96 0 100\r\na=mid:a\r\na=rtpmap:97 G722/8000\r\na=rtpmap:96 OPUS/48000\r\n\
    a=rtpmap:100 telephone-event/8000\r\na=ptime:30\r\na=rtcp:6010\r\n\
    m=application 9 UDP/BFCP *\r\n";

#[test]
fn a_foreign_offer_keeps_its_numbers_and_its_other_sections_are_refused_in_place() {
    let mut callee = end(wishes(&Codec::ALL, Encryption::Off), 50_020);
    let (answer, agreed) = callee.answer(PHONE.as_bytes(), SendRecv).unwrap();
    assert_eq!(agreed.send, Format { payload_type: 96, codec: Codec::Opus });
    assert_eq!(agreed.receive, [agreed.send]);
    assert_eq!(agreed.events, Some(Events { send: 100, receive: 100, clock: 8000 }));
    assert_eq!(agreed.remote_rtp, "198.51.100.7:6004".parse().unwrap());
    assert_eq!(agreed.remote_rtcp, "198.51.100.7:6010".parse().unwrap());
    assert_eq!((agreed.ptime_ms, agreed.mux, agreed.voip_metrics), (30, false, false));
    let sections: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    let expected = ["m=video 0 RTP/AVP 99 98", "m=audio 50020 RTP/AVP 96 100", "m=application 0 UDP/BFCP *"];
    assert_eq!(sections, expected);
    assert!(answer.contains("a=mid:a\r\n"));
    assert!(!answer.contains("a=rtcp-mux") && !answer.contains("a=crypto") && !answer.contains("a=rtcp:"));
}

#[test]
fn a_later_offer_keeps_the_sections_and_numbers_of_the_session() {
    let offer = PHONE.replace("97 96 0 100", "97 96 0 100 111 101");
    let offer = offer.replace("a=ptime", "a=rtpmap:111 speex/16000\r\na=rtpmap:101 x-odd/8000\r\na=ptime");
    let mut callee = end(wishes(&Codec::ALL, Encryption::Off), 50_020);
    callee.answer(offer.as_bytes(), SendRecv).unwrap();
    let later = callee.offer(SendOnly);
    let sections: Vec<&str> = later.lines().filter(|line| line.starts_with("m=")).collect();
    let ours = "m=audio 50020 RTP/AVP 96 97 0 8 100 110";
    assert_eq!(sections, ["m=video 0 RTP/AVP 99 98", ours, "m=application 0 UDP/BFCP *"]);
    let answer = PHONE.replace("97 96 0 100", "97 100").replace("a=rtpmap:96 OPUS/48000\r\n", "");
    let agreed = callee.accept(answer.as_bytes()).unwrap();
    assert_eq!(agreed.send, Format { payload_type: 97, codec: Codec::G722 });
    assert_eq!(agreed.receive, [agreed.send]);
}

#[test]
fn a_number_that_means_something_else_is_not_taken() {
    let offer = "v=0\r\nc=IN IP4 198.51.100.7\r\nm=audio 6004 RTP/AVP 0 111 110 127\r\na=rtpmap:111 speex/16000\r\n\
        a=rtpmap:110 iLBC/8000\r\na=rtpmap:127 GSM/8000\r\n";
    let mut callee = end(wishes(&[Codec::Opus, Codec::Pcmu], Encryption::Off), 50_020);
    callee.answer(offer.as_bytes(), SendRecv).unwrap();
    let later = callee.offer(SendRecv);
    assert!(later.contains("m=audio 50020 RTP/AVP 126 0 101 125\r\na=rtpmap:126 opus"), "{later}");
}

#[test]
fn an_answer_with_several_codecs_may_use_all_of_them() {
    let mut caller = end(wishes(&Codec::ALL, Encryption::Off), 50_000);
    caller.offer(SendRecv);
    let answer = "v=0\r\nc=IN IP4 198.51.100.7\r\nm=audio 6004 RTP/AVP 0 9 120 101\r\na=rtpmap:120 opus/48000/2\r\n\
        a=rtpmap:101 telephone-event/8000\r\n";
    let agreed = caller.accept(answer.as_bytes()).unwrap();
    assert_eq!(agreed.send, Format { payload_type: 0, codec: Codec::Pcmu });
    let numbers: Vec<u8> = agreed.receive.iter().map(|format| format.payload_type).collect();
    assert_eq!(numbers, [0, 9, 111], "we receive in the payload types of our offer");
}

#[test]
fn hold_and_resume() {
    let cases = [
        (SendRecv, SendRecv, SendRecv, SendRecv),
        (SendOnly, SendRecv, SendOnly, RecvOnly),
        (Inactive, SendRecv, Inactive, Inactive),
        (SendRecv, SendOnly, RecvOnly, SendOnly),
        (SendOnly, SendOnly, Inactive, Inactive),
        (RecvOnly, SendRecv, RecvOnly, SendOnly),
    ];
    let (mut caller, mut callee) = (end(Wishes::default(), 50_000), end(Wishes::default(), 50_020));
    for (offered, wanted, here, there) in cases {
        let (answer, agreed) = callee.answer(caller.offer(offered).as_bytes(), wanted).unwrap();
        assert_eq!((caller.accept(answer.as_bytes()).unwrap().direction, agreed.direction), (here, there));
    }
}

#[test]
fn the_address_zero_is_the_hold_of_old_phones() {
    let mut callee = end(wishes(&Codec::ALL, Encryption::Off), 50_020);
    let (answer, agreed) = callee
        .answer(PHONE.replace("c=IN IP4 198.51.100.7", "c=IN IP4 0.0.0.0").as_bytes(), SendRecv)
        .unwrap();
    assert_eq!(agreed.direction, RecvOnly);
    assert!(answer.contains("a=recvonly"));
}

#[test]
fn keys_and_session_stay_through_a_dialog_and_the_version_counts() {
    let mut caller = end(Wishes::default(), 50_000);
    let lines = |offer: &str, start: &str| -> Vec<String> {
        offer.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
    };
    let (first, second) = (caller.offer(SendRecv), caller.offer(SendOnly));
    assert_eq!(lines(&first, "a=crypto"), lines(&second, "a=crypto"));
    let origin = |offer: &str| -> (u32, u32) {
        let words: Vec<String> = lines(offer, "o=")[0].split(' ').map(str::to_owned).collect();
        (words[1].parse().unwrap(), words[2].parse().unwrap())
    };
    assert_eq!(origin(&second), (origin(&first).0, origin(&first).1 + 1));
    assert_eq!(lines(&first, "a=crypto").len(), 4);
    let keys: std::collections::BTreeSet<_> =
        lines(&first, "a=crypto").iter().map(|line| line.rsplit(':').next().unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 4, "no key is offered twice");
}

/// What the callee sends with, if the caller offers `RTP/AVP` or `RTP/SAVP` with one suite, or with none.
fn answering_key(callee: &mut Negotiation, suite: Option<Suite>) -> Option<Key> {
    let key = suite.map(|suite| Key::random(suite, &mut Random::new(&[5; 32], *b"test-key")));
    let line = key.map(|key| format!("a=crypto:1 {}", key.attribute(1).split_once(' ').unwrap().1));
    let (protocol, line) = match line {
        Some(line) => ("RTP/SAVP", line + "\r\n"),
        None => ("RTP/AVP", String::new()),
    };
    let offer = format!("v=0\r\nc=IN IP4 198.51.100.7\r\nm=audio 6004 {protocol} 0\r\n{line}");
    let (answer, agreed) = callee.answer(offer.as_bytes(), SendRecv).unwrap();
    let key = agreed.keys.map(|keys| keys.send);
    assert_eq!(answer.matches("a=crypto").count(), usize::from(key.is_some()));
    assert!(key.iter().all(|key| answer.contains(&format!("a=crypto:{}\r\n", key.attribute(1)))));
    key
}

#[test]
fn a_key_that_was_given_up_is_never_used_again() {
    use Suite::{AeadAes128Gcm as Gcm, AesCm128HmacSha1Tag80 as Cm};
    for between in [None, Some(Gcm)] {
        let mut callee = end(Wishes::default(), 50_020);
        let first = answering_key(&mut callee, Some(Cm)).unwrap();
        assert_eq!(answering_key(&mut callee, Some(Cm)).as_ref(), Some(&first), "one in use stays");
        answering_key(&mut callee, between);
        assert!(!callee.offer(SendRecv).contains(&first.attribute(1)), "nor is it offered");
        let later = answering_key(&mut callee, Some(Cm)).unwrap();
        assert_ne!(later, first, "{between:?}");
        assert_eq!(answering_key(&mut callee, Some(Cm)), Some(later));
    }
}

#[test]
fn an_answer_that_gives_up_encryption_retires_the_key_too() {
    let (mut caller, mut callee) = (end(Wishes::default(), 50_000), end(Wishes::default(), 50_020));
    let offer = caller.offer(SendRecv);
    let (answer, _) = callee.answer(offer.as_bytes(), SendRecv).unwrap();
    let first = caller.accept(answer.as_bytes()).unwrap().keys.unwrap().send;
    assert!(caller.offer(SendRecv).contains(&first.attribute(1)));
    let plain = answer.lines().filter(|line| !line.starts_with("a=crypto"));
    let plain: String = plain.map(|line| format!("{line}\r\n")).collect();
    assert_eq!(caller.accept(plain.as_bytes()).unwrap().keys, None);
    let (before, now) = (offer.matches("a=crypto").count(), caller.offer(SendRecv));
    assert_eq!(now.matches("a=crypto").count(), before);
    assert!(!now.contains(&first.attribute(1)), "{now}");
}

#[test]
fn a_lease_of_one_port_says_so() {
    let mut caller = Negotiation::new(Wishes::default(), local("[2001:db8::1]:50000", None), &[1; 32]);
    let offer = caller.offer(SendRecv);
    assert!(offer.contains("c=IN IP6 2001:db8::1\r\n") && offer.contains("a=rtcp:50000\r\na=rtcp-mux\r\n"));
    let old = "v=0\r\nc=IN IP6 2001:db8::2\r\nm=audio 6004 RTP/AVP 0\r\n";
    let agreed = caller.accept(old.as_bytes()).unwrap();
    assert_eq!((agreed.mux, agreed.remote_rtcp.port()), (false, 6005));
}

#[test]
fn what_cannot_be_agreed_is_refused_by_name() {
    let refused =
        |offer: &str| end(Wishes::default(), 50_020).answer(offer.as_bytes(), SendRecv).unwrap_err();
    assert_eq!(refused("hello"), Refusal::Unreadable);
    assert_eq!(refused("v=0\r\n"), Refusal::NoAudio);
    assert_eq!(refused(&PHONE.replace("audio 6004", "audio 0")), Refusal::NoAudio);
    assert_eq!(refused(&PHONE.replace("6004 RTP/AVP", "6004 UDP/TLS/RTP/SAVPF")), Refusal::Transport);
    assert_eq!(refused(&PHONE.replace("6004 RTP/AVP", "6004 RTP/SAVP")), Refusal::EncryptionRefused);
    assert_eq!(
        refused(&PHONE.replace("IP4 198.51.100.7\r\nt", "IP4 phone.example.com\r\nt")),
        Refusal::Address
    );
    assert_eq!(refused(&PHONE.replace("IP4 198.51.100.7\r\nt", "IP6 2001:db8::2\r\nt")), Refusal::Address);
    assert_eq!(refused(&PHONE.replace("97 96 0 100", "3 18 100")), Refusal::Codec);
    let mut caller = end(Wishes::default(), 50_000);
    assert_eq!(caller.accept(PHONE.as_bytes()).unwrap_err(), Refusal::NothingOffered);
    caller.offer(SendRecv);
    assert_eq!(
        caller.accept(PHONE.as_bytes()).unwrap_err(),
        Refusal::NoAudio,
        "the first section answers ours"
    );
}

#[test]
fn media_goes_to_one_machine_that_is_not_us() {
    let offered = |address: &str| {
        let family = if address.contains(':') { "IP6" } else { "IP4" };
        PHONE.replace("IP4 198.51.100.7\r\nt", &format!("{family} {address}\r\nt"))
    };
    let outcome = |local_address: &str, address: &str| {
        let mut callee = Negotiation::new(Wishes::default(), local(local_address, Some(50_021)), &[4; 32]);
        callee
            .answer(offered(address).as_bytes(), SendRecv)
            .map(|(_, agreed)| agreed.remote_rtp.ip().to_string())
    };
    let v4 = ["224.0.0.1", "239.1.2.3/127", "255.255.255.255", "127.0.0.1", "0.1.2.3", "::ffff:127.0.0.1"];
    for address in v4 {
        assert_eq!(outcome("192.0.2.1:50020", address), Err(Refusal::Address), "{address}");
    }
    for address in ["ff02::1", "::", "::1", "::ffff:192.0.2.7"] {
        assert_eq!(outcome("[2001:db8::1]:50020", address), Err(Refusal::Address), "{address}");
    }
    for (ours, address) in [
        ("192.0.2.1:50020", "198.51.100.7"),
        ("127.0.0.1:50020", "127.0.0.1"),
        ("[::1]:50020", "::1"),
        ("[2001:db8::1]:50020", "2001:db8::2"),
    ] {
        assert_eq!(outcome(ours, address), Ok(address.to_owned()));
    }
    let elsewhere = PHONE.replace("a=rtcp:6010", "a=rtcp:6010 IN IP4 224.0.0.1");
    let (_, agreed) = end(Wishes::default(), 50_020).answer(elsewhere.as_bytes(), SendRecv).unwrap();
    assert_eq!(agreed.remote_rtcp, "198.51.100.7:6010".parse().unwrap(), "reports go where media goes");
}

#[test]
fn words_of_an_offer_cannot_end_a_line_of_the_answer() {
    let offer = PHONE.replace("a=mid:v", "a=mid:v\ra=sendonly").replace("m=video 6006", "m=vi\rdeo 6006");
    let (answer, _) =
        end(wishes(&Codec::ALL, Encryption::Off), 50_020).answer(offer.as_bytes(), SendRecv).unwrap();
    assert!(answer.replace("\r\n", "").chars().all(|character| !character.is_control()));
}
