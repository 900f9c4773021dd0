//! Call admission control: regions, sites, subnets, links, routes, policies and bandwidth profiles. The generic cmdlets do
//! the work; here is what those objects have of their own.

use carillon_qos::Plan;
use carillon_qos::plan::management::{KINDS, Scopes, Values};
use carillon_qos::plan::{ManagedKind, ManagedValue};

use super::collection::{self, Changes};
use super::identity::Identity;
use super::{Call, Cmdlet, Parameter, Run, Takes};
use crate::error::{Error, Fault};
use crate::object::{Object, Value};

const KBPS: Values = Values::Integer { least: 0, most: 4_294_967_295 };
const MODALITY: Values = Values::Word(&["Audio", "Video"]);

const fn kbps(name: &'static str, least: u64) -> Parameter {
    Parameter::new(name, Takes::Values(Values::Integer { least, most: 4_294_967_295 }))
}

/// Parameters of one kind that are no properties: shorter ways to say one.
const SHORTER: [(&str, &[Parameter]); 3] = [
    (
        "NetworkBandwidthPolicyProfile",
        &[
            kbps("AudioBWLimit", 0),
            kbps("AudioBWSessionLimit", 40),
            kbps("VideoBWLimit", 0),
            kbps("VideoBWSessionLimit", 100),
        ],
    ),
    (
        "NetworkRegion",
        &[
            Parameter::new("AudioAlternatePath", Takes::Values(Values::Boolean)),
            Parameter::new("VideoAlternatePath", Takes::Values(Values::Boolean)),
        ],
    ),
    ("NetworkInterRegionRoute", &[Parameter::text("NetworkRegionLinkIDs")]),
];

/// The property that holds an object, and is kept as its text.
pub(super) const BYPASS: &str = "MediaBypassSettings";

/// The identity's other name.
const KEYS: [(&str, &[&str]); 7] = [
    ("NetworkRegion", &["NetworkRegionID"]),
    ("NetworkSite", &["NetworkSiteID"]),
    ("NetworkSubnet", &["SubnetID"]),
    ("NetworkRegionLink", &["NetworkRegionLinkID"]),
    ("NetworkInterRegionRoute", &["InterNetworkRegionRouteID"]),
    ("NetworkInterSitePolicy", &["InterNetworkSitePolicyID"]),
    ("NetworkBandwidthPolicyProfile", &["BWPolicyProfileID"]),
];

/// What an object must have when it is made.
const NEEDED: [(&str, &[&str]); 6] = [
    ("NetworkRegion", &["CentralSite"]),
    ("NetworkSite", &["NetworkRegionID"]),
    ("NetworkSubnet", &["MaskBits"]),
    ("NetworkRegionLink", &["NetworkRegionID1", "NetworkRegionID2"]),
    ("NetworkInterRegionRoute", &["NetworkRegionID1", "NetworkRegionID2"]),
    ("NetworkInterSitePolicy", &["NetworkSiteID1", "NetworkSiteID2"]),
];

/// Which property names an object of which kind.
const REFERENCES: [(&str, &str, &str); 12] = [
    ("NetworkSite", "NetworkRegionID", "NetworkRegion"),
    ("NetworkSite", "BWPolicyProfileID", "NetworkBandwidthPolicyProfile"),
    ("NetworkSubnet", "NetworkSiteID", "NetworkSite"),
    ("NetworkRegionLink", "BWPolicyProfileID", "NetworkBandwidthPolicyProfile"),
    ("NetworkRegionLink", "NetworkRegionID1", "NetworkRegion"),
    ("NetworkRegionLink", "NetworkRegionID2", "NetworkRegion"),
    ("NetworkInterRegionRoute", "NetworkRegionID1", "NetworkRegion"),
    ("NetworkInterRegionRoute", "NetworkRegionID2", "NetworkRegion"),
    ("NetworkInterRegionRoute", "NetworkRegionLinks", "NetworkRegionLink"),
    ("NetworkInterSitePolicy", "BWPolicyProfileID", "NetworkBandwidthPolicyProfile"),
    ("NetworkInterSitePolicy", "NetworkSiteID1", "NetworkSite"),
    ("NetworkInterSitePolicy", "NetworkSiteID2", "NetworkSite"),
];

const fn flag(name: &'static str) -> Parameter {
    Parameter::new(name, Takes::Values(Values::Boolean))
}

const fn mode(name: &'static str) -> Parameter {
    Parameter::new(name, Takes::Values(Values::Word(&["Off", "Any"])))
}

const BYPASS_SETTINGS: [Parameter; 7] = [
    flag("Enabled"),
    mode("InternalBypassMode"),
    mode("ExternalBypassMode"),
    flag("AlwaysBypass"),
    Parameter::text("BypassID"),
    flag("EnableDefaultBypassID"),
    flag("EnabledForAudioVideoConferences"),
];

pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let kinds = KINDS.iter().filter(|kind| kind.scopes == Scopes::Names && kind.name.starts_with("Network"));
    let mut cmdlets: Vec<Cmdlet> = kinds.flat_map(of_kind).collect();
    let value = |name: &str, about: &str, parameters: Vec<Parameter>| Cmdlet {
        name: name.to_owned(),
        aliases: &[],
        about: about.to_owned(),
        parameters,
        kind: None,
        run: Run::Each(in_memory),
    };
    let number = |name| Parameter::new(name, Takes::Values(KBPS)).required();
    let modality = Parameter::new("BWPolicyModality", Takes::Values(MODALITY)).required();
    cmdlets.push(value(
        "New-CsNetworkBWPolicy",
        "Makes a limit for a bandwidth policy profile.",
        vec![number("BWLimit"), number("BWSessionLimit"), modality],
    ));
    cmdlets.push(value(
        "New-CsNetworkBWAlternatePath",
        "Makes an alternate path for a region.",
        vec![modality, flag("AlternatePath").required()],
    ));
    cmdlets.push(value(
        "New-CsNetworkMediaBypassConfiguration",
        "Makes media bypass settings for Set-CsNetworkConfiguration.",
        BYPASS_SETTINGS.to_vec(),
    ));
    cmdlets
}

fn of_kind(kind: &'static ManagedKind) -> Vec<Cmdlet> {
    let of = |table: &[(&str, &'static [Parameter])]| {
        table.iter().find(|(name, _)| *name == kind.name).map(|(_, found)| *found)
    };
    let keys = KEYS.iter().find(|(name, _)| *name == kind.name).map_or(&[][..], |(_, keys)| *keys);
    let mut cmdlets = collection::of_kind(kind);
    for cmdlet in &mut cmdlets {
        if cmdlet.name.starts_with("New") || cmdlet.name.starts_with("Set") {
            cmdlet.parameters.extend(of(&SHORTER).unwrap_or_default());
        }
        for parameter in cmdlet.parameters.iter_mut().filter(|parameter| parameter.name == "Identity") {
            parameter.aliases = keys;
        }
    }
    cmdlets
}

/// An object that is handed to another cmdlet. What is not said is off.
fn in_memory(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let mut object = with_values(&call.cmdlet.parameters, |name| call.bound.get(name).cloned());
    let enabled = object.get("Enabled").is_some_and(Value::is_true);
    if enabled
        && call.bound.get("InternalBypassMode").is_none()
        && let Some(mode) = object.get_mut("InternalBypassMode")
    {
        *mode = "Any".into();
    }
    Ok(vec![Value::Object(object)])
}

fn with_values(parameters: &[Parameter], said: impl Fn(&str) -> Option<Value>) -> Object {
    let mut object = Object::new("");
    for parameter in parameters {
        let value = said(parameter.name).unwrap_or(match parameter.takes {
            Takes::Values(Values::Boolean) => false.into(),
            Takes::Values(Values::Word(_)) => "Off".into(),
            _ => Value::Null,
        });
        object.properties.push((parameter.name.to_owned(), value));
    }
    object
}

/// Media bypass settings as an object, out of the text in which they are kept.
pub(super) fn bypass(kept: Option<Value>) -> Value {
    let text = kept.map(|kept| kept.text());
    let of = |parameter: &str| match part_of(text.as_ref(), parameter)? {
        word if word == "True" => Some(true.into()),
        word if word == "False" => Some(false.into()),
        word => Some(Value::from(word)).filter(|word| *word != Value::from("")),
    };
    Value::Object(with_values(&BYPASS_SETTINGS, of))
}

/// Which modality an entry of a list is about.
pub(super) fn modality(entry: &str) -> Option<String> {
    part_of(Some(&entry.to_owned()), "BWPolicyModality").map(|word| word.to_lowercase())
}

/// Adds what the shorter parameters mean, and checks what an object of this kind must be.
pub(super) fn refine(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    kind: &'static ManagedKind,
    identity: &Identity,
    is_new: bool,
    changes: &mut Changes,
) -> Result<(), Error> {
    match kind.name {
        "NetworkBandwidthPolicyProfile" => {
            limits(call, &list_of(plan, kind, identity, "BWPolicy"), kind, changes)?;
        }
        "NetworkRegion" => {
            alternate_paths(call, &list_of(plan, kind, identity, "BWAlternatePaths"), kind, changes)?;
        }
        "NetworkInterRegionRoute" => {
            let links = call.bound.text("NetworkRegionLinkIDs");
            let links = links.map(|links| links.split(',').map(|link| link.trim().to_owned()).collect());
            let said = changes.iter().any(|(property, _)| property.name == "NetworkRegionLinks");
            if let (Some(property), Some(links), false) = (kind.property("NetworkRegionLinks"), links, said) {
                changes.push((property, Some(ManagedValue::List(links))));
            }
        }
        _ => {}
    }
    check_made(changes)?;
    let needed = NEEDED.iter().find(|(name, _)| *name == kind.name).map_or(&[][..], |(_, needed)| *needed);
    let said =
        |name: &&&str| !changes.iter().any(|(property, value)| property.name == **name && value.is_some());
    if let Some(missing) = needed.iter().find(said).filter(|_| is_new) {
        let text =
            format!("Cannot process command because of one or more missing mandatory parameters: {missing}.");
        return Err(Error::new(Fault::MissingMandatoryParameter, text));
    }
    check_subnet(call, plan, kind, identity, changes)?;
    check_references(plan, kind, changes)?;
    check_pair(plan, kind, identity, changes)?;
    if changes.iter().any(|(property, value)| property.name == "BypassID" && value.is_some())
        && !call.agreed(true, "A BypassID should be left to be made up. Set it by hand?")?
    {
        changes.retain(|(property, _)| property.name != "BypassID");
    }
    Ok(())
}

/// What `AudioBWLimit` and its like mean. What is not named stays as it was.
fn limits(
    call: &Call<'_, '_>,
    before: &[String],
    kind: &'static ManagedKind,
    changes: &mut Changes,
) -> Result<(), Error> {
    let number = |name: &str| match call.bound.get(name) {
        Some(Value::Integer(number)) => Some(number.to_string()),
        _ => None,
    };
    let mut policies = Vec::new();
    let mut named = false;
    for (modality, limit, session, usual) in [
        ("Audio", "AudioBWLimit", "AudioBWSessionLimit", "175"),
        ("Video", "VideoBWLimit", "VideoBWSessionLimit", "700"),
    ] {
        let old = of_modality(before, modality);
        let (limit, session) = (number(limit), number(session));
        if limit.is_none() && session.is_none() {
            policies.extend(old.cloned());
            continue;
        }
        named = true;
        let limit = limit.or_else(|| part_of(old, "BWLimit")).unwrap_or_else(|| "0".to_owned());
        let session = session.or_else(|| part_of(old, "BWSessionLimit")).unwrap_or_else(|| usual.to_owned());
        policies.push(format!("BWLimit={limit};BWSessionLimit={session};BWPolicyModality={modality}"));
    }
    let whole = changes.iter().any(|(property, _)| property.name == "BWPolicy");
    match (named, whole) {
        (false, _) => Ok(()),
        (true, true) => Err(Error::new(
            Fault::AmbiguousParameterSet,
            "Parameter set cannot be resolved using the specified named parameters: either -BWPolicy or limits.",
        )),
        (true, false) => {
            changes.extend(
                kind.property("BWPolicy").map(|property| (property, Some(ManagedValue::List(policies)))),
            );
            Ok(())
        }
    }
}

/// What `AudioAlternatePath` and its like mean. What is not named stays as it was.
fn alternate_paths(
    call: &Call<'_, '_>,
    before: &[String],
    kind: &'static ManagedKind,
    changes: &mut Changes,
) -> Result<(), Error> {
    let said = ["Audio", "Video"]
        .map(|modality| (modality, call.bound.get(&format!("{modality}AlternatePath")).cloned()));
    if said.iter().all(|(_, value)| value.is_none()) {
        return Ok(());
    }
    let path = |(modality, value): (&str, Option<Value>)| match (value, of_modality(before, modality)) {
        (None, Some(old)) => old.clone(),
        (value, _) => {
            let allowed = value.is_none_or(|value| value.is_true());
            format!("BWPolicyModality={modality};AlternatePath={}", Value::Boolean(allowed).text())
        }
    };
    let paths = said.into_iter().map(path).collect();
    changes.extend(
        kind.property("BWAlternatePaths").map(|property| (property, Some(ManagedValue::List(paths)))),
    );
    Ok(())
}

/// Lists whose entries a cmdlet makes, and which.
const MADE: [(&str, &str); 2] =
    [("BWAlternatePaths", "New-CsNetworkBWAlternatePath"), ("BWPolicy", "New-CsNetworkBWPolicy")];

/// That such a list holds nothing else.
fn check_made(changes: &Changes) -> Result<(), Error> {
    for (property, value) in changes {
        let Some((name, maker)) = MADE.iter().find(|(name, _)| *name == property.name) else { continue };
        let entries = value.as_ref().map(texts).unwrap_or_default();
        if let Some(stray) = entries.iter().find(|entry| modality(entry).is_none()) {
            let text = format!("Cannot bind parameter '{name}'. \"{stray}\" is none: {maker} makes one.");
            return Err(Error::new(Fault::CannotConvertArgument, text));
        }
    }
    Ok(())
}

/// The texts of a list that an object has already.
fn list_of(plan: &Plan, kind: &ManagedKind, identity: &Identity, property: &str) -> Vec<String> {
    plan.management().value(kind, &identity.key, property).map(texts).unwrap_or_default()
}

/// The entry of a modality: `BWLimit=200;BWSessionLimit=200;BWPolicyModality=Audio`.
fn of_modality<'e>(entries: &'e [String], modality: &str) -> Option<&'e String> {
    entries
        .iter()
        .find(|entry| self::modality(entry).is_some_and(|found| found.eq_ignore_ascii_case(modality)))
}

fn part_of(entry: Option<&String>, key: &str) -> Option<String> {
    let mut parts = entry?.split(';').filter_map(|part| part.split_once('='));
    parts.find(|(found, _)| found.trim().eq_ignore_ascii_case(key)).map(|(_, value)| value.trim().to_owned())
}

fn texts(value: &ManagedValue) -> Vec<String> {
    match value {
        ManagedValue::Text(text) => vec![text.clone()],
        ManagedValue::List(texts) => texts.clone(),
        _ => Vec::new(),
    }
}

/// A subnet is called by its IPv4 address. One that is no network address is taken, and told: pages print some.
fn check_subnet(
    call: &mut Call<'_, '_>,
    plan: &Plan,
    kind: &ManagedKind,
    identity: &Identity,
    changes: &Changes,
) -> Result<(), Error> {
    if kind.name != "NetworkSubnet" {
        return Ok(());
    }
    let Ok(address) = identity.key.parse::<std::net::Ipv4Addr>() else {
        let text = format!(
            "Cannot validate argument on parameter 'SubnetID'. \"{}\" is no IPv4 address, as 172.11.15.0.",
            identity.key
        );
        return Err(Error::new(Fault::ParameterArgumentValidationError, text));
    };
    let said =
        changes.iter().find(|(property, _)| property.name == "MaskBits").and_then(|(_, bits)| bits.clone());
    let bits = said.or_else(|| plan.management().value(kind, &identity.key, "MaskBits").cloned());
    let Some(ManagedValue::Integer(bits)) = bits else { return Ok(()) };
    let mask = u32::MAX.checked_shl(32 - u32::try_from(bits).unwrap_or(32).min(32)).unwrap_or(0);
    let network = std::net::Ipv4Addr::from(u32::from(address) & mask);
    if network != address {
        call.shell.warn(format!("{address} with {bits} bits is no network address; {network} is."));
    }
    Ok(())
}

fn check_references(plan: &Plan, kind: &ManagedKind, changes: &Changes) -> Result<(), Error> {
    for (property, value) in changes {
        let target = REFERENCES.iter().find(|(of, name, _)| *of == kind.name && *name == property.name);
        let target = target.and_then(|(.., target)| ManagedKind::named(target));
        let (Some(target), Some(value)) = (target, value) else { continue };
        if let Some(missing) =
            texts(value).iter().find(|name| plan.management().object(target, name).is_none())
        {
            let text = format!("{}: there is no {} \"{missing}\".", property.name, target.name);
            return Err(Error::new(Fault::ObjectNotFound, text));
        }
    }
    Ok(())
}

/// Links, routes and policies join two different objects, and each pair once.
fn check_pair(plan: &Plan, kind: &ManagedKind, identity: &Identity, changes: &Changes) -> Result<(), Error> {
    let ends: Vec<&str> = kind
        .properties
        .iter()
        .map(|p| p.name)
        .filter(|name| name.ends_with("ID1") || name.ends_with("ID2"))
        .collect();
    let [first, second] = ends.as_slice() else { return Ok(()) };
    let end = |name: &str| {
        let said =
            changes.iter().find(|(property, _)| property.name == name).and_then(|(_, value)| value.clone());
        let value = said.or_else(|| plan.management().value(kind, &identity.key, name).cloned());
        value.map(|value| texts(&value).concat().to_lowercase()).unwrap_or_default()
    };
    let (a, b) = (end(first), end(second));
    if a == b {
        let text = format!("{first} and {second} are the same; nothing was changed.");
        return Err(Error::new(Fault::ParameterArgumentValidationError, text));
    }
    for (name, object) in
        plan.management().objects(kind).filter(|(name, _)| !name.eq_ignore_ascii_case(&identity.key))
    {
        let of =
            |key: &str| object.get(key).map(|value| texts(value).concat().to_lowercase()).unwrap_or_default();
        let (c, d) = (of(first), of(second));
        if (a == c && b == d) || (a == d && b == c) {
            let text = format!("{name} joins the same two already; nothing was changed.");
            return Err(Error::new(Fault::ObjectExists, text));
        }
    }
    Ok(())
}

/// Who refers to an object, so that it can't be removed.
pub(super) fn referred(plan: &Plan, kind: &ManagedKind, name: &str) -> Option<String> {
    REFERENCES.iter().filter(|(.., target)| *target == kind.name).find_map(|(of, property, _)| {
        let of = ManagedKind::named(of)?;
        let refers = |value: Option<&ManagedValue>| {
            value.is_some_and(|value| texts(value).iter().any(|text| text.eq_ignore_ascii_case(name)))
        };
        let mut objects = plan.management().objects(of);
        let (by, _) = objects.find(|(_, object)| refers(object.get(property)))?;
        Some(format!("{} \"{by}\" refers to it", of.name))
    })
}

/// Properties that follow from other facts.
pub(super) fn printed(plan: &Plan, kind: &ManagedKind, identity: &Identity, property: &str) -> Value {
    match kind.name {
        "NetworkConfiguration" => {}
        // Addresses of services that Carillon doesn't have.
        "WebServer" => return Value::Null,
        _ => return identity.shown.as_str().into(),
    }
    let of = match property {
        "BWPolicyProfiles" => "NetworkBandwidthPolicyProfile",
        "NetworkRegions" => "NetworkRegion",
        "NetworkRegionLinks" => "NetworkRegionLink",
        "InterNetworkRegionRoutes" => "NetworkInterRegionRoute",
        "NetworkSites" => "NetworkSite",
        "InterNetworkSitePolicies" => "NetworkInterSitePolicy",
        _ => "NetworkSubnet",
    };
    let names =
        |kind: &ManagedKind| plan.management().objects(kind).map(|(name, _)| name.to_owned()).collect();
    let names: Vec<String> = ManagedKind::named(of).map(names).unwrap_or_default();
    Value::from(names)
}
