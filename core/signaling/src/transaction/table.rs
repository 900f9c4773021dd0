//! A table whose entries have one timer each and ids that are never mistaken for those of a later entry.

use std::time::Duration;

use crate::timer::Wheel;

/// Names an entry for as long as it is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Id {
    place: u32,
    generation: u32,
}

impl Id {
    pub(crate) fn place(self) -> u32 {
        self.place
    }
}

#[derive(Debug)]
pub(crate) struct Table<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    wheel: Wheel,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    entry: Option<T>,
}

impl<T> Table<T> {
    pub(crate) fn new(now: Duration) -> Table<T> {
        Table { places: Vec::new(), free: Vec::new(), wheel: Wheel::new(now) }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, entry: T) -> Id {
        let place = self.free.pop().unwrap_or_else(|| {
            // A quarter more at a time: what doubles stands half empty.
            if self.places.len() == self.places.capacity() {
                self.places.reserve_exact(self.places.len() / 4 + 8);
            }
            self.places.push(Place { generation: 0, entry: None });
            (self.places.len() - 1) as u32
        });
        let mut id = Id { place, generation: 0 };
        if let Some(slot) = self.places.get_mut(place as usize) {
            slot.entry = Some(entry);
            id.generation = slot.generation;
        }
        id
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        let slot = self.places.get(id.place as usize)?;
        slot.entry.as_ref().filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let slot = self.places.get_mut(id.place as usize)?;
        slot.entry.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// The entry that is at a place now.
    pub(crate) fn at(&self, place: u32) -> Option<(Id, &T)> {
        let slot = self.places.get(place as usize)?;
        Some((Id { place, generation: slot.generation }, slot.entry.as_ref()?))
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let slot = self.places.get_mut(id.place as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.place);
        self.wheel.cancel(id.place);
        Some(entry)
    }

    /// Sets the timer of an entry, or takes it away.
    pub(crate) fn schedule(&mut self, id: Id, due: Option<Duration>) {
        match due {
            _ if self.get(id).is_none() => {}
            Some(due) => self.wheel.set(id.place, due),
            None => self.wheel.cancel(id.place),
        }
    }

    /// An entry whose timer has come; it has none from now on.
    pub(crate) fn due(&mut self, now: Duration) -> Option<Id> {
        let place = self.wheel.pop(now)?;
        self.at(place).map(|(id, _)| id)
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.wheel.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_dies_with_its_entry() {
        let mut table = Table::new(Duration::ZERO);
        let old = table.insert('a');
        table.schedule(old, Some(Duration::from_secs(1)));
        assert_eq!(table.remove(old), Some('a'));
        let new = table.insert('b');
        assert_eq!((new.place(), table.get(old), table.get(new)), (old.place(), None, Some(&'b')));
        assert_eq!((table.remove(old), table.len()), (None, 1));
        assert_eq!(table.next(), None);
        table.schedule(new, Some(Duration::from_secs(2)));
        table.schedule(old, None);
        table.schedule(old, Some(Duration::from_secs(1)));
        assert_eq!(table.due(Duration::from_secs(1)), None);
        assert_eq!(table.due(Duration::from_secs(2)), Some(new));
    }
}
