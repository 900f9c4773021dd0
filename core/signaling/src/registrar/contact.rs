//! One Contact of a REGISTER.

use std::sync::Arc;

use carillon_wire::sip::{Address, Message, Name, Uri};

use super::Settings;
use crate::address;
use crate::contract::Binding;
use crate::reply::Reply;

/// Longest URI of a contact.
const MAX_URI: usize = 512;
/// Longest name of an instance.
const MAX_INSTANCE: usize = 128;
/// How keys begin that are made of an instance and a reg-id; a URI never does.
const INSTANCE: &str = "+sip.instance=";
/// What stands between the instance and its reg-id.
const REG_ID: &str = ";reg-id=";

/// What a phone asks for with one contact.
#[derive(Debug)]
pub(super) struct Contact<'a> {
    pub(super) text: &'a str,
    uri: Uri<'a>,
    /// Instance and reg-id as they are written back; then the binding is theirs, whatever the URI (RFC 5626, 6).
    pub(super) instance: Option<String>,
    /// Seconds granted; none: the binding is to be removed.
    pub(super) expires: Option<u32>,
    /// In thousandths.
    pub(super) q: u16,
}

impl<'a> Contact<'a> {
    pub(super) fn read(
        contact: &Address<'a>,
        request: &Message<&[u8]>,
        settings: &Settings,
    ) -> Result<Contact<'a>, Reply> {
        if contact.uri_text.len() > MAX_URI {
            return Err(Reply::new(400, "Contact Too Long"));
        }
        let text =
            std::str::from_utf8(contact.uri_text).map_err(|_| Reply::new(400, "Contact Is No Text"))?;
        let uri = contact.uri().map_err(|malformed| Reply::new(400, malformed.0))?;
        if !uri.is_sip() {
            return Err(Reply::new(400, "Contact Is No SIP URI"));
        }
        let said = contact.params.get("expires").or_else(|| request.get(Name::Expires));
        let expires =
            granted(said.map_or(settings.default_expires, |said| seconds(said, settings)), settings)?;
        let q = contact.params.get("q").and_then(thousandths).unwrap_or(1000);
        let outbound = request.values(Name::Supported).any(|option| option.eq_ignore_ascii_case(b"outbound"));
        let instance = instance(contact).filter(|_| outbound);
        Ok(Contact { text, uri, instance, expires, q })
    }

    /// Whether this contact means that binding. The URI that a binding began with means it for ever, whatever the URI has
    /// become since by steps of which each was a small one: so no two have the same key.
    pub(super) fn is(&self, binding: &Binding) -> bool {
        match &self.instance {
            Some(instance) => *binding.key == **instance,
            None => {
                let known = Uri::parse(binding.contact.as_bytes());
                let same = || known.is_ok_and(|known| address::same(&known, &self.uri));
                !is_instance(&binding.key) && (*binding.key == *self.text || same())
            }
        }
    }

    /// Key and URI of its binding, of the texts that `known` has already where they are the same.
    pub(super) fn texts(&self, known: Option<&Binding>) -> (Arc<str>, Arc<str>) {
        let same = known.map(|known| &known.contact).filter(|contact| ***contact == *self.text);
        let contact = same.map_or_else(|| Arc::from(self.text), Arc::clone);
        let key = match (known, &self.instance) {
            (Some(known), _) => Arc::clone(&known.key),
            (None, Some(instance)) => Arc::from(instance.as_str()),
            (None, None) => Arc::clone(&contact),
        };
        (key, contact)
    }
}

/// Whether a binding's key is made of an instance and a reg-id.
pub(super) fn is_instance(key: &str) -> bool {
    key.starts_with(INSTANCE)
}

/// Whether two bindings are flows to the same phone: of one instance, by different reg-ids.
pub(crate) fn is_same_phone(one: &Binding, other: &Binding) -> bool {
    let instances = [one, other].map(|binding| binding.key.rsplit_once(REG_ID).map(|(instance, _)| instance));
    matches!(instances, [Some(one), Some(other)] if one == other && is_instance(one))
}

/// `None`: remove. Too brief a time is refused (RFC 3261, 10.3, step 7).
fn granted(asked: u32, settings: &Settings) -> Result<Option<u32>, Reply> {
    let (min, max) = settings.expires.clone().into_inner();
    match asked {
        0 => Ok(None),
        _ if asked < min => Err(Reply::new(423, "Interval Too Brief").field("Min-Expires", min.to_string())),
        _ => Ok(Some(asked.min(max))),
    }
}

/// More than a number can hold is long, and what is no number is as if nothing was said.
fn seconds(text: &[u8], settings: &Settings) -> u32 {
    match std::str::from_utf8(text) {
        Ok(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().unwrap_or(u32::MAX)
        }
        _ => settings.default_expires,
    }
}

/// `0`, `0.7`, `1.000` (RFC 3261, 25.1, qvalue).
fn thousandths(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) || !matches!(whole, "0" | "1") {
        return None;
    }
    let value = whole.parse::<u16>().ok()? * 1000 + format!("{part:0<3}").parse::<u16>().ok()?;
    (value <= 1000).then_some(value)
}

/// The URN of the instance stands between angle brackets inside quotes.
fn instance(contact: &Address<'_>) -> Option<String> {
    let urn = std::str::from_utf8(contact.params.get("+sip.instance")?).ok()?;
    let plain = urn.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
    let reg_id: u32 = std::str::from_utf8(contact.params.get("reg-id")?).ok()?.parse().ok()?;
    (plain && !urn.is_empty() && urn.len() <= MAX_INSTANCE && reg_id > 0)
        .then(|| format!("{INSTANCE}\"{urn}\"{REG_ID}{reg_id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_in_thousandths() {
        let q = |text: &str| thousandths(text.as_bytes());
        assert_eq!(["0", "1", "0.7", "0.05", "1.000", "0."].map(q), [0, 1000, 700, 50, 1000, 0].map(Some));
        assert_eq!(["", "2", "1.1", "0.1234", "-1", "0.x", ".5", "1.001"].map(q), [None; 8]);
    }
}
