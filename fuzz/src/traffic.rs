//! Frames out of a script that a fuzzer can change: five bytes say what is sent, from where, to where, with which
//! traffic byte and how much later; what follows depends on that. Every script means some traffic.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use carillon_qos::verify::Frame;
use carillon_wire::link::LinkType;
use carillon_wire::rtp;
use carillon_wire::stun::{Builder, ChannelData, Class, Method, kind};

/// Frames of one script at most.
const MOST_FRAMES: usize = 300;
const PORTS: [u16; 16] =
    [5060, 5061, 3478, 443, 5350, 5390, 20000, 20001, 20040, 40803, 49152, 50000, 50001, 50020, 50040, 65535];
const PAYLOAD_TYPES: [u8; 8] = [0, 8, 9, 13, 96, 101, 111, 121];
const MEDIA: [&str; 4] = ["audio", "video", "applicationsharing-video", "data"];
const PROTOCOLS: [&str; 2] = ["RTP/AVP", "UDP/TLS/RTP/SAVPF"];
const MTU: usize = 1400;

/// A frame with its bytes.
pub(crate) struct Built {
    number: u64,
    time: i64,
    file: u16,
    interface: u16,
    original_len: u32,
    data: Vec<u8>,
}

impl Built {
    pub(crate) fn frame(&self) -> Frame<'_> {
        let Built { number, time, file, interface, original_len, ref data } = *self;
        Frame { number, time, file, interface, link: LinkType::Ethernet, original_len, data }
    }
}

/// The traffic that a script means, from this time on.
pub(crate) fn frames(script: &[u8], start: i64) -> Vec<Built> {
    let mut traffic = Traffic { script, now: start, ..Traffic::default() };
    while let Some((&[what, from, to, mark, pause], rest)) = traffic.script.split_first_chunk() {
        traffic.script = rest;
        if traffic.frames.len() >= MOST_FRAMES {
            break;
        }
        // Mostly some milliseconds; sometimes minutes, or back.
        let later = match pause {
            0..240 => i64::from(pause) * 1_000_000,
            240..250 => i64::from(pause - 239) * 60_000_000_000,
            250.. => i64::from(pause - 249) * -5_000_000,
        };
        traffic.now = traffic.now.saturating_add(later);
        let way = Way { what, from: end(from, what), to: end(to, what), mark };
        traffic.send(&way);
    }
    traffic.frames
}

fn end(byte: u8, what: u8) -> SocketAddr {
    let host = byte & 3;
    let ip = match what & 0x10 {
        0 => IpAddr::from(Ipv4Addr::new(10, 0, 0, host + 1)),
        _ => IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(host) + 1)),
    };
    SocketAddr::new(ip, PORTS[usize::from(byte >> 2 & 15)])
}

/// What is sent (the lower four bits; then IPv6, VLAN, cut by the capture), between whom, with which mark.
struct Way {
    what: u8,
    from: SocketAddr,
    to: SocketAddr,
    mark: u8,
}

#[derive(Default)]
struct Traffic<'a> {
    script: &'a [u8],
    frames: Vec<Built>,
    now: i64,
    file: u16,
    interface: u16,
    sequences: [u16; 4],
    segments: BTreeMap<(SocketAddr, SocketAddr), u32>,
    datagrams: u16,
}

impl Traffic<'_> {
    fn send(&mut self, way: &Way) {
        match way.what & 0x0f {
            0 => self.rtp().datagram(self, way),
            1 => self.burst(way),
            2 => self.rtcp().datagram(self, way),
            3 => self.stun(way).datagram(self, way),
            4 => self.channel_data().datagram(self, way),
            5 => self.sip(way).datagram(self, way),
            6 => self.bytes().datagram(self, way),
            7 => self.bytes().segment(self, way),
            8 => self.sip(way).segment(self, way),
            9 => self.framed().segment(self, way),
            10 => self.fragments(way),
            11 => self.quoted(way),
            12 => self.raw(),
            13 => self.elsewhere(),
            14 => self.again_elsewhere(way),
            _ => self.again(way),
        }
    }

    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.script.split_first() else { return 0 };
        self.script = rest;
        byte
    }

    /// Bytes of the script as they are, behind their number.
    fn bytes(&mut self) -> Payload {
        let len = usize::from(self.byte()).min(self.script.len());
        let (bytes, rest) = self.script.split_at(len);
        self.script = rest;
        Payload(bytes.to_vec())
    }

    /// One of four senders, one of eight types; the step from the sequence number before; the length.
    fn rtp(&mut self) -> Payload {
        let (who, step, len) = (self.byte(), self.byte(), self.byte());
        // Small steps either way, and some of hundreds.
        let step = if step < 0xe0 { i16::from(step as i8) } else { i16::from(step as i8) * 100 };
        self.rtp_packet(who, step as u16, len)
    }

    fn rtp_packet(&mut self, who: u8, step: u16, len: u8) -> Payload {
        let sequence = &mut self.sequences[usize::from(who & 3)];
        *sequence = sequence.wrapping_add(step);
        let mut bytes = Vec::new();
        rtp::Builder {
            marker: who & 0x80 != 0,
            payload_type: PAYLOAD_TYPES[usize::from(who >> 2 & 7)],
            sequence: *sequence,
            timestamp: u32::from(*sequence) * if who & 0x40 == 0 { 160 } else { 1800 },
            ssrc: 0x1000 + u32::from(who & 3),
            csrcs: &[],
            extension: None,
            padding: 0,
        }
        .write(&vec![0x55; usize::from(len) * if who & 0x20 == 0 { 1 } else { 5 }], &mut bytes);
        Payload(bytes)
    }

    /// Packets in a row, 20 ms apart.
    fn burst(&mut self, way: &Way) {
        let (who, len, count) = (self.byte(), self.byte(), self.byte());
        for _ in 0..count % 64 {
            self.rtp_packet(who, 1, len).datagram(self, way);
            self.now = self.now.saturating_add(20_000_000);
        }
    }

    fn rtcp(&mut self) -> Payload {
        let kind = self.byte();
        let mut bytes = vec![0x80, 200 + (kind & 7), 0, 6];
        bytes.extend((0x1000 + u32::from(kind >> 3 & 3)).to_be_bytes());
        bytes.resize(28, kind);
        bytes.extend([0x81, 202, 0, 3, 0, 0, 0x10, 0, 1, 2, b'a', b'b', 0, 0, 0, 0]);
        Payload(bytes)
    }

    fn stun(&mut self, way: &Way) -> Payload {
        let choice = self.byte();
        let message = |class, method| Builder::new(class, method, [7; 12]);
        let peer = end(choice, way.what);
        let built = match choice >> 6 {
            0 => message(Class::Request, Method::Binding).fingerprint(),
            1 => message(Class::Success, Method::Allocate).xor_address(kind::XOR_RELAYED_ADDRESS, peer),
            2 => message(Class::Request, Method::ChannelBind)
                .channel_number(0x4000)
                .xor_address(kind::XOR_PEER_ADDRESS, peer),
            _ => {
                let method = if choice & 1 == 0 { Method::Send } else { Method::Data };
                let built = message(Class::Indication, method).xor_address(kind::XOR_PEER_ADDRESS, peer);
                built.attribute(kind::DATA, &self.inner().0)
            }
        };
        Payload(built.finish().unwrap_or_default())
    }

    fn channel_data(&mut self) -> Payload {
        let channel = 0x4000 + u16::from(self.byte() & 3);
        let (inner, mut bytes) = (self.inner(), Vec::new());
        ChannelData::write_stream(channel, &inner.0, &mut bytes);
        Payload(bytes)
    }

    /// What may lie in a wrapping.
    fn inner(&mut self) -> Payload {
        match self.byte() & 3 {
            0 | 1 => self.rtp(),
            2 => self.rtcp(),
            _ => self.bytes(),
        }
    }

    /// A request with a description, whose choices are bits.
    fn sip(&mut self, way: &Way) -> Payload {
        let (choice, agent) = (self.byte(), self.byte());
        let media = end(self.byte(), way.what);
        let (ip, port, family) = (media.ip(), media.port(), if media.is_ipv4() { 4 } else { 6 });
        let medium = MEDIA[usize::from(choice & 3)];
        let protocol = PROTOCOLS[usize::from(choice >> 2 & 1)];
        let agent =
            ["baresip", "PolycomVVX-VVX_600-UA/5.9", "UCCAPI/16.0 OC/16.0", ""][usize::from(agent & 3)];
        let mut sdp =
            format!("v=0\r\no=- 1 1 IN IP{family} {ip}\r\ns=-\r\nc=IN IP{family} {ip}\r\nt=0 0\r\n");
        if choice & 0x08 != 0 {
            sdp += "a=group:BUNDLE 0 1\r\n";
        }
        sdp += &format!("m={medium} {port} {protocol} 0 96 111\r\na=rtpmap:96 VP8/90000\r\n");
        sdp += "a=rtpmap:111 opus/48000/2\r\na=ssrc:4096 cname:x\r\na=mid:0\r\n";
        sdp += &format!("a=candidate:1 1 UDP 1 {ip} {} typ host\r\n", port ^ 1);
        if choice & 0x10 != 0 {
            sdp +=
                &format!("m=video {} {protocol} 121\r\na=rtpmap:121 x-rtvc1/90000\r\na=mid:1\r\n", port ^ 2);
        }
        let first = ["INVITE sip:a@b SIP/2.0", "SIP/2.0 200 OK"][usize::from(choice >> 5 & 1)];
        Payload(
            format!(
                "{first}\r\nVia: SIP/2.0/UDP {ip};branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
                 Call-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nUser-Agent: {agent}\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                sdp.len()
            )
            .into_bytes(),
        )
    }

    /// One to four things behind their lengths (RFC 4571).
    fn framed(&mut self) -> Payload {
        let mut bytes = Vec::new();
        for _ in 0..1 + (self.byte() & 3) {
            let inner = self.inner();
            bytes.extend((inner.0.len() as u16).to_be_bytes());
            bytes.extend(inner.0);
        }
        Payload(bytes)
    }

    /// A datagram in fragments of 8 to 120 bytes; one may stay away, one may carry another mark.
    fn fragments(&mut self, way: &Way) {
        let (size, lost, odd) = (8 + usize::from(self.byte() & 15) * 8, self.byte(), self.byte());
        let payload = if lost & 0x80 == 0 { self.rtp() } else { self.sip(way) };
        self.datagrams += 1;
        let whole = udp(way, &payload.0);
        let count = whole.len().div_ceil(size);
        for (number, piece) in whole.chunks(size).enumerate() {
            if number == usize::from(lost & 0x7f) || self.frames.len() >= MOST_FRAMES {
                continue;
            }
            let mark = if number == usize::from(odd) { 0x88 } else { way.mark };
            let part = Part { id: self.datagrams, offset: number * size, more: number + 1 < count };
            let packet = ip(way, 17, mark, Some(&part), piece);
            self.frame(way, packet);
        }
    }

    /// An ICMP error that quotes a packet.
    fn quoted(&mut self, way: &Way) {
        let quoted = ip(way, 17, way.mark, None, &udp(way, &self.rtp().0));
        let (number, kind) = if way.from.is_ipv4() { (1, 3) } else { (58, 1) };
        let error = [&[kind, 3, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
        self.frame(way, ip(way, number, 0xc0, None, &error));
    }

    fn raw(&mut self) {
        let data = self.bytes().0;
        self.push(data.len() as u32, data);
    }

    /// From here on at another interface, or in the next file.
    fn elsewhere(&mut self) {
        match self.byte() & 3 {
            0 if self.file == 0 => {
                self.file = 1;
                self.now = 0;
            }
            place => self.interface = u16::from(place),
        }
    }

    /// All frames so far, seen at another point with this mark.
    fn again_elsewhere(&mut self, way: &Way) {
        let until = self.frames.len().min(MOST_FRAMES / 2);
        self.interface = 7;
        for number in 0..until {
            let data = marked(&self.frames[number].data, way.mark);
            self.push(data.len() as u32, data);
        }
    }

    /// The latest frame again, with this mark.
    fn again(&mut self, way: &Way) {
        let Some(latest) = self.frames.last() else { return };
        let data = marked(&latest.data, way.mark);
        self.push(data.len() as u32, data);
    }

    fn frame(&mut self, way: &Way, packet: Vec<u8>) {
        let ether = if way.from.is_ipv4() { [0x08, 0] } else { [0x86, 0xdd] };
        let tag = if way.what & 0x20 == 0 { &[][..] } else { &[0x81, 0, 0, 12] };
        let mut data = [&[2; 12], tag, &ether, &packet].concat();
        let original_len = data.len() as u32;
        if way.what & 0x40 != 0 {
            let cut = usize::from(self.byte());
            data.truncate(cut);
        }
        self.push(original_len, data);
    }

    fn push(&mut self, original_len: u32, data: Vec<u8>) {
        let number = 1 + self.frames.iter().filter(|frame| frame.file == self.file).count() as u64;
        let Traffic { now: time, file, interface, .. } = *self;
        self.frames.push(Built { number, time, file, interface, original_len, data });
    }
}

/// What goes into a datagram or a stream.
struct Payload(Vec<u8>);

impl Payload {
    fn datagram(self, traffic: &mut Traffic<'_>, way: &Way) {
        traffic.frame(way, ip(way, 17, way.mark, None, &udp(way, &self.0)));
    }

    /// Segments in order, the first ones behind a SYN; the highest bit asks to lose them.
    fn segment(self, traffic: &mut Traffic<'_>, way: &Way) {
        let (key, len) = ((way.from, way.to), self.0.len() as u32);
        let known = traffic.segments.get(&key).copied();
        let mut seq = known.unwrap_or(1);
        traffic.segments.insert(key, seq.wrapping_add(len));
        if known.is_none() {
            traffic.frame(way, ip(way, 6, way.mark, None, &tcp(way, 0, 2, &[])));
        }
        for piece in self.0.chunks(if way.mark & 1 == 0 { MTU } else { 200 }) {
            if way.what & 0x80 == 0 {
                traffic.frame(way, ip(way, 6, way.mark, None, &tcp(way, seq, 0x18, piece)));
            }
            seq = seq.wrapping_add(piece.len() as u32);
        }
    }
}

struct Part {
    id: u16,
    offset: usize,
    more: bool,
}

fn udp(way: &Way, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len() as u16;
    let head = [way.from.port(), way.to.port(), len, 0].map(u16::to_be_bytes).concat();
    [&head, payload].concat()
}

fn tcp(way: &Way, seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let ports = [way.from.port(), way.to.port()].map(u16::to_be_bytes).concat();
    let rest = [0x50, flags, 0xff, 0xff, 0, 0, 0, 0];
    [&ports, &seq.to_be_bytes()[..], &[0; 4], &rest, payload].concat()
}

fn ip(way: &Way, protocol: u8, mark: u8, part: Option<&Part>, payload: &[u8]) -> Vec<u8> {
    match (way.from.ip(), way.to.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let part = part.map_or([0; 4], |part| {
                let offset = (part.offset / 8) as u16 | u16::from(part.more) << 13;
                [part.id.to_be_bytes(), offset.to_be_bytes()].concat().try_into().unwrap_or_default()
            });
            let [l0, l1] = (20 + payload.len() as u16).to_be_bytes();
            let head = [&[0x45, mark, l0, l1], &part[..], &[64, protocol, 0, 0]].concat();
            [&head, &src.octets()[..], &dst.octets(), payload].concat()
        }
        (src, dst) => {
            let octets = |ip| if let IpAddr::V6(v6) = ip { v6.octets() } else { [0; 16] };
            let fragment = part.map_or(Vec::new(), |part| {
                let offset = (part.offset as u16 | u16::from(part.more)).to_be_bytes();
                [&[protocol, 0], &offset[..], &u32::from(part.id).to_be_bytes()].concat()
            });
            let next = if part.is_some() { 44 } else { protocol };
            let [l0, l1] = ((fragment.len() + payload.len()) as u16).to_be_bytes();
            let head = [0x60 | mark >> 4, mark << 4, 0, 0, l0, l1, next, 64];
            [&head, &octets(src)[..], &octets(dst), &fragment, payload].concat()
        }
    }
}

/// The same frame with another traffic byte.
fn marked(frame: &[u8], mark: u8) -> Vec<u8> {
    let mut data = frame.to_vec();
    let at = if data.get(12) == Some(&0x81) { 18 } else { 14 };
    match data.get_mut(at..at + 2) {
        Some([first, second]) if *first >> 4 == 6 => {
            (*first, *second) = (0x60 | mark >> 4, mark << 4 | *second & 15);
        }
        Some([_, second]) => *second = mark,
        _ => {}
    }
    data
}
