//! Capture files as they lie around: plain, compressed, compressed in parts, and through pipes.
#![allow(clippy::unwrap_used, reason = "a test: helpers too")]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use carillon_net::capture;
use carillon_wire::capture::{Decoder, PcapWriter, Resolution};
use carillon_wire::link::LinkType;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A file that goes away with the test.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, content: &[u8]) -> TempFile {
        let path = std::env::temp_dir().join(format!("carillon-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        TempFile(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn pcap(records: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let writer = PcapWriter::begin(&mut file, LinkType::RawIp, Resolution::Micros);
    (0..records).for_each(|at| writer.record(&mut file, 0, 4, &at.to_be_bytes()));
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn frames(bytes: &[u8]) -> u64 {
    let (mut decoder, mut rest) = (Decoder::new(), bytes);
    decoder.skip(&mut rest).unwrap();
    decoder.finish(rest).unwrap();
    decoder.frames()
}

#[test]
fn plain_and_compressed_files_read_the_same() {
    let plain = pcap(100_000);
    let (first, second) = plain.split_at(plain.len() / 3);
    let in_parts = [gzip(first), gzip(second)].concat();
    for (name, content) in [("plain", plain.clone()), ("gzip", gzip(&plain)), ("parts", in_parts)] {
        let file = TempFile::new(name, &content);
        let mut source = capture::open(&file.0).unwrap();
        assert_eq!(source.length, Some(content.len() as u64), "{name}");
        let mut read = Vec::new();
        source.reader.read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), plain.len(), "{name}");
        assert_eq!(frames(&read), 100_000);
        assert_eq!(source.position.load(Ordering::Relaxed), content.len() as u64, "{name}");
    }
}

#[test]
fn a_compressed_file_cut_short_gives_what_is_there_and_then_an_error() {
    let mut content = gzip(&pcap(100_000));
    content.truncate(content.len() / 2);
    let file = TempFile::new("cut", &content);
    let (mut read, mut source) = (Vec::new(), capture::open(&file.0).unwrap());
    assert!(source.reader.read_to_end(&mut read).is_err());
    let (mut decoder, mut rest) = (Decoder::new(), read.as_slice());
    decoder.skip(&mut rest).unwrap();
    assert!(decoder.frames() > 1000, "{} frames", decoder.frames());
}

#[test]
fn tiny_files_open() {
    for content in [&b""[..], b"\x1f", b"abc"] {
        let file = TempFile::new(&format!("tiny{}", content.len()), content);
        let (mut read, mut source) = (Vec::new(), capture::open(&file.0).unwrap());
        source.reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, content);
    }
}

#[test]
fn a_missing_file_is_named() {
    let Err(error) = capture::open(Path::new("no/such/call.pcap")) else { panic!("it exists") };
    assert!(error.to_string().starts_with("can't open the capture no/such/call.pcap: "), "{error}");
}
