//! Marks against each other, against the standards, against the switch's queues.

use carillon_wire::ip::Dscp;

use super::super::{EdgeExternal, Plan, Scope, WifiMapping};
use super::Findings;
use super::kinds::*;
use crate::class::TrafficClass;
use crate::dscp;
use crate::role::Role;

const CS3: u8 = 24;
const CS6: u8 = 48;

impl Plan {
    pub(super) fn check_marks(&self, scope: &Scope, findings: &mut Findings) {
        if !self.enabled_in(scope).value {
            return;
        }
        let policy = self.planned(Role::Client, scope);
        let marks = TrafficClass::ALL.map(|class| (class, policy.mark(class)));
        let marked: Vec<(TrafficClass, Dscp)> =
            marks.into_iter().filter(|(_, mark)| *mark != Dscp::DEFAULT).collect();
        check_one_mark(&marked, findings);
        for (class, mark) in &marked {
            check_single_mark(*class, *mark, findings);
            if class.is_media() && policy.class(*class).ports_planned && policy.ports(*class).is_none() {
                findings.add(WITHOUT_RANGE, format!("client: {class} is {} on any port", dscp::label(*mark)));
            }
        }
        self.check_wifi(policy.mark(TrafficClass::Audio), findings);
        if policy.mark(TrafficClass::Video) != Dscp::DEFAULT && self.video_kbps.is_none() {
            let text = "video is marked and no bandwidth.video-kbps is stated".to_owned();
            findings.add(VIDEO_UNCAPPED, text);
        }
        if !marked.is_empty() && policy.mark(TrafficClass::Sharing) == Dscp::DEFAULT {
            findings.add(SHARING_UNMARKED, "sharing is unmarked (0)".to_owned());
        }
        if self.edge_external() == EdgeExternal::Plan {
            findings.add(EDGE_INTERNET, "edge.external = \"plan\" marks packets to the Internet".to_owned());
        }
        self.check_audio_marks(scope, findings);
    }

    /// Every mark that audio carries somewhere in the estate.
    fn check_audio_marks(&self, scope: &Scope, findings: &mut Findings) {
        let roles = Role::ALL.into_iter().filter(|role| *role != Role::Edge || self.edge_marks_internal());
        let by_role = roles.map(|role| (role.name(), self.planned(role, scope).mark(TrafficClass::Audio)));
        let by_phone = self.phones().iter().filter_map(|phone| {
            let mark = phone.mark(TrafficClass::Audio)?;
            Some((phone.family.name, mark))
        });
        let found: Vec<(&str, Dscp)> =
            by_role.chain(by_phone).filter(|(_, mark)| *mark != Dscp::DEFAULT).collect();
        let Some((first, mark)) = found.first() else { return };
        for (other, other_mark) in found.iter().filter(|(_, other)| other != mark) {
            let text = format!("audio: {first} {}, {other} {}", dscp::label(*mark), dscp::label(*other_mark));
            findings.add(TWO_AUDIO, text);
        }
    }

    fn check_wifi(&self, audio: Dscp, findings: &mut Findings) {
        let priority = dscp::default_priority(audio);
        if audio != Dscp::DEFAULT && priority < 6 && self.wifi_mapping() == WifiMapping::Default {
            let category = ["best effort", "background", "background", "best effort", "video", "video"];
            let category = category.get(usize::from(priority)).unwrap_or(&"voice");
            let text = format!(
                "audio {} becomes 802.11 user priority {priority}, which is {category}",
                dscp::label(audio)
            );
            findings.add(WIFI, text);
        }
    }

    pub(super) fn check_queues(&self, findings: &mut Findings) {
        let Some(map) = self.queue_map() else { return };
        let policy = self.planned(Role::Client, &Scope::default());
        let order = [TrafficClass::Audio, TrafficClass::Video, TrafficClass::Signaling];
        let marks: Vec<(&str, Dscp)> =
            order.into_iter().map(|class| (class.name(), policy.mark(class))).collect();
        let marked = marks.into_iter().filter(|(_, mark)| *mark != Dscp::DEFAULT);
        let ranked: Vec<(&str, Dscp)> = marked.chain([("everything else", Dscp::DEFAULT)]).collect();
        for (at, (name, mark)) in ranked.iter().enumerate() {
            for (other_name, other) in ranked.iter().skip(at + 1).filter(|(_, other)| other != mark) {
                let (a, b) = (map.queue(*mark), map.queue(*other));
                let (mark, other) = (dscp::label(*mark), dscp::label(*other));
                if a == b {
                    findings
                        .add(QUEUE_SHARED, format!("{name} {mark} and {other_name} {other} share queue {a}"));
                } else if a < b {
                    let text = format!("{name} {mark} is in queue {a}, {other_name} {other} above it in {b}");
                    findings.add(QUEUE_ORDER, text);
                }
            }
        }
    }
}

/// One mark for everything, or for two media classes.
fn check_one_mark(marked: &[(TrafficClass, Dscp)], findings: &mut Findings) {
    let Some((_, first)) = marked.first() else {
        return findings.add(NOTHING_MARKED, "every class is unmarked (0)".to_owned());
    };
    if marked.len() > 2 && marked.iter().all(|(_, mark)| mark == first) {
        let names: Vec<&str> = marked.iter().map(|(class, _)| class.name()).collect();
        return findings.add(ONE_MARK, format!("{} are all {}", names.join(", "), dscp::label(*first)));
    }
    let media: Vec<_> = marked.iter().filter(|(class, _)| class.is_media()).collect();
    for (at, (class, mark)) in media.iter().enumerate() {
        for (other, _) in media.iter().skip(at + 1).filter(|(_, other)| other == mark) {
            findings.add(MARKS_SHARED, format!("{class} and {other} are both {}", dscp::label(*mark)));
        }
    }
}

fn check_single_mark(class: TrafficClass, mark: Dscp, findings: &mut Findings) {
    if class == TrafficClass::Signaling && mark.value() == CS3 {
        findings.add(SIGNALING_CS3, "signaling is CS3 (24), in RFC 4594 it is CS5 (40)".to_owned());
    }
    if !dscp::has_name(mark) {
        let text = format!("{class} is {}; as a TOS byte that is {}", mark.value(), dscp::tos_byte(mark));
        findings.add(UNNAMED_MARK, text);
    }
    if class.is_media() && mark.value() >= CS6 {
        findings.add(CONTROL_MARK, format!("{class} is {}", dscp::label(mark)));
    }
}
