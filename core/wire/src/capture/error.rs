//! What can be wrong with a capture file, and where.

use std::fmt;

/// Why a capture can't be read on. Offsets count bytes of the (decompressed) file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CaptureError {
    /// No bytes at all.
    Empty,
    /// Neither pcap nor pcapng.
    NotACapture {
        /// The first four bytes.
        magic: [u8; 4],
    },
    /// A pcapng section that does not say in which byte order it is.
    ByteOrder {
        /// Where the section starts.
        offset: u64,
        /// What stands there instead of 1a 2b 3c 4d or its reverse.
        magic: [u8; 4],
    },
    /// A pcapng section of a version that does not exist.
    Version {
        /// Where the section starts.
        offset: u64,
        /// Its major version.
        major: u16,
    },
    /// A record that claims to be longer than its file's limit.
    RecordLength {
        /// The record's number.
        frame: u64,
        /// Where it starts.
        offset: u64,
        /// What it claims.
        length: u32,
        /// What is allowed here.
        limit: u32,
    },
    /// A pcapng block whose length can't be.
    BlockLength {
        /// The number the next record would have.
        frame: u64,
        /// Where the block starts.
        offset: u64,
        /// What it claims.
        length: u32,
    },
    /// A packet of an interface that was not declared before it.
    UnknownInterface {
        /// The record's number.
        frame: u64,
        /// Where it starts.
        offset: u64,
        /// The interface it names.
        interface: u32,
        /// How many the section has declared.
        known: usize,
    },
    /// More interfaces in a section than can be numbered.
    TooManyInterfaces {
        /// Where the one too many is declared.
        offset: u64,
    },
    /// The file ends inside a record or block.
    Truncated {
        /// The record's number.
        frame: u64,
        /// Where it starts.
        offset: u64,
        /// How many of its bytes are there.
        held: u64,
    },
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use CaptureError::*;
        match *self {
            Empty => write!(f, "no capture: the file is empty"),
            NotACapture { magic: [a, b, c, d] } => {
                write!(
                    f,
                    "neither pcap nor pcapng: the file starts with bytes {a:02x} {b:02x} {c:02x} {d:02x}"
                )
            }
            ByteOrder { offset, magic: [a, b, c, d] } => {
                write!(
                    f,
                    "no byte order in the pcapng section at byte {offset}: {a:02x} {b:02x} {c:02x} {d:02x}"
                )
            }
            Version { offset, major } => {
                write!(
                    f,
                    "can't read pcapng version {major} (section at byte {offset}): only version 1 is known"
                )
            }
            RecordLength { frame, offset, length, limit } => {
                write!(
                    f,
                    "frame {frame} at byte {offset} claims {length} bytes, more than the {limit} possible here"
                )
            }
            BlockLength { frame, offset, length } => {
                write!(
                    f,
                    "the block at byte {offset}, before or at frame {frame}, claims an impossible length of {length}"
                )
            }
            UnknownInterface { frame, offset, interface, known } => {
                write!(
                    f,
                    "frame {frame} at byte {offset} is of interface {interface}, but only {known} are declared"
                )
            }
            TooManyInterfaces { offset } => {
                write!(
                    f,
                    "the interface declared at byte {offset} is one more than the 65536 a section may have"
                )
            }
            Truncated { frame, offset, held } => {
                write!(f, "the file ends inside frame {frame}: {held} bytes of it follow byte {offset}")
            }
        }
    }
}

impl std::error::Error for CaptureError {}
