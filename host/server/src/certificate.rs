//! What phones see when they connect over TLS: files that somebody gave, or a certificate of our own authority. And whom we
//! trust when we connect ourselves.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use carillon_net::authority::{Authority, AuthorityError};
use carillon_net::common_name;
use carillon_net::tls::{
    Identity, Reason, TlsError, asking_server_config, client_config, is_for, load_certificates,
    mutual_client_config, mutual_server_config, server_config,
};
use carillon_net::transports::Server;
use carillon_signaling::access::Partner;
use carillon_wire::ip::Dscp;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};

use crate::certificate_facts::{CertificateFacts, common_name_alone};
use crate::config::{Certificate, Config, EdgeConfig};

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
    /// This section of the configuration, or what it needs, is not there.
    Missing(&'static str),
}

/// Our certificate, ready for TLS, and what it says of itself.
pub(crate) struct Ours {
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) facts: CertificateFacts,
    /// Servers that we prove ourselves to.
    pub(crate) servers: BTreeMap<SocketAddr, Server>,
}

/// What a listener shows, and what that says of itself.
#[derive(Clone)]
pub(crate) struct Greeting {
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) facts: CertificateFacts,
}

impl Greeting {
    /// `tls` is made of that identity.
    pub(crate) fn of(
        identity: &Identity,
        tls: Result<Arc<ServerConfig>, rustls::Error>,
    ) -> Result<Greeting, CertificateError> {
        let facts = identity.chain.first().map(CertificateFacts::of).unwrap_or_default();
        Ok(Greeting { tls: tls.map_err(CertificateError::Refused)?, facts })
    }
}

/// Reads or makes the certificate of a configuration.
pub(crate) fn server_tls(config: &Config) -> Result<Ours, CertificateError> {
    let identity = identity(config)?;
    let facts = identity.chain.first().map(CertificateFacts::of).unwrap_or_default();
    let Some(edge) = &config.edge else {
        let tls = server_config(&identity).map_err(CertificateError::Refused)?;
        return Ok(Ours { tls, facts, servers: BTreeMap::new() });
    };
    let trusted = trusted(config)?;
    let tls = asking_server_config(&identity, &trusted).map_err(CertificateError::Refused)?;
    let servers = own_servers(&identity, &trusted, &edge.name, &edge.addresses)?;
    Ok(Ours { tls, facts, servers })
}

fn identity(config: &Config) -> Result<Identity, CertificateError> {
    match &config.certificate {
        Certificate::Files { certificate, key } => {
            Identity::load(certificate, key).map_err(CertificateError::Files)
        }
        Certificate::Authority(directory) => {
            let authority = Authority::open(directory, AUTHORITY).map_err(CertificateError::Authority)?;
            let (names, addresses) = names(config);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            authority.identity(directory, &names, &addresses).map_err(CertificateError::Authority)
        }
    }
}

/// How servers are connected to whose certificate is for that name, and to whom ours is shown.
pub(crate) fn servers(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
    name: &str,
    addresses: &[SocketAddr],
    mark: Option<Dscp>,
) -> Result<BTreeMap<SocketAddr, Server>, CertificateError> {
    let tls = mutual_client_config(identity, trusted).map_err(CertificateError::Refused)?;
    servers_by(tls, name, addresses, mark)
}

/// How our own servers are connected to, whose certificates may have a common name only.
pub(crate) fn own_servers(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
    name: &str,
    addresses: &[SocketAddr],
) -> Result<BTreeMap<SocketAddr, Server>, CertificateError> {
    servers_by(inside_tls(identity, trusted)?, name, addresses, None)
}

/// How the Edges of partners are connected to. One that several of them share must be certified for each: their requests go by
/// the same connection.
pub(crate) fn partners(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
    partners: &[Partner],
    mark: Option<Dscp>,
) -> Result<BTreeMap<SocketAddr, Server>, CertificateError> {
    let mut domains: BTreeMap<SocketAddr, Vec<String>> = BTreeMap::new();
    for partner in partners {
        for address in &partner.addresses {
            domains.entry(*address).or_default().push(partner.domain.clone());
        }
    }
    let mut servers = BTreeMap::new();
    for (address, domains) in domains {
        let Some(first) = domains.first().cloned() else { continue };
        let is_for_all = move |certificate: &CertificateDer<'_>, _: &str| {
            domains.iter().all(|domain| is_for(certificate, domain))
        };
        let tls = common_name::client_config_where(identity, trusted, is_for_all)
            .map_err(CertificateError::Refused)?;
        servers.extend(servers_by(tls, &first, &[address], mark)?);
    }
    Ok(servers)
}

/// How own servers are connected to, whose certificates may have a common name only.
fn inside_tls(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
) -> Result<Arc<ClientConfig>, CertificateError> {
    common_name::client_config(identity, trusted, common_name_alone).map_err(CertificateError::Refused)
}

/// Whether a certificate is for the name of one of our own servers.
pub(crate) fn is_ours(certificate: &CertificateDer<'_>, name: &str) -> bool {
    common_name::is_ours(certificate, name, common_name_alone)
}

fn servers_by(
    tls: Arc<ClientConfig>,
    name: &str,
    addresses: &[SocketAddr],
    mark: Option<Dscp>,
) -> Result<BTreeMap<SocketAddr, Server>, CertificateError> {
    let unfit = |_| CertificateError::Refused(rustls::Error::General(format!("{name:?} is no name")));
    let name = ServerName::try_from(name.to_owned()).map_err(unfit)?;
    let server = Server { tls, name, mark };
    Ok(addresses.iter().map(|address| (*address, server.clone())).collect())
}

/// The certificates in these files, each of which must be fit to be trusted.
pub(crate) fn authorities<'a>(
    files: impl Iterator<Item = &'a PathBuf>,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let mut trusted = Vec::new();
    for file in files {
        let found = load_certificates(file).map_err(CertificateError::Files)?;
        let unfit = |error| TlsError { path: file.clone(), reason: Reason::Refused(error) };
        client_config(&found).map_err(unfit).map_err(CertificateError::Files)?;
        trusted.extend(found);
    }
    Ok(trusted)
}

/// How we connect to the Replicas of Edges: both ends prove themselves.
pub(crate) fn replication_tls(config: &Config) -> Result<Arc<ClientConfig>, CertificateError> {
    inside_tls(&identity(config)?, &trusted(config)?)
}

/// What servers inside see of an Edge, and must show.
pub(crate) fn internal_server_tls(config: &EdgeConfig) -> Result<Greeting, CertificateError> {
    let (identity, trusted) = internal(config)?;
    Greeting::of(&identity, mutual_server_config(&identity, &trusted))
}

/// The same where the Edge is the one that connects.
pub(crate) fn internal_client_tls(config: &EdgeConfig) -> Result<Arc<ClientConfig>, CertificateError> {
    let (identity, trusted) = internal(config)?;
    mutual_client_config(&identity, &trusted).map_err(CertificateError::Refused)
}

/// What an Edge proves itself with towards the inside, and the authorities that it believes there.
pub(crate) fn internal(
    config: &EdgeConfig,
) -> Result<(Identity, Vec<CertificateDer<'static>>), CertificateError> {
    let tls = config.internal_tls.as_ref().ok_or(CertificateError::Missing("internal-tls"))?;
    let identity = Identity::load(&tls.certificate, &tls.key).map_err(CertificateError::Files)?;
    Ok((identity, authorities(tls.trusted.iter())?))
}

/// What those outside see of an Edge over TLS.
pub(crate) fn external(config: &EdgeConfig) -> Result<Identity, CertificateError> {
    let (certificate, key) = config.certificate.as_ref().ok_or(CertificateError::Missing("tls"))?;
    Identity::load(certificate, key).map_err(CertificateError::Files)
}

/// The same, for clients that prove themselves by other means.
pub(crate) fn external_tls(config: &EdgeConfig) -> Result<Greeting, CertificateError> {
    let identity = external(config)?;
    Greeting::of(&identity, server_config(&identity))
}

/// How we connect to other servers over TLS, once [`server_tls`] has made what there is to make. Their certificate must be for
/// the address that we connect to (RFC 5922, 7.3): a name that it was found by is not known here.
pub(crate) fn client_tls(config: &Config) -> Result<Arc<ClientConfig>, CertificateError> {
    client_config(&trusted(config)?).map_err(CertificateError::Refused)
}

fn trusted(config: &Config) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let own = match &config.certificate {
        Certificate::Authority(directory) if config.needs_certificate() => Some(directory.join("ca.pem")),
        _ => None,
    };
    authorities(own.iter().chain(&config.trusted))
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
            CertificateError::Missing(section) => write!(f, "[{section}], or what it needs, is not there"),
        }
    }
}

impl std::error::Error for CertificateError {}

#[cfg(test)]
mod tests {
    use carillon_net::tls::is_for;
    use rustls::{ClientConnection, ServerConnection};

    use super::*;

    /// Whether one of our servers that looks for `edge.example.com` goes on with whoever shows this.
    fn takes(authority: &Authority, shown: &Identity) -> bool {
        let root = [authority.certificate().clone()];
        let own = authority.issue(&["sip.example.com"], &[]).unwrap();
        let server = mutual_server_config(shown, &root).unwrap();
        let client = inside_tls(&own, &root).unwrap();
        let mut client = ClientConnection::new(client, "edge.example.com".try_into().unwrap()).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        while client.is_handshaking() {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            client.write_tls(&mut there).unwrap();
            server.read_tls(&mut &there[..]).unwrap();
            server.process_new_packets().unwrap();
            server.write_tls(&mut back).unwrap();
            client.read_tls(&mut &back[..]).unwrap();
            if client.process_new_packets().is_err() {
                return false;
            }
        }
        true
    }

    #[test]
    fn a_pool_is_known_by_its_common_name_only_where_no_other_name_is_there() {
        let (ours, foreign) = (Authority::create("inside").unwrap(), Authority::create("other").unwrap());
        let pool = |authority: &Authority, name| authority.issue_to_pool(name).unwrap();
        assert!(takes(&ours, &pool(&ours, "edge.example.com")));
        assert!(takes(&ours, &ours.issue(&["edge.example.com"], &[]).unwrap()));
        assert!(!takes(&ours, &pool(&ours, "other.example.com")), "another pool");
        assert!(!takes(&ours, &pool(&foreign, "edge.example.com")), "another authority");
        // Its common name is the first of its names, and counts for nothing beside them.
        let named = ours.issue(&["www.example.com"], &[]).unwrap();
        assert!(!takes(&ours, &named), "alternative names");
        assert_eq!(common_name_alone(&named.chain[0]), None);
        // To clients and partners such a certificate says nothing.
        let certificate = &pool(&ours, "edge.example.com").chain[0];
        assert!(is_ours(certificate, "edge.example.com") && !is_for(certificate, "edge.example.com"));
        assert!(!is_ours(certificate, "other.example.com"));
    }
}
