//! Why somebody may not sign in whose password the directory has not called wrong. Active Directory says it in the text beside its
//! no (`AcceptSecurityContext error, data 532`), by the number of a Windows error in hexadecimal.

/// What stands before the number.
const BEFORE: &str = "AcceptSecurityContext error, data ";

/// A reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Barred {
    /// As the audit names it.
    pub(crate) word: &'static str,
    /// As the user is told it.
    pub(crate) text: &'static str,
    /// Whether the directory says it only to who has shown the right password.
    pub(crate) proven: bool,
    code: u32,
}

const fn barred(code: u32, word: &'static str, proven: bool, text: &'static str) -> Barred {
    Barred { word, text, proven, code }
}

/// `0x52e`, a wrong password, and `0x525`, no such user, are none of them.
const REASONS: [Barred; 7] = [
    barred(0x530, "outside-hours", true, "the directory lets it sign in at other hours only"),
    barred(0x531, "other-computer", true, "the directory lets it sign in at other computers only"),
    barred(0x532, "password-expired", true, "its password in the directory has expired"),
    barred(0x533, "account-disabled", true, "its account in the directory is disabled"),
    barred(0x701, "account-expired", true, "its account in the directory has expired"),
    barred(0x773, "password-must-change", true, "its password in the directory must be changed first"),
    // This is said whatever the password is.
    barred(0x775, "account-locked", false, "its account in the directory is locked"),
];

impl Barred {
    /// What a text beside a no means, if it is one of these.
    pub(super) fn read(text: &str) -> Option<Barred> {
        let (_, rest) = text.split_once(BEFORE)?;
        let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
        let code = u32::from_str_radix(digits, 16).ok()?;
        REASONS.into_iter().find(|reason| reason.code == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_active_directory_says_beside_its_no_is_understood() {
        let said = |code: &str| {
            let text = format!(
                "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {code}, v4563"
            );
            Barred::read(&text).map(|barred| barred.word)
        };
        let words =
            ["530", "531", "532", "533", "701", "773", "775"].map(said).map(Option::unwrap_or_default);
        assert_eq!(
            words,
            [
                "outside-hours",
                "other-computer",
                "password-expired",
                "account-disabled",
                "account-expired",
                "password-must-change",
                "account-locked"
            ]
        );
        for other in ["52e", "525", "", "5320", "ffffffffff", "0"] {
            assert_eq!(said(other), None, "{other}");
        }
        assert_eq!(Barred::read("data 532"), None);
        assert!(REASONS.iter().all(|reason| reason.proven == (reason.code != 0x775)));
    }
}
