//! Makes captures to measure with: calls that keep their plan, or what an attacker would send; and loads relays.
//!
//! The same arguments give the same bytes. What was written or sent is counted, so that a reader can be checked.

mod frame;
mod hostile;
#[cfg(target_os = "linux")]
mod relay;
mod sink;
mod traffic;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Parser};

use crate::sink::{Counts, Sink};

/// Makes captures to measure with.
#[derive(Parser)]
#[command(name = "carillon-load")]
enum Command {
    /// Write a capture of calls under the plan `lync-kloud`.
    Generate(Generate),
    /// Write a capture that costs its reader as much memory as possible.
    Hostile(Hostile),
    /// Speak TURN to a relay and let media pass; what it cost the relay is printed as JSON.
    #[cfg(target_os = "linux")]
    Relay(relay::Load),
    /// Be a relay that believes everybody: the data path of Carillon without its decisions.
    #[cfg(target_os = "linux")]
    RelayTable(relay::Table),
    /// Read a file in blocks of 512 KiB and do nothing with it: the limit of every reader.
    Read {
        /// The file.
        file: PathBuf,
    },
}

/// `carillon-load generate`.
#[derive(Args)]
struct Generate {
    /// RTP streams at a time: two per call.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=400_000))]
    flows: u32,
    #[command(flatten)]
    kinds: Kinds,
    #[command(flatten)]
    to: To,
}

/// What the calls consist of besides audio.
#[derive(Args, Clone, Copy)]
struct Kinds {
    /// Every call over IPv6.
    #[arg(long)]
    v6: bool,
    /// Every tenth call with pictures.
    #[arg(long)]
    video: bool,
    /// Sender reports every five seconds.
    #[arg(long)]
    rtcp: bool,
    /// INVITE and 200 with session descriptions over UDP.
    #[arg(long)]
    sip: bool,
    /// All of these, every fourth call over IPv6, and STUN, TLS over TCP, and DNS.
    #[arg(long)]
    mix: bool,
}

/// `carillon-load hostile`.
#[derive(Args)]
struct Hostile {
    /// What to try.
    kind: hostile::Kind,
    #[command(flatten)]
    to: To,
}

/// How much and where to.
#[derive(Args)]
struct To {
    /// Packets to write.
    #[arg(long, default_value_t = 1_000_000)]
    packets: u64,
    /// The capture; `-` is standard output.
    #[arg(long, default_value = "-")]
    out: PathBuf,
    /// Writes what the capture holds, as JSON, into this file.
    #[arg(long)]
    counts: Option<PathBuf>,
}

/// As `carillon verify` reads.
const BLOCK: usize = 512 << 10;

fn main() -> io::Result<()> {
    match Command::parse() {
        Command::Generate(args) => {
            write(&args.to, |sink| traffic::write(sink, args.flows, args.kinds, args.to.packets))
        }
        Command::Hostile(args) => write(&args.to, |sink| hostile::write(sink, args.kind, args.to.packets)),
        #[cfg(target_os = "linux")]
        Command::Relay(args) => relay::load(&args),
        #[cfg(target_os = "linux")]
        Command::RelayTable(args) => relay::table(&args),
        Command::Read { file } => read(&file),
    }
}

fn write(to: &To, make: impl FnOnce(&mut Sink) -> io::Result<()>) -> io::Result<()> {
    let out: Box<dyn Write> = if to.out.as_os_str() == "-" {
        Box::new(io::stdout().lock())
    } else {
        Box::new(File::create(&to.out)?)
    };
    let mut sink = Sink::new(out);
    let made = make(&mut sink).and_then(|()| sink.finish());
    let counts: Counts = sink.counts;
    match &to.counts {
        Some(path) => std::fs::write(path, counts.json()).and(made),
        None => made,
    }
}

fn read(path: &Path) -> io::Result<()> {
    const PAGE: usize = 4096;
    let mut file = File::open(path)?;
    let mut memory = vec![0; BLOCK + PAGE];
    // The system copies several times as fast to where a page starts.
    let at = memory.as_ptr().align_offset(PAGE).min(PAGE);
    while file.read(&mut memory[at..at + BLOCK])? > 0 {}
    Ok(())
}
