//! A leg between two ends of a call of which one is a browser and the other a phone without ICE and DTLS: each is given
//! descriptions that it understands, and hears the other in a codec that it speaks.
//!
//! [`Bridge`] turns descriptions of one end into such for the other, [`Legs`] carries speech and keys across. The handshake of
//! DTLS, checks of ICE and ciphers of the browser's side are the host's: to the legs, both sides are RTP.

mod legs;

use std::net::SocketAddr;

use carillon_wire::sdp::{Direction, Profile};

use crate::codec::Codec;
use crate::ice::{Candidate, Credentials, Description};
use crate::negotiate::{Agreed, Encryption, Fingerprint, Local, Negotiation, Refusal, Wishes};
use crate::random::Random;

pub use legs::{Config as LegsConfig, Legs};

/// What a bridge is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the browser's side receives: one port for all, found by ICE.
    pub web: SocketAddr,
    /// Our certificate.
    pub identity: Fingerprint,
    /// Where the phone's side receives.
    pub phone: Local,
    /// Whether the phone is offered SRTP and nothing else; otherwise keys are offered beside RTP.
    pub keys: bool,
    /// Gives keys and credentials; secret, and new for every bridge.
    pub seed: [u8; 32],
}

/// Offers and answers of a call whose ends need a bridge.
#[derive(Debug)]
pub struct Bridge {
    ends: Ends,
    /// The last offer, for as long as it may be answered: until the next one comes.
    offer: Option<Offer>,
}

/// What both ends agreed on with us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreement {
    /// The browser.
    pub web: Agreed,
    /// The phone.
    pub phone: Agreed,
}

#[derive(Clone, Debug)]
struct Ends {
    web: Negotiation,
    phone: Negotiation,
}

#[derive(Debug)]
struct Offer {
    from: Profile,
    sdp: Vec<u8>,
    /// As the ends were when it was passed on: early media and the call itself may each bring an answer.
    ends: Ends,
}

impl Bridge {
    /// Between two ends of which nothing is known yet.
    pub fn new(config: &Config) -> Bridge {
        Bridge { ends: Ends { web: web(config), phone: phone(config) }, offer: None }
    }

    /// An offer of one end: what the other is offered for it. What nobody could answer is refused at once.
    pub fn offer(&mut self, from: Profile, sdp: &[u8]) -> Result<String, Refusal> {
        let (_, agreed) = self.ends.clone().of(from).answer(sdp, Direction::SendRecv)?;
        let text = self.ends.of(from.other()).offer(turned(agreed.direction));
        self.offer = Some(Offer { from, sdp: sdp.to_vec(), ends: self.ends.clone() });
        Ok(text)
    }

    /// The answer of one end to what it was offered: what the other is answered for it, and what to do from now on.
    pub fn answer(&mut self, from: Profile, sdp: &[u8]) -> Result<(String, Agreement), Refusal> {
        let offer = self.offer.as_ref().filter(|offer| offer.from != from).ok_or(Refusal::NothingOffered)?;
        let mut ends = offer.ends.clone();
        let here = ends.of(from).accept(sdp)?;
        let (text, there) = ends.of(offer.from).answer(&offer.sdp, turned(here.direction))?;
        self.ends = ends;
        let (web, phone) = if from == Profile::Web { (here, there) } else { (there, here) };
        Ok((text, Agreement { web, phone }))
    }
}

impl Ends {
    fn of(&mut self, profile: Profile) -> &mut Negotiation {
        match profile {
            Profile::Web => &mut self.web,
            Profile::Phone => &mut self.phone,
        }
    }
}

/// Every browser speaks Opus (RFC 7874), and nothing sounds better.
fn web(config: &Config) -> Negotiation {
    let wishes = Wishes { codecs: vec![Codec::Opus], encryption: Encryption::Off, ..Wishes::default() };
    let local = Local { rtp: config.web, rtcp: None };
    let mut negotiation = Negotiation::new(wishes, local, &config.seed);
    let credentials = Credentials::new(&mut Random::new(&config.seed, *b"web-ice0"));
    negotiation.speak_ice(Description {
        credentials,
        candidates: vec![Candidate::only(config.web)],
        lite: true,
    });
    negotiation.speak_dtls(config.identity);
    negotiation
}

fn phone(config: &Config) -> Negotiation {
    let encryption = if config.keys { Encryption::Required } else { Encryption::Optional };
    let mut seed = [0; 32];
    Random::new(&config.seed, *b"phoneleg").fill(&mut seed);
    Negotiation::new(Wishes { encryption, ..Wishes::default() }, config.phone, &seed)
}

/// What is received from one end is sent to the other.
fn turned(direction: Direction) -> Direction {
    match direction {
        Direction::SendOnly => Direction::RecvOnly,
        Direction::RecvOnly => Direction::SendOnly,
        Direction::SendRecv | Direction::Inactive => direction,
    }
}

#[cfg(test)]
mod tests;
