//! What a directory answers.

use carillon_server::config::DirectoryAttributes;
use carillon_server::directory::{DistinguishedName, read_message};

/// A message of LDAP. What is read of an entry is short, has the form of what it is called, and is the same each time.
pub fn directory(data: &[u8]) {
    distinguished_name(data);
    for attributes in [DirectoryAttributes::active_directory(), DirectoryAttributes::inet_org_person()] {
        let found = read_message(data, &attributes);
        assert_eq!(found, read_message(data, &attributes));
        let Some(found) = found else { continue };
        assert!(!found.id.is_empty() && !found.dn.is_empty() && found.dn.len() <= 2048);
        let texts = found.addresses.iter().chain(&found.numbers).chain(&found.name);
        for text in texts {
            assert!(
                !text.is_empty() && text.len() <= 2 * 512 && !text.chars().any(char::is_control),
                "{text:?}"
            );
        }
        assert!(found.addresses.iter().all(|address| address.contains('@')));
        assert!(found.numbers.iter().all(|number| number.starts_with('+')));
    }
}

/// A name of an entry means the same in capitals, unless what is escaped in it is no text.
fn distinguished_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (name, capitals) =
        (DistinguishedName::parse(text), DistinguishedName::parse(&text.to_ascii_uppercase()));
    assert_eq!(name.is_some(), capitals.is_some(), "{text:?}");
    assert!(name == capitals || text.contains('\\'), "{text:?}");
}
