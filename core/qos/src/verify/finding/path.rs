//! Causes on the way: the same packets seen twice with different marks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

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

/// A capture point: file and interface.
type Place = (u16, u32);

/// What makes two rows one thing seen twice.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Sighting {
    Sender(u32),
    Connection(Content, SocketAddr, SocketAddr),
}

/// The same packets at two capture points (two files, or two interfaces) with different marks.
pub(super) fn between_points(case: &mut Case<'_>) {
    let changes = changes(case, |a, b| a.place() != b.place());
    let Some(first) = changes.first() else { return };
    let path = case.rows[first.after].path();
    let text = format!("on the way from one point to the next {} ({path})", told(&changes));
    case.explain_marks(Cause::RemarkedBetweenPoints, &rows_of(&changes), text);
}

/// The same packets on two legs at one point: a relay or proxy between them changes the mark.
pub(super) fn across_relay(case: &mut Case<'_>) {
    let changes = changes(case, |a, b| {
        let other_ends = (a.out.src, a.out.dst) != (b.out.src, b.out.dst);
        a.place() == b.place() && other_ends && a.out.dst == b.out.src
    });
    let mut relays: BTreeMap<IpAddr, Vec<Change>> = BTreeMap::new();
    for change in changes {
        relays.entry(case.rows[change.after].out.src).or_default().push(change);
    }
    for (relay, changes) in relays {
        let left = |row: &Row| row.out.marks.iter().all(|m| changes.iter().any(|change| change.to == m.dscp));
        // Reports have no numbers to be found again by; they leave the relay by the same door.
        let reports = case
            .unexplained(|row| row.out.content == Content::Rtcp && row.out.src == relay && left(row))
            .into_iter();
        let rows: Vec<usize> = rows_of(&changes).into_iter().chain(reports).collect();
        let text = format!("at {} {}", case.name(relay), told(&changes));
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

/// Every change of mark to a wrong one, between two sightings that these rows may be.
fn changes(case: &Case<'_>, may_pair: impl Fn(&Row, &Row) -> bool) -> Vec<Change> {
    let (mut senders, mut connections) = (Vec::new(), Vec::new());
    let mut linked: BTreeSet<(Place, Place)> = BTreeSet::new();
    for (before, after) in pairs(case) {
        let (a, b) = (&case.rows[before], &case.rows[after]);
        if !may_pair(a, b) {
            continue;
        }
        if a.out.ssrc.is_none() {
            connections.extend(other_mark(a, b).map(|change| ((a.place(), b.place()), change)));
        } else if let Some(found) = compare(a, b) {
            linked.insert((a.place(), b.place()));
            senders.extend(found);
        }
    }
    // Ports alone may be another day's: a connection is the same where media was found to be the same.
    let connections = connections.into_iter().filter(|(places, _)| linked.contains(places));
    let all = senders.into_iter().chain(connections.map(|(_, change)| change));
    all.filter(|change| breaks_plan(&case.rows[change.after], change.to)).collect()
}

/// A network that adds marks does its work.
fn breaks_plan(row: &Row, to: Dscp) -> bool {
    row.mark_cause.is_none() && row.wrong_marks > 0 && !row.accepted.contains(&to)
}

/// Sightings of one thing, two by two, the earlier one first.
fn pairs(case: &Case<'_>) -> Vec<(usize, usize)> {
    let mut sightings: BTreeMap<Sighting, Vec<usize>> = BTreeMap::new();
    for row in case.rows.iter() {
        sightings.entry(sighting(row)).or_default().push(row.out.id);
    }
    let mut pairs = Vec::new();
    for rows in sightings.values() {
        for (n, &one) in rows.iter().take(MAX_SIGHTINGS).enumerate() {
            let others = rows.iter().take(MAX_SIGHTINGS).skip(n + 1);
            pairs.extend(others.map(|&other| in_order(case, one, other)));
        }
    }
    pairs
}

fn sighting(row: &Row) -> Sighting {
    let end = |ip, port| SocketAddr::new(ip, port);
    match row.out.ssrc {
        Some(ssrc) => Sighting::Sender(ssrc),
        None => Sighting::Connection(
            row.out.content,
            end(row.out.src, row.out.src_port),
            end(row.out.dst, row.out.dst_port),
        ),
    }
}

/// Files are given in the order of the path; inside one file the earlier packet is nearer to the sender.
fn in_order(case: &Case<'_>, a: usize, b: usize) -> (usize, usize) {
    let order = |row: &Row| (row.key.file, row.out.start_ns, row.out.first_frame);
    if order(&case.rows[a]) <= order(&case.rows[b]) { (a, b) } else { (b, a) }
}

/// Of a connection without sequence numbers: its most frequent mark is another one.
fn other_mark(before: &Row, after: &Row) -> Option<Change> {
    let (from, to) = (before.out.marks.first()?.dscp, after.out.marks.first()?.dscp);
    (from != to).then_some(Change { after: after.out.id, from, to, packets: after.out.frames })
}

/// Packets with equal sequence numbers whose marks differ; `None` if these are not the same packets.
fn compare(before: &Row, after: &Row) -> Option<Option<Change>> {
    let (mut shared, mut changed) = (0, BTreeMap::new());
    for (bytes, packets) in overlaps(&before.runs, &after.runs) {
        shared += packets;
        let marks = (Dscp::from_traffic_byte(bytes.0), Dscp::from_traffic_byte(bytes.1));
        if marks.0 != marks.1 {
            *changed.entry(marks).or_insert(0u64) += packets;
        }
    }
    let most = changed.iter().max_by_key(|(_, packets)| **packets);
    let change = most.map(|(&(from, to), &packets)| Change { after: after.out.id, from, to, packets });
    (shared >= SHARED_PACKETS).then_some(change)
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
