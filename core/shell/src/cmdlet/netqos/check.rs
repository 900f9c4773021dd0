//! What a policy may be: conditions that go together, as the parameter sets of the documents have them.

use std::net::IpAddr;

use carillon_qos::plan::ManagedValue;

use super::{Values, text};
use crate::error::{Error, Fault};

const ACTIONS: [&str; 4] = ["PriorityValue", "DSCPValue", "MinBandwidthWeight", "ThrottleRate"];

fn invalid(text: impl Into<String>) -> Error {
    Error::new(Fault::ParameterArgumentValidationError, text)
}

/// The name becomes a key of the registry.
pub(super) fn name(name: &str) -> Result<(), Error> {
    let text = match name {
        "" => "is empty",
        name if name.contains('\\') => "has a \\ in it, which no name of a policy may have",
        name if name.chars().any(char::is_control) => "has a control character in it",
        name if name.chars().count() > 255 => "is longer than 255 characters",
        _ => return Ok(()),
    };
    Err(invalid(format!("Cannot validate argument on parameter 'Name'. \"{name}\" {text}.")))
}

/// A range needs both ends, the second behind the first; one port has a parameter of its own.
pub(super) fn range(values: &Values, start: &str, end: &str) -> Result<(), Error> {
    match (values.get(start), values.get(end)) {
        (Some(ManagedValue::Integer(from)), Some(ManagedValue::Integer(to))) if 0 < *from && from < to => {
            Ok(())
        }
        (Some(ManagedValue::Integer(from)), Some(ManagedValue::Integer(to))) if from == to => {
            let single = start.trim_end_matches("Start");
            let text =
                format!("{start} and {end} are both {from}; -{single}MatchCondition {from} names one port.");
            Err(invalid(text))
        }
        _ => Err(invalid(format!("{start} and {end} are needed together, and the end behind the start."))),
    }
}

/// Checks everything, and writes what can be written in several ways in one.
pub(super) fn policy(values: &mut Values) -> Result<(), Error> {
    conditions(values)?;
    application(values)?;
    families(values)?;
    if let Some(uri) = text(values, "URI") {
        values.insert("URI", ManagedValue::Text(self::uri(&uri)?));
    }
    if !ACTIONS.iter().any(|action| values.contains_key(action)) {
        let text = "A QoS policy needs an action: -DSCPAction, -PriorityValue8021Action, -ThrottleRateActionBitsPerSecond or \
                    -MinBandwidthWeightAction.";
        return Err(Error::new(Fault::MissingMandatoryParameter, text));
    }
    Ok(())
}

/// A condition that stands alone, or with these only.
const ALONE: [(&str, &[&str]); 4] = [
    ("Template", &[]),
    ("NetDirectPort", &[]),
    ("URI", &["URIRecursive", "IPDstPrefix"]),
    ("IPPort", &["User", "AppPathName", "IPProtocol"]),
];
const CONDITIONS: [&str; 14] = [
    "User",
    "AppPathName",
    "IPProtocol",
    "IPSrcPrefix",
    "IPSrcPortStart",
    "IPSrcPortEnd",
    "IPDstPrefix",
    "IPDstPortStart",
    "IPDstPortEnd",
    "Template",
    "NetDirectPort",
    "URI",
    "IPPort",
    "URIRecursive",
];

fn conditions(values: &Values) -> Result<(), Error> {
    for (condition, with) in ALONE.iter().filter(|(condition, _)| values.contains_key(condition)) {
        let others = CONDITIONS.iter().filter(|other| values.contains_key(*other));
        let mut others = others.filter(|other| *other != condition && !with.contains(other));
        if let Some(other) = others.next() {
            let text = format!(
                "Parameter set cannot be resolved using the specified named parameters: {condition} and {other} exclude each \
                 other."
            );
            return Err(Error::new(Fault::AmbiguousParameterSet, text));
        }
    }
    let direct =
        values.contains_key("NetDirectPort") || text(values, "Template").is_some_and(|it| it == "FCOE");
    if direct && !values.contains_key("PriorityValue") {
        let text = "NetDirectPort and FCOE need -PriorityValue8021Action.";
        return Err(Error::new(Fault::MissingMandatoryParameter, text));
    }
    if values.contains_key("URIRecursive") && !values.contains_key("URI") {
        return Err(Error::new(Fault::MissingMandatoryParameter, "URIRecursive needs -URIMatchCondition."));
    }
    Ok(())
}

fn application(values: &Values) -> Result<(), Error> {
    let Some(path) = text(values, "AppPathName") else { return Ok(()) };
    let wrong = match path.to_ascii_lowercase() {
        path if path.starts_with("\\\\") => "a path of the network is not matched",
        path if path == ".exe" || path.ends_with("\\.exe") => "the program has no name",
        path if path.ends_with(".exe") => return Ok(()),
        path if path == "*" => "without the parameter every program is meant",
        _ => "it must end in .exe",
    };
    Err(invalid(format!(
        "Cannot validate argument on parameter 'AppPathNameMatchCondition'. \"{path}\": {wrong}."
    )))
}

/// Both prefixes are of one family.
fn families(values: &Values) -> Result<(), Error> {
    let family = |name: &str| -> Result<Option<bool>, Error> {
        let Some(prefix) = text(values, name) else { return Ok(None) };
        let (address, length) = prefix.split_once('/').map_or((&*prefix, None), |(a, l)| (a, Some(l)));
        let wrong = || invalid(format!("{name}: \"{prefix}\" is no address or prefix, as 10.1.1.176/28."));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let good = length.is_none_or(|length| length.parse().is_ok_and(|length: u8| length <= most));
        good.then_some(Some(address.is_ipv4())).ok_or_else(wrong)
    };
    match (family("IPSrcPrefix")?, family("IPDstPrefix")?) {
        (Some(source), Some(destination)) if source != destination => {
            Err(invalid("IPSrcPrefix and IPDstPrefix are of two families; write a policy for each."))
        }
        _ => Ok(()),
    }
}

/// `http://training` is kept with the slash that Windows adds.
fn uri(uri: &str) -> Result<String, Error> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| uri.strip_prefix(scheme));
    match rest {
        None | Some("") => Err(invalid(format!("URI: \"{uri}\" does not begin with http:// or https://."))),
        Some(rest) if rest.contains('/') => Ok(uri.to_owned()),
        Some(_) => Ok(format!("{uri}/")),
    }
}
