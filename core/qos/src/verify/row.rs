//! The second pass begins: flows become rows, one per sender and one per other content.

use std::collections::BTreeMap;

use carillon_wire::ip::{Dscp, protocol};
use carillon_wire::sdp::codec::{Kind, static_payload};

use super::cause::Cause;
use super::flow::{Flow, Tally};
use super::jitter::Jitter;
use super::key::FlowKey;
use super::marks::Marks;
use super::report::{Content, Direction, FlowReport, RtpReport, Verdict};
use super::sequence::Run;
use super::shard::Shard;
use super::stream::{RtpStream, Wrap};
use super::timeline::Timeline;
use crate::{Role, TrafficClass};

/// Packets that make a judgement by shape more than a guess.
const SHAPE_PACKETS: u64 = 10;
/// Audio packets are shorter, but for a few codecs that nobody uses over a network.
const AUDIO_PACKET: u32 = 400;

/// A flow of the report with what judging it needs.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) out: FlowReport,
    pub(super) key: FlowKey,
    pub(super) wrap: Wrap,
    pub(super) main_byte: u8,
    /// What the packets look like, if they are media.
    pub(super) shape: Option<TrafficClass>,
    pub(super) jitter: Option<Jitter>,
    pub(super) timeline: Option<Timeline>,
    pub(super) runs: Vec<Run>,
    pub(super) runs_incomplete: bool,
    pub(super) aggregated: Option<u64>,
    pub(super) oversized: Option<u64>,
    pub(super) mixed_fragments: Option<u64>,
    /// Marks that are right here: more than one on transports that several classes share.
    pub(super) accepted: Vec<Dscp>,
    /// Frames with another mark.
    pub(super) wrong_marks: u64,
    /// What explains the wrong marks, once a finding does.
    pub(super) mark_cause: Option<Cause>,
    /// What explains the port outside the range.
    pub(super) port_cause: Option<Cause>,
}

impl Row {
    /// Whether it is audio or video in RTP: what most findings look at.
    pub(super) fn is_media(&self) -> bool {
        self.out.content == Content::Rtp && self.out.class.is_some()
    }

    /// Whether all its packets carry no mark although they should.
    pub(super) fn is_unmarked(&self) -> bool {
        self.wrong_marks > 0
            && self.out.marks.len() == 1
            && self.out.marks.iter().all(|m| m.dscp == Dscp::DEFAULT)
    }

    /// Whether it was judged and every mark was right.
    pub(super) fn is_marked_right(&self) -> bool {
        self.out.expected.is_some() && self.wrong_marks == 0
    }

    /// Loss, jitter and score are unknown: the capture does not show the packets as they were sent.
    pub(super) fn unjudge_loss(&mut self) {
        if let Some(rtp) = &mut self.out.rtp {
            (rtp.loss_judged, rtp.mos) = (false, None);
            rtp.mos_note = Some("loss could not be judged".to_string());
        }
        if self.out.verdict == Verdict::Pass {
            self.out.verdict = Verdict::Unjudged;
        }
    }

    /// Whether every packet carries the same mark, and which.
    pub(super) fn steady_mark(&self) -> Option<Dscp> {
        match self.out.marks.as_slice() {
            [only] => Some(only.dscp),
            _ => None,
        }
    }

    /// First frame with a mark that is not accepted.
    pub(super) fn first_wrong_mark(&self) -> Option<u64> {
        let wrong = self.out.marks.iter().filter(|mark| !self.accepted.contains(&mark.dscp));
        wrong.map(|mark| mark.first_frame).min()
    }

    /// The marks that are not accepted: "0 (unmarked)", "AF41 (34) and CS1 (8)".
    pub(super) fn wrong_labels(&self) -> String {
        let wrong = self.out.marks.iter().filter(|mark| !self.accepted.contains(&mark.dscp));
        let labels: Vec<_> = wrong.map(|mark| crate::dscp::label(mark.dscp)).collect();
        labels.join(" and ")
    }

    /// Where it was captured: file and interface.
    pub(super) fn place(&self) -> (u16, u32) {
        (self.key.file, self.key.interface)
    }

    /// "10.0.0.1:6000 -> 10.0.0.2:7000"
    pub(super) fn path(&self) -> String {
        let (src, dst) = (&self.out.src, &self.out.dst);
        let end = |ip: &std::net::IpAddr, port| std::net::SocketAddr::new(*ip, port).to_string();
        format!("{} -> {}", end(src, self.out.src_port), end(dst, self.out.dst_port))
    }
}

/// All rows, in the order of the capture.
pub(super) fn rows(shards: &[Shard]) -> Vec<Row> {
    let flows = || shards.iter().flat_map(|shard| &shard.flows);
    let streams: BTreeMap<FlowKey, Content> =
        flows().filter_map(|flow| Some((flow.key, flow.tcp.as_ref()?.content()?))).collect();
    let mut rows: Vec<Row> = flows().flat_map(|flow| rows_of(flow, &streams)).collect();
    rows.sort_by_key(|row| {
        (row.key.file, row.out.first_frame, row.key, row.out.content, row.out.ssrc, row.out.relayed.clone())
    });
    for (id, row) in rows.iter_mut().enumerate() {
        row.out.id = id;
    }
    rows
}

fn rows_of(flow: &Flow, streams: &BTreeMap<FlowKey, Content>) -> Vec<Row> {
    let senders = flow.streams.iter().map(|stream| row_of_stream(flow, stream));
    let tallies = flow.tallies.iter().map(|tally| row_of_tally(flow, tally, streams));
    senders.chain(tallies).collect()
}

fn row_of_stream(flow: &Flow, stream: &RtpStream) -> Row {
    let sequence = &stream.sequence;
    let mut row = blank(flow, Content::Rtp, &stream.marks);
    row.out.ssrc = Some(stream.ssrc);
    row.out.payload_type = Some(stream.main_payload_type());
    row.out.relayed = relayed(stream.wrap);
    row.out.packets = stream.packets;
    row.out.bytes = stream.bytes;
    row.out.first_frame = stream.first_frame;
    (row.out.start_ns, row.out.end_ns) = (stream.start, stream.end);
    let expected = sequence.expected();
    row.out.rtp = Some(RtpReport {
        expected,
        lost: sequence.lost(),
        loss_percent: 100.0 * sequence.lost().max(0) as f64 / expected.max(1) as f64,
        duplicates: sequence.duplicates,
        reordered: sequence.reordered,
        max_gap_ms: stream.max_gap_ns as f64 / 1e6,
        talk_time_s: stream.talk_ns as f64 / 1e9,
        loss_judged: stream.aggregated == 0,
        ..RtpReport::default()
    });
    row.wrap = stream.wrap;
    row.shape = shape(stream);
    row.jitter = Some(stream.jitter.clone());
    row.timeline = Some(stream.timeline.clone());
    row.runs = sequence.runs();
    row.runs_incomplete = sequence.runs_incomplete;
    row.aggregated = stream.first_aggregated;
    row.oversized = flow.oversized;
    row
}

fn row_of_tally(flow: &Flow, tally: &Tally, streams: &BTreeMap<FlowKey, Content>) -> Row {
    let mut content = tally.content;
    if flow.key.protocol == protocol::TCP && content == Content::Other {
        // Handshakes and acknowledgements belong to what the connection carries, in whichever direction.
        let known = streams.get(&flow.key).or_else(|| streams.get(&flow.key.reversed()));
        content = known.copied().unwrap_or(content);
    }
    let mut row = blank(flow, content, &tally.marks);
    row.out.packets = tally.packets;
    row.out.bytes = tally.bytes;
    row.out.first_frame = tally.first_frame;
    (row.out.start_ns, row.out.end_ns) = (tally.start, tally.end);
    row
}

fn blank(flow: &Flow, content: Content, marks: &Marks) -> Row {
    let key = flow.key;
    let out = FlowReport {
        id: 0,
        point: 0,
        src: key.src(),
        src_port: key.src_port,
        dst: key.dst(),
        dst_port: key.dst_port,
        protocol: if key.protocol == protocol::TCP { "tcp" } else { "udp" },
        vlan: flow.vlan,
        content,
        class: None,
        class_by: None,
        role: Role::Client,
        direction: Direction::Peer,
        relayed: None,
        ssrc: None,
        payload_type: None,
        codec: None,
        encrypted: false,
        range: None,
        in_range: None,
        expected: None,
        marks: marks.by_dscp(),
        ecn: marks.by_ecn(),
        packets: 0,
        frames: marks.frames(),
        bytes: 0,
        first_frame: flow.first_frame,
        start_ns: 0,
        end_ns: 0,
        rtp: None,
        first_offending: None,
        verdict: Verdict::Unjudged,
        reasons: Vec::new(),
        timeline: Vec::new(),
    };
    Row {
        out,
        key,
        wrap: Wrap::Bare,
        main_byte: marks.main_byte(),
        shape: None,
        jitter: None,
        timeline: None,
        runs: Vec::new(),
        runs_incomplete: false,
        aggregated: None,
        oversized: None,
        mixed_fragments: flow.mixed_fragments,
        accepted: Vec::new(),
        wrong_marks: 0,
        mark_cause: None,
        port_cause: None,
    }
}

fn relayed(wrap: Wrap) -> Option<String> {
    match wrap {
        Wrap::Bare | Wrap::Framed => None,
        Wrap::Channel(number) => Some(format!("channel {number:#06x}")),
        Wrap::Peer(peer) => Some(format!("peer {peer}")),
    }
}

/// Audio or video, by payload type, timestamps and sizes; `None` if there were too few packets to tell.
fn shape(stream: &RtpStream) -> Option<TrafficClass> {
    if let Some(known) = static_payload(stream.main_payload_type()) {
        return Some(if known.kind == Kind::Audio { TrafficClass::Audio } else { TrafficClass::Video });
    }
    if stream.packets < SHAPE_PACKETS {
        return None;
    }
    // A picture takes several packets with one timestamp; its clock is 90 kHz.
    let pictures = stream.same_timestamp * 10 > stream.packets;
    let video_clock = stream.jitter.best().is_some_and(|lane| lane.rate == 90_000);
    let video =
        pictures || (video_clock && stream.largest > AUDIO_PACKET / 2) || stream.largest > 3 * AUDIO_PACKET;
    Some(if video { TrafficClass::Video } else { TrafficClass::Audio })
}
