//! Servers that may connect: those with a certificate of certain authorities that is for one of certain names. That is decided
//! in the handshake, so that nobody else is ever heard.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

use crate::tls::{Identity, provider, roots};

/// For a server that hears only these. Nothing is resumed: who is no longer among them is refused at once.
///
/// # Errors
/// A name that is none, no authority at all, or what rustls refuses.
pub fn server_config_for(
    identity: &Identity,
    trusted: &[CertificateDer<'static>],
    names: &[String],
) -> Result<Arc<ServerConfig>, Error> {
    let names = names.iter().map(|name| ServerName::try_from(name.clone()));
    let names = names.collect::<Result<_, _>>().map_err(|error| Error::General(error.to_string()))?;
    let authorities = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(trusted)?), provider());
    let authorities = authorities.build().map_err(|error| Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(Arc::new(Named { authorities, names }))
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// What the authorities say, and then the name.
#[derive(Debug)]
struct Named {
    authorities: Arc<dyn ClientCertVerifier>,
    names: Vec<ServerName<'static>>,
}

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.authorities.verify_client_cert(certificate, intermediates, now)?;
        let certificate = ParsedCertificate::try_from(certificate)?;
        match self.names.iter().any(|name| verify_server_name(&certificate, name).is_ok()) {
            true => Ok(verified),
            false => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, ClientConnection, ServerConnection};

    use super::*;
    use crate::authority::Authority;

    /// Whether a server that hears only `sip.example.com` of this authority takes a client with that certificate.
    fn hears(authority: &Authority, client: Option<Identity>) -> bool {
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
        let ours = authority.issue(&["edge.example.com"], &[]).unwrap();
        let names = ["sip.example.com".to_owned()];
        let server = server_config_for(&ours, std::slice::from_ref(&root), &names).unwrap();
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.unwrap().with_root_certificates(roots(&[root]).unwrap());
        let client = match client {
            Some(identity) => builder.with_client_auth_cert(identity.chain, identity.key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let name = "edge.example.com".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        while server.is_handshaking() {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            client.write_tls(&mut there).unwrap();
            server.read_tls(&mut &there[..]).unwrap();
            if server.process_new_packets().is_err() {
                return false;
            }
            server.write_tls(&mut back).unwrap();
            client.read_tls(&mut &back[..]).unwrap();
            client.process_new_packets().unwrap();
        }
        true
    }

    #[test]
    fn only_a_certificate_of_the_authority_for_a_listed_name_is_heard() {
        let (ours, foreign) = (Authority::create("inside").unwrap(), Authority::create("other").unwrap());
        let of = |authority: &Authority, name| authority.issue(&[name], &[]).ok();
        assert!(hears(&ours, of(&ours, "sip.example.com")));
        assert!(!hears(&ours, of(&ours, "www.example.com")), "another name");
        assert!(!hears(&ours, of(&foreign, "sip.example.com")), "another authority");
        assert!(!hears(&ours, None), "no certificate");
    }
}
