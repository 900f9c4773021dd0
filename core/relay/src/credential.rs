//! Time-limited credentials in the manner of the TURN REST draft: the user name says until when, the password proves that
//! somebody who knows the secret said so. The relay keeps no list of them.
//!
//! User names are `EXPIRY`, `EXPIRY:USER` and `EXPIRY:USER:CLASS`, the expiry in seconds since 1970; the class gives the
//! allocation its mark. Behind the user may stand `:site=SITE`, the site whose quota it counts on too, with `:` and `%` in its name
//! written as in a URI.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_qos::TrafficClass;

use crate::integrity::hmac_sha1;

/// What stands before the name of a site.
const SITE: &str = "site=";

/// What a client is given.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its user name.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A credential for `user` that ends at `expires`; with a class, for media of that class.
pub fn issue(secret: &str, user: &str, class: Option<TrafficClass>, expires: Duration) -> Credential {
    issue_at(secret, user, None, class, expires)
}

/// The same for a user of a site, if it is known.
pub fn issue_at(
    secret: &str,
    user: &str,
    site: Option<&str>,
    class: Option<TrafficClass>,
    expires: Duration,
) -> Credential {
    let mut username = format!("{}:{user}", expires.as_secs());
    if let Some(site) = site {
        let site = site.replace('%', "%25").replace(':', "%3A");
        username = format!("{username}:{SITE}{site}");
    }
    if let Some(class) = class {
        username = format!("{username}:{class}");
    }
    let password = password(secret, &username);
    Credential { username, password }
}

/// The password that goes with a user name.
pub(crate) fn password(secret: &str, username: &str) -> String {
    STANDARD.encode(hmac_sha1(secret.as_bytes(), username.as_bytes()))
}

/// What a user name of this kind says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Claims<'a> {
    pub(crate) expires: Duration,
    /// Whose quota it counts on: the user, or if it names none, the whole name.
    pub(crate) identity: &'a str,
    /// Whose quota it counts on too.
    pub(crate) site: Option<String>,
    pub(crate) class: Option<TrafficClass>,
}

/// `None`: the name does not begin with a time.
pub(crate) fn claims(username: &str) -> Option<Claims<'_>> {
    let (expires, rest) = username.split_once(':').unwrap_or((username, ""));
    if expires.is_empty() || expires.len() > 12 || !expires.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let expires = Duration::from_secs(expires.parse().ok()?);
    let classed = rest.rsplit_once(':').and_then(|(user, name)| Some((user, TrafficClass::from_name(name)?)));
    let classed = classed.filter(|(_, class)| class.is_media()).map(|(user, class)| (user, Some(class)));
    let (rest, class) = classed.unwrap_or((rest, None));
    let sited = rest.rsplit_once(':').and_then(|(user, last)| Some((user, last.strip_prefix(SITE)?)));
    let (user, site) = sited.map_or((rest, None), |(user, site)| (user, Some(plain(site))));
    Some(Claims { expires, identity: if user.is_empty() { username } else { user }, site, class })
}

/// The name of a site as [`issue`] was given it.
fn plain(site: &str) -> String {
    site.replace("%3A", ":").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_says_until_when_who_and_for_what() {
        for (name, expires, identity, class) in [
            ("1800000000", 1_800_000_000, "1800000000", None),
            ("1800000000:alice", 1_800_000_000, "alice", None),
            ("1800000000:alice:audio", 1_800_000_000, "alice", Some(TrafficClass::Audio)),
            ("1800000000::video", 1_800_000_000, "1800000000::video", Some(TrafficClass::Video)),
            ("1800000000:audio", 1_800_000_000, "audio", None),
            // Nobody relays management.
            ("1800000000:alice:management", 1_800_000_000, "alice:management", None),
            ("7:sip:bob@example.com", 7, "sip:bob@example.com", None),
        ] {
            let expires = Duration::from_secs(expires);
            assert_eq!(claims(name), Some(Claims { expires, identity, site: None, class }), "{name}");
        }
        for name in ["", "alice", ":alice", "-1:alice", "+1:alice", "1e9:alice", "1000000000000:alice"] {
            assert_eq!(claims(name), None, "{name}");
        }
    }

    #[test]
    fn a_user_name_says_the_site_whatever_its_name() {
        for site in ["Rome", "a:audio", "50%", "%3A:", "site=x", ""] {
            for class in [None, Some(TrafficClass::Audio)] {
                let made = issue_at("north", "alice@example.com", Some(site), class, Duration::from_secs(7));
                let (expires, site) = (Duration::from_secs(7), Some(site.to_owned()));
                let expected = Claims { expires, identity: "alice@example.com", site, class };
                assert_eq!(claims(&made.username), Some(expected), "{}", made.username);
            }
        }
    }

    /// The value was made with `openssl dgst -sha1 -hmac north -binary | base64`.
    #[test]
    fn the_password_is_what_other_tools_make_of_it() {
        let made = issue("north", "alice", None, Duration::from_secs(1_800_000_000));
        assert_eq!(made.username, "1800000000:alice");
        assert_eq!(made.password, "sIm7pn/teO7y3AyXGeXl/xAQR6Q=");
        let classed = issue("north", "alice", Some(TrafficClass::Audio), Duration::from_secs(1_800_000_000));
        assert_eq!(classed.username, "1800000000:alice:audio");
        assert_ne!(classed.password, made.password);
    }
}
