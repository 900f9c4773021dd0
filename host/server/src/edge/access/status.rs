//! What the Access Edge says of itself: for status and metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_signaling::access::{LinkView, PartnerView};
use serde::{Deserialize, Serialize};

use super::AccessEdge;
use crate::edge::status::EdgeListener;
use crate::edge::unit::{Facts, Part};
use crate::metrics::Page;

/// Whom the Access Edge connects.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccessStatus {
    /// Connections by which somebody has spoken.
    pub connections: usize,
    /// Of these, those of clients that have signed in.
    pub signed_in: usize,
    /// The servers inside.
    pub next_hops: Vec<ServerRow>,
    /// The partners.
    pub partners: Vec<PartnerRow>,
    /// Messages passed on, `in` and `out`.
    pub forwarded: BTreeMap<String, u64>,
    /// Requests that the Edge itself refused, by the answer.
    pub refused: BTreeMap<String, u64>,
    /// What was dropped, by the name of its counter.
    pub dropped: BTreeMap<String, u64>,
}

/// A server that the Access Edge connects to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServerRow {
    /// Where.
    pub address: SocketAddr,
    /// Whether it answers, by what is known last.
    pub answers: bool,
    /// Seconds since it last answered.
    pub answered: Option<u64>,
    /// Seconds since it last could not be reached.
    pub failed: Option<u64>,
}

/// Another domain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartnerRow {
    /// Which.
    pub domain: String,
    /// `untried`, `works`, `outgoing-only`, `incoming-only` or `unreachable`.
    pub state: String,
    /// Seconds since it is so.
    pub since: u64,
    /// What is wrong, if anything is.
    pub cause: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
    /// Its Edges.
    pub servers: Vec<ServerRow>,
    /// Requests that came from it.
    pub incoming: u64,
    /// Of these, those that it was not allowed.
    pub refused: u64,
    /// Requests that were sent to it.
    pub outgoing: u64,
    /// Final answers to these.
    pub answered: u64,
    /// Those of them that could not be delivered.
    pub failed: u64,
}

impl Part for AccessEdge {
    fn facts(&self) -> Facts {
        let (view, now) = (self.core.view(), self.clock.now());
        let named = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
        };
        let mut dropped: BTreeMap<String, u64> = named(&view.dropped);
        if self.unmarkable > 0 {
            dropped.insert("unmarkable".to_owned(), self.unmarkable);
        }
        let access = AccessStatus {
            connections: view.connections,
            signed_in: view.signed_in,
            next_hops: view.next_hops.iter().map(|link| server(link, now)).collect(),
            partners: view.partners.iter().map(|one| self.partner(one, now)).collect(),
            forwarded: named(&view.forwarded),
            refused: view.refused.iter().map(|(code, number)| (code.to_string(), *number)).collect(),
            dropped,
        };
        let listeners =
            self.listeners.iter().map(|(one, facts)| EdgeListener::of(one).showing(facts)).collect();
        Facts { listeners, access: Some(access), ..Facts::default() }
    }

    fn metrics(&self) -> String {
        let (mut page, view) = (Page(String::new()), self.core.view());
        page.one(
            "access_connections",
            "gauge",
            "Connections by which somebody has spoken.",
            view.connections,
        );
        page.one("access_signed_in", "gauge", "Connections of clients that have signed in.", view.signed_in);
        page.many("access_forwarded_total", "counter", "Messages passed on.", "way", view.forwarded);
        let refused = view.refused.iter().map(|(code, number)| (code.to_string(), *number));
        page.many(
            "access_refused_total",
            "counter",
            "Requests that the Edge itself refused.",
            "code",
            refused,
        );
        let hops = view.next_hops.iter().map(|link| (link.address.to_string(), u8::from(link.answers)));
        page.many("access_next_hop_up", "gauge", "1 while this server inside answers.", "server", hops);
        let partners = |read: fn(&PartnerView) -> u64| {
            view.partners.iter().map(move |partner| (partner.domain.clone(), read(partner)))
        };
        let one_way = partners(|partner| u64::from(partner.state.advice().is_some()));
        page.many(
            "federation_alarm",
            "gauge",
            "1 while not both ways with this partner work.",
            "domain",
            one_way,
        );
        let incoming = partners(|partner| partner.incoming);
        page.many("federation_incoming_total", "counter", "Requests from this partner.", "domain", incoming);
        let outgoing = partners(|partner| partner.outgoing);
        page.many("federation_outgoing_total", "counter", "Requests to this partner.", "domain", outgoing);
        page.0
    }
}

fn server(link: &LinkView, now: Duration) -> ServerRow {
    let ago = |at: Option<Duration>| at.map(|at| now.saturating_sub(at).as_secs());
    let LinkView { address, answers, answered, failed } = *link;
    ServerRow { address, answers, answered: ago(answered), failed: ago(failed) }
}

impl AccessEdge {
    /// A partner whose Edges are not known at all is one that nothing is known of but that.
    fn partner(&self, view: &PartnerView, now: Duration) -> PartnerRow {
        let unknown = self.by_name.get(&view.domain).and_then(Option::as_ref);
        let mut row = partner(view, now);
        if let Some(why) = unknown.filter(|_| row.servers.is_empty()) {
            row.cause = Some(why.clone());
            row.fix = Some("look at the partner's DNS, or name `addresses` in [[partners]]".to_owned());
        }
        row
    }
}

fn partner(view: &PartnerView, now: Duration) -> PartnerRow {
    let advice = view.state.advice();
    PartnerRow {
        domain: view.domain.clone(),
        state: view.state.word().to_owned(),
        since: now.saturating_sub(view.since).as_secs(),
        cause: advice.map(|(cause, _)| cause.to_owned()),
        fix: advice.map(|(_, fix)| fix.to_owned()),
        servers: view.links.iter().map(|link| server(link, now)).collect(),
        incoming: view.incoming,
        refused: view.refused,
        outgoing: view.outgoing,
        answered: view.answered,
        failed: view.failed,
    }
}
