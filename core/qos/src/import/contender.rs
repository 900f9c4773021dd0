//! Policies of Windows among each other: to a packet one alone is applied, the most specific (event 16609, and the
//! documents on QoS policies). Which of two that is, where the documents say it.

use std::cmp::Ordering;

use carillon_wire::ip::Dscp;
use serde::Serialize;

use crate::ports::PortRange;
use crate::rule::{MarkingRule, Protocol};

/// A policy with all that decides whether it or another one is applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Contender {
    /// Its name and the packets that it fits; the mark is that of `mark`, or none.
    pub fits: MarkingRule,
    /// The mark that it sets; `None` if it only throttles, or does nothing at all.
    #[serde(skip)]
    pub mark: Option<Dscp>,
    /// Whether it is a user's, and not the computer's.
    pub user: bool,
    /// What the cmdlets call so, from 0 to 255: the higher one is applied.
    pub precedence: u32,
    /// Length of the prefix of source addresses, if it asks for any.
    pub source: Option<u32>,
    /// Length of the prefix of destination addresses, if it asks for any.
    pub destination: Option<u32>,
    /// Whether it asks for more: a user, a kind of network.
    pub narrowed: bool,
}

/// What the cmdlets give a policy, and what one of the registry has.
pub(crate) const PRECEDENCE: u32 = 127;

/// How a policy stands to one that fits some of the same packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It is applied.
    Applied,
    /// The other one is, to some of its packets.
    Behind,
    /// The other one is, to every packet that it fits.
    Void,
    /// No document says which of them.
    Open,
}

impl Contender {
    /// A policy of the computer that asks for no more than its rule.
    pub(crate) fn of(fits: MarkingRule, mark: Option<Dscp>) -> Contender {
        Contender {
            fits,
            mark,
            user: false,
            precedence: PRECEDENCE,
            source: None,
            destination: None,
            narrowed: false,
        }
    }

    /// How it stands to another one.
    pub(crate) fn against(&self, other: &Contender) -> Standing {
        if !self.meets(other) {
            return Standing::Applied;
        }
        match self.rank(other) {
            Some(Ordering::Greater) => Standing::Applied,
            Some(Ordering::Less) if other.covers(self) => Standing::Void,
            Some(Ordering::Less) => Standing::Behind,
            _ => Standing::Open,
        }
    }

    /// What it does, for people: `lync.exe, UDP: no mark`.
    pub(crate) fn describe(&self) -> String {
        let text = self.fits.describe();
        match self.mark {
            Some(_) => text,
            None => format!("{}: no mark", text.rsplit_once(": ").map_or(text.as_str(), |(fits, _)| fits)),
        }
    }

    /// Whether a packet may fit both. Addresses are taken to meet.
    fn meets(&self, other: &Contender) -> bool {
        let share = |a: Option<PortRange>, b: Option<PortRange>| match (a, b) {
            (Some(a), Some(b)) => a.intersection(b).is_some(),
            _ => true,
        };
        let (a, b) = (&self.fits, &other.fits);
        (a.protocol == b.protocol || a.protocol == Protocol::Both || b.protocol == Protocol::Both)
            && share(a.source_ports, b.source_ports)
            && share(a.destination_ports, b.destination_ports)
            && same_program(a.application.as_deref(), b.application.as_deref())
    }

    /// Whether it fits every packet that the other does.
    fn covers(&self, other: &Contender) -> bool {
        let free = self.source.is_none() && self.destination.is_none() && !self.narrowed;
        let file =
            |path: &str| self.fits.application.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(path));
        let programs = match other.fits.application.as_deref() {
            _ if self.fits.application.is_none() => true,
            None => false,
            Some(path) => file(path) || file(file_of(path)),
        };
        free && programs && self.fits.holds_ports_of(&other.fits)
    }

    /// Which of two that fit a packet is applied; `None` where no document says it.
    fn rank(&self, other: &Contender) -> Option<Ordering> {
        let precedence = self.precedence.cmp(&other.precedence);
        match (precedence, self.user.cmp(&other.user)) {
            (Ordering::Equal, Ordering::Equal) => {}
            (told, Ordering::Equal) | (Ordering::Equal, told) => return Some(told),
            (a, b) => return Some(a).filter(|_| a == b),
        }
        let (own, others) = (self.program(), other.program());
        let conditions = |one: &Contender| one.conditions();
        let count = |one: &Contender| conditions(one).iter().filter(|has| **has).count();
        let specific = own
            .cmp(&others)
            .then(count(self).cmp(&count(other)))
            .then(conditions(self).cmp(&conditions(other)));
        if specific != Ordering::Equal {
            return Some(specific);
        }
        let addresses = self.source.cmp(&other.source).then(self.destination.cmp(&other.destination));
        Some(addresses).filter(|order| *order != Ordering::Equal)
    }

    /// A program with its folder counts more than its name, and that more than none.
    fn program(&self) -> u8 {
        match self.fits.application.as_deref() {
            None => 0,
            Some(name) if file_of(name) == name => 1,
            Some(_) => 2,
        }
    }

    /// What it asks of addresses, ports and protocol, the weightiest first.
    fn conditions(&self) -> [bool; 5] {
        [
            self.source.is_some(),
            self.destination.is_some(),
            self.fits.source_ports.is_some(),
            self.fits.destination_ports.is_some(),
            self.fits.protocol != Protocol::Both,
        ]
    }
}

/// Whether two conditions on programs may mean the same one. A path with a variable, or without a drive, may be any.
fn same_program(a: Option<&str>, b: Option<&str>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return true };
    let whole = |path: &str| path.get(1..3) == Some(":\\") && !path.contains(['%', '*', '~']);
    if whole(a) && whole(b) { a.eq_ignore_ascii_case(b) } else { file_of(a).eq_ignore_ascii_case(file_of(b)) }
}

fn file_of(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `lync.exe udp 100-199 -`: program, protocol, source and destination.
    fn policy(text: &str) -> Contender {
        let words: Vec<&str> = text.split(' ').collect();
        let [program, protocol, source, destination] = words[..] else { panic!("{text}") };
        let protocol = match protocol {
            "udp" => Protocol::Udp,
            "tcp" => Protocol::Tcp,
            _ => Protocol::Both,
        };
        let rule = MarkingRule {
            name: "P".to_owned(),
            application: Some(program.to_owned()).filter(|program| program != "*"),
            protocol,
            source_ports: PortRange::parse(source),
            destination_ports: PortRange::parse(destination),
            mark: Dscp::EF,
        };
        Contender::of(rule, Some(Dscp::EF))
    }

    fn standing(a: &str, b: &str) -> Standing {
        policy(a).against(&policy(b))
    }

    #[test]
    fn programs_count_before_ports_and_more_conditions_before_fewer() {
        use Standing::{Applied, Behind, Open, Void};
        let audio = "lync.exe * 100-199 -";
        for (other, expected) in [
            ("* udp 100-199 3478", Applied),
            ("lync.exe * 300-399 -", Applied),
            ("other.exe udp 100-199 3478", Applied),
            ("lync.exe * - -", Applied),
            ("lync.exe * - 3478", Applied),
            ("lync.exe udp - 3478", Behind),
            ("lync.exe udp 100-199 -", Behind),
            ("lync.exe * 150-160 -", Open),
            (audio, Open),
            (r"C:\lync.exe * - -", Behind),
            ("LYNC.EXE udp 1-65535 -", Behind),
        ] {
            assert_eq!(standing(audio, other), expected, "{other}");
        }
        assert_eq!(standing("lync.exe udp 100-199 -", "lync.exe udp 1-65535 1-65535"), Behind);
        assert_eq!(standing("* udp 100-199 -", "* udp 1-999 -"), Open);
        assert_eq!(standing(r"C:\A\lync.exe * 5 -", r"D:\lync.exe udp 5 -"), Applied);
        assert_eq!(standing(r"C:\A\lync.exe * 5 -", r"%A%\lync.exe udp 5 -"), Behind);
        assert_eq!(standing(r"C:\A\lync.exe * 5 -", "lync.exe udp 5 5"), Applied);
        assert_eq!(standing("* tcp 5 -", "lync.exe tcp - -"), Behind);
        let mut user = policy("* * - -");
        user.user = true;
        assert_eq!(policy(audio).against(&user), Void);
        assert_eq!(user.against(&policy(audio)), Applied);
        user.narrowed = true;
        assert_eq!(policy(audio).against(&user), Behind);
    }

    #[test]
    fn precedence_counts_before_the_rest_and_nobody_says_how_it_stands_to_users() {
        let (mut low, mut high) = (policy("lync.exe udp 5 5"), policy("* * - -"));
        high.precedence = 200;
        assert_eq!(low.against(&high), Standing::Void);
        assert_eq!(high.against(&low), Standing::Applied);
        low.user = true;
        assert_eq!(low.against(&high), Standing::Open);
        high.user = true;
        assert_eq!(low.against(&high), Standing::Void);
    }

    #[test]
    fn addresses_count_before_ports_and_longer_prefixes_before_shorter_ones() {
        let (mut a, mut b) = (policy("x.exe * 5 -"), policy("x.exe * - -"));
        b.destination = Some(8);
        assert_eq!(a.against(&b), Standing::Behind);
        assert_eq!(b.against(&a), Standing::Applied);
        b = policy("x.exe * 5 -");
        (a.source, b.source) = (Some(16), Some(24));
        assert_eq!(a.against(&b), Standing::Behind);
        assert_eq!(b.against(&a), Standing::Applied);
    }
}
