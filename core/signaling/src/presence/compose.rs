//! What watchers see of a user, made of what all devices say. The rules stand in docs/presence.md; each is one function here.

use std::cmp::Reverse;
use std::fmt::Write;
use std::time::Duration;

use super::document::{DATA_MODEL, Document, Note, PIDF, RPID, Tuple};
use crate::xml::escaped;

/// What one device says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    /// Tells the devices apart; stays the same while one changes what it says.
    pub(super) key: &'a str,
    /// When it said something new.
    pub(super) changed: Duration,
    pub(super) document: &'a Document,
}

/// What watchers see. `reachable`: whether a phone of this user is registered.
pub(super) fn compose(aor: &str, said: &[Said<'_>], reachable: bool) -> String {
    let mut said = said.to_vec();
    // What was said last comes first; equal ones in the order of their keys, so that the document does not depend on anything else.
    said.sort_by_key(|said| (Reverse(said.changed), said.key));
    let mut text = begin(aor);
    for (id, tuple) in tuples(&said, reachable) {
        write_tuple(&mut text, &id, &tuple);
    }
    write_person(&mut text, &said, reachable);
    said.iter().for_each(|said| text.push_str(&said.document.more));
    text.push_str("</presence>\n");
    text
}

/// What is said to whoever may not see more.
pub(super) fn closed(aor: &str) -> String {
    compose(aor, &[], false)
}

/// Open needs a phone: without one every way is closed. A phone that does not publish is open. The best way comes first.
fn tuples(said: &[Said<'_>], reachable: bool) -> Vec<(String, Tuple)> {
    let mut tuples = Vec::new();
    for said in said {
        for (number, tuple) in said.document.tuples.iter().enumerate() {
            let open = Some(reachable && tuple.open.unwrap_or(true));
            tuples.push((format!("t{}-{number}", said.key), Tuple { open, ..tuple.clone() }));
        }
    }
    if tuples.is_empty() {
        tuples.push(("registered".to_owned(), Tuple { open: Some(reachable), ..Tuple::default() }));
    }
    tuples.sort_by_key(|(_, tuple)| Reverse((tuple.open, tuple.priority)));
    tuples
}

/// The person of the device where somebody is most engaged, or else that spoke last; and the note that came last. Without a
/// phone only the note is left.
fn write_person(text: &mut String, said: &[Said<'_>], reachable: bool) {
    let persons = said
        .iter()
        .filter(|_| reachable)
        .filter_map(|said| Some((said.document.engagement()?, said.document.person.as_ref()?)));
    // The first of equals: `max_by_key` would take the last.
    let person = persons.min_by_key(|(engagement, _)| Reverse(*engagement)).map(|(_, person)| person);
    let notes = said.iter().map(|said| notes(said.document)).find(|notes| !notes.is_empty());
    let notes = notes.unwrap_or_default();
    if person.is_none() && notes.is_empty() {
        return;
    }
    text.push_str("<dm:person id=\"person\">");
    if let Some(person) = person {
        let activities = person.activities.iter().map(|activity| activity.xml.as_str());
        _ = write!(text, "<rpid:activities>{}</rpid:activities>", activities.collect::<String>());
        text.push_str(&person.more);
    }
    notes.iter().for_each(|note| write_note(text, "dm:note", note));
    if let Some(timestamp) = person.and_then(|person| person.timestamp.as_ref()) {
        _ = write!(text, "<dm:timestamp>{}</dm:timestamp>", escaped(timestamp));
    }
    text.push_str("</dm:person>\n");
}

fn notes(document: &Document) -> Vec<&Note> {
    let of_person = document.person.iter().flat_map(|person| &person.notes);
    of_person.chain(&document.notes).filter(|note| !note.text.is_empty()).collect()
}

fn begin(aor: &str) -> String {
    let entity = escaped(aor);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"{PIDF}\" xmlns:dm=\"{DATA_MODEL}\" \
         xmlns:rpid=\"{RPID}\" entity=\"sip:{entity}\">\n"
    )
}

fn write_tuple(text: &mut String, id: &str, tuple: &Tuple) {
    let basic = if tuple.open == Some(true) { "open" } else { "closed" };
    _ = write!(text, "<tuple id=\"{id}\"><status><basic>{basic}</basic>{}</status>", tuple.status);
    text.push_str(&tuple.more);
    if let Some(contact) = &tuple.contact {
        let priority = tuple
            .priority
            .map(|thousandths| format!(" priority=\"{}.{:03}\"", thousandths / 1000, thousandths % 1000));
        _ = write!(text, "<contact{}>{}</contact>", priority.unwrap_or_default(), escaped(contact));
    }
    tuple.notes.iter().for_each(|note| write_note(text, "note", note));
    if let Some(timestamp) = &tuple.timestamp {
        _ = write!(text, "<timestamp>{}</timestamp>", escaped(timestamp));
    }
    text.push_str("</tuple>\n");
}

fn write_note(text: &mut String, element: &str, note: &Note) {
    let language = note.language.as_ref().map(|language| format!(" xml:lang=\"{}\"", escaped(language)));
    _ = write!(text, "<{element}{}>{}</{element}>", language.unwrap_or_default(), escaped(&note.text));
}
