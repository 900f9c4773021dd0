//! Whose rule a deployed one is, and for which class: by Carillon's own names, then by program, by words of other
//! people's names, by the mark.

use crate::class::TrafficClass;
use crate::import::Deployed;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

use super::super::rules_of;

/// Words in names of policies and files, as administrators write them.
const ROLE_WORDS: [(&str, Role); 12] = [
    ("mediation", Role::Mediation),
    ("sba", Role::Mediation),
    ("edge", Role::Edge),
    ("gateway", Role::Gateway),
    ("phone", Role::Phone),
    ("client", Role::Client),
    ("conferenc", Role::Conferencing),
    ("front end", Role::Conferencing),
    ("frontend", Role::Conferencing),
    ("server", Role::Conferencing),
    ("mcu", Role::Conferencing),
    ("application", Role::Application),
];

const CLASS_WORDS: [(&str, TrafficClass); 9] = [
    ("audio", TrafficClass::Audio),
    ("voice", TrafficClass::Audio),
    ("video", TrafficClass::Video),
    ("file", TrafficClass::FileTransfer),
    ("shar", TrafficClass::Sharing),
    ("vbss", TrafficClass::Sharing),
    ("signal", TrafficClass::Signaling),
    ("sip", TrafficClass::Signaling),
    ("call control", TrafficClass::Signaling),
];

/// What was found out, and whether a name or program says it; else it is the likeliest.
pub(super) struct Guess<T> {
    pub(super) value: T,
    pub(super) sure: bool,
}

/// The role of each rule of a file. The program and the rule's own name say more than the file's name.
pub(super) fn roles(file: &Deployed) -> Vec<Guess<Role>> {
    let of_file = word(&file.source, &ROLE_WORDS);
    let role = |rule: &MarkingRule| {
        let said =
            own(rule).or_else(|| by_program(rule)).or_else(|| word(&rule.name, &ROLE_WORDS)).or(of_file);
        Guess { value: said.unwrap_or(Role::Conferencing), sure: said.is_some() }
    };
    rules_of(file).into_iter().map(|found| role(found.rule)).collect()
}

/// The class that a rule is about, if it can be told and a plan can say so.
pub(super) fn class(role: Role, rule: &MarkingRule) -> Option<Guess<TrafficClass>> {
    let said = own_class(rule).or_else(|| word(&rule.name, &CLASS_WORDS));
    let class = said.or_else(|| by_mark(rule))?;
    let two_sided = rule.source_ports.is_some() && rule.destination_ports.is_some();
    let fits = match (role, class) {
        (Role::Edge, class) => class.is_media() && rule.destination_ports.is_some(),
        (Role::Client, TrafficClass::Signaling) => {
            rule.protocol == Protocol::Tcp && rule.destination_ports.is_some()
        }
        (_, class) => class.is_media() && rule.source_ports.is_some() && rule.protocol == Protocol::Both,
    };
    (fits && !two_sided).then_some(Guess { value: class, sure: said.is_some() })
}

/// The class of a rule whose packets may come from either side.
pub(super) fn media(rule: &MarkingRule) -> Option<Guess<TrafficClass>> {
    let said = own_class(rule).or_else(|| word(&rule.name, &CLASS_WORDS));
    let class = said.or_else(|| by_mark(rule)).filter(|class| class.is_media())?;
    Some(Guess { value: class, sure: said.is_some() })
}

/// To whom an Edge's rule is, by its name.
pub(super) fn relayed_to(rule: &MarkingRule) -> Option<Role> {
    let name = rule.name.to_lowercase();
    let behind = name.split_once(" to ").map_or(name.as_str(), |(_, behind)| behind);
    if behind.contains("client") {
        return Some(Role::Client);
    }
    let server = ["server", "conferenc", "mcu"].iter().any(|word| behind.contains(word));
    server.then_some(Role::Conferencing)
}

/// `Carillon ROLE CLASS …`, or with `_` for what MDM takes for no part of a name.
fn own(rule: &MarkingRule) -> Option<Role> {
    Role::from_name(own_words(rule)?.next()?)
}

fn own_class(rule: &MarkingRule) -> Option<TrafficClass> {
    TrafficClass::from_name(own_words(rule)?.nth(1)?)
}

fn own_words(rule: &MarkingRule) -> Option<impl Iterator<Item = &str>> {
    let rest = rule.name.strip_prefix("Carillon").filter(|rest| rest.starts_with([' ', '_']))?;
    Some(rest.split([' ', '_']).skip(1))
}

fn by_program(rule: &MarkingRule) -> Option<Role> {
    let program = rule.application.as_ref()?.to_lowercase();
    Some(if program.ends_with("mediarelaysvc.exe") { Role::Edge } else { Role::Client })
}

fn by_mark(rule: &MarkingRule) -> Option<TrafficClass> {
    match rule.mark.value() {
        46 | 44 => Some(TrafficClass::Audio),
        34 | 36 | 38 => Some(TrafficClass::Video),
        18 | 20 | 22 => Some(TrafficClass::Sharing),
        10 | 12 | 14 => Some(TrafficClass::FileTransfer),
        24 | 26 | 40 => Some(TrafficClass::Signaling),
        _ => None,
    }
}

fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    let text = text.to_lowercase();
    words.iter().find(|(word, _)| text.contains(word)).map(|(_, meaning)| *meaning)
}
