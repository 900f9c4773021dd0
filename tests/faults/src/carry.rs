//! Other ways to carry the same media: through a TURN relay, over TCP, in fragments, before segmentation;
//! and what else a capture may hold beside it.

use std::net::{IpAddr, SocketAddr};

use carillon_wire::ip::protocol;
use carillon_wire::stun::{Builder, ChannelData, Class, Method, kind};

use crate::encode::transport;
use crate::packet::{Body, Packet, Which, both, byte, media, rtp};
use crate::rewrite::{Capture, Link};

/// From one leg of a relay to the next, and between what follows at once, in nanoseconds.
const HOP: i64 = 150_000;

/// How a TURN client's media is wrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrap {
    /// ChannelData.
    Channel,
    /// Send and Data indications.
    Indication,
}

/// A relay between one host and the others.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    /// Where the client sends to.
    pub server: SocketAddr,
    /// The client behind it.
    pub client: IpAddr,
    /// The port that stands for the client's port.
    pub port: fn(u16) -> u16,
    /// The wrapping on the client's leg.
    pub wrap: Wrap,
    /// Whether the leg between the relay and the peer is in the capture too.
    pub outer: bool,
}

const CHANNEL: u16 = 0x4001;

impl Capture {
    /// All media of a client runs through a relay: both legs are in the capture.
    pub fn relayed(self, relay: Relay) -> Capture {
        let mut known: Vec<u16> = Vec::new();
        let capture = self.flat_map(|packet| {
            if !(media(&packet) && (packet.src == relay.client || packet.dst == relay.client)) {
                return vec![packet];
            }
            let Some((src, dst)) = packet.ports() else { return vec![packet] };
            let (own, peer) =
                if packet.src == relay.client { (src, (packet.dst, dst)) } else { (dst, (packet.src, src)) };
            let mut all = Vec::new();
            if !known.contains(&own) {
                known.push(own);
                all.extend(allocation(&packet, relay, own, peer.into()));
            }
            all.extend(legs(packet, relay, own, peer.into()));
            all
        });
        capture.in_time()
    }

    /// These packets run over TCP, each behind its length (RFC 4571), after a handshake.
    pub fn framed(self, which: impl Which) -> Capture {
        let mut sent: Vec<((IpAddr, u16, IpAddr, u16), u32)> = Vec::new();
        self.flat_map(|packet| {
            let Some((src, dst)) = packet.ports().filter(|_| which(&packet)) else { return vec![packet] };
            let (way, back) = ((packet.src, src, packet.dst, dst), (packet.dst, dst, packet.src, src));
            let mut all = Vec::new();
            if !sent.iter().any(|(known, _)| *known == way || *known == back) {
                sent.extend([(way, 1001), (back, 5001)]);
                all.extend(handshake(&packet, (src, dst)));
            }
            let seq = &mut sent.iter_mut().find(|(known, _)| *known == way).expect("a way that is known").1;
            let body = packet.payload();
            let payload = [&(body.len() as u16).to_be_bytes()[..], body].concat();
            let tcp = Body::Tcp { src_port: src, dst_port: dst, seq: *seq, flags: 0x18, payload };
            *seq = seq.wrapping_add(2 + packet.payload().len() as u32);
            all.push(Packet { body: tcp, ..packet });
            all
        })
    }

    /// These packets come in two fragments.
    pub fn fragmented(self, which: impl Which) -> Capture {
        let mut id = 0x4a00;
        self.flat_map(|packet| {
            if !which(&packet) {
                return vec![packet];
            }
            id += 1;
            pieces(packet, id)
        })
    }

    /// As the sender's kernel hands it to the card: `count` packets of a sender in one frame.
    pub fn before_segmentation(self, which: impl Which, count: usize) -> Capture {
        let mut open: Vec<(u32, usize, usize)> = Vec::new();
        let mut packets: Vec<Packet> = Vec::new();
        for packet in self.packets {
            let Some((_, _, ssrc)) = packet.rtp().filter(|_| which(&packet)) else {
                packets.push(packet);
                continue;
            };
            let place = open.iter_mut().find(|(known, _, held)| *known == ssrc && *held < count);
            if let Some((_, at, held)) = place {
                let more = packet.payload().to_vec();
                let first = &mut packets[*at];
                first.struck = true;
                first.payload_mut().expect("a datagram").extend(more);
                *held += 1;
            } else {
                open.retain(|(known, ..)| *known != ssrc);
                open.push((ssrc, packets.len(), 1));
                packets.push(packet);
            }
        }
        Capture {
            packets,
            ..Capture { link: self.link, sums: self.sums, snap: self.snap, packets: Vec::new() }
        }
    }

    /// Receivers answer some media with "port unreachable", which Linux marks 54 by itself.
    pub fn with_icmp_errors(self) -> Capture {
        let mut n = 0;
        self.flat_map(|packet| {
            n += usize::from(rtp(&packet));
            if !rtp(&packet) || n % 10 != 0 {
                return vec![packet];
            }
            let error = icmp_error(&packet);
            vec![packet, error]
        })
    }

    /// The ICMP errors that quote these media packets, and nothing else.
    pub fn with_one_icmp_error(self) -> Vec<Packet> {
        self.packets.iter().filter(|packet| media(packet)).map(icmp_error).collect()
    }

    /// A UDP stream of something else between these ends.
    pub fn with_stream(mut self, from: &str, to: &str, dscp: u8, struck: bool) -> Capture {
        let start = self.packets.first().map_or(0, |packet| packet.time);
        let ends: (SocketAddr, SocketAddr) = (from.parse().expect("an end"), to.parse().expect("an end"));
        self.packets.extend((0..60u8).map(|n| {
            // A QUIC short header: nothing in it can be recognised.
            let payload = [&[0x43, n][..], &[0x9d ^ n; 900]].concat();
            let packet = Packet::udp(start + i64::from(n) * 9_000_000, ends.0, ends.1, dscp, payload);
            Packet { struck, ..packet }
        }));
        self.in_time()
    }

    /// The same capture as seen from another interface a little later.
    pub fn seen_on(mut self, interface: u16, later: i64) -> Capture {
        for packet in &mut self.packets {
            (packet.interface, packet.time) = (interface, packet.time + later);
        }
        self
    }

    /// Media in both directions of these captures is shown on every link layer.
    pub fn links() -> [Link; 5] {
        [Link::Vlan(120), Link::Stacked(7, 120), Link::Cooked1, Link::Cooked2, Link::Raw]
    }
}

/// What a client asks and is answered before its first packet.
fn allocation(first: &Packet, relay: Relay, own: u16, peer: SocketAddr) -> [Packet; 4] {
    let client = SocketAddr::new(relay.client, own);
    let relayed = SocketAddr::new(relay.server.ip(), (relay.port)(own));
    let id = |n: u8| [n, 1, 2, 3, 4, 5, 6, 7, 8, 9, (own >> 8) as u8, own as u8];
    let message = |builder: Builder| builder.finish().expect("room for its attributes");
    let ask =
        message(Builder::new(Class::Request, Method::Allocate, id(1)).requested_transport(protocol::UDP));
    let given = message(
        Builder::new(Class::Success, Method::Allocate, id(1)).xor_address(kind::XOR_RELAYED_ADDRESS, relayed),
    );
    let bind = Builder::new(Class::Request, Method::ChannelBind, id(2)).channel_number(CHANNEL);
    let bind = message(bind.xor_address(kind::XOR_PEER_ADDRESS, peer));
    let bound = message(Builder::new(Class::Success, Method::ChannelBind, id(2)));
    let dscp = first.dscp();
    let at = |n: i64| first.time - HOP * (5 - n);
    [
        Packet::udp(at(1), client, relay.server, dscp, ask),
        Packet::udp(at(2), relay.server, client, dscp, given),
        Packet::udp(at(3), client, relay.server, dscp, bind),
        Packet::udp(at(4), relay.server, client, dscp, bound),
    ]
}

/// The wrapped leg and the bare one, in the order in which the packet travels.
fn legs(packet: Packet, relay: Relay, own: u16, peer: SocketAddr) -> Vec<Packet> {
    let outward = packet.src == relay.client;
    let client = SocketAddr::new(relay.client, own);
    let relayed = SocketAddr::new(relay.server.ip(), (relay.port)(own));
    let inner = packet.payload();
    let wrapped = match relay.wrap {
        Wrap::Channel => {
            let mut out = Vec::new();
            ChannelData::write(CHANNEL, inner, &mut out).expect("a packet that fits into a channel");
            out
        }
        Wrap::Indication => {
            let method = if outward { Method::Send } else { Method::Data };
            let builder = Builder::new(Class::Indication, method, [7; 12]);
            let builder = builder.xor_address(kind::XOR_PEER_ADDRESS, peer).attribute(kind::DATA, inner);
            builder.finish().expect("a packet that fits into an indication")
        }
    };
    let (ends, bare) = match outward {
        true => ((client, relay.server), (relayed, peer)),
        false => ((relay.server, client), (peer, relayed)),
    };
    let leg = |time: i64, (from, to), payload: Vec<u8>| Packet {
        traffic_byte: packet.traffic_byte,
        struck: packet.struck,
        ..Packet::udp(time, from, to, 0, payload)
    };
    let (first, second) = if outward { (0, HOP) } else { (HOP, 0) };
    let near = leg(packet.time + first, ends, wrapped);
    let far = leg(packet.time + second, bare, inner.to_vec());
    if relay.outer { vec![near, far] } else { vec![near] }
}

fn handshake(first: &Packet, (src, dst): (u16, u16)) -> [Packet; 3] {
    let segment = |at: i64, reversed: bool, seq: u32, flags: u8| {
        let (src_port, dst_port) = if reversed { (dst, src) } else { (src, dst) };
        let ends = if reversed { (first.dst, first.src) } else { (first.src, first.dst) };
        let body = Body::Tcp { src_port, dst_port, seq, flags, payload: Vec::new() };
        Packet {
            time: first.time - HOP * at,
            src: ends.0,
            dst: ends.1,
            body,
            struck: false,
            ..*first_of(first)
        }
    };
    [segment(3, false, 1000, 2), segment(2, true, 5000, 0x12), segment(1, false, 1001, 0x10)]
}

fn first_of(packet: &Packet) -> Box<Packet> {
    Box::new(packet.clone())
}

/// Fragments break at a multiple of eight; the first holds the ports.
fn pieces(packet: Packet, id: u32) -> Vec<Packet> {
    let (protocol, bytes) = transport(&packet.body);
    let cut = (bytes.len() / 2).next_multiple_of(8).min(bytes.len());
    let piece = |offset: usize, more: bool, bytes: &[u8]| Packet {
        body: Body::Piece { protocol, id, offset, more, bytes: bytes.to_vec() },
        ..packet.clone()
    };
    vec![piece(0, true, &bytes[..cut]), piece(cut, false, &bytes[cut..])]
}

fn icmp_error(packet: &Packet) -> Packet {
    let quoted = crate::encode::frame(packet, Link::Raw, true).expect("an IP packet");
    let quoted = &quoted[..quoted.len().min(120)];
    let (protocol, head) = match packet.src {
        IpAddr::V4(_) => (protocol::ICMP, [3, 3]),
        IpAddr::V6(_) => (protocol::ICMPV6, [1, 4]),
    };
    let bytes = [&head[..], &[0; 6], quoted].concat();
    let body = Body::Ip { protocol, bytes };
    let time = packet.time + HOP;
    Packet {
        time,
        src: packet.dst,
        dst: packet.src,
        traffic_byte: byte(54),
        body,
        interface: packet.interface,
        struck: false,
    }
}

/// Media of one host.
pub fn media_from(host: IpAddr) -> impl Which {
    both(media, crate::packet::from(host))
}

/// RTP of one host.
pub fn rtp_from(host: IpAddr) -> impl Which {
    both(rtp, crate::packet::from(host))
}
