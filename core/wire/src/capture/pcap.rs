//! The pcap format: one file header, then records of one interface (draft-ietf-opsawg-pcap).

use super::{CaptureError, Clock, Interface, MAX_RECORD_LEN, Order, Position, Record, USUAL_RECORD_LEN};
use crate::link::LinkType;

pub(super) const FILE_HEADER_LEN: usize = 24;

/// What the file header says that every record needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    variant: Variant,
    link: LinkType,
    limit: u32,
}

/// Which pcap it is, told by the first four bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    order: Order,
    /// Nanoseconds per unit of the second time field.
    nanos: u32,
    /// 16, or 24 in Kuznetzov's variant, which also notes interface and direction.
    header_len: usize,
}

impl Variant {
    pub(super) fn from_magic(magic: [u8; 4]) -> Option<Variant> {
        [false, true].into_iter().find_map(|big| {
            let order = Order { big };
            let (nanos, header_len) = match order.u32(magic) {
                0xa1b2_c3d4 => (1000, 16),
                0xa1b2_3c4d => (1, 16),
                0xa1b2_cd34 => (1000, 24),
                _ => return None,
            };
            Some(Variant { order, nanos, header_len })
        })
    }

    /// Reads the whole file header; `None` if `bytes` end inside it.
    pub(super) fn file_header(self, bytes: &[u8]) -> Option<(Layout, Interface)> {
        let header: &[u8; FILE_HEADER_LEN] = bytes.first_chunk()?;
        let snaplen = self.order.u32_at(header, 16);
        // The upper half of the link field tells whether frames end with a checksum; an IP length cuts it off.
        let link = LinkType::from_number(self.order.u32_at(header, 20) as u16);
        let clock = if self.nanos == 1 { Clock::NANOS } else { Clock::MICROS };
        let limit = snaplen.clamp(USUAL_RECORD_LEN, MAX_RECORD_LEN);
        Some((Layout { variant: self, link, limit }, Interface { link, snaplen, name: String::new(), clock }))
    }
}

impl Layout {
    /// The record at the start of `bytes`, which it moves behind it.
    #[inline]
    pub(super) fn record<'a>(
        &self,
        at: &mut Position,
        bytes: &mut &'a [u8],
    ) -> Result<Option<Record<'a>>, CaptureError> {
        let Variant { order, nanos, header_len } = self.variant;
        let Some(head) = bytes.first_chunk::<16>() else { return Ok(None) };
        let (length, limit) = (order.u32_at(head, 8), self.limit);
        if length > limit {
            return Err(CaptureError::RecordLength { frame: at.frame(), offset: at.offset, length, limit });
        }
        let len = header_len + length as usize;
        let Some(data) = bytes.get(header_len..len) else { return Ok(None) };
        let seconds = i64::from(order.u32_at(head, 0)) * 1_000_000_000;
        let time = seconds + i64::from(order.u32_at(head, 4)) * i64::from(nanos);
        let original_len = order.u32_at(head, 12);
        at.advance(bytes, len);
        at.frames = at.frame();
        Ok(Some(Record { frame: at.frames, time, interface: 0, link: self.link, original_len, data }))
    }
}
