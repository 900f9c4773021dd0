//! Media: SRTP, keys in session descriptions, offers, the jitter buffer, a leg as a whole.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_media::bridge::{self, Bridge};
use carillon_media::ice::{Credentials, Description};
use carillon_media::jitter::{Buffer, MOST_DELAY_MS, Packet, Popped, Pushed};
use carillon_media::leg::{Config, Leg, TICK};
use carillon_media::negotiate::{Agreed, Encryption, Fingerprint, Local, Negotiation, Wishes};
use carillon_media::random::Random;
use carillon_media::srtp::{self, Error, Key, Receiver, Sender, Suite};
use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::{Attribute, Direction, Profile, Session};

/// A byte of choices and a packet. What is sealed opens once and gives the same; changed, it does not open.
pub fn srtp(data: &[u8]) {
    let Some((choice, plain)) = data.split_first() else { return };
    let suite = Suite::ALL[usize::from(choice & 3)];
    let key = Key::random(suite, &mut Random::new(&[1; 32], *b"the fuzz"));
    let (Some(mut sender), Some(mut receiver)) = (Sender::new(&key), Receiver::new(&key)) else { return };
    let is_rtcp = choice & 4 != 0;
    let mut forged = plain.to_vec();
    let _ = open(&mut receiver, is_rtcp, &mut forged);
    let mut sealed = plain.to_vec();
    let protected = if is_rtcp { sender.protect_rtcp(&mut sealed) } else { sender.protect_rtp(&mut sealed) };
    if protected.is_err() {
        return;
    }
    let mut changed = sealed.clone();
    let at = usize::from(*choice) * 7 % changed.len();
    changed[at] ^= 1 << (choice >> 5);
    assert!(open(&mut receiver, is_rtcp, &mut changed).is_err());
    let mut again = sealed.clone();
    let len = open(&mut receiver, is_rtcp, &mut sealed);
    assert_eq!(len.map(|len| &sealed[..len]), Ok(plain));
    assert_eq!(open(&mut receiver, is_rtcp, &mut again), Err(Error::Replayed));
}

fn open(receiver: &mut Receiver, is_rtcp: bool, packet: &mut [u8]) -> Result<usize, Error> {
    if is_rtcp { receiver.unprotect_rtcp(packet) } else { receiver.unprotect_rtp(packet) }
}

/// What follows `a=`. A key that is read is written and read again.
pub fn crypto(data: &[u8]) {
    let Attribute::Crypto(crypto) = Attribute::parse(data) else { return };
    let Ok(offered) = srtp::parse(&crypto) else { return };
    let written = format!("crypto:{}", offered.key.attribute(offered.tag));
    let Attribute::Crypto(again) = Attribute::parse(written.as_bytes()) else { panic!("{written}") };
    assert_eq!(srtp::parse(&again), Ok(offered));
}

/// An offer, and the same bytes as an answer. Our answer has the sections of the offer, says nothing that it did not ask
/// for, and both ends read the same out of it.
pub fn negotiate(data: &[u8]) {
    for encryption in [Encryption::Off, Encryption::Optional, Encryption::Required] {
        let local = Local { rtp: SocketAddr::from(([192, 0, 2, 1], 50_000)), rtcp: None };
        let wishes = Wishes { encryption, ..Wishes::default() };
        let mut ours = Negotiation::new(wishes, local, &[2; 32]);
        let credentials = Credentials::new(&mut Random::new(&[3; 32], *b"ice-self"));
        ours.speak_ice(Description { credentials, candidates: Vec::new(), lite: false });
        if let Ok((answer, agreed)) = ours.answer(data, Direction::SendRecv) {
            answers(data, &answer, &agreed);
        }
        ours.offer(Direction::SendRecv);
        if let Ok(agreed) = ours.accept(data) {
            assert!(!agreed.receive.is_empty() && agreed.remote_rtp.port() != 0);
            assert!(encryption != Encryption::Required || agreed.keys.is_some());
            assert!(encryption != Encryption::Off || agreed.keys.is_none());
        }
    }
}

fn answers(offer: &[u8], answer: &str, agreed: &Agreed) {
    let Some((offer, read)) = Session::parse(offer).zip(Session::parse(answer.as_bytes())) else {
        panic!("{answer}")
    };
    assert_eq!(read.media().count(), offer.media().count(), "{answer}");
    assert!(answer.replace("\r\n", "").chars().all(|character| !character.is_control()));
    let accepted: Vec<_> = read.media().filter(|media| media.port != 0).collect();
    let [media] = accepted[..] else { panic!("{answer}") };
    assert_eq!((media.kind, media.port), ("audio", 50_000));
    assert_eq!(media.direction(), agreed.direction);
    let numbers: Vec<u8> = media.codecs().map(|(number, _)| number).collect();
    assert_eq!(numbers.first(), Some(&agreed.send.payload_type));
    let is_crypto = |attribute| matches!(attribute, Attribute::Crypto(_));
    assert!(numbers.len() <= 2 && agreed.keys.is_some() == media.attributes().any(is_crypto));
}

/// A byte of choices, an offer and, behind a 0x1e, an answer: what becomes of them on a bridge. What is passed on is of the other end's
/// kind, and the same answer again comes to the same.
pub fn bridge(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut parts = rest.splitn(2, |byte| *byte == 0x1e);
    let (offer, answer) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let from = if choice & 1 == 0 { Profile::Web } else { Profile::Phone };
    let (place, keys) = (|port| SocketAddr::from(([192, 0, 2, 1], port)), choice & 2 != 0);
    let phone = Local { rtp: place(50_002), rtcp: Some(50_003) };
    let identity = Fingerprint([7; 32]);
    let mut bridge =
        Bridge::new(&bridge::Config { web: place(50_000), identity, phone, keys, seed: [2; 32] });
    let profile = |text: &str| Session::parse(text.as_bytes()).and_then(|session| session.profile());
    let Ok(offered) = bridge.offer(from, offer) else { return };
    assert_eq!(profile(&offered), Some(from.other()), "{offered}");
    let Ok((answered, agreement)) = bridge.answer(from.other(), answer) else { return };
    assert_eq!(profile(&answered), Some(from), "{answered}");
    assert!(agreement.web.dtls.is_some() && agreement.web.ice.is_some() && agreement.web.mux);
    assert!(agreement.phone.dtls.is_none() && (!keys || agreement.phone.keys.is_some()));
    assert_eq!(bridge.answer(from.other(), answer), Ok((answered, agreement)));
}

/// A script for the jitter buffer, three bytes a step. It never plays backwards, and what it holds is bounded.
pub fn jitter(data: &[u8]) {
    let mut buffer = Buffer::new(8000);
    let (mut last, mut queued, mut played) = (None::<u16>, 0u64, 0u64);
    for step in data.chunks_exact(3) {
        let sequence = u16::from_be_bytes([step[1], step[2]]);
        match step[0] & 3 {
            0 => {
                if let Popped::Packet(packet) = buffer.pop() {
                    let ahead = last.map_or(1, |last| packet.sequence.wrapping_sub(last));
                    assert!((1..0x8000).contains(&ahead));
                    (last, played) = (Some(packet.sequence), played + 1);
                }
            }
            kind => {
                let timestamp = u32::from(sequence).wrapping_mul(80 * u32::from(step[0] >> 2));
                let payload = (kind != 1).then(|| vec![0]);
                // A jump begins a new series.
                if last.is_some_and(|last| (sequence.wrapping_sub(last) as i16).unsigned_abs() > 1000) {
                    last = None;
                    buffer.restart(8000);
                }
                let speech = payload.is_some();
                let pushed = buffer.push(Packet { sequence, timestamp, payload_type: 0, payload });
                queued += u64::from(speech && pushed == Pushed::Queued);
            }
        }
        assert!(buffer.delay_ms() <= MOST_DELAY_MS.max(3 * buffer.frame_ms()));
    }
    assert!(played <= queued);
}

/// A byte of choices, then datagrams, each behind a byte of its length and a byte of when it comes. A leg survives them and
/// counts every one.
pub fn leg(data: &[u8]) {
    let Some((choice, mut rest)) = data.split_first() else { return };
    let Some(mut leg) = listening(*choice) else { return };
    let peer = SocketAddr::from(([192, 0, 2, 2], 6000));
    let (mut now, mut count) = (Duration::from_secs(1_800_000_000), 0);
    while let Some((&[len, when], after)) = rest.split_first_chunk() {
        let (datagram, after) = after.split_at(after.len().min(len.into()));
        for _ in 0..when & 3 {
            leg.tick(now, Some(&[0; 320]));
            now += TICK;
        }
        let mut datagram = datagram.to_vec();
        match when & 4 {
            0 => leg.handle_rtp(now, peer, &mut datagram, Dscp::EF),
            _ => leg.handle_rtcp(now, peer, &mut datagram, Dscp::EF),
        }
        (rest, count) = (after, count + 1);
    }
    let report = leg.report();
    assert_eq!(report.rtp.marks.values().chain(report.rtcp.marks.values()).sum::<u64>(), count);
    assert!(report.loss_percent <= 100.0 && report.buffer_ms <= MOST_DELAY_MS.max(360));
    assert!(report.mos().is_none_or(|mos| (1.0..=4.5).contains(&mos)));
    leg.end(now);
    while leg.poll_output().is_some() {}
}

fn listening(choice: u8) -> Option<Leg> {
    const OFFER: &[u8] = b"v=0\r\nc=IN IP4 192.0.2.2\r\nm=audio 6000 RTP/AVP 111 0 9 8 101\r\n\
        a=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp-xr:voip-metrics\r\n";
    let local = Local { rtp: SocketAddr::from(([192, 0, 2, 1], 50_000)), rtcp: Some(50_001) };
    let wishes = Wishes { encryption: Encryption::Off, ..Wishes::default() };
    let mut ours = Negotiation::new(wishes, local, &[3; 32]);
    ours.offer(Direction::SendRecv);
    let mut agreed = ours.accept(OFFER).ok()?;
    let first = usize::from(choice) % agreed.receive.len();
    agreed.receive.rotate_left(first);
    let cname = "fuzz".to_owned();
    Leg::new(Config { agreed, class: TrafficClass::Audio, mark: Dscp::EF, cname, seed: [4; 32] })
}
