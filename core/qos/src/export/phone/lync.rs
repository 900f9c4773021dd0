//! Lync Phone Edition: ports come with signing in, the mark of audio with the device's settings, and signaling has none.

use super::super::stamp::stamp;
use super::super::{File, Guide, Order, Target, Unfit};
use super::settings::in_force;
use super::{file, lines};
use crate::class::TrafficClass;
use crate::dscp;
use crate::role::Role;

pub(super) const TARGET: Target = Target {
    name: "lync-phone-edition",
    title: "Lync Phone Edition: CX500, CX600, CX3000, Aastra 6721ip, HP 4110",
    make,
};

fn make(order: &Order<'_>) -> Result<Vec<File>, Unfit> {
    let policy = in_force(order, Role::Phone)?;
    let mark = policy.mark(TrafficClass::Audio);
    let identity = match &order.scope.site {
        Some(site) => format!(" -Identity {}", quoted(&format!("site:{site}"))),
        None => String::new(),
    };
    let text = format!(
        "# {}\r\nSet-CsUCPhoneConfiguration{identity} -VoiceDiffServTag {}\r\n",
        stamp(order),
        mark.value()
    );
    let mut limits = lines([
        "Signaling of these phones is never marked, whatever the plan says.",
        "Audio keeps its mark whether or not QoS is enabled; only its value can be changed.",
        "The phones send no video.",
    ]);
    let signaling = policy.mark(TrafficClass::Signaling);
    if signaling.value() > 0 {
        limits
            .push(format!("The plan's {} for signaling will not be seen from them.", dscp::label(signaling)));
    }
    let guide = Guide { limits, ..guide() };
    Ok(vec![file("phone/lync-phone-edition/set-voice-mark.ps1", text, guide)])
}

/// A literal string of PowerShell, which takes five characters for the single quote: any of them is doubled.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for c in text.chars() {
        if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

fn guide() -> Guide {
    Guide {
        purpose: "The mark of audio from phones with Lync Phone Edition, which have 40 until told otherwise. Their port \
                  ranges come with signing in and need no file."
            .to_owned(),
        install: lines([
            "Run the line in the Lync Server Management Shell, or in `carillon shell`.",
            "Phones read it within eight hours; a restart makes them read it at once.",
        ]),
        roll_back: lines(["`Set-CsUCPhoneConfiguration -VoiceDiffServTag 40` is the value that phones have from the start."]),
        check: lines([
            "`Get-CsUCPhoneConfiguration` shows `VoiceDiffServTag`.",
            "Capture a call of the phone and give it to `carillon verify`.",
        ]),
        limits: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_site_can_leave_its_quotes() {
        assert_eq!(quoted("site:a'; rm \u{2019}$(x)"), "'site:a''; rm \u{2019}\u{2019}$(x)'");
    }
}
