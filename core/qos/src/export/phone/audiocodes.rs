//! AudioCodes: the ini file of Mediant gateways and border controllers. For the 4xxHD phones there is nothing to write.
//!
//! Evidence: user's manuals of Mediant 800, 1000, 2000 and 4000, releases 6.2 to 7.2: the base is a multiple of ten from
//! 6000 to 64000, RTP, RTCP and T.38 take the first three of each ten, and a media realm ends at start + legs × 10 − 1.

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::settings::in_force;
use super::{file, lines};
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::role::Role;

pub(super) const PHONES: Target =
    Target { name: "audiocodes-phone", title: "AudioCodes 4xxHD phones: not known how", make: refuse };

pub(super) const GATEWAY: Target =
    Target { name: "audiocodes-gateway", title: "AudioCodes Mediant gateways and border controllers", make };

/// Ports from one channel to the next, the default of the devices.
const SPACING: u16 = 10;
/// The first ports that the devices take.
const BASES: std::ops::RangeInclusive<u16> = 6000..=64000;
/// Ports that a device without a media realm may use: 256 channels.
const WHOLE: u32 = 256 * SPACING as u32;

fn refuse(_: &Order<'_>) -> Result<Vec<File>, Unfit> {
    Err(Unfit(
        "AudioCodes 4xxHD phones: no reference of their parameters was at hand, and guessed names would be ignored \
         silently. Set the voice mark and the RTP range in the phone's web interface, and check with a capture"
            .to_owned(),
    ))
}

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let policy = in_force(order, Role::Gateway)?;
    let mut text = format!("; {}\r\n[VOICE Engine Params]\r\n", stamp(order));
    let mut line = |key: &str, value: u16| text.push_str(&format!("{key} = {value}\r\n"));
    line("PremiumServiceClassMediaDiffServ", policy.mark(TrafficClass::Audio).value().into());
    line("PremiumServiceClassControlDiffServ", policy.mark(TrafficClass::Signaling).value().into());
    let limit = match policy.ports(TrafficClass::Audio) {
        None => {
            "The plan has no audio range for gateways: the device keeps its ports, from 6000 on.".to_owned()
        }
        Some(planned) => {
            let base = base(planned)?;
            line("BaseUDPPort", base);
            line("UdpPortSpacing", SPACING);
            room(planned, base)
        }
    };
    let mut limits = vec![limit];
    limits.extend(lines([
        "IP profiles may state marks of their own, and media realms ranges of their own: those win.",
        "Releases before 7.0 print 40 as the default of the control mark, later ones 24.",
    ]));
    Ok(vec![file("gateway/audiocodes/qos.ini", text, Guide { limits, ..guide() })])
}

/// The first planned port that the device takes: a multiple of ten.
pub(super) fn base(planned: PortRange) -> Result<u16, Unfit> {
    let first = planned.start().max(*BASES.start()).checked_next_multiple_of(SPACING);
    let room = |base: &u16| {
        BASES.contains(base) && base.checked_add(SPACING - 1).is_some_and(|end| end <= planned.end())
    };
    first.filter(room).ok_or_else(|| {
        Unfit(format!(
            "gateways of AudioCodes take their ports from a multiple of {SPACING} between {} and {}, {SPACING} for each \
             channel; the plan's audio range of gateways, {planned}, has no room for one",
            BASES.start(),
            BASES.end()
        ))
    })
}

fn room(planned: PortRange, base: u16) -> String {
    let free = u32::from(planned.end()) - u32::from(base) + 1;
    let channels = free / u32::from(SPACING);
    let mut text = format!("The plan's range {planned} has room for {channels} channels from {base} on.");
    if free < WHOLE {
        let end = u32::from(base) + WHOLE - 1;
        text.push_str(&format!(
            " The device itself may use ports up to {}: set its media realm to that many session legs.",
            end.min(65535)
        ));
    }
    text
}

fn guide() -> Guide {
    Guide {
        purpose: "Marks and ports of AudioCodes Mediant gateways and session border controllers.".to_owned(),
        install: lines([
            "Save the device's own ini file first.",
            "Load the file as an incremental ini file (web interface: Maintenance, Configuration File), then restart: \
             the ports change only then.",
        ]),
        roll_back: lines(["Load the ini file that was saved before."]),
        check: lines([
            "Save the device's ini file and give it to `carillon plan check`.",
            "Capture a call through the gateway and give it to `carillon verify`.",
        ]),
        limits: Vec::new(),
    }
}
