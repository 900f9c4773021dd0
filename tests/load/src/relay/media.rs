//! Media through all flows: sent, checked on arrival, and counted.

use std::io;
use std::time::{Duration, Instant};

use carillon_net::forward::{PortId, Unknown};
use carillon_wire::stun::{Builder, ChannelData, Class, Message, Method, kind};

use super::caller::CHANNEL;
use super::clients::Clients;
use super::flood::Flood;
use super::usage::{Usage, work};
use super::{Load, Way};

const MAGIC: u32 = 0x0ca2_111e;
/// Time that is not measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// Packets that have not come after this are lost.
const LOST: Duration = Duration::from_millis(50);
/// Bursts that are sent before something is received again.
const AT_ONCE: u32 = 16;

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) sent: u64,
    pub(super) delivered: u64,
    bad: u64,
    /// Of the relay, in nanoseconds.
    pub(super) cpu: u64,
    pub(super) seconds: f64,
    flooded: u64,
    /// Time on the way, in microseconds, of packets that were measured.
    pub(super) delays: Vec<u32>,
    /// What the relay held before, while and after it had allocations.
    pub(super) held: [Usage; 3],
}

/// Sends and receives, and remembers.
struct Run<'a> {
    load: &'a Load,
    clients: &'a mut Clients,
    start: Instant,
    next: usize,
    bytes: Vec<u8>,
    outcome: Outcome,
}

/// Lets media pass for the time of the measurement.
pub(super) fn pass(load: &Load, clients: &mut Clients) -> io::Result<Outcome> {
    let start = Instant::now();
    let mut run = Run { load, clients, start, next: 0, bytes: Vec::new(), outcome: Outcome::default() };
    let mut flood = Flood::new(load)?;
    run.until(start + WARM_UP, &mut flood)?;
    run.settle()?;
    run.outcome = Outcome::default();
    let (before, flooded, from) = (work(load.pid, load.core)?, flood.sent, Instant::now());
    run.until(from + Duration::from_secs(load.seconds), &mut flood)?;
    run.settle()?;
    run.outcome.cpu = work(load.pid, load.core)? - before;
    run.outcome.seconds = from.elapsed().as_secs_f64();
    run.outcome.flooded = flood.sent - flooded;
    Ok(run.outcome)
}

impl Run<'_> {
    fn until(&mut self, end: Instant, flood: &mut Flood) -> io::Result<()> {
        match self.load.rate {
            Some(rate) => self.at_rate(rate, end, flood),
            None => self.saturated(end),
        }
    }

    /// As many packets on their way as the window allows.
    fn saturated(&mut self, end: Instant) -> io::Result<()> {
        let (mut under_way, mut last) = (0usize, Instant::now());
        while Instant::now() < end {
            while under_way + self.load.burst <= self.load.window {
                self.burst();
                under_way += self.load.burst;
            }
            let came = self.receive(Some(Duration::from_millis(1)))?;
            if came > 0 {
                last = Instant::now();
            }
            under_way = under_way.saturating_sub(came);
            if last.elapsed() > LOST {
                (under_way, last) = (0, Instant::now());
            }
        }
        Ok(())
    }

    /// Packets one after the other, evenly.
    fn at_rate(&mut self, rate: u32, end: Instant, flood: &mut Flood) -> io::Result<()> {
        let interval = Duration::from_secs(1) * self.load.burst as u32 / rate;
        let mut due = Instant::now();
        while Instant::now() < end {
            for _ in 0..AT_ONCE {
                if due > Instant::now() {
                    break;
                }
                self.burst();
                due += interval;
            }
            // Whoever is late does not make up for it all at once.
            due = due.max(Instant::now() - interval * AT_ONCE);
            self.receive(Some(Duration::ZERO))?;
            self.clients.renew();
            flood.send();
        }
        Ok(())
    }

    /// What is still on its way arrives, or never does.
    fn settle(&mut self) -> io::Result<()> {
        let mut last = Instant::now();
        while last.elapsed() < LOST {
            if self.receive(Some(Duration::from_millis(1)))? > 0 {
                last = Instant::now();
            }
        }
        Ok(())
    }

    fn burst(&mut self) {
        let flows = self.load.flows;
        let (number, down) = match self.load.way {
            Way::Up => (self.next % flows, false),
            Way::Down => (self.next % flows, true),
            Way::Both => (self.next / 2 % flows, self.next % 2 == 1),
        };
        self.next += 1;
        for _ in 0..self.load.burst {
            let mut payload = vec![0; self.load.size.max(16)];
            payload[..4].copy_from_slice(&MAGIC.to_be_bytes());
            payload[4..8].copy_from_slice(&(number as u32).to_be_bytes());
            payload[8..16].copy_from_slice(&(self.start.elapsed().as_nanos() as u64).to_be_bytes());
            self.outcome.sent += 1;
            if down {
                self.clients.send_down(number, &payload);
                continue;
            }
            self.wrap(&payload);
            self.clients.send_up(number, &self.bytes);
        }
    }

    /// What a client sends for its peer.
    fn wrap(&mut self, payload: &[u8]) {
        self.bytes.clear();
        if self.load.indications {
            let indication = Builder::new(Class::Indication, Method::Send, [7; 12]);
            let indication = indication.xor_address(kind::XOR_PEER_ADDRESS, self.clients.at);
            self.bytes.extend(indication.attribute(kind::DATA, payload).finish().unwrap_or_default());
        } else {
            ChannelData::write(CHANNEL, payload, &mut self.bytes);
        }
    }

    /// Takes what has come; says how many packets it was.
    fn receive(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.clients.engine.poll(timeout)?;
        let mut came = 0;
        while let Some(unknown) = self.clients.engine.next_unknown() {
            let Unknown::FromPeer { port, peer, bytes, .. } = unknown else { continue };
            if is_answer(&bytes) {
                self.clients.hear(port, &bytes);
                continue;
            }
            came += 1;
            let number = self.clients.by_relayed.get(&peer).copied().filter(|_| port == self.clients.peer);
            let payload = match number {
                Some(number) => Some((number, &bytes[..])),
                None => self.unwrap(port, &bytes),
            };
            self.check(payload);
        }
        Ok(came)
    }

    /// What came to a client.
    fn unwrap<'b>(&self, port: PortId, bytes: &'b [u8]) -> Option<(usize, &'b [u8])> {
        let number = *self.clients.by_port.get(&port)?;
        if self.load.indications {
            let message = Message::parse(bytes).ok()?;
            return Some((
                number,
                message.data().filter(|_| message.xor_peer_address() == Some(self.clients.at))?,
            ));
        }
        let data = ChannelData::parse(bytes, bytes.len()).filter(|data| data.channel == CHANNEL)?;
        Some((number, data.data))
    }

    fn check(&mut self, payload: Option<(usize, &[u8])>) {
        let sent = payload.and_then(|(number, payload)| {
            let whole = payload.len() == self.load.size.max(16) && payload.starts_with(&MAGIC.to_be_bytes());
            let right = whole && payload.get(4..8)? == (number as u32).to_be_bytes();
            let sent = u64::from_be_bytes(*payload.get(8..16)?.first_chunk()?);
            right.then_some(sent)
        });
        match sent {
            Some(sent) => {
                self.outcome.delivered += 1;
                let now = self.start.elapsed().as_nanos() as u64;
                self.outcome.delays.push((now.saturating_sub(sent) / 1000) as u32);
            }
            None => self.outcome.bad += 1,
        }
    }
}

/// Whether this answers a request: no media and no indication.
fn is_answer(bytes: &[u8]) -> bool {
    let class = Message::parse(bytes).ok().map(|message| message.class());
    matches!(class, Some(Class::Success | Class::Error))
}

impl Outcome {
    pub(super) fn json(mut self) -> String {
        self.delays.sort_unstable();
        let delay = |percent: usize| self.delays.get(self.delays.len() * percent / 100).copied().unwrap_or(0);
        format!(
            "{{\"sent\": {}, \"delivered\": {}, \"bad\": {}, \"cpu_us_per_packet\": {:.3}, \"kpps\": {:.1}, \
             \"core\": {:.2}, \"p50_us\": {}, \"p99_us\": {}, \"flood_per_second\": {:.0}, \
             \"memory_kib\": [{}, {}, {}], \"files\": [{}, {}, {}]}}",
            self.sent,
            self.delivered,
            self.bad,
            self.cpu as f64 / 1000.0 / self.delivered.max(1) as f64,
            self.delivered as f64 / 1000.0 / self.seconds,
            self.cpu as f64 / 1e9 / self.seconds,
            delay(50),
            delay(99),
            self.flooded as f64 / self.seconds,
            self.held[0].memory,
            self.held[1].memory,
            self.held[2].memory,
            self.held[0].files,
            self.held[1].files,
            self.held[2].files,
        )
    }
}
