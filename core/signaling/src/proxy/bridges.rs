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
use super::requests::DATAGRAM;
use super::{Plain, Proxy};
use crate::bridging::{BridgeWish, Bridging, NotBridged, Opening};
use crate::calls;
use crate::contract::Destination;
use crate::incoming::Incoming;
use crate::records::Side;
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
    /// Our addresses as the caller and the one who is called reach them.
    here: [IpAddr; 2],
}

/// A request on its way over a bridge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Crossing {
    bridge: u64,
    /// Who sends it: what that end speaks, and which it is.
    from: Profile,
    pub(super) by: Side,
    /// Whether it has an offer: then its answers have the answer, and otherwise the offer.
    offers: bool,
    /// Whether it begins the call.
    begins: bool,
}

/// A message that waits for its description.
enum Held {
    /// A request, with its transaction and what becomes of its description.
    Request(Id, Vec<u8>),
    /// An answer to the request of this transaction, for this side.
    Response(Id, u16, Vec<u8>, Side),
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

    /// A request that would have gone over a bridge does not leave: one that has not begun never was.
    pub(super) fn not_begun(&mut self, crossing: Option<Crossing>) {
        if let Some(crossing) = crossing.filter(|crossing| crossing.begins) {
            self.open.remove(&crossing.bridge);
        }
    }

    /// Our addresses on the way of a request: as the caller and the one who is called reach them.
    pub(super) fn here(&self, crossing: Crossing) -> Option<[IpAddr; 2]> {
        self.open.get(&crossing.bridge).map(|open| open.here)
    }

    /// A call is up over a bridge. A second one over the same, from behind a proxy of others, goes without.
    fn adopt(&mut self, bridge: u64, call: u128) {
        if let Some(open) = self.open.get_mut(&bridge).filter(|open| open.call.is_none()) {
            open.call = Some(call);
            self.calls.insert(call, bridge);
        }
    }

    fn open(&mut self, caller: Profile, tag: &[u8], here: [IpAddr; 2]) -> u64 {
        self.last += 1;
        self.open.insert(self.last, Open { caller, tag: tag.into(), call: None, here });
        self.last
    }

    fn close(&mut self, bridge: u64) {
        if self.open.remove(&bridge).is_some() {
            self.wishes.push_back(BridgeWish { bridge, what: Bridging::Close });
        }
    }

    /// How a bridge begins, if it begins with this.
    fn opening(&self, crossing: Crossing, keys: bool) -> Option<Opening> {
        let [caller, callee] = self.here(crossing).filter(|_| crossing.begins)?;
        let (web, phone) = if crossing.from == Profile::Web { (caller, callee) } else { (callee, caller) };
        Some(Opening { web, phone, keys })
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

    /// Whether it begins the call.
    pub(super) fn begins(self) -> bool {
        self.begins
    }

    fn answered(self, code: u16, sdp: Vec<u8>) -> Bridging {
        let from = self.from.other();
        match self.offers {
            true => Bridging::Answer { from, sdp, last: code >= 200 },
            false => Bridging::Offer { from, sdp, opening: None },
        }
    }
}

impl Proxy {
    /// The bridge that a request needs on its way, if it needs one. One that begins with it is open from now on; nobody else knows
    /// of it before [`Proxy::crosses`].
    pub(super) fn crossing(
        &mut self,
        incoming: &Incoming<'_>,
        attempt: &Attempt,
        to: &Destination,
    ) -> Option<Crossing> {
        match incoming.has_dialog() {
            true => self.crossing_within(incoming),
            false => self.crossing_begins(incoming, attempt, to),
        }
    }

    /// A request leaves, over a bridge if it needs one; `false` if it does not wait for one.
    pub(super) fn crosses(
        &mut self,
        id: Id,
        crossing: Option<Crossing>,
        attempt: &Attempt,
        bytes: &[u8],
    ) -> bool {
        let (Some(crossing), Some(client)) = (crossing, self.clients.get_mut(id)) else { return false };
        client.crossing = Some(crossing);
        if crossing.may_want_keys() && !attempt.keys {
            client.tried = Some(Box::new(attempt.clone()));
        }
        // As it leaves, not as it came: links may have let less of it pass.
        let Some(sdp) = described(bytes).filter(|_| crossing.offers) else { return false };
        let opening = self.bridges.opening(crossing, attempt.keys);
        let offer = Bridging::Offer { from: crossing.from, sdp, opening };
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
        let (bridge, from, by) = self.bridged_call(incoming).filter(|_| describes)?;
        Some(Crossing { bridge, from, by, offers, begins: false })
    }

    /// The bridge of the call that a request belongs to, and which end speaks what.
    fn bridged_call(&self, incoming: &Incoming<'_>) -> Option<(u64, Profile, Side)> {
        if self.bridges.calls.is_empty() {
            return None;
        }
        let bridge = *self.bridges.calls.get(&calls::key(&self.secret, &incoming.routing))?;
        let open = self.bridges.open.get(&bridge)?;
        Some(match incoming.routing.from.tag {
            Some(tag) if *tag == *open.tag => (bridge, open.caller, Side::Caller),
            _ => (bridge, open.caller.other(), Side::Callee),
        })
    }

    /// Whether a call begins here between ends that don't understand each other: what a browser offers goes to a phone, or what
    /// no browser understands goes to one.
    fn crossing_begins(
        &mut self,
        incoming: &Incoming<'_>,
        attempt: &Attempt,
        to: &Destination,
    ) -> Option<Crossing> {
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
        let here = [incoming.flow.local.ip(), local(to)?].map(|ip| ip.to_canonical());
        let bridge = self.bridges.open(from, incoming.routing.from.tag.unwrap_or_default(), here);
        Some(Crossing { bridge, from, by: Side::Caller, offers: true, begins: true })
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
            self.adopt(crossing, call);
        }
        let open = self.bridges.open.get(&crossing.bridge);
        let is_its_own = open.is_some_and(|open| open.call.is_none_or(|known| known == call));
        let Some(sdp) = described(bytes).filter(|_| is_its_own) else { return false };
        let held = Held::Response(owner, code, bytes.to_vec(), crossing.by);
        self.bridges.hold(crossing.bridge, held, crossing.answered(code, sdp));
        true
    }

    /// A call is up over a bridge, which ends with it. One that nobody follows has no end that we would know of, and gets no
    /// bridge: the table of calls is full.
    fn adopt(&mut self, crossing: Crossing, call: u128) {
        if self.calls.is_up(call) {
            self.bridges.adopt(crossing.bridge, call);
        } else {
            self.bridges.branch_ended(Some(crossing));
        }
    }

    /// An ACK leaves; `false` if it does not wait for a bridge.
    pub(super) fn ack_crosses(&mut self, incoming: &Incoming<'_>, to: Destination, bytes: &[u8]) -> bool {
        let Some(sdp) = incoming.message.sdp() else { return false };
        let Some((bridge, from, _)) = self.bridged_call(incoming) else { return false };
        let answer = Bridging::Answer { from, sdp: sdp.to_vec(), last: true };
        self.bridges.hold(bridge, Held::Ack(to, bytes.to_vec()), answer);
        true
    }

    /// What a bridge has made of a description. What can't be turned round is refused if it is an offer; an answer goes on as it
    /// came, and whoever can't do anything with it hangs up.
    pub(crate) fn bridged(&mut self, now: Duration, bridge: u64, made: Result<String, NotBridged>) {
        let Some(held) = self.bridges.release(bridge) else { return };
        match (held, made) {
            (Held::Request(id, bytes), Ok(sdp)) => match self.offered(id, &bytes, sdp) {
                Ok(bytes) => self.dispatch(now, id, bytes),
                Err(answer) => self.not_sent(now, id, answer),
            },
            (Held::Request(id, _), Err(why)) => self.not_sent(now, id, why.answer()),
            (Held::Response(owner, code, bytes, side), made) => {
                let described = made.ok().and_then(|sdp| with_sdp(&bytes, sdp.as_bytes()));
                let bytes = described.unwrap_or(bytes);
                if let (200..300, Ok(message)) = (code, Message::parse(bytes.as_slice())) {
                    self.settle_across(&message, side);
                }
                self.give(now, owner, code, bytes);
            }
            (Held::Ack(to, bytes), made) => {
                let described = made.ok().and_then(|sdp| with_sdp(&bytes, sdp.as_bytes()));
                self.transmit(to, described.unwrap_or(bytes));
            }
        }
    }

    /// The request with what the bridge offers in it, as far as the links bear that.
    fn offered(&mut self, id: Id, bytes: &[u8], sdp: String) -> Result<Vec<u8>, Answer> {
        let sdp = self.reserve_across(id, sdp)?;
        let client = self.clients.get(id);
        let begins = client.and_then(|client| client.crossing).is_some_and(Crossing::begins);
        let plain = if begins { unreliable(bytes) } else { None };
        let bytes = plain.as_deref().unwrap_or(bytes);
        let bytes = with_sdp(bytes, &sdp).ok_or(NotBridged::Unacceptable.answer())?;
        let stream = client.is_some_and(|client| client.to.transport().is_stream());
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
fn with_sdp(bytes: &[u8], sdp: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(bytes).ok()?;
    let mut edits = Edits::new(&message);
    edits.set(Name::ContentType, b"application/sdp").ok()?;
    edits.body(sdp).ok()?;
    edits.finish().ok()
}

/// The description in a message.
fn described(bytes: &[u8]) -> Option<Vec<u8>> {
    Message::parse(bytes).ok()?.sdp().map(<[u8]>::to_vec)
}

/// The INVITE without the offer to acknowledge provisional answers (RFC 3262), if there is one: they would allow new offers before
/// there is an answer (RFC 3311, 5.1).
fn unreliable(bytes: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(bytes).ok()?;
    let is_reliable = |tag: &&[u8]| tag.eq_ignore_ascii_case(b"100rel");
    let tags: Vec<&[u8]> = message.values(Name::Supported).collect();
    tags.iter().any(is_reliable).then_some(())?;
    let mut edits = Edits::new(&message);
    edits.remove(Name::Supported);
    for tag in tags.iter().filter(|tag| !is_reliable(tag)) {
        edits.append(b"Supported", tag).ok()?;
    }
    edits.finish().ok()
}
