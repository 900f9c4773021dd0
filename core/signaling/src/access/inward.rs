//! From outside to the inside: what clients and partners may ask for.

use std::time::Duration;

use carillon_wire::sip::{Method, Name, Uri};

use super::link::Whose;
use super::{AccessEdge, is_domain};
use crate::address::is_anonymous;
use crate::incoming::Incoming;
use crate::proxy::Route;
use crate::reply::Reply;

impl AccessEdge {
    /// A client: signs in first, and speaks for our domains only. Who it is the inside asks.
    pub(super) fn client_says(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        signed_in: bool,
    ) -> Result<(), Reply> {
        let within = way.token.is_some();
        let from = incoming.routing.from.uri().map_err(|malformed| Reply::new(400, malformed.0))?;
        // In a dialog whoever was called is who the caller said: perhaps by a number, or by the address of a server.
        let is_named = |uri: &Uri<'_>| uri.host.is_some_and(|host| host.ip().is_none());
        if !self.is_own_domain(&from) && !is_anonymous(&from) && (!within || is_named(&from)) {
            return Err(self.denied("From is not of a domain that is served here"));
        }
        let may_go_there = || self.is_own_domain(&way.uri) || signed_in && self.partner(&way.uri).is_some();
        if !within && !may_go_there() {
            return Err(self.denied("requests are not passed on to that domain"));
        }
        if !signed_in {
            self.check_stranger(now, incoming, within)?;
        }
        self.inward(now, incoming, way, "")
    }

    /// A partner: speaks for its own domain, to ours.
    pub(super) fn partner_says(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        partners: &[usize],
    ) -> Result<(), Reply> {
        let from = incoming.routing.from.uri().map_err(|malformed| Reply::new(400, malformed.0))?;
        let domain = |at: &usize| self.config.partners.get(*at).map(|partner| partner.domain.clone());
        let domain = partners.iter().filter_map(domain).find(|domain| is_domain(&from, domain));
        let refused = match &domain {
            None => Some("From is not of a domain of your certificate"),
            Some(_) if incoming.method() == Method::Register => {
                Some("users of other domains do not sign in here")
            }
            Some(_) if way.token.is_none() && !self.is_own_domain(&way.uri) => {
                Some("requests are not passed on to that domain")
            }
            Some(_) => None,
        };
        if let Some(why) = refused {
            if let Some(traffic) = partners.first().and_then(|at| self.traffic.get_mut(*at)) {
                traffic.refused += 1;
            }
            return Err(self.denied(why));
        }
        self.inward(now, incoming, way, &domain.unwrap_or_default())
    }

    /// The partner of a URI.
    pub(super) fn partner(&self, uri: &Uri<'_>) -> Option<usize> {
        self.config.partners.iter().position(|partner| is_domain(uri, &partner.domain))
    }

    /// Who has not signed in may do so, and show credentials; ACK and CANCEL belong to what was let through before.
    fn check_stranger(&mut self, now: Duration, incoming: &Incoming<'_>, within: bool) -> Result<(), Reply> {
        let shows = |name| incoming.message.get(name).is_some();
        let may = within
            || matches!(incoming.method(), Method::Register | Method::Ack | Method::Cancel)
            || shows(Name::Authorization)
            || shows(Name::ProxyAuthorization);
        if !may {
            return Err(self.denied("sign in first"));
        }
        if !self.strangers.take(now, incoming.flow.remote.ip()) {
            let reply = self.refusal(503, "Service Unavailable", "too much from your address; sign in");
            return Err(reply.field("Retry-After", "30"));
        }
        Ok(())
    }

    /// To the server of the inside that the dialog runs through, or else the one that serves.
    fn inward(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        domain: &str,
    ) -> Result<(), Reply> {
        let link = self.next_hop(now, way).ok_or_else(|| self.denied("there is no inside"))?;
        let client = super::pass::Far { flow: incoming.flow, domain };
        self.pass_to_link(now, incoming, way, link, client)
    }

    fn next_hop(&self, now: Duration, way: &Route<'_>) -> Option<usize> {
        let named = way.rest.first().and_then(|entry| {
            let uri = carillon_wire::sip::Address::parse(entry).ok()?.uri().ok()?;
            let ip = uri.host?.ip()?;
            self.links.iter().position(|link| link.whose == Whose::Inside && link.remote.ip() == ip)
        });
        named.or_else(|| super::link::choose(&self.links, Whose::Inside, now))
    }
}
