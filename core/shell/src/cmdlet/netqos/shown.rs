//! A policy as it prints: what is set, and with `Format-List *` everything that Windows has for it.

use carillon_qos::plan::ManagedValue;

use super::{Values, convert, kind, text};
use crate::object::{Object, Value};

/// The conditions in the order in which `Format-List *` prints them.
const CONDITIONS: [&str; 14] = [
    "User",
    "AppPathName",
    "Template",
    "NetDirectPort",
    "IPProtocol",
    "IPPort",
    "IPSrcPrefix",
    "IPSrcPortStart",
    "IPSrcPortEnd",
    "IPDstPrefix",
    "IPDstPortStart",
    "IPDstPortEnd",
    "URI",
    "URIRecursive",
];
/// Actions, the names that they have as actions, and what stands for none.
const ACTIONS: [(&str, &str, i64); 4] = [
    ("PriorityValue", "PriorityValue8021Action", -1),
    ("DSCPValue", "DSCPAction", -1),
    ("MinBandwidthWeight", "MinBandwidthWeightAction", 0),
    ("ThrottleRate", "ThrottleRateAction", 0),
];
const CLASS: &str = "MSFT_NetQosPolicySettingData";

/// The policy as an object.
pub(super) fn object(name: &str, values: &Values) -> Object {
    let Some(kind) = kind() else { return Object::default() };
    let owner = match text(values, "PolicyStore") {
        Some(store) if store.eq_ignore_ascii_case("ActiveStore") => "PowerShell / WMI",
        _ => "Group Policy (Machine)",
    };
    let mut object = Object::new(kind.name);
    for condition in CONDITIONS {
        object.properties.push((condition.to_owned(), condition_value(values, condition)));
    }
    for (action, _, none) in ACTIONS {
        let shown = match values.get(action) {
            Some(ManagedValue::Integer(bits)) if action == "ThrottleRate" => rate(*bits).into(),
            _ => action_value(values, action, none),
        };
        object.properties.push((action.to_owned(), shown));
    }
    let profile = text(values, "NetworkProfile").unwrap_or_else(|| "All".to_owned());
    object = object.with("NetworkProfile", profile);
    // The twins have the template in front.
    let twins = ["Template"].into_iter().chain(CONDITIONS.into_iter().filter(|name| *name != "Template"));
    for condition in twins {
        let value = condition_value(values, condition);
        object.properties.push((format!("{condition}MatchCondition"), value));
    }
    for (action, twin, none) in ACTIONS {
        object.properties.push((twin.to_owned(), action_value(values, action, none)));
    }
    object = object
        .with("Caption", Value::Null)
        .with("Description", Value::Null)
        .with("ElementName", Value::Null)
        .with("InstanceID", format!("{{00000000-0000-0000-0000-000000000000}}\\{name}"))
        .with("Name", name)
        .with("Owner", owner)
        .with("Precedence", action_value(values, "Precedence", 127))
        .with("Version", "2.0")
        .with("PSComputerName", Value::Null)
        .with("ComputerName", Value::Null)
        .with("ClassName", CLASS)
        .with("Class", format!("ROOT/StandardCimv2:{CLASS}"));
    object.shown = Some(set_ones(values));
    object
}

/// What prints unless all is asked for: the general lines, and behind them what is set.
fn set_ones(values: &Values) -> Vec<String> {
    let is_set = |name: &&str| match *name {
        "IPProtocol" => has_addresses(values) || text(values, name).is_some_and(|said| said != "Both"),
        "URIRecursive" => values.contains_key("URI"),
        name => values.contains_key(name),
    };
    let general = ["Name", "Owner", "NetworkProfile", "Precedence"];
    let conditions = CONDITIONS.into_iter().filter(|name| *name != "Template");
    let rest = ["Template"].into_iter().chain(conditions).chain(ACTIONS.map(|(name, ..)| name));
    general.into_iter().chain(rest.filter(is_set)).map(str::to_owned).collect()
}

/// Whether it looks at addresses or ports, and so at a protocol.
pub(super) fn has_addresses(values: &Values) -> bool {
    values.keys().any(|name| {
        *name == "IPPort"
            || name.starts_with("IPSrc")
            || name.starts_with("IPDst") && !values.contains_key("URI")
    })
}

fn condition_value(values: &Values, name: &str) -> Value {
    let property = kind().and_then(|kind| kind.property(name));
    match (name, values.get(name), property) {
        ("IPProtocol", _, _)
            if !has_addresses(values) && text(values, name).is_none_or(|said| said == "Both") =>
        {
            "None".into()
        }
        (_, Some(value), Some(property)) => convert::shown(property.values, value),
        ("IPProtocol", ..) => "Both".into(),
        ("URIRecursive", ..) => false.into(),
        (name, ..) if name.contains("Port") => Value::Integer(0),
        _ => Value::Null,
    }
}

fn action_value(values: &Values, name: &str, none: i64) -> Value {
    match values.get(name) {
        Some(ManagedValue::Integer(number)) => Value::from(*number),
        _ => Value::Integer(none),
    }
}

/// `1.049 MBits/sec`.
fn rate(bits: u64) -> String {
    let scaled = [(1_000_000_000, "GBits/sec"), (1_000_000, "MBits/sec"), (1000, "KBits/sec")];
    match scaled.iter().find(|(unit, _)| bits >= *unit) {
        Some((unit, word)) => {
            let thousandths = (u128::from(bits) * 1000 + u128::from(*unit) / 2) / u128::from(*unit);
            let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
            format!("{} {word}", text.trim_end_matches('0').trim_end_matches('.'))
        }
        None => format!("{bits} Bits/sec"),
    }
}
