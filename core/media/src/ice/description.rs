//! What the ends tell each other in their session descriptions: who they are to checks, and where (RFC 8839).

use carillon_wire::sdp::{Attribute, Media};

use super::candidate::Candidate;
use crate::random::Random;

/// The most candidates of a peer that are looked at.
pub(super) const MOST_CANDIDATES: usize = 32;

/// Letters and digits, `+` and `/`: what RFC 8839 calls ice-char. 64 of them, so that six bits choose one.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The short-term credential of one end: who answers a check with it has read the description.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `ice-ufrag`, 4 to 256 characters.
    pub ufrag: String,
    /// `ice-pwd`, 22 to 256 characters.
    pub password: String,
}

/// One end as the other knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// Of its checks and answers.
    pub credentials: Credentials,
    /// Where it may be reached.
    pub candidates: Vec<Candidate>,
    /// It answers checks and makes none (RFC 8445, 2.5).
    pub lite: bool,
}

/// What offer and answer came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Ours; others than before mean that everything begins anew (RFC 8445, 9).
    pub local: Credentials,
    /// The peer.
    pub remote: Description,
    /// Whether we choose the path: who offers does, unless the peer cannot.
    pub controlling: bool,
}

impl Credentials {
    /// New ones: 48 bits of name, 144 of password (RFC 8445, 5.3 asks for 24 and 128).
    pub fn new(random: &mut Random) -> Credentials {
        Credentials { ufrag: word::<8>(random), password: word::<24>(random) }
    }

    /// As a section has them, or the session around it.
    fn read(media: &Media<'_>) -> Option<Credentials> {
        let (ufrag, password) = media.ice_credentials()?;
        let valid = (4..=256).contains(&ufrag.len()) && (22..=256).contains(&password.len());
        valid.then(|| Credentials { ufrag: ufrag.to_owned(), password: password.to_owned() })
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

impl Description {
    /// Of a section that speaks ICE. Only candidates that `reachable` agrees to are kept, the first 32.
    pub(crate) fn read(media: &Media<'_>, reachable: impl Fn(&Candidate) -> bool) -> Option<Description> {
        let credentials = Credentials::read(media)?;
        let lines = media.candidates().filter_map(|line| Candidate::read(&line));
        let candidates = lines.filter(reachable).take(MOST_CANDIDATES).collect();
        Some(Description { credentials, candidates, lite: media.is_ice_lite() })
    }

    /// Lines of a section, without their ends, with those candidates that are wanted.
    pub(crate) fn lines(&self, wanted: impl Fn(&Candidate) -> bool) -> impl Iterator<Item = String> {
        let Credentials { ufrag, password } = &self.credentials;
        let candidates = self.candidates.iter().filter(move |candidate| wanted(candidate));
        [format!("a=ice-ufrag:{ufrag}"), format!("a=ice-pwd:{password}")]
            .into_iter()
            .chain(candidates.map(|candidate| format!("a={candidate}")))
    }
}

/// Whether the peer's end knows nothing of what was in between: an address of the section that is no candidate was put
/// there by somebody else (RFC 8839, 4.2.5).
pub(crate) fn is_mismatched(media: &Media<'_>, described: &Description) -> bool {
    let ip = media.connection().and_then(|connection| connection.ip).map(|ip| ip.to_canonical());
    !described
        .candidates
        .iter()
        .any(|candidate| Some(candidate.address.ip()) == ip && candidate.address.port() == media.port)
}

/// Whether a section names a mismatch: then ICE is not spoken.
pub(crate) fn tells_mismatch(media: &Media<'_>) -> bool {
    media.attributes().any(|attribute| matches!(attribute, Attribute::Other { name: b"ice-mismatch", .. }))
}

fn word<const N: usize>(random: &mut Random) -> String {
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte & 63)]);
    random.bytes::<N>().into_iter().map(letter).collect()
}
