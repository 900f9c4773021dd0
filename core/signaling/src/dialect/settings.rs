//! Keys of the group `ServerConfiguration` that the management shell sets: which property each shows, and how it is written.
//!
//! What nobody has set is left out, so that clients keep what they have; two keys are always there.

use carillon_qos::Plan;
use carillon_qos::plan::{ManagedKind, ManagedValue, TimeSpan};

/// A key with its value.
pub(crate) type Setting = (&'static str, String);

/// Key, kind and property as the shell names them, and how a value is written.
type Row = (&'static str, &'static str, &'static str, fn(&ManagedValue) -> String);

const ENABLE_QOS: Row = ("qosEnabled", "MediaConfiguration", "EnableQoS", plain);
const ENCRYPTION: Row = ("ucPC2PCAVEncryption", "MediaConfiguration", "EncryptionLevel", plain);
const ROWS: [Row; 8] = [
    ("ucMaxVideoRateAllowed", "MediaConfiguration", "MaxVideoRateAllowed", video_rate),
    ("ucEnforcePinLock", "UCPhoneConfiguration", "EnforcePhoneLock", plain),
    ("ucPhoneTimeout", "UCPhoneConfiguration", "PhoneLockTimeout", minutes),
    ("ucMinPinLength", "UCPhoneConfiguration", "MinPhonePinLength", plain),
    ("ucEnableSIPSecurityMode", "UCPhoneConfiguration", "SIPSecurityMode", plain),
    ("loggingLevel", "UCPhoneConfiguration", "LoggingLevel", plain),
    ("ucMinSipDynamicPort", "ConferencingConfiguration", "ClientSipDynamicPort", plain),
    ("ucMaxSipDynamicPort", "ConferencingConfiguration", "ClientSipDynamicPortRange", plain),
];
/// What clients are told of encryption as long as nobody has said anything: phones of all kinds can be called.
const ANY_ENCRYPTION: &str = "SupportEncryption";

/// The settings for clients of a site. `enabled`: whether the plan is in force, and so its marks.
pub(crate) fn settings(plan: &Plan, site: Option<&str>, enabled: bool) -> Vec<Setting> {
    let of = |(key, kind, property, written): Row| {
        stated(plan, site, kind, property).map(|value| (key, written(&value)))
    };
    let mut settings = vec![
        of(ENABLE_QOS).unwrap_or((ENABLE_QOS.0, enabled.to_string())),
        of(ENCRYPTION).unwrap_or((ENCRYPTION.0, ANY_ENCRYPTION.to_owned())),
    ];
    settings.extend(ROWS.into_iter().filter_map(of));
    dynamic_ports(plan, site, &mut settings);
    settings
}

/// The same for a client that marks nothing, whatever anybody has set.
pub(crate) fn without_marks(mut settings: Vec<Setting>) -> Vec<Setting> {
    settings
        .iter_mut()
        .filter(|(key, _)| *key == ENABLE_QOS.0)
        .for_each(|(_, value)| *value = "false".to_owned());
    settings
}

/// Every key that there can be.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    [ENABLE_QOS, ENCRYPTION].into_iter().chain(ROWS).map(|(key, ..)| key)
}

/// What the collection of the site says, or its default; without one, what the global one says.
fn stated(plan: &Plan, site: Option<&str>, kind: &str, property: &str) -> Option<ManagedValue> {
    let kind = ManagedKind::named(kind)?;
    let of_site = site.and_then(|site| plan.management().object(kind, &format!("site:{site}")));
    match of_site {
        Some(object) => object.get(property).cloned().or_else(|| kind.property(property)?.default()),
        None => plan.management().value(kind, "global", property).cloned(),
    }
}

/// The last port is told, not how many there are; and both keys or none.
fn dynamic_ports(plan: &Plan, site: Option<&str>, settings: &mut Vec<Setting>) {
    let [(first, kind, start, _), (last, _, count, _)] = [ROWS[6], ROWS[7]];
    let known = settings.iter().any(|(key, _)| *key == first || *key == last);
    settings.retain(|(key, _)| *key != first && *key != last);
    let number = |property| {
        let default = || ManagedKind::named(kind)?.property(property)?.default();
        match stated(plan, site, kind, property).or_else(default)? {
            ManagedValue::Integer(number) => Some(number),
            _ => None,
        }
    };
    let (Some(start), Some(count), true) = (number(start), number(count), known) else { return };
    settings.push((first, start.to_string()));
    settings.push((last, (start + count).saturating_sub(1).min(65_535).to_string()));
}

fn plain(value: &ManagedValue) -> String {
    match value {
        ManagedValue::Boolean(value) => value.to_string(),
        ManagedValue::Integer(number) => number.to_string(),
        ManagedValue::Text(text) => text.clone(),
        ManagedValue::List(texts) => texts.join(" "),
    }
}

/// `Hd720p15M` travels as `Hd720p-1.5M`.
fn video_rate(value: &ManagedValue) -> String {
    match plain(value).as_str() {
        "Hd720p15M" => "Hd720p-1.5M".to_owned(),
        "VGA600K" => "VGA-600K".to_owned(),
        "CIF250K" => "CIF-250K".to_owned(),
        other => other.to_owned(),
    }
}

fn minutes(value: &ManagedValue) -> String {
    let span = TimeSpan::parse(&plain(value)).unwrap_or(TimeSpan(0));
    (span.0 / 60).to_string()
}
