//! Servers of our own inside, by the name in the subject of their certificates where there is no other: pools of Edges have
//! been given such ones for long, with the name of the pool and no alternative names.
//!
//! Only for connections between own servers; to everybody else a certificate speaks by its alternative names (RFC 9525). And a
//! server may have to be several at once: [`client_config_where`].

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::tls::{Identity, is_for, provider, roots};

/// Reads the common name of a certificate without alternative names; nothing if it has some.
pub type CommonName = fn(&CertificateDer<'_>) -> Option<String>;

/// For a server that connects to another one of ours and proves itself with this identity.
///
/// # Errors
/// What rustls refuses.
pub fn client_config(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
    common_name: CommonName,
) -> Result<Arc<ClientConfig>, Error> {
    client_config_where(identity, trusted, move |certificate, name| is_ours(certificate, name, common_name))
}

/// The same, where `fits` says whether a certificate, which holds, is one for the name that was connected to.
///
/// # Errors
/// What rustls refuses.
pub fn client_config_where(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
    fits: impl Fn(&CertificateDer<'_>, &str) -> bool + Send + Sync + 'static,
) -> Result<Arc<ClientConfig>, Error> {
    let verifier = Judge { roots: roots(trusted)?, provider: provider(), fits: Fits(Box::new(fits)) };
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
    Ok(Arc::new(config))
}

/// Whether a certificate is for the name of one of our own servers. Whether it holds was decided before.
pub fn is_ours(certificate: &CertificateDer<'_>, name: &str, common_name: CommonName) -> bool {
    is_for(certificate, name) || common_name(certificate).is_some_and(|own| own.eq_ignore_ascii_case(name))
}

/// What webpki says, and then the name.
#[derive(Debug)]
struct Judge {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
    fits: Fits,
}

type Says = dyn Fn(&CertificateDer<'_>, &str) -> bool + Send + Sync;

struct Fits(Box<Says>);

impl fmt::Debug for Fits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fits")
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        match self.fits.0(certificate, &name.to_str()) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
