//! The whole of it on a link: frames go in by one end of a veth pair, and what sockets send for them is compared with what the kernel
//! sends. In a network namespace of the test's thread; where that is not allowed, it is said and nothing is tested.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use carillon_qos::{PortRange, TrafficClass};
use carillon_wire::ip::Dscp;

use super::DOUBTS;
use super::layout::{Family, octets};
use super::tests::{channel_data, frame, sum, udp_sum, unlabelled};
use crate::forward::{Account, Budgets, Client, Count, Forwarder, PortId, Rule, RuleId, Settings, Unknown};
use crate::lease::{ClassPorts, Leases, Policy, Shape};
use crate::packet_socket::{Batch, PacketSocket, interface_index};
use crate::udp::Complaint;

const CHANNEL: u16 = 0x4abc;
const ID: RuleId = RuleId(1);
/// `v0` is where clients and peers are, `v1` the relay's.
const LINK: &str = "link add v0 address 02:00:00:00:00:02 type veth peer name v1 address 02:00:00:00:00:01
    addr add 10.9.1.1/24 dev v1
    addr add fd09::1/64 dev v1 nodad
    link set lo up
    link set v0 up
    link set v1 up
    neigh add 10.9.1.2 lladdr 02:00:00:00:00:02 dev v1 nud permanent
    neigh add 10.9.1.3 lladdr 02:00:00:00:00:02 dev v1 nud permanent
    neigh add fd09::2 lladdr 02:00:00:00:00:02 dev v1 nud permanent
    neigh add fd09::3 lladdr 02:00:00:00:00:02 dev v1 nud permanent";

/// The relay, a client and a peer on the link.
fn on_link(family: Family) -> [IpAddr; 3] {
    [1, 2, 3].map(|host| match family {
        Family::V4 => Ipv4Addr::new(10, 9, 1, host).into(),
        Family::V6 => Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, host.into()).into(),
    })
}

/// A forwarder with one rule, and the other end of its link.
struct Site {
    wire: PacketSocket,
    forwarder: Forwarder,
    port: PortId,
    relayed: SocketAddr,
    rule: Rule,
}

impl Site {
    /// `None` where there can be none.
    fn new() -> Option<Site> {
        Site::of(Family::V4)
    }

    fn of(family: Family) -> Option<Site> {
        // SAFETY: no pointers; only this thread, and what it starts, changes its place.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            eprintln!("not tested: no network namespace: {}", std::io::Error::last_os_error());
            return None;
        }
        if !LINK.lines().all(|line| can(&format!("ip {}", line.trim()))) {
            return None;
        }
        let wire = PacketSocket::open(libc::SOCK_RAW).unwrap();
        let kind = if family == Family::V4 { libc::ETH_P_IP } else { libc::ETH_P_IPV6 };
        wire.bind(interface_index("v0").unwrap(), kind).unwrap();
        let [own, client, peer] = on_link(family);
        let (address, peer) = (SocketAddr::new(own, 3478), SocketAddr::new(peer, 20_000));
        let mut forwarder = Forwarder::new(Settings { coalescing: None, ..Settings::default() }).unwrap();
        let listener = forwarder.listen(address, Dscp::DEFAULT).unwrap();
        let ports = ClassPorts { range: PortRange::from_ends(50_000, 50_009), mark: Dscp::DEFAULT };
        let policy = Policy { audio: ports, video: ports, sharing: ports, file_transfer: ports };
        let leases = Leases::new(policy, own, 1);
        let (relayed, _) = leases.relay(TrafficClass::Audio, Shape::Any).unwrap();
        let port = forwarder.open(relayed).unwrap();
        let relayed = forwarder.port(port).unwrap();
        let client =
            Client { listener, connection: 0, local: address, remote: SocketAddr::new(client, 40_000) };
        let (to_peer, to_client) = (Dscp::EF, Dscp::DEFAULT);
        let rule = Rule { client, channel: CHANNEL, port, peer, to_peer, to_client };
        forwarder.install(ID, rule).unwrap();
        Some(Site { wire, forwarder, port, relayed, rule })
    }

    /// From now on the kernel carries the rule. False where it may not be asked to.
    fn use_kernel(&mut self) -> bool {
        if let Err(why) = self.forwarder.use_kernel(&[self.relayed.ip()]) {
            eprintln!("not tested: {why}");
            return false;
        }
        self.forwarder.install(ID, self.rule).unwrap();
        assert_eq!(self.forwarder.in_kernel().map(|kernel| (kernel.rules, kernel.interfaces)), Some((1, 1)));
        true
    }

    /// What leaves by the link for a frame, and how much of it came to the forwarder's caller.
    fn pass(&mut self, frame: Vec<u8>) -> (Vec<Vec<u8>>, usize) {
        self.send(frame);
        self.left()
    }

    fn send(&self, mut frame: Vec<u8>) {
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        self.wire.send(&frame).unwrap();
    }

    fn left(&mut self) -> (Vec<Vec<u8>>, usize) {
        self.forwarder.poll(Some(Duration::from_millis(20))).unwrap();
        let mut unknown = 0;
        while let Some(packet) = self.forwarder.next_unknown() {
            unknown += usize::from(matches!(packet, Unknown::FromClient { .. } | Unknown::FromPeer { .. }));
        }
        let (mut batch, mut left) = (Batch::new(9216), Vec::new());
        while let Ok(frames) = self.wire.receive(&mut batch) {
            // Of ours, UDP: a port that is closed is told by ICMP.
            let is_ours = |bytes: &[u8]| match self.relayed.ip() {
                IpAddr::V4(own) => bytes.get(26..30) == Some(&own.octets()) && bytes[23] == 17,
                // What is cut has another header first, and is UDP all the same.
                IpAddr::V6(own) => bytes.get(22..38) == Some(&own.octets()) && [17, 44].contains(&bytes[20]),
            };
            let came = frames.filter(|frame| is_ours(frame.bytes));
            left.extend(came.map(|frame| finished(frame.bytes.to_vec())));
        }
        (left, unknown)
    }

    fn to_peer(&self, data: &[u8], traffic: u8, ttl: u8) -> Vec<u8> {
        frame((self.rule.client.remote, self.rule.client.local), traffic, ttl, &channel_data(CHANNEL, data))
    }

    fn to_client(&self, data: &[u8], traffic: u8, ttl: u8) -> Vec<u8> {
        frame((self.rule.peer, self.relayed), traffic, ttl, data)
    }
}

/// What a card does for a socket: it finishes the checksum. The identification means nothing of a packet that is not cut (RFC 6864);
/// sockets number them, the program does not. Of IPv6 both choose a flow label, each its own.
fn finished(mut frame: Vec<u8>) -> Vec<u8> {
    if frame[12] == 0x86 {
        return finished_v6(unlabelled(frame).0);
    }
    let mut thought = frame[26..34].to_vec();
    thought.extend([0, 17]);
    thought.extend(&frame[38..40]);
    if frame[40..42] == sum(&thought).to_be_bytes() {
        frame[40..42].fill(0);
        let sum = udp_sum(&frame[26..34], &frame[34..]);
        frame[40..42].copy_from_slice(&sum.to_be_bytes());
    }
    if frame[20] & 0x40 != 0 {
        [18, 19, 24, 25].into_iter().for_each(|at| frame[at] = 0);
        let sum = !sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

fn finished_v6(mut frame: Vec<u8>) -> Vec<u8> {
    let mut thought = frame[22..54].to_vec();
    thought.extend([0, 17]);
    thought.extend(&frame[58..60]);
    if frame[20] == 17 && frame[60..62] == sum(&thought).to_be_bytes() {
        frame[60..62].fill(0);
        let sum = udp_sum(&frame[22..54], &frame[54..]);
        frame[60..62].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

/// What a router says of a packet that one of ours has sent: ICMP of this type and code.
fn icmp(kind: [u8; 2], data: u32, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    // Of the packet itself, what routers quote at least (RFC 792; RFC 4443 wants more, and takes less).
    let quoted = &frame((from, to), 0, 64, &[0x80; 8])[14..];
    let mut message = [&kind[..], &[0, 0], &data.to_be_bytes(), quoted].concat();
    let thought = |protocol: u8, len: usize| {
        let addresses = [octets(to.ip()), octets(from.ip())].concat();
        [&addresses[..], &(len as u32).to_be_bytes(), &[0, 0, 0, protocol]].concat()
    };
    let (number, summed) = match from.ip() {
        IpAddr::V4(_) => (1, message.clone()),
        IpAddr::V6(_) => (58, [thought(58, message.len()), message.clone()].concat()),
    };
    message[2..4].copy_from_slice(&(!sum(&summed)).to_be_bytes());
    // A frame of UDP of the same length, with another protocol.
    let mut frame = frame((to, from), 0, 64, &message[8..]);
    let behind = frame.len() - message.len();
    frame[behind..].copy_from_slice(&message);
    match from.ip() {
        IpAddr::V4(_) => {
            frame[23] = number;
            frame[24..26].fill(0);
            let sum = !sum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        IpAddr::V6(_) => frame[20] = number,
    }
    frame
}

/// Whether a command has done what it was to do; where not, that is said.
fn can(line: &str) -> bool {
    let mut words = line.split(' ');
    let done = words.next().map(|program| Command::new(program).args(words).status());
    let done = done.is_some_and(|status| status.is_ok_and(|status| status.success()));
    if !done {
        eprintln!("not tested: `{line}` failed");
    }
    done
}

/// The same of a setting of the kernel.
fn can_set(file: &str, value: &str) -> bool {
    let set = std::fs::write(file, value);
    set.inspect_err(|error| eprintln!("not tested: {file} can't be written: {error}")).is_ok()
}

fn ip(line: &str) {
    assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success(), "ip {line}");
}

fn media(len: usize) -> Vec<u8> {
    (0..len).map(|at| 0x80 | (at * 7) as u8).collect()
}

#[test]
fn the_kernel_sends_what_sockets_send() {
    compare(Family::V4, 1468);
}

#[test]
fn the_kernel_sends_what_sockets_send_by_ipv6() {
    compare(Family::V6, 1448);
}

fn compare(family: Family, longest: usize) {
    let Some(mut site) = Site::of(family) else { return };
    let mut frames = Vec::new();
    for (number, len) in [18, 19, 172, 1000, longest].into_iter().enumerate() {
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

/// Drivers leave the most part of a long frame where it came to lie, and so does a packet socket: of these 14 bytes are in one piece.
#[test]
fn frames_in_pieces_are_carried_as_a_whole() {
    for family in Family::ALL {
        let Some(mut site) = Site::of(family) else { return };
        ["v0", "v1"].into_iter().for_each(|end| ip(&format!("link set {end} mtu 9000")));
        let frames = [site.to_peer(&media(6000), 0, 64), site.to_client(&media(6000), 0, 64)];
        let by_sockets = frames.clone().map(|frame| site.pass(frame).0);
        assert!(by_sockets.iter().all(|left| left.len() == 1));
        if !site.use_kernel() {
            return;
        }
        assert_eq!(frames.map(|frame| site.pass(frame).0), by_sockets);
        let _ = site.forwarder.news();
        let counts = site.forwarder.counts();
        assert_eq!((counts.of(Count::ToPeerInKernel), counts.of(Count::ToClientInKernel)), (1, 1));
    }
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

/// A site's budget is one, whichever of its users' ports a packet passes, and whoever carries it.
#[test]
fn a_group_pays_for_what_the_kernel_carries_and_for_what_sockets_do() {
    let Some(mut site) = Site::new() else { return };
    site.forwarder.charge_to(site.port, Account(1), Some(Account(2)));
    if !site.use_kernel() {
        return;
    }
    site.forwarder.set_budgets(Budgets { group: std::num::NonZeroU64::new(1000), ..Budgets::default() });
    assert_eq!(site.forwarder.in_kernel().map(|kernel| kernel.rules), Some(1));
    // 1000 bytes a second: 250 of them at once, of which a socket spends 128.
    let mut check = media(100);
    check[0] = 0;
    let (check, up) = (site.to_peer(&check, 0, 64), site.to_peer(&media(100), 0, 64));
    assert_eq!(site.pass(check).0.len(), 1);
    let passed: usize = (0..6).map(|_| site.pass(up.clone()).0.len()).sum();
    assert!((1..3).contains(&passed), "{passed} passed");
    let _ = site.forwarder.news();
    assert_eq!(site.forwarder.counts().of(Count::ToPeerInKernel), passed as u64);
    site.forwarder.set_budgets(Budgets::default());
    assert_eq!(site.pass(up).0.len(), 1, "without a budget");
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

/// Anybody can send complaints in somebody's name, as fast as the link is.
#[test]
fn complaints_of_the_network_cost_little() {
    let Some(mut site) = Site::new() else { return };
    if !site.use_kernel() {
        return;
    }
    // A change that nobody tells shows when a way was looked up.
    let hops = |number: &str| can_set("/proc/sys/net/ipv4/ip_default_ttl", number);
    let ttl = |site: &mut Site| site.pass(site.to_peer(&media(100), 0, 64)).0[0][22];
    let complain = |site: &mut Site, kind: [u8; 2], data: u32| {
        let _ = site.pass(icmp(kind, data, site.relayed, site.rule.peer));
    };
    let before = ttl(&mut site);
    if !hops("77") {
        return;
    }
    complain(&mut site, [3, 3], 0);
    let _ = site.forwarder.news();
    assert_eq!(ttl(&mut site), before, "of a port that is closed no way is longer or shorter");
    complain(&mut site, [3, 4], 1400);
    assert_eq!(ttl(&mut site), before, "not for each of them");
    let _ = site.forwarder.news();
    assert_eq!(ttl(&mut site), 77, "once a second");
    assert!(hops("88"));
    let budgets = Budgets { port: std::num::NonZeroU64::new(1_000_000), ..Budgets::default() };
    site.forwarder.set_budgets(budgets);
    site.forwarder.install(ID, Rule { to_peer: Dscp::DEFAULT, ..site.rule }).unwrap();
    assert_eq!(ttl(&mut site), 77, "another plan does not lead another way");
}

/// However many there are.
#[test]
fn doubts_are_settled_a_few_at_a_time() {
    let Some(mut site) = Site::new() else { return };
    if !site.use_kernel() {
        return;
    }
    let peers: Vec<SocketAddr> =
        (10..210).map(|host| SocketAddr::new(Ipv4Addr::new(10, 9, 1, host).into(), 20_000)).collect();
    for (number, peer) in (2..).zip(&peers) {
        let rule = Rule { peer: *peer, channel: CHANNEL + number, ..site.rule };
        site.forwarder.install(RuleId(number.into()), rule).unwrap();
    }
    let kernel = site.forwarder.kernel.as_mut().unwrap();
    for _ in 0..3 {
        let about = |peer: &SocketAddr| Complaint { peer: *peer, kind: 3, code: 4, mtu: 1400 };
        peers.iter().for_each(|peer| kernel.hear(&about(peer)));
        kernel.hear(&about(&"192.0.2.1:9".parse().unwrap()));
    }
    assert_eq!(kernel.doubted.len(), 200, "each once, and no strangers");
    let _ = kernel.news();
    assert_eq!(kernel.doubted.len(), 200 - DOUBTS);
    let _ = kernel.news();
    assert_eq!(kernel.doubted.len(), 0);
    (2..202).for_each(|number| assert!(site.forwarder.remove(RuleId(number))));
    let kernel = site.forwarder.kernel.as_ref().unwrap();
    assert_eq!(kernel.remotes.len(), 2, "of rules that are gone nothing is kept");
}

/// The route says in what packets are to be wrapped, which the program can't do.
#[test]
fn a_route_that_wraps_packets_is_left_to_the_sockets() {
    let Some(mut site) = Site::new() else { return };
    if !site.use_kernel() {
        return;
    }
    if !can("ip route add 10.9.1.3/32 encap ip id 7 dst 10.9.1.2 via 10.9.1.2 dev v1") {
        return;
    }
    let _ = site.forwarder.news();
    assert_eq!(site.forwarder.in_kernel().map(|kernel| kernel.rules), Some(0));
}

/// Where the policies of this machine say what is to be enciphered, nothing leaves in clear.
#[test]
fn policies_of_ipsec_are_left_to_the_sockets() {
    let Some(mut site) = Site::new() else { return };
    if !site.use_kernel() {
        return;
    }
    let facts = |site: &mut Site| {
        let _ = site.forwarder.news();
        site.forwarder.in_kernel().map(|kernel| (kernel.rules, kernel.has_ipsec))
    };
    let up = site.to_peer(&media(100), 0, 64);
    assert_eq!(facts(&mut site), Some((1, false)));
    let ends = "src 10.9.1.1 dst 10.9.1.3";
    if !can(&format!("ip xfrm policy add {ends} dir out tmpl {ends} proto esp mode tunnel")) {
        return;
    }
    assert_eq!(facts(&mut site), Some((0, true)));
    assert_eq!(site.pass(up.clone()).0, Vec::<Vec<u8>>::new(), "nobody has keys");
    site.forwarder.install(ID, site.rule).unwrap();
    assert_eq!(site.pass(up.clone()).0, Vec::<Vec<u8>>::new(), "nor for a new rule");
    ip("xfrm policy flush");
    assert_eq!(facts(&mut site), Some((1, false)));
    assert_eq!(site.pass(up).0.len(), 1);
}

/// Somewhere on the way to a client, or to a peer, is a tunnel that nobody knew of.
#[test]
fn a_way_that_turns_out_to_be_narrow_is_followed() {
    for family in Family::ALL {
        for towards_client in [false, true] {
            let Some(mut site) = Site::of(family) else { return };
            if !site.use_kernel() {
                return;
            }
            let (long, from, to) = match towards_client {
                true => {
                    (site.to_client(&media(1400), 0, 64), site.rule.client.local, site.rule.client.remote)
                }
                false => (site.to_peer(&media(1400), 0, 64), site.relayed, site.rule.peer),
            };
            assert_eq!(site.pass(long.clone()).0.len(), 1);
            let too_big = if family == Family::V4 { [3, 4] } else { [2, 0] };
            assert_eq!(site.pass(icmp(too_big, 1300, from, to)).0, Vec::<Vec<u8>>::new());
            let _ = site.forwarder.news();
            let left: Vec<usize> = site.pass(long).0.iter().map(Vec::len).collect();
            assert!(left.len() == 2 && left.iter().all(|len| *len <= 14 + 1300), "cut: {left:?}");
            let _ = site.forwarder.news();
            let counts = site.forwarder.counts();
            assert_eq!(counts.of(Count::ToPeerInKernel) + counts.of(Count::ToClientInKernel), 1);
        }
    }
}

/// What the network says of others costs nobody a packet.
#[test]
fn complaints_about_clients_are_no_loss() {
    let Some(mut site) = Site::new() else { return };
    if !site.use_kernel() {
        return;
    }
    let (local, gone) = (site.rule.client.local, "10.9.1.77:9".parse().unwrap());
    let stun = site.to_client(&[0; 40], 0, 64);
    for round in 0..3 {
        (0..300).for_each(|_| site.send(icmp([3, 3], 0, local, gone)));
        assert_eq!(site.pass(stun.clone()).0.len(), 1, "round {round}");
    }
    assert_eq!(site.forwarder.counts().of(Count::Unsent), 0);
}

/// Where the kernel joins what comes in (GRO), it does so for sockets that ask for it, and trains go up to them: what is carried
/// singly would overtake them. Video comes so, with a shorter packet at the end of each picture.
#[test]
fn packets_of_a_flow_stay_in_order_where_the_kernel_joins_them() {
    let Some(mut site) = Site::new() else { return };
    if !(joins_what_comes() && site.use_kernel()) {
        return;
    }
    let lens = [1200, 1200, 1200, 800, 1200];
    for len in lens {
        site.send(site.to_peer(&media(len), 0, 64));
    }
    std::thread::sleep(Duration::from_millis(60));
    let left: Vec<usize> = site.left().0.iter().map(|frame| frame.len() - 42).collect();
    assert_eq!(left, lens);
    let _ = site.forwarder.news();
    assert_eq!(site.forwarder.counts().of(Count::ToPeerInKernel), 5);
}

/// Has the relay's end of the link wait for more of a flow. False where that can't be had.
fn joins_what_comes() -> bool {
    // `/sys` shows the network namespace that it was mounted from.
    // SAFETY: no pointers; only this thread, and what it starts, changes its place.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        eprintln!("not tested: no mount namespace: {}", std::io::Error::last_os_error());
        return false;
    }
    let lines = [
        "mount --make-rprivate /",
        "mount -t sysfs sysfs /sys",
        "ethtool -K v1 gro on",
        "ethtool -K v0 tso off",
    ];
    lines.into_iter().all(can) && can_set("/sys/class/net/v1/gro_flush_timeout", "20000000")
}
