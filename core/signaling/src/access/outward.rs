//! From the inside to those outside: to the connection that a client has, or to a partner on the list.

use std::time::Duration;

use carillon_wire::sip::{Address, Destination, Flow, Method, Name};

use super::AccessEdge;
use super::link::{Whose, choose};
use super::pass::{Far, PATH};
use crate::address::is_anonymous;
use crate::incoming::Incoming;
use crate::proxy::{Route, Token};
use crate::reply::Reply;

impl AccessEdge {
    pub(super) fn outward(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
    ) -> Result<(), Reply> {
        let late = self.is_too_late(incoming, way);
        match self.sealed(incoming, way) {
            Sealed::Here(token) if self.peers.is_up(&token.flow) && !late => {
                let far = Far { flow: token.flow, domain: &token.aor };
                self.pass(now, incoming, way, Destination::Flow(token.flow), far)
            }
            Sealed::Here(token) => {
                match self.config.partners.iter().position(|one| one.domain == token.aor) {
                    Some(partner) => self.pass_to_partner(now, incoming, way, partner),
                    None => Err(self.flow_failed()),
                }
            }
            Sealed::Before => Err(self.flow_failed()),
            // Every dialog that there is has an entry of ours: whoever comes without it has got past those who ask who he is by that
            // of another dialog. Only the ACK of a refusal has none, as its INVITE had none.
            Sealed::Nothing if incoming.has_dialog() && incoming.method() != Method::Ack => {
                Err(Reply::new(481, "Call/Transaction Does Not Exist"))
            }
            Sealed::Nothing => match self.partner(&way.uri) {
                Some(_) if late => Err(self.elsewhere()),
                Some(partner) => self.pass_to_partner(now, incoming, way, partner),
                None => Err(self.denied("that domain is no partner")),
            },
        }
    }

    /// RFC 5626, 5.3.1: it may be reached by another flow. So is who is connected to an Edge that is being stopped.
    fn flow_failed(&self) -> Reply {
        self.refusal(430, "Flow Failed", "the client's connection has ended")
    }

    fn pass_to_partner(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        partner: usize,
    ) -> Result<(), Reply> {
        let from = incoming.routing.from.uri().map_err(|malformed| Reply::new(400, malformed.0))?;
        if !self.is_own_domain(&from) && !is_anonymous(&from) {
            return Err(self.denied("only users of our domains talk to partners"));
        }
        let link = choose(&self.links, Whose::Partner(partner), now);
        let link = link.ok_or_else(|| self.refusal(504, "Server Time-out", "the partner has no address"))?;
        let Some(domain) = self.config.partners.get(partner).map(|one| one.domain.clone()) else {
            return Ok(());
        };
        if incoming.method() != Method::Ack {
            self.traffic.get_mut(partner).into_iter().for_each(|traffic| traffic.outgoing += 1);
        }
        let remote = self.links.get(link).map(|link| (link.transport, link.remote));
        let Some((transport, remote)) = remote else { return Ok(()) };
        // No connection that there is: later it is found by the domain.
        let flow = Flow { transport, id: 0, local: remote, remote };
        self.pass_to_link(now, incoming, way, link, Far { flow, domain: &domain })
    }

    /// What a request says that we have sealed: the inside has it from a REGISTER or an INVITE, and nobody else can use it.
    fn sealed(&self, incoming: &Incoming<'_>, way: &Route<'_>) -> Sealed {
        let path = || {
            let first = incoming.message.values(Name::Route).next()?;
            let uri = Address::parse(first).ok()?.uri().ok()?;
            let text = uri.user.filter(|_| self.ends.are(&uri, incoming.flow.local.ip()))?;
            Some(Token::open(&self.secret, PATH, [PATH, PATH], text))
        };
        match way.token.clone().map(Some).or_else(path) {
            Some(Some(token)) => Sealed::Here(token),
            Some(None) => Sealed::Before,
            None => Sealed::Nothing,
        }
    }
}

/// What the first Route of ours names.
enum Sealed {
    /// A connection, or a partner.
    Here(Token),
    /// One of before we were started: it has ended.
    Before,
    /// Nobody.
    Nothing,
}
