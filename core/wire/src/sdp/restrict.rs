//! A copy of a description that asks for less: sections refused, formats left out, a limit on what is sent.
//!
//! What is not touched stays byte for byte, and so does the number of sections: answers match offers by position (RFC 3264, 6).

use super::{Attribute, Media, Session, text};

/// What becomes of one media section. The default leaves it as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Restriction {
    /// The section is refused: port 0, and nothing that asks for more.
    pub refused: bool,
    /// Payload types that are left out, with all that is said of them.
    pub without: Vec<u8>,
    /// The writer wants no more than this, in kilobits per second (`b=AS`).
    pub bandwidth: Option<u32>,
}

impl Session<'_> {
    /// The copy; `of` says for each section, in order, what becomes of it. Sections beyond those that are read stay as they are.
    pub fn restricted(&self, mut of: impl FnMut(&Media<'_>) -> Restriction) -> Vec<u8> {
        let sections: Vec<(Media<'_>, Restriction)> = self
            .media()
            .map(|media| {
                let restriction = of(&media);
                (media, restriction)
            })
            .collect();
        let refused: Vec<&str> = sections
            .iter()
            .filter(|(_, restriction)| restriction.refused)
            .filter_map(|(media, _)| media.mid())
            .collect();
        let mut out = Vec::with_capacity(self.raw.len() + 32);
        lines(self.head).for_each(|line| ungrouped(&mut out, line, &refused));
        let mut done = self.head.len();
        for (media, restriction) in &sections {
            section(&mut out, media, restriction);
            done += media.raw.len();
        }
        out.extend_from_slice(self.raw.get(done..).unwrap_or_default());
        out
    }
}

fn section(out: &mut Vec<u8>, media: &Media<'_>, restriction: &Restriction) {
    let mut lines = lines(media.raw);
    let first = lines.next().unwrap_or_default();
    if restriction.refused {
        headline(out, media, first, Some(0), &[]);
        // What is left names the section; `a=bundle-only` would make a refusal of none of it (RFC 9143, 6).
        return lines
            .filter(|line| line.starts_with(b"a=mid:") || line.starts_with(b"c="))
            .for_each(|line| out.extend_from_slice(line));
    }
    match restriction.without.as_slice() {
        [] => out.extend_from_slice(first),
        without => headline(out, media, first, None, without),
    }
    let mut limit = restriction.bandwidth;
    for line in lines {
        // RFC 8866, 5: bandwidth stands behind the connection, and before keys and attributes.
        if matches!(line.first(), Some(b'b' | b'k' | b'a')) {
            said(out, limit.take(), first);
        }
        let replaced = restriction.bandwidth.is_some() && is_bandwidth(line);
        if !replaced && !restriction.without.iter().any(|number| is_about(line, *number)) {
            out.extend_from_slice(line);
        }
    }
    said(out, limit, first);
}

/// The `m=` line, with another port or fewer formats. At least one format stays, as the grammar wants.
fn headline(out: &mut Vec<u8>, media: &Media<'_>, line: &[u8], port: Option<u16>, without: &[u8]) {
    let kept = |format: &&str| !format.parse().is_ok_and(|number: u8| without.contains(&number));
    let mut formats: Vec<&str> = media.formats().filter(kept).collect();
    if formats.is_empty() {
        formats.extend(media.formats().next());
    }
    let count = if media.count > 1 && port.is_none() { format!("/{}", media.count) } else { String::new() };
    let port = port.unwrap_or(media.port);
    let text = format!("m={} {port}{count} {} {}", media.kind, media.protocol, formats.join(" "));
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(ending(line));
}

fn said(out: &mut Vec<u8>, limit: Option<u32>, like: &[u8]) {
    if let Some(limit) = limit {
        // The last line of a description may have no end.
        if !out.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("b=AS:{limit}").as_bytes());
        out.extend_from_slice(ending(like));
    }
}

/// A line of the session: a group without the names of sections that are refused (RFC 9143, 7.2).
fn ungrouped(out: &mut Vec<u8>, line: &[u8], refused: &[&str]) {
    let names = line.strip_prefix(b"a=group:").and_then(text).map(str::trim_end);
    match names.filter(|names| names.split(' ').any(|name| refused.contains(&name))) {
        Some(names) => {
            let kept: Vec<&str> = names.split(' ').filter(|name| !refused.contains(name)).collect();
            out.extend_from_slice(format!("a=group:{}", kept.join(" ")).as_bytes());
            out.extend_from_slice(ending(line));
        }
        None => out.extend_from_slice(line),
    }
}

fn is_bandwidth(line: &[u8]) -> bool {
    line.starts_with(b"b=AS:") || line.starts_with(b"b=TIAS:")
}

/// Whether a line says something of this payload type alone.
fn is_about(line: &[u8], number: u8) -> bool {
    let Some(attribute) = line.strip_prefix(b"a=") else { return false };
    match Attribute::parse(attribute.trim_ascii_end()) {
        Attribute::Rtpmap(map) => map.payload_type == number,
        Attribute::Fmtp { format, .. } => format.parse() == Ok(number),
        Attribute::RtcpFb(_) => {
            let format =
                attribute.strip_prefix(b"rtcp-fb:").and_then(|rest| rest.split(|b| *b == b' ').next());
            format.and_then(text).and_then(|format| format.parse().ok()) == Some(number)
        }
        _ => false,
    }
}

/// Lines with their ends.
fn lines(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw.split_inclusive(|byte| *byte == b'\n')
}

fn ending(line: &[u8]) -> &[u8] {
    if line.ends_with(b"\r\n") || !line.ends_with(b"\n") { b"\r\n" } else { b"\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\na=group:BUNDLE a v\r\n\
        m=audio 5000 RTP/AVP 96 9 0 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\na=mid:a\r\n\
        m=video 5002/2 RTP/AVP 97\r\nb=AS:2000\r\na=rtpmap:97 H264/90000\r\na=rtcp-fb:97 nack\r\na=bundle-only\r\na=mid:v\r\n\
        m=application 5004 UDP/BFCP *\r\n";

    fn copy(of: impl FnMut(&Media<'_>) -> Restriction) -> String {
        let copy = Session::parse(OFFER.as_bytes()).unwrap().restricted(of);
        String::from_utf8(copy).unwrap()
    }

    #[test]
    fn what_is_not_restricted_stays_as_it_was() {
        assert_eq!(copy(|_| Restriction::default()), OFFER);
        let bare = "v=0\nm=audio 1 RTP/AVP 0";
        let session = Session::parse(bare.as_bytes()).unwrap();
        assert_eq!(session.restricted(|_| Restriction::default()), bare.as_bytes());
    }

    #[test]
    fn a_refused_section_keeps_its_place_and_leaves_its_group() {
        let refused = copy(|media| Restriction { refused: media.kind == "video", ..Restriction::default() });
        assert!(refused.contains("a=group:BUNDLE a\r\n"), "{refused}");
        assert!(refused.contains("m=video 0 RTP/AVP 97\r\na=mid:v\r\nm=application"), "{refused}");
        let session = Session::parse(refused.as_bytes()).unwrap();
        let sections: Vec<_> = session.media().map(|media| (media.kind, media.is_refused())).collect();
        assert_eq!(sections, [("audio", false), ("video", true), ("application", false)]);
    }

    #[test]
    fn formats_go_with_all_that_is_said_of_them() {
        let without = |media: &Media<'_>| match media.kind {
            "audio" => vec![9, 96],
            _ => Vec::new(),
        };
        let fewer = copy(|media| Restriction { without: without(media), ..Restriction::default() });
        assert!(
            fewer.contains("m=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=mid:a\r\n"),
            "{fewer}"
        );
        let none = copy(|_| Restriction { without: vec![97], ..Restriction::default() });
        assert!(
            none.contains("m=video 5002/2 RTP/AVP 97\r\nb=AS:2000\r\na=bundle-only"),
            "one stays: {none}"
        );
    }

    #[test]
    fn a_limit_stands_once_where_the_grammar_wants_it() {
        let limited = copy(|media| Restriction {
            bandwidth: (media.kind != "application").then_some(350),
            ..Restriction::default()
        });
        assert!(limited.contains("RTP/AVP 96 9 0 101\r\nb=AS:350\r\na=rtpmap:96"), "{limited}");
        assert!(limited.contains("RTP/AVP 97\r\nb=AS:350\r\na=rtpmap:97"), "{limited}");
        assert!(!limited.contains("2000"), "{limited}");
        let bare = Session::parse(b"v=0\nm=video 1 RTP/AVP 97\n").unwrap();
        let limited = bare.restricted(|_| Restriction { bandwidth: Some(1), ..Restriction::default() });
        assert_eq!(limited, b"v=0\nm=video 1 RTP/AVP 97\nb=AS:1\n");
        let open = Session::parse(b"v=0\r\nm=video 1 RTP/AVP 97").unwrap();
        let limited = open.restricted(|_| Restriction { bandwidth: Some(1), ..Restriction::default() });
        assert_eq!(limited, b"v=0\r\nm=video 1 RTP/AVP 97\r\nb=AS:1\r\n");
    }
}
