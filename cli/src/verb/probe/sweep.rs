//! Every port of every class, both ways, over both transports, so many at once.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_net::probe::{Asker, Conversation, Responder};
use carillon_qos::probe::{Direction, Key, MOST_PORTS, Offer, Outcome, Reply, Request, Tested, Transport};
use carillon_qos::{PortRange, TrafficClass};
use indicatif::{ProgressBar, ProgressStyle};

use super::send::ask;
use super::trouble::Trouble;

/// How a sweep is done.
pub(super) struct Sweep {
    pub(super) line: Conversation,
    pub(super) key: Key,
    /// Every so many ports one is asked, and the last.
    pub(super) every: u16,
    pub(super) wait: Duration,
    pub(super) transports: Vec<Transport>,
    /// Empty: all.
    pub(super) classes: Vec<TrafficClass>,
}

/// What both sides offer.
pub(super) struct Side {
    pub(super) ours: Vec<Offer>,
    pub(super) theirs: Vec<Offer>,
}

impl Sweep {
    /// Tests what both sides have ports for.
    pub(super) fn run(mut self, sides: &Side) -> Result<Vec<Tested>, Trouble> {
        let mut tests = Vec::new();
        for ours in sides.ours.iter().filter(|of| self.classes.is_empty() || self.classes.contains(&of.class))
        {
            let Some(theirs) = sides.theirs.iter().find(|theirs| theirs.class == ours.class) else {
                continue;
            };
            for transport in &self.transports {
                for (direction, asker, asked) in
                    [(Direction::There, ours, theirs), (Direction::Back, theirs, ours)]
                {
                    tests.push((*transport, direction, *asker, *asked));
                }
            }
        }
        let total = tests.iter().map(|(.., asked)| self.sample(asked.ports).len() as u64).sum();
        let bar = bar(total);
        let mut done = Vec::new();
        for (transport, direction, asker, asked) in tests {
            let mut outcomes = BTreeMap::new();
            // Half of the ports to ask from stay in reserve: other programs may hold some.
            let at_once = MOST_PORTS.min(asker.ports.count().div_ceil(2) as usize);
            for ports in self.sample(asked.ports).chunks(at_once) {
                bar.set_message(format!("{} {transport} {}", asked.class, asked.ports));
                outcomes.extend(match direction {
                    Direction::There => self.there(transport, &asker, ports)?,
                    Direction::Back => self.back(transport, &asked, ports)?,
                });
                bar.inc(ports.len() as u64);
            }
            let (class, mark, ports) = (asked.class, asker.mark, asked.ports);
            done.push(Tested { class, transport, direction, ports, mark, outcomes });
        }
        bar.finish_and_clear();
        Ok(done)
    }

    fn sample(&self, ports: PortRange) -> Vec<u16> {
        let mut sample: Vec<u16> =
            (ports.start()..=ports.end()).step_by(usize::from(self.every.max(1))).collect();
        if sample.last() != Some(&ports.end()) {
            sample.push(ports.end());
        }
        sample
    }

    /// We ask, the listener answers and then says what has arrived.
    fn there(
        &mut self,
        transport: Transport,
        asker: &Offer,
        ports: &[u16],
    ) -> Result<BTreeMap<u16, Outcome>, Trouble> {
        let open = Request::Open(transport, asker.class, ports.to_vec());
        let taken = match ask(&mut self.line, &open, Duration::ZERO)? {
            Reply::Opened(taken) => taken,
            other => return Err(unexpected(&other)),
        };
        let question = Asker {
            own: self.line.local().ip(),
            from: asker.ports,
            mark: asker.mark,
            to: self.line.peer().ip(),
            wait: self.wait,
            key: self.key.clone(),
        };
        let found = question.ask(transport, ports);
        let arrived = match ask(&mut self.line, &Request::Close, Duration::ZERO)? {
            Reply::Arrived(arrived) => arrived,
            other => return Err(unexpected(&other)),
        };
        let found =
            found.map_err(|error| Trouble::Broken(format!("cannot ask {transport} ports: {error}")))?;
        let outcome = |(port, outcome): (u16, Outcome)| {
            let outcome = outcome.with_arrival(arrived.get(&port).copied());
            (port, if taken.contains(&port) { outcome.of_taken() } else { outcome })
        };
        Ok(found.into_iter().map(outcome).collect())
    }

    /// The listener asks, we answer.
    fn back(
        &mut self,
        transport: Transport,
        asked: &Offer,
        ports: &[u16],
    ) -> Result<BTreeMap<u16, Outcome>, Trouble> {
        let own = self.line.local().ip();
        let open = Responder::open(own, transport, ports, asked.mark, self.key.clone())
            .map_err(|error| Trouble::Broken(format!("cannot open {transport} ports of {own}: {error}")))?;
        let taken = open.taken().to_vec();
        let request = Request::Ask(transport, asked.class, ports.to_vec());
        let reply = ask(&mut self.line, &request, Duration::from_secs(60));
        let arrived = open.finish();
        match reply? {
            Reply::Found(found) => {
                let of = |port: &u16| {
                    let outcome = found.get(port).copied().unwrap_or(Outcome::Untested);
                    let outcome = outcome.with_arrival(arrived.get(port).copied());
                    (*port, if taken.contains(port) { outcome.of_taken() } else { outcome })
                };
                Ok(ports.iter().map(of).collect())
            }
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(reply: &Reply) -> Trouble {
    Trouble::Broken(format!("the listener answers something else than was asked: {reply}"))
}

/// Only on a terminal.
fn bar(total: u64) -> ProgressBar {
    if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} ports {msg}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
