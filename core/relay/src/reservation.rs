//! The other port of a pair: kept for a moment, and opened when somebody comes who knows the token (RFC 8656, 7.2).

use std::time::Duration;

use carillon_wire::stun::Family;

use crate::answer::{Code, Refusal};
use crate::contract::{Output, PortId};
use crate::relay::Relay;
use crate::table::Due;
use crate::users::Holder;

#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) port: PortId,
    pub(crate) family: Family,
    pub(crate) until: Duration,
    /// Whose quota it counts on; nobody else may have it.
    pub(crate) holder: Holder,
}

impl Relay {
    /// Keeps a port; the token that it is had for.
    pub(crate) fn reserve(&mut self, reservation: Reservation) -> u64 {
        let token = self.secret.draw();
        self.timers.set(reservation.until, Due::Reservation(token));
        self.reservations.insert(token, reservation);
        token
    }

    pub(crate) fn redeem(&mut self, token: u64, user: &str) -> Result<Reservation, Refusal> {
        let found = self.reservations.get(&token).filter(|reservation| *reservation.holder.user == *user);
        let reservation = found.cloned().ok_or(Code::Capacity)?;
        self.reservations.remove(&token);
        self.timers.cancel(reservation.until, Due::Reservation(token));
        Ok(reservation)
    }

    /// Nobody came for it.
    pub(crate) fn lapse_reservation(&mut self, token: u64) {
        let Some(reservation) = self.reservations.remove(&token) else { return };
        self.users.give_back(&reservation.holder);
        self.out.push_back(Output::Close(reservation.port));
    }
}
