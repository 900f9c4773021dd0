//! What an allocation and a packet without a rule cost in time: `cargo bench -p carillon-relay`. Prints, asserts nothing about time.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark times and prints"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use carillon_relay::{Config, Limits, Rate};
use carillon_wire::stun::Method;
use support::{Client, Edge, PEER, config};

const ALLOCATIONS: usize = 5000;
const ROUNDS: usize = 5;

fn main() {
    let mut best = [f64::MAX; 3];
    for _ in 0..ROUNDS {
        best.iter_mut().zip(round()).for_each(|(best, took)| *best = best.min(took));
    }
    let [challenge, allocate, data] = best;
    println!("best of {ROUNDS} rounds of {ALLOCATIONS}, on one core, without sockets:");
    println!("  challenge                     {challenge:6.2} us");
    println!("  Allocate, proven and opened   {allocate:6.2} us, {:.0} a second", 1e6 / allocate);
    println!("  ChannelData without its rule  {data:6.2} us");
}

fn round() -> [f64; 3] {
    let much = Rate { per_second: 4_000_000, at_once: 4_000_000 };
    let limits =
        Limits { ports_per_user: u32::MAX, answers: much, proofs: much, requests: much, ..Limits::default() };
    let mut edge = Edge::with(Config { limits, ..config() });
    let mut first = Client::alice();
    first.fetch_nonce(&mut edge);
    let at = |number: usize| Client {
        nonce: first.nonce.clone(),
        ..Client::alice().from(&format!("7.7.7.7:{number}"))
    };
    let mut clients: Vec<Client> = (0..ALLOCATIONS).map(|number| at(1000 + number)).collect();
    let bare = clients
        .iter_mut()
        .map(|client| (client.flow, client.bare(Method::Allocate, |b| b.requested_transport(17))));
    let challenge = hear(&mut edge, &bare.collect::<Vec<_>>());
    let proven = clients
        .iter_mut()
        .map(|client| (client.flow, client.proven(Method::Allocate, |b| b.requested_transport(17))));
    let allocate = hear(&mut edge, &proven.collect::<Vec<_>>());
    assert_eq!(edge.relay.counts().allocations, ALLOCATIONS);
    assert_eq!(clients[0].bind(&mut edge, 0x4000, PEER), 0);
    let frame = [&[0x40, 0, 0, 172][..], &[0x80; 172]].concat();
    let data = hear(&mut edge, &vec![(clients[0].flow, frame); ALLOCATIONS]);
    [challenge, allocate, data]
}

/// Microseconds for each.
fn hear(edge: &mut Edge, messages: &[(carillon_relay::Flow, Vec<u8>)]) -> f64 {
    let start = Instant::now();
    for (flow, bytes) in messages {
        assert!(!edge.hear(*flow, bytes).is_empty());
    }
    let took: Duration = start.elapsed();
    took.as_secs_f64() * 1e6 / messages.len() as f64
}
