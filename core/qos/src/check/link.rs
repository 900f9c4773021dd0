//! What follows from what: a check that fails only because something under it fails is a consequence, and no cause.

use super::found::{Check, Found, Kind, State};

/// What a check rests on. If one of these fails, that is why.
fn rests_on(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::Edge | Kind::Name | Kind::Route => &[],
        Kind::Service => &[Kind::Edge],
        Kind::Listener => &[Kind::Edge, Kind::Service],
        Kind::Certificate => &[Kind::Edge, Kind::Service, Kind::Listener, Kind::Door],
        Kind::Door => &[Kind::Edge, Kind::Service, Kind::Listener, Kind::Name],
        Kind::Credential => &[Kind::Edge, Kind::Door, Kind::Certificate],
        Kind::Allocation => &[Kind::Edge, Kind::Door, Kind::Credential],
        Kind::Relay => &[Kind::Allocation, Kind::Route],
        Kind::Mark => &[Kind::Relay],
    }
}

/// Ties every check that is not well to the root cause that explains it.
pub(super) fn link(mut found: Vec<Found>) -> Vec<Check> {
    found.sort_by_key(|one| (one.at, one.check.kind));
    let mut follows: Vec<Option<usize>> = Vec::with_capacity(found.len());
    for (at, one) in found.iter().enumerate() {
        let under = found.iter().enumerate().take(at).filter(|(_, other)| explains(other, one));
        let cause =
            under.min_by_key(|(_, other)| (other.check.cause.is_none(), other.check.cause, other.check.kind));
        // What explains it may itself follow from something.
        let root = cause.map(|(place, _)| follows.get(place).copied().flatten().unwrap_or(place));
        follows.push(root.filter(|_| is_open(one)));
    }
    let tied = found.into_iter().zip(follows);
    tied.map(|(one, follows)| Check { follows, ..one.check }).collect()
}

fn is_open(one: &Found) -> bool {
    matches!(one.check.state, State::Bad | State::Unknown)
}

fn explains(other: &Found, one: &Found) -> bool {
    other.at == one.at
        && is_open(other)
        && rests_on(one.check.kind).contains(&other.check.kind)
        && touches(other, one)
        && (!is_loose(other, one) || one.check.state == State::Unknown)
}

/// Names, and doors elsewhere, explain why something was not found out, but not what was found wrong; unless it was only
/// found by that name.
fn is_loose(other: &Found, one: &Found) -> bool {
    let by_another_name = other.check.kind == Kind::Name && !one.about.by_name;
    by_another_name || one.check.kind == Kind::Credential && one.about.door.is_none()
}

/// Whether the two are about the same thing, as far as both say what they are about.
fn touches(other: &Found, one: &Found) -> bool {
    let (of, by) = (&one.about, &other.about);
    // Credentials are asked for at one door and shown at others.
    let elsewhere = other.check.kind == Kind::Credential;
    (elsewhere || !differ(&of.door, &by.door)) && !differ(&of.service, &by.service)
}

fn differ<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
    one.is_some() && other.is_some() && one != other
}
