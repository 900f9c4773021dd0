//! TCP between relayed ports and peers (RFC 6062): Connect, ConnectionBind, ConnectionAttempt, and the ends of connections.
//!
//! What passes is not looked at: the host joins the two connections, and repeats that decision per byte.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::stun::{Builder, Class, Method, kind};

use crate::allocation::Allocation;
use crate::answer::{Code, Refusal, family_of};
use crate::contract::{Joint, LinkId, Output, PortId, WishId};
use crate::counts::dropped;
use crate::integrity::Seal;
use crate::link::{Link, Stage};
use crate::proofs::Proven;
use crate::relay::{Asked, Relay};
use crate::table::Slot;

/// How long a peer may take to be reached, and a client to come for its connection (RFC 6062, 5.2 and 5.3).
const PATIENCE: Duration = Duration::from_secs(30);

/// A Connect that is answered when the peer is reached, or is not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dial {
    pub(crate) wish: WishId,
    transaction: [u8; 12],
    seal: Seal,
    fingerprint: bool,
}

impl Relay {
    /// RFC 6062, 5.2. `None`: the answer follows when the peer is reached, or is not. A permission is for those who come; whom a
    /// client calls is bounded by the same rules as all that it sends.
    pub(crate) fn connect(&mut self, asked: &Asked<'_>, proven: &Proven) -> Result<Option<Builder>, Refusal> {
        let slot = self.owned(asked, proven)?;
        let allocation = self.table.get(slot).filter(|allocation| allocation.streams);
        let allocation = allocation.ok_or(Code::AllocationMismatch)?;
        let peer = asked.message.xor_peer_address().ok_or(Code::BadRequest)?;
        let port = allocation.leg_to(peer).ok_or(Code::PeerFamilyMismatch)?.port;
        let (links, is_there) =
            (allocation.links.len(), allocation.links.iter().any(|link| link.peer == peer));
        if !self.reaches(peer) {
            return Err(self.forbid(asked, peer));
        }
        if is_there {
            return Err(Code::ConnectionExists.into());
        }
        if links >= self.config.limits.links {
            return Err(Code::Quota.into());
        }
        self.dial(asked, slot, (port, peer), proven.seal);
        Ok(None)
    }

    /// RFC 6062, 5.4: on a connection of its own, by whoever has the allocation. From here on it speaks no STUN. `None`: it is
    /// answered, for nothing may overtake the answer.
    pub(crate) fn connection_bind(
        &mut self,
        asked: &Asked<'_>,
        proven: &Proven,
    ) -> Result<Option<Builder>, Refusal> {
        let id = asked.message.connection_id().ok_or(Code::BadRequest)?;
        if asked.slot.is_some() || !asked.flow.transport.is_stream() {
            return Err(Code::BadRequest.into());
        }
        let slot = self.links.of_connection(id).ok_or(Code::BadRequest)?;
        let allocation = self.table.get_mut(slot).ok_or(Code::BadRequest)?;
        if *allocation.user != *proven.identity {
            return Err(Code::WrongCredentials.into());
        }
        let link = allocation.links.iter_mut().find(|link| link.stage.waits_as(id));
        let link = link.ok_or(Code::BadRequest)?;
        link.stage.join(asked.flow);
        self.links.bound(id);
        self.conclude(asked, proven.seal, Ok(Relay::done(asked)));
        self.issue_joints(slot, |link| link.stage.joined().is_some_and(|(_, client)| client == asked.flow));
        Ok(None)
    }

    /// A peer is reached: the client learns by what number it comes for the connection.
    pub(crate) fn dialled(&mut self, now: Duration, wish: WishId, link: LinkId) {
        let Some((slot, dial)) = self.dial_of(wish) else { return self.out.push_back(Output::HangUp(link)) };
        let id = self.links.add(&mut self.secret, slot, link);
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let waiting = allocation.links.iter_mut().find(|link| link.stage.is_dialling(wish));
        waiting.into_iter().for_each(|waiting| waiting.stage = Stage::waits(link, id, now + PATIENCE));
        let flow = allocation.flow;
        self.schedule(now, slot);
        self.counts.success("connect");
        let answer = Builder::new(Class::Success, Method::Connect, dial.transaction);
        self.answer_later(flow, dial.seal, dial.fingerprint, answer.u32(kind::CONNECTION_ID, id));
    }

    /// A peer is not reached.
    pub(crate) fn not_dialled(&mut self, wish: WishId) {
        let Some((slot, dial)) = self.dial_of(wish) else { return };
        let Some(allocation) = self.table.get_mut(slot) else { return };
        allocation.links.retain(|link| !link.stage.is_dialling(wish));
        let flow = allocation.flow;
        self.counts.error(Code::ConnectionFailed.number());
        let answer = Builder::new(Class::Error, Method::Connect, dial.transaction);
        let answer = Refusal::from(Code::ConnectionFailed).write(answer);
        self.answer_later(flow, dial.seal, dial.fingerprint, answer);
    }

    /// A peer has connected to a relayed port (RFC 6062, 5.3).
    pub(crate) fn arrived(&mut self, now: Duration, port: PortId, peer: SocketAddr, link: LinkId) {
        let slot = self.table.of_port(port);
        let Some((slot, allocation)) = slot.and_then(|slot| Some((slot, self.table.get(slot)?))) else {
            return self.turn_away(link, dropped::NO_ALLOCATION);
        };
        if !allocation.permits(peer.ip()) {
            return self.turn_away(link, dropped::NO_PERMISSION);
        }
        if allocation.links.len() >= self.config.limits.links {
            return self.turn_away(link, dropped::TOO_MANY_CONNECTIONS);
        }
        let id = self.links.add(&mut self.secret, slot, link);
        let Some(allocation) = self.table.get_mut(slot) else { return };
        allocation.links.push(Link { peer, stage: Stage::waits(link, id, now + PATIENCE) });
        let flow = allocation.flow;
        self.schedule(now, slot);
        let mut transaction = [0; 12];
        transaction.iter_mut().rev().zip(id.to_le_bytes()).for_each(|(to, from)| *to = from);
        let told = Builder::new(Class::Indication, Method::ConnectionAttempt, transaction);
        let told = told.u32(kind::CONNECTION_ID, id).xor_address(kind::XOR_PEER_ADDRESS, peer);
        told.finish().into_iter().for_each(|bytes| self.transmit(flow, bytes));
    }

    /// One of two joined connections has ended, or the one that waits for another.
    pub(crate) fn hung_up(&mut self, link: LinkId) {
        let Some(slot) = self.links.of_link(link) else { return };
        self.forget_links(slot, |known| known.stage.link() == Some(link));
    }

    /// Ends the connections that pass; whoever waits for one is answered.
    pub(crate) fn end_links(&mut self, slot: Slot, ends: impl Fn(&Link) -> bool) {
        let links = self.table.get(slot).map_or(&[][..], |allocation| &allocation.links);
        let ending = links.iter().filter(|link| ends(link));
        let dials: Vec<WishId> = ending.filter_map(|link| Some(link.stage.dial()?.wish)).collect();
        dials.into_iter().for_each(|wish| self.not_dialled(wish));
        for link in self.forget_links(slot, ends) {
            self.out.push_back(Output::HangUp(link));
        }
    }

    /// Has the joined connections that pass joined, or marked as the configuration has it now.
    pub(crate) fn issue_joints(&mut self, slot: Slot, which: impl Fn(&Link) -> bool) {
        let Some(allocation) = self.table.get(slot) else { return };
        let joints = allocation
            .links
            .iter()
            .filter(|link| which(link))
            .filter_map(|link| self.joint(allocation, link));
        let joints: Vec<Joint> = joints.collect();
        self.out.extend(joints.into_iter().map(Output::Join));
    }

    fn dial(&mut self, asked: &Asked<'_>, slot: Slot, (port, peer): (PortId, SocketAddr), seal: Seal) {
        let class = self.class_of(&asked.flow);
        let class = self.config.marking.class(class, peer, asked.flow.remote);
        self.last_wish += 1;
        let (wish, transaction) = (WishId(self.last_wish), *asked.message.transaction_id());
        let dial = Dial { wish, transaction, seal, fingerprint: asked.has_fingerprint() };
        let stage = Stage::Dialling { dial: Box::new(dial), until: asked.now + PATIENCE };
        self.wishes.insert(wish, slot);
        if let Some(allocation) = self.table.get_mut(slot) {
            allocation.links.push(Link { peer, stage });
        }
        self.out.push_back(Output::Dial { wish, port, peer, class });
        self.schedule(asked.now, slot);
    }

    /// Strikes a wish off that asked for a peer.
    fn dial_of(&mut self, wish: WishId) -> Option<(Slot, Dial)> {
        let slot = *self.wishes.get(&wish)?;
        let mut links = self.table.get(slot)?.links.iter();
        let dial = *links.find_map(|link| link.stage.dial().filter(|dial| dial.wish == wish))?;
        self.wishes.remove(&wish);
        Some((slot, dial))
    }

    fn turn_away(&mut self, link: LinkId, counter: &'static str) {
        self.counts.drop(counter);
        self.out.push_back(Output::HangUp(link));
    }

    /// Takes connections out of the books; those of them that are up.
    fn forget_links(&mut self, slot: Slot, ends: impl Fn(&Link) -> bool) -> Vec<LinkId> {
        let Some(allocation) = self.table.get_mut(slot) else { return Vec::new() };
        let gone: Vec<Link> = allocation.links.extract_if(.., |link| ends(link)).collect();
        gone.iter().for_each(|link| self.links.remove(&link.stage));
        gone.iter().filter_map(|link| link.stage.link()).collect()
    }

    fn joint(&self, allocation: &Allocation, link: &Link) -> Option<Joint> {
        let (id, client) = link.stage.joined()?;
        let class = allocation.class.or_else(|| self.class_of_listener(&allocation.flow));
        let marking = &self.config.marking;
        Some(Joint {
            link: id,
            port: allocation.leg_to(link.peer)?.port,
            client,
            to_client: marking.class(class, client.remote, link.peer),
            to_peer: marking.class(class, link.peer, allocation.flow.remote),
        })
    }
}

/// Whether a connection is one that this leg carries.
pub(crate) fn is_of(link: &Link, relayed: SocketAddr) -> bool {
    family_of(link.peer) == family_of(relayed)
}
