//! Who may allocate: the long-term mechanism of RFC 8489, 9.2, for users of a list and for time-limited credentials.
//!
//! Nothing is remembered before somebody has proven a password, nor afterwards: every request is proven anew.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::stun::{Attribute, Builder, Message, kind, password_algorithm};

use crate::credential::{claims, password};
use crate::integrity::{Key, Seal, userhash};
use crate::nonce::{self, Nonce};
use crate::secret::Secret;

/// Users and secrets.
#[derive(Clone, Default)]
pub struct Access {
    /// What keys may be made with.
    pub algorithms: Algorithms,
    /// Users with fixed passwords, by name. Names and passwords are compared byte by byte: prepare them as RFC 8265 says.
    pub users: BTreeMap<String, User>,
    /// Secrets of time-limited credentials: the one in use, and those that were, as long as their credentials last.
    pub secrets: Vec<String>,
}

/// A user with a fixed password.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The password.
    pub password: String,
    /// The class of what this user allocates.
    pub class: Option<TrafficClass>,
}

/// Which algorithms turn a password into a key (RFC 8489, 18.5).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Algorithms {
    /// SHA-256 for those who know it, MD5 for clients of RFC 5389.
    #[default]
    Both,
    /// Only MD5; nothing of RFC 8489 is offered, and challenges are smaller.
    Md5,
    /// Only SHA-256; clients of RFC 5389 cannot allocate.
    Sha256,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Access { algorithms, users, secrets } = self;
        write!(f, "Access({algorithms:?}, {} users, {} secrets)", users.len(), secrets.len())
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({:?})", self.class)
    }
}

impl Algorithms {
    const fn offered(self) -> &'static [u16] {
        match self {
            Algorithms::Both => &[password_algorithm::SHA256, password_algorithm::MD5],
            Algorithms::Md5 => &[],
            Algorithms::Sha256 => &[password_algorithm::SHA256],
        }
    }

    /// PASSWORD-ALGORITHMS (RFC 8489, 14.11): number and length of parameters of each.
    fn list(self) -> Vec<u8> {
        self.offered().iter().flat_map(|number| [(number >> 8) as u8, *number as u8, 0, 0]).collect()
    }
}

/// Whoever proved to know a password.
#[derive(Debug)]
pub(crate) struct Proven {
    /// Whose quota it counts on, and who may change what it allocates.
    pub(crate) identity: Box<str>,
    /// The site whose quota it counts on too.
    pub(crate) site: Option<Box<str>>,
    pub(crate) class: Option<TrafficClass>,
    pub(crate) expires: Option<Duration>,
    pub(crate) seal: Seal,
}

/// Why a request proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Denied {
    /// There is no proof in it yet, as in every first request.
    Unproven,
    /// A part of the proof is missing, or the algorithms are not those of the challenge: 400.
    Malformed,
    UnknownUser,
    WrongPassword,
    Expired,
    StaleNonce,
}

impl Denied {
    /// A name for counters.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Denied::Unproven => "unproven",
            Denied::Malformed => "malformed-proof",
            Denied::UnknownUser => "unknown-user",
            Denied::WrongPassword => "wrong-password",
            Denied::Expired => "expired-credential",
            Denied::StaleNonce => "stale-nonce",
        }
    }
}

/// [`Access`], ready for use.
#[derive(Debug)]
pub(crate) struct Door {
    access: Access,
    realm: String,
    nonce_lifetime: Duration,
    /// Names by their USERHASH.
    hashes: BTreeMap<[u8; 32], String>,
}

impl Door {
    pub(crate) fn new(access: Access, realm: String, nonce_lifetime: Duration) -> Door {
        let hashes = access.users.keys().map(|name| (userhash(name, &realm), name.clone())).collect();
        Door { access, realm, nonce_lifetime, hashes }
    }

    /// What answers a request that proves nothing (RFC 8489, 9.2.5).
    pub(crate) fn challenge(
        &self,
        secret: &Secret,
        now: Duration,
        place: IpAddr,
        answer: Builder,
    ) -> Builder {
        let nonce = nonce::make(secret, self.features(), now + self.nonce_lifetime, place);
        let answer =
            answer.attribute(kind::REALM, self.realm.as_bytes()).attribute(kind::NONCE, nonce.as_bytes());
        match self.access.algorithms {
            Algorithms::Md5 => answer,
            algorithms => answer.attribute(kind::PASSWORD_ALGORITHMS, &algorithms.list()),
        }
    }

    /// What the nonce of a request is worth: all that has to be known of somebody before the costly part.
    pub(crate) fn worth(
        &self,
        secret: &Secret,
        now: Duration,
        place: IpAddr,
        message: &Message<'_>,
    ) -> Nonce {
        message
            .nonce()
            .map_or(Nonce::Foreign, |nonce| nonce::look(secret, self.features(), now, place, nonce))
    }

    /// RFC 8489, 9.2.4, in its order. Whether a credential has ended is not looked at.
    pub(crate) fn prove(&self, worth: Nonce, message: &Message<'_>) -> Result<Proven, Denied> {
        if message.message_integrity().is_none() && message.message_integrity_sha256().is_none() {
            return Err(Denied::Unproven);
        }
        let (Some(_), Some(nonce)) = (message.realm(), message.nonce()) else {
            return Err(Denied::Malformed);
        };
        let strong = self.algorithm(message, nonce)?;
        let name = self.name(message)?;
        let proven = self.password(message, name, strong)?;
        match worth {
            Nonce::Ours => Ok(proven),
            Nonce::Old | Nonce::Foreign => Err(Denied::StaleNonce),
        }
    }

    /// The user hash of a time-limited credential says nothing to somebody who has no list of them, so it is offered only
    /// where there is nothing but a list.
    fn features(&self) -> u32 {
        match (self.access.algorithms, self.access.secrets.is_empty()) {
            (Algorithms::Md5, _) => 0,
            (_, false) => nonce::PASSWORD_ALGORITHMS,
            (_, true) => nonce::PASSWORD_ALGORITHMS | nonce::USERNAME_ANONYMITY,
        }
    }

    /// Whether the key is made with SHA-256. Who echoes another list than ours was lied to on the way.
    fn algorithm(&self, message: &Message<'_>, nonce: &str) -> Result<bool, Denied> {
        let echoed = message.attribute(kind::PASSWORD_ALGORITHMS).map(|list: Attribute<'_>| list.value);
        let chosen = message.attribute(kind::PASSWORD_ALGORITHM).and(message.password_algorithm());
        let offered = self.access.algorithms.offered();
        match (echoed, chosen) {
            (None, None) if self.access.algorithms == Algorithms::Sha256 => Err(Denied::Unproven),
            (None, None) => Ok(false),
            // Only who was offered a choice has one; a stale nonce may be from before.
            _ if offered.is_empty() || !nonce.starts_with("obMatJos2") => Err(Denied::StaleNonce),
            (Some(echoed), Some(chosen))
                if echoed == self.access.algorithms.list() && offered.contains(&chosen) =>
            {
                Ok(chosen == password_algorithm::SHA256)
            }
            _ => Err(Denied::Malformed),
        }
    }

    fn name<'a>(&'a self, message: &Message<'a>) -> Result<&'a str, Denied> {
        match (message.username(), message.userhash()) {
            (Some(name), _) => Ok(name),
            (None, Some(hash)) => self.hashes.get(hash).map(String::as_str).ok_or(Denied::UnknownUser),
            (None, None) => Err(Denied::Malformed),
        }
    }

    fn password(&self, message: &Message<'_>, name: &str, strong: bool) -> Result<Proven, Denied> {
        if let Some(user) = self.access.users.get(name) {
            let seal = self.seal(message, name, &user.password, strong).ok_or(Denied::WrongPassword)?;
            return Ok(Proven { identity: name.into(), site: None, class: user.class, expires: None, seal });
        }
        let claims = claims(name).filter(|_| !self.access.secrets.is_empty()).ok_or(Denied::UnknownUser)?;
        let mut passwords = self.access.secrets.iter().map(|secret| password(secret, name));
        let seal = passwords.find_map(|password| self.seal(message, name, &password, strong));
        let seal = seal.ok_or(Denied::WrongPassword)?;
        let expires = Some(claims.expires);
        let (identity, site) = (claims.identity.into(), claims.site.map(String::into_boxed_str));
        Ok(Proven { identity, site, class: claims.class, expires, seal })
    }

    fn seal(&self, message: &Message<'_>, name: &str, password: &str, strong: bool) -> Option<Seal> {
        let key = if strong { Key::sha256 } else { Key::md5 };
        Seal::verify(message, key(name, &self.realm, password))
    }
}
