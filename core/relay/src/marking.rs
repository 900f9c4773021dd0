//! What class a packet belongs to, and whether it is one to be marked: the Edge marks towards the inside, and nobody on the
//! Internet has promised anything about marks. Which mark a class has is not said here.

use std::net::{IpAddr, SocketAddr};

use carillon_qos::plan::{EdgeExternal, Scope};
use carillon_qos::{Plan, PortRange, Role, TrafficClass};

use crate::network::{Network, plain};

/// Which packets have a class.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Marking {
    /// The managed networks: what goes there is marked.
    pub inside: Vec<Network>,
    /// Whether what goes elsewhere is marked too.
    pub outside: bool,
    /// Where the plan's roles send and receive each class.
    pub ports: Vec<(PortRange, TrafficClass)>,
}

impl Marking {
    /// As the plan has it: the ranges of clients and servers by class (the Edge's own policy matches destination ports), and
    /// what it says about the outside.
    pub fn of(plan: &Plan, scope: &Scope, inside: Vec<Network>) -> Marking {
        let mut ports = Vec::new();
        for role in [Role::Client, Role::Conferencing, Role::Application, Role::Mediation] {
            let policy = plan.policy(role, scope);
            for class in TrafficClass::MEDIA {
                let range = policy.ports(class).filter(|range| *range != PortRange::UNRESTRICTED);
                ports.extend(range.map(|range| (range, class)));
            }
        }
        ports.sort_unstable();
        ports.dedup();
        Marking { inside, outside: plan.edge_external() == EdgeExternal::Plan, ports }
    }

    /// The class of a packet to `destination`, whose other end is `other`. The class of the allocation decides; without one the
    /// port at the packet's destination, and if that says nothing, the port of an other end that is inside too.
    pub(crate) fn class(
        &self,
        allocated: Option<TrafficClass>,
        destination: SocketAddr,
        other: SocketAddr,
    ) -> Option<TrafficClass> {
        let (destination, other) = (plain(destination), plain(other));
        if !self.outside && !self.is_inside(destination.ip()) {
            return None;
        }
        let of_other = || self.of_port(other.port()).filter(|_| self.is_inside(other.ip()));
        allocated.or_else(|| self.of_port(destination.port())).or_else(of_other)
    }

    fn is_inside(&self, address: IpAddr) -> bool {
        self.inside.iter().any(|network| network.contains(address))
    }

    /// The class whose ranges hold the port, if it is only one.
    fn of_port(&self, port: u16) -> Option<TrafficClass> {
        let mut classes =
            self.ports.iter().filter(|(range, _)| range.contains(port)).map(|(_, class)| *class);
        let first = classes.next()?;
        classes.all(|class| class == first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "10.0.0.1:20010";
    const SERVER: &str = "10.0.0.2:58000";
    const STRANGER: &str = "9.9.9.9:20010";

    fn marking() -> Marking {
        let plan = Plan::preset("lync").unwrap();
        Marking::of(&plan, &Scope::default(), vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn class(marking: &Marking, allocated: Option<TrafficClass>, ends: [&str; 2]) -> Option<TrafficClass> {
        let [destination, other] = ends.map(|end| end.parse().unwrap());
        marking.class(allocated, destination, other)
    }

    #[test]
    fn only_what_goes_inside_has_a_class() {
        let marking = marking();
        let audio = Some(TrafficClass::Audio);
        assert_eq!(class(&marking, audio, [CLIENT, STRANGER]), audio);
        assert_eq!(class(&marking, audio, [STRANGER, CLIENT]), None);
        let everywhere = Marking { outside: true, ..marking };
        assert_eq!(class(&everywhere, audio, [STRANGER, CLIENT]), audio);
    }

    #[test]
    fn without_a_class_the_planned_port_of_the_destination_decides() {
        let marking = marking();
        for (ends, expected) in [
            ([SERVER, STRANGER], Some(TrafficClass::Video)),
            ([SERVER, CLIENT], Some(TrafficClass::Video)),
            (["10.0.0.3:1025", SERVER], Some(TrafficClass::Video)),
            // A stranger may use any port: what he uses says nothing.
            (["10.0.0.3:1025", "9.9.9.9:58000"], None),
        ] {
            assert_eq!(class(&marking, None, ends), expected, "{ends:?}");
        }
    }

    #[test]
    fn a_port_of_two_classes_says_nothing() {
        let range = |text| PortRange::parse(text).unwrap();
        let ports =
            vec![(range("1000-2000"), TrafficClass::Audio), (range("2000-3000"), TrafficClass::Video)];
        let marking = Marking { ports, ..marking() };
        for (port, expected) in
            [(1999, Some(TrafficClass::Audio)), (2000, None), (2001, Some(TrafficClass::Video))]
        {
            assert_eq!(class(&marking, None, [&format!("10.0.0.9:{port}"), STRANGER]), expected, "{port}");
        }
    }
}
