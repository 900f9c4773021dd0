//! How much of each link is in use, and what was refused because of it.

use std::collections::BTreeMap;

use carillon_qos::plan::{Link, Links};

use super::{AUDIO, Cost, VIDEO, budget};

/// A link between sites, and what calls have reserved of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkUse {
    /// As administrators know it: of a site, `Reno`; of others the name of their policy.
    pub name: String,
    /// Of audio.
    pub audio: ClassUse,
    /// Of video.
    pub video: ClassUse,
}

/// One class on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClassUse {
    /// What all calls together may take, in kilobits per second and direction; none if anything may pass.
    pub capacity: Option<u32>,
    /// What they have reserved of it.
    pub reserved: u64,
    /// How many have.
    pub calls: u32,
    /// Calls that found no room, since the start: of audio they were refused, of video they went on without.
    pub refused: u64,
}

/// The same by the places of links.
#[derive(Debug, Default)]
pub(super) struct Usage {
    used: Vec<[Used; 2]>,
    refused: BTreeMap<String, [u64; 2]>,
}

/// What a call that asks has of the links already.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// By all that may come true of it; what it keeps always fits.
    pub(super) has: BTreeMap<usize, Cost>,
    /// By the other leg of what it asks for: both are there at once.
    pub(super) beside: BTreeMap<usize, Cost>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Used {
    kilobits: u64,
    calls: u32,
}

impl Usage {
    /// Of other links: nothing is in use, and what was refused is remembered of those that stay.
    pub(super) fn renewed(&self, links: &Links) -> Usage {
        let known = |link: &Link| self.refused.get(&link.name).copied().unwrap_or_default();
        let refused = links.all().iter().map(|link| (link.name.clone(), known(link))).collect();
        Usage { used: vec![[Used::default(); 2]; links.all().len()], refused }
    }

    pub(super) fn of(&self, at: usize, link: &Link) -> LinkUse {
        let used = self.used.get(at).copied().unwrap_or_default();
        let refused = self.refused.get(&link.name).copied().unwrap_or_default();
        let class = |class: usize| ClassUse {
            capacity: budget(link, class).map(|budget| budget.total),
            reserved: used[class].kilobits,
            calls: used[class].calls,
            refused: refused[class],
        };
        LinkUse { name: link.name.clone(), audio: class(AUDIO), video: class(VIDEO) }
    }

    /// The first link of a way that has no room for so much.
    pub(super) fn without_room(
        &self,
        links: &Links,
        way: &[usize],
        class: usize,
        cost: u32,
        own: &Own,
    ) -> Option<std::sync::Arc<str>> {
        let is_full = |at: &&usize| {
            let Some(budget) = links.all().get(**at).and_then(|link| budget(link, class)) else {
                return false;
            };
            let of = |costs: &BTreeMap<usize, Cost>| costs.get(*at).map_or(0, |cost| cost[class]);
            let (cost, own) = (cost.saturating_add(of(&own.beside)), of(&own.has));
            let used = self.used.get(**at).map_or(0, |used| used[class].kilobits);
            cost > own && used + u64::from(cost - own) > u64::from(budget.total)
        };
        let link = way.iter().find(is_full).and_then(|at| links.all().get(*at));
        link.map(|link| link.name.as_str().into())
    }

    pub(super) fn take(&mut self, charge: &BTreeMap<usize, Cost>) {
        self.each(charge, |used, kilobits| {
            used.kilobits += u64::from(kilobits);
            used.calls += u32::from(kilobits > 0);
        });
    }

    pub(super) fn give_back(&mut self, charge: &BTreeMap<usize, Cost>) {
        self.each(charge, |used, kilobits| {
            used.kilobits -= u64::from(kilobits);
            used.calls -= u32::from(kilobits > 0);
        });
    }

    pub(super) fn refused(&mut self, link: &str, class: usize) {
        self.refused.get_mut(link).into_iter().for_each(|refused| refused[class] += 1);
    }

    fn each(&mut self, charge: &BTreeMap<usize, Cost>, change: impl Fn(&mut Used, u32)) {
        for (at, cost) in charge {
            let Some(used) = self.used.get_mut(*at) else { continue };
            change(&mut used[AUDIO], cost[AUDIO]);
            change(&mut used[VIDEO], cost[VIDEO]);
        }
    }
}
