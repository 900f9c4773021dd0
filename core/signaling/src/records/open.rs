//! A call while it is open: what is learned of it, message by message.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::plan::{RolePolicy, Scope, Sites};
use carillon_qos::{Plan, Role, TrafficClass};
use carillon_wire::sip::{Flow, Message, Routing, Transport, Uri};

use super::media::{Described, agreed};
use super::report::{QualityReport, rtp_stat};
use super::{CallLeg, End, Ending, Path, Record, Refused, Side, Stream};
use crate::address;
use crate::incoming::Incoming;

/// Makes records.
#[derive(Debug)]
pub(crate) struct Records {
    last: u64,
    /// Where our Edges speak with us.
    edges: Vec<IpAddr>,
    sites: Sites,
    /// What the plan wants of clients at its sites.
    policies: BTreeMap<String, Arc<RolePolicy>>,
    /// What it wants of all others.
    policy: Arc<RolePolicy>,
}

/// Who calls, and whom.
pub(crate) struct Caller<'a> {
    /// Who, if that was proven; else empty.
    pub(crate) aor: &'a Arc<str>,
    /// Where from, as the Edge saw it if it came through one.
    pub(crate) address: IpAddr,
    pub(crate) invite: &'a Incoming<'a>,
}

/// A call that is being set up, or up.
#[derive(Debug)]
pub(crate) struct OpenCall {
    call: u64,
    call_id: Arc<str>,
    caller_tag: Box<[u8]>,
    begun: Duration,
    rung: Option<Duration>,
    answered: Option<Duration>,
    caller: Party,
    callee: Option<Party>,
    /// Whom the caller asked for.
    asked: Arc<str>,
    /// Which user of ours is meant by that, as far as rules have led.
    pub(crate) meant: Option<Arc<str>>,
    /// What was offered last and is not answered yet, and by whom.
    offer: Option<(Side, Described)>,
    media: Agreed,
    /// The caller's connection was lost.
    pub(crate) caller_lost: bool,
    /// The link that had no room for it, or for its video.
    pub(crate) over_budget: Option<Arc<str>>,
}

#[derive(Debug)]
struct Party {
    user: Arc<str>,
    address: Option<IpAddr>,
    site: Option<Arc<str>>,
    transport: Transport,
    through_edge: bool,
    policy: Arc<RolePolicy>,
}

/// Streams of the caller and of the callee.
#[derive(Debug, Default)]
struct Agreed {
    audio: [Option<Stream>; 2],
    video: [Option<Stream>; 2],
}

impl Records {
    pub(crate) fn new(edges: Vec<IpAddr>, plan: &Plan) -> Records {
        let policy = Arc::new(plan.policy(Role::Client, &Scope::default()));
        let mut records =
            Records { last: 0, edges, sites: Sites::default(), policies: BTreeMap::new(), policy };
        records.set_plan(plan);
        records
    }

    /// From now on this plan holds.
    pub(crate) fn set_plan(&mut self, plan: &Plan) {
        let of = |site: Option<&str>| {
            let scope = Scope { site: site.map(str::to_owned), service: None };
            Arc::new(plan.policy(Role::Client, &scope))
        };
        self.sites = Sites::of(plan);
        self.policies = plan.sites().map(|site| (site.to_owned(), of(Some(site)))).collect();
        self.policy = of(None);
    }

    /// A call begins.
    pub(crate) fn begin(&mut self, now: Duration, caller: &Caller<'_>) -> Box<OpenCall> {
        let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.last = micros.max(self.last.saturating_add(1));
        let Caller { invite, .. } = caller;
        let (from, to) = (invite.routing.from.uri().ok(), invite.routing.to.uri().ok());
        let user = if caller.aor.is_empty() { aor(from) } else { Arc::clone(caller.aor) };
        Box::new(OpenCall {
            call: self.last,
            call_id: String::from_utf8_lossy(invite.routing.call_id).into(),
            caller_tag: invite.routing.from.tag.unwrap_or_default().into(),
            begun: now,
            rung: None,
            answered: None,
            caller: self.party(user, invite.flow, Some(caller.address)),
            callee: None,
            asked: aor(to),
            meant: None,
            offer: described(invite.message).map(|offer| (Side::Caller, offer)),
            media: Agreed::default(),
            caller_lost: false,
            over_budget: None,
        })
    }

    /// A phone has answered.
    pub(crate) fn answered(&self, now: Duration, open: &mut OpenCall, answer: &Incoming<'_>) {
        let user = open.meant.as_ref().unwrap_or(&open.asked);
        open.callee = Some(self.party(Arc::clone(user), answer.flow, self.address(answer.flow.remote)));
        open.answered = Some(now);
        open.described(Side::Callee, answer.message);
    }

    /// Whether a flow leads to an Edge of ours.
    pub(crate) fn comes_by_edge(&self, flow: &Flow) -> bool {
        self.edges.contains(&flow.remote.ip().to_canonical())
    }

    /// The site of whoever is at the other end of a flow.
    pub(crate) fn site(&self, remote: SocketAddr) -> Option<Arc<str>> {
        self.address(remote).and_then(|address| self.sites.site(address)).cloned()
    }

    fn address(&self, remote: SocketAddr) -> Option<IpAddr> {
        let ip = remote.ip().to_canonical();
        (!self.edges.contains(&ip)).then_some(ip)
    }

    /// Whoever is behind a flow; nobody knows where one is that was called through an Edge of ours.
    fn party(&self, user: Arc<str>, flow: Flow, address: Option<IpAddr>) -> Party {
        let site = address.and_then(|address| self.sites.site(address)).map(Arc::clone);
        let policy = site.as_deref().and_then(|site| self.policies.get(site)).unwrap_or(&self.policy);
        Party {
            user,
            address: address.map(|address| address.to_canonical()),
            site,
            transport: flow.transport,
            through_edge: self.edges.contains(&flow.remote.ip().to_canonical()),
            policy: Arc::clone(policy),
        }
    }
}

impl OpenCall {
    /// An INVITE or UPDATE within the call passes.
    pub(crate) fn offered(&mut self, by: Side, message: &Message<&[u8]>) {
        self.offer = described(message).map(|offer| (by, offer));
    }

    /// A provisional answer passes. The final one may bring another description, from another phone.
    pub(crate) fn progresses(&mut self, now: Duration, code: u16, message: &Message<&[u8]>) {
        if matches!(code, 180..=183) {
            self.rung.get_or_insert(now);
        }
        if let (Some((offerer, offer)), Some(answer)) = (&self.offer, described(message)) {
            self.media = Agreed::of(*offerer, offer, &answer);
        }
    }

    /// A 2xx or an ACK passes: it answers what was offered, or offers.
    pub(crate) fn described(&mut self, by: Side, message: &Message<&[u8]>) {
        let Some(described) = described(message) else { return };
        match self.offer.take() {
            Some((offerer, offer)) if offerer != by => self.media = Agreed::of(offerer, &offer, &described),
            _ => self.offer = Some((by, described)),
        }
    }

    /// The site of the caller.
    pub(crate) fn caller_site(&self) -> Option<Arc<str>> {
        self.caller.site.clone()
    }

    /// Which side sends a request within the call.
    pub(crate) fn speaker(&self, routing: &Routing<'_>) -> Side {
        let is_caller = routing.from.tag.is_some_and(|tag| *tag == *self.caller_tag);
        if is_caller { Side::Caller } else { Side::Callee }
    }

    /// Who sends a request within the call, and to whom.
    pub(crate) fn ends(&self, routing: &Routing<'_>) -> Option<[Arc<str>; 2]> {
        let (caller, callee) = (Arc::clone(&self.caller.user), Arc::clone(&self.callee.as_ref()?.user));
        Some(match self.speaker(routing) {
            Side::Caller => [caller, callee],
            Side::Callee => [callee, caller],
        })
    }

    /// The end of a call that was never up.
    /// `own`: nobody has answered, and we say so instead.
    pub(crate) fn refused(&self, at: Duration, code: u16, cancelled: bool, own: bool) -> End {
        let how = Refused { rang: self.rung.is_some(), cancelled, caller_lost: self.caller_lost, own };
        let by = match cancelled {
            true => Some(Side::Caller),
            false => (!own).then_some(Side::Callee),
        };
        End { at, ending: Ending::of_refusal(code, how), code: Some(code), by }
    }

    /// The legs as they are now.
    pub(crate) fn legs(&self, end: Option<End>) -> impl Iterator<Item = Box<Record>> + '_ {
        let caller =
            (Side::Caller, &self.caller, self.callee.as_ref().map_or(&self.asked, |callee| &callee.user));
        let callee = self.callee.as_ref().map(|callee| (Side::Callee, callee, &self.caller.user));
        let legs = [caller].into_iter().chain(callee);
        legs.map(move |(side, party, peer)| Box::new(Record::Leg(self.leg(side, party, peer, end))))
    }

    /// What the sender of a BYE says of what it has heard.
    pub(crate) fn stat(&self, by: Side, bye: &Message<&[u8]>) -> Option<Box<Record>> {
        let user = match by {
            Side::Caller => &self.caller.user,
            Side::Callee => &self.callee.as_ref()?.user,
        };
        let rate = self.media.audio[by as usize].as_ref().and_then(|audio| audio.rate);
        let quality = rtp_stat(bye, rate.unwrap_or(8000))?;
        let (call_id, user) = (Arc::clone(&self.call_id), Arc::clone(user));
        Some(Box::new(Record::Report(QualityReport { call_id, user, side: Some(by), quality })))
    }

    fn leg(&self, side: Side, party: &Party, peer: &Arc<str>, end: Option<End>) -> CallLeg {
        CallLeg {
            call: self.call,
            side,
            call_id: Arc::clone(&self.call_id),
            user: Arc::clone(&party.user),
            peer: Arc::clone(peer),
            address: party.address,
            site: party.site.clone(),
            transport: party.transport,
            through_edge: party.through_edge,
            begun: self.begun,
            rung: self.rung,
            answered: self.answered,
            end,
            over_budget: self.over_budget.clone(),
            audio: party.judged(TrafficClass::Audio, self.media.audio[side as usize].as_ref()),
            video: party.judged(TrafficClass::Video, self.media.video[side as usize].as_ref()),
        }
    }
}

impl Party {
    /// A stream beside the plan. The port of a relay is not the party's own.
    fn judged(&self, class: TrafficClass, stream: Option<&Stream>) -> Option<Stream> {
        let stream = stream?.clone();
        let own = stream.address.filter(|_| stream.path != Some(Path::Relayed));
        let in_range = own.zip(self.policy.ports(class)).map(|(own, ports)| ports.contains(own.port()));
        Some(Stream { in_range, mark: Some(self.policy.mark(class).value()), ..stream })
    }
}

impl Agreed {
    fn of(offerer: Side, offer: &Described, answer: &Described) -> Agreed {
        let [mut audio, mut video] = [
            agreed(offer.audio.as_ref(), answer.audio.as_ref()),
            agreed(offer.video.as_ref(), answer.video.as_ref()),
        ];
        if offerer == Side::Callee {
            audio.swap(0, 1);
            video.swap(0, 1);
        }
        Agreed { audio, video }
    }
}

impl End {
    /// A call that was up ends by a BYE.
    pub(crate) fn by(side: Side, at: Duration, bye: &Message<&[u8]>) -> End {
        End { at, ending: Ending::of_reason(bye).unwrap_or(Ending::HungUp), code: None, by: Some(side) }
    }

    /// A call ends, and neither of the two has ended it.
    pub(crate) fn alone(at: Duration, ending: Ending) -> End {
        End { at, ending, code: None, by: None }
    }
}

fn described(message: &Message<&[u8]>) -> Option<Described> {
    message.sdp().and_then(Described::of)
}

fn aor(uri: Option<Uri<'_>>) -> Arc<str> {
    uri.and_then(|uri| address::aor(&uri)).unwrap_or_default().into()
}
