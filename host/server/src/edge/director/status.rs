//! What a Director says of itself: for status and metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_signaling::director::{GroupView, ServerView};
use serde::{Deserialize, Serialize};

use super::Director;
use crate::edge::status::EdgeListener;
use crate::edge::unit::{Facts, Part};
use crate::metrics::Page;

/// Whom a Director connects.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirectorStatus {
    /// Connections by which somebody has spoken.
    pub connections: usize,
    /// The Edges, and the Front Ends.
    pub groups: Vec<GroupRow>,
    /// Messages passed on, to `edge` and to `front-end`.
    pub forwarded: BTreeMap<String, u64>,
    /// Requests that the Director itself refused, by the answer.
    pub refused: BTreeMap<String, u64>,
    /// What was dropped, by the name of its counter.
    pub dropped: BTreeMap<String, u64>,
}

/// Servers that do the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupRow {
    /// The name in their certificates.
    pub name: String,
    /// `edge` or `front-end`.
    pub is: String,
    /// Users at home there; `None`: an Edge, or one that has not said so yet.
    pub users: Option<usize>,
    /// Each of them.
    pub servers: Vec<PeerRow>,
}

/// A server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerRow {
    /// Where.
    pub address: SocketAddr,
    /// Whether the connection is established, and it answers there.
    pub established: bool,
    /// Seconds since that is so; `None`: nothing is known yet.
    pub since: Option<u64>,
    /// Seconds since it last answered.
    pub answered: Option<u64>,
    /// Seconds since it last could not be reached.
    pub failed: Option<u64>,
}

impl Part for Director {
    fn facts(&self) -> Facts {
        let (view, now) = (self.core.view(), self.clock.now());
        let named = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
        };
        let status = DirectorStatus {
            connections: view.connections,
            groups: view.groups.iter().map(|group| row(group, now)).collect(),
            forwarded: named(&view.forwarded),
            refused: view.refused.iter().map(|(code, number)| (code.to_string(), *number)).collect(),
            dropped: named(&view.dropped),
        };
        let (listening, facts) = &self.listener;
        let listeners = vec![EdgeListener::of(listening).showing(facts)];
        Facts { listeners, director: Some(status), ..Facts::default() }
    }

    fn metrics(&self) -> String {
        let (mut page, view) = (Page(String::new()), self.core.view());
        let help = "Connections by which somebody has spoken.";
        page.one("director_connections", "gauge", help, view.connections);
        page.many("director_forwarded_total", "counter", "Messages passed on.", "way", view.forwarded);
        let refused = view.refused.iter().map(|(code, number)| (code.to_string(), *number));
        let help = "Requests that the Director itself refused.";
        page.many("director_refused_total", "counter", help, "code", refused);
        let servers = view.groups.iter().flat_map(|group| &group.servers);
        let up = servers.map(|server| (server.address.to_string(), u8::from(server.answers)));
        page.many("director_server_up", "gauge", "1 while this server answers.", "server", up);
        let users = view.groups.iter().filter_map(|group| Some((group.name.clone(), group.users?)));
        page.many("director_users", "gauge", "Users at home on this Front End.", "front_end", users);
        page.0
    }
}

fn row(group: &GroupView, now: Duration) -> GroupRow {
    GroupRow {
        name: group.name.clone(),
        is: if group.is_front_end { "front-end" } else { "edge" }.to_owned(),
        users: group.users,
        servers: group.servers.iter().map(|server| peer(server, now)).collect(),
    }
}

fn peer(server: &ServerView, now: Duration) -> PeerRow {
    let ago = |at: Option<Duration>| at.map(|at| now.saturating_sub(at).as_secs());
    let ServerView { address, answers, since, answered, failed } = *server;
    PeerRow { address, established: answers, since: ago(since), answered: ago(answered), failed: ago(failed) }
}
