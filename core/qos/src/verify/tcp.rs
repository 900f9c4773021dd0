//! One direction of a TCP connection: what it carries, and the SIP or media found inside.

use carillon_wire::packet::Tcp;
use carillon_wire::payload::{self, Kind, StreamKind};
use carillon_wire::sip;
use carillon_wire::stream::{Assembler, Input};
use carillon_wire::stun::{frame_len, look_through};

use super::calls;
use super::facts::Facts;
use super::flow::{Flow, Seen, content_of};
use super::observe::{rtp_fields, wrap_of};
use super::relays;
use super::report::Content;
use super::shard::Budget;
use super::stream::Wrap;

/// Bytes that wait for a missing segment, and the longest SIP message.
const BUFFERED: usize = 64 << 10;
const SIP_LIMITS: sip::Limits = sip::Limits { head: 16 << 10, body: 48 << 10 };
/// Segments that may pass before a stream picked up in the middle is recognised.
const ATTEMPTS: u8 = 8;

/// What is known of one direction of a connection.
#[derive(Debug)]
pub(super) struct TcpSide {
    /// Gone once nothing more can be learned from the bytes.
    assembler: Option<Assembler>,
    kind: StreamKind,
    content: Option<Content>,
    attempts: u8,
}

/// Where what is found goes.
struct Sink<'a> {
    flow: &'a mut Flow,
    facts: &'a mut Facts,
    budget: &'a mut Budget,
    seen: &'a Seen,
    /// Whether the segment was counted with what it carries.
    counted: bool,
}

impl TcpSide {
    /// Takes a segment of the flow. The segment counts once: with the media it completes, or as itself.
    pub(super) fn push(
        flow: &mut Flow,
        facts: &mut Facts,
        budget: &mut Budget,
        seen: &Seen,
        segment: &Tcp<'_>,
    ) {
        let mut side = flow.tcp.take().unwrap_or_else(|| Box::new(TcpSide::new()));
        let mut sink = Sink { flow, facts, budget, seen, counted: false };
        if let Some(mut assembler) = side.assembler.take() {
            sink.budget.bytes += assembler.held();
            assembler.push(segment, |input| side.read(input, &mut sink));
            side.assembler = (!side.is_settled()).then(|| within(assembler, &mut sink.budget.bytes));
        }
        if !sink.counted {
            sink.flow.tally(Content::Other, *seen);
        }
        flow.tcp = Some(side);
    }

    /// What the connection carries, once that is known.
    pub(super) fn content(&self) -> Option<Content> {
        self.content
    }

    /// Bytes that wait for more.
    pub(super) fn held(&self) -> usize {
        self.assembler.as_ref().map_or(0, Assembler::held)
    }

    fn new() -> TcpSide {
        TcpSide {
            assembler: Some(Assembler::new(BUFFERED)),
            kind: StreamKind::NeedMore,
            content: None,
            attempts: 0,
        }
    }

    /// Encrypted and foreign streams say nothing more; nor does one that was not recognised in time.
    fn is_settled(&self) -> bool {
        match self.kind {
            StreamKind::Tls | StreamKind::Http | StreamKind::Tpkt => true,
            StreamKind::Other => self.attempts >= ATTEMPTS,
            StreamKind::Sip | StreamKind::Stun | StreamKind::FramedRtp | StreamKind::NeedMore => false,
        }
    }

    fn read(&mut self, input: Input<'_>, sink: &mut Sink<'_>) -> usize {
        match input {
            Input::Start | Input::Gap(_) => {
                self.kind = StreamKind::NeedMore;
                0
            }
            Input::Bytes(bytes) => self.read_bytes(bytes, sink),
        }
    }

    fn read_bytes(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> usize {
        if matches!(self.kind, StreamKind::NeedMore | StreamKind::Other) {
            self.recognise(bytes, sink.flow.key.is_name_service());
        }
        match self.kind {
            StreamKind::NeedMore => 0,
            StreamKind::Sip => read_sip(bytes, sink).unwrap_or_else(|| self.lose_track(bytes)),
            StreamKind::Stun => read_turn(bytes, sink).unwrap_or_else(|| self.lose_track(bytes)),
            StreamKind::FramedRtp => read_framed(bytes, sink),
            StreamKind::Tls | StreamKind::Http | StreamKind::Tpkt | StreamKind::Other => bytes.len(),
        }
    }

    /// Questions for names come behind a length too (RFC 1035, 4.2.2).
    fn recognise(&mut self, bytes: &[u8], is_name_service: bool) {
        self.kind = match payload::classify_stream(bytes) {
            StreamKind::FramedRtp if is_name_service => StreamKind::Other,
            kind => kind,
        };
        self.attempts = self.attempts.saturating_add(1);
        let content = match self.kind {
            StreamKind::Sip => Content::Sip,
            StreamKind::Tls => Content::Tls,
            StreamKind::Stun | StreamKind::FramedRtp => Content::Stun,
            StreamKind::Http | StreamKind::Tpkt | StreamKind::Other | StreamKind::NeedMore => return,
        };
        self.content.get_or_insert(content);
        self.attempts = 0;
    }

    /// Bytes that do not parse: the next segment may begin a message again.
    fn lose_track(&mut self, bytes: &[u8]) -> usize {
        self.kind = StreamKind::NeedMore;
        bytes.len()
    }
}

/// An assembler, if what it holds fits into what all may hold together; else a new one, which finds its feet
/// again like one that began in the middle.
fn within(assembler: Assembler, left: &mut usize) -> Assembler {
    let fitting = (assembler.held() <= *left).then_some(assembler);
    let assembler = fitting.unwrap_or_else(|| Assembler::new(BUFFERED));
    *left -= assembler.held();
    assembler
}

/// Bytes used up by whole messages; `None` if the framing is broken.
fn read_sip(bytes: &[u8], sink: &mut Sink<'_>) -> Option<usize> {
    let mut used = 0;
    loop {
        match sip::frame(bytes.get(used..)?, sip::Transport::Tcp, SIP_LIMITS) {
            sip::Framing::Message { len, message } => {
                calls::note_message(sink.facts, sink.flow.key, sink.seen.frame, &message);
                used += len;
            }
            sip::Framing::KeepAlive { len } if len > 0 => used += len,
            sip::Framing::More { .. } | sip::Framing::KeepAlive { .. } => return Some(used),
            sip::Framing::Wrong { .. } | sip::Framing::Garbage(_) => return None,
        }
    }
}

/// TURN messages and ChannelData (RFC 8656, 12.5).
fn read_turn(bytes: &[u8], sink: &mut Sink<'_>) -> Option<usize> {
    let mut used = 0;
    loop {
        let rest = bytes.get(used..)?;
        let Some(len) = frame_len(rest).ok()? else { return Some(used) };
        let Some(frame) = rest.get(..len) else { return Some(used) };
        relays::note(sink.facts, sink.flow.key, frame, len as u32);
        match look_through(frame, len as u32) {
            Some(inner) => sink.take(inner.payload, inner.payload_len, wrap_of(inner.via)),
            None => sink.tally(Content::Stun),
        }
        used += len;
    }
}

/// Packets behind a length of two bytes (RFC 4571).
fn read_framed(bytes: &[u8], sink: &mut Sink<'_>) -> usize {
    let mut used = 0;
    while let Some((&[high, low], rest)) = bytes.get(used..).and_then(<[u8]>::split_first_chunk) {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some(packet) = rest.get(..len) else { break };
        sink.take(packet, len as u32, Wrap::Framed);
        used += 2 + len;
    }
    used
}

impl Sink<'_> {
    fn take(&mut self, payload: &[u8], len: u32, wrap: Wrap) {
        let kind = payload::classify(payload, len);
        match (kind, rtp_fields(self.seen, payload, len, wrap)) {
            (Kind::Rtp, Some(mut packet)) => {
                packet.ip_len = if self.counted { 0 } else { packet.ip_len };
                self.flow.push_rtp(&packet, self.budget);
                self.counted = true;
            }
            _ => self.tally(content_of(kind)),
        }
    }

    fn tally(&mut self, content: Content) {
        if !self.counted {
            self.flow.tally(content, *self.seen);
            self.counted = true;
        }
    }
}
