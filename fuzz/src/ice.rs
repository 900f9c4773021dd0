//! ICE: an agent in the middle of a session hears anything from its peer, its relay and strangers.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_media::ice::{
    Agent, Candidate, Config, Credential, Credentials, Description, Event, Kind, Output, Relaying, Server,
    Session, Stream, Via,
};
use carillon_media::leg::Component;
use carillon_media::random::Random;

const START: Duration = Duration::from_secs(1_800_000_000);
/// The most that a turn may want done: a check and an answer for every pair, and as much for the relay.
const MOST_OUTPUTS: usize = 400;

/// Turns, each a byte of what, a byte of how much, and so many bytes. Whatever comes, the agent wants a bounded number of
/// things, is never due again at once, and gives media on as it came.
pub fn ice(data: &[u8]) {
    let [relay, peer, stranger] =
        [3478, 5000, 6000].map(|port| SocketAddr::from(([192, 0, 2, (port / 1000) as u8], port)));
    let (mut agent, mut now) = (agent(relay), START);
    let mut streams = drain(&mut agent);
    let mut rest = data;
    while let [what, len, after @ ..] = rest {
        let (bytes, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        let stream = streams.last().copied();
        match (what % 6, stream) {
            (0, _) => hear(&mut agent, now, relay, bytes),
            (1, _) => hear(&mut agent, now, peer, bytes),
            (2, _) => hear(&mut agent, now, stranger, bytes),
            (3, Some(stream)) => agent.handle_stream(now, stream, bytes, &mut |_| {}),
            (4, _) => agent.agree(now, session(peer, *len), what & 8 == 0),
            _ => {
                now += Duration::from_millis(u64::from(*len) * 37);
                agent.handle_timeout(now);
                assert!(agent.poll_timeout().is_none_or(|due| due > now), "due again at once");
            }
        }
        streams.extend(drain(&mut agent));
    }
    agent.end(now);
}

fn agent(relay: SocketAddr) -> Agent {
    let credential = Credential { username: "alice".to_owned(), password: "wonder".to_owned() };
    let doors = vec![(Relaying::Udp, relay), (Relaying::Tcp, relay)];
    let config = Config {
        credentials: credentials(1),
        ports: vec![(Component::Rtp, SocketAddr::from(([192, 0, 2, 1], 20_000)))],
        relays: vec![Server { doors, credential }],
        seed: [7; 32],
    };
    Agent::new(&config, START)
}

fn session(peer: SocketAddr, seed: u8) -> Session {
    let candidate = Candidate {
        component: Component::Rtp,
        kind: Kind::Host,
        address: peer,
        related: None,
        priority: 2_130_706_431,
        foundation: 1,
    };
    let remote =
        Description { credentials: credentials(2), candidates: vec![candidate], lite: seed & 2 != 0 };
    Session { local: credentials(seed | 1), remote, controlling: seed & 4 != 0 }
}

fn credentials(seed: u8) -> Credentials {
    Credentials::new(&mut Random::new(&[seed; 32], *b"ice-self"))
}

fn hear(agent: &mut Agent, now: Duration, from: SocketAddr, bytes: &[u8]) {
    if let Some(media) = agent.handle_datagram(now, Component::Rtp, from, bytes) {
        assert!(bytes.windows(media.bytes.len()).any(|part| part == media.bytes));
    }
}

/// The connections that it wants.
fn drain(agent: &mut Agent) -> Vec<Stream> {
    let (mut count, mut streams) = (0, Vec::new());
    while let Some(output) = agent.poll_output() {
        count += 1;
        match output {
            Output::Connect { stream, .. } => streams.push(stream),
            Output::Transmit { via: Via::Port(port), .. } => assert_eq!(port.component, Component::Rtp),
            Output::Event(Event::Gathered(candidates)) => assert!(candidates.len() <= 4),
            _ => {}
        }
    }
    assert!(count <= MOST_OUTPUTS, "{count} at once");
    streams
}
