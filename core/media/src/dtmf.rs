//! Key presses as telephone events (RFC 4733): sent with growing durations and three ends, heard once per press.

use std::collections::VecDeque;

/// Keys in the order of their codes (RFC 4733, 3.2).
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];
/// Frames that a key is held: 160 ms; receivers want 40 at least (ITU-T Q.24).
const HELD: u32 = 8;
/// How often the end is told: a lost one must not leave the key down (RFC 4733, 2.5.1.4).
const ENDS: u32 = 3;
/// Frames between the last packet of a press and the first of the next: 80 ms.
const PAUSE: u32 = 4;
/// Key presses that may wait.
const MOST_WAITING: usize = 64;
/// Loudness, -dBm0.
const VOLUME: u8 = 10;

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(u8);

impl Key {
    /// `0` to `9`, `*`, `#`, `A` to `D` in either case.
    pub fn new(character: char) -> Option<Key> {
        let code = KEYS.iter().position(|key| *key == character.to_ascii_uppercase())?;
        Some(Key(code as u8))
    }

    /// Its character.
    pub fn character(self) -> char {
        KEYS.get(usize::from(self.0)).copied().unwrap_or('?')
    }
}

/// What to send in place of a frame of speech.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Press {
    pub(crate) payload: [u8; 4],
    /// The first packet of a press, which has the marker.
    pub(crate) is_first: bool,
    /// Frames since the press began: all its packets have the timestamp of its start.
    pub(crate) age: u32,
}

/// Presses keys, one after the other.
#[derive(Debug)]
pub(crate) struct Presser {
    /// The clock of the events, in units per frame.
    ticks_per_frame: u32,
    waiting: VecDeque<Key>,
    /// The key that is down, or just released, and frames since it was pressed.
    current: Option<(Key, u32)>,
}

impl Presser {
    pub(crate) fn new(clock: u32) -> Presser {
        Presser {
            ticks_per_frame: clock / crate::codec::FRAMES_PER_SECOND,
            waiting: VecDeque::new(),
            current: None,
        }
    }

    /// `false` if too many presses wait.
    pub(crate) fn press(&mut self, key: Key) -> bool {
        let fits = self.waiting.len() < MOST_WAITING;
        if fits {
            self.waiting.push_back(key);
        }
        fits
    }

    /// What the next frame's time is for; `None` for speech.
    pub(crate) fn tick(&mut self) -> Option<Press> {
        let (key, age) = match self.current {
            Some(current) => current,
            None => (self.waiting.pop_front()?, 0),
        };
        let pause_ends = HELD + ENDS - 1 + PAUSE;
        self.current = (age + 1 < pause_ends).then_some((key, age + 1));
        (age < HELD + ENDS - 1).then(|| self.packet(key, age))
    }

    fn packet(&self, key: Key, age: u32) -> Press {
        let frames = (age + 1).min(HELD);
        let duration = u16::try_from(frames * self.ticks_per_frame).unwrap_or(u16::MAX).to_be_bytes();
        let end = if frames == HELD { 0x80 } else { 0 };
        Press { payload: [key.0, end | VOLUME, duration[0], duration[1]], is_first: age == 0, age }
    }
}

/// Hears presses.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Listener {
    /// Timestamp of the last press.
    last: Option<u32>,
}

impl Listener {
    /// A packet of an event: its key, when it is the first one of its press that came. Packets of one press share their
    /// timestamp; an older one than the last is a straggler. Events beyond the keys are passed over.
    pub(crate) fn hear(&mut self, timestamp: u32, payload: &[u8]) -> Option<Key> {
        let &[code, ..] = payload.first_chunk::<4>()?;
        let key = Key(code).0;
        if usize::from(key) >= KEYS.len() {
            return None;
        }
        let is_new = self.last.is_none_or(|last| (timestamp.wrapping_sub(last) as i32) > 0);
        if is_new {
            self.last = Some(timestamp);
        }
        is_new.then_some(Key(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(keys: &str) -> Vec<Option<Press>> {
        let mut presser = Presser::new(8000);
        keys.chars().for_each(|key| assert!(presser.press(Key::new(key).unwrap())));
        (0..40).map(|_| presser.tick()).collect()
    }

    #[test]
    fn a_press_grows_ends_three_times_and_pauses() {
        let frames = pressed("5#");
        let payload = |at: usize| frames[at].map(|press: Press| press.payload);
        assert_eq!(payload(0), Some([5, 10, 0, 160]));
        assert_eq!(payload(6), Some([5, 10, 4, 96]));
        for at in 7..10 {
            assert_eq!(payload(at), Some([5, 0x8a, 5, 0]), "the end, with the whole duration");
        }
        assert!((10..14).all(|at| payload(at).is_none()));
        assert_eq!(payload(14), Some([11, 10, 0, 160]));
        let firsts: Vec<usize> =
            (0..40).filter(|at| frames[*at].is_some_and(|press| press.is_first)).collect();
        assert_eq!(firsts, [0, 14]);
        assert_eq!(frames[9].unwrap().age, 9);
        assert_eq!(frames.iter().flatten().count(), 20);
    }

    #[test]
    fn a_press_is_heard_once_whichever_of_its_packets_come() {
        let mut listener = Listener::default();
        assert_eq!(listener.hear(1000, &[5, 0x8a, 5, 0]).map(Key::character), Some('5'));
        assert_eq!(listener.hear(1000, &[5, 0x8a, 5, 0]), None);
        assert_eq!(listener.hear(3000, &[5, 10, 0, 160]).map(Key::character), Some('5'));
        assert_eq!(listener.hear(1000, &[5, 0x8a, 5, 0]), None, "a straggler");
        assert_eq!(listener.hear(5000, &[16, 10, 0, 160]), None, "a hook flash is no key");
        assert_eq!(listener.hear(5000, &[1, 2, 3]), None, "cut");
    }

    #[test]
    fn timestamps_wrap() {
        let mut listener = Listener::default();
        assert!(listener.hear(u32::MAX - 10, &[1, 10, 0, 160]).is_some());
        assert!(listener.hear(2000, &[1, 10, 0, 160]).is_some());
    }

    #[test]
    fn keys_have_names_and_waiting_ones_are_bounded() {
        assert_eq!(Key::new('d').map(Key::character), Some('D'));
        assert_eq!(Key::new('E'), None);
        let mut presser = Presser::new(8000);
        let taken = (0..100).filter(|_| presser.press(Key(0))).count();
        assert_eq!(taken, MOST_WAITING);
    }
}
