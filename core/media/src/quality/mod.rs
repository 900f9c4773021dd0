//! What a call's media was like, as numbers: for tables, reports and VoIP metrics. The E-model itself is
//! `carillon_qos::verify::quality`.

mod burst;
mod metrics;

use std::collections::BTreeMap;

use carillon_qos::TrafficClass;
use carillon_qos::verify::quality::{codec_quality, mos};
use carillon_wire::ip::Dscp;
use carillon_wire::rtcp::VoipMetrics;

pub use burst::{Bursts, Clusters};
pub(crate) use metrics::voip_metrics;

use crate::codec::Codec;
use crate::leg::Arrivals;

/// How the peer receives us, as its last reports say.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Remote {
    /// Packets of ours lost since the start; negative if duplicates outnumber them.
    pub lost: i32,
    /// Share lost since the report before, percent.
    pub loss_percent: f64,
    /// Jitter, milliseconds.
    pub jitter_ms: f64,
    /// Its VoIP metrics, if it sends any.
    pub voip_metrics: Option<VoipMetrics>,
}

/// One leg, from its start until now.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// What we send.
    pub codec: Codec,
    /// What we last heard; `None` before the first packet.
    pub codec_heard: Option<Codec>,
    /// The class of all packets.
    pub class: TrafficClass,
    /// The suite of SRTP, by its name in `a=crypto`; `None` for plain RTP.
    pub suite: Option<&'static str>,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTCP packets sent.
    pub reports_sent: u64,
    /// What was sent, RTP and RTCP, with the mark of the leg's sockets.
    pub marks_sent: BTreeMap<Dscp, u64>,
    /// RTP that came.
    pub rtp: Arrivals,
    /// RTCP that came.
    pub rtcp: Arrivals,
    /// RTP packets of the streams that were heard; duplicates are not counted.
    pub packets_received: u64,
    /// Expected by the sequence numbers and never received.
    pub packets_lost: u64,
    /// Received, but after their turn or beyond the longest delay.
    pub packets_discarded: u64,
    /// Received more than once.
    pub packets_duplicated: u64,
    /// Received after a later one.
    pub packets_reordered: u64,
    /// Payloads that the codec did not understand.
    pub packets_garbled: u64,
    /// Lost, of those expected, percent.
    pub loss_percent: f64,
    /// Lost or discarded, of those expected, percent: what the ear misses.
    pub unheard_percent: f64,
    /// How losses cluster.
    pub clusters: Clusters,
    /// Frames that were invented.
    pub frames_concealed: u64,
    /// Interarrival jitter now (RFC 3550, 6.4.1), milliseconds.
    pub jitter_ms: f64,
    /// Its highest value, milliseconds.
    pub jitter_max_ms: f64,
    /// There and back between both ends, milliseconds; `None` until the peer has answered a report of ours.
    pub round_trip_ms: Option<f64>,
    /// Delay of the jitter buffer now, milliseconds.
    pub buffer_ms: u32,
    /// Its longest delay, milliseconds.
    pub buffer_max_ms: u32,
    /// Ticks that the host left out because it came too late.
    pub ticks_skipped: u64,
    /// What the peer says.
    pub remote: Option<Remote>,
}

impl Report {
    /// Conversational mean opinion score, 1 to 4.5, of what is heard here: G.107, for codecs with published constants.
    /// `None` for others (G.722 and Opus are wideband: their scores have another scale), and before anything was heard.
    pub fn mos(&self) -> Option<f64> {
        let quality = codec_quality(self.codec_heard?.name())?;
        Some(mos(quality, self.delay_ms(), self.unheard_percent, self.clusters.ratio))
    }

    /// Mouth to ear as far as it is known, milliseconds: half the round trip, the jitter buffer, and a frame to fill.
    pub fn delay_ms(&self) -> f64 {
        self.round_trip_ms.unwrap_or(0.0) / 2.0 + f64::from(self.buffer_ms) + 20.0
    }
}
