//! Causes on the way: the same packets seen twice with different marks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use carillon_wire::ip::Dscp;

use super::super::cause::Cause;
use super::super::report::{Content, FlowReport};
use super::super::row::Row;
use super::sighting::{Change, changes};
use super::{Case, flows};

/// Share of packets, in percent, that come twice, or carry one of two marks, where every packet is seen twice.
const HALF_PERCENT: u64 = 40;

/// The same packets at two capture points (two files, or two interfaces) with different marks.
pub(super) fn between_points(case: &mut Case<'_>) {
    let changes = changes(case.rows, |a, b| a.place() != b.place());
    let Some(first) = changes.first() else { return };
    let path = case.rows[first.after].path();
    let text = format!("on the way from one point to the next {} ({path})", told(&changes));
    case.explain_marks(Cause::RemarkedBetweenPoints, &rows_of(&changes), text);
}

/// The same packets on two legs at one point: a relay or proxy between them changes the mark.
pub(super) fn across_relay(case: &mut Case<'_>) {
    let changes = changes(case.rows, |a, b| {
        let other_ends = (a.out.src, a.out.dst) != (b.out.src, b.out.dst);
        a.place() == b.place() && other_ends && a.out.dst == b.out.src
    });
    let mut relays: BTreeMap<IpAddr, BTreeSet<Dscp>> = BTreeMap::new();
    for change in &changes {
        relays.entry(case.rows[change.after].out.src).or_default().insert(change.to);
    }
    // Reports have no numbers to be found again by; they leave the relay by the same door.
    let reports = case.unexplained(|row| {
        let left = |marks: &BTreeSet<Dscp>| row.out.marks.iter().all(|mark| marks.contains(&mark.dscp));
        row.out.content == Content::Rtcp && relays.get(&row.out.src).is_some_and(left)
    });
    let rows: Vec<usize> = rows_of(&changes).into_iter().chain(reports).collect();
    let text = format!("at {} {}", case.names(&relays.into_keys().collect()), told(&changes));
    case.explain_marks(Cause::RelayDropsMark, &rows, text);
}

/// Every packet comes twice at one point, once with either mark: the capture shows it before and behind a bridge,
/// or on its way into this host and out again, and that is where its mark goes.
pub(super) fn seen_twice(case: &mut Case<'_>) {
    let twice = |row: &Row| {
        let duplicates = row.out.rtp.as_ref().map_or(0, |rtp| rtp.duplicates);
        duplicates * 100 >= row.out.packets * HALF_PERCENT && half_and_half(&row.out)
    };
    let media = case.unexplained(twice);
    let Some(&first) = media.first() else { return };
    let places: BTreeSet<_> = media.iter().map(|&row| case.rows[row].place()).collect();
    // What has no numbers to be counted by comes twice there as well.
    let others = case.unexplained(|row| {
        row.out.ssrc.is_none() && places.contains(&row.place()) && half_and_half(&row.out)
    });
    let row = &case.rows[first];
    let marks: Vec<_> = row.out.marks.iter().take(2).map(|mark| crate::dscp::label(mark.dscp)).collect();
    let rows: Vec<usize> = media.into_iter().chain(others).collect();
    let text = format!(
        "each packet was seen twice at this point, once as {} ({}, first {}): a device or this host between two \
         sightings of the same packet changes the mark",
        marks.join(" and once as "),
        flows(rows.len()),
        row.path(),
    );
    case.explain_marks(Cause::RemarkedBetweenPoints, &rows, text);
}

/// Whether either of two marks is on about half the frames.
fn half_and_half(flow: &FlowReport) -> bool {
    let about_half = |packets: u64| packets * 100 >= flow.frames * HALF_PERCENT;
    matches!(flow.marks.as_slice(), [one, other, ..] if about_half(one.packets) && about_half(other.packets))
}

/// The mark changes while the flow runs, and it was right for part of it.
pub(super) fn changes_mid_flow(case: &mut Case<'_>) {
    let rows = case.unexplained(|row| {
        let right: u64 =
            row.out.marks.iter().filter(|m| row.accepted.contains(&m.dscp)).map(|m| m.packets).sum();
        right > 0 && row.out.content == Content::Rtp
    });
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let text = format!(
        "{} of {} packets of {} lose the planned mark on the way, first in frame {}",
        row.wrong_marks,
        row.out.frames,
        row.path(),
        row.first_wrong_mark().unwrap_or_default(),
    );
    case.explain_marks(Cause::MarkChangesMidFlow, &rows, text);
}

/// "501 packets of 2 flows marked EF (46) become unmarked (0), 9 packets ..."
fn told(changes: &[Change]) -> String {
    let mut groups: BTreeMap<(Dscp, Dscp), (u64, BTreeSet<usize>)> = BTreeMap::new();
    for change in changes {
        let group = groups.entry((change.from, change.to)).or_default();
        group.0 += change.packets;
        group.1.insert(change.after);
    }
    let one = |((from, to), (packets, rows)): (&(Dscp, Dscp), &(u64, BTreeSet<usize>))| {
        let (from, to) = (crate::dscp::label(*from), crate::dscp::label(*to));
        format!("{packets} packets of {} marked {from} become {to}", flows(rows.len()))
    };
    groups.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn rows_of(changes: &[Change]) -> Vec<usize> {
    changes.iter().map(|change| change.after).collect::<BTreeSet<_>>().into_iter().collect()
}
