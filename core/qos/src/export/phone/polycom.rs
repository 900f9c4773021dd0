//! Polycom UC Software: one parameter file for all phones, and the master file that names it.
//!
//! Parameters are attributes; the names of the elements mean nothing.

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::settings::{self, Media, Settings};
use super::{file, lines};
use crate::dscp;
use crate::plan::PhoneFamily;

pub(super) const TARGET: Target = Target {
    name: "polycom",
    title: "Polycom VVX, Trio, SoundPoint IP, SoundStation IP, SoundStructure, CX5x00 (UC Software)",
    make,
};

const PARAMETERS: &str = "qos.cfg";

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let family = PhoneFamily::named("vvx").ok_or_else(|| Unfit("no facts about these phones".to_owned()))?;
    let settings = settings::of_phones(order, family)?;
    let text = parameters(&stamp(order), &settings);
    let master = file("phone/polycom/000000000000.cfg", master(&stamp(order)), Guide::default());
    Ok(vec![
        file(&format!("phone/polycom/{PARAMETERS}"), text, guide(settings.limits)),
        File { guide: None, ..master },
    ])
}

/// The six parameters of the phone article, then the priorities of VLANs, then the ends for firmware that takes them.
fn parameters(stamp: &str, settings: &Settings) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<!-- {stamp} -->\n<carillonQos>\n"
    );
    let video = settings.video.filter(|video| video.ports.is_some());
    text.push_str(&element("qos", &marks(settings)));
    text.push_str(&element("priorities", &priorities(settings)));
    text.push_str(&element("tcpIpApp", &starts(settings.audio, video)));
    text.push_str(&element("ends", &ends(settings.audio, video)));
    text.push_str("</carillonQos>\n");
    text
}

type Attributes = Vec<(&'static str, u16)>;

fn marks(settings: &Settings) -> Attributes {
    let mut marks = vec![("qos.ip.rtp.dscp", u16::from(settings.audio.mark.value()))];
    marks.extend(settings.video.map(|video| ("qos.ip.rtp.video.dscp", u16::from(video.mark.value()))));
    marks.extend(settings.signaling.map(|mark| ("qos.ip.callControl.dscp", u16::from(mark.value()))));
    marks
}

fn priorities(settings: &Settings) -> Attributes {
    let of = |mark| u16::from(dscp::default_priority(mark));
    let mut values = vec![("qos.ethernet.rtp.user_priority", of(settings.audio.mark))];
    values.extend(settings.video.map(|video| ("qos.ethernet.rtp.video.user_priority", of(video.mark))));
    values.extend(settings.signaling.map(|mark| ("qos.ethernet.callControl.user_priority", of(mark))));
    values
}

fn starts(audio: Media, video: Option<Media>) -> Attributes {
    let mut values = Vec::new();
    values.extend(audio.ports.map(|ports| ("tcpIpApp.port.rtp.mediaPortRangeStart", ports.start())));
    values.push(("tcpIpApp.port.rtp.videoPortRange.enable", u16::from(video.is_some())));
    let ports = video.and_then(|video| video.ports);
    values.extend(ports.map(|ports| ("tcpIpApp.port.rtp.videoPortRangeStart", ports.start())));
    values
}

fn ends(audio: Media, video: Option<Media>) -> Attributes {
    let video = video.and_then(|video| video.ports);
    let audio = audio.ports.map(|ports| ("tcpIpApp.port.rtp.mediaPortRangeEnd", ports.end()));
    let video = video.map(|ports| ("tcpIpApp.port.rtp.videoPortRangeEnd", ports.end()));
    audio.into_iter().chain(video).collect()
}

fn element(name: &str, attributes: &Attributes) -> String {
    let attributes: String = attributes.iter().map(|(name, value)| format!(" {name}=\"{value}\"")).collect();
    if attributes.is_empty() { String::new() } else { format!("  <{name}{attributes}/>\n") }
}

/// Phones without a file of their own read this one; what stands further left in the list wins.
fn master(stamp: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<!-- {stamp} -->\n\
         <APPLICATION APP_FILE_PATH=\"sip.ld\" CONFIG_FILES=\"[PHONE_MAC_ADDRESS]-phone.cfg, {PARAMETERS}\" \
         MISC_FILES=\"\" LOG_FILE_DIRECTORY=\"\" OVERRIDES_DIRECTORY=\"\" CONTACTS_DIRECTORY=\"\" \
         LICENSE_DIRECTORY=\"\"/>\n"
    )
}

fn guide(limits: Vec<String>) -> Guide {
    let mut guide = Guide {
        purpose: "Ports, marks and VLAN priorities of Polycom phones with UC Software, which do not follow the ranges \
                  handed out at sign-in before release 5.5. The second file, `000000000000.cfg`, is the master file \
                  that names the first."
            .to_owned(),
        install: lines([
            "Many phones: put both files on the provisioning server (HTTPS, HTTP, FTP or TFTP) that the phones use. If \
             it has a master file already, add `qos.cfg` to its `CONFIG_FILES` instead; the leftmost file wins where \
             two state the same parameter.",
            "One phone: in its web interface, Utilities, Import & Export Configuration, import `qos.cfg`. With the Lync \
             base profile on release 5.1.1 or later the web interface is off: switch it on at the phone (Settings, \
             Advanced, Administration Settings, Web Server Configuration), and off again afterwards.",
            "Restart the phone; ports and marks change only then.",
            "Change the administrator's password if it is still `456` (user: `123`).",
        ]),
        roll_back: lines([
            "Take `qos.cfg` out of `CONFIG_FILES` and restart the phones: they return to ports from 2222 and to their \
             own marks. What was imported through the web interface is reset there.",
        ]),
        check: lines([
            "Capture a call of the phone and give it to `carillon verify`.",
            "Export the phone's configuration in its web interface and give it to `carillon plan check`.",
        ]),
        limits,
    };
    guide.limits.extend(lines([
        "How many ports follow the start is fixed: 24 by the phone article, 48 (even ones for RTP, odd ones for RTCP) by \
         the vendor's manual. The parameters that end in `End` are read by release 5 and later, others pass them over.",
        "The priorities count on tagged VLANs only.",
        "CX5100 and CX5500: that they take the same parameters is not verified.",
    ]));
    guide
}
