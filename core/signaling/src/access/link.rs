//! The servers that we connect to: which one serves, whether they are there, and what is said for those that are not.
//!
//! The Edge keeps no transactions. A request is remembered only until something is heard from the server that it was sent
//! to: if its connection fails before, the next server gets it, or whoever sent it learns why nobody does.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{Destination, Flow, Transport};

/// After so long a server that failed is tried before others again, and who waits for it has given up (RFC 3261, timer B).
pub(crate) const PATIENCE: Duration = Duration::from_secs(32);
/// Requests that may wait for one server; those beyond are sent all the same.
const WAITING: usize = 1000;

/// Whose servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    Inside,
    /// The number of a partner.
    Partner(usize),
}

/// A server of somebody.
#[derive(Debug)]
pub(crate) struct Link<W = Whose> {
    pub(crate) whose: W,
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    /// Something came over the connection that is open.
    heard: bool,
    pub(crate) answered: Option<Duration>,
    pub(crate) failed: Option<Duration>,
    waiting: VecDeque<Waiting>,
    /// When it is asked next.
    pub(crate) probe_at: Duration,
    /// The branch of the question that was not answered yet.
    pub(crate) probe: Option<String>,
}

/// A request that may not have arrived.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) since: Duration,
    /// Who sent it.
    pub(crate) from: Flow,
    /// As it left.
    pub(crate) bytes: Vec<u8>,
    /// What is said if nobody can be reached.
    pub(crate) refusal: Vec<u8>,
}

impl<W> Link<W> {
    pub(crate) fn new(whose: W, transport: Transport, remote: SocketAddr, now: Duration) -> Link<W> {
        let (answered, failed, probe) = (None, None, None);
        let waiting = VecDeque::new();
        Link { whose, transport, remote, heard: false, answered, failed, waiting, probe_at: now, probe }
    }

    /// The same of another owner: partners are counted anew.
    pub(crate) fn of(self, whose: W) -> Link<W> {
        Link { whose, ..self }
    }

    pub(crate) fn destination(&self) -> Destination {
        Destination::Address { transport: self.transport, remote: self.remote, local: None }
    }

    /// Whether the last thing that is known is that it answers.
    pub(crate) fn answers(&self) -> bool {
        self.answered.is_some() && self.answered >= self.failed
    }

    /// Whether it is not worth trying while there is another.
    fn rests(&self, now: Duration) -> bool {
        !self.answers() && self.failed.is_some_and(|failed| now < failed + PATIENCE)
    }

    /// Remembers a request until it is known that the server hears us.
    pub(crate) fn remember(&mut self, waiting: Waiting) {
        if !self.heard && self.waiting.len() < WAITING {
            self.waiting.push_back(waiting);
        }
    }

    /// Something came from it. Whether that is news.
    pub(crate) fn hear(&mut self, now: Duration) -> bool {
        let news = !self.answers();
        self.heard = true;
        self.answered = Some(now);
        self.waiting.clear();
        news
    }

    /// Its connection could not be made, or has ended: what may not have arrived.
    pub(crate) fn fail(&mut self, now: Duration) -> VecDeque<Waiting> {
        self.lose();
        self.failed = Some(now);
        std::mem::take(&mut self.waiting)
    }

    /// Its connection has ended in good order.
    pub(crate) fn lose(&mut self) {
        self.heard = false;
        self.probe = None;
    }

    /// Forgets those who have given up.
    pub(crate) fn forget(&mut self, now: Duration) {
        while self.waiting.front().is_some_and(|first| now >= first.since + PATIENCE) {
            self.waiting.pop_front();
        }
    }

    /// Whether anybody waits.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// The server of these that is to be asked: the first that does not rest; if all do, the one that has rested longest.
pub(crate) fn choose<W: PartialEq>(links: &[Link<W>], whose: W, now: Duration) -> Option<usize> {
    let of = || links.iter().enumerate().filter(|(_, link)| link.whose == whose);
    let ready = of().find(|(_, link)| !link.rests(now));
    ready.or_else(|| of().min_by_key(|(_, link)| link.failed)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_serves_until_it_fails_and_again_when_it_has_rested() {
        let link =
            |whose, port| Link::new(whose, Transport::Tls, SocketAddr::from(([192, 0, 2, 1], port)), NOW);
        let mut links = [link(Whose::Partner(0), 1), link(Whose::Inside, 2), link(Whose::Inside, 3)];
        let inside = |links: &[Link], now| choose(links, Whose::Inside, now);
        assert_eq!(inside(&links, NOW), Some(1));
        links[1].fail(NOW);
        assert_eq!(inside(&links, NOW), Some(2));
        links[2].fail(NOW + SECOND);
        assert_eq!(inside(&links, NOW + SECOND), Some(1), "it has rested longer");
        links[2].hear(NOW + SECOND * 2);
        assert_eq!(inside(&links, NOW + SECOND * 2), Some(2));
        assert_eq!(inside(&links, NOW + PATIENCE), Some(1));
        assert_eq!(choose(&links, Whose::Partner(1), NOW), None);
    }
}
