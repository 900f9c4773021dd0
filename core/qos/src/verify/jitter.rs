//! Interarrival jitter (RFC 3550, 6.4.1 and A.8), for several clock rates at once.
//!
//! The clock rate of a dynamic payload type is known only from SDP, which may be encrypted or come later.
//! So each likely rate has a lane; the second pass picks the lane that SDP or the payload type names, or
//! else the one with the least jitter, which is then called assumed.

const LANES: usize = 8;
/// Clock rates with a lane, Hz.
pub const RATES: [u32; LANES] = [8000, 16000, 48000, 90000, 32000, 24000, 44100, 12000];
/// The fastest of them.
const FASTEST: u32 = 90_000;
/// Timestamps and arrival may differ by this much before a jump is suspected.
const LEEWAY_NS: u64 = 10_000_000_000;
const MICROS_PER_TICK: [f32; LANES] = {
    let mut factors = [0.0; LANES];
    let mut lane = 0;
    while lane < LANES {
        factors[lane] = 1e6 / RATES[lane] as f32;
        lane += 1;
    }
    factors
};

/// Jitter in one lane, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lane {
    /// Clock rate, Hz.
    pub rate: u32,
    /// Now: the smoothed value of RFC 3550, 6.4.1.
    pub now_ms: f64,
    /// Mean over all packets.
    pub mean_ms: f64,
    /// Maximum.
    pub max_ms: f64,
}

/// The jitter of one SSRC.
#[derive(Clone, Debug)]
pub struct Jitter {
    time: i64,
    timestamp: u32,
    samples: u32,
    /// Microseconds, a value per lane.
    now: [f32; LANES],
    max: [f32; LANES],
    mean: [f32; LANES],
}

impl Jitter {
    /// Of a stream whose first packet came at `time`, nanoseconds.
    pub fn new(time: i64, timestamp: u32) -> Jitter {
        Jitter { time, timestamp, samples: 0, now: [0.0; LANES], max: [0.0; LANES], mean: [0.0; LANES] }
    }

    /// Takes the next packet in order.
    #[inline]
    pub fn push(&mut self, time: i64, timestamp: u32) {
        let elapsed = time.wrapping_sub(self.time) as f32 / 1e3;
        let ticks = timestamp.wrapping_sub(self.timestamp) as i32 as f32;
        (self.time, self.timestamp) = (time, timestamp);
        self.samples = self.samples.saturating_add(1);
        let share = 1.0 / self.samples as f32;
        for (lane, micros) in MICROS_PER_TICK.iter().enumerate() {
            let difference = (elapsed - ticks * micros).abs();
            self.now[lane] += (difference - self.now[lane]) / 16.0;
            self.max[lane] = self.max[lane].max(self.now[lane]);
            self.mean[lane] += (self.now[lane] - self.mean[lane]) * share;
        }
    }

    /// Whether this timestamp is nowhere near where the time since the last packet would have taken it, at any
    /// clock rate: a sender that begins anew chooses it at random (RFC 3550, 5.1).
    pub fn has_jumped(&self, time: i64, timestamp: u32) -> bool {
        let elapsed = time.wrapping_sub(self.time).unsigned_abs().saturating_add(LEEWAY_NS);
        let ticks = (timestamp.wrapping_sub(self.timestamp) as i32).unsigned_abs();
        u128::from(ticks) * 1_000_000_000 > u128::from(elapsed) * u128::from(FASTEST)
    }

    /// The sender began anew: its timestamps don't follow those before.
    pub fn restart(&mut self, time: i64, timestamp: u32) {
        (self.time, self.timestamp) = (time, timestamp);
    }

    /// The least jitter of any lane now, milliseconds: what a timeline shows before the rate is known.
    pub fn least_ms(&self) -> f32 {
        self.now.iter().copied().fold(f32::INFINITY, f32::min) / 1e3
    }

    /// The jitter at this clock rate; `None` if it has no lane.
    pub fn at(&self, rate: u32) -> Option<Lane> {
        let lane = RATES.iter().position(|&r| r == rate)?;
        Some(self.lane(lane))
    }

    /// The lane with the least mean jitter, if there were packets enough to tell.
    pub fn best(&self) -> Option<Lane> {
        let lanes = 0..LANES;
        let best = lanes.min_by(|&a, &b| self.mean[a].total_cmp(&self.mean[b]))?;
        (self.samples >= 8).then(|| self.lane(best))
    }

    fn lane(&self, lane: usize) -> Lane {
        Lane {
            rate: RATES[lane],
            now_ms: f64::from(self.now[lane]) / 1e3,
            mean_ms: f64::from(self.mean[lane]) / 1e3,
            max_ms: f64::from(self.max[lane]) / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(ticks: u32, step_ns: i64, wobble_ns: i64) -> Jitter {
        let mut jitter = Jitter::new(0, 0);
        for n in 1..400i64 {
            jitter.push(n * step_ns + if n % 2 == 0 { wobble_ns } else { 0 }, ticks.wrapping_mul(n as u32));
        }
        jitter
    }

    #[test]
    fn a_steady_stream_names_its_clock() {
        assert_eq!(steady(960, 20_000_000, 0).best().unwrap().rate, 48000);
        assert_eq!(steady(160, 20_000_000, 0).best().unwrap().rate, 8000);
    }

    #[test]
    fn an_outage_takes_the_timestamp_along_and_a_new_beginning_does_not() {
        let jitter = steady(160, 20_000_000, 0);
        let (time, timestamp) = (jitter.time, jitter.timestamp);
        let minute = 60_000_000_000;
        assert!(!jitter.has_jumped(time + minute, timestamp + 60 * 8000));
        assert!(!jitter.has_jumped(time + minute, timestamp + 60 * 90_000));
        assert!(!jitter.has_jumped(time + minute, 0), "some senders stop their clock meanwhile");
        assert!(jitter.has_jumped(time + minute, timestamp.wrapping_add(0x7000_0000)));
        assert!(jitter.has_jumped(time + 20_000_000, timestamp.wrapping_sub(0x1000_0000)));
        assert!(!jitter.has_jumped(i64::MIN, timestamp));
    }

    #[test]
    fn a_restart_is_no_jitter() {
        let mut jitter = steady(160, 20_000_000, 0);
        jitter.restart(jitter.time + 20_000_000, 0xdead_beef);
        jitter.push(jitter.time + 20_000_000, 0xdead_beef_u32.wrapping_add(160));
        assert!(jitter.at(8000).unwrap().max_ms < 0.1);
    }

    #[test]
    fn jitter_settles_at_the_mean_difference() {
        let lane = steady(160, 20_000_000, 4_000_000).at(8000).unwrap();
        assert!((lane.max_ms - 4.0).abs() < 0.1, "{lane:?}");
    }
}
