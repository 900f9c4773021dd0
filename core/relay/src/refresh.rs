//! Refresh (RFC 8656, 8): longer, or an end; of both legs, or of the one whose family is named.

use carillon_wire::stun::{Builder, kind};

use crate::answer::{Code, Refusal, family_of};
use crate::proofs::Proven;
use crate::relay::{Asked, Relay};

impl Relay {
    pub(crate) fn refresh(&mut self, asked: &Asked<'_>, proven: &Proven) -> Result<Builder, Refusal> {
        let slot = self.owned(asked, proven)?;
        let family = asked.message.requested_address_family();
        let names_one = asked.message.attribute(kind::REQUESTED_ADDRESS_FAMILY).is_some();
        let allocation = self.table.get(slot).ok_or(Code::AllocationMismatch)?;
        if names_one && family.is_none_or(|family| allocation.leg(family).is_none()) {
            return Err(Code::PeerFamilyMismatch.into());
        }
        let granted = match asked.message.lifetime() {
            Some(0) => std::time::Duration::ZERO,
            _ => self.lifetime(asked, proven),
        };
        let Some(allocation) = self.table.get_mut(slot) else { return Err(Code::AllocationMismatch.into()) };
        allocation.expires = proven.expires;
        for leg in allocation.legs.iter_mut().flatten() {
            if family.is_none_or(|family| family == family_of(leg.relayed)) {
                leg.until = asked.now + granted;
            }
        }
        // The answer is made before what it speaks of is gone; what ends now, ends with the next look at it.
        let answer =
            Relay::done(asked).u32(kind::LIFETIME, u32::try_from(granted.as_secs()).unwrap_or(u32::MAX));
        self.lapse_allocation(asked.now, slot);
        Ok(answer)
    }
}
