//! Whether the routes of an Edge lead where they should: the default gateway outside, the networks of the inside through the
//! internal interface, and nothing in two places.

use super::cause::Cause;
use super::found::{Found, Kind};
use super::observed::{Machine, Route, Routing};
use crate::plan::Network;

const SUBJECT: &str = "default gateway";
/// So that they are there after the next start, too.
const LASTING: &str =
    "and write the same into the network configuration of the machine, or it is gone after a restart";

pub(super) fn judge(machine: &Machine) -> Vec<Found> {
    let routing = match &machine.routing {
        None => return Vec::new(),
        Some(Err(why)) => return vec![Found::unknown(Kind::Route, SUBJECT, format!("not seen: {why}"), "")],
        Some(Ok(routing)) => routing,
    };
    let families =
        [false, true].into_iter().filter(|v6| routing.addresses.iter().any(|a| a.is_ipv6() == *v6));
    let mut found: Vec<Found> = families.map(|v6| default(routing, v6)).collect();
    found.extend(overlaps(routing));
    // Where the default gateway is on the wrong side, its fix adds these routes.
    let is_wrong = found.iter().any(|one| one.check.cause.is_some_and(is_of_gateway));
    found.extend(routing.inside.iter().filter(|_| !is_wrong).filter_map(|network| inside(routing, *network)));
    found
}

fn is_of_gateway(cause: Cause) -> bool {
    matches!(cause, Cause::TwoDefaultGateways | Cause::DefaultGatewayInside)
}

fn default(routing: &Routing, v6: bool) -> Found {
    let subject = if v6 { "default gateway (IPv6)" } else { SUBJECT };
    let all = || routing.routes.iter().filter(move |route| route.to.is_none() && route.v6 == v6);
    let outside = all().any(|route| route.interface == routing.external);
    let inside = all().find(|route| routing.internal.as_ref() == Some(&route.interface));
    match (inside, outside) {
        (None, true) => Found::good(Kind::Route, subject, format!("outside, by {}", routing.external)),
        (None, false) => Found::bad(
            Kind::Route,
            subject,
            Cause::NoDefaultGateway,
            format!("none leads out by {}: nobody on the Internet is answered", routing.external),
            format!("ip route add default via GATEWAY dev {}\n{LASTING}", routing.external),
        ),
        (Some(wrong), also) => {
            let cause = if also { Cause::TwoDefaultGateways } else { Cause::DefaultGatewayInside };
            let text = match also {
                true => format!("one by {}, and another one inside by {}", routing.external, wrong.interface),
                false => format!("inside, by {}", wrong.interface),
            };
            Found::bad(Kind::Route, subject, cause, text, commands(routing, wrong, also))
        }
    }
}

/// Takes the gateway inside away, and gives the networks that it served routes of their own.
fn commands(routing: &Routing, wrong: &Route, outside: bool) -> String {
    let (device, external) = (&wrong.interface, &routing.external);
    let by = wrong.gateway.map_or_else(String::new, |gateway| format!(" via {gateway}"));
    let mut lines = vec![format!("ip route del default{by} dev {device}")];
    let unrouted = routing.inside.iter().filter(|network| network.address().is_ipv6() == wrong.v6);
    let unrouted = unrouted.filter(|network| !is_routed(routing, **network));
    lines.extend(unrouted.map(|network| format!("ip route add {network}{by} dev {device}")));
    if !outside {
        lines.push(format!("ip route add default via GATEWAY dev {external}"));
    }
    lines.push(LASTING.to_owned());
    lines.join("\n")
}

fn inside(routing: &Routing, network: Network) -> Option<Found> {
    let internal = routing.internal.as_ref()?;
    if is_routed(routing, network) {
        return Some(Found::good(Kind::Route, network.to_string(), format!("inside, by {internal}")));
    }
    let text = format!(
        "no static route leads there by {internal}: what is for it goes out to the Internet, and calls of clients there with \
         partners and people outside fail, since both endpoints are internal"
    );
    let fix = format!("ip route add {network} via GATEWAY dev {internal}\n{LASTING}");
    Some(Found::bad(Kind::Route, network.to_string(), Cause::InsideNotRouted, text, fix))
}

fn is_routed(routing: &Routing, network: Network) -> bool {
    let inside = routing.routes.iter().filter(|route| routing.internal.as_ref() == Some(&route.interface));
    inside.filter_map(|route| route.to).any(|to| to.holds(network))
}

/// What is inside cannot be outside, and a network is inside once.
fn overlaps(routing: &Routing) -> Vec<Found> {
    let own = routing.addresses.iter().filter_map(|address| {
        let network = routing.inside.iter().find(|network| network.contains(*address))?;
        Some(format!("{network} is inside, and has the external address {address}"))
    });
    let pairs = routing.inside.iter().enumerate().filter_map(|(at, one)| {
        let other = routing.inside.iter().take(at).find(|other| other.holds(*one) || one.holds(**other))?;
        Some(format!("{other} and {one} are both inside: one holds the other"))
    });
    let fix = "correct `addresses.inside`: networks that were translated or overlap are not told apart here";
    own.chain(pairs)
        .map(|text| Found::bad(Kind::Route, "networks", Cause::NetworksOverlap, text, fix))
        .collect()
}
