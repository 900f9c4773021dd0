//! The same packets seen twice: which rows show one sender at two points or on two legs of its way, and what
//! became of its marks in between. Whether that is a fault, and whose, is for others to say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use carillon_wire::ip::Dscp;

use super::super::report::Content;
use super::super::row::Row;
use super::super::sequence::Run;

/// Packets that two sightings must share before they are one sender.
const SHARED_PACKETS: u64 = 3;
/// Sightings of one SSRC, nearest in time, that a row is compared with; and points.
const MAX_SIGHTINGS: usize = 16;
/// A packet takes no longer from one sighting to the next: what comes later was played again from a file.
const MAX_DELAY_NS: i64 = 2_000_000_000;

/// Marks of the same packets at two places.
pub(super) struct Change {
    pub(super) after: usize,
    pub(super) from: Dscp,
    pub(super) to: Dscp,
    pub(super) packets: u64,
}

/// A capture point: file and interface.
type Place = (u16, u32);
type Ends = (SocketAddr, SocketAddr);

/// What makes two rows one thing seen twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Sender(u32),
    Connection(Content, Ends),
}

/// Every change of mark to a wrong one between two sightings that may be these rows: at most one for each row.
pub(super) fn changes(rows: &[Row], may_pair: impl Fn(&Row, &Row) -> bool) -> Vec<Change> {
    let sightings = Sightings::of(rows);
    let (mut senders, mut connections) = (Vec::new(), Vec::new());
    let mut linked: BTreeSet<(Place, Place)> = BTreeSet::new();
    for after in rows {
        let places = sightings.before(after);
        let places = places.map(|(place, rows)| (place, rows.filter(|row| may_pair(row, after))));
        if after.out.ssrc.is_none() {
            let found =
                places.filter_map(|(place, mut rows)| Some((place, other_mark(rows.next()?, after)?)));
            connections.extend(found.map(|(place, change)| ((place, after.place()), change)));
            continue;
        }
        let found: Vec<_> = places.filter_map(|(place, rows)| Some((place, best(rows, after)?))).collect();
        linked.extend(found.iter().map(|(place, _)| (*place, after.place())));
        // Of several points before this one, the nearest whose mark was another.
        senders.extend(found.into_iter().find_map(|(_, found)| found.change));
    }
    // Ports alone may be another day's: a connection is the same where media was found to be the same.
    let connections = connections.into_iter().filter(|(places, _)| linked.contains(places));
    let all = senders.into_iter().chain(connections.map(|(_, change)| change));
    let mut told = BTreeSet::new();
    all.filter(|change| breaks_plan(&rows[change.after], change.to) && told.insert(change.after)).collect()
}

/// A network that adds marks does its work.
fn breaks_plan(row: &Row, to: Dscp) -> bool {
    row.mark_cause.is_none() && row.wrong_marks > 0 && !row.accepted.contains(&to)
}

/// All rows by what they show and where, in the order of time.
struct Sightings<'a> {
    rows: &'a [Row],
    at: BTreeMap<(Thing, Place), Vec<usize>>,
    between: BTreeMap<(Thing, Place, Ends), usize>,
}

impl<'a> Sightings<'a> {
    fn of(rows: &'a [Row]) -> Sightings<'a> {
        let (mut at, mut between) = (BTreeMap::<_, Vec<usize>>::new(), BTreeMap::new());
        for row in rows {
            let (thing, place) = (thing(row), row.place());
            at.entry((thing, place)).or_default().push(row.out.id);
            between.entry((thing, place, ends(row))).or_insert(row.out.id);
        }
        for found in at.values_mut() {
            found.sort_by_key(|&row| order(&rows[row]));
        }
        Sightings { rows, at, between }
    }

    /// Earlier sightings of what this row shows, point by point, the nearest first. Files are given in the order
    /// of the path; inside one file the earlier packet is nearer to the sender.
    fn before(&self, after: &'a Row) -> impl Iterator<Item = (Place, impl Iterator<Item = &'a Row>)> {
        let thing = thing(after);
        let points = self.at.range((thing, (0, 0))..=(thing, (after.key.file, u32::MAX)));
        points.rev().take(MAX_SIGHTINGS).map(move |(&(_, place), found)| {
            let same_ends = self.between.get(&(thing, place, ends(after)));
            let earlier = found.partition_point(|&row| order(&self.rows[row]) < order(after));
            // The clocks of two files may differ by any time: there, earlier says nothing.
            let one_clock = place.0 == after.key.file;
            let until = if one_clock { earlier } else { MAX_SIGHTINGS.max(earlier + MAX_SIGHTINGS / 2) };
            let near = found.iter().take(until).rev().take(MAX_SIGHTINGS);
            let rows = same_ends.into_iter().chain(near).map(|&row| &self.rows[row]);
            let mine = move |row: &&Row| {
                let in_time = row.key.file < after.key.file || order(row) < order(after);
                in_time && !is_way_back(row, after)
            };
            (place, rows.filter(mine))
        })
    }
}

fn thing(row: &Row) -> Thing {
    row.out.ssrc.map_or_else(|| Thing::Connection(row.out.content, ends(row)), Thing::Sender)
}

fn ends(row: &Row) -> Ends {
    (SocketAddr::new(row.out.src, row.out.src_port), SocketAddr::new(row.out.dst, row.out.dst_port))
}

fn order(row: &Row) -> (i64, u64, usize) {
    (row.out.start_ns, row.out.first_frame, row.out.id)
}

/// Packets that go back to where they came from are not passed on: both ends play the same file, or one end
/// sends an echo.
fn is_way_back(before: &Row, after: &Row) -> bool {
    let (a, b) = (&before.out, &after.out);
    let ((from, to), (next_from, next_to)) = (ends(before), ends(after));
    match a.src == a.dst {
        true => (from, to) == (next_to, next_from),
        false => (a.src, a.dst) == (b.dst, b.src),
    }
}

/// Of a connection without sequence numbers: its most frequent mark is another one.
fn other_mark(before: &Row, after: &Row) -> Option<Change> {
    let (from, to) = (before.out.marks.first()?.dscp, after.out.marks.first()?.dscp);
    (from != to).then_some(Change { after: after.out.id, from, to, packets: after.out.frames })
}

/// An earlier sighting of the same packets.
struct Match {
    same_ends: bool,
    /// What a packet took from there to here, as far as can be told.
    delay: i64,
    shared: u64,
    change: Option<Change>,
}

/// Calls that play one file share SSRC and numbers: a row is the other leg of one of them only, the nearest of
/// those that share most packets.
fn best<'a>(before: impl Iterator<Item = &'a Row>, after: &Row) -> Option<Match> {
    let found: Vec<_> = before.filter_map(|before| compare(before, after)).collect();
    let most = found.iter().map(|found| found.shared).max()?;
    let near = found.into_iter().filter(|found| found.shared >= most.div_ceil(2));
    near.min_by_key(|found| (!found.same_ends, found.delay, std::cmp::Reverse(found.shared)))
}

/// Packets with equal sequence numbers and what became of their marks; `None` if these are not the same packets.
fn compare(before: &Row, after: &Row) -> Option<Match> {
    let (shift, overlaps) = overlaps(&before.runs, &after.runs)?;
    let (mut shared, mut changed) = (0, BTreeMap::new());
    for (bytes, packets) in overlaps {
        shared += packets;
        let marks = (Dscp::from_traffic_byte(bytes.0), Dscp::from_traffic_byte(bytes.1));
        if marks.0 != marks.1 {
            *changed.entry(marks).or_insert(0u64) += packets;
        }
    }
    let most = changed.iter().max_by_key(|(_, packets)| **packets);
    let change = most.map(|(&(from, to), &packets)| Change { after: after.out.id, from, to, packets });
    let same_ends = ends(before) == ends(after);
    let one_clock = before.key.file == after.key.file;
    let delay = if one_clock { delay(before, after, shift) } else { 0 };
    let same = shared >= SHARED_PACKETS && (same_ends || delay <= MAX_DELAY_NS);
    same.then_some(Match { same_ends, delay, shared, change })
}

/// The time between two sightings of one packet: that between the first packets of either row, but for what was
/// sent in between by the numbers.
fn delay(before: &Row, after: &Row, shift: i64) -> i64 {
    let first = |row: &Row| row.runs.first().map_or(0, |run| run.start as i64);
    let ahead = first(after).saturating_add(shift).saturating_sub(first(before));
    let (a, b) = (&before.out, &after.out);
    let packets = a.packets.min(1 << 32) as i64;
    if ahead.saturating_abs() > packets {
        // Numbers leap where a sender begins anew. Then the two have at least some time in common.
        return b.start_ns.saturating_sub(a.end_ns).max(0);
    }
    let spacing = a.end_ns.saturating_sub(a.start_ns) / (packets - 1).max(1);
    b.start_ns.saturating_sub(a.start_ns).saturating_sub(ahead.saturating_mul(spacing)).saturating_abs()
}

/// Traffic bytes at either place, and how many packets in a row carried them.
type Overlap = ((u8, u8), u64);

/// Numbers that both lists of runs have. The cycle in which a capture began is unknown: the second list is shifted
/// by whole cycles until they overlap.
fn overlaps(a: &[Run], b: &[Run]) -> Option<(i64, Vec<Overlap>)> {
    let cycle = |run: &Run| (run.start >> 16) as i64;
    let shift = (cycle(a.first()?) - cycle(b.first()?)) << 16;
    // Where one capture began before a wrap and the other after it, the next cycle fits better.
    let shifts = [0, 1, -1].into_iter().map(|n| shift + (n << 16));
    let found = shifts.map(|shift| (shift, walk(a, b, shift)));
    found.max_by_key(|(_, found)| found.iter().map(|(_, n)| n).sum::<u64>())
}

fn walk(a: &[Run], b: &[Run], shift: i64) -> Vec<Overlap> {
    let span = |run: &Run, shift: i64| {
        let start = run.start as i64 + shift;
        (start, start + i64::from(run.len))
    };
    let (Some(first_a), Some(first_b)) = (a.first(), b.first()) else { return Vec::new() };
    // A long list is not walked from its start for every short one.
    let mut n = a.partition_point(|run| span(run, 0).1 <= span(first_b, shift).0);
    let mut m = b.partition_point(|run| span(run, shift).1 <= span(first_a, 0).0);
    let mut found = Vec::new();
    while let (Some(x), Some(y)) = (a.get(n), b.get(m)) {
        let ((x0, x1), (y0, y1)) = (span(x, 0), span(y, shift));
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

    fn shared(a: &[Run], b: &[Run]) -> Vec<Overlap> {
        overlaps(a, b).unwrap().1
    }

    #[test]
    fn equal_numbers_are_found_across_a_wrap() {
        let a = [Run { start: 0x1_fff0, len: 40, byte: 184 }];
        let b = [Run { start: 0x1_0000, len: 10, byte: 0 }];
        assert_eq!(shared(&a, &b), [((184, 0), 10)]);
    }

    #[test]
    fn holes_are_not_shared() {
        let a = [Run { start: 0x1_0000, len: 10, byte: 184 }, Run { start: 0x1_0014, len: 10, byte: 184 }];
        let b = [Run { start: 0x1_0000, len: 40, byte: 0 }];
        assert_eq!(shared(&a, &b).iter().map(|(_, n)| n).sum::<u64>(), 20);
    }

    #[test]
    fn a_short_list_finds_its_place_in_the_middle_of_a_long_one() {
        let long: Vec<Run> =
            (0..1000).map(|n| Run { start: 0x1_0000 + n * 5, len: 5, byte: n as u8 }).collect();
        let short = [Run { start: 0x1_0000 + 2502, len: 6, byte: 0 }];
        assert_eq!(shared(&long, &short), [((244, 0), 3), ((245, 0), 3)]);
        assert_eq!(shared(&short, &long), [((0, 244), 3), ((0, 245), 3)]);
    }
}
