//! What an idle TLS connection costs, measured; alone in its program, so that nothing else is.
//!
//! Each has been through a handshake, a message of 1 KiB and one of 100 KiB.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod transports;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::thread;

use carillon_net::authority::Authority;
use transports::{Hub, client, connect_tls, generous, message};

const CONNECTIONS: usize = 100;

#[test]
fn an_idle_tls_connection_holds_less_than_24_kib() {
    let authority = Authority::create("Carillon test").unwrap();
    let (mut hub, address) = Hub::tls(generous(), &authority);
    let config = client(&authority);
    // The first one brings what all share.
    let mut before = 0;
    let mut peers = Vec::new();
    for number in 0..=CONNECTIONS {
        if number == 1 {
            before = held();
        }
        let mut peer = connect_tls(address, &config);
        let thread = thread::spawn(move || {
            peer.write_all(&message(&"x".repeat(1 << 10))).unwrap();
            peer.write_all(&message(&"x".repeat(100 << 10))).unwrap();
            peer
        });
        hub.until_messages(2);
        hub.seen.messages.clear();
        // Peers live on another thread and are not counted: what they hold was allocated there.
        peers.push(thread.join().unwrap());
    }
    let each = (held() - before) / CONNECTIONS as isize;
    assert_eq!(hub.transports.counts().connections, CONNECTIONS + 1);
    println!("{each} bytes for each of {CONNECTIONS} idle TLS connections");
    assert!(each < 24 << 10, "{each} bytes");
    assert!(each > 1 << 10, "{each} bytes can't be all");
}

/// Bytes that this thread has taken and not given back.
fn held() -> isize {
    HELD.with(Cell::get)
}

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// Rust's own allocations; aws-lc takes about 1.5 KiB more per connection by itself.
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
