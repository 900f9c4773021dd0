//! What the file of an Edge says of its A/V Authentication service.

use std::time::Duration;

use super::edge::Addresses;
use super::raw::{At, Raw};
use super::resolve::{Resolver, is_host};

/// The A/V Authentication service of an Edge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authentication {
    /// Port on the internal address.
    pub port: u16,
    /// Names of the servers that are heard.
    pub servers: Vec<String>,
    /// How long a credential lasts.
    pub lifetime: Duration,
}

impl Resolver<'_> {
    /// The inner `None` if the section is not there.
    pub(super) fn authentication(
        &mut self,
        raw: &Raw,
        addresses: Option<&Addresses>,
    ) -> Option<Option<Authentication>> {
        let Some(block) = raw.blocks("authentication").first() else { return Some(None) };
        if addresses.is_some_and(|addresses| addresses.internal.is_none()) {
            let text = "needs `addresses.internal`: nobody outside may ask";
            return self.refuse(block, block.line, "port", text);
        }
        if raw.block("credentials").texts("secrets").is_none() {
            let text = "needs `credentials.secrets`: without one no credential can be made";
            return self.refuse(block, block.line, "port", text);
        }
        self.needs(raw, block, "internal-tls");
        let At { value: servers, line } = block.texts("servers")?;
        for name in servers.iter().filter(|name| !is_host(name)) {
            self.refuse::<()>(block, line, "servers", format!("{name:?} is no host name"));
        }
        Some(Some(Authentication {
            port: u16::try_from(block.number("port")?.value).ok()?,
            servers,
            lifetime: Duration::from_secs(block.number("lifetime")?.value),
        }))
    }
}
