//! A Front End in the virtual network: what `host/server` does in the real one, in thirty lines.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::plan::Scope;
use carillon_qos::{Role, TrafficClass};
use carillon_signaling::{
    Binding, Change, Config, Event, FrontEnd, Letter, Output, Publication, Saved, Transmit, User,
};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Flow, Transport};

use crate::random::Random;
use crate::world::Datagram;

/// The server, and the disk that survives it.
pub struct Server {
    core: FrontEnd,
    config: Config,
    users: Vec<User>,
    local: SocketAddr,
    mark: Dscp,
    /// On the disk too: with it, calls that were up can be ended after a crash.
    seed: [u8; 32],
    disk: BTreeMap<(Arc<str>, String), Arc<Binding>>,
    published: BTreeMap<(Arc<str>, String), Arc<Publication>>,
    letters: BTreeMap<(Arc<str>, String), Arc<Letter>>,
    outbox: VecDeque<Datagram>,
    /// What was told to administrators, in order.
    pub events: Vec<Event>,
}

impl Server {
    /// A server at the address of the first listener in `config`.
    pub fn new(config: Config, users: Vec<User>, random: &mut Random, now: Duration) -> Server {
        let local = config.listeners[0].address;
        let mark = config.plan.policy(Role::Conferencing, &Scope::default()).mark(TrafficClass::Signaling);
        let seed = random.seed();
        let core = FrontEnd::new(config.clone(), users.clone(), Saved::default(), seed, now);
        Server {
            core,
            config,
            users,
            local,
            mark,
            seed,
            disk: BTreeMap::new(),
            published: BTreeMap::new(),
            letters: BTreeMap::new(),
            outbox: VecDeque::new(),
            events: Vec::new(),
        }
    }

    /// Dies without warning and starts again with what is on the disk.
    pub fn crash(&mut self, now: Duration) {
        let bindings = self.disk.values().map(|binding| Binding::clone(binding)).collect();
        self.outbox.clear();
        let publications = self.published.values().map(|one| Publication::clone(one)).collect();
        let letters = self.letters.values().map(|one| Letter::clone(one)).collect();
        let saved = Saved { bindings, publications, letters };
        self.core = FrontEnd::new(self.config.clone(), self.users.clone(), saved, self.seed, now);
    }

    /// Bindings on the disk of a user.
    pub fn saved(&self, aor: &str) -> usize {
        self.disk.keys().filter(|(user, _)| &**user == aor).count()
    }

    /// The state machine.
    pub const fn core(&mut self) -> &mut FrontEnd {
        &mut self.core
    }

    pub(crate) const fn address(&self) -> IpAddr {
        self.local.ip()
    }

    pub(crate) fn receive(&mut self, now: Duration, datagram: &Datagram) {
        let flow = Flow { transport: Transport::Udp, id: 1, local: self.local, remote: datagram.from };
        self.core.handle_input(now, flow, &datagram.bytes);
        self.drain();
    }

    pub(crate) fn timeout(&mut self, now: Duration) {
        self.core.handle_timeout(now);
        self.drain();
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.core.poll_timeout()
    }

    pub(crate) fn poll_datagram(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Save(change) => self.save(change),
                Output::Transmit(transmit) => self.send(transmit),
                Output::Event(event) => self.events.push(event),
                Output::Trust(_) | Output::Close(_) | Output::Record(_) => {}
            }
        }
    }

    fn save(&mut self, change: Change) {
        match change {
            Change::Bind(binding) => {
                self.disk.insert((binding.aor.clone(), binding.key.to_string()), binding);
            }
            Change::Unbind { aor, key } => {
                self.disk.remove(&(aor, key.to_string()));
            }
            Change::Publish(one) => _ = self.published.insert((one.aor.clone(), one.key.clone()), one),
            Change::Unpublish { aor, key } => _ = self.published.remove(&(aor, key)),
            Change::Keep(letter) => _ = self.letters.insert((letter.aor.clone(), letter.key.clone()), letter),
            Change::Forget { aor, key } => _ = self.letters.remove(&(aor, key)),
            // The core never reads histories again.
            Change::Remember(_) | Change::Receipt(_) => {}
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let to = match transmit.to {
            Destination::Flow(flow) => flow.remote,
            Destination::Address { remote, .. } => remote,
        };
        debug_assert_eq!(transmit.class, TrafficClass::Signaling);
        self.outbox.push_back(Datagram { from: self.local, to, mark: self.mark, bytes: transmit.bytes });
    }
}
