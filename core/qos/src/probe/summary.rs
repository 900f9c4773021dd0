//! What the outcomes of many ports mean together: how many of each kind, which marks arrived, and what to do.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use carillon_wire::ip::Dscp;
use serde::Serialize;

use super::outcome::{Outcome, Service};
use crate::class::TrafficClass;
use crate::dscp::label;
use crate::ports::PortRange;

/// How questions were carried.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// Who asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The sender asked ports of the listener.
    There,
    /// The listener asked ports of the sender.
    Back,
}

/// The outcomes of one class in one direction over one transport.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Tested {
    /// The class.
    pub class: TrafficClass,
    /// Over which transport.
    pub transport: Transport,
    /// Who asked.
    pub direction: Direction,
    /// The ports that belong to the class there.
    pub ports: PortRange,
    /// The mark that questions left with.
    #[serde(with = "crate::dscp::number")]
    pub mark: Dscp,
    /// By port; not every port need be asked.
    pub outcomes: BTreeMap<u16, Outcome>,
}

/// What they mean.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Summary {
    /// Ports asked.
    pub asked: usize,
    /// Ports that answered.
    pub open: usize,
    /// Ports that refused.
    pub refused: usize,
    /// Ports that nothing came back from, or that were kept back, the answer perhaps alone.
    pub filtered: usize,
    /// Ports where something else answers.
    pub foreign: usize,
    /// Ports that could not be asked.
    pub untested: usize,
    /// Marks that questions arrived with, as numbers, and how often.
    pub arrived: BTreeMap<u8, usize>,
    /// What is wrong, each with what to do. Empty: all ports pass, marked as they were sent.
    pub faults: Vec<String>,
}

/// Sums up; `asker` and `asked` are the names of the two hosts.
pub fn summarize(tested: &Tested, asker: &str, asked: &str) -> Summary {
    let count = |of: fn(&Outcome) -> bool| tested.outcomes.values().filter(|outcome| of(outcome)).count();
    let mut arrived = BTreeMap::new();
    for mark in tested.outcomes.values().filter_map(arrival) {
        *arrived.entry(mark.value()).or_default() += 1;
    }
    Summary {
        asked: tested.outcomes.len(),
        open: count(|outcome| matches!(outcome, Outcome::Open { .. })),
        refused: count(|outcome| matches!(outcome, Outcome::Refused)),
        filtered: count(|outcome| matches!(outcome, Outcome::Filtered { .. } | Outcome::OneWay { .. })),
        foreign: count(|outcome| matches!(outcome, Outcome::Foreign(_))),
        untested: count(|outcome| matches!(outcome, Outcome::Untested)),
        arrived,
        faults: faults(tested, asker, asked),
    }
}

fn arrival(outcome: &Outcome) -> Option<Dscp> {
    match outcome {
        Outcome::Open { arrived, .. } | Outcome::OneWay { arrived } => *arrived,
        _ => None,
    }
}

fn faults(tested: &Tested, asker: &str, asked: &str) -> Vec<String> {
    let Tested { class, transport, ports, .. } = tested;
    let mut faults = Vec::new();
    let mut fault = |of: &dyn Fn(&Outcome) -> bool, words: &dyn Fn(&str) -> String| {
        let found = spans(tested, of);
        if !found.is_empty() {
            faults.push(words(&found));
        }
    };
    fault(&|outcome| matches!(outcome, Outcome::Filtered { by: None }), &|found| {
        let passes = match spans(tested, &|outcome| matches!(outcome, Outcome::Open { .. })) {
            open if open.is_empty() => format!("lets none of {ports} pass"),
            open => format!("lets {open} of {ports} pass"),
        };
        format!(
            "a firewall between {asker} and {asked} {passes}: open {transport} {found} from {asker} to {asked} for {class}"
        )
    });
    for by in tested.outcomes.values().filter_map(said_by).collect::<std::collections::BTreeSet<IpAddr>>() {
        fault(&|outcome| said_by(outcome) == Some(by), &|found| {
            format!(
                "{by} does not let {transport} {found} pass, and says so: open them there from {asker} to {asked} for {class}"
            )
        });
    }
    fault(&|outcome| matches!(outcome, Outcome::OneWay { .. }), &|found| {
        format!(
            "questions to {transport} {found} arrive at {asked}, answers do not come back: let answers of {asked} pass, by state or by port"
        )
    });
    fault(&|outcome| matches!(outcome, Outcome::Refused), &|found| {
        format!(
            "{transport} {found} is refused although the listener was there: a firewall answers in the name of {asked}, on it or before it"
        )
    });
    for service in
        tested.outcomes.values().filter_map(foreign).collect::<std::collections::BTreeSet<Service>>()
    {
        fault(&|outcome| foreign(outcome) == Some(service), &|found| {
            let what = service.words();
            format!(
                "on {transport} {found} of {asked} answers {what}: stop it or move it, or give {class} other ports in the plan"
            )
        });
    }
    fault(&|outcome| matches!(outcome, Outcome::Untested), &|found| {
        format!("{transport} {found} was not asked: no port of {class} is free on {asker} to ask from")
    });
    let off = |outcome: &Outcome| arrival(outcome).filter(|mark| *mark != tested.mark);
    for mark in tested.outcomes.values().filter_map(off).collect::<std::collections::BTreeSet<Dscp>>() {
        fault(&|outcome| off(outcome) == Some(mark), &|found| {
            let (sent, came) = (label(tested.mark), label(mark));
            format!(
                "{transport} {found} leaves {asker} marked {sent} and arrives at {asked} {came}: find the hop with `carillon trace {asked} --class {class}` on {asker}"
            )
        });
    }
    faults
}

fn said_by(outcome: &Outcome) -> Option<IpAddr> {
    match outcome {
        Outcome::Filtered { by } => *by,
        _ => None,
    }
}

fn foreign(outcome: &Outcome) -> Option<Service> {
    match outcome {
        Outcome::Foreign(service) => Some(*service),
        _ => None,
    }
}

/// The ports with such an outcome as ranges. Ports that were not asked break no range.
fn spans(tested: &Tested, of: &dyn Fn(&Outcome) -> bool) -> String {
    let mut spans: Vec<(u16, u16, bool)> = Vec::new();
    for (port, outcome) in &tested.outcomes {
        match (spans.last_mut(), of(outcome)) {
            (Some((_, end, open @ true)), true) => (*end, *open) = (*port, true),
            (_, true) => spans.push((*port, *port, true)),
            (Some((_, _, open)), false) => *open = false,
            (None, false) => {}
        }
    }
    let ranges = spans.iter().filter_map(|(start, end, _)| PortRange::from_ends(*start, *end));
    let texts: Vec<String> = ranges.map(|range| range.to_string()).collect();
    match &texts[..] {
        [first @ .., last] if first.len() > 7 => {
            format!("{} and others up to {last}", first.get(..7).unwrap_or(first).join(", "))
        }
        texts => texts.join(", "),
    }
}

impl Transport {
    /// `udp` or `tcp`.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }

    /// The transport of this name.
    pub fn from_name(name: &str) -> Option<Transport> {
        [Transport::Udp, Transport::Tcp].into_iter().find(|transport| transport.name() == name)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Outcome = Outcome::Open { arrived: Some(Dscp::EF), returned: None };
    const LOST: Outcome = Outcome::Filtered { by: None };

    fn tested(of: impl Fn(u16) -> Option<Outcome>) -> Tested {
        let ports = PortRange::from_ends(20000, 20039).unwrap();
        Tested {
            class: TrafficClass::Audio,
            transport: Transport::Udp,
            direction: Direction::There,
            ports,
            mark: Dscp::EF,
            outcomes: (20000..=20039).filter_map(|port| Some((port, of(port)?))).collect(),
        }
    }

    fn faults_of(of: impl Fn(u16) -> Option<Outcome>) -> Vec<String> {
        summarize(&tested(of), "alice", "bob").faults
    }

    #[test]
    fn all_ports_open_and_marked_as_sent_is_no_fault() {
        let summary = summarize(&tested(|_| Some(OPEN)), "alice", "bob");
        assert_eq!((summary.asked, summary.open, summary.faults.len()), (40, 40, 0));
        assert_eq!(summary.arrived, BTreeMap::from([(46, 40)]));
    }

    #[test]
    fn half_a_range_that_is_filtered_is_named_with_the_half_that_passes() {
        let faults = faults_of(|port| Some(if port < 20020 { OPEN } else { LOST }));
        assert_eq!(
            faults,
            [
                "a firewall between alice and bob lets 20000-20019 of 20000-20039 pass: open udp 20020-20039 from alice to bob for audio"
            ]
        );
        let sampled = faults_of(|port| (port % 5 == 0).then_some(if port < 20020 { OPEN } else { LOST }));
        assert!(
            sampled[0].contains("lets 20000-20015 of 20000-20039 pass: open udp 20020-20035"),
            "{sampled:?}"
        );
        assert!(faults_of(|_| Some(LOST))[0].contains("lets none of 20000-20039 pass"));
    }

    #[test]
    fn each_kind_of_failure_has_its_own_words() {
        let by = Some("192.0.2.9".parse().unwrap());
        let of = |outcome: Outcome| {
            faults_of(move |port| Some(if port == 20007 { outcome } else { OPEN })).join("\n")
        };
        assert!(of(Outcome::Refused).starts_with("udp 20007 is refused although"));
        assert!(
            of(Outcome::Filtered { by }).starts_with("192.0.2.9 does not let udp 20007 pass, and says so")
        );
        assert!(
            of(Outcome::OneWay { arrived: Some(Dscp::EF) })
                .contains("arrive at bob, answers do not come back")
        );
        assert!(of(Outcome::Foreign(Service::Http)).starts_with("on udp 20007 of bob answers a web server"));
        assert!(of(Outcome::Untested).starts_with("udp 20007 was not asked"));
        let bleached = of(Outcome::Open { arrived: Some(Dscp::DEFAULT), returned: None });
        assert!(
            bleached.starts_with("udp 20007 leaves alice marked EF (46) and arrives at bob unmarked (0)"),
            "{bleached}"
        );
    }

    #[test]
    fn scattered_ports_do_not_fill_a_page() {
        let faults = faults_of(|port| Some(if port % 2 == 0 { LOST } else { Outcome::Refused }));
        assert!(faults.iter().all(|fault| fault.len() < 400), "{faults:?}");
        assert!(faults[0].contains("and others up to 20038"), "{}", faults[0]);
    }
}
