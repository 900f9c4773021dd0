//! What is heard in place of a lost frame, for codecs without concealment of their own: the last pitch period again,
//! fading (in the manner of G.711 Appendix I).

use super::{FRAME, Frame, RATE, SILENCE};

/// Speech that is remembered: two frames.
const HISTORY: usize = 2 * FRAME;
/// Pitch periods that are looked for: 400 Hz down to 67 Hz.
const PERIODS: std::ops::Range<usize> = RATE as usize / 400..RATE as usize / 67;
/// Frames until silence: longer repetitions sound like a machine.
const FADE_FRAMES: usize = 3;
/// Samples over which invented and real speech are mixed where they meet.
const SEAM: usize = 64;

/// Remembers what was heard.
#[derive(Debug)]
pub(super) struct Concealer {
    history: [i16; HISTORY],
    /// Period that is repeated, and how many frames were invented in a row.
    period: usize,
    invented: usize,
}

impl Default for Concealer {
    fn default() -> Concealer {
        Concealer { history: [0; HISTORY], period: FRAME, invented: 0 }
    }
}

impl Concealer {
    /// Real speech: it is remembered, and its start is mixed with what would have been invented next.
    pub(super) fn heard(&mut self, samples: &mut [i16]) {
        if self.invented > 0 && !samples.is_empty() {
            let invented = self.invent();
            for (at, (real, invented)) in samples.iter_mut().zip(invented).take(SEAM).enumerate() {
                let share = at as f32 / SEAM as f32;
                *real = (f32::from(*real) * share + f32::from(invented) * (1.0 - share)) as i16;
            }
        }
        self.invented = 0;
        self.remember(samples);
    }

    /// The next frame that never was.
    pub(super) fn invent(&mut self) -> Frame {
        if self.invented == 0 {
            self.period = self.period();
        }
        let mut frame = SILENCE;
        let fade = (FADE_FRAMES * FRAME) as f32;
        for (at, sample) in frame.iter_mut().enumerate() {
            let before = self.history[HISTORY - self.period + (self.invented * FRAME + at) % self.period];
            let gain = 1.0 - (self.invented * FRAME + at) as f32 / fade;
            *sample = (f32::from(before) * gain.max(0.0)) as i16;
        }
        self.invented = (self.invented + 1).min(FADE_FRAMES);
        frame
    }

    fn remember(&mut self, samples: &[i16]) {
        let samples = samples.get(samples.len().saturating_sub(HISTORY)..).unwrap_or_default();
        self.history.copy_within(samples.len().., 0);
        self.history[HISTORY - samples.len()..].copy_from_slice(samples);
    }

    /// The shift at which the last frame resembles what was before it most.
    fn period(&self) -> usize {
        let likeness = |period: &usize| {
            let (recent, before) = (&self.history[FRAME..], &self.history[FRAME - period..HISTORY - period]);
            let dot: f32 = recent.iter().zip(before).map(|(a, b)| f32::from(*a) * f32::from(*b)).sum();
            let energy: f32 = before.iter().map(|b| f32::from(*b).powi(2)).sum();
            dot / energy.sqrt().max(1.0)
        };
        let periods = PERIODS.map(|period| (period, likeness(&period)));
        periods.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(FRAME, |(period, _)| period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(from: usize, len: usize) -> Vec<i16> {
        // 200 Hz: a period of 80 samples.
        (from..from + len)
            .map(|n| ((n as f32 * std::f32::consts::TAU / 80.0).sin() * 8000.0) as i16)
            .collect()
    }

    #[test]
    fn a_tone_goes_on_in_phase_and_fades() {
        let mut concealer = Concealer::default();
        concealer.heard(&mut tone(0, 800));
        let invented = concealer.invent();
        let expected = tone(800, FRAME);
        let difference = |at: usize| (i32::from(invented[at]) - i32::from(expected[at])).abs();
        assert!((0..40).all(|at| difference(at) < 500), "the first half period continues the tone");
        let loudest = |frame: &Frame| frame.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        let (second, third) = (concealer.invent(), concealer.invent());
        assert!(loudest(&invented) > loudest(&second) && loudest(&second) > loudest(&third));
        assert_eq!(concealer.invent(), SILENCE);
    }

    #[test]
    fn real_speech_takes_over_without_a_step() {
        let mut concealer = Concealer::default();
        concealer.heard(&mut tone(0, 800));
        concealer.invent();
        let mut real = tone(800 + FRAME + 40, FRAME);
        let before = real.clone();
        concealer.heard(&mut real);
        assert!((i32::from(real[0]) - i32::from(before[0])).abs() < 700);
        assert_ne!(real[..SEAM], before[..SEAM]);
        assert_eq!(real[SEAM..], before[SEAM..]);
    }

    #[test]
    fn silence_is_concealed_by_silence() {
        assert_eq!(Concealer::default().invent(), SILENCE);
    }
}
