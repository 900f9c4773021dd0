//! How users ask for relays outside the plan's document: by SERVICE, as clients of the Lync dialect do, and over HTTP, in the
//! manner of the TURN REST draft. Both prove their password first.

use std::time::Duration;

use carillon_wire::sip::{Name, Uri};

use super::{Bearer, RelayCredential, RelayServer, Relays};
use crate::address;
use crate::admission::unsupported;
use crate::dialect::media_relay::{self, Asked, Given, Reason};
use crate::door::{DoorQuestion, DoorRefusal};
use crate::front_end::FrontEnd;
use crate::incoming::Incoming;
use crate::reply::Reply;
use crate::transaction::Key;

/// What opens relays, and where they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayAnswer {
    /// What opens them.
    pub credential: RelayCredential,
    /// For how long.
    pub lasts: Duration,
    /// Where they are, in the order in which to try.
    pub servers: Vec<RelayServer>,
}

impl FrontEnd {
    /// Answers a request for relays that came over HTTP. Call it like the inputs, and take the outputs then.
    pub fn relay_question(
        &mut self,
        now: Duration,
        asked: &DoorQuestion<'_>,
    ) -> Result<RelayAnswer, DoorRefusal> {
        self.provisioning.relays().ok_or(DoorRefusal::Nothing)?;
        let proven = self.proven_at_door(now, asked)?;
        let relays = self.provisioning.relays().ok_or(DoorRefusal::Nothing)?;
        let bearer = Bearer { user: &proven, site: self.registrar.site(&proven) };
        let (credential, lasts) = relays.credential(now, bearer, asked.class, None);
        let fits = |server: &&RelayServer| match asked.class {
            Some(class) => server.fits(class),
            None => server.class.is_none(),
        };
        let mut servers: Vec<_> = relays.servers.iter().filter(fits).cloned().collect();
        servers.sort_by_key(RelayServer::rank);
        Ok(RelayAnswer { credential, lasts, servers })
    }

    /// A SERVICE to the address that the plan's document names.
    pub(crate) fn relay_service(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        key: Key,
    ) -> Result<(), Reply> {
        unsupported(incoming, Name::Require, &[])?;
        if !incoming.message.content_type().is_some_and(|kind| kind.is(b"application", media_relay::SUBTYPE))
        {
            return Err(Reply::new(415, "Unsupported Media Type").field("Accept", media_relay::TYPE));
        }
        let aor = self.authenticate(now, incoming, false)?;
        let Some(relays) = self.provisioning.relays() else { return Err(Reply::new(404, "No Relays Here")) };
        let site = self.registrar.site(&aor);
        let own = |identity: &str| is_of(identity, &aor).then(|| (aor.to_string(), site.map(str::to_owned)));
        let (reply, _) = granted(relays, now, incoming.message.body(), own, |_| &relays.servers);
        self.proxy.answer(now, incoming, key, &reply);
        Ok(())
    }
}

/// The answer to the body of a SERVICE, and how many credentials are in it. `user` says whose each identity is and of which site, or that it
/// is nobody's who may ask; `servers` says where relays are for clients outside or inside.
pub(super) fn granted<'a>(
    relays: &Relays,
    now: Duration,
    body: &[u8],
    user: impl Fn(&str) -> Option<(String, Option<String>)>,
    servers: impl Fn(bool) -> &'a [RelayServer],
) -> (Reply, u64) {
    let Some(asked) = media_relay::read(body) else {
        return (refused(400, "Bad Request", None, Reason::Malformed), 0);
    };
    let given = asked.wanted.iter().map(|wanted| {
        let wished = wanted.minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
        let (user, site) = user(&wanted.identity)?;
        let bearer = Bearer { user: &user, site: site.as_deref() };
        let (credential, lasts) = relays.credential(now, bearer, None, wished);
        Some(Given { wanted, credential, lasts, servers: servers(wanted.is_outside()) })
    });
    let Some(given) = given.collect::<Option<Vec<_>>>() else {
        return (refused(403, "Not Your Identity", Some(&asked), Reason::Forbidden), 0);
    };
    let text = media_relay::granted(&asked, &given);
    (Reply { body: Some((media_relay::TYPE, text)), ..Reply::new(200, "OK") }, given.len() as u64)
}

fn refused(code: u16, text: &'static str, asked: Option<&Asked>, why: Reason) -> Reply {
    Reply { body: Some((media_relay::TYPE, media_relay::refused(asked, why))), ..Reply::new(code, text) }
}

/// Whether an identity, `sip:alice@example.com`, is this user's.
fn is_of(identity: &str, user: &str) -> bool {
    let named = Uri::parse(identity.as_bytes()).ok().and_then(|uri| address::aor(&uri));
    named.is_some_and(|named| named == user.to_lowercase())
}
