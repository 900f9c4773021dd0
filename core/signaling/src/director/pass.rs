//! Where a request goes, and what is passed on.

use std::time::Duration;

use carillon_wire::sip::{Address, Credentials, Destination, Method, Name, Uri};

use super::config::Owner;
use super::homes::hash;
use super::{Director, Server};
use crate::access::link::{Waiting, choose};
use crate::access::pass::{branch, way_back};
use crate::address::{aor, is_anonymous};
use crate::incoming::{Incoming, answer, tag};
use crate::proxy::{Hop, Route, request, response};
use crate::reply::Reply;

impl Director {
    /// The server that a request is for. What goes on in a dialog says so itself; what begins goes to where somebody is at home, or
    /// outside.
    pub(super) fn target(
        &self,
        now: Duration,
        from: Owner,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
    ) -> Result<Server, Reply> {
        let named = match way.rest.first() {
            Some(entry) => {
                let uri = Address::parse(entry).ok().and_then(|entry| entry.uri().ok());
                let server = uri.and_then(|uri| self.server(now, &uri));
                Some(server.ok_or_else(|| self.denied("Route leads to no server of ours"))?)
            }
            None => self.server(now, &way.uri),
        };
        let target = match (named, from) {
            (Some(server), _) => server,
            (None, Owner::Edge) => self.home(now, self.subject(incoming, way)?.as_deref(), false)?,
            (None, Owner::FrontEnd(_)) if self.is_own_domain(&way.uri) => {
                self.home(now, aor(&way.uri).as_deref(), true)?
            }
            (None, Owner::FrontEnd(_)) => self.outside(now)?,
        };
        match target.owner == from {
            // It asks because it does not know the user either; or, of the Edge, nobody outside speaks with another one past us.
            true => Err(Reply::new(404, "Not Found")),
            false => Ok(target),
        }
    }

    /// Whose home a request from outside is for: that of a user of ours who sends it, who proves that there; else that of
    /// the user whom it is for.
    fn subject(&self, incoming: &Incoming<'_>, way: &Route<'_>) -> Result<Option<String>, Reply> {
        let malformed = |malformed: carillon_wire::sip::Malformed| Reply::new(400, malformed.0);
        let from = incoming.routing.from.uri().map_err(malformed)?;
        if incoming.method() == Method::Register {
            let to = incoming.routing.to.uri().map_err(malformed)?;
            return Ok(aor(&to));
        }
        if self.is_own_domain(&from) {
            return Ok(aor(&from));
        }
        match is_anonymous(&from).then(|| self.shown(incoming)).flatten() {
            Some(shown) => Ok(Some(shown)),
            None if self.is_own_domain(&way.uri) => Ok(aor(&way.uri)),
            None => Err(self.denied("requests from outside are for our domains")),
        }
    }

    /// Whose password a request shows.
    fn shown(&self, incoming: &Incoming<'_>) -> Option<String> {
        let shown = incoming.message.get(Name::ProxyAuthorization);
        let shown = shown.or_else(|| incoming.message.get(Name::Authorization))?;
        let name = std::str::from_utf8(Credentials::parse(shown)?.get("username")?).ok()?.to_lowercase();
        let domain = self.config.domains.first()?;
        Some(if name.contains('@') { name } else { format!("{name}@{domain}") })
    }

    /// Where somebody is at home. Whoever is nowhere gets from one of the Front Ends what it says of the unknown, always the same one:
    /// who is outside learns nothing from it. A Front End that asks hears that there is nobody.
    fn home(&self, now: Duration, aor: Option<&str>, asked_inside: bool) -> Result<Server, Reply> {
        let aor = aor.unwrap_or_default();
        let known = self.homes.iter().position(|homes| homes.has(&self.secret, aor));
        let silent: Vec<usize> = (0..self.homes.len()).filter(|at| self.is_silent(*at)).collect();
        let number = match known {
            Some(number) => number,
            // As long as nothing is known of a Front End, everybody may be there.
            None if silent.iter().any(|at| !self.has_failed(*at)) => {
                let reply =
                    self.refusal(503, "Service Unavailable", "it is not yet known who is at home where");
                return Err(reply.field("Retry-After", "3"));
            }
            None if asked_inside && silent.is_empty() => return Err(Reply::new(404, "Not Found")),
            None => {
                let all: Vec<usize> = (0..self.homes.len()).collect();
                let among = if silent.is_empty() { &all } else { &silent };
                let turn = hash(&self.secret, aor.as_bytes()).checked_rem(among.len() as u64);
                let number = turn.and_then(|turn| among.get(turn as usize)).copied();
                number.ok_or_else(|| self.denied("there is no Front End"))?
            }
        };
        let owner = Owner::FrontEnd(number);
        let at =
            choose(&self.links, owner, now).ok_or_else(|| self.denied("that Front End has no address"))?;
        Ok(Server { at, owner })
    }

    fn outside(&self, now: Duration) -> Result<Server, Reply> {
        let at = choose(&self.links, Owner::Edge, now);
        let at = at.ok_or_else(|| self.denied("that domain is not ours, and there is no Edge"))?;
        Ok(Server { at, owner: Owner::Edge })
    }

    /// Whether a Front End has never said who is at home there.
    fn is_silent(&self, number: usize) -> bool {
        self.homes.get(number).is_some_and(|homes| homes.len().is_none())
    }

    /// Whether all of its servers have failed since we began.
    fn has_failed(&self, number: usize) -> bool {
        let mut links = self.links.iter().filter(|link| link.whose == Owner::FrontEnd(number));
        links.all(|link| link.failed.is_some() && !link.answers())
    }

    /// Passes a request on.
    pub(super) fn pass(
        &mut self,
        now: Duration,
        from: Owner,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        target: Server,
    ) -> Result<(), Reply> {
        let Some(to) = self.links.get(target.at).map(crate::access::link::Link::destination) else {
            return Ok(());
        };
        let bytes = self.leaving(from, incoming, way, (target.owner, &to))?;
        if incoming.method() != Method::Ack {
            let why = match target.owner {
                Owner::Edge => "the Edge cannot be reached",
                Owner::FrontEnd(_) => "the Front End cannot be reached",
            };
            let reply = self.refusal(504, "Server Time-out", why);
            let refusal =
                answer(incoming.message, &incoming.flow, &tag(&self.secret, incoming.message), &reply);
            let waiting = Waiting { since: now, from: incoming.flow, bytes: bytes.clone(), refusal };
            if let Some(link) = self.links.get_mut(target.at) {
                link.remember(waiting);
            }
        }
        self.forward(target.owner, to, bytes);
        Ok(())
    }

    /// An answer: back by the way that our Via says.
    pub(super) fn response(&mut self, now: Duration, incoming: &Incoming<'_>, code: u16) {
        if self.peer(&incoming.flow).is_none() {
            return self.counts.drop("sip_stray_response");
        }
        if self.is_answer(now, incoming, code) {
            return;
        }
        self.heard(now, incoming.flow.remote);
        let Some(back) = way_back(&self.secret, incoming) else {
            return self.counts.drop("sip_stray_response");
        };
        let Some(owner) = self.peer(&back).filter(|_| self.is_up(&back)) else {
            return self.counts.drop("sip_late_response");
        };
        match response(incoming.message) {
            Some(bytes) => self.forward(owner, Destination::Flow(back), bytes),
            None => self.counts.drop("sip_malformed"),
        }
    }

    fn forward(&mut self, owner: Owner, to: Destination, bytes: Vec<u8>) {
        let way = if owner == Owner::Edge { "edge" } else { "front-end" };
        *self.counts.forwarded.entry(way).or_default() += 1;
        self.transmit(to, bytes);
    }

    /// The bytes that leave. All dialogs and registrations that begin run through here; where they go on stands in what the others
    /// have written, so that nothing of ours has to be found again after a restart.
    fn leaving(
        &self,
        from: Owner,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        (target, to): (Owner, &Destination),
    ) -> Result<Vec<u8>, Reply> {
        let end = self.ends.towards(to).ok_or(Reply::new(500, "No Such Listener"))?;
        let via = format!(
            "SIP/2.0/{} {};rport;branch={}",
            to.transport(),
            end.listener.advertised,
            branch(&self.secret, incoming)
        );
        let own = format!("<sip:{}>", end.uri.trim_start_matches('@'));
        let begins = matches!(incoming.method(), Method::Invite | Method::Subscribe | Method::Refer);
        let crossed = (incoming.method() == Method::Register && target != Owner::Edge).then(|| own.clone());
        // Only among Front Ends it is believed who somebody is.
        let inside = [from, target].iter().all(|one| matches!(one, Owner::FrontEnd(_)));
        let asserted = incoming.message.get(Name::PAssertedIdentity).filter(|_| inside);
        let hop = Hop {
            via,
            uri: None,
            path: &[],
            record: if begins { vec![own] } else { Vec::new() },
            crossed,
            asserted,
            breadth: None,
            history: &[],
            realm: "",
            body: None,
        };
        request(incoming, way, &hop).map_err(|malformed| Reply::new(400, malformed.0))
    }

    pub(super) fn is_own_domain(&self, uri: &Uri<'_>) -> bool {
        self.config.domains.iter().any(|domain| crate::access::is_domain(uri, domain))
    }
}
