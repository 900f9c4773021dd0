//! How a rule, and what it is found by, lie in memory that the kernel's program reads too.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU64;

use carillon_wire::ip::{Dscp, Ecn};

use super::super::ledger::Towards;

/// Bytes of a key.
pub(super) const KEY: usize = 16;
/// Bytes of a value.
pub(super) const VALUE: usize = 72;

/// Where in a value; numbers of the network are in its order, others in the machine's.
pub(super) mod at {
    pub(in super::super) const SOURCE: i16 = 0;
    pub(in super::super) const DESTINATION: i16 = 4;
    /// Both, source first.
    pub(in super::super) const PORTS: i16 = 8;
    pub(in super::super) const CHANNEL: i16 = 12;
    pub(in super::super) const TRAFFIC: i16 = 14;
    /// 0 to the peer, 1 to the client.
    pub(in super::super) const TOWARDS: i16 = 15;
    pub(in super::super) const INTERFACE: i16 = 16;
    pub(in super::super) const NEXT_HOP: i16 = 20;
    pub(in super::super) const MTU: i16 = 24;
    pub(in super::super) const CAME_BY: i16 = 28;
    pub(in super::super) const PRIORITY: i16 = 32;
    pub(in super::super) const BOOK: i16 = 36;
    pub(in super::super) const ACCOUNT: i16 = 40;
    pub(in super::super) const IP_SUM: i16 = 44;
    pub(in super::super) const PORT_RATE: i16 = 48;
    pub(in super::super) const POLICED_RATE: i16 = 56;
    pub(in super::super) const ACCOUNT_RATE: i16 = 64;
    /// What the checksum of UDP gains or loses with addresses, ports, the channel's number and twice the length, from 0 to 0xffff.
    /// The upper half of the sum of the IP header, which needs only its lower.
    pub(in super::super) const UDP_SUM: i16 = 46;
}

/// What a packet is found by. Of a peer's the channel is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) remote: SocketAddrV4,
    pub(super) local: SocketAddrV4,
    pub(super) channel: u16,
}

/// Where the next one on the way is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    /// By which interface.
    pub(super) interface: u32,
    /// Who, on the link.
    pub(super) next_hop: Ipv4Addr,
    /// The longest packet, from the IP header on.
    pub(super) mtu: u32,
}

/// One direction of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Carry {
    pub(super) towards: Towards,
    pub(super) channel: u16,
    /// What it was addressed by when it came.
    pub(super) came: (SocketAddrV4, SocketAddrV4),
    /// How it leaves: source and destination.
    pub(super) leaves: (SocketAddrV4, SocketAddrV4),
    pub(super) mark: Dscp,
    pub(super) ttl: u8,
    pub(super) way: Way,
    /// The interface that it has to come by: the one that leads back.
    pub(super) came_by: u32,
    pub(super) book: u32,
    pub(super) account: Option<u32>,
    pub(super) port_rate: Option<NonZeroU64>,
    pub(super) policed_rate: Option<NonZeroU64>,
    pub(super) account_rate: Option<NonZeroU64>,
}

impl Key {
    pub(super) fn bytes(&self) -> [u8; KEY] {
        let addresses = [self.remote, self.local].map(|one| one.ip().octets());
        let rest = [self.remote.port(), self.local.port(), self.channel].map(u16::to_be_bytes);
        let mut key = [0; KEY];
        let parts = addresses.as_flattened().iter().chain(rest.as_flattened());
        key.iter_mut().zip(parts).for_each(|(to, byte)| *to = *byte);
        key
    }
}

impl Carry {
    pub(super) fn bytes(&self) -> [u8; VALUE] {
        let mut value = [0; VALUE];
        let mut put = |at: i16, bytes: &[u8]| {
            let place = value.get_mut(usize::from(at.unsigned_abs())..).unwrap_or_default();
            place.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        };
        let (source, destination) = self.leaves;
        put(at::SOURCE, &source.ip().octets());
        put(at::DESTINATION, &destination.ip().octets());
        put(at::PORTS, [source.port(), destination.port()].map(u16::to_be_bytes).as_flattened());
        put(at::CHANNEL, &self.channel.to_be_bytes());
        let traffic = self.mark.traffic_byte(Ecn::NotCapable);
        put(at::TRAFFIC, &[traffic]);
        put(at::TOWARDS, &[u8::from(self.towards == Towards::Client)]);
        put(at::INTERFACE, &self.way.interface.to_ne_bytes());
        put(at::NEXT_HOP, &self.way.next_hop.octets());
        put(at::MTU, &self.way.mtu.to_ne_bytes());
        put(at::CAME_BY, &self.came_by.to_ne_bytes());
        put(at::PRIORITY, &priority(traffic).to_ne_bytes());
        put(at::BOOK, &self.book.to_ne_bytes());
        put(at::ACCOUNT, &self.account.unwrap_or_default().to_ne_bytes());
        put(at::IP_SUM, &fold(self.ip_sum()).to_ne_bytes());
        put(at::UDP_SUM, &fold(self.udp_sum()).to_ne_bytes());
        let rate = |rate: Option<NonZeroU64>| rate.map_or(0, NonZeroU64::get).to_ne_bytes();
        put(at::PORT_RATE, &rate(self.port_rate));
        put(at::POLICED_RATE, &rate(self.policed_rate));
        put(at::ACCOUNT_RATE, &rate(self.account_rate.filter(|_| self.account.is_some())));
        value
    }

    /// Of the header as it leaves, but for its traffic byte, its length and this sum itself.
    fn ip_sum(&self) -> u32 {
        let (source, destination) = self.leaves;
        let fixed = [[0x45, 0], [0x40, 0], [self.ttl, 17]];
        words(fixed.as_flattened()) + words(&source.ip().octets()) + words(&destination.ip().octets())
    }

    fn udp_sum(&self) -> u32 {
        let of = |(one, other): (SocketAddrV4, SocketAddrV4)| {
            let ports = [one.port(), other.port()].map(u16::to_be_bytes);
            words(&one.ip().octets()) + words(&other.ip().octets()) + words(ports.as_flattened())
        };
        // The length of UDP is in it twice: in its header, and in the one that is only thought of (RFC 768).
        let header = words(&self.channel.to_be_bytes()) + words(&[0, 8]);
        match self.towards {
            Towards::Peer => of(self.leaves) + less(of(self.came)) + less(header),
            Towards::Client => of(self.leaves) + less(of(self.came)) + header,
        }
    }
}

/// The sum of 16-bit words as they lie: its folded form does not depend on the order of bytes (RFC 1071).
fn words(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).filter_map(|word| Some(u32::from(u16::from_ne_bytes(*word.first_chunk()?)))).sum()
}

/// What takes a sum away.
fn less(sum: u32) -> u32 {
    u32::from(!fold(sum))
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// What the kernel's queues go by, which a socket derives from the traffic byte (`rt_tos2priority`; `tc-prio(8)`).
fn priority(traffic: u8) -> u32 {
    match (traffic & 0x1e) >> 1 {
        0..4 => 0,
        4..8 => 2,
        8..12 => 6,
        _ => 4,
    }
}
