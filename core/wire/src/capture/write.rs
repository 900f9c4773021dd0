//! Writing captures: appends to bytes that the caller owns. Little endian, as nearly every reader is.

use super::pcapng::{
    BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE, OPTION_NAME, OPTION_RESOLUTION, SECTION_HEADER,
};
use super::{MAX_RECORD_LEN, USUAL_RECORD_LEN};
use crate::link::LinkType;

/// How finely a file notes the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

impl Resolution {
    const fn nanos(self) -> u64 {
        match self {
            Resolution::Micros => 1000,
            Resolution::Nanos => 1,
        }
    }
}

/// Writes pcap: one interface.
#[derive(Clone, Debug)]
pub struct PcapWriter {
    resolution: Resolution,
}

impl PcapWriter {
    /// Appends the file header.
    pub fn begin(out: &mut Vec<u8>, link: LinkType, resolution: Resolution) -> PcapWriter {
        let magic: u32 = match resolution {
            Resolution::Micros => 0xa1b2_c3d4,
            Resolution::Nanos => 0xa1b2_3c4d,
        };
        // Version 2.4, two reserved words, the snap length, the link type.
        put(out, &[magic, 4 << 16 | 2, 0, 0, USUAL_RECORD_LEN, u32::from(link.number())]);
        PcapWriter { resolution }
    }

    /// Appends a record; `time` in nanoseconds since 1970, which this format limits to the years 1970-2106.
    /// Data over [`USUAL_RECORD_LEN`] is cut.
    pub fn record(&self, out: &mut Vec<u8>, time: i64, original_len: u32, data: &[u8]) {
        let data = cut(data, USUAL_RECORD_LEN);
        let time = u64::try_from(time).unwrap_or(0);
        let seconds = u32::try_from(time / 1_000_000_000).unwrap_or(u32::MAX);
        let fraction = (time % 1_000_000_000 / self.resolution.nanos()) as u32;
        put(out, &[seconds, fraction, data.len() as u32, original_len]);
        out.extend_from_slice(data);
    }
}

/// Writes pcapng: one section, any number of interfaces.
#[derive(Clone, Debug)]
pub struct PcapngWriter {
    resolutions: Vec<Resolution>,
}

impl PcapngWriter {
    /// Appends the section header.
    pub fn begin(out: &mut Vec<u8>) -> PcapngWriter {
        // Version 1.0; the section's length is not known (-1).
        block(out, SECTION_HEADER, |out| put(out, &[BYTE_ORDER_MAGIC, 1, u32::MAX, u32::MAX]));
        PcapngWriter { resolutions: Vec::new() }
    }

    /// Declares an interface and returns its number; `snaplen` 0 means no limit.
    pub fn interface(
        &mut self,
        out: &mut Vec<u8>,
        link: LinkType,
        name: &str,
        snaplen: u32,
        resolution: Resolution,
    ) -> u16 {
        block(out, INTERFACE, |out| {
            put(out, &[u32::from(link.number()), snaplen]);
            if !name.is_empty() {
                option(out, OPTION_NAME, cut(name.as_bytes(), u32::from(u16::MAX)));
            }
            option(out, OPTION_RESOLUTION, if resolution == Resolution::Nanos { &[9] } else { &[6] });
            put(out, &[0]);
        });
        self.resolutions.push(resolution);
        (self.resolutions.len() - 1) as u16
    }

    /// Appends a record of a declared interface; `time` in nanoseconds since 1970 (not before).
    /// Data over [`MAX_RECORD_LEN`] (less the block's own fields) is cut.
    pub fn record(&self, out: &mut Vec<u8>, interface: u16, time: i64, original_len: u32, data: &[u8]) {
        let data = cut(data, MAX_RECORD_LEN - 32);
        let unit = self.resolutions.get(usize::from(interface)).map_or(1000, |r| r.nanos());
        let stamp = u64::try_from(time).unwrap_or(0) / unit;
        block(out, ENHANCED_PACKET, |out| {
            let (high, low) = ((stamp >> 32) as u32, stamp as u32);
            put(out, &[u32::from(interface), high, low, data.len() as u32, original_len]);
            out.extend_from_slice(data);
        });
    }
}

fn cut(data: &[u8], limit: u32) -> &[u8] {
    data.get(..limit as usize).unwrap_or(data)
}

fn put(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

/// Appends a block: its length goes before and behind the body, padded to four bytes.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put(out, &[kind, 0]);
    body(out);
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    let length = ((out.len() - start + 4) as u32).to_le_bytes();
    out.extend_from_slice(&length);
    if let Some(field) = out.get_mut(start + 4..start + 8) {
        field.copy_from_slice(&length);
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let start = out.len();
    put(out, &[u32::from(code) | (value.len() as u32) << 16]);
    out.extend_from_slice(value);
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
}
