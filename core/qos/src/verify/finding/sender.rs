//! Causes that lie with one sender or with one side of the calls.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::cause::Cause;
use super::super::report::Content;
use super::super::row::Row;
use super::{Case, flows};

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

/// Single senders that mark nothing while others do.
pub(super) fn unmarked(case: &mut Case<'_>) {
    let others_mark = case.rows.iter().any(|row| row.is_media() && row.is_marked_right());
    let rows = case.unexplained(|row| row.out.content == Content::Rtp && row.is_unmarked());
    if !others_mark {
        return;
    }
    for sender in case.senders(&rows) {
        let own: Vec<usize> = rows.iter().copied().filter(|&row| case.rows[row].out.src == sender).collect();
        let right =
            case.rows.iter().filter(|row| row.out.src == sender && row.is_media() && row.is_marked_right());
        let marks_most = right.count() >= own.len();
        let outside = own.iter().any(|&row| case.rows[row].out.in_range == Some(false));
        if marks_most || outside {
            continue;
        }
        // Its RTCP is silent for the same reason.
        let all = case.unexplained(|row| {
            row.out.src == sender
                && row.is_unmarked()
                && matches!(row.out.content, Content::Rtp | Content::Rtcp)
        });
        let text = format!(
            "{} sends {} with DSCP 0 from planned ports, while others mark theirs",
            case.name(sender),
            flows(own.len())
        );
        case.explain_marks(Cause::SenderUnmarked, &all, text);
    }
}

/// Single devices that obey neither ports nor marks, or not the ports, while others do.
pub(super) fn not_configured(case: &mut Case<'_>) {
    let obedient = |row: &Row| row.is_media() && row.out.in_range == Some(true);
    if !case.rows.iter().any(obedient) {
        return;
    }
    let outside = case.unexplained_ports(|row| row.out.content == Content::Rtp);
    for sender in case.senders(&outside) {
        let own: Vec<usize> =
            outside.iter().copied().filter(|&row| case.rows[row].out.src == sender).collect();
        let obeys_elsewhere = case.rows.iter().any(|row| row.out.src == sender && obedient(row));
        let (Some(&first), false) = (own.first(), obeys_elsewhere) else { continue };
        let all = case.unexplained(|row| row.out.src == sender);
        let ports = case.unexplained_ports(|row| row.out.src == sender);
        let row = &case.rows[first].out;
        let text = format!(
            "{} is not configured: {} from port {} (planned {}), marked {}",
            case.name(sender),
            row.class.map_or("media", |class| class.name()),
            row.src_port,
            row.range.map_or_else(String::new, |range| range.to_string()),
            row.marks.first().map_or_else(String::new, |mark| crate::dscp::label(mark.dscp)),
        );
        let frame = own.iter().filter_map(|&row| case.rows[row].out.first_offending).min();
        for &row in &all {
            case.rows[row].mark_cause = Some(Cause::EndpointNotConfigured);
        }
        for &row in &ports {
            case.rows[row].port_cause = Some(Cause::EndpointNotConfigured);
        }
        let rows: Vec<usize> =
            own.iter().chain(all.iter().filter(|row| !own.contains(row))).copied().collect();
        case.add(Cause::EndpointNotConfigured, &rows, frame, text);
    }
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
