//! Asterisk as a PSTN gateway (Sangoma, FreePBX): marks of transport and endpoints, the RTP range.
//!
//! Evidence: Asterisk's own page on IP quality of service: names CS0 to CS7, AF11 to AF43, `ef`; numbers are TOS bytes.

use carillon_wire::ip::Dscp;

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::settings::in_force;
use super::{file, lines};
use crate::class::TrafficClass;
use crate::dscp;
use crate::role::Role;

pub(super) const TARGET: Target =
    Target { name: "asterisk-gateway", title: "Asterisk as a gateway: Sangoma, FreePBX", make };

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let policy = in_force(order, Role::Gateway)?;
    let stamp = stamp(order);
    let of = |class| (tos(policy.mark(class)), dscp::default_priority(policy.mark(class)));
    let [(signal, signal_cos), (audio, audio_cos), (video, video_cos)] =
        [TrafficClass::Signaling, TrafficClass::Audio, TrafficClass::Video].map(of);
    let marks = format!(
        "; {stamp}\n[carillon-transport](!)\ntype=transport\ntos={signal}\ncos={signal_cos}\n\n[carillon-endpoint](!)\n\
         type=endpoint\ntos_audio={audio}\ncos_audio={audio_cos}\ntos_video={video}\ncos_video={video_cos}\n"
    );
    let mut files = vec![file("gateway/asterisk/pjsip-carillon.conf", marks, guide())];
    if let Some(ports) = policy.ports(TrafficClass::Audio) {
        let text = format!("; {stamp}\n[general]\nrtpstart={}\nrtpend={}\n", ports.start(), ports.end());
        let range = file("gateway/asterisk/rtp-carillon.conf", text, Guide::default());
        files.push(File { guide: None, ..range });
    }
    Ok(files)
}

/// The names that Asterisk knows; a number is taken for the whole TOS byte.
fn tos(mark: Dscp) -> String {
    let name = dscp::name(mark).to_lowercase();
    let known = name == "ef" || name.starts_with("cs") || name.starts_with("af");
    if known { name } else { dscp::tos_byte(mark).to_string() }
}

fn guide() -> Guide {
    Guide {
        purpose: "Marks and ports of an Asterisk that is the gateway to the PSTN. Where the plan gives gateways a range, \
                  the second file is `rtp-carillon.conf`."
            .to_owned(),
        install: lines([
            "Put the files beside `pjsip.conf`; in `pjsip.conf` write `#include pjsip-carillon.conf`, and name the \
             templates: `[trunk](carillon-endpoint)`, `[transport-tls](carillon-transport)`.",
            "In `rtp.conf` write `#include rtp-carillon.conf` and take out its own `rtpstart` and `rtpend`.",
            "Restart Asterisk: transports and ports change only then.",
        ]),
        roll_back: lines(["Take the two lines `#include` and the names of the templates out again and restart Asterisk."]),
        check: lines([
            "`pjsip show endpoint trunk` and `rtp show settings` on Asterisk's console.",
            "Capture a call through the gateway and give it to `carillon verify`.",
        ]),
        limits: lines([
            "One range serves audio and video.",
            "The `cos` values need a VLAN interface with an egress map.",
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_without_a_name_is_written_as_its_tos_byte() {
        let of = |value| tos(Dscp::new(value).unwrap());
        assert_eq!([46, 34, 24, 0, 44, 1, 7].map(of), ["ef", "af41", "cs3", "0", "176", "4", "28"]);
    }
}
