//! NetQos policies. One that marks by what a marking rule can say is a `[[rules]]` entry of the plan, so that lints compare
//! it; everything else of it, and policies of other kinds, stands under `[management.NetQosPolicy]`.

use std::collections::BTreeMap;

use carillon_qos::plan::{Held, ManagedKind, ManagedValue};
use carillon_qos::rule::Protocol;
use carillon_qos::{Plan, PortRange, plan::Rule};
use toml_edit::{Table, value};

use super::{Call, Cmdlet, From, Parameter, Run, convert};
use crate::error::{Error, Fault};
use crate::estate::{Draft, Estate};
use crate::object::{Object, Value, Wildcard};

/// A policy: property and value.
type Values = BTreeMap<&'static str, ManagedValue>;

const ALIASES: [(&str, &[&str]); 16] = [
    ("PolicyStore", &["store"]),
    ("User", &["UserMatchCondition", "sid"]),
    ("AppPathName", &["AppPathNameMatchCondition", "ApplicationName", "app"]),
    ("IPProtocol", &["IPProtocolMatchCondition", "Protocol"]),
    ("IPPort", &["IPPortMatchCondition", "port"]),
    ("IPSrcPrefix", &["IPSrcPrefixMatchCondition", "SourceAddress", "sa", "src", "srcaddr", "srcip"]),
    ("IPSrcPortStart", &["IPSrcPortStartMatchCondition"]),
    ("IPSrcPortEnd", &["IPSrcPortEndMatchCondition"]),
    (
        "IPDstPrefix",
        &[
            "IPDstPrefixMatchCondition",
            "DestinationAddress",
            "da",
            "dst",
            "dstaddr",
            "dstip",
            "dest",
            "destaddr",
            "destip",
        ],
    ),
    ("IPDstPortStart", &["IPDstPortStartMatchCondition"]),
    ("IPDstPortEnd", &["IPDstPortEndMatchCondition"]),
    ("NetDirectPort", &["NetDirectPortMatchCondition", "ndport"]),
    ("URI", &["URIMatchCondition", "url"]),
    ("PriorityValue", &["PriorityValue8021Action", "PriorityValue8021", "pri", "dot1p"]),
    ("DSCPValue", &["DSCPAction", "DSCP"]),
    ("MinBandwidthWeight", &["MinBandwidthWeightAction", "minbww", "weight"]),
];
const THROTTLE: &[&str] = &["ThrottleRateActionBitsPerSecond", "ThrottleRateAction", "Throttle", "maxbw"];
const TEMPLATES: [&str; 7] = ["Default", "SMB", "NFS", "iSCSI", "LiveMigration", "Cluster", "FCOE"];
/// What a rule can't say.
const BEYOND_RULES: [&str; 8] =
    ["User", "Template", "IPPort", "IPSrcPrefix", "IPDstPrefix", "NetDirectPort", "URI", "URIRecursive"];
/// What a rule says.
const OF_RULE: [&str; 7] = [
    "AppPathName",
    "IPProtocol",
    "IPSrcPortStart",
    "IPSrcPortEnd",
    "IPDstPortStart",
    "IPDstPortEnd",
    "DSCPValue",
];
const ACTIONS: [&str; 4] = ["PriorityValue", "DSCPValue", "MinBandwidthWeight", "ThrottleRate"];

fn kind() -> Option<&'static ManagedKind> {
    ManagedKind::named("NetQosPolicy")
}

pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let name = Parameter::text("Name").at(0).from(From::Text);
    let store = Parameter::text("PolicyStore").alias(&["store"]);
    let pass = Parameter::switch("PassThru");
    let make = |verb: &str, about: &str, parameters: Vec<Parameter>, run| Cmdlet {
        name: format!("{verb}-NetQosPolicy"),
        aliases: &[],
        about: about.to_owned(),
        parameters,
        kind: kind(),
        run: Run::Each(run),
    };
    let with_values = |first: Vec<Parameter>| first.into_iter().chain(settable()).collect();
    vec![
        make("Get", "Shows QoS policies.", vec![name, store], get),
        make("New", "Makes a QoS policy.", with_values(vec![Parameter::text("Name").at(0).required()]), new),
        make("Set", "Changes a QoS policy.", with_values(vec![name.required(), pass]), set),
        make("Remove", "Removes QoS policies, after a question.", vec![name, store, pass], remove),
    ]
}

fn settable() -> Vec<Parameter> {
    let port =
        super::Takes::Values(carillon_qos::plan::management::Values::Integer { least: 1, most: 65_535 });
    let of = |property: &carillon_qos::plan::Property| {
        let aliases =
            ALIASES.iter().find(|(name, _)| *name == property.name).map_or(&[][..], |(_, aliases)| *aliases);
        let aliases = if property.name == "ThrottleRate" { THROTTLE } else { aliases };
        Parameter::of(property).alias(aliases)
    };
    let properties = kind().map_or(&[][..], |kind| kind.properties);
    let properties = properties
        .iter()
        .filter(|property| property.held == Held::Here && property.name != "Template")
        .map(of);
    let single = [
        Parameter::new("IPSrcPort", port).alias(&["IPSrcPortMatchCondition", "SourcePort", "sp", "srcport"]),
        Parameter::new("IPDstPort", port).alias(&[
            "IPDstPortMatchCondition",
            "DestinationPort",
            "dp",
            "dstport",
            "destport",
        ]),
    ];
    properties.chain(single).chain(TEMPLATES.map(Parameter::switch)).collect()
}

/// Every policy, the rules of the plan first.
fn policies(plan: &Plan) -> Vec<(String, Values)> {
    let Some(kind) = kind() else { return Vec::new() };
    let beside = |name: &str| plan.management().object(kind, name).cloned().unwrap_or_default();
    let mut found: Vec<(String, Values)> = Vec::new();
    for rule in plan.rules() {
        let name = rule.marking.name.clone();
        let mut values = beside(&name);
        values.extend(of_rule(rule));
        found.push((name, values));
    }
    for (name, object) in plan.management().objects(kind) {
        if found.iter().all(|(known, _)| !known.eq_ignore_ascii_case(name)) {
            found.push((name.to_owned(), object.clone()));
        }
    }
    found
}

fn of_rule(rule: &Rule) -> Values {
    let marking = &rule.marking;
    let number = |number: u16| ManagedValue::Integer(u64::from(number));
    let protocol = match marking.protocol {
        Protocol::Both => "Both",
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
    };
    let mut values = Values::from([
        ("IPProtocol", ManagedValue::Text(protocol.to_owned())),
        ("DSCPValue", ManagedValue::Integer(u64::from(marking.mark.value()))),
    ]);
    values.extend(marking.application.clone().map(|program| ("AppPathName", ManagedValue::Text(program))));
    for (range, start, end) in [
        (marking.source_ports, "IPSrcPortStart", "IPSrcPortEnd"),
        (marking.destination_ports, "IPDstPortStart", "IPDstPortEnd"),
    ] {
        values.extend(
            range.iter().flat_map(|range| [(start, number(range.start())), (end, number(range.end()))]),
        );
    }
    values
}

/// The policy as it prints: what is set; behind it, for who asks, what there is besides.
fn object(name: &str, values: &Values) -> Object {
    let Some(kind) = kind() else { return Object::default() };
    let text = |property: &str| match values.get(property) {
        Some(ManagedValue::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let owner = match text("PolicyStore") {
        Some(store) if store.eq_ignore_ascii_case("ActiveStore") => "PowerShell / WMI",
        _ => "Group Policy (Machine)",
    };
    let number = |property: &str, default: i64| match values.get(property) {
        Some(ManagedValue::Integer(number)) => i64::try_from(*number).unwrap_or(default),
        _ => default,
    };
    let mut object = Object::new(kind.name).with("Name", name).with("Owner", owner);
    object = object.with("NetworkProfile", text("NetworkProfile").unwrap_or_else(|| "All".to_owned()));
    object.properties.push(("Precedence".to_owned(), Value::Integer(number("Precedence", 127))));
    let rest =
        kind.properties.iter().filter(|p| !["PolicyStore", "NetworkProfile", "Precedence"].contains(&p.name));
    for (property, value) in rest.clone().filter_map(|property| Some((property, values.get(property.name)?)))
    {
        let shown = match (property.name, value) {
            ("ThrottleRate", ManagedValue::Integer(bits)) => rate(*bits).into(),
            (_, value) => convert::shown(property.values, value),
        };
        object.properties.push((property.name.to_owned(), shown));
    }
    object.shown = Some(object.properties.iter().map(|(name, _)| name.clone()).collect());
    for property in rest.filter(|property| !ACTIONS.contains(&property.name)) {
        let value =
            values.get(property.name).map_or(Value::Null, |value| convert::shown(property.values, value));
        object.properties.push((format!("{}MatchCondition", property.name), value));
    }
    for (action, property, none) in [
        ("PriorityValue8021Action", "PriorityValue", -1),
        ("DSCPAction", "DSCPValue", -1),
        ("MinBandwidthWeightAction", "MinBandwidthWeight", 0),
        ("ThrottleRateAction", "ThrottleRate", 0),
    ] {
        object.properties.push((action.to_owned(), Value::Integer(number(property, none))));
    }
    object.with("Version", "2.0")
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

fn get(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let estate = Estate::read(call.shell)?;
    let found = named(call, &estate.plan)?;
    Ok(found.iter().map(|(name, values)| Value::Object(object(name, values))).collect())
}

/// The policies that `-Name` means; all without it.
fn named(call: &Call<'_, '_>, plan: &Plan) -> Result<Vec<(String, Values)>, Error> {
    let Some(name) = call.bound.text("Name") else { return Ok(policies(plan)) };
    let pattern = Wildcard::new(&name);
    let found: Vec<_> = policies(plan).into_iter().filter(|(known, _)| pattern.matches(known)).collect();
    match found.is_empty() && !Wildcard::is_one(&name) {
        true => {
            Err(Error::new(Fault::ObjectNotFound, format!("No QoS policy was found with the name '{name}'.")))
        }
        false => Ok(found),
    }
}

/// What the parameters say, added to what there was.
fn changed(call: &Call<'_, '_>, before: Values) -> Result<Values, Error> {
    let mut values = before;
    let wrong = |text: String| Error::new(Fault::ParameterArgumentValidationError, text);
    for (name, new) in call.bound.iter() {
        let Some(property) = kind().and_then(|kind| kind.property(name)) else { continue };
        match convert::kept(new) {
            Some(new) => values.insert(property.name, new),
            None => values.remove(property.name),
        };
    }
    for (single, start, end) in
        [("IPSrcPort", "IPSrcPortStart", "IPSrcPortEnd"), ("IPDstPort", "IPDstPortStart", "IPDstPortEnd")]
    {
        let Some(port) = call.bound.get(single).and_then(convert::kept) else { continue };
        if call.bound.get(start).is_some() || call.bound.get(end).is_some() {
            return Err(wrong(format!("-{single} and -{start}, -{end} exclude each other.")));
        }
        values.insert(start, port.clone());
        values.insert(end, port);
    }
    if let Some(template) = TEMPLATES.into_iter().find(|template| call.bound.is_set(template)) {
        values.insert("Template", ManagedValue::Text(template.to_owned()));
    }
    for (start, end) in [("IPSrcPortStart", "IPSrcPortEnd"), ("IPDstPortStart", "IPDstPortEnd")] {
        match (values.get(start), values.get(end)) {
            (None, None) => {}
            (Some(ManagedValue::Integer(from)), Some(ManagedValue::Integer(to)))
                if 0 < *from && from <= to => {}
            _ => {
                return Err(wrong(format!(
                    "{start} and {end} are needed together, and the end behind the start."
                )));
            }
        }
    }
    if !ACTIONS.iter().any(|action| values.contains_key(action)) {
        let text = "A QoS policy needs an action: -DSCPAction, -PriorityValue8021Action, -ThrottleRateActionBitsPerSecond or \
                    -MinBandwidthWeightAction.";
        return Err(Error::new(Fault::MissingMandatoryParameter, text));
    }
    Ok(values)
}

fn new(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let estate = Estate::read(call.shell)?;
    let name = call.bound.text("Name").unwrap_or_default();
    if policies(&estate.plan).iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
        let text = format!("A QoS policy with the name '{name}' already exists; nothing was changed.");
        return Err(Error::new(Fault::ObjectExists, text));
    }
    let values = changed(call, Values::new())?;
    if call.what_if(&name) || !call.agreed(false, &format!("Make {name}?"))? {
        return Ok(Vec::new());
    }
    store(call, &estate, &name, &values)?;
    Ok(vec![Value::Object(object(&name, &values))])
}

fn set(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let estate = Estate::read(call.shell)?;
    let mut passed = Vec::new();
    for (name, before) in named(call, &estate.plan)? {
        let values = changed(call, before)?;
        if call.what_if(&name) || !call.agreed(false, &format!("Change {name}?"))? {
            continue;
        }
        let estate = Estate::read(call.shell)?;
        store(call, &estate, &name, &values)?;
        passed.push(Value::Object(object(&name, &values)));
    }
    if !call.bound.is_set("PassThru") {
        passed.clear();
    }
    Ok(passed)
}

fn remove(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let Some(kind) = kind() else { return Ok(Vec::new()) };
    let estate = Estate::read(call.shell)?;
    for (name, _) in named(call, &estate.plan)? {
        if call.what_if(&name) || !call.agreed(true, &format!("Remove the QoS policy '{name}'?"))? {
            continue;
        }
        let estate = Estate::read(call.shell)?;
        let mut draft = estate.draft(&call.cmdlet.name)?;
        take_rule(&mut draft, &name);
        draft.remove_object(kind, &name);
        estate.commit(call.shell, draft, call.bound.is_set("Force"))?;
    }
    Ok(Vec::new())
}

/// Takes the rule of that name out; its place and its role.
fn take_rule(draft: &mut Draft, name: &str) -> Option<(usize, String)> {
    let rules = draft.rules()?;
    let of = |rule: &Table, key: &str| rule.get(key).and_then(|item| item.as_str()).map(str::to_owned);
    let place = rules
        .iter()
        .position(|rule| of(rule, "name").is_some_and(|known| known.eq_ignore_ascii_case(name)))?;
    let role = rules.get(place).and_then(|rule| of(rule, "role"));
    rules.remove(place);
    Some((place, role.unwrap_or_else(|| "client".to_owned())))
}

fn store(call: &mut Call<'_, '_>, estate: &Estate, name: &str, values: &Values) -> Result<(), Error> {
    let Some(kind) = kind() else { return Ok(()) };
    let mut draft = estate.draft(&call.cmdlet.name)?;
    let before = take_rule(&mut draft, name);
    draft.remove_object(kind, name);
    let is_rule = values.contains_key("DSCPValue")
        && !BEYOND_RULES.iter().any(|beyond| values.contains_key(beyond))
        && values.get("IPProtocol") != Some(&ManagedValue::Text("None".to_owned()));
    let beside: Vec<_> =
        values.iter().filter(|(property, _)| !is_rule || !OF_RULE.contains(property)).collect();
    if is_rule {
        let (place, role) = before.unwrap_or((usize::MAX, "client".to_owned()));
        put_rule(&mut draft, place, rule(name, &role, values));
    }
    for (property, new) in &beside {
        draft.set_managed(kind, name, property, Some(new));
    }
    if !is_rule && beside.is_empty() {
        draft.ensure_object(kind, name);
    }
    estate.commit(call.shell, draft, call.bound.is_set("Force"))
}

/// An array of tables has no insertion: those behind the place are taken out and put back.
fn put_rule(draft: &mut Draft, place: usize, rule: Table) {
    let Some(rules) = draft.rules() else { return };
    let behind: Vec<Table> = rules.iter().skip(place).cloned().collect();
    while rules.len() > place {
        rules.remove(rules.len() - 1);
    }
    rules.push(rule);
    behind.into_iter().for_each(|rule| rules.push(rule));
}

fn rule(name: &str, role: &str, values: &Values) -> Table {
    let text = |property: &str| match values.get(property) {
        Some(ManagedValue::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let port = |property: &str| match values.get(property) {
        Some(ManagedValue::Integer(number)) => u16::try_from(*number).ok(),
        _ => None,
    };
    let mut table = Table::new();
    table.insert("name", value(name));
    table.insert("role", value(role));
    if let Some(program) = text("AppPathName").filter(|program| program != "*") {
        table.insert("application", value(program));
    }
    let protocol = text("IPProtocol").unwrap_or_else(|| "Both".to_owned()).to_lowercase();
    table.insert("protocol", value(protocol));
    for (key, start, end) in [
        ("source-ports", "IPSrcPortStart", "IPSrcPortEnd"),
        ("destination-ports", "IPDstPortStart", "IPDstPortEnd"),
    ] {
        let range = port(start).zip(port(end)).and_then(|(start, end)| PortRange::from_ends(start, end));
        range.map(|range| table.insert(key, value(range.to_string())));
    }
    if let Some(ManagedValue::Integer(mark)) = values.get("DSCPValue") {
        table.insert("dscp", value(i64::try_from(*mark).unwrap_or_default()));
    }
    table
}
