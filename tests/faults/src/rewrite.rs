//! Captures that are read, changed packet by packet, and written again; what a fault struck stays known.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use carillon_wire::capture::{Decoder, PcapWriter, PcapngWriter, Resolution};
use carillon_wire::{ip, link, packet as wire};

pub use crate::encode::Link;
use crate::encode::frame;
use crate::packet::{Body, Packet, Which, rtp, sip};

/// The packets of a capture and how its file will look.
#[derive(Clone, Debug)]
pub struct Capture {
    /// In the order of the file.
    pub packets: Vec<Packet>,
    /// Link layer of the file.
    pub link: Link,
    /// Whether header checksums are right.
    pub sums: bool,
    /// Bytes of a frame that are kept.
    pub snap: usize,
}

/// A capture file and what the fault struck in it.
#[derive(Clone, Debug)]
pub struct File {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// Numbers of the frames that the fault struck.
    pub struck: BTreeSet<u64>,
}

/// The folder of the captures that other programs made.
pub fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../captures")
}

impl Capture {
    /// No packets yet.
    pub fn empty() -> Capture {
        Capture { packets: Vec::new(), link: Link::Ethernet, sums: true, snap: usize::MAX }
    }

    /// The capture of this name, made by another program.
    pub fn real(name: &str) -> Capture {
        let path = captures().join(format!("{name}.pcap"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (mut decoder, mut rest, mut capture) = (Decoder::new(), bytes.as_slice(), Capture::empty());
        while let Some(record) = decoder.next(&mut rest).expect("a sound capture") {
            let held = link::decode(record.link, record.data).and_then(|(_, bytes)| ip::decode(bytes));
            capture.packets.push(match (wire::decode(record.link, record.data), held) {
                (Some(packet), Some((_, payload))) => Packet::of(record.time, 0, &packet, payload),
                _ => not_ip(record.time, record.data),
            });
        }
        capture
    }

    /// The fault under test: changes these packets and remembers them.
    pub fn strike(self, which: impl Which, change: impl Fn(&mut Packet)) -> Capture {
        self.change(which, |packet| {
            change(packet);
            packet.struck = true;
        })
    }

    /// The fault under test, for a part of these packets: the closure is told how many came before.
    pub fn strike_some(
        mut self,
        which: impl Which,
        nth: impl Fn(usize) -> bool,
        change: impl Fn(&mut Packet),
    ) -> Capture {
        let chosen = self.packets.iter_mut().filter(|packet| which(packet)).enumerate();
        for (_, packet) in chosen.filter(|(n, _)| nth(*n)) {
            change(packet);
            packet.struck = true;
        }
        self
    }

    /// Changes these packets: scenery, not the fault.
    pub fn change(mut self, which: impl Which, change: impl Fn(&mut Packet)) -> Capture {
        self.packets.iter_mut().filter(|packet| which(packet)).for_each(change);
        self
    }

    /// Leaves packets out, chosen among these by how many came before.
    pub fn drop_some(mut self, which: impl Which, nth: impl Fn(usize) -> bool) -> Capture {
        let mut n = 0;
        self.packets.retain(|packet| {
            let chosen = which(packet);
            n += usize::from(chosen);
            !(chosen && nth(n - 1))
        });
        self
    }

    /// Signaling that nobody can read, the normal case.
    pub fn without_sip(self) -> Capture {
        self.drop_some(sip, |_| true)
    }

    /// The packets of another capture as well, begun at the same time.
    pub fn join(mut self, mut other: Capture) -> Capture {
        let start = |capture: &Capture| capture.packets.iter().map(|packet| packet.time).min().unwrap_or(0);
        let shift = start(&self) - start(&other);
        other.packets.iter_mut().for_each(|packet| packet.time += shift);
        self.packets.extend(other.packets);
        self.in_time()
    }

    /// The packets of another capture with their own times.
    pub fn join_as_is(mut self, other: Capture) -> Capture {
        self.packets.extend(other.packets);
        self.in_time()
    }

    /// Puts packets in the order of time.
    pub fn in_time(mut self) -> Capture {
        self.packets.sort_by_key(|packet| packet.time);
        self
    }

    /// Every packet becomes these packets.
    pub fn flat_map(mut self, each: impl FnMut(Packet) -> Vec<Packet>) -> Capture {
        self.packets = self.packets.into_iter().flat_map(each).collect();
        self
    }

    /// The file has another link layer.
    pub fn on(mut self, link: Link) -> Capture {
        self.link = link;
        self
    }

    /// A host has another address, also in the text of signaling.
    pub fn rehost(self, old: &str, new: &str) -> Capture {
        let (from, to): (IpAddr, IpAddr) = (address(old), address(new));
        self.text(old, new).flat_map(|mut packet| {
            for end in [&mut packet.src, &mut packet.dst] {
                *end = if *end == from { to } else { *end };
            }
            // What is quoted or announced elsewhere would still name the old address.
            let crosses = packet.src.is_ipv4() != packet.dst.is_ipv4();
            if crosses || matches!(packet.body, Body::Ip { .. } | Body::Frame(_)) {
                Vec::new()
            } else {
                vec![packet]
            }
        })
    }

    /// A call over IPv4 goes over IPv6; both hosts at once.
    pub fn over_v6(self, hosts: &[(&str, &str)]) -> Capture {
        let told = hosts.iter().fold(self, |capture, (old, new)| {
            capture.text(&format!("IN IP4 {old}"), &format!("IN IP6 {new}")).text(old, new)
        });
        let moved =
            |ip: IpAddr| hosts.iter().find(|(old, _)| address(old) == ip).map(|(_, new)| address(new));
        told.flat_map(|mut packet| match (moved(packet.src), moved(packet.dst), &packet.body) {
            (Some(src), Some(dst), Body::Udp { .. } | Body::Tcp { .. }) => {
                (packet.src, packet.dst) = (src, dst);
                vec![packet]
            }
            _ => Vec::new(),
        })
    }

    /// A host sends and receives RTP on another port, and RTCP on the next one; its session descriptions say so.
    pub fn move_media(self, host: IpAddr, port: u16) -> Capture {
        let old = self.media_port(host);
        let new = |known: u16| if [old, old + 1].contains(&known) { port + (known - old) } else { known };
        let told = self.text_from(host, &format!("m=audio {old} "), &format!("m=audio {port} "));
        told.change(
            |_| true,
            |packet| {
                let (out, back) = (packet.src == host, packet.dst == host);
                if let Some((src, dst)) = packet.ports_mut() {
                    *src = if out { new(*src) } else { *src };
                    *dst = if back { new(*dst) } else { *dst };
                }
            },
        )
    }

    /// The port of a host's first RTP packet.
    pub fn media_port(&self, host: IpAddr) -> u16 {
        let first = self.packets.iter().find(|packet| packet.src == host && rtp(packet));
        first.and_then(Packet::ports).expect("a host that sends RTP").0
    }

    /// Replaces text in all signaling.
    pub fn text(self, old: &str, new: &str) -> Capture {
        self.change(sip, |packet| replace(packet, old, new))
    }

    /// Replaces text in the signaling that one host sends.
    pub fn text_from(self, host: IpAddr, old: &str, new: &str) -> Capture {
        self.change(sip, |packet| {
            if packet.src == host {
                replace(packet, old, new)
            }
        })
    }

    /// As a pcap file.
    pub fn pcap(&self) -> File {
        let mut bytes = Vec::new();
        let writer = PcapWriter::begin(&mut bytes, self.link.kind(), Resolution::Nanos);
        self.write(bytes, |out, packet, len, data| writer.record(out, packet.time, len, data))
    }

    /// As a pcapng file with this many interfaces.
    pub fn pcapng(&self, interfaces: u16) -> File {
        let mut bytes = Vec::new();
        let mut writer = PcapngWriter::begin(&mut bytes);
        for number in 0..interfaces {
            let name = format!("port{number}");
            writer.interface(&mut bytes, self.link.kind(), &name, 0, Resolution::Nanos);
        }
        self.write(bytes, |out, packet, len, data| {
            writer.record(out, packet.interface, packet.time, len, data)
        })
    }

    fn write(&self, mut bytes: Vec<u8>, record: impl Fn(&mut Vec<u8>, &Packet, u32, &[u8])) -> File {
        let frames =
            self.packets.iter().filter_map(|packet| Some((packet, frame(packet, self.link, self.sums)?)));
        let mut struck = BTreeSet::new();
        for (number, (packet, data)) in (1..).zip(frames) {
            record(&mut bytes, packet, data.len() as u32, &data[..data.len().min(self.snap)]);
            struck.extend(packet.struck.then_some(number));
        }
        File { bytes, struck }
    }
}

/// The address that this text says.
pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn not_ip(time: i64, frame: &[u8]) -> Packet {
    let nowhere = IpAddr::from([0, 0, 0, 0]);
    let body = Body::Frame(frame.to_vec());
    Packet { time, src: nowhere, dst: nowhere, traffic_byte: 0, body, interface: 0, struck: false }
}

/// Replaces text in a message and keeps its Content-Length true.
fn replace(packet: &mut Packet, old: &str, new: &str) {
    let udp = matches!(packet.body, Body::Udp { .. });
    let Some(payload) = packet.payload_mut() else { return };
    let text = String::from_utf8_lossy(payload).replace(old, new);
    assert!(udp || text.len() == payload.len(), "text of another length would break the TCP stream");
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return };
    let lines = head.split("\r\n").map(|line| match line.starts_with("Content-Length:") {
        true => format!("Content-Length: {}", body.len()),
        false => line.to_owned(),
    });
    let head: Vec<_> = lines.collect();
    *payload = format!("{}\r\n\r\n{body}", head.join("\r\n")).into_bytes();
}
