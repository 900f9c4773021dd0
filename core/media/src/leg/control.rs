//! RTCP of one leg: when reports are due, what they say, what the peer's say (RFC 3550, 6; RFC 3611).

use std::time::Duration;

use carillon_wire::rtcp::{
    self, Builder, Content, ReportBlock, SenderInfo, VoipMetrics, is_compound, packets,
};

use super::receive::Stream;
use super::send::Sender;
use super::{Arrivals, Event};
use crate::quality::Remote;
use crate::random::Random;

/// Between two reports (RFC 3550, 6.2); the first comes after half of it.
const INTERVAL: Duration = Duration::from_secs(5);
/// Makes up for what randomness would add (6.3.1).
const COMPENSATION: f64 = 1.218_28;
/// From 1900, where NTP begins, to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// Reports, both ways.
#[derive(Debug)]
pub(super) struct Control {
    cname: String,
    due: Option<Duration>,
    /// Of the stream that is heard: whose it is, and what was expected and received at the last report.
    reported: (u32, u64, u64),
    /// Packets sent at the last report and at the one before: who sent in neither time is no sender (6.4).
    sent: [u64; 2],
    /// The middle of the last sender report's time, and when it came.
    sender_report: Option<(u32, Duration)>,
    round_trip_ms: Option<f64>,
    remote: Option<Remote>,
}

impl Control {
    pub(super) fn new(cname: String) -> Control {
        Control {
            cname,
            due: None,
            reported: (0, 0, 0),
            sent: [0; 2],
            sender_report: None,
            round_trip_ms: None,
            remote: None,
        }
    }

    /// Whether a report is due; then the next one is appointed.
    pub(super) fn is_due(&mut self, now: Duration, random: &mut Random) -> bool {
        let Some(due) = self.due else {
            self.due = Some(now + randomised(INTERVAL / 2, random));
            return false;
        };
        if now < due {
            return false;
        }
        self.due = Some(now + randomised(INTERVAL, random));
        true
    }

    /// A report about what we send and hear, our name, VoIP metrics if wanted, and perhaps our goodbye.
    pub(super) fn compound(
        &mut self,
        now: Duration,
        sender: &Sender,
        heard: Option<&Stream>,
        metrics: Option<VoipMetrics>,
        bye: bool,
    ) -> Vec<u8> {
        let ssrc = sender.ssrc();
        let block = heard.map(|stream| self.block(now, stream));
        let sent = sender.sent();
        let is_sender = sent.packets > self.sent[0];
        self.sent = [self.sent[1].min(sent.packets), sent.packets];
        let report = Builder::default();
        let report = if is_sender {
            let info = SenderInfo {
                ssrc,
                ntp: ntp(now),
                rtp_timestamp: sender.timestamp(),
                packets: sent.packets as u32,
                octets: sent.octets as u32,
            };
            report.sender_report(&info, block.as_slice())
        } else {
            report.receiver_report(ssrc, block.as_slice())
        };
        let named = report.cname(ssrc, &self.cname);
        let measured = match &metrics {
            Some(metrics) => named.voip_metrics(ssrc, metrics),
            None => named,
        };
        if bye { measured.bye(ssrc).finish() } else { measured.finish() }
    }

    /// How the stream arrives (6.4.1 and A.3).
    fn block(&mut self, now: Duration, stream: &Stream) -> ReportBlock {
        let (expected, received) = (stream.sequence.expected(), stream.sequence.received);
        let before = if self.reported.0 == stream.ssrc { self.reported } else { (stream.ssrc, 0, 0) };
        self.reported = (stream.ssrc, expected, received);
        let (expected, received) = (expected.saturating_sub(before.1), received.saturating_sub(before.2));
        let lost = expected.saturating_sub(received);
        let (jitter_ms, _) = stream.jitter_ms();
        ReportBlock {
            ssrc: stream.ssrc,
            fraction_lost: (lost * 256 / expected.max(1)).min(255) as u8,
            cumulative_lost: stream.sequence.lost().clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            highest_sequence: stream.sequence.highest(),
            jitter: (jitter_ms * f64::from(stream.clock) / 1000.0) as u32,
            last_sr: self.sender_report.map_or(0, |(middle, _)| middle),
            delay_since_sr: self.sender_report.map_or(0, |(_, at)| short(now.saturating_sub(at))),
        }
    }

    /// Takes a compound in the clear. `own` is our SSRC and `clock` that of our stream, `heard` the SSRC we listen to.
    pub(super) fn handle(
        &mut self,
        now: Duration,
        plain: &[u8],
        own: u32,
        clock: u32,
        heard: Option<u32>,
        arrivals: &mut Arrivals,
    ) -> Option<Event> {
        let len = plain.len() as u32;
        if !is_compound(plain, len) {
            arrivals.garbage += 1;
            return None;
        }
        let mut event = None;
        for packet in packets(plain, len) {
            match packet.content() {
                Content::SenderReport(info, blocks) => {
                    if Some(info.ssrc) == heard {
                        self.sender_report = Some(((info.ntp >> 16) as u32, now));
                    }
                    self.take_blocks(now, own, clock, blocks);
                }
                Content::ReceiverReport(_, blocks) => self.take_blocks(now, own, clock, blocks),
                Content::ExtendedReport(_, blocks) => self.take_metrics(own, blocks),
                Content::Bye(bye) if bye.sources().any(|source| Some(source) == heard) => {
                    event = Some(Event::Left);
                }
                _ => {}
            }
        }
        event
    }

    pub(super) fn round_trip_ms(&self) -> Option<f64> {
        self.round_trip_ms
    }

    pub(super) fn remote(&self) -> Option<Remote> {
        self.remote
    }

    fn take_blocks(&mut self, now: Duration, own: u32, clock: u32, blocks: rtcp::Reports<'_>) {
        for block in blocks.filter(|block| block.ssrc == own) {
            let remote = self.remote.get_or_insert(UNHEARD);
            remote.lost = block.cumulative_lost;
            remote.loss_percent = f64::from(block.fraction_lost) * 100.0 / 256.0;
            remote.jitter_ms = f64::from(block.jitter) * 1000.0 / f64::from(clock);
            if block.last_sr != 0 {
                let middle = (ntp(now) >> 16) as u32;
                let trip = middle.wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_sr) as i32;
                // Clocks of 1/65536 s may make a short way negative.
                self.round_trip_ms = Some(f64::from(trip.max(0)) * 1000.0 / 65_536.0);
            }
        }
    }

    fn take_metrics(&mut self, own: u32, blocks: rtcp::XrBlocks<'_>) {
        let about_us = |metrics: &VoipMetrics| metrics.ssrc == own;
        if let Some(metrics) = blocks.filter_map(|block| block.voip_metrics()).find(about_us) {
            self.remote.get_or_insert(UNHEARD).voip_metrics = Some(metrics);
        }
    }
}

const UNHEARD: Remote = Remote { lost: 0, loss_percent: 0.0, jitter_ms: 0.0, voip_metrics: None };

/// Half to one and a half of it, so that ends do not fall into step (6.3.1).
fn randomised(interval: Duration, random: &mut Random) -> Duration {
    let share = f64::from(random.u32()) / f64::from(u32::MAX);
    interval.mul_f64((0.5 + share) / COMPENSATION)
}

/// Seconds since 1900 in the upper half, fractions in the lower.
fn ntp(now: Duration) -> u64 {
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    now.as_secs().wrapping_add(NTP_OFFSET) << 32 | fraction
}

/// In 65536ths of a second.
fn short(time: Duration) -> u32 {
    u32::try_from(time.as_micros() * 65_536 / 1_000_000).unwrap_or(u32::MAX)
}
