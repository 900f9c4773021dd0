//! Listings: blocks of `Name : Value`, one for each object.

use super::property::{self, Object};
use super::settings::{Settings, Speaker};
use super::text::is_dash;

/// Whether a line is a property that this reader is for.
pub(super) fn begins(line: &str) -> bool {
    property(line).is_some_and(|(name, _)| {
        property::owner(name).is_some() || property::named(Object::Service(crate::Role::Edge), name).is_some()
    })
}

/// Name and value of a line of a listing. Pages and word processors put a dash before a name.
pub(super) fn property(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let blank = name.ends_with([' ', '\t']) || value.is_empty() || value.starts_with([' ', '\t']);
    let name = name.trim_start_matches(is_dash).trim();
    let word = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !line.starts_with([' ', '\t']);
    (blank && word).then(|| (name, value.trim()))
}

/// The lines of one object.
#[derive(Default)]
pub(super) struct Block {
    lines: Vec<(u32, String, String)>,
}

impl Block {
    /// Adds a line; a second identity begins a new object.
    pub(super) fn add(&mut self, line: u32, name: &str, value: &str, settings: &mut Settings) {
        if name.eq_ignore_ascii_case("Identity")
            && self.lines.iter().any(|(_, other, _)| other.eq_ignore_ascii_case(name))
        {
            self.end(settings);
        }
        self.lines.push((line, name.to_owned(), value.to_owned()));
    }

    /// Whether an object has begun.
    pub(super) fn is_open(&self) -> bool {
        !self.lines.is_empty()
    }

    /// The object is complete.
    pub(super) fn end(&mut self, settings: &mut Settings) {
        let lines = std::mem::take(&mut self.lines);
        let Some((first, _, _)) = lines.first() else { return };
        let value_of = |wanted: &str| {
            lines
                .iter()
                .find(|(_, name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, _, value)| value.as_str())
        };
        let identity = value_of("Identity");
        let owner = lines.iter().find_map(|(_, name, _)| property::owner(name));
        let service =
            || value_of("Role").and_then(property::service).or_else(|| property::service(identity?));
        let Some(object) = owner.or_else(service) else {
            return settings
                .note(*first, "is a listing of something that a plan knows nothing about: passed over");
        };
        if identity.is_none() {
            settings.note(*first, "has no Identity: taken as that of everybody (Global)");
        }
        let scope = property::scope(identity.unwrap_or("Global"));
        for (line, name, value) in &lines {
            one(object, &scope, (*line, name, value), settings);
        }
    }
}

fn one(object: Object, scope: &str, (line, name, value): (u32, &str, &str), settings: &mut Settings) {
    let right = property::misprint(name);
    let known = property::named(object, right.unwrap_or(name));
    if let (Some(right), Some(_)) = (right, known) {
        settings.note(line, format!("{name} is a misprint of {right}: taken as that"));
    }
    match known {
        // A service that does not do this class shows no value.
        Some(_) if value.is_empty() => {}
        Some(property) => settings.set(line, object, scope, property, (Speaker::Listing, value)),
        None if object == Object::Clients && name.starts_with("Client") => {
            settings.unread(line, format!("{name} of {scope}"), "no property of that name is known")
        }
        None => {}
    }
}
