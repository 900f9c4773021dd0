//! The program beside a naive reader of RFC 8656, frame by frame, in the kernel (`BPF_PROG_TEST_RUN`). Where the kernel may not be
//! asked, that is said and nothing is tested.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use carillon_wire::ip::Dscp;
use proptest::prelude::*;

use super::books::{Book, Books};
use super::bpf::{self, Kind, Map};
use super::layout::{Carry, Family, Key, Way, at, octets};
use super::program::{self, DROP, NEXT, REDIRECT};
use crate::forward::PortId;
use crate::forward::ledger::{Budgets, Ledger, Payload, Towards};
use crate::forward::sockets::SocketId;

/// Frames of a test run come by loopback.
const CAME_BY: u32 = 1;
const TTL: u8 = 64;

/// A program with one rule.
struct Bench {
    rules: Map,
    books: Books,
    book: Book,
    program: OwnedFd,
    rule: Rule,
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    client: SocketAddr,
    listener: SocketAddr,
    relayed: SocketAddr,
    peer: SocketAddr,
    channel: u16,
    mark: Dscp,
}

impl Rule {
    fn family(&self) -> Family {
        Family::of(self.client.ip())
    }
}

fn rule() -> Rule {
    rule_of(Family::V4)
}

fn rule_of(family: Family) -> Rule {
    let at = |v4: &str, v6: &str| match family {
        Family::V4 => v4.parse().unwrap(),
        Family::V6 => v6.parse().unwrap(),
    };
    Rule {
        client: at("198.51.100.7:40000", "[2001:db8:1::7]:40000"),
        listener: at("203.0.113.5:3478", "[2001:db8:2::5]:3478"),
        relayed: at("203.0.113.5:50001", "[2001:db8:2::5]:50001"),
        peer: at("10.1.2.3:20000", "[2001:db8:3::3]:20000"),
        channel: 0x4001,
        mark: Dscp::EF,
    }
}

impl Bench {
    /// `None` where the kernel does not let us.
    fn new(rule: Rule, rate: Option<NonZeroU64>, mtu: u32) -> Option<Bench> {
        let family = rule.family();
        let rules = match Map::new(Kind::Hash, b"test_rules", family.key(), family.value(), 16) {
            Ok(rules) => rules,
            Err(error) => {
                eprintln!("not tested: bpf(2) is refused: {error}");
                return None;
            }
        };
        let mut books = Books::new(16).unwrap();
        let code = program::program(family, rules.fd.as_raw_fd(), books.map.fd.as_raw_fd()).unwrap();
        let (program, book) = (bpf::load(&code).unwrap(), books.take().unwrap());
        let bench = Bench { rules, books, book, program, rule };
        for towards in [Towards::Peer, Towards::Client] {
            bench.install(towards, rate, mtu);
        }
        Some(bench)
    }

    fn install(&self, towards: Towards, rate: Option<NonZeroU64>, mtu: u32) {
        let Rule { client, listener, relayed, peer, channel, mark } = self.rule;
        let (came, leaves, asked) = match towards {
            Towards::Peer => ((client, listener), (relayed, peer), channel),
            Towards::Client => ((peer, relayed), (listener, client), 0),
        };
        let carry = Carry {
            towards,
            channel,
            came,
            leaves,
            mark,
            way: Way { interface: 1, next_hop: loopback(self.rule.family()), mtu, hops: TTL },
            came_by: CAME_BY,
            book: self.book.place,
            account: None,
            group: None,
            port_rate: rate,
            policed_rate: None,
            account_rate: None,
            group_rate: None,
        };
        let key = Key { remote: came.0, local: came.1, channel: asked };
        self.rules.set(&key.bytes(), &carry.bytes()).unwrap();
    }

    fn run(&self, frame: &[u8]) -> (u32, Vec<u8>) {
        bpf::run(&self.program, frame).unwrap()
    }
}

fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}

/// A frame as a sender makes it, with all sums counted from the start.
pub(super) fn frame(
    ends: (impl Into<SocketAddr>, impl Into<SocketAddr>),
    traffic: u8,
    ttl: u8,
    payload: &[u8],
) -> Vec<u8> {
    let (from, to): (SocketAddr, SocketAddr) = (ends.0.into(), ends.1.into());
    let udp_len = (8 + payload.len()) as u16;
    let addresses = [from.ip(), to.ip()].map(octets).concat();
    let mut udp = [from.port(), to.port(), udp_len, 0].map(u16::to_be_bytes).concat();
    udp.extend(payload);
    let sum = udp_sum(&addresses, &udp);
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    let (kind, ip) = match Family::of(from.ip()) {
        Family::V4 => ([8, 0], header_v4(traffic, ttl, udp_len, &addresses)),
        Family::V6 => ([0x86, 0xdd], header_v6(traffic, ttl, udp_len, &addresses)),
    };
    [&[0; 12], &kind[..], &ip, &udp].concat()
}

fn header_v4(traffic: u8, ttl: u8, len: u16, addresses: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, traffic];
    ip.extend((20 + len).to_be_bytes());
    ip.extend([0, 0, 0x40, 0, ttl, 17, 0, 0]);
    ip.extend(addresses);
    let sum = !sum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip
}

/// Without a flow label.
fn header_v6(traffic: u8, hops: u8, len: u16, addresses: &[u8]) -> Vec<u8> {
    let mut ip = (6 << 28 | u32::from(traffic) << 20).to_be_bytes().to_vec();
    ip.extend(len.to_be_bytes());
    ip.extend([17, hops]);
    ip.extend(addresses);
    ip
}

/// Over the header that is only thought of, and the datagram whose sum is 0 as yet (RFC 768; RFC 8200, 8.1).
pub(super) fn udp_sum(addresses: &[u8], udp: &[u8]) -> u16 {
    let mut all = addresses.to_vec();
    all.extend((udp.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, 17]);
    all.extend(udp);
    match !sum(&all) {
        0 => 0xffff,
        sum => sum,
    }
}

/// The frame without its flow label, and that.
pub(super) fn unlabelled(mut frame: Vec<u8>) -> (Vec<u8>, u32) {
    if frame[12] != 0x86 {
        return (frame, 0);
    }
    let label = u32::from_be_bytes([0, frame[15] & 0xf, frame[16], frame[17]]);
    frame[15] &= 0xf0;
    frame[16..18].fill(0);
    (frame, label)
}

pub(super) fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

pub(super) fn channel_data(channel: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = channel.to_be_bytes().to_vec();
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

/// What is not STUN by its first byte, long enough that no card pads it.
fn media() -> impl Strategy<Value = Vec<u8>> {
    (4_u8..=0xff, proptest::collection::vec(any::<u8>(), 18..1300)).prop_map(|(first, mut rest)| {
        rest[0] = first;
        rest
    })
}

fn end(family: Family) -> BoxedStrategy<SocketAddr> {
    let port = 1..u16::MAX;
    match family {
        Family::V4 => {
            (any::<Ipv4Addr>(), port).prop_map(|(ip, port)| SocketAddr::new(ip.into(), port)).boxed()
        }
        Family::V6 => {
            (any::<Ipv6Addr>(), port).prop_map(|(ip, port)| SocketAddr::new(ip.into(), port)).boxed()
        }
    }
}

fn rules() -> impl Strategy<Value = Rule> {
    proptest::sample::select(&Family::ALL[..]).prop_flat_map(|family| {
        let ends = (end(family), end(family), end(family), end(family));
        (ends, 0x4000_u16..0x8000, 0_u8..64).prop_map(|((client, listener, relayed, peer), channel, mark)| {
            let mark = Dscp::new(mark).unwrap();
            Rule { client, listener, relayed, peer, channel, mark }
        })
    })
}

proptest! {
    /// Same bytes, same mark, right sums; the ECN bits are those that came, the time to live is our own. Of IPv6 the flow label is
    /// that of the flow, not the one that came.
    #[test]
    fn what_leaves_is_what_a_relay_would_have_sent(
        rule in rules(), data in media(), traffic in any::<u8>(), ttl in 1_u8.., label in 0_u32..0x10_0000,
    ) {
        let Some(bench) = Bench::new(rule, None, 1500) else { return Ok(()) };
        let run = |mut came: Vec<u8>| {
            if rule.family() == Family::V6 {
                let [_, top, rest @ ..] = label.to_be_bytes();
                came[15] |= top;
                came[16..18].copy_from_slice(&rest);
            }
            let (verdict, left) = bench.run(&came);
            (verdict, unlabelled(left))
        };
        let leaves = rule.mark.value() << 2 | traffic & 3;
        let came = frame((rule.client, rule.listener), traffic, ttl, &channel_data(rule.channel, &data));
        let expected = frame((rule.relayed, rule.peer), leaves, TTL, &data);
        let (verdict, (left, first)) = run(came.clone());
        prop_assert_eq!((verdict, left), (REDIRECT, expected), "to the peer");
        prop_assert_eq!(run(came).1.1, first, "the label of a flow is one");
        let came = frame((rule.peer, rule.relayed), traffic, ttl, &data);
        let expected = frame((rule.listener, rule.client), leaves, TTL, &channel_data(rule.channel, &data));
        let (verdict, (left, _)) = run(came);
        prop_assert_eq!((verdict, left), (REDIRECT, expected), "to the client");
        for (towards, packets) in [(Towards::Peer, 2), (Towards::Client, 1)] {
            let passed = bench.book.take(towards);
            let expected = (packets, packets * data.len() as u64, 0);
            prop_assert_eq!((passed.packets, passed.bytes, passed.dropped), expected);
        }
    }

    /// A packet that was spoilt on its way must not be mended.
    #[test]
    fn what_was_spoilt_stays_spoilt(data in media(), at in 18_usize..1000, by in 1_u8..) {
        for family in Family::ALL {
            let rule = rule_of(family);
            let Some(bench) = Bench::new(rule, None, 1500) else { return Ok(()) };
            let mut came = frame((rule.peer, rule.relayed), 0, TTL, &data);
            let udp = 14 + family.header() as usize;
            let at = udp + 8 + at % data.len();
            came[at] ^= by;
            let (_, left) = bench.run(&came);
            let (addresses, left) = (&left[udp - 2 * family.address() as usize..udp], &left[udp..]);
            let mut zeroed = left.to_vec();
            zeroed[6..8].fill(0);
            if came[udp + 8] > 3 {
                prop_assert_ne!(udp_sum(addresses, &zeroed).to_be_bytes(), [left[6], left[7]]);
            }
        }
    }
}

const DATA: [u8; 100] = [0x80; 100];

/// What the program is not sure of, each by a change to a frame that it would carry.
#[test]
fn what_is_not_certain_goes_to_the_sockets_untouched() {
    let Some(bench) = Bench::new(rule(), None, 200) else { return };
    let good =
        |data: &[u8]| frame((rule().client, rule().listener), 0, TTL, &channel_data(rule().channel, data));
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut frame = good(&DATA);
        change(&mut frame);
        frame
    };
    let stranger: SocketAddr = "198.51.100.8:40000".parse().unwrap();
    let mut stun = DATA;
    stun[0] = 0;
    let cases = [
        ("another client", frame((stranger, rule().listener), 0, TTL, &channel_data(0x4001, &DATA))),
        ("another channel", frame((rule().client, rule().listener), 0, TTL, &channel_data(0x4002, &DATA))),
        ("no ChannelData", frame((rule().client, rule().listener), 0, TTL, &DATA)),
        ("a wrong length", changed(|frame| frame[45] -= 1)),
        ("another peer", frame((stranger, rule().relayed), 0, TTL, &DATA)),
        ("STUN inside", good(&stun)),
        ("STUN of a peer", frame((rule().peer, rule().relayed), 0, TTL, &stun)),
        ("nothing inside", good(&[])),
        ("too long to leave", good(&[0x80; 173])),
        ("a fragment", changed(|frame| frame[20] = 0x20)),
        ("the rest of one", changed(|frame| frame[21] = 1)),
        ("options", changed(|frame| frame[14] = 0x46)),
        ("not UDP", changed(|frame| frame[23] = 6)),
        ("no checksum", changed(|frame| frame[40..42].fill(0))),
        ("padding of the link", changed(|frame| frame.push(0))),
        ("a length that is not that of IP", changed(|frame| frame[39] -= 1)),
        ("to another machine", changed(|frame| frame[0] = 2)),
        ("not IP", changed(|frame| frame[12] = 0x86)),
    ];
    assert_eq!(bench.run(&good(&DATA)).0, REDIRECT);
    for (case, frame) in cases {
        assert_eq!(bench.run(&frame), (NEXT as u32, frame.clone()), "{case}");
    }
}

/// The same of IPv6, where options and fragments are headers of their own.
#[test]
fn what_is_not_certain_of_ipv6_goes_to_the_sockets_untouched() {
    let rule = rule_of(Family::V6);
    let Some(bench) = Bench::new(rule, None, 200) else { return };
    let good = |data: &[u8]| frame((rule.client, rule.listener), 0, TTL, &channel_data(rule.channel, data));
    // One more header of eight bytes between those of IP and UDP.
    let extended = |kind: u8, words: [u8; 7]| {
        let mut frame = good(&DATA);
        let udp = frame.split_off(54);
        frame[18..20].copy_from_slice(&(8 + udp.len() as u16).to_be_bytes());
        frame[20] = kind;
        [&frame, &[17][..], &words, &udp].concat()
    };
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut frame = good(&DATA);
        change(&mut frame);
        frame
    };
    let stranger: SocketAddr = "[2001:db8:1::8]:40000".parse().unwrap();
    let mut stun = DATA;
    stun[0] = 0;
    let cases = [
        ("another client", frame((stranger, rule.listener), 0, TTL, &channel_data(0x4001, &DATA))),
        ("another channel", frame((rule.client, rule.listener), 0, TTL, &channel_data(0x4002, &DATA))),
        ("a wrong length", changed(|frame| frame[65] -= 1)),
        ("STUN inside", good(&stun)),
        ("too long to leave", good(&[0x80; 153])),
        ("options of hops", extended(0, [0, 1, 4, 0, 0, 0, 0])),
        ("options of the destination", extended(60, [0, 1, 4, 0, 0, 0, 0])),
        ("a route", extended(43, [0, 0, 0, 0, 0, 0, 0])),
        ("a fragment", extended(44, [0, 0, 1, 0, 0, 0, 1])),
        ("a fragment that is whole", extended(44, [0, 0, 0, 0, 0, 0, 1])),
        ("not UDP", changed(|frame| frame[20] = 6)),
        ("another version", changed(|frame| frame[14] = 0x40)),
        ("no checksum, which IPv6 does not allow", changed(|frame| frame[60..62].fill(0))),
        ("padding of the link", changed(|frame| frame.push(0))),
        ("a length that is not that of IP", changed(|frame| frame[59] -= 1)),
        ("to another machine", changed(|frame| frame[0] = 2)),
        ("not IPv6", changed(|frame| frame[12] = 8)),
    ];
    assert_eq!(bench.run(&good(&[0x80; 152])).0, REDIRECT, "as long as it may be");
    for (case, frame) in cases {
        assert_eq!(bench.run(&frame), (NEXT as u32, frame.clone()), "{case}");
    }
}

/// Whole or not at all: it is carried as every other, or goes to the sockets as it came.
#[test]
fn what_is_very_short_is_not_lost() {
    for family in Family::ALL {
        let rule = rule_of(family);
        let Some(bench) = Bench::new(rule, None, 1500) else { return };
        for len in 1..12 {
            let (data, header) = (&DATA[..len], channel_data(rule.channel, &DATA[..len]));
            for (came, leaves) in [
                (((rule.client, rule.listener), &header[..]), ((rule.relayed, rule.peer), data)),
                (((rule.peer, rule.relayed), data), ((rule.listener, rule.client), &header[..])),
            ] {
                let came = frame(came.0, 0, TTL, came.1);
                let (verdict, left) = bench.run(&came);
                let expected = match verdict {
                    REDIRECT => frame(leaves.0, rule.mark.value() << 2, TTL, leaves.1),
                    _ => came,
                };
                assert_ne!(verdict, DROP as u32, "{len} bytes");
                assert_eq!(unlabelled(left).0, expected, "{len} bytes");
            }
        }
    }
}

/// CHECKSUM_PARTIAL: the card was to finish the sum.
#[test]
fn an_unfinished_checksum_goes_to_the_sockets() {
    for family in Family::ALL {
        let rule = rule_of(family);
        let Some(bench) = Bench::new(rule, None, 1500) else { return };
        let mut frame = frame((rule.peer, rule.relayed), 0, TTL, &DATA);
        let udp = 14 + family.header() as usize;
        let mut thought = frame[udp - 2 * family.address() as usize..udp].to_vec();
        thought.extend([0, 17]);
        thought.extend(&frame[udp + 4..udp + 6]);
        frame[udp + 6..udp + 8].copy_from_slice(&sum(&thought).to_be_bytes());
        assert_eq!(bench.run(&frame), (NEXT as u32, frame));
    }
}

#[test]
fn nothing_comes_by_an_interface_that_does_not_lead_back() {
    let Some(bench) = Bench::new(Rule { channel: 0x4003, ..rule() }, None, 1500) else { return };
    let came = frame((rule().peer, rule().relayed), 0, TTL, &DATA);
    assert_eq!(bench.run(&came).0, REDIRECT);
    let key = Key { remote: rule().peer, local: rule().relayed, channel: 0 };
    let mut value = vec![0; Family::V4.value()];
    value[usize::from(at::CAME_BY.unsigned_abs())] = 2;
    bench.rules.set(&key.bytes(), &value).unwrap();
    assert_eq!(bench.run(&came).0, NEXT as u32);
    bench.rules.remove(&key.bytes()).unwrap();
    assert_eq!(bench.run(&came), (NEXT as u32, came));
}

/// What the one has spent the other can't.
#[test]
fn program_and_ledger_spend_from_one_budget() {
    let rate = NonZeroU64::new(1000);
    let Some(bench) = Bench::new(rule(), rate, 1500) else { return };
    let port = PortId(SocketId::default());
    let mut ledger = Ledger::default();
    ledger.set_budgets(Budgets { port: rate, ..Budgets::default() });
    ledger.open(port, true);
    ledger.share(port, &bench.book);
    let charge = |ledger: &mut Ledger, towards| {
        ledger.charge(port, towards, Dscp::EF, Payload { len: 100, is_check: false }, Instant::now())
    };
    // A quarter of a second may come at once: two packets of 128 bytes.
    let came = frame((rule().peer, rule().relayed), 0, TTL, &DATA);
    assert_eq!(bench.run(&came).0, REDIRECT);
    assert!(charge(&mut ledger, Towards::Client));
    assert_eq!(bench.run(&came).0, DROP as u32);
    assert!(!charge(&mut ledger, Towards::Client));
    assert!(charge(&mut ledger, Towards::Peer), "the other direction has its own");
    let passed = bench.book.take(Towards::Client);
    assert_eq!((passed.packets, passed.dropped), (1, 1));
    let paid = bench.book.meter(Towards::Client, false).paid().unwrap();
    let ahead = paid.saturating_duration_since(Instant::now());
    assert!(ahead > Duration::from_millis(100) && ahead <= Duration::from_millis(256), "{ahead:?}");
}

#[test]
fn a_book_is_given_to_others_only_after_two_rounds() {
    let Some(mut bench) = Bench::new(rule(), None, 1500) else { return };
    let free = std::iter::from_fn(|| bench.books.take()).count();
    assert_eq!(free, 14, "one is nobody's, one is taken");
    bench.books.give_back(&bench.book);
    assert!(bench.books.take().is_none());
    bench.books.turn();
    assert!(bench.books.take().is_none());
    bench.books.turn();
    assert_eq!(bench.books.take().map(|book| book.place), Some(bench.book.place));
}
