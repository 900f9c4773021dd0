//! Media that no rule carries: Send and Data indications, and ChannelData on its way into a rule or past one
//! (RFC 8656, 11 and 12.6).

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::stun::{Builder, COOKIE, ChannelData, Class, HEADER_LEN, Method, kind};

use crate::contract::{Flow, Icmp, Output, PortId, Tally};
use crate::counts::dropped;
use crate::relay::{Asked, Relay};
use crate::table::Slot;

impl Relay {
    /// From a client, for the peer of a channel.
    pub(crate) fn channel_data(&mut self, now: Duration, flow: Flow, bytes: &[u8]) {
        let Some(slot) = self.table.of_flow(&flow) else { return self.counts.drop(dropped::NO_ALLOCATION) };
        let Some(frame) = ChannelData::parse_relayed(bytes) else { return self.garbage(flow) };
        let bound = self.table.get(slot).and_then(|allocation| allocation.channel(frame.channel));
        let Some(peer) = bound.map(|channel| channel.peer) else {
            return self.counts.drop(dropped::NO_CHANNEL);
        };
        self.forward(now, slot, peer, false, frame.data);
    }

    /// From a client, for a peer that it names. Nothing tells the client that it was not sent.
    pub(crate) fn send_indication(&mut self, asked: &Asked<'_>) {
        let Some(slot) = asked.slot else { return self.counts.drop(dropped::NO_ALLOCATION) };
        let (peer, data) = (asked.message.xor_peer_address(), asked.message.data());
        let (Some(peer), Some(data), None) = (peer, data, self.unknown(&asked.message)) else {
            return self.counts.drop(dropped::MALFORMED);
        };
        if !self.table.get(slot).is_some_and(|allocation| allocation.permits(peer.ip())) {
            return self.counts.drop(dropped::NO_PERMISSION);
        }
        if !self.config.peers.reach(peer) {
            return self.counts.drop(dropped::FORBIDDEN);
        }
        self.forward(asked.now, slot, peer, asked.message.dont_fragment(), data);
    }

    /// From a peer, for the client.
    pub(crate) fn peer_data(&mut self, now: Duration, port: PortId, peer: SocketAddr, bytes: &[u8]) {
        let Some(slot) = self.table.of_port(port) else { return self.counts.drop(dropped::NO_ALLOCATION) };
        let rate = self.config.limits.port_rate;
        let Some(allocation) = self.table.get_mut(slot) else { return };
        if !allocation.permits(peer.ip()) {
            return self.counts.drop(dropped::NO_PERMISSION);
        }
        if !allocation.to_client.budget.take(now, rate, bytes.len()) {
            return self.counts.drop(dropped::OVER_BUDGET);
        }
        let (flow, channel) = (allocation.flow, allocation.channel_to(peer).map(|channel| channel.number));
        let wrapped = match channel {
            Some(number) => framed(flow, number, bytes),
            None => indication(peer, bytes),
        };
        let Some(wrapped) = wrapped else { return self.counts.drop(dropped::TOO_LONG) };
        let tally = one(bytes);
        allocation.to_client.tally.add(tally);
        self.counts.to_client.add(tally);
        let class = self.config.marking.class(self.class_of(&flow), flow.remote, peer);
        self.out.push_back(Output::Transmit { flow, class, bytes: wrapped });
    }

    /// The network could not deliver to a peer: the client learns it (RFC 8656, 11.5).
    pub(crate) fn unreachable(&mut self, port: PortId, peer: SocketAddr, icmp: Icmp) {
        let slot = self.table.of_port(port);
        let Some(allocation) = slot.and_then(|slot| self.table.get(slot)) else {
            return self.counts.drop(dropped::NO_ALLOCATION);
        };
        if !allocation.permits(peer.ip()) {
            return self.counts.drop(dropped::NO_PERMISSION);
        }
        let flow = allocation.flow;
        let said = data_indication(peer).icmp(icmp.kind, icmp.code, icmp.data);
        said.finish().into_iter().for_each(|bytes| self.transmit(flow, bytes));
    }

    /// What rules carried.
    pub(crate) fn counted(&mut self, port: PortId, to_client: Tally, to_peer: Tally) {
        self.counts.to_client.add(to_client);
        self.counts.to_peer.add(to_peer);
        let slot = self.table.of_port(port);
        let Some(allocation) = slot.and_then(|slot| self.table.get_mut(slot)) else { return };
        allocation.to_client.tally.add(to_client);
        allocation.to_peer.tally.add(to_peer);
    }

    fn forward(&mut self, now: Duration, slot: Slot, peer: SocketAddr, dont_fragment: bool, data: &[u8]) {
        let rate = self.config.limits.port_rate;
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let Some(port) = allocation.leg_to(peer).map(|leg| leg.port) else {
            return self.counts.drop(dropped::NO_PERMISSION);
        };
        if !allocation.to_peer.budget.take(now, rate, data.len()) {
            return self.counts.drop(dropped::OVER_BUDGET);
        }
        let (flow, tally) = (allocation.flow, one(data));
        allocation.to_peer.tally.add(tally);
        self.counts.to_peer.add(tally);
        let class = self.config.marking.class(self.class_of(&flow), peer, flow.remote);
        self.out.push_back(Output::ToPeer { port, peer, class, dont_fragment, bytes: data.to_vec() });
    }
}

/// An indication has no answer that would have to be told from others: its transaction is the peer's port, for the eye.
fn data_indication(peer: SocketAddr) -> Builder {
    let mut transaction = [0; 12];
    transaction.iter_mut().rev().zip(peer.port().to_be_bytes()).for_each(|(to, from)| *to = from);
    Builder::new(Class::Indication, Method::Data, transaction).xor_address(kind::XOR_PEER_ADDRESS, peer)
}

fn indication(peer: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    data_indication(peer).attribute(kind::DATA, bytes).finish()
}

fn framed(flow: Flow, number: u16, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(bytes.len() + 8);
    match flow.transport.is_stream() {
        true => ChannelData::write_stream(number, bytes, &mut frame)?,
        false => ChannelData::write(number, bytes, &mut frame)?,
    }
    Some(frame)
}

fn one(payload: &[u8]) -> Tally {
    let cookie = payload.get(4..8) == Some(&COOKIE) && payload.len() >= HEADER_LEN;
    let is_check = cookie && payload.first().is_some_and(|first| *first < 0x40);
    Tally { packets: 1, bytes: payload.len() as u64, checks: u64::from(is_check) }
}
