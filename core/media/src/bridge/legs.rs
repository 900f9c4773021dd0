//! Two legs with what one hears said by the other.

use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::Profile;

use super::Agreement;
use crate::codec::{Frame, SILENCE};
use crate::leg::{Config as LegConfig, Event, Leg, Output, Transmit};
use crate::random::Random;

/// What both legs have in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// The mark that their sockets carry, as the plan has it; only reported.
    pub mark: Dscp,
    /// Gives names and first numbers; secret, and new for every bridge.
    pub seed: [u8; 32],
}

/// The legs of a bridge.
#[derive(Debug)]
pub struct Legs {
    web: Leg,
    phone: Leg,
    /// What the phone has said last: the browser hears it with the next tick.
    to_web: Frame,
    /// Who has begun to speak: the browser, the phone.
    begun: [bool; 2],
}

impl Legs {
    /// `None` only if a codec or cipher library refuses its fixed parameters.
    pub fn new(agreement: Agreement, config: &Config) -> Option<Legs> {
        let leg = |agreed, purpose| {
            let mut random = Random::new(&config.seed, purpose);
            let (seed, name) = (random.bytes(), random.u32());
            let (class, mark) = (TrafficClass::Audio, config.mark);
            Leg::new(LegConfig { agreed, class, mark, cname: format!("{name:08x}"), seed })
        };
        let web = leg(agreement.web, *b"web-leg0")?;
        Some(Legs { web, phone: leg(agreement.phone, *b"phone-00")?, to_web: SILENCE, begun: [false; 2] })
    }

    /// A re-INVITE, or the call after early media, came to this. `None` as with [`Legs::new`].
    pub fn renegotiate(&mut self, agreement: Agreement) -> Option<()> {
        self.web.renegotiate(agreement.web)?;
        self.phone.renegotiate(agreement.phone)
    }

    /// The leg towards the browser or the phone.
    pub fn leg(&mut self, profile: Profile) -> &mut Leg {
        match profile {
            Profile::Web => &mut self.web,
            Profile::Phone => &mut self.phone,
        }
    }

    /// To be called every 20 ms. Once the other has begun, each end is sent something unless it is on hold: pauses are heard, and
    /// a path that carries nothing closes in firewalls.
    pub fn tick(&mut self, now: Duration) {
        let [web, phone] = self.begun;
        let from_web = self.web.tick(now, phone.then_some(&self.to_web));
        self.to_web = self.phone.tick(now, web.then_some(&from_web));
    }

    /// When [`Legs::tick`] is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.web.poll_timeout()
    }

    /// A packet to send, and towards which end. To be called until there is nothing left.
    pub fn poll_transmit(&mut self) -> Option<(Profile, Transmit)> {
        loop {
            let (from, output) = match self.web.poll_output() {
                Some(output) => (Profile::Web, output),
                None => (Profile::Phone, self.phone.poll_output()?),
            };
            match output {
                Output::Transmit(transmit) => return Some((from, transmit)),
                // An end that knows no keys hears them as the tones that they are, if they came so.
                Output::Event(Event::Started) => self.begun[usize::from(from == Profile::Phone)] = true,
                Output::Event(Event::Key(key)) => _ = self.leg(from.other()).press(key),
                Output::Event(_) => {}
            }
        }
    }

    /// The call is over: says goodbye to both.
    pub fn end(&mut self, now: Duration) {
        self.web.end(now);
        self.phone.end(now);
    }
}
