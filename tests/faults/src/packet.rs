//! A packet taken out of its frame, so that it can be changed; and questions that pick packets.

use std::net::{IpAddr, SocketAddr};

use carillon_wire::ip::{Dscp, Ecn};
use carillon_wire::packet::Transport;
use carillon_wire::payload::{Kind, classify};

/// A packet on its way back into a capture.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Nanoseconds since 1970.
    pub time: i64,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// DSCP and ECN.
    pub traffic_byte: u8,
    /// What lies on IP.
    pub body: Body,
    /// Interface it was captured on, for files with several.
    pub interface: u16,
    /// Whether the fault under test struck this packet.
    pub struck: bool,
}

/// What lies on IP.
#[derive(Clone, Debug)]
pub enum Body {
    /// A UDP datagram.
    Udp {
        /// Source port.
        src_port: u16,
        /// Destination port.
        dst_port: u16,
        /// Payload.
        payload: Vec<u8>,
    },
    /// A TCP segment.
    Tcp {
        /// Source port.
        src_port: u16,
        /// Destination port.
        dst_port: u16,
        /// Sequence number.
        seq: u32,
        /// Flags.
        flags: u8,
        /// Payload.
        payload: Vec<u8>,
    },
    /// One fragment of a datagram.
    Piece {
        /// Protocol of the datagram.
        protocol: u8,
        /// Identification.
        id: u32,
        /// Offset in bytes.
        offset: usize,
        /// Whether more follow.
        more: bool,
        /// This part of the datagram.
        bytes: Vec<u8>,
    },
    /// Anything else on IP.
    Ip {
        /// Protocol number.
        protocol: u8,
        /// What lies behind the IP header.
        bytes: Vec<u8>,
    },
    /// A frame that is no IP, whole, with its Ethernet header.
    Frame(Vec<u8>),
}

impl Packet {
    /// Takes a decoded frame apart.
    pub fn of(
        time: i64,
        interface: u16,
        packet: &carillon_wire::packet::Packet<'_>,
        ip_payload: &[u8],
    ) -> Packet {
        let body = match packet.transport {
            Transport::Udp(udp) => {
                Body::Udp { src_port: udp.src_port, dst_port: udp.dst_port, payload: udp.payload.to_vec() }
            }
            Transport::Tcp(tcp) => Body::Tcp {
                src_port: tcp.src_port,
                dst_port: tcp.dst_port,
                seq: tcp.seq,
                flags: tcp.flags,
                payload: tcp.payload.to_vec(),
            },
            _ => Body::Ip { protocol: packet.ip.protocol, bytes: ip_payload.to_vec() },
        };
        let (src, dst, traffic_byte) = (packet.ip.src, packet.ip.dst, packet.ip.traffic_byte);
        Packet { time, src, dst, traffic_byte, body, interface, struck: false }
    }

    /// A UDP datagram with this mark.
    pub fn udp(time: i64, from: SocketAddr, to: SocketAddr, dscp: u8, payload: Vec<u8>) -> Packet {
        let body = Body::Udp { src_port: from.port(), dst_port: to.port(), payload };
        Packet {
            time,
            src: from.ip(),
            dst: to.ip(),
            traffic_byte: byte(dscp),
            body,
            interface: 0,
            struck: false,
        }
    }

    /// Source and destination port, if the packet has any.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match self.body {
            Body::Udp { src_port, dst_port, .. } | Body::Tcp { src_port, dst_port, .. } => {
                Some((src_port, dst_port))
            }
            _ => None,
        }
    }

    /// Source and destination port, to be changed.
    pub fn ports_mut(&mut self) -> Option<(&mut u16, &mut u16)> {
        match &mut self.body {
            Body::Udp { src_port, dst_port, .. } | Body::Tcp { src_port, dst_port, .. } => {
                Some((src_port, dst_port))
            }
            _ => None,
        }
    }

    /// Payload of UDP or TCP.
    pub fn payload(&self) -> &[u8] {
        match &self.body {
            Body::Udp { payload, .. } | Body::Tcp { payload, .. } => payload,
            _ => &[],
        }
    }

    /// Payload of UDP or TCP, to be changed.
    pub fn payload_mut(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.body {
            Body::Udp { payload, .. } | Body::Tcp { payload, .. } => Some(payload),
            _ => None,
        }
    }

    /// Sequence number, timestamp and SSRC, if it is bare RTP.
    pub fn rtp(&self) -> Option<(u16, u32, u32)> {
        let word = |at: usize| self.payload().get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        is_kind(self, Kind::Rtp).then(|| Some((word(0)? as u16, word(4)?, word(8)?)))?
    }

    /// Writes the mark and leaves the ECN bits alone.
    pub fn mark(&mut self, dscp: u8) {
        self.traffic_byte = byte(dscp) | self.traffic_byte & 3;
    }

    /// The mark.
    pub fn dscp(&self) -> u8 {
        Dscp::from_traffic_byte(self.traffic_byte).value()
    }
}

/// The traffic byte of a mark.
pub fn byte(dscp: u8) -> u8 {
    Dscp::new(dscp).expect("a code point below 64").traffic_byte(Ecn::NotCapable)
}

/// A question about a packet.
pub trait Which: Fn(&Packet) -> bool + Copy {}
impl<F: Fn(&Packet) -> bool + Copy> Which for F {}

fn is_kind(packet: &Packet, kind: Kind) -> bool {
    matches!(&packet.body, Body::Udp { payload, .. } if classify(payload, payload.len() as u32) == kind)
}

/// Every packet that has ports.
pub fn everything(packet: &Packet) -> bool {
    packet.ports().is_some()
}

/// RTP over UDP.
pub fn rtp(packet: &Packet) -> bool {
    is_kind(packet, Kind::Rtp)
}

/// RTCP over UDP.
pub fn rtcp(packet: &Packet) -> bool {
    is_kind(packet, Kind::Rtcp)
}

/// RTP and RTCP over UDP.
pub fn media(packet: &Packet) -> bool {
    rtp(packet) || rtcp(packet)
}

/// Signaling, by its port.
pub fn sip(packet: &Packet) -> bool {
    packet.ports().is_some_and(|(src, dst)| src == 5060 || dst == 5060)
}

/// IPv6.
pub fn v6(packet: &Packet) -> bool {
    packet.src.is_ipv6()
}

/// Sent by this host.
pub fn from(host: IpAddr) -> impl Which {
    move |packet: &Packet| packet.src == host
}

/// Both are true.
pub fn both(a: impl Which, b: impl Which) -> impl Which {
    move |packet: &Packet| a(packet) && b(packet)
}

/// Sent from a port of this range.
pub fn from_ports(first: u16, last: u16) -> impl Which {
    move |packet: &Packet| packet.ports().is_some_and(|(src, _)| (first..=last).contains(&src))
}
