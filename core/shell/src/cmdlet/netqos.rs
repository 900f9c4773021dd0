//! NetQos policies. One that marks by what a marking rule can say is a `[[rules]]` entry of the plan, so that lints compare
//! it; everything else of it, and policies of other kinds, stands under `[management.NetQosPolicy]`.

mod check;
mod shown;

use std::collections::BTreeMap;

use carillon_qos::plan::{ManagedKind, ManagedValue, management};
use carillon_qos::rule::Protocol;
use carillon_qos::{Plan, PortRange, plan::Rule};
use toml_edit::{Table, value};

use super::{Call, Cmdlet, From, Parameter, Run, Takes, convert};
use crate::error::{Error, Fault};
use crate::estate::{Draft, Estate};
use crate::object::{Value, Wildcard};
use shown::object;

/// A policy: property and value.
type Values = BTreeMap<&'static str, ManagedValue>;

/// The documented parameters: name, the property that it sets, other names.
const PARAMETERS: [(&str, &str, &[&str]); 20] = [
    ("NetworkProfile", "NetworkProfile", &[]),
    ("Precedence", "Precedence", &[]),
    ("UserMatchCondition", "User", &["User", "sid"]),
    ("AppPathNameMatchCondition", "AppPathName", &["AppPathName", "ApplicationName", "app"]),
    ("IPProtocolMatchCondition", "IPProtocol", &["IPProtocol", "Protocol"]),
    ("IPPortMatchCondition", "IPPort", &["IPPort", "port"]),
    (
        "IPSrcPrefixMatchCondition",
        "IPSrcPrefix",
        &["IPSrcPrefix", "SourceAddress", "sa", "src", "srcaddr", "srcip"],
    ),
    ("IPSrcPortStartMatchCondition", "IPSrcPortStart", &["IPSrcPortStart"]),
    ("IPSrcPortEndMatchCondition", "IPSrcPortEnd", &["IPSrcPortEnd"]),
    (
        "IPDstPrefixMatchCondition",
        "IPDstPrefix",
        &["IPDstPrefix", "DestinationAddress", "da", "dst", "dstaddr", "dstip", "dest", "destaddr", "destip"],
    ),
    ("IPDstPortStartMatchCondition", "IPDstPortStart", &["IPDstPortStart"]),
    ("IPDstPortEndMatchCondition", "IPDstPortEnd", &["IPDstPortEnd"]),
    ("NetDirectPortMatchCondition", "NetDirectPort", &["NetDirectPort", "ndport", "networkdirectport"]),
    ("URIMatchCondition", "URI", &["URI", "url"]),
    ("URIRecursiveMatchCondition", "URIRecursive", &["URIRecursive", "urlrecursive", "recursive"]),
    ("PriorityValue8021Action", "PriorityValue", &["PriorityValue", "PriorityValue8021", "pri", "dot1p"]),
    ("DSCPAction", "DSCPValue", &["DSCPValue", "DSCP"]),
    ("MinBandwidthWeightAction", "MinBandwidthWeight", &["MinBandwidthWeight", "minbww", "weight"]),
    (
        "ThrottleRateActionBitsPerSecond",
        "ThrottleRate",
        &["ThrottleRateAction", "ThrottleRate", "Throttle", "maxbw"],
    ),
    ("TemplateMatchCondition", "Template", &["Template"]),
];
/// One port, which is a range of one.
const SINGLE: [(&str, &str, &str, &[&str]); 2] = [
    (
        "IPSrcPortMatchCondition",
        "IPSrcPortStart",
        "IPSrcPortEnd",
        &["IPSrcPort", "SourcePort", "sp", "srcport"],
    ),
    (
        "IPDstPortMatchCondition",
        "IPDstPortStart",
        "IPDstPortEnd",
        &["IPDstPort", "DestinationPort", "dp", "dstport", "destport"],
    ),
];
const TEMPLATES: [&str; 7] = ["Default", "SMB", "NFS", "iSCSI", "LiveMigration", "Cluster", "FCOE"];
/// Actions whose `-1` is none.
const SIGNED: [&str; 2] = ["PriorityValue", "DSCPValue"];
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

fn kind() -> Option<&'static ManagedKind> {
    ManagedKind::named("NetQosPolicy")
}

pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let name = Parameter::new("Name", Takes::Texts).at(0).from(From::Text);
    let store = Parameter::text("PolicyStore").alias(&["store"]);
    let pass = Parameter::switch("PassThru");
    let input = Parameter::new("InputObject", Takes::Any).from(From::Object);
    let make = |verb: &str, about: &str, parameters: Vec<Parameter>, run| Cmdlet {
        name: format!("{verb}-NetQosPolicy"),
        aliases: &[],
        about: about.to_owned(),
        parameters,
        kind: kind(),
        run: Run::Each(run),
    };
    let new = [Parameter::text("Name").at(0).required(), store];
    let new = new.into_iter().chain(settable()).chain(TEMPLATES.map(Parameter::switch));
    let new = new.filter(|parameter| parameter.name != "TemplateMatchCondition").collect();
    vec![
        make("Get", "Shows QoS policies.", vec![name, store], get),
        make("New", "Makes a QoS policy.", new, self::new),
        make(
            "Set",
            "Changes a QoS policy.",
            [input, name, store, pass].into_iter().chain(settable()).collect(),
            set,
        ),
        make("Remove", "Removes QoS policies, after a question.", vec![input, name, store, pass], remove),
    ]
}

fn settable() -> impl Iterator<Item = Parameter> {
    let of = |(name, property, aliases): (&'static str, &str, &'static [&'static str])| {
        let takes = match kind().and_then(|kind| kind.property(property)) {
            Some(property) if !SIGNED.contains(&property.name) => Takes::Values(property.values),
            _ => Takes::Any,
        };
        Parameter::new(name, takes).alias(aliases)
    };
    let port = Takes::Values(management::Values::Integer { least: 1, most: 65_535 });
    let single = SINGLE.map(|(name, _, _, aliases)| Parameter::new(name, port).alias(aliases));
    PARAMETERS.into_iter().map(of).chain(single)
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

fn get(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let estate = Estate::read(call.shell)?;
    let found = named(call, &estate.plan)?;
    Ok(found.iter().map(|(name, values)| Value::Object(object(name, values))).collect())
}

/// The policies that `-Name` or `-InputObject` means in the store; all of the store without it.
fn named(call: &Call<'_, '_>, plan: &Plan) -> Result<Vec<(String, Values)>, Error> {
    let store = call.bound.text("PolicyStore");
    let is_active = |store: &str| store.eq_ignore_ascii_case("ActiveStore");
    let in_store = |values: &Values| {
        let own = text(values, "PolicyStore").filter(|own| !is_local(own));
        match &store {
            // What is in force, wherever it is kept.
            Some(store) if is_active(store) && call.cmdlet.name.starts_with("Get") => true,
            Some(store) if !is_local(store) => own.is_some_and(|own| own.eq_ignore_ascii_case(store)),
            _ => own.is_none(),
        }
    };
    // An object is the policy itself, wherever it is kept.
    let input = call.bound.get("InputObject").cloned().unwrap_or_default().into_items();
    let known: Vec<_> =
        policies(plan).into_iter().filter(|(_, values)| !input.is_empty() || in_store(values)).collect();
    let names: Vec<String> = match input.is_empty() {
        true => call.bound.texts("Name"),
        false => input.iter().map(Value::text).collect(),
    };
    if names.is_empty() {
        return Ok(known);
    }
    let mut found: Vec<(String, Values)> = Vec::new();
    for name in names {
        let pattern = Wildcard::new(&name);
        let fits = known.iter().filter(|(known, _)| pattern.matches(known));
        let before = found.len();
        found.extend(fits.cloned());
        if found.len() == before && !Wildcard::is_one(&name) {
            let text = format!("No QoS policy was found with the name '{name}' in the policy store.");
            return Err(Error::new(Fault::ObjectNotFound, text));
        }
    }
    Ok(found)
}

/// The computer's own store, which is meant where none is named.
fn is_local(store: &str) -> bool {
    ["", ".", "localhost"].iter().any(|local| local.eq_ignore_ascii_case(store))
}

fn text(values: &Values, property: &str) -> Option<String> {
    match values.get(property) {
        Some(ManagedValue::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

/// What the parameters say, added to what there was.
fn changed(call: &Call<'_, '_>, before: Values) -> Result<Values, Error> {
    let mut values = before;
    for (name, property, _) in PARAMETERS {
        let (Some(new), Some(property)) =
            (call.bound.get(name), kind().and_then(|kind| kind.property(property)))
        else {
            continue;
        };
        let new = match new {
            Value::Integer(-1) if SIGNED.contains(&property.name) => Value::Null,
            new => convert::convert(
                Parameter { takes: Takes::Values(property.values), ..Parameter::text(name) },
                new.clone(),
            )?,
        };
        match convert::kept(&new) {
            Some(new) => values.insert(property.name, new),
            None => values.remove(property.name),
        };
    }
    for (single, start, end, _) in SINGLE {
        let range = [format!("{start}MatchCondition"), format!("{end}MatchCondition")];
        let is_range = range.iter().any(|name| call.bound.get(name).is_some());
        let port = call.bound.get(single).and_then(convert::kept);
        if is_range {
            check::range(&values, start, end)?;
        }
        match (port, is_range) {
            (Some(_), true) => {
                let text = format!("-{single} and -{} exclude each other.", range.join(", -"));
                return Err(Error::new(Fault::AmbiguousParameterSet, text));
            }
            (Some(port), false) => {
                values.insert(start, port.clone());
                values.insert(end, port);
            }
            (None, _) => {}
        }
    }
    let templates: Vec<&str> = TEMPLATES.into_iter().filter(|template| call.bound.is_set(template)).collect();
    match templates.as_slice() {
        [] => {}
        [one] => _ = values.insert("Template", ManagedValue::Text((*one).to_owned())),
        several => {
            let text = format!("-{} exclude each other.", several.join(" and -"));
            return Err(Error::new(Fault::AmbiguousParameterSet, text));
        }
    }
    check::policy(&mut values)?;
    Ok(values)
}

fn new(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let estate = Estate::read(call.shell)?;
    let name = call.bound.text("Name").unwrap_or_default();
    if policies(&estate.plan).iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
        let text = format!("A QoS policy with the name '{name}' already exists; nothing was changed.");
        return Err(Error::new(Fault::ObjectExists, text));
    }
    check::name(&name)?;
    let mut values = changed(call, Values::new())?;
    let store = call.bound.text("PolicyStore").filter(|store| !is_local(store));
    values.extend(store.map(|store| ("PolicyStore", ManagedValue::Text(store))));
    if call.what_if(&name) || !call.agreed(false, &format!("Make {name}?"))? {
        return Ok(Vec::new());
    }
    put(call, &estate, &name, &values)?;
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
        put(call, &estate, &name, &values)?;
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
    let mut passed = Vec::new();
    for (name, values) in named(call, &estate.plan)? {
        if call.what_if(&name) || !call.agreed(true, &format!("Remove the QoS policy '{name}'?"))? {
            continue;
        }
        let estate = Estate::read(call.shell)?;
        let mut draft = estate.draft(&call.cmdlet.name)?;
        take_rule(&mut draft, &name);
        draft.remove_object(kind, &name);
        estate.commit(call.shell, draft, call.bound.is_set("Force"))?;
        passed.extend(call.bound.is_set("PassThru").then(|| Value::Object(object(&name, &values))));
    }
    Ok(passed)
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

fn put(call: &mut Call<'_, '_>, estate: &Estate, name: &str, values: &Values) -> Result<(), Error> {
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
