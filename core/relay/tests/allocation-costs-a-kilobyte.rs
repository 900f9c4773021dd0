//! What an allocation with a channel holds, measured; alone in its program, so that nothing else is.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use carillon_relay::{Config, Limits, PortId, Rate, Rule};
use support::{Client, Edge, PEER, config};

const ALLOCATIONS: usize = 1500;
const GENEROUS: Rate = Rate { per_second: 1, at_once: 4_000_000 };

fn edge() -> Edge {
    let limits =
        Limits { ports_per_user: u32::MAX, answers: GENEROUS, proofs: GENEROUS, ..Limits::default() };
    Edge::with(Config { limits, ..config() })
}

fn client(number: usize, nonce: &str) -> Client {
    let client = Client::alice().from(&format!("7.7.7.7:{}", 1000 + number));
    Client { nonce: nonce.to_owned(), ..client }
}

fn connect(edge: &mut Edge, number: usize, nonce: &str) {
    let mut client = client(number, nonce);
    assert_eq!(client.try_allocate(edge, |b| b), 0);
    assert_eq!(client.bind(edge, 0x4000, PEER), 0);
}

fn nonce(edge: &mut Edge) -> String {
    let mut first = Client::alice();
    first.fetch_nonce(edge);
    first.nonce
}

#[test]
fn an_allocation_with_a_channel_holds_less_than_a_kilobyte_and_all_is_given_back() {
    let mut edge = edge();
    let nonce = nonce(&mut edge);
    let (before, mut worst) = (held(), 0);
    for number in 1..=ALLOCATIONS {
        connect(&mut edge, number, &nonce);
        if number >= ALLOCATIONS / 3 {
            worst = worst.max(((held() - before) as usize - of_host(&edge)) / number);
        }
    }
    println!("{worst} bytes for each of {ALLOCATIONS} allocations with a channel");
    assert!(worst <= 1024, "{worst} bytes");
    assert!(worst > 100, "{worst} bytes cannot be all");
    edge.wait(std::time::Duration::from_secs(3600));
    edge.assert_empty();
    // Tables keep their places for the next ones.
    let left = ((held() - before) as usize - of_host(&edge)) / ALLOCATIONS;
    println!("{left} bytes left for each");
    assert!(left <= 64, "{left} bytes");
}

/// What the host of the test remembers is not the relay's.
fn of_host(edge: &Edge) -> usize {
    edge.rules.capacity() * size_of::<Rule>() + edge.ports.capacity() * size_of::<PortId>()
}

/// Bytes that this thread has taken and not given back.
fn held() -> isize {
    HELD.with(Cell::get)
}

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is the system allocator's; only numbers are added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: as the caller has promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: as the caller has promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn add(bytes: isize) {
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}
