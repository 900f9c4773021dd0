//! The media of one call on a thread of its own: every 20 ms speech goes out, whatever came is heard.
//!
//! What a packet is, the leg knows; which port it leaves and how it is marked, the lease. Here is only time.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use carillon_media::dtmf::Key;
use carillon_media::leg::{Component, Config, Event, Leg, Output, TICK, Transmit};
use carillon_media::negotiate::Agreed;
use carillon_net::lease::Lease;
use carillon_net::udp::{Batch, Datagram, UdpPort};

use super::clock::Clock;
use super::speech::{Speaker, Speech};
use crate::answer::Failure;

/// The longest packet that is read.
const LONGEST: usize = 2048;
/// The most that is kept of what was heard: an hour.
const MOST_HEARD: usize = 3600 * 16_000;
/// The most keys that are kept.
const MOST_KEYS: usize = 256;

/// Something to do for the thread.
pub(super) enum Order {
    /// From now on this was agreed.
    Change(Agreed),
    /// Press these keys.
    Press(String),
}

/// A running thread; dropping it without [`Media::end`] leaves it to end by itself.
pub(super) struct Media {
    thread: JoinHandle<Ended>,
    orders: Sender<Order>,
}

/// What is left when the call is over. The ports are closed.
pub(super) struct Ended {
    pub(super) leg: Leg,
    pub(super) heard: Speech,
    /// Keys that the other side pressed.
    pub(super) keys: String,
    /// Ticks that came more than one tick too late.
    pub(super) late: u64,
    /// Packets that the kernel refused to send.
    pub(super) refused: u64,
    /// Packets that the kernel dropped because nobody read them.
    pub(super) dropped: u64,
}

impl Media {
    /// Begins to send and to listen.
    pub(super) fn begin(
        clock: Clock,
        config: Config,
        lease: Lease,
        speech: Speech,
    ) -> Result<Media, Failure> {
        let leg = Leg::new(config)
            .ok_or_else(|| Failure::new("cannot make a leg", "a codec refused its parameters"))?;
        let (orders, inbox) = channel();
        let running = Running {
            clock,
            lease,
            batch: Batch::new(LONGEST),
            speaker: Speaker::new(speech),
            ended: Ended {
                leg,
                heard: Speech(Vec::new()),
                keys: String::new(),
                late: 0,
                refused: 0,
                dropped: 0,
            },
        };
        let builder = thread::Builder::new().name("media".to_owned());
        let thread = builder
            .spawn(move || running.run(&inbox))
            .map_err(|error| Failure::new("cannot start a thread for the media", error))?;
        Ok(Media { thread, orders })
    }

    pub(super) fn order(&self, order: Order) {
        // A thread that is gone has nothing to change.
        let _ = self.orders.send(order);
    }

    /// Stops it and gives the ports back.
    pub(super) fn end(self) -> Result<Ended, Failure> {
        drop(self.orders);
        self.thread.join().map_err(|_| Failure::new("cannot report on the call", "its media thread panicked"))
    }
}

struct Running {
    clock: Clock,
    lease: Lease,
    batch: Batch,
    speaker: Speaker,
    ended: Ended,
}

impl Running {
    /// Until nobody gives orders any more.
    fn run(mut self, orders: &Receiver<Order>) -> Ended {
        let mut due = self.clock.now();
        loop {
            thread::sleep(due.saturating_sub(self.clock.now()));
            let now = self.clock.now();
            self.ended.late += u64::from(now.saturating_sub(due) > TICK);
            loop {
                match orders.try_recv() {
                    Ok(order) => self.obey(order),
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return self.close(),
                }
            }
            self.receive();
            self.tick(now);
            due = self.ended.leg.poll_timeout().unwrap_or(now + TICK);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            // A codec that refuses its fixed parameters is met when the leg is made, not here.
            Order::Change(agreed) => _ = self.ended.leg.renegotiate(agreed),
            Order::Press(keys) => keys.chars().filter_map(Key::new).for_each(|key| {
                self.ended.leg.press(key);
            }),
        }
    }

    fn receive(&mut self) {
        let ports = [(Component::Rtp, Some(self.lease.rtp())), (Component::Rtcp, self.lease.rtcp())];
        for (component, port) in ports {
            let Some(port) = port else { continue };
            while let Ok(1..) = port.receive(&mut self.batch) {
                for packet in self.batch.iter() {
                    let mut bytes = packet.bytes.to_vec();
                    // The kernel's time of arrival: how long it waited for this thread is no jitter of the network.
                    match component {
                        Component::Rtp => {
                            self.ended.leg.handle_rtp(packet.arrived, packet.remote, &mut bytes, packet.mark);
                        }
                        Component::Rtcp => {
                            self.ended.leg.handle_rtcp(
                                packet.arrived,
                                packet.remote,
                                &mut bytes,
                                packet.mark,
                            );
                        }
                    }
                }
            }
        }
    }

    fn tick(&mut self, now: Duration) {
        let speech = self.speaker.next();
        let heard = self.ended.leg.tick(now, Some(&speech));
        if self.ended.heard.0.len() < MOST_HEARD {
            self.ended.heard.0.extend_from_slice(&heard);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.ended.leg.poll_output() {
            match output {
                Output::Transmit(transmit) => self.send(&transmit),
                Output::Event(Event::Key(key)) if self.ended.keys.len() < MOST_KEYS => {
                    self.ended.keys.push(key.character());
                }
                Output::Event(_) => {}
            }
        }
    }

    fn send(&mut self, transmit: &Transmit) {
        let rtcp = self.lease.rtcp().filter(|_| transmit.component == Component::Rtcp);
        let port = rtcp.unwrap_or_else(|| self.lease.rtp());
        let datagram = Datagram { to: transmit.to, from: None, bytes: &transmit.bytes, mark: None };
        port.send(&[datagram], |_, _| self.ended.refused += 1);
    }

    /// Says goodbye and closes the ports.
    fn close(mut self) -> Ended {
        self.receive();
        self.ended.leg.end(self.clock.now());
        self.drain();
        let ports = [Some(self.lease.rtp()), self.lease.rtcp()];
        let dropped = |port: &UdpPort| -> io::Result<u32> { port.dropped() };
        self.ended.dropped =
            ports.into_iter().flatten().filter_map(|port| dropped(port).ok()).map(u64::from).sum();
        self.ended
    }
}
