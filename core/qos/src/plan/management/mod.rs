//! What the management shell keeps in a plan and the plan itself does not decide by: properties of the documented objects,
//! under `[management.KIND.IDENTITY]`.
//!
//! Ports, marks and switches stand where the plan has them; here they are refused, with that place. So each fact has one.

mod kinds;
mod span;

pub use kinds::KINDS;
pub use span::TimeSpan;

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::entries::{key, quoted};
use super::problem::suggest;
use super::section::{Field, Reader, Section};

/// A kind of documented object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// As in cmdlets, without `Cs`: `ConferencingConfiguration`.
    pub name: &'static str,
    /// What its identities are.
    pub scopes: Scopes,
    /// In the order in which they print, behind the identity.
    pub properties: &'static [Property],
}

/// What identities a kind has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scopes {
    /// `global` alone.
    Global,
    /// `global`, `site:NAME`, and `service:ROLE:FQDN` for these roles.
    Collections(&'static [&'static str]),
    /// The name of a service, as `[services]` has it: `MediationServer:FQDN`.
    Services,
    /// Any name.
    Names,
}

/// A property of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Property {
    /// As it prints and as its parameter is called.
    pub name: &'static str,
    /// What it takes.
    pub values: Values,
    /// What holds unless it is set, as it prints; empty for nothing.
    pub default: &'static str,
    /// Where it is kept.
    pub held: Held,
}

/// Where a property is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// In `[management]`.
    Here,
    /// In `[management]`; as long as it is not set for everybody, what this key of the plan says.
    HereOr(&'static str),
    /// Under this key of the plan, in the same scope.
    Plan(&'static str),
    /// Under this key of the plan; in `[management]` while it is asked for and cannot hold yet.
    Waits(&'static str),
    /// Nowhere: it follows from other facts.
    Printed,
}

/// What a property takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Values {
    /// True or false.
    Boolean,
    /// A whole number, both ends included.
    Integer {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// A time span between these seconds, written `d.hh:mm:ss`.
    Span {
        /// The shortest.
        least: u64,
        /// The longest.
        most: u64,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// A list of texts.
    List,
}

/// A value under `[management]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ManagedValue {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(u64),
    /// A text, word or time span.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// All values under `[management]`: kind, identity, property. An object without values is there too.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Management {
    objects: BTreeMap<&'static str, BTreeMap<String, Object>>,
}

/// The values of one object by property.
pub type Object = BTreeMap<&'static str, ManagedValue>;

impl Kind {
    /// The kind of that name, in any case.
    pub fn named(name: &str) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name))
    }

    /// The property of that name, in any case.
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        self.properties.iter().find(|property| property.name.eq_ignore_ascii_case(name))
    }
}

impl Property {
    /// The documented default as it would be kept; nothing where the documents name none.
    pub fn default(&self) -> Option<ManagedValue> {
        let default = Some(self.default).filter(|default| !default.is_empty())?;
        match self.values {
            Values::Boolean => Some(ManagedValue::Boolean(default == "True")),
            Values::Integer { .. } => default.parse().ok().map(ManagedValue::Integer),
            Values::List => Some(ManagedValue::List(default.split(", ").map(str::to_owned).collect())),
            Values::Span { .. } | Values::Word(_) | Values::Text => {
                Some(ManagedValue::Text(default.to_owned()))
            }
        }
    }
}

impl Values {
    /// The value in the spelling that is kept.
    ///
    /// # Errors
    /// What would be right.
    pub fn check(self, value: ManagedValue) -> Result<ManagedValue, String> {
        match (self, value) {
            (Values::Boolean, value @ ManagedValue::Boolean(_))
            | (Values::Text, value @ ManagedValue::Text(_))
            | (Values::List, value @ ManagedValue::List(_)) => Ok(value),
            (Values::Integer { least, most }, ManagedValue::Integer(number)) => {
                match (least..=most).contains(&number) {
                    true => Ok(ManagedValue::Integer(number)),
                    false => Err(format!("{number} is outside {least} to {most}")),
                }
            }
            (Values::Span { least, most }, ManagedValue::Text(text)) => span::within(&text, least, most),
            (Values::Word(words), ManagedValue::Text(text)) => {
                match words.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
                    Some(word) => Ok(ManagedValue::Text((*word).to_owned())),
                    None => Err(format!("{text:?} is none of {}", words.join(", "))),
                }
            }
            (values, _) => Err(format!("expected {}", values.expected())),
        }
    }

    /// What is expected, in words.
    pub fn expected(self) -> String {
        match self {
            Values::Boolean => "true or false".to_owned(),
            Values::Integer { least, most } => format!("a number from {least} to {most}"),
            Values::Span { .. } => "a time span as \"hh:mm:ss\" or \"d.hh:mm:ss\"".to_owned(),
            Values::Word(words) => format!("one of {}", words.join(", ")),
            Values::Text => "a text in quotes".to_owned(),
            Values::List => "a list of texts".to_owned(),
        }
    }
}

impl ManagedValue {
    /// The value as TOML.
    pub fn to_toml(&self) -> String {
        match self {
            ManagedValue::Boolean(value) => value.to_string(),
            ManagedValue::Integer(number) => number.to_string(),
            ManagedValue::Text(text) => quoted(text),
            ManagedValue::List(texts) => {
                format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl Management {
    /// The objects of a kind by identity.
    pub fn objects(&self, kind: &Kind) -> impl Iterator<Item = (&str, &Object)> {
        let objects = self.objects.get(kind.name);
        objects.into_iter().flatten().map(|(identity, object)| (identity.as_str(), object))
    }

    /// One object; identities are the same in any case.
    pub fn object(&self, kind: &Kind, identity: &str) -> Option<&Object> {
        self.objects(kind).find(|(known, _)| known.eq_ignore_ascii_case(identity)).map(|(_, object)| object)
    }

    /// One value.
    pub fn value(&self, kind: &Kind, identity: &str, property: &str) -> Option<&ManagedValue> {
        self.object(kind, identity)?.get(property)
    }

    /// Every object with the name of its table.
    pub(super) fn tables(&self) -> impl Iterator<Item = (String, &Object)> {
        self.objects.iter().flat_map(|(kind, objects)| {
            objects
                .iter()
                .map(move |(identity, object)| (format!("management.{kind}.{}", key(identity)), object))
        })
    }
}

/// Reads `[management]`.
pub(super) fn read(root: &Section<'_>, reader: &mut Reader) -> Management {
    let mut management = Management::default();
    let Some(section) = root.section(reader, "management") else { return management };
    for (name, field) in section.fields(reader) {
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let known = KINDS.iter().map(|kind| kind.name);
            reader.complain(
                field.line,
                &field.path,
                format!("unknown kind {name:?}{}", suggest(name, known)),
            );
            continue;
        };
        let Some(section) = field.section(reader) else { continue };
        for (identity, field) in section.fields(reader) {
            if let Err(wrong) = kind.scopes.check(identity) {
                reader.complain(field.line, &field.path, wrong);
            }
            let Some(object) = field.section(reader).map(|section| object(kind, &section, reader)) else {
                continue;
            };
            let objects = management.objects.entry(kind.name).or_default();
            let twice = objects.keys().any(|known| known.eq_ignore_ascii_case(identity));
            if twice {
                reader.complain(field.line, &field.path, "is there twice, in different case");
            }
            objects.insert(identity.to_owned(), object);
        }
    }
    management
}

impl Scopes {
    /// Whether that can be an identity.
    ///
    /// # Errors
    /// What it can be.
    pub fn check(self, identity: &str) -> Result<(), String> {
        let service = |roles: &[&str], name: &str| {
            name.split_once(':').is_some_and(|(role, fqdn)| {
                !fqdn.is_empty() && roles.iter().any(|known| known.eq_ignore_ascii_case(role))
            })
        };
        let lower = identity.to_ascii_lowercase();
        let rest = |prefix: &str| lower.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        let (good, expected) = match self {
            Scopes::Global => (lower == "global", "`global`".to_owned()),
            Scopes::Collections(roles) => {
                let of_service = rest("service:").is_some_and(|name| service(roles, name));
                let words = roles.iter().map(|role| format!(", `service:{role}:FQDN`"));
                let expected = format!("`global`, `site:NAME`{}", words.collect::<String>());
                (lower == "global" || rest("site:").is_some() || of_service, expected)
            }
            Scopes::Services => (identity.contains(':'), "`ROLE:FQDN`".to_owned()),
            Scopes::Names => (!identity.is_empty(), "a name".to_owned()),
        };
        if good { Ok(()) } else { Err(format!("{identity:?} is no identity here; expected {expected}")) }
    }
}

fn object(kind: &Kind, section: &Section<'_>, reader: &mut Reader) -> Object {
    let mut object = Object::new();
    for (name, field) in section.fields(reader) {
        let Some(property) = kind.properties.iter().find(|property| property.name == name) else {
            let known = kind.properties.iter().map(|property| property.name);
            reader.complain(field.line, &field.path, format!("unknown property{}", suggest(name, known)));
            continue;
        };
        match property.held {
            Held::Plan(key) => {
                reader.complain(field.line, &field.path, format!("stands elsewhere in the plan: `{key}`"));
            }
            Held::Printed => {
                reader.complain(field.line, &field.path, "follows from other facts and is not set")
            }
            Held::Here | Held::HereOr(_) | Held::Waits(_) => {
                object.extend(value(property, &field, reader).map(|value| (property.name, value)));
            }
        }
    }
    object
}

fn value(property: &Property, field: &Field<'_>, reader: &mut Reader) -> Option<ManagedValue> {
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    };
    let value = match field.value {
        DeValue::Boolean(value) => Some(ManagedValue::Boolean(*value)),
        DeValue::Integer(number) => {
            u64::from_str_radix(number.as_str(), number.radix()).ok().map(ManagedValue::Integer)
        }
        DeValue::Array(items) => {
            items.iter().map(|item| text(item.get_ref())).collect::<Option<Vec<_>>>().map(ManagedValue::List)
        }
        value => text(value).map(ManagedValue::Text),
    };
    let Some(value) = value else { return field.refuse(reader, &property.values.expected()) };
    match property.values.check(value) {
        Ok(value) => Some(value),
        Err(wrong) => {
            reader.complain(field.line, &field.path, wrong);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    const TEXT: &str = "\
name = \"x\"
[management.ConferencingConfiguration.global]
MaxContentStorageMb = 600
ContentGracePeriod = \"20.00:00:00\"
[management.ConferencingConfiguration.\"site:Redmond\"]
[management.UCPhoneConfiguration.global]
SIPSecurityMode = \"High\"
[management.DeviceUpdateConfiguration.global]
ValidLogFileTypes = [\"Watson\", \"a \\\"b\\\"\"]
";

    #[test]
    fn what_is_kept_comes_back_from_the_file_and_from_what_is_written() {
        let plan = Plan::from_toml(TEXT).unwrap();
        let kind = Kind::named("conferencingconfiguration").unwrap();
        let management = plan.management();
        assert_eq!(
            management.value(kind, "Global", "MaxContentStorageMb"),
            Some(&ManagedValue::Integer(600))
        );
        assert!(management.object(kind, "site:redmond").unwrap().is_empty());
        assert_eq!(Plan::from_toml(&plan.to_toml()).unwrap(), plan);
    }

    fn problems(table: &str) -> String {
        let problems = Plan::from_toml(&format!("name = \"x\"\n[management.{table}\n")).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_the_plan_decides_is_refused_here_with_its_place() {
        let found = problems("ConferencingConfiguration.global]\nClientAudioPort = 6000");
        assert!(
            found.ends_with("ClientAudioPort: stands elsewhere in the plan: `roles.client.audio`"),
            "{found}"
        );
    }

    #[test]
    fn values_are_checked_by_type_range_and_word() {
        let wrong = |table: &str| problems(table).rsplit(": ").next().unwrap().to_owned();
        assert_eq!(wrong("UCPhoneConfiguration.global]\nMinPhonePinLength = 3"), "3 is outside 4 to 15");
        assert_eq!(wrong("UCPhoneConfiguration.global]\nEnforcePhoneLock = 1"), "expected true or false");
        assert_eq!(
            wrong("UCPhoneConfiguration.global]\nLoggingLevel = \"Loud\""),
            "\"Loud\" is none of Off, Low, Medium, High"
        );
        assert_eq!(
            wrong("UCPhoneConfiguration.global]\nPhoneLockTimeout = \"01:00:00\""),
            "01:00:00 is outside 00:00:00 to 00:59:59"
        );
        assert!(problems("UCPhoneConfiguration.\"service:x:y\"]").contains("is no identity here"));
        assert!(problems("UCPhoneConfig.global]").contains("did you mean `UCPhoneConfiguration`?"));
    }

    #[test]
    fn every_default_of_the_table_is_a_value_of_its_type() {
        for (kind, property) in KINDS.iter().flat_map(|kind| kind.properties.iter().map(move |p| (kind, p))) {
            let value = match property.values {
                _ if property.default.is_empty() => continue,
                Values::Boolean => ManagedValue::Boolean(property.default == "True"),
                Values::Integer { .. } => match property.default.parse() {
                    Ok(0) => continue,
                    number => ManagedValue::Integer(number.unwrap()),
                },
                Values::List => continue,
                _ => ManagedValue::Text(property.default.to_owned()),
            };
            assert!(property.values.check(value).is_ok(), "{} {}", kind.name, property.name);
        }
    }
}
