//! Session descriptions.

use carillon_wire::sdp::{Attribute, CandidateKind, Media, Restriction, Session};

/// A description. Every text handed out lies inside it; what is repeated is bounded by its length.
pub fn sdp(data: &[u8]) {
    let Some(session) = Session::parse(data) else { return };
    let inside = Inside(data);
    assert_eq!(session.raw, data);
    for line in session.lines() {
        inside.holds(line.value);
    }
    if let Some(origin) = session.origin() {
        inside.all(&[origin.user, origin.id, origin.version, origin.address]);
    }
    session.attributes().for_each(|attribute| attribute_lies_in(&inside, attribute));
    assert!(session.bundles().flat_map(|group| group.mids()).count() <= data.len());
    let mut end = 0;
    for media in session.media() {
        let at = inside.holds(media.raw);
        assert!(at >= end && media.raw.starts_with(b"m="), "sections follow each other");
        end = at + media.raw.len();
        section(&inside, &media);
    }
    assert!(session.media().count() <= 128);
    restricted(&session);
}

/// A copy has what was asked for, where it was, and is read again.
fn restricted(session: &Session<'_>) {
    assert_eq!(session.restricted(|_| Restriction::default()), session.raw);
    let refused = session.restricted(|_| Restriction { refused: true, ..Restriction::default() });
    let copy =
        Session::parse(&refused).map(|copy| copy.media().map(|media| media.is_refused()).collect::<Vec<_>>());
    assert_eq!(copy, Some(vec![true; session.media().count()]));
    let limit =
        |_: &Media<'_>| Restriction { without: vec![0, 96], bandwidth: Some(64), ..Restriction::default() };
    let limited = session.restricted(limit);
    let Some(copy) = Session::parse(&limited) else { panic!("no description any more") };
    assert_eq!(copy.media().count(), session.media().count());
    assert!(copy.media().all(|media| media.bandwidth() == Some(64)), "{}", String::from_utf8_lossy(&limited));
}

fn section(inside: &Inside<'_>, media: &Media<'_>) {
    inside.all(&[media.kind, media.protocol, media.format_list]);
    inside.all(media.mid().as_slice());
    let (lines, len) = (media.lines().count(), media.raw.len());
    assert!(lines * 2 <= len && media.formats().count() <= len);
    assert!(media.candidates().count() + media.ssrcs().count() <= media.attributes().count());
    media.attributes().for_each(|attribute| attribute_lies_in(inside, attribute));
    assert!(media.codecs().count() <= 128);
    for (number, codec) in media.codecs() {
        assert_eq!(media.codec(number), Some(codec));
    }
    if let Some(connection) = media.connection() {
        inside.all(&[connection.address]);
    }
    let (rtcp, _) = media.rtcp();
    assert!(!media.is_muxed() || rtcp == media.port);
    assert!(media.port == 0 || !media.is_refused());
    let _ = media.direction();
}

fn attribute_lies_in(inside: &Inside<'_>, attribute: Attribute<'_>) {
    match attribute {
        Attribute::Rtpmap(map) => inside.all(&[map.name]),
        Attribute::Fmtp { format, params } => inside.all(&[format, params]),
        Attribute::RtcpFb(feedback) => inside.all(&[feedback.value]),
        Attribute::Ssrc(ssrc) => inside.all(&[ssrc.attribute, ssrc.value]),
        Attribute::Candidate(candidate) => {
            inside.all(&[candidate.foundation, candidate.transport, candidate.address, candidate.extensions]);
            if let CandidateKind::Other(word) = candidate.kind {
                inside.all(&[word]);
            }
        }
        Attribute::IceUfrag(text) | Attribute::IcePwd(text) | Attribute::Mid(text) => inside.all(&[text]),
        Attribute::Setup(text) | Attribute::Label(text) | Attribute::Content(text) => inside.all(&[text]),
        Attribute::Group(group) => inside.all(&group.mids().chain([group.semantics]).collect::<Vec<_>>()),
        Attribute::Crypto(crypto) => inside.all(&[crypto.suite, crypto.keys]),
        Attribute::Fingerprint(fingerprint) => inside.all(&[fingerprint.hash, fingerprint.value]),
        Attribute::Other { name, value } => {
            inside.holds(name);
            inside.holds(value.unwrap_or_default());
        }
        Attribute::Rtcp(_) | Attribute::RtcpMux | Attribute::Direction(_) => {}
        Attribute::Ptime(_) | Attribute::MaxPtime(_) => {}
    }
}

/// The bytes that everything must lie in.
struct Inside<'a>(&'a [u8]);

impl Inside<'_> {
    /// Where a part begins; an empty part may be no part.
    fn holds(&self, part: &[u8]) -> usize {
        let (whole, start) = (self.0.as_ptr_range(), part.as_ptr_range());
        assert!(part.is_empty() || (whole.start <= start.start && start.end <= whole.end));
        (start.start as usize).saturating_sub(whole.start as usize)
    }

    fn all(&self, parts: &[&str]) {
        for part in parts {
            self.holds(part.as_bytes());
        }
    }
}
