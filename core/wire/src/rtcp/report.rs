//! The numbers in sender, receiver and extended reports.

use super::be32;

/// What a sender says about its own stream (RFC 3550, 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// Whose stream.
    pub ssrc: u32,
    /// Wall clock: seconds since 1900 in the upper half, fractions in the lower.
    pub ntp: u64,
    /// The same moment in the stream's own clock.
    pub rtp_timestamp: u32,
    /// Packets sent since the start.
    pub packets: u32,
    /// Payload bytes sent since the start.
    pub octets: u32,
}

/// How one stream arrives at the reporter (RFC 3550, 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    /// Whose stream.
    pub ssrc: u32,
    /// Share lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since the start; negative if duplicates outnumber them.
    pub cumulative_lost: i32,
    /// Highest sequence number seen; the upper half counts wraps.
    pub highest_sequence: u32,
    /// Interarrival jitter in units of the stream's clock.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time.
    pub last_sr: u32,
    /// Delay since that report, in 65536ths of a second.
    pub delay_since_sr: u32,
}

/// One block of an extended report (RFC 3611, 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct XrBlock<'a> {
    /// 1 loss run lengths, 2 duplicate run lengths, 3 receipt times, 4 reference time, 5 DLRR, 6 statistics
    /// summary, 7 VoIP metrics; others by IANA.
    pub block_type: u8,
    /// A byte whose meaning the type decides.
    pub type_specific: u8,
    /// What follows the four bytes of its header, as far as captured.
    pub body: &'a [u8],
}

/// The blocks of an extended report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct XrBlocks<'a> {
    rest: &'a [u8],
}

/// What a telephone thinks of a call (RFC 3611, 4.7). Rates are in 256ths, durations in milliseconds; 127
/// stands for "unavailable" in levels, factors and scores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VoipMetrics {
    /// Whose stream.
    pub ssrc: u32,
    /// Lost in the network.
    pub loss_rate: u8,
    /// Thrown away by the jitter buffer.
    pub discard_rate: u8,
    /// Lost or discarded inside bursts.
    pub burst_density: u8,
    /// Lost or discarded between bursts.
    pub gap_density: u8,
    /// Mean length of a burst.
    pub burst_duration: u16,
    /// Mean length of a gap.
    pub gap_duration: u16,
    /// There and back.
    pub round_trip_delay: u16,
    /// Inside the telephone.
    pub end_system_delay: u16,
    /// dBm0.
    pub signal_level: i8,
    /// dBm0.
    pub noise_level: i8,
    /// Residual echo return loss, dB.
    pub echo_return_loss: u8,
    /// Packets without loss that end a burst.
    pub gmin: u8,
    /// R factor of this segment.
    pub r_factor: u8,
    /// R factor of what follows it.
    pub external_r_factor: u8,
    /// MOS of listening, in tenths.
    pub mos_listening: u8,
    /// MOS of conversation, in tenths.
    pub mos_conversation: u8,
    /// Concealment, adaptivity and rate of the jitter buffer.
    pub receiver_config: u8,
    /// Jitter buffer now.
    pub jitter_nominal: u16,
    /// Its greatest recent value.
    pub jitter_maximum: u16,
    /// The most it could become.
    pub jitter_absolute_maximum: u16,
}

impl SenderInfo {
    pub(super) fn decode(body: &[u8]) -> Option<SenderInfo> {
        Some(SenderInfo {
            ssrc: be32(body, 0)?,
            ntp: u64::from(be32(body, 4)?) << 32 | u64::from(be32(body, 8)?),
            rtp_timestamp: be32(body, 12)?,
            packets: be32(body, 16)?,
            octets: be32(body, 20)?,
        })
    }
}

impl ReportBlock {
    pub(super) fn decode(block: &[u8; 24]) -> Option<ReportBlock> {
        let lost = be32(block, 4)?;
        Some(ReportBlock {
            ssrc: be32(block, 0)?,
            fraction_lost: (lost >> 24) as u8,
            // 24 bits with a sign: up, and down again with the sign.
            cumulative_lost: ((lost << 8) as i32) >> 8,
            highest_sequence: be32(block, 8)?,
            jitter: be32(block, 12)?,
            last_sr: be32(block, 16)?,
            delay_since_sr: be32(block, 20)?,
        })
    }
}

impl ReportBlock {
    /// As it stands in a report. Losses beyond 24 bits are clamped (RFC 3550, A.3).
    pub(super) fn encode(&self) -> [u8; 24] {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        let words = [
            self.ssrc,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_sr,
        ];
        let mut bytes = [0; 24];
        bytes.as_chunks_mut().0.iter_mut().zip(words).for_each(|(room, word)| *room = word.to_be_bytes());
        bytes
    }
}

impl VoipMetrics {
    /// The body of its block.
    pub(super) fn encode(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes[4..8].copy_from_slice(&[
            self.loss_rate,
            self.discard_rate,
            self.burst_density,
            self.gap_density,
        ]);
        let durations =
            [self.burst_duration, self.gap_duration, self.round_trip_delay, self.end_system_delay];
        let levels = [
            self.signal_level as u8,
            self.noise_level as u8,
            self.echo_return_loss,
            self.gmin,
            self.r_factor,
            self.external_r_factor,
            self.mos_listening,
            self.mos_conversation,
            self.receiver_config,
        ];
        let delays = [self.jitter_nominal, self.jitter_maximum, self.jitter_absolute_maximum];
        bytes[16..25].copy_from_slice(&levels);
        for (at, value) in (8..).step_by(2).zip(durations).chain((26..).step_by(2).zip(delays)) {
            bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }
}

impl<'a> XrBlocks<'a> {
    pub(super) fn new(rest: &'a [u8]) -> XrBlocks<'a> {
        XrBlocks { rest }
    }
}

impl<'a> Iterator for XrBlocks<'a> {
    type Item = XrBlock<'a>;

    fn next(&mut self) -> Option<XrBlock<'a>> {
        let (&[block_type, type_specific, l0, l1], after) = self.rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        self.rest = after.get(len..).unwrap_or_default();
        Some(XrBlock { block_type, type_specific, body: after.get(..len).unwrap_or(after) })
    }
}

impl XrBlock<'_> {
    /// The block as VoIP metrics; `None` if it is of another type or shorter than they are.
    pub fn voip_metrics(&self) -> Option<VoipMetrics> {
        let b: &[u8; 32] = self.body.first_chunk().filter(|_| self.block_type == 7)?;
        let be16 = |high: u8, low: u8| u16::from_be_bytes([high, low]);
        Some(VoipMetrics {
            ssrc: be32(b, 0)?,
            loss_rate: b[4],
            discard_rate: b[5],
            burst_density: b[6],
            gap_density: b[7],
            burst_duration: be16(b[8], b[9]),
            gap_duration: be16(b[10], b[11]),
            round_trip_delay: be16(b[12], b[13]),
            end_system_delay: be16(b[14], b[15]),
            signal_level: b[16] as i8,
            noise_level: b[17] as i8,
            echo_return_loss: b[18],
            gmin: b[19],
            r_factor: b[20],
            external_r_factor: b[21],
            mos_listening: b[22],
            mos_conversation: b[23],
            receiver_config: b[24],
            jitter_nominal: be16(b[26], b[27]),
            jitter_maximum: be16(b[28], b[29]),
            jitter_absolute_maximum: be16(b[30], b[31]),
        })
    }
}
