//! Certificates and keys from PEM files, and what rustls makes of them: TLS 1.2 and 1.3 by aws-lc-rs.
//!
//! The provider is always named, because a process may have several and rustls then refuses to choose. Making
//! certificates is `authority`'s.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use rustls::ClientConfig;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject, SectionKind};
pub use rustls::pki_types::{CertificateDer, ServerName};
use rustls::pki_types::{PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, RootCertStore, ServerConfig};

/// Who we are: a certificate with its intermediates, our own first, and its key.
pub struct Identity {
    /// The chain; a root need not be in it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

/// A file that can't be used.
#[derive(Debug)]
pub struct TlsError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub reason: Reason,
}

/// Why a file can't be used.
#[derive(Debug)]
pub enum Reason {
    /// It can't be read.
    Unreadable(io::Error),
    /// Something is wrong with the section that begins in this line, counted from 1.
    Section(usize, String),
    /// There is no certificate in it.
    NoCertificate,
    /// There is no private key in it.
    NoKey,
    /// There is a second private key, in this line.
    SecondKey(usize),
    /// The key in it does not belong to the certificate in the other file.
    OtherKey(PathBuf),
    /// What rustls says.
    Refused(rustls::Error),
}

impl Identity {
    /// Reads the certificate chain and the key; both may be in one file.
    pub fn load(chain: &Path, key: &Path) -> Result<Identity, TlsError> {
        Ok(Identity { chain: load_certificates(chain)?, key: load_key(key)? }).and_then(
            |identity: Identity| match server_config(&identity) {
                Ok(_) => Ok(identity),
                Err(rustls::Error::InconsistentKeys(_)) => {
                    Err(refuse(key, Reason::OtherKey(chain.to_owned())))
                }
                Err(error) => Err(refuse(key, Reason::Refused(error))),
            },
        )
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Reads all certificates of a file: a chain, or those to trust.
pub fn load_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(path, |line, certificate| {
        let parsed = ParsedCertificate::try_from(certificate);
        parsed.map(drop).map_err(|error| refuse(path, Reason::Section(line, error.to_string())))
    })
}

/// The same for who judges them: those too that TLS takes no longer, as of version 1.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(path, |_, _| Ok(()))
}

fn certificates(
    path: &Path,
    check: impl Fn(usize, &CertificateDer<'static>) -> Result<(), TlsError>,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut certificates = Vec::new();
    for Section { line, kind, der } in sections(path)? {
        if kind == SectionKind::Certificate {
            let certificate = CertificateDer::from(der);
            check(line, &certificate)?;
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(refuse(path, Reason::NoCertificate)) } else { Ok(certificates) }
}

/// For a server that proves itself with this identity and asks no client to. Sessions are resumed by tickets, so
/// that clients that come back cost no memory.
pub fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// For a server whose clients must prove themselves too, by a certificate of one of these authorities. Nothing is resumed:
/// whoever is no longer trusted is refused at once.
pub fn mutual_server_config(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let clients = WebPkiClientVerifier::builder_with_provider(roots(trusted)?.into(), provider()).build();
    verifying_server_config(identity, clients)
}

/// The same, but who connects may have no certificate; one that these authorities did not make is refused. Who it is for is
/// looked at when it is used.
pub fn asking_server_config(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let clients = WebPkiClientVerifier::builder_with_provider(roots(trusted)?.into(), provider());
    verifying_server_config(identity, clients.allow_unauthenticated().build())
}

fn verifying_server_config(
    identity: &Identity,
    clients: Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let clients = clients.map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(clients)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    // A ticket would outlive the certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// For a server that connects to another one and proves itself with this identity.
pub fn mutual_client_config(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots(trusted)?)
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
    Ok(Arc::new(config))
}

/// Whether a certificate is for this name (RFC 5922, 7.2; RFC 9525): its subject alternative names say so. Whether it holds
/// was decided before.
pub fn is_for(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else { return false };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|certificate| verify_server_name(&certificate, &name).is_ok())
}

/// Whether one of these authorities made the first certificate of a chain, for however long it may hold.
pub fn is_made_by(chain: &[CertificateDer<'_>], trusted: &[CertificateDer<'static>]) -> bool {
    let Some((first, others)) = chain.split_first() else { return false };
    let (Ok(certificate), Ok(roots)) = (ParsedCertificate::try_from(first), roots(trusted)) else {
        return false;
    };
    let algorithms = provider().signature_verification_algorithms.all;
    let now = UnixTime::now();
    match verify_server_cert_signed_by_trust_anchor(&certificate, &roots, others, now, algorithms) {
        Err(rustls::Error::InvalidCertificate(why)) => matches!(
            why,
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        ),
        outcome => outcome.is_ok(),
    }
}

/// For a client that trusts these authorities and no others: those of a file, or the one of our own.
pub fn client_config(trusted: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots(trusted)?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

pub(crate) fn roots(trusted: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    trusted.iter().try_for_each(|certificate| roots.add(certificate.clone()))?;
    Ok(roots)
}

fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let mut found = None;
    for Section { line, kind, der } in sections(path)? {
        let key = match kind {
            SectionKind::PrivateKey => PrivateKeyDer::Pkcs8(der.into()),
            SectionKind::RsaPrivateKey => PrivateKeyDer::Pkcs1(der.into()),
            SectionKind::EcPrivateKey => PrivateKeyDer::Sec1(der.into()),
            _ => continue,
        };
        if found.replace(key).is_some() {
            return Err(refuse(path, Reason::SecondKey(line)));
        }
    }
    found.ok_or_else(|| refuse(path, Reason::NoKey))
}

/// A part of a PEM file (RFC 7468).
struct Section {
    line: usize,
    kind: SectionKind,
    der: Vec<u8>,
}

/// Every section of a known kind. One is read by itself, so that an error can say where it is.
fn sections(path: &Path) -> Result<Vec<Section>, TlsError> {
    let text = std::fs::read(path).map_err(|error| refuse(path, Reason::Unreadable(error)))?;
    let mut sections = Vec::new();
    let mut rest = text.as_slice();
    let mut line = 0;
    while let Some(next) = rest.split_inclusive(|byte| *byte == b'\n').next() {
        line += 1;
        if let Some(label) = next.strip_prefix(b"-----BEGIN ") {
            let wrong = |what: String| refuse(path, Reason::Section(line, what));
            if label.starts_with(b"ENCRYPTED") {
                return Err(wrong("the key is encrypted; `openssl pkey -in FILE` decrypts it".to_owned()));
            }
            // Its end is looked for before the next beginning.
            let len = beginning(rest.get(next.len()..).unwrap_or_default())
                .map_or(rest.len(), |at| next.len() + at);
            match one_section(rest.get(..len).unwrap_or(rest)) {
                Ok(Some((kind, der))) => sections.push(Section { line, kind, der }),
                Ok(None) => {}
                Err(error) => return Err(wrong(error.to_string())),
            }
        }
        rest = rest.get(next.len()..).unwrap_or_default();
    }
    Ok(sections)
}

fn one_section(text: &[u8]) -> Result<Option<(SectionKind, Vec<u8>)>, pem::Error> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(text).next().transpose()
}

fn beginning(text: &[u8]) -> Option<usize> {
    text.windows(11).position(|window| window == b"-----BEGIN ")
}

fn refuse(path: &Path, reason: Reason) -> TlsError {
    TlsError { path: path.to_owned(), reason }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't use {}: ", self.path.display())?;
        match &self.reason {
            Reason::Unreadable(error) => error.fmt(f),
            Reason::Section(line, what) => write!(f, "line {line}: {what}"),
            Reason::NoCertificate => f.write_str("no certificate in it (-----BEGIN CERTIFICATE-----)"),
            Reason::NoKey => f.write_str("no private key in it (-----BEGIN PRIVATE KEY-----)"),
            Reason::SecondKey(line) => write!(f, "line {line}: a second private key; leave only one"),
            Reason::OtherKey(chain) => {
                write!(f, "the key does not belong to the first certificate in {}", chain.display())
            }
            Reason::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Unreadable(error) => Some(error),
            Reason::Refused(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;
    use crate::authority::Authority;

    /// What is said about a file of this content, used as chain and as key.
    fn told(name: &str, text: &str) -> [String; 2] {
        let path = std::env::temp_dir().join(format!("carillon-tls-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let chain = load_certificates(&path).map(|found| found.len().to_string());
        let key = load_key(&path).map(|_| "a key".to_owned());
        std::fs::remove_file(&path).unwrap();
        let before = format!("can't use {}: ", path.display());
        [chain, key].map(|told| match told {
            Ok(found) => found,
            Err(error) => error.to_string().strip_prefix(&before).unwrap().to_owned(),
        })
    }

    fn certificate() -> String {
        Authority::create("Carillon").unwrap().pem().to_owned()
    }

    #[test]
    fn a_file_may_hold_a_chain_a_key_and_text() {
        let key = KeyPair::generate().unwrap().serialize_pem();
        let text = format!("some text\n{}more\n{}{key}", certificate(), certificate());
        assert_eq!(told("both", &text), ["2", "a key"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let (chain, key) = (certificate(), KeyPair::generate().unwrap().serialize_pem());
        let [no_chain, no_key] = told("empty", "nothing\n");
        assert_eq!(no_chain, "no certificate in it (-----BEGIN CERTIFICATE-----)");
        assert_eq!(no_key, "no private key in it (-----BEGIN PRIVATE KEY-----)");
        let lines = chain.lines().count();
        let cut: String = chain.lines().take(4).map(|line| format!("{line}\n")).collect();
        let [cut_chain, _] = told("cut", &format!("{chain}\n{cut}{key}"));
        assert!(cut_chain.starts_with(&format!("line {}: ", lines + 2)), "{cut_chain}");
        let [broken, _] = told("base64", &chain.replacen('M', "!", 1));
        assert!(broken.starts_with("line 1: "), "{broken}");
        let [empty, _] = told("der", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
        assert!(empty.starts_with("line 1: "), "{empty}");
        let [_, second] = told("keys", &format!("{key}{key}"));
        assert_eq!(second, format!("line {}: a second private key; leave only one", key.lines().count() + 1));
        let [_, encrypted] = told("encrypted", &key.replace("PRIVATE", "ENCRYPTED PRIVATE"));
        assert!(encrypted.starts_with("line 1: the key is encrypted"), "{encrypted}");
    }

    #[test]
    fn a_key_of_another_certificate_and_a_missing_file_are_named() {
        let base = std::env::temp_dir().join(format!("carillon-tls-pair-{}", std::process::id()));
        let (chain, key) = (base.with_extension("pem"), base.with_extension("key"));
        std::fs::write(&chain, certificate()).unwrap();
        let load = || Identity::load(&chain, &key).unwrap_err().to_string();
        assert!(load().starts_with(&format!("can't use {}: No such file", key.display())));
        std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let expected = format!(
            "can't use {}: the key does not belong to the first certificate in {}",
            key.display(),
            chain.display()
        );
        assert_eq!(load(), expected);
        std::fs::remove_file(&chain).unwrap();
        std::fs::remove_file(&key).unwrap();
    }
}
