//! The whole of it on a link: frames go in by one end of a veth pair, and what sockets send for them is compared with what the kernel
//! sends. In a network namespace of the test's thread; where that is not allowed, it is said and nothing is tested.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;
use std::time::Duration;

use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::Dscp;

use super::tests::{channel_data, frame, sum, udp_sum};
use crate::forward::{Account, Budgets, Client, Count, Forwarder, PortId, Rule, RuleId, Settings, Unknown};
use crate::lease::{ClassPorts, Leases, Policy, Shape};
use crate::packet_socket::{Batch, PacketSocket, interface_index};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 1);
const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 9, 1, 2), 40_000);
const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 9, 1, 3), 20_000);
const LISTENER: SocketAddrV4 = SocketAddrV4::new(OWN, 3478);
const CHANNEL: u16 = 0x4abc;
const ID: RuleId = RuleId(1);
/// `v0` is where clients and peers are, `v1` the relay's.
const LINK: &str = "link add v0 address 02:00:00:00:00:02 type veth peer name v1 address 02:00:00:00:00:01
    addr add 10.9.1.1/24 dev v1
    link set lo up
    link set v0 up
    link set v1 up
    neigh add 10.9.1.2 lladdr 02:00:00:00:00:02 dev v1 nud permanent
    neigh add 10.9.1.3 lladdr 02:00:00:00:00:02 dev v1 nud permanent";

/// A forwarder with one rule, and the other end of its link.
struct Site {
    wire: PacketSocket,
    forwarder: Forwarder,
    port: PortId,
    relayed: SocketAddrV4,
    rule: Rule,
}

impl Site {
    /// `None` where there can be none.
    fn new() -> Option<Site> {
        // SAFETY: no pointers; only this thread, and what it starts, changes its place.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            eprintln!("not tested: no network namespace: {}", std::io::Error::last_os_error());
            return None;
        }
        for line in LINK.lines() {
            let made = Command::new("ip").args(line.split_whitespace()).status();
            if !made.is_ok_and(|status| status.success()) {
                eprintln!("not tested: `ip {}` failed", line.trim());
                return None;
            }
        }
        let wire = PacketSocket::open(libc::SOCK_RAW).unwrap();
        wire.bind(interface_index("v0").unwrap(), libc::ETH_P_IP).unwrap();
        let mut forwarder = Forwarder::new(Settings { coalescing: None, ..Settings::default() }).unwrap();
        let listener = forwarder.listen(LISTENER.into(), Dscp::DEFAULT).unwrap();
        let ports = ClassPorts { range: PortRange::from_ends(50_000, 50_009), mark: Dscp::DEFAULT };
        let policy = Policy { audio: ports, video: ports, sharing: ports, file_transfer: ports };
        let leases = Leases::new(policy, OWN.into(), 1);
        let (relayed, _) = leases.relay(TrafficClass::Audio, Shape::Any).unwrap();
        let port = forwarder.open(relayed).unwrap();
        let Some(SocketAddr::V4(relayed)) = forwarder.port(port) else { panic!("IPv4") };
        let client = Client { listener, connection: 0, local: LISTENER.into(), remote: CLIENT.into() };
        let (to_peer, to_client) = (Dscp::EF, Dscp::DEFAULT);
        let rule = Rule { client, channel: CHANNEL, port, peer: PEER.into(), to_peer, to_client };
        forwarder.install(ID, rule).unwrap();
        Some(Site { wire, forwarder, port, relayed, rule })
    }

    /// From now on the kernel carries the rule. False where it may not be asked to.
    fn use_kernel(&mut self) -> bool {
        if let Err(why) = self.forwarder.use_kernel(&[OWN.into()]) {
            eprintln!("not tested: {why}");
            return false;
        }
        self.forwarder.install(ID, self.rule).unwrap();
        assert_eq!(self.forwarder.in_kernel().map(|kernel| (kernel.rules, kernel.interfaces)), Some((1, 1)));
        true
    }

    /// What leaves by the link for a frame, and how much of it came to the forwarder's caller.
    fn pass(&mut self, mut frame: Vec<u8>) -> (Vec<Vec<u8>>, usize) {
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        self.wire.send(&frame).unwrap();
        self.forwarder.poll(Some(Duration::from_millis(20))).unwrap();
        let mut unknown = 0;
        while let Some(packet) = self.forwarder.next_unknown() {
            unknown += usize::from(matches!(packet, Unknown::FromClient { .. } | Unknown::FromPeer { .. }));
        }
        let (mut batch, mut left) = (Batch::new(2048), Vec::new());
        while let Ok(frames) = self.wire.receive(&mut batch) {
            // Of ours, UDP: a port that is closed is told by ICMP.
            let is_ours = |bytes: &[u8]| bytes.get(26..30) == Some(&OWN.octets()) && bytes[23] == 17;
            let came = frames.filter(|frame| is_ours(frame.bytes));
            left.extend(came.map(|frame| finished(frame.bytes.to_vec())));
        }
        (left, unknown)
    }

    fn to_peer(&self, data: &[u8], traffic: u8, ttl: u8) -> Vec<u8> {
        frame((CLIENT, LISTENER), traffic, ttl, &channel_data(CHANNEL, data))
    }

    fn to_client(&self, data: &[u8], traffic: u8, ttl: u8) -> Vec<u8> {
        frame((PEER, self.relayed), traffic, ttl, data)
    }
}

/// What a card does for a socket: it finishes the checksum. The identification means nothing of a packet that is not cut (RFC 6864);
/// sockets number them, the program does not.
fn finished(mut frame: Vec<u8>) -> Vec<u8> {
    let mut thought = frame[26..34].to_vec();
    thought.extend([0, 17]);
    thought.extend(&frame[38..40]);
    if frame[40..42] == sum(&thought).to_be_bytes() {
        frame[40..42].fill(0);
        let sum = udp_sum(&frame[14..34], &frame[34..]);
        frame[40..42].copy_from_slice(&sum.to_be_bytes());
    }
    if frame[20] & 0x40 != 0 {
        [18, 19, 24, 25].into_iter().for_each(|at| frame[at] = 0);
        let sum = !sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

fn media(len: usize) -> Vec<u8> {
    (0..len).map(|at| 0x80 | (at * 7) as u8).collect()
}

#[test]
fn the_kernel_sends_what_sockets_send() {
    let Some(mut site) = Site::new() else { return };
    let mut frames = Vec::new();
    for (number, len) in [18, 19, 172, 1000, 1468].into_iter().enumerate() {
        let (traffic, ttl) = ([0xb8, 0x01, 0x03, 0xff, 0][number], [1, 2, 64, 255, 128][number]);
        frames.push(site.to_peer(&media(len), traffic, ttl));
        frames.push(site.to_client(&media(len), traffic, ttl));
    }
    let pass_all = |site: &mut Site| -> Vec<Vec<Vec<u8>>> {
        frames.iter().map(|frame| site.pass(frame.clone()).0).collect()
    };
    let by_sockets = pass_all(&mut site);
    assert!(by_sockets.iter().all(|left| left.len() == 1));
    if !site.use_kernel() {
        return;
    }
    let by_kernel = pass_all(&mut site);
    for (kernel, sockets) in by_kernel.iter().flatten().zip(by_sockets.iter().flatten()) {
        assert_eq!((&kernel[..46], kernel.len()), (&sockets[..46], sockets.len()), "headers");
        assert_eq!(kernel, sockets);
    }
    assert_eq!(by_kernel.concat().len(), by_sockets.len());
    let _ = site.forwarder.news();
    let counts = site.forwarder.counts();
    assert_eq!((counts.of(Count::ToPeerInKernel), counts.of(Count::ToPeer)), (5, 10));
    assert_eq!((counts.of(Count::ToClientInKernel), counts.of(Count::ToClient)), (5, 10));
}

#[test]
fn what_the_kernel_carries_is_told_and_charged_as_what_sockets_carry() {
    let Some(mut site) = Site::new() else { return };
    if !site.use_kernel() {
        return;
    }
    let (up, down) = (site.to_peer(&media(100), 0, 64), site.to_client(&media(60), 0, 64));
    (0..3).for_each(|_| assert_eq!(site.pass(up.clone()).0.len(), 1));
    assert_eq!(site.pass(down).0.len(), 1);
    let news = site.forwarder.news();
    let [(port, traffic)] = news[..] else { panic!("{news:?}") };
    assert_eq!(port, site.port);
    assert_eq!((traffic.to_peer.packets, traffic.to_peer.bytes), (3, 300));
    assert_eq!((traffic.to_client.packets, traffic.to_client.bytes), (1, 60));
    // 1000 bytes a second: 250 of them at once, in the kernel and not.
    let budgets = Budgets { port: std::num::NonZeroU64::new(1000), ..Budgets::default() };
    site.forwarder.set_budgets(budgets);
    let passed: usize = (0..6).map(|_| site.pass(up.clone()).0.len()).sum();
    assert!((2..4).contains(&passed), "{passed} passed");
    let last = site.forwarder.close(site.port).unwrap();
    assert_eq!((last.to_peer.packets, last.to_peer.dropped), (passed as u64, 6 - passed as u64));
    assert_eq!(site.forwarder.counts().of(Count::OverBudget), 6 - passed as u64);
}

/// The program does not know of groups.
#[test]
fn while_a_group_has_a_budget_sockets_carry_what_it_pays() {
    let Some(mut site) = Site::new() else { return };
    site.forwarder.charge_to(site.port, Account(1), Some(Account(2)));
    if !site.use_kernel() {
        return;
    }
    let rules = |site: &Site| site.forwarder.in_kernel().map(|kernel| kernel.rules);
    assert_eq!(rules(&site), Some(1), "without a budget");
    site.forwarder.set_budgets(Budgets { group: std::num::NonZeroU64::new(1000), ..Budgets::default() });
    assert_eq!(rules(&site), Some(0));
    let up = site.to_peer(&media(100), 0, 64);
    let passed: usize = (0..6).map(|_| site.pass(up.clone()).0.len()).sum();
    assert!((2..4).contains(&passed), "{passed} passed");
    site.forwarder.set_budgets(Budgets::default());
    assert_eq!(rules(&site), Some(1), "without one again");
}

#[test]
fn a_rule_has_its_marks_anew_and_its_end_at_once() {
    let Some(mut site) = Site::new() else { return };
    if !site.use_kernel() {
        return;
    }
    let (up, down) = (site.to_peer(&media(100), 0, 64), site.to_client(&media(100), 0, 64));
    let mark = |frames: &[Vec<u8>]| frames.iter().map(|frame| frame[15] >> 2).collect::<Vec<_>>();
    assert_eq!(mark(&site.pass(up.clone()).0), [46]);
    let other = Rule { to_peer: Dscp::new(40).unwrap(), to_client: Dscp::new(34).unwrap(), ..site.rule };
    site.forwarder.install(ID, other).unwrap();
    assert_eq!(mark(&site.pass(up.clone()).0), [40]);
    assert_eq!(mark(&site.pass(down.clone()).0), [34]);
    let in_kernel = |site: &mut Site| {
        let _ = site.forwarder.news();
        site.forwarder.counts().of(Count::ToPeerInKernel)
            + site.forwarder.counts().of(Count::ToClientInKernel)
    };
    assert_eq!(in_kernel(&mut site), 3);
    assert!(site.forwarder.remove(ID));
    assert_eq!(site.pass(up.clone()), (vec![], 1), "the client's packets are the core's to decide");
    assert_eq!(site.pass(down.clone()), (vec![], 1), "and the peer's");
    site.forwarder.install(ID, site.rule).unwrap();
    assert_eq!(site.pass(down.clone()).0.len(), 1);
    site.forwarder.close(site.port).unwrap();
    assert_eq!(site.pass(down).0, Vec::<Vec<u8>>::new(), "a closed port");
    assert_eq!(in_kernel(&mut site), 4);
}

/// Nobody has to tell it that a route is another one now.
#[test]
fn a_route_that_changes_is_followed() {
    let Some(mut site) = Site::new() else { return };
    if !site.use_kernel() {
        return;
    }
    let ip = |line: &str| assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success());
    ip("route add unreachable 10.9.1.3/32");
    let _ = site.forwarder.news();
    assert_eq!(site.forwarder.in_kernel().map(|kernel| kernel.rules), Some(0));
    ip("route del unreachable 10.9.1.3/32");
    ip("route add 10.9.1.3/32 dev v1 mtu 600");
    let _ = site.forwarder.news();
    assert_eq!(site.forwarder.in_kernel().map(|kernel| kernel.rules), Some(1));
    // What is too long now is cut by the sockets.
    let long = site.to_peer(&media(1000), 0, 64);
    assert_eq!(site.pass(long).0.len(), 2);
    let short = site.to_peer(&media(500), 0, 64);
    assert_eq!(site.pass(short).0.len(), 1);
    let _ = site.forwarder.news();
    assert_eq!(site.forwarder.counts().of(Count::ToPeerInKernel), 1);
}
