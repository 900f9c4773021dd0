//! Capture files, and what puts fragments and segments together again.

use carillon_wire::capture::{CaptureError, Decoder, PcapngWriter, Resolution};
use carillon_wire::fragment::{Datagram, Limits, Outcome, Reassembler};
use carillon_wire::ip::{FragmentPart, IpHeader};
use carillon_wire::link::LinkType;
use carillon_wire::packet::{self, Tcp};
use carillon_wire::stream::{Assembler, Input};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One record: frame, time, length on the wire, data.
type Row = (u64, i64, u32, Vec<u8>);

/// A capture file. Read at once or in pieces, it gives the same records and the same error; what was read can
/// be written and read again.
pub fn capture(data: &[u8]) {
    let (rows, error) = read(data, data.len().max(1));
    for piece in [1, 7, 64] {
        assert_eq!(read(data, piece), (rows.clone(), error), "in pieces of {piece}");
    }
    assert!(rows.iter().map(|row| row.3.len()).sum::<usize>() <= data.len());
    // Records of an interface that the file never declared count, and are left out.
    assert!(rows.is_sorted_by(|a, b| a.0 < b.0));
    let mut written = Vec::new();
    let mut writer = PcapngWriter::begin(&mut written);
    let interface = writer.interface(&mut written, LinkType::RawIp, "fuzz0", 0, Resolution::Nanos);
    for (_, time, original_len, data) in &rows {
        writer.record(&mut written, interface, *time, *original_len, data);
    }
    let (again, _) = read(&written, 512);
    assert_eq!(again.len(), rows.len());
    for (read, row) in again.iter().zip(&rows) {
        assert_eq!((read.1, read.2, &read.3), (row.1.max(0), row.2, &row.3));
    }
}

/// Reads a file that arrives in pieces of this length.
fn read(data: &[u8], piece: usize) -> (Vec<Row>, Result<(), CaptureError>) {
    let (mut decoder, mut rows) = (Decoder::new(), Vec::new());
    let (mut start, mut end) = (0, 0);
    while end < data.len() {
        end = (end + piece).min(data.len());
        let mut rest = &data[start..end];
        loop {
            match decoder.next(&mut rest) {
                Ok(Some(record)) => {
                    let _ = packet::decode(record.link, record.data);
                    rows.push((record.frame, record.time, record.original_len, record.data.to_vec()));
                }
                Ok(None) => break,
                Err(error) => return (rows, Err(error)),
            }
        }
        start = end - rest.len();
    }
    (rows, decoder.finish(&data[start..]))
}

/// Fragments, four bytes of instructions before each. Memory stays bounded, and every fragment comes out again,
/// in a datagram or as refused.
pub fn fragment(mut data: &[u8]) {
    let limits = Limits { datagrams: 4, bytes: 4096 };
    let (mut reassembler, mut now, mut pushed, mut came_out) = (Reassembler::new(limits), 0i64, 0u64, 0u64);
    let mut checked = |datagram: Datagram| {
        assert!(!datagram.pieces.is_empty() && datagram.bytes.len() <= datagram.declared_len as usize);
        came_out += datagram.pieces.len() as u64;
    };
    while let Some((&[flags, offset, len, cut], rest)) = data.split_first_chunk() {
        let held = rest.get(..usize::from(len)).unwrap_or(rest);
        data = &rest[held.len()..];
        let header = fragment_header(flags, offset, held.len() as u32 + u32::from(cut & 0x1f));
        now += i64::from(flags >> 5) * 5_000_000_000;
        pushed += 1;
        if let Outcome::Whole(datagram) = reassembler.push(now, pushed, &header, held) {
            checked(datagram);
        }
        assert!(reassembler.held() <= limits.bytes);
        while let Some(datagram) = reassembler.take_unfinished() {
            checked(datagram);
        }
    }
    reassembler.expire(i64::MAX);
    while let Some(datagram) = reassembler.take_unfinished() {
        checked(datagram);
    }
    assert_eq!((reassembler.held(), reassembler.lost()), (0, 0));
    assert_eq!(came_out + reassembler.refused(), pushed);
}

/// Version, "more", and one of eight identifiers from the flags.
fn fragment_header(flags: u8, offset: u8, payload_len: u32) -> IpHeader {
    let (src, dst) = match flags & 1 {
        0 => (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv4Addr::LOCALHOST)),
        _ => (IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)),
    };
    let (id, more) = (u32::from(flags >> 2 & 7), flags & 2 != 0);
    let part = FragmentPart { id, offset: u32::from(offset) * 8, more };
    IpHeader { src, dst, traffic_byte: 184, ttl: 64, protocol: 17, payload_len, fragment: Some(part) }
}

/// Segments, four bytes of instructions before each. Memory stays bounded, no byte is consumed twice; and the
/// same bytes sent in order arrive as they were.
pub fn stream(data: &[u8]) {
    const LIMIT: usize = 256;
    let (mut assembler, mut rest, mut pushed, mut consumed) = (Assembler::new(LIMIT), data, 0, 0);
    while let Some((&[flags, seq_high, seq_low, len], after)) = rest.split_first_chunk() {
        let held = after.get(..usize::from(len & 0x3f)).unwrap_or(after);
        rest = &after[held.len()..];
        let seq = u32::from(u16::from_be_bytes([seq_high, seq_low])).wrapping_sub(0x100);
        let payload_len = held.len() as u32 + u32::from(len >> 6);
        pushed += held.len();
        let segment = Tcp { src_port: 1, dst_port: 2, seq, flags: flags & 7, payload_len, payload: held };
        assembler.push(&segment, |input| take_a_part(input, flags, &mut consumed));
        assert!(assembler.held() <= 4 * LIMIT, "{} held", assembler.held());
    }
    assembler.finish(|input| take_a_part(input, 0xff, &mut consumed));
    assert!(consumed <= pushed, "{consumed} of {pushed}");
    in_order(data);
}

fn take_a_part(input: Input<'_>, flags: u8, consumed: &mut usize) -> usize {
    let Input::Bytes(bytes) = input else { return 0 };
    let part = bytes.len() * usize::from(flags >> 4) / 15;
    *consumed += part;
    part
}

fn in_order(data: &[u8]) {
    let (mut assembler, mut seq, mut arrived) = (Assembler::new(8192), u32::MAX - 9, Vec::new());
    for (number, payload) in data.chunks(11).enumerate() {
        let flags = if number == 0 { Tcp::SYN } else { 0 };
        let payload_len = payload.len() as u32;
        let segment = Tcp { src_port: 1, dst_port: 2, seq, flags, payload_len, payload };
        assembler.push(&segment, |input| match input {
            Input::Bytes(bytes) => {
                arrived.extend_from_slice(bytes);
                bytes.len()
            }
            Input::Start => 0,
            Input::Gap(missing) => panic!("{missing} bytes missing of a stream in order"),
        });
        seq = seq.wrapping_add(payload_len + u32::from(number == 0));
    }
    assert_eq!(arrived, data);
}
