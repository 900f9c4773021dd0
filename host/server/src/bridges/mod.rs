//! Media legs between browsers and phones: ports from the plan's range, and a thread for each call.
//!
//! Which calls need one is the core's decision (`signaling::bridging`), what the ends are told and what is said to them that of
//! `media::bridge`. Here are sockets, certificate, and time.

mod talk;
mod web;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use carillon_media::bridge::{Agreement, Bridge, Config};
use carillon_media::negotiate::{Local, Refusal};
use carillon_net::lease::{Lease, Leases};
use carillon_qos::TrafficClass;
use carillon_signaling::{BridgeWish, Bridging, FrontEnd, NotBridged, Opening};
use carillon_wire::ip::Dscp;
use carillon_wire::sdp::Profile;

use self::talk::Talk;
use self::web::Identity;
use crate::clock::Clock;

/// All bridges of the server.
pub(crate) struct Bridges {
    leases: Leases,
    /// What the plan says of audio; sockets that are leased carry it from their first packet on.
    pub(crate) mark: Dscp,
    clock: Clock,
    /// Our certificate; made when the first browser needs one, and gone with the process.
    identity: Option<Identity>,
    open: BTreeMap<u64, Open>,
    /// Calls that found no ports, since there were some.
    unjoined: u64,
}

/// One of them.
struct Open {
    bridge: Bridge,
    media: Media,
}

enum Media {
    /// Ports that nobody speaks from yet.
    Leased(Box<Ports>),
    Talking(Talk),
    /// The legs could not be made.
    Failed,
}

/// What both ends have agreed on.
struct Agreed {
    agreement: Agreement,
    /// Whether it is more than early media: from then on ports that are not needed are given back.
    last: bool,
}

/// Where a bridge speaks from.
struct Ports {
    web: Lease,
    phone: Lease,
    /// Our addresses as the ends reach us: what is sent comes from there.
    web_address: SocketAddr,
    phone_address: IpAddr,
    seed: [u8; 32],
}

impl Bridges {
    pub(crate) fn new(leases: Leases, mark: Dscp, clock: Clock) -> Bridges {
        Bridges { leases, mark, clock, identity: None, open: BTreeMap::new(), unjoined: 0 }
    }

    /// Calls that speech is carried across for.
    pub(crate) fn talking(&self) -> usize {
        let talks = |open: &&Open| matches!(&open.media, Media::Talking(talk) if !talk.is_over());
        self.open.values().filter(talks).count()
    }

    /// Does what the core wishes until it wishes nothing more.
    pub(crate) fn serve(&mut self, core: &mut FrontEnd) {
        while let Some(BridgeWish { bridge, what }) = core.poll_bridge() {
            let made = match what {
                Bridging::Offer { from, sdp, opening } => self.offer(bridge, from, &sdp, opening),
                Bridging::Answer { from, sdp, last } => self.answer(bridge, (from, &sdp), last),
                Bridging::Close => {
                    self.open.remove(&bridge);
                    continue;
                }
            };
            core.handle_bridged(self.clock.now(), bridge, made);
        }
    }

    fn offer(
        &mut self,
        bridge: u64,
        from: Profile,
        sdp: &[u8],
        opening: Option<Opening>,
    ) -> Result<String, NotBridged> {
        let refused = |refusal| unacceptable("an offer", &refusal);
        if let Some(opening) = opening {
            let mut open = self.begin(&opening)?;
            let text = open.bridge.offer(from, sdp).map_err(refused)?;
            self.open.insert(bridge, open);
            return Ok(text);
        }
        let open =
            self.open.get_mut(&bridge).filter(|open| !open.is_over()).ok_or(NotBridged::Unacceptable)?;
        open.bridge.offer(from, sdp).map_err(refused)
    }

    fn answer(
        &mut self,
        bridge: u64,
        (from, sdp): (Profile, &[u8]),
        last: bool,
    ) -> Result<String, NotBridged> {
        let open =
            self.open.get_mut(&bridge).filter(|open| !open.is_over()).ok_or(NotBridged::Unacceptable)?;
        let made = open.bridge.answer(from, sdp);
        let (text, agreement) = made.map_err(|refusal| unacceptable("an answer", &refusal))?;
        if let Some(identity) = &self.identity {
            open.agree(Agreed { agreement, last }, identity, self.mark, self.clock);
        }
        Ok(text)
    }

    fn begin(&mut self, opening: &Opening) -> Result<Open, NotBridged> {
        let ports = self.lease(opening);
        self.unjoined = unjoined(self.unjoined, ports.as_ref().err().map(|error| &**error));
        let ports = ports.map_err(|_| NotBridged::NoPorts)?;
        self.identity = self.identity.take().or_else(Identity::new);
        let identity = self.identity.as_ref().ok_or(NotBridged::NoPorts)?;
        let port = |lease: &Lease| lease.rtp().local().port();
        let rtcp = ports.phone.rtcp().map(|port| port.local().port());
        let config = Config {
            web: ports.web_address,
            identity: identity.fingerprint,
            phone: Local { rtp: SocketAddr::new(ports.phone_address, port(&ports.phone)), rtcp },
            keys: opening.keys,
            seed: ports.seed,
        };
        Ok(Open { bridge: Bridge::new(&config), media: Media::Leased(Box::new(ports)) })
    }

    fn lease(&self, opening: &Opening) -> Result<Ports, Box<dyn std::error::Error>> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| format!("the kernel gives no randomness: {error}"))?;
        let web = self.leases.lease(TrafficClass::Audio, true)?;
        let phone = self.leases.lease(TrafficClass::Audio, false)?;
        let web_address = SocketAddr::new(opening.web, web.rtp().local().port());
        Ok(Ports { web, phone, web_address, phone_address: opening.phone, seed })
    }
}

impl Open {
    /// Whether its ports are gone.
    fn is_over(&self) -> bool {
        matches!(&self.media, Media::Talking(talk) if talk.is_over())
    }

    /// Both ends have agreed: from now on they hear each other, or otherwise than before.
    fn agree(&mut self, agreed: Agreed, identity: &Identity, mark: Dscp, clock: Clock) {
        self.media = match std::mem::replace(&mut self.media, Media::Failed) {
            Media::Leased(ports) => match Talk::begin(*ports, agreed, identity, mark, clock) {
                Ok(talk) => Media::Talking(talk),
                Err(error) => {
                    tracing::error!("a browser and a phone can't be joined: {error}");
                    Media::Failed
                }
            },
            Media::Talking(talk) => {
                talk.agree(agreed);
                Media::Talking(talk)
            }
            Media::Failed => Media::Failed,
        };
    }
}

/// How many calls have found no ports by now. One line when that begins and one when it is over: what every call would say between
/// them is in `leases_refused_total`.
fn unjoined(before: u64, error: Option<&dyn std::error::Error>) -> u64 {
    match error {
        Some(error) if before == 0 => {
            tracing::error!(
                "a browser and a phone can't be joined, nor others until this is said to be over: {error}"
            );
        }
        None if before > 0 => {
            tracing::warn!("browsers and phones are joined again; calls refused meanwhile: {before}");
        }
        _ => {}
    }
    if error.is_some() { before + 1 } else { 0 }
}

fn unacceptable(what: &str, refusal: &Refusal) -> NotBridged {
    tracing::debug!("{what} cannot be turned round between a browser and a phone: {refusal}");
    NotBridged::Unacceptable
}

#[cfg(test)]
mod tests;
