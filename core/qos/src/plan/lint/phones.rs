//! What phones will do, against what the plan wants of them.

use super::super::phones::{Phone, PortControl};
use super::super::{Plan, Scope};
use super::Findings;
use super::kinds::*;
use crate::class::TrafficClass;
use crate::dscp;
use crate::ports::PortRange;
use crate::role::Role;

impl Plan {
    pub(super) fn check_phones(&self, findings: &mut Findings) {
        if !self.enabled() {
            return;
        }
        for phone in self.phones() {
            let name = phone.family.name;
            for class in [TrafficClass::Audio, TrafficClass::Video] {
                if class == TrafficClass::Audio || phone.family.video {
                    self.check_phone_ports(phone, class, findings);
                }
            }
            if phone.family.unverified() {
                findings.add(PHONE_UNVERIFIED, format!("{name}: {}", phone.family.note));
            }
            let signaling = phone.marks.get(&TrafficClass::Signaling);
            if let Some(mark) = signaling.filter(|_| phone.family.marks_signaling == Some(false)) {
                let text = format!("{name}: signaling {} cannot be sent", dscp::label(mark.value));
                findings.add(PHONE_CANNOT, text);
            }
            self.check_phone_video(phone, findings);
        }
    }

    fn check_phone_ports(&self, phone: &Phone, class: TrafficClass, findings: &mut Findings) {
        let name = phone.family.name;
        let Some(planned) = self.planned(Role::Phone, &Scope::default()).ports(class) else { return };
        let configured = match class {
            TrafficClass::Audio => phone.audio_start.as_ref(),
            _ => phone.video_start.as_ref(),
        };
        let fixed = matches!(phone.family.ports, PortControl::StartOnly { .. } | PortControl::StartAndEnd);
        if fixed && configured.is_none() && class == TrafficClass::Audio {
            let text = match phone.family.default_start {
                Some(port) => {
                    format!("{name}: sends from {port} on until audio-start is set, plan {planned}")
                }
                None => format!("{name}: its ports are not stated (audio-start), plan {planned}"),
            };
            findings.add(PHONE_UNCONFIGURED, text);
        }
        let start = configured.map_or(planned.start(), |start| start.value);
        if matches!(phone.family.ports, PortControl::StartOnly { .. }) && start % 2 == 1 {
            findings.add(PHONE_ODD, format!("{name}: {class} starts at {start}"));
        }
        let mut readings = phone.family.readings(start).into_iter();
        if let Some(used) = readings.next().filter(|used| !planned.covers(*used)) {
            return findings.add(PHONE_OUTSIDE, beyond(name, class, used, planned));
        }
        if let Some(used) = readings.next().filter(|used| !planned.covers(*used)) {
            findings.add(PHONE_WIDE, beyond(name, class, used, planned));
        }
    }

    fn check_phone_video(&self, phone: &Phone, findings: &mut Findings) {
        let wanted = self.planned(Role::Phone, &Scope::default()).mark(TrafficClass::Video);
        let audio = phone.marks.get(&TrafficClass::Audio).map(|mark| mark.value);
        let has_own = phone.marks.contains_key(&TrafficClass::Video);
        if let Some(audio) =
            audio.filter(|audio| *audio != wanted && !has_own && phone.family.video_follows_audio)
            && phone.family.video
        {
            let (audio, wanted) = (dscp::label(audio), dscp::label(wanted));
            findings.add(PHONE_VIDEO, format!("{}: video will be {audio}, plan {wanted}", phone.family.name));
        }
    }
}

/// Which ports a phone uses outside the plan's range.
fn beyond(name: &str, class: TrafficClass, used: PortRange, planned: PortRange) -> String {
    let outside: Vec<String> = used.minus(planned).map(|range| range.to_string()).collect();
    format!("{name}: phone will use {used} for {class}, plan {planned}; outside are {}", outside.join(", "))
}
