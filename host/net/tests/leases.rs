//! Media sockets are leased: inside the range, marked, never twice, open only while leased, and never leaked.
//!
//! Every test of every run has a loopback address of its own, so that none meets the ports of another.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use carillon_net::bind_error::Reason;
use carillon_net::lease::{Exhausted, Lease, LeaseError, Leases, Policy, Shape};
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_qos::plan::Scope;
use carillon_qos::{Plan, PortRange, Role, TrafficClass};
use carillon_wire::ip::Dscp;
use proptest::prelude::*;

use TrafficClass::{Audio, FileTransfer, Sharing, Video};

const PLAN: &str = r#"
name = "leases"
title = "Ranges that begin and end even and odd"

[classes]
audio = "EF"
video = "AF41"
sharing = "AF21"

[roles.client]
audio = "6000-6024"
video = "6025-6049"
sharing = "6050"
file-transfer = "6051-6060"
"#;

fn policy(toml: &str) -> Policy {
    Policy::from(&Plan::from_toml(toml).unwrap().policy(Role::Client, &Scope::default()))
}

/// A loopback address that nobody else uses.
fn own_address() -> IpAddr {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = (std::process::id() << 4) | (NUMBER.fetch_add(1, Ordering::Relaxed) % 16);
    let [_, a, b, c] = number.to_be_bytes();
    Ipv4Addr::new(127, a | 128, b, c).into()
}

fn leases(toml: &str) -> Leases {
    Leases::new(policy(toml), own_address(), 7)
}

fn drain(leases: &Leases, class: TrafficClass, mux: bool) -> (Vec<Lease>, Exhausted) {
    let mut held = Vec::new();
    loop {
        match leases.lease(class, mux) {
            Ok(lease) => held.push(lease),
            Err(LeaseError::Exhausted(exhausted)) => return (held, exhausted),
            Err(other) => panic!("{other}"),
        }
    }
}

fn ports(lease: &Lease) -> Vec<u16> {
    [Some(lease.rtp()), lease.rtcp()].into_iter().flatten().map(|port| port.local().port()).collect()
}

/// Ports of the plan that cannot be had at this address.
fn open(address: IpAddr) -> Vec<u16> {
    let bind = |port| UdpPort::bind(SocketAddr::new(address, port), Dscp::DEFAULT);
    (6000..=6060).filter(|port| bind(*port).is_err()).collect()
}

fn arrived(port: &UdpPort) -> u8 {
    let mut batch = Batch::new(2048);
    for _ in 0..1000 {
        if port.receive(&mut batch).unwrap() > 0 {
            return batch.iter().next().unwrap().mark.value();
        }
        sleep(Duration::from_millis(5));
    }
    panic!("nothing came")
}

#[test]
fn every_class_leases_inside_its_range_and_what_leaves_has_its_mark() {
    let receivers = ["127.0.0.1:0", "[::1]:0"]
        .map(|address| UdpPort::bind(address.parse().unwrap(), Dscp::DEFAULT).unwrap());
    // IPv6 has only one loopback address: there the ports are those that nobody else uses.
    let first = 10_000 + (std::process::id() % 300) as u16 * 64;
    let range = |from: u16, to: u16| format!("{}-{}", first + from, first + to);
    let plan = PLAN.replace("6000-6024", &range(0, 24)).replace("6025-6049", &range(25, 49));
    let plan = plan.replace("6050", &range(50, 51)).replace("6051-6060", &range(52, 60));
    for (address, reached) in [
        (own_address(), &receivers[..1]),
        (Ipv6Addr::LOCALHOST.into(), &receivers[1..]),
        (Ipv6Addr::UNSPECIFIED.into(), &receivers),
    ] {
        let leases = Leases::new(policy(&plan), address, 7);
        for (class, mark, from, to) in
            [(Audio, 46, 0, 24), (Video, 34, 25, 49), (Sharing, 18, 50, 51), (FileTransfer, 0, 52, 60)]
        {
            for mux in [true, false] {
                let lease = leases.lease(class, mux).unwrap();
                assert_eq!((lease.class(), lease.rtcp().is_some()), (class, !mux));
                assert!(ports(&lease).iter().all(|port| (first + from..=first + to).contains(port)));
                for port in [Some(lease.rtp()), lease.rtcp()].into_iter().flatten() {
                    assert_eq!(port.local().ip(), address);
                    for receiver in reached {
                        let datagram =
                            Datagram { to: receiver.local(), from: None, bytes: b"rtp", mark: None };
                        assert_eq!(port.send(&[datagram], |_, error| panic!("{error}")), 1);
                        assert_eq!(arrived(receiver), mark, "{class} of {address}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_session_after_the_last_is_refused_by_name_and_the_others_live_on() {
    let leases = leases(PLAN);
    for (mux, sessions, leased) in [(true, 25, 25), (false, 12, 24)] {
        let (held, refused) = drain(&leases, Audio, mux);
        assert_eq!(
            (held.len(), refused.counts.sessions, refused.counts.leased),
            (sessions, sessions as u32, leased)
        );
        assert_eq!(refused.counts.capacity(mux), sessions as u32);
        let shape = if mux { Shape::Any } else { Shape::Pair };
        assert_eq!((refused.shape, &refused.holder), (shape, &None));
        for lease in &held {
            let datagram = Datagram { to: held[0].rtp().local(), from: None, bytes: b"", mark: None };
            assert_eq!(lease.rtp().send(&[datagram], |_, error| panic!("{error}")), 1);
        }
        // The other classes have their own.
        assert!(leases.lease(Video, mux).is_ok());
        drop(held);
        assert!(leases.lease(Audio, mux).is_ok());
    }
    let counts = leases.counts();
    assert_eq!(counts.map(|counts| counts.exhausted), [2, 0, 0, 0]);
    assert_eq!(counts.map(|counts| counts.class), TrafficClass::MEDIA);
    assert!(leases.lease(TrafficClass::Signaling, true).is_err());
}

#[test]
fn the_error_of_an_exhausted_range_says_what_to_do() {
    let leases = leases(PLAN);
    let (_held, refused) = drain(&leases, Audio, false);
    assert_eq!(
        refused.to_string(),
        "no even port with the odd one above it is left for audio in 6000-6024: 24 of 25 leased (audio has 12 sessions); \
         wait for calls to end, use rtcp-mux, or give audio a larger range in the plan"
    );
}

#[test]
fn without_mux_rtp_is_even_and_rtcp_next_and_neither_is_in_the_next_class() {
    let leases = leases(PLAN);
    for (class, first, last) in [(Audio, 6000, 6023), (Video, 6026, 6049)] {
        let (held, _) = drain(&leases, class, false);
        let mut pairs: Vec<_> = held.iter().map(ports).collect();
        pairs.sort();
        let expected: Vec<_> = (first..=last).step_by(2).map(|port| vec![port, port + 1]).collect();
        assert_eq!(pairs, expected);
    }
}

#[test]
fn nothing_is_open_but_what_is_leased() {
    let address = own_address();
    let leases = Leases::new(policy(PLAN), address, 7);
    assert!(open(address).is_empty());
    let (audio, video) = (leases.lease(Audio, false).unwrap(), leases.lease(Video, true).unwrap());
    assert_eq!(open(address), [ports(&audio), ports(&video)].concat());
    drop((audio, video));
    assert!(open(address).is_empty());
}

#[test]
fn agreeing_on_mux_gives_the_port_of_rtcp_back() {
    let address = own_address();
    let leases = Leases::new(policy(PLAN), address, 7);
    let mut lease = leases.lease(Audio, false).unwrap();
    let both = ports(&lease);
    lease.agree_mux();
    assert_eq!(open(address), both[..1]);
    assert_eq!((leases.counts()[0].leased, leases.counts()[0].quarantined), (1, 1));
    let rest = drain(&leases, Audio, true).0;
    assert_eq!(rest.len(), 24);
    assert!(rest.iter().any(|lease| ports(lease) == both[1..]));
}

#[test]
fn a_plan_that_is_not_in_force_spreads_over_all_ports_and_marks_nothing() {
    let leases = leases(&format!("enabled = false\n{PLAN}"));
    let held: Vec<Lease> = (0..300).map(|n| leases.lease(Audio, n % 2 == 0).unwrap()).collect();
    let used: Vec<u16> = held.iter().flat_map(ports).collect();
    assert!(used.iter().all(|port| *port >= 1024));
    for (first, last) in [(1024, 16383), (16384, 32767), (32768, 49151), (49152, 65535)] {
        let share = used.iter().filter(|port| (first..=last).contains(*port)).count();
        assert!(share > used.len() / 8, "{share} of {} in {first}-{last}", used.len());
    }
    assert!(held.iter().all(|lease| lease.rtp().marks().unwrap().v4 == Some(Dscp::DEFAULT)));
    assert!(leases.counts().iter().all(|counts| !counts.planned && counts.range == PortRange::UNRESTRICTED));
    assert_eq!(leases.overlaps_ephemeral(), []);
}

#[test]
fn ports_of_other_programs_are_passed_over_and_named_when_nothing_is_left() {
    let address = own_address();
    let leases = Leases::new(policy(PLAN), address, 7);
    let strangers: Vec<_> =
        [6003, 6010].map(|port| UdpPort::bind(SocketAddr::new(address, port), Dscp::DEFAULT).unwrap()).into();
    let (held, refused) = drain(&leases, Audio, false);
    let used: BTreeSet<u16> = held.iter().flat_map(ports).collect();
    assert_eq!(used.len(), 20);
    assert!(!used.contains(&6003) && !used.contains(&6010));
    assert_eq!((refused.counts.blocked, refused.counts.sessions), (2, 10));
    let holder = refused.holder.as_ref().unwrap();
    assert_eq!((holder.pid, holder.address), (std::process::id(), strangers[0].local()));
    assert!(refused.to_string().contains("2 taken by other programs, such as "), "{refused}");
    // The halves of the two pairs are free for who needs only one port.
    assert_eq!(drain(&leases, Audio, true).0.len(), 3);
}

#[test]
fn an_address_that_is_not_here_is_an_error_at_once_and_leaks_nothing() {
    let leases = Leases::new(policy(PLAN), "192.0.2.7".parse().unwrap(), 7);
    for _ in 0..30 {
        let Err(LeaseError::Bind(error)) = leases.lease(Audio, false) else { panic!("leased") };
        assert!(matches!(error.reason, Reason::NotHere), "{error}");
        assert!(error.to_string().contains("192.0.2.7:60"), "{error}");
    }
    assert!(leases.counts().iter().all(|counts| counts.leased == 0 && counts.sessions == 0));
}

#[test]
fn a_new_plan_holds_for_new_leases_and_leaves_running_ones_alone() {
    let leases = leases(PLAN);
    let old = leases.lease(Audio, false).unwrap();
    leases.set_policy(policy(&PLAN.replace("6000-6024", "6100-6103").replace("\"EF\"", "\"CS5\"")));
    let (new, refused) = drain(&leases, Audio, false);
    let mut pairs: Vec<_> = new.iter().map(ports).collect();
    pairs.sort();
    assert_eq!(pairs, [[6100, 6101], [6102, 6103]]);
    assert_eq!((refused.counts.sessions, refused.counts.leased), (3, 4));
    let marks = [&old, &new[0]].map(|lease| lease.rtp().marks().unwrap().v4.unwrap().value());
    assert_eq!(marks, [46, 40]);
    // Back again: what is still leased is not given out a second time.
    leases.set_policy(policy(PLAN));
    let (again, _) = drain(&leases, Audio, true);
    assert_eq!(again.len(), 23);
    drop((old, new, again));
    assert!(
        leases
            .counts()
            .iter()
            .all(|counts| counts.leased == 0 && counts.sessions == 0 && counts.blocked == 0)
    );
}

#[test]
fn ten_thousand_leases_leave_neither_descriptors_nor_ports_behind() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let leases = leases(PLAN);
    let before = descriptors();
    let mut held = Vec::new();
    for n in 0..10_000 {
        let class = if n % 3 == 0 { Video } else { Audio };
        match leases.lease(class, n % 2 == 0) {
            Ok(lease) => held.push(lease),
            Err(_) => held.truncate(held.len() / 2),
        }
    }
    assert!(descriptors() > before);
    drop(held);
    assert_eq!(descriptors(), before);
    let counts = leases.counts();
    assert!(counts.iter().all(|counts| counts.leased == 0 && counts.sessions == 0 && counts.blocked == 0));
    assert_eq!((counts[0].quarantined, counts[1].quarantined), (25, 25));
}

#[test]
fn many_threads_never_get_the_same_port() {
    let leases = leases(PLAN);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let leases = leases.clone();
            scope.spawn(move || {
                for n in 0..500 {
                    let held: Vec<_> = (0..4).map(|_| leases.lease(Audio, (n + thread) % 2 == 0)).collect();
                    // A port given out twice would have been found taken.
                    assert_eq!(leases.counts()[0].blocked, 0);
                    drop(held);
                }
            });
        }
    });
    assert_eq!((leases.counts()[0].leased, leases.counts()[0].sessions), (0, 0));
}

#[test]
fn a_range_that_the_machine_gives_to_anybody_is_told() {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let ends: Vec<u16> = text.split_whitespace().map(|end| end.parse().unwrap()).collect();
    let (first, last) = (ends[0], ends[0] + 3);
    let leases = leases(&PLAN.replace("6000-6024", &format!("{}-{last}", first - 4)));
    assert_eq!(leases.overlaps_ephemeral(), [(Audio, PortRange::from_ends(first, last).unwrap())]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is leased and given back: inside, in pairs, never twice, and open exactly as long as leased.
    #[test]
    fn any_sequence_of_leases_stays_inside_and_comes_back(steps in prop::collection::vec((0usize..3, any::<bool>(), any::<prop::sample::Index>()), 1..80), seed: u64) {
        let leases = Leases::new(policy(PLAN), own_address(), seed);
        let mut held: Vec<Lease> = Vec::new();
        for (what, mux, at) in steps {
            if what == 2 && !held.is_empty() {
                held.swap_remove(at.index(held.len()));
                continue;
            }
            let class = if what == 0 { Audio } else { Video };
            let range = policy(PLAN).class(class).range.unwrap();
            match leases.lease(class, mux) {
                Ok(lease) => {
                    let given = ports(&lease);
                    prop_assert!(given.iter().all(|port| range.contains(*port)), "{:?} of {}", given, range);
                    prop_assert!(mux || (given[0].is_multiple_of(2) && given[1] == given[0] + 1), "{:?}", given);
                    held.push(lease);
                }
                Err(error) => prop_assert!(matches!(error, LeaseError::Exhausted(_)), "{error}"),
            }
            let all: Vec<u16> = held.iter().flat_map(ports).collect();
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
            let counted: u32 = leases.counts()[..2].iter().map(|counts| counts.leased + counts.blocked).sum();
            prop_assert_eq!(counted as usize, all.len());
        }
    }
}
