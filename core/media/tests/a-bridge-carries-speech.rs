//! A browser and a phone with a bridge between them: speech and keys cross, from Opus to G.711 and back, and hold silences.
//! Ciphers of the browser's side are the host's, so its packets are in the clear here.
#![allow(clippy::unwrap_used, reason = "tests")]

mod network;

use std::net::SocketAddr;
use std::time::Duration;

use carillon_media::bridge::{Agreement, Bridge, Config, Legs, LegsConfig};
use carillon_media::codec::{Codec, Frame};
use carillon_media::dtmf::Key;
use carillon_media::ice::{Credentials, Description};
use carillon_media::leg::{self, Component, Event, Leg, Output, TICK};
use carillon_media::negotiate::{Agreed, Encryption, Fingerprint, Local, Negotiation, Wishes};
use carillon_media::random::Random;
use carillon_media::speech::{Voice, similarity};
use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::{Direction, Profile};

const START: Duration = Duration::from_secs(1_800_000_000);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn page() -> Negotiation {
    let wishes = Wishes { encryption: Encryption::Off, ..Wishes::default() };
    let mut page = Negotiation::new(wishes, Local { rtp: address(6000), rtcp: None }, &[1; 32]);
    let credentials = Credentials::new(&mut Random::new(&[1; 32], *b"ice-page"));
    page.speak_ice(Description { credentials, candidates: Vec::new(), lite: false });
    page.speak_dtls(Fingerprint([1; 32]));
    page
}

fn phone(encryption: Encryption) -> Negotiation {
    let wishes = Wishes { codecs: vec![Codec::Pcmu], encryption, ..Wishes::default() };
    Negotiation::new(wishes, Local { rtp: address(6010), rtcp: Some(6011) }, &[2; 32])
}

fn bridge(keys: bool) -> Bridge {
    let phone = Local { rtp: address(49_154), rtcp: Some(49_155) };
    let identity = Fingerprint([3; 32]);
    Bridge::new(&Config { web: address(49_152), identity, phone, keys, seed: [3; 32] })
}

fn leg(agreed: Agreed, seed: u8) -> Leg {
    let (class, mark) = (TrafficClass::Audio, Dscp::EF);
    Leg::new(leg::Config { agreed, class, mark, cname: format!("{seed}"), seed: [seed; 32] }).unwrap()
}

/// Two ends, the bridge between them, and what each has heard and was pressed.
struct Call {
    now: Duration,
    page: (Leg, Vec<i16>, Vec<Key>),
    phone: (Leg, Vec<i16>, Vec<Key>),
    legs: Legs,
}

impl Call {
    /// The page has called.
    fn up(encryption: Encryption) -> (Call, Bridge, Negotiation) {
        let (mut page, mut phone) = (page(), phone(encryption));
        let mut bridge = bridge(encryption == Encryption::Required);
        let offer = bridge.offer(Profile::Web, page.offer(Direction::SendRecv).as_bytes()).unwrap();
        let (answer, there) = phone.answer(offer.as_bytes(), Direction::SendRecv).unwrap();
        let (answer, agreement) = bridge.answer(Profile::Phone, answer.as_bytes()).unwrap();
        let here = page.accept(answer.as_bytes()).unwrap();
        let legs = Legs::new(agreement, &LegsConfig { mark: Dscp::EF, seed: [4; 32] }).unwrap();
        let ends = [(here, 5), (there, 6)].map(|(agreed, seed)| (leg(agreed, seed), Vec::new(), Vec::new()));
        let [page, at_phone] = ends;
        (Call { now: START, page, phone: at_phone, legs }, bridge, phone)
    }

    fn tick(&mut self, from_page: Option<&Frame>, from_phone: Option<&Frame>) {
        self.now += TICK;
        for (profile, end, speech) in
            [(Profile::Web, &mut self.page, from_page), (Profile::Phone, &mut self.phone, from_phone)]
        {
            end.1.extend(end.0.tick(self.now, speech));
            while let Some(output) = end.0.poll_output() {
                match output {
                    Output::Transmit(mut sent) => {
                        let port = if profile == Profile::Web { 6000 } else { 6010 };
                        hand(
                            self.legs.leg(profile),
                            self.now,
                            address(port),
                            sent.component,
                            &mut sent.bytes,
                        );
                    }
                    Output::Event(Event::Key(key)) => end.2.push(key),
                    Output::Event(_) => {}
                }
            }
        }
        self.legs.tick(self.now);
        while let Some((to, mut sent)) = self.legs.poll_transmit() {
            assert_eq!(sent.class, TrafficClass::Audio);
            let end = if to == Profile::Web { &mut self.page.0 } else { &mut self.phone.0 };
            hand(end, self.now, address(49_154), sent.component, &mut sent.bytes);
        }
    }

    fn talk(&mut self) {
        for (alice, bob) in Voice::Alice.frames().iter().zip(Voice::Bob.frames()) {
            self.tick(Some(alice), Some(&bob));
        }
    }
}

fn hand(leg: &mut Leg, now: Duration, from: SocketAddr, component: Component, bytes: &mut [u8]) {
    match component {
        Component::Rtp => leg.handle_rtp(now, from, bytes, Dscp::EF),
        Component::Rtcp => leg.handle_rtcp(now, from, bytes, Dscp::EF),
    }
}

fn assert_heard(voice: Voice, heard: &[i16]) {
    let found = similarity(&voice.samples(), heard);
    assert!(found.score > 0.8, "{found:?}");
}

#[test]
fn speech_crosses_both_ways_in_the_codec_of_each_end_with_and_without_keys() {
    for encryption in [Encryption::Off, Encryption::Required] {
        let (mut call, ..) = Call::up(encryption);
        call.talk();
        assert_heard(Voice::Alice, &call.phone.1);
        assert_heard(Voice::Bob, &call.page.1);
        let codecs = |leg: &Leg| (leg.report().codec, leg.report().codec_heard);
        assert_eq!(codecs(&call.page.0), (Codec::Opus, Some(Codec::Opus)));
        assert_eq!(codecs(&call.phone.0), (Codec::Pcmu, Some(Codec::Pcmu)));
        assert_eq!(call.phone.0.report().suite.is_some(), encryption == Encryption::Required);
    }
}

#[test]
fn nobody_is_sent_silence_before_the_other_has_begun() {
    let (mut call, ..) = Call::up(Encryption::Off);
    let frame = Voice::Bob.frames()[60];
    (0..50).for_each(|_| call.tick(None, Some(&frame)));
    assert!(call.page.0.report().packets_received > 30);
    assert_eq!(call.phone.0.report().packets_received, 0);
}

#[test]
fn keys_cross_both_ways() {
    let (mut call, ..) = Call::up(Encryption::Off);
    let frame = Voice::Bob.frames()[60];
    (0..10).for_each(|_| call.tick(Some(&frame), Some(&frame)));
    assert!(call.page.0.press(Key::new('7').unwrap()) && call.phone.0.press(Key::new('#').unwrap()));
    (0..80).for_each(|_| call.tick(Some(&frame), Some(&frame)));
    let heard = |keys: &[Key]| keys.iter().map(|key| key.character()).collect::<String>();
    assert_eq!((heard(&call.phone.2).as_str(), heard(&call.page.2).as_str()), ("7", "#"));
}

#[test]
fn hold_by_the_phone_silences_the_page_and_takes_it_back() {
    let (mut call, mut bridge, mut phone) = Call::up(Encryption::Off);
    call.talk();
    let mut renegotiate = |call: &mut Call, direction| {
        let mut page = page();
        let offer = bridge.offer(Profile::Phone, phone.offer(direction).as_bytes()).unwrap();
        let (answer, _) = page.answer(offer.as_bytes(), Direction::SendRecv).unwrap();
        let (answer, agreement): (String, Agreement) =
            bridge.answer(Profile::Web, answer.as_bytes()).unwrap();
        assert_eq!(phone.accept(answer.as_bytes()).unwrap().direction, direction);
        call.legs.renegotiate(agreement).unwrap();
    };
    renegotiate(&mut call, Direction::Inactive);
    let frame = Voice::Bob.frames()[60];
    let before = [call.page.0.report().packets_received, call.phone.0.report().packets_received];
    (0..50).for_each(|_| call.tick(Some(&frame), Some(&frame)));
    assert_eq!([call.page.0.report().packets_received, call.phone.0.report().packets_received], before);
    renegotiate(&mut call, Direction::SendRecv);
    call.phone.1.clear();
    call.talk();
    assert_heard(Voice::Alice, &call.phone.1);
}
