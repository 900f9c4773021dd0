//! Messages and frames, cut out of the stream of a relay.

use carillon_wire::stun::frame_len;

/// More than a frame's length can say.
const MOST: usize = 70 << 10;

/// What has come of a stream and is not whole.
#[derive(Debug, Default)]
pub struct Frames {
    held: Vec<u8>,
    lost: bool,
}

impl Frames {
    /// Takes what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.held.len() + bytes.len() > MOST {
            self.lost = true;
        } else if !self.lost {
            self.held.extend_from_slice(bytes);
        }
    }

    /// The next one that is whole.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        match frame_len(&self.held) {
            Ok(Some(len)) if self.held.len() >= len && !self.lost => Some(self.held.drain(..len).collect()),
            Ok(_) => None,
            Err(_) => {
                self.lost = true;
                None
            }
        }
    }

    /// Whether the stream is none of a relay's: it cannot be read any further.
    pub fn is_lost(&self) -> bool {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use carillon_wire::stun::ChannelData;

    use super::*;

    #[test]
    fn frames_come_whole_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        for data in [&b"first"[..], b"second!!"] {
            ChannelData::write_stream(0x4000, data, &mut stream).unwrap();
        }
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for byte in &stream {
            frames.push(&[*byte]);
            seen.extend(frames.take().map(|frame| ChannelData::parse_relayed(&frame).unwrap().data.to_vec()));
        }
        assert_eq!(seen, [b"first".to_vec(), b"second!!".to_vec()]);
        frames.push(&[0xff; 8]);
        assert!(frames.take().is_none() && frames.is_lost());
    }
}
