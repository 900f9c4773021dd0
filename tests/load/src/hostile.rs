//! What makes a reader remember: each kind fills another of its tables.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use carillon_wire::ip::Dscp;
use carillon_wire::rtp;

use crate::frame::{Path, first_fragment, tcp, udp};
use crate::sink::Sink;
use crate::traffic::Random;

/// What to try.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Every packet a flow of its own.
    Flows,
    /// 50 000 RTP streams that all go on, each flow with one sender, for hours.
    Streams,
    /// RTP senders without end: 64 of each flow are confirmed by a second packet.
    Senders,
    /// Every packet of a stream with another mark.
    Marks,
    /// Every second packet of a stream is missing.
    Gaps,
    /// First fragments whose others never come.
    Fragments,
    /// INVITEs with session descriptions, each for another place.
    Invites,
    /// TCP streams that start a SIP message and never end it.
    Connections,
}

/// Writes so many packets.
pub(crate) fn write(sink: &mut Sink, kind: Kind, packets: u64) -> io::Result<()> {
    let mut random = Random(42);
    for n in 0..packets {
        let time = 1_700_000_000_000_000_000 + n as i64 * 10_000;
        sink.frame(time, &frame(kind, n, &mut random))?;
    }
    Ok(())
}

fn frame(kind: Kind, n: u64, random: &mut Random) -> Vec<u8> {
    match kind {
        Kind::Flows => udp(path(random.next()), &packet(0, n as u16, n as u32)),
        Kind::Streams => stream(n, 50_000, 1, 1),
        Kind::Senders => senders(n),
        Kind::Marks => {
            let path = path(n % 1000).marked(Dscp::new((n / 1000 % 64) as u8).unwrap_or_default());
            udp(path, &packet(1, (n / 1000) as u16, (n / 1000) as u32 * 160))
        }
        Kind::Gaps => stream(n, 1000, 2, 1),
        Kind::Fragments => first_fragment(path(random.next()), n as u16, &[0x55; 1400]),
        Kind::Invites => udp(path(n).ports(5060, 5060), invite(n).as_bytes()),
        Kind::Connections => {
            tcp(path(n % 50_000).ports(5060, 5060), 1 + (n / 50_000) as u32 * 1000, &unended(n))
        }
    }
}

/// Packet `n` of `flows` streams that take turns; sequence numbers go up by `step`.
fn stream(n: u64, flows: u64, step: u64, ssrc: u32) -> Vec<u8> {
    let turn = n / flows;
    udp(path(n % flows), &packet(ssrc, (turn * step) as u16, (turn * 160) as u32))
}

/// All senders of a flow speak twice, then it is the turn of the next flow.
fn senders(n: u64) -> Vec<u8> {
    let (flow, sender, second) = (n / 128, n / 2 % 64, n % 2);
    udp(path(flow % 70_000), &packet(sender as u32, second as u16, second as u32 * 160))
}

fn invite(n: u64) -> String {
    let (address, port) = (Ipv4Addr::from_bits(n as u32), 1024 + n % 60_000);
    format!(
        "INVITE sip:bob@example.com SIP/2.0\r\nUser-Agent: {n}\r\nContent-Type: application/sdp\r\n\r\n\
         v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 8 96\r\na=rtpmap:96 opus/48000/2\r\n"
    )
}

fn unended(n: u64) -> Vec<u8> {
    let mut bytes = if n < 50_000 { b"INVITE sip:b SIP/2.0\r\nX: ".to_vec() } else { Vec::new() };
    bytes.resize(1000, b'x');
    bytes
}

fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rtp::HEADER_LEN + 20);
    rtp::Builder { ssrc, sequence, timestamp, ..rtp::Builder::default() }.write(&[0x55; 20], &mut bytes);
    bytes
}

/// A path of its own for every number.
fn path(n: u64) -> Path {
    let [_, _, a, b, c, d, p, q] = n.to_be_bytes();
    let from = SocketAddr::new(Ipv4Addr::new(10, a ^ b, c, d).into(), u16::from_be_bytes([p, q]) | 1024);
    Path { from, to: SocketAddr::new(Ipv4Addr::new(11, 0, p, q).into(), 49_152), dscp: Dscp::EF }
}
