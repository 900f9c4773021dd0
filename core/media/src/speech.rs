//! Recorded voices to send, and how alike two pieces of speech are: what a test of a call has to prove is that the words
//! arrived, not that some packets did.

use audio_codec::Decoder;
use audio_codec::g722::G722Decoder;

use crate::codec::{FRAME, Frame, RATE, SILENCE};

/// Who speaks; the recordings are English and three to four seconds long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Voice {
    /// "Good morning, this is Alice. The line is clear and loud."
    Alice,
    /// "Hello Alice, this is Bob. I can hear you well."
    Bob,
}

impl Voice {
    /// What is said: mono, 16 kHz.
    pub fn samples(self) -> Vec<i16> {
        let packed: &[u8] = match self {
            Voice::Alice => include_bytes!("../speech/alice.g722"),
            Voice::Bob => include_bytes!("../speech/bob.g722"),
        };
        G722Decoder::new().decode(packed)
    }

    /// The same in frames of 20 ms, the last one filled up with silence.
    pub fn frames(self) -> Vec<Frame> {
        frames(&self.samples())
    }
}

/// Speech in frames of 20 ms, the last one filled up with silence.
pub fn frames(samples: &[i16]) -> Vec<Frame> {
    let mut frames = Vec::with_capacity(samples.len() / FRAME + 1);
    for chunk in samples.chunks(FRAME) {
        let mut frame = SILENCE;
        frame[..chunk.len()].copy_from_slice(chunk);
        frames.push(frame);
    }
    frames
}

/// What [`similarity`] found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Similarity {
    /// Correlation, weighted by loudness: 1 for the same speech at whatever level, below a half for silence, noise, or other
    /// speech.
    pub score: f32,
    /// By how many samples the speech came later: the middling lag of its pieces.
    pub lag: usize,
}

/// Samples to one value where the lag of the whole is searched: 1 kHz leaves the pitch, enough to know it roughly.
const COARSE: usize = 16;
/// The same for a piece: 4 kHz tells one period of the pitch from the next.
const FINER: usize = 4;
/// The latest that speech is looked for: three seconds.
const MOST_LAG: usize = 3 * RATE as usize;
/// Speech is compared in pieces of half a second: a jitter buffer that stretches time moves them, and does not spoil them.
const PIECE: usize = RATE as usize / 2;
/// How far a piece may have moved against the whole.
const MOVED: usize = RATE as usize / 4;
/// Mean square below which something counts as silence: about -60 dBm0.
const SILENT: f64 = 30.0 * 30.0;

/// How alike speech that was heard is to the speech that was said, up to three seconds later. The waveforms are compared,
/// so that another voice with the same words does not pass. What was heard may be longer; what it lacks counts as not
/// heard. Silence on either side scores 0.
pub fn similarity(said: &[i16], heard: &[i16]) -> Similarity {
    let nothing = Similarity { score: 0.0, lag: 0 };
    if power(said) < SILENT || power(heard) < SILENT {
        return nothing;
    }
    let whole = lag_of(&thinned(said, COARSE), &thinned(heard, COARSE), 0..MOST_LAG / COARSE) * COARSE;
    let (mut alike, mut all, mut lags) = (0.0, 0.0, Vec::new());
    for (start, piece) in (0..).step_by(PIECE).zip(said.chunks(PIECE)) {
        let loudness = (power(piece) * piece.len() as f64) as f32;
        let (score, lag) = find(piece, heard.get(start..).unwrap_or_default(), whole);
        alike += loudness * score.max(0.0);
        all += loudness;
        lags.push(lag);
    }
    lags.sort_unstable();
    let lag = lags.get(lags.len() / 2).copied().unwrap_or_default();
    if alike > 0.0 { Similarity { score: alike / all, lag } } else { nothing }
}

/// A piece around its lag: its correlation where that is highest, and how much later that is.
fn find(piece: &[i16], heard: &[i16], around: usize) -> (f32, usize) {
    let heard = heard.get(..heard.len().min(piece.len() + around + 2 * MOVED)).unwrap_or_default();
    let lags = around.saturating_sub(MOVED) / FINER..(around + MOVED) / FINER + 1;
    let near = lag_of(&thinned(piece, FINER), &thinned(heard, FINER), lags) * FINER;
    let (piece, heard) = (floats(piece), floats(heard));
    let fine = near.saturating_sub(2 * FINER)..near + 2 * FINER;
    let scores = fine.map(|lag| (correlation(&piece, heard.get(lag..).unwrap_or_default()), lag));
    scores.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, near))
}

/// The lag at which the correlation is highest.
fn lag_of(said: &[f32], heard: &[f32], lags: std::ops::Range<usize>) -> usize {
    let scores = lags.map(|lag| (correlation(said, heard.get(lag..).unwrap_or_default()), lag));
    scores.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, lag)| lag)
}

/// Of two pieces from their beginnings, normalised over what both have; 0 if that is less than half of the first.
fn correlation(said: &[f32], heard: &[f32]) -> f32 {
    if heard.len() < said.len() / 2 {
        return 0.0;
    }
    let pairs = || said.iter().zip(heard);
    let dot: f32 = pairs().map(|(a, b)| a * b).sum();
    let energies: (f32, f32) = pairs().fold((0.0, 0.0), |sums, (a, b)| (sums.0 + a * a, sums.1 + b * b));
    let scale = (energies.0 * energies.1).sqrt();
    if scale > 0.0 { dot / scale } else { 0.0 }
}

/// Means of so many samples each.
fn thinned(samples: &[i16], step: usize) -> Vec<f32> {
    let mean = |chunk: &[i16]| chunk.iter().map(|sample| f32::from(*sample)).sum::<f32>() / step as f32;
    samples.chunks_exact(step).map(mean).collect()
}

fn floats(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|sample| f32::from(*sample)).collect()
}

fn power(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    energy / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn later(samples: &[i16], lag: usize, gain: f32) -> Vec<i16> {
        let louder = samples.iter().map(|sample| (f32::from(*sample) * gain) as i16);
        std::iter::repeat_n(0, lag).chain(louder).collect()
    }

    #[test]
    fn the_same_speech_is_found_at_any_lag_and_level() {
        let said = Voice::Alice.samples();
        for lag in [0, 1, 333, 16_000, 40_001] {
            let found = similarity(&said, &later(&said, lag, 0.4));
            assert!(found.score > 0.99 && found.lag == lag, "{lag}: {found:?}");
        }
    }

    #[test]
    fn silence_noise_and_other_voices_do_not_pass() {
        let (alice, bob) = (Voice::Alice.samples(), Voice::Bob.samples());
        assert_eq!(similarity(&alice, &[0; 64_000]).score, 0.0);
        assert_eq!(similarity(&alice, &[]).score, 0.0);
        assert_eq!(similarity(&[0; 64_000], &alice).score, 0.0);
        assert!(similarity(&alice, &bob).score < 0.5, "{:?}", similarity(&alice, &bob));
        let mut random = Random::new(&[5; 32], *b"a noise!");
        let noise: Vec<i16> = (0..64_000).map(|_| (random.u32() >> 20) as i16 - 2048).collect();
        assert!(similarity(&alice, &noise).score < 0.2, "{:?}", similarity(&alice, &noise));
        let backwards: Vec<i16> = alice.iter().rev().copied().collect();
        assert!(similarity(&alice, &backwards).score < 0.5, "{:?}", similarity(&alice, &backwards));
    }

    #[test]
    fn the_recordings_are_speech_of_three_seconds_and_more() {
        for voice in [Voice::Alice, Voice::Bob] {
            let samples = voice.samples();
            assert!(samples.len() > 3 * RATE as usize && power(&samples) > 1000.0 * 1000.0);
            assert_eq!(voice.frames().len(), samples.len().div_ceil(FRAME));
        }
    }

    #[test]
    fn half_of_the_speech_is_not_all_of_it() {
        let said = Voice::Alice.samples();
        let mut heard = said.clone();
        heard[said.len() / 3..said.len() * 2 / 3].fill(0);
        assert!(similarity(&said, &heard).score < 0.8);
        assert!(similarity(&said, &said[..said.len() / 3]).score < 0.5);
    }

    #[test]
    fn speech_that_was_stretched_is_the_same_speech() {
        let said = Voice::Alice.samples();
        let parts = [&said[..16_000], &[0; 320], &said[16_000..40_000], &said[40_320..]];
        let found = similarity(&said, &parts.concat());
        assert!(found.score > 0.95, "{found:?}");
    }
}
