//! The other port of a pair: opened with the first, and kept for a moment for the one who knows the token (RFC 8656, 7.2).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Code, Refusal};
use crate::contract::{Output, PortId};
use crate::relay::Relay;
use crate::table::Due;

#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) port: PortId,
    pub(crate) relayed: SocketAddr,
    pub(crate) until: Duration,
    /// Whose quota it counts on; nobody else may have it.
    pub(crate) user: Arc<str>,
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
        let found = self.reservations.get(&token).filter(|reservation| *reservation.user == *user);
        let reservation = found.cloned().ok_or(Code::Capacity)?;
        self.reservations.remove(&token);
        self.timers.cancel(reservation.until, Due::Reservation(token));
        Ok(reservation)
    }

    /// Nobody came for it.
    pub(crate) fn lapse_reservation(&mut self, token: u64) {
        let Some(reservation) = self.reservations.remove(&token) else { return };
        self.users.give_back(&reservation.user);
        self.out.push_back(Output::Close(reservation.port));
    }
}
