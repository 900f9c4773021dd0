//! Allocate (RFC 8656, 7.2): what is asked for, whether it may be had, and the wishes for ports that follow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_wire::source::Debt;
use carillon_wire::stun::{Builder, Class, Family, Message, Method, kind};

use crate::allocation::{Allocation, Leg, Opening};
use crate::answer::{Code, Refusal};
use crate::contract::{Event, Output, PortId, Quota, Tally, Wish, WishId};
use crate::network::plain;
use crate::proofs::Proven;
use crate::relay::{Asked, Relay};
use crate::reservation::Reservation;
use crate::table::Slot;
use crate::users::Holder;

/// UDP and TCP in REQUESTED-TRANSPORT.
const UDP: u8 = 17;
const TCP: u8 = 6;

/// What an Allocate asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wanted {
    /// Peers connect (RFC 6062), instead of sending datagrams.
    streams: bool,
    family: Family,
    /// IPv6 beside it.
    both: bool,
    /// An even port; whether the next one too.
    even: Option<bool>,
    reservation: Option<u64>,
}

impl Wanted {
    /// Checks 3 to 9 of RFC 8656, 7.2, and those of RFC 6062, 5.1.
    fn read(message: &Message<'_>) -> Result<Wanted, Refusal> {
        let has = |kind| message.attribute(kind).is_some();
        let streams = match message.requested_transport() {
            Some(UDP) => false,
            Some(TCP) => true,
            Some(_) => return Err(Code::UnsupportedTransport.into()),
            None => return Err(Code::BadRequest.into()),
        };
        let asked =
            [kind::REQUESTED_ADDRESS_FAMILY, kind::ADDITIONAL_ADDRESS_FAMILY, kind::EVEN_PORT].map(has);
        let (family, additional) = (message.requested_address_family(), message.additional_address_family());
        let of_datagrams = [kind::EVEN_PORT, kind::RESERVATION_TOKEN, kind::DONT_FRAGMENT];
        if streams && of_datagrams.map(has).contains(&true) {
            return Err(Code::BadRequest.into());
        }
        let wanted = Wanted {
            streams,
            family: family.unwrap_or(Family::V4),
            both: additional == Some(Family::V6),
            even: message.even_port(),
            reservation: message.reservation_token(),
        };
        match asked {
            // A family that is neither of the two.
            [true, _, _] if family.is_none() => Err(Code::FamilyNotSupported.into()),
            [_, true, _] if !wanted.both => Err(Code::BadRequest.into()),
            [true, true, _] => Err(Code::BadRequest.into()),
            [_, _, true] if wanted.even.is_none() => Err(Code::BadRequest.into()),
            _ if has(kind::RESERVATION_TOKEN) && (asked.contains(&true) || wanted.reservation.is_none()) => {
                Err(Code::BadRequest.into())
            }
            _ if wanted.both && wanted.even == Some(true) => Err(Code::BadRequest.into()),
            _ => Ok(wanted),
        }
    }

    fn families(self) -> impl Iterator<Item = Family> {
        std::iter::once(self.family).chain(self.both.then_some(Family::V6))
    }

    fn ports(self) -> u32 {
        1 + u32::from(self.both) + u32::from(self.even == Some(true))
    }
}

impl Relay {
    /// `None`: the answer follows when the host has opened the ports.
    pub(crate) fn allocate(
        &mut self,
        asked: &Asked<'_>,
        proven: &Proven,
    ) -> Result<Option<Builder>, Refusal> {
        if let Some(slot) = asked.slot {
            return self.allocate_again(asked, slot, proven);
        }
        let wanted = Wanted::read(&asked.message)?;
        if wanted.streams && !asked.flow.transport.is_stream() {
            return Err(Code::BadRequest.into());
        }
        self.refuse_while_draining(asked)?;
        if let Some(token) = wanted.reservation {
            let Reservation { port, family, holder, .. } = self.redeem(token, &proven.identity)?;
            let slot = self.admit(asked, proven, holder);
            self.wish(asked, slot, Wanted { family, ..wanted }, Some(port), proven);
            return Ok(None);
        }
        let whose = (&*proven.identity, proven.site.as_deref());
        let taken = self.users.take(&self.config.limits, whose, wanted.ports());
        let holder = taken.map_err(|quota| self.reached(quota, proven))?;
        let slot = self.admit(asked, proven, holder);
        self.wish(asked, slot, wanted, None, proven);
        Ok(None)
    }

    /// The success that an allocation with its ports is answered with; the same again for the same request again, with the
    /// lifetime that is left.
    pub(crate) fn allocated(&self, now: Duration, slot: Slot) -> Option<Builder> {
        let allocation = self.table.get(slot)?;
        let left = allocation.legs().map(|leg| leg.until).max()?.saturating_sub(now);
        let answer = Builder::new(Class::Success, Method::Allocate, allocation.transaction);
        let relayed = |answer: Builder, leg: &Leg| answer.xor_address(kind::XOR_RELAYED_ADDRESS, leg.relayed);
        let mut answer = allocation.legs().fold(answer, relayed);
        answer = answer
            .u32(kind::LIFETIME, u32::try_from(left.as_secs()).unwrap_or(u32::MAX))
            .xor_address(kind::XOR_MAPPED_ADDRESS, plain(allocation.flow.remote));
        if let Some(token) = allocation.reserved {
            answer = answer.u64(kind::RESERVATION_TOKEN, token);
        }
        if let Some((family, code)) = allocation.refused {
            answer = answer.address_error_code(family, code.number(), code.reason());
        }
        Some(answer)
    }

    /// All ports are there.
    pub(crate) fn established(&mut self, now: Duration, slot: Slot) -> Option<Builder> {
        self.schedule(now, slot);
        let allocation = self.table.get(slot)?;
        self.counts.allocated += 1;
        let class = self.class_of(&allocation.flow);
        let relayed = allocation.legs().next()?.relayed;
        let event = Event::Allocated { user: allocation.user.clone(), flow: allocation.flow, relayed, class };
        self.out.push_back(Output::Event(event));
        self.allocated(now, slot)
    }

    /// A retransmission gets the same answer, and none as long as there is none; another request has to take another flow.
    fn allocate_again(
        &self,
        asked: &Asked<'_>,
        slot: Slot,
        proven: &Proven,
    ) -> Result<Option<Builder>, Refusal> {
        let same = |allocation: &&Allocation| {
            allocation.transaction == *asked.message.transaction_id() && *allocation.user == *proven.identity
        };
        let allocation = self.table.get(slot).filter(same).ok_or(Code::AllocationMismatch)?;
        Ok(if allocation.opening.is_some() { None } else { self.allocated(asked.now, slot) })
    }

    /// Clients understand 300 only if it names a server that they can reach with what they have; without one, 508 makes them
    /// try the next that they know.
    fn refuse_while_draining(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let Some(alternates) = &self.draining else { return Ok(()) };
        let same = |address: &&SocketAddr| address.is_ipv4() == plain(asked.flow.remote).is_ipv4();
        Err(alternates
            .iter()
            .find(same)
            .map_or(Code::Capacity.into(), |address| Refusal::Alternate(*address)))
    }

    /// Whose limit it is says the answer only to whoever knows RFC 8656's text; administrators are told by name.
    fn reached(&mut self, quota: Quota, proven: &Proven) -> Refusal {
        *self.counts.quotas.entry(quota.name()).or_default() += 1;
        let site = proven.site.as_deref().map(Arc::from);
        self.out.push_back(Output::Event(Event::QuotaReached { quota, site }));
        Code::from(quota).into()
    }

    /// From here on the client is known.
    fn admit(&mut self, asked: &Asked<'_>, proven: &Proven, holder: Holder) -> Slot {
        self.out.push_back(Output::Trust(asked.flow));
        self.table.insert(Allocation::new(asked, proven, holder))
    }

    /// What is granted: what is asked for within the limits, and not longer than the credential is good for a call that runs.
    pub(crate) fn lifetime(&self, asked: &Asked<'_>, proven: &Proven) -> Duration {
        let limits = &self.config.limits;
        let wanted = Duration::from_secs(asked.message.lifetime().unwrap_or(0).into());
        let granted = wanted.max(limits.lifetime).min(limits.longest_lifetime);
        let wall = self.wall(asked.now);
        let left = proven.expires.map(|expires| (expires + limits.after_expiry).saturating_sub(wall));
        let granted = left.map_or(granted, |left| granted.min(left));
        Duration::from_secs(granted.as_secs().max(1))
    }

    fn wish(
        &mut self,
        asked: &Asked<'_>,
        slot: Slot,
        wanted: Wanted,
        reserved: Option<PortId>,
        proven: &Proven,
    ) {
        let Some(Holder { account, site, .. }) = self.table.get(slot).map(Allocation::holder) else { return };
        let site = site.map(|(_, account)| account);
        let class = self.class_of(&asked.flow);
        let mut wishes = Vec::with_capacity(2);
        for family in wanted.families() {
            self.last_wish += 1;
            let id = WishId(self.last_wish);
            let (even, next) = (wanted.even.is_some(), wanted.even == Some(true));
            self.wishes.insert(id, slot);
            let streams = wanted.streams;
            self.out.push_back(Output::Open(Wish {
                id,
                family,
                streams,
                even,
                next,
                class,
                reserved,
                account,
                site,
            }));
            wishes.push((id, family));
        }
        let opening = Opening {
            wishes,
            until: asked.now + self.config.limits.patience,
            lifetime: self.lifetime(asked, proven),
            next: wanted.even == Some(true),
            seal: proven.seal,
            fingerprint: asked.has_fingerprint(),
        };
        if let Some(allocation) = self.table.get_mut(slot) {
            allocation.streams = wanted.streams;
            allocation.opening = Some(Box::new(opening));
        }
        self.schedule(asked.now, slot);
    }
}

impl Allocation {
    fn new(asked: &Asked<'_>, proven: &Proven, holder: Holder) -> Allocation {
        Allocation {
            flow: asked.flow,
            user: holder.user,
            account: holder.account,
            site: holder.site,
            class: proven.class,
            expires: proven.expires,
            asked: Debt::default(),
            transaction: *asked.message.transaction_id(),
            born: asked.now,
            streams: false,
            opening: None,
            legs: [None; 2],
            refused: None,
            reserved: None,
            permissions: Vec::new(),
            channels: Vec::new(),
            links: Vec::new(),
            to_client: Tally::default(),
            to_peer: Tally::default(),
            due: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocation::place;

    fn read(build: impl FnOnce(Builder) -> Builder) -> Result<Wanted, Refusal> {
        let bytes = build(Builder::new(Class::Request, Method::Allocate, [0; 12])).finish().unwrap();
        Wanted::read(&Message::parse(&bytes).unwrap())
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let udp = |builder: Builder| builder.requested_transport(17);
        let (requested, additional) = (kind::REQUESTED_ADDRESS_FAMILY, kind::ADDITIONAL_ADDRESS_FAMILY);
        let refused = |build: &dyn Fn(Builder) -> Builder, code: Code| {
            assert_eq!(read(build), Err(code.into()));
        };
        refused(&|b| b, Code::BadRequest);
        refused(&|b| b.requested_transport(1), Code::UnsupportedTransport);
        let tcp = |b: Builder| b.requested_transport(6);
        refused(&|b| tcp(b).attribute(kind::EVEN_PORT, &[0]), Code::BadRequest);
        refused(&|b| tcp(b).attribute(kind::DONT_FRAGMENT, &[]), Code::BadRequest);
        refused(&|b| tcp(b).u64(kind::RESERVATION_TOKEN, 7), Code::BadRequest);
        refused(&|b| udp(b).attribute(requested, &[3, 0, 0, 0]), Code::FamilyNotSupported);
        refused(&|b| udp(b).family(additional, Family::V4), Code::BadRequest);
        refused(&|b| udp(b).family(requested, Family::V6).family(additional, Family::V6), Code::BadRequest);
        refused(
            &|b| udp(b).family(additional, Family::V6).attribute(kind::EVEN_PORT, &[0x80]),
            Code::BadRequest,
        );
        refused(&|b| udp(b).attribute(kind::EVEN_PORT, &[]), Code::BadRequest);
        let token = |b| udp(b).u64(kind::RESERVATION_TOKEN, 7);
        refused(&|b| token(b).attribute(kind::EVEN_PORT, &[0]), Code::BadRequest);
        refused(&|b| token(b).family(requested, Family::V4), Code::BadRequest);
        refused(&|b| udp(b).attribute(kind::RESERVATION_TOKEN, &[7]), Code::BadRequest);
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let plain = Wanted { streams: false, family: Family::V4, both: false, even: None, reservation: None };
        assert_eq!(read(|b| b.requested_transport(17)), Ok(plain));
        assert_eq!(read(|b| b.requested_transport(6)), Ok(Wanted { streams: true, ..plain }));
        let six = read(|b| b.requested_transport(17).family(kind::REQUESTED_ADDRESS_FAMILY, Family::V6));
        assert_eq!(six, Ok(Wanted { family: Family::V6, ..plain }));
        let both =
            read(|b| b.requested_transport(17).family(kind::ADDITIONAL_ADDRESS_FAMILY, Family::V6)).unwrap();
        assert_eq!((both, both.ports()), (Wanted { both: true, ..plain }, 2));
        assert_eq!(both.families().map(place).collect::<Vec<_>>(), [0, 1]);
        let pair = read(|b| b.requested_transport(17).attribute(kind::EVEN_PORT, &[0x80])).unwrap();
        assert_eq!((pair, pair.ports()), (Wanted { even: Some(true), ..plain }, 2));
    }
}
