//! How much of a name is shown in records.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::Names;

/// Turns names into what records show.
pub(crate) struct Pseudonyms {
    names: Names,
    key: [u8; 32],
}

impl Pseudonyms {
    /// The seed is the server's: the same name has the same hash after a restart, and another one elsewhere.
    pub(crate) fn new(names: Names, seed: [u8; 32]) -> Pseudonyms {
        let key = Sha256::new().chain_update(b"names in call records").chain_update(seed).finalize().into();
        Pseudonyms { names, key }
    }

    /// A name as records show it. The domain says nothing of who it is, and stays.
    pub(crate) fn shown(&self, name: &Arc<str>) -> Arc<str> {
        let (user, domain) = name.split_once('@').unwrap_or((name, ""));
        let shown = match self.names {
            Names::Whole => return Arc::clone(name),
            _ if user.is_empty() => return Arc::clone(name),
            Names::Cut => cut(user),
            Names::Hashed => self.hash(user, domain),
        };
        let at = if domain.is_empty() { "" } else { "@" };
        format!("{shown}{at}{domain}").into()
    }

    fn hash(&self, user: &str, domain: &str) -> String {
        let digest = Sha256::new()
            .chain_update(self.key)
            .chain_update(user.to_lowercase())
            .chain_update([0])
            .chain_update(domain.to_lowercase())
            .finalize();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The last three digits of a number tell who it is; so do the last three letters of a name, well enough.
fn cut(user: &str) -> String {
    let length = user.chars().count();
    let kept: String = user.chars().take(length.saturating_sub(3)).collect();
    format!("{kept}xxx")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: Names, seed: u8, name: &str) -> String {
        Pseudonyms::new(names, [seed; 32]).shown(&name.into()).to_string()
    }

    #[test]
    fn a_name_is_whole_cut_or_hashed() {
        assert_eq!(shown(Names::Whole, 1, "alice@example.com"), "alice@example.com");
        assert_eq!(shown(Names::Cut, 1, "alice@example.com"), "alxxx@example.com");
        assert_eq!(shown(Names::Cut, 1, "+4930123456@example.com"), "+4930123xxx@example.com");
        assert_eq!(shown(Names::Cut, 1, "bo@example.com"), "xxx@example.com");
        let hash = shown(Names::Hashed, 1, "alice@example.com");
        assert!(hash.ends_with("@example.com") && !hash.contains("alice"), "{hash}");
        assert_eq!(hash, shown(Names::Hashed, 1, "Alice@example.com"), "the same for the same name");
        assert_ne!(hash, shown(Names::Hashed, 2, "alice@example.com"), "another on another server");
        assert_ne!(hash, shown(Names::Hashed, 1, "alice@example.org").replace(".org", ".com"));
        assert_eq!(shown(Names::Hashed, 1, ""), "");
    }
}
