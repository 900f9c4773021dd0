//! Who calls whom in the captures, and the calls that most trials begin with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use carillon_qos::Plan;

use crate::rewrite::Capture;
use crate::trial::plan;
use crate::video::Video;

/// The caller of every capture.
pub const ALICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 10));
/// The one who answers.
pub const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 20));
/// The caller over IPv6.
pub const ALICE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 0x0a));
/// The one who answers over IPv6.
pub const BOB6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 0x14));
/// The addresses of both, as text.
pub const TO_V6: [(&str, &str); 2] = [("10.20.0.10", "fd00:20::a"), ("10.20.0.20", "fd00:20::14")];

/// One call between two softphones (baresip), SIP in the clear, PCMU.
pub fn call() -> Capture {
    Capture::real("baresip-udp-v4")
}

/// The same over IPv6, with Opus (another recording).
pub fn call6() -> Capture {
    Capture::real("baresip-v6")
}

/// A call with video, marked as planned.
pub fn video_call() -> Capture {
    call().with_video(VIDEO)
}

/// Video as planned.
pub const VIDEO: Video = Video { ports: [(ALICE, 50024), (BOB, 50034)], dscp: 34, told: true, struck: false };

/// Three calls at once between six hosts, of three kinds: 10 to 20, 11 to 21, 12 to 22.
pub fn office() -> Capture {
    call().join(beside("linphone", "10.20.0.11", "10.20.0.21")).join(beside(
        "baresip-srtp",
        "10.20.0.12",
        "10.20.0.22",
    ))
}

/// A recorded call between two other hosts.
pub fn beside(name: &str, alice: &str, bob: &str) -> Capture {
    Capture::real(name).rehost("10.20.0.10", alice).rehost("10.20.0.20", bob)
}

/// A host of [`office`], by its last number.
pub fn host(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 20, 0, last))
}

/// The plan that the softphones follow.
pub fn phones() -> Plan {
    plan("phones.toml", "")
}

/// The same plan with a relay that marks towards both sides.
pub fn phones_with_relay() -> Plan {
    plan("phones.toml", "[edge]\nports = \"50100-50199\"\nmark-internal = true\nexternal = \"plan\"\n")
}
