//! How like a speech is what was heard of it, after codec, network and jitter buffer.
//!
//! Compared piece by piece, because a jitter buffer that stretches time moves a piece and does not spoil it. Whether it
//! sounds well is for the MOS to say.

use carillon_media::codec::RATE;
use carillon_media::speech;

/// Samples of a piece: half a second.
const PIECE: usize = RATE as usize / 2;
/// A piece may be so many samples away from its place: the longest delay of a jitter buffer.
const AWAY: usize = RATE as usize / 5;
/// The search takes so many samples together, and then looks closely at the best places.
const COARSE: usize = 4;
const PLACES: usize = 3;
/// Repetitions that are looked at.
const MOST: usize = 4;

/// From 0, nothing of it, to 1, the same. Speech that is repeated with this pause is looked for every time; of several
/// repetitions the middling one counts.
pub(super) fn similarity(said: &[i16], pause: usize, heard: &[i16]) -> f32 {
    let starts = (0..heard.len()).step_by(said.len() + pause.max(1));
    let whole = starts.filter(|start| *start == 0 || start + said.len() + pause <= heard.len());
    let mut scores: Vec<f32> = whole.take(MOST).map(|start| once(said, heard, start)).collect();
    scores.sort_by(f32::total_cmp);
    scores.get(scores.len() / 2).copied().unwrap_or_default()
}

/// One repetition: where it is as a whole, then piece by piece near its place. Loud pieces weigh more; what was not due
/// before the call ended is not missing.
fn once(said: &[i16], heard: &[i16], start: usize) -> f32 {
    let late = speech::similarity(said, heard.get(start..).unwrap_or_default()).lag;
    let (mut alike, mut all) = (0.0, 0.0);
    let pieces = said.chunks(PIECE).zip((start + late..).step_by(PIECE));
    for (piece, at) in pieces.take_while(|(_, at)| at + PIECE + AWAY <= heard.len()) {
        let window = heard.get(at.saturating_sub(AWAY)..at + PIECE + AWAY).unwrap_or_default();
        let loudness: f32 = piece.iter().map(|sample| f32::from(*sample).powi(2)).sum();
        alike += loudness * found(piece, window);
        all += loudness;
    }
    if all > 0.0 { alike / all } else { 0.0 }
}

/// The correlation of a piece where it is highest in the window.
fn found(piece: &[i16], window: &[i16]) -> f32 {
    let (thin, wide) = (thinned(piece), thinned(window));
    let scored = wide.windows(thin.len().max(1)).enumerate().map(|(at, part)| (correlation(&thin, part), at));
    let mut places: Vec<(f32, usize)> = scored.collect();
    places.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (piece, window) = (floats(piece), floats(window));
    let close = places
        .iter()
        .take(PLACES)
        .flat_map(|(_, at)| (at * COARSE).saturating_sub(COARSE)..=(at + 1) * COARSE);
    close.filter_map(|at| Some(correlation(&piece, window.get(at..at + piece.len())?))).fold(0.0, f32::max)
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let (mut both, mut first, mut second) = (0.0f32, 0.0f32, 0.0f32);
    for (x, y) in a.iter().zip(b) {
        both += x * y;
        first += x * x;
        second += y * y;
    }
    let scale = f32::sqrt(first * second);
    if scale > 0.0 { both / scale } else { 0.0 }
}

fn thinned(samples: &[i16]) -> Vec<f32> {
    samples.chunks_exact(COARSE).map(|chunk| chunk.iter().map(|sample| f32::from(*sample)).sum()).collect()
}

fn floats(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|sample| f32::from(*sample)).collect()
}

#[cfg(test)]
mod tests {
    use carillon_media::codec::{Codec, Decoder, Encoder, FRAME};
    use carillon_media::speech::Voice;

    use super::*;

    const PAUSE: usize = 8000;

    /// Speech twice, late, with its pauses.
    fn repeated(samples: &[i16]) -> Vec<i16> {
        let pause = [0; PAUSE];
        [&[0; 3001], samples, &pause, samples, &pause, &pause].concat()
    }

    fn alice(heard: &[i16]) -> f32 {
        similarity(&Voice::Alice.samples(), PAUSE, heard)
    }

    #[test]
    fn what_was_said_is_found_however_late_soft_stretched_or_cut_off() {
        let heard = repeated(&Voice::Alice.samples());
        assert!(alice(&heard) > 0.99);
        assert!(alice(&heard.iter().map(|sample| sample / 3).collect::<Vec<_>>()) > 0.99);
        assert!(alice(&heard[..45_000]) > 0.99);
        let mut stretched = heard.clone();
        stretched.splice(50_000..50_000, [0; 640]);
        stretched.drain(30_000..30_320);
        assert!(alice(&stretched) > 0.9);
    }

    #[test]
    fn every_codec_leaves_it_recognisable() {
        for codec in Codec::ALL {
            let (mut encoder, mut decoder) = (Encoder::new(codec).unwrap(), Decoder::new(codec).unwrap());
            let mut heard = Vec::new();
            for frame in repeated(&Voice::Alice.samples()).chunks_exact(FRAME) {
                let mut payload = Vec::new();
                assert!(encoder.encode(frame.try_into().unwrap(), &mut payload));
                decoder.decode(&payload, &mut heard).unwrap();
            }
            assert!(alice(&heard) > 0.93, "{codec:?}: {}", alice(&heard));
        }
    }

    #[test]
    fn silence_other_speech_and_half_of_it_are_not() {
        assert_eq!(alice(&[0; 100_000]), 0.0);
        assert_eq!(alice(&[]), 0.0);
        assert!(alice(&repeated(&Voice::Bob.samples())) < 0.7);
        let mut broken = repeated(&Voice::Alice.samples());
        broken.chunks_mut(1600).step_by(2).for_each(|part| part.fill(0));
        assert!(alice(&broken) < 0.85);
    }
}
