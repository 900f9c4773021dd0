//! Who is connected, and how many of them from where: what makes it too many.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All connections, from the first packet to the last.
#[derive(Clone)]
pub(super) struct Guests(Arc<Shared>);

struct Shared {
    book: Mutex<Book>,
    left: Notify,
}

struct Book {
    connections: usize,
    per_source: usize,
    sources: BTreeMap<IpAddr, usize>,
    count: usize,
    served: u64,
    refused: BTreeMap<&'static str, u64>,
}

/// The place of one connection; free again when this is gone.
pub(super) struct Seat {
    guests: Guests,
    source: IpAddr,
}

impl Guests {
    /// None yet, and at most so many: in all, and of a source.
    pub(super) fn new(connections: usize, per_source: usize) -> Guests {
        let (sources, refused) = (BTreeMap::new(), BTreeMap::new());
        let book = Book { connections, per_source, sources, count: 0, served: 0, refused };
        Guests(Arc::new(Shared { book: Mutex::new(book), left: Notify::new() }))
    }

    /// Other limits, for those who come.
    pub(super) fn limit(&self, connections: usize, per_source: usize) {
        let mut book = self.book();
        (book.connections, book.per_source) = (connections, per_source);
    }

    /// A place for who comes from there, unless there are too many.
    pub(super) fn seat(&self, address: IpAddr) -> Option<Seat> {
        let (mut book, source) = (self.book(), source(address));
        let (full, of_source) = (book.count >= book.connections, book.sources.get(&source).copied());
        let reason = match (full, of_source.unwrap_or(0) >= book.per_source) {
            (true, _) => Some("full"),
            (false, true) => Some("source"),
            (false, false) => None,
        };
        if let Some(reason) = reason {
            *book.refused.entry(reason).or_default() += 1;
            return None;
        }
        book.count += 1;
        *book.sources.entry(source).or_default() += 1;
        drop(book);
        Some(Seat { guests: self.clone(), source })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.book().count
    }

    /// How many have reached the inside.
    pub(super) fn served(&self) -> u64 {
        self.book().served
    }

    /// How many have not, by the reason.
    pub(super) fn refused(&self) -> BTreeMap<String, u64> {
        self.book().refused.iter().map(|(reason, number)| ((*reason).to_owned(), *number)).collect()
    }

    /// Waits until somebody leaves.
    pub(super) async fn left(&self) {
        self.0.left.notified().await;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Who sits there has reached the inside.
    pub(super) fn welcome(&self) {
        self.guests.book().served += 1;
    }

    /// Who sits there has not, and goes.
    pub(super) fn refuse(self, reason: &'static str) {
        *self.guests.book().refused.entry(reason).or_default() += 1;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut book = self.guests.book();
        book.count -= 1;
        if let Some(count) = book.sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                book.sources.remove(&self.source);
            }
        }
        drop(book);
        self.guests.0.left.notify_one();
    }
}

/// Whoever has one address of a /64 has them all.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.into(),
            None => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_source_and_all_together_have_limits_and_who_leaves_makes_room() {
        let guests = Guests::new(3, 2);
        let first = guests.seat(at("2001:db8::1")).unwrap();
        let _second = guests.seat(at("2001:db8::ffff:1")).unwrap();
        assert!(guests.seat(at("2001:db8::2")).is_none(), "the same /64");
        let _third = guests.seat(at("192.0.2.1")).unwrap();
        assert!(guests.seat(at("192.0.2.2")).is_none(), "nobody else");
        assert_eq!(guests.refused(), [("full".to_owned(), 1), ("source".to_owned(), 1)].into());
        drop(first);
        assert!(guests.seat(at("2001:db8::2")).is_some());
        assert_eq!(guests.count(), 2, "who was only looked at is gone");
        guests.limit(1, 1);
        assert!(guests.seat(at("192.0.2.9")).is_none());
    }
}
