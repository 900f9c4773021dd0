//! Relays under load: whoever speaks TURN can be measured.
//!
//! Every packet that arrives is checked; what a relay used is read from the scheduler between the first and the last.

mod caller;
mod clients;
mod flood;
mod media;
mod table;
mod turnover;
mod usage;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_net::forward::{Coalescing, Forwarder, Settings, Strangers};
use carillon_net::lease::{ClassPorts, Leases, Policy};
use carillon_qos::PortRange;
use carillon_wire::ip::Dscp;
use clap::{Args, ValueEnum};

use self::clients::Clients;
pub(crate) use self::table::{Table, table};

/// `carillon-load relay`.
#[derive(Args)]
pub(crate) struct Load {
    /// The relay.
    #[arg(long)]
    server: SocketAddr,
    /// The address of the clients and of the peer.
    #[arg(long)]
    from: IpAddr,
    /// User name, realm being told by the relay.
    #[arg(long, default_value = "load")]
    user: String,
    /// Password.
    #[arg(long, default_value = "load")]
    password: String,
    /// Which way media passes.
    #[arg(long, value_enum, default_value = "up")]
    way: Way,
    /// Allocations, each with a channel to one peer.
    #[arg(long, default_value_t = 100)]
    flows: usize,
    /// Bytes of payload.
    #[arg(long, default_value_t = 172)]
    size: usize,
    /// Packets that a flow sends at once.
    #[arg(long, default_value_t = 1)]
    burst: usize,
    /// Packets of a burst leave as one (UDP_SEGMENT).
    #[arg(long)]
    trains: bool,
    /// Send and Data indications instead of channels.
    #[arg(long)]
    indications: bool,
    /// No media: allocations are made, given back and made again.
    #[arg(long)]
    turnover: bool,
    /// Gives allocations back at the end and waits a moment before it looks at what the relay still holds.
    #[arg(long)]
    give_back: bool,
    /// Packets a second of all flows together; without it, as many as come back.
    #[arg(long)]
    rate: Option<u32>,
    /// Packets on their way at most, where there is no rate.
    #[arg(long, default_value_t = 256)]
    window: usize,
    /// Seconds that are measured, after half a second that is not.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Bogus requests a second beside it; 0 for none.
    #[arg(long, default_value_t = 0)]
    flood: u32,
    /// Sources of the bogus requests: further addresses of this machine behind `--flood-from`.
    #[arg(long, default_value_t = 1)]
    flood_sources: u32,
    /// The first source of bogus requests.
    #[arg(long)]
    flood_from: Option<std::net::Ipv4Addr>,
    /// The process of the relay.
    #[arg(long)]
    pid: u32,
    /// The core of the relay: all work there is counted, not only that of its process.
    #[arg(long)]
    core: Option<u32>,
}

/// Which way media passes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// From clients to the peer.
    Up,
    /// From the peer to clients.
    Down,
    /// Both.
    Both,
}

/// How long a relay may take to be rid of what was given back.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// Sets up all flows, lets media pass, gives everything back, and prints what came of it.
pub(crate) fn load(load: &Load) -> io::Result<()> {
    let before = usage::usage(load.pid)?;
    let mut clients = Clients::open(load)?;
    let mut outcome = match load.turnover {
        true => turnover::turn_over(load, &mut clients)?,
        false => {
            clients.connect()?;
            media::pass(load, &mut clients)?
        }
    };
    let during = usage::usage(load.pid)?;
    if load.give_back {
        clients.disconnect()?;
        std::thread::sleep(AFTERWARDS);
    }
    outcome.held = [before, during, usage::usage(load.pid)?];
    println(&outcome.json())
}

/// A forwarder as the engine of clients and peer, and the ports that it may use.
fn engine(address: IpAddr, range: PortRange, segmentation: bool) -> io::Result<(Forwarder, Leases)> {
    let strangers = Strangers { per_source: u32::MAX, together: u32::MAX, ..Strangers::default() };
    let settings = Settings { segmentation, coalescing: None, strangers, ..Settings::default() };
    let ports = ClassPorts { range: Some(range), mark: Dscp::DEFAULT };
    let policy = Policy { audio: ports, video: ports, sharing: ports, file_transfer: ports };
    Ok((Forwarder::new(settings)?, Leases::new(policy, address, 1)))
}

fn coalescing(microseconds: u64) -> Option<Coalescing> {
    let pause = Duration::from_micros(microseconds);
    (!pause.is_zero()).then(|| Coalescing { pause, ..Coalescing::default() })
}

#[allow(clippy::print_stdout, reason = "this is what the program is for")]
fn println(line: &str) -> io::Result<()> {
    println!("{line}");
    Ok(())
}

fn range(start: u16, end: u16) -> io::Result<PortRange> {
    PortRange::from_ends(start, end).ok_or_else(|| io::Error::other("no range of ports"))
}
