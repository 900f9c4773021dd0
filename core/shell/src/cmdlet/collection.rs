//! Get-, Set-, New- and Remove- of every kind that the plan keeps: collections by scope, and named objects.

use std::collections::BTreeMap;

use carillon_qos::Plan;
use carillon_qos::plan::management::{KINDS, Scopes};
use carillon_qos::plan::{Held, ManagedKind, ManagedValue, Property};

use super::identity::Identity;
use super::{Call, Cmdlet, From, Parameter, Run, Takes, convert, network};
use crate::error::{Error, Fault};
use crate::estate::{Draft, Estate, Part, Place, Slot, part, range};
use crate::object::{Object, Value, Wildcard};

/// Properties with the values that they are to have.
pub(crate) type Changes = Vec<(&'static Property, Option<ManagedValue>)>;

const IDENTITY: Parameter = Parameter::text("Identity").at(0);
const INSTANCE: Parameter = Parameter::new("Instance", Takes::Any).from(From::Object);

/// The four cmdlets of each collection.
pub(super) fn cmdlets() -> Vec<Cmdlet> {
    let kinds = KINDS.iter().filter(|kind| matches!(kind.scopes, Scopes::Collections(_) | Scopes::Global));
    kinds.flat_map(of_kind).collect()
}

/// The cmdlets of a kind: those that its scopes allow.
pub(super) fn of_kind(kind: &'static ManagedKind) -> Vec<Cmdlet> {
    let cmdlet = |verb: &str, about: &str, parameters: Vec<Parameter>, run| Cmdlet {
        name: format!("{verb}-Cs{}", kind.name),
        aliases: &[],
        about: format!("{about} the {}.", words(kind.name)),
        parameters,
        kind: Some(kind),
        run: Run::Each(run),
    };
    let settable =
        || kind.properties.iter().filter(|property| property.held != Held::Printed).map(Parameter::of);
    let (filter, store) = (Parameter::text("Filter"), Parameter::switch("LocalStore"));
    let mut cmdlets = vec![
        cmdlet("Get", "Shows", vec![IDENTITY.from(From::Text), filter, store], get),
        cmdlet("Set", "Changes", [IDENTITY, INSTANCE].into_iter().chain(settable()).collect(), set),
    ];
    if kind.scopes != Scopes::Global {
        let new = [IDENTITY.required(), Parameter::switch("InMemory")];
        cmdlets.push(cmdlet("New", "Makes", new.into_iter().chain(settable()).collect(), new_one));
        let remove = vec![IDENTITY.required().from(From::Text)];
        cmdlets.push(cmdlet("Remove", "Removes", remove, self::remove));
    }
    cmdlets
}

/// `Conferencing configuration` of `ConferencingConfiguration`.
fn words(name: &str) -> String {
    let name = name
        .replace("UCPhone", "UC phone ")
        .replace("AVEdge", "A/V Edge ")
        .replace("Configuration", " configuration");
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn get(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let kind = call.kind()?;
    let estate = Estate::read(call.shell)?;
    let found = chosen(call, &estate, kind)?;
    Ok(found.iter().map(|identity| Value::Object(object(&estate.plan, kind, identity))).collect())
}

/// The identities that `-Identity` or `-Filter` name, or all.
pub(super) fn chosen(
    call: &Call<'_, '_>,
    estate: &Estate,
    kind: &ManagedKind,
) -> Result<Vec<Identity>, Error> {
    match (call.bound.text("Identity"), call.bound.text("Filter")) {
        (Some(_), Some(_)) => Err(Error::new(
            Fault::AmbiguousParameterSet,
            "Parameter set cannot be resolved using the specified named parameters: either -Identity or -Filter.",
        )),
        (Some(text), None) => {
            if text.contains(['*', '?']) {
                let text = format!("-Identity takes no wildcards; write -Filter {text}");
                return Err(Error::new(Fault::ParameterArgumentValidationError, text));
            }
            Ok(vec![existing(estate, kind, &text)?])
        }
        (None, filter) => {
            let filter = Wildcard::new(filter.as_deref().unwrap_or("*"));
            Ok(all(estate, kind).into_iter().filter(|identity| filter.matches(&identity.shown)).collect())
        }
    }
}

/// Every object of a kind: the global one, sites, services; or all names.
pub(super) fn all(estate: &Estate, kind: &ManagedKind) -> Vec<Identity> {
    let plan = &estate.plan;
    if matches!(kind.scopes, Scopes::Names) {
        let named = plan.management().objects(kind).map(|(name, _)| Identity::read(estate, kind, name));
        return named.filter_map(Result::ok).collect();
    }
    let sites = plan.sites().map(Identity::site);
    let services = plan.services().map(Identity::service);
    let managed =
        plan.management().objects(kind).filter_map(|(key, _)| Identity::read(estate, kind, key).ok());
    let mut found = vec![Identity::global()];
    for identity in sites.chain(services).chain(managed) {
        let is_one = kind.scopes.check(&identity.key).is_ok() && exists(plan, kind, &identity);
        if is_one && !found.contains(&identity) {
            found.push(identity);
        }
    }
    found
}

/// Whether the collection is there: kept under `[management]`, or stated by the plan in that scope.
pub(super) fn exists(plan: &Plan, kind: &ManagedKind, identity: &Identity) -> bool {
    let stated = |property: &&Property| match property.held {
        Held::Plan(key) | Held::Waits(key) => {
            Slot::of(key).is_some_and(|slot| slot.stated(plan, &identity.place))
        }
        _ => false,
    };
    let global = identity.key == "global" && !matches!(kind.scopes, Scopes::Names);
    global
        || plan.management().object(kind, &identity.key).is_some()
        || (!matches!(kind.scopes, Scopes::Names) && kind.properties.iter().any(|property| stated(&property)))
}

pub(super) fn existing(estate: &Estate, kind: &ManagedKind, text: &str) -> Result<Identity, Error> {
    let identity = Identity::read(estate, kind, text)?;
    match exists(&estate.plan, kind, &identity) {
        true => Ok(identity),
        false => Err(not_found(kind, &identity.shown)),
    }
}

fn not_found(kind: &ManagedKind, identity: &str) -> Error {
    let text = match kind.scopes {
        Scopes::Names => format!("Cannot find \"{identity}\": there is no such {}.", words(kind.name)),
        _ => format!(
            "Cannot find \"{identity}\" of type \"{}\": there is no such collection. New-Cs{} makes one.",
            kind.name, kind.name
        ),
    };
    Error::new(Fault::ObjectNotFound, text)
}

/// Can be set, and is documented as never printed: there for who names it.
const UNPRINTED: [&str; 5] = [
    "EnableLocationBasedRouting",
    "VoiceRoutingPolicy",
    "XmppInternalPort",
    "XmppListeningPort",
    "SkypeSearchProxyPort",
];

/// The object as it prints.
pub(super) fn object(plan: &Plan, kind: &'static ManagedKind, identity: &Identity) -> Object {
    let mut object = Object::new(kind.name).with("Identity", identity.shown.as_str());
    for property in kind.properties {
        object.properties.push((property.name.to_owned(), value(plan, kind, identity, property)));
    }
    show_printed(&mut object);
    object
}

/// All properties print, except those of which the documents know no line.
pub(super) fn show_printed(object: &mut Object) {
    let names = object.properties.iter().map(|(name, _)| name);
    object.shown = Some(names.filter(|name| !UNPRINTED.contains(&name.as_str())).cloned().collect());
}

/// What holds for a property, or waits to hold.
pub(super) fn value(plan: &Plan, kind: &ManagedKind, identity: &Identity, property: &Property) -> Value {
    let here = || plan.management().value(kind, &identity.key, property.name);
    let here = || here().map(|value| convert::shown(property.values, value));
    let in_plan = |key: &str| Slot::of(key).and_then(|slot| slot.read(plan, &identity.place, property));
    let found = match property.held {
        Held::Here if property.name == network::BYPASS => return network::bypass(here()),
        Held::Here => here(),
        Held::HereOr(key) => here().or_else(|| in_plan(key).filter(|_| identity.place == Place::Global)),
        Held::Plan(key) => in_plan(key),
        Held::Waits(key) => here().or_else(|| in_plan(key)),
        Held::Printed => Some(network::printed(plan, kind, identity, property.name)),
    };
    found.unwrap_or_else(|| convert::default(property.values, property.default))
}

fn set(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let kind = call.kind()?;
    let estate = Estate::read(call.shell)?;
    let instance = instance(call)?;
    let named = match (&instance, call.bound.text("Identity")) {
        (Some(_), Some(_)) => {
            let text = "Parameter set cannot be resolved using the specified named parameters: either -Identity or -Instance.";
            return Err(Error::new(Fault::AmbiguousParameterSet, text));
        }
        (Some(object), None) => object.identity().unwrap_or_default(),
        (None, named) => named.unwrap_or_else(|| "global".to_owned()),
    };
    let identity = Identity::read(&estate, kind, &named)?;
    let is_new = !exists(&estate.plan, kind, &identity);
    if is_new && instance.is_none() {
        return Err(not_found(kind, &identity.shown));
    }
    let current = match is_new {
        true => fresh(kind, &identity),
        false => object(&estate.plan, kind, &identity),
    };
    let mut changes = differing(kind, &current, instance.as_ref())?;
    changes.extend(said(call, &estate, kind, &identity)?);
    if is_new {
        changes = from_defaults(call, &estate, kind, &identity, changes);
    }
    network::refine(call, &estate.plan, kind, &identity, is_new, &mut changes)?;
    if call.what_if(&identity.shown) || !call.agreed(false, &format!("Change {}?", identity.shown))? {
        return Ok(Vec::new());
    }
    let mut draft = estate.draft(&call.cmdlet.name)?;
    if is_new {
        make(call, &estate, &mut draft, kind, &identity)?;
    }
    apply(&estate.plan, &mut draft, kind, &identity, &changes)?;
    notes(call, kind, &changes);
    estate.commit(call.shell, draft, call.bound.is_set("Force"))?;
    Ok(Vec::new())
}

fn instance(call: &Call<'_, '_>) -> Result<Option<Object>, Error> {
    let kind = call.kind()?;
    match call.bound.get("Instance") {
        None => Ok(None),
        Some(Value::Object(object)) if object.kind == kind.name => Ok(Some(object.clone())),
        Some(other) => {
            let text =
                format!("Cannot bind parameter 'Instance': \"{}\" is no {}.", other.text(), words(kind.name));
            Err(Error::new(Fault::CannotConvertArgument, text))
        }
    }
}

/// What an instance says otherwise than the object that is there.
fn differing(
    kind: &'static ManagedKind,
    current: &Object,
    instance: Option<&Object>,
) -> Result<Changes, Error> {
    let Some(instance) = instance else { return Ok(Vec::new()) };
    let mut changes = Changes::new();
    for property in kind.properties.iter().filter(|property| property.held != Held::Printed) {
        let (Some(new), Some(old)) = (instance.get(property.name), current.get(property.name)) else {
            continue;
        };
        let new = match new {
            Value::Null => Value::Null,
            new => convert::convert(Parameter::of(property), new.clone())?,
        };
        if new != *old {
            changes.push((property, convert::kept(&new)));
        }
    }
    Ok(changes)
}

/// What the parameters say.
pub(super) fn said(
    call: &Call<'_, '_>,
    estate: &Estate,
    kind: &'static ManagedKind,
    identity: &Identity,
) -> Result<Changes, Error> {
    let mut changes = Changes::new();
    for (name, new) in call.bound.iter() {
        let settable = kind.property(name).filter(|property| property.held != Held::Printed);
        let Some(property) = settable else { continue };
        let new = match new {
            Value::Table(modifier) => modified(&list(estate, kind, identity, property), modifier)?,
            new => new.clone(),
        };
        changes.push((property, convert::kept(&new)));
    }
    Ok(changes)
}

/// The list that a modifier changes: of an object that is being made, an empty one.
fn list(estate: &Estate, kind: &ManagedKind, identity: &Identity, property: &Property) -> Value {
    let new = kind.scopes == Scopes::Names && estate.plan.management().object(kind, &identity.key).is_none();
    if new { Value::Null } else { value(&estate.plan, kind, identity, property) }
}

/// `@{Add=…}`, `@{Remove=…}`, `@{Replace=…}` applied to a list.
fn modified(list: &Value, modifier: &[(String, Value)]) -> Result<Value, Error> {
    let mut items: Vec<String> = list.clone().into_items().iter().map(Value::text).collect();
    for (key, value) in modifier {
        let given: Vec<String> = value.clone().into_items().iter().map(Value::text).collect();
        let is_given = |item: &String| given.iter().any(|given| given.eq_ignore_ascii_case(item));
        match key.to_ascii_lowercase().as_str() {
            "add" => {
                // A limit or path of a modality takes the place of the one that there was.
                items.retain(|item| {
                    network::modality(item).is_none_or(|of| {
                        !given.iter().any(|given| network::modality(given).is_some_and(|new| new == of))
                    })
                });
                if let Some(twice) = items.iter().find(|item| is_given(item)) {
                    let text = format!(
                        "There is a duplicate key sequence '{twice}' for the unique identity constraint."
                    );
                    return Err(Error::new(Fault::ObjectExists, text));
                }
                items.extend(given);
            }
            "remove" => items.retain(|item| !is_given(item)),
            "replace" => items = given,
            _ => {
                let text = format!("@{{{key}=…}} changes no list; Add, Remove and Replace do.");
                return Err(Error::new(Fault::ParameterArgumentValidationError, text));
            }
        }
    }
    Ok(items.into())
}

/// Writes the changes into the draft.
pub(super) fn apply(
    plan: &Plan,
    draft: &mut Draft,
    kind: &'static ManagedKind,
    identity: &Identity,
    changes: &Changes,
) -> Result<(), Error> {
    let mut ranges: BTreeMap<Slot, [Option<u64>; 2]> = BTreeMap::new();
    for (property, new) in changes {
        let slot = match property.held {
            Held::Plan(key) | Held::Waits(key) => Slot::of(key),
            _ => None,
        };
        let waits = matches!(property.held, Held::Waits(_));
        match (slot, new) {
            (Some(Slot::Enabled), Some(ManagedValue::Boolean(false))) => {
                draft.set_managed(kind, &identity.key, property.name, None);
                draft.set_enabled(&identity.place, false);
            }
            (Some(slot), None) => {
                draft.set_managed(kind, &identity.key, property.name, None);
                slot.forget(draft, &identity.place);
            }
            (Some(slot), Some(ManagedValue::Integer(number))) if slot != Slot::PhoneMark => {
                let [start, count] = ranges.entry(slot).or_default();
                *(if part(property) == Part::Start { start } else { count }) = Some(*number);
                if waits {
                    draft.set_managed(kind, &identity.key, property.name, new.as_ref());
                }
            }
            (Some(slot), Some(new)) if !waits => slot.set_value(draft, &identity.place, plan, new),
            (_, new) => draft.set_managed(kind, &identity.key, property.name, new.as_ref()),
        }
    }
    for (slot, [start, count]) in ranges {
        let range = range(plan, kind, &identity.place, slot, start, count)
            .ok_or_else(|| past_the_end(start, count))?;
        let waits =
            kind.properties.iter().any(|p| matches!(p.held, Held::Waits(key) if Slot::of(key) == Some(slot)));
        if !waits {
            slot.set_range(draft, &identity.place, range);
        }
    }
    Ok(())
}

fn past_the_end(start: Option<u64>, count: Option<u64>) -> Error {
    let shown = |part: Option<u64>| part.map_or("as it was".to_owned(), |number| number.to_string());
    let text = format!(
        "Cannot validate argument: a range with the start {} and the count {} does not end inside 1 to 65535.",
        shown(start),
        shown(count)
    );
    Error::new(Fault::ParameterArgumentValidationError, text)
}

/// What the documents warn of.
fn notes(call: &mut Call<'_, '_>, kind: &ManagedKind, changes: &Changes) {
    let sets = |name: &str| changes.iter().any(|(property, _)| property.name == name);
    if kind.name == "UCPhoneConfiguration" && sets("Voice8021p") {
        call.shell.warn("Voice8021p is kept, but has no effect: phones are given the priority that goes with VoiceDiffServTag.");
    }
}

fn new_one(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let kind = call.kind()?;
    let estate = Estate::read(call.shell)?;
    let identity = Identity::read(&estate, kind, &call.bound.text("Identity").unwrap_or_default())?;
    if exists(&estate.plan, kind, &identity) {
        let text = match identity.key.as_str() {
            "global" => format!("\"Global\" of type \"{}\" always exists; nothing was changed.", kind.name),
            _ => format!(
                "\"{}\" of type \"{}\" already exists; nothing was changed.",
                identity.shown, kind.name
            ),
        };
        return Err(Error::new(Fault::ObjectExists, text));
    }
    let mut changes = said(call, &estate, kind, &identity)?;
    network::refine(call, &estate.plan, kind, &identity, true, &mut changes)?;
    if call.bound.is_set("InMemory") {
        let mut object = fresh(kind, &identity);
        for (property, value) in &changes {
            if let Some(place) = object.get_mut(property.name) {
                *place = value.as_ref().map_or(Value::Null, |value| convert::shown(property.values, value));
            }
        }
        return Ok(vec![Value::Object(object)]);
    }
    if call.what_if(&identity.shown) || !call.agreed(false, &format!("Make {}?", identity.shown))? {
        return Ok(Vec::new());
    }
    let mut draft = estate.draft(&call.cmdlet.name)?;
    let changes = from_defaults(call, &estate, kind, &identity, changes);
    make(call, &estate, &mut draft, kind, &identity)?;
    apply(&estate.plan, &mut draft, kind, &identity, &changes)?;
    notes(call, kind, &changes);
    estate.commit(call.shell, draft, call.bound.is_set("Force"))?;
    let estate = Estate::read(call.shell)?;
    Ok(vec![Value::Object(object(&estate.plan, kind, &identity))])
}

/// The object as it would be with nothing but the documented defaults.
fn fresh(kind: &'static ManagedKind, identity: &Identity) -> Object {
    let mut object = Object::new(kind.name).with("Identity", identity.shown.as_str());
    for property in kind.properties {
        let value = match property.held {
            Held::Printed => identity.shown.as_str().into(),
            _ => convert::default(property.values, property.default),
        };
        object.properties.push((property.name.to_owned(), value));
    }
    show_printed(&mut object);
    object
}

/// The changes, and the documented default of everything else that the plan would inherit: a new collection starts from
/// those, not from the global one. Where that makes a difference it is told.
fn from_defaults(
    call: &mut Call<'_, '_>,
    estate: &Estate,
    kind: &'static ManagedKind,
    identity: &Identity,
    changes: Changes,
) -> Changes {
    let unsaid = |property: &Property| !changes.iter().any(|(said, _)| said.name == property.name);
    let global = |property: &Property| value(&estate.plan, kind, &Identity::global(), property);
    let differs = |property: &&Property| {
        property.held != Held::Printed
            && unsaid(property)
            && global(property) != convert::default(property.values, property.default)
    };
    let told = kind.properties.iter().filter(|_| kind.scopes != Scopes::Names).filter(differs);
    let told: Vec<String> = told
        .map(|property| format!("{} {}", property.name, property.default).trim_end().to_owned())
        .collect();
    let mut whole = defaults(kind);
    whole.retain(|(property, _)| unsaid(property));
    if !told.is_empty() {
        let (identity, told) = (&identity.shown, told.join(", "));
        call.shell.warn(format!("{identity} starts from the documented defaults, not from Global: {told}."));
    }
    whole.extend(changes);
    whole
}

/// Puts the object into the draft. A site or service that the plan doesn't know becomes part of it, unless the session is
/// strict.
pub(super) fn make(
    call: &mut Call<'_, '_>,
    estate: &Estate,
    draft: &mut Draft,
    kind: &'static ManagedKind,
    identity: &Identity,
) -> Result<(), Error> {
    let unknown = match &identity.place {
        Place::Global => None,
        Place::Site(name) => estate.site(name).is_none().then(|| format!("site \"{name}\"")),
        Place::Service(name) => estate.service(name).is_none().then(|| format!("service \"{name}\"")),
    };
    if let Some(unknown) = unknown {
        if call.shell.options.strict {
            let text =
                format!("the topology has no {unknown}; without --strict it would be added to the plan");
            return Err(Error::new(Fault::ObjectNotFound, text));
        }
        call.shell.warn(format!("The plan had no {unknown}; it is added."));
        draft.ensure_scope(&identity.place);
    }
    draft.ensure_object(kind, &identity.key);
    Ok(())
}

fn remove(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let kind = call.kind()?;
    let estate = Estate::read(call.shell)?;
    let identity = existing(&estate, kind, &call.bound.text("Identity").unwrap_or_default())?;
    if call.what_if(&identity.shown) || !call.agreed(false, &format!("Remove {}?", identity.shown))? {
        return Ok(Vec::new());
    }
    if let Some(by) = network::referred(&estate.plan, kind, &identity.key) {
        let text = format!("\"{}\" cannot be removed: {by}; nothing was changed.", identity.shown);
        return Err(Error::new(Fault::InvalidOperation, text));
    }
    let mut draft = estate.draft(&call.cmdlet.name)?;
    draft.remove_object(kind, &identity.key);
    match identity.key.as_str() {
        "global" => apply(&estate.plan, &mut draft, kind, &identity, &defaults(kind))?,
        _ => {
            let keys = kind.properties.iter().filter_map(|property| match property.held {
                Held::Plan(key) | Held::Waits(key) => Slot::of(key),
                _ => None,
            });
            keys.for_each(|slot| slot.forget(&mut draft, &identity.place));
        }
    }
    estate.commit(call.shell, draft, call.bound.is_set("Force"))?;
    Ok(Vec::new())
}

/// The documented defaults of what the plan holds: what is kept beside it falls back by itself.
fn defaults(kind: &'static ManagedKind) -> Changes {
    let of_plan = kind.properties.iter().filter(|p| matches!(p.held, Held::Plan(_) | Held::Waits(_)));
    let default = |property: &'static Property| {
        (property, convert::kept(&convert::default(property.values, property.default)))
    };
    of_plan.map(default).collect()
}
