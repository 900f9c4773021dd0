//! What a phone says, and whether that is what another one hears.
//!
//! A melody of short sweeps stands for speech: every voice has its own, so that silence, a wrong voice and a broken codec all fail.
//! This is the harness's own measure: Carillon is judged by it, so it is not taken from there.

use std::fs;
use std::path::Path;

use crate::Result;

/// Samples per second in which voices are compared; they stay below half of it.
const RATE: usize = 4000;

/// The piece that is looked for: a syllable or two. One that was cut by a machine out of breath costs no more than itself.
const PIECE: usize = RATE / 2;

/// The piece in which a key is looked for: 50 ms.
const TONE: usize = RATE / 20;

/// Samples of one voice, 8000 per second.
pub fn voice(seed: u64, seconds: usize) -> Vec<i16> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut phase = 0.0;
    let mut samples = Vec::with_capacity(seconds * 8000);
    for _ in 0..seconds * 5 {
        let (from, to) = (200.0 + 300.0 * draw(), 200.0 + 300.0 * draw());
        for n in 0..1600 {
            phase += std::f64::consts::TAU * (from + (to - from) * f64::from(n) / 1600.0) / 8000.0;
            samples.push((phase.sin() * 9000.0) as i16);
        }
    }
    samples
}

/// Writes a WAV of 16-bit samples, in the rate and channels that a program wants; the samples are repeated for that.
pub fn write_wav(path: &Path, samples: &[i16], rate: u32, channels: u16) -> Result<()> {
    let times = rate as usize / 8000 * usize::from(channels);
    let data: Vec<u8> =
        samples.iter().flat_map(|s| std::iter::repeat_n(s.to_le_bytes(), times)).flatten().collect();
    let (block, length) = (channels * 2, u32::try_from(data.len())?);
    let mut file = Vec::from(*b"RIFF");
    file.extend((length + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(block)).to_le_bytes());
    file.extend(block.to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(data);
    Ok(fs::write(path, file)?)
}

/// How much of what was heard is what was said: the mean, over all half seconds that were heard, of the best correlation with any place of
/// what was said. 1 is a perfect line; another voice gives less than a half, and silence 0. The first and last piece are left
/// out, in which the call begins and ends.
pub fn similarity(said: &[i16], heard: &Path) -> Result<f64> {
    let said = slow_down(said, 8000, 1);
    let heard = read_wav(heard)?;
    let pieces = heard.chunks_exact(PIECE).skip(1);
    let count = pieces.len().saturating_sub(1);
    let total: f64 = pieces.take(count).map(|piece| best_match(piece, &said)).sum();
    Ok(if count == 0 { 0.0 } else { total / count as f64 })
}

/// Whether both tones of a key are heard together for a while (ITU-T Q.23); voices stay far below them.
pub fn has_key(key: char, heard: &Path) -> Result<bool> {
    const KEYS: [&str; 4] = ["123A", "456B", "789C", "*0#D"];
    let place = KEYS.iter().enumerate().find_map(|(row, keys)| Some((row, keys.find(key)?)));
    let (row, column) = place.ok_or_else(|| format!("{key} is no key"))?;
    let tones = [[697.0, 770.0, 852.0, 941.0][row], [1209.0, 1336.0, 1477.0, 1633.0][column]];
    let heard = read_wav(heard)?;
    Ok(heard.chunks_exact(TONE).any(|piece| tones.iter().all(|tone| level(piece, *tone) > 800.0)))
}

/// How loud a tone is in a piece (Goertzel).
fn level(piece: &[i32], tone: f64) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * tone / RATE as f64).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in piece {
        (last, before) = (f64::from(*sample) + turn * last - before, last);
    }
    (last * last + before * before - turn * last * before).max(0.0).sqrt() * 2.0 / piece.len() as f64
}

fn best_match(piece: &[i32], said: &[i32]) -> f64 {
    let energy: i64 = piece.iter().map(|s| i64::from(s * s)).sum();
    // Less than a hundredth of full scale is silence, whatever it resembles.
    if energy < 327 * 327 * PIECE as i64 {
        return 0.0;
    }
    let mut there: i64 = said.iter().take(PIECE).map(|s| i64::from(s * s)).sum();
    let mut best: f64 = 0.0;
    for (at, place) in said.windows(PIECE).enumerate() {
        let product: i64 = piece.iter().zip(place).map(|(a, b)| i64::from(a * b)).sum();
        best = best.max(product as f64 / (energy as f64 * there as f64).sqrt().max(1.0));
        let next = said.get(at + PIECE).map_or(0, |s| i64::from(s * s));
        there += next - i64::from(place[0] * place[0]);
    }
    best
}

/// A WAV of 16-bit samples, all channels mixed, at the rate in which voices are compared.
fn read_wav(path: &Path) -> Result<Vec<i32>> {
    let file = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let word = |at: usize| file.get(at..at + 2).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    let (channels, rate) = (word(22).max(1), word(24) + (word(26) << 16));
    let at = file
        .windows(4)
        .position(|four| four == b"data")
        .ok_or_else(|| format!("{}: no WAV", path.display()))?;
    if word(34) != 16 || rate < RATE {
        return Err(format!("{}: {rate} samples of {} bits", path.display(), word(34)).into());
    }
    // The length in the header is wrong while a program still writes.
    let data = file.get(at + 8..).unwrap_or_default();
    let samples: Vec<i16> = data.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
    Ok(slow_down(&samples, rate, channels))
}

fn slow_down(samples: &[i16], rate: usize, channels: usize) -> Vec<i32> {
    let together = rate / RATE * channels;
    let mean = |some: &[i16]| some.iter().map(|s| i32::from(*s)).sum::<i32>() / together as i32;
    samples.chunks_exact(together).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_two_tones_and_a_voice_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("heard.wav");
        let mut samples = voice(1, 3);
        let has = |samples: &[i16], key| {
            write_wav(&file, samples, 8000, 1).unwrap();
            has_key(key, &file).unwrap()
        };
        assert!("0123456789*#".chars().all(|key| !has(&samples, key)));
        for (at, sample) in samples.iter_mut().enumerate().skip(9000).take(1600) {
            let tone = |hertz: f64| (std::f64::consts::TAU * hertz * at as f64 / 8000.0).sin() * 3000.0;
            *sample = (tone(852.0) + tone(1209.0)) as i16;
        }
        assert!(has(&samples, '7') && !has(&samples, '8') && !has(&samples, '4'));
    }

    fn heard(samples: &[i16], rate: u32, channels: u16) -> f64 {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("heard.wav");
        write_wav(&file, samples, rate, channels).unwrap();
        similarity(&voice(1, 5), &file).unwrap()
    }

    #[test]
    fn a_voice_is_known_again_later_softer_and_at_other_rates() {
        let later: Vec<i16> = voice(1, 5)[3333..].iter().map(|s| s / 4).collect();
        for (rate, channels) in [(8000, 1), (16000, 1), (48000, 2)] {
            assert!(heard(&later, rate, channels) > 0.95, "{rate}, {channels}");
        }
    }

    #[test]
    fn silence_another_voice_and_a_broken_line_are_not_the_voice() {
        assert_eq!(heard(&[0; 40000], 8000, 1), 0.0);
        assert_eq!(heard(&[], 8000, 1), 0.0);
        assert!(heard(&voice(2, 5), 8000, 1) < 0.6);
        let mut broken = voice(1, 5);
        broken.chunks_mut(1600).step_by(2).for_each(|part| part.fill(0));
        assert!(heard(&broken, 8000, 1) < 0.9);
    }
}
