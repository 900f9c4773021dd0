//! How a rule, and what it is found by, lie in memory that the kernel's program reads too.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;

use carillon_wire::ip::{Dscp, Ecn};

use super::super::ledger::Towards;

/// Which header of IP packets of a rule have, on both sides of the relay. There is a program for each, and a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const ALL: [Family; 2] = [Family::V4, Family::V6];

    pub(super) fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Bytes of an address.
    pub(super) const fn address(self) -> i16 {
        match self {
            Family::V4 => 4,
            Family::V6 => 16,
        }
    }

    /// Bytes of the header, without options or extensions.
    pub(super) const fn header(self) -> i16 {
        match self {
            Family::V4 => 20,
            Family::V6 => 40,
        }
    }

    /// Bytes of a key.
    pub(super) const fn key(self) -> usize {
        2 * self.address() as usize + 8
    }

    /// Bytes of a value.
    pub(super) const fn value(self) -> usize {
        at::ADDRESSES as usize + 3 * self.address() as usize
    }
}

/// Where in a value; numbers of the network are in its order, others in the machine's.
pub(super) mod at {
    /// Both, source first.
    pub(in super::super) const PORTS: i16 = 0;
    pub(in super::super) const CHANNEL: i16 = 4;
    pub(in super::super) const TRAFFIC: i16 = 6;
    /// 0 to the peer, 1 to the client.
    pub(in super::super) const TOWARDS: i16 = 7;
    pub(in super::super) const INTERFACE: i16 = 8;
    pub(in super::super) const MTU: i16 = 12;
    pub(in super::super) const CAME_BY: i16 = 16;
    pub(in super::super) const PRIORITY: i16 = 20;
    pub(in super::super) const BOOK: i16 = 24;
    pub(in super::super) const ACCOUNT: i16 = 28;
    pub(in super::super) const GROUP: i16 = 32;
    pub(in super::super) const IP_SUM: i16 = 36;
    /// What the checksum of UDP gains or loses with addresses, ports, the channel's number and twice the length, from 0 to 0xffff.
    /// The upper half of the sum of the IP header, which needs only its lower.
    pub(in super::super) const UDP_SUM: i16 = 38;
    pub(in super::super) const PORT_RATE: i16 = 40;
    pub(in super::super) const POLICED_RATE: i16 = 48;
    pub(in super::super) const ACCOUNT_RATE: i16 = 56;
    pub(in super::super) const GROUP_RATE: i16 = 64;
    /// How far it may go: TTL, or hop limit.
    pub(in super::super) const HOPS: i16 = 72;
    /// The flow label of IPv6: its upper four bits, and the others.
    pub(in super::super) const LABEL_TOP: i16 = 73;
    pub(in super::super) const LABEL: i16 = 74;
    /// Source, destination, and the next one on the way, each as long as the family has it.
    pub(in super::super) const ADDRESSES: i16 = 76;
}

/// What a packet is found by, its addresses of one family. Of a peer's the channel is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) channel: u16,
}

/// Where the next one on the way is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    /// By which interface.
    pub(super) interface: u32,
    /// Who, on the link.
    pub(super) next_hop: IpAddr,
    /// The longest packet, from the IP header on.
    pub(super) mtu: u32,
    /// How far a packet of our own may go there.
    pub(super) hops: u8,
}

/// One direction of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Carry {
    pub(super) towards: Towards,
    pub(super) channel: u16,
    /// What it was addressed by when it came.
    pub(super) came: (SocketAddr, SocketAddr),
    /// How it leaves: source and destination.
    pub(super) leaves: (SocketAddr, SocketAddr),
    pub(super) mark: Dscp,
    pub(super) way: Way,
    /// The interface that it has to come by: the one that leads back.
    pub(super) came_by: u32,
    pub(super) book: u32,
    pub(super) account: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) port_rate: Option<NonZeroU64>,
    pub(super) policed_rate: Option<NonZeroU64>,
    pub(super) account_rate: Option<NonZeroU64>,
    pub(super) group_rate: Option<NonZeroU64>,
}

impl Key {
    pub(super) fn family(&self) -> Family {
        Family::of(self.remote.ip())
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.family().key());
        key.extend(octets(self.remote.ip()));
        key.extend(octets(self.local.ip()));
        for number in [self.remote.port(), self.local.port(), self.channel, 0] {
            key.extend(number.to_be_bytes());
        }
        key
    }
}

impl Carry {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (source, destination) = self.leaves;
        let family = Family::of(source.ip());
        let mut value = vec![0; family.value()];
        let mut put = |at: i16, bytes: &[u8]| {
            let place = value.get_mut(usize::from(at.unsigned_abs())..).unwrap_or_default();
            place.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        };
        put(at::PORTS, [source.port(), destination.port()].map(u16::to_be_bytes).as_flattened());
        put(at::CHANNEL, &self.channel.to_be_bytes());
        let traffic = self.mark.traffic_byte(Ecn::NotCapable);
        put(at::TRAFFIC, &[traffic]);
        put(at::TOWARDS, &[u8::from(self.towards == Towards::Client)]);
        put(at::IP_SUM, &fold(self.ip_sum()).to_ne_bytes());
        put(at::UDP_SUM, &fold(self.udp_sum()).to_ne_bytes());
        put(at::HOPS, &[self.way.hops]);
        let [_, top, label @ ..] = self.flow_label().to_be_bytes();
        put(at::LABEL_TOP, &[top]);
        put(at::LABEL, &label);
        for (at, number) in [
            (at::INTERFACE, self.way.interface),
            (at::MTU, self.way.mtu),
            (at::CAME_BY, self.came_by),
            (at::PRIORITY, priority(traffic)),
            (at::BOOK, self.book),
            (at::ACCOUNT, self.account.unwrap_or_default()),
            (at::GROUP, self.group.unwrap_or_default()),
        ] {
            put(at, &number.to_ne_bytes());
        }
        for (at, rate) in [
            (at::PORT_RATE, self.port_rate),
            (at::POLICED_RATE, self.policed_rate),
            (at::ACCOUNT_RATE, self.account_rate.filter(|_| self.account.is_some())),
            (at::GROUP_RATE, self.group_rate.filter(|_| self.group.is_some())),
        ] {
            put(at, &rate.map_or(0, NonZeroU64::get).to_ne_bytes());
        }
        let addresses = [source.ip(), destination.ip(), self.way.next_hop];
        put(at::ADDRESSES, &addresses.map(octets).concat());
        value
    }

    /// Of the header of IPv4 as it leaves, but for its traffic byte, its length and this sum itself. IPv6 has none.
    fn ip_sum(&self) -> u32 {
        let (source, destination) = self.leaves;
        let fixed = [[0x45, 0], [0x40, 0], [self.way.hops, 17]];
        words(fixed.as_flattened()) + words(&octets(source.ip())) + words(&octets(destination.ip()))
    }

    /// The same for all packets of the flow, and another for others (RFC 8656, 13.2; RFC 6437, 3).
    fn flow_label(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.leaves.hash(&mut hasher);
        hasher.finish() as u32 & 0xf_ffff
    }

    fn udp_sum(&self) -> u32 {
        let of = |(one, other): (SocketAddr, SocketAddr)| {
            let ports = [one.port(), other.port()].map(u16::to_be_bytes);
            words(&octets(one.ip())) + words(&octets(other.ip())) + words(ports.as_flattened())
        };
        // The length of UDP is in it twice: in its header, and in the one that is only thought of (RFC 768; RFC 8200, 8.1).
        let header = words(&self.channel.to_be_bytes()) + words(&[0, 8]);
        match self.towards {
            Towards::Peer => of(self.leaves) + less(of(self.came)) + less(header),
            Towards::Client => of(self.leaves) + less(of(self.came)) + header,
        }
    }
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
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
