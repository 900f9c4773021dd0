//! Call admission control: what calls have reserved on the links between sites, and whether another one fits.
//!
//! An offer reserves what it may come to need, the answer what it does need, and every ending gives it back. A call over a bridge of ours
//! is two legs, each with a way and a codec of its own. Which site an end is at, and what becomes of a call that does not fit, is decided
//! by those who ask.

mod reservation;
mod usage;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;

use carillon_qos::Plan;
use carillon_qos::plan::{Budget, Link, Links};

use crate::records::Side;
use crate::transaction::Id;

use reservation::{Leg, Media, Reservation};
pub use usage::{ClassUse, LinkUse};
use usage::{Own, Usage};
pub(crate) use wanted::{Granted, Video, Wanted, narrowed, restricted};

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

/// Who asks or answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    /// The transaction that asks.
    pub(crate) id: Id,
    /// Where it was sent to.
    pub(crate) to: Site,
    /// Whose leg is meant, if a bridge of ours stands between the two.
    pub(crate) side: Option<Side>,
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
            reservation.legs_mut().for_each(|leg| leg.way = self.way(&leg.ends, leg.cost));
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

    /// A transaction offers to begin a call between these sites, or between each of them and a bridge of ours, the caller first. `None`
    /// asks for a call whose offer is not known yet. What the bridge offers further comes with [`Bandwidth::cross`].
    pub(crate) fn begin(
        &mut self,
        id: Id,
        ends: &[[Site; 2]],
        wanted: Option<&Wanted>,
    ) -> Result<Granted, Full> {
        let number = match self.asking.get(&id) {
            Some(number) => *number,
            None => {
                self.last += 1;
                self.asking.insert(id, self.last);
                self.reservations.insert(self.last, Reservation::default());
                self.last
            }
        };
        let offers = self.reservations.get(&number).into_iter().flat_map(|reservation| &reservation.offers);
        let known = offers.map(|(_, media)| media).find(|media| media.is_between(ends));
        match known.and_then(|media| media.legs.first()) {
            Some(leg) => Ok(leg.granted),
            None => self.offer(number, id, Media::between(ends, wanted.is_some()), 0, wanted),
        }
    }

    /// A transaction offers something else for a call that is up; `None` if nothing is known of the call. `side` is who offers, if a
    /// bridge of ours stands between the two.
    pub(crate) fn change(
        &mut self,
        id: Id,
        call: u128,
        side: Option<Side>,
        wanted: Option<&Wanted>,
    ) -> Option<Result<Granted, Full>> {
        let number = *self.up.get(&call)?;
        let agreed = self.reservations.get(&number)?.agreed.clone()?;
        let granted = agreed.legs.get(place(side))?.granted;
        self.asking.insert(id, number);
        let media = Media { said: wanted.is_some(), full: None, ..agreed };
        if wanted.is_none() {
            // Until the other side offers, all stays as it is.
            self.charge(number, |reservation| reservation.offers.push((id, media)));
            return Some(Ok(granted));
        }
        Some(self.offer(number, id, media, place(side), wanted))
    }

    /// What a bridge of ours offers to this side, for what was offered to us; `None` if nothing is known of the offer.
    pub(crate) fn cross(&mut self, asked: &Asked, wanted: &Wanted) -> Option<Result<Granted, Full>> {
        let number = *self.asking.get(&asked.id)?;
        let reservation = self.reservations.get(&number)?;
        let (position, at) = (reservation.position(asked)?, place(asked.side));
        let (_, media) = reservation.offers.get(position)?;
        let leg = match self.fitting(reservation, media, at, Some(wanted)) {
            Ok((leg, _)) => leg,
            Err(full) => return Some(Err(full)),
        };
        let granted = leg.granted;
        self.charge(number, |reservation| {
            let offer = reservation.offers.get_mut(position);
            offer.into_iter().for_each(|(_, media)| media.set(at, leg.clone()));
        });
        Some(Ok(granted))
    }

    /// Something else is offered before there is an answer: it may come to no more than was granted. `None` if nothing is known of the
    /// first offer.
    pub(crate) fn meanwhile(&self, asked: &Asked, wanted: &Wanted) -> Option<Result<Granted, Full>> {
        let media = self.reservations.get(self.asking.get(&asked.id)?)?.media(asked)?;
        let leg = media.legs.get(place(asked.side))?;
        let Granted { session, video } = leg.granted;
        let is_dearer = wanted.audio(session).is_none_or(|cost| cost > leg.cost[AUDIO]);
        if is_dearer && is_counted(&self.links, &leg.way, AUDIO) {
            return Some(Err(Full(self.narrowest(&leg.way))));
        }
        let unseen = leg.cost[VIDEO] == 0 && is_counted(&self.links, &leg.way, VIDEO);
        Some(Ok(Granted { session, video: if unseen { Video::Refused } else { video } }))
    }

    /// An answer comes: what may pass of it. Where nothing was offered before, it offers itself.
    pub(crate) fn answering(&mut self, asked: &Asked, wanted: &Wanted) -> Option<Granted> {
        let number = *self.asking.get(&asked.id)?;
        let (reservation, at) = (self.reservations.get(&number)?, place(asked.side));
        let Some(position) = reservation.position(asked) else {
            // The answer again.
            return reservation.agreed.as_ref()?.legs.get(at).map(|leg| leg.granted);
        };
        let (_, media) = reservation.offers.get(position)?;
        let old = media.legs.get(at)?;
        if media.said {
            return Some(old.granted);
        }
        let (leg, full) = match self.fitting(reservation, media, at, Some(wanted)) {
            Ok(fitting) => fitting,
            // Nobody can be told any more that the call is not to be: it goes on without its video.
            Err(full) => {
                let session = old.granted.session;
                let cost = [wanted.audio(session).unwrap_or(old.cost[AUDIO]), 0];
                let granted = Granted { session, video: Video::Refused };
                (Leg { cost, granted, ..old.clone() }, Some(full.0))
            }
        };
        let granted = leg.granted;
        self.charge(number, |reservation| {
            let Some((_, media)) = reservation.offers.get_mut(position) else { return };
            media.set(at, leg);
            (media.said, media.full) = (true, full);
        });
        Some(granted)
    }

    /// What was offered is answered, and the call is up. The link that had no room for its video, if that fell.
    pub(crate) fn answered(
        &mut self,
        asked: &Asked,
        call: u128,
        answer: Option<&Wanted>,
    ) -> Option<Arc<str>> {
        let number = *self.asking.get(&asked.id)?;
        let mut media = self.reservations.get(&number)?.media(asked)?.clone();
        let leg = media.leg_mut(asked.side);
        answer.zip(leg).into_iter().for_each(|(answer, leg)| leg.cost = leg.settled(answer));
        let full = media.full.take();
        self.charge(number, |reservation| {
            reservation.offers.retain(|(of, _)| *of != asked.id);
            reservation.agreed = Some(media);
        });
        self.up.insert(call, number);
        if let Some(full) = &full {
            self.usage.refused(full, VIDEO);
        }
        full
    }

    /// What a bridge of ours has told this side of a call that is up.
    pub(crate) fn settled(&mut self, call: u128, side: Side, told: &Wanted) {
        let Some(number) = self.up.get(&call).copied() else { return };
        self.charge(number, |reservation| {
            let agreed = reservation.agreed.as_mut().filter(|media| media.legs.len() > 1);
            let leg = agreed.and_then(|media| media.leg_mut(Some(side)));
            leg.into_iter().for_each(|leg| leg.cost = leg.settled(told));
        });
    }

    /// A call is up of which nothing is known here: it was up before, or before anything was counted. It is counted, though it
    /// may not fit.
    pub(crate) fn found(&mut self, call: u128, ends: &[[Site; 2]], answer: &Wanted) {
        if self.links.all().is_empty() || self.up.contains_key(&call) {
            return;
        }
        let cost = |way: &[usize]| {
            let session = least(&self.links, way, AUDIO);
            let audio = answer.audio(session).or_else(|| answer.audio(None)).unwrap_or_default();
            [audio, answer.video.map_or(0, |asked| self.video(way, asked))]
        };
        let mut media = Media::between(ends, true);
        for leg in &mut media.legs {
            leg.way = self.way(&leg.ends, cost(&[]));
            leg.cost = cost(&leg.way);
        }
        self.last += 1;
        let number = self.last;
        self.reservations.insert(number, Reservation::default());
        self.up.insert(call, number);
        self.charge(number, |reservation| reservation.agreed = Some(media));
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

    fn offer(
        &mut self,
        number: u64,
        id: Id,
        mut media: Media,
        at: usize,
        wanted: Option<&Wanted>,
    ) -> Result<Granted, Full> {
        let reservation = self.reservations.get(&number).ok_or_else(|| Full("".into()))?;
        let (leg, full) = match self.fitting(reservation, &media, at, wanted) {
            Ok(fitting) => fitting,
            Err(full) => {
                self.forget_empty(number, id);
                return Err(full);
            }
        };
        let granted = leg.granted;
        media.set(at, leg);
        media.full = full;
        self.charge(number, |reservation| reservation.offers.push((id, media)));
        Ok(granted)
    }

    /// The best that there is room for on one leg of some media: all of it by any way, else without its video by any way; then also
    /// the link that had no room for that.
    fn fitting(
        &self,
        reservation: &Reservation,
        media: &Media,
        at: usize,
        wanted: Option<&Wanted>,
    ) -> Result<(Leg, Option<Arc<str>>), Full> {
        let ends = media.legs.get(at).map(|leg| leg.ends.clone()).unwrap_or_default();
        let own = Own { has: reservation.charge(), beside: media.charge(Some(at)) };
        let unsaid = Wanted::unsaid();
        let wanted = wanted.unwrap_or(&unsaid);
        let mut full: Option<Arc<str>> = None;
        let mut silent = None;
        let [from, to] = &ends;
        for way in self.links.routes(from.as_deref(), to.as_deref()) {
            let session = least(&self.links, &way, AUDIO);
            let audio = match self.audible(&way, wanted.audio(session), &own) {
                Ok(audio) => audio,
                Err(link) => {
                    full.get_or_insert(link);
                    continue;
                }
            };
            let leg = |video: u32, granted: Video| {
                let granted = Granted { session, video: granted };
                Leg { ends: ends.clone(), way: way.clone(), cost: [audio, video], granted }
            };
            let Some(asked) = wanted.video.filter(|_| is_counted(&self.links, &way, VIDEO)) else {
                return Ok((leg(0, Video::Free), None));
            };
            let video = self.video(&way, asked);
            match self.usage.without_room(&self.links, &way, VIDEO, video, &own) {
                None => return Ok((leg(video, Video::Within(video)), None)),
                Some(link) => {
                    full.get_or_insert(Arc::clone(&link));
                    // Nothing would be left of a call that is only seen.
                    if !wanted.audio.is_empty() && silent.is_none() {
                        silent = Some((leg(0, Video::Refused), Some(link)));
                    }
                }
            }
        }
        silent.ok_or_else(|| Full(full.unwrap_or_else(|| "".into())))
    }

    /// What the audio costs on a way, if there is room: else the link that has none, or that lets one call take less than this.
    fn audible(&self, way: &[usize], cost: Option<u32>, own: &Own) -> Result<u32, Arc<str>> {
        let cost = cost.ok_or_else(|| self.narrowest(way))?;
        self.usage.without_room(&self.links, way, AUDIO, cost, own).map_or(Ok(cost), Err)
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
    fn way(&self, [from, to]: &[Site; 2], cost: Cost) -> Vec<usize> {
        let own = Own::default();
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

/// Where a leg stands.
fn place(side: Option<Side>) -> usize {
    usize::from(side == Some(Side::Callee))
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
