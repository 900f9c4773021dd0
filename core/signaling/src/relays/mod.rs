//! Relays that signed-in users are given, with credentials that end by themselves. How a credential is made is whoever's
//! who shares a secret with the relays; relaying is the Edge's.

mod ask;
mod authentication;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::stun::{TurnTransport, TurnUri};

pub use ask::RelayAnswer;
pub use authentication::{Authentication, AuthenticationCounts};

/// The credential in the answer of an A/V Authentication service: user name and password. `None` if it gives none.
pub fn read_relay_credential(body: &str) -> Option<(String, String)> {
    crate::dialect::media_relay::read_given(body)
}

/// A place where a relay is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayServer {
    /// Where, and over what.
    pub uri: TurnUri,
    /// The class of what is allocated there; `None` on a port for every class.
    pub class: Option<TrafficClass>,
}

/// What opens a relay, for a time.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayCredential {
    /// What its packets are; `None`: the port and the packets say.
    pub class: Option<TrafficClass>,
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// What a user is given: where relays are, and what opens them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayService {
    /// Until when the credentials hold, since the Unix epoch.
    pub expires: Duration,
    /// Every place; nobody need try them in this order, see [`RelayService::of`].
    pub servers: Vec<RelayServer>,
    /// One for any class, and one for each class of media.
    pub credentials: Vec<RelayCredential>,
    /// Where a SERVICE request asks for other credentials.
    pub authentication: String,
}

/// The part of it that is for one class of media.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayAccess<'a> {
    /// Where, in the order in which to try.
    pub servers: Vec<&'a TurnUri>,
    /// What opens them.
    pub credential: &'a RelayCredential,
    /// Until when, since the Unix epoch.
    pub expires: Duration,
}

/// The relays of a Front End's users.
#[derive(Clone, Debug)]
pub struct Relays {
    /// Where they are.
    pub servers: Vec<RelayServer>,
    /// How long a credential lasts.
    pub lifetime: Duration,
    /// Who makes credentials.
    pub issuer: Issuer,
}

/// Whom a credential is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bearer<'a> {
    /// The user.
    pub user: &'a str,
    /// The user's site, if it is known.
    pub site: Option<&'a str>,
}

/// Makes a credential for a user, for one class or for any, that ends at a time since the Unix epoch.
#[derive(Clone)]
pub struct Issuer(pub Arc<Issue>);

type Issue = dyn Fn(Bearer<'_>, Option<TrafficClass>, Duration) -> RelayCredential + Send + Sync;

impl RelayServer {
    /// Whether media of a class is relayed from there.
    fn fits(&self, class: TrafficClass) -> bool {
        self.class.is_none_or(|of| of == class)
    }

    /// What is tried first has the lowest: UDP before TCP before TLS, and the port of a class before that of all.
    fn rank(&self) -> (TurnTransport, bool) {
        (self.uri.transport, self.class.is_none())
    }
}

impl RelayService {
    /// What is for media of a class; `None` if nothing is.
    pub fn of(&self, class: TrafficClass) -> Option<RelayAccess<'_>> {
        let mut servers: Vec<_> = self.servers.iter().filter(|server| server.fits(class)).collect();
        servers.sort_by_key(|server| server.rank());
        let fits = |credential: &&RelayCredential| credential.class.is_none_or(|of| of == class);
        // The one that names the class, if there is one.
        let credential =
            self.credentials.iter().filter(fits).max_by_key(|credential| credential.class.is_some())?;
        let servers: Vec<_> = servers.into_iter().map(|server| &server.uri).collect();
        let expires = self.expires;
        (!servers.is_empty()).then_some(RelayAccess { servers, credential, expires })
    }
}

impl Relays {
    /// What a user is given now. `domain` is one of ours.
    pub(crate) fn serve(&self, now: Duration, bearer: Bearer<'_>, domain: &str) -> RelayService {
        let classes = [None].into_iter().chain(TrafficClass::MEDIA.map(Some));
        let credentials = classes.map(|class| self.credential(now, bearer, class, None).0).collect();
        RelayService {
            expires: self.end(now, None),
            servers: self.servers.clone(),
            credentials,
            authentication: authentication(domain),
        }
    }

    /// A credential for a class or for any, and for how long it holds: for less than is usual, if that is wished.
    pub(crate) fn credential(
        &self,
        now: Duration,
        bearer: Bearer<'_>,
        class: Option<TrafficClass>,
        wished: Option<Duration>,
    ) -> (RelayCredential, Duration) {
        let end = self.end(now, wished);
        ((self.issuer.0)(bearer, class, end), end.saturating_sub(now))
    }

    /// When a credential of now ends: in whole seconds, as user names say it, and not a moment earlier than is said.
    fn end(&self, now: Duration, wished: Option<Duration>) -> Duration {
        let lasts = wished.map_or(self.lifetime, |wished| wished.min(self.lifetime));
        let end = now + lasts;
        Duration::from_secs(end.as_secs() + u64::from(end.subsec_nanos() > 0))
    }

    /// How long a client may keep a credential before it comes for the next one, in seconds: so that calls that begin
    /// meanwhile have half of a lifetime before them.
    pub(crate) fn fresh(&self) -> u32 {
        u32::try_from(self.lifetime.as_secs() / 2).unwrap_or(u32::MAX)
    }
}

/// The address of the A/V Authentication service, as clients are told it and send SERVICE to it.
fn authentication(domain: &str) -> String {
    format!("sip:{domain};gruu;opaque=srvr:MRAS")
}

impl fmt::Debug for RelayCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayCredential").field("class", &self.class).finish_non_exhaustive()
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuer(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> RelayService {
        let server = |uri: &str, class| RelayServer { uri: uri.parse().unwrap(), class };
        let credential = |class: Option<TrafficClass>| RelayCredential {
            class,
            username: class.map_or("any".to_owned(), |class| class.to_string()),
            password: "p".to_owned(),
        };
        RelayService {
            expires: Duration::from_secs(9),
            servers: vec![
                server("turns:e:5349?transport=tcp", None),
                server("turn:e:443?transport=tcp", None),
                server("turn:e:3478?transport=udp", None),
                server("turn:e:3479?transport=udp", Some(TrafficClass::Audio)),
                server("turn:e:3480?transport=udp", Some(TrafficClass::Video)),
            ],
            credentials: vec![credential(None), credential(Some(TrafficClass::Audio))],
            authentication: String::new(),
        }
    }

    #[test]
    fn media_of_a_class_tries_udp_first_and_the_port_of_its_class_before_that_of_all() {
        let service = service();
        let access = |class| {
            let access = service.of(class).unwrap();
            let ports: Vec<u16> = access.servers.iter().map(|uri| uri.port).collect();
            (ports, access.credential.username.clone())
        };
        assert_eq!(access(TrafficClass::Audio), (vec![3479, 3478, 443, 5349], "audio".to_owned()));
        assert_eq!(access(TrafficClass::Video), (vec![3480, 3478, 443, 5349], "any".to_owned()));
        assert_eq!(access(TrafficClass::Sharing), (vec![3478, 443, 5349], "any".to_owned()));
    }

    #[test]
    fn without_a_place_or_a_credential_there_is_no_relay() {
        let nowhere = RelayService { servers: Vec::new(), ..service() };
        let closed = RelayService { credentials: Vec::new(), ..service() };
        assert_eq!((nowhere.of(TrafficClass::Audio), closed.of(TrafficClass::Audio)), (None, None));
    }

    #[test]
    fn no_password_is_in_a_debug_text() {
        assert!(!format!("{:?}", service()).contains("\"p\""));
    }
}
