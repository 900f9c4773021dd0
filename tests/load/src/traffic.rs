//! Calls under the plan `lync-kloud`: every stream sends a packet each 20 ms, one after the other, forever.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use carillon_wire::ip::Dscp;
use carillon_wire::rtp;
use carillon_wire::stun;

use crate::Kinds;
use crate::frame::{Path, tcp, udp};
use crate::sink::Sink;

const START: i64 = 1_700_000_000_000_000_000;
const CYCLE: i64 = 20_000_000;
const SIGNALING: u8 = 24;
const VIDEO: u8 = 34;
/// A stream that loses packets loses one in so many.
const LOSS_EVERY: u64 = 400;

/// Writes so many packets.
pub(crate) fn write(sink: &mut Sink, flows: u32, kinds: Kinds, packets: u64) -> io::Result<()> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut streams: Vec<_> = (0..flows).map(|n| Stream::new(n, kinds, &mut random)).collect();
    let slot = CYCLE / i64::from(flows);
    for cycle in 0.. {
        for (n, stream) in streams.iter_mut().enumerate() {
            // Within its slot a packet comes when it likes: that is the jitter.
            let early = (random.next() % slot.max(1) as u64) as i64;
            let time = START + cycle as i64 * CYCLE + n as i64 * slot + early;
            stream.turn(sink, time, cycle, kinds)?;
            if sink.counts.frames >= packets {
                sink.counts.rtp_streams = streams.iter().filter(|stream| stream.sent > 1).count() as u64;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One direction of a call.
struct Stream {
    number: u64,
    path: Path,
    /// The frame of the next packet, whose RTP header is at `header_at`.
    frame: Vec<u8>,
    header_at: usize,
    pictures: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    turns: u64,
    sent: u64,
    /// Lost since the last packet that was sent.
    missing: u64,
    tcp_sequence: u32,
}

impl Stream {
    fn new(n: u32, kinds: Kinds, random: &mut Random) -> Stream {
        let call = n / 2;
        let pictures = kinds.video && call % 10 == 7 || kinds.mix && call % 25 == 7;
        let v6 = kinds.v6 || kinds.mix && call % 4 == 3;
        let (client_port, server_port) = if pictures { (20_040, 57_502) } else { (20_000, 49_152) };
        let there = Path {
            from: SocketAddr::new(address(1, call, v6), client_port + (call % 20) as u16 * 2),
            to: SocketAddr::new(address(2, call % 8, v6), server_port + (call % 4000) as u16 * 2),
            dscp: if pictures { Dscp::new(VIDEO).unwrap_or_default() } else { Dscp::EF },
        };
        let path = if n.is_multiple_of(2) { there } else { there.back() };
        let ssrc = random.next() as u32;
        let mut packet = Vec::new();
        let payload_type = if pictures { 122 } else { 0 };
        let body: Vec<u8> = (0..if pictures { 1060 } else { 160 }).map(|_| random.next() as u8).collect();
        rtp::Builder { payload_type, ssrc, ..rtp::Builder::default() }.write(&body, &mut packet);
        Stream {
            number: u64::from(n),
            path,
            frame: udp(path, &packet),
            header_at: path.udp_payload_at(),
            pictures,
            sequence: random.next() as u16,
            timestamp: random.next() as u32,
            ssrc,
            turns: 0,
            sent: 0,
            missing: 0,
            tcp_sequence: 1,
        }
    }

    /// What this stream and its host send in 20 ms.
    fn turn(&mut self, sink: &mut Sink, time: i64, cycle: u64, kinds: Kinds) -> io::Result<()> {
        let due = |every: u64| cycle % every == self.number % every;
        let (report, invite, check, other) = (due(250), due(4500), due(750), due(40));
        if invite && (kinds.sip || kinds.mix) {
            self.invite(sink, time)?;
        }
        if self.pictures {
            // 25 pictures a second, each of three packets.
            for _ in 0..if cycle.is_multiple_of(2) { 3 } else { 0 } {
                self.rtp(sink, time)?;
            }
            self.timestamp = self.timestamp.wrapping_add(1800);
        } else {
            self.rtp(sink, time)?;
            self.timestamp = self.timestamp.wrapping_add(160);
        }
        if report && (kinds.rtcp || kinds.mix) {
            self.report(sink, time)?;
        }
        if check && kinds.mix {
            self.check(sink, time)?;
        }
        if other && kinds.mix {
            self.tls(sink, time)?;
            self.dns(sink, time)?;
        }
        Ok(())
    }

    fn rtp(&mut self, sink: &mut Sink, time: i64) -> io::Result<()> {
        self.turns += 1;
        self.sequence = self.sequence.wrapping_add(1);
        if self.number % 10 == 3 && self.turns.is_multiple_of(LOSS_EVERY) {
            self.missing += 1;
            return Ok(());
        }
        if let Some(header) = self.frame.get_mut(self.header_at + 2..self.header_at + 8) {
            header[..2].copy_from_slice(&self.sequence.to_be_bytes());
            header[2..].copy_from_slice(&self.timestamp.to_be_bytes());
        }
        self.sent += 1;
        sink.counts.rtp_packets += 1;
        sink.counts.lost += std::mem::take(&mut self.missing);
        sink.frame(time, &self.frame)
    }

    /// A sender report on the odd port (RFC 3550, 6.4.1).
    fn report(&self, sink: &mut Sink, time: i64) -> io::Result<()> {
        let mut report = vec![0x80, 200, 0, 6];
        let words = [self.ssrc, 0xe900_0000, 0, self.timestamp, self.sent as u32, self.sent as u32 * 160];
        words.iter().for_each(|word| report.extend(word.to_be_bytes()));
        let path = self.path.ports(self.path.from.port() + 1, self.path.to.port() + 1);
        sink.frame(time, &udp(path, &report))
    }

    /// A connectivity check.
    fn check(&self, sink: &mut Sink, time: i64) -> io::Result<()> {
        let id = [7; 12];
        let request = stun::Builder::new(stun::Class::Request, stun::Method::Binding, id).fingerprint();
        sink.frame(time, &udp(self.path, &request.finish().unwrap_or_default()))
    }

    /// An INVITE from a client, a 200 from a server: each says where it wants its media.
    fn invite(&self, sink: &mut Sink, time: i64) -> io::Result<()> {
        let Path { from, to, .. } = self.path;
        let start = if self.number.is_multiple_of(2) {
            format!(
                "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{}\r\n",
                self.number
            )
        } else {
            format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {to};branch=z9hG4bK{}\r\n", self.number - 1)
        };
        let (family, host) = (if from.is_ipv4() { "IP4" } else { "IP6" }, from.ip());
        let media = if self.pictures { "video" } else { "audio" };
        let format = if self.pictures { "122 X-H264UC/90000" } else { "0 PCMU/8000" };
        let number = format.split(' ').next().unwrap_or_default();
        let description = format!(
            "v=0\r\no=- 1 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n\
             m={media} {} RTP/AVP {number}\r\na=rtpmap:{format}\r\n",
            from.port()
        );
        let message = format!(
            "{start}From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>;tag=2\r\n\
             Call-ID: {}@example.com\r\nCSeq: 1 INVITE\r\nContact: <sip:{host}>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{description}",
            self.number / 2,
            description.len()
        );
        let path = self.path.ports(5060, 5060).marked(Dscp::new(SIGNALING).unwrap_or_default());
        sink.frame(time, &udp(path, message.as_bytes()))
    }

    /// A record of encrypted signaling.
    fn tls(&mut self, sink: &mut Sink, time: i64) -> io::Result<()> {
        let mut record = vec![23, 3, 3, 1, 0];
        record.resize(5 + 256, 0xa5);
        let (client, server) = (50_000, 5061);
        let (from, to) = if self.number.is_multiple_of(2) { (client, server) } else { (server, client) };
        let path = self.path.ports(from, to).marked(Dscp::new(SIGNALING).unwrap_or_default());
        let frame = tcp(path, self.tcp_sequence, &record);
        self.tcp_sequence = self.tcp_sequence.wrapping_add(record.len() as u32);
        sink.frame(time, &frame)
    }

    fn dns(&self, sink: &mut Sink, time: i64) -> io::Result<()> {
        let query = b"\x1a\x2b\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";
        let path = self.path.ports(50_001, 53).marked(Dscp::DEFAULT);
        sink.frame(time, &udp(path, query))
    }
}

/// Host `n` of one of the two sides.
fn address(side: u8, n: u32, v6: bool) -> IpAddr {
    let [_, high, middle, low] = (n + 1).to_be_bytes();
    match v6 {
        true => Ipv6Addr::new(0xfd00, 0, 0, u16::from(side), 0, 0, (n >> 16) as u16, n as u16 + 1).into(),
        false => Ipv4Addr::new(10, side << 5 | high, middle, low).into(),
    }
}

/// Random enough for a measurement (xorshift64*), and the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
