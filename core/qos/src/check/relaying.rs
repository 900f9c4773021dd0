//! Whether the relay works: a credential is given and taken, an address lent, a packet carried there and back, and marked.

use carillon_wire::ip::Dscp;

use super::cause::Cause;
use super::found::{Found, Kind};
use super::observed::{Door, Grant, Lent, Machine, Packet, Relayed};
use crate::dscp::label;

pub(super) fn judge(machine: &Machine) -> Vec<Found> {
    let mut found: Vec<Found> = machine.grants.iter().map(|grant| credential(grant, machine)).collect();
    for door in machine.doors.iter().filter(|door| door.is_relay) {
        let mut of_door = vec![allocation(door)];
        match (&door.relayed, door.lent) {
            (Some(Ok(relayed)), _) => of_door.extend([relay(door, relayed), mark(door, relayed)]),
            (Some(Err(why)), _) => {
                of_door.push(Found::unknown(
                    Kind::Relay,
                    door.place(),
                    format!("nothing was sent: {why}"),
                    "",
                ));
            }
            (None, Some(Lent::Address(_))) => {
                of_door.push(Found::unknown(Kind::Relay, door.place(), "nothing was sent", ""));
            }
            (None, _) => {}
        }
        found.extend(of_door.into_iter().map(|one| one.of(&door.service).at(door.is_stream(), door.address)));
    }
    found
}

/// 401 and 438 to what was proven: it is taken nowhere.
fn credential(grant: &Grant, machine: &Machine) -> Found {
    let tie = |found: Found| match grant.door {
        Some(door) => found.at(true, door),
        None => found,
    };
    if let Some(why) = &grant.refused {
        let fix = "see whether this server is listed in `authentication.servers` there, and shows a \
 certificate of an authority of `internal-tls.trusted`";
        let text = format!("{} gives none: {why}", grant.by);
        return tie(Found::bad(Kind::Credential, &grant.by, Cause::NoCredential, text, fix));
    }
    if !grant.shown {
        return tie(Found::good(Kind::Credential, &grant.by, "given"));
    }
    let lent = || machine.doors.iter().filter_map(|door| door.lent);
    let not_taken = |lent: &Lent| matches!(lent, Lent::Refused(401 | 438));
    tie(match (lent().any(|lent| not_taken(&lent)), lent().any(|lent| matches!(lent, Lent::Address(_)))) {
        (true, false) => Found::bad(
            Kind::Credential,
            &grant.by,
            Cause::CredentialRefused,
            "the relay does not take it (401): it has another secret, or another time",
            "put the same secret on the Front Ends and on all Edges, reload them, and compare the clocks:\n\
 systemctl reload carillon-edge\ndate -u",
        ),
        (_, true) => Found::good(Kind::Credential, &grant.by, "given, and taken by the relay"),
        (false, false) => {
            Found::unknown(Kind::Credential, &grant.by, "given; no relay was reached to show it to", "")
        }
    })
}

fn allocation(door: &Door) -> Found {
    let place = door.place();
    let bad = |text: String, fix: &str| Found::bad(Kind::Allocation, &place, Cause::NothingLent, text, fix);
    match door.lent {
        None => Found::unknown(Kind::Allocation, &place, "nothing was asked for", ""),
        Some(Lent::Address(address)) => Found::good(Kind::Allocation, &place, format!("{address} was lent")),
        Some(Lent::Nothing) => bad("it has answered, and then said no more".to_owned(), "look at its log"),
        Some(Lent::Refused(code)) => {
            let (why, fix) = refusal(code);
            bad(format!("it lends nothing: {code} ({why})"), fix)
        }
    }
}

/// What the numbers mean (RFC 8656, 19).
fn refusal(code: u16) -> (&'static str, &'static str) {
    match code {
        300 => (
            "another Edge should be tried",
            "it is draining, or sends clients to its alternates: see `carillon status` there",
        ),
        401 | 438 => ("the credential is not taken", "see the credential"),
        403 => ("forbidden", "see `relay.denied` and `addresses.inside` there"),
        440 => ("no address of that family", "give it an address of that family, or do without"),
        486 => (
            "too many allocations of this user, or of its site",
            "raise `relay.allocations-per-user` or `relay.allocations-per-site` there",
        ),
        508 => ("none left, or draining", "see `carillon status` and `carillon edge ports --dynamic` there"),
        _ => ("it does not say more", "look at its log"),
    }
}

fn relay(door: &Door, relayed: &Relayed) -> Found {
    let place = door.place();
    match (relayed.there, relayed.back) {
        (Packet::Arrived(_), Packet::Arrived(_)) => {
            Found::good(Kind::Relay, place, "a packet went there and back")
        }
        (Packet::Arrived(_), _) => Found::bad(
            Kind::Relay,
            place,
            Cause::NothingBack,
            "a packet arrives through it, the answer does not come back",
            "open the way from the inside to the relay's ports (50000-59999 by default) at its external \
 address, or see the routes",
        ),
        (Packet::Lost, _) => Found::bad(
            Kind::Relay,
            place,
            Cause::NotRelayed,
            "a packet through it does not arrive at the other end",
            "see whether the other end is in `addresses.inside` or `relay.peers`, whether a route leads there, and a \
 firewall lets the plan's ports in",
        ),
    }
}

fn mark(door: &Door, relayed: &Relayed) -> Found {
    let place = door.place();
    let of = relayed.class.map_or_else(String::new, |class| format!(" for {class}"));
    match (relayed.there, relayed.planned) {
        (Packet::Arrived(Some(mark)), Some(planned)) if mark == planned => {
            Found::good(Kind::Mark, place, format!("arrives inside with {}{of}", label(mark)))
        }
        (Packet::Arrived(Some(mark)), Some(planned)) => Found::bad(
            Kind::Mark,
            place,
            Cause::MarkLost,
            format!("arrives inside with {} instead of {}{of}", label(mark), label(planned)),
            cure(planned, mark),
        ),
        (Packet::Arrived(_), None) => Found::unknown(
            Kind::Mark,
            place,
            "the packet did not go inside: only its arrival there tells its mark",
            "let somebody listen on a host inside, and name it here:\ncarillon probe listen --plan PLAN\n\
             carillon edge check --inside HOST --token TOKEN",
        ),
        (Packet::Arrived(None), Some(_)) => {
            Found::unknown(Kind::Mark, place, "the other end can't tell the mark", "")
        }
        (Packet::Lost, _) => Found::unknown(Kind::Mark, place, "no packet arrived to be looked at", ""),
    }
}

/// Somebody takes the mark away, or somebody sets one of his own.
fn cure(planned: Dscp, arrived: Dscp) -> String {
    let hop = "let the hop that changes it trust marks from the Edge:\ncarillon trace HOST --class audio";
    match (planned, arrived) {
        (_, Dscp::DEFAULT) => {
            format!("see that the Edge has this plan (`carillon status` there); if it has, {hop}")
        }
        _ => hop.to_owned(),
    }
}
