//! Two phones and a Front End under the plan of the tests.
#![allow(dead_code, unreachable_pub, clippy::expect_used, reason = "each test file uses its part")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_qos::verify::report::{Content, Report, Verdict};
use carillon_signaling::agent::{Event, Request};
use carillon_signaling::{Algorithms, Config, Expires, Ha1, Handling, Limits, Listener, User};
use carillon_sim::host::Node;
use carillon_sim::path::Path;
use carillon_sim::phone::Phone;
use carillon_sim::random::Random;
use carillon_sim::server::Server;
use carillon_sim::world::{START, World};
use carillon_wire::sip::Transport;

pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 5)), 5060);

const PLAN: &str = r#"
name = "sim"
[classes]
audio = "EF"
signaling = "CS3"
[roles.client]
audio = "50000-50019"
video = "50020-50039"
sharing = "50040-50059"
file-transfer = "50060-50079"
[signaling]
ports = ["5060-5061"]
"#;

pub fn plan() -> Plan {
    Plan::from_toml(PLAN).expect("the plan of the tests is a plan")
}

/// A world with a server (host 0) and phones that sign in.
pub struct Estate {
    pub world: World<Node>,
    pub random: Random,
}

impl Estate {
    pub fn new(seed: u64, path: Path) -> Estate {
        let mut random = Random::new(seed);
        let mut world = World::new(seed, path);
        let users = ["alice", "bob", "carol"].map(|name| User {
            aor: format!("{name}@sim.example"),
            ha1: Ha1::of(name, "sim.example", "secret"),
            algorithms: None,
            site: None,
            number: None,
        });
        let listener = Listener {
            transport: Transport::Udp,
            address: SERVER,
            advertised: SERVER.to_string(),
            algorithms: Algorithms::Md5,
        };
        let config = Config {
            domains: vec!["sim.example".into()],
            strangers: false,
            realm: "sim.example".into(),
            listeners: vec![listener],
            plan: Arc::new(plan()),
            plan_version: 1,
            expires: Expires::default(),
            watchers: Handling::Allow,
            edge: None,
            limits: Limits::default(),
        };
        world.add(Node::Server(Server::new(config, users.to_vec(), &mut random, START)), None);
        Estate { world, random }
    }

    /// Adds a phone that begins to sign in.
    pub fn phone(&mut self, user: &str, address: [u8; 4], nat: Option<usize>) -> usize {
        let aor = format!("{user}@sim.example");
        let phone = Phone::new(&aor, "secret", address.into(), SERVER, &plan(), &mut self.random);
        let index = self.world.add(Node::Phone(phone), nat);
        let now = self.world.now();
        self.world.host(index).phone().request(now, Request::SignIn);
        index
    }

    /// Waits until these phones are signed in.
    pub fn sign_in(&mut self, phones: &[usize]) {
        let done = self.world.run(Duration::from_secs(120), |world| {
            phones.iter().all(|phone| is_signed_in(world.host(*phone).phone()))
        });
        assert!(done, "not signed in within two minutes: {:?}", self.events(phones));
    }

    pub fn events(&mut self, phones: &[usize]) -> Vec<Vec<Event>> {
        phones.iter().map(|phone| self.world.host(*phone).phone().events.clone()).collect()
    }

    /// Calls, and waits until each heard so many packets.
    pub fn talk(&mut self, caller: usize, callee: usize, to: &str, packets: u64) {
        let now = self.world.now();
        self.world.host(caller).phone().call(now, to);
        let done = self.world.run(Duration::from_secs(120), |world| {
            [caller, callee].iter().all(|phone| world.host(*phone).phone().heard() >= packets)
        });
        assert!(done, "no speech both ways: {:#?}", self.events(&[caller, callee]));
    }

    /// Hangs up, and waits until nobody knows of a call, the Front End included.
    pub fn end(&mut self, caller: usize, callee: usize) {
        let now = self.world.now();
        self.world.host(caller).phone().hang_up(now);
        let done = self.world.run(Duration::from_secs(240), |world| {
            let phones = [caller, callee].iter().all(|phone| world.host(*phone).phone().calls() == 0);
            phones && world.host(0).server().core().counts().calls == 0
        });
        assert!(done, "the call did not end: {:#?}", self.events(&[caller, callee]));
    }

    /// Every run ends here: nothing outside of its range, nothing wrongly marked, and speech was seen.
    pub fn verdict(self) -> Report {
        let report = self.world.verdict(plan());
        assert_eq!((report.totals.out_of_range, report.totals.wrong_mark), (0, 0), "{:#?}", report.findings);
        assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
        assert!(report.flows.iter().any(|flow| flow.content == Content::Rtp));
        report
    }
}

fn is_signed_in(phone: &Phone) -> bool {
    phone.events.iter().any(|event| matches!(event, Event::SignedIn { .. }))
}
