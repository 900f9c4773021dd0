//! The media of one call on a thread of its own: every 20 ms speech goes out, whatever came is heard.
//!
//! What a packet is, the leg knows; which port it leaves and how it is marked, the lease. Here is only time.

use std::io;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
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
/// Batches of packets that are taken at a time from one port.
const BATCHES: usize = 4;
/// The most that is kept of what was heard: an hour.
const MOST_HEARD: usize = 3600 * 16_000;
/// Ticks before keys are pressed.
const BEFORE_KEYS: u32 = 25;
/// Ticks that a key and the pause after it take, and some more.
const FRAMES_PER_KEY: usize = 13;
/// The most keys that are kept.
const MOST_KEYS: usize = 256;

/// A running thread; dropping it without [`Media::end`] leaves it to end by itself.
pub(super) struct Media {
    thread: JoinHandle<Ended>,
    changes: Sender<Agreed>,
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
    /// Begins to send and to listen. Keys are pressed first, and speech begins after them.
    pub(super) fn begin(
        clock: Clock,
        config: Config,
        lease: Lease,
        speech: Speech,
        keys: &str,
    ) -> Result<Media, Failure> {
        let leg = Leg::new(config)
            .ok_or_else(|| Failure::new("cannot make a leg", "a codec refused its parameters"))?;
        let (changes, inbox) = channel();
        let keys: Vec<Key> = keys.chars().filter_map(Key::new).collect();
        let silence =
            if keys.is_empty() { 0 } else { 2 * BEFORE_KEYS as usize + FRAMES_PER_KEY * keys.len() };
        let running = Running {
            clock,
            lease,
            batch: Batch::new(LONGEST),
            speaker: Speaker::new(speech, silence),
            keys,
            until_keys: Some(BEFORE_KEYS),
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
        Ok(Media { thread, changes })
    }

    /// From now on this was agreed.
    pub(super) fn change(&self, agreed: Agreed) {
        // A thread that is gone has nothing to change.
        let _ = self.changes.send(agreed);
    }

    /// Stops it and gives the ports back.
    pub(super) fn end(self) -> Result<Ended, Failure> {
        drop(self.changes);
        self.thread.join().map_err(|_| Failure::new("cannot report on the call", "its media thread panicked"))
    }
}

struct Running {
    clock: Clock,
    lease: Lease,
    batch: Batch,
    speaker: Speaker,
    keys: Vec<Key>,
    /// Ticks until they are pressed.
    until_keys: Option<u32>,
    ended: Ended,
}

impl Running {
    /// Until the call is over.
    fn run(mut self, changes: &Receiver<Agreed>) -> Ended {
        let mut due = self.clock.now();
        loop {
            thread::sleep(due.saturating_sub(self.clock.now()));
            let now = self.clock.now();
            self.ended.late += u64::from(now.saturating_sub(due) > TICK);
            match changes.try_recv() {
                // A codec that refuses its fixed parameters is met when the leg is made, not here.
                Ok(agreed) => _ = self.ended.leg.renegotiate(agreed),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return self.close(),
            }
            self.receive();
            self.tick(now);
            due = self.ended.leg.poll_timeout().unwrap_or(now + TICK);
        }
    }

    fn receive(&mut self) {
        let ports = [(Component::Rtp, Some(self.lease.rtp())), (Component::Rtcp, self.lease.rtcp())];
        for (component, port) in ports {
            let Some(port) = port else { continue };
            // Not without end: whoever floods the port must not keep the phone from speaking.
            for _ in 0..BATCHES {
                let Ok(1..) = port.receive(&mut self.batch) else { break };
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
        if self.until_keys == Some(0) {
            self.keys.iter().for_each(|key| _ = self.ended.leg.press(*key));
        }
        self.until_keys = self.until_keys.and_then(|ticks| ticks.checked_sub(1));
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
