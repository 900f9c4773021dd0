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
use super::layout::at;
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

/// Where in a frame: Ethernet, IPv4 without options, UDP.
mod frame {
    pub(super) const VERSION: i16 = 14;
    pub(super) const TRAFFIC: i16 = 15;
    pub(super) const LENGTH: i16 = 16;
    pub(super) const ID: i16 = 18;
    pub(super) const FRAGMENT: i16 = 20;
    pub(super) const TTL: i16 = 22;
    pub(super) const PROTOCOL: i16 = 23;
    pub(super) const IP_SUM: i16 = 24;
    pub(super) const SOURCE: i16 = 26;
    pub(super) const DESTINATION: i16 = 30;
    pub(super) const PORTS: i16 = 34;
    pub(super) const UDP_LENGTH: i16 = 38;
    pub(super) const UDP_SUM: i16 = 40;
    pub(super) const PAYLOAD: i16 = 42;
    /// Behind the header of ChannelData.
    pub(super) const DATA: i16 = 46;
}

/// Where on the stack.
mod stack {
    pub(super) const KEY: i16 = -16;
    pub(super) const KEY_LOCAL: i16 = -12;
    pub(super) const KEY_PORTS: i16 = -8;
    pub(super) const KEY_CHANNEL: i16 = -4;
    pub(super) const DATA_BYTE: i16 = -20;
    pub(super) const TRAFFIC: i16 = -24;
    pub(super) const SUM: i16 = -28;
    pub(super) const LENGTH: i16 = -32;
    pub(super) const PLACE: i16 = -36;
    pub(super) const ACCOUNT: i16 = -48;
    pub(super) const NOW: i16 = -56;
    pub(super) const NEIGHBOUR: i16 = -80;
}

const UDP: i32 = 17;
const IPV4: i32 = 0x0800;
/// IP and UDP.
const HEADERS: i32 = 28;
const SECOND: i32 = 1_000_000_000;
/// The size of a `struct bpf_redir_neigh`.
const NEIGHBOUR: i32 = 20;
/// `BPF_ADJ_ROOM_MAC`: between the headers of Ethernet and of IP.
const BEHIND_ETHERNET: i32 = 1;
const TO_THE_SOCKETS: &str = "to the sockets";

/// The meters that a packet is paid from: where the rate is in the rule, and where in a book.
const METERS: [(i16, Payer, i16); 3] = [
    (at::PORT_RATE, Payer::Port, books::ALL),
    (at::POLICED_RATE, Payer::Port, books::POLICED),
    (at::ACCOUNT_RATE, Payer::Account, books::ALL),
];

#[derive(Clone, Copy)]
enum Payer {
    Port,
    Account,
}

/// The program, for these maps and packets that live so long; what is wrong with it is a label.
pub(super) fn program(rules: i32, books: i32, ttl: u8) -> Result<Vec<u8>, &'static str> {
    let mut a = Assembler::default();
    admit(&mut a);
    whole_headers(&mut a);
    check_headers(&mut a);
    not_unfinished(&mut a);
    remember(&mut a);
    find(&mut a, rules);
    direction(&mut a);
    find_books(&mut a, books);
    room(&mut a);
    move_headers(&mut a);
    charge(&mut a);
    write_ip(&mut a, ttl);
    write_udp(&mut a);
    send(&mut a);
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

/// One packet of IPv4 to this machine: no train of several (GSO), no tag of a VLAN.
fn admit(a: &mut Assembler) {
    a.set(R6, R1);
    for (field, expected) in [
        (packet::GSO_SIZE, 0),
        (packet::TYPE, 0),
        (packet::VLAN, 0),
        (packet::PROTOCOL, i32::from((IPV4 as u16).to_be())),
    ] {
        a.load(Word, R0, R6, field);
        a.jump_if(R0, NotEqual, expected, TO_THE_SOCKETS);
    }
}

/// R2: the frame, whose headers and first byte of data lie in one piece.
fn whole_headers(a: &mut Assembler) {
    let least = frame::DATA + 1;
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

/// UDP without options of IP, not cut, nothing behind it, and with a checksum.
fn check_headers(a: &mut Assembler) {
    a.load(Byte, R0, R2, frame::VERSION);
    a.jump_if(R0, NotEqual, 0x45, TO_THE_SOCKETS);
    a.load(Byte, R0, R2, frame::PROTOCOL);
    a.jump_if(R0, NotEqual, UDP, TO_THE_SOCKETS);
    a.load(Half, R0, R2, frame::FRAGMENT);
    // More fragments, or not the first.
    a.alu(And, R0, i32::from(0x3fff_u16.to_be()));
    a.jump_if(R0, NotEqual, 0, TO_THE_SOCKETS);
    a.load(Half, R8, R2, frame::LENGTH);
    a.network_order(R8);
    a.load(Word, R0, R6, packet::LEN);
    a.alu(Subtract, R0, i32::from(frame::VERSION));
    a.jump_if(R0, NotEqual, R8, TO_THE_SOCKETS);
    a.load(Half, R0, R2, frame::UDP_LENGTH);
    a.network_order(R0);
    a.alu(Add, R0, 20);
    a.jump_if(R0, NotEqual, R8, TO_THE_SOCKETS);
    a.load(Half, R5, R2, frame::UDP_SUM);
    a.jump_if(R5, Equal, 0, TO_THE_SOCKETS);
}

/// A sender on this machine may leave the checksum to a network card (CHECKSUM_PARTIAL); where the header is, is noted where no
/// program can correct it. Such a packet has the sum of the header that is only thought of, and nothing more.
fn not_unfinished(a: &mut Assembler) {
    a.load(Word, R1, R2, frame::SOURCE);
    a.load(Word, R0, R2, frame::DESTINATION);
    a.alu(Add, R1, R0);
    a.load(Half, R0, R2, frame::UDP_LENGTH);
    a.alu(Add, R1, R0);
    a.alu(Add, R1, i32::from((UDP as u16).to_be()));
    fold(a, R1);
    a.jump_if(R1, Equal, R5, TO_THE_SOCKETS);
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
fn remember(a: &mut Assembler) {
    a.store(Word, STACK, stack::SUM, R5);
    a.load(Byte, R0, R2, frame::TRAFFIC);
    a.store(Word, STACK, stack::TRAFFIC, R0);
    a.load(Byte, R0, R2, frame::DATA);
    a.store(Word, STACK, stack::DATA_BYTE, R0);
    a.load(Word, R9, R2, frame::PAYLOAD);
    for (from, to) in [
        (frame::SOURCE, stack::KEY),
        (frame::DESTINATION, stack::KEY_LOCAL),
        (frame::PORTS, stack::KEY_PORTS),
    ] {
        a.load(Word, R0, R2, from);
        a.store(Word, STACK, to, R0);
    }
}

/// R7: the rule of the packet, as ChannelData of a client if it looks like it and has the right length, else as a peer's.
fn find(a: &mut Assembler, rules: i32) {
    a.set(R0, R9);
    a.alu(And, R0, 0xc0);
    a.jump_if(R0, NotEqual, 0x40, "of a peer");
    a.set(R0, R9);
    a.alu(ShiftRight, R0, 16);
    a.network_order(R0);
    a.alu(Add, R0, HEADERS + 4);
    a.jump_if(R0, NotEqual, R8, "of a peer");
    a.set(R0, R9);
    a.alu(And, R0, 0xffff);
    a.store(Word, STACK, stack::KEY_CHANNEL, R0);
    lookup(a, rules, stack::KEY);
    a.jump_if(R0, NotEqual, 0, "found");
    a.label("of a peer");
    a.store(Word, STACK, stack::KEY_CHANNEL, 0);
    lookup(a, rules, stack::KEY);
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

/// R8: the book of the port, on the stack that of the account, each from where the direction begins.
fn find_books(a: &mut Assembler, books: i32) {
    for (field, keep) in [(at::BOOK, false), (at::ACCOUNT, true)] {
        a.load(Word, R0, R7, field);
        a.store(Word, STACK, stack::PLACE, R0);
        lookup(a, books, stack::PLACE);
        a.jump_if(R0, Equal, 0, TO_THE_SOCKETS);
        a.load(Byte, R1, R7, at::TOWARDS);
        a.alu(And, R1, 1);
        a.alu(Multiply, R1, LANE);
        a.alu(Add, R0, R1);
        match keep {
            true => a.store(Double, STACK, stack::ACCOUNT, R0),
            false => a.set(R8, R0),
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
        let next = ["room in the first", "room in the second", "room in all"][number];
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
        Payer::Account => {
            a.load(Double, R4, STACK, stack::ACCOUNT);
            R4
        }
    }
}

/// The header of ChannelData goes, or gets its room: at the place where headers begin, for all of them are written anew.
fn move_headers(a: &mut Assembler) {
    a.load(Byte, R0, R7, at::TOWARDS);
    a.set(R2, -4);
    a.jump_if(R0, Equal, 0, "direction known");
    a.set(R2, 4);
    a.label("direction known");
    a.set(R1, R6);
    a.set(R3, BEHIND_ETHERNET);
    a.set(R4, 0);
    a.call(Helper::AdjustRoom);
    a.jump_if(R0, NotEqual, 0, TO_THE_SOCKETS);
}

/// Pays, as `Meter::spend` does, and counts.
fn charge(a: &mut Assembler) {
    for (number, (rate, payer, meter)) in METERS.into_iter().enumerate() {
        let next = ["paid by the port", "paid as policed", "paid by the account"][number];
        let later = ["later than the port", "later than the policed", "later than the account"][number];
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
    a.alu(Subtract, R1, HEADERS);
    a.atomic_add(R8, books::BYTES, R1);
}

/// A header of our own, with the mark of the rule and the ECN bits that the packet came with (RFC 8656, 14).
fn write_ip(a: &mut Assembler, ttl: u8) {
    look_at(a, frame::DATA);
    a.jump_if(R4, Greater, R3, "drop");
    a.load(Word, R1, STACK, stack::TRAFFIC);
    a.alu(And, R1, 3);
    a.load(Byte, R0, R7, at::TRAFFIC);
    a.alu(Or, R1, R0);
    a.store(Byte, R2, frame::VERSION, 0x45);
    a.store(Byte, R2, frame::TRAFFIC, R1);
    a.load(Word, R5, STACK, stack::LENGTH);
    a.network_order(R5);
    a.store(Half, R2, frame::LENGTH, R5);
    a.store(Half, R2, frame::ID, 0);
    a.store(Half, R2, frame::FRAGMENT, i32::from(0x4000_u16.to_be()));
    a.store(Byte, R2, frame::TTL, i32::from(ttl));
    a.store(Byte, R2, frame::PROTOCOL, UDP);
    for (from, to) in
        [(at::SOURCE, frame::SOURCE), (at::DESTINATION, frame::DESTINATION), (at::PORTS, frame::PORTS)]
    {
        a.load(Word, R0, R7, from);
        a.store(Word, R2, to, R0);
    }
    a.alu(ShiftLeft, R1, 8);
    a.alu(Add, R1, R5);
    a.load(Half, R0, R7, at::IP_SUM);
    a.alu(Add, R1, R0);
    fold(a, R1);
    a.alu(Xor, R1, 0xffff);
    a.store(Half, R2, frame::IP_SUM, R1);
}

/// The checksum changes by what the header changes by: one that was wrong stays wrong, and whoever receives it notices.
fn write_udp(a: &mut Assembler) {
    a.load(Word, R5, STACK, stack::LENGTH);
    a.alu(Subtract, R5, 20);
    a.network_order(R5);
    a.store(Half, R2, frame::UDP_LENGTH, R5);
    a.load(Word, R1, STACK, stack::SUM);
    a.alu(Xor, R1, 0xffff);
    a.load(Half, R0, R7, at::UDP_SUM);
    a.alu(Add, R1, R0);
    // The length in the header of ChannelData.
    a.alu(Subtract, R9, HEADERS);
    a.network_order(R9);
    a.load(Byte, R0, R7, at::TOWARDS);
    a.jump_if(R0, Equal, 0, "without a header");
    a.alu(Add, R1, R9);
    a.load(Half, R0, R7, at::CHANNEL);
    a.store(Half, R2, frame::PAYLOAD, R0);
    a.store(Half, R2, frame::PAYLOAD + 2, R9);
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
    a.store(Half, R2, frame::UDP_SUM, R1);
}

/// To the next one on the way, whose address on the link the kernel finds out.
fn send(a: &mut Assembler) {
    a.load(Word, R0, R7, at::PRIORITY);
    a.store(Word, R6, packet::PRIORITY, R0);
    a.store(Word, STACK, stack::NEIGHBOUR, libc::AF_INET);
    a.load(Word, R0, R7, at::NEXT_HOP);
    a.store(Word, STACK, stack::NEIGHBOUR + 4, R0);
    for word in 2..5 {
        a.store(Word, STACK, stack::NEIGHBOUR + 4 * word, 0);
    }
    a.load(Word, R1, R7, at::INTERFACE);
    a.alu(Move, R2, STACK);
    a.alu(Add, R2, i32::from(stack::NEIGHBOUR));
    a.set(R3, NEIGHBOUR);
    a.set(R4, 0);
    a.call(Helper::RedirectNeighbour);
    a.exit();
}
