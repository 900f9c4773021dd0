//! What the Access Edge says of itself.

use std::collections::BTreeMap;

use super::AccessEdge;
use super::contract::{LinkView, PartnerView, View};
use super::link::{Link, Whose};

/// Totals since the start.
#[derive(Clone, Default, Debug)]
pub(crate) struct Counts {
    pub(crate) forwarded: BTreeMap<&'static str, u64>,
    pub(crate) refused: BTreeMap<u16, u64>,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn drop(&mut self, counter: &'static str) {
        *self.dropped.entry(counter).or_default() += 1;
    }

    pub(crate) fn refuse(&mut self, code: u16) {
        *self.refused.entry(code).or_default() += 1;
    }
}

impl AccessEdge {
    /// A picture of now.
    pub fn view(&self) -> View {
        let (connections, signed_in) = self.peers.counts();
        let partners = self.config.partners.iter().zip(&self.traffic).enumerate();
        let partners = partners.map(|(at, (partner, traffic))| PartnerView {
            domain: partner.domain.clone(),
            state: traffic.state,
            since: traffic.since,
            links: self.links_of(Whose::Partner(at)),
            incoming: traffic.incoming,
            refused: traffic.refused,
            outgoing: traffic.outgoing,
            answered: traffic.answered,
            failed: traffic.failed,
        });
        View {
            connections,
            signed_in,
            next_hops: self.links_of(Whose::Inside),
            partners: partners.collect(),
            forwarded: self.counts.forwarded.clone(),
            refused: self.counts.refused.clone(),
            dropped: self.counts.dropped.clone(),
        }
    }

    fn links_of(&self, whose: Whose) -> Vec<LinkView> {
        let view = |link: &Link| LinkView {
            address: link.remote,
            answers: link.answers(),
            answered: link.answered,
            failed: link.failed,
        };
        self.links.iter().filter(|link| link.whose == whose).map(view).collect()
    }
}
