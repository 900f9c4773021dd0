//! Live capture on real interfaces, in a network namespace of its own: the test starts itself again inside.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test: helpers too")]
#![expect(clippy::disallowed_types, reason = "the test is the stranger whose packets are captured")]

use std::env;
use std::ffi::CString;
use std::io::Read;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use carillon_net::live;
use carillon_wire::capture::{Decoder, Record};
use carillon_wire::ip::Dscp;
use carillon_wire::link::LinkType;
use carillon_wire::packet::{self, Packet, Transport};

const INSIDE: &str = "CARILLON_LIVE_TEST_INSIDE";

/// Runs test `name` again where `setup` has been done in a fresh namespace; true if this is that run.
fn inside_namespace(name: &str, setup: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let allowed = Command::new("unshare").args(["-n", "ip", "link", "set", "lo", "up"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        println!("skipped: no right to make a network namespace");
        return false;
    }
    let script = format!("set -e; ip link set lo up; {setup}; exec \"$0\" --exact {name} --nocapture");
    let test = env::current_exe().unwrap();
    let output =
        Command::new("unshare").args(["-n", "sh", "-c", &script]).arg(test).env(INSIDE, "1").output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    false
}

/// Captures on `interface` while `traffic` runs; the bytes, and how many frames were dropped.
fn capture_while(interface: &str, snaplen: u32, traffic: impl FnOnce()) -> (Vec<u8>, u64) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut live = live::open(interface, snaplen, stop.clone()).unwrap();
    let dropped = live.dropped();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        live.read_to_end(&mut bytes).map(|_| bytes)
    });
    traffic();
    stop.store(true, Ordering::Relaxed);
    (reader.join().unwrap().unwrap(), dropped.load(Ordering::Relaxed))
}

/// Calls `each` with every UDP packet to port 9999.
fn each_sent(bytes: &[u8], mut each: impl FnMut(Record<'_>, Packet<'_>, u32)) -> u32 {
    let (mut decoder, mut rest, mut count) = (Decoder::new(), bytes, 0);
    while let Some(record) = decoder.next(&mut rest).unwrap() {
        let Some(packet) = packet::decode(record.link, record.data) else { continue };
        let Transport::Udp(udp) = packet.transport else { continue };
        if udp.dst_port == 9999 {
            each(record, packet, udp.payload_len);
            count += 1;
        }
    }
    decoder.finish(rest).unwrap();
    count
}

#[test]
fn loopback_shows_every_packet_once_with_its_mark_and_time() {
    if !inside_namespace("loopback_shows_every_packet_once_with_its_mark_and_time", "true") {
        return;
    }
    let send = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..1000 {
            socket.send_to(&[7; 200], "127.0.0.1:9999").unwrap();
        }
    };
    let expected = [("lo", LinkType::Ethernet), ("any", LinkType::Cooked2)];
    for (interface, link) in expected {
        let (bytes, dropped) = capture_while(interface, 100, send);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as i64;
        let count = each_sent(&bytes, |record, packet, payload_len| {
            assert_eq!((record.link, packet.ip.dscp(), payload_len), (link, Dscp::DEFAULT, 200));
            assert!(record.data.len() < record.original_len as usize);
            assert!((0..10_000_000_000).contains(&(now - record.time)));
        });
        assert_eq!((count, dropped), (1000, 0), "{interface}");
    }
}

#[test]
fn a_vlan_tag_that_the_kernel_took_out_is_put_back() {
    let setup = "ip link add left type veth peer name right; ip link set left up; ip link set right up";
    if !inside_namespace("a_vlan_tag_that_the_kernel_took_out_is_put_back", setup) {
        return;
    }
    let tagged = [
        &[0xff; 12][..],
        &[0x81, 0x00, 0xa0, 0x07, 0x08, 0x00],
        &[0x45, 184, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2],
        &[0x13, 0x8c, 0x27, 0x0f, 0, 12, 0, 0, 1, 2, 3, 4],
    ]
    .concat();
    for interface in ["right", "any"] {
        let (bytes, _) = capture_while(interface, 65_535, || {
            (0..10).for_each(|_| send_frame("left", &tagged));
            thread::sleep(Duration::from_millis(100));
        });
        let mut arrived = 0;
        each_sent(&bytes, |record, packet, payload_len| {
            assert_eq!(record.data.len(), record.original_len as usize);
            assert_eq!((packet.link.vlan, packet.ip.dscp(), payload_len), (Some((7, 5)), Dscp::EF, 4));
            // Before the kernel has looked at it, going out, the tag is still inside the frame.
            arrived +=
                u32::from(record.link == LinkType::Ethernet || record.data[10] != libc::PACKET_OUTGOING);
        });
        assert_eq!(arrived, 10, "{interface}");
    }
}

/// Sends a whole Ethernet frame.
fn send_frame(interface: &str, frame: &[u8]) {
    let name = CString::new(interface).unwrap();
    // SAFETY: plain calls with pointers to values that outlive them; all zeros is an empty sockaddr_ll.
    unsafe {
        let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = libc::if_nametoindex(name.as_ptr()) as i32;
        let (to, len) = ((&raw const address).cast(), size_of_val(&address) as u32);
        let sent = libc::sendto(socket, frame.as_ptr().cast(), frame.len(), 0, to, len);
        assert_eq!(sent, frame.len() as isize);
        libc::close(socket);
    }
}

#[test]
fn no_packet_is_lost_uncounted() {
    if !inside_namespace("no_packet_is_lost_uncounted", "true") {
        return;
    }
    let (bytes, dropped) = capture_while("lo", 65_535, || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..50_000 {
            socket.send_to(&[7; 160], "127.0.0.1:9999").unwrap();
        }
    });
    let count = each_sent(&bytes, |_, _, _| {});
    println!("{count} packets seen, {dropped} frames dropped");
    // What the kernel drops on a busy machine it counts, here on the way out and on the way in.
    assert!(count == 50_000 || u64::from(50_000 - count) <= dropped);
}

#[test]
fn an_unknown_interface_is_named() {
    let stop = Arc::new(AtomicBool::new(false));
    let Err(error) = live::open("no-such-one", 100, stop) else { panic!("it exists") };
    assert_eq!(error.to_string(), "can't capture on no-such-one: there is no such interface");
}

#[test]
fn a_missing_right_is_named() {
    let nobody =
        "exec setpriv --reuid 65534 --clear-groups \"$0\" --exact a_missing_right_is_named --nocapture";
    if env::var_os(INSIDE).is_none() {
        let test = env::current_exe().unwrap();
        let output = Command::new("sh").args(["-c", nobody]).arg(test).env(INSIDE, "1").output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        if !told.contains("running 1 test") {
            println!("skipped: can't become another user here");
            return;
        }
        assert!(output.status.success(), "{told}");
        return;
    }
    let Err(error) = live::open("lo", 100, Arc::default()) else { panic!("nobody may capture") };
    assert!(error.to_string().starts_with("can't capture on lo: it needs the right CAP_NET_RAW"), "{error}");
}
