//! SIP, SIPS and tel URIs (RFC 3261, 19.1; RFC 3966); any other scheme is kept whole.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lex::{HOST, Params, URI, all, number, split_once, trim};
use super::outcome::Malformed;

/// The scheme of a URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme<'a> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other, as written.
    Other(&'a [u8]),
}

/// A host in a URI or a Via.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host<'a> {
    /// A domain name, as written.
    Name(&'a [u8]),
    /// An address; IPv6 was written in brackets.
    Ip(IpAddr),
}

impl Host<'_> {
    /// The address, if it is one.
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Host::Ip(ip) => Some(ip),
            Host::Name(_) => None,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(&String::from_utf8_lossy(name)),
            Host::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// A URI, taken apart but not unescaped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uri<'a> {
    /// The whole text.
    pub raw: &'a [u8],
    /// Its scheme.
    pub scheme: Scheme<'a>,
    /// User part without the password, with its own parameters if it has some. The number of a `tel:` URI,
    /// all that follows the scheme of an unknown one.
    pub user: Option<&'a [u8]>,
    /// Password (RFC 3261 advises against it).
    pub password: Option<&'a [u8]>,
    /// Host of a SIP or SIPS URI.
    pub host: Option<Host<'a>>,
    /// Port, if written.
    pub port: Option<u16>,
    /// Parameters of the URI.
    pub params: Params<'a>,
    /// What follows the question mark.
    pub headers: &'a [u8],
}

const MALFORMED: Malformed = Malformed("Malformed URI");

impl<'a> Uri<'a> {
    /// Reads a URI; `raw` must hold nothing else.
    #[inline]
    pub fn parse(raw: &'a [u8]) -> Result<Uri<'a>, Malformed> {
        let (scheme, rest) = split_once(raw, b':').ok_or(MALFORMED)?;
        let scheme = Scheme::of(scheme).ok_or(MALFORMED)?;
        if !all(rest, URI) {
            return Err(MALFORMED);
        }
        match scheme {
            Scheme::Sip | Scheme::Sips => sip_uri(raw, scheme, rest).ok_or(MALFORMED),
            Scheme::Tel => {
                let (number, params) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
                Ok(Uri { user: Some(number), params: Params(params), ..Uri::opaque(raw, scheme) })
            }
            Scheme::Other(_) => Ok(Uri { user: Some(rest), ..Uri::opaque(raw, scheme) }),
        }
    }

    /// Whether the scheme is `sip` or `sips`.
    pub const fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    const fn opaque(raw: &'a [u8], scheme: Scheme<'a>) -> Uri<'a> {
        let params = Params(&[]);
        Uri { raw, scheme, user: None, password: None, host: None, port: None, params, headers: &[] }
    }
}

impl<'a> Scheme<'a> {
    #[inline]
    fn of(text: &'a [u8]) -> Option<Scheme<'a>> {
        match text {
            b"sip" => return Some(Scheme::Sip),
            b"sips" => return Some(Scheme::Sips),
            _ if text.eq_ignore_ascii_case(b"sip") => return Some(Scheme::Sip),
            _ if text.eq_ignore_ascii_case(b"sips") => return Some(Scheme::Sips),
            _ if text.eq_ignore_ascii_case(b"tel") => return Some(Scheme::Tel),
            _ => {}
        }
        let follows = |&b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let valid = text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().all(follows);
        valid.then_some(Scheme::Other(text))
    }
}

/// The user part may hold `;` and `?`, so the `@` is looked for first; it is legal nowhere else.
#[inline]
fn sip_uri<'a>(raw: &'a [u8], scheme: Scheme<'a>, rest: &'a [u8]) -> Option<Uri<'a>> {
    let (userinfo, rest) = match split_once(rest, b'@') {
        Some((userinfo, rest)) => (Some(userinfo), rest),
        None => (None, rest),
    };
    let (rest, headers) = split_once(rest, b'?').unwrap_or((rest, &[]));
    let (host, params) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
    let (host, port) = host_port(host)?;
    let (user, password) = match userinfo.map(|info| split_once(info, b':').ok_or(info)) {
        Some(Ok((user, password))) => (Some(user), Some(password)),
        Some(Err(user)) => (Some(user), None),
        None => (None, None),
    };
    let params = Params(params);
    if user.is_some_and(<[u8]>::is_empty) || params.iter().any(|p| p.is_err()) {
        return None;
    }
    Some(Uri { raw, scheme, user, password, host: Some(host), port, params, headers })
}

/// A host and perhaps a port, with white space around the colon as a Via may have it.
#[inline]
pub(super) fn host_port(text: &[u8]) -> Option<(Host<'_>, Option<u16>)> {
    let (host, port) = match text {
        [b'[', rest @ ..] => {
            let (inside, after) = split_once(rest, b']')?;
            let after = trim(after);
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(b":")?) };
            (Host::Ip(IpAddr::V6(ipv6(inside)?)), port)
        }
        _ => match split_once(text, b':') {
            Some((host, port)) => (name_or_ipv4(trim(host))?, Some(port)),
            None => (name_or_ipv4(text)?, None),
        },
    };
    match port {
        Some(port) => Some((host, Some(number(trim(port), 65535)? as u16))),
        None => Some((host, None)),
    }
}

#[inline]
fn name_or_ipv4(text: &[u8]) -> Option<Host<'_>> {
    if !all(text, HOST) {
        return None;
    }
    let address = match text.last() {
        Some(b'0'..=b'9') => std::str::from_utf8(text).ok()?.parse::<Ipv4Addr>().ok(),
        _ => None,
    };
    Some(address.map_or(Host::Name(text), |ip| Host::Ip(IpAddr::V4(ip))))
}

/// An IPv6 address; `:::` counts as `::` (RFC 5118, 4.10: RFC 3261's grammar made some write it).
pub(super) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let text = std::str::from_utf8(text).ok()?;
    match text.split_once(":::") {
        None => text.parse().ok(),
        Some((before, after)) => {
            let mut fixed = [0u8; 48];
            let len = before.len() + 2 + after.len();
            fixed.get_mut(..before.len())?.copy_from_slice(before.as_bytes());
            fixed.get_mut(before.len()..before.len() + 2)?.copy_from_slice(b"::");
            fixed.get_mut(before.len() + 2..len)?.copy_from_slice(after.as_bytes());
            std::str::from_utf8(fixed.get(..len)?).ok()?.parse().ok()
        }
    }
}

/// An address as parameters hold it: IPv4, or IPv6 with or without brackets.
pub(super) fn ip(text: &[u8]) -> Option<IpAddr> {
    let bare = text.strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")).unwrap_or(text);
    match bare.contains(&b':') {
        true => ipv6(bare).map(IpAddr::V6),
        false => name_or_ipv4(bare)?.ip(),
    }
}

/// The text with its `%XX` escapes resolved, byte by byte; a `%` that begins no escape stays.
pub fn unescape(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        let hex = |b: Option<&u8>| char::from(*b?).to_digit(16);
        if first == b'%'
            && let (Some(high), Some(low)) = (hex(after.first()), hex(after.get(1)))
        {
            rest = after.get(2..).unwrap_or_default();
            return Some((high * 16 + low) as u8);
        }
        rest = after;
        Some(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn all_parts_are_found() {
        let u = uri("sips:alice;x=y:secret@atlanta.example.com:5061;transport=tcp;lr?subject=a&to=b");
        assert_eq!(u.scheme, Scheme::Sips);
        assert_eq!(u.user, Some(&b"alice;x=y"[..]));
        assert_eq!(u.password, Some(&b"secret"[..]));
        assert_eq!(u.host, Some(Host::Name(b"atlanta.example.com")));
        assert_eq!(u.port, Some(5061));
        assert_eq!(u.params.get("Transport"), Some(&b"tcp"[..]));
        assert_eq!(u.params.get("lr"), Some(&b""[..]));
        assert_eq!(u.headers, b"subject=a&to=b");
    }

    #[test]
    fn a_port_outside_the_brackets_is_a_port_and_inside_is_not() {
        let ambiguous = uri("sip:[2001:db8::10:5070]");
        assert_eq!(
            (ambiguous.host.and_then(Host::ip), ambiguous.port),
            ("2001:db8::10:5070".parse().ok(), None)
        );
        let clear = uri("sip:[2001:db8::10]:5070");
        assert_eq!((clear.host.and_then(Host::ip), clear.port), ("2001:db8::10".parse().ok(), Some(5070)));
        assert_eq!(
            uri("sip:a@[2001:db8:::192.0.2.1]").host.map(|h| h.to_string()),
            Some("[2001:db8::c000:201]".into())
        );
    }

    #[test]
    fn tel_and_unknown_schemes_are_kept() {
        let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
        assert_eq!((tel.scheme, tel.user), (Scheme::Tel, Some(&b"+1-201-555-0123"[..])));
        assert_eq!(tel.params.get("phone-context"), Some(&b"example.com"[..]));
        let other = uri("soap.beep://192.0.2.103:3002");
        assert_eq!((other.scheme, other.is_sip()), (Scheme::Other(b"soap.beep"), false));
    }

    #[test]
    fn malformed_uris_are_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            "<sip:a@b>",
            "sip:2001:db8::10",
            "sip:a b@c",
            "sip:@c",
            "sip:a@",
            "sip:a@b:",
            "sip:a@b:65536",
            "sip:a@[2001:db8::1",
            "sip:a@[::1]x",
            "sip:a@b@c",
            "sip:a@b;;lr",
            "1sip:a",
            "sip:a@b;x=",
            "sip:[1::2:::3::4]",
            ":a",
        ] {
            assert_eq!(Uri::parse(text.as_bytes()), Err(MALFORMED), "{text}");
        }
    }

    #[test]
    fn escapes_are_resolved_and_other_percents_kept() {
        assert_eq!(unescape(b"u%40ex%00%Z%4").collect::<Vec<_>>(), b"u@ex\0%Z%4");
    }

    #[test]
    fn overlong_triple_colons_do_not_panic() {
        assert_eq!(ipv6(&[b"1:::".as_slice(), &[b'2'; 60]].concat()), None);
    }
}
