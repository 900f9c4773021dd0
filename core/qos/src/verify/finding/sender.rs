//! Causes that lie with one sender or with one side of the calls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::cause::Cause;
use super::super::report::Content;
use super::super::row::Row;
use super::{Case, flows};

/// Devices that a finding describes one by one.
const DEVICES_SHOWN: usize = 3;

/// Every call is marked one way and not the other.
pub(super) fn return_path(case: &mut Case<'_>) {
    let media = || case.rows.iter().filter(|row| row.is_media() && row.out.expected.is_some());
    let right: BTreeSet<IpAddr> =
        media().filter(|row| row.is_marked_right()).map(|row| row.out.src).collect();
    let silent: BTreeSet<IpAddr> = media().filter(|row| row.is_unmarked()).map(|row| row.out.src).collect();
    let one_way = |row: &Row| {
        let (right_way, wrong_way) = (right.contains(&row.out.src), silent.contains(&row.out.src));
        right_way != wrong_way && right.contains(&row.out.dst) != right_way
    };
    let clean = !right.is_empty() && !silent.is_empty() && right.is_disjoint(&silent);
    if !clean || !media().all(one_way) || media().any(|row| row.out.in_range == Some(false)) {
        return;
    }
    let rows = case.unexplained(|row| row.is_unmarked() && silent.contains(&row.out.src));
    let text = format!(
        "media from {} is marked as planned, the return path from {} carries DSCP 0",
        case.names(&right),
        case.names(&silent)
    );
    case.explain_marks(Cause::ReturnPathUnmarked, &rows, text);
}

/// Senders that mark next to nothing, from planned ports, while others mark theirs.
pub(super) fn unmarked(case: &mut Case<'_>) {
    let mut senders: BTreeMap<IpAddr, Habit> = BTreeMap::new();
    for row in case.rows.iter().filter(|row| row.is_media()) {
        let habit = senders.entry(row.out.src).or_default();
        let open = row.is_unmarked() && row.mark_cause.is_none();
        habit.right += usize::from(row.is_marked_right());
        habit.silent += usize::from(open);
        habit.outside |= open && row.out.in_range == Some(false);
    }
    if senders.values().all(|habit| habit.right == 0) {
        return;
    }
    senders.retain(|_, habit| habit.silent > habit.right && !habit.outside);
    // Their RTCP is silent for the same reason.
    let rows = case.unexplained(|row| {
        let media = matches!(row.out.content, Content::Rtp | Content::Rtcp);
        media && row.is_unmarked() && senders.contains_key(&row.out.src)
    });
    let text = format!(
        "{} with DSCP 0 from planned ports, while others mark theirs (senders: {})",
        flows(rows.len()),
        case.names(&senders.into_keys().collect())
    );
    case.explain_marks(Cause::SenderUnmarked, &rows, text);
}

/// How many media flows a sender marks as planned, how many not at all, and whether from planned ports.
#[derive(Default)]
struct Habit {
    right: usize,
    silent: usize,
    outside: bool,
}

/// Devices that obey neither ports nor marks, or not the ports, while others do.
pub(super) fn not_configured(case: &mut Case<'_>) {
    let obeys = case.senders_where(|row| row.is_media() && row.out.in_range == Some(true));
    let own = case.unexplained_ports(|row| row.out.content == Content::Rtp && !obeys.contains(&row.out.src));
    if obeys.is_empty() || own.is_empty() {
        return;
    }
    let devices = case.senders(&own);
    let marks = case.unexplained(|row| devices.contains(&row.out.src));
    let ports = case.unexplained_ports(|row| devices.contains(&row.out.src));
    let shown = devices.iter().take(DEVICES_SHOWN);
    let shown: Vec<_> = shown
        .filter_map(|device| own.iter().find(|&&row| case.rows[row].out.src == *device))
        .map(|&row| device(case, &case.rows[row]))
        .collect();
    let more = match devices.len().saturating_sub(DEVICES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let text = format!("not configured: {}{more}", shown.join("; "));
    let frame = own.iter().filter_map(|&row| case.rows[row].out.first_offending).min();
    for &row in &marks {
        case.rows[row].mark_cause = Some(Cause::EndpointNotConfigured);
    }
    for &row in &ports {
        case.rows[row].port_cause = Some(Cause::EndpointNotConfigured);
    }
    let others: BTreeSet<usize> = marks.into_iter().chain(ports).collect();
    let own_set: BTreeSet<usize> = own.iter().copied().collect();
    let rows: Vec<usize> = own.into_iter().chain(others.difference(&own_set).copied()).collect();
    case.add(Cause::EndpointNotConfigured, &rows, frame, text);
}

/// "10.0.0.1 (Polycom VVX) sends audio from port 61000 (planned 50000-50019), marked unmarked (0)"
fn device(case: &Case<'_>, row: &Row) -> String {
    format!(
        "{} sends {} from port {} (planned {}), marked {}",
        case.name(row.out.src),
        row.out.class.map_or("media", |class| class.name()),
        row.out.src_port,
        row.out.range.map_or_else(String::new, |range| range.to_string()),
        row.out.marks.first().map_or_else(String::new, |mark| crate::dscp::label(mark.dscp)),
    )
}

/// Wrong marks that no special cause explains.
pub(super) fn wrong_mark(case: &mut Case<'_>) {
    let rows = case.unexplained(|_| true);
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let text = format!(
        "{} carries {} instead of {} ({}, senders: {})",
        row.path(),
        row.wrong_labels(),
        row.out.expected.map_or_else(String::new, crate::dscp::label),
        flows(rows.len()),
        case.names(&case.senders(&rows))
    );
    case.explain_marks(Cause::WrongMark, &rows, text);
}

/// Ports outside the range that no special cause explains.
pub(super) fn outside_range(case: &mut Case<'_>) {
    let rows = case.unexplained_ports(|_| true);
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let text = format!(
        "{} leaves from port {}, outside {} ({}, senders: {})",
        row.path(),
        row.out.src_port,
        row.out.range.map_or_else(String::new, |range| range.to_string()),
        flows(rows.len()),
        case.names(&case.senders(&rows))
    );
    for &row in &rows {
        case.rows[row].port_cause = Some(Cause::PortOutsideRange);
    }
    let frame = rows.iter().map(|&row| case.rows[row].out.first_frame).min();
    case.add(Cause::PortOutsideRange, &rows, frame, text);
}
