//! Capture files, pcap and pcapng, as bytes: decoding and writing without any IO.
//!
//! A [`Decoder`] walks slices that the caller read from wherever; it holds only what earlier bytes declared
//! (byte order, interfaces, position), so a clone of it can decode the next block on another thread.

mod error;
mod pcap;
mod pcapng;
mod write;

use std::sync::Arc;

pub use error::CaptureError;
pub use write::{PcapWriter, PcapngWriter, Resolution};

use crate::link::LinkType;

/// The longest record that is believed when the file declares no longer snap length (what tcpdump allows).
pub const USUAL_RECORD_LEN: u32 = 262_144;
/// The longest record or block to be held whole, whatever the file declares: a reader's buffer must fit it.
pub const MAX_RECORD_LEN: u32 = 16 * 1024 * 1024;

/// One captured packet, borrowed from the caller's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// The number Wireshark shows: every record of the file counts, from 1.
    pub frame: u64,
    /// Nanoseconds since 1970, 0 if the format has no time (simple packet blocks).
    pub time: i64,
    /// Index into [`Decoder::interfaces`] (of the current section).
    pub interface: u16,
    /// Link layer of that interface.
    pub link: LinkType,
    /// Length on the wire; `data` is shorter if a snap length cut it.
    pub original_len: u32,
    /// The bytes captured, from the link header on.
    pub data: &'a [u8],
}

/// A capture interface as the file declares it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its link layer.
    pub link: LinkType,
    /// Longest packet it captured, 0 for no limit.
    pub snaplen: u32,
    /// Its name, such as `eth0`; empty if the file does not say.
    pub name: String,
    clock: Clock,
}

/// How a time stamp becomes nanoseconds (pcapng: `if_tsresol`, `if_tsoffset`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Clock {
    unit: Unit,
    /// Nanoseconds to add.
    offset: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    /// A power of ten, not finer than nanoseconds: multiply.
    Coarse(u64),
    /// A power of ten, finer than nanoseconds: divide.
    Fine(u64),
    /// 2^-n seconds.
    Binary(u32),
}

impl Clock {
    const MICROS: Clock = Clock { unit: Unit::Coarse(1000), offset: 0 };
    const NANOS: Clock = Clock { unit: Unit::Coarse(1), offset: 0 };

    #[inline]
    fn nanos(self, stamp: u64) -> i64 {
        let nanos = match self.unit {
            Unit::Coarse(factor) => stamp.saturating_mul(factor),
            Unit::Fine(divisor) => stamp / divisor.max(1),
            Unit::Binary(bits) => saturate((u128::from(stamp) * 1_000_000_000) >> bits.min(127)),
        };
        i64::try_from(nanos).unwrap_or(i64::MAX).saturating_add(self.offset)
    }
}

fn saturate(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// Reads records from consecutive pieces of a capture file.
///
/// ```
/// use carillon_wire::capture::{Decoder, PcapWriter, Resolution};
/// use carillon_wire::link::LinkType;
///
/// let mut file = Vec::new();
/// let writer = PcapWriter::begin(&mut file, LinkType::RawIp, Resolution::Nanos);
/// writer.record(&mut file, 1_000, 3, &[1, 2, 3]);
///
/// let (mut decoder, mut rest) = (Decoder::new(), file.as_slice());
/// while let Some(record) = decoder.next(&mut rest)? {
///     assert_eq!((record.frame, record.time, record.data), (1, 1_000, &[1, 2, 3][..]));
/// }
/// decoder.finish(rest)?;
/// # Ok::<(), carillon_wire::capture::CaptureError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    format: Format,
    at: Position,
    /// Shared, because a decoder is cloned once per block of file and interfaces rarely change.
    interfaces: Arc<Vec<Interface>>,
}

/// Where in the file a decoder is.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Records before this point.
    frames: u64,
    /// Bytes before this point.
    offset: u64,
    /// Bytes of a block that carries no packet and is still to be passed over.
    skip: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Format {
    /// Nothing read yet.
    #[default]
    Unknown,
    Pcap(pcap::Layout),
    Pcapng(Order),
}

/// Whether the file's numbers are in the order of bytes opposite to little endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Order {
    big: bool,
}

impl Order {
    #[inline]
    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    #[inline]
    fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    /// The number at `at` of a header that was already measured; 0 beyond its end.
    #[inline]
    fn u32_at(self, bytes: &[u8], at: usize) -> u32 {
        bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| self.u32(*b))
    }

    #[inline]
    fn u16_at(self, bytes: &[u8], at: usize) -> u16 {
        bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| self.u16(*b))
    }
}

impl Decoder {
    /// A decoder at the start of a file.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// The next record; moves `bytes` behind it. `None`: what is left is no whole record. Then give these
    /// rest bytes again with more behind them, or call [`Decoder::finish`] if there are no more.
    /// After an error decoder and `bytes` stay where they are: all records before are good.
    #[inline]
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Option<Record<'a>>, CaptureError> {
        loop {
            let len = match &self.format {
                Format::Pcap(layout) => return layout.record(&mut self.at, bytes),
                Format::Pcapng(order) => match pcapng::kind_of_packet(*order, self.at, bytes) {
                    Some(read) => return self.packet_block(*order, bytes, read),
                    None => self.other_block(*order, bytes)?,
                },
                Format::Unknown => self.file_header(bytes)?,
            };
            let Some(len) = len else { return Ok(None) };
            self.at.advance(bytes, len);
        }
    }

    /// Walks over all whole records, as [`Decoder::next`] would, so that `bytes` holds the rest. A dispatcher
    /// uses it to cut a buffer at the last whole record; [`Decoder::frames`] has counted them.
    pub fn skip(&mut self, bytes: &mut &[u8]) -> Result<(), CaptureError> {
        while self.next(bytes)?.is_some() {}
        Ok(())
    }

    /// Says whether the file may end here, with `rest` unread: an error names the record that is cut.
    pub fn finish(&self, rest: &[u8]) -> Result<(), CaptureError> {
        let Position { offset, skip, .. } = self.at;
        if offset == 0 && rest.is_empty() {
            return Err(CaptureError::Empty);
        }
        if rest.is_empty() && skip == 0 {
            return Ok(());
        }
        Err(CaptureError::Truncated { frame: self.at.frame(), offset, held: rest.len() as u64 })
    }

    /// Records decoded so far, which is also the number of the last one.
    pub fn frames(&self) -> u64 {
        self.at.frames
    }

    /// Bytes of the file decoded so far.
    pub fn offset(&self) -> u64 {
        self.at.offset
    }

    /// The interfaces declared so far (in pcapng: in the current section).
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The length of the file's header, once it is there.
    fn file_header(&mut self, bytes: &[u8]) -> Result<Option<usize>, CaptureError> {
        let Some(&magic) = bytes.first_chunk::<4>() else { return Ok(None) };
        if magic == pcapng::SECTION_HEADER.to_be_bytes() {
            return self.section_header(bytes);
        }
        let Some(variant) = pcap::Variant::from_magic(magic) else {
            return Err(CaptureError::NotACapture { magic });
        };
        let Some((layout, interface)) = variant.file_header(bytes) else { return Ok(None) };
        self.interfaces = Arc::new(vec![interface]);
        self.format = Format::Pcap(layout);
        Ok(Some(pcap::FILE_HEADER_LEN))
    }
}

impl Position {
    /// The number of the record that starts here.
    #[inline]
    fn frame(&self) -> u64 {
        self.frames.saturating_add(1)
    }

    #[inline]
    fn advance(&mut self, bytes: &mut &[u8], len: usize) {
        *bytes = bytes.get(len..).unwrap_or_default();
        self.offset = self.offset.saturating_add(len as u64);
    }
}
