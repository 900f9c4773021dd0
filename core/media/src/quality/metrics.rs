//! A report as the block of an extended report (RFC 3611, 4.7).

use carillon_wire::rtcp::VoipMetrics;

use super::Report;
use super::burst::GMIN;
use crate::jitter::MOST_DELAY_MS;

/// "Unavailable" in levels, factors and scores.
const UNAVAILABLE: u8 = 127;
/// Standard concealment (bits 7 and 6: 11), adaptive jitter buffer (bits 5 and 4: 11), rate 2 (4.7.6).
const RECEIVER: u8 = 0b1111_0010;
const FRAME_MS: f64 = 20.0;

/// What we say about the stream of this source.
pub(crate) fn voip_metrics(report: &Report, ssrc: u32) -> VoipMetrics {
    let tenths = |score: Option<f64>| score.map_or(UNAVAILABLE, |score| (score * 10.0).round() as u8);
    VoipMetrics {
        ssrc,
        loss_rate: rate(report.loss_percent / 100.0),
        discard_rate: rate((report.unheard_percent - report.loss_percent) / 100.0),
        burst_density: rate(report.clusters.burst_density),
        gap_density: rate(report.clusters.gap_density),
        burst_duration: milliseconds(report.clusters.burst_packets * FRAME_MS),
        gap_duration: milliseconds(report.clusters.gap_packets * FRAME_MS),
        round_trip_delay: milliseconds(report.round_trip_ms.unwrap_or(0.0)),
        end_system_delay: milliseconds(f64::from(report.buffer_ms) + FRAME_MS),
        signal_level: UNAVAILABLE as i8,
        noise_level: UNAVAILABLE as i8,
        echo_return_loss: UNAVAILABLE,
        gmin: GMIN,
        r_factor: UNAVAILABLE,
        external_r_factor: UNAVAILABLE,
        mos_listening: UNAVAILABLE,
        mos_conversation: tenths(report.mos()),
        receiver_config: RECEIVER,
        jitter_nominal: milliseconds(report.buffer_ms.into()),
        jitter_maximum: milliseconds(report.buffer_max_ms.into()),
        jitter_absolute_maximum: MOST_DELAY_MS as u16,
    }
}

/// A share in 256ths, as far as eight bits reach.
fn rate(share: f64) -> u8 {
    (share.max(0.0) * 256.0) as u8
}

/// In 16 bits, as far as they reach.
fn milliseconds(value: f64) -> u16 {
    value.round() as u16
}
