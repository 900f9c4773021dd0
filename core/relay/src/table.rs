//! Where allocations are kept, and how they are found: by the client's flow and by the relayed port, in constant time.

use std::collections::BTreeSet;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;
use std::time::Duration;

use hashbrown::{HashMap, HashSet, HashTable};

use crate::allocation::{Allocation, Leg};
use crate::contract::{Flow, PortId};
use crate::secret::Secret;

/// A place in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Slot(u32);

#[derive(Debug)]
pub(crate) struct Table {
    secret: Secret,
    slots: Vec<Option<Box<Allocation>>>,
    free: Vec<Slot>,
    by_flow: HashTable<Slot>,
    /// Numbers of ports are the host's: nobody outside chooses them.
    by_port: HashMap<PortId, Slot, BuildHasherDefault<DefaultHasher>>,
    /// Addresses of open ports as peers reach them; the host's too.
    relayed: HashSet<SocketAddr, BuildHasherDefault<DefaultHasher>>,
}

impl Table {
    pub(crate) fn new(secret: Secret) -> Table {
        Table {
            secret,
            slots: Vec::new(),
            free: Vec::new(),
            by_flow: HashTable::new(),
            by_port: HashMap::default(),
            relayed: HashSet::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_flow.len()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Allocation> {
        self.slots.get(slot.0 as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Allocation> {
        self.slots.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    pub(crate) fn of_flow(&self, flow: &Flow) -> Option<Slot> {
        let is_it = |slot: &Slot| self.get(*slot).is_some_and(|allocation| allocation.flow == *flow);
        self.by_flow.find(self.secret.hash(flow), is_it).copied()
    }

    pub(crate) fn of_port(&self, port: PortId) -> Option<Slot> {
        self.by_port.get(&port).copied()
    }

    /// All of them, in the order of their places.
    pub(crate) fn allocations(&self) -> impl Iterator<Item = &Allocation> {
        self.slots.iter().filter_map(|slot| slot.as_deref())
    }

    /// The places that are taken.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let taken = self.slots.iter().enumerate().filter(|(_, allocation)| allocation.is_some());
        taken.map(|(at, _)| Slot(at as u32)).collect()
    }

    pub(crate) fn insert(&mut self, allocation: Allocation) -> Slot {
        let hash = self.secret.hash(&allocation.flow);
        let slot = self.free.pop().unwrap_or(Slot(self.slots.len() as u32));
        match self.slots.get_mut(slot.0 as usize) {
            Some(place) => *place = Some(Box::new(allocation)),
            None => self.slots.push(Some(Box::new(allocation))),
        }
        let Table { secret, slots, by_flow, .. } = self;
        let rehash = |slot: &Slot| {
            let allocation = slots.get(slot.0 as usize).and_then(|slot| slot.as_deref());
            allocation.map_or(0, |allocation| secret.hash(&allocation.flow))
        };
        by_flow.insert_unique(hash, slot, rehash);
        slot
    }

    /// Takes it out; its ports have to be given up before.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Box<Allocation>> {
        let allocation = self.slots.get_mut(slot.0 as usize)?.take()?;
        let hash = self.secret.hash(&allocation.flow);
        if let Ok(entry) = self.by_flow.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(allocation)
    }

    pub(crate) fn insert_port(&mut self, leg: &Leg, slot: Slot) {
        self.by_port.insert(leg.port, slot);
        self.relayed.insert(leg.relayed);
    }

    pub(crate) fn remove_port(&mut self, leg: &Leg) {
        self.by_port.remove(&leg.port);
        self.relayed.remove(&leg.relayed);
        if self.relayed.len() < self.relayed.capacity() / 4 {
            self.relayed.shrink_to(self.relayed.len() * 2);
        }
    }

    /// Whether this is the relayed address of an allocation.
    pub(crate) fn is_relayed(&self, address: SocketAddr) -> bool {
        self.relayed.contains(&address)
    }
}

/// What is due when: at most one entry for each allocation, and one for each reservation.
#[derive(Default, Debug)]
pub(crate) struct Timers(BTreeSet<(Duration, Due)>);

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Due {
    Allocation(Slot),
    Reservation(u64),
}

impl Timers {
    pub(crate) fn first(&self) -> Option<Duration> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(crate) fn set(&mut self, at: Duration, due: Due) {
        self.0.insert((at, due));
    }

    pub(crate) fn cancel(&mut self, at: Duration, due: Due) {
        self.0.remove(&(at, due));
    }

    pub(crate) fn pop(&mut self, now: Duration) -> Option<Due> {
        self.0.first().filter(|(at, _)| *at <= now)?;
        self.0.pop_first().map(|(_, due)| due)
    }
}
