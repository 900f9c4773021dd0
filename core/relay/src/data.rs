//! Media that no rule carries: Send and Data indications, and ChannelData on its way into a rule or past one
//! (RFC 8656, 11 and 12.6).

use std::net::SocketAddr;

use carillon_wire::stun::{Builder, ChannelData, Class, Look, Method, kind, look};

use crate::allocation::Allocation;
use crate::contract::{Flow, Icmp, Output, PortId, Tally};
use crate::counts::dropped;
use crate::relay::{Asked, Relay};
use crate::table::Slot;

impl Relay {
    /// From a client, for the peer of a channel.
    pub(crate) fn channel_data(&mut self, flow: Flow, bytes: &[u8]) {
        let Some(slot) = self.table.of_flow(&flow) else { return self.counts.drop(dropped::NO_ALLOCATION) };
        let Some(frame) = ChannelData::parse_relayed(bytes) else { return self.garbage(flow) };
        let bound = self.table.get(slot).and_then(|allocation| allocation.channel(frame.channel));
        let Some(peer) = bound.map(|channel| channel.peer) else {
            return self.counts.drop(dropped::NO_CHANNEL);
        };
        self.forward(slot, peer, false, frame.data);
    }

    /// From a client, for a peer that it names. Nothing tells the client that it was not sent.
    pub(crate) fn send_indication(&mut self, asked: &Asked<'_>) {
        let Some(slot) = asked.slot else { return self.counts.drop(dropped::NO_ALLOCATION) };
        let (peer, data) = (asked.message.xor_peer_address(), asked.message.data());
        let (Some(peer), Some(data), None) = (peer, data, self.unknown(&asked.message)) else {
            return self.counts.drop(dropped::MALFORMED);
        };
        let takes = |allocation: &Allocation| !allocation.streams && allocation.permits(peer.ip());
        if !self.table.get(slot).is_some_and(takes) {
            return self.counts.drop(dropped::NO_PERMISSION);
        }
        if !self.reaches(peer) {
            return self.counts.drop(dropped::FORBIDDEN);
        }
        self.forward(slot, peer, asked.message.dont_fragment(), data);
    }

    /// From a peer, for the client.
    pub(crate) fn peer_data(&mut self, port: PortId, peer: SocketAddr, bytes: &[u8]) {
        let Some(slot) = self.table.of_port(port) else { return self.counts.drop(dropped::NO_ALLOCATION) };
        let Some(allocation) = self.table.get(slot) else { return };
        if !allocation.permits(peer.ip()) {
            return self.counts.drop(dropped::NO_PERMISSION);
        }
        let (flow, channel) = (allocation.flow, allocation.channel_to(peer).map(|channel| channel.number));
        let wrapped = match channel {
            Some(number) => framed(flow, number, bytes),
            None => indication(peer, bytes),
        };
        let Some(wrapped) = wrapped else { return self.counts.drop(dropped::TOO_LONG) };
        let class = self.class_to_client(allocation, peer);
        self.out.push_back(Output::ToClient { port, flow, class, bytes: wrapped, payload: one(bytes) });
    }

    /// The network could not deliver to a peer: the client learns it (RFC 8656, 11.5), if it is of the kinds named there.
    pub(crate) fn unreachable(&mut self, port: PortId, peer: SocketAddr, icmp: Icmp) {
        let is_told = match peer {
            SocketAddr::V4(_) => matches!(icmp.kind, 3 | 11),
            SocketAddr::V6(_) => matches!(icmp.kind, 1..=3),
        };
        if !is_told {
            return;
        }
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

    /// What a port carried.
    pub(crate) fn counted(&mut self, port: PortId, to_client: Tally, to_peer: Tally) {
        self.counts.to_client.add(to_client);
        self.counts.to_peer.add(to_peer);
        let slot = self.table.of_port(port);
        let Some(allocation) = slot.and_then(|slot| self.table.get_mut(slot)) else { return };
        allocation.to_client.add(to_client);
        allocation.to_peer.add(to_peer);
    }

    fn forward(&mut self, slot: Slot, peer: SocketAddr, dont_fragment: bool, data: &[u8]) {
        let Some(allocation) = self.table.get(slot) else { return };
        let Some(port) = allocation.leg_to(peer).map(|leg| leg.port) else {
            return self.counts.drop(dropped::NO_PERMISSION);
        };
        let flow = allocation.flow;
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
    Tally { packets: 1, bytes: payload.len() as u64, checks: u64::from(look(payload) == Look::Message) }
}
