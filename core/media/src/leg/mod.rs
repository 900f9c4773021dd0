//! One leg of a call: what the peer sends becomes speech, speech becomes what the peer is sent.
//!
//! Packets come in by [`Leg::handle_rtp`] and [`Leg::handle_rtcp`], every 20 ms [`Leg::tick`] exchanges a frame of speech, and
//! [`Leg::poll_output`] is then drained. Sockets, ports and marks are the host's: a leg only says by which of its two
//! sockets a packet leaves.

mod control;
mod keyring;
mod receive;
mod send;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::payload::{Kind, classify};
use carillon_wire::rtp;

use crate::codec::{Frame, SILENCE};
use crate::negotiate::Agreed;
use crate::quality::{Report, voip_metrics};
use crate::random::Random;
use crate::{dtmf, srtp};
use control::Control;
use keyring::Keyring;
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
    /// The mark that the leg's sockets carry, as the plan has it; only reported.
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
    /// The peer pressed a key; told once per press.
    Key(dtmf::Key),
    /// The peer said goodbye to its stream (RTCP BYE). The call itself ends by SIP.
    Left,
    /// The peer had chosen our SSRC: we have another now.
    Collided,
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
    mark: Dscp,
    random: Random,
    keyring: Keyring,
    sender: Sender,
    receiver: Receiver,
    control: Control,
    rtp: Arrivals,
    rtcp: Arrivals,
    sent: [u64; 2],
    marks_sent: BTreeMap<Dscp, u64>,
    outputs: VecDeque<Output>,
    /// When the next tick is due.
    due: Option<Duration>,
    /// Ticks that were left out because the host came too late.
    skipped: u64,
    collided: bool,
    ended: bool,
}

impl Leg {
    /// A leg that begins to send with its first tick. `None` only if a codec or cipher library refuses its fixed
    /// parameters.
    pub fn new(config: Config) -> Option<Leg> {
        let mut random = Random::new(&config.seed, *b"rtp-ssrc");
        let mut keyring = Keyring::default();
        keyring.turn(config.agreed.keys.as_ref())?;
        Some(Leg {
            sender: Sender::new(&config.agreed, &mut random)?,
            receiver: Receiver::new(&config.agreed),
            control: Control::new(config.cname),
            keyring,
            agreed: config.agreed,
            class: config.class,
            mark: config.mark,
            random,
            rtp: Arrivals::default(),
            rtcp: Arrivals::default(),
            sent: [0; 2],
            marks_sent: BTreeMap::new(),
            outputs: VecDeque::new(),
            due: None,
            skipped: 0,
            collided: false,
            ended: false,
        })
    }

    /// A re-INVITE came to this: hold, resume, another codec or address. Streams and their counters go on. `None` as
    /// with [`Leg::new`].
    pub fn renegotiate(&mut self, agreed: Agreed) -> Option<()> {
        self.sender.renegotiate(&agreed)?;
        self.receiver.renegotiate(&agreed);
        self.keyring.turn(agreed.keys.as_ref())?;
        self.agreed = agreed;
        Some(())
    }

    /// A datagram came on the socket of RTP. With what mark, is counted before anything else.
    /// A connection tells no marks.
    pub fn handle_rtp(
        &mut self,
        now: Duration,
        source: SocketAddr,
        datagram: &mut [u8],
        mark: impl Into<Option<Dscp>>,
    ) {
        self.handle(now, source, datagram, mark.into(), Component::Rtp);
    }

    /// A datagram came on the socket of RTCP.
    pub fn handle_rtcp(
        &mut self,
        now: Duration,
        source: SocketAddr,
        datagram: &mut [u8],
        mark: impl Into<Option<Dscp>>,
    ) {
        self.handle(now, source, datagram, mark.into(), Component::Rtcp);
    }

    /// RTP and RTCP are told apart by their second byte wherever they come (RFC 5761, 4): some phones send RTCP to
    /// the port of RTP without having agreed to.
    fn handle(
        &mut self,
        now: Duration,
        source: SocketAddr,
        datagram: &mut [u8],
        mark: Option<Dscp>,
        component: Component,
    ) {
        let kind = classify(datagram, datagram.len() as u32);
        let is_rtcp = kind == Kind::Rtcp || kind != Kind::Rtp && component == Component::Rtcp;
        let is_foreign = !self.is_announced(source);
        let arrivals = if is_rtcp { &mut self.rtcp } else { &mut self.rtp };
        if let Some(mark) = mark {
            *arrivals.marks.entry(mark).or_default() += 1;
        }
        if !matches!(kind, Kind::Rtp | Kind::Rtcp) {
            // Empty and four-byte datagrams keep a binding of a NAT alive.
            arrivals.garbage += u64::from(!matches!(kind, Kind::Empty | Kind::KeepAlive));
            return;
        }
        arrivals.foreign += u64::from(is_foreign);
        if is_foreign && self.agreed.keys.is_none() {
            return;
        }
        let Some(plain) = open(self.keyring.receiver(), datagram, is_rtcp, arrivals) else { return };
        let events = if is_rtcp { self.handle_report(now, plain) } else { self.handle_media(now, plain) };
        self.outputs.extend(events.into_iter().flatten().map(Output::Event));
    }

    /// Checks have proven more than addresses can, and only what passed them comes here.
    fn is_announced(&self, source: SocketAddr) -> bool {
        if self.agreed.ice.is_some() {
            return true;
        }
        let announced = [self.agreed.remote_rtp.ip(), self.agreed.remote_rtcp.ip()];
        announced.iter().any(|ip| ip.to_canonical() == source.ip().to_canonical())
    }

    fn handle_media(&mut self, now: Duration, plain: &[u8]) -> [Option<Event>; 2] {
        let packet = rtp::Packet::parse(plain, plain.len() as u32);
        let Some((packet, payload)) = packet.and_then(|packet| Some((packet, packet.unpadded()?))) else {
            self.rtp.garbage += 1;
            return [None; 2];
        };
        if packet.ssrc == self.sender.ssrc() {
            self.rtp.looped += 1;
            return [self.collide(now), None];
        }
        self.receiver.handle(now, &packet, payload, &mut self.rtp)
    }

    fn handle_report(&mut self, now: Duration, plain: &[u8]) -> [Option<Event>; 2] {
        let heard = self.receiver.stream().map(|stream| stream.ssrc);
        let clock = self.agreed.send.codec.clock();
        [self.control.handle(now, plain, self.sender.ssrc(), clock, heard, &mut self.rtcp), None]
    }

    /// RFC 3550, 8.2: goodbye to the number that another has too, and a new one. Once: if packets with the new number
    /// come back as well, somebody sends us our own.
    fn collide(&mut self, now: Duration) -> Option<Event> {
        if std::mem::replace(&mut self.collided, true) {
            return None;
        }
        self.report_to_peer(now, true);
        self.sender.change_ssrc(&mut self.random);
        Some(Event::Collided)
    }

    /// To be called every 20 ms. Takes a frame of speech to send, or nothing (then nothing is sent), and gives the
    /// frame to play.
    pub fn tick(&mut self, now: Duration, speech: Option<&Frame>) -> Frame {
        self.keep_time(now);
        if self.control.is_due(now, &mut self.random) && !self.ended {
            self.report_to_peer(now, false);
        }
        let sends = self.agreed.sends() && !self.ended;
        if let Some(packet) = self.sender.tick(speech.filter(|_| sends), sends) {
            self.transmit(Component::Rtp, packet);
        }
        let frame = self.receiver.play();
        if self.agreed.receives() { frame } else { SILENCE }
    }

    /// Presses a key, after those that were pressed before. `false` if the peer knows no key presses, or too many wait.
    pub fn press(&mut self, key: dtmf::Key) -> bool {
        self.sender.press(key)
    }

    /// The call is over: says goodbye (RTCP BYE). Nothing is sent afterwards.
    pub fn end(&mut self, now: Duration) {
        if !std::mem::replace(&mut self.ended, true) {
            self.report_to_peer(now, true);
        }
    }

    /// The sockets carry another mark from now on; only reported.
    pub fn set_mark(&mut self, mark: Dscp) {
        self.mark = mark;
    }

    /// What the leg wants done. To be called until there is nothing left.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Leg::tick`] is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.due
    }

    /// What was agreed.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Everything in numbers, from the start until now.
    pub fn report(&self) -> Report {
        let received = self.receiver.received();
        let stream = self.receiver.stream();
        let counts = stream.map(|stream| stream.buffer.counts()).unwrap_or_default();
        let lost = u64::try_from(received.lost).unwrap_or(0);
        let discarded = counts.late + counts.overflowed;
        let percent = |part: u64| 100.0 * part as f64 / (received.packets + lost).max(1) as f64;
        let (jitter_ms, jitter_max_ms) = stream.map_or((0.0, 0.0), |stream| stream.jitter_ms());
        Report {
            codec: self.agreed.send.codec,
            codec_heard: stream.and_then(|stream| stream.codec()),
            class: self.class,
            suite: self.agreed.keys.as_ref().map(|keys| keys.send.suite().name()),
            packets_sent: self.sent[0],
            reports_sent: self.sent[1],
            marks_sent: self.marks_sent.clone(),
            rtp: self.rtp.clone(),
            rtcp: self.rtcp.clone(),
            packets_received: received.packets,
            packets_lost: lost,
            packets_discarded: discarded,
            packets_duplicated: received.duplicated,
            packets_reordered: received.reordered,
            packets_garbled: received.garbled,
            loss_percent: percent(lost),
            unheard_percent: percent(lost + discarded),
            clusters: stream.map(|stream| stream.buffer.bursts().clusters()).unwrap_or_default(),
            frames_concealed: counts.concealed,
            jitter_ms,
            jitter_max_ms,
            round_trip_ms: self.control.round_trip_ms(),
            buffer_ms: stream.map_or(0, |stream| stream.buffer.delay_ms()),
            buffer_max_ms: stream.map_or(0, |stream| stream.buffer.most_delay_ms()),
            ticks_skipped: self.skipped,
            remote: self.control.remote(),
        }
    }

    /// Sends a compound; with `bye`, the last one of our SSRC.
    fn report_to_peer(&mut self, now: Duration, bye: bool) {
        let heard = self.receiver.stream().map(|stream| stream.ssrc).filter(|_| self.agreed.voip_metrics);
        let metrics = heard.map(|ssrc| voip_metrics(&self.report(), ssrc));
        let compound = self.control.compound(now, &self.sender, self.receiver.stream(), metrics, bye);
        self.transmit(Component::Rtcp, compound);
    }

    /// The clock of our stream runs with the time, also while the host is held up.
    fn keep_time(&mut self, now: Duration) {
        let due = self.due.unwrap_or(now);
        let late = (now.saturating_sub(due).as_millis() / TICK.as_millis()).try_into().unwrap_or(u32::MAX);
        let skipped = if late > MOST_LATE { late } else { 0 };
        self.sender.skip(skipped);
        self.skipped += u64::from(skipped);
        self.due = Some(due + TICK * skipped.saturating_add(1));
    }

    fn transmit(&mut self, component: Component, mut bytes: Vec<u8>) {
        let (to, is_rtcp) = match component {
            Component::Rtp => (self.agreed.remote_rtp, false),
            Component::Rtcp => (self.agreed.remote_rtcp, true),
        };
        let protected = match self.keyring.sender() {
            Some(sender) if is_rtcp => sender.protect_rtcp(&mut bytes),
            Some(sender) => sender.protect_rtp(&mut bytes),
            None => Ok(()),
        };
        // What cannot be encrypted stays here; a peer on hold by the address 0.0.0.0 has no place to send to. Where the peers
        // of ICE are, descriptions don't say.
        let nowhere = self.agreed.ice.is_none() && (to.ip().is_unspecified() || to.port() == 0);
        if protected.is_err() || nowhere {
            return;
        }
        self.sent[usize::from(is_rtcp)] += 1;
        *self.marks_sent.entry(self.mark).or_default() += 1;
        let component = if self.agreed.mux { Component::Rtp } else { component };
        self.outputs.push_back(Output::Transmit(Transmit { component, to, class: self.class, bytes }));
    }
}

/// The packet in the clear; `None` if it is not the peer's, and that is counted.
fn open<'a>(
    receiver: Option<&mut srtp::Receiver>,
    datagram: &'a mut [u8],
    is_rtcp: bool,
    arrivals: &mut Arrivals,
) -> Option<&'a [u8]> {
    let Some(receiver) = receiver else { return Some(datagram) };
    let opened = match is_rtcp {
        true => receiver.unprotect_rtcp(datagram),
        false => receiver.unprotect_rtp(datagram),
    };
    match opened {
        Ok(len) => return datagram.get(..len),
        Err(srtp::Error::Malformed) => arrivals.garbage += 1,
        Err(srtp::Error::Replayed) => arrivals.replayed += 1,
        Err(_) => arrivals.unauthentic += 1,
    }
    None
}
