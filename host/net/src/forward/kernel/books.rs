//! Books that the kernel's program and this process write together: what ports have carried, and when what they and their accounts
//! have spent is paid for. Memory of an array map, mapped here.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::bpf::{Kind, Map};
use crate::forward::ledger::{Passed, Towards};

/// Bytes of a book, of each of its directions, and where in one: numbers of 64 bits.
pub(super) const BOOK: usize = 2 * LANE as usize;
pub(super) const LANE: i32 = 64;
pub(super) const ALL: i16 = 0;
pub(super) const POLICED: i16 = 8;
pub(super) const PACKETS: i16 = 16;
pub(super) const BYTES: i16 = 24;
pub(super) const DROPPED: i16 = 32;

/// All of them. The first is nobody's: it stands for the account of who has none.
pub(super) struct Books {
    pub(super) map: Map,
    memory: Arc<Memory>,
    free: Vec<u32>,
    /// Given back in this round, in the one before: a packet that is on its way through the program may still be written down.
    resting: [Vec<u32>; 2],
}

/// What is mapped, and when it was: the program's clock counts from another moment.
struct Memory {
    start: NonNull<u8>,
    len: usize,
    clock: (Instant, u64),
}

// SAFETY: it is only reached through atomic numbers.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// A book that is in use.
#[derive(Clone)]
pub(in crate::forward) struct Book {
    memory: Arc<Memory>,
    pub(super) place: u32,
}

/// A meter in a book: the moment at which what has passed is paid for.
#[derive(Clone)]
pub(in crate::forward) struct SharedMeter {
    book: Book,
    offset: usize,
}

impl Books {
    pub(super) fn new(entries: u32) -> io::Result<Books> {
        let map = Map::new(Kind::SharedArray, b"carillon_books", size_of::<u32>(), BOOK, entries)?;
        let memory = Arc::new(Memory::of(&map, entries as usize * BOOK)?);
        let free = (1..entries).rev().collect();
        Ok(Books { map, memory, free, resting: Default::default() })
    }

    /// An empty one; `None` if all are in use.
    pub(super) fn take(&mut self) -> Option<Book> {
        let book = Book { memory: self.memory.clone(), place: self.free.pop()? };
        (0..BOOK / 8).for_each(|number| book.number(number * 8).store(0, Ordering::Relaxed));
        Some(book)
    }

    /// It is given to others after two rounds.
    pub(super) fn give_back(&mut self, book: &Book) {
        self.resting[0].push(book.place);
    }

    /// Another round.
    pub(super) fn turn(&mut self) {
        let [now, before] = &mut self.resting;
        self.free.append(before);
        std::mem::swap(now, before);
    }
}

impl Book {
    /// What the program has written since this was last asked.
    pub(super) fn take(&self, towards: Towards) -> Passed {
        let take = |at: i16| self.number(place(towards, at)).swap(0, Ordering::Relaxed);
        let [packets, bytes, dropped] = [PACKETS, BYTES, DROPPED].map(take);
        // What may be a check comes to the sockets.
        Passed { packets, bytes, dropped, checks: 0 }
    }

    /// A meter of it: of everything, or of what is policed.
    pub(in crate::forward) fn meter(&self, towards: Towards, policed: bool) -> SharedMeter {
        SharedMeter { book: self.clone(), offset: place(towards, if policed { POLICED } else { ALL }) }
    }

    fn number(&self, offset: usize) -> &AtomicU64 {
        let at = (self.place as usize * BOOK + offset).min(self.memory.len - size_of::<u64>());
        // SAFETY: inside of what is mapped, which lives as long as `self`; a multiple of eight; never reached but atomically.
        unsafe { AtomicU64::from_ptr(self.memory.start.add(at).as_ptr().cast()) }
    }
}

impl SharedMeter {
    /// When it is paid for; `None` if nothing was spent.
    pub(in crate::forward) fn paid(&self) -> Option<Instant> {
        let (instant, then) = self.book.memory.clock;
        match self.book.number(self.offset).load(Ordering::Relaxed) {
            0 => None,
            paid if paid >= then => Some(instant + Duration::from_nanos(paid - then)),
            _ => Some(instant),
        }
    }

    /// Not before this, if that is later than what is written there.
    pub(in crate::forward) fn raise(&self, paid: Instant) {
        let (instant, then) = self.book.memory.clock;
        let paid = then + paid.saturating_duration_since(instant).as_nanos() as u64;
        self.book.number(self.offset).fetch_max(paid, Ordering::Relaxed);
    }
}

impl Memory {
    fn of(map: &Map, len: usize) -> io::Result<Memory> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a mapping of its own, unmapped when this is dropped.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, map.fd.as_raw_fd(), 0)
        };
        let start = (start != libc::MAP_FAILED).then(|| NonNull::new(start.cast())).flatten();
        let start = start.ok_or_else(io::Error::last_os_error)?;
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes one timespec.
        crate::syscall::check(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) })?;
        let clock = (Instant::now(), now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64);
        Ok(Memory { start, len, clock })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`, and nobody has a reference into it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

fn place(towards: Towards, at: i16) -> usize {
    let lane = if towards == Towards::Client { LANE as usize } else { 0 };
    lane + usize::from(at.unsigned_abs())
}
