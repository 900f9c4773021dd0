//! The first pass: every frame is decoded, finds its flow, and is counted there.

use carillon_wire::fragment::{Datagram, Ending, Limits as FragmentLimits, Outcome, Reassembler};
use carillon_wire::ip::protocol;
use carillon_wire::link::LinkType;
use carillon_wire::packet::{self, Tcp, Transport, Udp};
use carillon_wire::payload::{self, Kind};
use carillon_wire::rtp;
use carillon_wire::stun::{Via, look_through};

use super::calls;
use super::flow::{Flow, Seen, content_of};
use super::key::FlowKey;
use super::relays;
use super::report::{Content, Totals};
use super::segmentation;
use super::shard::{Budget, SHARDS, Shard};
use super::stream::{RtpPacket, Wrap};
use super::tcp::TcpSide;

/// A captured frame and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Number in its file, from 1, counted as Wireshark counts.
    pub number: u64,
    /// Nanoseconds since 1970.
    pub time: i64,
    /// Index of the file, in the order given.
    pub file: u16,
    /// Interface inside the file.
    pub interface: u16,
    /// Link layer.
    pub link: LinkType,
    /// Length on the wire; `data` may be shorter.
    pub original_len: u32,
    /// The bytes captured.
    pub data: &'a [u8],
}

/// Interfaces whose fragments are put together.
const MAX_INTERFACES: usize = 16;

/// How much a verifier keeps. The same limits give the same result, whatever the number of workers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Flows kept in detail, in all.
    pub flows: usize,
    /// Datagrams whose fragments are waited for.
    pub fragments: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { flows: 65_536, fragments: 1024 }
    }
}

/// Which part of the flows a worker judges.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// This worker, from 0.
    pub index: usize,
    /// Workers in all.
    pub of: usize,
}

impl Share {
    /// One worker does everything.
    pub const ALL: Share = Share { index: 0, of: 1 };

    fn owns(self, shard: usize) -> bool {
        shard % self.of.max(1) == self.index
    }

    /// One worker counts what belongs to no flow.
    fn counts(self) -> bool {
        self.index == 0
    }
}

/// Where a datagram or segment came from and what its frame says.
#[derive(Clone, Copy)]
struct Envelope {
    key: FlowKey,
    seen: Seen,
    vlan: Option<u16>,
    reassembled: bool,
}

/// The first pass over packets. Bounded in memory; [`Verifier::merge`] joins workers.
#[derive(Debug)]
pub struct Verifier {
    share: Share,
    /// A bit per shard that is this worker's.
    owned: u32,
    pub(super) shards: Vec<Shard>,
    pub(super) totals: Totals,
    /// Fragments in progress, by interface: a datagram seen at two places is two datagrams.
    fragments: Vec<(u32, Reassembler)>,
    limits: Limits,
    file: u16,
}

impl Verifier {
    /// A verifier that has seen nothing.
    pub fn new(limits: Limits, share: Share) -> Verifier {
        Verifier {
            share,
            owned: (0..SHARDS).filter(|shard| share.owns(*shard)).map(|shard| 1 << shard).sum(),
            shards: (0..SHARDS).map(|_| Shard::new(limits.flows / SHARDS)).collect(),
            totals: Totals::default(),
            fragments: Vec::new(),
            limits,
            file: 0,
        }
    }

    /// Takes a frame. Every worker must see every frame of a file, in order; each keeps only its share.
    #[inline]
    pub fn observe(&mut self, frame: &Frame<'_>) {
        if frame.file != self.file {
            self.end_of_file();
            self.file = frame.file;
        }
        if self.share.counts() {
            self.totals.count(frame);
        }
        match packet::decode(frame.link, frame.data) {
            Some(packet) => self.packet(frame, &packet),
            None => self.totals.undecoded += u64::from(self.share.counts()),
        }
    }

    /// Joins what another worker judged. All workers must have seen the same frames.
    pub fn merge(&mut self, mut other: Verifier) {
        self.end_of_file();
        other.end_of_file();
        for (number, shard) in other.shards.into_iter().enumerate() {
            if other.share.owns(number) {
                self.shards[number] = shard;
            }
        }
        self.totals.add(&other.totals);
    }

    /// Whatever still waits for more waits in vain.
    pub(super) fn end_of_file(&mut self) {
        for (interface, mut fragments) in std::mem::take(&mut self.fragments) {
            fragments.expire(i64::MAX);
            while let Some(datagram) = fragments.take_unfinished() {
                self.reassembled(interface, &datagram);
            }
        }
        for shard in &mut self.shards {
            for flow in &mut shard.flows {
                flow.finish();
            }
        }
    }

    #[inline]
    fn packet(&mut self, frame: &Frame<'_>, packet: &packet::Packet<'_>) {
        self.totals.ip += u64::from(self.share.counts());
        match packet.transport {
            Transport::Udp(udp) => {
                let envelope = Envelope::new(frame, packet, protocol::UDP, (udp.src_port, udp.dst_port));
                self.datagram(&envelope, &udp, &[]);
            }
            Transport::Tcp(tcp) => {
                let envelope = Envelope::new(frame, packet, protocol::TCP, (tcp.src_port, tcp.dst_port));
                self.segment(envelope, &tcp);
            }
            Transport::Fragment(payload) => self.fragment(*frame, *packet, payload),
            Transport::Icmp => self.totals.icmp += u64::from(self.share.counts()),
            Transport::Other => self.tunnel(packet.ip.protocol, 1),
        }
    }

    /// Whose they are nobody can tell, but they are not to vanish.
    #[cold]
    fn orphans(&mut self, frames: u64) {
        self.totals.orphan_fragments += if self.share.counts() { frames } else { 0 };
    }

    #[cold]
    fn tunnel(&mut self, number: u8, frames: u64) {
        let counts = self.share.counts() && protocol::TUNNELS.contains(&number);
        self.totals.tunneled += if counts { frames } else { 0 };
    }

    // On this path facts of a packet are lent only to what is inlined. Whatever else needs them gets a copy: then
    // they stay in registers until it is called, which is rare.

    /// The flow of an envelope, if it is this worker's business and there is room.
    #[inline]
    fn place(&mut self, envelope: &Envelope) -> Option<(&mut Shard, usize)> {
        let hash = envelope.key.hash();
        let number = (hash.conversation >> 60) as usize % SHARDS;
        if self.owned >> number & 1 == 0 {
            return None;
        }
        let shard = &mut self.shards[number];
        let flow = shard.flow(&envelope.key, hash, envelope.vlan, &envelope.seen)?;
        Some((shard, flow))
    }

    /// `pieces`: traffic byte and frame of each further fragment.
    #[inline]
    fn datagram(&mut self, envelope: &Envelope, udp: &Udp<'_>, pieces: &[(u8, u64)]) {
        let Some((shard, number)) = self.place(envelope) else { return };
        let Shard { flows, facts, budget, .. } = shard;
        let flow = &mut flows[number];
        let kind = payload::classify(udp.payload, udp.payload_len);
        match kind {
            Kind::Rtp => bare_rtp(flow, envelope, udp, budget),
            Kind::ChannelData | Kind::Stun => {
                relays::note(facts, flow.key, udp.payload, udp.payload_len);
                wrapped(flow, *envelope, *udp, kind, budget);
            }
            Kind::Sip => {
                calls::note_datagram(facts, flow.key, envelope.seen.frame, udp.payload);
                flow.tally(Content::Sip, envelope.seen);
            }
            Kind::Other if segmentation::is_train_of_stun(udp.payload) => {
                flow.tally(Content::Stun, envelope.seen)
            }
            Kind::Other if is_cut(udp) => flow.tally(Content::Cut, envelope.seen),
            other => flow.tally(content_of(other), envelope.seen),
        }
        for &(byte, frame) in pieces {
            flow.count_piece(byte, frame, envelope.seen.traffic_byte);
        }
    }

    fn segment(&mut self, envelope: Envelope, tcp: &Tcp<'_>) {
        let Some((shard, number)) = self.place(&envelope) else { return };
        let Shard { flows, facts, budget, .. } = shard;
        TcpSide::push(&mut flows[number], facts, budget, &envelope.seen, tcp);
    }

    fn fragment(&mut self, frame: Frame<'_>, packet: packet::Packet<'_>, payload: &[u8]) {
        self.totals.fragments += u64::from(self.share.counts());
        let interface = packet.link.interface.unwrap_or(u32::from(frame.interface));
        let place = match self.fragments.iter().position(|(known, _)| *known == interface) {
            Some(place) => place,
            None if self.fragments.len() < MAX_INTERFACES => {
                self.fragments.push((interface, reassembler(self.limits)));
                self.fragments.len() - 1
            }
            None => return self.orphans(1),
        };
        let fragments = &mut self.fragments[place].1;
        match fragments.push(frame.time, frame.number, &packet.ip, payload) {
            Outcome::Whole(datagram) => self.reassembled(interface, &datagram),
            Outcome::Refused => self.orphans(1),
            Outcome::Held => {}
        }
        while let Some(datagram) = self.fragments[place].1.take_unfinished() {
            self.reassembled(interface, &datagram);
        }
    }

    /// A datagram out of fragments that is no UDP, or whose first fragment is missing.
    fn without_ports(&mut self, datagram: &Datagram) {
        let pieces = datagram.pieces.len() as u64;
        if datagram.bytes.is_empty() || datagram.protocol == protocol::UDP {
            self.orphans(pieces);
        } else {
            self.tunnel(datagram.protocol, pieces);
        }
    }

    /// A datagram out of fragments, whole or not: its marks count as long as its ports are known.
    fn reassembled(&mut self, interface: u32, datagram: &Datagram) {
        let transport = packet::transport(datagram.protocol, &datagram.bytes, datagram.declared_len);
        let (Transport::Udp(udp), [first, rest @ ..]) = (transport, datagram.pieces.as_slice()) else {
            return self.without_ports(datagram);
        };
        let key = FlowKey::new(
            (self.file, interface),
            protocol::UDP,
            (datagram.src, udp.src_port),
            (datagram.dst, udp.dst_port),
        );
        let ip_len = datagram.pieces.iter().map(|piece| piece.payload_len).sum();
        let seen =
            Seen { frame: first.frame, time: datagram.started, traffic_byte: first.traffic_byte, ip_len };
        let envelope = Envelope { key, seen, vlan: None, reassembled: true };
        let pieces: Vec<_> = rest.iter().map(|piece| (piece.traffic_byte, piece.frame)).collect();
        // What never became whole is no RTP packet to count, but its marks were on the wire.
        match datagram.ending {
            Ending::Whole => self.datagram(&envelope, &udp, &pieces),
            Ending::TimedOut | Ending::Evicted | Ending::Overlapped => {
                let udp = Udp { payload: &[], ..udp };
                self.datagram(&envelope, &udp, &pieces);
            }
        }
    }
}

impl Envelope {
    #[inline]
    fn new(frame: &Frame<'_>, packet: &packet::Packet<'_>, protocol: u8, ports: (u16, u16)) -> Envelope {
        let ip = &packet.ip;
        let interface = packet.link.interface.unwrap_or(u32::from(frame.interface));
        let key = FlowKey::new((frame.file, interface), protocol, (ip.src, ports.0), (ip.dst, ports.1));
        let header_len = if ip.src.is_ipv4() { 20 } else { 40 };
        let seen = Seen {
            frame: frame.number,
            time: frame.time,
            traffic_byte: ip.traffic_byte,
            ip_len: ip.payload_len.saturating_add(header_len),
        };
        Envelope { key, seen, vlan: packet.link.vlan.map(|(number, _)| number), reassembled: false }
    }
}

impl Totals {
    #[inline]
    fn count(&mut self, frame: &Frame<'_>) {
        if self.frames == 0 {
            self.start_ns = frame.time;
            self.end_ns = frame.time;
        }
        self.frames += 1;
        self.bytes += u64::from(frame.original_len);
        self.start_ns = self.start_ns.min(frame.time);
        self.end_ns = self.end_ns.max(frame.time);
    }

    fn add(&mut self, other: &Totals) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.ip += other.ip;
        self.icmp += other.icmp;
        self.undecoded += other.undecoded;
        self.tunneled += other.tunneled;
        self.fragments += other.fragments;
        self.orphan_fragments += other.orphan_fragments;
        if other.frames > 0 {
            // Only one worker counts frames; the others' times are unset.
            (self.start_ns, self.end_ns) = (other.start_ns, other.end_ns);
        }
    }
}

fn reassembler(limits: Limits) -> Reassembler {
    Reassembler::new(FragmentLimits { datagrams: limits.fragments, bytes: limits.fragments * 4096 })
}

/// Whether the capture kept too little of a datagram to tell RTP from anything else.
fn is_cut(udp: &Udp<'_>) -> bool {
    udp.payload.len() < rtp::HEADER_LEN && udp.payload.len() < udp.payload_len as usize
}

/// What lies inside ChannelData, Send and Data indications; plain STUN otherwise.
fn wrapped(flow: &mut Flow, envelope: Envelope, udp: Udp<'_>, kind: Kind, budget: &mut Budget) {
    let Some(inner) = look_through(udp.payload, udp.payload_len) else {
        return flow.tally(content_of(kind), envelope.seen);
    };
    match payload::classify(inner.payload, inner.payload_len) {
        Kind::Rtp => {
            let packet = rtp_fields(&envelope.seen, inner.payload, inner.payload_len, wrap_of(inner.via));
            if let Some(packet) = packet {
                flow.push_rtp(&packet, budget);
            }
        }
        // A check or a report inside a channel is still a check or a report.
        Kind::Rtcp => flow.tally(Content::Rtcp, envelope.seen),
        Kind::Stun | Kind::ClassicStun => flow.tally(Content::Stun, envelope.seen),
        Kind::Dtls => flow.tally(Content::Dtls, envelope.seen),
        _ => flow.tally(Content::Relayed, envelope.seen),
    }
}

pub(super) fn wrap_of(via: Via) -> Wrap {
    match via {
        Via::Channel(number) => Wrap::Channel(number),
        Via::ToPeer(peer) | Via::FromPeer(peer) => Wrap::Peer(peer),
    }
}

#[inline]
fn bare_rtp(flow: &mut Flow, envelope: &Envelope, udp: &Udp<'_>, budget: &mut Budget) {
    let Some(packet) = rtp_fields(&envelope.seen, udp.payload, udp.payload_len, Wrap::Bare) else { return };
    let Some(stream) = flow.push_rtp(&packet, budget) else { return };
    // A new longest packet is the moment to ask whether it is several; so is every one after a yes.
    if (stream.aggregated > 0 || stream.newest_is_longest)
        && segmentation::holds_more(udp.payload, &{ packet })
    {
        stream.aggregated += 1;
        stream.first_aggregated.get_or_insert(packet.frame);
    }
    if envelope.seen.ip_len > segmentation::USUAL_MTU && !envelope.reassembled {
        flow.oversized.get_or_insert(packet.frame);
    }
}

/// The header fields that statistics need; `None` if the capture cut them off.
#[inline]
pub(super) fn rtp_fields(seen: &Seen, payload: &[u8], len: u32, wrap: Wrap) -> Option<RtpPacket> {
    let header = rtp::Packet::parse(payload, len)?;
    Some(RtpPacket {
        frame: seen.frame,
        time: seen.time,
        traffic_byte: seen.traffic_byte,
        ssrc: header.ssrc,
        seq: header.sequence,
        timestamp: header.timestamp,
        payload_type: header.payload_type,
        len,
        ip_len: seen.ip_len,
        wrap,
    })
}
