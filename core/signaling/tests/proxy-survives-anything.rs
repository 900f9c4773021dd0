//! Random interleavings of everything that can come: nothing panics, nothing is left over, nothing grows.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_signaling::{FrontEnd, Limits, Request};
use carillon_wire::sip::{Flow, Transport};
use proptest::prelude::*;
use support::*;

/// What may happen next; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    /// A request: method, caller, call, CSeq, branch, whether within the dialog.
    Ask(u8, u8, u8, u32, u8, bool),
    /// A phone answers something that it got, with this status.
    Answer(u16, u8),
    /// Something that was sent comes again, or comes to the wrong place.
    Replay(u16, u8),
    /// A message with one byte changed.
    Spoil(u16, u16, u8),
    Wait(u32),
    Close(u8),
    Register(u8),
    Drain,
}

const METHODS: [&str; 10] =
    ["INVITE", "INVITE", "INVITE", "ACK", "BYE", "CANCEL", "MESSAGE", "OPTIONS", "SUBSCRIBE", "UPDATE"];
const STATUSES: [&str; 10] = [
    "100 Trying",
    "180 Ringing",
    "183 Progress",
    "200 OK",
    "200 OK",
    "302 Moved",
    "407 Proxy",
    "486 Busy",
    "503 Busy",
    "603 No",
];

fn flow(number: u8) -> Flow {
    match number % 4 {
        0 => udp(1),
        1 => udp(2),
        2 => stream(Transport::Tcp, 5, 3),
        _ => stream(Transport::Tls, 6, 4),
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<u8>(), any::<u8>(), 0u8..3, 1u32..4, 0u8..4, any::<bool>())
            .prop_map(|(m, f, c, s, b, d)| Step::Ask(m, f, c, s, b, d)),
        8 => (any::<u16>(), any::<u8>()).prop_map(|(at, status)| Step::Answer(at, status)),
        2 => (any::<u16>(), any::<u8>()).prop_map(|(at, flow)| Step::Replay(at, flow)),
        2 => (any::<u16>(), any::<u16>(), any::<u8>()).prop_map(|(at, place, byte)| Step::Spoil(at, place, byte)),
        3 => (0u32..200_000).prop_map(Step::Wait),
        1 => any::<u8>().prop_map(Step::Close),
        1 => any::<u8>().prop_map(Step::Register),
        1 => Just(Step::Drain),
    ]
}

struct Storm {
    house: House,
    /// All that was ever sent, and so can be answered, repeated and spoiled.
    seen: Vec<Sent>,
    routes: String,
}

impl Storm {
    fn new(limits: Limits) -> Storm {
        let mut house = House::with(limits);
        house.register("bob", flow(1), "");
        house.register("bob", flow(3), ";q=0.5");
        Storm { house, seen: Vec::new(), routes: String::new() }
    }

    fn hear(&mut self, flow: Flow, text: &[u8]) {
        self.house.front.handle_input(self.house.now, flow, text);
        let sent = self.house.drain();
        self.keep(sent);
    }

    fn keep(&mut self, sent: Vec<Sent>) {
        for message in sent {
            if message.start() == "SIP/2.0 200 OK" && !message.all("Record-Route").is_empty() {
                self.routes = caller_routes(&message.text);
            }
            self.seen.push(message);
        }
    }

    fn pick(&self, at: u16) -> Option<&Sent> {
        self.seen.get(usize::from(at) % self.seen.len().max(1))
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Ask(method, from, call, cseq, branch, dialog) => {
                let (method, from) = (METHODS[usize::from(*method) % METHODS.len()], flow(*from));
                let (tag, routes) = if *dialog { ("t", self.routes.as_str()) } else { ("", "") };
                let text =
                    request(method, "sip:bob@example.com", from, &branch.to_string(), *cseq, tag, routes);
                self.hear(from, text.replace("call-1", &format!("call-{call}")).as_bytes());
            }
            Step::Answer(at, status) => {
                let Some(asked) = self.pick(*at).filter(|sent| !sent.start().starts_with("SIP/2.0")) else {
                    return;
                };
                let status = STATUSES[usize::from(*status) % STATUSES.len()];
                let (text, flow) = (asked.answer(status, "t", ""), from(asked));
                self.hear(flow, text.as_bytes());
            }
            Step::Replay(at, to) => {
                let Some(text) = self.pick(*at).map(|sent| sent.text.clone()) else { return };
                self.hear(flow(*to), text.as_bytes());
            }
            Step::Spoil(at, place, byte) => {
                let Some(sent) = self.pick(*at) else { return };
                let (mut text, flow) = (sent.text.clone().into_bytes(), from(sent));
                let place = usize::from(*place) % text.len();
                text[place] = *byte;
                self.house.front.handle_input(self.house.now, flow, &text);
                while self.house.front.poll_output().is_some() {}
            }
            Step::Wait(ms) => {
                let sent = self.house.wait(MS * *ms);
                self.keep(sent.into_iter().map(|(_, sent)| sent).collect());
            }
            Step::Close(number) => {
                let sent = self.house.close(flow(*number));
                self.keep(sent);
            }
            Step::Register(number) => {
                let text = request("REGISTER", "sip:example.com", flow(*number), "r", 1, "", "");
                self.hear(flow(*number), text.as_bytes());
            }
            Step::Drain => self
                .house
                .front
                .handle_request(self.house.now, Request::RemoveUser("carol@example.com".into())),
        }
        assert!(self.house.front.poll_timeout().is_none_or(|at| at + SECOND * 400 > self.house.now));
    }
}

/// The flow at whose other end a message arrives.
fn from(sent: &Sent) -> Flow {
    (0..4).map(flow).find(|flow| flow.remote == sent.to).unwrap_or(udp(1))
}

fn transactions(front: &FrontEnd) -> usize {
    front.counts().server_transactions + front.counts().client_transactions
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// After the last provisional answer it may ring until timer C, be cancelled, and be given up.
    #[test]
    fn nothing_is_left_after_all_have_fallen_silent(steps in prop::collection::vec(step(), 1..120)) {
        let mut storm = Storm::new(Limits::default());
        steps.iter().for_each(|step| storm.step(step));
        storm.house.wait(SECOND * 185 + PATIENCE * 3);
        storm.house.assert_quiet();
        storm.house.wait(SECOND * 13 * 3600);
        prop_assert_eq!(storm.house.front.counts().calls, 0);
        prop_assert_eq!(storm.house.front.counts().registrations, 0);
    }

    #[test]
    fn tables_stay_within_their_limits(steps in prop::collection::vec(step(), 1..120)) {
        let limits = Limits { transactions: 8, calls: 2, ..Limits::default() };
        let mut storm = Storm::new(limits);
        for step in &steps {
            storm.step(step);
            // A NOTIFY, a CANCEL and the request that is just being answered may come on top.
            prop_assert!(transactions(&storm.house.front) <= 8 + 2 + 4);
            prop_assert!(storm.house.front.counts().calls <= 2);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run(steps in prop::collection::vec(step(), 1..60)) {
        let run = || {
            let mut storm = Storm::new(Limits::default());
            steps.iter().for_each(|step| storm.step(step));
            storm.seen
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn no_bytes_do_any_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut house = House::new();
        house.front.handle_input(house.now, udp(1), &bytes);
        house.front.handle_input(house.now, flow(3), &[b"INVITE sip:bob@example.com SIP/2.0\r\n", &*bytes].concat());
    }
}
