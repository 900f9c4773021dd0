//! What the properties and parameters mean: one table for listings and commands.

use crate::class::TrafficClass;
use crate::role::Role;

/// What a property sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// Whether the clients' ranges are in force.
    Enabled,
    /// The first port of a class.
    Start(Option<TrafficClass>),
    /// How many ports a class has.
    Count(Option<TrafficClass>),
    /// The audio mark of phones.
    PhoneMark,
    /// Whether devices that are not Windows mark.
    DevicesMark,
    /// Nothing at all, whatever is set.
    Nothing,
}

/// What an object is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Object {
    /// `CsConferencingConfiguration`: ranges of clients.
    Clients,
    /// A service: ranges of this role.
    Service(Role),
    /// `CsUCPhoneConfiguration`.
    Phones,
    /// `CsMediaConfiguration`.
    Media,
}

impl Object {
    /// Whose ranges.
    pub(super) fn role(self) -> Role {
        match self {
            Object::Service(role) => role,
            Object::Clients | Object::Phones | Object::Media => Role::Client,
        }
    }
}

const AUDIO: Option<TrafficClass> = Some(TrafficClass::Audio);
const VIDEO: Option<TrafficClass> = Some(TrafficClass::Video);
const SHARING: Option<TrafficClass> = Some(TrafficClass::Sharing);
const FILES: Option<TrafficClass> = Some(TrafficClass::FileTransfer);

const CLIENTS: [(&str, Meaning); 13] = [
    ("ClientMediaPortRangeEnabled", Meaning::Enabled),
    ("ClientMediaPort", Meaning::Start(None)),
    ("ClientMediaPortRange", Meaning::Count(None)),
    ("ClientAudioPort", Meaning::Start(AUDIO)),
    ("ClientAudioPortRange", Meaning::Count(AUDIO)),
    ("ClientVideoPort", Meaning::Start(VIDEO)),
    ("ClientVideoPortRange", Meaning::Count(VIDEO)),
    ("ClientAppSharingPort", Meaning::Start(SHARING)),
    ("ClientAppSharingPortRange", Meaning::Count(SHARING)),
    ("ClientFileTransferPort", Meaning::Start(FILES)),
    ("ClientFileTransferPortRange", Meaning::Count(FILES)),
    ("ClientSipDynamicPort", Meaning::Nothing),
    ("ClientSipDynamicPortRange", Meaning::Nothing),
];

const SERVICES: [(&str, Meaning); 8] = [
    ("AudioPortStart", Meaning::Start(AUDIO)),
    ("AudioPortCount", Meaning::Count(AUDIO)),
    ("VideoPortStart", Meaning::Start(VIDEO)),
    ("VideoPortCount", Meaning::Count(VIDEO)),
    ("AppSharingPortStart", Meaning::Start(SHARING)),
    ("AppSharingPortCount", Meaning::Count(SHARING)),
    ("MediaCommunicationPortStart", Meaning::Start(None)),
    ("MediaCommunicationPortCount", Meaning::Count(None)),
];

/// The misprints of published pages, and what was meant.
const MISPRINTS: [(&str, &str); 2] = [
    ("ClientTransferPortRange", "ClientFileTransferPortRange"),
    ("MediaComunicationPortCount", "MediaCommunicationPortCount"),
];

/// The properties that an object has and a plan knows.
pub(super) fn of_object(object: Object) -> &'static [(&'static str, Meaning)] {
    match object {
        Object::Clients => &CLIENTS,
        Object::Service(_) => &SERVICES,
        Object::Phones => &[("VoiceDiffServTag", Meaning::PhoneMark)],
        Object::Media => &[("EnableQoS", Meaning::DevicesMark)],
    }
}

/// The property of that name, whatever its case.
pub(super) fn named(object: Object, name: &str) -> Option<(&'static str, Meaning)> {
    of_object(object).iter().copied().find(|(other, _)| other.eq_ignore_ascii_case(name))
}

/// What a misprinted name was meant to be.
pub(super) fn misprint(name: &str) -> Option<&'static str> {
    MISPRINTS.iter().find(|(wrong, _)| wrong.eq_ignore_ascii_case(name)).map(|(_, right)| *right)
}

/// The object that has a property of that name, where only one does.
pub(super) fn owner(name: &str) -> Option<Object> {
    let name = misprint(name).unwrap_or(name);
    let objects = [Object::Clients, Object::Phones, Object::Media];
    objects.into_iter().find(|object| named(*object, name).is_some())
}

/// The service of an identity or of the property `Role`: `ConferencingServer:pool`, `MediationServer`.
pub(super) fn service(text: &str) -> Option<Object> {
    let text = without_service(text);
    let kind = text.split(':').next().unwrap_or(text);
    let role = match kind.to_ascii_lowercase().as_str() {
        "conferencingserver" => Role::Conferencing,
        "applicationserver" => Role::Application,
        "mediationserver" => Role::Mediation,
        "edgeserver" => Role::Edge,
        _ => return None,
    };
    Some(Object::Service(role))
}

/// An identity as scope: `global`, `site:Redmond`, `ConferencingServer:pool`.
pub(super) fn scope(identity: &str) -> String {
    let identity = without_service(identity.trim());
    match identity.split_once(':') {
        _ if identity.eq_ignore_ascii_case("global") => "global".to_owned(),
        Some((kind, name)) if kind.eq_ignore_ascii_case("site") => format!("site:{name}"),
        _ => identity.to_owned(),
    }
}

fn without_service(identity: &str) -> &str {
    let prefix = "service:".len();
    match identity.get(..prefix) {
        Some(start) if start.eq_ignore_ascii_case("service:") => &identity[prefix..],
        _ => identity,
    }
}
