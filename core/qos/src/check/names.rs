//! Whether names lead to the Edge.

use std::net::IpAddr;

use super::cause::Cause;
use super::found::{Found, Kind, State};
use super::observed::{Machine, Name, Side};

pub(super) fn judge(machine: &Machine) -> Vec<Found> {
    machine.names.iter().map(of).collect()
}

fn of(name: &Name) -> Found {
    let (subject, side) = (&name.name, word(name.side));
    let found = match &name.found {
        Ok(found) if !found.is_empty() => found,
        Ok(_) => return unresolved(name, "it has no address"),
        Err(why) => return unresolved(name, why),
    };
    let (ours, others): (Vec<IpAddr>, Vec<IpAddr>) =
        found.iter().partition(|found| name.wanted.contains(found));
    if others.is_empty() {
        return Found::good(Kind::Name, subject, format!("{side}: {}", list(&ours)));
    }
    if !ours.is_empty() {
        let text = format!(
            "{side}: {}, and {}: another machine of the pool, or a mistake",
            list(&ours),
            list(&others)
        );
        let fix = "see that every address is that of a machine of the pool";
        return Found::new(Kind::Name, subject, State::Warning, None, text, fix);
    }
    Found::bad(
        Kind::Name,
        subject,
        Cause::NameElsewhere,
        format!("{side}: it leads to {}, which is not the Edge ({})", list(&others), list(&name.wanted)),
        format!("correct the address in the DNS that answers {side}, and in /etc/hosts"),
    )
}

fn unresolved(name: &Name, why: &str) -> Found {
    let side = word(name.side);
    let record = name.wanted.first().map_or("A", |address| if address.is_ipv4() { "A" } else { "AAAA" });
    // An Edge is in no domain: nobody registers its name but the administrator.
    let fix = format!(
        "add a record to the DNS that answers {side}, by hand:\n{}. IN {record} {}",
        name.name,
        name.wanted.first().map_or_else(String::new, IpAddr::to_string)
    );
    Found::bad(Kind::Name, &name.name, Cause::NameNotResolved, format!("{side}: {why}"), fix)
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Inside => "inside",
        Side::Outside => "outside",
    }
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    texts.join(", ")
}
