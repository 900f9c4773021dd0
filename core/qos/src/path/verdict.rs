//! Who changed the mark: the hops' quotes compared from the sender on.
//!
//! A router quotes the header as it received it. So a mark that hop 3 quotes otherwise than hop 2 was changed behind
//! hop 2: on its way out, on the link, or on the way into hop 3.

use std::collections::BTreeSet;
use std::net::IpAddr;

use carillon_wire::icmp::Reason;
use carillon_wire::ip::{Dscp, Ecn};
use serde::{Serialize, Serializer};

use super::hop::Hop;

/// What the hops together say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Verdict {
    /// Whether the mark lives as far as hops tell.
    pub outcome: Outcome,
    /// The change that the last hops suffer from: behind the last hop that received the mark that was sent.
    pub change: Option<Change>,
    /// Changes that did not last: a later hop received the mark that was sent, or yet another one.
    pub others: Vec<Change>,
    /// Changes of the ECN bits, which are no part of the mark.
    pub ecn: Vec<EcnChange>,
    /// How far the path was seen.
    pub reach: Reach,
    /// Hops of which several routers answered.
    pub shared: Vec<u8>,
    /// Whether addresses or ports of probes were translated on the way.
    pub translated: bool,
}

/// Whether the mark lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every hop that tells received what was sent, the host itself included.
    Kept,
    /// The last hops receive another mark.
    Changed,
    /// No hop that tells received another mark, but the host does not tell.
    Untold,
}

/// A change between two neighbours of those that tell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Change {
    /// The last that received `from`; hop 0 is the sender.
    pub after: Point,
    /// The first that received `to`.
    pub before: Point,
    /// The marks before: one, unless routers that share a place differ.
    #[serde(serialize_with = "marks_as_numbers")]
    pub from: Vec<Dscp>,
    /// The marks behind it.
    #[serde(serialize_with = "marks_as_numbers")]
    pub to: Vec<Dscp>,
}

/// A change of the ECN bits between two neighbours of those that tell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EcnChange {
    /// The last that received the bits of before; hop 0 is the sender.
    pub after: Point,
    /// The first that received others.
    pub before: Point,
    /// What that one received, 0 to 3.
    #[serde(serialize_with = "ecn_as_numbers")]
    pub to: Vec<Ecn>,
}

/// A place on the path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Point {
    /// Steps from the sender; 0 is the sender.
    pub hop: u8,
    /// Who answered there.
    pub addresses: Vec<IpAddr>,
}

/// How far the path was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// The host says how the probe arrived.
    Told(Point),
    /// The host answered, but with a datagram, which quotes nothing.
    Answered(Point),
    /// A hop refuses probes: a filter, or a missing route.
    Refused(Point, Refusal),
    /// Nobody answers behind this hop.
    Silent(Point),
}

/// Why a hop does not pass a probe on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// It says that it may not.
    Prohibited,
    /// It says that it cannot: no route, or no such neighbour.
    Route,
}

/// Judges what was sent with `sent` and [`Ecn::NotCapable`]; hops in order from the first.
pub fn judge(sent: Dscp, hops: &[Hop]) -> Verdict {
    let mut changes = changes(sent, hops);
    let unchanged = BTreeSet::from([sent]);
    let last = hops.iter().map(Hop::marks).rfind(|marks| !marks.is_empty());
    let kept = last.as_ref().is_none_or(|marks| *marks == unchanged);
    let culprit = if kept { None } else { changes.iter().rposition(|change| change.from == [sent]) };
    let change = culprit.map(|at| changes.remove(at));
    let reach = reach(hops);
    let outcome = match (&change, &reach) {
        (Some(_), _) => Outcome::Changed,
        (None, Reach::Told(_)) => Outcome::Kept,
        (None, _) => Outcome::Untold,
    };
    let shared = hops.iter().filter(|hop| hop.addresses().len() > 1).map(|hop| hop.ttl).collect();
    let translated = hops.iter().flat_map(Hop::quotes).any(|quoted| quoted.translated);
    Verdict { outcome, change, others: changes, ecn: ecn_changes(hops), reach, shared, translated }
}

fn changes(sent: Dscp, hops: &[Hop]) -> Vec<Change> {
    let (mut after, mut from) = (Point::SENDER, BTreeSet::from([sent]));
    let mut changes = Vec::new();
    for (before, to) in hops.iter().map(|hop| (Point::of(hop), hop.marks())).filter(|(_, to)| !to.is_empty())
    {
        if to != from {
            let (from, to) = (from.iter().copied().collect(), to.iter().copied().collect());
            changes.push(Change { after, before: before.clone(), from, to });
        }
        (after, from) = (before, to);
    }
    changes
}

fn ecn_changes(hops: &[Hop]) -> Vec<EcnChange> {
    let (mut after, mut from) = (Point::SENDER, BTreeSet::from([Ecn::NotCapable]));
    let mut changes = Vec::new();
    for (before, to) in hops.iter().map(|hop| (Point::of(hop), hop.ecn())).filter(|(_, to)| !to.is_empty()) {
        if to != from {
            changes.push(EcnChange { after, before: before.clone(), to: to.iter().copied().collect() });
        }
        (after, from) = (before, to);
    }
    changes
}

fn reach(hops: &[Hop]) -> Reach {
    let Some(last) = hops.iter().rfind(|hop| !hop.answers.is_empty()) else {
        return Reach::Silent(Point::SENDER);
    };
    let point = Point::of(last);
    let found = |reason| last.answers.iter().find(|answer| answer.reason == reason);
    if found(Some(Reason::Port)).is_some_and(|answer| answer.quoted.is_some()) {
        Reach::Told(point)
    } else if found(None).is_some() || found(Some(Reason::Port)).is_some() {
        Reach::Answered(point)
    } else if found(Some(Reason::Prohibited)).is_some() {
        Reach::Refused(point, Refusal::Prohibited)
    } else if found(Some(Reason::Route)).is_some() {
        Reach::Refused(point, Refusal::Route)
    } else {
        Reach::Silent(point)
    }
}

impl Point {
    /// Where probes come from.
    const SENDER: Point = Point { hop: 0, addresses: Vec::new() };

    fn of(hop: &Hop) -> Point {
        Point { hop: hop.ttl, addresses: hop.addresses().into_iter().collect() }
    }
}

fn marks_as_numbers<S: Serializer>(marks: &[Dscp], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(marks.iter().map(|mark| mark.value()))
}

fn ecn_as_numbers<S: Serializer>(ecn: &[Ecn], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ecn.iter().map(|ecn| *ecn as u8))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::hop::{Answer, Quoted};
    use super::*;

    const EF: u8 = 184;

    /// Hops from the first, each with the traffic bytes that its answers quote; `None` is an answer without a quote,
    /// no answer at all is silence. The last one is the host.
    fn path(hops: &[&[Option<u8>]]) -> Vec<Hop> {
        let hop = |(at, answers): (usize, &&[Option<u8>])| Hop {
            ttl: at as u8 + 1,
            asked: 3,
            answers: answers.iter().map(|byte| answer(at as u8 + 1, *byte, at + 1 == hops.len())).collect(),
        };
        hops.iter().enumerate().map(hop).collect()
    }

    fn answer(hop: u8, byte: Option<u8>, host: bool) -> Answer {
        let quoted = byte.map(|byte| Quoted {
            mark: Dscp::from_traffic_byte(byte),
            ecn: Ecn::from_traffic_byte(byte),
            translated: false,
        });
        let reason = if host { Reason::Port } else { Reason::TimeExceeded };
        Answer { from: [10, 0, hop, 1].into(), reason: Some(reason), after: Duration::ZERO, quoted }
    }

    fn told(hops: &[u8]) -> Verdict {
        let each: Vec<[Option<u8>; 1]> = hops.iter().map(|byte| [Some(*byte)]).collect();
        judge(Dscp::EF, &path(&each.iter().map(|hop| &hop[..]).collect::<Vec<_>>()))
    }

    /// After which hop, before which, and to which marks.
    fn place(change: &Change) -> (u8, u8, Vec<u8>) {
        (change.after.hop, change.before.hop, change.to.iter().map(|mark| mark.value()).collect())
    }

    fn culprit(verdict: &Verdict) -> Option<(u8, u8, Vec<u8>)> {
        verdict.change.as_ref().map(place)
    }

    #[test]
    fn a_mark_that_arrives_is_kept() {
        let verdict = told(&[EF, EF, EF]);
        assert_eq!((verdict.outcome, culprit(&verdict)), (Outcome::Kept, None));
        assert!(matches!(verdict.reach, Reach::Told(Point { hop: 3, .. })));
    }

    #[test]
    fn the_hop_after_which_the_mark_changed_is_named_with_what_it_became() {
        for (to, mark) in [(0, 0), (8 << 2, 8)] {
            for at in 0..5 {
                let mut bytes = [EF; 5];
                bytes[at..].fill(to);
                let verdict = told(&bytes);
                assert_eq!(verdict.outcome, Outcome::Changed);
                assert_eq!(culprit(&verdict), Some((at as u8, at as u8 + 1, vec![mark])));
                assert!(verdict.others.is_empty() && verdict.ecn.is_empty());
            }
        }
        let verdict = told(&[EF, EF, 0]);
        let addresses = verdict.change.map(|change| (change.after.addresses, change.before.addresses));
        assert_eq!(addresses, Some((vec![[10, 0, 2, 1].into()], vec![[10, 0, 3, 1].into()])));
    }

    #[test]
    fn ecn_bits_are_no_part_of_the_mark() {
        let verdict = told(&[EF, EF | 3, EF | 3]);
        assert_eq!((verdict.outcome, culprit(&verdict)), (Outcome::Kept, None));
        let [ecn] = &verdict.ecn[..] else { panic!("{verdict:?}") };
        assert_eq!((ecn.after.hop, ecn.before.hop, &ecn.to[..]), (1, 2, &[Ecn::Congestion][..]));
        let verdict = told(&[EF | 2, 0, 1]);
        assert_eq!(culprit(&verdict), Some((1, 2, vec![0])));
        assert_eq!(verdict.ecn.len(), 3);
    }

    #[test]
    fn silent_hops_widen_the_place_and_blame_nobody() {
        let silent: &[Option<u8>] = &[];
        let verdict = judge(Dscp::EF, &path(&[&[Some(EF)], silent, &[None], &[Some(0)]]));
        assert_eq!(culprit(&verdict), Some((1, 4, vec![0])));
        let verdict = judge(Dscp::EF, &path(&[&[Some(EF)], silent, silent]));
        assert_eq!(verdict.outcome, Outcome::Untold);
        assert!(matches!(verdict.reach, Reach::Silent(Point { hop: 1, .. })));
        let nothing = judge(Dscp::EF, &[]);
        assert_eq!((nothing.outcome, nothing.reach), (Outcome::Untold, Reach::Silent(Point::SENDER)));
    }

    #[test]
    fn a_host_that_tells_nothing_is_not_called_good() {
        let verdict = judge(Dscp::EF, &path(&[&[Some(EF)], &[None]]));
        assert_eq!(verdict.outcome, Outcome::Untold);
        assert!(matches!(verdict.reach, Reach::Answered(Point { hop: 2, .. })));
    }

    #[test]
    fn of_several_changes_the_first_that_lasts_is_the_one_to_mend() {
        let verdict = told(&[EF, 0, EF, 8 << 2, 0]);
        assert_eq!(culprit(&verdict), Some((3, 4, vec![8])));
        let others: Vec<_> = verdict.others.iter().map(place).collect();
        assert_eq!(others, [(1, 2, vec![0]), (2, 3, vec![46]), (4, 5, vec![0])]);
        let quotes_its_own = told(&[EF, 0, EF]);
        assert_eq!((quotes_its_own.outcome, quotes_its_own.others.len()), (Outcome::Kept, 2));
    }

    #[test]
    fn routers_that_share_a_place_and_differ_are_told_as_such() {
        let mut hops = path(&[&[Some(EF)], &[Some(EF), Some(0), Some(EF)], &[Some(EF), Some(0)]]);
        hops[1].answers[1].from = [10, 0, 2, 9].into();
        let verdict = judge(Dscp::EF, &hops);
        assert_eq!(culprit(&verdict), Some((1, 2, vec![0, 46])));
        assert_eq!((verdict.shared, verdict.outcome), (vec![2], Outcome::Changed));
    }

    #[test]
    fn a_filter_that_says_so_ends_the_path() {
        let mut hops = path(&[&[Some(EF)], &[Some(EF)]]);
        hops[1].answers[0].reason = Some(Reason::Prohibited);
        let verdict = judge(Dscp::EF, &hops);
        assert_eq!(verdict.outcome, Outcome::Untold);
        assert!(matches!(verdict.reach, Reach::Refused(Point { hop: 2, .. }, Refusal::Prohibited)));
    }
}
