//! What a device publishes (PIDF, RFC 3863, with the data model of RFC 4479 and RPID, RFC 4480), read into what composing needs.
//!
//! What this server does not know is kept as it is and comes out again. Document types and entities are refused, and what is
//! too large: nothing is expanded, and nothing outside is looked at.

use std::fmt::Write;

use roxmltree::{Document as Xml, Node, ParsingOptions};

use super::activity::{Activity, Engagement};
use crate::xml::escaped;

pub(super) const PIDF: &str = "urn:ietf:params:xml:ns:pidf";
pub(super) const DATA_MODEL: &str = "urn:ietf:params:xml:ns:pidf:data-model";
pub(super) const RPID: &str = "urn:ietf:params:xml:ns:pidf:rpid";

/// Largest document that is read, in bytes, and most elements, attributes and texts in it.
pub(super) const MAX_DOCUMENT: usize = 16 << 10;
const MAX_NODES: u32 = 600;
/// Most that may come out of one, in bytes: each element that is copied says its namespace, however long that is.
const MAX_WRITTEN: usize = 2 * MAX_DOCUMENT;

/// One published document.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Document {
    pub(super) tuples: Vec<Tuple>,
    pub(super) person: Option<Person>,
    /// Notes on the whole.
    pub(super) notes: Vec<Note>,
    /// Devices and what else stands there, as written.
    pub(super) more: String,
}

/// A way to reach somebody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tuple {
    /// Whether it is open; unknown if nothing is said.
    pub(super) open: Option<bool>,
    pub(super) contact: Option<String>,
    /// In thousandths.
    pub(super) priority: Option<u16>,
    pub(super) notes: Vec<Note>,
    pub(super) timestamp: Option<String>,
    /// What else stands in the status, and beside it.
    pub(super) status: String,
    pub(super) more: String,
}

/// The human being.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Person {
    pub(super) activities: Vec<Activity>,
    pub(super) notes: Vec<Note>,
    pub(super) timestamp: Option<String>,
    pub(super) more: String,
}

/// A text for people, perhaps in a language.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Note {
    pub(super) language: Option<String>,
    pub(super) text: String,
}

impl Document {
    /// Reads a document, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Document, String> {
        if text.len() > MAX_DOCUMENT {
            return Err(format!("{} bytes, at most {MAX_DOCUMENT} are read", text.len()));
        }
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        let xml = Xml::parse_with_options(text, options).map_err(|error| error.to_string())?;
        let root = xml.root_element();
        if !root.has_tag_name((PIDF, "presence")) {
            return Err("the root is not presence of PIDF".to_owned());
        }
        let mut document = Document::default();
        for node in elements(root) {
            match name(node) {
                (PIDF, "tuple") => document.tuples.push(tuple(node)),
                (PIDF, "note") => document.notes.push(note(node)),
                (DATA_MODEL, "person") if document.person.is_none() => document.person = Some(person(node)),
                // A second one is a mistake: one document is about one person.
                (DATA_MODEL, "person") => {}
                _ => copy(node, "", &mut document.more),
            }
        }
        match document.copied() > MAX_WRITTEN {
            true => Err(format!("what is not known here takes more than {MAX_WRITTEN} bytes to repeat")),
            false => Ok(document),
        }
    }

    /// Bytes that are repeated as they came.
    fn copied(&self) -> usize {
        let of_tuples = self.tuples.iter().map(|tuple| tuple.status.len() + tuple.more.len());
        let activities = self.person.iter().flat_map(|person| &person.activities);
        let of_person = self.person.iter().map(|person| person.more.len());
        self.more.len()
            + of_tuples.chain(of_person).sum::<usize>()
            + activities.map(|one| one.xml.len()).sum::<usize>()
    }

    /// How much the person is taken by what it does.
    pub(super) fn engagement(&self) -> Option<Engagement> {
        let activities = &self.person.as_ref()?.activities;
        Some(activities.iter().map(Activity::engagement).max().unwrap_or(Engagement::Present))
    }
}

fn tuple(node: Node<'_, '_>) -> Tuple {
    let mut tuple = Tuple::default();
    for child in elements(node) {
        match name(child) {
            (PIDF, "status") => status(child, &mut tuple),
            (PIDF, "contact") => {
                tuple.contact = Some(text(child));
                tuple.priority = child.attribute("priority").and_then(thousandths);
            }
            (PIDF, "note") => tuple.notes.push(note(child)),
            (PIDF, "timestamp") => tuple.timestamp = Some(text(child)),
            _ => copy(child, "", &mut tuple.more),
        }
    }
    tuple
}

/// What is neither open nor closed says nothing: a phone whose user has not chosen yet publishes `unknown`.
fn status(node: Node<'_, '_>, tuple: &mut Tuple) {
    for child in elements(node) {
        match name(child) {
            (PIDF, "basic") => {
                let basic = text(child);
                tuple.open = ["closed", "open"].iter().position(|word| *word == basic).map(|word| word == 1);
            }
            _ => copy(child, "", &mut tuple.status),
        }
    }
}

fn person(node: Node<'_, '_>) -> Person {
    let mut person = Person::default();
    for child in elements(node) {
        match name(child) {
            (RPID, "activities") => activities(child, &mut person),
            (DATA_MODEL | PIDF, "note") => person.notes.push(note(child)),
            (DATA_MODEL, "timestamp") => person.timestamp = Some(text(child)),
            _ => copy(child, "", &mut person.more),
        }
    }
    person
}

/// What somebody does. A note on it is one on the person.
fn activities(node: Node<'_, '_>, person: &mut Person) {
    for child in elements(node) {
        match name(child) {
            (RPID, "note") => person.notes.push(note(child)),
            (RPID, known) => {
                let mut xml = String::new();
                copy(child, RPID, &mut xml);
                person.activities.push(Activity::new(known, xml));
            }
            _ => {
                let mut xml = String::new();
                copy(child, "", &mut xml);
                person.activities.push(Activity::new("", xml));
            }
        }
    }
}

fn note(node: Node<'_, '_>) -> Note {
    const XML: &str = "http://www.w3.org/XML/1998/namespace";
    Note { language: node.attribute((XML, "lang")).map(str::to_owned), text: text(node) }
}

fn text(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().to_owned()
}

fn elements<'a, 'input>(node: Node<'a, 'input>) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(Node::is_element)
}

fn name<'a>(node: Node<'a, '_>) -> (&'a str, &'a str) {
    (node.tag_name().namespace().unwrap_or_default(), node.tag_name().name())
}

/// `0.8`, as preferences are written.
fn thousandths(text: &str) -> Option<u16> {
    let value: f32 = text.trim().parse().ok()?;
    (0.0..=1.0).contains(&value).then_some((value * 1000.0).round() as u16)
}

/// Writes an element again, so that it means the same wherever it stands. `around` is the namespace that names without a prefix
/// have there.
fn copy(node: Node<'_, '_>, around: &str, out: &mut String) {
    if out.len() > MAX_WRITTEN {
        return;
    }
    let (space, local) = name(node);
    out.push('<');
    let prefix = if space == RPID { "rpid:" } else { "" };
    out.push_str(prefix);
    out.push_str(local);
    let inner = if prefix.is_empty() { space } else { around };
    if inner != around || prefix.is_empty() && around.is_empty() {
        _ = write!(out, " xmlns=\"{}\"", escaped(space));
    }
    for (number, attribute) in node.attributes().enumerate() {
        let value = escaped(attribute.value());
        match attribute.namespace() {
            None => _ = write!(out, " {}=\"{value}\"", attribute.name()),
            Some("http://www.w3.org/XML/1998/namespace") => {
                _ = write!(out, " xml:{}=\"{value}\"", attribute.name());
            }
            Some(space) => {
                let space = escaped(space);
                _ = write!(out, " xmlns:a{number}=\"{space}\" a{number}:{}=\"{value}\"", attribute.name());
            }
        }
    }
    if !node.has_children() {
        return out.push_str("/>");
    }
    out.push('>');
    for child in node.children() {
        match child.is_element() {
            true => copy(child, inner, out),
            false => out.push_str(&escaped(child.text().filter(|_| child.is_text()).unwrap_or_default())),
        }
    }
    _ = write!(out, "</{prefix}{local}>");
}
