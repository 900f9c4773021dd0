//! What the sections of an Edge's services mean that stand between outside and inside.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::edge::Addresses;
use super::raw::{At, Block, Raw};
use super::resolve::{Resolver, is_host};

/// What an Edge proves itself with towards the inside, and whom it believes there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InternalTls {
    /// The chain, as PEM.
    pub certificate: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
    /// The authorities of the servers inside, as PEM.
    pub trusted: Vec<PathBuf>,
}

/// The Web Conferencing Edge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebConferencing {
    /// Port towards the Internet.
    pub port: u16,
    /// The servers inside; at least one.
    pub inside: Vec<SocketAddr>,
    /// The name in their certificates.
    pub name: String,
    /// Connections at once.
    pub connections: usize,
    /// Of these, those of one source.
    pub connections_per_source: usize,
}

/// The Replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replica {
    /// Port on the internal address.
    pub port: u16,
    /// Names of those who may send settings.
    pub from: Vec<String>,
    /// Where the settings are kept.
    pub store: PathBuf,
}

impl Resolver<'_> {
    /// The inner `None` if the section is not there.
    pub(super) fn internal_tls(&mut self, raw: &Raw) -> Option<Option<InternalTls>> {
        let Some(block) = raw.blocks("internal-tls").first() else { return Some(None) };
        let [certificate, key] =
            ["certificate", "key"].map(|key| self.readable(block, key, &block.text(key)?));
        let At { value, line } = block.texts("trusted")?;
        let mut trusted = Vec::new();
        for value in value {
            trusted.push(self.readable(block, "trusted", &At { value, line })?);
        }
        Some(Some(InternalTls { certificate: certificate?, key: key?, trusted }))
    }

    /// The inner `None` if the section is not there.
    pub(super) fn web_conferencing(
        &mut self,
        raw: &Raw,
        addresses: &Addresses,
    ) -> Option<Option<WebConferencing>> {
        let Some(block) = raw.blocks("web-conferencing").first() else { return Some(None) };
        self.needs(raw, block, "internal-tls");
        if raw.block("tls").text("certificate").is_none() {
            self.refuse::<()>(block, block.line, "", "needs the `certificate` of [tls]");
        }
        let default = addresses.outside_port(crate::edge::Unit::WebConferencing);
        let port = block.number("port").and_then(|port| u16::try_from(port.value).ok()).unwrap_or(default);
        let name = self.names(
            block,
            "name",
            block.text("name").map(|at| At { value: vec![at.value], line: at.line }),
        )?;
        let At { value, line } = block.texts("inside")?;
        let mut inside = Vec::new();
        for text in &value {
            match text.parse::<SocketAddr>() {
                Ok(server) if addresses.inside.iter().any(|network| network.contains(server.ip())) => {
                    inside.push(server);
                }
                Ok(server) => {
                    let text = format!("{} is in no network of `addresses.inside`", server.ip());
                    self.refuse::<()>(block, line, "inside", text);
                }
                Err(_) => {
                    let text = format!("{text:?} is no ADDRESS:PORT, such as 10.0.0.20:8057");
                    self.refuse::<()>(block, line, "inside", text);
                }
            }
        }
        let size = |key| usize::try_from(block.number(key)?.value).ok();
        Some(Some(WebConferencing {
            port,
            inside,
            name: name.into_iter().next()?,
            connections: size("connections")?,
            connections_per_source: size("connections-per-source")?,
        }))
    }

    /// The inner `None` if the section is not there.
    pub(super) fn replica_settings(&mut self, raw: &Raw, addresses: &Addresses) -> Option<Option<Replica>> {
        let Some(block) = raw.blocks("replica").first() else { return Some(None) };
        self.needs(raw, block, "internal-tls");
        if addresses.internal.is_none() {
            let text = "needs `addresses.internal`: nobody outside may reach it";
            self.refuse::<()>(block, block.line, "", text);
        }
        let from = self.names(block, "from", block.texts("from"))?;
        let port = u16::try_from(block.number("port")?.value).ok()?;
        Some(Some(Replica { port, from, store: self.path(block, "store")? }))
    }

    fn names(&mut self, block: &Block, key: &str, at: Option<At<Vec<String>>>) -> Option<Vec<String>> {
        let At { value, line } = at?;
        for name in value.iter().filter(|name| !is_host(name)) {
            self.refuse::<()>(block, line, key, format!("{name:?} is no host name"));
        }
        Some(value)
    }

    /// Another section must be there too.
    pub(super) fn needs(&mut self, raw: &Raw, block: &Block, section: &str) {
        if raw.blocks(section).is_empty() {
            self.refuse::<()>(block, block.line, "", format!("needs a section [{section}]"));
        }
    }
}
