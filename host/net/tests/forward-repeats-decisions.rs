//! Packets pass by rules: the right bytes, from the right address, with the mark of the rule; and without a rule the
//! caller gets them, decides the same, and nobody can tell the difference.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod forward;

use std::net::SocketAddr;
use std::num::NonZeroU64;

use carillon_net::forward::{
    Budgets, Count, Passed, Payload, Refused, Rule, RuleId, Settings, Traffic, Unknown,
};
use carillon_net::lease::{ClassPorts, Leases, Policy, Shape};
use carillon_net::udp::{Complaint, UdpPort};
use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::Ecn;
use carillon_wire::stun::ChannelData;

use forward::{
    CHANNEL, FAMILIES, ID, Site, arrived, channel_data, dscp, handled, leases, mark, nothing, send,
};

#[test]
fn a_rule_strips_and_adds_the_header_and_marks_each_direction_in_every_family() {
    for family in FAMILIES {
        let mut site = Site::new(family, Settings::default());
        site.forwarder.install(ID, site.rule()).unwrap();
        mark(&site.client, 7, Ecn::NotCapable);
        mark(&site.peer, 9, Ecn::NotCapable);
        send(&site.client, site.here, &[channel_data(CHANNEL, b"to the peer")]);
        send(&site.peer, site.there(), &[b"to the client".to_vec()]);
        site.until_handled(2);
        let expected = (site.there(), b"to the peer".to_vec(), 46, Ecn::NotCapable);
        assert_eq!(arrived(&site.peer, 1), [expected], "{family:?}");
        let expected = (site.here, channel_data(CHANNEL, b"to the client"), 34, Ecn::NotCapable);
        assert_eq!(arrived(&site.client, 1), [expected], "{family:?}");
        assert!(site.unknown.is_empty());
    }
}

#[test]
fn ecn_is_copied_and_the_mark_is_not() {
    for family in [FAMILIES[0], FAMILIES[1], FAMILIES[2]] {
        let mut site = Site::new(family, Settings::default());
        site.forwarder.install(ID, site.rule()).unwrap();
        for (at, ecn) in
            [Ecn::NotCapable, Ecn::Capable0, Ecn::Capable1, Ecn::Congestion].into_iter().enumerate()
        {
            mark(&site.client, 10, ecn);
            mark(&site.peer, 12, ecn);
            send(&site.client, site.here, &[channel_data(CHANNEL, b"x")]);
            send(&site.peer, site.there(), &[b"x".to_vec()]);
            site.until_handled(2 * at as u64 + 2);
            let (_, _, mark, got) = arrived(&site.peer, 1).remove(0);
            assert_eq!((mark, got), (46, ecn));
            let (_, _, mark, got) = arrived(&site.client, 1).remove(0);
            assert_eq!((mark, got), (34, ecn));
        }
    }
}

#[test]
fn the_length_of_channel_data_is_believed_only_if_it_is_that_of_its_datagram() {
    let mut site = Site::plain();
    site.forwarder.install(ID, site.rule()).unwrap();
    let exact = channel_data(CHANNEL, b"12345");
    let with = |len: u16, bytes: usize| {
        let mut changed = exact.clone();
        changed[2..4].copy_from_slice(&len.to_be_bytes());
        changed.resize(bytes, 0);
        changed
    };
    // Too short for what it says, by one byte or nearly all of them; more than padding; the header alone of five.
    let wrong = [with(6, 9), with(5, 8), with(0xffff, 9), with(5, 16), with(0, 12), with(5, 4)];
    let right = [with(5, 9), with(5, 10), with(5, 12), with(0, 4)];
    let all = [&wrong[..], &right[..]].concat();
    send(&site.client, site.here, &all);
    site.until_handled(all.len() as u64);
    let contents: Vec<_> = arrived(&site.peer, right.len()).into_iter().map(|seen| seen.1).collect();
    assert_eq!(contents, [&b"12345"[..], b"12345", b"12345", b""]);
    assert_eq!((site.count(Count::BadChannelData), site.count(Count::ToPeer)), (6, 4));
    nothing(&site.peer);
}

/// What a relay does with a packet for which it has not installed a rule.
fn decide(site: &mut Site, unknown: &Unknown) {
    let rule = site.rule();
    match unknown {
        Unknown::FromClient { bytes, ecn, .. } => {
            let data = ChannelData::parse_relayed(bytes).unwrap();
            assert!(site.forwarder.send_to_peer(rule.port, rule.peer, data.data, rule.to_peer, *ecn));
        }
        Unknown::FromPeer { bytes, ecn, .. } => {
            let bytes = channel_data(rule.channel, bytes);
            assert!(site.forwarder.send_to_client(rule.client, &bytes, rule.to_client, *ecn));
        }
        _ => panic!("{unknown:?}"),
    }
}

#[test]
fn the_same_packet_gives_the_same_bytes_and_mark_with_a_rule_and_without() {
    for family in FAMILIES {
        let outcome = |with_rule: bool| {
            let mut site = Site::new(family, Settings::default());
            if with_rule {
                site.forwarder.install(ID, site.rule()).unwrap();
            }
            let lengths = [0, 1, 160, 172, 1200, 1400];
            for (at, len) in lengths.into_iter().enumerate() {
                let ecn = if at % 2 == 0 { Ecn::NotCapable } else { Ecn::Capable0 };
                mark(&site.client, at as u8, ecn);
                mark(&site.peer, at as u8, ecn);
                let data: Vec<u8> = (0..len).map(|n: usize| n as u8).collect();
                send(&site.client, site.here, &[channel_data(CHANNEL, &data)]);
                send(&site.peer, site.there(), &[data]);
            }
            let mut decided = 0;
            site.until("all", |site| {
                for unknown in std::mem::take(&mut site.unknown) {
                    decide(site, &unknown);
                    decided += 1;
                }
                handled(&site.forwarder) == 12
            });
            site.turn();
            for unknown in std::mem::take(&mut site.unknown) {
                decide(&mut site, &unknown);
                decided += 1;
            }
            site.forwarder.flush();
            assert_eq!(decided, if with_rule { 0 } else { 12 });
            let rest = |(_, bytes, mark, ecn): (SocketAddr, Vec<u8>, u8, Ecn)| (bytes, mark, ecn);
            let at_peer: Vec<_> = arrived(&site.peer, 6).into_iter().map(rest).collect();
            let at_client: Vec<_> = arrived(&site.client, 6).into_iter().map(rest).collect();
            (at_peer, at_client)
        };
        assert_eq!(outcome(true), outcome(false), "{family:?}");
    }
}

#[test]
fn what_no_rule_is_for_is_handed_over_with_everything_known_of_it() {
    for family in FAMILIES {
        let mut site = Site::new(family, Settings::default());
        site.forwarder.install(ID, site.rule()).unwrap();
        let stranger = UdpPort::bind(SocketAddr::new(site.peer.local().ip(), 0), dscp(20)).unwrap();
        let mut binding = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        binding.resize(20, 7);
        let other = channel_data(CHANNEL + 1, b"other");
        mark(&site.client, 11, Ecn::Capable1);
        send(&site.client, site.here, &[binding.clone(), other.clone(), b"\r\n\r\n".to_vec()]);
        send(&stranger, site.there(), &[b"from a stranger".to_vec(), Vec::new()]);
        site.until_handled(5);
        let client = site.client();
        let from_client =
            |bytes| Unknown::FromClient { client, bytes, mark: dscp(11), ecn: Ecn::Capable1, excess: None };
        let (port, peer) = (site.port, stranger.local());
        let from_peer = |bytes| Unknown::FromPeer { port, peer, bytes, mark: dscp(20), ecn: Ecn::NotCapable };
        let mut seen = std::mem::take(&mut site.unknown);
        seen.sort_by_key(|unknown| matches!(unknown, Unknown::FromPeer { .. }));
        let expected = [
            from_client(binding),
            from_client(other),
            from_peer(b"from a stranger".to_vec()),
            from_peer(vec![]),
        ];
        assert_eq!(seen, expected, "{family:?}");
        assert_eq!((site.count(Count::UnknownFromClient), site.count(Count::UnknownFromPeer)), (2, 2));
        assert_eq!(site.count(Count::NotTurn), 1);
        nothing(&site.peer);
    }
}

#[test]
fn packets_of_a_flow_keep_their_order_whoever_carries_them() {
    let mut site = Site::plain();
    site.forwarder.install(ID, site.rule()).unwrap();
    // Every third packet takes the channel that has no rule; all have one length, so that many leave at once.
    let channel = |n: u8| if n.is_multiple_of(3) { CHANNEL + 1 } else { CHANNEL };
    let all: Vec<_> = (0..200u8).map(|n| channel_data(channel(n), &[n; 100])).collect();
    send(&site.client, site.here, &all);
    let rule = site.rule();
    let (mut seen, mut decided) = (0, 0);
    while seen < 200 {
        site.forwarder.poll(None).unwrap();
        while let Some(unknown) = site.forwarder.next_unknown() {
            let Unknown::FromClient { bytes, ecn, .. } = unknown else { panic!("{unknown:?}") };
            site.forwarder.send_to_peer(rule.port, rule.peer, &bytes[4..], dscp(18), ecn);
            decided += 1;
        }
        seen = handled(&site.forwarder);
    }
    let expected = (0..200u8).map(|n| (n, if n.is_multiple_of(3) { 18 } else { 46 }));
    assert!(arrived(&site.peer, 200).into_iter().map(|seen| (seen.1[0], seen.2)).eq(expected));
    assert_eq!(decided, 67);
}

/// A site whose relayed addresses may carry so many bytes a second.
fn bounded(bytes: u64) -> Site {
    let budgets = Budgets { port: NonZeroU64::new(bytes), ..Budgets::default() };
    Site::new(FAMILIES[0], Settings { budgets, ..Settings::default() })
}

/// What has passed the site's port since it was last asked.
fn news(site: &mut Site) -> Traffic {
    let news = site.forwarder.news();
    news.into_iter().find(|(port, _)| *port == site.port).map(|(_, traffic)| traffic).unwrap_or_default()
}

#[test]
fn a_budget_lets_so_much_pass_in_each_direction_and_counts_the_rest() {
    // A quarter of a second is 25 000 bytes, and one more packet begins before it is spent.
    let mut site = bounded(100_000);
    site.forwarder.install(ID, site.rule()).unwrap();
    let all: Vec<_> = (0..100).map(|_| vec![7; 972]).collect();
    let wrapped: Vec<_> = all.iter().map(|data| channel_data(CHANNEL, data)).collect();
    send(&site.client, site.here, &wrapped);
    send(&site.peer, site.there(), &all);
    site.until_handled(200);
    let traffic = news(&mut site);
    for passed in [traffic.to_peer, traffic.to_client] {
        assert!((26..50).contains(&passed.packets), "{passed:?}");
        assert_eq!((passed.bytes, passed.dropped), (passed.packets * 972, 100 - passed.packets));
    }
    assert_eq!(arrived(&site.peer, traffic.to_peer.packets as usize).len() as u64, traffic.to_peer.packets);
    nothing(&site.peer);
    assert_eq!(site.count(Count::OverBudget), traffic.to_peer.dropped + traffic.to_client.dropped);
}

/// Whoever sends by indications, or before a channel has a rule, has no second budget.
#[test]
fn rules_and_what_the_caller_sends_share_the_budget_of_their_port() {
    let mut site = bounded(100_000);
    let other = UdpPort::bind(SocketAddr::new(site.peer.local().ip(), 0), dscp(0)).unwrap();
    site.forwarder.install(RuleId(1), site.rule()).unwrap();
    site.forwarder
        .install(RuleId(2), Rule { channel: CHANNEL + 1, peer: other.local(), ..site.rule() })
        .unwrap();
    let all: Vec<_> = (0..100).map(|n| channel_data(CHANNEL + n % 2, &[7; 972])).collect();
    send(&site.client, site.here, &all);
    site.until_handled(100);
    let passed = news(&mut site).to_peer.packets;
    assert!((26..50).contains(&passed), "{passed}");
    // A moment more may have passed since; it is not another quarter of a second.
    let (port, peer, client) = (site.port, site.peer.local(), site.client());
    let mut own = || site.forwarder.send_to_peer(port, peer, &[7; 972], dscp(0), Ecn::NotCapable);
    assert!((0..20).filter(|_| own()).count() < 20);
    let charged = (port, Payload::of(&[7; 972]));
    let mut back = || site.forwarder.relay_to_client(charged, client, b"wrapped", dscp(0), Ecn::NotCapable);
    assert!((26..40).contains(&(0..100).filter(|_| back()).count()));
}

#[test]
fn connectivity_checks_are_counted() {
    let mut site = Site::plain();
    site.forwarder.install(ID, site.rule()).unwrap();
    let mut check = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    check.resize(20, 7);
    send(&site.client, site.here, &[channel_data(CHANNEL, &check), channel_data(CHANNEL, &[0x80; 20])]);
    send(&site.peer, site.there(), &[check]);
    site.until_handled(3);
    let passed = |packets| Passed { packets, bytes: 20 * packets, checks: 1, dropped: 0 };
    assert_eq!(news(&mut site), Traffic { to_peer: passed(2), to_client: passed(1) });
    assert!(site.forwarder.news().is_empty());
}

#[test]
fn a_rule_that_is_replaced_marks_anew() {
    let mut site = Site::plain();
    site.forwarder.install(ID, site.rule()).unwrap();
    send(&site.client, site.here, &[channel_data(CHANNEL, b"before")]);
    site.until_handled(1);
    site.forwarder.install(ID, Rule { to_peer: dscp(40), ..site.rule() }).unwrap();
    send(&site.client, site.here, &[channel_data(CHANNEL, b"after")]);
    site.until_handled(2);
    assert_eq!(arrived(&site.peer, 2).iter().map(|seen| seen.2).collect::<Vec<_>>(), [46, 40]);
    assert!(site.forwarder.remove(ID) && !site.forwarder.remove(ID));
    send(&site.client, site.here, &[channel_data(CHANNEL, b"without")]);
    send(&site.peer, site.there(), &[b"without".to_vec()]);
    site.until_handled(4);
    assert_eq!(site.unknown.len(), 2);
    let passed = Passed { packets: 2, bytes: 11, ..Passed::default() };
    assert_eq!(
        site.forwarder.close(site.port),
        Some(Traffic { to_peer: passed, to_client: Passed::default() })
    );
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let mut site = Site::new(FAMILIES[0], Settings { rules: 2, ..Settings::default() });
    let rule = site.rule();
    let peer: SocketAddr = "192.0.2.9:5000".parse().unwrap();
    assert_eq!(site.forwarder.install(ID, Rule { channel: 0x8000, ..rule }), Err(Refused::Channel(0x8000)));
    site.forwarder.install(ID, rule).unwrap();
    let second = Rule { channel: CHANNEL + 1, ..rule };
    let install = |site: &mut Site, id, rule| site.forwarder.install(RuleId(id), rule);
    assert_eq!(install(&mut site, 2, second), Err(Refused::PeerTaken(rule.peer)));
    assert_eq!(install(&mut site, 2, Rule { peer, ..rule }), Err(Refused::ChannelTaken(CHANNEL)));
    install(&mut site, 2, Rule { peer, ..second }).unwrap();
    let third = Rule { channel: CHANNEL + 2, peer: "192.0.2.10:5000".parse().unwrap(), ..rule };
    assert_eq!(install(&mut site, 3, third), Err(Refused::Full(2)));
    assert_eq!(site.forwarder.rules(), 2);
    assert!(site.forwarder.close(site.port).is_some());
    assert_eq!((site.forwarder.rules(), site.forwarder.install(ID, rule)), (0, Err(Refused::Closed)));
}

#[test]
fn a_relayed_address_is_open_from_when_it_is_asked_for_until_it_is_closed() {
    for address in ["127.0.0.1", "::1"] {
        let mut site = Site::new([address; 4], Settings::default());
        let leases = leases(forward::ip(address));
        let (relayed, reserved) = leases.relay(TrafficClass::Audio, Shape::Pair).unwrap();
        let (port, reserved) = (relayed.port().local(), reserved.unwrap());
        assert!(port.port().is_multiple_of(2) && reserved.address().port() == port.port() + 1);
        let is_open = |address| UdpPort::bind(address, dscp(0)).is_err();
        assert!(is_open(port) && !is_open(reserved.address()));
        assert_eq!(leases.counts()[0].leased, 2);
        let (above, id) = (reserved.address(), site.forwarder.open(relayed).unwrap());
        let other = site.forwarder.open(reserved.open().unwrap()).unwrap();
        assert!(is_open(above));
        assert!(site.forwarder.close(id).is_some() && site.forwarder.close(id).is_none());
        assert!(!is_open(port) && is_open(above));
        // Its place is used again; its number is not.
        let (next, none) = leases.relay(TrafficClass::Audio, Shape::Even).unwrap();
        assert!(none.is_none() && next.port().local().port().is_multiple_of(2));
        let next = site.forwarder.open(next).unwrap();
        assert_eq!(site.forwarder.port(id), None);
        assert!(!site.forwarder.send_to_peer(id, site.peer.local(), b"x", dscp(0), Ecn::NotCapable));
        assert!(site.forwarder.close(other).is_some() && site.forwarder.close(next).is_some());
        let counts = leases.counts()[0];
        // More rest if other programs hold ports.
        assert_eq!((counts.leased, counts.sessions), (0, 0));
        assert!(counts.quarantined >= 3);
    }
}

/// Nobody listens there any more: the caller hears it, and what is sent after that to others is not lost.
#[test]
fn what_the_network_cannot_deliver_is_told_and_costs_no_other_packet() {
    for (family, kind, code) in [(FAMILIES[0], 3, 3), (FAMILIES[1], 1, 4)] {
        let mut site = Site::new(family, Settings::default());
        let gone = UdpPort::bind(SocketAddr::new(site.peer.local().ip(), 0), dscp(0)).unwrap();
        let (port, nobody, peer) = (site.port, gone.local(), site.peer.local());
        drop(gone);
        assert!(site.forwarder.send_to_peer(port, nobody, b"to nobody", dscp(0), Ecn::NotCapable));
        site.forwarder.flush();
        for _ in 0..3 {
            assert!(site.forwarder.send_to_peer(port, peer, b"to the peer", dscp(0), Ecn::NotCapable));
            site.forwarder.flush();
        }
        assert_eq!(arrived(&site.peer, 3).len(), 3);
        site.until("complaint", |site| !site.unknown.is_empty());
        let complaint = Complaint { peer: nobody, kind, code, mtu: 0 };
        assert_eq!(site.unknown, [Unknown::Undelivered { port, complaint }]);
        assert_eq!(site.count(Count::Unsent), 0);
    }
}

/// Loopback is a little too narrow for the longest datagram of IPv6.
#[test]
fn what_must_stay_whole_is_not_cut_and_what_follows_may_be_again() {
    let mut site = Site::new(FAMILIES[1], Settings::default());
    let (port, peer, long) = (site.port, site.peer.local(), vec![7; 65_520]);
    assert!(site.forwarder.send_to_peer(port, peer, &long, dscp(10), Ecn::NotCapable));
    assert!(site.forwarder.send_whole_to_peer(port, peer, &long, dscp(12), Ecn::NotCapable));
    assert!(site.forwarder.send_whole_to_peer(port, peer, b"short", dscp(14), Ecn::NotCapable));
    assert!(site.forwarder.send_to_peer(port, peer, &long, dscp(18), Ecn::NotCapable));
    site.forwarder.flush();
    let marks: Vec<u8> = arrived(&site.peer, 3).iter().map(|(_, _, mark, _)| *mark).collect();
    assert_eq!(marks, [10, 14, 18]);
    nothing(&site.peer);
    assert_eq!(site.count(Count::Unsent), 1);
    site.until("complaint", |site| !site.unknown.is_empty());
    let complaint = Complaint { peer, kind: 2, code: 0, mtu: 65_536 };
    assert_eq!(site.unknown, [Unknown::Undelivered { port, complaint }]);
}

/// Another program holds the port above: there are other pairs.
#[test]
fn a_pair_whose_second_port_is_somebody_elses_is_passed_over() {
    let address = forward::ip("127.0.0.1");
    // Two pairs that nobody has.
    let (base, foreign) = (40_000..60_000)
        .step_by(4)
        .find_map(|base: u16| {
            let bind = |port| UdpPort::bind(SocketAddr::new(address, port), dscp(0)).ok();
            let all: Option<Vec<UdpPort>> = (base..base + 4).map(bind).collect();
            Some((base, all?.swap_remove(1)))
        })
        .unwrap();
    for seed in 0..8 {
        let ports = ClassPorts { range: PortRange::from_ends(base, base + 3), mark: dscp(0) };
        let policy = Policy { audio: ports, video: ports, sharing: ports, file_transfer: ports };
        let leases = Leases::new(policy, address, seed);
        let (relayed, reserved) = leases.relay(TrafficClass::Audio, Shape::Pair).unwrap();
        assert_eq!((relayed.port().local().port(), reserved.unwrap().address().port()), (base + 2, base + 3));
    }
    assert_eq!(foreign.local().port(), base + 1);
}

#[test]
fn what_came_to_a_port_that_was_closed_meanwhile_is_not_that_of_the_next() {
    let mut site = Site::plain();
    send(&site.peer, site.there(), &[b"1".to_vec(), b"2".to_vec()]);
    let mut seen = Vec::new();
    while seen.is_empty() {
        site.forwarder.poll(None).unwrap();
        while let Some(unknown) = site.forwarder.next_unknown() {
            seen.push(unknown);
            // Its place is taken at once.
            site.forwarder.close(site.port);
            let (relayed, _) = site.leases.relay(TrafficClass::Audio, Shape::Any).unwrap();
            site.port = site.forwarder.open(relayed).unwrap();
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

/// The port is gone when the turn ends; what it had to say is not.
#[test]
fn what_is_to_leave_by_a_port_leaves_before_it_is_closed() {
    let mut site = Site::plain();
    let peer = site.peer.local();
    assert!(site.forwarder.send_to_peer(site.port, peer, b"last", dscp(0), Ecn::NotCapable));
    assert!(site.forwarder.close(site.port).is_some());
    assert_eq!(arrived(&site.peer, 1).len(), 1);
}
