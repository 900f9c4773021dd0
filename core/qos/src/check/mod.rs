//! Whether an Edge can do its work: what was observed of its machines -> what is wrong, with root causes before what only
//! follows from them.
//!
//! Observes nothing itself: names, routes, certificates, sockets, answers and packets come in as values.

mod cause;
mod certificates;
mod doors;
mod found;
mod link;
mod names;
mod observed;
mod relaying;
mod report;
mod routes;
mod services;

pub use cause::Cause;
pub(crate) use certificates::is_for;
pub use found::{Check, Kind, State};
pub use observed::{
    Certificate, Door, Facts, Grant, Knock, Legacy, Lent, Machine, Name, Packet, Relayed, Route, Routing,
    Running, Service, Side, Socket, Transport,
};
pub use report::{Report, Root, Verdict};

use std::time::Duration;

use found::Found;

/// Judges the machines of one or more pools, at this time since 1970.
pub fn judge(machines: &[Machine], now: Duration) -> Report {
    let mut found = Vec::new();
    for (at, machine) in machines.iter().enumerate() {
        found.extend(of_machine(at, machine, machines, now));
    }
    Report::of(link::link(found))
}

/// Everything that is asked about one of them; the others are there to be compared with.
fn of_machine(at: usize, machine: &Machine, all: &[Machine], now: Duration) -> Vec<Found> {
    let mut found = services::judge(machine);
    found.extend(names::judge(machine));
    found.extend(routes::judge(machine));
    found.extend(certificates::judge(machine, all, now));
    found.extend(doors::judge(machine));
    found.extend(relaying::judge(machine));
    for one in &mut found {
        one.at = at;
        (one.check.pool, one.check.machine) = (machine.pool.clone(), machine.name.clone());
    }
    found
}
