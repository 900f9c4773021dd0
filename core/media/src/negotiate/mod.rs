//! Offer and answer (RFC 3264) for one audio stream over RTP or SDES-SRTP.
//!
//! A [`Negotiation`] lives as long as its dialog: it makes offers, answers offers, reads answers, and keeps keys and the
//! session's number through re-INVITEs. Where both ends speak ICE, it says with whom to check what; the checks are
//! [`crate::ice`]'s. Who speaks DTLS-SRTP speaks nothing else: other sections are refused with port 0, and the other way
//! round.

mod describe;
mod dtls;
mod select;
mod session;

use std::net::{IpAddr, SocketAddr};

use carillon_wire::sdp::{Direction, Session};

use crate::codec::Codec;
use crate::ice;
use crate::random::Random;
use crate::srtp::{Key, Suite};
pub use dtls::{Dtls, Fingerprint};
use select::Selected;
use session::Shape;

/// Whether media is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encryption {
    /// Offers say `RTP/SAVP`; whoever has no keys is refused.
    Required,
    /// Offers say `RTP/AVP` and carry `a=crypto` all the same, as most phones do when they say "SRTP: optional": who
    /// knows it answers with a key and both encrypt, who does not passes over the attribute. Both kinds of offers
    /// are answered in kind.
    #[default]
    Optional,
    /// No keys are offered; offers of `RTP/SAVP` are refused.
    Off,
}

/// What this end wants of the audio of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wishes {
    /// Codecs, the preferred one first.
    pub codecs: Vec<Codec>,
    /// Whether media is encrypted.
    pub encryption: Encryption,
    /// How, the preferred one first.
    pub suites: Vec<Suite>,
    /// Whether RTP and RTCP may share a port (RFC 5761): offered, and accepted.
    pub mux: bool,
}

impl Default for Wishes {
    fn default() -> Wishes {
        Wishes {
            codecs: Codec::ALL.to_vec(),
            encryption: Encryption::default(),
            suites: Suite::ALL.to_vec(),
            mux: true,
        }
    }
}

/// Where this end receives: the ports of its lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// Address and port of RTP, as the peer reaches it.
    pub rtp: SocketAddr,
    /// Port of RTCP; `None` if the lease has but one port, which then serves both.
    pub rtcp: Option<u16>,
}

/// A payload type and what it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// Payload type.
    pub payload_type: u8,
    /// What it means.
    pub codec: Codec,
}

/// Payload types of telephone events (RFC 4733).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Events {
    /// In packets to the peer.
    pub send: u8,
    /// In packets from the peer.
    pub receive: u8,
    /// Their clock in Hz: that of the audio, unless the peer knows only another.
    pub clock: u32,
}

/// The keys of both directions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// What we send with.
    pub send: Key,
    /// What the peer sends with.
    pub receive: Key,
}

/// What offer and answer came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// What we send, in which payload type.
    pub send: Format,
    /// All that the peer may send, the likeliest first. Never empty.
    pub receive: Vec<Format>,
    /// Key presses, if both ends know them.
    pub events: Option<Events>,
    /// Where our RTP goes.
    pub remote_rtp: SocketAddr,
    /// Where our RTCP goes.
    pub remote_rtcp: SocketAddr,
    /// Whether RTP and RTCP share a port, on both sides: then everything leaves from the RTP port.
    pub mux: bool,
    /// Which way media flows, as we see it.
    pub direction: Direction,
    /// Keys; `None` for plain RTP.
    pub keys: Option<Keys>,
    /// Milliseconds per packet that the peer asks for; we send 20 ms packets whatever it is.
    pub ptime_ms: u32,
    /// Whether the peer asked for extended reports with VoIP metrics (RFC 3611, 5).
    pub voip_metrics: bool,
    /// The session of ICE that finds the way, if both speak it; then the addresses above are only where it begins.
    pub ice: Option<ice::Session>,
    /// Who the peer is to DTLS, which then agrees on the keys; what the host hands to a leg is in the clear.
    pub dtls: Option<Dtls>,
}

impl Agreed {
    /// Whether we may send speech.
    pub fn sends(&self) -> bool {
        matches!(self.direction, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the peer may send speech.
    pub fn receives(&self) -> bool {
        matches!(self.direction, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// Why nothing can be agreed: an INVITE is answered 488 for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Refusal {
    /// It is no session description.
    Unreadable,
    /// No audio section is offered or accepted.
    NoAudio,
    /// The transport is not one of `RTP/AVP`, `RTP/AVPF`, `RTP/SAVP`, `RTP/SAVPF`, or not the one offered.
    Transport,
    /// The peer's address is missing, a name, of another family than ours, or not that of one reachable machine.
    Address,
    /// No codec is common.
    Codec,
    /// We require encryption, and none is offered or accepted.
    EncryptionMissing,
    /// Encryption is required of us, and we don't want it or know none of the suites.
    EncryptionRefused,
    /// DTLS-SRTP is spoken here, and the section lacks a fingerprint by SHA-256, ICE, or one port for RTP and RTCP.
    Identity,
    /// An answer came without an offer of ours.
    NothingOffered,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::Unreadable => "the body is no session description",
            Refusal::NoAudio => "there is no audio section",
            Refusal::Transport => "audio is carried in a way that is not spoken here",
            Refusal::Address => "audio has no address that can be reached from here",
            Refusal::Codec => "no codec is common",
            Refusal::EncryptionMissing => "encryption is required here and was not offered",
            Refusal::EncryptionRefused => "encryption is required there and no suite is common",
            Refusal::Identity => {
                "audio lacks what DTLS-SRTP needs: a fingerprint by SHA-256, ICE, and RTCP on the port of RTP"
            }
            Refusal::NothingOffered => "an answer came without an offer",
        })
    }
}

impl std::error::Error for Refusal {}

/// Offers and answers of one dialog. A copy goes on from the same point, so that an offer may be answered twice (early media,
/// then the call); only one of them is to be kept.
#[derive(Clone, Debug)]
pub struct Negotiation {
    wishes: Wishes,
    local: Local,
    /// Our keys, one per suite. The one in use stays, so that counters of SRTP go on.
    keys: Vec<Key>,
    /// Whose key is in use.
    suite: Option<Suite>,
    random: Random,
    session: u32,
    version: u32,
    /// What offers and answers so far have fixed.
    shape: Shape,
    /// The direction of the last offer, as long as its answer is awaited.
    offered: Option<Direction>,
    /// Our end of ICE, if we speak it.
    ice: Option<ice::Description>,
    /// The peer's, as of the last offer or answer.
    peer: Option<ice::Credentials>,
    /// Our certificate, if we speak DTLS-SRTP.
    identity: Option<Fingerprint>,
}

impl Negotiation {
    /// The seed gives keys and the session's number; it must be secret and new for every call.
    pub fn new(wishes: Wishes, local: Local, seed: &[u8; 32]) -> Negotiation {
        let mut random = Random::new(seed, *b"sdp-keys");
        let keys = wishes.suites.iter().map(|suite| Key::random(*suite, &mut random)).collect();
        let session = random.u32() >> 1;
        Negotiation {
            wishes,
            local,
            keys,
            suite: None,
            random,
            session,
            version: session,
            shape: Shape::default(),
            offered: None,
            ice: None,
            peer: None,
            identity: None,
        }
    }

    /// From now on ICE is spoken with whoever speaks it, from these candidates.
    pub fn speak_ice(&mut self, description: ice::Description) {
        self.ice = Some(description);
    }

    /// From now on DTLS-SRTP is spoken, and nothing else, by who has this certificate. ICE has to be spoken too: the addresses
    /// of descriptions mean nothing any more (RFC 8839, 4.2.5 is for those who fall back on them).
    pub fn speak_dtls(&mut self, own: Fingerprint) {
        self.identity = Some(own);
    }

    /// A new offer. Media flows in `direction` as we see it: `SendOnly` puts the peer on hold, `SendRecv` takes it back.
    pub fn offer(&mut self, direction: Direction) -> String {
        self.version = self.version.wrapping_add(1);
        self.offered = Some(direction);
        self.shape.fix_numbers(&self.wishes.codecs);
        describe::offer(self, direction)
    }

    /// Reads the answer to the last offer.
    pub fn accept(&mut self, answer: &[u8]) -> Result<Agreed, Refusal> {
        let direction = self.offered.ok_or(Refusal::NothingOffered)?;
        let session = Session::parse(answer).ok_or(Refusal::Unreadable)?;
        let media = session.media().nth(self.shape.position());
        let media = media.filter(|media| media.kind == "audio" && media.port != 0).ok_or(Refusal::NoAudio)?;
        let selected = select::from_answer(self, &media)?;
        self.offered = None;
        self.shape.learn_formats(&media);
        let mut agreed = selected.agreed(direction);
        agreed.ice = self.session(selected.ice, true);
        self.retire_key(&agreed);
        Ok(agreed)
    }

    /// Answers an offer. `direction` is what we want as we see it; the answer allows no more than the offer does.
    pub fn answer(&mut self, offer: &[u8], direction: Direction) -> Result<(String, Agreed), Refusal> {
        let session = Session::parse(offer).ok_or(Refusal::Unreadable)?;
        let (at, selected) = self.choose(&session)?;
        self.version = self.version.wrapping_add(1);
        self.offered = None;
        self.shape.learn(&session, at, &selected.media);
        let mut agreed = selected.agreed(direction);
        agreed.ice = self.session(selected.ice.clone(), false);
        self.retire_key(&agreed);
        Ok((describe::answer(self, &selected, &agreed), agreed))
    }

    /// What is to be checked. A peer that offers new credentials begins anew, and so do we (RFC 8839, 4.4.1.1.1).
    fn session(&mut self, remote: Option<ice::Description>, offered: bool) -> Option<ice::Session> {
        let before =
            std::mem::replace(&mut self.peer, remote.as_ref().map(|remote| remote.credentials.clone()));
        let (own, remote) = (self.ice.as_mut()?, remote?);
        if !offered && before.is_some_and(|before| before != remote.credentials) {
            own.credentials = ice::Credentials::new(&mut self.random);
        }
        let controlling = offered && !own.lite || remote.lite;
        Some(ice::Session { local: own.credentials.clone(), remote, controlling })
    }

    /// The first audio section that we can do, and where it stands.
    fn choose<'a>(&self, session: &Session<'a>) -> Result<(usize, Selected<'a>), Refusal> {
        let mut reason = Refusal::NoAudio;
        for (at, media) in session.media().enumerate() {
            if media.kind != "audio" || media.port == 0 {
                continue;
            }
            match select::from_offer(self, &media) {
                Ok(selected) => return Ok((at, selected)),
                Err(refusal) => reason = reason.max(refusal),
            }
        }
        Err(reason)
    }

    /// A key that is given up, for plain RTP or another suite, is never used again: by its return our sequence numbers may
    /// have gone around unseen by SRTP, and the key stream would repeat (RFC 3711, 9.1). A later offer or answer carries a
    /// new one, as it may at any time (RFC 4568, 7.1.4).
    fn retire_key(&mut self, agreed: &Agreed) {
        let suite = agreed.keys.as_ref().map(|keys| keys.send.suite());
        let before = std::mem::replace(&mut self.suite, suite).filter(|before| Some(*before) != suite);
        let retired = self.keys.iter_mut().find(|key| Some(key.suite()) == before);
        if let Some(key) = retired {
            *key = Key::random(key.suite(), &mut self.random);
        }
    }

    fn key(&self, suite: Suite) -> Option<&Key> {
        self.keys.iter().find(|key| key.suite() == suite)
    }

    fn address(&self) -> IpAddr {
        self.local.rtp.ip().to_canonical()
    }
}

#[cfg(test)]
mod ice_tests;
#[cfg(test)]
mod tests;
