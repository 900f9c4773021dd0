//! Captures made for tests, and the program run on them.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

pub mod server;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use carillon_wire::capture::{PcapWriter, Resolution};
use carillon_wire::ip::{Dscp, Ecn};
use carillon_wire::link::LinkType;

/// A capture under construction.
pub struct Capture {
    pub bytes: Vec<u8>,
    writer: PcapWriter,
    packets: Vec<(i64, Vec<u8>)>,
}

/// One direction of a call.
#[derive(Clone, Copy)]
pub struct Stream {
    pub from: ([u8; 4], u16),
    pub to: ([u8; 4], u16),
    pub dscp: u8,
    pub ssrc: u32,
    pub packets: u16,
}

pub const CLIENT: [u8; 4] = [10, 1, 7, 31];
pub const SERVER: [u8; 4] = [10, 1, 0, 5];

impl Capture {
    pub fn new() -> Capture {
        let mut bytes = Vec::new();
        let writer = PcapWriter::begin(&mut bytes, LinkType::RawIp, Resolution::Nanos);
        Capture { bytes, writer, packets: Vec::new() }
    }

    /// PCMU, 20 ms, from second `start` on.
    pub fn stream(mut self, stream: Stream, start: i64) -> Capture {
        for number in 0..stream.packets {
            let mut rtp = vec![0x80, 0];
            rtp.extend(number.to_be_bytes());
            rtp.extend((u32::from(number) * 160).to_be_bytes());
            rtp.extend(stream.ssrc.to_be_bytes());
            rtp.extend([0x55; 160]);
            let time = 1_717_146_764_000_000_000 + start * 1_000_000_000 + i64::from(number) * 20_000_000;
            self.packets.push((time, udp(stream, &rtp)));
        }
        self
    }

    /// Both directions of a call in the ranges of `lync-kloud`, marked as given.
    pub fn call(self, number: u16, there: u8, back: u8) -> Capture {
        let client = (CLIENT, 20000 + number);
        let server = (SERVER, 49152 + 2 * number);
        let ssrc = 0x1000 + u32::from(number) * 2;
        let stream = Stream { from: client, to: server, dscp: there, ssrc, packets: 300 };
        let answer = Stream { from: server, to: client, dscp: back, ssrc: ssrc + 1, packets: 300 };
        self.stream(stream, i64::from(number)).stream(answer, i64::from(number))
    }

    /// The file: packets in the order of time.
    pub fn finish(mut self) -> Vec<u8> {
        self.packets.sort();
        for (time, packet) in &self.packets {
            self.writer.record(&mut self.bytes, *time, packet.len() as u32, packet);
        }
        self.bytes
    }
}

fn udp(stream: Stream, payload: &[u8]) -> Vec<u8> {
    let traffic = Dscp::new(stream.dscp).unwrap().traffic_byte(Ecn::NotCapable);
    let total = (28 + payload.len()) as u16;
    let mut packet = vec![0x45, traffic];
    packet.extend(total.to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    packet.extend(stream.from.0);
    packet.extend(stream.to.0);
    packet.extend(stream.from.1.to_be_bytes());
    packet.extend(stream.to.1.to_be_bytes());
    packet.extend((total - 20).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}

/// A directory of its own for each test, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(test: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the program.
pub fn carillon(arguments: &[&str]) -> Run {
    carillon_with(arguments, b"")
}

/// Runs the program with something on standard input.
pub fn carillon_with(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_carillon"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    Run(output)
}

pub struct Run(pub Output);

impl Run {
    pub fn status(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.err()))
    }
}
