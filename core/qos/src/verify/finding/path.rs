//! Causes on the way: the same packets seen twice with different marks.

use std::collections::BTreeMap;

use carillon_wire::ip::Dscp;

use super::super::cause::Cause;
use super::super::report::Content;
use super::super::row::Row;
use super::super::sequence::Run;
use super::{Case, flows};

/// Packets that two sightings must share before they are one stream.
const SHARED_PACKETS: u64 = 3;
/// Sightings of one SSRC that are compared with each other.
const MAX_SIGHTINGS: usize = 16;

/// Marks of the same packets at two places.
struct Change {
    after: usize,
    from: Dscp,
    to: Dscp,
    packets: u64,
}

/// The same packets at two capture points (two files, or two interfaces) with different marks.
pub(super) fn between_points(case: &mut Case<'_>) {
    let changes = changes(case, |a, b| (a.key.file, a.key.interface) != (b.key.file, b.key.interface));
    for ((from, to), group) in by_marks(changes) {
        let wrong: Vec<&Change> = group.iter().filter(|c| breaks_plan(case, c)).collect();
        let Some(first) = wrong.first() else { continue };
        let packets: u64 = wrong.iter().map(|change| change.packets).sum();
        let text = format!(
            "{packets} packets of {} left the first point marked {} and came to the second marked {} ({})",
            flows(wrong.len()),
            crate::dscp::label(from),
            crate::dscp::label(to),
            case.rows[first.after].path(),
        );
        let rows: Vec<usize> = wrong.iter().map(|change| change.after).collect();
        case.explain_marks(Cause::RemarkedBetweenPoints, &rows, text);
    }
}

/// The same packets on two legs at one point: a relay or proxy between them changes the mark.
pub(super) fn across_relay(case: &mut Case<'_>) {
    let changes = changes(case, |a, b| {
        let same_point = (a.key.file, a.key.interface) == (b.key.file, b.key.interface);
        let other_ends = (a.out.src, a.out.dst) != (b.out.src, b.out.dst);
        same_point && other_ends && a.out.dst == b.out.src
    });
    for ((from, to), group) in by_marks(changes) {
        let wrong: Vec<&Change> = group.iter().filter(|c| breaks_plan(case, c)).collect();
        let Some(first) = wrong.first() else { continue };
        let relay = case.rows[first.after].out.src;
        let text = format!(
            "{} passes media on marked {} that it received marked {} ({})",
            case.name(relay),
            crate::dscp::label(to),
            crate::dscp::label(from),
            flows(wrong.len()),
        );
        let rows: Vec<usize> = wrong.iter().map(|change| change.after).collect();
        case.explain_marks(Cause::RelayDropsMark, &rows, text);
    }
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

/// Whether the mark was right, or at least not worse, before: a network that adds marks does its work.
fn breaks_plan(case: &Case<'_>, change: &Change) -> bool {
    let row = &case.rows[change.after];
    row.mark_cause.is_none() && row.wrong_marks > 0 && !row.accepted.contains(&change.to)
}

fn by_marks(changes: Vec<Change>) -> BTreeMap<(Dscp, Dscp), Vec<Change>> {
    let mut groups: BTreeMap<(Dscp, Dscp), Vec<Change>> = BTreeMap::new();
    for change in changes {
        groups.entry((change.from, change.to)).or_default().push(change);
    }
    groups
}

/// Every pair of sightings of one SSRC that these rows may be, with a change of mark between them.
fn changes(case: &Case<'_>, may_pair: impl Fn(&Row, &Row) -> bool) -> Vec<Change> {
    let mut sightings: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for row in case.rows.iter() {
        if let Some(ssrc) = row.out.ssrc {
            sightings.entry(ssrc).or_default().push(row.out.id);
        }
    }
    let mut changes = Vec::new();
    for rows in sightings.values().filter(|rows| rows.len() > 1) {
        for (n, &before) in rows.iter().take(MAX_SIGHTINGS).enumerate() {
            for &after in rows.iter().take(MAX_SIGHTINGS).skip(n + 1) {
                let (before, after) = in_order(case, before, after);
                if may_pair(&case.rows[before], &case.rows[after]) {
                    changes.extend(compare(case, before, after));
                }
            }
        }
    }
    changes
}

/// Files are given in the order of the path; inside one file the earlier packet is nearer to the sender.
fn in_order(case: &Case<'_>, a: usize, b: usize) -> (usize, usize) {
    let place = |row: &Row| (row.key.file, row.out.start_ns, row.out.first_frame);
    if place(&case.rows[a]) <= place(&case.rows[b]) { (a, b) } else { (b, a) }
}

/// Packets with equal sequence numbers whose marks differ.
fn compare(case: &Case<'_>, before: usize, after: usize) -> Option<Change> {
    let (a, b) = (&case.rows[before].runs, &case.rows[after].runs);
    let (mut shared, mut changed) = (0, BTreeMap::new());
    for (bytes, packets) in overlaps(a, b) {
        shared += packets;
        let marks = (Dscp::from_traffic_byte(bytes.0), Dscp::from_traffic_byte(bytes.1));
        if marks.0 != marks.1 {
            *changed.entry(marks).or_insert(0u64) += packets;
        }
    }
    if shared < SHARED_PACKETS {
        return None;
    }
    let (&(from, to), &packets) = changed.iter().max_by_key(|(_, packets)| **packets)?;
    Some(Change { after, from, to, packets })
}

/// Numbers that both lists of runs have, with the traffic bytes at either place. The cycle in which a capture
/// began is unknown: the lists are shifted by whole cycles until they overlap.
fn overlaps(a: &[Run], b: &[Run]) -> Vec<((u8, u8), u64)> {
    let (Some(first_a), Some(first_b)) = (a.first(), b.first()) else { return Vec::new() };
    let cycle = |number: u64| number >> 16;
    let shift = (cycle(first_a.start) as i64 - cycle(first_b.start) as i64) << 16;
    // Where one capture began before a wrap and the other after it, the next cycle fits better.
    let best = [0, 1, -1].into_iter().map(|n| walk(a, b, shift + (n << 16)));
    best.max_by_key(|found| found.iter().map(|(_, n)| n).sum::<u64>()).unwrap_or_default()
}

fn walk(a: &[Run], b: &[Run], shift: i64) -> Vec<((u8, u8), u64)> {
    let (mut found, mut n, mut m) = (Vec::new(), 0, 0);
    while let (Some(x), Some(y)) = (a.get(n), b.get(m)) {
        let (x0, y0) = (x.start as i64, y.start as i64 + shift);
        let (x1, y1) = (x0 + i64::from(x.len), y0 + i64::from(y.len));
        let shared = x1.min(y1) - x0.max(y0);
        if shared > 0 {
            found.push(((x.byte, y.byte), shared as u64));
        }
        if x1 < y1 { n += 1 } else { m += 1 }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_found_across_a_wrap() {
        let a = [Run { start: 0x1_fff0, len: 40, byte: 184 }];
        let b = [Run { start: 0x1_0000, len: 10, byte: 0 }];
        assert_eq!(overlaps(&a, &b), [((184, 0), 10)]);
    }

    #[test]
    fn holes_are_not_shared() {
        let a = [Run { start: 0x1_0000, len: 10, byte: 184 }, Run { start: 0x1_0014, len: 10, byte: 184 }];
        let b = [Run { start: 0x1_0000, len: 40, byte: 0 }];
        assert_eq!(overlaps(&a, &b).iter().map(|(_, n)| n).sum::<u64>(), 20);
    }
}
