//! Lists in which the first line that fits decides: what the lines before leave to a rule, and, where packets go on
//! behind it, what later lines make of them.

use super::{Caveat, Reach};
use crate::dscp;
use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};
use carillon_wire::ip::Dscp;

/// Packets that a line takes, by protocol and ports; `None` is any port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    pub(super) line: usize,
    pub(super) protocol: Protocol,
    pub(super) source: Option<PortRange>,
    pub(super) destination: Option<PortRange>,
    /// What it asks for beside ports: then it takes some of these packets only.
    pub(super) only: Option<String>,
    /// The mark that it sets; `None` if it lets packets go as they are, or drops them.
    pub(super) mark: Option<Dscp>,
}

/// The lines before.
#[derive(Default)]
pub(super) struct Earlier {
    lines: Vec<Taken>,
    /// What is known of it beside its lines.
    doubts: Vec<Caveat>,
    /// Whether there were more than are remembered.
    more: bool,
}

/// Lines that are remembered. Lists of real devices have some hundreds.
const MAX_LINES: usize = 2000;

/// What is left of a rule.
pub(super) struct Left {
    /// In as many pieces as are needed. The whole rule with a caveat, if nothing is left.
    pub(super) rules: Vec<MarkingRule>,
    pub(super) caveats: Vec<Caveat>,
    /// The line that took the rest away, if one did.
    pub(super) taken_by: Option<usize>,
}

impl Earlier {
    /// A line comes before what follows.
    pub(super) fn add(&mut self, taken: Taken) {
        match self.lines.len() {
            _ if self.lines.iter().any(|other| other.same(&taken)) => {}
            0..MAX_LINES => self.lines.push(taken),
            _ => self.more = true,
        }
    }

    /// A line that is not read comes before what follows.
    pub(super) fn doubt(&mut self, caveat: Caveat) {
        if !self.doubts.contains(&caveat) {
            self.doubts.push(caveat);
        }
    }

    /// What they leave to a rule. One that marks in the same way takes nothing away, and among rules that mark, only
    /// those for the same end of a flow are compared: between two ends the plan itself does not choose.
    pub(super) fn left(&self, rule: &MarkingRule) -> Left {
        let mut pieces = vec![rule.clone()];
        let (mut caveats, mut taken_by) = (self.doubts.clone(), None);
        if self.more {
            let text = format!("behind more than {MAX_LINES} lines, of which not all were looked at");
            caveats.push(Caveat::unknown(text, "check a shorter list"));
        }
        for taken in self.lines.iter().filter(|taken| taken.mark != Some(rule.mark)) {
            let mut next = Vec::new();
            for piece in pieces {
                match taken.from(&piece) {
                    Bite::None => next.push(piece),
                    Bite::Cut(left) => {
                        taken_by = taken_by.or(Some(taken.line));
                        next.extend(left);
                    }
                    Bite::Some(what, reach) => {
                        if taken.mark.is_none() {
                            let text = format!("but not {what}, which line {} takes first", taken.line);
                            let fix = format!("put it before line {}", taken.line);
                            add(&mut caveats, Caveat { reach, text, fix });
                        }
                        next.push(piece);
                    }
                }
            }
            pieces = next;
        }
        if pieces.is_empty() {
            let line = taken_by.unwrap_or_default();
            let text = format!("never reached: line {line} takes its packets first");
            let caveat = Caveat::nothing(text, format!("put it before line {line}"));
            return Left { rules: vec![rule.clone()], caveats: vec![caveat], taken_by: None };
        }
        Left { rules: pieces, caveats, taken_by }
    }

    /// The same in words alone, for lists whose rules are put together from several lines.
    pub(super) fn caveats(&self, rule: &MarkingRule) -> Vec<Caveat> {
        let left = self.left(rule);
        let whole = left.rules.len() == 1 && left.rules.first() == Some(rule);
        let Some(line) = left.taken_by.filter(|_| !whole) else { return left.caveats };
        let kept: Vec<String> = left.rules.iter().map(MarkingRule::describe).collect();
        let text =
            format!("line {line} takes some of its packets first, which leaves {}", kept.join(" and "));
        vec![Caveat::part(text, format!("put it before line {line}"))]
    }
}

/// Caveats of one rule that are told. Beyond, the last says that there are more, and the rule is not judged as whole.
const MAX_CAVEATS: usize = 16;

/// Each reason once; one that takes some packets is enough of its kind.
fn add(caveats: &mut Vec<Caveat>, caveat: Caveat) {
    let known = |other: &Caveat| other.reach == caveat.reach;
    match caveats.len() {
        _ if caveats.iter().any(known) => {}
        0..MAX_CAVEATS => caveats.push(caveat),
        _ => caveats.push(Caveat { reach: Reach::Part, ..caveat }),
    }
}

/// What a line takes of a rule.
enum Bite {
    None,
    /// Some of its packets, which ports at its end do not tell: in words, and by what else.
    Some(String, Reach),
    /// Ports; these are left.
    Cut(Vec<MarkingRule>),
}

impl Taken {
    /// Whether it takes the same packets, wherever it stands.
    fn same(&self, other: &Taken) -> bool {
        (self.protocol, self.source, self.destination, self.mark)
            == (other.protocol, other.source, other.destination, other.mark)
            && self.only == other.only
    }

    fn from(&self, rule: &MarkingRule) -> Bite {
        let (covers, left) = match (self.protocol, rule.protocol) {
            (Protocol::Both, _) => (true, None),
            (a, b) if a == b => (true, None),
            (Protocol::Udp, Protocol::Both) => (true, Some(Protocol::Tcp)),
            (Protocol::Tcp, Protocol::Both) => (true, Some(Protocol::Udp)),
            _ => (false, None),
        };
        let meet = |a: Option<PortRange>, b: Option<PortRange>| match (a, b) {
            (Some(a), Some(b)) => a.intersection(b).is_some(),
            _ => true,
        };
        if !covers || !meet(self.source, rule.source_ports) || !meet(self.destination, rule.destination_ports)
        {
            return Bite::None;
        }
        if let Some(ports) = self.at_other_end(rule) {
            return Bite::Some(self.describe(), Reach::OtherEnd(ports));
        }
        if let Some(only) = &self.only {
            return Bite::Some(only.clone(), Reach::Part);
        }
        let within = |all: Option<PortRange>, part: Option<PortRange>| match (all, part) {
            (None, _) => true,
            (Some(all), Some(part)) => all.covers(part),
            (Some(_), None) => false,
        };
        let of = |protocol| MarkingRule { protocol, ..rule.clone() };
        // The protocol that the line leaves alone keeps all ports.
        let kept = left.map(of);
        let taken = of(if left.is_some() { self.protocol } else { rule.protocol });
        let source = |ports| MarkingRule { source_ports: Some(ports), ..taken.clone() };
        let destination = |ports| MarkingRule { destination_ports: Some(ports), ..taken.clone() };
        let (sources, destinations) =
            (rule.source_ports.zip(self.source), rule.destination_ports.zip(self.destination));
        let pieces: Option<Vec<MarkingRule>> = match (
            within(self.source, rule.source_ports),
            within(self.destination, rule.destination_ports),
        ) {
            (true, true) => Some(Vec::new()),
            (false, true) => sources.map(|(all, gone)| all.minus(gone).map(source).collect()),
            (true, false) => destinations.map(|(all, gone)| all.minus(gone).map(destination).collect()),
            (false, false) => None,
        };
        match pieces {
            Some(pieces) => Bite::Cut(kept.into_iter().chain(pieces).collect()),
            None => Bite::Some(self.describe(), Reach::Part),
        }
    }

    /// The ports that it asks for where a rule for one end asks for none.
    fn at_other_end(&self, rule: &MarkingRule) -> Option<PortRange> {
        match (rule.source_ports, rule.destination_ports) {
            (Some(_), None) => self.destination,
            (None, Some(_)) => self.source,
            _ => None,
        }
    }

    fn describe(&self) -> String {
        let ends = [("source", self.source), ("destination", self.destination)];
        let ends = ends.into_iter().filter_map(|(end, ports)| Some(format!("{end} {}", ports?)));
        ends.collect::<Vec<_>>().join(", ")
    }
}

/// What lines behind a rule do with the packets that it lets go on.
#[derive(Default)]
pub(super) struct Later<K> {
    open: Vec<Open<K>>,
}

/// A rule that let its packets go on, and those of them that are still on their way.
struct Open<K> {
    key: K,
    rule: MarkingRule,
    pieces: Vec<MarkingRule>,
}

impl<K: Clone> Later<K> {
    /// A rule sets its mark, and its packets go on to the lines behind.
    pub(super) fn set(&mut self, key: K, rule: &MarkingRule) {
        self.open.push(Open { key, rule: rule.clone(), pieces: vec![rule.clone()] });
    }

    /// How many rules are followed.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// A line behind them: what it changes, for each rule of which `reaches` is true. Where it ends the way, the packets
    /// that it takes are safe from the lines behind it.
    pub(super) fn meet(
        &mut self,
        taken: &Taken,
        ends: bool,
        reaches: impl Fn(&K) -> bool,
    ) -> Vec<(K, Caveat)> {
        let mut changed = Vec::new();
        for open in self.open.iter_mut().filter(|open| reaches(&open.key)) {
            let other = taken.mark.filter(|mark| *mark != open.rule.mark);
            let (left, bitten) = taken.cut(&open.pieces);
            if let Some(mark) = other.filter(|_| bitten) {
                changed.push((open.key.clone(), taken.overrides(mark)));
            }
            if ends {
                open.pieces = left;
            }
        }
        self.open.retain(|open| !open.pieces.is_empty());
        changed
    }
}

impl Taken {
    /// What it leaves of these packets, and whether it takes any that ports at the same end tell.
    pub(super) fn cut(&self, pieces: &[MarkingRule]) -> (Vec<MarkingRule>, bool) {
        let (mut left, mut bitten) = (Vec::new(), false);
        for piece in pieces {
            let bite = self.from(piece);
            bitten |= matches!(bite, Bite::Cut(_) | Bite::Some(_, Reach::Part));
            match bite {
                Bite::Cut(pieces) => left.extend(pieces),
                _ => left.push(piece.clone()),
            }
        }
        (left, bitten)
    }

    /// Whether it may take packets of a rule that it does not mark alike.
    pub(super) fn may_take(&self, rule: &MarkingRule) -> bool {
        self.mark != Some(rule.mark) && self.cut(std::slice::from_ref(rule)).1
    }

    fn overrides(&self, mark: Dscp) -> Caveat {
        let (line, mark) = (self.line, dscp::label(mark));
        let of = self.only.as_ref().map(|only| format!(" on {only}")).unwrap_or_default();
        Caveat::part(
            format!("but line {line}, behind it, sets {mark}{of}"),
            format!("let line {line} leave these packets as they are"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_line_sets_counts_until_the_way_ends() {
        let told = |lines: &[(Taken, bool)]| {
            let mut later = Later::default();
            later.set((), &rule(Protocol::Both, "100-199"));
            let met = |(taken, ends): &(Taken, bool)| later.meet(taken, *ends, |()| true);
            let caveats: Vec<((), Caveat)> = lines.iter().flat_map(met).collect();
            caveats.into_iter().map(|(_, caveat)| caveat.text).collect::<Vec<_>>()
        };
        let zero = |taken| Taken { mark: Some(Dscp::DEFAULT), line: 9, ..taken };
        let all = || taken(Protocol::Both, "-", "-");
        let sets = ["but line 9, behind it, sets unmarked (0)"];
        assert_eq!(told(&[(zero(all()), false)]), sets);
        assert_eq!(told(&[(zero(taken(Protocol::Udp, "150", "-")), false)]), sets);
        assert_eq!(told(&[(zero(taken(Protocol::Udp, "250", "-")), false)]), [""; 0]);
        assert_eq!(told(&[(zero(taken(Protocol::Udp, "-", "100-199")), false)]), [""; 0]);
        assert_eq!(told(&[(Taken { mark: Some(Dscp::EF), ..all() }, false)]), [""; 0]);
        assert_eq!(told(&[(all(), true), (zero(all()), false)]), [""; 0]);
        assert_eq!(told(&[(taken(Protocol::Udp, "-", "-"), true), (zero(all()), false)]), sets);
    }

    fn rule(protocol: Protocol, source: &str) -> MarkingRule {
        MarkingRule {
            name: "R".to_owned(),
            application: None,
            protocol,
            source_ports: PortRange::parse(source),
            destination_ports: None,
            mark: Dscp::EF,
        }
    }

    fn taken(protocol: Protocol, source: &str, destination: &str) -> Taken {
        let (source, destination) = (PortRange::parse(source), PortRange::parse(destination));
        Taken { line: 7, protocol, source, destination, only: None, mark: None }
    }

    fn left(taken: Taken, rule: &MarkingRule) -> Vec<String> {
        let mut earlier = Earlier::default();
        earlier.add(taken);
        let left = earlier.left(rule);
        let caveats = left.caveats.iter().map(|caveat| caveat.text.clone());
        left.rules.iter().map(MarkingRule::describe).chain(caveats).collect()
    }

    #[test]
    fn a_line_takes_the_ports_that_it_has() {
        use Protocol::{Both, Tcp, Udp};
        let audio = rule(Both, "100-199");
        assert_eq!(
            left(taken(Both, "300", "-"), &audio),
            ["every program, UDP and TCP, source 100-199: EF (46)"]
        );
        assert_eq!(
            left(taken(Both, "150-160", "-"), &audio),
            [
                "every program, UDP and TCP, source 100-149: EF (46)",
                "every program, UDP and TCP, source 161-199: EF (46)"
            ]
        );
        assert_eq!(
            left(taken(Udp, "1-150", "-"), &audio),
            ["every program, TCP, source 100-199: EF (46)", "every program, UDP, source 151-199: EF (46)"]
        );
        assert_eq!(
            left(taken(Tcp, "1-150", "-"), &rule(Udp, "100-199")),
            ["every program, UDP, source 100-199: EF (46)"]
        );
        assert_eq!(
            left(taken(Both, "-", "-"), &audio),
            [
                "every program, UDP and TCP, source 100-199: EF (46)",
                "never reached: line 7 takes its packets first"
            ]
        );
        assert_eq!(
            left(taken(Both, "-", "53"), &audio)[1],
            "but not destination 53, which line 7 takes first"
        );
    }

    #[test]
    fn lines_that_mark_alike_take_nothing_away() {
        let alike = Taken { mark: Some(Dscp::EF), ..taken(Protocol::Both, "-", "-") };
        assert_eq!(left(alike, &rule(Protocol::Both, "5")).len(), 1);
        let other_end = Taken { mark: Dscp::new(34), ..taken(Protocol::Both, "-", "5") };
        assert_eq!(left(other_end, &rule(Protocol::Both, "5")).len(), 1);
    }
}
