//! Addresses of record, and when two URIs are the same.

use carillon_wire::sip::{Host, Params, Scheme, Uri, unescape};

/// Longest address of record.
const MAX_AOR: usize = 256;

/// The address of record that a SIP or SIPS URI means: `alice@example.com`, without escapes and in lower case.
/// `None` if the URI has no user, is no text, or is longer than any user's.
pub(crate) fn aor(uri: &Uri<'_>) -> Option<String> {
    let (user, host) = (uri.user?, uri.host?);
    if !uri.is_sip() || user.len() > MAX_AOR {
        return None;
    }
    let user = String::from_utf8(unescape(user).collect()).ok()?;
    let aor = format!("{user}@{host}").to_lowercase();
    let readable = !user.contains('@') && !aor.chars().any(|c| c.is_control() || c.is_whitespace());
    (readable && aor.len() <= MAX_AOR).then_some(aor)
}

/// Whether a URI is what a caller writes who does not want to be known (RFC 3323, 4.1.1.3), or with a domain behind it.
pub(crate) fn is_anonymous(uri: &Uri<'_>) -> bool {
    let user = |user: &[u8]| user.eq_ignore_ascii_case(b"anonymous");
    let host = |host| matches!(host, Host::Name(name) if name.eq_ignore_ascii_case(b"anonymous.invalid"));
    uri.is_sip() && (uri.user.is_some_and(user) || uri.host.is_some_and(host))
}

/// Whether two URIs are the same (RFC 3261, 19.1.4), except that headers must be written alike.
pub(crate) fn same(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    if !a.is_sip() || !b.is_sip() {
        return a.raw == b.raw;
    }
    matches!(a.scheme, Scheme::Sip) == matches!(b.scheme, Scheme::Sip)
        && same_text(a.user, b.user)
        && same_text(a.password, b.password)
        && same_host(a.host, b.host)
        && a.port == b.port
        && a.headers == b.headers
        && same_params(a.params, b.params)
        && same_params(b.params, a.params)
}

fn same_text(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => unescape(a).eq(unescape(b)),
        (None, None) => true,
        _ => false,
    }
}

fn same_host(a: Option<Host<'_>>, b: Option<Host<'_>>) -> bool {
    match (a, b) {
        (Some(Host::Name(a)), Some(Host::Name(b))) => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

/// Parameters that both have must agree; these must be in both or in none.
fn same_params(a: Params<'_>, b: Params<'_>) -> bool {
    a.iter().filter_map(Result::ok).all(|param| {
        let name = String::from_utf8_lossy(param.name);
        let decisive =
            ["user", "ttl", "method", "maddr", "transport"].iter().any(|d| d.eq_ignore_ascii_case(&name));
        match (b.get(&name), param.value) {
            (Some(theirs), ours) => {
                let low = |text| unescape(text).map(|byte| byte.to_ascii_lowercase());
                low(theirs).eq(low(ours.unwrap_or_default()))
            }
            (None, _) => !decisive,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap()
    }

    /// RFC 3261, 19.1.4, with its examples.
    #[test]
    fn uris_are_compared_as_the_rfc_says() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            ("sip:alice@[2001:db8::1]", "sip:alice@[2001:DB8:0::1]"),
        ] {
            assert!(same(&uri(a), &uri(b)) && same(&uri(b), &uri(a)), "{a} {b}");
        }
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;newparam=6"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:bob:x@biloxi.com", "sip:bob@biloxi.com"),
        ] {
            assert!(!same(&uri(a), &uri(b)) && !same(&uri(b), &uri(a)), "{a} {b}");
        }
    }

    #[test]
    fn an_address_of_record_has_no_escapes_and_no_capitals() {
        assert_eq!(
            aor(&uri("sips:%41lice@Example.COM:5061;transport=tls")).as_deref(),
            Some("alice@example.com")
        );
        let long = format!("sip:{}@b", "a".repeat(300));
        for text in
            ["sip:example.com", "tel:+49123", "sip:a%00b@c", "sip:a%40b@c", "sip:a%20b@c", "sip:%ff@c", &long]
        {
            assert_eq!(aor(&uri(text)), None, "{text}");
        }
    }
}
