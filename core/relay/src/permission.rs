//! CreatePermission (RFC 8656, 10): peers that may send to the relayed address, each for five minutes.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::stun::{Builder, kind};

use crate::answer::{Code, Refusal};
use crate::contract::{Event, Output};
use crate::proofs::Proven;
use crate::relay::{Asked, Relay};
use crate::table::Slot;

/// RFC 8656, 9: fixed, so that client and relay need not agree on it.
const LIFETIME: Duration = Duration::from_secs(300);

impl Relay {
    /// All of the peers, or none.
    pub(crate) fn create_permission(
        &mut self,
        asked: &Asked<'_>,
        proven: &Proven,
    ) -> Result<Builder, Refusal> {
        let slot = self.owned(asked, proven)?;
        let named = asked.message.counting().filter(|attribute| attribute.kind == kind::XOR_PEER_ADDRESS);
        let peers: Option<Vec<SocketAddr>> = named.map(|attribute| attribute.xor_address()).collect();
        let peers = peers.filter(|peers| !peers.is_empty()).ok_or(Code::BadRequest)?;
        for peer in &peers {
            self.check_family(slot, *peer)?;
            if !self.config.peers.permit(peer.ip()) {
                return Err(self.forbid(asked, *peer));
            }
        }
        self.permit(asked.now, slot, &peers)?;
        Ok(Relay::done(asked))
    }

    /// Whether there is a leg of the peer's family.
    pub(crate) fn check_family(&self, slot: Slot, peer: SocketAddr) -> Result<(), Refusal> {
        let allocation = self.table.get(slot).ok_or(Code::AllocationMismatch)?;
        allocation.leg_to(peer).map(|_| ()).ok_or(Code::PeerFamilyMismatch.into())
    }

    pub(crate) fn forbid(&mut self, asked: &Asked<'_>, peer: SocketAddr) -> Refusal {
        let flow = asked.flow;
        self.out.push_back(Output::Event(match self.config.peers.is_candidate(peer.ip()) {
            true => Event::CandidateCheck { flow, peer },
            false => Event::Forbidden { flow, peer },
        }));
        Code::Forbidden.into()
    }

    /// Installs or refreshes permissions, and the rules of channels that had none for want of them.
    pub(crate) fn permit(&mut self, now: Duration, slot: Slot, peers: &[SocketAddr]) -> Result<(), Refusal> {
        let most = self.config.limits.permissions;
        let allocation = self.table.get_mut(slot).ok_or(Code::AllocationMismatch)?;
        let mut new: Vec<_> =
            peers.iter().map(SocketAddr::ip).filter(|peer| !allocation.permits(*peer)).collect();
        new.sort_unstable();
        new.dedup();
        if allocation.permissions.len() + new.len() > most {
            return Err(Code::Capacity.into());
        }
        peers.iter().for_each(|peer| allocation.permit(peer.ip(), now + LIFETIME));
        self.counts.permissions += new.len();
        self.issue_rules(slot, false);
        self.schedule(now, slot);
        Ok(())
    }
}
