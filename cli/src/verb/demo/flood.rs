//! A backup that nobody asked to wait: unmarked UDP, more than the WAN carries.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use carillon_net::udp::{Datagram, UdpPort};
use carillon_wire::ip::Dscp;

use crate::answer::Failure;

/// Kilobits per second on the wire: almost four times what the WAN carries.
pub(super) const KBIT: u64 = 7700;
const PAYLOAD: usize = 1200;
/// Ethernet, IP and UDP headers.
const HEADERS: u64 = 42;

/// Sends to `to`, from `from`, until it is ended.
pub(super) fn send(from: SocketAddr, to: SocketAddr) -> Result<(), Failure> {
    let port = UdpPort::bind(from, Dscp::DEFAULT).map_err(|error| Failure::Message(error.to_string()))?;
    let bytes = [0; PAYLOAD];
    let one = [Datagram { to, from: None, bytes: &bytes, mark: None }];
    // One at a time: after a burst the queue would have room for everyone until the next.
    let pause = Duration::from_micros((PAYLOAD as u64 + HEADERS) * 8 * 1000 / KBIT);
    let mut next = Instant::now();
    loop {
        // What the kernel does not take is lost, as on any congested link.
        port.send(&one, |_, _| ());
        next += pause;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
