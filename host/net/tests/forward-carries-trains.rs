//! Datagrams of one flow may travel as one through the kernel: nobody can tell at the other end, not by their number,
//! order or length, and not by their marks.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

mod forward;

use carillon_net::forward::{Count, Rule, Settings};
use carillon_wire::ip::Ecn;

use forward::{CHANNEL, FAMILIES, ID, Site, arrived, channel_data, dscp, mark, nothing, send};

fn settings(segmentation: bool) -> Settings {
    Settings { segmentation, ..Settings::default() }
}

/// Payloads as pictures make them: eight of a length, the last shorter; then longer ones, and some that are empty.
fn pictures() -> Vec<Vec<u8>> {
    let lengths = [1200, 1200, 1200, 1200, 1200, 1200, 1200, 700, 700, 700, 1400, 1400, 0, 0, 3, 3, 1];
    let number = lengths.into_iter().cycle().enumerate().take(170);
    number.map(|(at, len)| (0..len).map(|n: usize| (n + at) as u8).collect()).collect()
}

#[test]
fn pictures_arrive_whole_and_in_order_with_trains_and_without() {
    for family in FAMILIES {
        for segmentation in [true, false] {
            let mut site = Site::new(family, settings(segmentation));
            site.forwarder.install(ID, site.rule()).unwrap();
            let wrapped: Vec<_> = pictures().iter().map(|data| channel_data(CHANNEL, data)).collect();
            send(&site.client, site.here, &wrapped);
            send(&site.peer, site.there(), &pictures());
            site.until_handled(340);
            let up = arrived(&site.peer, 170).into_iter().map(|(_, bytes, mark, _)| (bytes, mark));
            assert!(up.eq(pictures().into_iter().map(|bytes| (bytes, 46))), "{family:?} {segmentation}");
            let down = arrived(&site.client, 170).into_iter().map(|(_, bytes, mark, _)| (bytes, mark));
            assert!(down.eq(wrapped.into_iter().map(|bytes| (bytes, 34))), "{family:?} {segmentation}");
            nothing(&site.peer);
            assert_eq!(site.count(Count::Unsent), 0);
        }
    }
}

#[test]
fn what_comes_as_a_train_is_taken_apart_and_each_part_keeps_its_ecn() {
    for address in ["127.0.0.1", "::1"] {
        // The first forwarder's peer is a relayed address of the second: on loopback trains are not cut between them.
        let (mut first, mut second) =
            (Site::new([address; 4], settings(true)), Site::new([address; 4], settings(true)));
        first.forwarder.install(ID, Rule { peer: second.there(), ..first.rule() }).unwrap();
        second.forwarder.install(ID, Rule { peer: first.there(), ..second.rule() }).unwrap();
        let ecn = [Ecn::Capable0, Ecn::Congestion, Ecn::NotCapable, Ecn::Capable1];
        for (run, ecn) in ecn.into_iter().enumerate() {
            mark(&first.client, 5, ecn);
            let part: Vec<_> = (0..20u8).map(|n| channel_data(CHANNEL, &[run as u8 * 20 + n; 900])).collect();
            send(&first.client, first.here, &part);
        }
        first.until_handled(80);
        second.until_handled(80);
        let expected = (0..80u8).map(|n| (channel_data(CHANNEL, &[n; 900]), 34, ecn[usize::from(n) / 20]));
        let seen = arrived(&second.client, 80).into_iter().map(|(_, bytes, mark, ecn)| (bytes, mark, ecn));
        assert!(seen.eq(expected), "{address}");
    }
}

#[test]
fn datagrams_of_one_length_to_one_peer_keep_their_own_marks() {
    for family in FAMILIES {
        let mut site = Site::new(family, settings(true));
        let rule = site.rule();
        // The first is what the socket marks by itself.
        let marks = |n: u8| [0, 46, 46, 34, 0][usize::from(n % 5)];
        for n in 0..100u8 {
            site.forwarder.send_to_peer(rule.port, rule.peer, &[n; 500], dscp(marks(n)), Ecn::NotCapable);
            site.forwarder.send_to_client(rule.client, &[n; 500], dscp(marks(n)), Ecn::NotCapable);
        }
        site.forwarder.flush();
        for port in [&site.peer, &site.client] {
            let seen = arrived(port, 100).into_iter().map(|(_, bytes, mark, _)| (bytes[0], mark));
            assert!(seen.eq((0..100).map(|n| (n, marks(n)))), "{family:?}");
        }
    }
}
