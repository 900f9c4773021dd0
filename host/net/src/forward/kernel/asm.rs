//! Instructions of BPF as values (RFC 9669): what a program of ours is written with, so that no compiler is needed to build it.

use std::collections::BTreeMap;

/// A register: 0 has results, 1 to 5 arguments, 6 to 9 outlive calls, 10 is the end of the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reg(u8);

pub(super) const R0: Reg = Reg(0);
pub(super) const R1: Reg = Reg(1);
pub(super) const R2: Reg = Reg(2);
pub(super) const R3: Reg = Reg(3);
pub(super) const R4: Reg = Reg(4);
pub(super) const R5: Reg = Reg(5);
pub(super) const R6: Reg = Reg(6);
pub(super) const R7: Reg = Reg(7);
pub(super) const R8: Reg = Reg(8);
pub(super) const R9: Reg = Reg(9);
pub(super) const STACK: Reg = Reg(10);

/// What is computed with: a register or a number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand {
    Reg(Reg),
    Number(i32),
}

/// How much is loaded or stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Width {
    Byte = 0x10,
    Half = 0x08,
    Word = 0x00,
    Double = 0x18,
}

/// With 64 bits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alu {
    Add = 0x00,
    Subtract = 0x10,
    Multiply = 0x20,
    Divide = 0x30,
    Or = 0x40,
    And = 0x50,
    ShiftLeft = 0x60,
    ShiftRight = 0x70,
    Xor = 0xa0,
    Move = 0xb0,
}

/// Without signs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition {
    Equal = 0x10,
    Greater = 0x20,
    NotLess = 0x30,
    NotEqual = 0x50,
}

/// Functions of the kernel, by their numbers in `linux/bpf.h`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Helper {
    MapLookup = 1,
    Nanoseconds = 5,
    PullData = 39,
    AdjustRoom = 50,
    RedirectNeighbour = 152,
}

const LOAD: u8 = 0x61;
const STORE_NUMBER: u8 = 0x62;
const STORE: u8 = 0x63;
const ATOMIC: u8 = 0xdb;
const ALU64: u8 = 0x07;
const JUMP: u8 = 0x05;
const REGISTER: u8 = 0x08;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const TO_BIG_ENDIAN: u8 = 0xdc;
/// 64 bits of a constant in two instructions; as a source 1 it is the descriptor of a map.
const CONSTANT: u8 = 0x18;
const MAP: u8 = 1;
const ATOMIC_ADD: i32 = 0x00;
const COMPARE_AND_SWAP: i32 = 0xf1;

#[derive(Clone, Copy, Debug)]
struct Instruction {
    code: u8,
    to: u8,
    from: u8,
    offset: i16,
    number: i32,
}

/// A program that is being written. Jumps name labels, which are set once, before or after.
#[derive(Default)]
pub(super) struct Assembler {
    instructions: Vec<Instruction>,
    labels: BTreeMap<&'static str, usize>,
    jumps: Vec<(usize, &'static str)>,
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Operand {
        Operand::Reg(reg)
    }
}

impl From<i32> for Operand {
    fn from(number: i32) -> Operand {
        Operand::Number(number)
    }
}

impl Assembler {
    /// The next instruction is where jumps to this label lead.
    pub(super) fn label(&mut self, label: &'static str) {
        self.labels.insert(label, self.instructions.len());
    }

    /// `to = *(from + offset)`
    pub(super) fn load(&mut self, width: Width, to: Reg, from: Reg, offset: i16) {
        self.push(LOAD | width as u8, to, from, offset, 0);
    }

    /// `*(at + offset) = value`
    pub(super) fn store(&mut self, width: Width, at: Reg, offset: i16, value: impl Into<Operand>) {
        match value.into() {
            Operand::Reg(from) => self.push(STORE | width as u8, at, from, offset, 0),
            Operand::Number(number) => self.push(STORE_NUMBER | width as u8, at, R0, offset, number),
        }
    }

    /// `to = to OP operand`
    pub(super) fn alu(&mut self, operation: Alu, to: Reg, operand: impl Into<Operand>) {
        match operand.into() {
            Operand::Reg(from) => self.push(ALU64 | REGISTER | operation as u8, to, from, 0, 0),
            Operand::Number(number) => self.push(ALU64 | operation as u8, to, R0, 0, number),
        }
    }

    /// `to = operand`
    pub(super) fn set(&mut self, to: Reg, operand: impl Into<Operand>) {
        self.alu(Alu::Move, to, operand);
    }

    /// The lower 16 bits as they lie in a packet, the others 0; and back.
    pub(super) fn network_order(&mut self, reg: Reg) {
        self.push(TO_BIG_ENDIAN, reg, R0, 0, 16);
    }

    /// Jumps if it is so.
    pub(super) fn jump_if(
        &mut self,
        one: Reg,
        condition: Condition,
        other: impl Into<Operand>,
        label: &'static str,
    ) {
        self.jumps.push((self.instructions.len(), label));
        match other.into() {
            Operand::Reg(from) => self.push(JUMP | REGISTER | condition as u8, one, from, 0, 0),
            Operand::Number(number) => self.push(JUMP | condition as u8, one, R0, 0, number),
        }
    }

    /// Jumps.
    pub(super) fn jump(&mut self, label: &'static str) {
        self.jumps.push((self.instructions.len(), label));
        self.push(JUMP, R0, R0, 0, 0);
    }

    /// `*(at + offset) += value`, which nobody comes between.
    pub(super) fn atomic_add(&mut self, at: Reg, offset: i16, value: Reg) {
        self.push(ATOMIC, at, value, offset, ATOMIC_ADD);
    }

    /// `*(at + offset) = new` if that is what R0 says, and R0 is what it was.
    pub(super) fn compare_and_swap(&mut self, at: Reg, offset: i16, new: Reg) {
        self.push(ATOMIC, at, new, offset, COMPARE_AND_SWAP);
    }

    /// `to` = a map, by its descriptor.
    pub(super) fn map(&mut self, to: Reg, descriptor: i32) {
        self.push(CONSTANT, to, Reg(MAP), 0, descriptor);
        self.push(0, R0, R0, 0, 0);
    }

    /// Calls a function of the kernel: R0 is what it says, R1 to R5 are lost.
    pub(super) fn call(&mut self, helper: Helper) {
        self.push(CALL, R0, R0, 0, helper as i32);
    }

    /// Ends with what R0 says.
    pub(super) fn exit(&mut self) {
        self.push(EXIT, R0, R0, 0, 0);
    }

    /// The program as the kernel takes it; the label that is missing, or too far away.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, &'static str> {
        for (at, label) in self.jumps {
            let to = self.labels.get(label).ok_or(label)?;
            let distance = i16::try_from(to.wrapping_sub(at + 1) as isize).map_err(|_| label)?;
            self.instructions.get_mut(at).ok_or(label)?.offset = distance;
        }
        Ok(self.instructions.iter().flat_map(|instruction| instruction.bytes()).collect())
    }

    fn push(&mut self, code: u8, to: Reg, from: Reg, offset: i16, number: i32) {
        self.instructions.push(Instruction { code, to: to.0, from: from.0, offset, number });
    }
}

impl Instruction {
    /// On a machine whose lowest byte comes first; others are refused before, see [`super::Kernel::start`].
    fn bytes(self) -> [u8; 8] {
        let [o0, o1] = self.offset.to_le_bytes();
        let [n0, n1, n2, n3] = self.number.to_le_bytes();
        [self.code, self.from << 4 | self.to, o0, o1, n0, n1, n2, n3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(write: impl FnOnce(&mut Assembler)) -> Vec<u8> {
        let mut program = Assembler::default();
        write(&mut program);
        program.finish().unwrap()
    }

    /// As `llvm-mc -triple=bpfel` writes them.
    #[test]
    fn instructions_are_those_of_others() {
        let cases: [(Vec<u8>, &[u8]); 9] = [
            (bytes(|a| a.set(R1, R6)), &[0xbf, 0x61, 0, 0, 0, 0, 0, 0]),
            (bytes(|a| a.set(R0, -1)), &[0xb7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
            (bytes(|a| a.load(Width::Half, R4, R2, 38)), &[0x69, 0x24, 38, 0, 0, 0, 0, 0]),
            (bytes(|a| a.store(Width::Word, STACK, -4, R0)), &[0x63, 0x0a, 0xfc, 0xff, 0, 0, 0, 0]),
            (bytes(|a| a.store(Width::Word, STACK, -4, 7)), &[0x62, 0x0a, 0xfc, 0xff, 7, 0, 0, 0]),
            (bytes(|a| a.network_order(R5)), &[0xdc, 0x05, 0, 0, 16, 0, 0, 0]),
            (bytes(|a| a.atomic_add(R8, 16, R1)), &[0xdb, 0x18, 16, 0, 0, 0, 0, 0]),
            (bytes(|a| a.call(Helper::AdjustRoom)), &[0x85, 0, 0, 0, 50, 0, 0, 0]),
            (bytes(Assembler::exit), &[0x95, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn jumps_lead_to_their_labels_both_ways() {
        let program = bytes(|a| {
            a.label("again");
            a.jump_if(R1, Condition::Equal, R2, "end");
            a.jump_if(R1, Condition::NotEqual, 5, "again");
            a.label("end");
            a.exit();
        });
        assert_eq!(&program[..16], &[0x1d, 0x21, 1, 0, 0, 0, 0, 0, 0x55, 0x01, 0xfe, 0xff, 5, 0, 0, 0]);
        let mut program = Assembler::default();
        program.jump("nowhere");
        assert_eq!(program.finish(), Err("nowhere"));
    }
}
