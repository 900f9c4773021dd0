//! The capture decoder on files of every kind that is met, cut and damaged ones included.
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

use carillon_wire::capture::{
    CaptureError, Decoder, MAX_RECORD_LEN, PcapWriter, PcapngWriter, Record, Resolution, USUAL_RECORD_LEN,
};
use carillon_wire::link::LinkType;
use proptest::prelude::*;

/// Builds files in either byte order, independently of the writers.
#[derive(Clone)]
struct Builder {
    big: bool,
    out: Vec<u8>,
}

impl Builder {
    fn new(big: bool) -> Builder {
        Builder { big, out: Vec::new() }
    }

    fn u32s(mut self, words: &[u32]) -> Builder {
        for word in words {
            self.out.extend(if self.big { word.to_be_bytes() } else { word.to_le_bytes() });
        }
        self
    }

    fn u16s(mut self, words: &[u16]) -> Builder {
        for word in words {
            self.out.extend(if self.big { word.to_be_bytes() } else { word.to_le_bytes() });
        }
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Builder {
        self.out.extend(bytes);
        self
    }

    fn pcap(big: bool, magic: u32, snaplen: u32, link: u32) -> Builder {
        Builder::new(big).u32s(&[magic]).u16s(&[2, 4]).u32s(&[0, 0, snaplen, link])
    }

    /// A pcapng block; `body` in the same byte order.
    fn block(mut self, kind: u32, body: Builder) -> Builder {
        let mut body = body.out;
        body.resize(body.len().next_multiple_of(4), 0);
        let len = body.len() as u32 + 12;
        self = self.u32s(&[kind, len]).bytes(&body);
        self.u32s(&[len])
    }

    fn section(self) -> Builder {
        let body = Builder::new(self.big).u32s(&[0x1a2b_3c4d]).u16s(&[1, 0]).u32s(&[u32::MAX; 2]);
        self.block(0x0a0d_0d0a, body)
    }

    fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Builder {
        let mut body = Builder::new(self.big).u16s(&[link, 0]).u32s(&[snaplen]);
        for (code, value) in options {
            body = body.u16s(&[*code, value.len() as u16]).bytes(value);
            body.out.resize(body.out.len().next_multiple_of(4), 0);
        }
        self.block(1, body)
    }

    fn packet(self, interface: u32, stamp: u64, original: u32, data: &[u8]) -> Builder {
        let (high, low) = ((stamp >> 32) as u32, stamp as u32);
        let body =
            Builder::new(self.big).u32s(&[interface, high, low, data.len() as u32, original]).bytes(data);
        self.block(6, body)
    }
}

/// Decodes a whole file; the records until an error or the end.
fn read(file: &[u8]) -> (Vec<Record<'_>>, Result<(), CaptureError>) {
    let (mut decoder, mut rest, mut records) = (Decoder::new(), file, Vec::new());
    loop {
        match decoder.next(&mut rest) {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return (records, decoder.finish(rest)),
            Err(error) => return (records, Err(error)),
        }
    }
}

fn read_well(file: &[u8]) -> Vec<Record<'_>> {
    let (records, end) = read(file);
    assert_eq!(end, Ok(()));
    records
}

fn mixed_pcapng(big: bool) -> Vec<u8> {
    Builder::new(big)
        .section()
        .interface(1, 0, &[(2, b"eth0"), (9, &[9]), (0, &[])])
        .packet(0, 1_700_000_000_123_456_789, 5, b"first")
        .interface(101, 96, &[])
        .block(5, Builder::new(big).u32s(&[0, 0, 0]))
        .packet(1, 1_700_000_000_123_456, 100, b"second")
        .block(3, Builder::new(big).u32s(&[6]).bytes(b"simple"))
        .block(2, Builder::new(big).u16s(&[1, 0]).u32s(&[0, 7, 3, 3]).bytes(b"old"))
        .out
}

#[test]
fn pcap_is_read_in_both_byte_orders_and_three_variants() {
    for big in [false, true] {
        for (magic, extra, nanos) in [(0xa1b2_c3d4, 0, 7000), (0xa1b2_3c4d, 0, 7), (0xa1b2_cd34, 8, 7000)] {
            let file = Builder::pcap(big, magic, 65_535, 0x1400_0001)
                .u32s(&[4_000_000_000, 7, 3, 60])
                .bytes(&vec![0xee; extra])
                .bytes(b"abc")
                .out;
            let expected = Record {
                frame: 1,
                time: 4_000_000_000_000_000_000 + nanos,
                interface: 0,
                link: LinkType::Ethernet,
                original_len: 60,
                data: b"abc",
            };
            assert_eq!(read_well(&file), [expected], "{big} {magic:x}");
        }
    }
}

#[test]
fn pcapng_is_read_in_both_byte_orders_with_all_packet_blocks() {
    for big in [false, true] {
        let file = mixed_pcapng(big);
        let records = read_well(&file);
        let seen: Vec<_> =
            records.iter().map(|r| (r.frame, r.interface, r.time, r.original_len, r.data)).collect();
        let expected: [(u64, u16, i64, u32, &[u8]); 4] = [
            (1, 0, 1_700_000_000_123_456_789, 5, b"first"),
            (2, 1, 1_700_000_000_123_456_000, 100, b"second"),
            (3, 0, 0, 6, b"simple"),
            (4, 1, 7000, 3, b"old"),
        ];
        assert_eq!(seen, expected);
        assert_eq!((records[0].link, records[1].link), (LinkType::Ethernet, LinkType::RawIp));
        let (mut decoder, mut rest) = (Decoder::new(), file.as_slice());
        decoder.skip(&mut rest).unwrap();
        let shown: Vec<_> = decoder.interfaces().iter().map(|i| (i.name.as_str(), i.snaplen)).collect();
        assert_eq!((decoder.frames(), shown), (4, vec![("eth0", 0), ("", 96)]));
    }
}

#[test]
fn sections_have_their_own_interfaces_and_byte_order() {
    let mut file = Builder::new(false).section().interface(1, 0, &[]).packet(0, 1, 1, b"a").out;
    file.extend(Builder::new(true).section().interface(276, 0, &[]).packet(0, 2, 1, b"b").out);
    let links: Vec<_> = read_well(&file).iter().map(|r| (r.frame, r.link, r.time)).collect();
    assert_eq!(links, [(1, LinkType::Ethernet, 1000), (2, LinkType::Cooked2, 2000)]);

    file.extend(Builder::new(false).section().packet(0, 3, 1, b"c").out);
    let (records, end) = read(&file);
    assert_eq!(records.len(), 2);
    assert!(matches!(end, Err(CaptureError::UnknownInterface { frame: 3, interface: 0, known: 0, .. })));
}

#[test]
fn time_stamps_come_in_any_resolution_and_with_an_offset() {
    let second = 1_000_000_000;
    let hour = 3600i64.to_le_bytes();
    type Options<'a> = &'a [(u16, &'a [u8])];
    let cases: [(u64, Options<'_>, i64); 9] = [
        (5_000_000, &[], 5 * second),
        (5, &[(9, &[0])], 5 * second),
        (5_500, &[(9, &[3])], 5 * second + second / 2),
        (5_000_000_000_000, &[(9, &[12])], 5 * second),
        (3 << 19, &[(9, &[0x80 | 20])], second + second / 2),
        (u64::MAX, &[(9, &[0x80 | 127])], 0),
        (u64::MAX, &[(9, &[127])], 1),
        (1_000_000, &[(14, &hour)], 3601 * second),
        (u64::MAX, &[(9, &[0])], i64::MAX),
    ];
    for (stamp, options, expected) in cases {
        let file = Builder::new(false).section().interface(1, 0, options).packet(0, stamp, 0, b"").out;
        assert_eq!(read_well(&file)[0].time, expected, "{stamp} {options:?}");
    }
}

#[test]
fn a_simple_packet_block_is_cut_by_the_snap_length() {
    let simple = Builder::new(false).u32s(&[100]).bytes(&[7; 8]);
    let file = Builder::new(false).section().interface(1, 6, &[]).block(3, simple).out;
    let record = read_well(&file)[0];
    assert_eq!((record.original_len, record.data.len()), (100, 6));
}

#[test]
fn blocks_that_wireshark_numbers_are_numbered_here() {
    for (kind, numbered) in [(9, 1), (0xbad, 1), (0x4000_0bad, 1), (4, 0), (5, 0), (10, 0), (0x77, 0)] {
        let other = Builder::new(false).u32s(&[32473]).bytes(b"abcd");
        let file =
            Builder::new(false).section().interface(1, 0, &[]).block(kind, other).packet(0, 1, 1, b"a").out;
        assert_eq!(read_well(&file)[0].frame, 1 + numbered, "{kind:x}");
    }
}

#[test]
fn a_block_without_packets_may_be_longer_than_any_buffer() {
    let section = Builder::new(false).section().interface(1, 0, &[]);
    let huge = 64 << 20;
    let (mut decoder, mut given) = (Decoder::new(), 0u64);
    let mut rest = section.out.as_slice();
    assert_eq!(decoder.next(&mut rest), Ok(None));
    let head = Builder::new(false).u32s(&[10, huge + 12]).out;
    decoder.skip(&mut head.as_slice()).unwrap();
    let piece = vec![0; 1 << 20];
    while given < u64::from(huge) {
        assert!(matches!(decoder.finish(&[]), Err(CaptureError::Truncated { frame: 1, .. })));
        let mut rest = piece.as_slice();
        decoder.skip(&mut rest).unwrap();
        assert!(rest.is_empty());
        given += piece.len() as u64;
    }
    let tail = Builder::new(false).u32s(&[huge + 12]).packet(0, 1, 1, b"a").out;
    let mut rest = tail.as_slice();
    assert_eq!(decoder.next(&mut rest).unwrap().map(|r| r.data), Some(&b"a"[..]));
    assert_eq!(decoder.finish(rest), Ok(()));
}

#[test]
fn what_is_no_capture_is_named() {
    assert_eq!(read(b"").1, Err(CaptureError::Empty));
    assert_eq!(read(b"\xd4\xc3").1, Err(CaptureError::Truncated { frame: 1, offset: 0, held: 2 }));
    let error = read(b"%PDF-1.7").1.unwrap_err();
    assert_eq!(error, CaptureError::NotACapture { magic: *b"%PDF" });
    assert!(error.to_string().contains("25 50 44 46"), "{error}");
    let section = Builder::new(false).section().out;
    let mut no_order = section.clone();
    no_order[8] = 0;
    assert!(matches!(read(&no_order).1, Err(CaptureError::ByteOrder { offset: 0, .. })));
    let mut future = section;
    future[12] = 2;
    assert_eq!(read(&future).1, Err(CaptureError::Version { offset: 0, major: 2 }));
}

#[test]
fn lying_lengths_name_the_frame_and_leave_what_was_before() {
    let good = Builder::pcap(false, 0xa1b2_c3d4, 96, 1).u32s(&[1, 0, 1, 1]).bytes(b"a");
    let file = good.u32s(&[1, 0, USUAL_RECORD_LEN + 1, 1]).out;
    let (records, end) = read(&file);
    let limit = USUAL_RECORD_LEN;
    assert_eq!(records.len(), 1);
    assert_eq!(end, Err(CaptureError::RecordLength { frame: 2, offset: 41, length: limit + 1, limit }));
    assert!(end.unwrap_err().to_string().starts_with("frame 2 at byte 41 claims 262145 bytes"));

    let file = Builder::pcap(false, 0xa1b2_c3d4, u32::MAX, 1).u32s(&[1, 0, u32::MAX, 1]).out;
    let limit = MAX_RECORD_LEN;
    assert!(
        matches!(read(&file).1, Err(CaptureError::RecordLength { frame: 1, limit: l, .. }) if l == limit)
    );

    let section = Builder::new(true).section().interface(1, 0, &[]).packet(0, 1, 1, b"a");
    for length in [0, 11, 13, 0x7fff_fffc] {
        let file = section.clone().u32s(&[6, length]).out;
        let (records, end) = read(&file);
        assert_eq!(records.len(), 1);
        assert!(matches!(end, Err(CaptureError::BlockLength { frame: 2, length: l, .. }) if l == length));
    }
    let too_much = Builder::new(true).u32s(&[0, 0, 0, 5, 5]).bytes(b"abcd");
    let (records, end) = (&section.clone().block(6, too_much).out, 2);
    assert!(
        matches!(read(records).1, Err(CaptureError::RecordLength { frame, length: 5, limit: 4, .. }) if frame == end)
    );
    let mut other_end = section.out;
    *other_end.last_mut().unwrap() = 99;
    assert!(matches!(read(&other_end).1, Err(CaptureError::BlockLength { frame: 1, .. })));
}

#[test]
fn interfaces_of_a_section_are_bounded() {
    let mut file = Builder::new(false).section();
    for _ in 0..=65_536 {
        file = file.interface(1, 0, &[]);
    }
    assert!(matches!(read(&file.out).1, Err(CaptureError::TooManyInterfaces { .. })));
}

#[test]
fn a_file_may_end_at_every_byte_and_then_names_the_record_that_is_cut() {
    let mut pcap = Vec::new();
    let writer = PcapWriter::begin(&mut pcap, LinkType::Ethernet, Resolution::Micros);
    (0..4).for_each(|at| writer.record(&mut pcap, at, 9, b"something"));
    for file in [pcap, mixed_pcapng(false), mixed_pcapng(true)] {
        let whole = read_well(&file);
        for end in 0..file.len() {
            let (records, result) = read(&file[..end]);
            assert_eq!(records[..], whole[..records.len()]);
            match result {
                Ok(()) | Err(CaptureError::Empty) => {}
                Err(CaptureError::Truncated { frame, offset, held }) => {
                    assert_eq!((frame, offset + held), (records.len() as u64 + 1, end as u64));
                }
                Err(other) => panic!("{other} at {end}"),
            }
        }
    }
}

#[test]
fn a_clone_decodes_a_later_block_as_the_original_would() {
    let file = mixed_pcapng(true);
    let whole = read_well(&file);
    let (mut dispatcher, mut rest) = (Decoder::new(), file.as_slice());
    dispatcher.next(&mut rest).unwrap();
    let mut worker = dispatcher.clone();
    let mut block = rest;
    dispatcher.skip(&mut rest).unwrap();
    assert_eq!((dispatcher.frames(), rest.len(), dispatcher.offset()), (4, 0, file.len() as u64));
    let mut seen = Vec::new();
    while let Some(record) = worker.next(&mut block).unwrap() {
        seen.push(record);
    }
    assert_eq!(seen, whole[1..]);
}

fn records() -> impl Strategy<Value = Vec<(u16, u32, u64, Vec<u8>)>> {
    prop::collection::vec(
        (0u16..3, any::<u32>(), 0..1u64 << 62, prop::collection::vec(any::<u8>(), 0..70)),
        0..20,
    )
}

proptest! {
    #[test]
    fn pcapng_comes_back_as_written(records in records()) {
        let mut file = Vec::new();
        let mut writer = PcapngWriter::begin(&mut file);
        let kinds = [
            (LinkType::Ethernet, Resolution::Nanos, 1),
            (LinkType::Cooked2, Resolution::Micros, 1000),
            (LinkType::RawIp, Resolution::Nanos, 1),
        ];
        for (number, (link, resolution, _)) in kinds.iter().enumerate() {
            let name = "interface".get(..number).unwrap();
            prop_assert_eq!(usize::from(writer.interface(&mut file, *link, name, 0, *resolution)), number);
        }
        for (interface, original_len, time, data) in &records {
            writer.record(&mut file, *interface, *time as i64, *original_len, data);
        }
        let read = read_well(&file);
        prop_assert_eq!(read.len(), records.len());
        for (at, (record, (interface, original_len, time, data))) in read.iter().zip(&records).enumerate() {
            let (link, _, unit) = kinds[usize::from(*interface)];
            let time = (time / unit * unit) as i64;
            let (frame, interface, original_len) = (at as u64 + 1, *interface, *original_len);
            prop_assert_eq!(*record, Record { frame, time, interface, link, original_len, data });
        }
    }

    #[test]
    fn pcap_comes_back_as_written(records in records(), nanos: bool) {
        let mut file = Vec::new();
        let (resolution, unit) = if nanos { (Resolution::Nanos, 1) } else { (Resolution::Micros, 1000) };
        let writer = PcapWriter::begin(&mut file, LinkType::RawIp, resolution);
        let latest = 4_294_967_296 * 1_000_000_000;
        for (_, original_len, time, data) in &records {
            writer.record(&mut file, (time % latest) as i64, *original_len, data);
        }
        let read: Vec<_> = read_well(&file).iter().map(|r| (r.time, r.original_len, r.data.to_vec())).collect();
        let written: Vec<_> =
            records.into_iter().map(|(_, len, time, data)| ((time % latest / unit * unit) as i64, len, data)).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_records(cut in 1usize..60, big: bool) {
        let file = mixed_pcapng(big);
        let whole: Vec<_> = read_well(&file).iter().map(|r| (r.frame, r.time, r.data.to_vec())).collect();
        let (mut decoder, mut carried, mut seen) = (Decoder::new(), Vec::new(), Vec::new());
        for piece in file.chunks(cut) {
            carried.extend_from_slice(piece);
            let mut rest = carried.as_slice();
            while let Some(record) = decoder.next(&mut rest).unwrap() {
                seen.push((record.frame, record.time, record.data.to_vec()));
            }
            carried = rest.to_vec();
        }
        prop_assert_eq!(decoder.finish(&carried), Ok(()));
        prop_assert_eq!(seen, whole);
    }

    #[test]
    fn random_bytes_never_panic_and_never_turn_back(
        start in prop::sample::select(vec![&b""[..], b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a"]),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let file = [start, &bytes].concat();
        let (mut decoder, mut rest) = (Decoder::new(), file.as_slice());
        let result = decoder.skip(&mut rest);
        prop_assert_eq!(decoder.offset() + rest.len() as u64, file.len() as u64);
        let offset = decoder.offset();
        prop_assert_eq!(decoder.skip(&mut rest), result);
        prop_assert_eq!(decoder.offset(), offset);
    }

    #[test]
    fn damaged_files_never_panic(at: prop::sample::Index, value: u8, big: bool) {
        let mut file = mixed_pcapng(big);
        *at.get_mut(&mut file) = value;
        let (records, end) = read(&file);
        prop_assert!(records.len() <= 5);
        if let Err(error) = end {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
