//! One call of the phone: its ports from the moment that media is offered, its media while it is up.

use std::net::IpAddr;
use std::time::Duration;

use carillon_media::leg;
use carillon_media::negotiate::{Agreed, Local, Negotiation, Wishes};
use carillon_net::lease::{Lease, Leases};
use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::Direction;

use super::clock::Clock;
use super::login::random;
use super::media::{Ended, Media};
use super::speech::Speech;
use crate::answer::Failure;

/// One call.
pub(super) struct Talk {
    /// `bob@example.com`, as far as it is known.
    pub(super) peer: String,
    pub(super) call_id: String,
    /// When to take the call.
    pub(super) answer_at: Option<Duration>,
    /// When to end it.
    pub(super) hang_up_at: Option<Duration>,
    /// When it was answered.
    pub(super) since: Option<Duration>,
    /// What a caller offers.
    pub(super) offer: Option<Vec<u8>>,
    pub(super) media: Option<Ports>,
}

/// Ports, the talk about them, and what goes through them.
pub(super) struct Ports {
    pub(super) local: Local,
    /// Until the media begins.
    lease: Option<Lease>,
    negotiation: Negotiation,
    media: Option<Media>,
    pub(super) agreed: Option<Agreed>,
}

impl Talk {
    pub(super) fn new(peer: String, call_id: String) -> Talk {
        Talk { peer, call_id, answer_at: None, hang_up_at: None, since: None, offer: None, media: None }
    }

    /// When something is to be done.
    pub(super) fn next(&self) -> Option<Duration> {
        [self.answer_at, self.hang_up_at].into_iter().flatten().min()
    }
}

impl Ports {
    /// Opens the ports of a call: not before, so that an idle phone listens nowhere.
    pub(super) fn open(leases: &Leases, address: IpAddr, wishes: Wishes) -> Result<Ports, Failure> {
        // Without knowing whether the peer shares a port, both are needed.
        let lease = leases
            .lease(TrafficClass::Audio, false)
            .map_err(|error| Failure::new("cannot open the ports of a call", error))?;
        let rtp = lease.rtp().local().port();
        let local = Local { rtp: (address, rtp).into(), rtcp: lease.rtcp().map(|port| port.local().port()) };
        let negotiation = Negotiation::new(wishes, local, &random()?);
        Ok(Ports { local, lease: Some(lease), negotiation, media: None, agreed: None })
    }

    pub(super) fn offer(&mut self) -> Vec<u8> {
        self.negotiation.offer(Direction::SendRecv).into_bytes()
    }

    /// The answer to an offer, or for want of one, an offer.
    pub(super) fn respond(&mut self, offer: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        let Some(offer) = offer else { return Ok(self.offer()) };
        let attempt = |error| Failure::new("cannot agree on media", error);
        let (answer, agreed) = self.negotiation.answer(offer, Direction::SendRecv).map_err(attempt)?;
        self.agree(agreed);
        Ok(answer.into_bytes())
    }

    /// The answer to our offer.
    pub(super) fn accept(&mut self, answer: &[u8]) -> Result<(), Failure> {
        let attempt = |error| Failure::new("cannot agree on media", error);
        let agreed = self.negotiation.accept(answer).map_err(attempt)?;
        self.agree(agreed);
        Ok(())
    }

    /// Begins to talk, if there is something agreed and nobody talks yet.
    pub(super) fn begin(
        &mut self,
        clock: Clock,
        cname: &str,
        speech: &Speech,
        keys: &str,
    ) -> Result<(), Failure> {
        let (Some(agreed), None) = (&self.agreed, &self.media) else { return Ok(()) };
        let Some(mut lease) = self.lease.take() else { return Ok(()) };
        if agreed.mux {
            lease.agree_mux();
        }
        let mark = lease.rtp().marks().ok().and_then(|marks| marks.v4.or(marks.v6)).unwrap_or(Dscp::DEFAULT);
        let config = leg::Config {
            agreed: agreed.clone(),
            class: TrafficClass::Audio,
            mark,
            cname: cname.to_owned(),
            seed: random()?,
        };
        self.media = Some(Media::begin(clock, config, lease, speech.clone(), keys)?);
        Ok(())
    }

    /// Closes the ports; what was heard, if anybody has talked.
    pub(super) fn close(self) -> Result<Option<Ended>, Failure> {
        self.media.map(Media::end).transpose()
    }

    fn agree(&mut self, agreed: Agreed) {
        if let Some(media) = &self.media {
            media.change(agreed.clone());
        }
        self.agreed = Some(agreed);
    }
}
