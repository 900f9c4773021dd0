//! Snom: XML settings whose marks are whole TOS bytes, four times the DSCP.

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::settings::{self, Settings};
use super::{file, lines};
use crate::dscp;
use crate::plan::PhoneFamily;

pub(super) const TARGET: Target = Target { name: "snom", title: "Snom 3xx, 7xx and later", make };

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let family = PhoneFamily::named("snom").ok_or_else(|| Unfit("no facts about these phones".to_owned()))?;
    let settings = settings::of_phones(order, family)?;
    let text = text(&stamp(order), &settings);
    Ok(vec![file("phone/snom/carillon-qos.xml", text, guide(settings.limits))])
}

fn text(stamp: &str, settings: &Settings) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- {stamp} -->\n<settings>\n  <phone-settings>\n"
    );
    let mut element =
        |name: &str, value: u16| text.push_str(&format!("    <{name} perm=\"RW\">{value}</{name}>\n"));
    element("codec_tos", dscp::tos_byte(settings.audio.mark).into());
    if let Some(mark) = settings.signaling {
        element("signaling_tos", dscp::tos_byte(mark).into());
    }
    if let Some(ports) = settings.audio.ports {
        element("rtp_port_start", ports.start());
        element("rtp_port_end", ports.end());
    }
    text.push_str("  </phone-settings>\n</settings>\n");
    text
}

fn guide(mut limits: Vec<String>) -> Guide {
    limits.push("The names come from working configurations; no manual was at hand.".to_owned());
    Guide {
        purpose: "Ports and marks of Snom phones. Their marks are TOS bytes: EF, DSCP 46, is written 184."
            .to_owned(),
        install: lines([
            "Put the file on the provisioning server and name it in the phones' setting server, or merge its settings \
             into the file that they read already.",
            "Restart the phone.",
        ]),
        roll_back: lines([
            "Set `codec_tos` and `signaling_tos` to 160, which is what phones have from the factory, and empty \
             `rtp_port_start` and `rtp_port_end`; restart the phone.",
        ]),
        check: lines([
            "Capture a call of the phone and give it to `carillon verify`.",
            "Export the phone's settings in its web interface and give them to `carillon plan check`.",
        ]),
        limits,
    }
}
