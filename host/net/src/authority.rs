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
    pem: String,
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
        let (params, key) = (authority_params(name)?, KeyPair::generate()?);
        let made = params.self_signed(&key)?;
        let (certificate, pem) = (made.der().clone(), made.pem());
        Ok(Authority { certificate, pem, issuer: Issuer::new(params, key) })
    }

    /// The one whose `ca.pem` and `ca.key` are in the directory; if there is neither, a new one, which is written
    /// there. Directories are made.
    pub fn open(directory: &Path, name: &str) -> Result<Authority, AuthorityError> {
        let (certificate, key) = (directory.join("ca.pem"), directory.join("ca.key"));
        if certificate.exists() {
            return Authority::load(&certificate, &key);
        }
        let authority = Authority::create(name)?;
        std::fs::create_dir_all(directory)
            .map_err(|error| AuthorityError::File(directory.to_owned(), error))?;
        // Only with `ca.pem` is it there: a key alone is one of a run that was cut short.
        write(&key, &authority.issuer.key().serialize_pem(), 0o600)?;
        write(&certificate, &authority.pem, 0o644)?;
        Ok(authority)
    }

    /// What phones have to trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The same as text, for `ca.pem`.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A new certificate for a server of these names and addresses. There must be a name: linphone refuses a
    /// certificate with addresses only.
    pub fn issue(&self, names: &[&str], addresses: &[IpAddr]) -> Result<Identity, AuthorityError> {
        let (certificate, key) = self.sign(names, addresses)?;
        Ok(identity(&certificate, &key))
    }

    /// A new identity for the servers of a pool: its name in the subject, and no alternative names. Only our own servers take it
    /// for that, see `common_name`.
    pub fn issue_to_pool(&self, name: &str) -> Result<Identity, AuthorityError> {
        let (certificate, key) = self.signed(lasting(name, SERVER_LIFE)?)?;
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
        match Identity::load(&chain, &key) {
            Ok(identity) if self.vouches_for(&identity, names, addresses) => return Ok(identity),
            _ => {}
        }
        let (made, made_key) = self.sign(names, addresses)?;
        write(&key, &made_key.serialize_pem(), 0o600)?;
        write(&chain, &made.pem(), 0o644)?;
        Ok(identity(&made, &made_key))
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
        let pem = std::fs::read_to_string(certificate)
            .map_err(|error| AuthorityError::File(certificate.to_owned(), error))?;
        Ok(Authority { issuer: Issuer::new(authority_params(name)?, pair), certificate: der, pem })
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
        self.signed(params)
    }

    fn signed(&self, mut params: CertificateParams) -> Result<(Certificate, KeyPair), AuthorityError> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ADDRESS: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)];

    /// A directory of a test, removed with it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = std::env::temp_dir().join(format!("carillon-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Directory(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_was_written_is_used_again_and_keys_are_private() {
        let directory = Directory::new("authority");
        let first = Authority::open(&directory.0, "Carillon of tests").unwrap();
        let identity = first.identity(&directory.0, &["sip.example.com"], &ADDRESS).unwrap();
        let again = Authority::open(&directory.0, "another name").unwrap();
        assert_eq!(again.certificate(), first.certificate());
        let same = again.identity(&directory.0, &["sip.example.com"], &ADDRESS).unwrap();
        assert_eq!(same.chain, identity.chain);
        for (name, mode) in
            [("ca.pem", 0o644), ("ca.key", 0o600), ("server.pem", 0o644), ("server.key", 0o600)]
        {
            let found = std::fs::metadata(directory.0.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found & !mode, 0, "{name}: {found:o}");
        }
        assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 4);
    }

    #[test]
    fn a_certificate_is_made_anew_when_it_does_not_serve() {
        let directory = Directory::new("renewal");
        let authority = Authority::open(&directory.0, "Carillon").unwrap();
        let of = |names: &[&str], addresses: &[IpAddr]| {
            authority.identity(&directory.0, names, addresses).unwrap()
        };
        let first = of(&["a.example.com"], &ADDRESS);
        assert_ne!(of(&["a.example.com", "b.example.com"], &ADDRESS).chain, first.chain, "another name");
        let second = of(&["b.example.com"], &[]);
        assert_eq!(second.chain, of(&["a.example.com"], &ADDRESS).chain, "it is for both names");
        let more = [ADDRESS[0], "192.0.2.1".parse().unwrap()];
        let third = of(&["a.example.com"], &more);
        assert_ne!(third.chain, second.chain, "another address");
        // The key of another certificate.
        write(&directory.0.join("server.key"), &KeyPair::generate().unwrap().serialize_pem(), 0o600).unwrap();
        assert_ne!(of(&["a.example.com"], &more).chain, third.chain);
        // Of another authority.
        let other = Authority::create("Carillon").unwrap();
        let before = of(&["a.example.com"], &more);
        assert_ne!(other.identity(&directory.0, &["a.example.com"], &more).unwrap().chain, before.chain);
    }

    #[test]
    fn a_certificate_that_ends_within_the_month_does_not_serve() {
        let authority = Authority::create("Carillon").unwrap();
        for (days, serves) in [(29, false), (31, true)] {
            let mut params = lasting("a.example.com", days * DAY).unwrap();
            params.subject_alt_names = vec![SanType::DnsName("a.example.com".try_into().unwrap())];
            let key = KeyPair::generate().unwrap();
            let made = identity(&params.signed_by(&key, &authority.issuer).unwrap(), &key);
            assert_eq!(authority.vouches_for(&made, &["a.example.com"], &[]), serves, "{days} days");
        }
    }

    #[test]
    fn files_that_are_not_ours_are_refused_with_the_reason() {
        let directory = Directory::new("foreign");
        Authority::open(&directory.0, "Carillon").unwrap();
        let told = || Authority::open(&directory.0, "Carillon").unwrap_err().to_string();
        let key = KeyPair::generate().unwrap();
        write(&directory.0.join("ca.key"), &key.serialize_pem(), 0o600).unwrap();
        assert!(
            told().ends_with("ca.key does not belong to it; move it away and a new one is made"),
            "{}",
            told()
        );
        write(&directory.0.join("ca.key"), "nothing", 0o600).unwrap();
        assert!(told().contains("it holds no private key"), "{}", told());
        std::fs::remove_file(directory.0.join("ca.key")).unwrap();
        assert!(told().contains("No such file"), "{}", told());
        write(&directory.0.join("ca.pem"), "nothing", 0o600).unwrap();
        assert!(told().contains("no certificate in it"), "{}", told());
    }

    #[test]
    fn names_that_no_certificate_may_have_are_refused() {
        let authority = Authority::create("Carillon").unwrap();
        assert!(matches!(authority.issue(&[], &ADDRESS), Err(AuthorityError::NoName)));
        for name in ["", "a b", "ü.example.com", "192.0.2.1", "a..b"] {
            let refused = authority.issue(&[name], &ADDRESS);
            assert!(matches!(refused, Err(AuthorityError::BadName(bad)) if bad == name), "{name:?}");
        }
    }

    #[test]
    fn a_name_is_found_only_in_a_subject_like_ours() {
        let written = b"\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02ab";
        assert_eq!(common_name(written), Some("ab"));
        assert_eq!(common_name(&written[..12]), None);
        assert_eq!(common_name(&[&written[..], b"x"].concat()), None);
        assert_eq!(common_name(b""), None);
    }
}
