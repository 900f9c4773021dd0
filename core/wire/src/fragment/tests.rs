use super::*;
use crate::ip::FragmentPart;
use crate::packet::{self, Transport};
use proptest::prelude::*;

const ROOMY: Limits = Limits { datagrams: 100, bytes: 1 << 20 };
const SECOND: i64 = 1_000_000_000;

/// A fragment of datagram `id`: IPv6 if `v6`, `len` bytes from `offset` on.
fn header(v6: bool, id: u32, offset: u32, len: u32, more: bool) -> IpHeader {
    let (src, dst) = if v6 { ("2001:db8::1", "2001:db8::2") } else { ("192.0.2.1", "192.0.2.2") };
    IpHeader {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        traffic_byte: 184,
        ttl: 64,
        protocol: 17,
        payload_len: len,
        fragment: Some(FragmentPart { id, offset, more }),
    }
}

/// A UDP datagram of `len` bytes in all, from port 5004 to 5006.
fn udp(len: u16) -> Vec<u8> {
    let mut bytes = [5004u16, 5006, len, 0].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    bytes.extend((8..len).map(|at| at as u8));
    bytes
}

fn cut_up(v6: bool, bytes: &[u8], size: usize) -> Vec<(IpHeader, Vec<u8>)> {
    let count = bytes.len().div_ceil(size);
    let piece = |(at, chunk): (usize, &[u8])| {
        let more = at + 1 < count;
        (header(v6, 7, (at * size) as u32, chunk.len() as u32, more), chunk.to_vec())
    };
    bytes.chunks(size).enumerate().map(piece).collect()
}

fn unfinished(reassembler: &mut Reassembler) -> Vec<Datagram> {
    std::iter::from_fn(|| reassembler.take_unfinished()).collect()
}

proptest! {
    #[test]
    fn any_order_with_any_duplicates_gives_the_datagram_back(
        v6: bool,
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..60),
        len in 9u16..900,
    ) {
        let bytes = udp(len);
        let pieces = cut_up(v6, &bytes, 64);
        let order = order.iter().map(|index| index.index(pieces.len())).chain(0..pieces.len());
        let mut reassembler = Reassembler::new(ROOMY);
        for (frame, at) in order.enumerate() {
            let (ip, payload) = &pieces[at];
            if pieces.len() == 1 {
                continue;
            }
            if let Outcome::Whole(datagram) = reassembler.push(0, frame as u64, ip, payload) {
                prop_assert_eq!(&datagram.bytes, &bytes);
                prop_assert_eq!(datagram.declared_len, u32::from(len));
                prop_assert_eq!(datagram.pieces.len(), frame + 1);
                prop_assert_eq!(reassembler.held(), 0);
                return Ok(());
            }
        }
        prop_assert!(pieces.len() == 1, "never became whole");
    }

    #[test]
    fn random_fragments_stay_within_the_bounds(
        fragments in prop::collection::vec((any::<bool>(), 0u32..4, 0u32..9000, 0u32..70_000, any::<bool>(), 0i64..50), 0..200),
    ) {
        let limits = Limits { datagrams: 3, bytes: 8 << 10 };
        let mut reassembler = Reassembler::new(limits);
        let payload = vec![0; 70_000];
        let mut now = 0;
        for (frame, (v6, id, offset, len, more, pause)) in fragments.into_iter().enumerate() {
            now += pause * SECOND;
            let ip = header(v6, id, offset * 8, len, more);
            reassembler.push(now, frame as u64, &ip, &payload[..len as usize % 900]);
            prop_assert!(reassembler.held() <= limits.bytes);
            prop_assert!(reassembler.in_progress.len() <= limits.datagrams);
            prop_assert_eq!(reassembler.in_progress.len(), reassembler.deadlines.len());
            let cost: usize = reassembler.in_progress.values().map(InProgress::cost).sum();
            prop_assert_eq!(reassembler.held(), cost);
        }
    }
}

#[test]
fn endless_fragments_evict_the_oldest_and_each_comes_out_with_its_marks() {
    let mut reassembler = Reassembler::new(Limits { datagrams: 10, bytes: 1 << 20 });
    for id in 0..100_000u32 {
        let ip = header(false, id, 0, 64, true);
        assert_eq!(reassembler.push(i64::from(id), u64::from(id), &ip, &udp(64)), Outcome::Held);
        let given_up = unfinished(&mut reassembler);
        assert_eq!(given_up.len(), usize::from(id >= 10));
        for datagram in given_up {
            assert_eq!((datagram.ending, datagram.pieces[0].frame), (Ending::Evicted, u64::from(id) - 10));
            assert_eq!(datagram.pieces[0].traffic_byte, 184);
        }
    }
    assert_eq!(reassembler.lost(), 0);
}

#[test]
fn endless_copies_of_one_fragment_are_bounded_too() {
    let mut reassembler = Reassembler::new(Limits { datagrams: 10, bytes: 16 << 10 });
    for frame in 0..10_000 {
        reassembler.push(0, frame, &header(false, 1, 0, 64, true), &udp(64));
        assert!(reassembler.held() <= 16 << 10);
    }
    assert!(!unfinished(&mut reassembler).is_empty());
}

#[test]
fn nobody_taking_the_unfinished_loses_them_but_not_memory() {
    let mut reassembler = Reassembler::new(Limits { datagrams: 10, bytes: 1 << 20 });
    for id in 0..1000 {
        reassembler.push(0, 0, &header(false, id, 0, 64, true), &udp(64));
    }
    assert_eq!(reassembler.lost(), 980);
    assert_eq!(unfinished(&mut reassembler).len(), 10);
}

#[test]
fn ipv4_waits_30_seconds_and_ipv6_60() {
    for (v6, timeout) in [(false, 30), (true, 60)] {
        let mut reassembler = Reassembler::new(ROOMY);
        reassembler.push(5, 1, &header(v6, 1, 0, 64, true), &udp(100)[..64]);
        reassembler.expire(4 + timeout * SECOND);
        assert_eq!(reassembler.take_unfinished(), None);
        reassembler.expire(5 + timeout * SECOND);
        let datagram = reassembler.take_unfinished().unwrap();
        assert_eq!((datagram.ending, datagram.bytes.len()), (Ending::TimedOut, 64));
        let Transport::Udp(udp) =
            packet::transport(datagram.protocol, &datagram.bytes, datagram.declared_len)
        else {
            panic!("the first piece shows the ports")
        };
        assert_eq!((udp.src_port, udp.dst_port), (5004, 5006));
    }
}

#[test]
fn the_end_of_the_capture_gives_up_all_that_is_left() {
    let mut reassembler = Reassembler::new(ROOMY);
    reassembler.push(0, 1, &header(false, 1, 64, 64, false), &[0; 64]);
    reassembler.expire(i64::MAX);
    let datagram = reassembler.take_unfinished().unwrap();
    assert_eq!((datagram.bytes.len(), datagram.pieces.len(), datagram.declared_len), (0, 1, 128));
}

#[test]
fn overlap_is_forbidden_in_ipv6_and_first_come_wins_in_ipv4() {
    let bytes = udp(128);
    for v6 in [true, false] {
        let mut reassembler = Reassembler::new(ROOMY);
        reassembler.push(0, 1, &header(v6, 1, 0, 64, true), &bytes[..64]);
        reassembler.push(0, 2, &header(v6, 1, 32, 40, true), &[0xee; 40]);
        let outcome = reassembler.push(0, 3, &header(v6, 1, 64, 64, false), &bytes[64..]);
        reassembler.expire(i64::MAX);
        if v6 {
            assert_eq!(outcome, Outcome::Held);
            let datagram = reassembler.take_unfinished().unwrap();
            assert_eq!((datagram.ending, datagram.pieces.len()), (Ending::Overlapped, 3));
        } else {
            let Outcome::Whole(datagram) = outcome else { panic!("{outcome:?}") };
            assert_eq!(datagram.bytes[..64], bytes[..64]);
            assert_eq!(datagram.bytes[64..72], [0xee; 8]);
            assert_eq!(datagram.bytes[72..], bytes[72..]);
        }
    }
}

#[test]
fn lying_fragments_are_refused_and_counted() {
    let mut reassembler = Reassembler::new(ROOMY);
    let lies = [(65_528, 8, false), (0, 0, true), (0, 63, true)];
    for (offset, len, more) in lies {
        assert_eq!(reassembler.push(0, 1, &header(false, 1, offset, len, more), &[0; 64]), Outcome::Refused);
    }
    assert_eq!(reassembler.push(0, 1, &header(false, 1, 64, 64, false), &[0; 64]), Outcome::Held);
    let against_the_end = [(128, 64, true), (64, 32, false), (0, 16, false)];
    for (offset, len, more) in against_the_end {
        assert_eq!(reassembler.push(0, 1, &header(false, 1, offset, len, more), &[0; 64]), Outcome::Refused);
    }
    assert_eq!((reassembler.refused(), reassembler.in_progress.len()), (6, 1));
}

#[test]
fn a_snap_length_leaves_the_first_bytes_and_the_whole_length() {
    let mut reassembler = Reassembler::new(ROOMY);
    reassembler.push(0, 1, &header(false, 1, 0, 1480, true), &udp(2000)[..40]);
    let Outcome::Whole(datagram) = reassembler.push(0, 2, &header(false, 1, 1480, 520, false), &[0; 40])
    else {
        panic!("both came")
    };
    assert_eq!((datagram.bytes.len(), datagram.declared_len), (40, 2000));
}

#[test]
fn ipv6_extension_headers_inside_the_fragments_are_stripped() {
    let mut reassembler = Reassembler::new(ROOMY);
    let mut bytes = vec![17, 0, 1, 4, 0, 0, 0, 0];
    bytes.extend(udp(56));
    let first = IpHeader { protocol: 60, ..header(true, 1, 0, 32, true) };
    let second = IpHeader { protocol: 60, ..header(true, 1, 32, 32, false) };
    reassembler.push(0, 1, &second, &bytes[32..]);
    let Outcome::Whole(datagram) = reassembler.push(0, 2, &first, &bytes[..32]) else { panic!("both came") };
    assert_eq!((datagram.protocol, datagram.declared_len, datagram.bytes), (17, 56, udp(56)));
}
