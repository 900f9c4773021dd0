//! What one call has reserved: media that is agreed on, media that is offered, and the legs of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AUDIO, Asked, Cost, Granted, Site, VIDEO, Video, Wanted, place};
use crate::transaction::Id;

/// What one call has reserved: of everything that may still come true, the most on each link.
#[derive(Debug, Default)]
pub(super) struct Reservation {
    /// What both ends agreed on.
    pub(super) agreed: Option<Media>,
    /// What was offered and is not answered, by the transactions that ask.
    pub(super) offers: Vec<(Id, Media)>,
}

/// Media of a call: one leg, or two that meet at a bridge of ours, the caller's first.
#[derive(Clone, Debug)]
pub(super) struct Media {
    pub(super) legs: Vec<Leg>,
    /// Whether the offer is known; if not, it comes with the answer.
    pub(super) said: bool,
    /// The link that had no room for the video.
    pub(super) full: Option<Arc<str>>,
}

/// Media between two sites.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) ends: [Site; 2],
    pub(super) way: Vec<usize>,
    pub(super) cost: Cost,
    pub(super) granted: Granted,
}

impl Reservation {
    /// What each link has to keep free.
    pub(super) fn charge(&self) -> BTreeMap<usize, Cost> {
        let mut charge: BTreeMap<usize, Cost> = BTreeMap::new();
        for media in self.agreed.iter().chain(self.offers.iter().map(|(_, media)| media)) {
            for (at, cost) in media.charge(None) {
                let most = charge.entry(at).or_default();
                *most = [most[AUDIO].max(cost[AUDIO]), most[VIDEO].max(cost[VIDEO])];
            }
        }
        charge
    }

    /// Everything, wherever it stands.
    pub(super) fn legs_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        let media = self.agreed.iter_mut().chain(self.offers.iter_mut().map(|(_, media)| media));
        media.flat_map(|media| &mut media.legs)
    }

    /// The place of what a transaction has offered to whom it asks: over a bridge or not, and at that site; of what it has
    /// offered anywhere, if nothing is known of that site.
    pub(super) fn position(&self, asked: &Asked) -> Option<usize> {
        let find = |fits: &dyn Fn(&Media) -> bool| {
            self.offers.iter().position(|(id, media)| *id == asked.id && fits(media))
        };
        let is_crossed = |media: &Media| (media.legs.len() > 1) == asked.side.is_some();
        let leads_there = |media: &Media| media.legs.last().is_some_and(|leg| leg.ends[1] == asked.to);
        find(&|media| is_crossed(media) && leads_there(media)).or_else(|| find(&is_crossed))
    }

    /// The same, itself.
    pub(super) fn media(&self, asked: &Asked) -> Option<&Media> {
        self.offers.get(self.position(asked)?).map(|(_, media)| media)
    }
}

impl Media {
    /// Nothing yet.
    pub(super) fn between(ends: &[[Site; 2]], said: bool) -> Media {
        let granted = Granted { session: None, video: Video::Free };
        let leg = |ends: &[Site; 2]| Leg { ends: ends.clone(), way: Vec::new(), cost: [0, 0], granted };
        Media { legs: ends.iter().map(leg).collect(), said, full: None }
    }

    pub(super) fn is_between(&self, ends: &[[Site; 2]]) -> bool {
        self.legs.iter().map(|leg| &leg.ends).eq(ends)
    }

    /// What each link bears of it, without that of one leg: legs that take the same link add up.
    pub(super) fn charge(&self, without: Option<usize>) -> BTreeMap<usize, Cost> {
        let mut charge: BTreeMap<usize, Cost> = BTreeMap::new();
        let legs = self.legs.iter().enumerate().filter(|(at, _)| Some(*at) != without);
        for (link, cost) in legs.flat_map(|(_, leg)| leg.way.iter().map(|link| (*link, leg.cost))) {
            let sum = charge.entry(link).or_default();
            *sum = [sum[AUDIO] + cost[AUDIO], sum[VIDEO] + cost[VIDEO]];
        }
        charge
    }

    pub(super) fn leg_mut(&mut self, side: Option<crate::records::Side>) -> Option<&mut Leg> {
        self.legs.get_mut(place(side))
    }

    pub(super) fn set(&mut self, at: usize, leg: Leg) {
        if let Some(old) = self.legs.get_mut(at) {
            *old = leg;
        }
    }
}

impl Leg {
    /// What an answer makes of it.
    pub(super) fn settled(&self, answer: &Wanted) -> Cost {
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
