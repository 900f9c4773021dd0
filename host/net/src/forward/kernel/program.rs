//! The program that the kernel runs for each packet that comes in: a packet of a rule leaves as a socket would have sent it, every
//! other goes on to the sockets untouched.
//!
//! Nothing of a packet is changed before it is clear that it can leave: the only way back is before [`move_headers`].
//!
//! Registers: 6 the packet, 7 its rule, 8 its length and later the book of its port, 9 the first bytes of its payload and later
//! what it is charged.

use super::asm::Alu::{Add, And, Divide, Move, Multiply, Or, ShiftLeft, ShiftRight, Subtract, Xor};
use super::asm::Condition::{Equal, Greater, NotEqual, NotLess};
use super::asm::Width::{Byte, Double, Half, Word};
use super::asm::{Assembler, Helper, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, Reg, STACK};
use super::books::{self, LANE};
use super::layout::{Family, at};
use crate::forward::ledger::BURST;

/// What the program says of a packet (`linux/bpf.h`, `tcx_action_base`).
pub(super) const NEXT: i32 = -1;
pub(super) const DROP: i32 = 2;
#[cfg(test)]
pub(super) const REDIRECT: u32 = 7;

/// Fields of `__sk_buff`.
mod packet {
    pub(super) const LEN: i16 = 0;
    pub(super) const TYPE: i16 = 4;
    pub(super) const PROTOCOL: i16 = 16;
    pub(super) const VLAN: i16 = 20;
    pub(super) const PRIORITY: i16 = 32;
    pub(super) const INTERFACE: i16 = 40;
    pub(super) const DATA: i16 = 76;
    pub(super) const END: i16 = 80;
    pub(super) const GSO_SIZE: i16 = 176;
}

/// Where in a frame: Ethernet, IP without options or extensions, UDP.
#[derive(Clone, Copy)]
struct Frame {
    family: Family,
    /// And behind it the destination.
    source: i16,
    ports: i16,
    udp_length: i16,
    udp_sum: i16,
    payload: i16,
    /// Behind the header of ChannelData.
    data: i16,
}

impl Frame {
    fn of(family: Family) -> Frame {
        let (udp, addresses) = (NETWORK + family.header(), 2 * family.address());
        Frame {
            family,
            source: udp - addresses,
            ports: udp,
            udp_length: udp + 4,
            udp_sum: udp + 6,
            payload: udp + 8,
            data: udp + 8 + CHANNEL_HEADER,
        }
    }

    /// Of IP and UDP.
    fn headers(self) -> i32 {
        i32::from(self.family.header()) + 8
    }
}

/// Behind the header of Ethernet.
const NETWORK: i16 = 14;
/// RFC 8656, 12.4.
const CHANNEL_HEADER: i16 = 4;

/// In a header of IPv4.
mod v4 {
    pub(super) const VERSION: i16 = 14;
    pub(super) const TRAFFIC: i16 = 15;
    pub(super) const LENGTH: i16 = 16;
    pub(super) const ID: i16 = 18;
    pub(super) const FRAGMENT: i16 = 20;
    pub(super) const TTL: i16 = 22;
    pub(super) const PROTOCOL: i16 = 23;
    pub(super) const SUM: i16 = 24;
}

/// In a header of IPv6: version, traffic class and flow label share its first four bytes.
mod v6 {
    pub(super) const VERSION: i16 = 14;
    pub(super) const LABEL: i16 = 16;
    pub(super) const LENGTH: i16 = 18;
    pub(super) const NEXT_HEADER: i16 = 20;
    pub(super) const HOPS: i16 = 21;
}

/// Where on the stack. What a rule is found by ends at its top, as a key lies in the table.
mod stack {
    use super::Family;

    pub(super) const fn key(family: Family) -> i16 {
        -(family.key() as i16)
    }
    pub(super) const KEY_PORTS: i16 = -8;
    pub(super) const KEY_CHANNEL: i16 = -4;
    pub(super) const DATA_BYTE: i16 = -44;
    pub(super) const TRAFFIC: i16 = -48;
    pub(super) const SUM: i16 = -52;
    pub(super) const LENGTH: i16 = -56;
    pub(super) const PLACE: i16 = -60;
    pub(super) const ACCOUNT: i16 = -72;
    pub(super) const GROUP: i16 = -80;
    pub(super) const NOW: i16 = -88;
    pub(super) const NEIGHBOUR: i16 = -112;
}

const UDP: i32 = 17;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const SECOND: i32 = 1_000_000_000;
/// The size of a `struct bpf_redir_neigh`.
const NEIGHBOUR: i32 = 20;
/// `BPF_ADJ_ROOM_MAC`: between the headers of Ethernet and of IP.
const BEHIND_ETHERNET: i32 = 1;
const TO_THE_SOCKETS: &str = "to the sockets";

/// The meters that a packet is paid from: where the rate is in the rule, and where in a book.
const METERS: [(i16, Payer, i16); 4] = [
    (at::PORT_RATE, Payer::Port, books::ALL),
    (at::POLICED_RATE, Payer::Port, books::POLICED),
    (at::ACCOUNT_RATE, Payer::Account, books::ALL),
    (at::GROUP_RATE, Payer::Group, books::ALL),
];

#[derive(Clone, Copy)]
enum Payer {
    Port,
    Account,
    Group,
}

/// The program for packets of a family, and these maps; what is wrong with it is a label.
pub(super) fn program(family: Family, rules: i32, books: i32) -> Result<Vec<u8>, &'static str> {
    let (mut a, f) = (Assembler::default(), Frame::of(family));
    admit(&mut a, f);
    whole_headers(&mut a, f);
    match family {
        Family::V4 => check_v4(&mut a),
        Family::V6 => check_v6(&mut a),
    }
    check_udp(&mut a, f);
    not_unfinished(&mut a, f);
    remember(&mut a, f);
    find(&mut a, f, rules);
    direction(&mut a);
    find_books(&mut a, books);
    room(&mut a);
    move_headers(&mut a);
    charge(&mut a, f);
    begin(&mut a, f);
    match family {
        Family::V4 => write_v4(&mut a),
        Family::V6 => write_v6(&mut a),
    }
    write_udp(&mut a, f);
    send(&mut a, f);
    a.label("over budget");
    a.set(R1, 1);
    a.atomic_add(R8, books::DROPPED, R1);
    a.label("drop");
    a.set(R0, DROP);
    a.exit();
    a.label(TO_THE_SOCKETS);
    a.set(R0, NEXT);
    a.exit();
    a.finish()
}

/// One packet of the family to this machine: no train of several (GSO), no tag of a VLAN.
fn admit(a: &mut Assembler, f: Frame) {
    a.set(R6, R1);
    let protocol = match f.family {
        Family::V4 => IPV4,
        Family::V6 => IPV6,
    };
    for (field, expected) in [
        (packet::GSO_SIZE, 0),
        (packet::TYPE, 0),
        (packet::VLAN, 0),
        (packet::PROTOCOL, i32::from(protocol.to_be())),
    ] {
        a.load(Word, R0, R6, field);
        a.jump_if(R0, NotEqual, expected, TO_THE_SOCKETS);
    }
}

/// R2: the frame, whose headers lie in one piece, and of its data as much as [`move_headers`] takes off it again: what is written
/// after that has to lie there still. What is shorter goes to the sockets.
fn whole_headers(a: &mut Assembler, f: Frame) {
    let least = f.data + CHANNEL_HEADER;
    look_at(a, least);
    a.jump_if(R3, NotLess, R4, "whole");
    a.set(R1, R6);
    a.set(R2, i32::from(least));
    a.call(Helper::PullData);
    a.jump_if(R0, NotEqual, 0, TO_THE_SOCKETS);
    look_at(a, least);
    a.jump_if(R4, Greater, R3, TO_THE_SOCKETS);
    a.label("whole");
}

/// R2: the frame, R3: its end, R4: behind so many bytes of it.
fn look_at(a: &mut Assembler, bytes: i16) {
    a.load(Word, R2, R6, packet::DATA);
    a.load(Word, R3, R6, packet::END);
    a.set(R4, R2);
    a.alu(Add, R4, i32::from(bytes));
}

/// R8: the length by its header of IP, which has no options; not cut. On the stack its traffic byte.
fn check_v4(a: &mut Assembler) {
    a.load(Byte, R0, R2, v4::VERSION);
    a.jump_if(R0, NotEqual, 0x45, TO_THE_SOCKETS);
    a.load(Byte, R0, R2, v4::PROTOCOL);
    a.jump_if(R0, NotEqual, UDP, TO_THE_SOCKETS);
    a.load(Half, R0, R2, v4::FRAGMENT);
    // More fragments, or not the first.
    a.alu(And, R0, i32::from(0x3fff_u16.to_be()));
    a.jump_if(R0, NotEqual, 0, TO_THE_SOCKETS);
    a.load(Byte, R0, R2, v4::TRAFFIC);
    a.store(Word, STACK, stack::TRAFFIC, R0);
    a.load(Half, R8, R2, v4::LENGTH);
    a.network_order(R8);
}

/// The same of IPv6: what is cut, or has options, has another header before that of UDP.
fn check_v6(a: &mut Assembler) {
    a.load(Half, R0, R2, v6::VERSION);
    a.network_order(R0);
    a.set(R1, R0);
    a.alu(ShiftRight, R1, 12);
    a.jump_if(R1, NotEqual, 6, TO_THE_SOCKETS);
    a.alu(ShiftRight, R0, 4);
    a.alu(And, R0, 0xff);
    a.store(Word, STACK, stack::TRAFFIC, R0);
    a.load(Byte, R0, R2, v6::NEXT_HEADER);
    a.jump_if(R0, NotEqual, UDP, TO_THE_SOCKETS);
    a.load(Half, R8, R2, v6::LENGTH);
    a.network_order(R8);
    a.alu(Add, R8, i32::from(Family::V6.header()));
}

/// R5: the checksum of UDP, which is there. Nothing lies behind what it is of.
fn check_udp(a: &mut Assembler, f: Frame) {
    a.load(Word, R0, R6, packet::LEN);
    a.alu(Subtract, R0, i32::from(NETWORK));
    a.jump_if(R0, NotEqual, R8, TO_THE_SOCKETS);
    a.load(Half, R0, R2, f.udp_length);
    a.network_order(R0);
    a.alu(Add, R0, i32::from(f.family.header()));
    a.jump_if(R0, NotEqual, R8, TO_THE_SOCKETS);
    a.load(Half, R5, R2, f.udp_sum);
    a.jump_if(R5, Equal, 0, TO_THE_SOCKETS);
}

/// A sender on this machine may leave the checksum to a network card (CHECKSUM_PARTIAL); where the header is, is noted where no
/// program can correct it. Such a packet has the sum of the header that is only thought of, and nothing more.
fn not_unfinished(a: &mut Assembler, f: Frame) {
    a.load(Half, R1, R2, f.udp_length);
    for word in words(2 * f.family.address()) {
        a.load(Word, R0, R2, f.source + word);
        a.alu(Add, R1, R0);
    }
    a.alu(Add, R1, i32::from((UDP as u16).to_be()));
    fold(a, R1);
    a.jump_if(R1, Equal, R5, TO_THE_SOCKETS);
}

/// Where words of so many bytes begin.
fn words(bytes: i16) -> impl Iterator<Item = i16> {
    (0..bytes).step_by(4)
}

/// The sum of 16-bit words in one of them.
fn fold(a: &mut Assembler, sum: Reg) {
    for _ in 0..3 {
        a.set(R0, sum);
        a.alu(ShiftRight, R0, 16);
        a.alu(And, sum, 0xffff);
        a.alu(Add, sum, R0);
    }
}

/// What is asked for after the frame has moved.
fn remember(a: &mut Assembler, f: Frame) {
    a.store(Word, STACK, stack::SUM, R5);
    a.load(Byte, R0, R2, f.data);
    a.store(Word, STACK, stack::DATA_BYTE, R0);
    a.load(Word, R9, R2, f.payload);
    for word in words(2 * f.family.address()) {
        a.load(Word, R0, R2, f.source + word);
        a.store(Word, STACK, stack::key(f.family) + word, R0);
    }
    a.load(Word, R0, R2, f.ports);
    a.store(Word, STACK, stack::KEY_PORTS, R0);
}

/// R7: the rule of the packet, as ChannelData of a client if it looks like it and has the right length, else as a peer's.
fn find(a: &mut Assembler, f: Frame, rules: i32) {
    a.set(R0, R9);
    a.alu(And, R0, 0xc0);
    a.jump_if(R0, NotEqual, 0x40, "of a peer");
    a.set(R0, R9);
    a.alu(ShiftRight, R0, 16);
    a.network_order(R0);
    a.alu(Add, R0, f.headers() + 4);
    a.jump_if(R0, NotEqual, R8, "of a peer");
    a.set(R0, R9);
    a.alu(And, R0, 0xffff);
    a.store(Word, STACK, stack::KEY_CHANNEL, R0);
    lookup(a, rules, stack::key(f.family));
    a.jump_if(R0, NotEqual, 0, "found");
    a.label("of a peer");
    a.store(Word, STACK, stack::KEY_CHANNEL, 0);
    lookup(a, rules, stack::key(f.family));
    a.jump_if(R0, Equal, 0, TO_THE_SOCKETS);
    a.label("found");
    a.set(R7, R0);
}

fn lookup(a: &mut Assembler, map: i32, key: i16) {
    a.map(R1, map);
    a.set(R2, STACK);
    a.alu(Add, R2, i32::from(key));
    a.call(Helper::MapLookup);
}

/// R9: what is charged, which is the packet as it is towards the peer. What may be STUN inside goes to the sockets, which count it,
/// and so does what came another way than it would go back, and what does not fit.
fn direction(a: &mut Assembler) {
    a.load(Byte, R0, R7, at::TOWARDS);
    a.jump_if(R0, NotEqual, 0, "to a client");
    a.load(Word, R1, STACK, stack::DATA_BYTE);
    a.alu(Subtract, R8, 4);
    a.set(R9, R8);
    a.jump("sized");
    a.label("to a client");
    a.set(R1, R9);
    a.set(R9, R8);
    a.alu(Add, R8, 4);
    a.label("sized");
    a.store(Word, STACK, stack::LENGTH, R8);
    // RFC 7983, 7: of STUN the first byte is 3 at most.
    a.alu(And, R1, 0xff);
    a.jump_if(R1, Greater, 3, "no STUN");
    a.jump(TO_THE_SOCKETS);
    a.label("no STUN");
    a.load(Word, R0, R6, packet::INTERFACE);
    a.load(Word, R1, R7, at::CAME_BY);
    a.jump_if(R0, NotEqual, R1, TO_THE_SOCKETS);
    a.load(Word, R1, R7, at::MTU);
    a.jump_if(R8, Greater, R1, TO_THE_SOCKETS);
}

/// R8: the book of the port, on the stack those of account and group, each from where the direction begins.
fn find_books(a: &mut Assembler, books: i32) {
    for (field, keep) in
        [(at::BOOK, None), (at::ACCOUNT, Some(stack::ACCOUNT)), (at::GROUP, Some(stack::GROUP))]
    {
        a.load(Word, R0, R7, field);
        a.store(Word, STACK, stack::PLACE, R0);
        lookup(a, books, stack::PLACE);
        a.jump_if(R0, Equal, 0, TO_THE_SOCKETS);
        a.load(Byte, R1, R7, at::TOWARDS);
        a.alu(And, R1, 1);
        a.alu(Multiply, R1, LANE);
        a.alu(Add, R0, R1);
        match keep {
            Some(place) => a.store(Double, STACK, place, R0),
            None => a.set(R8, R0),
        }
    }
}

/// All meters have room, or the packet is dropped.
fn room(a: &mut Assembler) {
    a.call(Helper::Nanoseconds);
    a.store(Double, STACK, stack::NOW, R0);
    a.set(R3, R0);
    a.alu(Add, R3, BURST.as_nanos() as i32);
    for (number, (rate, payer, meter)) in METERS.into_iter().enumerate() {
        let next = ["room in the first", "room in the second", "room in the third", "room in all"][number];
        a.load(Double, R1, R7, rate);
        a.jump_if(R1, Equal, 0, next);
        let book = book(a, payer);
        a.load(Double, R2, book, meter);
        a.jump_if(R2, Greater, R3, "over budget");
        a.label(next);
    }
}

/// Where a meter's book is.
fn book(a: &mut Assembler, payer: Payer) -> Reg {
    match payer {
        Payer::Port => R8,
        Payer::Account => loaded(a, stack::ACCOUNT),
        Payer::Group => loaded(a, stack::GROUP),
    }
}

fn loaded(a: &mut Assembler, place: i16) -> Reg {
    a.load(Double, R4, STACK, place);
    R4
}

/// The header of ChannelData goes, or gets its room: at the place where headers begin, for all of them are written anew.
fn move_headers(a: &mut Assembler) {
    a.load(Byte, R0, R7, at::TOWARDS);
    a.set(R2, -i32::from(CHANNEL_HEADER));
    a.jump_if(R0, Equal, 0, "direction known");
    a.set(R2, i32::from(CHANNEL_HEADER));
    a.label("direction known");
    a.set(R1, R6);
    a.set(R3, BEHIND_ETHERNET);
    a.set(R4, 0);
    a.call(Helper::AdjustRoom);
    a.jump_if(R0, NotEqual, 0, TO_THE_SOCKETS);
}

/// Pays, as `Meter::spend` does, and counts.
fn charge(a: &mut Assembler, f: Frame) {
    for (number, (rate, payer, meter)) in METERS.into_iter().enumerate() {
        let next = ["paid by the port", "paid as policed", "paid by the account", "paid by all"][number];
        let later = ["the port later", "the policed later", "the account later", "the group later"][number];
        a.load(Double, R1, R7, rate);
        a.jump_if(R1, Equal, 0, next);
        a.set(R2, R9);
        a.alu(Multiply, R2, SECOND);
        a.alu(Divide, R2, R1);
        let book = book(a, payer);
        a.load(Double, R0, book, meter);
        a.load(Double, R3, STACK, stack::NOW);
        a.jump_if(R0, NotLess, R3, later);
        a.compare_and_swap(book, meter, R3);
        a.label(later);
        a.atomic_add(book, meter, R2);
        a.label(next);
    }
    a.set(R1, 1);
    a.atomic_add(R8, books::PACKETS, R1);
    a.set(R1, R9);
    a.alu(Subtract, R1, f.headers());
    a.atomic_add(R8, books::BYTES, R1);
}

/// A header of our own, with the mark of the rule and the ECN bits that the packet came with (RFC 8656, 14). R2: the frame, R1: its
/// traffic byte, R5: its length.
fn begin(a: &mut Assembler, f: Frame) {
    look_at(a, f.data);
    a.jump_if(R4, Greater, R3, "drop");
    for word in words(2 * f.family.address()) {
        a.load(Word, R0, R7, at::ADDRESSES + word);
        a.store(Word, R2, f.source + word, R0);
    }
    a.load(Word, R0, R7, at::PORTS);
    a.store(Word, R2, f.ports, R0);
    a.load(Word, R1, STACK, stack::TRAFFIC);
    a.alu(And, R1, 3);
    a.load(Byte, R0, R7, at::TRAFFIC);
    a.alu(Or, R1, R0);
    a.load(Word, R5, STACK, stack::LENGTH);
}

fn write_v4(a: &mut Assembler) {
    a.network_order(R5);
    a.store(Byte, R2, v4::VERSION, 0x45);
    a.store(Byte, R2, v4::TRAFFIC, R1);
    a.store(Half, R2, v4::LENGTH, R5);
    a.store(Half, R2, v4::ID, 0);
    a.store(Half, R2, v4::FRAGMENT, i32::from(0x4000_u16.to_be()));
    a.load(Byte, R0, R7, at::HOPS);
    a.store(Byte, R2, v4::TTL, R0);
    a.store(Byte, R2, v4::PROTOCOL, UDP);
    a.alu(ShiftLeft, R1, 8);
    a.alu(Add, R1, R5);
    a.load(Half, R0, R7, at::IP_SUM);
    a.alu(Add, R1, R0);
    fold(a, R1);
    a.alu(Xor, R1, 0xffff);
    a.store(Half, R2, v4::SUM, R1);
}

fn write_v6(a: &mut Assembler) {
    a.alu(ShiftLeft, R1, 4);
    a.alu(Or, R1, 0x6000);
    a.load(Byte, R0, R7, at::LABEL_TOP);
    a.alu(Or, R1, R0);
    a.network_order(R1);
    a.store(Half, R2, v6::VERSION, R1);
    a.load(Half, R0, R7, at::LABEL);
    a.store(Half, R2, v6::LABEL, R0);
    a.alu(Subtract, R5, i32::from(Family::V6.header()));
    a.network_order(R5);
    a.store(Half, R2, v6::LENGTH, R5);
    a.store(Byte, R2, v6::NEXT_HEADER, UDP);
    a.load(Byte, R0, R7, at::HOPS);
    a.store(Byte, R2, v6::HOPS, R0);
}

/// The checksum changes by what the header changes by: one that was wrong stays wrong, and whoever receives it notices.
fn write_udp(a: &mut Assembler, f: Frame) {
    a.load(Word, R5, STACK, stack::LENGTH);
    a.alu(Subtract, R5, i32::from(f.family.header()));
    a.network_order(R5);
    a.store(Half, R2, f.udp_length, R5);
    a.load(Word, R1, STACK, stack::SUM);
    a.alu(Xor, R1, 0xffff);
    a.load(Half, R0, R7, at::UDP_SUM);
    a.alu(Add, R1, R0);
    // The length in the header of ChannelData.
    a.alu(Subtract, R9, f.headers());
    a.network_order(R9);
    a.load(Byte, R0, R7, at::TOWARDS);
    a.jump_if(R0, Equal, 0, "without a header");
    a.alu(Add, R1, R9);
    a.load(Half, R0, R7, at::CHANNEL);
    a.store(Half, R2, f.payload, R0);
    a.store(Half, R2, f.payload + 2, R9);
    a.jump("summed");
    a.label("without a header");
    a.alu(Xor, R9, 0xffff);
    a.alu(Add, R1, R9);
    a.label("summed");
    fold(a, R1);
    a.alu(Xor, R1, 0xffff);
    a.jump_if(R1, NotEqual, 0, "has a sum");
    a.set(R1, 0xffff);
    a.label("has a sum");
    a.store(Half, R2, f.udp_sum, R1);
}

/// To the next one on the way, whose address on the link the kernel finds out.
fn send(a: &mut Assembler, f: Frame) {
    a.load(Word, R0, R7, at::PRIORITY);
    a.store(Word, R6, packet::PRIORITY, R0);
    let (family, address) = match f.family {
        Family::V4 => (libc::AF_INET, at::ADDRESSES + 8),
        Family::V6 => (libc::AF_INET6, at::ADDRESSES + 32),
    };
    a.store(Word, STACK, stack::NEIGHBOUR, family);
    for word in words(16) {
        match word < f.family.address() {
            true => a.load(Word, R0, R7, address + word),
            false => a.set(R0, 0),
        }
        a.store(Word, STACK, stack::NEIGHBOUR + 4 + word, R0);
    }
    a.load(Word, R1, R7, at::INTERFACE);
    a.alu(Move, R2, STACK);
    a.alu(Add, R2, i32::from(stack::NEIGHBOUR));
    a.set(R3, NEIGHBOUR);
    a.set(R4, 0);
    a.call(Helper::RedirectNeighbour);
    a.exit();
}
