//! RTCP (RFC 3550, 6; feedback RFC 4585; reduced size RFC 5506; extended reports RFC 3611), and the outside of
//! SRTCP (RFC 3711, 3.4). A lenient reader: it gives what is there and stops where the lengths stop adding up.

mod build;
mod report;
mod srtcp;

pub use build::Builder;
pub use report::{ReportBlock, SenderInfo, VoipMetrics, XrBlock, XrBlocks};
pub use srtcp::{Srtcp, srtcp};

/// Packet types (IANA, RTCP Control Packet Types).
pub mod packet_type {
    /// Sender report.
    pub const SR: u8 = 200;
    /// Receiver report.
    pub const RR: u8 = 201;
    /// Source description.
    pub const SDES: u8 = 202;
    /// Goodbye.
    pub const BYE: u8 = 203;
    /// Application-defined.
    pub const APP: u8 = 204;
    /// Feedback of the transport: NACK, TMMBR, congestion control.
    pub const RTPFB: u8 = 205;
    /// Feedback about payload: PLI, FIR, REMB.
    pub const PSFB: u8 = 206;
    /// Extended report.
    pub const XR: u8 = 207;
}

/// One packet of a compound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// See [`packet_type`]; 192 to 223.
    pub packet_type: u8,
    /// The five bits after the padding bit: a count of reports, chunks or sources, a subtype or a format.
    pub count: u8,
    /// The padding bit.
    pub padding: bool,
    /// What follows the four bytes of the header, as far as captured.
    pub body: &'a [u8],
}

/// The packets of a datagram, in order. Nothing is required of the first: reduced-size RTCP may start with
/// feedback.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    remaining: usize,
}

/// What a packet says, read by its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content<'a> {
    /// What was sent, and how others' streams arrive.
    SenderReport(SenderInfo, Reports<'a>),
    /// How others' streams arrive; the SSRC is the reporter's.
    ReceiverReport(u32, Reports<'a>),
    /// Names.
    SourceDescription(Chunks<'a>),
    /// Sources that leave.
    Bye(Bye<'a>),
    /// Application-defined.
    App(App<'a>),
    /// RTPFB.
    TransportFeedback(Feedback<'a>),
    /// PSFB.
    PayloadFeedback(Feedback<'a>),
    /// XR: the reporter and its blocks.
    ExtendedReport(u32, XrBlocks<'a>),
    /// Of another type, or too short for its own.
    Other,
}

/// Report blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reports<'a> {
    rest: &'a [u8],
    left: u8,
}

/// Items of a source description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunks<'a> {
    body: &'a [u8],
    at: usize,
    left: u8,
    ssrc: Option<u32>,
}

/// One item of a source description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SdesItem<'a> {
    /// Whom it describes.
    pub ssrc: u32,
    /// 1 CNAME, 2 NAME, 3 EMAIL, 4 PHONE, 5 LOC, 6 TOOL, 7 NOTE, 8 PRIV.
    pub kind: u8,
    /// UTF-8 by rule, bytes in fact.
    pub value: &'a [u8],
}

/// A goodbye.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bye<'a> {
    sources: &'a [u8],
    /// Why, or empty.
    pub reason: &'a [u8],
}

/// An application-defined packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct App<'a> {
    /// Its sender.
    pub ssrc: u32,
    /// Four characters.
    pub name: [u8; 4],
    /// The rest.
    pub data: &'a [u8],
}

/// The common part of feedback messages (RFC 4585, 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Feedback<'a> {
    /// RTPFB: 1 NACK, 15 transport-wide congestion control; PSFB: 1 PLI, 4 FIR, 15 REMB.
    pub format: u8,
    /// Who gives feedback.
    pub sender: u32,
    /// About whom.
    pub media: u32,
    /// The control information.
    pub fci: &'a [u8],
}

/// The packets of a datagram of `declared_len` bytes, whole or cut by a capture.
pub fn packets(bytes: &[u8], declared_len: u32) -> Packets<'_> {
    let remaining = declared_len as usize;
    Packets { rest: bytes.get(..remaining).unwrap_or(bytes), remaining }
}

/// Whether the lengths of all packets add up to the datagram: so it is no SRTCP and no chance. Of a datagram
/// cut by a capture, whether they do as far as one can see.
pub fn is_compound(bytes: &[u8], declared_len: u32) -> bool {
    let mut packets = packets(bytes, declared_len);
    let count = packets.by_ref().count();
    count > 0 && (packets.remaining == 0 || packets.rest.len() < 4 && packets.rest.len() < packets.remaining)
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let (&[flags, packet_type, l0, l1], after) = self.rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        if flags >> 6 != 2 || !(192..=223).contains(&packet_type) {
            return None;
        }
        self.remaining = self.remaining.checked_sub(4 + len)?;
        self.rest = after.get(len..).unwrap_or_default();
        let body = after.get(..len).unwrap_or(after);
        Some(Packet { packet_type, count: flags & 0x1f, padding: flags & 0x20 != 0, body })
    }
}

impl<'a> Packet<'a> {
    /// The SSRC of its sender, the first word of the body of every type but SDES, where it is the first
    /// one described.
    pub fn ssrc(&self) -> Option<u32> {
        be32(self.body, 0)
    }

    /// Reads the body.
    pub fn content(&self) -> Content<'a> {
        self.decode().unwrap_or(Content::Other)
    }

    fn decode(&self) -> Option<Content<'a>> {
        let (body, count) = (self.body, self.count);
        Some(match self.packet_type {
            packet_type::SR => Content::SenderReport(SenderInfo::decode(body)?, reports(body, 24, count)?),
            packet_type::RR => Content::ReceiverReport(be32(body, 0)?, reports(body, 4, count)?),
            packet_type::SDES => Content::SourceDescription(Chunks { body, at: 0, left: count, ssrc: None }),
            packet_type::BYE => Content::Bye(bye(body, count)),
            packet_type::APP => Content::App(app(body)?),
            packet_type::RTPFB => Content::TransportFeedback(feedback(body, count)?),
            packet_type::PSFB => Content::PayloadFeedback(feedback(body, count)?),
            packet_type::XR => Content::ExtendedReport(be32(body, 0)?, XrBlocks::new(body.get(4..)?)),
            _ => return None,
        })
    }
}

fn reports(body: &[u8], at: usize, left: u8) -> Option<Reports<'_>> {
    Some(Reports { rest: body.get(at..)?, left })
}

fn bye(body: &[u8], count: u8) -> Bye<'_> {
    let (sources, rest) = body.split_at(body.len().min(usize::from(count) * 4));
    let reason = rest.split_first().and_then(|(len, text)| text.get(..usize::from(*len)));
    Bye { sources, reason: reason.unwrap_or_default() }
}

fn app(body: &[u8]) -> Option<App<'_>> {
    let (name, data) = body.get(4..)?.split_first_chunk()?;
    Some(App { ssrc: be32(body, 0)?, name: *name, data })
}

fn feedback(body: &[u8], format: u8) -> Option<Feedback<'_>> {
    Some(Feedback { format, sender: be32(body, 0)?, media: be32(body, 4)?, fci: body.get(8..)? })
}

impl Iterator for Reports<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        self.left = self.left.checked_sub(1)?;
        let (block, rest) = self.rest.split_first_chunk::<24>()?;
        self.rest = rest;
        ReportBlock::decode(block)
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = SdesItem<'a>;

    /// A chunk is an SSRC, items, and one to four zero bytes up to the next word (RFC 3550, 6.5).
    fn next(&mut self) -> Option<SdesItem<'a>> {
        loop {
            let Some(ssrc) = self.ssrc else {
                self.left = self.left.checked_sub(1)?;
                self.ssrc = Some(be32(self.body, self.at)?);
                self.at += 4;
                continue;
            };
            let kind = *self.body.get(self.at)?;
            if kind == 0 {
                self.at = (self.at + 1).next_multiple_of(4);
                self.ssrc = None;
                continue;
            }
            let (len, text) = self.body.get(self.at + 1..)?.split_first()?;
            let value = text.get(..usize::from(*len))?;
            self.at += 2 + value.len();
            return Some(SdesItem { ssrc, kind, value });
        }
    }
}

impl<'a> Chunks<'a> {
    /// The first canonical name and whose it is.
    pub fn cname(mut self) -> Option<(u32, &'a [u8])> {
        self.find(|item| item.kind == 1).map(|item| (item.ssrc, item.value))
    }
}

impl Bye<'_> {
    /// Who leaves.
    pub fn sources(&self) -> impl Iterator<Item = u32> + '_ {
        self.sources.chunks_exact(4).filter_map(|word| be32(word, 0))
    }
}

#[inline]
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
