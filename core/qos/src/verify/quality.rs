//! Voice quality by the E-model (ITU-T G.107): from loss, delay and codec to a mean opinion score.
//!
//! Equipment impairments are those of G.113 Appendix I. A codec without published values gets no score:
//! a guess would look like a measurement.

/// Equipment impairment and robustness against random loss (G.113, Appendix I).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CodecQuality {
    /// Impairment without loss.
    pub ie: f64,
    /// Loss robustness.
    pub bpl: f64,
}

/// What G.113 says of this codec (RTP encoding name); `None` if it says nothing.
pub fn codec_quality(name: &str) -> Option<CodecQuality> {
    let (ie, bpl) = match name.to_ascii_uppercase().as_str() {
        // With the packet loss concealment of G.711 Appendix I, which every endpoint today has.
        "PCMU" | "PCMA" => (0.0, 25.1),
        "G729" | "G729A" | "G729B" => (11.0, 19.0),
        "G723" => (15.0, 16.1),
        "GSM" => (20.0, 10.0),
        "GSM-EFR" => (5.0, 10.0),
        "G728" => (7.0, 17.0),
        _ => return None,
    };
    Some(CodecQuality { ie, bpl })
}

/// Mean opinion score for a one-way delay in milliseconds and a loss in percent; 1 to 4.5.
///
/// R = 93.2 - Id - Ie,eff (G.107 with default values); `burst_ratio` is 1 for random loss.
pub fn mos(codec: CodecQuality, delay_ms: f64, loss_percent: f64, burst_ratio: f64) -> f64 {
    let loss = loss_percent.clamp(0.0, 100.0);
    let effective = codec.ie + (95.0 - codec.ie) * loss / (loss / burst_ratio.max(1.0) + codec.bpl);
    let late = (delay_ms - 177.3).max(0.0);
    let r = 93.2 - (0.024 * delay_ms.max(0.0) + 0.11 * late) - effective;
    if r <= 0.0 {
        return 1.0;
    }
    if r >= 100.0 {
        return 4.5;
    }
    // Below R = 6.5 the polynomial dips under 1 and is not monotonic; a score never is.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clean_g711_scores_four_point_four() {
        let score = mos(codec_quality("PCMU").unwrap(), 0.0, 0.0, 1.0);
        assert!((score - 4.41).abs() < 0.01, "{score}");
    }

    #[test]
    fn known_values_of_the_formula() {
        // G.729A without loss: R = 82.2.
        let score = mos(codec_quality("G729").unwrap(), 0.0, 0.0, 1.0);
        assert!((score - 4.12).abs() < 0.02, "{score}");
        // G.711 with concealment, 5 % loss: Ie,eff = 95 * 5 / (5 + 25.1) = 15.8, R = 77.4.
        let score = mos(codec_quality("PCMA").unwrap(), 0.0, 5.0, 1.0);
        assert!((score - 3.93).abs() < 0.02, "{score}");
    }

    #[test]
    fn an_unknown_codec_has_no_quality() {
        assert_eq!(codec_quality("opus"), None);
    }

    proptest! {
        #[test]
        fn more_loss_never_sounds_better(a in 0.0..100.0f64, b in 0.0..100.0f64, delay in 0.0..600.0f64) {
            let (less, more) = if a < b { (a, b) } else { (b, a) };
            for codec in ["PCMU", "G729", "G723", "GSM"] {
                let quality = codec_quality(codec).unwrap();
                prop_assert!(mos(quality, delay, more, 1.0) <= mos(quality, delay, less, 1.0) + 1e-12);
            }
        }
    }
}
