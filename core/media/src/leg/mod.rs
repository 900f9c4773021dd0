//! One leg of a call: what the peer sends becomes speech, speech becomes what the peer is sent.
//!
//! Packets come in by [`Leg::handle_rtp`] and [`Leg::handle_rtcp`], every 20 ms [`Leg::tick`] exchanges a frame of speech, and
//! [`Leg::poll_output`] is then drained. Sockets, ports and marks are the host's: a leg only says by which of its two
//! sockets a packet leaves.

mod receive;
mod send;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::payload::{Kind, classify};

use crate::codec::Frame;
use crate::negotiate::Agreed;
use crate::random::Random;
use receive::Receiver;
use send::Sender;

/// Between two ticks.
pub const TICK: Duration = Duration::from_millis(20);
/// Ticks that may be made up for at once; beyond, time is skipped.
const MOST_LATE: u32 = 5;

/// What a leg is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// What offer and answer came to.
    pub agreed: Agreed,
    /// Which decides port range and mark of everything the leg sends.
    pub class: TrafficClass,
    /// The mark that the leg's sockets were given by the plan; only reported.
    pub mark: Dscp,
    /// Canonical name for RTCP: the same for all streams of one end, and nobody's address (RFC 7022).
    pub cname: String,
    /// Gives SSRC and first numbers; secret, and new for every leg.
    pub seed: [u8; 32],
}

/// By which socket a packet leaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Component {
    /// That of RTP; of RTCP too, where both share a port.
    Rtp,
    /// That of RTCP.
    Rtcp,
}

/// A packet to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// By which socket.
    pub component: Component,
    /// Whereto.
    pub to: SocketAddr,
    /// Which decides the mark.
    pub class: TrafficClass,
    /// The whole packet.
    pub bytes: Vec<u8>,
}

/// What a leg wants done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Something that the owner of the call may want to know.
    Event(Event),
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The first packet of the peer's stream came: speech is about to be heard.
    Started,
}

/// Packets of one kind that came, good or bad, by what is wrong with them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Arrivals {
    /// All of them by the mark that they carried.
    pub marks: BTreeMap<Dscp, u64>,
    /// Neither RTP nor RTCP, or cut, or with an impossible header.
    pub garbage: u64,
    /// From an address that nobody announced. Without encryption they are not listened to; there is no latching.
    pub foreign: u64,
    /// Not what the peer's key would have made: wrong key, or forged.
    pub unauthentic: u64,
    /// Heard before, by the counters of SRTP.
    pub replayed: u64,
    /// Of a payload type that was not agreed.
    pub unexpected: u64,
    /// With our own SSRC: the peer chose the same, or our packets come back.
    pub looped: u64,
    /// Of a source that was heard only once, or of one that another has replaced.
    pub stray: u64,
}

/// One leg.
#[derive(Debug)]
pub struct Leg {
    agreed: Agreed,
    class: TrafficClass,
    sender: Sender,
    receiver: Receiver,
    rtp: Arrivals,
    rtcp: Arrivals,
    outputs: VecDeque<Output>,
    /// When the next tick is due.
    due: Option<Duration>,
    /// Ticks that were left out because the host came too late.
    skipped: u64,
}

impl Leg {
    /// A leg that begins to send with its first tick. `None` only if a codec library refuses its fixed parameters.
    pub fn new(config: Config) -> Option<Leg> {
        let mut random = Random::new(&config.seed, *b"rtp-ssrc");
        Some(Leg {
            sender: Sender::new(&config.agreed, &mut random)?,
            receiver: Receiver::new(&config.agreed),
            agreed: config.agreed,
            class: config.class,
            rtp: Arrivals::default(),
            rtcp: Arrivals::default(),
            outputs: VecDeque::new(),
            due: None,
            skipped: 0,
        })
    }

    /// A datagram came on the socket of RTP. With what mark, is counted before anything else.
    pub fn handle_rtp(&mut self, now: Duration, source: SocketAddr, datagram: &mut [u8], mark: Dscp) {
        self.handle(now, source, datagram, mark, Component::Rtp);
    }

    /// A datagram came on the socket of RTCP.
    pub fn handle_rtcp(&mut self, now: Duration, source: SocketAddr, datagram: &mut [u8], mark: Dscp) {
        self.handle(now, source, datagram, mark, Component::Rtcp);
    }

    /// RTP and RTCP are told apart by their second byte wherever they come (RFC 5761, 4): some phones send RTCP to
    /// the port of RTP without having agreed to.
    fn handle(
        &mut self,
        now: Duration,
        source: SocketAddr,
        datagram: &mut [u8],
        mark: Dscp,
        component: Component,
    ) {
        let kind = classify(datagram, datagram.len() as u32);
        let is_rtcp = kind == Kind::Rtcp || kind != Kind::Rtp && component == Component::Rtcp;
        let arrivals = if is_rtcp { &mut self.rtcp } else { &mut self.rtp };
        *arrivals.marks.entry(mark).or_default() += 1;
        if !matches!(kind, Kind::Rtp | Kind::Rtcp) {
            // Empty and four-byte datagrams keep a binding of a NAT alive.
            arrivals.garbage += u64::from(!matches!(kind, Kind::Empty | Kind::KeepAlive));
            return;
        }
        let announced = [self.agreed.remote_rtp.ip(), self.agreed.remote_rtcp.ip()];
        if !announced.iter().any(|ip| ip.to_canonical() == source.ip().to_canonical()) {
            arrivals.foreign += 1;
            if self.agreed.keys.is_none() {
                return;
            }
        }
        if !is_rtcp {
            let event = self.receiver.handle(now, datagram, self.sender.ssrc(), arrivals);
            self.outputs.extend(event.map(Output::Event));
        }
    }

    /// To be called every 20 ms. Takes a frame of speech to send, or nothing (then nothing is sent), and gives the
    /// frame to play.
    pub fn tick(&mut self, now: Duration, speech: Option<&Frame>) -> Frame {
        self.keep_time(now);
        let packet = self.sender.tick(speech.filter(|_| self.agreed.sends()));
        if let Some(bytes) = packet {
            self.transmit(Component::Rtp, bytes);
        }
        self.receiver.play()
    }

    /// What the leg wants done. To be called until there is nothing left.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Leg::tick`] is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.due
    }

    /// RTP that came, by mark and by what was wrong with it.
    pub fn rtp_arrivals(&self) -> &Arrivals {
        &self.rtp
    }

    /// RTCP that came.
    pub fn rtcp_arrivals(&self) -> &Arrivals {
        &self.rtcp
    }

    /// What was agreed.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// The clock of our stream runs with the time, also while the host is held up.
    fn keep_time(&mut self, now: Duration) {
        let due = self.due.unwrap_or(now);
        let late = (now.saturating_sub(due).as_millis() / TICK.as_millis()).try_into().unwrap_or(u32::MAX);
        let skipped = if late > MOST_LATE { late } else { 0 };
        self.sender.skip(skipped);
        self.skipped += u64::from(skipped);
        self.due = Some(due + TICK * (1 + skipped));
    }

    fn transmit(&mut self, component: Component, bytes: Vec<u8>) {
        let to = match component {
            Component::Rtp => self.agreed.remote_rtp,
            Component::Rtcp => self.agreed.remote_rtcp,
        };
        let component = if self.agreed.mux { Component::Rtp } else { component };
        self.outputs.push_back(Output::Transmit(Transmit { component, to, class: self.class, bytes }));
    }
}
