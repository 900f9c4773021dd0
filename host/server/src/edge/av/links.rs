//! TCP between relayed ports and peers (RFC 6062): what the core decides is carried out here, what happens is told it.

use std::net::SocketAddr;

use carillon_net::forward::{self, Account};
use carillon_qos::TrafficClass;
use carillon_relay::{Joint, LinkId, NotOpened, PortId, Request, Wish, WishId};

use super::start::Side;
use super::{AvEdge, Passing};

impl AvEdge {
    /// A port of the plan's range that peers connect to.
    pub(super) fn opened_for_streams(
        &mut self,
        wish: Wish,
        side: usize,
    ) -> Result<(PortId, SocketAddr), NotOpened> {
        let Side { told, leases, .. } = self.sides.get(side).ok_or(NotOpened::NoFamily)?;
        let (told, leased) = (*told, leases.relay_streams(wish.class.unwrap_or(TrafficClass::Audio)));
        let port = leased.map_err(|error| self.no_port(&crate::chain(&error)))?;
        let relayed = SocketAddr::new(told, port.local().port());
        let open = self.forwarder.open_for_streams(port);
        let open = open.map_err(|error| self.no_port(&error.to_string()))?;
        self.forwarder.charge_to(open, Account(wish.account.0), wish.site.map(|site| Account(site.0)));
        Ok((self.places.add(open, None), relayed))
    }

    /// Calls a peer, marked from the first packet on.
    pub(super) fn dial(&mut self, wish: WishId, port: PortId, peer: SocketAddr, class: Option<TrafficClass>) {
        let (mark, bound) = (self.mark(class), self.translation.bound(peer));
        let link = self.places.port(port).and_then(|known| self.forwarder.dial(known, bound, mark).ok());
        match link {
            Some(link) => drop(self.dials.insert(link, (wish, port))),
            None => self.relay.handle_request(self.clock.now(), Request::NotDialled { wish }),
        }
    }

    /// Joins two connections, or marks them anew.
    pub(super) fn join(&mut self, joint: Joint) {
        let (to_client, to_peer) = (self.mark(joint.to_client), self.mark(joint.to_peer));
        let link = forward::LinkId(joint.link.0);
        match self.places.client(joint.client) {
            Some(client) => self.forwarder.join(link, client, to_client, to_peer),
            None => self.forwarder.hang_up(link),
        }
    }

    pub(super) fn hang_up(&mut self, link: LinkId) {
        self.forwarder.hang_up(forward::LinkId(link.0));
    }

    /// A peer is reached.
    pub(super) fn dialled(&mut self, link: forward::LinkId) {
        match self.dials.remove(&link) {
            Some((wish, _)) => self.tell(Request::Dialled { wish, link: LinkId(link.0) }),
            None => self.forwarder.hang_up(link),
        }
    }

    /// A peer has connected.
    pub(super) fn arrived(&mut self, port: forward::PortId, peer: SocketAddr, link: forward::LinkId) {
        let peer = self.translation.told(peer);
        match self.places.core_port(port) {
            Some(port) => self.tell(Request::Arrived { port, peer, link: LinkId(link.0) }),
            None => self.forwarder.hang_up(link),
        }
    }

    /// A connection with a peer has ended, or did not come about.
    pub(super) fn hung_up(&mut self, link: forward::LinkId) {
        match self.dials.remove(&link) {
            Some((wish, _)) => self.tell(Request::NotDialled { wish }),
            None => self.tell(Request::HungUp(LinkId(link.0))),
        }
    }

    fn tell(&mut self, what: Request) {
        self.relay.handle_request(self.clock.now(), what);
        self.obey(Passing::default());
    }
}
