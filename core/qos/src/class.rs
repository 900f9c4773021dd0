//! The closed list of traffic classes.

use serde::{Deserialize, Serialize};

/// What a packet is for. Everything that a client, server or phone sends belongs to exactly one class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrafficClass {
    /// SIP and what else sets up sessions.
    Signaling,
    /// Voice: RTP and its RTCP.
    Audio,
    /// Video.
    Video,
    /// Desktop and application sharing, over TCP (RDP) or UDP (video-based).
    Sharing,
    /// Peer-to-peer file transfer.
    FileTransfer,
    /// Replication, administration, updates.
    Management,
}

impl TrafficClass {
    /// Every class, in the order of tables.
    pub const ALL: [TrafficClass; 6] = [
        TrafficClass::Signaling,
        TrafficClass::Audio,
        TrafficClass::Video,
        TrafficClass::Sharing,
        TrafficClass::FileTransfer,
        TrafficClass::Management,
    ];

    /// The classes that have port ranges, in the order of tables.
    pub const MEDIA: [TrafficClass; 4] =
        [TrafficClass::Audio, TrafficClass::Video, TrafficClass::Sharing, TrafficClass::FileTransfer];

    /// Whether the class has port ranges; the others are told by where they listen.
    pub const fn is_media(self) -> bool {
        !matches!(self, TrafficClass::Signaling | TrafficClass::Management)
    }

    /// The name used in plans and tables.
    pub const fn name(self) -> &'static str {
        match self {
            TrafficClass::Signaling => "signaling",
            TrafficClass::Audio => "audio",
            TrafficClass::Video => "video",
            TrafficClass::Sharing => "sharing",
            TrafficClass::FileTransfer => "file-transfer",
            TrafficClass::Management => "management",
        }
    }

    /// The class of that name.
    pub fn from_name(name: &str) -> Option<TrafficClass> {
        TrafficClass::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl std::fmt::Display for TrafficClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_found_by_its_name() {
        for class in TrafficClass::ALL {
            assert_eq!(TrafficClass::from_name(class.name()), Some(class));
            assert_eq!(class.is_media(), TrafficClass::MEDIA.contains(&class));
        }
        assert_eq!(TrafficClass::from_name("voice"), None);
    }
}
