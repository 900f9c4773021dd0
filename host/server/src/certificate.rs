//! What phones see when they connect over TLS: files that somebody gave, or a certificate of our own authority. And whom we
//! trust when we connect ourselves.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use carillon_net::authority::{Authority, AuthorityError};
use carillon_net::tls::{Identity, Reason, TlsError, client_config, load_certificates, server_config};
use rustls::{ClientConfig, ServerConfig};

use crate::certificate_facts::CertificateFacts;
use crate::config::{Certificate, Config};

/// Name of our own authority, as phones show it.
const AUTHORITY: &str = "Carillon own authority";

/// Why there is no certificate.
#[derive(Debug)]
pub enum CertificateError {
    /// A file that was given can't be used.
    Files(TlsError),
    /// Our own authority can't be used.
    Authority(AuthorityError),
    /// rustls refuses what is in the files.
    Refused(rustls::Error),
}

/// Our certificate, ready for TLS, and what it says of itself.
pub(crate) struct Ours {
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) facts: CertificateFacts,
}

/// Reads or makes the certificate of a configuration.
pub(crate) fn server_tls(config: &Config) -> Result<Ours, CertificateError> {
    let identity = match &config.certificate {
        Certificate::Files { certificate, key } => {
            Identity::load(certificate, key).map_err(CertificateError::Files)?
        }
        Certificate::Authority(directory) => {
            let authority = Authority::open(directory, AUTHORITY).map_err(CertificateError::Authority)?;
            let (names, addresses) = names(config);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            authority.identity(directory, &names, &addresses).map_err(CertificateError::Authority)?
        }
    };
    let facts = identity.chain.first().map(CertificateFacts::of).unwrap_or_default();
    Ok(Ours { tls: server_config(&identity).map_err(CertificateError::Refused)?, facts })
}

/// What clients of an Edge's relay see over TLS.
pub(crate) fn relay_tls(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, CertificateError> {
    let identity = Identity::load(certificate, key).map_err(CertificateError::Files)?;
    server_config(&identity).map_err(CertificateError::Refused)
}

/// How we connect to other servers over TLS, once [`server_tls`] has made what there is to make. Their certificate must be for
/// the address that we connect to (RFC 5922, 7.3): a name that it was found by is not known here.
pub(crate) fn client_tls(config: &Config) -> Result<Arc<ClientConfig>, CertificateError> {
    let own = match &config.certificate {
        Certificate::Authority(directory) if config.needs_certificate() => Some(directory.join("ca.pem")),
        _ => None,
    };
    let mut trusted = Vec::new();
    for file in own.iter().chain(&config.trusted) {
        let found = load_certificates(file).map_err(CertificateError::Files)?;
        let unfit = |error| TlsError { path: file.clone(), reason: Reason::Refused(error) };
        client_config(&found).map_err(unfit).map_err(CertificateError::Files)?;
        trusted.extend(found);
    }
    client_config(&trusted).map_err(CertificateError::Refused)
}

/// Every name and address under which phones may reach the server.
fn names(config: &Config) -> (Vec<String>, Vec<IpAddr>) {
    let mut names = Vec::new();
    let mut addresses: Vec<IpAddr> = config.listeners.iter().map(|listener| listener.address.ip()).collect();
    let advertised = config.listeners.iter().filter_map(|listener| listener.advertised.as_deref());
    let advertised = advertised.filter_map(|advertised| advertised.rsplit_once(':')).map(|(host, _)| host);
    let hosts = [config.name.as_str()].into_iter().chain(config.domains.iter().map(String::as_str));
    for host in hosts.chain(advertised) {
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => addresses.push(address),
            Err(_) => names.push(host.to_owned()),
        }
    }
    addresses.retain(|address| !address.is_unspecified());
    addresses.sort();
    addresses.dedup();
    names.sort();
    names.dedup();
    (names, addresses)
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateError::Files(error) => error.fmt(f),
            CertificateError::Authority(error) => error.fmt(f),
            CertificateError::Refused(error) => write!(f, "cannot use the certificate for TLS: {error}"),
        }
    }
}

impl std::error::Error for CertificateError {}
