//! One call of the phone: its ports from the moment that media is offered, its media while it is up.

use std::net::IpAddr;
use std::time::Duration;

use carillon_media::ice::{self, Candidate, Credentials, Description, Server};
use carillon_media::leg::{self, Component};
use carillon_media::negotiate::{Agreed, Local, Negotiation, Wishes};
use carillon_media::random::Random;
use carillon_net::lease::Leases;
use carillon_qos::TrafficClass;
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::Direction;

use super::clock::Clock;
use super::homes::Homes;
use super::login::random;
use super::media::{Ended, Media, News};
use super::paths::Paths;
use super::relays::Names;
use super::speech::Speech;
use crate::answer::Failure;

/// One call.
pub(super) struct Talk {
    /// `bob@example.com`, as far as it is known.
    pub(super) peer: String,
    pub(super) call_id: String,
    /// When to take the call.
    pub(super) answer_at: Option<Duration>,
    /// It is taken as soon as its ports are ready.
    pub(super) is_answering: bool,
    /// When to end it.
    pub(super) hang_up_at: Option<Duration>,
    /// When it was answered.
    pub(super) since: Option<Duration>,
    /// What a caller offers.
    pub(super) offer: Option<Vec<u8>>,
    pub(super) media: Option<Ports>,
    /// That nothing can be sent any more was said.
    pub(super) is_lost: bool,
}

/// Ports, the talk about them, and what goes through them.
pub(super) struct Ports {
    pub(super) local: Local,
    mark: Dscp,
    negotiation: Negotiation,
    media: Media,
    /// What peers must know of us for their checks; `None` where ICE is not spoken.
    credentials: Option<Credentials>,
    stage: Stage,
    pub(super) agreed: Option<Agreed>,
    /// Why nothing can be sent any more.
    pub(super) lost: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// It is not known yet where we may be reached.
    Gathering,
    /// Offers and answers can be made.
    Ready,
    /// There is a leg.
    Talking,
}

/// How ports are opened.
pub(super) struct Opening<'a> {
    pub(super) leases: &'a Leases,
    pub(super) homes: &'a Homes,
    pub(super) wishes: Wishes,
    pub(super) ice: bool,
    pub(super) relays: (Vec<Server>, Names),
}

impl Talk {
    pub(super) fn new(peer: String, call_id: String) -> Talk {
        Talk {
            peer,
            call_id,
            answer_at: None,
            is_answering: false,
            hang_up_at: None,
            since: None,
            offer: None,
            media: None,
            is_lost: false,
        }
    }

    /// When something is to be done.
    pub(super) fn next(&self) -> Option<Duration> {
        [self.answer_at, self.hang_up_at].into_iter().flatten().min()
    }
}

impl Ports {
    /// Opens the ports of a call: not before, so that an idle phone listens nowhere.
    pub(super) fn open(
        how: Opening<'_>,
        clock: Clock,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Ports, Failure> {
        // Without knowing whether the peer shares a port, both are needed.
        let lease = how
            .leases
            .lease(TrafficClass::Audio, false)
            .map_err(|error| Failure::new("cannot open the ports of a call", error))?;
        let (rtp, rtcp) = (lease.rtp().local().port(), lease.rtcp().map(|port| port.local().port()));
        let local = Local { rtp: (how.homes.main, rtp).into(), rtcp };
        let mark = lease.rtp().marks().ok().and_then(|marks| marks.v4.or(marks.v6)).unwrap_or(Dscp::DEFAULT);
        let seed = random()?;
        let credentials = how.ice.then(|| Credentials::new(&mut Random::new(&seed, *b"ice-self")));
        let (relays, names) = how.relays;
        let numbers = || [(Component::Rtp, Some(rtp)), (Component::Rtcp, rtcp)];
        let at = |home: &IpAddr| {
            let home = *home;
            numbers().into_iter().filter_map(move |(of, port)| Some((of, (home, port?).into())))
        };
        let ports = how.homes.all.iter().flat_map(at).collect();
        let config = credentials.clone().map(|credentials| ice::Config { credentials, ports, relays, seed });
        let paths = Paths::new(lease, how.homes.main, config.as_ref(), names, clock.now());
        Ok(Ports {
            local,
            mark,
            negotiation: Negotiation::new(how.wishes, local, &random()?),
            media: Media::open(clock, paths, wake)?,
            stage: if credentials.is_some() { Stage::Gathering } else { Stage::Ready },
            credentials,
            agreed: None,
            lost: None,
        })
    }

    /// Hears what the media has to say.
    pub(super) fn turn(&mut self) {
        while let Some(news) = self.media.news() {
            match news {
                News::Gathered(candidates) => self.gathered(candidates),
                News::Lost(why) => self.lost = Some(why),
            }
        }
    }

    /// Whether offers and answers can be made.
    pub(super) fn is_ready(&self) -> bool {
        self.stage != Stage::Gathering
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
    pub(super) fn begin(&mut self, cname: &str, speech: &Speech, keys: &str) -> Result<(), Failure> {
        let (Some(agreed), Stage::Ready) = (&self.agreed, self.stage) else { return Ok(()) };
        let config = leg::Config {
            agreed: agreed.clone(),
            class: TrafficClass::Audio,
            mark: self.mark,
            cname: cname.to_owned(),
            seed: random()?,
        };
        self.media.begin(config, speech.clone(), keys);
        self.stage = Stage::Talking;
        Ok(())
    }

    /// Closes the ports; what was heard, if anybody has talked.
    pub(super) fn close(self) -> Result<Option<Ended>, Failure> {
        self.media.end()
    }

    fn gathered(&mut self, candidates: Vec<Candidate>) {
        if let (Some(credentials), Stage::Gathering) = (self.credentials.take(), self.stage) {
            self.negotiation.speak_ice(Description { credentials, candidates, lite: false });
            self.stage = Stage::Ready;
        }
    }

    fn agree(&mut self, agreed: Agreed) {
        if self.stage == Stage::Talking {
            self.media.change(agreed.clone());
        }
        self.agreed = Some(agreed);
    }
}
