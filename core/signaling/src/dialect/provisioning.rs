//! The provisioning document: the group `ServerConfiguration` with Microsoft's keys, and behind it all classes with their
//! marks, and the relays, in namespaces of our own, which other clients pass over.
//!
//! Both parts say the same; who knows the second part reads it, because the first has no marks and no version.

use std::fmt;

use carillon_qos::dscp::default_priority;
use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::Dscp;
use roxmltree::{Document, Node, ParsingOptions};

use super::{relays, settings};
use crate::provisioning::{Given, Provisioned, Source};
use crate::xml::escaped;

/// The event package.
pub(crate) const EVENT: &str = "vnd-microsoft-provisioning-v2";
/// The type of the document.
pub(crate) const TYPE: &str = "application/vnd-microsoft-roaming-provisioning-v2+xml";
/// Says that a body in the 200 is the first notification; the client reads it only if this is there.
pub(crate) const PIGGYBACK: (&str, &str) = ("ms-piggyback-cseq", "1");
/// What a client supports that wants the first notification there.
pub(crate) const WANTS_PIGGYBACK: &[u8] = b"ms-piggyback-first-notify";

const LIST: &str = "http://schemas.microsoft.com/2006/09/sip/provisiongrouplist-notification";
const QOS: &str = "urn:carillon:qos:1";
/// Largest document that is read, in bytes, and most elements, attributes and texts in it.
const MAX_DOCUMENT: usize = 64 << 10;
const MAX_NODES: u32 = 2000;

/// Why a document was not taken; says where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable(pub(super) String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provisioning document: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

/// The document.
pub(crate) fn write(given: &Provisioned) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<provisionGroupList xmlns=\"{LIST}\">\n\
         <provisionGroup name=\"ServerConfiguration\">\n"
    );
    for (key, value) in keys(given) {
        text.push_str(&format!("<{key}>{}</{key}>\n", escaped(&value)));
    }
    text.push_str("</provisionGroup>\n");
    if let Some(source) = &given.source {
        let (plan, scope, from) = (escaped(&source.plan), escaped(&source.scope), escaped(&source.enabled));
        let (version, enabled) = (source.version, given.enabled);
        text.push_str(&format!(
            "<qos xmlns=\"{QOS}\" plan=\"{plan}\" version=\"{version}\" scope=\"{scope}\" enabled=\"{enabled}\" \
             enabled-from=\"{from}\">\n"
        ));
        given.classes.iter().for_each(|class| text.push_str(&class_element(class)));
        text.push_str("</qos>\n");
    }
    given.relays.iter().for_each(|service| text.push_str(&relays::element(service)));
    text.push_str("</provisionGroupList>\n");
    text
}

/// Reads a document, ours or one that has Microsoft's keys only. Document types and entities are refused.
///
/// # Errors
/// What is no document, is too large, or holds a range or mark that cannot be.
pub fn parse(text: &str) -> Result<Provisioned, Unreadable> {
    if text.len() > MAX_DOCUMENT {
        return Err(Unreadable(format!("{} bytes, at most {MAX_DOCUMENT} are read", text.len())));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).map_err(|error| Unreadable(error.to_string()))?;
    let group = |node: &Node<'_, '_>| {
        node.has_tag_name_any("provisionGroup") && node.attribute("name") == Some("ServerConfiguration")
    };
    let root = document.root_element();
    let keys =
        root.children().find(group).ok_or_else(|| Unreadable("no group ServerConfiguration".to_owned()))?;
    let relays = relays::read(root, key(keys, MRAS))?;
    let given = Provisioned { relays, ..from_keys(keys)? };
    match root.children().find(|node| node.has_tag_name((QOS, "qos"))) {
        Some(qos) => from_qos(qos, given),
        None => Ok(given),
    }
}

/// Microsoft's keys with their values, in the order of its documents. A class without a range has none: a client then
/// uses any port for it.
fn keys(given: &Provisioned) -> Vec<(String, String)> {
    let mut keys = vec![("ucPortRangeEnabled".to_owned(), given.enabled.to_string())];
    let authentication = given.relays.iter().map(|service| (MRAS.to_owned(), service.authentication.clone()));
    let mut range = |name: &str, ports: Option<PortRange>| {
        if let Some(ports) = ports {
            keys.push((format!("ucMin{name}Port"), ports.start().to_string()));
            keys.push((format!("ucMax{name}Port"), ports.end().to_string()));
        }
    };
    range("Media", given.legacy);
    for (name, class) in RANGES {
        range(name, given.class(class).and_then(|given| given.ports));
    }
    if let Some(mark) = given.phone {
        keys.push(("ucDiffServVoice".to_owned(), mark.value().to_string()));
        // The VLAN tag that goes with it when nobody maps anything.
        keys.push(("ucVoice802_1p".to_owned(), default_priority(mark).to_string()));
    }
    keys.extend(given.settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    keys.extend(authentication);
    keys
}

/// What Microsoft calls the classes.
const RANGES: [(&str, TrafficClass); 4] = [
    ("Audio", TrafficClass::Audio),
    ("Video", TrafficClass::Video),
    ("AppSharing", TrafficClass::Sharing),
    ("FileTransfer", TrafficClass::FileTransfer),
];

/// The key with the address of the A/V Authentication service.
const MRAS: &str = "mrasUri";

fn class_element(given: &Given) -> String {
    let ports = match given.ports {
        Some(ports) => format!(" min=\"{}\" max=\"{}\"", ports.start(), ports.end()),
        None => String::new(),
    };
    format!(
        "<class name=\"{}\"{ports} ports-from=\"{}\" dscp=\"{}\" dscp-from=\"{}\"/>\n",
        given.class,
        escaped(&given.ports_from),
        given.mark.value(),
        escaped(&given.mark_from)
    )
}

trait AnyNamespace {
    fn has_tag_name_any(&self, name: &str) -> bool;
}

impl AnyNamespace for Node<'_, '_> {
    /// By its local name, in any case; servers differ in the namespace.
    fn has_tag_name_any(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name().eq_ignore_ascii_case(name)
    }
}

fn key<'a>(group: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let node = group.children().find(|node| node.has_tag_name_any(name))?;
    node.text().map(str::trim)
}

fn from_keys(group: Node<'_, '_>) -> Result<Provisioned, Unreadable> {
    let key = |name: &str| key(group, name);
    // The switch wins over whatever ranges are given with it.
    let enabled = key("ucPortRangeEnabled").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let range = |name: &str| match enabled {
        true => ports(name, key(&format!("ucMin{name}Port")), key(&format!("ucMax{name}Port"))),
        false => Ok(Some(PortRange::UNRESTRICTED)),
    };
    let phone = match key("ucDiffServVoice") {
        Some(value) if enabled => Some(mark("ucDiffServVoice", value)?),
        Some(_) => Some(Dscp::DEFAULT),
        None => None,
    };
    let mut classes = Vec::new();
    for (name, class) in RANGES {
        let mark = phone.filter(|_| class == TrafficClass::Audio).unwrap_or_default();
        classes.push(Given {
            class,
            ports: range(name)?,
            ports_from: String::new(),
            mark,
            mark_from: String::new(),
        });
    }
    let settings = settings::keys().filter_map(|name| Some((name, key(name)?.to_owned()))).collect();
    Ok(Provisioned { source: None, enabled, classes, legacy: range("Media")?, phone, settings, relays: None })
}

fn from_qos(qos: Node<'_, '_>, keys: Provisioned) -> Result<Provisioned, Unreadable> {
    let text = |name: &str| {
        qos.attribute(name).map(str::to_owned).ok_or_else(|| Unreadable(format!("qos without `{name}`")))
    };
    let version = text("version")?;
    let version = version.parse().map_err(|_| Unreadable(format!("version `{version}` is no number")))?;
    let source =
        Source { plan: text("plan")?, version, scope: text("scope")?, enabled: text("enabled-from")? };
    let enabled = match text("enabled")?.as_str() {
        "true" => true,
        "false" => false,
        other => return Err(Unreadable(format!("enabled is `{other}`, neither true nor false"))),
    };
    let mut classes: Vec<Given> = Vec::new();
    for node in qos.children().filter(|node| node.has_tag_name((QOS, "class"))) {
        // Classes that do not exist yet are for clients that do not exist yet.
        let Some(class) = node.attribute("name").and_then(TrafficClass::from_name) else { continue };
        if classes.iter().any(|given| given.class == class) {
            return Err(Unreadable(format!("class {class} is there twice")));
        }
        classes.push(from_class(node, class)?);
    }
    classes.sort_by_key(|given| given.class);
    Ok(Provisioned { source: Some(source), enabled, classes, ..keys })
}

fn from_class(node: Node<'_, '_>, class: TrafficClass) -> Result<Given, Unreadable> {
    let origin = |name| node.attribute(name).unwrap_or_default().to_owned();
    let value = node.attribute("dscp").ok_or_else(|| Unreadable(format!("class {class} without `dscp`")))?;
    Ok(Given {
        class,
        ports: ports(class.name(), node.attribute("min"), node.attribute("max"))?,
        ports_from: origin("ports-from"),
        mark: mark(class.name(), value)?,
        mark_from: origin("dscp-from"),
    })
}

/// No value, or twice 0, is no range.
fn ports(of: &str, min: Option<&str>, max: Option<&str>) -> Result<Option<PortRange>, Unreadable> {
    let (Some(min), Some(max)) = (min, max) else {
        return match min.or(max) {
            None => Ok(None),
            Some(_) => Err(Unreadable(format!("{of}: a range with one end"))),
        };
    };
    let wrong = || Unreadable(format!("{of}: `{min}` to `{max}` is no range of ports"));
    match (number(min).ok_or_else(wrong)?, number(max).ok_or_else(wrong)?) {
        (0, 0) => Ok(None),
        (min, max) => PortRange::from_ends(min, max).map(Some).ok_or_else(wrong),
    }
}

fn mark(of: &str, value: &str) -> Result<Dscp, Unreadable> {
    let wrong = || Unreadable(format!("{of}: `{value}` is no DSCP, which is 0 to 63"));
    number(value).and_then(|value| u8::try_from(value).ok()).and_then(Dscp::new).ok_or_else(wrong)
}

fn number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}
