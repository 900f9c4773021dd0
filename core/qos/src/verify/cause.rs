//! The closed list of causes: each has a stable name, a severity, and words for `carillon explain finding`.

use serde::Serialize;

/// How grave a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know; the verdict stays.
    Advice,
    /// Part of the verdict could not be given.
    Unjudged,
    /// The plan is broken.
    Error,
}

/// One row of the table of causes.
#[derive(Clone, Copy, Debug)]
pub struct CauseInfo {
    /// The cause.
    pub cause: Cause,
    /// Stable kebab-case name.
    pub name: &'static str,
    /// How grave.
    pub severity: Severity,
    /// One line: what it is.
    pub summary: &'static str,
    /// How it is recognised.
    pub recognised: &'static str,
    /// When the judgement may be wrong.
    pub wrong_when: &'static str,
    /// How to fix it.
    pub fix: &'static str,
}

macro_rules! causes {
    ($($variant:ident $name:literal $severity:ident
        $summary:literal; recognised: $recognised:literal; wrong: $wrong:literal; fix: $fix:literal;)*) => {
        /// A named cause. The order is the order of root causes: what explains more comes first.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Cause { $(#[doc = $summary] $variant),* }

        /// Every cause with its words, in the order of root causes.
        pub const CAUSES: &[CauseInfo] = &[$(CauseInfo {
            cause: Cause::$variant,
            name: $name,
            severity: Severity::$severity,
            summary: $summary,
            recognised: $recognised,
            wrong_when: $wrong,
            fix: $fix,
        }),*];
    };
}

causes! {
    CapturedBeforeSegmentation "captured-before-segmentation" Unjudged
        "The capture was taken before the network card cut the packets, so loss could not be judged.";
        recognised: "A UDP frame is longer than the link allows, or holds several RTP packets of one sender in a row.";
        wrong: "A link with jumbo frames carries long UDP datagrams for real; then no RTP packet repeats inside one frame and media is not affected.";
        fix: "Run `ethtool -K DEVICE tx-udp-segmentation off gso off` on the sending machine, or capture on another machine, and capture again.";
    RemarkedBetweenPoints "remarked-between-points" Error
        "A device between two sightings of the same packets changes the marks.";
        recognised: "The same SSRC and sequence numbers (or the same connection) carry one mark at the first point and another at the second; or every packet was seen twice at one point, once with either mark.";
        wrong: "The two captures come from different calls that happen to share an SSRC; the sequence overlap shown is small then.";
        fix: "On every switch and router between the two points trust DSCP on the ports towards phones and servers, or re-mark from the plan; start at the hop nearest to the second point.";
    RelayDropsMark "relay-drops-mark" Error
        "A relay or proxy passes media on with another mark than it received.";
        recognised: "The same SSRC and sequence numbers come to an address with one mark and leave it with another.";
        wrong: "Two senders share an SSRC by chance; the overlap of sequence numbers is small then.";
        fix: "Let the relay mark by class on its inner side (relays neither keep nor set marks by default), or re-mark on its switch port by destination port.";
    NoPlanInForce "no-plan-in-force" Error
        "Nobody on this network obeys the plan: ports are random and nothing is marked.";
        recognised: "All media is unmarked and most of its source ports lie outside the plan's ranges.";
        wrong: "The capture was taken behind a device that resets all marks and translates ports (NAT).";
        fix: "Put the plan into force: hand out the port ranges to clients and servers and install the marking policy (Windows QoS policy, phone configuration) for each role.";
    PlanMarksRemoved "marks-removed" Error
        "Ports follow the plan, but no media packet carries a mark: marks are never set, or removed before this point.";
        recognised: "All media is unmarked while its source ports lie in the plan's ranges.";
        wrong: "None of the senders has a marking policy yet; ports alone do not prove that one was installed.";
        fix: "Capture at a sender: if it marks there, find the hop that removes the marks (`carillon verify --between`) and trust DSCP on it; if not, install the marking policy.";
    Unshifted "dscp-unshifted" Error
        "A sender writes the DSCP value into the traffic byte without shifting it.";
        recognised: "The traffic byte found equals the DSCP value that the plan expects: 46 was written as TOS 46, which arrives as DSCP 11 with ECN bits set.";
        wrong: "A sender uses that lower code point on purpose and takes part in ECN.";
        fix: "Set the TOS byte to the DSCP times four (46 becomes 184, 34 becomes 136, 24 becomes 96) in the sender's configuration or code.";
    OneMarkForAll "one-class-for-all" Error
        "One application marks signaling and every kind of media alike, so all of it shares one queue.";
        recognised: "Flows of at least two classes from one address carry the same mark although the plan has different ones.";
        wrong: "The plan on the sender deliberately uses one mark.";
        fix: "Replace the policy for the whole application by one rule per class, matched by source port range (and destination port 5061 for signaling).";
    NeighbourClass "remarked-to-neighbour" Error
        "Marks are rewritten to the class selector of their group: the precedence bits survive, the drop bits are lost.";
        recognised: "The mark found is the expected one with its three lower bits cleared: 46 to 40, 34 to 32, 18 to 16.";
        wrong: "The sender itself is configured with 40 or 32; capture at the sender to tell.";
        fix: "Look for a device that rewrites IP precedence (old `set ip precedence`, a trust-CoS port, a wireless controller) and let it trust DSCP.";
    TwoAudioMarks "two-audio-marks" Error
        "Two audio marks in one estate: some devices send another mark than the rest.";
        recognised: "Some senders mark audio as planned while others steadily use a mark of their own that is not the mark of another class, such as 40, the default of Lync Phone Edition and of Windows' guaranteed service type.";
        wrong: "The other mark was set on the way; compare with a capture at that device.";
        fix: "Set the voice tag of the phones to the plan's value (Set-CsUCPhoneConfiguration -VoiceDiffServTag 46) or correct the policy of the devices named.";
    Ipv6Unmarked "ipv6-unmarked" Error
        "IPv4 is marked but IPv6 is not.";
        recognised: "A sender (or the network) marks its IPv4 media as planned, and all IPv6 media carries 0.";
        wrong: "The IPv6 flows belong to another application than the IPv4 ones.";
        fix: "Set the IPv6 traffic class too: dual-stack sockets need both options, and nftables, switches and policies need their own IPv6 rule.";
    ReturnPathUnmarked "return-path-unmarked" Error
        "One direction is marked, the return path is not.";
        recognised: "All media in one direction of the calls has the plan's mark, and the opposite direction carries 0.";
        wrong: "The capture was taken next to the marked side and the other direction was bleached on the way.";
        fix: "Configure the role at the other end: servers need their own policy (source ports of the server ranges); then look for a hop that removes the marks on the way back.";
    EndpointNotConfigured "endpoint-not-configured" Error
        "One device does not follow the plan while others do.";
        recognised: "A single address sends media from a port outside the plan's range, unmarked or marked otherwise, while others obey.";
        wrong: "The device is behind NAT and the translated port is seen.";
        fix: "Hand the plan to this device: provisioning file for phones, policy and in-band ranges for computers; then restart it.";
    SenderUnmarked "sender-unmarked" Error
        "One sender does not mark, although its ports follow the plan.";
        recognised: "All media of one address is unmarked while other senders mark theirs.";
        wrong: "Its marks are removed on the way to this capture point.";
        fix: "Install the marking policy on this machine, or trust DSCP on the switch port it is connected to.";
    FragmentsUnmarked "fragments-unmarked" Error
        "Later fragments of a datagram do not carry the mark of the first.";
        recognised: "The fragments of one datagram carry different marks.";
        wrong: "Two datagrams with the same identification were mixed up in a long capture.";
        fix: "Match on addresses or on the socket instead of ports in the marking rule, or keep the datagrams below the MTU.";
    MarkChangesMidFlow "mark-changes-mid-flow" Error
        "The mark changes in the middle of a flow.";
        recognised: "A flow carries the expected mark for part of its packets and another for the rest.";
        wrong: "The plan itself was changed during the capture.";
        fix: "Look at the frame named: a re-routing to a hop that re-marks, a policer that marks down, or a renegotiation (transfer, hold) that forgot the mark.";
    VideoInAudioClass "video-in-audio-class" Error
        "Video is sent in the audio class and takes the priority queue from voice.";
        recognised: "A video flow carries the mark of the audio class, or is sent from the audio range.";
        wrong: "The flow was taken for video by its packet sizes alone; then the judgement is named 'by shape'.";
        fix: "Give video its own port range and its own rule with the video mark.";
    AudioInOtherClass "audio-in-other-class" Error
        "Audio is sent with the mark of another class.";
        recognised: "An audio flow steadily carries the video, sharing or signaling mark of the plan.";
        wrong: "Audio and video share one browser transport on purpose.";
        fix: "Mark per packet on shared transports, or give audio its own range and rule.";
    RangeExceededByOne "range-exceeded-by-one" Error
        "Media leaves from the first port after the range: a count was taken for an end.";
        recognised: "The source port is exactly one beyond the plan's range.";
        wrong: "A device picked that port by chance.";
        fix: "Compare start + count - 1 with the range's end in the policy: 40803 with 8348 ports ends at 49150, not 49151.";
    RtcpUnmarked "rtcp-unmarked" Error
        "RTP is marked, its RTCP is not.";
        recognised: "RTCP of a call carries another mark than the RTP it belongs to.";
        wrong: "The RTCP seen belongs to another sender behind the same address.";
        fix: "Extend the rule to the RTCP ports (RTP port + 1), or set the mark on the RTCP socket too; a plan's range must hold both.";
    SignalingUnmarked "signaling-unmarked" Error
        "The plan declares a mark for signaling, but no signaling packet carries it.";
        recognised: "All SIP or TLS packets on the signaling ports are unmarked.";
        wrong: "The devices cannot mark signaling (Lync Phone Edition never does).";
        fix: "Add the rule that the policy lacks: TCP to destination port 5061 (and from source port 5061 on servers) with the signaling mark.";
    WrongMark "wrong-mark" Error
        "A flow carries another mark than the plan's.";
        recognised: "A judged flow's marks differ from the expected one, and no more special cause explains it.";
        wrong: "The plan given is not the plan in force.";
        fix: "Compare the sender's policy with the plan; then follow the path hop by hop with a second capture.";
    PortOutsideRange "port-outside-range" Error
        "Media leaves from a port outside the plan's range.";
        recognised: "The source port of a media flow lies in no range of its class and role.";
        wrong: "A NAT translated the port, or the role of the sender was told wrongly (give it with --role).";
        fix: "Hand the plan's range to the sender; check that it signed in again after the change.";
    RogueMarked "rogue-marked" Error
        "Traffic that is none of ours carries a priority mark.";
        recognised: "Packets outside every class of the plan carry a mark of the audio or video class.";
        wrong: "Another voice application on this network is entitled to the mark, but missing in the plan.";
        fix: "Find the sender named; match policies by executable and ports, and let the switch re-mark what it does not know.";
    EcnAbused "ecn-abused" Error
        "ECN bits are set on media whose sender never negotiated ECN.";
        recognised: "A media flow carries ECT(1), or congestion marks together with not-capable packets.";
        wrong: "The sender runs RTP over ECN (RFC 6679) or L4S.";
        fix: "Look for code that writes the whole traffic byte: DSCP 46 is 184; the lower two bits must stay 0.";
    SharedQueue "shared-queue" Error
        "The switch puts two classes of the plan into one queue.";
        recognised: "The DSCP-to-queue map given maps two marks of the plan to the same queue.";
        wrong: "The switch has fewer queues than the plan has classes.";
        fix: "Move the audio mark to the highest queue and video to the next one in the switch's DSCP map.";
    LossWithoutMarkFault "loss-on-path" Advice
        "Media is lost although it is marked as planned.";
        recognised: "A flow with the right mark has lost packets.";
        wrong: "The capturing machine itself dropped packets.";
        fix: "Marks are not the cause: look for a link error, a duplex mismatch or too little bandwidth (raise it, or limit calls) before touching QoS.";
    AvoidableRelaying "avoidable-relaying" Advice
        "Media takes a relay although its ends could reach each other.";
        recognised: "RTP is wrapped for a relay or comes from one, and for both ends the address that the relay sees is the one they have themselves (Allocate answers, or candidates in the session descriptions): no NAT is before them.";
        wrong: "A firewall between the two networks is meant to keep them apart.";
        fix: "Let UDP from and to the plan's ranges pass between the networks of the two ends (`carillon plan export firewall`): a relay in between costs delay and a port, and is one more thing to fail.";
    TcpFallback "tcp-fallback" Advice
        "Media runs over TCP.";
        recognised: "RTP or TURN data was found inside a TCP connection.";
        wrong: "Application sharing uses TCP by design.";
        fix: "Open UDP between the endpoints (the plan's ranges, and UDP 3478 to the relay): over TCP each lost packet delays all that follow.";
    CaptureTruncated "capture-truncated" Unjudged
        "The capture file ends in the middle of a packet, or is damaged; what came before was judged.";
        recognised: "The file ends inside a record, or a record's length cannot be true.";
        wrong: "The file is still being written.";
        fix: "Stop the capturing program first and copy the file whole, or capture again.";
    LimitReached "limit-reached" Unjudged
        "The capture holds more flows than are kept in detail.";
        recognised: "The number of flows passed the limit; further flows were only counted.";
        wrong: "Never.";
        fix: "Filter the capture to the hosts of interest (`editcap`, `tshark -Y`), or capture with a filter.";
}

impl Cause {
    /// Name, severity and words of this cause.
    pub fn info(self) -> &'static CauseInfo {
        // The table is written in the order of the enum, by the same macro.
        &CAUSES[self as usize]
    }

    /// The cause of that name.
    pub fn from_name(name: &str) -> Option<Cause> {
        CAUSES.iter().find(|info| info.name == name).map(|info| info.cause)
    }
}
