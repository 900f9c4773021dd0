//! Which calls need a bridge between a browser and a phone, and messages that wait for what it makes of their descriptions.
//!
//! Ends of the same kind are left alone, and so is whoever is behind an Edge: how that is reached, nobody here knows.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use carillon_wire::sdp::{Profile, Session};
use carillon_wire::sip::{Answer, Edits, Message, Method, Name};
use hashbrown::HashMap;

use super::fork::{Attempt, Target};
use super::requests::{DATAGRAM, Passing};
use super::{Plain, Proxy};
use crate::bridging::{BridgeWish, Bridging, NotBridged, Opening};
use crate::calls;
use crate::contract::Destination;
use crate::incoming::Incoming;
use crate::transaction::{Id, Owner};

/// All bridges that there are.
#[derive(Default)]
pub(crate) struct Bridges {
    last: u64,
    open: HashMap<u64, Open, Plain>,
    /// Those of calls that are up, by the call.
    calls: HashMap<u128, u64, Plain>,
    /// Messages that wait, in their order.
    held: VecDeque<(u64, Held)>,
    wishes: VecDeque<BridgeWish>,
}

/// A bridge.
struct Open {
    /// What the caller speaks, and by which tag it is known.
    caller: Profile,
    tag: Box<[u8]>,
    /// The call, once it is up.
    call: Option<u128>,
}

/// A request on its way over a bridge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Crossing {
    bridge: u64,
    /// Who sends it.
    from: Profile,
    /// Whether it has an offer: then its answers have the answer, and otherwise the offer.
    offers: bool,
    /// Whether it begins the call.
    begins: bool,
}

/// A message that waits for its description.
enum Held {
    /// A request, with its transaction.
    Request(Id, Vec<u8>),
    /// An answer to the request of this transaction.
    Response(Id, u16, Vec<u8>),
    Ack(Destination, Vec<u8>),
}

impl Bridges {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn poll_wish(&mut self) -> Option<BridgeWish> {
        self.wishes.pop_front()
    }

    /// A call is over.
    pub(super) fn call_ended(&mut self, call: u128) {
        if let Some(bridge) = self.calls.remove(&call) {
            self.close(bridge);
        }
    }

    /// A transaction has ended: a bridge that has not become one of a call ends with it.
    pub(super) fn branch_ended(&mut self, crossing: Option<Crossing>) {
        let Some(crossing) = crossing else { return };
        if self.open.get(&crossing.bridge).is_some_and(|open| open.call.is_none()) {
            self.close(crossing.bridge);
        }
    }

    /// A call is up over a bridge. A second one over the same, from behind a proxy of others, goes without.
    fn adopt(&mut self, bridge: u64, call: u128) {
        if let Some(open) = self.open.get_mut(&bridge).filter(|open| open.call.is_none()) {
            open.call = Some(call);
            self.calls.insert(call, bridge);
        }
    }

    fn open(&mut self, caller: Profile, tag: &[u8]) -> u64 {
        self.last += 1;
        self.open.insert(self.last, Open { caller, tag: tag.into(), call: None });
        self.last
    }

    fn close(&mut self, bridge: u64) {
        if self.open.remove(&bridge).is_some() {
            self.wishes.push_back(BridgeWish { bridge, what: Bridging::Close });
        }
    }

    fn hold(&mut self, bridge: u64, held: Held, what: Bridging) {
        self.held.push_back((bridge, held));
        self.wishes.push_back(BridgeWish { bridge, what });
    }

    fn release(&mut self, bridge: u64) -> Option<Held> {
        let at = self.held.iter().position(|(of, _)| *of == bridge)?;
        self.held.remove(at).map(|(_, held)| held)
    }
}

impl Crossing {
    /// Whether a phone was offered RTP, so that keys may be what it misses.
    pub(super) fn may_want_keys(self) -> bool {
        self.begins && self.from == Profile::Web
    }

    fn answered(self, sdp: Vec<u8>) -> Bridging {
        let from = self.from.other();
        match self.offers {
            true => Bridging::Answer { from, sdp },
            false => Bridging::Offer { from, sdp, opening: None },
        }
    }
}

impl Proxy {
    /// A request leaves, over a bridge if it needs one; `false` if it does not wait for one.
    pub(super) fn crosses(
        &mut self,
        id: Id,
        request: Passing<'_>,
        attempt: &Attempt,
        to: &Destination,
        bytes: &[u8],
    ) -> bool {
        let incoming = request.incoming;
        let found = match incoming.has_dialog() {
            true => self.crossing_within(incoming).map(|crossing| (crossing, None)),
            false => self.crossing_begins(incoming, attempt, to),
        };
        let (Some((crossing, opening)), Some(client)) = (found, self.clients.get_mut(id)) else {
            return false;
        };
        client.crossing = Some(crossing);
        if crossing.may_want_keys() && !attempt.keys {
            client.tried = Some(Box::new(attempt.clone()));
        }
        let Some(sdp) = incoming.message.sdp().filter(|_| crossing.offers) else { return false };
        let offer = Bridging::Offer { from: crossing.from, sdp: sdp.to_vec(), opening };
        self.bridges.hold(crossing.bridge, Held::Request(id, bytes.to_vec()), offer);
        true
    }

    /// The way of a request within a call that is bridged.
    fn crossing_within(&self, incoming: &Incoming<'_>) -> Option<Crossing> {
        let offers = incoming.message.sdp().is_some();
        let describes = match incoming.method() {
            Method::Invite => true,
            Method::Update => offers,
            _ => false,
        };
        let (bridge, from) = self.bridged_call(incoming).filter(|_| describes)?;
        Some(Crossing { bridge, from, offers, begins: false })
    }

    /// The bridge of the call that a request belongs to, and which end speaks.
    fn bridged_call(&self, incoming: &Incoming<'_>) -> Option<(u64, Profile)> {
        if self.bridges.calls.is_empty() {
            return None;
        }
        let bridge = *self.bridges.calls.get(&calls::key(&self.secret, &incoming.routing))?;
        let open = self.bridges.open.get(&bridge)?;
        let is_caller = incoming.routing.from.tag.is_some_and(|tag| *tag == *open.tag);
        Some((bridge, if is_caller { open.caller } else { open.caller.other() }))
    }

    /// Whether a call begins here between ends that don't understand each other: what a browser offers goes to a phone, or what
    /// no browser understands goes to one.
    fn crossing_begins(
        &mut self,
        incoming: &Incoming<'_>,
        attempt: &Attempt,
        to: &Destination,
    ) -> Option<(Crossing, Option<Opening>)> {
        let Target::Contact(binding, _) = &attempt.target else { return None };
        let offers = || Session::parse(incoming.message.sdp()?)?.profile();
        let from = offers().filter(|_| incoming.is_invite() && binding.path.is_empty())?;
        let fits = match from {
            Profile::Web => incoming.flow.transport.is_web() && !to.transport().is_web(),
            Profile::Phone => to.transport().is_web(),
        };
        if !fits || self.records.comes_by_edge(&incoming.flow) {
            return None;
        }
        let (caller, callee) = (incoming.flow.local.ip().to_canonical(), local(to)?.to_canonical());
        let (web, phone) = if from == Profile::Web { (caller, callee) } else { (callee, caller) };
        let bridge = self.bridges.open(from, incoming.routing.from.tag.unwrap_or_default());
        let opening = Opening { web, phone, keys: attempt.keys };
        Some((Crossing { bridge, from, offers: true, begins: true }, Some(opening)))
    }

    /// An answer leaves, ready to be sent on; `false` if it does not wait for a bridge.
    pub(super) fn answer_crosses(
        &mut self,
        owner: Id,
        incoming: &Incoming<'_>,
        (code, bytes): (u16, &[u8]),
        crossing: Option<Crossing>,
    ) -> bool {
        let Some(crossing) = crossing else { return false };
        let call = calls::key(&self.secret, &incoming.routing);
        if crossing.begins && incoming.has_dialog() && (200..300).contains(&code) {
            self.bridges.adopt(crossing.bridge, call);
        }
        let open = self.bridges.open.get(&crossing.bridge);
        let is_its_own = open.is_some_and(|open| open.call.is_none_or(|known| known == call));
        let Some(sdp) = incoming.message.sdp().filter(|_| is_its_own) else { return false };
        let held = Held::Response(owner, code, bytes.to_vec());
        self.bridges.hold(crossing.bridge, held, crossing.answered(sdp.to_vec()));
        true
    }

    /// An ACK leaves; `false` if it does not wait for a bridge.
    pub(super) fn ack_crosses(&mut self, incoming: &Incoming<'_>, to: Destination, bytes: &[u8]) -> bool {
        let Some(sdp) = incoming.message.sdp() else { return false };
        let Some((bridge, from)) = self.bridged_call(incoming) else { return false };
        let answer = Bridging::Answer { from, sdp: sdp.to_vec() };
        self.bridges.hold(bridge, Held::Ack(to, bytes.to_vec()), answer);
        true
    }

    /// What a bridge has made of a description. What can't be turned round is refused if it is an offer; an answer goes on as it
    /// came, and whoever can't do anything with it hangs up.
    pub(crate) fn bridged(&mut self, now: Duration, bridge: u64, made: Result<String, NotBridged>) {
        let Some(held) = self.bridges.release(bridge) else { return };
        match (held, made) {
            (Held::Request(id, bytes), Ok(sdp)) => match self.fitting(id, &bytes, &sdp) {
                Ok(bytes) => self.dispatch(now, id, bytes),
                Err(answer) => self.not_sent(now, id, answer),
            },
            (Held::Request(id, _), Err(why)) => self.not_sent(now, id, why.answer()),
            (Held::Response(owner, code, bytes), made) => {
                let described = made.ok().and_then(|sdp| with_sdp(&bytes, &sdp));
                self.give(now, owner, code, described.unwrap_or(bytes));
            }
            (Held::Ack(to, bytes), made) => {
                let described = made.ok().and_then(|sdp| with_sdp(&bytes, &sdp));
                self.transmit(to, described.unwrap_or(bytes));
            }
        }
    }

    fn fitting(&self, id: Id, bytes: &[u8], sdp: &str) -> Result<Vec<u8>, Answer> {
        let bytes = with_sdp(bytes, sdp).ok_or(NotBridged::Unacceptable.answer())?;
        let stream = self.clients.get(id).is_some_and(|client| client.to.transport().is_stream());
        if stream || bytes.len() <= DATAGRAM { Ok(bytes) } else { Err(Answer::TOO_LARGE) }
    }

    /// A request that waited does not leave.
    fn not_sent(&mut self, now: Duration, id: Id, answer: Answer) {
        if let Some(Owner::Request(owner)) = self.end_client(id).map(|client| client.owner) {
            self.failed(now, owner, Some(answer));
        }
    }
}

/// Our address on the way there.
fn local(to: &Destination) -> Option<IpAddr> {
    let address = match to {
        Destination::Flow(flow) => flow.local,
        Destination::Address { local, .. } => (*local)?,
    };
    Some(address.ip()).filter(|ip| !ip.is_unspecified())
}

/// The message with another description, and nothing else in its body.
fn with_sdp(bytes: &[u8], sdp: &str) -> Option<Vec<u8>> {
    let message = Message::parse(bytes).ok()?;
    let mut edits = Edits::new(&message);
    edits.set(Name::ContentType, b"application/sdp").ok()?;
    edits.body(sdp.as_bytes()).ok()?;
    edits.finish().ok()
}
