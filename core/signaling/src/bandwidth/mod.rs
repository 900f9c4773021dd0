//! Call admission control: what calls have reserved on the links between sites, and whether another one fits.
//!
//! An offer reserves what it may come to need, the answer what it does need, and every ending gives it back. Which site an end is at, and
//! what becomes of a call that does not fit, is decided by those who ask.

mod usage;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_qos::Plan;
use carillon_qos::plan::{Budget, Link, Links};

use crate::transaction::Id;

use usage::Usage;
pub use usage::{ClassUse, LinkUse};
pub(crate) use wanted::{Granted, Video, Wanted, restricted};

/// A site of the plan; `None` is anywhere else.
pub(crate) type Site = Option<Arc<str>>;
/// Kilobits per second of audio and of video.
type Cost = [u32; 2];

const AUDIO: usize = 0;
const VIDEO: usize = 1;

/// The links of the plan, and who uses them.
#[derive(Debug, Default)]
pub(crate) struct Bandwidth {
    links: Links,
    usage: Usage,
    reservations: BTreeMap<u64, Reservation>,
    last: u64,
    /// Reservations by the transactions that have asked; an answer may come again.
    asking: BTreeMap<Id, u64>,
    /// Reservations by the calls that are up.
    up: BTreeMap<u128, u64>,
}

/// What one call has reserved: of everything that may still come true, the most on each link.
#[derive(Debug, Default)]
struct Reservation {
    from: Site,
    /// What both ends agreed on.
    agreed: Option<Leg>,
    /// What was offered and is not answered, by the transactions that ask.
    offers: Vec<(Id, Leg)>,
}

/// Media between two sites.
#[derive(Clone, Debug)]
struct Leg {
    to: Site,
    way: Vec<usize>,
    cost: Cost,
    granted: Granted,
    /// Whether the offer is known; if not, it comes with the answer.
    said: bool,
    /// The link that had no room for the video.
    full: Option<Arc<str>>,
}

/// No way has room: the link that has none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Full(pub(crate) Arc<str>);

impl Bandwidth {
    pub(crate) fn new(plan: &Plan) -> Bandwidth {
        let mut bandwidth = Bandwidth::default();
        bandwidth.set_plan(plan);
        bandwidth
    }

    /// From now on these links hold. Calls that are up stay, even on a link that would not take them any more.
    pub(crate) fn set_plan(&mut self, plan: &Plan) {
        let links = Links::of(plan);
        self.usage = self.usage.renewed(&links);
        self.links = links;
        let mut reservations = std::mem::take(&mut self.reservations);
        for reservation in reservations.values_mut() {
            let Reservation { from, agreed, offers, .. } = reservation;
            for leg in agreed.iter_mut().chain(offers.iter_mut().map(|(_, leg)| leg)) {
                leg.way = self.way(from, &leg.to, leg.cost);
            }
            self.usage.take(&reservation.charge());
        }
        self.reservations = reservations;
    }

    /// Whether nothing is counted anywhere.
    pub(crate) fn is_idle(&self) -> bool {
        self.links.all().is_empty() && self.reservations.is_empty()
    }

    /// Links and who uses them.
    pub(crate) fn links(&self) -> impl Iterator<Item = LinkUse> + '_ {
        self.links.all().iter().enumerate().map(|(at, link)| self.usage.of(at, link))
    }

    /// A transaction offers to begin a call between these sites. `None` asks for a call whose offer is not known yet.
    pub(crate) fn begin(
        &mut self,
        id: Id,
        from: Site,
        to: Site,
        wanted: Option<&Wanted>,
    ) -> Result<Granted, Full> {
        let number = match self.asking.get(&id) {
            Some(number) => *number,
            None => {
                self.last += 1;
                self.asking.insert(id, self.last);
                self.reservations.insert(self.last, Reservation { from, ..Reservation::default() });
                self.last
            }
        };
        let known = self.reservations.get(&number).into_iter().flat_map(|reservation| &reservation.offers);
        if let Some(leg) = known.into_iter().map(|(_, leg)| leg).find(|leg| leg.to == to) {
            return Ok(leg.granted);
        }
        self.offer(number, id, to, wanted)
    }

    /// A transaction offers something else for a call that is up; `None` if nothing is known of the call.
    pub(crate) fn change(
        &mut self,
        id: Id,
        call: u128,
        wanted: Option<&Wanted>,
    ) -> Option<Result<Granted, Full>> {
        let number = *self.up.get(&call)?;
        let agreed = self.reservations.get(&number)?.agreed.clone()?;
        self.asking.insert(id, number);
        let Some(wanted) = wanted else {
            // Until the other side offers, all stays as it is.
            let (granted, leg) = (agreed.granted, Leg { said: false, ..agreed });
            self.charge(number, |reservation| reservation.offers.push((id, leg)));
            return Some(Ok(granted));
        };
        Some(self.offer(number, id, agreed.to, Some(wanted)))
    }

    /// An answer comes from this site: what may pass of it. Where nothing was offered before, it offers itself.
    pub(crate) fn answering(&mut self, id: Id, to: &Site, wanted: &Wanted) -> Option<Granted> {
        let number = *self.asking.get(&id)?;
        let reservation = self.reservations.get(&number)?;
        let Some(leg) = reservation.leg(id, to) else {
            // The answer again.
            return reservation.agreed.as_ref().map(|leg| leg.granted);
        };
        if leg.said {
            return Some(leg.granted);
        }
        let (to, own) = (leg.to.clone(), reservation.charge());
        let leg = match self.fitting(&reservation.from, &to, Some(wanted), &own) {
            Ok(leg) => leg,
            // Nobody can be told any more that the call is not to be: it goes on without its video.
            Err(full) => {
                let session = leg.granted.session;
                let cost = [wanted.audio(session).unwrap_or(leg.cost[AUDIO]), 0];
                let granted = Granted { session, video: Video::Refused };
                Leg { cost, granted, said: true, full: Some(full.0), ..leg.clone() }
            }
        };
        let granted = leg.granted;
        self.charge(number, |reservation| {
            reservation.offers.retain(|(of, leg)| *of != id || leg.to != to);
            reservation.offers.push((id, leg));
        });
        Some(granted)
    }

    /// What was offered is answered, from this site, and the call is up. The link that had no room for its video, if that fell.
    pub(crate) fn answered(
        &mut self,
        id: Id,
        call: u128,
        to: &Site,
        answer: Option<&Wanted>,
    ) -> Option<Arc<str>> {
        let number = *self.asking.get(&id)?;
        let mut leg = self.reservations.get(&number)?.leg(id, to)?.clone();
        if let Some(answer) = answer {
            leg.cost = leg.settled(answer);
        }
        let full = leg.full.take();
        self.charge(number, |reservation| {
            reservation.offers.retain(|(of, _)| *of != id);
            reservation.agreed = Some(leg);
        });
        self.up.insert(call, number);
        if let Some(full) = &full {
            self.usage.refused(full, VIDEO);
        }
        full
    }

    /// A call is up of which nothing is known here: it was up before, or before anything was counted. It is counted, though it
    /// may not fit.
    pub(crate) fn found(&mut self, call: u128, from: Site, to: Site, answer: &Wanted) {
        if self.links.all().is_empty() || self.up.contains_key(&call) {
            return;
        }
        let cost = |way: &[usize]| {
            let session = least(&self.links, way, AUDIO);
            let audio = answer.audio(session).or_else(|| answer.audio(None)).unwrap_or_default();
            [audio, answer.video.map_or(0, |asked| self.video(way, asked))]
        };
        let way = self.way(&from, &to, cost(&[]));
        let granted = Granted { session: None, video: Video::Free };
        let leg = Leg { to, cost: cost(&way), way, granted, said: true, full: None };
        self.last += 1;
        let number = self.last;
        self.reservations.insert(number, Reservation { from, ..Reservation::default() });
        self.up.insert(call, number);
        self.charge(number, |reservation| reservation.agreed = Some(leg));
    }

    /// Whether a call is counted.
    pub(crate) fn knows(&self, call: u128) -> bool {
        self.up.contains_key(&call)
    }

    /// A transaction has ended without an agreement.
    pub(crate) fn over(&mut self, id: Id) {
        let Some(number) = self.asking.remove(&id) else { return };
        self.charge(number, |reservation| reservation.offers.retain(|(of, _)| *of != id));
    }

    /// A call has ended.
    pub(crate) fn hung_up(&mut self, call: u128) {
        let Some(number) = self.up.remove(&call) else { return };
        self.charge(number, |reservation| reservation.agreed = None);
    }

    /// A call was refused because of this link.
    pub(crate) fn refused(&mut self, link: &str) {
        self.usage.refused(link, AUDIO);
    }

    fn offer(&mut self, number: u64, id: Id, to: Site, wanted: Option<&Wanted>) -> Result<Granted, Full> {
        let own = self.reservations.get(&number).map(Reservation::charge).unwrap_or_default();
        let from = self.reservations.get(&number).and_then(|reservation| reservation.from.clone());
        let leg = match self.fitting(&from, &to, wanted, &own) {
            Ok(leg) => leg,
            Err(full) => {
                self.forget_empty(number, id);
                return Err(full);
            }
        };
        let granted = leg.granted;
        self.charge(number, |reservation| reservation.offers.push((id, leg)));
        Ok(granted)
    }

    /// The best that there is room for: all of it by any way, else without its video by any way.
    fn fitting(
        &self,
        from: &Site,
        to: &Site,
        wanted: Option<&Wanted>,
        own: &BTreeMap<usize, Cost>,
    ) -> Result<Leg, Full> {
        let unsaid = Wanted::unsaid();
        let (said, wanted) = (wanted.is_some(), wanted.unwrap_or(&unsaid));
        let mut full: Option<Arc<str>> = None;
        let mut silent = None;
        for way in self.links.routes(from.as_deref(), to.as_deref()) {
            let session = least(&self.links, &way, AUDIO);
            let audio = wanted.audio(session).ok_or_else(|| self.narrowest(&way)).and_then(|cost| match self
                .usage
                .without_room(&self.links, &way, AUDIO, cost, own)
            {
                Some(link) => Err(link),
                None => Ok(cost),
            });
            let audio = match audio {
                Ok(audio) => audio,
                Err(link) => {
                    full.get_or_insert(link);
                    continue;
                }
            };
            let leg = |video: u32, granted: Video, full| {
                let granted = Granted { session, video: granted };
                Leg { to: to.clone(), way: way.clone(), cost: [audio, video], granted, said, full }
            };
            let Some(asked) = wanted.video.filter(|_| is_counted(&self.links, &way, VIDEO)) else {
                return Ok(leg(0, Video::Free, None));
            };
            let video = self.video(&way, asked);
            match self.usage.without_room(&self.links, &way, VIDEO, video, own) {
                None => return Ok(leg(video, Video::Within(video), None)),
                Some(link) => {
                    full.get_or_insert(Arc::clone(&link));
                    // Nothing would be left of a call that is only seen.
                    if !wanted.audio.is_empty() && silent.is_none() {
                        silent = Some(leg(0, Video::Refused, Some(link)));
                    }
                }
            }
        }
        silent.ok_or_else(|| Full(full.unwrap_or_else(|| "".into())))
    }

    /// What one video may take on a way: what is asked for, and no more than one call may.
    fn video(&self, way: &[usize], asked: Option<u32>) -> u32 {
        let asked = asked.unwrap_or(self.links.video());
        least(&self.links, way, VIDEO).map_or(asked, |most| asked.min(most))
    }

    /// The link that allows one call the least audio.
    fn narrowest(&self, way: &[usize]) -> Arc<str> {
        let links = way.iter().filter_map(|at| self.links.all().get(*at));
        let session = |link: &&Link| link.audio.and_then(|budget| budget.session).unwrap_or(u32::MAX);
        links.min_by_key(session).map_or("".into(), |link| link.name.as_str().into())
    }

    /// The way of something that is there already: one with room, else the best.
    fn way(&self, from: &Site, to: &Site, cost: Cost) -> Vec<usize> {
        let own = BTreeMap::new();
        let has_room = |way: &Vec<usize>| {
            [AUDIO, VIDEO]
                .into_iter()
                .all(|class| self.usage.without_room(&self.links, way, class, cost[class], &own).is_none())
        };
        let mut routes = self.links.routes(from.as_deref(), to.as_deref());
        let at = routes.iter().position(has_room).unwrap_or(0);
        if routes.is_empty() { Vec::new() } else { routes.swap_remove(at) }
    }

    /// Changes a reservation, and what the links know of it. One of nothing is forgotten.
    fn charge(&mut self, number: u64, change: impl FnOnce(&mut Reservation)) {
        let Some(reservation) = self.reservations.get_mut(&number) else { return };
        let before = reservation.charge();
        change(reservation);
        let is_over = reservation.agreed.is_none() && reservation.offers.is_empty();
        self.usage.give_back(&before);
        self.usage.take(&reservation.charge());
        if is_over {
            self.reservations.remove(&number);
        }
    }

    /// A reservation that was begun in vain.
    fn forget_empty(&mut self, number: u64, id: Id) {
        let offers = |reservation: &Reservation| reservation.offers.iter().any(|(of, _)| *of == id);
        if self.reservations.get(&number).is_none_or(|reservation| !offers(reservation)) {
            self.asking.remove(&id);
        }
        self.charge(number, |_| ());
    }
}

impl Reservation {
    /// What each link has to keep free.
    fn charge(&self) -> BTreeMap<usize, Cost> {
        let mut charge: BTreeMap<usize, Cost> = BTreeMap::new();
        for leg in self.agreed.iter().chain(self.offers.iter().map(|(_, leg)| leg)) {
            for at in &leg.way {
                let most = charge.entry(*at).or_default();
                *most = [most[AUDIO].max(leg.cost[AUDIO]), most[VIDEO].max(leg.cost[VIDEO])];
            }
        }
        charge
    }

    /// What a transaction has offered to a site; what it has offered anywhere, if nothing is known of that site.
    fn leg(&self, id: Id, to: &Site) -> Option<&Leg> {
        let own = || self.offers.iter().filter(|(of, _)| *of == id).map(|(_, leg)| leg);
        own().find(|leg| leg.to == *to).or_else(|| own().next())
    }
}

impl Leg {
    /// What an answer makes of it.
    fn settled(&self, answer: &Wanted) -> Cost {
        let session = self.granted.session;
        // A phone that speaks what it was not offered is counted by what it says.
        let audio = answer.audio(session).or_else(|| answer.audio(None)).unwrap_or_default();
        let video = match (answer.video, self.granted.video) {
            (Some(asked), Video::Within(most)) => asked.map_or(most, |asked| asked.min(most)),
            _ => 0,
        };
        [audio, video]
    }
}

fn budget(link: &Link, class: usize) -> Option<Budget> {
    if class == AUDIO { link.audio } else { link.video }
}

/// The least that a link of a way allows one call.
fn least(links: &Links, way: &[usize], class: usize) -> Option<u32> {
    way.iter().filter_map(|at| budget(links.all().get(*at)?, class)?.session).min()
}

fn is_counted(links: &Links, way: &[usize], class: usize) -> bool {
    way.iter().any(|at| links.all().get(*at).is_some_and(|link| budget(link, class).is_some()))
}
