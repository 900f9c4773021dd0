//! A bridge between a browser, played by the other side of str0m, and a phone that is a socket: over the loopback, with ports
//! leased and marks read as the kernel tells them.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use carillon_media::codec::Codec;
use carillon_media::ice::{Credentials, Description};
use carillon_media::negotiate::{Encryption, Fingerprint, Negotiation, Wishes};
use carillon_media::random::Random;
use carillon_net::lease::{ClassPorts, Policy};
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_qos::PortRange;
use carillon_wire::payload::{Kind, classify};
use carillon_wire::sdp::Direction;
use carillon_wire::{rtcp, rtp};

use super::web::Web;
use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// How long what should come is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what should not come is waited for.
const NEVER: Duration = Duration::from_secs(2);

/// A page of which nobody knows that it is none.
struct Page {
    port: UdpPort,
    web: Web,
    described: Negotiation,
}

struct Stage {
    bridges: Bridges,
    page: Page,
    phone: UdpPort,
    batch: Batch,
    /// The source and number of the last packet that the page has sent.
    sent: u16,
}

fn leases(first: u16) -> Leases {
    let any = ClassPorts { range: None, mark: Dscp::DEFAULT };
    let audio = ClassPorts { range: PortRange::from_ends(first, first + 9), mark: Dscp::EF };
    Leases::new(Policy { audio, video: any, sharing: any, file_transfer: any }, HERE, 7)
}

fn bind() -> UdpPort {
    UdpPort::bind(SocketAddr::new(HERE, 0), Dscp::DEFAULT).unwrap()
}

/// What a phone answers that receives at this port.
fn answer(phone: &UdpPort, more: &str) -> String {
    format!("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {} RTP/AVP 0\r\n{more}", phone.local().port())
}

impl Page {
    /// One with a port, a certificate and credentials of its own has offered, and the phone has answered.
    fn agreed(
        bridges: &mut Bridges,
        phone: &UdpPort,
        seed: [u8; 32],
        honest: bool,
        opening: Option<Opening>,
    ) -> Page {
        let (port, identity) = (bind(), Identity::new().unwrap());
        let local = Local { rtp: port.local(), rtcp: None };
        let wishes = Wishes { encryption: Encryption::Off, codecs: vec![Codec::Opus], ..Wishes::default() };
        let mut described = Negotiation::new(wishes, local, &seed);
        let credentials = Credentials::new(&mut Random::new(&seed, *b"ice-page"));
        described.speak_ice(Description { credentials, candidates: Vec::new(), lite: false });
        described.speak_dtls(if honest { identity.fingerprint } else { Fingerprint([9; 32]) });
        let offer = described.offer(Direction::SendRecv);
        bridges.offer(1, Profile::Web, offer.as_bytes(), opening).unwrap();
        let answer = answer(phone, "a=rtcp-mux\r\n");
        let answer = bridges.answer(1, (Profile::Phone, answer.as_bytes()), true).unwrap();
        let agreed = described.accept(answer.as_bytes()).unwrap();
        let web = Web::calling(&identity, &agreed, port.local(), Instant::now()).unwrap();
        Page { port, web, described }
    }
}

impl Stage {
    /// The page has called the phone. It shows the certificate that it has described, or another one.
    fn set(first: u16, honest: bool) -> Stage {
        let mut bridges = Bridges::new(leases(first), Dscp::EF, Clock::start());
        let phone = bind();
        let opening = Some(Opening { web: HERE, phone: HERE, keys: false });
        let page = Page::agreed(&mut bridges, &phone, [1; 32], honest, opening);
        Stage { bridges, page, phone, batch: Batch::new(2048), sent: 0 }
    }

    /// Until each has heard so many packets of media.
    fn talk(&mut self, packets: usize) {
        let (mut media, begun) = ([0; 2], Instant::now());
        while media.iter().any(|heard| *heard < packets) {
            assert!(begun.elapsed() < PATIENCE, "{media:?} packets");
            for (count, heard) in media.iter_mut().zip(self.tick()) {
                *count += heard.iter().filter(|(_, _, kind)| *kind == Kind::Rtp).count();
            }
        }
    }

    /// 20 ms pass in which the page and the phone speak; what the phone and the page were sent of media.
    fn tick(&mut self) -> [Vec<(SocketAddr, Dscp, Kind)>; 2] {
        std::thread::sleep(Duration::from_millis(20));
        self.sent += 1;
        let (mut heard, now, page) = ([Vec::new(), Vec::new()], Instant::now(), &mut self.page);
        while page.port.receive(&mut self.batch).unwrap() > 0 {
            for packet in self.batch.iter() {
                let mut see = |rtp: &mut [u8]| heard[1].push((packet.remote, packet.mark, kind(rtp)));
                page.web.receive(now, packet.remote, packet.local, packet.bytes, &mut see);
                assert_eq!(packet.mark, Dscp::EF, "checks and handshakes too");
            }
        }
        while self.phone.receive(&mut self.batch).unwrap() > 0 {
            heard[0].extend(self.batch.iter().map(|one| (one.remote, one.mark, kind(one.bytes))));
        }
        // What a leg reports between its packets ends nothing.
        let report = rtcp::Builder::default().receiver_report(77, &[]).cname(77, "page").finish();
        page.web.send(now, &report);
        page.web.send(now, &packet(111, self.sent, 960, &[0xf8, 0xff, 0xfe]));
        page.web.turn(now);
        for (to, bytes) in page.web.take() {
            page.port.send(&[Datagram { to, from: None, bytes: &bytes, mark: None }], |_, error| {
                panic!("{error}")
            });
        }
        if let Some((to, ..)) = heard[0].first() {
            let bytes = packet(0, self.sent, 160, &[0x55; 160]);
            self.phone.send(&[Datagram { to: *to, from: None, bytes: &bytes, mark: None }], |_, _| {});
        }
        heard
    }

    fn leased(&self) -> u32 {
        self.bridges.leases.counts()[0].leased
    }

    fn wait_until_given_back(&self) {
        let begun = Instant::now();
        while self.leased() > 0 {
            assert!(begun.elapsed() < PATIENCE, "{} ports are still leased", self.leased());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn kind(bytes: &[u8]) -> Kind {
    classify(bytes, bytes.len() as u32)
}

fn packet(payload_type: u8, sequence: u16, ticks: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let timestamp = u32::from(sequence) * ticks;
    rtp::Builder { payload_type, sequence, timestamp, ssrc: 77, ..rtp::Builder::default() }
        .write(payload, &mut bytes);
    bytes
}

#[test]
fn media_crosses_from_leased_ports_with_the_planned_mark_and_ports_come_back() {
    let (first, begun) = (48_100, Instant::now());
    let mut stage = Stage::set(first, true);
    assert_eq!(stage.leased(), 2, "one port for each side: the phone shares its port too");
    let mut media = [0; 2];
    while media.iter().any(|packets| *packets < 20) {
        assert!(begun.elapsed() < PATIENCE, "{media:?} packets");
        for (count, heard) in media.iter_mut().zip(stage.tick()) {
            for (from, mark, kind) in heard {
                assert_eq!(mark, Dscp::EF);
                assert!((first..first + 10).contains(&from.port()), "{from}");
                *count += usize::from(kind == Kind::Rtp);
            }
        }
    }
    assert_eq!(stage.bridges.talking(), 1);
    stage.bridges.open.remove(&1);
    stage.wait_until_given_back();
}

#[test]
fn who_shows_another_certificate_than_it_has_described_is_not_heard() {
    let (mut stage, begun) = (Stage::set(48_110, false), Instant::now());
    while begun.elapsed() < NEVER {
        let [phone, page] = stage.tick();
        assert!(phone.iter().chain(&page).all(|(_, _, kind)| *kind != Kind::Rtp), "{phone:?} {page:?}");
    }
    stage.wait_until_given_back();
    assert_eq!(stage.bridges.talking(), 0);
}

#[test]
fn ports_that_run_out_are_no_bridge_and_one_that_is_refused_keeps_none() {
    let mut stage = Stage::set(48_120, true);
    let offer = stage.page.described.offer(Direction::SendRecv);
    let opening = Some(Opening { web: HERE, phone: HERE, keys: false });
    let mut more =
        |bridge: u64, sdp: &str| stage.bridges.offer(bridge, Profile::Web, sdp.as_bytes(), opening);
    assert_eq!(more(2, "v=0\r\n"), Err(NotBridged::Unacceptable));
    let made = (3..8).filter(|bridge| more(*bridge, &offer).is_ok()).count();
    assert_eq!(made, 2, "10 ports, 2 of them in use, 3 more for each");
    assert_eq!(more(8, &offer), Err(NotBridged::NoPorts));
}

#[test]
fn a_page_that_comes_back_with_another_certificate_is_heard() {
    let mut stage = Stage::set(48_130, true);
    stage.talk(10);
    stage.page = Page::agreed(&mut stage.bridges, &stage.phone, [2; 32], true, None);
    stage.talk(20);
    assert_eq!(stage.leased(), 2, "behind the same ports");
    stage.page = Page::agreed(&mut stage.bridges, &stage.phone, [3; 32], false, None);
    let begun = Instant::now();
    while begun.elapsed() < NEVER {
        let [_, page] = stage.tick();
        assert!(page.iter().all(|(_, _, kind)| *kind != Kind::Rtp), "{page:?}");
    }
}

#[test]
fn the_port_of_rtcp_is_kept_until_a_final_answer_does_without() {
    let mut bridges = Bridges::new(leases(48_150), Dscp::EF, Clock::start());
    let phone = bind();
    let opening = Some(Opening { web: HERE, phone: HERE, keys: false });
    let offer = Stage::set(48_160, true).page.described.offer(Direction::SendRecv);
    bridges.offer(1, Profile::Web, offer.as_bytes(), opening).unwrap();
    let leased = |bridges: &Bridges| bridges.leases.counts()[0].leased;
    let both = answer(&phone, "a=rtcp-mux\r\n");
    bridges.answer(1, (Profile::Phone, both.as_bytes()), false).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(leased(&bridges), 3, "another phone may answer");
    bridges.answer(1, (Profile::Phone, answer(&phone, "").as_bytes()), true).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(leased(&bridges), 3, "and speak RTCP by a port of its own");
    bridges.answer(1, (Profile::Phone, both.as_bytes()), true).unwrap();
    let begun = Instant::now();
    while leased(&bridges) > 2 {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn ports_that_run_out_are_told_once_and_so_is_their_return() {
    let error = || Box::<dyn std::error::Error>::from("no port");
    let log = Log::default();
    let writer = log.clone();
    let ends = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    tracing::subscriber::with_default(ends, || {
        let outcomes = [Some(error()), Some(error()), Some(error()), None, None, Some(error())];
        let counts: Vec<u64> = outcomes
            .iter()
            .scan(0, |count, outcome| {
                *count = unjoined(*count, outcome.as_deref());
                Some(*count)
            })
            .collect();
        assert_eq!(counts, [1, 2, 3, 0, 0, 1]);
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].ends_with("no port") && lines[1].ends_with("meanwhile: 3"), "{text}");
}
