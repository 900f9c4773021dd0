//! What a door has shown, in the words of the judgement.

use std::time::Duration;

use carillon_net::tls::{CertificateDer, is_for, is_made_by};
use carillon_qos::check::{Certificate, Facts, Legacy};
use carillon_server::CertificateFacts;
use std::net::SocketAddr;

use super::target::Expected;

/// From the chain that was shown; an error says why none was.
pub(super) fn seen(
    door: SocketAddr,
    expected: &Expected,
    legacy: Option<&str>,
    chain: Result<Vec<CertificateDer<'static>>, String>,
) -> Certificate {
    let first = chain.as_ref().ok().and_then(|chain| chain.first());
    let asked = |name: &str, first| Legacy { name: name.to_owned(), accepted: is_for(first, name) };
    let legacy = legacy.zip(first).map(|(name, first)| asked(name, first));
    let facts = chain.and_then(|chain| facts(&chain, expected.trusted.as_deref()));
    Certificate { door, side: expected.side, wanted: expected.name.clone(), facts, legacy }
}

pub(in crate::verb::edge) fn facts(
    chain: &[CertificateDer<'static>],
    trusted: Option<&[CertificateDer<'static>]>,
) -> Result<Facts, String> {
    let shown = CertificateFacts::of(chain.first().ok_or("none was shown")?);
    let ends = shown.ends().ok_or("it says not until when it holds")?;
    let common_name = shown.subject.split(", ").find_map(|part| part.strip_prefix("CN="));
    Ok(Facts {
        common_name: common_name.unwrap_or_default().to_owned(),
        // What ended before 1970 has ended.
        ends: Duration::from_secs(ends.try_into().unwrap_or_default()),
        names: shown.names,
        issuer: shown.issuer,
        key: shown.key,
        trusted: trusted.map(|trusted| is_made_by(chain, trusted)),
    })
}
