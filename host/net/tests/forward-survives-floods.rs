//! Strangers who send too much are dropped by name; what rules are for, and those who are trusted, goes on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod forward;

use std::net::SocketAddr;

use carillon_net::forward::{Client, Count, Settings, Strangers, Unknown};
use carillon_net::udp::UdpPort;

use forward::{CHANNEL, FAMILIES, ID, Site, arrived, channel_data, dscp, handled, ip, send};

fn binding() -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    bytes.resize(20, 7);
    bytes
}

fn limited(per_source: u32, together: u32) -> Settings {
    Settings { strangers: Strangers { per_source, together, ..Strangers::default() }, ..Settings::default() }
}

/// Sends a thousand requests from each, with a packet of a flow behind every hundred; returns how many of each passed.
fn flood(site: &mut Site, strangers: &[UdpPort]) -> (usize, usize) {
    site.forwarder.install(ID, site.rule()).unwrap();
    let (requests, mut sent) = (vec![binding(); 100], 0);
    for _ in 0..10 {
        for stranger in strangers {
            send(stranger, site.here, &requests);
            send(&site.client, site.here, &[channel_data(CHANNEL, b"speech")]);
            send(&site.peer, site.there(), &[b"speech".to_vec()]);
            sent += 102;
        }
        site.until("all", |site| handled(&site.forwarder) >= sent);
    }
    let flows = 10 * strangers.len();
    let arrived = arrived(&site.peer, flows).len() + arrived(&site.client, flows).len();
    (site.unknown.len(), arrived)
}

#[test]
fn one_source_that_floods_is_limited_and_a_flow_on_the_same_listener_goes_on() {
    let mut site = Site::new(FAMILIES[0], limited(20, 1_000_000));
    let stranger = UdpPort::bind("127.0.0.9:0".parse().unwrap(), dscp(0)).unwrap();
    let (unknown, speech) = flood(&mut site, &[stranger]);
    assert_eq!(speech, 20);
    // Twenty at once and twenty a second: this takes less than ten seconds.
    assert!((20..220).contains(&unknown), "{unknown}");
    assert_eq!(site.count(Count::SourceLimited) + unknown as u64, 1000);
    assert_eq!((site.count(Count::ToPeer), site.count(Count::ToClient)), (10, 10));
}

#[test]
fn many_sources_that_flood_are_limited_together_and_a_flow_goes_on() {
    let mut site = Site::new(FAMILIES[0], limited(1_000_000, 30));
    let bind = |n| UdpPort::bind(SocketAddr::new(ip(&format!("127.0.3.{n}")), 0), dscp(0)).unwrap();
    let strangers: Vec<_> = (1..=20).map(bind).collect();
    let (unknown, speech) = flood(&mut site, &strangers);
    assert_eq!(speech, 400);
    assert!((30..600).contains(&unknown), "{unknown}");
    assert_eq!(site.count(Count::Flooded) + unknown as u64, 20_000);
}

#[test]
fn whoever_is_trusted_is_not_limited_until_trust_ends() {
    let mut site = Site::new(FAMILIES[0], limited(1, 1));
    let stranger = UdpPort::bind("127.0.0.9:0".parse().unwrap(), dscp(0)).unwrap();
    send(&stranger, site.here, &vec![binding(); 50]);
    site.until_handled(50);
    let before = site.unknown.len() as u64;
    let client: Client = site.client();
    site.forwarder.trust(client);
    send(&site.client, site.here, &vec![binding(); 50]);
    site.until_handled(100);
    assert_eq!(site.unknown.len() as u64, before + 50);
    site.forwarder.distrust(client);
    send(&site.client, site.here, &vec![binding(); 50]);
    site.until_handled(150);
    assert!(site.count(Count::SourceLimited) + site.count(Count::Flooded) > 50);
}

/// Phones behind an address that somebody floods from: whoever was here before is let in, as the caller finds.
#[test]
fn what_is_too_much_is_handed_over_for_a_second_look_so_often_and_then_dropped() {
    let strangers = Strangers { per_source: 1, together: 1000, looks_per_source: 20, ..Strangers::default() };
    let mut site = Site::new(FAMILIES[0], Settings { strangers, ..Settings::default() });
    let mut seen = Vec::new();
    send(&site.client, site.here, &vec![binding(); 200]);
    while handled(&site.forwarder) < 200 {
        site.forwarder.poll(None).unwrap();
        while let Some(unknown) = site.forwarder.next_unknown() {
            let Unknown::FromClient { client, excess, .. } = unknown else { panic!("{unknown:?}") };
            seen.push(excess);
            excess
                .into_iter()
                .for_each(|count| site.forwarder.judge(client, count, seen.len().is_multiple_of(2)));
        }
    }
    let looks = seen.iter().filter(|excess| **excess == Some(Count::SourceLimited)).count() as u64;
    assert!(seen[0].is_none() && (20..150).contains(&looks), "{seen:?}");
    let (known, unknown) = (site.count(Count::Recognised), site.count(Count::UnknownFromClient));
    assert!(known.abs_diff(looks / 2) <= 2, "{known} of {looks}");
    assert_eq!(site.count(Count::SourceLimited) + known + unknown, 200);
}

#[test]
fn what_cannot_be_turn_reaches_nobody() {
    let mut site = Site::plain();
    let mut wrong_cookie = binding();
    wrong_cookie[4] = 0;
    let all =
        [vec![], vec![0x16, 3, 1, 0, 0], vec![0x80; 172], wrong_cookie, vec![0xff; 20], vec![0x40, 0, 0]];
    send(&site.client, site.here, &all);
    site.until_handled(6);
    assert_eq!((site.count(Count::NotTurn), site.unknown.len()), (6, 0));
}
