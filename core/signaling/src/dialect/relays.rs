//! The relays in the provisioning document: an element in a namespace of our own. Other clients find the address of the
//! credential service among Microsoft's keys and ask there.

use std::time::Duration;

use carillon_qos::TrafficClass;
use roxmltree::Node;

use super::provisioning::Unreadable;
use crate::relays::{RelayCredential, RelayServer, RelayService};
use crate::xml::escaped;

const RELAYS: &str = "urn:carillon:relays:1";
/// Most servers, and most credentials, that are read.
const MOST: usize = 64;

/// The element.
pub(super) fn element(service: &RelayService) -> String {
    let of = |class: Option<TrafficClass>| class.map_or(String::new(), |class| format!(" class=\"{class}\""));
    let mut text = format!("<relays xmlns=\"{RELAYS}\" expires=\"{}\">\n", service.expires.as_secs());
    for server in &service.servers {
        let uri = escaped(&server.uri.to_string());
        text.push_str(&format!("<server uri=\"{uri}\"{}/>\n", of(server.class)));
    }
    for credential in &service.credentials {
        let (username, password) = (escaped(&credential.username), escaped(&credential.password));
        let class = of(credential.class);
        text.push_str(&format!("<credential{class} username=\"{username}\" password=\"{password}\"/>\n"));
    }
    text.push_str("</relays>\n");
    text
}

/// The relays of a document, if there are any; `authentication` is what its key says.
pub(super) fn read(
    root: Node<'_, '_>,
    authentication: Option<&str>,
) -> Result<Option<RelayService>, Unreadable> {
    let Some(relays) = root.children().find(|node| node.has_tag_name((RELAYS, "relays"))) else {
        return Ok(None);
    };
    let expires = relays.attribute("expires").unwrap_or_default();
    let digits = expires.len() <= 12 && expires.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if digits { expires.parse().ok() } else { None };
    let seconds =
        seconds.ok_or_else(|| Unreadable(format!("relays expire at `{expires}`, which is no time")))?;
    let (servers, credentials) = (named(relays, "server"), named(relays, "credential"));
    Ok(Some(RelayService {
        expires: Duration::from_secs(seconds),
        servers: servers.map(server).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
        credentials: credentials
            .map(credential)
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect(),
        authentication: authentication.unwrap_or_default().to_owned(),
    }))
}

fn named<'a, 'i: 'a>(relays: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    relays.children().filter(move |node| node.has_tag_name((RELAYS, name))).take(MOST)
}

/// The class, or none for every class. What is for classes that do not exist yet is for clients that do not exist yet.
fn class(node: Node<'_, '_>) -> Option<Option<TrafficClass>> {
    match node.attribute("class") {
        None => Some(None),
        Some(name) => TrafficClass::from_name(name).filter(|class| class.is_media()).map(Some),
    }
}

fn server(node: Node<'_, '_>) -> Result<Option<RelayServer>, Unreadable> {
    let Some(class) = class(node) else { return Ok(None) };
    let uri = node.attribute("uri").unwrap_or_default();
    let wrong = |error| Unreadable(format!("server `{uri}`: {error}"));
    uri.parse().map(|uri| Some(RelayServer { uri, class })).map_err(wrong)
}

fn credential(node: Node<'_, '_>) -> Result<Option<RelayCredential>, Unreadable> {
    let Some(class) = class(node) else { return Ok(None) };
    let text = |name| {
        let value = node.attribute(name).map(str::to_owned);
        value.ok_or_else(|| Unreadable(format!("credential without `{name}`")))
    };
    Ok(Some(RelayCredential { class, username: text("username")?, password: text("password")? }))
}
