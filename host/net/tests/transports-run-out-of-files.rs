//! A process that may open no more files pauses to take connections, and goes on when it may.
//!
//! Alone in its program: the limit is one of the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod transports;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::Duration;

use carillon_net::transports::{Count, Limits};
use transports::{Hub, connect, message};

#[test]
fn accepting_pauses_without_spinning_and_goes_on() {
    let (mut hub, address) = Hub::tcp(Limits::default());
    let mut peer = connect(address);
    peer.write_all(&message("patient")).unwrap();
    // The limit is on the number of the next file.
    let next = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let limit = limit_files(next as u64);
    let mut turns = 0;
    hub.until("pause", |hub| {
        turns += 1;
        hub.count(Count::AcceptPaused) == 2
    });
    // Two pauses of 100 ms in turns of up to 10 ms: had the listener been ready all the time, there were thousands.
    assert!(turns < 200, "{turns} turns");
    assert_eq!(hub.count(Count::Accepted), 0);
    limit_files(limit);
    hub.until_messages(1);
    hub.turn(Duration::ZERO);
    assert_eq!(hub.count(Count::Accepted), 1);
}

/// Sets how many files this process may open; returns how many it might before.
fn limit_files(limit: u64) -> u64 {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives through both calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits), 0);
        let before = std::mem::replace(&mut limits.rlim_cur, limit);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits), 0);
        before
    }
}
