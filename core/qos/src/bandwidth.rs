//! What a call costs a link, in kilobits per second and direction: payload, headers, and what error correction may add.
//!
//! The figures are those that Lync's planning documents print. Links are planned with the last column: under loss a codec sends all
//! of its speech twice.

/// One codec.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    /// Its name in session descriptions.
    pub codec: &'static str,
    /// Its clock there; `None` for any.
    pub clock: Option<u32>,
    /// Payload alone.
    pub payload: f64,
    /// With the headers of IP.
    pub ip: f64,
    /// With those of UDP, RTP and SRTP too.
    pub srtp: f64,
    /// With forward error correction.
    pub fec: f64,
}

const fn rate(codec: &'static str, clock: Option<u32>, payload: f64, ip: f64, srtp: f64, fec: f64) -> Rate {
    Rate { codec, clock, payload, ip, srtp, fec }
}

/// 20 ms in a packet. Of codecs that Lync has not, by the same sums: 16 for IP, 12 for the rest, the payload again.
pub static RATES: &[Rate] = &[
    rate("PCMU", None, 64.0, 80.0, 92.0, 156.0),
    rate("PCMA", None, 64.0, 80.0, 92.0, 156.0),
    rate("G722", None, 64.0, 80.0, 96.0, 160.0),
    rate("SILK", Some(16_000), 36.0, 52.0, 64.0, 100.0),
    rate("SILK", None, 13.0, 29.0, 41.0, 54.0),
    rate("X-MSRTA", Some(16_000), 29.0, 45.0, 57.0, 86.0),
    rate("X-MSRTA", None, 11.8, 27.8, 39.8, 51.6),
    rate("SIREN", None, 16.0, 32.0, 47.6, 63.6),
    rate("G7221", None, 24.0, 40.0, 52.0, 76.0),
    rate("opus", None, 36.0, 52.0, 64.0, 100.0),
    rate("G729", None, 8.0, 24.0, 36.0, 44.0),
    rate("GSM", None, 13.0, 29.0, 41.0, 54.0),
    rate("iLBC", None, 15.2, 31.2, 43.2, 58.4),
];

/// The figures of a codec; those of the dearest for one that is not listed.
pub fn of(codec: &str, clock: u32) -> &'static Rate {
    let is =
        |rate: &&Rate| rate.codec.eq_ignore_ascii_case(codec) && rate.clock.is_none_or(|own| own == clock);
    RATES.iter().find(is).unwrap_or(&DEAREST)
}

static DEAREST: Rate = rate("", None, 64.0, 80.0, 96.0, 160.0);

impl Rate {
    /// What a link is charged, in whole kilobits per second. A limit for one call below that takes the error correction away.
    pub fn planned(&self, limit: Option<u32>) -> u32 {
        let fec = self.fec.ceil() as u32;
        match limit {
            Some(limit) if limit < fec => self.srtp.ceil() as u32,
            _ => fec,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_figures_are_these() {
        let columns = |codec, clock| {
            let rate = of(codec, clock);
            [rate.payload, rate.ip, rate.srtp, rate.fec]
        };
        assert_eq!(columns("g722", 8000), [64.0, 80.0, 96.0, 160.0]);
        assert_eq!(columns("SILK", 16_000), [36.0, 52.0, 64.0, 100.0]);
        assert_eq!(columns("x-msrta", 16_000), [29.0, 45.0, 57.0, 86.0]);
        assert_eq!(columns("unheard-of", 8000), [64.0, 80.0, 96.0, 160.0]);
    }

    #[test]
    fn a_link_is_planned_with_error_correction_unless_a_limit_forbids_it() {
        let rate = of("opus", 48_000);
        assert_eq!(
            [None, Some(100), Some(99), Some(10)].map(|limit| rate.planned(limit)),
            [100, 100, 64, 64]
        );
    }
}
