//! The header names that this crate knows, with their compact forms.
//!
//! A name becomes a small number once, at scanning; nothing compares header names as text after that.

macro_rules! names {
    ($($variant:ident $spelling:literal)*) => {
        /// A header name. All other names are [`Name::Other`] and are compared as text.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each is the header of that name")]
        pub enum Name { $($variant,)* Other }

        impl Name {
            /// Every known name, in the order of the alphabet.
            pub const KNOWN: &'static [Name] = &[$(Name::$variant),*];

            /// The usual long spelling; empty for [`Name::Other`].
            pub const fn as_str(self) -> &'static str {
                match self { $(Name::$variant => $spelling,)* Name::Other => "" }
            }
        }
    };
}

names! {
    Accept "Accept"
    AcceptContact "Accept-Contact"
    AcceptEncoding "Accept-Encoding"
    AcceptLanguage "Accept-Language"
    Allow "Allow"
    AllowEvents "Allow-Events"
    AuthenticationInfo "Authentication-Info"
    Authorization "Authorization"
    CallId "Call-ID"
    CallInfo "Call-Info"
    Contact "Contact"
    ContentDisposition "Content-Disposition"
    ContentEncoding "Content-Encoding"
    ContentLength "Content-Length"
    ContentType "Content-Type"
    CSeq "CSeq"
    Date "Date"
    Event "Event"
    Expires "Expires"
    From "From"
    Identity "Identity"
    MaxForwards "Max-Forwards"
    MimeVersion "MIME-Version"
    MinExpires "Min-Expires"
    MinSe "Min-SE"
    PAssertedIdentity "P-Asserted-Identity"
    PPreferredIdentity "P-Preferred-Identity"
    Path "Path"
    Privacy "Privacy"
    ProxyAuthenticate "Proxy-Authenticate"
    ProxyAuthorization "Proxy-Authorization"
    ProxyRequire "Proxy-Require"
    RAck "RAck"
    Reason "Reason"
    RecordRoute "Record-Route"
    ReferTo "Refer-To"
    ReferredBy "Referred-By"
    RejectContact "Reject-Contact"
    Replaces "Replaces"
    RequestDisposition "Request-Disposition"
    Require "Require"
    RetryAfter "Retry-After"
    Route "Route"
    RSeq "RSeq"
    Server "Server"
    ServiceRoute "Service-Route"
    SessionExpires "Session-Expires"
    SipEtag "SIP-ETag"
    SipIfMatch "SIP-If-Match"
    Subject "Subject"
    SubscriptionState "Subscription-State"
    Supported "Supported"
    TargetDialog "Target-Dialog"
    Timestamp "Timestamp"
    To "To"
    Unsupported "Unsupported"
    UserAgent "User-Agent"
    Via "Via"
    Warning "Warning"
    WwwAuthenticate "WWW-Authenticate"
}

impl Name {
    /// The name spelled `text`, long or compact, in any case.
    #[inline]
    pub fn of(text: &[u8]) -> Name {
        let (Some(&first), Some(&last)) = (text.first(), text.last()) else { return Name::Other };
        if text.len() == 1 {
            return compact(first | 0x20);
        }
        let candidate = BY_HASH[hash(text.len(), first, last)];
        let spelling = candidate.as_str().as_bytes();
        match text == spelling || text.eq_ignore_ascii_case(spelling) {
            true => candidate,
            false => Name::Other,
        }
    }

    /// This name's bit in a set of names.
    #[inline]
    pub(super) const fn bit(self) -> u64 {
        1 << (self as u8 & 63)
    }
}

/// Compact forms: RFC 3261, 3265, 3515, 3841, 3892, 4028, 4474.
const fn compact(letter: u8) -> Name {
    match letter {
        b'a' => Name::AcceptContact,
        b'b' => Name::ReferredBy,
        b'c' => Name::ContentType,
        b'd' => Name::RequestDisposition,
        b'e' => Name::ContentEncoding,
        b'f' => Name::From,
        b'i' => Name::CallId,
        b'j' => Name::RejectContact,
        b'k' => Name::Supported,
        b'l' => Name::ContentLength,
        b'm' => Name::Contact,
        b'o' => Name::Event,
        b'r' => Name::ReferTo,
        b's' => Name::Subject,
        b't' => Name::To,
        b'u' => Name::AllowEvents,
        b'v' => Name::Via,
        b'x' => Name::SessionExpires,
        b'y' => Name::Identity,
        _ => Name::Other,
    }
}

/// Spreads the known names over 256 places without a collision; [`places`] proves it when this compiles.
#[inline]
const fn hash(len: usize, first: u8, last: u8) -> usize {
    (len + (first | 0x20) as usize * 53 + (last | 0x20) as usize * 30) & 255
}

static BY_HASH: [Name; 256] = places();

const fn places() -> [Name; 256] {
    let mut table = [Name::Other; 256];
    let mut at = 0;
    while at < Name::KNOWN.len() {
        let text = Name::KNOWN[at].as_str().as_bytes();
        let place = hash(text.len(), text[0], text[text.len() - 1]);
        assert!(table[place] as u8 == Name::Other as u8, "two header names share a place");
        table[place] = Name::KNOWN[at];
        at += 1;
    }
    assert!(Name::KNOWN.len() < 64, "a set of names must fit 64 bits");
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case_and_no_other() {
        for &name in Name::KNOWN {
            assert_eq!(Name::of(name.as_str().as_bytes()), name);
            assert_eq!(Name::of(name.as_str().to_uppercase().as_bytes()), name);
            assert_eq!(Name::of(format!("{}x", name.as_str()).as_bytes()), Name::Other);
        }
        assert_eq!(Name::of(b"v"), Name::Via);
        assert_eq!(Name::of(b"K"), Name::Supported);
        assert_eq!(Name::of(b"z"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
        assert_eq!(Name::of(b"C%6Fntact"), Name::Other);
    }
}
