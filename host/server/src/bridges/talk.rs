//! A call between a browser and a phone, on a thread of its own: every 20 ms what came is heard and what is due is said.
//!
//! Packets wait in the kernel meanwhile, with mark and time of their arrival; the jitter buffers would hold them anyway.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use carillon_media::bridge::{Legs, LegsConfig};
use carillon_media::leg::{Component, TICK, Transmit};
use carillon_net::udp::{Batch, Datagram, UdpPort};
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::Profile;

use super::web::{Identity, Web};
use super::{Agreed, Ports};
use crate::clock::Clock;

/// The longest packet that is read.
const LONGEST: usize = 2048;
/// Batches of packets that are taken at a time from one port: whoever floods it must not stop the other side.
const BATCHES: usize = 4;
/// A browser asks for consent every 5 s, hold or not; who has not for so long is gone (RFC 7675, 5.1). Ports come back then,
/// whatever becomes of the call.
const SILENCE: Duration = Duration::from_secs(30);
/// The same before its first word: a page may wait for the final answer, as long as a phone may ring (RFC 3261, Timer C).
const RINGING: Duration = Duration::from_secs(190);

/// A running thread. It ends, and the ports come back, when this is dropped or the browser is gone.
pub(super) struct Talk {
    changes: Sender<Agreed>,
    thread: JoinHandle<()>,
}

struct Running {
    clock: Clock,
    ports: Ports,
    identity: Identity,
    web: Web,
    legs: Legs,
    batch: Batch,
    /// When the browser was last heard of.
    heard: Instant,
    /// How long it may be silent.
    patience: Duration,
}

impl Talk {
    pub(super) fn begin(
        mut ports: Ports,
        agreed: Agreed,
        identity: &Identity,
        mark: Dscp,
        clock: Clock,
    ) -> io::Result<Talk> {
        ports.settle(&agreed);
        let Agreed { agreement, .. } = agreed;
        let now = Instant::now();
        let web = Web::new(identity, &agreement.web, ports.web_address, now).map_err(io::Error::other)?;
        let legs = Legs::new(agreement, &LegsConfig { mark, seed: ports.seed });
        let legs = legs.ok_or_else(|| io::Error::other("a codec cannot be set up"))?;
        let identity = identity.clone();
        let running = Running {
            clock,
            ports,
            identity,
            web,
            legs,
            batch: Batch::new(LONGEST),
            heard: now,
            patience: RINGING,
        };
        let (changes, inbox) = channel();
        let thread = thread::Builder::new().name("bridge".to_owned()).spawn(move || running.run(&inbox))?;
        Ok(Talk { changes, thread })
    }

    /// From now on this was agreed.
    pub(super) fn agree(&self, agreed: Agreed) {
        // A thread that is gone has nothing to change.
        let _ = self.changes.send(agreed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Running {
    /// Until the call is over, or the browser gone.
    fn run(mut self, changes: &Receiver<Agreed>) {
        loop {
            let due = self.legs.poll_timeout().unwrap_or_else(|| self.clock.now() + TICK);
            thread::sleep(due.saturating_sub(self.clock.now()));
            match changes.try_recv() {
                Ok(agreed) => self.agree(agreed),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => break,
            }
            self.receive_from_web();
            self.receive_from_phone();
            self.legs.tick(self.clock.now());
            self.send();
            if self.heard.elapsed() > self.patience || !self.web.is_alive() {
                tracing::debug!("a browser is gone without a word: its ports come back");
                break;
            }
        }
        self.legs.end(self.clock.now());
        self.send();
        for profile in [Profile::Web, Profile::Phone] {
            tracing::debug!("the leg of a bridge towards {profile:?}: {:?}", self.legs.leg(profile).report());
        }
    }

    fn agree(&mut self, agreed: Agreed) {
        self.ports.settle(&agreed);
        let (Agreed { agreement, .. }, now) = (agreed, Instant::now());
        if self.web.is_with(&agreement.web) {
            self.web.agree(&agreement.web);
        } else if let Ok(web) = Web::new(&self.identity, &agreement.web, self.ports.web_address, now) {
            // Another certificate is another association (RFC 8842, 4): it begins anew, behind the same port.
            self.web = web;
        }
        self.heard = now;
        // A codec that refuses its fixed parameters is met when the legs are made, not here.
        let _ = self.legs.renegotiate(agreement);
    }

    fn receive_from_web(&mut self) {
        let (port, web, legs) = (self.ports.web.rtp(), &mut self.web, &mut self.legs);
        for _ in 0..BATCHES {
            let Ok(1..) = port.receive(&mut self.batch) else { break };
            let now = Instant::now();
            for packet in self.batch.iter() {
                let known = web.receive(now, packet.remote, packet.local, packet.bytes, &mut |rtp| {
                    legs.leg(Profile::Web).handle_rtp(packet.arrived, packet.remote, rtp, packet.mark);
                });
                if known {
                    (self.heard, self.patience) = (now, SILENCE);
                }
            }
        }
    }

    fn receive_from_phone(&mut self) {
        let leg = self.legs.leg(Profile::Phone);
        let ports =
            [(Component::Rtp, Some(self.ports.phone.rtp())), (Component::Rtcp, self.ports.phone.rtcp())];
        for (component, port) in ports {
            let Some(port) = port else { continue };
            for _ in 0..BATCHES {
                let Ok(1..) = port.receive(&mut self.batch) else { break };
                for packet in self.batch.iter() {
                    let (at, from, bytes) = (packet.arrived, packet.remote, &mut packet.bytes.to_vec());
                    match component {
                        Component::Rtp => leg.handle_rtp(at, from, bytes, packet.mark),
                        Component::Rtcp => leg.handle_rtcp(at, from, bytes, packet.mark),
                    }
                }
            }
        }
    }

    /// What is sent to the browser goes through its ciphers; RTCP is theirs alone.
    fn send(&mut self) {
        let now = Instant::now();
        while let Some((to, transmit)) = self.legs.poll_transmit() {
            match (to, transmit.component) {
                (Profile::Web, _) => self.web.send(now, &transmit.bytes),
                (Profile::Phone, _) => self.send_to_phone(&transmit),
            }
        }
        self.web.turn(now);
        let from = self.ports.web_address;
        for (to, bytes) in self.web.take() {
            send(self.ports.web.rtp(), from, to, &bytes);
        }
    }

    fn send_to_phone(&self, transmit: &Transmit) {
        let phone = &self.ports.phone;
        let port = match transmit.component {
            Component::Rtp => Some(phone.rtp()),
            Component::Rtcp => phone.rtcp(),
        };
        let from = SocketAddr::new(self.ports.phone_address, 0);
        port.into_iter().for_each(|port| send(port, from, transmit.to, &transmit.bytes));
    }
}

impl Ports {
    /// The port of RTCP goes back where nobody will use it: where a final answer says so, since one that is not may be followed by
    /// that of another phone.
    fn settle(&mut self, agreed: &Agreed) {
        if agreed.last && agreed.agreement.phone.mux {
            self.phone.agree_mux();
        }
    }
}

/// From the address that the other end knows. What the kernel refuses is lost, as packets are.
fn send(port: &UdpPort, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    port.send(&[Datagram { to, from: Some(from.ip()), bytes, mark: None }], |_, _| {});
}
