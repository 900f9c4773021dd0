//! The servers that a Director connects to: asked whether they are there and who is at home, and what follows when they are not.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_wire::sip::{Builder, Destination, Flow, Method};

use super::config::{Config, Owner};
use super::contract::{Event, Output};
use super::homes::{Next, accepted};
use super::{Director, Server};
use crate::access::link::{Link, choose};
use crate::incoming::Incoming;
use crate::secret::usage;

/// How the branches of our own questions begin.
const QUESTION: &str = "z9hG4bK-q";

/// Every server of a configuration.
pub(super) fn links(config: &Config, now: Duration) -> Vec<Link<Owner>> {
    let of = |(owner, group): (Owner, &super::Group)| {
        let link = |remote: &SocketAddr| Link::new(owner, config.transport, *remote, now);
        group.addresses.iter().map(link).collect::<Vec<_>>()
    };
    config.groups().flat_map(of).collect()
}

impl Director {
    /// Something came from a server.
    pub(super) fn heard(&mut self, now: Duration, remote: SocketAddr) {
        let Some(link) = self.links.iter_mut().find(|link| link.remote == remote) else { return };
        if link.hear(now) {
            let owner = link.whose;
            self.turned(now, owner, remote, true);
        }
    }

    /// A connection has ended that may be one of ours to a server.
    pub(super) fn lost(&mut self, now: Duration, remote: SocketAddr) {
        let Some(link) = self.links.iter_mut().find(|link| link.remote == remote) else { return };
        if link.is_waited_for() || link.probe.is_some() {
            return self.failed(now, remote);
        }
        // It is asked again soon, and then it is known whether it is there.
        link.lose();
        link.probe_at = link.probe_at.min(now + Duration::from_secs(1));
    }

    /// A server can't be reached: what waited for it goes to another that does the same, or is refused.
    pub(super) fn failed(&mut self, now: Duration, remote: SocketAddr) {
        let Some(at) = self.links.iter().position(|link| link.remote == remote) else { return };
        let Some(link) = self.links.get_mut(at) else { return };
        let news = link.answers() || link.failed.is_none();
        let (owner, waiting) = (link.whose, link.fail(now));
        if let Owner::FrontEnd(number) = owner {
            self.homes.get_mut(number).into_iter().for_each(super::Homes::interrupt);
        }
        if news {
            self.turned(now, owner, remote, false);
        }
        let other = choose(&self.links, owner, now).filter(|other| *other != at);
        for waiting in waiting {
            // One that failed since the request came has had it.
            let fresh = |link: &&mut Link<Owner>| link.failed.is_none_or(|failed| failed < waiting.since);
            match other.and_then(|other| self.links.get_mut(other)).filter(fresh) {
                Some(link) => {
                    let (to, bytes) = (link.destination(), waiting.bytes.clone());
                    link.remember(waiting);
                    self.transmit(to, bytes);
                }
                None => {
                    self.counts.refuse(504);
                    if self.is_up(&waiting.from) {
                        self.transmit(Destination::Flow(waiting.from), waiting.refusal);
                    }
                }
            }
        }
    }

    /// Asks every server whose time it is; that also keeps the connection up.
    pub(super) fn ask_servers(&mut self, now: Duration) {
        for at in 0..self.links.len() {
            let Some(link) = self.links.get_mut(at).filter(|link| link.probe_at <= now) else { continue };
            link.forget(now);
            let remote = link.remote;
            if link.probe.take().is_some() {
                self.failed(now, remote);
            }
            self.ask(now, at);
        }
    }

    /// Whether an answer is one to a question of ours; what it says is taken.
    pub(super) fn is_answer(&mut self, now: Duration, incoming: &Incoming<'_>, code: u16) -> bool {
        let branch = incoming.routing.via.branch.filter(|branch| branch.starts_with(QUESTION.as_bytes()));
        let Some(branch) = branch else { return false };
        let peer = self.peer(&incoming.flow);
        // Nobody answers for another: who was asked has not answered yet.
        let is_asked = |link: &Link<Owner>| {
            Some(link.whose) == peer && link.probe.as_ref().is_some_and(|it| it.as_bytes() == branch)
        };
        let Some(at) = self.links.iter().position(is_asked) else { return true };
        let Some(link) = self.links.get_mut(at) else { return true };
        let (owner, remote) = (link.whose, link.remote);
        let asked = link.probe.take().unwrap_or_default();
        match code {
            500.. => self.failed(now, remote),
            _ => self.heard(now, remote),
        }
        if let (Owner::FrontEnd(number), 200) = (owner, code) {
            self.learn(now, number, at, &asked, incoming);
        }
        true
    }

    /// A Front End has answered; if it was asked for that, with who is at home there, or a part of it.
    fn learn(&mut self, now: Duration, number: usize, at: usize, asked: &str, incoming: &Incoming<'_>) {
        let Some(homes) = self.homes.get_mut(number) else { return };
        let is_told = homes.waits_for(asked);
        let next = match homes.len() {
            _ if is_told => homes.take(&self.secret, incoming.message),
            // The other that was asked is not there.
            None if choose(&self.links, Owner::FrontEnd(number), now) == Some(at) => Next::More,
            _ => Next::Same,
        };
        let users = homes.len().unwrap_or_default();
        let name = || self.config.front_ends.get(number).map(|group| group.name.clone()).unwrap_or_default();
        match next {
            Next::Same => {}
            Next::More => self.ask(now, at),
            Next::New { too_many } => {
                let name = name();
                self.out.push_back(Output::Event(Event::Homes { name: name.clone(), users }));
                if too_many {
                    self.out.push_back(Output::Event(Event::TooMany { name }));
                }
            }
        }
    }

    fn ask(&mut self, now: Duration, at: usize) {
        let Some((branch, bytes)) = self.question(now, at) else { return };
        let Some(link) = self.links.get_mut(at) else { return };
        link.probe_at = now + self.config.probe;
        link.probe = Some(branch);
        let to = link.destination();
        self.transmit(to, bytes);
    }

    /// It answers, or does no longer.
    fn turned(&mut self, now: Duration, owner: Owner, address: SocketAddr, answers: bool) {
        self.since.insert(address, now);
        let name =
            self.config.groups().find(|(whose, _)| *whose == owner).map(|(_, group)| group.name.clone());
        let name = name.unwrap_or_default();
        self.out.push_back(Output::Event(Event::Server { name, address, answers }));
    }

    /// An OPTIONS to a server, and its branch. Of the servers of a Front End the one that serves is asked who is at home.
    fn question(&mut self, now: Duration, at: usize) -> Option<(String, Vec<u8>)> {
        self.sequence = self.sequence.wrapping_add(1);
        let number = self.sequence.to_be_bytes();
        let [branch, tag, call] =
            [1u8, 2, 3].map(|use_| format!("{:016x}", self.secret.hash(usage::BRANCH, &[&number, &[use_]])));
        let branch = format!("{QUESTION}{branch}");
        let (own, link) = (self.config.domains.first()?, self.links.get(at)?);
        let uri = format!("sip:{own}");
        let place = &self.config.advertised;
        let mut fields = vec![
            ("Via", format!("SIP/2.0/{} {place};rport;branch={branch}", link.transport)),
            ("Max-Forwards", "70".to_owned()),
            ("From", format!("<{uri}>;tag={tag}")),
            ("To", format!("<{uri}>")),
            ("Call-ID", call),
            ("CSeq", "1 OPTIONS".to_owned()),
        ];
        if let Owner::FrontEnd(number) = link.whose
            && choose(&self.links, link.whose, now) == Some(at)
        {
            let homes = self.homes.get_mut(number)?;
            fields.push(accepted());
            fields.extend(homes.question());
            homes.ask(&branch);
        }
        let request = Builder::request(Method::Options, uri.as_bytes()).ok()?;
        let add = |request: Builder, (name, value): (&str, String)| {
            request.header(name.as_bytes(), value.as_bytes()).ok()
        };
        let bytes = fields.into_iter().try_fold(request, add)?.finish(b"");
        Some((branch, bytes))
    }

    /// Whether a connection is there.
    pub(super) fn is_up(&self, flow: &Flow) -> bool {
        self.known.get(&flow.id).is_some_and(|known| known.flow == *flow)
    }

    /// The server of ours that a host means: by its address, or by the name that its group has.
    pub(super) fn server(&self, now: Duration, uri: &carillon_wire::sip::Uri<'_>) -> Option<Server> {
        let host = uri.host?;
        if let Some(ip) = host.ip() {
            let at = self.links.iter().position(|link| link.remote.ip() == ip)?;
            return Some(Server { at, owner: self.links.get(at)?.whose });
        }
        let name = host.to_string();
        let (owner, _) = self.config.groups().find(|(_, group)| group.name.eq_ignore_ascii_case(&name))?;
        Some(Server { at: choose(&self.links, owner, now)?, owner })
    }
}
