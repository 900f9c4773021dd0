//! What a password must be, after NIST SP 800-63B (3.1.1.2): long, and nothing that is tried first. What characters it is made of
//! is nobody's business, and it does not end.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// What everybody tries first, in lower case; shorter ones are refused for their length.
static COMMON: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| include_str!("common-passwords.txt").lines().collect());
/// The shortest that may be asked for is one; this is usual.
const LENGTH: usize = 8;
/// Longest password, in bytes; what is longer was pasted by mistake.
const LONGEST: usize = 256;

/// What passwords are checked against when they are set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasswordRules {
    /// Characters at least.
    pub length: usize,
    /// More that nobody may have, in lower case.
    pub denied: Arc<BTreeSet<String>>,
}

impl Default for PasswordRules {
    fn default() -> PasswordRules {
        PasswordRules { length: LENGTH, denied: Arc::default() }
    }
}

impl PasswordRules {
    /// What is wrong with a password of this user; never with the password in it.
    pub(super) fn check(&self, password: &str, aor: &str) -> Result<(), String> {
        let bytes = password.len();
        if bytes == 0 || bytes > LONGEST {
            return Err(format!("the password has {bytes} bytes; 1 to {LONGEST} are allowed"));
        }
        if password.chars().any(char::is_control) {
            return Err("the password holds a control character".to_owned());
        }
        let characters = password.chars().count();
        if characters < self.length {
            return Err(format!("the password has {characters} characters; it takes {}", self.length));
        }
        let lower = password.to_lowercase();
        if is_of(&lower, aor) {
            return Err("the password is the user's own name, or that of the domain or the server".to_owned());
        }
        if is_row(&lower) || COMMON.contains(&*lower) || self.denied.contains(&lower) {
            return Err("the password is one of those that are tried first".to_owned());
        }
        Ok(())
    }
}

/// Whether it is a name that everybody knows, whatever digits and signs stand around it.
fn is_of(password: &str, aor: &str) -> bool {
    let (user, domain) = aor.split_once('@').unwrap_or((aor, ""));
    let bare = password.trim_matches(|c: char| !c.is_alphabetic());
    let label = domain.split('.').next().unwrap_or_default();
    let names = [user, user.trim_matches(|c: char| !c.is_alphabetic()), domain, aor, label, "carillon"];
    names.into_iter().any(|name| !name.is_empty() && (bare == name || password == name))
}

/// One character again and again, or each the one behind the last: `aaaaaaaa`, `12345678`, `hgfedcba`.
fn is_row(password: &str) -> bool {
    let codes = || password.chars().map(|c| i64::from(u32::from(c)));
    let mut steps = codes().skip(1).zip(codes()).map(|(next, last)| next - last);
    let Some(first) = steps.next() else { return true };
    (-1..=1).contains(&first) && steps.all(|step| step == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_not_what_is_tried_first() {
        let rules = PasswordRules {
            denied: Arc::new(["hunter2hunter2".to_owned()].into()),
            ..PasswordRules::default()
        };
        let check = |password: &str| rules.check(password, "alice.bell@example.com");
        for good in
            ["wonderland-7", "correct horse", "ähnliches", "alice in chains", "x7x7x7x7", "\u{1f600}bcdefgh"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "the password has 0 bytes; 1 to 256 are allowed"),
            (&*"long ".repeat(60), "the password has 300 bytes; 1 to 256 are allowed"),
            ("tab\tinside", "the password holds a control character"),
            ("sesame", "the password has 6 characters; it takes 8"),
            ("ääääbbb", "the password has 7 characters; it takes 8"),
            ("Alice.Bell", "the password is the user's own name, or that of the domain or the server"),
            ("alice.bell2026!", "the password is the user's own name, or that of the domain or the server"),
            ("Example123", "the password is the user's own name, or that of the domain or the server"),
            ("example.com", "the password is the user's own name, or that of the domain or the server"),
            ("!!Carillon!!", "the password is the user's own name, or that of the domain or the server"),
            ("Password1", "the password is one of those that are tried first"),
            ("P@ssw0rd", "the password is one of those that are tried first"),
            ("zzzzzzzzzz", "the password is one of those that are tried first"),
            ("23456789", "the password is one of those that are tried first"),
            ("HGFEDCBA", "the password is one of those that are tried first"),
            ("Hunter2Hunter2", "the password is one of those that are tried first"),
        ] {
            assert_eq!(check(bad), Err(why.to_owned()), "{bad}");
        }
        let short = PasswordRules { length: 1, ..PasswordRules::default() };
        assert_eq!(short.check("x7", "alice@example.com"), Ok(()));
        assert!(short.check("7", "alice@example.com").is_err(), "one character is tried first");
    }

    #[test]
    fn the_list_is_in_lower_case_and_of_what_is_long_enough_to_matter() {
        assert!(COMMON.len() > 150);
        for line in COMMON.iter() {
            assert!(line.len() >= LENGTH && **line == line.to_lowercase(), "{line}");
        }
    }
}
