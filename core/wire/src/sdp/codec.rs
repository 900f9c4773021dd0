//! Codecs as RTP sees them: static payload types (RFC 3551), kinds of media, sampling rates.
//!
//! A dynamic number (96 and up) says nothing without an `a=rtpmap`; a name says the same in every description.

/// Audio or video.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Audio, with what goes along: comfort noise, tones, redundancy of audio.
    Audio,
    /// Video.
    Video,
    /// Both in one stream (MPEG transport streams).
    Both,
}

/// An encoding on RTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Codec<'a> {
    /// Encoding name; names are compared without case.
    pub name: &'a str,
    /// RTP clock in Hz: the unit of time stamps, and of jitter.
    pub clock: u32,
    /// Channels.
    pub channels: u8,
}

impl Codec<'_> {
    /// Samples per second of the sound itself; `None` for video, for MPEG audio and for names not listed here. It is
    /// the clock but for G.722, whose 8000 is a mistake of RFC 1890 that stays (RFC 3551, 4.5.2).
    pub fn sample_rate(&self) -> Option<u32> {
        match (self.kind()?, self.is("G722"), self.is("MPA")) {
            (Kind::Audio, true, _) => Some(16_000),
            (Kind::Audio, _, false) if self.clock > 0 => Some(self.clock),
            _ => None,
        }
    }

    /// Audio or video, by its name; `None` for names not listed here.
    pub fn kind(&self) -> Option<Kind> {
        KINDS.iter().find(|(name, _)| self.is(name)).map(|(_, kind)| *kind)
    }

    /// Whether this is the encoding of that name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// A payload type whose meaning is fixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StaticPayload {
    /// Payload type, below 35.
    pub number: u8,
    /// Audio or video.
    pub kind: Kind,
    /// What it means.
    pub codec: Codec<'static>,
}

/// The fixed payload type of that number.
pub fn static_payload(number: u8) -> Option<&'static StaticPayload> {
    STATIC.iter().find(|payload| payload.number == number)
}

const fn fixed(number: u8, kind: Kind, name: &'static str, clock: u32, channels: u8) -> StaticPayload {
    StaticPayload { number, kind, codec: Codec { name, clock, channels } }
}

/// RFC 3551, tables 4 and 5.
pub static STATIC: &[StaticPayload] = &[
    fixed(0, Kind::Audio, "PCMU", 8000, 1),
    fixed(3, Kind::Audio, "GSM", 8000, 1),
    fixed(4, Kind::Audio, "G723", 8000, 1),
    fixed(5, Kind::Audio, "DVI4", 8000, 1),
    fixed(6, Kind::Audio, "DVI4", 16000, 1),
    fixed(7, Kind::Audio, "LPC", 8000, 1),
    fixed(8, Kind::Audio, "PCMA", 8000, 1),
    fixed(9, Kind::Audio, "G722", 8000, 1),
    fixed(10, Kind::Audio, "L16", 44100, 2),
    fixed(11, Kind::Audio, "L16", 44100, 1),
    fixed(12, Kind::Audio, "QCELP", 8000, 1),
    fixed(13, Kind::Audio, "CN", 8000, 1),
    fixed(14, Kind::Audio, "MPA", 90000, 1),
    fixed(15, Kind::Audio, "G728", 8000, 1),
    fixed(16, Kind::Audio, "DVI4", 11025, 1),
    fixed(17, Kind::Audio, "DVI4", 22050, 1),
    fixed(18, Kind::Audio, "G729", 8000, 1),
    fixed(25, Kind::Video, "CelB", 90000, 1),
    fixed(26, Kind::Video, "JPEG", 90000, 1),
    fixed(28, Kind::Video, "nv", 90000, 1),
    fixed(31, Kind::Video, "H261", 90000, 1),
    fixed(32, Kind::Video, "MPV", 90000, 1),
    fixed(33, Kind::Both, "MP2T", 90000, 1),
    fixed(34, Kind::Video, "H263", 90000, 1),
];

/// Names as descriptions write them. The last ones of each kind are those of Lync and Skype for Business; formats that
/// occur in both kinds (`red`, `rtx`, `ulpfec`) are absent: their section tells.
static KINDS: &[(&str, Kind)] = &[
    ("PCMU", Kind::Audio),
    ("PCMA", Kind::Audio),
    ("G722", Kind::Audio),
    ("G729", Kind::Audio),
    ("opus", Kind::Audio),
    ("telephone-event", Kind::Audio),
    ("CN", Kind::Audio),
    ("GSM", Kind::Audio),
    ("GSM-EFR", Kind::Audio),
    ("iLBC", Kind::Audio),
    ("speex", Kind::Audio),
    ("G723", Kind::Audio),
    ("G728", Kind::Audio),
    ("G7221", Kind::Audio),
    ("G719", Kind::Audio),
    ("G726-16", Kind::Audio),
    ("G726-24", Kind::Audio),
    ("G726-32", Kind::Audio),
    ("G726-40", Kind::Audio),
    ("AAL2-G726-32", Kind::Audio),
    ("AMR", Kind::Audio),
    ("AMR-WB", Kind::Audio),
    ("EVS", Kind::Audio),
    ("L16", Kind::Audio),
    ("L24", Kind::Audio),
    ("DVI4", Kind::Audio),
    ("LPC", Kind::Audio),
    ("QCELP", Kind::Audio),
    ("MPA", Kind::Audio),
    ("MP4A-LATM", Kind::Audio),
    ("mpeg4-generic", Kind::Audio),
    ("tone", Kind::Audio),
    ("SILK", Kind::Audio),
    ("SIREN", Kind::Audio),
    ("x-msrta", Kind::Audio),
    ("H264", Kind::Video),
    ("H265", Kind::Video),
    ("VP8", Kind::Video),
    ("VP9", Kind::Video),
    ("AV1", Kind::Video),
    ("H261", Kind::Video),
    ("H263", Kind::Video),
    ("H263-1998", Kind::Video),
    ("H263-2000", Kind::Video),
    ("H264-SVC", Kind::Video),
    ("JPEG", Kind::Video),
    ("MPV", Kind::Video),
    ("MP4V-ES", Kind::Video),
    ("CelB", Kind::Video),
    ("nv", Kind::Video),
    ("x-rtvc1", Kind::Video),
    ("X-H264UC", Kind::Video),
    ("x-ulpfecuc", Kind::Video),
    ("MP2T", Kind::Both),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g722_counts_8000_and_samples_16000() {
        let g722 = static_payload(9).unwrap().codec;
        assert_eq!((g722.clock, g722.sample_rate()), (8000, Some(16000)));
        assert_eq!(static_payload(8).unwrap().codec.sample_rate(), Some(8000));
        assert_eq!(static_payload(31).unwrap().codec.sample_rate(), None);
    }

    #[test]
    fn dynamic_numbers_mean_nothing_by_themselves() {
        assert!((35..=255).all(|number| static_payload(number).is_none()));
    }

    #[test]
    fn the_table_is_ascending_and_agrees_with_the_names() {
        assert!(STATIC.windows(2).all(|pair| pair[0].number < pair[1].number));
        assert!(STATIC.iter().all(|payload| payload.codec.kind() == Some(payload.kind)));
    }

    #[test]
    fn names_of_lync_are_known_wherever_a_description_uses_them() {
        let kind = |name| Codec { name, clock: 16000, channels: 1 }.kind();
        assert_eq!(
            (kind("X-MSRTA"), kind("siren"), kind("x-rtvc1")),
            (Some(Kind::Audio), Some(Kind::Audio), Some(Kind::Video))
        );
        assert_eq!(kind("red"), None);
    }
}
