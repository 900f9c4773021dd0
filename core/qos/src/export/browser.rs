//! Browsers: the range from which WebRTC sends, as a policy of the browser.
//!
//! A browser has one range for all classes, and no policy that marks: marks come from the page (`priority` in WebRTC)
//! and from the operating system.

use serde_json::json;

use super::windows::xml::escaped;
use super::{File, Guide, Order, Target, Unfit};
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::role::Role;

pub(super) const TARGETS: &[Target] =
    &[Target { name: "browser", title: "Chrome and Edge: the ports of WebRTC", make }];

/// The policy's name, the same everywhere.
const POLICY: &str = "WebRtcUdpPortRange";

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let ports = range(order)?;
    let file = |path: &str, bytes: Vec<u8>, guide: Guide| File {
        path: format!("browser/{path}"),
        bytes,
        guide: Some(guide),
    };
    Ok(vec![
        file("windows.reg", registry(&format!("\"{ports}\"")), windows(ports)),
        file(
            "windows-remove.reg",
            registry("-"),
            Guide { purpose: "Takes `windows.reg` back.".to_owned(), ..Guide::default() },
        ),
        file("macos.mobileconfig", mobileconfig(ports).into_bytes(), macos(ports)),
        file(
            "linux.json",
            format!("{:#}\n", json!({ POLICY: ports.to_string() })).into_bytes(),
            linux(ports),
        ),
    ])
}

/// The ports around audio that belong to the plan's client ranges without a gap. Browsers bundle all media of a call
/// on the port of its first, which is audio's.
///
/// # Errors
/// A plan that has no audio ports for clients in force.
pub(crate) fn range(order: &Order<'_>) -> Result<PortRange, Unfit> {
    let policy = order.plan.policy(Role::Client, &order.scope);
    let audio = policy.ports(TrafficClass::Audio).filter(|_| order.plan.enabled_in(&order.scope).value);
    let run = audio.and_then(|audio| {
        let ranges = TrafficClass::MEDIA.into_iter().filter_map(|class| policy.ports(class));
        PortRange::merged(ranges).into_iter().find(|range| range.covers(audio))
    });
    run.ok_or_else(|| {
        let name = order.plan.name();
        Unfit(format!(
            "plan `{name}` has no audio ports for clients in force, so there is nothing to restrict"
        ))
    })
}

fn registry(value: &str) -> Vec<u8> {
    let mut text = "\u{feff}Windows Registry Editor Version 5.00\r\n\r\n".to_owned();
    for vendor in [r"Google\Chrome", r"Microsoft\Edge"] {
        text.push_str(&format!(
            "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\{vendor}]\r\n\"{POLICY}\"={value}\r\n\r\n"
        ));
    }
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// One profile with a payload for each browser.
fn mobileconfig(ports: PortRange) -> String {
    let payload = |number: u8, domain: &str| {
        let identity = identity(&format!("io.carillon.webrtc.{domain}"), number, domain);
        format!("<dict>{identity}<key>{POLICY}</key><string>{ports}</string></dict>\n")
    };
    let payloads = [payload(1, "com.google.Chrome"), payload(2, "com.microsoft.Edge")].concat();
    let profile = identity("io.carillon.webrtc", 0, "Configuration");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\"><dict>{profile}\
         <key>PayloadDisplayName</key><string>Carillon: ports of WebRTC</string>\
         <key>PayloadScope</key><string>System</string>\n\
         <key>PayloadContent</key><array>\n{payloads}</array></dict></plist>\n"
    )
}

/// What every payload begins with. The identifiers are fixed: a new profile replaces the old one.
fn identity(name: &str, number: u8, kind: &str) -> String {
    format!(
        "<key>PayloadType</key><string>{}</string><key>PayloadVersion</key><integer>1</integer>\
         <key>PayloadIdentifier</key><string>{}</string>\
         <key>PayloadUUID</key><string>6D0E0F5C-6A0B-8C3E-9B1D-0C4A5E7F00{number:02X}</string>\n",
        escaped(kind),
        escaped(name)
    )
}

fn windows(ports: PortRange) -> Guide {
    Guide {
        install: steps(["`reg import windows.reg` as administrator.", "Start the browser anew."]),
        roll_back: steps(["`reg import windows-remove.reg`"]),
        ..guide("Windows: Chrome and Edge", ports)
    }
}

fn macos(ports: PortRange) -> Guide {
    Guide {
        install: steps([
            "Distribute the profile by MDM, or open it and confirm it in the system's settings.",
        ]),
        roll_back: steps(["Remove the profile."]),
        ..guide("macOS: Chrome and Edge", ports)
    }
}

fn linux(ports: PortRange) -> Guide {
    Guide {
        install: steps([
            "Copy it to `/etc/opt/chrome/policies/managed/carillon.json` (Chrome) or \
             `/etc/chromium/policies/managed/carillon.json` (Chromium).",
            "Start the browser anew.",
        ]),
        roll_back: steps(["Remove the file."]),
        ..guide("Linux: Chrome and Chromium. Edge documents the policy for Windows and macOS only", ports)
    }
}

fn guide(systems: &str, ports: PortRange) -> Guide {
    Guide {
        purpose: format!("WebRTC in browsers sends from {ports} only. {systems}."),
        check: steps([
            "`chrome://policy` or `edge://policy` shows WebRtcUdpPortRange; `chrome://webrtc-internals` the ports of a call.",
        ]),
        limits: steps([
            "It restricts ports only. Marks come from the page, where it asks for a priority, and from the operating system's policies.",
            "UDP only, and one range for all classes: what a browser bundles on one port cannot be told apart by port.",
            "Not tried on Windows and macOS.",
        ]),
        ..Guide::default()
    }
}

fn steps<const N: usize>(steps: [&str; N]) -> Vec<String> {
    steps.map(str::to_owned).into()
}
