//! Every lint: code, level, the rows that ask for it, and one sentence for people.

use serde::Serialize;

use super::Level;

/// A kind of finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Kind {
    /// Stable name.
    pub code: &'static str,
    /// How bad it usually is; a finding may be milder where the plan is not in force.
    pub level: Level,
    /// Rows of the requirements table.
    pub rows: &'static [u16],
    /// What it means and what to do.
    pub about: &'static str,
}

macro_rules! kinds {
    ($($name:ident: $code:literal, $level:ident, $rows:expr, $about:literal;)*) => {
        $(pub(super) const $name: Kind =
            Kind { code: $code, level: Level::$level, rows: &$rows, about: $about };)*

        /// Every kind of finding, in the order of the checks.
        pub const KINDS: &[Kind] = &[$($name),*];
    };
}

kinds! {
    RANGES_OVERLAP: "ranges-overlap", Error, [8, 26],
        "Two classes of one role share ports, so that no switch can tell them apart. Give each its own range.";
    DEFAULT_RANGES: "default-ranges", Error, [26],
        "All classes have the product's identical default range. Change them before enabling.";
    CONTAINS_LISTENER: "contains-listener", Error, [9],
        "A media range contains a port where a service listens. Move the range.";
    OVERLAPS_EDGE: "overlaps-edge-range", Error, [9, 209],
        "A range overlaps the Edge's external relay range: on the Edge itself an error, elsewhere only confusing in firewall rules.";
    DOCUMENTED_END: "documented-end-differs", Warning, [11, 14],
        "The product's range ends elsewhere than its documents say: policies copied from the documents are a port off.";
    TOO_FEW: "too-few-ports", Error, [19],
        "A client needs at least 20 ports per modality; the 40 of older guidance is outdated.";
    LEGACY_SMALL: "legacy-range-too-small", Error, [19],
        "Old clients carry all media in one range, which needs at least 40 ports.";
    MODALITY_UNSET: "modality-unset", Error, [27],
        "Once ranges are enabled every modality uses them, so each needs a value.";
    NOT_CONTIGUOUS: "not-contiguous", Advice, [22],
        "The client ranges need several firewall rules; laid end to end one would do.";
    MANY_PORTS: "many-client-ports", Advice, [21, 35],
        "More than 100 client ports: harmless for calls, but every port is open in the internal firewalls.";
    CLIENT_OUTSIDE: "client-outside-server", Advice, [18],
        "A client range lies outside the server's range of the same class. Recommended, not required.";
    SERVER_SMALL: "server-smaller-than-client", Warning, [23],
        "A server carries many sessions at once and needs more ports than a client.";
    SHARING_MISMATCH: "sharing-range-mismatch", Warning, [86],
        "Conferencing and application servers have different sharing ranges; they are set by two cmdlets and should agree.";
    EPHEMERAL: "ephemeral-overlap", Advice, [9],
        "The range lies in Linux's ephemeral ports: another program may hold a port of it. Reserve it on the host.";
    VOICEMAIL: "voicemail-unrestricted", Advice, [99],
        "Voicemail media uses any port and cannot be marked by port.";
    ONE_MARK: "one-mark-for-all", Warning, [33],
        "All types share one mark and so one queue: voice waits behind everything else of the application.";
    MARKS_SHARED: "marks-shared", Warning, [3, 5],
        "Two media classes carry the same mark, so that the network treats them alike.";
    WITHOUT_RANGE: "mark-without-range", Warning, [33],
        "A class has a mark but no range: only the application itself can mark it; a policy or switch cannot tell it.";
    NOTHING_MARKED: "nothing-marked", Warning, [30],
        "The plan is enabled and marks nothing.";
    TWO_AUDIO: "two-audio-marks", Warning, [43],
        "Audio carries different marks in one estate; one of them is not what the WAN prioritises.";
    VIDEO_UNCAPPED: "video-without-bandwidth-policy", Advice, [44],
        "Marked video without a bandwidth policy can starve constrained links. State bandwidth.video-kbps.";
    SIGNALING_CS3: "signaling-cs3", Advice, [4],
        "CS3 is what Microsoft and Cisco use for signalling; RFC 4594 gives it to broadcast video and CS5 to signalling.";
    SHARING_UNMARKED: "sharing-unmarked", Advice, [5],
        "Application sharing stays best effort, which is the default; choose a mark if it matters.";
    UNNAMED_MARK: "unnamed-mark", Advice, [6, 61],
        "A mark has no standard name: switches seldom map it. Often a TOS byte or a shifted value.";
    CONTROL_MARK: "network-control-mark", Warning, [6],
        "CS6 and CS7 belong to routing protocols (RFC 4594); media there can starve them.";
    WIFI: "wifi-voice-as-video", Advice, [2],
        "Without a mapping by RFC 8325, Wi-Fi takes the upper three bits: EF lands in the video category.";
    EDGE_INTERNET: "edge-marks-internet", Warning, [31, 53],
        "Marks mean nothing on the Internet; the Edge should send unmarked there.";
    QUEUE_SHARED: "queue-shared", Warning, [60],
        "The switch puts two classes into one queue, so that their marks make no difference.";
    QUEUE_ORDER: "queue-order", Warning, [7],
        "The switch serves a less important class before a more important one.";
    PHONE_OUTSIDE: "phone-outside-range", Error, [20, 66],
        "The phone's fixed range leaves the plan's range.";
    PHONE_WIDE: "phone-wide-range", Warning, [166],
        "By the vendor's manual the phone uses 48 ports from its start, not 24; those beyond leave the plan's range.";
    PHONE_ODD: "phone-odd-start", Warning, [166],
        "The vendor's manual asks for an even start; what the phone does with an odd one is not known.";
    PHONE_UNCONFIGURED: "phone-not-configured", Warning, [66, 163],
        "The family does not obey ranges handed out at sign-in; it needs its own configuration.";
    PHONE_UNVERIFIED: "phone-facts-unverified", Advice, [167],
        "What is known of the family is a hint only.";
    PHONE_CANNOT: "phone-cannot-mark", Error, [41, 171],
        "The plan states a mark that the family cannot send.";
    PHONE_VIDEO: "phone-video-as-audio", Warning, [165],
        "The phone's audio mark covers its video too until video gets its own.";
    RULE_TWO_SIDED: "rule-two-sided", Warning, [36, 216],
        "A rule names source and destination ports: media towards peers outside the range stays unmarked. Source alone is enough.";
    EDGE_3478: "edge-rule-source-3478", Error, [225],
        "All relayed media leaves the Edge from 3478: the rule puts video and sharing into the class of one of them.";
    RULE_RANGE: "rule-range-differs", Warning, [11, 50],
        "A deployed rule and the plan's range do not cover the same ports.";
    RULE_MARK: "rule-mark-differs", Warning, [6],
        "A deployed rule sets another mark than the plan on the plan's ports.";
    RULE_EVERYTHING: "rule-without-ports", Warning, [33],
        "A rule marks everything that a program sends: signalling, DNS and web alike.";
    RULE_ANY_PROGRAM: "rule-any-program", Advice, [39],
        "A client rule names no program: anything on a lucky port is prioritised.";
    RULE_PROTOCOL: "rule-one-protocol", Warning, [38],
        "Media falls back to TCP and sharing always uses it: media rules cover UDP and TCP.";
    RULE_SIGNALING: "signaling-rule-by-source", Warning, [37],
        "Clients send signalling from random ports: its rule matches the destination port, TCP only.";
    NO_RULE: "class-without-rule", Warning, [207],
        "A class has a mark in the plan and no deployed rule implements it.";
    OUTDATED: "outdated-executable", Warning, [210],
        "Only the program name of an older client generation is listed.";
    PROFILE_UNKNOWN: "bandwidth-profile-unknown", Warning, [44],
        "A link names a bandwidth profile that is not there, and so bears anything. Make the profile, or name another.";
    LINKS_UNCHECKED: "links-not-checked", Advice, [44],
        "Links have bandwidth profiles and nobody checks them: no call is refused. Set EnableBandwidthPolicyCheck.";
    LINK_UNREACHABLE: "link-unreachable", Warning, [44],
        "No call can be counted on the link: no subnet of the plan is at an end of it. Give its sites their subnets.";
    WAITS: "waits", Warning, [26],
        "Asked for in the management shell, and kept until the ranges beside it allow it to hold. The plan goes by what held before.";
}
