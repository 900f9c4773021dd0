//! What is observed of an Edge, and what it means: every fault has its own root cause, and what only follows from it is no
//! cause.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_qos::check::{
    Cause, Certificate, Door, Facts, Grant, Kind, Knock, Legacy, Lent, Machine, Name, Packet, Relayed,
    Report, Route, Routing, Running, Service, Side, Socket, State, Transport, Verdict, judge,
};
use carillon_qos::plan::Network;
use carillon_wire::ip::Dscp;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const POOL: &str = "edge.example.com";
const RELAY: &str = "A/V Edge";
const AUTHENTICATION: &str = "A/V Authentication";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(text: &str) -> Network {
    Network::parse(text).unwrap()
}

/// An Edge at 203.0.113.5 and 10.0.0.5 that is well.
fn edge() -> Machine {
    let service = |name: &str| Service { name: name.to_owned(), trouble: None, runs: true };
    let doors = vec![
        relay(Transport::Udp, "203.0.113.5:3478"),
        relay(Transport::Udp, "203.0.113.5:3479"),
        relay(Transport::Tcp, "203.0.113.5:443"),
        Door { only_inside: true, ..door(AUTHENTICATION, Transport::Tls, "10.0.0.5:5062") },
    ];
    let socket = |door: &Door| Socket { is_stream: door.transport != Transport::Udp, address: door.address };
    Machine {
        pool: POOL.to_owned(),
        name: "edge1".to_owned(),
        running: Some(Running::Yes(vec![service(RELAY), service(AUTHENTICATION)])),
        names: vec![
            name(POOL, Side::Inside, &["10.0.0.5"], Ok(&["10.0.0.5"])),
            name("sip.example.com", Side::Outside, &["203.0.113.5"], Ok(&["203.0.113.5"])),
        ],
        routing: Some(Ok(routing())),
        certificates: vec![certificate(&[POOL])],
        sockets: Some(doors.iter().map(socket).collect()),
        doors,
        grants: vec![Grant { by: "the secret".to_owned(), door: None, shown: true, refused: None }],
    }
}

fn door(service: &str, transport: Transport, address: &str) -> Door {
    Door {
        service: service.to_owned(),
        transport,
        address: address.parse().unwrap(),
        is_relay: false,
        only_inside: false,
        optional: false,
        by_name: false,
        knock: Knock::Answered,
        lent: None,
        relayed: None,
    }
}

fn relay(transport: Transport, address: &str) -> Door {
    let relayed = Relayed {
        there: Packet::Arrived(Some(Dscp::EF)),
        back: Packet::Arrived(None),
        class: Some(TrafficClass::Audio),
        planned: Some(Dscp::EF),
    };
    Door {
        is_relay: true,
        lent: Some(Lent::Address("203.0.113.5:50000".parse().unwrap())),
        relayed: Some(Ok(relayed)),
        ..door(RELAY, transport, address)
    }
}

fn name(name: &str, side: Side, wanted: &[&str], found: Result<&[&str], &str>) -> Name {
    let list = |texts: &[&str]| texts.iter().map(|text| ip(text)).collect();
    Name { name: name.to_owned(), side, wanted: list(wanted), found: found.map(list).map_err(str::to_owned) }
}

fn certificate(names: &[&str]) -> Certificate {
    let facts = Facts {
        common_name: POOL.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        issuer: "CN=inside".to_owned(),
        key: "one".to_owned(),
        ends: NOW + DAY * 365,
        trusted: Some(true),
    };
    let door: SocketAddr = "10.0.0.5:5062".parse().unwrap();
    Certificate { door, side: Side::Inside, wanted: POOL.to_owned(), facts: Ok(facts), legacy: None }
}

fn routing() -> Routing {
    let inside = [("10.0.0.0/8", "v2"), ("172.16.0.0/12", "v2"), ("192.168.0.0/16", "v2")];
    let mut routes: Vec<Route> =
        inside.iter().map(|(to, by)| route(Some(to), Some("10.0.0.1"), by)).collect();
    routes.push(route(None, Some("203.0.113.1"), "v1"));
    routes.push(route(Some("203.0.113.0/24"), None, "v1"));
    Routing {
        external: "v1".to_owned(),
        internal: Some("v2".to_owned()),
        addresses: vec![ip("203.0.113.5")],
        inside: inside.iter().map(|(to, _)| network(to)).collect(),
        routes,
    }
}

fn route(to: Option<&str>, gateway: Option<&str>, interface: &str) -> Route {
    Route { to: to.map(network), gateway: gateway.map(ip), interface: interface.to_owned(), v6: false }
}

/// What became of a packet through the first door.
fn relayed_of(edge: &mut Machine) -> &mut Relayed {
    edge.doors[0].relayed.as_mut().unwrap().as_mut().unwrap()
}

/// The report on an Edge after something was done to it.
fn after(change: impl FnOnce(&mut Machine)) -> Report {
    let mut machine = edge();
    change(&mut machine);
    judge(&[machine], NOW)
}

fn causes(report: &Report) -> Vec<Cause> {
    report.roots.iter().filter_map(|root| root.cause).collect()
}

/// Kinds of the checks that only follow from the first root cause.
fn consequences(report: &Report) -> Vec<Kind> {
    let mut kinds: Vec<Kind> =
        report.roots[0].consequences.iter().map(|at| report.checks[*at].kind).collect();
    kinds.dedup();
    kinds
}

fn fix(report: &Report) -> &str {
    &report.checks[report.roots[0].checks[0]].fix
}

#[test]
fn an_edge_that_is_well_passes_and_its_names_are_only_a_note() {
    let report = after(|_| {});
    assert_eq!((report.verdict, causes(&report)), (Verdict::Pass, vec![]));
    let notes: Vec<_> = report.checks.iter().filter(|check| check.state == State::Warning).collect();
    assert_eq!(notes.iter().map(|note| note.cause).collect::<Vec<_>>(), [Some(Cause::AlternativeNames)]);
    assert!(
        report.checks.iter().filter(|check| check.cause.is_none()).all(|check| check.state == State::Good)
    );
    let of = |kind| report.checks.iter().filter(|check| check.kind == kind).count();
    assert_eq!(
        [Kind::Edge, Kind::Service, Kind::Listener, Kind::Name, Kind::Route, Kind::Door].map(of),
        [1, 2, 4, 2, 4, 4]
    );
    let said = |kind, subject: &str| {
        let of = |check: &&carillon_qos::check::Check| check.kind == kind && check.subject == subject;
        report.checks.iter().find(of).unwrap().text.clone()
    };
    assert!(
        said(Kind::Door, "TCP 203.0.113.5:443").contains("TURN and no HTTPS"),
        "why checkers see no certificate"
    );
    assert_eq!(said(Kind::Door, "UDP 203.0.113.5:3478"), "answers");
    assert_eq!([Kind::Credential, Kind::Allocation, Kind::Relay, Kind::Mark].map(of), [1, 3, 3, 3]);
}

#[test]
fn nothing_that_was_not_looked_at_counts_as_well() {
    assert_eq!(judge(&[], NOW).verdict, Verdict::Unjudged);
    let report = after(|edge| edge.routing = Some(Err("no interface has 203.0.113.5".to_owned())));
    assert_eq!(report.verdict, Verdict::Unjudged);
    let report = after(|edge| relayed_of(edge).planned = None);
    assert_eq!((report.verdict, causes(&report)), (Verdict::Unjudged, vec![]));
    let report = after(|edge| edge.doors[0].relayed = None);
    assert_eq!(report.verdict, Verdict::Unjudged);
    let report = after(|edge| edge.doors[0].relayed = Some(Err("no port is free".to_owned())));
    assert_eq!(report.verdict, Verdict::Unjudged);
}

#[test]
fn the_four_reasons_for_not_being_reached_are_four_verdicts() {
    let knock = |knock: Knock| {
        after(|edge| {
            edge.sockets = None;
            edge.doors[3].knock = knock;
        })
    };
    for (knocked, cause) in [
        (Knock::Refused, Cause::ServiceDown),
        (Knock::Prohibited, Cause::Firewall),
        (Knock::NoWay("network is unreachable".to_owned()), Cause::NoRoute),
        (Knock::Silent, Cause::NothingAnswers),
        (Knock::Foreign("SSH".to_owned()), Cause::SomethingElse),
    ] {
        assert_eq!(causes(&knock(knocked)), [cause]);
    }
    let unresolved = after(|edge| {
        edge.names[0].found = Err("Name or service not known".to_owned());
        edge.doors[3].knock = Knock::NotTried("its address is not known".to_owned());
    });
    assert_eq!(causes(&unresolved), [Cause::NameNotResolved]);
    assert_eq!(consequences(&unresolved), [Kind::Door]);
    assert!(fix(&unresolved).ends_with("\nedge.example.com. IN A 10.0.0.5"));
}

#[test]
fn a_socket_that_waits_tells_a_firewall_from_a_service_that_is_down() {
    let silent = |change: fn(&mut Machine)| {
        after(|edge| {
            for door in &mut edge.doors[..3] {
                (door.knock, door.lent, door.relayed) = (Knock::Silent, None, None);
            }
            change(edge);
        })
    };
    assert_eq!(causes(&silent(|_| {})), [Cause::Firewall]);
    let refused = after(|edge| edge.doors[3].knock = Knock::Refused);
    assert_eq!(causes(&refused), [Cause::Firewall], "refused in its name");
    let down = silent(|edge| {
        edge.sockets = Some(vec![edge.sockets.as_ref().unwrap()[3]]);
        edge.running = Some(Running::Yes(vec![
            Service { name: RELAY.to_owned(), trouble: Some("no port".to_owned()), runs: false },
            Service { name: AUTHENTICATION.to_owned(), trouble: None, runs: true },
        ]));
    });
    assert_eq!(causes(&down), [Cause::ServiceDown]);
    assert_eq!(consequences(&down), [Kind::Listener, Kind::Door, Kind::Credential, Kind::Allocation]);
    let off = silent(|edge| {
        (edge.running, edge.sockets) = (Some(Running::No("no socket".to_owned())), Some(Vec::new()));
        edge.doors[3].knock = Knock::Refused;
    });
    assert_eq!(causes(&off), [Cause::NotRunning]);
}

#[test]
fn udp_that_does_not_pass_is_one_cause_however_many_ports_show_it() {
    let block = |stream: bool| {
        after(|edge| {
            for door in edge.doors.iter_mut().filter(|door| (door.transport == Transport::Tcp) == stream) {
                if door.is_relay {
                    (door.knock, door.lent, door.relayed) = (Knock::Silent, None, None);
                }
            }
        })
    };
    let udp = block(false);
    assert_eq!((causes(&udp), udp.roots[0].checks.len()), (vec![Cause::UdpBlocked], 2));
    assert_eq!(consequences(&udp), [Kind::Allocation]);
    let tcp = block(true);
    assert_eq!((causes(&tcp), tcp.roots[0].checks.len()), (vec![Cause::TcpBlocked], 1));
    let one = after(|edge| {
        (edge.doors[0].knock, edge.doors[0].lent, edge.doors[0].relayed) = (Knock::Silent, None, None);
    });
    assert_eq!(causes(&one), [Cause::Firewall], "another port over UDP answers");
}

#[test]
fn sockets_stand_once_where_they_should_and_never_outside_where_only_the_inside_may_come() {
    let with = |address: &str| {
        let socket = Socket { is_stream: true, address: address.parse().unwrap() };
        after(|edge| edge.sockets.as_mut().unwrap().push(socket))
    };
    assert_eq!(causes(&with("10.0.0.5:5062")), [Cause::ListensTwice]);
    assert_eq!(causes(&with("0.0.0.0:5062")), [Cause::ListensOutside]);
    assert_eq!(causes(&with("203.0.113.5:5062")), [Cause::ListensOutside]);
    assert_eq!(causes(&with("127.0.0.1:5062")), []);
    assert_eq!(causes(&with("10.0.0.5:443")), [], "another service on another address");
    let none = after(|edge| _ = edge.sockets.as_mut().unwrap().remove(0));
    assert_eq!(causes(&none), [Cause::NotListening]);
}

#[test]
fn names_lead_to_the_edge_or_somewhere_else() {
    let found =
        |found: &[&str]| after(|edge| edge.names[1].found = Ok(found.iter().map(|a| ip(a)).collect()));
    let elsewhere = found(&["198.51.100.7"]);
    assert_eq!(causes(&elsewhere), [Cause::NameElsewhere]);
    assert_eq!(consequences(&elsewhere), [], "it was reached by its address");
    let stranger = after(|edge| {
        edge.names[0].found = Ok(vec![ip("10.0.0.77")]);
        (edge.sockets, edge.doors[3].knock, edge.doors[3].by_name) = (None, Knock::Silent, true);
    });
    assert_eq!((causes(&stranger), consequences(&stranger)), (vec![Cause::NameElsewhere], vec![Kind::Door]));
    assert_eq!(causes(&found(&[])), [Cause::NameNotResolved]);
    let both = found(&["198.51.100.7", "203.0.113.5"]);
    assert_eq!(both.verdict, Verdict::Pass);
    assert!(both.checks.iter().any(|check| check.kind == Kind::Name && check.state == State::Warning));
}

#[test]
fn a_default_gateway_inside_is_told_with_the_commands_that_mend_it() {
    let gateway = route(None, Some("10.0.0.1"), "v2");
    let two = after(|edge| {
        let Some(Ok(routing)) = &mut edge.routing else { panic!() };
        routing.routes.remove(1);
        routing.routes.push(gateway.clone());
    });
    assert_eq!(causes(&two), [Cause::TwoDefaultGateways]);
    let lines: Vec<&str> = fix(&two).lines().collect();
    assert_eq!(
        lines[..2],
        ["ip route del default via 10.0.0.1 dev v2", "ip route add 172.16.0.0/12 via 10.0.0.1 dev v2"]
    );
    assert!(lines.len() == 3 && lines[2].contains("network configuration"), "{lines:?}");
    let only = after(|edge| {
        let Some(Ok(routing)) = &mut edge.routing else { panic!() };
        routing.routes.retain(|route| route.to.is_some());
        routing.routes.push(gateway);
    });
    assert_eq!(causes(&only), [Cause::DefaultGatewayInside]);
    assert!(fix(&only).contains("ip route add default via GATEWAY dev v1"));
    let none = after(|edge| {
        let Some(Ok(routing)) = &mut edge.routing else { panic!() };
        routing.routes.retain(|route| route.to.is_some());
    });
    assert_eq!(causes(&none), [Cause::NoDefaultGateway]);
}

#[test]
fn networks_of_the_inside_are_routed_inside_and_told_apart() {
    let change = |change: fn(&mut Routing)| {
        after(|edge| {
            let Some(Ok(routing)) = &mut edge.routing else { panic!() };
            change(routing);
        })
    };
    let unrouted = change(|routing| _ = routing.routes.remove(0));
    assert_eq!(causes(&unrouted), [Cause::InsideNotRouted]);
    assert!(fix(&unrouted).starts_with("ip route add 10.0.0.0/8 via GATEWAY dev v2"));
    let wrong_side = change(|routing| "v1".clone_into(&mut routing.routes[0].interface));
    assert_eq!(causes(&wrong_side), [Cause::InsideNotRouted]);
    let part = change(|routing| routing.routes[0].to = Some(network("10.0.0.0/9")));
    assert_eq!(causes(&part), [Cause::InsideNotRouted], "half of it is not all of it");
    let twice = change(|routing| routing.inside.push(network("10.1.0.0/16")));
    assert_eq!(causes(&twice), [Cause::NetworksOverlap]);
    let outside = change(|routing| {
        routing.inside.push(network("203.0.113.0/24"));
        routing.routes.push(route(Some("203.0.113.0/24"), None, "v2"));
    });
    assert_eq!(causes(&outside), [Cause::NetworksOverlap]);
}

#[test]
fn a_certificate_is_for_the_pool_holds_and_is_made_by_whom_it_should() {
    let change = |change: fn(&mut Facts)| {
        after(|edge| {
            let Ok(facts) = &mut edge.certificates[0].facts else { panic!() };
            change(facts);
        })
    };
    for (report, cause) in [
        (
            change(|facts| "edge1.example.com".clone_into(&mut facts.common_name)),
            Cause::CertificateForAnother,
        ),
        (change(|facts| facts.names = vec!["edge1.example.com".to_owned()]), Cause::CertificateForAnother),
        (change(|facts| facts.ends = NOW), Cause::CertificateEnded),
        (change(|facts| facts.trusted = Some(false)), Cause::CertificateNotTrusted),
    ] {
        assert_eq!(causes(&report), [cause]);
    }
    // Without alternative names it is as Lync wants it (outside it is not enough).
    let bare = change(|facts| facts.names.clear());
    assert_eq!(causes(&bare), []);
    assert!(bare.checks.iter().all(|check| check.cause != Some(Cause::AlternativeNames)));
    let soon = change(|facts| facts.ends = NOW + DAY * 29);
    assert_eq!(soon.verdict, Verdict::Pass);
    assert!(soon.checks.iter().any(|check| check.cause == Some(Cause::CertificateEnds)));
    let later = change(|facts| facts.ends = NOW + DAY * 31);
    assert!(later.checks.iter().all(|check| check.cause != Some(Cause::CertificateEnds)));
    let unseen = after(|edge| edge.certificates[0].facts = Err("none was shown".to_owned()));
    assert_eq!(causes(&unseen), [Cause::CertificateUnseen]);
    let silent = after(|edge| {
        edge.certificates[0].facts = Err("none was shown".to_owned());
        edge.doors[3].knock = Knock::Silent;
    });
    assert_eq!(causes(&silent), [Cause::Firewall], "a door that is shut shows none");
}

#[test]
fn outside_any_of_its_names_will_do_and_one_label_may_be_a_star() {
    let outside = |names: &[&str], wanted: &str| {
        let mut shown = certificate(names);
        (shown.side, shown.wanted) = (Side::Outside, wanted.to_owned());
        after(|edge| edge.certificates = vec![shown])
    };
    let plain = outside(&["sip.example.com"], "sip.example.com");
    assert_eq!(causes(&plain), []);
    assert!(
        plain.checks.iter().any(|check| check.text.contains("the name of the A/V Edge need not be on it"))
    );
    assert_eq!(causes(&outside(&["*.example.com"], "sip.example.com")), []);
    assert_eq!(causes(&outside(&["*.example.com"], "a.sip.example.com")), [Cause::CertificateForAnother]);
    assert_eq!(
        causes(&outside(&["sip.example.com"], POOL)),
        [Cause::CertificateForAnother],
        "not by its common name"
    );
}

#[test]
fn all_machines_of_a_pool_show_the_same_key() {
    let pool = |key: &str, of: &str| {
        let mut other = edge();
        (other.name, other.pool) = ("edge2".to_owned(), of.to_owned());
        let Ok(facts) = &mut other.certificates[0].facts else { panic!() };
        key.clone_into(&mut facts.key);
        judge(&[edge(), other], NOW)
    };
    assert_eq!(pool("one", POOL).verdict, Verdict::Pass);
    let differing = pool("two", POOL);
    assert_eq!(causes(&differing), [Cause::KeysDiffer, Cause::KeysDiffer]);
    assert_eq!(
        differing.roots.iter().map(|root| root.machine.as_str()).collect::<Vec<_>>(),
        ["edge1", "edge2"]
    );
    assert_eq!(pool("two", "another.example.com").verdict, Verdict::Pass, "of another pool");
}

#[test]
fn a_tester_that_uses_the_name_of_the_machine_raises_a_false_alarm_that_is_labelled() {
    let legacy = |accepted| {
        let legacy = Legacy { name: "edge1.example.com".to_owned(), accepted };
        after(|edge| edge.certificates[0].legacy = Some(legacy))
    };
    let report = legacy(false);
    assert_eq!(report.verdict, Verdict::Pass);
    let alarm = report.checks.iter().find(|check| check.state == State::FalseAlarm).unwrap();
    assert_eq!(alarm.cause, Some(Cause::FalseAlarm));
    assert!(alarm.text.contains("edge1.example.com") && alarm.text.contains("36884"), "{}", alarm.text);
    assert!(legacy(true).checks.iter().all(|check| check.state != State::FalseAlarm));
}

#[test]
fn another_secret_is_the_cause_and_that_nothing_is_lent_follows() {
    let report = after(|edge| {
        for door in edge.doors.iter_mut().filter(|door| door.is_relay) {
            (door.lent, door.relayed) = (Some(Lent::Refused(401)), None);
        }
    });
    assert_eq!(causes(&report), [Cause::CredentialRefused]);
    assert_eq!((consequences(&report), report.roots[0].consequences.len()), (vec![Kind::Allocation], 3));
    let quota = after(|edge| (edge.doors[0].lent, edge.doors[0].relayed) = (Some(Lent::Refused(486)), None));
    assert_eq!(causes(&quota), [Cause::NothingLent]);
    assert!(fix(&quota).contains("allocations-per-user"));
    let none = after(|edge| {
        edge.grants[0].refused = Some("it answers 403".to_owned());
        edge.grants[0].door = Some("10.0.0.5:5062".parse().unwrap());
        for door in edge.doors.iter_mut().filter(|door| door.is_relay) {
            (door.lent, door.relayed) = (None, None);
        }
    });
    assert_eq!(causes(&none), [Cause::NoCredential]);
    assert_eq!(consequences(&none), [Kind::Allocation]);
}

#[test]
fn what_becomes_of_a_relayed_packet_is_told_by_where_it_was_lost() {
    let relayed = |there: Packet, back: Packet| {
        after(|edge| {
            let relayed = relayed_of(edge);
            (relayed.there, relayed.back) = (there, back);
        })
    };
    let lost = relayed(Packet::Lost, Packet::Lost);
    assert_eq!((causes(&lost), consequences(&lost)), (vec![Cause::NotRelayed], vec![Kind::Mark]));
    let one_way = relayed(Packet::Arrived(Some(Dscp::EF)), Packet::Lost);
    assert_eq!((causes(&one_way), consequences(&one_way)), (vec![Cause::NothingBack], vec![]));
    let stripped = relayed(Packet::Arrived(Some(Dscp::DEFAULT)), Packet::Arrived(None));
    assert_eq!(causes(&stripped), [Cause::MarkLost]);
    let other = relayed(Packet::Arrived(Some(Dscp::new(34).unwrap())), Packet::Arrived(None));
    assert_eq!(causes(&other), [Cause::MarkLost]);
    let untold = relayed(Packet::Arrived(None), Packet::Arrived(None));
    assert_eq!((untold.verdict, causes(&untold)), (Verdict::Unjudged, vec![]));
    let unrouted = after(|edge| {
        let Some(Ok(routing)) = &mut edge.routing else { panic!() };
        routing.routes.remove(0);
        relayed_of(edge).there = Packet::Lost;
    });
    assert_eq!(
        (causes(&unrouted), consequences(&unrouted)),
        (vec![Cause::InsideNotRouted], vec![Kind::Relay, Kind::Mark])
    );
}

#[test]
fn several_faults_stand_in_the_order_of_what_explains_more() {
    let report = after(|edge| {
        edge.names[1].found = Err("no such name".to_owned());
        relayed_of(edge).there = Packet::Arrived(Some(Dscp::DEFAULT));
        let Ok(facts) = &mut edge.certificates[0].facts else { panic!() };
        facts.ends = NOW;
    });
    assert_eq!(causes(&report), [Cause::NameNotResolved, Cause::CertificateEnded, Cause::MarkLost]);
    assert_eq!(report.verdict, Verdict::Fail);
}
