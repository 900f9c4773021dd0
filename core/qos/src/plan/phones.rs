//! What desk phones can and cannot be told: facts per family, and what an estate has configured on them.
//!
//! The facts have evidence of different worth; [`Evidence`] says which. Nothing here configures a phone.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;
use serde::Serialize;

use super::Setting;
use crate::class::TrafficClass;
use crate::ports::PortRange;

/// How a family's ports are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortControl {
    /// Takes the ranges that the server hands out.
    InBand,
    /// Only the first port can be set; how many follow is fixed.
    StartOnly {
        /// Ports from the start by the phone article: 24 for audio and 24 for video.
        narrow: u16,
        /// Ports from the start by the vendor's manual: 24 even ones for RTP, the odd ones for RTCP.
        wide: u16,
    },
    /// First and last port can be set.
    StartAndEnd,
    /// A base port and a spacing per channel.
    BaseAndSpacing,
    /// Nobody has published it.
    Unknown,
}

/// How a family's marks are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkControl {
    /// Any value, on the phone.
    Settable,
    /// One value for audio, handed out by the server.
    FromServer,
    /// Fixed by the vendor.
    Fixed,
    /// Nobody has published it.
    Unknown,
}

/// What a family's facts rest on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The vendor's or Microsoft's documentation.
    Documented,
    /// Articles and working configurations.
    Field,
    /// Neither; treat as a hint.
    Unverified,
}

/// The fixed facts of one family of phones or gateways.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct PhoneFamily {
    /// Name in plans: `[phones.NAME]`.
    pub name: &'static str,
    /// Models.
    pub title: &'static str,
    /// How ports are chosen.
    pub ports: PortControl,
    /// How marks are chosen.
    pub marks: MarkControl,
    /// First audio port while nothing is configured.
    pub default_start: Option<u16>,
    /// Audio mark while nothing is configured.
    pub default_mark: Option<u8>,
    /// Whether signalling can be marked; `None` if nobody has published it.
    pub marks_signaling: Option<bool>,
    /// Whether some models send video.
    pub video: bool,
    /// Whether video carries the audio mark until it gets its own.
    pub video_follows_audio: bool,
    /// What the facts rest on.
    pub evidence: Evidence,
    /// Where they were read, and what else to know.
    pub note: &'static str,
}

impl PhoneFamily {
    /// The family of that name.
    pub fn named(name: &str) -> Option<&'static PhoneFamily> {
        FAMILIES.iter().find(|family| family.name == name)
    }

    /// Whether the facts are a mere hint.
    pub fn unverified(&self) -> bool {
        self.evidence == Evidence::Unverified
    }

    /// Whether the ranges that a server hands out are obeyed.
    pub fn obeys_in_band(&self) -> bool {
        self.ports == PortControl::InBand
    }

    /// The ranges that the family may use from this first port, the smaller reading first; empty if its
    /// arithmetic is not fixed. A verdict accepts any of them and says which was seen.
    pub fn readings(&self, start: u16) -> Vec<PortRange> {
        let PortControl::StartOnly { narrow, wide } = self.ports else { return Vec::new() };
        let counts = [narrow, wide].into_iter();
        counts.filter_map(|count| PortRange::from_count(start, u32::from(count))).collect()
    }
}

/// A family in the plan, with what is configured on its phones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phone {
    /// The family's facts.
    pub family: PhoneFamily,
    /// First audio port, where it is configured.
    pub audio_start: Option<Setting<u16>>,
    /// First video port, where video has its own range.
    pub video_start: Option<Setting<u16>>,
    /// Marks that are configured on the phones or for them.
    pub marks: BTreeMap<TrafficClass, Setting<Dscp>>,
}

impl Phone {
    /// The mark that these phones send for a class, by configuration and family. `None` if it cannot be
    /// known; then the plan's own value is all there is to expect.
    pub fn mark(&self, class: TrafficClass) -> Option<Dscp> {
        let set = |class| self.marks.get(&class).map(|mark: &Setting<Dscp>| mark.value);
        match class {
            TrafficClass::Signaling if self.family.marks_signaling == Some(false) => Some(Dscp::DEFAULT),
            TrafficClass::Audio => set(class).or_else(|| self.family.default_mark.and_then(Dscp::new)),
            TrafficClass::Video if self.family.video_follows_audio => {
                set(class).or_else(|| set(TrafficClass::Audio))
            }
            _ => set(class),
        }
    }

    /// The ranges that these phones may use for a class: both readings where the arithmetic is disputed.
    pub fn ranges(&self, class: TrafficClass) -> Vec<PortRange> {
        let start = match class {
            TrafficClass::Audio => self.audio_start.as_ref().map(|s| s.value).or(self.family.default_start),
            TrafficClass::Video => self.video_start.as_ref().map(|s| s.value),
            _ => None,
        };
        start.map(|start| self.family.readings(start)).unwrap_or_default()
    }
}

const UCS: PhoneFamily = PhoneFamily {
    name: "vvx",
    title: "Polycom VVX with a Lync profile",
    ports: PortControl::StartOnly { narrow: 24, wide: 48 },
    marks: MarkControl::Settable,
    default_start: Some(2222),
    default_mark: Some(46),
    marks_signaling: Some(true),
    video: true,
    video_follows_audio: true,
    evidence: Evidence::Documented,
    note: "Schertz, Configuring QoS for Lync IP Phones: 24 audio and 24 video ports. UC Software manual: \
           24 even RTP ports and their odd RTCP neighbours, start to start+47, start even. From UCS 5.5 on \
           the phone also reads in-band ranges. Unconfigured audio has precedence 5, low delay, high \
           throughput: TOS byte 0xb8, which is EF.",
};

const POLYCOM_AUDIO: PhoneFamily = PhoneFamily { video: false, ..UCS };

/// Every family that a plan may name.
pub const FAMILIES: [PhoneFamily; 10] = [
    UCS,
    PhoneFamily { name: "soundpoint", title: "Polycom SoundPoint IP", ..POLYCOM_AUDIO },
    PhoneFamily { name: "soundstation", title: "Polycom SoundStation IP", ..POLYCOM_AUDIO },
    PhoneFamily { name: "soundstructure", title: "Polycom SoundStructure VoIP", ..POLYCOM_AUDIO },
    PhoneFamily {
        name: "lpe",
        title: "Lync Phone Edition (Optimized: CX500, CX600, CX3000, Aastra 6721ip, HP 4110)",
        ports: PortControl::InBand,
        marks: MarkControl::FromServer,
        default_start: None,
        default_mark: Some(40),
        marks_signaling: Some(false),
        video: false,
        video_follows_audio: false,
        evidence: Evidence::Documented,
        note: "Microsoft, Configuring QoS on Lync Phone Edition: audio carries VoiceDiffServTag, 40 until \
               changed, whether or not QoS is enabled. Signalling is never marked.",
    },
    PhoneFamily {
        name: "cx",
        title: "Polycom CX5100, CX5500 conference phones on the network",
        evidence: Evidence::Unverified,
        note: "They run UC Software. The CX5100 manual has the VVX's parameter of the first port, with a pool up \
               to start+47 (voice) or start+95 (video); that the QoS parameters are the same is not verified.",
        ..UCS
    },
    PhoneFamily {
        name: "yealink",
        title: "Yealink T-series",
        ports: PortControl::StartAndEnd,
        default_start: Some(11780),
        default_mark: Some(46),
        video_follows_audio: false,
        evidence: Evidence::Field,
        note: "static.network.port.min_rtpport and max_rtpport (11780-12780), static.network.qos.audiotos \
               (46), signaltos (26), in DSCP units.",
        ..UCS
    },
    PhoneFamily {
        name: "snom",
        title: "Snom 3xx, 7xx with Lync firmware",
        ports: PortControl::StartAndEnd,
        default_start: None,
        default_mark: Some(40),
        video: false,
        video_follows_audio: false,
        evidence: Evidence::Field,
        note: "rtp_port_start and rtp_port_end; codec_tos and signaling_tos are TOS bytes, 160 until changed \
               (that is DSCP 40).",
        ..UCS
    },
    PhoneFamily {
        name: "audiocodes",
        title: "AudioCodes 4xxHD",
        ports: PortControl::Unknown,
        marks: MarkControl::Unknown,
        default_start: None,
        default_mark: None,
        marks_signaling: None,
        video: false,
        video_follows_audio: false,
        evidence: Evidence::Unverified,
        note: "No parameter reference was at hand.",
    },
    PhoneFamily {
        name: "audiocodes-gateway",
        title: "AudioCodes Mediant gateways and SBCs",
        ports: PortControl::BaseAndSpacing,
        default_start: Some(6000),
        default_mark: Some(46),
        video: false,
        video_follows_audio: false,
        evidence: Evidence::Documented,
        note: "Mediant user's manuals: BaseUDPPort, a multiple of 10 from 6000 to 64000, plus UdpPortSpacing (4, 5 \
               or 10) per channel; PremiumServiceClassMediaDiffServ 46, PremiumServiceClassControlDiffServ 24 (40 \
               in old releases).",
        ..UCS
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_readings_of_a_fixed_range_are_24_and_48_ports() {
        let readings = PhoneFamily::named("vvx").unwrap().readings(6000);
        assert_eq!(readings, ["6000-6023", "6000-6047"].map(|text| PortRange::parse(text).unwrap()));
    }

    fn phone(table: &str) -> Phone {
        let plan = crate::Plan::from_toml(&format!("name = \"x\"\n[phones.{table}\n")).unwrap();
        plan.phones()[0].clone()
    }

    #[test]
    fn an_audio_mark_covers_video_until_video_has_its_own() {
        let mark = |table, class| phone(table).mark(class).map(Dscp::value);
        assert_eq!(mark("vvx]\naudio = 40", TrafficClass::Video), Some(40));
        assert_eq!(mark("vvx]\naudio = 40\nvideo = 34", TrafficClass::Video), Some(34));
        assert_eq!(mark("yealink]\naudio = 40", TrafficClass::Video), None);
        assert_eq!(mark("lpe]", TrafficClass::Audio), Some(40));
    }

    #[test]
    fn lync_phone_edition_never_marks_signaling() {
        assert_eq!(phone("lpe]").mark(TrafficClass::Signaling), Some(Dscp::DEFAULT));
        assert_eq!(phone("vvx]").mark(TrafficClass::Signaling), None);
    }

    #[test]
    fn a_phone_uses_its_own_start_until_one_is_configured() {
        let first = |table| phone(table).ranges(TrafficClass::Audio)[0].to_string();
        assert_eq!(first("vvx]"), "2222-2245");
        assert_eq!(first("vvx]\naudio-start = 6000"), "6000-6023");
        assert!(phone("lpe]").ranges(TrafficClass::Audio).is_empty());
    }

    #[test]
    fn every_family_is_found_by_its_own_name_once() {
        for family in FAMILIES {
            assert_eq!(PhoneFamily::named(family.name), Some(&family));
            assert!(!family.note.is_empty());
        }
    }
}
