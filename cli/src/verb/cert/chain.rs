//! A chain from files.

use std::path::PathBuf;

use carillon_net::tls::read_certificates;
use carillon_qos::trust::{Certificate, Signature};
use carillon_server::CertificateFacts;

use crate::answer::Failure;

/// The certificates, and the bytes of each.
pub(super) struct Chain {
    pub(super) certificates: Vec<Certificate>,
    pub(super) bytes: Vec<Vec<u8>>,
}

impl Chain {
    /// All certificates of all files, in their order.
    pub(super) fn read(files: &[PathBuf]) -> Result<Chain, Failure> {
        let mut chain = Chain { certificates: Vec::new(), bytes: Vec::new() };
        for file in files {
            for found in read_certificates(file).map_err(|error| Failure::Message(error.to_string()))? {
                let facts = CertificateFacts::of(&found);
                let certificate = certificate(&facts).ok_or_else(|| {
                    let attempt = format!("cannot read a certificate in `{}`", file.display());
                    Failure::new(attempt, "it says not whose it is, or until when it holds")
                })?;
                chain.certificates.push(certificate);
                chain.bytes.push(found.to_vec());
            }
        }
        Ok(chain)
    }

    /// Their thumbprints.
    pub(super) fn thumbprints(self) -> Vec<String> {
        self.certificates.into_iter().map(|certificate| certificate.thumbprint).collect()
    }
}

fn certificate(facts: &CertificateFacts) -> Option<Certificate> {
    let hash = facts.signature.strip_suffix("RSA");
    Some(Certificate {
        subject: Some(&facts.subject).filter(|subject| !subject.is_empty())?.clone(),
        issuer: facts.issuer.clone(),
        thumbprint: facts.thumbprint.clone(),
        begins: facts.begins()?,
        ends: facts.ends()?,
        signature: hash.and_then(Signature::from_word),
        bits: facts.bits,
    })
}
