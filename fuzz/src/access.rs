//! The Access Edge, driven by a script: whatever comes over which connection in which order, it says nothing but SIP, what leaves
//! for the inside is of the class of signaling and nothing else is, strangers reach nobody but the inside, and nothing grows.

use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_signaling::Destination;
use carillon_signaling::access::{AccessEdge, Config, Listener, NextHop, Output, Partner, Rate, Side};
use carillon_wire::sip::{Answer, Flow, Limits, Message, Transport};

/// Steps of one script: what is behind is left out.
const MOST_STEPS: usize = 64;
/// Between steps.
const SEPARATOR: u8 = 0x1e;
const START: Duration = Duration::from_secs(1_800_000_000);
const FRONT: [&str; 2] = ["10.0.0.1:5061", "10.0.0.2:5061"];
const PARTNER: &str = "198.51.100.9:5061";
const METHODS: [&str; 8] = ["REGISTER", "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "SUBSCRIBE", "MESSAGE"];
const STATUSES: [&str; 4] = ["100 T", "200 OK", "401 U", "503 S"];

/// A script: each step is two bytes, what happens and where, and a text.
pub fn access_edge(data: &[u8]) {
    let mut world = World::new();
    for step in data.split(|byte| *byte == SEPARATOR).take(MOST_STEPS) {
        if let Some((&[what, place], text)) = step.split_first_chunk() {
            world.step(what, place, text);
        }
    }
    (0..6).for_each(|at| world.edge.handle_closed(world.now, flow(at)));
    world.wait(Duration::from_secs(600));
    assert_eq!(world.edge.view().connections, 0);
}

struct World {
    edge: AccessEdge,
    now: Duration,
    /// The last that was sent to each place.
    sent: Vec<Vec<u8>>,
}

impl World {
    fn new() -> World {
        let listener = |side, address: &str| Listener {
            side,
            transport: Transport::Tls,
            address: parsed(address),
            advertised: address.to_owned(),
        };
        let config = Config {
            name: "e".to_owned(),
            domains: vec!["a.b".to_owned()],
            listeners: vec![
                listener(Side::Outside, "203.0.113.5:5061"),
                listener(Side::Outside, "203.0.113.5:443"),
                listener(Side::Inside, "10.0.0.9:5061"),
            ],
            next_hop: NextHop {
                name: "f".to_owned(),
                transport: Transport::Tls,
                addresses: FRONT.map(parsed).to_vec(),
            },
            partners: vec![Partner { domain: "p.q".to_owned(), addresses: vec![parsed(PARTNER)] }],
            probe: Duration::from_secs(15),
            strangers: Rate { per_second: 1, at_once: 20 },
            media: true,
            message: Limits { head: 4096, body: 4096 },
        };
        World { edge: AccessEdge::new(config, [5; 32], START), now: START, sent: vec![Vec::new(); 6] }
    }

    fn step(&mut self, what: u8, place: u8, text: &[u8]) {
        let at = usize::from(place) % self.sent.len();
        let (flow, choice) = (flow(at), usize::from(what >> 3));
        let last = self.sent.get(at).cloned().unwrap_or_default();
        match what & 7 {
            0 => self.edge.handle_input(self.now, flow, text),
            1 => self.edge.handle_input(self.now, flow, &ask(choice, place, text)),
            2 => self.edge.handle_input(self.now, flow, &answer(&last, choice)),
            3 => {
                let other = self.sent.get(choice % 6).cloned().unwrap_or_default();
                self.edge.handle_input(self.now, flow, &other);
            }
            4 => self.wait(Duration::from_secs(u64::from(place))),
            5 => self.edge.handle_closed(self.now, flow),
            6 => self.edge.handle_failed(self.now, flow.transport, flow.remote),
            _ if text.is_empty() => self.edge.handle_connected(flow, &[["f", "p.q", "x"][choice % 3]]),
            _ => self.edge.handle_wrong(flow, text, Answer { code: 400, reason: "Bad" }),
        }
        self.drain();
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.edge.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.edge.handle_timeout(self.now);
            assert!(self.edge.poll_timeout().is_none_or(|next| next > self.now), "it never sleeps");
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.edge.poll_output() {
            let Output::Transmit { to, class, bytes } = output else { continue };
            // The answer to a broken request says of it what can be said.
            let is_fine = |message: Message<&[u8]>| message.status().is_some() || message.check().is_ok();
            assert!(Message::parse(bytes.as_slice()).is_ok_and(is_fine), "no SIP leaves");
            let (local, remote) = match to {
                Destination::Flow(flow) => (Some(flow.local), flow.remote),
                Destination::Address { remote, .. } => (None, remote),
            };
            let inside = FRONT.map(parsed).contains(&remote)
                || local.is_some_and(|local| local == parsed("10.0.0.9:5061"));
            assert_eq!(class, inside.then_some(TrafficClass::Signaling), "{remote}");
            let known = remote == parsed(PARTNER) || (0..6).any(|at| flow(at).remote == remote);
            assert!(inside || known, "sent to a stranger: {remote}");
            if let Some(at) = (0..6).find(|at| flow(*at).remote == remote) {
                self.sent.get_mut(at).into_iter().for_each(|sent| sent.clone_from(&bytes));
            }
        }
    }
}

/// Two clients, a partner's connection and ours to it, one with each Front End.
fn flow(at: usize) -> Flow {
    let (local, remote) = [
        ("203.0.113.5:443", "198.51.100.1:40001"),
        ("203.0.113.5:5061", "198.51.100.2:40002"),
        ("203.0.113.5:5061", "198.51.100.9:40003"),
        ("203.0.113.5:40004", PARTNER),
        ("10.0.0.9:40005", FRONT[0]),
        ("10.0.0.9:5061", "10.0.0.2:40006"),
    ][at % 6];
    Flow { transport: Transport::Tls, id: at as u64 + 1, local: parsed(local), remote: parsed(remote) }
}

fn ask(choice: usize, place: u8, lines: &[u8]) -> Vec<u8> {
    let method = METHODS[choice % METHODS.len()];
    let [from, to] =
        [["a.b", "p.q"], ["p.q", "a.b"], ["a.b", "a.b"], ["x.y", "a.b"]][usize::from(place >> 6)];
    let uri = if method == "REGISTER" { format!("sip:{to}") } else { format!("sip:u@{to}") };
    let tag = if matches!(method, "BYE" | "ACK") { ";tag=t" } else { "" };
    let head = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS h;rport;branch=z9hG4bK{}\r\nFrom: <sip:c@{from}>;tag=f\r\n\
         To: <sip:u@{to}>{tag}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n",
        place & 3
    );
    [head.as_bytes(), lines, b"\r\nContent-Length: 0\r\n\r\n"].concat()
}

/// An answer to the last request, with its fields.
fn answer(last: &[u8], choice: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(last);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let kept = ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"];
    let lines =
        head.lines().filter(|line| line.split_once(':').is_some_and(|(name, _)| kept.contains(&name)));
    let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 {}\r\n{lines}Content-Length: 0\r\n\r\n", STATUSES[choice % STATUSES.len()]).into_bytes()
}

fn parsed(text: &str) -> std::net::SocketAddr {
    text.parse().unwrap_or_else(|_| std::net::SocketAddr::from(([0; 4], 0)))
}
