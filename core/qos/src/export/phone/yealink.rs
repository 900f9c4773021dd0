//! Yealink T series: a text of keys and values with marks in DSCP units and one range for all media.

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::settings::{self, Settings};
use super::{file, lines};
use crate::plan::PhoneFamily;

pub(super) const TARGET: Target =
    Target { name: "yealink", title: "Yealink T series, firmware 80 and later", make };

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let family =
        PhoneFamily::named("yealink").ok_or_else(|| Unfit("no facts about these phones".to_owned()))?;
    let settings = settings::of_phones(order, family)?;
    let text = text(&stamp(order), &settings);
    Ok(vec![file("phone/yealink/carillon-qos.cfg", text, guide(settings))])
}

fn text(stamp: &str, settings: &Settings) -> String {
    let mut text = format!("#!version:1.0.0.1\n# {stamp}\n");
    let mut line = |key: &str, value: u16| text.push_str(&format!("{key} = {value}\n"));
    line("static.network.qos.audiotos", settings.audio.mark.value().into());
    if let Some(video) = settings.video {
        line("static.network.qos.videotos", video.mark.value().into());
    }
    if let Some(mark) = settings.signaling {
        line("static.network.qos.signaltos", mark.value().into());
    }
    if let Some(ports) = settings.audio.ports {
        line("static.network.port.min_rtpport", ports.start());
        line("static.network.port.max_rtpport", ports.end());
    }
    text
}

fn guide(settings: Settings) -> Guide {
    let mut limits = settings.limits;
    if settings.video.is_some_and(|video| video.ports.is_some()) {
        let text = "There is one range for all media: video leaves from the audio range. It carries its own mark, but a \
                    network that marks by port takes it for audio.";
        limits.push(text.to_owned());
    }
    limits.extend(lines([
        "The names come from working configurations. That of the video mark is not verified.",
        "Firmware before 80 has `network.qos.rtptos`, `network.qos.signaltos` and `network.port.min_rtpport`.",
    ]));
    Guide {
        purpose: "Ports and marks of Yealink desk phones. The values named `tos` are DSCP, not TOS bytes."
            .to_owned(),
        install: lines([
            "Add the lines, without the first, to the common file of the model (`y0000000000NN.cfg`) on the \
             provisioning server, or import the file in the phone's web interface (Settings, Configuration).",
            "Restart the phone.",
        ]),
        roll_back: lines([
            "Set the values that were there before, by default audio 46, signaling 26 and ports 11780 to 12780: keys \
             that are merely taken out keep their last value.",
        ]),
        check: lines([
            "Capture a call of the phone and give it to `carillon verify`.",
            "Export the phone's configuration and give it to `carillon plan check`.",
        ]),
        limits,
    }
}
