//! What a session has fixed for all later offers of its dialog (RFC 3264, 8): its sections and their order, and which
//! payload type means what.

use carillon_wire::sdp::{Media, Session};

use crate::codec::Codec;

/// Numbers that have no fixed meaning (RFC 3551, 3).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// Something that has a payload type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    Codec(Codec),
    /// Telephone events of that clock.
    Events(u32),
}

impl Meaning {
    /// The number that we would like.
    fn number(self) -> u8 {
        match self {
            Meaning::Codec(codec) => codec.payload_type(),
            Meaning::Events(48_000) => 110,
            Meaning::Events(_) => 101,
        }
    }
}

/// The sections of a session, and the numbers in ours.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Shape {
    /// Those before and behind ours, with port 0 and without their ends of line.
    pub(super) before: Vec<String>,
    pub(super) behind: Vec<String>,
    /// Numbers with what they mean to us; `None` is something that we don't know.
    numbers: Vec<(u8, Option<Meaning>)>,
}

impl Shape {
    /// Where our section stands.
    pub(super) fn position(&self) -> usize {
        self.before.len()
    }

    /// From now on the session is shaped as this offer, of which we took the section at `at`.
    pub(super) fn learn(&mut self, offer: &Session<'_>, at: usize, ours: &Media<'_>) {
        let mut refused = offer.media().map(|media| refusal(&media));
        self.before = refused.by_ref().take(at).collect();
        self.behind = refused.skip(1).collect();
        self.learn_formats(ours);
    }

    /// The numbers of the peer's section keep their meaning.
    pub(super) fn learn_formats(&mut self, media: &Media<'_>) {
        for (number, encoding) in media.codecs() {
            let events = encoding.is("telephone-event").then_some(Meaning::Events(encoding.clock));
            let meaning = Codec::of(&encoding).map(Meaning::Codec).or(events);
            if self.numbers.len() < 128 && !self.numbers.iter().any(|(known, _)| *known == number) {
                self.numbers.push((number, meaning));
            }
        }
    }

    /// Gives numbers to these codecs, and to the events of their clocks, for all offers from now on.
    pub(super) fn fix_numbers(&mut self, codecs: &[Codec]) {
        let events = codecs.iter().map(|codec| Meaning::Events(codec.clock()));
        for meaning in codecs.iter().map(|codec| Meaning::Codec(*codec)).chain(events) {
            let number = self.number(meaning);
            if !self.numbers.iter().any(|(known, _)| *known == number) {
                self.numbers.push((number, Some(meaning)));
            }
        }
    }

    /// The number for this in our offers: the one it has, or the one we like, or a free one.
    pub(super) fn number(&self, meaning: Meaning) -> u8 {
        let known = self.numbers.iter().find(|(_, known)| *known == Some(meaning));
        let is_taken = |number: &u8| self.numbers.iter().any(|(taken, _)| taken == number);
        let liked = Some(meaning.number()).filter(|number| !is_taken(number));
        let free = || DYNAMIC.rev().find(|number| !is_taken(number));
        known.map(|(number, _)| *number).or(liked).or_else(free).unwrap_or(meaning.number())
    }
}

/// Port 0, with the formats as offered (RFC 3264, 6).
fn refusal(media: &Media<'_>) -> String {
    format!(
        "m={} 0 {} {}",
        written_or(media.kind, "audio"),
        written_or(media.protocol, "RTP/AVP"),
        written_or(media.format_list, "0")
    )
}

fn written_or<'a>(word: &'a str, other: &'a str) -> &'a str {
    if word.is_empty() { other } else { word }
}
