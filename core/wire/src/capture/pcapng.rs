//! The pcapng format: typed blocks in sections, each with its own byte order and interfaces
//! (draft-ietf-opsawg-pcapng). Blocks without packets are passed over, whatever their length.

use std::sync::Arc;

use super::{CaptureError, Clock, Decoder, Format, Interface, MAX_RECORD_LEN, Order, Position, Record, Unit};
use crate::link::LinkType;

/// Reads the same in both byte orders.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
pub(super) const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
pub(super) const ENHANCED_PACKET: u32 = 6;

pub(super) const OPTION_NAME: u16 = 2;
pub(super) const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// A longer name is cut: it is only shown.
const NAME_LEN: usize = 256;
/// Type, length, and the length again at the end.
const FRAME_LEN: usize = 12;

/// What a packet block says about its packet.
pub(super) struct PacketFields {
    /// Length of the fixed part, where the packet's bytes begin.
    fixed: usize,
    interface: u32,
    stamp: u64,
    /// Bytes captured; a simple packet block does not say.
    captured: Option<u32>,
    original_len: u32,
}

type ReadFields = fn(Order, &[u8]) -> PacketFields;

/// How the packet block at the start of `bytes` is read; `None` if none starts there.
#[inline]
pub(super) fn kind_of_packet(order: Order, at: Position, bytes: &[u8]) -> Option<ReadFields> {
    if at.skip > 0 || bytes.len() < 8 {
        return None;
    }
    match order.u32_at(bytes, 0) {
        ENHANCED_PACKET => Some(enhanced_packet),
        SIMPLE_PACKET => Some(simple_packet),
        OBSOLETE_PACKET => Some(obsolete_packet),
        _ => None,
    }
}

impl Decoder {
    /// The record of the packet block at the start of `bytes`, which it moves behind it.
    #[inline]
    pub(super) fn packet_block<'a>(
        &mut self,
        order: Order,
        bytes: &mut &'a [u8],
        read: ReadFields,
    ) -> Result<Option<Record<'a>>, CaptureError> {
        let Some(block) = self.whole_block(order, bytes)? else { return Ok(None) };
        let fields = read(order, block);
        let (frame, offset) = (self.at.frame(), self.at.offset);
        let Some(interface) = self.interfaces.get(fields.interface as usize) else {
            let known = self.interfaces.len();
            return Err(CaptureError::UnknownInterface { frame, offset, interface: fields.interface, known });
        };
        let room = block.len().saturating_sub(fields.fixed + 4);
        let captured = fields.captured.unwrap_or_else(|| interface.cut(fields.original_len));
        let data = block.get(fields.fixed..).and_then(|rest| rest.get(..captured as usize));
        let Some(data) = data.filter(|data| data.len() <= room) else {
            return Err(CaptureError::RecordLength { frame, offset, length: captured, limit: room as u32 });
        };
        let (link, original_len) = (interface.link, fields.original_len);
        let time = interface.clock.nanos(fields.stamp);
        self.at.advance(bytes, block.len());
        self.at.frames = frame;
        Ok(Some(Record { frame, time, interface: fields.interface as u16, link, original_len, data }))
    }

    /// Reads or passes over what carries no packet: how many bytes, `None` if more are needed.
    pub(super) fn other_block(&mut self, order: Order, bytes: &[u8]) -> Result<Option<usize>, CaptureError> {
        if self.at.skip > 0 {
            return Ok(self.pass_over(bytes));
        }
        let Some(head) = bytes.first_chunk::<8>() else { return Ok(None) };
        match order.u32_at(head, 0) {
            SECTION_HEADER => self.section_header(bytes),
            INTERFACE => self.interface_block(order, bytes),
            other => self.unread_block(other, order.u32_at(head, 4)),
        }
    }

    /// Starts a section (the whole block is never needed: its options are passed over).
    pub(super) fn section_header(&mut self, bytes: &[u8]) -> Result<Option<usize>, CaptureError> {
        let Some(head) = bytes.first_chunk::<16>() else { return Ok(None) };
        let order = Order { big: head[8..12] == BYTE_ORDER_MAGIC.to_be_bytes() };
        if order.u32_at(head, 8) != BYTE_ORDER_MAGIC {
            let magic = [head[8], head[9], head[10], head[11]];
            return Err(CaptureError::ByteOrder { offset: self.at.offset, magic });
        }
        let (length, major) = (order.u32_at(head, 4), order.u16_at(head, 12));
        if major != 1 {
            return Err(CaptureError::Version { offset: self.at.offset, major });
        }
        if length < 28 || !length.is_multiple_of(4) {
            return Err(self.bad_length(length));
        }
        self.format = Format::Pcapng(order);
        self.interfaces = Arc::default();
        self.at.skip = u64::from(length) - 16;
        Ok(Some(16))
    }

    fn interface_block(&mut self, order: Order, bytes: &[u8]) -> Result<Option<usize>, CaptureError> {
        let Some(block) = self.whole_block(order, bytes)? else { return Ok(None) };
        let Some(options) = block.get(16..block.len() - 4) else {
            return Err(self.bad_length(block.len() as u32));
        };
        if self.interfaces.len() > usize::from(u16::MAX) {
            return Err(CaptureError::TooManyInterfaces { offset: self.at.offset });
        }
        let mut interface = Interface {
            link: LinkType::from_number(order.u16_at(block, 8)),
            snaplen: order.u32_at(block, 12),
            name: String::new(),
            clock: Clock::MICROS,
        };
        for (code, value) in (Options { order, rest: options }) {
            interface.apply(order, code, value);
        }
        Arc::make_mut(&mut self.interfaces).push(interface);
        Ok(Some(block.len()))
    }

    /// Passes over a block without a packet. Some of these Wireshark shows as a line of its own (tried with
    /// tshark 4.0), so that they take a frame number here too: journal entries, custom blocks, system calls.
    fn unread_block(&mut self, kind: u32, length: u32) -> Result<Option<usize>, CaptureError> {
        if length < FRAME_LEN as u32 || !length.is_multiple_of(4) {
            return Err(self.bad_length(length));
        }
        if matches!(kind, 9 | 0x0bad | 0x4000_0bad | 0x0204 | 0x0216) {
            self.at.frames = self.at.frame();
        }
        self.at.skip = u64::from(length) - 8;
        Ok(Some(8))
    }

    /// Continues over a block that may be longer than the caller's buffer.
    fn pass_over(&mut self, bytes: &[u8]) -> Option<usize> {
        let len = usize::try_from(self.at.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
        self.at.skip -= len as u64;
        (len > 0).then_some(len)
    }

    /// The block at the start of `bytes`, both its lengths checked; `None` if more bytes are needed.
    #[inline]
    fn whole_block<'a>(&self, order: Order, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, CaptureError> {
        let length = order.u32_at(bytes, 4);
        if length < FRAME_LEN as u32 || length > MAX_RECORD_LEN || !length.is_multiple_of(4) {
            return Err(self.bad_length(length));
        }
        let Some(block) = bytes.get(..length as usize) else { return Ok(None) };
        let repeated = order.u32_at(block, block.len() - 4);
        if repeated != length {
            return Err(self.bad_length(repeated));
        }
        Ok(Some(block))
    }

    fn bad_length(&self, length: u32) -> CaptureError {
        CaptureError::BlockLength { frame: self.at.frame(), offset: self.at.offset, length }
    }
}

impl Interface {
    /// What the snap length leaves of a packet.
    fn cut(&self, original_len: u32) -> u32 {
        if self.snaplen == 0 { original_len } else { original_len.min(self.snaplen) }
    }

    fn apply(&mut self, order: Order, code: u16, value: &[u8]) {
        match (code, value) {
            (OPTION_NAME, name) => {
                let name = name.get(..NAME_LEN).unwrap_or(name);
                self.name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
            }
            (OPTION_RESOLUTION, &[resolution, ..]) => self.clock.unit = unit(resolution),
            (OPTION_OFFSET, value) if value.len() == 8 => {
                let (first, second) = (order.u32_at(value, 0), order.u32_at(value, 4));
                let (high, low) = if order.big { (first, second) } else { (second, first) };
                let seconds = (u64::from(high) << 32 | u64::from(low)).cast_signed();
                self.clock.offset = seconds.saturating_mul(1_000_000_000);
            }
            _ => {}
        }
    }
}

/// `if_tsresol`: a negative power of ten, or of two if the upper bit is set.
fn unit(resolution: u8) -> Unit {
    let exponent = u32::from(resolution & 0x7f);
    match (resolution & 0x80 != 0, exponent) {
        (true, bits) => Unit::Binary(bits),
        (false, 0..=9) => Unit::Coarse(10u64.pow(9 - exponent)),
        (false, finer) => Unit::Fine(10u64.checked_pow(finer - 9).unwrap_or(u64::MAX)),
    }
}

#[inline]
fn enhanced_packet(order: Order, block: &[u8]) -> PacketFields {
    PacketFields {
        fixed: 28,
        interface: order.u32_at(block, 8),
        stamp: u64::from(order.u32_at(block, 12)) << 32 | u64::from(order.u32_at(block, 16)),
        captured: Some(order.u32_at(block, 20)),
        original_len: order.u32_at(block, 24),
    }
}

fn simple_packet(order: Order, block: &[u8]) -> PacketFields {
    let original_len = order.u32_at(block, 8);
    PacketFields { fixed: 12, interface: 0, stamp: 0, captured: None, original_len }
}

fn obsolete_packet(order: Order, block: &[u8]) -> PacketFields {
    PacketFields { interface: u32::from(order.u16_at(block, 8)), ..enhanced_packet(order, block) }
}

/// Options of a block: code, length, value padded to four bytes. Stops at the first that can't be.
struct Options<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let code = self.order.u16_at(self.rest, 0);
        let len = usize::from(self.order.u16_at(self.rest, 2));
        let value = self.rest.get(4..4 + len)?;
        self.rest = self.rest.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        (code != 0).then_some((code, value))
    }
}
