//! What an entry says of a user: address, number, name, and whether it may sign in. What is too long or no text is left out.

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use ldap3_proto::proto::LdapOp;
use ldap3_proto::{LdapPartialAttribute, LdapSearchResultEntry};
use tokio_util::codec::Decoder;

use super::conversation::codec;
use super::dn::DistinguishedName;
use crate::config::DirectoryAttributes;

/// The longest name of an entry, and the longest value that is read, in bytes.
const LONGEST_DN: usize = 2048;
const LONGEST_VALUE: usize = 512;
/// Values of one attribute that are looked at.
const VALUES: usize = 64;
/// Set in `userAccountControl` of who may not sign in.
const ACCOUNT_DISABLED: u32 = 2;
/// In `pwdAccountLockedTime` of whom an administrator has locked for good.
const LOCKED_FOR_GOOD: &str = "000001010000Z";

/// Attributes that say whether somebody may sign in, in whatever directory.
pub(super) const STATES: [&str; 3] = ["userAccountControl", "pwdAccountLockedTime", "nsAccountLock"];

/// Somebody in the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Names the entry for ever.
    pub id: String,
    /// What it is called now.
    pub dn: String,
    /// Its addresses, the best first: `alice@example.com`.
    pub addresses: Vec<String>,
    /// Its numbers as people write them, the best first.
    pub numbers: Vec<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Whether it may not sign in.
    pub disabled: bool,
}

/// Reads one message of a directory as what is said of a user, if it is that.
pub fn read_message(bytes: &[u8], attributes: &DirectoryAttributes) -> Option<Found> {
    match codec().decode(&mut BytesMut::from(bytes)).ok()??.op {
        LdapOp::SearchResultEntry(entry) => found(&entry, attributes),
        _ => None,
    }
}

/// Who this entry is; `None` if it has no name that stays.
pub(super) fn found(entry: &LdapSearchResultEntry, attributes: &DirectoryAttributes) -> Option<Found> {
    let values = Values::of(&entry.attributes);
    let id = values.all(&attributes.id).next().map(identifier).filter(|id| !id.is_empty())?;
    if entry.dn.is_empty() || entry.dn.len() > LONGEST_DN {
        return None;
    }
    let texts = |names: &[String]| -> Vec<String> {
        names.iter().flat_map(|name| values.texts(name)).map(str::to_owned).collect()
    };
    let addresses = attributes.address.iter().flat_map(|name| values.texts(name).filter_map(address));
    Some(Found {
        id,
        dn: entry.dn.clone(),
        addresses: addresses.collect(),
        numbers: texts(&attributes.number).iter().filter_map(|text| number(text)).collect(),
        name: texts(std::slice::from_ref(&attributes.display)).into_iter().next(),
        disabled: is_disabled(&values),
    })
}

/// The members of a group.
pub(super) fn members(entry: &LdapSearchResultEntry) -> BTreeSet<DistinguishedName> {
    let all = entry.attributes.iter().filter(|attribute| is_named(attribute, "member"));
    let names = all.flat_map(|attribute| &attribute.vals).filter_map(|value| std::str::from_utf8(value).ok());
    names.filter_map(DistinguishedName::parse).collect()
}

/// Attributes by their names in lower case.
struct Values<'a>(BTreeMap<String, &'a [Vec<u8>]>);

impl<'a> Values<'a> {
    fn of(attributes: &'a [LdapPartialAttribute]) -> Values<'a> {
        let named = |attribute: &'a LdapPartialAttribute| (attribute.atype.to_lowercase(), &*attribute.vals);
        Values(attributes.iter().map(named).collect())
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let values = self.0.get(&name.to_lowercase()).copied().unwrap_or_default();
        values.iter().take(VALUES).map(Vec::as_slice).filter(|value| value.len() <= LONGEST_VALUE)
    }

    fn texts(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let texts = self.all(name).filter_map(|value| std::str::from_utf8(value).ok()).map(str::trim);
        texts.filter(|text| !text.is_empty() && !text.chars().any(char::is_control))
    }
}

fn is_named(attribute: &LdapPartialAttribute, name: &str) -> bool {
    // Active Directory gives a part of a large group as `member;range=0-1499`.
    attribute.atype.split(';').next().is_some_and(|base| base.eq_ignore_ascii_case(name))
}

/// A UUID as text stays as it is; what is no text, like an objectGUID, is written in hexadecimal.
fn identifier(value: &[u8]) -> String {
    let text = std::str::from_utf8(value).ok().filter(|text| text.chars().all(|c| c.is_ascii_graphic()));
    text.map_or_else(|| value.iter().map(|byte| format!("{byte:02x}")).collect(), str::to_owned)
}

/// `sip:alice@example.com` and `alice@example.com`, but no address of another scheme, as `SMTP:` in proxyAddresses.
fn address(value: &str) -> Option<String> {
    let bare = match value.split_once(':') {
        Some((scheme, rest)) => Some(rest).filter(|_| scheme.eq_ignore_ascii_case("sip")),
        None => Some(value),
    };
    bare.filter(|bare| bare.contains('@')).map(str::to_lowercase)
}

/// `+49 30 1234`, and `tel:+49301234;ext=7` as Lync writes it. What has no + is dialled and no number.
fn number(value: &str) -> Option<String> {
    let bare = value
        .split_once(':')
        .map_or(value, |(scheme, rest)| if scheme.eq_ignore_ascii_case("tel") { rest } else { value });
    let bare = bare.split(';').next().unwrap_or(bare).trim();
    bare.starts_with('+').then(|| bare.to_owned())
}

fn is_disabled(values: &Values<'_>) -> bool {
    let [control, locked, lock] = STATES.map(|name| values.texts(name).next());
    let control = control.and_then(|text| text.parse::<i32>().ok()).map(i32::cast_unsigned);
    control.is_some_and(|flags| flags & ACCOUNT_DISABLED != 0)
        || locked == Some(LOCKED_FOR_GOOD)
        || lock.is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attributes: &[(&str, &[&[u8]])]) -> LdapSearchResultEntry {
        let attribute = |(name, values): &(&str, &[&[u8]])| LdapPartialAttribute {
            atype: (*name).to_owned(),
            vals: values.iter().map(|value| value.to_vec()).collect(),
        };
        let attributes = attributes.iter().map(attribute).collect();
        LdapSearchResultEntry { dn: "CN=Alice,DC=example,DC=com".to_owned(), attributes }
    }

    #[test]
    fn who_is_in_active_directory_has_the_address_of_sip_and_the_line_first() {
        let alice = entry(&[
            ("objectGUID", &[&[0xde, 0xad, 0, 1]]),
            ("proxyAddresses", &[b"SMTP:a.bell@example.com", b"sip:Alice@Example.com"]),
            ("mail", &[b"a.bell@example.com"]),
            ("telephoneNumber", &[b"+49 (30) 99", b"030 99"]),
            ("msRTCSIP-Line", &[b"tel:+49301234;ext=34"]),
            ("displayName", &[b"Alice Bell"]),
            ("USERACCOUNTCONTROL", &[b"512"]),
        ]);
        let found = found(&alice, &DirectoryAttributes::active_directory()).unwrap();
        assert_eq!(found.addresses, ["alice@example.com", "a.bell@example.com"]);
        assert_eq!(found.numbers, ["+49301234", "+49 (30) 99"]);
        assert_eq!((found.id.as_str(), found.name.as_deref()), ("dead0001", Some("Alice Bell")));
        assert!(!found.disabled);
    }

    #[test]
    fn who_may_not_sign_in_is_known_in_each_directory() {
        for (attribute, value, disabled) in [
            ("userAccountControl", "514", true),
            ("userAccountControl", "66050", true),
            ("userAccountControl", "66048", false),
            ("userAccountControl", "-2147483646", true),
            ("userAccountControl", "many", false),
            ("pwdAccountLockedTime", "000001010000Z", true),
            ("pwdAccountLockedTime", "20261122120000Z", false),
            ("nsAccountLock", "TRUE", true),
            ("nsAccountLock", "false", false),
        ] {
            let entry = entry(&[("entryUUID", &[b"u-1"]), (attribute, &[value.as_bytes()])]);
            let found = found(&entry, &DirectoryAttributes::inet_org_person()).unwrap();
            assert_eq!(found.disabled, disabled, "{attribute}: {value}");
        }
    }

    #[test]
    fn what_is_too_long_or_no_text_is_left_out() {
        let attributes = DirectoryAttributes::inet_org_person();
        let long = vec![b'a'; LONGEST_VALUE + 1];
        let hostile = entry(&[
            ("entryUUID", &[b"u-1"]),
            ("mail", &[&long, b"\xff\xfe@example.com", b"bob@example.com", b"http://x@y", b"no address"]),
            ("telephoneNumber", &[b"", b"12", b"javascript:+1"]),
            ("displayName", &[b"Bob\x1b[31m", b"Bob"]),
        ]);
        let found_bob = found(&hostile, &attributes).unwrap();
        assert_eq!(found_bob.addresses, ["bob@example.com"]);
        assert_eq!((found_bob.numbers, found_bob.name.as_deref()), (vec![], Some("Bob")));
        assert_eq!(
            found(&entry(&[("mail", &[b"bob@example.com"])]), &attributes),
            None,
            "without an identifier"
        );
        let nameless = LdapSearchResultEntry { dn: String::new(), ..entry(&[("entryUUID", &[b"u-1"])]) };
        assert_eq!(found(&nameless, &attributes), None);
    }

    #[test]
    fn members_of_a_group_are_told_by_name_however_it_is_written() {
        let names: [&[u8]; 3] = [b"CN=Alice, DC=Example ,dc=COM", b"\xff", b"no name"];
        let group = entry(&[("member;range=0-1499", &names)]);
        let alice = DistinguishedName::parse("cn = alice,DC=example,DC=com");
        assert_eq!(members(&group), alice.into_iter().collect());
    }
}
