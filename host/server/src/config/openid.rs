//! What the file of a Front End says of the OpenID provider.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::raw::{At, Block, Raw};
use super::relays::Secret;
use super::resolve::Resolver;

/// An OpenID provider, and what we are to it.
#[derive(Clone, PartialEq, Debug)]
pub struct OpenIdConfig {
    /// What it calls itself: `https://login.example.com`.
    pub issuer: String,
    /// Where its servers are; empty: where the DNS says.
    pub addresses: Vec<SocketAddr>,
    /// File with the authorities of its certificate.
    pub authorities: PathBuf,
    /// What it calls us.
    pub client: String,
    /// What we prove ourselves with, if it wants that.
    pub secret: Option<Secret>,
    /// Where browsers come back to.
    pub redirect: String,
    /// Which claim names a user.
    pub claim: String,
    /// Whether who is no user becomes one.
    pub create: bool,
}

impl Resolver<'_> {
    /// The inner `None` if the section is not there.
    pub(super) fn openid(&mut self, raw: &Raw, name: Option<&str>) -> Option<Option<OpenIdConfig>> {
        let Some(block) = raw.blocks("openid").first() else { return Some(None) };
        let https = raw.block("https");
        let Some(listen) = https.text("listen") else {
            return self.refuse(block, block.line, "", "needs `https.listen`: browsers come back there");
        };
        if https.texts("origins").is_none() {
            return self.refuse(block, block.line, "", "needs `https.origins`: pages at which sign-ins end");
        }
        let (issuer, addresses) = (self.https_url(block, "issuer"), self.openid_addresses(block));
        let secret = match block.text("secret") {
            Some(_) => self.password(block).map(Some),
            None => Some(None),
        };
        let authorities = block.text("authorities")?;
        let authorities = self.readable(block, "authorities", &authorities);
        let redirect = match block.text("redirect") {
            Some(_) => self.https_url(block, "redirect"),
            None => {
                let port = listen.value.rsplit(':').next().unwrap_or_default().to_owned();
                name.map(|name| format!("https://{name}:{port}/openid/return"))
            }
        };
        Some(Some(OpenIdConfig {
            issuer: issuer?,
            addresses: addresses?,
            authorities: authorities?,
            client: block.text("client")?.value,
            secret: secret?,
            redirect: redirect?,
            claim: block.text("claim")?.value,
            create: block.text("create")?.value == "on",
        }))
    }

    fn https_url(&mut self, block: &Block, key: &str) -> Option<String> {
        let At { value, line } = block.text(key)?;
        let host = value.strip_prefix("https://").and_then(|rest| rest.split('/').next());
        match host.is_some_and(|host| !host.is_empty()) && !value.contains([' ', '?', '#', '"']) {
            true => Some(value),
            false => self.refuse(block, line, key, format!("{value:?} is no https:// URL without query")),
        }
    }

    fn openid_addresses(&mut self, block: &Block) -> Option<Vec<SocketAddr>> {
        let Some(At { value, line }) = block.texts("addresses") else { return Some(Vec::new()) };
        let address = |text: &String| match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                let text = format!("{text:?} is no ADDRESS:PORT, such as 10.0.0.8:443");
                self.refuse(block, line, "addresses", text)
            }
        };
        value.iter().map(address).collect()
    }
}
