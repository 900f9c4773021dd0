//! Writes compounds.

use super::packet_type::{BYE, RR, SDES, SR, XR};
use super::{ReportBlock, SenderInfo, VoipMetrics};

/// Most report blocks of one packet (the count has five bits).
const MOST_BLOCKS: usize = 31;

/// A compound being written: its packets stand in the order of the calls. A report comes first (RFC 3550, 6.1).
#[derive(Clone, Default, Debug)]
pub struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    /// A sender report. Blocks after the thirty-first are left out.
    pub fn sender_report(mut self, info: &SenderInfo, blocks: &[ReportBlock]) -> Builder {
        let start = self.begin(SR, blocks.len().min(MOST_BLOCKS));
        self.word(info.ssrc);
        self.bytes.extend(info.ntp.to_be_bytes());
        self.word(info.rtp_timestamp);
        self.word(info.packets);
        self.word(info.octets);
        self.blocks(blocks);
        self.end(start)
    }

    /// A receiver report. Blocks after the thirty-first are left out.
    pub fn receiver_report(mut self, reporter: u32, blocks: &[ReportBlock]) -> Builder {
        let start = self.begin(RR, blocks.len().min(MOST_BLOCKS));
        self.word(reporter);
        self.blocks(blocks);
        self.end(start)
    }

    /// A source description with the canonical name alone; what is beyond 255 bytes of it is cut.
    pub fn cname(mut self, ssrc: u32, name: &str) -> Builder {
        let name = name.as_bytes().get(..255).unwrap_or(name.as_bytes());
        let start = self.begin(SDES, 1);
        self.word(ssrc);
        self.bytes.extend([1, name.len() as u8]);
        self.bytes.extend(name);
        self.bytes.push(0);
        self.end(start)
    }

    /// A goodbye of one source.
    pub fn bye(mut self, ssrc: u32) -> Builder {
        let start = self.begin(BYE, 1);
        self.word(ssrc);
        self.end(start)
    }

    /// An extended report with VoIP metrics (RFC 3611, 4.7).
    pub fn voip_metrics(mut self, reporter: u32, metrics: &VoipMetrics) -> Builder {
        let start = self.begin(XR, 0);
        self.word(reporter);
        self.bytes.extend([7, 0, 0, 8]);
        self.bytes.extend(metrics.encode());
        self.end(start)
    }

    /// The compound.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// The header, and where it stands.
    fn begin(&mut self, packet_type: u8, count: usize) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0x80 | count as u8, packet_type, 0, 0]);
        start
    }

    /// Pads to a word and writes the length.
    fn end(mut self, start: usize) -> Builder {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let words = ((self.bytes.len() - start) / 4 - 1) as u16;
        if let Some(length) = self.bytes.get_mut(start + 2..start + 4) {
            length.copy_from_slice(&words.to_be_bytes());
        }
        self
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend(word.to_be_bytes());
    }

    fn blocks(&mut self, blocks: &[ReportBlock]) {
        for block in blocks.iter().take(MOST_BLOCKS) {
            self.bytes.extend(block.encode());
        }
    }
}
