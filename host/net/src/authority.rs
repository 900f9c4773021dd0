//! Our own certificate authority: for the first run, when nobody has given a certificate.
//!
//! Its files are `ca.pem`, which phones are given, `ca.key`, `server.pem` and `server.key`. Keys are ECDSA P-256, which
//! every phone understands. Files that others gave are `tls`'s.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

use crate::tls::{Identity, TlsError, load_certificates, provider, roots};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Clocks of phones that have just started may be behind.
const BEFORE: Duration = DAY;
const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Some clients refuse what lasts longer than 398 days.
const SERVER_LIFE: Duration = Duration::from_secs(397 * 24 * 3600);
/// A certificate that ends sooner than this is made anew.
const RENEWAL: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate authority with its key.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// Why there is no certificate.
#[derive(Debug)]
pub enum AuthorityError {
    /// A file or directory could not be read or written.
    File(PathBuf, io::Error),
    /// A file does not hold what it should.
    Content(TlsError),
    /// A file was not written by us, or does not fit the others.
    Foreign(PathBuf, &'static str),
    /// A certificate for addresses alone was asked for; some phones refuse those.
    NoName,
    /// A name that can't stand in a certificate.
    BadName(String),
    /// The certificate could not be made.
    Failed(rcgen::Error),
}

impl Authority {
    /// A new one of this name, in memory.
    pub fn create(name: &str) -> Result<Authority, AuthorityError> {
        let (_, authority) = Authority::generate(name)?;
        Ok(authority)
    }

    /// The one whose `ca.pem` and `ca.key` are in the directory; if there is neither, a new one, which is written
    /// there. Directories are made.
    pub fn open(directory: &Path, name: &str) -> Result<Authority, AuthorityError> {
        let (certificate, key) = (directory.join("ca.pem"), directory.join("ca.key"));
        if certificate.exists() {
            return Authority::load(&certificate, &key);
        }
        let (made, authority) = Authority::generate(name)?;
        std::fs::create_dir_all(directory)
            .map_err(|error| AuthorityError::File(directory.to_owned(), error))?;
        // Only with `ca.pem` is it there: a key alone is one of a run that was cut short.
        write(&key, &authority.issuer.key().serialize_pem(), 0o600)?;
        write(&certificate, &made.pem(), 0o644)?;
        Ok(authority)
    }

    /// What phones have to trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A new certificate for a server of these names and addresses. There must be a name: linphone refuses a
    /// certificate with addresses only.
    pub fn issue(&self, names: &[&str], addresses: &[IpAddr]) -> Result<Identity, AuthorityError> {
        let (certificate, key) = self.sign(names, addresses)?;
        Ok(identity(&certificate, &key))
    }

    /// The identity in `server.pem` and `server.key` of the directory, if it is ours, for all these names and
    /// addresses, and lasts for another month; otherwise a new one, which is written there.
    pub fn identity(
        &self,
        directory: &Path,
        names: &[&str],
        addresses: &[IpAddr],
    ) -> Result<Identity, AuthorityError> {
        let (chain, key) = (directory.join("server.pem"), directory.join("server.key"));
        if let Ok(identity) = Identity::load(&chain, &key) {
            if self.vouches_for(&identity, names, addresses) {
                return Ok(identity);
            }
        }
        let (made, made_key) = self.sign(names, addresses)?;
        write(&key, &made_key.serialize_pem(), 0o600)?;
        write(&chain, &made.pem(), 0o644)?;
        Ok(identity(&made, &made_key))
    }

    fn generate(name: &str) -> Result<(Certificate, Authority), AuthorityError> {
        let (params, key) = (authority_params(name)?, KeyPair::generate()?);
        let certificate = params.self_signed(&key)?;
        let der = certificate.der().clone();
        Ok((certificate, Authority { certificate: der, issuer: Issuer::new(params, key) }))
    }

    fn load(certificate: &Path, key: &Path) -> Result<Authority, AuthorityError> {
        let foreign = |why| AuthorityError::Foreign(certificate.to_owned(), why);
        let der = load_certificates(certificate)?.swap_remove(0);
        let trusted = roots(std::slice::from_ref(&der)).map_err(|_| foreign("it is no authority"))?;
        let anchor = trusted.roots.first().ok_or_else(|| foreign("it is no authority"))?;
        let name =
            common_name(&anchor.subject).ok_or_else(|| foreign("its name is not in the form of ours"))?;
        let text =
            std::fs::read_to_string(key).map_err(|error| AuthorityError::File(key.to_owned(), error))?;
        let pair = KeyPair::from_pem(&text)
            .map_err(|_| AuthorityError::Foreign(key.to_owned(), "it holds no private key"))?;
        if !anchor.subject_public_key_info.ends_with(pair.der_bytes()) {
            return Err(foreign("ca.key does not belong to it"));
        }
        Ok(Authority { issuer: Issuer::new(authority_params(name)?, pair), certificate: der })
    }

    fn sign(&self, names: &[&str], addresses: &[IpAddr]) -> Result<(Certificate, KeyPair), AuthorityError> {
        let first = names.first().ok_or(AuthorityError::NoName)?;
        let mut params = lasting(first, SERVER_LIFE)?;
        for name in names {
            let text = (*name).try_into().map_err(|_| AuthorityError::BadName((*name).to_owned()))?;
            ServerName::try_from(*name)
                .ok()
                .filter(|name| matches!(name, ServerName::DnsName(_)))
                .ok_or_else(|| AuthorityError::BadName((*name).to_owned()))?;
            params.subject_alt_names.push(SanType::DnsName(text));
        }
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // To other servers we are the client.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.issuer)?, key))
    }

    fn vouches_for(&self, identity: &Identity, names: &[&str], addresses: &[IpAddr]) -> bool {
        let Some(certificate) = identity.chain.first().and_then(|der| ParsedCertificate::try_from(der).ok())
        else {
            return false;
        };
        let Ok(trusted) = roots(std::slice::from_ref(&self.certificate)) else { return false };
        let algorithms = provider().signature_verification_algorithms.all;
        let lasts = |ahead: Duration| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let time = UnixTime::since_unix_epoch(since + ahead);
            verify_server_cert_signed_by_trust_anchor(&certificate, &trusted, &[], time, algorithms).is_ok()
        };
        let names = names.iter().map(|name| ServerName::try_from(*name).ok());
        let mut all = names.chain(addresses.iter().map(|address| Some(ServerName::from(*address))));
        let named = all.all(|name| name.is_some_and(|name| verify_server_name(&certificate, &name).is_ok()));
        named && lasts(Duration::ZERO) && lasts(RENEWAL)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn authority_params(name: &str) -> Result<CertificateParams, AuthorityError> {
    let mut params = lasting(name, AUTHORITY_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A certificate of that name, from yesterday on, with a random serial number.
fn lasting(name: &str, life: Duration) -> Result<CertificateParams, AuthorityError> {
    let now = SystemTime::now();
    let mut serial = [0; 16];
    let random = provider().secure_random;
    random.fill(&mut serial).map_err(|_| AuthorityError::Failed(rcgen::Error::RingUnspecified))?;
    // Positive, and as long as it looks (RFC 5280, 4.1.2.2).
    serial[0] = serial[0] & 0x3f | 0x40;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // No longer than the field may be (RFC 5280, appendix A).
    params.distinguished_name.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + life).into();
    Ok(params)
}

fn identity(certificate: &Certificate, key: &KeyPair) -> Identity {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Identity { chain: vec![certificate.der().clone()], key }
}

/// The common name in a subject, as we write it: UTF-8, shorter than 128 bytes.
fn common_name(subject: &[u8]) -> Option<&str> {
    /// id-at-commonName, and the tag of a UTF8String.
    const BEFORE: [u8; 6] = [0x06, 0x03, 0x55, 0x04, 0x03, 0x0c];
    let at = subject.windows(BEFORE.len()).position(|window| window == BEFORE)? + BEFORE.len();
    let (len, rest) = subject.get(at..)?.split_first()?;
    // Nothing may follow: we write no other part.
    if usize::from(*len) == rest.len() { std::str::from_utf8(rest).ok() } else { None }
}

/// Writes a file that is there whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), AuthorityError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}.new", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let written = write_new(&unfinished, text, mode).and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    let directory = path.parent().map(File::open);
    let kept = written.and_then(|()| directory.map_or(Ok(()), |directory| directory?.sync_all()));
    kept.map_err(|error| AuthorityError::File(path.to_owned(), error))
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthorityError::File(path, error) => write!(f, "can't use {}: {error}", path.display()),
            AuthorityError::Content(error) => error.fmt(f),
            AuthorityError::Foreign(path, why) => {
                let path = path.display();
                write!(f, "can't use {path} as our own authority: {why}; move it away and a new one is made")
            }
            AuthorityError::NoName => {
                f.write_str("can't make a certificate without a DNS name: some phones refuse addresses alone")
            }
            AuthorityError::BadName(name) => {
                write!(f, "can't make a certificate for {name:?}: it is no DNS name")
            }
            AuthorityError::Failed(error) => write!(f, "can't make a certificate: {error}"),
        }
    }
}

impl std::error::Error for AuthorityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AuthorityError::File(_, error) => Some(error),
            AuthorityError::Content(error) => Some(error),
            AuthorityError::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<TlsError> for AuthorityError {
    fn from(error: TlsError) -> AuthorityError {
        AuthorityError::Content(error)
    }
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> AuthorityError {
        AuthorityError::Failed(error)
    }
}
