//! Cisco gateways and Unified Border Element: marks on each dial peer, one RTP range for the device.
//!
//! Evidence: Cisco's IOS voice command reference for `ip qos dscp` (without it media is EF and signaling AF31), Cisco's
//! guide to its border element for `rtp-port range` (8000 to 48198 on IOS XE).

use super::super::network::ios;
use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::settings::in_force;
use super::{file, lines};
use crate::class::TrafficClass;
use crate::role::Role;

pub(super) const TARGET: Target =
    Target { name: "cisco-gateway", title: "Cisco voice gateways and Unified Border Element", make };

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let policy = in_force(order, Role::Gateway)?;
    let mark = |class| ios::keyword(policy.mark(class));
    let mut text = format!("! {}\n", stamp(order));
    if let Some(ports) = policy.ports(TrafficClass::Audio) {
        text.push_str(&format!("voice service voip\n rtp-port range {} {}\n!\n", ports.start(), ports.end()));
    }
    text.push_str(&format!(
        "! The same in every dial peer; TAG is its number.\ndial-peer voice TAG voip\n ip qos dscp {} media\n \
         ip qos dscp {} signaling\n ip qos dscp {} video rsvp-none\n!\nend\n",
        mark(TrafficClass::Audio),
        mark(TrafficClass::Signaling),
        mark(TrafficClass::Video),
    ));
    let mut guide = guide();
    if policy.ports(TrafficClass::Audio).is_none() {
        guide.limits.push("The plan has no audio range for gateways: the router keeps its own.".to_owned());
    }
    Ok(vec![file("gateway/cisco/qos.txt", text, guide)])
}

fn guide() -> Guide {
    Guide {
        purpose: "Marks and ports of Cisco routers that are voice gateways or border elements. Without it they mark \
                  signaling AF31."
            .to_owned(),
        install: lines([
            "`show running-config | section dial-peer` lists the dial peers.",
            "`configure terminal`, then paste the lines of `voice service voip` once and those of the dial peer for each \
             VoIP dial peer, with its number instead of `TAG`.",
            "`write memory`.",
        ]),
        roll_back: lines([
            "`no ip qos dscp ... media` and the like in each dial peer, `no rtp-port range` under `voice service voip`.",
        ]),
        check: lines([
            "`show dial-peer voice NUMBER | include DSCP`.",
            "Give `show running-config` to `carillon plan check`, and a capture to `carillon verify`.",
        ]),
        limits: lines([
            "The range of RTP ports can be set on releases that know `rtp-port range` (IOS XE); there 8000 to 48198 is \
             the default. Which ranges a release takes is not verified.",
            "Not tried on a device: the commands are those of Cisco's command reference and of published configurations.",
        ]),
    }
}
