//! The servers that we connect to: asked whether they are there, and what follows when they are not.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{Builder, Flow, Method, Transport};

use super::config::{Config, Partner};
use super::contract::{Event, Output};
use super::link::{Link, Whose, choose};
use super::{AccessEdge, is_domain};
use crate::incoming::Incoming;
use crate::secret::usage;

/// How the branches of our own questions begin.
const QUESTION: &str = "z9hG4bK-q";

/// Every server of a configuration; those of one owner share what is due.
pub(super) fn links(config: &Config, now: Duration) -> Vec<Link> {
    let hop = &config.next_hop;
    let inside = hop.addresses.iter().map(|remote| (Whose::Inside, hop.transport, *remote));
    let partners = config.partners.iter().enumerate().flat_map(|(at, partner)| {
        partner.addresses.iter().map(move |remote| (Whose::Partner(at), Transport::Tls, *remote))
    });
    inside
        .chain(partners)
        .map(|(whose, transport, remote)| Link::new(whose, transport, remote, now))
        .collect()
}

impl AccessEdge {
    /// The servers after the partners have changed; what is known of those that stay is kept.
    pub(super) fn relink(&mut self, now: Duration, before: &[Partner]) {
        let domain = |whose, partners: &[Partner]| match whose {
            Whose::Inside => None,
            Whose::Partner(at) => partners.get(at).map(|partner| partner.domain.clone()),
        };
        let mut old = std::mem::take(&mut self.links);
        for new in links(&self.config, now) {
            let is = |link: &Link| {
                link.remote == new.remote
                    && domain(link.whose, before) == domain(new.whose, &self.config.partners)
            };
            self.links.push(match old.iter().position(is) {
                Some(at) => old.swap_remove(at).of(new.whose),
                None => new,
            });
        }
    }

    /// A partner asks something.
    pub(super) fn heard_of(&mut self, now: Duration, partners: &[usize], incoming: &Incoming<'_>) {
        let of = |at: &usize| match (incoming.routing.from.uri(), self.config.partners.get(*at)) {
            (Ok(from), Some(partner)) => is_domain(&from, &partner.domain),
            _ => false,
        };
        let Some(at) = partners.iter().copied().find(of) else { return };
        if let Some(traffic) = self.traffic.get_mut(at)
            && incoming.method() != Method::Ack
        {
            traffic.asked(now, incoming.method() == Method::Options && !incoming.has_dialog());
        }
        self.judge(now);
    }

    /// Something came from a server, which may be that of several partners.
    pub(super) fn heard(&mut self, now: Duration, remote: SocketAddr) {
        for at in self.at(remote) {
            let Some(link) = self.links.get_mut(at) else { continue };
            if link.hear(now) {
                let (whose, address) = (link.whose, link.remote);
                self.tell(whose, address, true);
            }
        }
        self.judge(now);
    }

    /// A connection has ended that may be one of ours to a server.
    pub(super) fn lost(&mut self, now: Duration, remote: SocketAddr) {
        for at in self.at(remote) {
            let Some(link) = self.links.get_mut(at) else { continue };
            match link.is_waited_for() || link.probe.is_some() {
                true => self.fail(now, at),
                // It is asked again soon, and then it is known whether it is there.
                false => {
                    link.lose();
                    link.probe_at = link.probe_at.min(now + Duration::from_secs(1));
                }
            }
        }
        self.judge(now);
    }

    /// A server can't be reached: what waited for it goes to another, or is refused.
    pub(super) fn failed(&mut self, now: Duration, remote: SocketAddr) {
        for at in self.at(remote) {
            self.fail(now, at);
        }
        self.judge(now);
    }

    /// The links to one place: partners may share an Edge.
    fn at(&self, remote: SocketAddr) -> Vec<usize> {
        let there = |(at, link): (usize, &Link)| (link.remote == remote).then_some(at);
        self.links.iter().enumerate().filter_map(there).collect()
    }

    fn fail(&mut self, now: Duration, at: usize) {
        let Some(link) = self.links.get_mut(at) else { return };
        let news = link.answers() || link.failed.is_none();
        let (whose, remote, waiting) = (link.whose, link.remote, link.fail(now));
        if news {
            self.tell(whose, remote, false);
        }
        let other = choose(&self.links, whose, now).filter(|other| *other != at);
        for waiting in waiting {
            // One that failed since the request came has had it.
            let fresh = |link: &&mut Link| link.failed.is_none_or(|failed| failed < waiting.since);
            match other.and_then(|other| self.links.get_mut(other)).filter(fresh) {
                Some(link) => {
                    let (to, bytes) = (link.destination(), waiting.bytes.clone());
                    link.remember(waiting);
                    self.transmit(to, bytes);
                }
                None => self.give_up(whose, waiting.from, waiting.refusal),
            }
        }
    }

    /// Asks every server whose time it is whether it is there; that also keeps the connection up.
    pub(super) fn ask_servers(&mut self, now: Duration) {
        for at in 0..self.links.len() {
            let Some(link) = self.links.get_mut(at).filter(|link| link.probe_at <= now) else { continue };
            link.forget(now);
            link.probe_at = now + self.config.probe;
            let whose = link.whose;
            if link.probe.take().is_some() {
                self.fail(now, at);
                self.judge(now);
            }
            let Some((branch, bytes)) = self.question(whose, at) else { continue };
            let Some(link) = self.links.get_mut(at) else { continue };
            link.probe = Some(branch);
            let to = link.destination();
            self.transmit(to, bytes);
        }
    }

    /// Whether an answer is one to a question of ours.
    pub(super) fn is_probe(&mut self, incoming: &Incoming<'_>) -> bool {
        let Some(branch) =
            incoming.routing.via.branch.filter(|branch| branch.starts_with(QUESTION.as_bytes()))
        else {
            return false;
        };
        let asked = |link: &&mut Link| link.probe.as_ref().is_some_and(|probe| probe.as_bytes() == branch);
        self.links.iter_mut().find(asked).into_iter().for_each(|link| link.probe = None);
        true
    }

    /// Looks which ways there are, and tells what has changed.
    pub(super) fn judge(&mut self, now: Duration) {
        self.judged = now;
        for (at, traffic) in self.traffic.iter_mut().enumerate() {
            let links = self.links.iter().filter(|link| link.whose == Whose::Partner(at));
            let Some(state) = traffic.judge(now, self.config.probe, links) else { continue };
            let Some(partner) = self.config.partners.get(at) else { continue };
            let domain = partner.domain.clone();
            self.out.push_back(Output::Event(Event::Partner { domain, state }));
        }
    }

    fn tell(&mut self, whose: Whose, address: SocketAddr, answers: bool) {
        if whose == Whose::Inside {
            self.out.push_back(Output::Event(Event::NextHop { address, answers }));
        }
    }

    fn give_up(&mut self, whose: Whose, from: Flow, refusal: Vec<u8>) {
        if let Whose::Partner(at) = whose {
            self.traffic.get_mut(at).into_iter().for_each(|traffic| traffic.failed += 1);
        }
        self.counts.refuse(504);
        if self.peers.is_up(&from) {
            self.transmit(carillon_wire::sip::Destination::Flow(from), refusal);
        }
    }

    /// An OPTIONS to a server, from our domain, and its branch.
    fn question(&mut self, whose: Whose, at: usize) -> Option<(String, Vec<u8>)> {
        self.sequence = self.sequence.wrapping_add(1);
        let number = self.sequence.to_be_bytes();
        let [branch, tag, call] =
            [1u8, 2, 3].map(|use_| format!("{:016x}", self.secret.hash(usage::BRANCH, &[&number, &[use_]])));
        let branch = format!("{QUESTION}{branch}");
        let (to, link) = (self.links.get(at)?.destination(), self.links.get(at)?);
        let own = self.config.domains.first()?;
        let (ends, domain) = match whose {
            Whose::Inside => (&self.inside, own),
            Whose::Partner(at) => (&self.outside, &self.config.partners.get(at)?.domain),
        };
        let place = &ends.towards(&to)?.listener.advertised;
        let uri = format!("sip:{domain}");
        let request = Builder::request(Method::Options, uri.as_bytes()).ok()?;
        let fields = [
            ("Via", format!("SIP/2.0/{} {place};rport;branch={branch}", link.transport)),
            ("Max-Forwards", "70".to_owned()),
            ("From", format!("<sip:{own}>;tag={tag}")),
            ("To", format!("<{uri}>")),
            ("Call-ID", call),
            ("CSeq", "1 OPTIONS".to_owned()),
        ];
        let add = |request: Builder, (name, value): (&str, String)| {
            request.header(name.as_bytes(), value.as_bytes()).ok()
        };
        let request = fields.into_iter().try_fold(request, add)?;
        let bytes = request.finish(b"");
        Some((branch, bytes))
    }
}
