//! What a verdict says: values only, ready for a table, for JSON and for a page.

use std::net::IpAddr;

use carillon_wire::ip::Dscp;
use serde::Serialize;

use super::cause::{Cause, Severity};
use crate::{PortRange, Role, TrafficClass};

/// Yes, no, or "could not tell".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every judged packet obeys the plan.
    Pass,
    /// Part of what was asked could not be judged; nothing judged was wrong.
    Unjudged,
    /// At least one packet breaks the plan.
    Fail,
}

/// The whole verdict over one or more captures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The verdict over everything: the worst of all flows.
    pub verdict: Verdict,
    /// Why the verdict is [`Verdict::Unjudged`], if it is.
    pub unjudged: Vec<String>,
    /// Name of the plan that was applied; `None` if none was given.
    pub plan: Option<String>,
    /// Presets by how well they fit what was seen, best first.
    pub fit: Vec<PlanFit>,
    /// Where packets were captured: one entry per file and interface.
    pub points: Vec<Point>,
    /// Counters over all frames.
    pub totals: Totals,
    /// One entry per flow, in order of first appearance.
    pub flows: Vec<FlowReport>,
    /// Causes with fixes, the root cause first.
    pub findings: Vec<Finding>,
}

/// How well a preset explains a capture.
#[derive(Clone, Debug, Serialize)]
pub struct PlanFit {
    /// Preset name.
    pub plan: String,
    /// 0 to 100: the mean of marks and ports, where a port in a wide range counts for less.
    pub score: f64,
    /// Share of media packets inside the preset's port range of their class, 0 to 100.
    pub ports: f64,
    /// Share of media and signaling packets with the preset's mark, 0 to 100.
    pub marks: f64,
}

/// One place where packets were captured.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Index of the file in the order given.
    pub file: u16,
    /// Name of the file as given, or of the interface.
    pub name: String,
    /// Interface inside the file (pcapng interface number, or index of a cooked capture).
    pub interface: u32,
}

/// Counters over all frames of all files.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Frames read.
    pub frames: u64,
    /// Bytes on the wire of these frames.
    pub bytes: u64,
    /// Frames that carry IP.
    pub ip: u64,
    /// Frames that belong to a class of the plan and were judged.
    pub judged: u64,
    /// Judged frames with the wrong mark.
    pub wrong_mark: u64,
    /// Judged media frames from a port outside the plan's range.
    pub out_of_range: u64,
    /// ICMP errors: what they quote is not traffic and is not judged.
    pub icmp: u64,
    /// Frames that are not IP, or whose headers were cut or broken.
    pub undecoded: u64,
    /// Fragments seen.
    pub fragments: u64,
    /// Packets that look like media but have no class, and so were not judged.
    pub unclassified: u64,
    /// Frames of flows beyond the limit of flows that are kept in detail.
    pub beyond_limit: u64,
    /// Time of the first frame, nanoseconds since 1970.
    pub start_ns: i64,
    /// Time of the last frame, nanoseconds since 1970.
    pub end_ns: i64,
}

/// How the class of a flow was told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The session description of the call names this address and port.
    Sdp,
    /// The port lies in the plan's range of the class, or is a well-known one.
    Port,
    /// What the packets are and how they follow each other.
    Shape,
}

/// What the packets of a flow are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// RTP or SRTP; one flow per SSRC.
    Rtp,
    /// Packets that look like RTP, but of senders seen once only.
    Unconfirmed,
    /// RTCP or SRTCP.
    Rtcp,
    /// STUN: connectivity checks, TURN requests.
    Stun,
    /// DTLS: key exchange of media, or data channels.
    Dtls,
    /// SIP in clear.
    Sip,
    /// TLS records.
    Tls,
    /// QUIC.
    Quic,
    /// UDP of which the capture kept too little to say (a short snap length).
    Cut,
    /// TURN-wrapped data that is no RTP, RTCP, STUN or DTLS inside.
    Relayed,
    /// Anything else.
    Other,
}

/// Which way a flow goes, as seen from the clients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From a client or phone to a server.
    ToServer,
    /// From a server to a client or phone.
    FromServer,
    /// Between two clients, or between two servers.
    Peer,
}

/// A mark and how many frames carried it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct MarkCount {
    /// The mark found.
    #[serde(serialize_with = "crate::dscp::number::serialize")]
    pub dscp: Dscp,
    /// Frames.
    pub packets: u64,
    /// Number of the first such frame, counted as Wireshark counts.
    pub first_frame: u64,
}

/// A flow: one direction of one conversation, one SSRC.
#[derive(Clone, Debug, Serialize)]
pub struct FlowReport {
    /// Index in [`Report::flows`]; findings refer to it.
    pub id: usize,
    /// Index in [`Report::points`].
    pub point: usize,
    /// Source address.
    pub src: IpAddr,
    /// Source port.
    pub src_port: u16,
    /// Destination address.
    pub dst: IpAddr,
    /// Destination port.
    pub dst_port: u16,
    /// "udp" or "tcp".
    pub protocol: &'static str,
    /// The VLAN tag, if there was one.
    pub vlan: Option<u16>,
    /// What the packets are.
    pub content: Content,
    /// Traffic class; `None` if the flow is none of the plan's business.
    pub class: Option<TrafficClass>,
    /// How the class was told.
    pub class_by: Option<Evidence>,
    /// Role of the sender, as far as it could be told.
    pub role: Role,
    /// Which way it goes.
    pub direction: Direction,
    /// Whether an SSRC's media was found inside TURN wrapping; then the peer's or channel's name.
    pub relayed: Option<String>,
    /// RTP synchronisation source.
    pub ssrc: Option<u32>,
    /// RTP payload type seen most.
    pub payload_type: Option<u8>,
    /// Codec, if known.
    pub codec: Option<String>,
    /// Whether media is encrypted (SRTP by SDP or DTLS), as far as is known.
    pub encrypted: bool,
    /// Source range that the plan gives to this class and role.
    pub range: Option<PortRange>,
    /// Whether the source port lies in it; `None` if the plan has none.
    pub in_range: Option<bool>,
    /// Mark that the plan expects; `None` if the flow is not judged.
    #[serde(serialize_with = "crate::dscp::number::serialize_option")]
    pub expected: Option<Dscp>,
    /// Marks found, most frequent first.
    pub marks: Vec<MarkCount>,
    /// Frames by ECN bits: not capable, ECT(1), ECT(0), congestion experienced.
    pub ecn: [u64; 4],
    /// Packets (reassembled datagrams count once).
    pub packets: u64,
    /// Frames (every fragment counts).
    pub frames: u64,
    /// Bytes of IP packets.
    pub bytes: u64,
    /// First frame.
    pub first_frame: u64,
    /// Time of the first packet, nanoseconds since 1970.
    pub start_ns: i64,
    /// Time of the last packet.
    pub end_ns: i64,
    /// RTP statistics.
    pub rtp: Option<RtpReport>,
    /// First frame that breaks the plan.
    pub first_offending: Option<u64>,
    /// The verdict on this flow.
    pub verdict: Verdict,
    /// Short reasons for a verdict other than pass.
    pub reasons: Vec<String>,
    /// What happened over time, at most [`super::timeline::BUCKETS`] entries.
    pub timeline: Vec<TimelineBucket>,
}

/// RTP statistics of one SSRC (RFC 3550, 6.4.1 and A.8; quality by ITU-T G.107).
#[derive(Clone, Debug, Default, Serialize)]
pub struct RtpReport {
    /// Packets expected by sequence numbers.
    pub expected: u64,
    /// Expected minus received, duplicates not counted.
    pub lost: i64,
    /// Loss in percent of expected.
    pub loss_percent: f64,
    /// Packets seen more than once.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Mean interarrival jitter, milliseconds; `None` without a clock rate.
    pub jitter_mean_ms: Option<f64>,
    /// Largest interarrival jitter, milliseconds.
    pub jitter_max_ms: Option<f64>,
    /// Largest gap between two packets, milliseconds.
    pub max_gap_ms: f64,
    /// RTP clock rate, Hz.
    pub clock_rate: Option<u32>,
    /// Whether the clock rate is assumed from the packets instead of known from SDP or a static type.
    pub clock_assumed: bool,
    /// Seconds in which packets flowed.
    pub talk_time_s: f64,
    /// Mean opinion score 1 to 4.5; `None` for video, unknown codecs, or loss that could not be judged.
    pub mos: Option<f64>,
    /// Why there is no MOS, or what it assumes.
    pub mos_note: Option<String>,
    /// Whether loss could be judged (not in captures from before segmentation).
    pub loss_judged: bool,
}

/// A slice of a flow's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TimelineBucket {
    /// Milliseconds since the flow's first packet.
    pub at_ms: u64,
    /// Packets.
    pub packets: u64,
    /// The mark seen most in this slice.
    pub dscp: u8,
    /// Packets with another mark than the plan's.
    pub off_mark: u64,
    /// Packets missing.
    pub lost: u64,
    /// Largest jitter, milliseconds.
    pub jitter_ms: f64,
}

/// A named cause with its fix.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Stable name, e.g. `return-path-unmarked`.
    pub cause: Cause,
    /// How grave.
    pub severity: Severity,
    /// What was seen, with addresses, ports and numbers.
    pub text: String,
    /// What to do.
    pub fix: String,
    /// The flow that shows it best.
    pub flow: Option<usize>,
    /// All flows it explains.
    pub flows: Vec<usize>,
    /// Frame number to look at first, counted as Wireshark counts, in the file of the flow's point.
    pub frame: Option<u64>,
}
