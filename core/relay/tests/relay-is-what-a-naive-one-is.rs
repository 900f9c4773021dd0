//! Random clients against a relay and against a model of it that is simple enough to be right: lists and times.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use carillon_relay::{Config, Limits};
use proptest::prelude::*;
use support::{Client, Edge, at, config, to_peer};

const PEERS: [&str; 4] = ["9.9.9.1:1000", "9.9.9.1:2000", "10.0.0.9:1000", "127.0.0.1:1000"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate(usize),
    Refresh(usize, u32),
    Permit(usize, usize),
    Bind(usize, u16, usize),
    Send(usize, usize),
    SendOn(usize, u16),
    PeerSends(usize, usize),
    Wait(u64),
}

/// What a relay has to remember of a client.
#[derive(Default)]
struct Model {
    until: Option<Duration>,
    permissions: BTreeMap<IpAddr, Duration>,
    channels: BTreeMap<u16, (usize, Duration)>,
}

impl Model {
    fn forget_what_is_over(&mut self, now: Duration) {
        if self.until.is_some_and(|until| until <= now) {
            *self = Model::default();
        }
        self.permissions.retain(|_, until| *until > now);
        self.channels.retain(|_, (_, until)| *until > now);
    }

    fn permits(&self, peer: usize) -> bool {
        self.permissions.contains_key(&at(PEERS[peer]).ip())
    }

    fn permit(&mut self, now: Duration, peer: usize) -> u16 {
        match (self.until, PEERS[peer].starts_with("127.")) {
            (None, _) => 437,
            (_, true) => 403,
            _ => {
                self.permissions.insert(at(PEERS[peer]).ip(), now + Duration::from_secs(300));
                0
            }
        }
    }

    fn bind(&mut self, now: Duration, channel: u16, peer: usize) -> u16 {
        let conflict =
            self.channels.iter().any(|(number, (bound, _))| (*number == channel) != (*bound == peer));
        match (self.until, PEERS[peer].starts_with("127."), conflict) {
            (None, _, _) => 437,
            (_, true, _) => 403,
            (_, _, true) => 400,
            _ => {
                self.channels.insert(channel, (peer, now + Duration::from_secs(600)));
                self.permit(now, peer)
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let (client, peer, channel) = (0..3usize, 0..PEERS.len(), 0x4000..0x4003u16);
    prop_oneof![
        client.clone().prop_map(Step::Allocate),
        (client.clone(), prop::sample::select(vec![0, 600, 700])).prop_map(|(c, l)| Step::Refresh(c, l)),
        (client.clone(), peer.clone()).prop_map(|(c, p)| Step::Permit(c, p)),
        (client.clone(), channel.clone(), peer.clone()).prop_map(|(c, n, p)| Step::Bind(c, n, p)),
        (client.clone(), peer.clone()).prop_map(|(c, p)| Step::Send(c, p)),
        (client.clone(), channel).prop_map(|(c, n)| Step::SendOn(c, n)),
        (client, peer).prop_map(|(c, p)| Step::PeerSends(c, p)),
        prop::sample::select(vec![1u64, 100, 299, 300, 301, 599, 600]).prop_map(Step::Wait),
    ]
}

struct World {
    edge: Edge,
    clients: Vec<Client>,
    models: Vec<Model>,
}

impl World {
    fn new() -> World {
        let limits = Limits { nonce_lifetime: Duration::from_secs(10_000_000), ..Limits::default() };
        let mut edge = Edge::with(Config { limits, ..config() });
        let client = |number: usize| Client::alice().from(&format!("7.7.7.7:{}", 1000 + number));
        let mut clients: Vec<Client> = (0..3).map(client).collect();
        clients.iter_mut().for_each(|client| client.fetch_nonce(&mut edge));
        World { edge, clients, models: (0..3).map(|_| Model::default()).collect() }
    }

    fn take(&mut self, step: Step) {
        if let Step::Wait(seconds) = step {
            self.edge.wait(Duration::from_secs(seconds));
            return;
        }
        let (Step::Allocate(who)
        | Step::Refresh(who, _)
        | Step::Permit(who, _)
        | Step::Bind(who, _, _)
        | Step::Send(who, _)
        | Step::SendOn(who, _)
        | Step::PeerSends(who, _)) = step
        else {
            return;
        };
        let (edge, client, model) = (&mut self.edge, &mut self.clients[who], &mut self.models[who]);
        client.transaction %= 250;
        let now = edge.now;
        model.forget_what_is_over(now);
        match step {
            Step::Allocate(_) => {
                let expected = if model.until.is_some() { 437 } else { 0 };
                assert_eq!(client.try_allocate(edge, |b| b), expected);
                model.until = model.until.or(Some(now + Duration::from_secs(600)));
            }
            Step::Refresh(_, lifetime) => {
                let expected = if model.until.is_some() { 0 } else { 437 };
                assert_eq!(client.refresh(edge, lifetime), expected);
                model.until = model.until.map(|_| now + Duration::from_secs(lifetime.into()));
                model.forget_what_is_over(now);
            }
            Step::Permit(_, peer) => assert_eq!(client.permit(edge, PEERS[peer]), model.permit(now, peer)),
            Step::Bind(_, channel, peer) => {
                assert_eq!(client.bind(edge, channel, PEERS[peer]), model.bind(now, channel, peer));
            }
            Step::Send(_, peer) => {
                let sent = to_peer(&client.send(edge, PEERS[peer], b"data")).map(|(to, _, _)| to);
                assert_eq!(sent, model.permits(peer).then(|| at(PEERS[peer])));
            }
            Step::SendOn(_, channel) => {
                let sent = to_peer(&client.send_on(edge, channel, b"data")).map(|(to, _, _)| to);
                assert_eq!(sent, model.channels.get(&channel).map(|(peer, _)| at(PEERS[*peer])));
            }
            Step::PeerSends(_, peer) => {
                let flow = client.flow;
                let port =
                    edge.relay.allocations().find(|view| view.flow == flow).map(|view| view.relayed[0].port);
                assert_eq!(port.is_some(), model.until.is_some());
                let heard = port.map_or(Vec::new(), |port| edge.hear_peer(port, PEERS[peer], b"data"));
                assert_eq!(!heard.is_empty(), model.permits(peer));
            }
            Step::Wait(_) => {}
        }
    }

    /// The tables and the rules are what the models say.
    fn assert_agrees(&mut self) {
        let now = self.edge.now;
        self.models.iter_mut().for_each(|model| model.forget_what_is_over(now));
        let counts = self.edge.relay.counts();
        let sum = |of: fn(&Model) -> usize| self.models.iter().map(of).sum::<usize>();
        assert_eq!(counts.allocations, sum(|model| usize::from(model.until.is_some())));
        assert_eq!((counts.ports, self.edge.ports.len()), (counts.allocations, counts.allocations));
        assert_eq!(counts.permissions, sum(|model| model.permissions.len()));
        assert_eq!(counts.channels, sum(|model| model.channels.len()));
        let mut expected: Vec<_> = Vec::new();
        for (client, model) in self.clients.iter().zip(&self.models) {
            let carried = model.channels.iter().filter(|(_, (peer, _))| model.permits(*peer));
            expected.extend(carried.map(|(number, (peer, _))| (client.flow, *number, at(PEERS[*peer]))));
        }
        let mut rules: Vec<_> =
            self.edge.rules.iter().map(|rule| (rule.client, rule.channel, rule.peer)).collect();
        rules.sort();
        expected.sort();
        assert_eq!(rules, expected);
        assert_eq!(counts.rules, expected.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_clients_do_the_relay_does_what_the_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.assert_agrees();
        }
        world.edge.wait(Duration::from_secs(3600));
        world.edge.assert_empty();
    }
}
