//! What follows when the host has opened a port, or could not.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::stun::{Builder, Class, Family, Method};

use crate::allocation::Leg;
use crate::answer::{Code, Refusal, family_of};
use crate::contract::{NotOpened, Output, PortId, WishId};
use crate::relay::Relay;
use crate::reservation::Reservation;
use crate::table::Slot;

impl Relay {
    pub(crate) fn opened(
        &mut self,
        now: Duration,
        wish: WishId,
        port: PortId,
        relayed: SocketAddr,
        next: Option<PortId>,
    ) {
        let Some((slot, family, wants_next)) = self.answered(wish) else {
            return self.close_unwanted(port, next);
        };
        if family != family_of(relayed) || wants_next != next.is_some() || self.table.of_port(port).is_some()
        {
            self.close_unwanted(port, next);
            return self.fail(now, slot, family, Code::Capacity, wants_next);
        }
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let lifetime = allocation.opening.as_ref().map_or(Duration::ZERO, |opening| opening.lifetime);
        let leg = Leg { port, relayed, until: now + lifetime };
        allocation.leg_mut(family).into_iter().for_each(|place| *place = Some(leg));
        let holder = allocation.holder();
        self.table.insert_port(&leg, slot);
        if let Some(port) = next {
            let until = now + self.config.limits.reservation;
            let token = self.reserve(Reservation { port, family, until, holder });
            self.table.get_mut(slot).into_iter().for_each(|allocation| allocation.reserved = Some(token));
        }
        self.conclude_opening(now, slot);
    }

    pub(crate) fn not_opened(&mut self, now: Duration, wish: WishId, reason: NotOpened) {
        let Some((slot, family, wanted_next)) = self.answered(wish) else { return };
        let code = match reason {
            NotOpened::NoFamily => Code::FamilyNotSupported,
            NotOpened::NoPort => Code::Capacity,
        };
        self.fail(now, slot, family, code, wanted_next);
    }

    /// The host took too long.
    pub(crate) fn give_up_opening(&mut self, now: Duration, slot: Slot) {
        let opening = self.table.get(slot).and_then(|allocation| allocation.opening.as_deref());
        let wishes = opening.map_or(Vec::new(), |opening| opening.wishes.clone());
        wishes.into_iter().for_each(|(wish, _)| self.not_opened(now, wish, NotOpened::NoPort));
    }

    /// Strikes a wish off; whose it was, of which family, and whether the next port was to come too.
    fn answered(&mut self, wish: WishId) -> Option<(Slot, Family, bool)> {
        let slot = self.wishes.remove(&wish)?;
        let opening = self.table.get_mut(slot)?.opening.as_deref_mut()?;
        let at = opening.wishes.iter().position(|(id, _)| *id == wish)?;
        let (_, family) = opening.wishes.swap_remove(at);
        Some((slot, family, opening.next))
    }

    /// One port that will not be, or two.
    fn fail(&mut self, now: Duration, slot: Slot, family: Family, code: Code, wanted_next: bool) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        allocation.refused = Some((family, code));
        let holder = allocation.holder();
        (0..=u8::from(wanted_next)).for_each(|_| self.users.give_back(&holder));
        self.conclude_opening(now, slot);
    }

    /// Nobody waits for these any more.
    fn close_unwanted(&mut self, port: PortId, next: Option<PortId>) {
        self.out.extend([Some(port), next].into_iter().flatten().map(Output::Close));
    }

    /// Answers the Allocate, if all wishes are answered.
    fn conclude_opening(&mut self, now: Duration, slot: Slot) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let Some(opening) = allocation.opening.take_if(|opening| opening.wishes.is_empty()) else { return };
        let (flow, transaction) = (allocation.flow, allocation.transaction);
        if allocation.legs().next().is_some() {
            self.counts.success("allocate");
            let answer = self.established(now, slot);
            return answer
                .into_iter()
                .for_each(|answer| self.answer_later(flow, opening.seal, opening.fingerprint, answer));
        }
        let code = allocation.refused.map_or(Code::Capacity, |(_, code)| code);
        self.counts.error(code.number());
        let answer = Builder::new(Class::Error, Method::Allocate, transaction);
        self.answer_later(flow, opening.seal, opening.fingerprint, Refusal::Code(code).write(answer));
        self.remove_allocation(now, slot);
    }
}
