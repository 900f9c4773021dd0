//! The oracle: what tshark says about a capture, flow by flow.
//!
//! Two runs: one field extraction for ports and marks, one `rtp,streams` for packets, loss and jitter, for
//! which tshark has no fields.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::run;

/// One direction of one conversation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Flow {
    /// `true` for TCP, `false` for UDP.
    pub tcp: bool,
    /// Who sends.
    pub source: SocketAddr,
    /// Who receives.
    pub destination: SocketAddr,
}

/// Frames of a flow by mark.
pub type Marks = BTreeMap<u8, u64>;

/// How often a packet of RTP was seen, by sequence number and mark.
pub type Sequences = BTreeMap<(u16, u8), u64>;

/// An RTP stream as tshark tells it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stream {
    /// Packets.
    pub packets: u64,
    /// Packets that are missing by sequence numbers.
    pub lost: i64,
    /// Mean jitter in milliseconds; `None` where tshark does not know the clock.
    pub jitter_mean_ms: Option<f64>,
    /// Largest jitter in milliseconds.
    pub jitter_max_ms: Option<f64>,
}

const FIELDS: [&str; 12] = [
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "udp.srcport",
    "udp.dstport",
    "tcp.srcport",
    "tcp.dstport",
    "ip.dsfield.dscp",
    "ipv6.tclass.dscp",
    "icmp.type",
    "icmpv6.type",
];

/// How often each packet of RTP was seen with each mark, by flow and sequence number, where so many bytes lie before its header.
pub fn sequences(capture: &Path, before: impl Fn(&Flow) -> usize) -> Result<BTreeMap<Flow, Sequences>> {
    let mut flows: BTreeMap<Flow, Sequences> = BTreeMap::new();
    for (flow, mark, payload) in packets(capture, &[], "udp.payload")? {
        // Two digits for each byte; RFC 3550, 5.1.
        let at = 2 * (before(&flow) + 2);
        let digits = payload.get(at..at + 4).ok_or_else(|| format!("no RTP in {flow:?}: {payload}"))?;
        let sequence = u16::from_str_radix(digits, 16)?;
        *flows.entry(flow).or_default().entry((sequence, mark)).or_default() += 1;
    }
    Ok(flows)
}

/// Marks by flow. Errors of ICMP quote our packets; they are traffic of nobody's flow.
pub fn marks(capture: &Path, options: &[String]) -> Result<BTreeMap<Flow, Marks>> {
    let mut flows: BTreeMap<Flow, Marks> = BTreeMap::new();
    for (flow, mark, _) in packets(capture, options, "frame.number")? {
        *flows.entry(flow).or_default().entry(mark).or_default() += 1;
    }
    Ok(flows)
}

/// Flow and mark of each packet of UDP and TCP, and another field of it.
fn packets(capture: &Path, options: &[String], more: &str) -> Result<Vec<(Flow, u8, String)>> {
    let mut tshark = tshark(capture, options);
    tshark.args(["-T", "fields", "-E", "occurrence=f", "-E", "separator=|"]);
    tshark.args(FIELDS.iter().chain([&more]).flat_map(|field| ["-e", field]));
    let mut packets = Vec::new();
    for line in run(&mut tshark)?.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let [v4, v4_to, v6, v6_to, udp, udp_to, tcp, tcp_to, dscp, dscp6, icmp, icmp6, more] = fields[..]
        else {
            return Err(format!("tshark wrote {line:?}").into());
        };
        let ports = if udp.is_empty() { (tcp, tcp_to) } else { (udp, udp_to) };
        if !icmp.is_empty() || !icmp6.is_empty() || ports.0.is_empty() {
            continue;
        }
        let (source, destination, dscp) = if v4.is_empty() { (v6, v6_to, dscp6) } else { (v4, v4_to, dscp) };
        let flow = Flow {
            tcp: udp.is_empty(),
            source: socket(source, ports.0)?,
            destination: socket(destination, ports.1)?,
        };
        packets.push((flow, number(dscp)?, more.to_owned()));
    }
    Ok(packets)
}

/// RTP streams by flow and SSRC.
pub fn streams(capture: &Path, options: &[String]) -> Result<BTreeMap<(Flow, u32), Stream>> {
    let printed = run(tshark(capture, options).args(["-q", "-z", "rtp,streams"]))?;
    let streams: Result<BTreeMap<(Flow, u32), Stream>> =
        printed.lines().filter(|line| line.contains(" 0x")).map(stream).collect();
    let mut streams = streams?;
    for ssrc in left_out(capture, options)? {
        if let Some((_, stream)) = streams.iter_mut().find(|(key, _)| key.1 == ssrc) {
            stream.packets += 1;
            stream.lost = (stream.lost - 1).max(0);
        }
    }
    Ok(streams)
}

/// SSRCs of packets that `rtp,streams` leaves out: padded ones whose last byte is 0. In SRTP that byte is
/// part of the authentication tag, so one padded packet in 256 has it. (The heuristic would not
/// even take it for RTP: such captures need decode-as.)
fn left_out(capture: &Path, options: &[String]) -> Result<Vec<u32>> {
    let mut tshark = tshark(capture, options);
    tshark.args(["-Y", "rtp.padding == 1 && !rtp.padding.count", "-T", "fields", "-e", "rtp.ssrc"]);
    let parse = |line: &str| Ok(u32::from_str_radix(line.trim_start_matches("0x"), 16)?);
    run(&mut tshark)?.lines().map(parse).collect()
}

/// A row of the table: times, addresses and ports, SSRC, payload types (with blanks between several),
/// packets, loss with percentage, three columns of delta, three of jitter, perhaps an X.
fn stream(line: &str) -> Result<((Flow, u32), Stream)> {
    let unreadable = || format!("tshark's stream {line:?}");
    let columns: Vec<&str> = line.split_whitespace().collect();
    let percent = columns.iter().position(|column| column.ends_with("%)")).ok_or_else(unreadable)?;
    let column = |at: usize| columns.get(at).copied().ok_or_else(unreadable);
    let source = socket(column(2)?, column(3)?)?;
    let flow = Flow { tcp: false, source, destination: socket(column(4)?, column(5)?)? };
    let ssrc = u32::from_str_radix(column(6)?.trim_start_matches("0x"), 16)?;
    let (mean, max): (f64, f64) = (number(column(percent + 5)?)?, number(column(percent + 6)?)?);
    // Without a clock the columns hold -1 or 0.
    let known = max > 0.0;
    let stream = Stream {
        packets: number(column(percent - 2)?)?,
        lost: number(column(percent - 1)?)?,
        jitter_mean_ms: known.then_some(mean),
        jitter_max_ms: known.then_some(max),
    };
    Ok(((flow, ssrc), stream))
}

fn tshark(capture: &Path, options: &[String]) -> Command {
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(capture).args(options);
    tshark
}

fn socket(address: &str, port: &str) -> Result<SocketAddr> {
    let address: IpAddr = address.parse().map_err(|error| format!("{address:?}: {error}"))?;
    Ok(SocketAddr::new(address, number(port)?))
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T> {
    text.parse().map_err(|error| format!("{text:?}: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_with_two_payload_types_and_a_problem_is_read() {
        let line = "     1.27     1.36  fd00:20::a 50029  fd00:20::14 50006 0xD6B94586 RTPType-97, RTPType-119 \
            12    -3 (-25.0%)  16.5  19.9  22.4  0.2  1.2  1.5 X";
        let ((flow, ssrc), stream) = stream(line).unwrap();
        assert_eq!((flow.source.port(), flow.destination.port(), ssrc), (50029, 50006, 0xD6B94586));
        let jitter = (stream.jitter_mean_ms, stream.jitter_max_ms);
        assert_eq!((stream.packets, stream.lost, jitter), (12, -3, (Some(1.2), Some(1.5))));
    }
}
