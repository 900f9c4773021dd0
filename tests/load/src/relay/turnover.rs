//! Allocations made, given back and made again, as fast as the relay answers.

use std::io;
use std::time::{Duration, Instant};

use carillon_net::forward::Unknown;

use super::Load;
use super::clients::Clients;
use super::media::Outcome;
use super::usage::work;

const WARM_UP: Duration = Duration::from_millis(500);
/// A request that was not answered for so long is sent again.
const AGAIN: Duration = Duration::from_millis(100);

/// Where each client is.
struct Turn {
    /// It wants an allocation, or wants to be rid of it.
    wants: bool,
    since: Instant,
    asked: Instant,
}

/// Counts allocations for the time of the measurement; each is a new client's, on a new port and without a nonce.
pub(super) fn turn_over(load: &Load, clients: &mut Clients) -> io::Result<Outcome> {
    let now = Instant::now();
    let mut turns: Vec<Turn> =
        (0..load.flows).map(|_| Turn { wants: true, since: now, asked: now - AGAIN }).collect();
    run(clients, &mut turns, now + WARM_UP, &mut Outcome::default())?;
    let (before, from, mut outcome) = (work(load.pid, load.core)?, Instant::now(), Outcome::default());
    run(clients, &mut turns, from + Duration::from_secs(load.seconds), &mut outcome)?;
    outcome.cpu = work(load.pid, load.core)? - before;
    outcome.seconds = from.elapsed().as_secs_f64();
    Ok(outcome)
}

fn run(clients: &mut Clients, turns: &mut [Turn], end: Instant, outcome: &mut Outcome) -> io::Result<()> {
    while Instant::now() < end {
        for (number, turn) in turns.iter_mut().enumerate() {
            if turn.asked.elapsed() >= AGAIN {
                ask(clients, number, turn);
            }
        }
        clients.engine.poll(Some(Duration::from_millis(5)))?;
        while let Some(unknown) = clients.engine.next_unknown() {
            let Unknown::FromPeer { port, bytes, .. } = unknown else { continue };
            let Some(number) = clients.by_port.get(&port).copied() else { continue };
            let caller = &mut clients.callers[number];
            let had = caller.relayed.is_some();
            caller.hear(&bytes);
            let (turn, has) = (&mut turns[number], caller.relayed.is_some());
            if !had && has {
                outcome.sent += 1;
                outcome.delivered += 1;
                outcome.delays.push(turn.since.elapsed().as_micros() as u32);
            }
            if had && !has {
                clients.replace(number)?;
                turn.since = Instant::now();
            }
            turn.wants = !has;
            ask(clients, number, turn);
        }
    }
    Ok(())
}

fn ask(clients: &mut Clients, number: usize, turn: &mut Turn) {
    turn.asked = Instant::now();
    match turn.wants {
        true => clients.ask(number),
        false => clients.refresh(number, 0),
    }
}
