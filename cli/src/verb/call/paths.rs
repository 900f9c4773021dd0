//! The ways that the media of one call may take: its leased ports, connections to relays, and the agent that finds out
//! which of them work. Without an agent packets go to the addresses of the descriptions.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_media::ice::{Agent, Config, Event, Output, Path, Port, Stream, Via};
use carillon_media::leg::{Component, Transmit};
use carillon_media::negotiate::Agreed;
use carillon_net::lease::Lease;
use carillon_net::relay_stream::RelayStream;
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_wire::ip::Dscp;

use super::relays::Names;

/// The longest packet that is read.
const LONGEST: usize = 2048;
/// Batches of packets that are taken at a time from one port.
const BATCHES: usize = 4;

/// Ports, connections and agent.
pub(super) struct Paths {
    lease: Lease,
    /// What was told to who knows of no other way.
    main: IpAddr,
    batch: Batch,
    agent: Option<Agent>,
    streams: BTreeMap<Stream, RelayStream>,
    names: Names,
    events: Vec<Event>,
    /// Packets that the kernel refused to send, or that had no way.
    refused: u64,
}

/// A packet of media that came.
pub(super) struct Arrival<'a> {
    pub(super) component: Component,
    pub(super) from: SocketAddr,
    /// The kernel's time of arrival: how long it waited for its thread is no jitter of the network.
    pub(super) at: Duration,
    /// None that came by a connection has one.
    pub(super) mark: Option<Dscp>,
    pub(super) bytes: &'a mut [u8],
}

impl Paths {
    /// With the settings of an agent, which asks its relays at once; names are those of relays that speak TLS.
    pub(super) fn new(
        lease: Lease,
        main: IpAddr,
        ice: Option<&Config>,
        names: Names,
        now: Duration,
    ) -> Paths {
        Paths {
            lease,
            main,
            batch: Batch::new(LONGEST),
            agent: ice.map(|config| Agent::new(config, now)),
            streams: BTreeMap::new(),
            names,
            events: Vec::new(),
            refused: 0,
        }
    }

    /// Offer and answer came to this.
    pub(super) fn agree(&mut self, now: Duration, agreed: &Agreed) {
        match (&mut self.agent, &agreed.ice) {
            (Some(agent), Some(session)) => agent.agree(now, session.clone(), !agreed.mux),
            (Some(agent), None) => {
                agent.end(now);
                self.drain(now);
                self.agent = None;
            }
            (None, _) => {}
        }
        // What a relay has lent to the other port is given back from there.
        self.drain(now);
        if agreed.mux {
            self.lease.agree_mux();
        }
    }

    /// Whether media may be sent.
    pub(super) fn is_open(&self) -> bool {
        self.agent.as_ref().is_none_or(|agent| agent.has_way(Component::Rtp))
    }

    /// Takes what has come; media is shown to `see`.
    pub(super) fn receive(&mut self, now: Duration, see: &mut dyn FnMut(Arrival<'_>)) {
        let ports = [(Component::Rtp, Some(self.lease.rtp())), (Component::Rtcp, self.lease.rtcp())];
        for (component, port) in ports {
            let Some(port) = port else { continue };
            // Not without end: whoever floods the port must not keep the phone from speaking.
            for _ in 0..BATCHES {
                let Ok(1..) = port.receive(&mut self.batch) else { break };
                for packet in self.batch.iter() {
                    let (at, mark) = (packet.arrived, Some(packet.mark));
                    let Some(agent) = &mut self.agent else {
                        let bytes = &mut packet.bytes.to_vec();
                        see(Arrival { component, from: packet.remote, at, mark, bytes });
                        continue;
                    };
                    let port = Port { component, ip: Some(packet.local.ip()) };
                    if let Some(media) = agent.handle_datagram(now, port, packet.remote, packet.bytes) {
                        let bytes = &mut media.bytes.to_vec();
                        see(Arrival { component: media.component, from: media.from, at, mark, bytes });
                    }
                }
            }
        }
        self.receive_streams(now, see);
    }

    /// What the time has come for.
    pub(super) fn turn(&mut self, now: Duration) {
        if let Some(agent) = &mut self.agent {
            agent.handle_timeout(now);
        }
        self.drain(now);
    }

    /// What has happened since the last time.
    pub(super) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// A packet of the leg leaves.
    pub(super) fn send(&mut self, now: Duration, transmit: &Transmit) {
        match &mut self.agent {
            Some(agent) => {
                let sent = agent.send(transmit.component, &transmit.bytes);
                self.refused += u64::from(!sent);
                self.drain(now);
            }
            None => {
                let port = Port { component: transmit.component, ip: Some(self.main) };
                self.send_datagram(port, transmit.to, &transmit.bytes);
            }
        }
    }

    /// Why there is no way, in words.
    pub(super) fn missing(&self) -> &'static str {
        self.agent.as_ref().map_or("no way to the other side was found", |agent| agent.missing().words())
    }

    /// The ways that were chosen.
    pub(super) fn chosen(&self) -> Vec<Path> {
        self.agent.iter().flat_map(Agent::paths).collect()
    }

    /// Gives back what relays have lent. Packets refused here, and dropped by the kernel because nobody read them.
    pub(super) fn close(mut self, now: Duration) -> (u64, u64) {
        if let Some(agent) = &mut self.agent {
            agent.end(now);
        }
        self.drain(now);
        let ports = [Some(self.lease.rtp()), self.lease.rtcp()];
        let dropped = |port: &UdpPort| -> io::Result<u32> { port.dropped() };
        let dropped = ports.into_iter().flatten().filter_map(|port| dropped(port).ok()).map(u64::from).sum();
        let waited: u64 = self.streams.values().map(RelayStream::refused).sum();
        (self.refused + waited, dropped)
    }

    fn receive_streams(&mut self, now: Duration, see: &mut dyn FnMut(Arrival<'_>)) {
        let Some(agent) = &mut self.agent else { return };
        let mut over = Vec::new();
        for (key, stream) in &mut self.streams {
            let mut bytes = Vec::new();
            let open = stream.turn(&mut bytes).unwrap_or(false);
            agent.handle_stream(now, *key, &bytes, &mut |media| {
                let bytes = &mut media.bytes.to_vec();
                see(Arrival { component: media.component, from: media.from, at: now, mark: None, bytes });
            });
            if !open {
                over.push(*key);
            }
        }
        for key in over {
            self.streams.remove(&key);
            agent.handle_closed(now, key);
        }
    }

    fn drain(&mut self, now: Duration) {
        while let Some(output) = self.agent.as_mut().and_then(Agent::poll_output) {
            match output {
                Output::Transmit { via: Via::Port(port), to, bytes } => self.send_datagram(port, to, &bytes),
                Output::Transmit { via: Via::Stream(stream), bytes, .. } => self.send_by(stream, &bytes),
                Output::Connect { stream, component, to, tls } => {
                    self.connect(now, stream, component, to, tls);
                }
                Output::Close(stream) => _ = self.streams.remove(&stream),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn send_datagram(&mut self, from: Port, to: SocketAddr, bytes: &[u8]) {
        let refused = &mut self.refused;
        port(&self.lease, from.component)
            .send(&[Datagram { to, from: from.ip, bytes, mark: None }], |_, _| *refused += 1);
    }

    fn send_by(&mut self, stream: Stream, bytes: &[u8]) {
        let Some(open) = self.streams.get_mut(&stream) else { return };
        open.send(bytes);
        // What comes meanwhile stays in the socket until it is read; what is over is noticed then.
        let _ = open.flush();
    }

    /// From the number of the port that it stands for, which is inside the range, with the same mark.
    fn connect(&mut self, now: Duration, stream: Stream, component: Component, to: SocketAddr, tls: bool) {
        let port = port(&self.lease, component);
        let mark = port.marks().ok().and_then(|marks| marks.v4.or(marks.v6)).unwrap_or(Dscp::DEFAULT);
        let tls = if tls { self.names.get(&to).map(Some) } else { Some(None) };
        let opened = tls.and_then(|tls| RelayStream::connect(port.local(), to, mark, tls.cloned()).ok());
        match (opened, &mut self.agent) {
            (Some(opened), _) => _ = self.streams.insert(stream, opened),
            (None, Some(agent)) => agent.handle_closed(now, stream),
            (None, None) => {}
        }
    }
}

/// The port of a component; where both share one, that of RTP.
fn port(lease: &Lease, component: Component) -> &UdpPort {
    lease.rtcp().filter(|_| component == Component::Rtcp).unwrap_or_else(|| lease.rtp())
}
