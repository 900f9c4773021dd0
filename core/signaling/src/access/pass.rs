//! What is passed on: requests with our marks in them, and answers by what these say.

use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::sip::{Destination, Flow, Method};

use super::config::Side;
use super::contract::{Event, Output};
use super::link::Waiting;
use super::peers::Peer;
use super::{AccessEdge, is_domain, link::Whose};
use crate::incoming::{Incoming, answer, tag};
use crate::proxy::{Ends, Hop, Route, Token, request, response};
use crate::reply::Reply;
use crate::secret::{Secret, usage};

/// What a Path is sealed for: no call, so any.
pub(super) const PATH: &[u8] = b"path";
/// How branches of ours begin; what follows is the transaction and the way back.
const BRANCH: &str = "z9hG4bK-e";

/// Who is outside: the connection, and the partner's domain if it is one.
#[derive(Clone, Copy)]
pub(super) struct Far<'a> {
    pub(super) flow: Flow,
    pub(super) domain: &'a str,
}

impl AccessEdge {
    /// Passes a request on to a server that we connect to.
    pub(super) fn pass_to_link(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        link: usize,
        far: Far<'_>,
    ) -> Result<(), Reply> {
        let Some((to, whose)) = self.links.get(link).map(|link| (link.destination(), link.whose)) else {
            return Ok(());
        };
        let bytes = self.leaving(now, incoming, way, &to, far)?;
        if incoming.method() != Method::Ack {
            let why = match whose {
                Whose::Inside => "no server of the inside can be reached",
                Whose::Partner(_) => "the partner's Edge cannot be reached",
            };
            let reply = self.refusal(504, "Server Time-out", why);
            let refusal =
                answer(incoming.message, &incoming.flow, &tag(&self.secret, incoming.message), &reply);
            let waiting = Waiting { since: now, from: incoming.flow, bytes: bytes.clone(), refusal };
            if let Some(link) = self.links.get_mut(link) {
                link.remember(waiting);
            }
        }
        self.forward(to, bytes);
        Ok(())
    }

    /// Passes a request on.
    pub(super) fn pass(
        &mut self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        to: Destination,
        far: Far<'_>,
    ) -> Result<(), Reply> {
        let bytes = self.leaving(now, incoming, way, &to, far)?;
        let partner = self.config.partners.iter().position(|partner| partner.domain == far.domain);
        if let Some(traffic) = partner.and_then(|at| self.traffic.get_mut(at))
            && incoming.method() != Method::Ack
        {
            traffic.outgoing += 1;
        }
        self.forward(to, bytes);
        Ok(())
    }

    /// An answer: back by the way that our Via says.
    pub(super) fn response(&mut self, now: Duration, incoming: &Incoming<'_>, code: u16) {
        if self.is_probe(incoming) {
            return match code {
                // It is there, and has nobody behind it.
                500.. => self.failed(now, incoming.flow.remote),
                _ => self.heard(now, incoming.flow.remote),
            };
        }
        self.heard(now, incoming.flow.remote);
        let Some(back) = way_back(&self.secret, incoming) else {
            return self.counts.drop("sip_stray_response");
        };
        if !self.peers.is_up(&back) {
            return self.counts.drop("sip_late_response");
        }
        match self.peers.of(&incoming.flow) {
            Peer::Inside if incoming.method() == Method::Register && code / 100 == 2 => self.vouch(back),
            Peer::Partners(partners) if code >= 200 => self.answered(now, incoming, &partners, code),
            _ => {}
        }
        match response(incoming.message) {
            Some(bytes) => self.forward(Destination::Flow(back), bytes),
            None => self.counts.drop("sip_malformed"),
        }
    }

    /// What leaves towards the inside is signaling; the outside is not ours to mark.
    pub(super) fn class(&self, to: &Destination) -> Option<TrafficClass> {
        self.is_inward(to).then_some(TrafficClass::Signaling)
    }

    fn is_inward(&self, to: &Destination) -> bool {
        match to {
            Destination::Flow(flow) => {
                self.peers.of(flow) == Peer::Inside || self.peers.side(flow) == Some(Side::Inside)
            }
            Destination::Address { remote, .. } => {
                self.links.iter().any(|link| link.whose == Whose::Inside && link.remote == *remote)
            }
        }
    }

    fn forward(&mut self, to: Destination, bytes: Vec<u8>) {
        let way = if self.is_inward(&to) { "in" } else { "out" };
        *self.counts.forwarded.entry(way).or_default() += 1;
        self.transmit(to, bytes);
    }

    /// The inside knows who has signed in there.
    fn vouch(&mut self, flow: Flow) {
        if self.peers.signed_in(&flow) {
            self.out.push_back(Output::Event(Event::SignedIn));
        }
        self.out.push_back(Output::Trust(flow));
    }

    fn answered(&mut self, now: Duration, incoming: &Incoming<'_>, partners: &[usize], code: u16) {
        let accepted = incoming.method() == Method::Subscribe && code / 100 == 2;
        let ends = [incoming.routing.to, incoming.routing.from].map(|end| end.uri().ok());
        let is = |at: &&usize| {
            let domain = self.config.partners.get(**at).map(|partner| partner.domain.as_str());
            ends.iter().flatten().any(|end| domain.is_some_and(|domain| is_domain(end, domain)))
        };
        let Some(traffic) = partners.iter().find(is).and_then(|at| self.traffic.get_mut(*at)) else { return };
        traffic.answered += 1;
        if accepted {
            traffic.subscribed(now);
        }
    }

    /// The bytes that leave.
    fn leaving(
        &self,
        now: Duration,
        incoming: &Incoming<'_>,
        way: &Route<'_>,
        to: &Destination,
        far: Far<'_>,
    ) -> Result<Vec<u8>, Reply> {
        let unfit = || Reply::new(500, "No Such Listener");
        let inward = self.is_inward(to);
        let (near, other) =
            if inward { (&self.inside, &self.outside) } else { (&self.outside, &self.inside) };
        let end = near.towards(to).ok_or_else(unfit)?;
        let place = &end.listener.advertised;
        let via =
            format!("SIP/2.0/{} {place};rport;branch={}", to.transport(), branch(&self.secret, incoming));
        let token = Token::new(now, far.flow, far.domain);
        let path = (incoming.method() == Method::Register && inward)
            .then(|| format!("<sip:{}{};ob>", token.seal(&self.secret, PATH, PATH), end.uri));
        let record = self.record(incoming, &token, (near, to), other).ok_or_else(unfit)?;
        let hop = Hop {
            via,
            uri: None,
            path: &[],
            record: record.into_iter().flatten().collect(),
            crossed: path,
            asserted: None,
            breadth: None,
            history: &[],
            realm: "",
            body: None,
        };
        request(incoming, way, &hop).map_err(|malformed| Reply::new(400, malformed.0))
    }

    /// Two entries for a dialog that may begin, that of the side it goes to first (RFC 5658), both with the way outside.
    /// Nothing inside if none is needed.
    #[allow(clippy::option_option, reason = "no listener is a fault, and no entry is none")]
    fn record(
        &self,
        incoming: &Incoming<'_>,
        token: &Token,
        (near, to): (&Ends, &Destination),
        other: &Ends,
    ) -> Option<Option<[String; 2]>> {
        if !matches!(incoming.method(), Method::Invite | Method::Subscribe | Method::Refer) {
            return Some(None);
        }
        let tag = incoming.routing.from.tag.unwrap_or_default();
        let sealed = token.seal(&self.secret, incoming.routing.call_id, tag);
        let ends = [near.towards(to)?, other.of(&incoming.flow)?];
        Some(Some(ends.map(|end| format!("<sip:{sealed}{}>", end.uri))))
    }
}

/// The same for all requests of a transaction (RFC 3261, 16.11): an INVITE, its CANCEL, and the ACK of a refusal. The way back is in
/// it, sealed.
pub(crate) fn branch(secret: &Secret, incoming: &Incoming<'_>) -> String {
    let routing = &incoming.routing;
    let number = routing.cseq.number.to_be_bytes();
    let tag = routing.from.tag.unwrap_or_default();
    let own = routing.via.transaction().unwrap_or(routing.via.raw);
    let hash = secret.hash(usage::BRANCH, &[own, routing.call_id, tag, &number]);
    // Without the hour, which may change between two requests of a transaction.
    let back = Token::new(Duration::ZERO, incoming.flow, "").seal(secret, routing.call_id, tag);
    format!("{BRANCH}{hash:016x}-{back}")
}

/// By which connection a request came that this answers.
pub(crate) fn way_back(secret: &Secret, incoming: &Incoming<'_>) -> Option<Flow> {
    let routing = &incoming.routing;
    let text = routing.via.branch?.strip_prefix(BRANCH.as_bytes())?;
    let back = text.get(17..).filter(|_| text.get(16) == Some(&b'-'))?;
    let tag = routing.from.tag.unwrap_or_default();
    Token::open(secret, routing.call_id, [tag, tag], back).map(|token| token.flow)
}
