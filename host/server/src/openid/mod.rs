//! Signing in by an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636). What comes of
//! it is one of our own tokens for one of our own users.
//!
//! Nothing is kept of a sign-in that has begun: it is in a cookie of the browser, and everything else follows from that and a
//! key of ours.

mod https;
mod id_token;
mod pending;
mod provider;

use std::net::SocketAddr;
use std::sync::Arc;

use carillon_net::tls::client_config;
use carillon_store::Account;
use carillon_wire::ip::Dscp;
use rustls::ClientConfig;
use tokio::sync::{Mutex, watch};

pub(crate) use https::form;
pub(crate) use pending::Pending;

use crate::certificate::{CertificateError, authorities};
use crate::config::OpenIdConfig;
use pending::Seal;
use provider::Known;

/// The way to the provider, for all sign-ins.
pub(crate) struct OpenId {
    pub(crate) config: OpenIdConfig,
    tls: Arc<ClientConfig>,
    marks: watch::Receiver<Dscp>,
    seal: Seal,
    /// What the provider has said of itself.
    known: Mutex<Option<Known>>,
}

/// Where a browser is sent to sign in, and the cookie that it comes back with.
pub(crate) struct Begun {
    pub(crate) location: String,
    pub(crate) cookie: String,
}

/// Whom the provider vouches for.
pub(crate) struct Vouched {
    /// A name for one of our users.
    pub(crate) name: String,
    /// The account there, which stays the same whatever its name is.
    pub(crate) account: Account,
}

impl OpenId {
    /// Reads the authorities that the provider must be proven by.
    pub(crate) fn new(
        config: &OpenIdConfig,
        marks: watch::Receiver<Dscp>,
    ) -> Result<OpenId, CertificateError> {
        let trusted = authorities([&config.authorities].into_iter())?;
        let tls = client_config(&trusted).map_err(CertificateError::Refused)?;
        Ok(OpenId { config: config.clone(), tls, marks, seal: Seal::new(), known: Mutex::default() })
    }

    /// Begins a sign-in that ends at a page of ours.
    pub(crate) async fn begin(&self, pending: &Pending) -> Result<Begun, String> {
        let endpoint = self.provider().await?.authorization_endpoint;
        let cookie = pending.cookie();
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.config.client),
            ("redirect_uri", &self.config.redirect),
            ("scope", "openid profile email"),
            ("state", &self.seal.state(&cookie)),
            ("nonce", &self.seal.nonce(&cookie)),
            ("code_challenge", &self.seal.challenge(&cookie)),
            ("code_challenge_method", "S256"),
        ]);
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(Begun { location: format!("{endpoint}{joint}{query}"), cookie })
    }

    /// What a browser has begun that comes back with this cookie and state, unless somebody else has begun it.
    pub(crate) fn came_back(&self, now: u64, cookie: &str, state: &str) -> Option<Pending> {
        if !self.seal.is_state_of(state, cookie) {
            return None;
        }
        Pending::read(cookie).filter(|pending| now < pending.until)
    }

    /// Exchanges the code for what the provider says of who has signed in.
    pub(crate) async fn vouch(&self, cookie: &str, code: &str) -> Result<Vouched, String> {
        let provider = self.provider().await?;
        let token = self.id_token(&provider, code, &self.seal.verifier(cookie)).await?;
        let keys = self.keys(&provider, id_token::key_of(&token)).await?;
        let expected = id_token::Expected {
            issuer: &self.config.issuer,
            client: &self.config.client,
            nonce: &self.seal.nonce(cookie),
        };
        let claims = id_token::verify(&token, &keys, &expected)?;
        let account = Account { issuer: self.config.issuer.clone(), subject: claims.subject()? };
        Ok(Vouched { name: claims.name(&self.config.claim)?, account })
    }

    /// Where a host is: as the configuration says, or the DNS.
    async fn places(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if !self.config.addresses.is_empty() {
            return Ok(self.config.addresses.clone());
        }
        let resolver =
            carillon_net::names::Resolver::of_this_machine(*self.marks.borrow(), pending::random_number);
        let found = resolver.host(host, port).await;
        found.map(|found| found.addresses).map_err(|why| format!("{host} is not found: {why}"))
    }
}
