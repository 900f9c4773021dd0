//! Where records go: a pcap writer with a buffer, and counts of what it was given.

use std::io::{self, Write};

use carillon_wire::capture::{PcapWriter, Resolution};
use carillon_wire::link::LinkType;

/// Bytes that are written at once.
const BLOCK: usize = 1 << 20;

/// What a capture holds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) rtp_streams: u64,
    pub(crate) rtp_packets: u64,
    /// RTP packets that are missing between others.
    pub(crate) lost: u64,
}

impl Counts {
    pub(crate) fn json(&self) -> String {
        let Counts { frames, bytes, rtp_streams, rtp_packets, lost } = self;
        format!(
            "{{\"frames\": {frames}, \"bytes\": {bytes}, \"rtp_streams\": {rtp_streams}, \
             \"rtp_packets\": {rtp_packets}, \"lost\": {lost}}}\n"
        )
    }
}

/// A capture being written.
pub(crate) struct Sink {
    out: Box<dyn Write>,
    buffer: Vec<u8>,
    pcap: PcapWriter,
    pub(crate) counts: Counts,
}

impl Sink {
    pub(crate) fn new(out: Box<dyn Write>) -> Sink {
        let mut buffer = Vec::with_capacity(BLOCK + (1 << 16));
        let pcap = PcapWriter::begin(&mut buffer, LinkType::Ethernet, Resolution::Micros);
        Sink { out, buffer, pcap, counts: Counts::default() }
    }

    /// Takes a frame; `time` in nanoseconds.
    pub(crate) fn frame(&mut self, time: i64, frame: &[u8]) -> io::Result<()> {
        self.pcap.record(&mut self.buffer, time, frame.len() as u32, frame);
        self.counts.frames += 1;
        if self.buffer.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.out.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.counts.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
