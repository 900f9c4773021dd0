//! What is said and what was heard: WAV files or the speech that Carillon brings along, at 16 kHz.

use std::path::Path;

use carillon_media::codec::{FRAME, Frame, RATE, SILENCE};
use carillon_media::speech::Voice;

use super::similarity::similarity;
use crate::answer::Failure;

/// Half a second between two repetitions.
const PAUSE: usize = RATE as usize / 2;

/// Speech, mono, 16 kHz.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Speech(pub(super) Vec<i16>);

/// Speech said again and again, frame by frame.
pub(super) struct Speaker {
    speech: Speech,
    at: usize,
    silence: usize,
}

impl Speech {
    /// `alice`, `bob`, or a WAV file: 16 kHz or 8 kHz, 16 bits; of several channels the first.
    pub(super) fn load(name: &str) -> Result<Speech, Failure> {
        match name {
            "alice" => Ok(Speech(Voice::Alice.samples())),
            "bob" => Ok(Speech(Voice::Bob.samples())),
            file => read(Path::new(file)),
        }
    }

    /// How like this, said again and again, what was heard is: from 0 to 1.
    pub(super) fn similarity(&self, heard: &Speech) -> f32 {
        similarity(&self.0, PAUSE, &heard.0)
    }

    /// Writes a WAV file.
    pub(super) fn save(&self, file: &Path) -> Result<(), Failure> {
        let attempt = |error| Failure::new(format!("cannot write `{}`", file.display()), error);
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(file, spec).map_err(attempt)?;
        self.0.iter().try_for_each(|sample| writer.write_sample(*sample)).map_err(attempt)?;
        writer.finalize().map_err(attempt)
    }
}

impl Speaker {
    /// Begins after so many frames of silence.
    pub(super) fn new(speech: Speech, silence: usize) -> Speaker {
        Speaker { speech, at: 0, silence }
    }

    pub(super) fn next(&mut self) -> Frame {
        let samples = &self.speech.0;
        let mut frame = SILENCE;
        if let Some(rest) = self.silence.checked_sub(1) {
            self.silence = rest;
            return frame;
        }
        for (sample, at) in frame.iter_mut().zip(self.at..) {
            *sample = samples.get(at).copied().unwrap_or_default();
        }
        self.at += FRAME;
        if self.at >= samples.len() + PAUSE {
            self.at = 0;
        }
        frame
    }
}

fn read(file: &Path) -> Result<Speech, Failure> {
    let attempt = |error| Failure::new(format!("cannot read `{}`", file.display()), error);
    let mut reader = hound::WavReader::open(file).map_err(attempt)?;
    let hound::WavSpec { channels, sample_rate, bits_per_sample, .. } = reader.spec();
    let repeat = match sample_rate {
        RATE => 1,
        8_000 => 2,
        rate => {
            return Err(Failure::new(
                format!("cannot say `{}`", file.display()),
                wrong(rate, bits_per_sample),
            ));
        }
    };
    if bits_per_sample != 16 {
        return Err(Failure::new(
            format!("cannot say `{}`", file.display()),
            wrong(sample_rate, bits_per_sample),
        ));
    }
    let first = reader.samples::<i16>().step_by(usize::from(channels.max(1)));
    let samples: Vec<i16> = first.collect::<Result<_, _>>().map_err(attempt)?;
    Ok(Speech(samples.into_iter().flat_map(|sample| std::iter::repeat_n(sample, repeat)).collect()))
}

fn wrong(rate: u32, bits: u16) -> String {
    format!(
        "it has {rate} Hz and {bits} bits; 16000 or 8000 Hz and 16 bits are needed (ffmpeg -i IN -ar 16000 OUT.wav)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_begins_after_silence_and_is_said_again_after_a_pause() {
        let mut speaker = Speaker::new(Speech(vec![7; FRAME]), 2);
        let frames: Vec<i16> = (0..52).map(|_| speaker.next()[0]).collect();
        assert_eq!((&frames[..3], &frames[3..28], frames[28]), (&[0, 0, 7][..], &[0; 25][..], 7));
    }

    #[test]
    fn what_was_heard_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("heard.wav");
        let speech = Speech(vec![1, -2, 32767, -32768]);
        speech.save(&file).unwrap();
        assert_eq!(Speech::load(file.to_str().unwrap()).unwrap(), speech);
        assert!(Speech::load("no-such.wav").is_err());
    }
}
