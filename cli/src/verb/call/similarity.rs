//! How like a reference speech is that has been through codecs, loss and a jitter buffer.
//!
//! Pieces of a quarter of a second are looked for in the reference by correlation; a buffer that stretches time moves a
//! piece, it does not spoil it. No opinion about quality: that is what MOS is for.

use carillon_media::codec::RATE;

use super::speech::Speech;

/// Samples of a piece.
const PIECE: usize = RATE as usize / 4;
/// The coarse search looks at every so many samples together.
const COARSE: usize = 8;
/// Mean square of a piece in which nobody speaks.
const QUIET: f64 = 150.0 * 150.0;

/// From 0 (nothing of it) to 1 (the same). What should have been heard and was not counts as 0.
pub(super) fn similarity(heard: &Speech, reference: &Speech) -> f64 {
    // The reference is repeated: a piece may reach over its end into the next beginning.
    let mut reference = reference.0.clone();
    let expected = spoken_share(&reference);
    reference.extend(std::iter::repeat_n(0, RATE as usize / 2));
    reference.extend_from_within(..(2 * PIECE).min(reference.len()));
    let coarse = thinned(&reference);
    let pieces: Vec<&[i16]> = heard.0.chunks_exact(PIECE).filter(|piece| power(piece) > QUIET).collect();
    if pieces.is_empty() || expected == 0.0 {
        return 0.0;
    }
    let total: f64 = pieces.iter().map(|piece| power(piece)).sum();
    let alike: f64 = pieces.iter().map(|piece| power(piece) * best(piece, &reference, &coarse)).sum();
    let share = pieces.len() as f64 / (heard.0.len() / PIECE).max(1) as f64;
    // Beginning and end of a call are not speech; a call that is half as full as the reference is no doubt broken.
    let missing = (share / (0.6 * expected)).min(1.0);
    (alike / total * missing).clamp(0.0, 1.0)
}

/// The best correlation of a piece anywhere in the reference: searched coarsely, then looked at closely.
fn best(piece: &[i16], reference: &[i16], coarse: &[f64]) -> f64 {
    let thin = thinned(piece);
    let places = coarse.len().saturating_sub(thin.len());
    let mut found: Vec<(f64, usize)> =
        (0..=places).filter_map(|at| Some((correlation(&thin, coarse.get(at..at + thin.len())?), at))).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let piece: Vec<f64> = piece.iter().map(|sample| f64::from(*sample)).collect();
    let close = found.iter().take(3).flat_map(|(_, at)| {
        let from = (at * COARSE).saturating_sub(COARSE);
        from..(at + 1) * COARSE + 1
    });
    let at = |at: usize| {
        let part: Vec<f64> = reference.get(at..at + piece.len())?.iter().map(|sample| f64::from(*sample)).collect();
        Some(correlation(&piece, &part))
    };
    close.filter_map(at).fold(0.0, f64::max)
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    if aa * bb == 0.0 { 0.0 } else { ab / (aa * bb).sqrt() }
}

fn thinned(samples: &[i16]) -> Vec<f64> {
    samples.chunks_exact(COARSE).map(|chunk| chunk.iter().map(|sample| f64::from(*sample)).sum()).collect()
}

fn power(samples: &[i16]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

/// The share of pieces in which somebody speaks, the pause between two repetitions counted.
fn spoken_share(samples: &[i16]) -> f64 {
    let spoken = samples.chunks_exact(PIECE).filter(|piece| power(piece) > QUIET).count();
    spoken as f64 / (samples.len() / PIECE + 2) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Speech {
        Speech::load("alice").unwrap()
    }

    /// The speech twice, late and with a pause, as a call has it.
    fn called(speech: &Speech) -> Speech {
        let pause = vec![0; RATE as usize / 2];
        Speech([&[0; 3001], &speech.0[..], &pause, &speech.0, &pause].concat())
    }

    #[test]
    fn the_same_speech_is_alike_however_late_and_however_loud() {
        let same = called(&alice());
        assert!(similarity(&same, &alice()) > 0.99);
        let soft = Speech(same.0.iter().map(|sample| sample / 3).collect());
        assert!(similarity(&soft, &alice()) > 0.99);
    }

    #[test]
    fn silence_noise_other_speech_and_half_a_call_are_not() {
        let silence = Speech(vec![0; 100_000]);
        assert_eq!(similarity(&silence, &alice()), 0.0);
        assert_eq!(similarity(&Speech(Vec::new()), &alice()), 0.0);
        assert!(similarity(&called(&Speech::load("bob").unwrap()), &alice()) < 0.7);
        let mut random = 1u32;
        let noise = |_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 17) as i16 / 4
        };
        assert!(similarity(&Speech((0..100_000).map(noise).collect()), &alice()) < 0.5);
        let mut broken = called(&alice()).0;
        broken.truncate(broken.len() / 4);
        broken.resize(4 * broken.len(), 0);
        assert!(similarity(&Speech(broken), &alice()) < 0.7);
    }
}
