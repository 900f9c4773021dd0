//! Lists in which the first line that fits decides: what the lines before leave to a rule.

use super::Caveat;
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
pub(super) struct Earlier(Vec<Taken>);

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
        if self.0.len() < MAX_LINES && !self.0.iter().any(|other| other.same(&taken)) {
            self.0.push(taken);
        }
    }

    /// What they leave to a rule. One that marks in the same way takes nothing away, and among rules that mark, only
    /// those for the same end of a flow are compared: between two ends the plan itself does not choose.
    pub(super) fn left(&self, rule: &MarkingRule) -> Left {
        let mut pieces = vec![rule.clone()];
        let (mut caveats, mut taken_by) = (Vec::new(), None);
        for taken in self.0.iter().filter(|taken| taken.mark != Some(rule.mark)) {
            let mut next = Vec::new();
            for piece in pieces {
                match taken.from(&piece) {
                    Bite::None => next.push(piece),
                    Bite::Cut(left) => {
                        taken_by = taken_by.or(Some(taken.line));
                        next.extend(left);
                    }
                    Bite::Some(what) => {
                        if taken.mark.is_none() && caveats.is_empty() {
                            let text = format!("but not {what}, which line {} takes first", taken.line);
                            caveats.push(Caveat::part(text, format!("put it before line {}", taken.line)));
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
}

impl Earlier {
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

/// What a line takes of a rule.
enum Bite {
    None,
    /// Some of its packets, which ports alone do not tell.
    Some(String),
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
        if let Some(only) = &self.only {
            return Bite::Some(only.clone());
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
            None => Bite::Some(self.describe()),
        }
    }

    fn describe(&self) -> String {
        let ends = [("source", self.source), ("destination", self.destination)];
        let ends = ends.into_iter().filter_map(|(end, ports)| Some(format!("{end} {}", ports?)));
        ends.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
