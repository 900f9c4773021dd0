//! Cost of reading a typical INVITE of 1143 bytes: nanoseconds and allocations. Prints, asserts nothing about time.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark times and prints"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use carillon_wire::sip::{Framing, Limits, Message, Transport, decode, frame};

const INVITE: &[u8] = include_bytes!("invite.sip");
const ROUNDS: u32 = 1000;
const PER_ROUND: u32 = 1000;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands every call to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    assert_eq!(INVITE.len(), 1143);
    measure("parse", || Message::parse(black_box(INVITE)).is_ok());
    measure("parse + routing fields", || {
        let message = Message::parse(black_box(INVITE)).ok();
        message.is_some_and(|message| black_box(message.routing()).is_ok())
    });
    measure("frame + full check", || match frame(black_box(INVITE), Transport::Udp, Limits::default()) {
        Framing::Message { message, .. } => black_box(message.check()).is_ok(),
        _ => false,
    });
    measure("decode", || {
        matches!(decode(black_box(INVITE), Limits::default()), carillon_wire::sip::Decoded::Valid(_))
    });
}

/// The best of many short rounds: the others measure what else the machine does.
fn measure(what: &str, mut work: impl FnMut() -> bool) {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    assert!(work(), "{what} must succeed");
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..PER_ROUND {
            black_box(work());
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(PER_ROUND));
    }
    println!("{what}: {best:.0} ns, {allocations} allocations");
}
