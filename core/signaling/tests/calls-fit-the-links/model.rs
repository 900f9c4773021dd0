//! Random calls between three sites and elsewhere: what is reserved is always the sum of what the messages say, never more than a link
//! has, and nothing is refused that would have fitted.

use proptest::prelude::*;

use super::*;

const TWO_LINKS: &str = r#"
    base = "lync"
    [management.NetworkConfiguration.Global]
    EnableBandwidthPolicyCheck = true
    [management.NetworkBandwidthPolicyProfile.Thin]
    BWPolicy = ["BWLimit=500;BWSessionLimit=200;BWPolicyModality=Audio", "BWLimit=700;BWSessionLimit=350;BWPolicyModality=Video"]
    [management.NetworkBandwidthPolicyProfile.Plain]
    BWPolicy = ["BWLimit=700;BWPolicyModality=Audio"]
    [management.NetworkRegion.World]
    [management.NetworkSite.Oslo]
    NetworkRegionID = "World"
    BWPolicyProfileID = "Thin"
    [management.NetworkSite.Rome]
    NetworkRegionID = "World"
    BWPolicyProfileID = "Plain"
    [management.NetworkSubnet."198.51.100.0"]
    MaskBits = 26
    NetworkSiteID = "Oslo"
    [management.NetworkSubnet."198.51.100.64"]
    MaskBits = 26
    NetworkSiteID = "Rome"
"#;

/// Audio and video of Oslo's link and of Rome's; the latter does not count video.
const MOST: [[u32; 2]; 2] = [[500, 700], [700, u32::MAX]];
const USERS: [(&str, u8); 3] = [("bob", 70), ("carol", 10), ("alice", 140)];
const CALLERS: [u8; 4] = [1, 65, 129, 200];
/// Formats of the audio, whether there is video, and what the limit for that is.
const OFFERS: [(&str, Option<&str>); 5] = [
    ("9 0", None),
    ("8", None),
    ("96", Some("")),
    ("9 96", Some("b=AS:200\r\n")),
    ("0", Some("b=AS:2000\r\n")),
];

#[derive(Clone, Copy, Debug)]
enum Deed {
    Begin { from: usize, to: usize, offer: usize },
    Answer { call: usize, sees: bool },
    Refuse { call: usize },
    Cancel { call: usize },
    HangUp { call: usize },
    Change { call: usize, offer: usize, agreed: bool },
}

struct Talk {
    name: String,
    from: Flow,
    to: (&'static str, Flow),
    /// Places of the links between the two.
    way: Vec<usize>,
    /// Audio and video.
    cost: [u32; 2],
    /// The request that rings; none once it is up.
    rings: Option<Sent>,
    routes: String,
    cseq: u32,
}

struct World {
    house: House,
    talks: Vec<Talk>,
    begun: usize,
}

fn sdp(offer: usize) -> String {
    let (formats, video) = OFFERS[offer];
    let map = "a=rtpmap:96 opus/48000/2\r\n";
    let video = video.map(|limit| format!("m=video 5002 RTP/AVP 97\r\n{limit}a=rtpmap:97 H264/90000\r\n"));
    format!("v=0\r\nm=audio 5000 RTP/AVP {formats}\r\n{map}{}", video.unwrap_or_default())
}

/// What the documents say that these cost, the dearest of them.
fn audio(text: &str) -> u32 {
    let formats = text.split("m=audio 5000 RTP/AVP ").nth(1).unwrap().split("\r\n").next().unwrap();
    let cost = |format| match format {
        "9" => 160,
        "96" => 100,
        _ => 156,
    };
    formats.split(' ').map(cost).max().unwrap()
}

/// What a description says that its video takes, on a link that allows one call 350.
fn video(text: &str) -> u32 {
    let Some((_, section)) = text.split_once("m=video 5002") else { return 0 };
    let said =
        section.split_once("b=AS:").map(|(_, limit)| limit.split("\r\n").next().unwrap().parse().unwrap());
    said.unwrap_or(600).min(350)
}

fn site(flow: Flow) -> Option<usize> {
    let std::net::IpAddr::V4(ip) = flow.remote.ip() else { return None };
    [0..64, 64..128].iter().position(|hosts| hosts.contains(&ip.octets()[3]))
}

impl World {
    fn new() -> World {
        let mut house = House::new();
        set_plan(&mut house, TWO_LINKS);
        USERS.iter().for_each(|(user, host)| house.register(user, udp(*host), ""));
        World { house, talks: Vec::new(), begun: 0 }
    }

    fn used(&self, link: usize, class: usize) -> u32 {
        self.talks.iter().filter(|talk| talk.way.contains(&link)).map(|talk| talk.cost[class]).sum()
    }

    fn has_room(&self, way: &[usize], class: usize, cost: u32, own: u32) -> bool {
        way.iter().all(|link| cost <= own || self.used(*link, class) - own + cost <= MOST[*link][class])
    }

    fn does(&mut self, deed: Deed) {
        let at = |call: usize, rings: bool, talks: &[Talk]| {
            let fit: Vec<usize> = (0..talks.len()).filter(|at| talks[*at].rings.is_some() == rings).collect();
            (!fit.is_empty()).then(|| fit[call % fit.len()])
        };
        match deed {
            Deed::Begin { from, to, offer } => self.begin(udp(CALLERS[from]), USERS[to], offer),
            Deed::Answer { call, sees } => {
                at(call, true, &self.talks).into_iter().for_each(|at| self.answer(at, sees));
            }
            Deed::Refuse { call } => {
                at(call, true, &self.talks).into_iter().for_each(|at| self.refuse(at, "486 Busy Here"));
            }
            Deed::Cancel { call } => {
                at(call, true, &self.talks).into_iter().for_each(|at| self.cancel(at));
            }
            Deed::HangUp { call } => {
                at(call, false, &self.talks).into_iter().for_each(|at| self.hang_up(at));
            }
            Deed::Change { call, offer, agreed } => {
                at(call, false, &self.talks).into_iter().for_each(|at| self.change(at, offer, agreed));
            }
        }
    }

    fn begin(&mut self, from: Flow, (user, host): (&'static str, u8), offer: usize) {
        self.begun += 1;
        let name = format!("c{}", self.begun);
        let to = udp(host);
        let mut way: Vec<usize> = site(from).into_iter().chain(site(to)).collect();
        if site(from) == site(to) {
            way.clear();
        }
        let sdp = sdp(offer);
        let text = call(from, &name, &sdp).replace("sip:bob@", &format!("sip:{user}@"));
        let sent = self.house.hear(from, &text);
        let asked = [audio(&sdp), if way.contains(&0) { video(&sdp) } else { 0 }];
        let fits = self.has_room(&way, 0, asked[0], 0);
        let rings = sent.iter().find(|sent| sent.start().starts_with("INVITE")).cloned();
        assert_eq!(rings.is_some(), fits, "{way:?} {asked:?} {sent:#?}");
        let Some(rings) = rings else {
            let refusal = sent.iter().find(|sent| sent.start().starts_with("SIP/2.0 488"));
            return assert!(refusal.is_some(), "{sent:#?}");
        };
        let cost = self.granted(&way, &rings, asked, [0, 0]);
        self.talks.push(Talk {
            name,
            from,
            to: (user, to),
            way,
            cost,
            rings: Some(rings),
            routes: String::new(),
            cseq: 1,
        });
    }

    /// What a request that went on stands for.
    fn granted(&self, way: &[usize], sent: &Sent, asked: [u32; 2], own: [u32; 2]) -> [u32; 2] {
        let sees = self.has_room(way, 1, asked[1], own[1]);
        assert_eq!(sent.text.contains("m=video 0 "), !sees, "{way:?} {asked:?}\n{}", sent.text);
        [asked[0], if sees { asked[1] } else { 0 }]
    }

    fn taken(&mut self, at: usize, invited: &Sent, sees: bool) {
        let talk = &mut self.talks[at];
        let format = invited.text.split("RTP/AVP ").nth(1).unwrap().split([' ', '\r']).next().unwrap();
        let mut sdp = format!("v=0\r\nm=audio 5000 RTP/AVP {format}\r\na=rtpmap:96 opus/48000/2\r\n");
        let sees = sees && invited.text.contains("m=video 5002");
        if sees {
            sdp += "m=video 5002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n";
        } else if invited.text.contains("m=video") {
            sdp += "m=video 0 RTP/AVP 97\r\n";
        }
        let (user, flow) = talk.to;
        let contact = format!("Contact: <{}>\r\n", contact(user, flow));
        let ok = self.house.hear(flow, &with(&invited.answer("200 OK", "bob", &contact), &sdp)).remove(0);
        let counted = sees && talk.way.contains(&0);
        // Who answers without a limit may take all that was granted.
        talk.cost = [audio(&sdp), if counted { talk.cost[1] } else { 0 }];
        if talk.rings.take().is_some() {
            talk.routes = caller_routes(&ok.text);
        }
    }

    fn answer(&mut self, at: usize, sees: bool) {
        if let Some(invited) = self.talks[at].rings.clone() {
            self.taken(at, &invited, sees);
        }
    }

    fn refuse(&mut self, at: usize, status: &str) {
        let talk = self.talks.remove(at);
        self.house.hear(talk.to.1, &talk.rings.unwrap().answer(status, "bob", ""));
    }

    fn cancel(&mut self, at: usize) {
        let Talk { name, from, to, rings, .. } = &self.talks[at];
        self.house.hear(to.1, &rings.as_ref().unwrap().answer("180 Ringing", "bob", ""));
        let uri = format!("sip:{}@example.com", to.0);
        let cancel = request("CANCEL", &uri, *from, name, 1, "", "").replace("call-1", name);
        self.house.hear(*from, &cancel.replace("<sip:bob@", &format!("<sip:{}@", to.0)));
        self.refuse(at, "487 Request Terminated");
    }

    fn within(&mut self, at: usize, method: &str, sdp: &str) -> Vec<Sent> {
        let talk = &mut self.talks[at];
        talk.cseq += 1;
        let (user, flow) = talk.to;
        let text = request(
            method,
            &contact(user, flow),
            talk.from,
            &format!("{}{method}{}", talk.name, talk.cseq),
            talk.cseq,
            "bob",
            &talk.routes,
        );
        let text = text.replace("call-1", &talk.name).replace("<sip:bob@", &format!("<sip:{user}@"));
        self.house.hear(talk.from, &with(&text, sdp))
    }

    fn hang_up(&mut self, at: usize) {
        let bye = self.within(at, "BYE", "").remove(0);
        self.house.hear(self.talks[at].to.1, &bye.answer("200 OK", "", ""));
        self.talks.remove(at);
    }

    fn change(&mut self, at: usize, offer: usize, agreed: bool) {
        let sdp = sdp(offer);
        let Talk { way, cost: own, .. } = &self.talks[at];
        let (way, own) = (way.clone(), *own);
        let asked = [audio(&sdp), if way.contains(&0) { video(&sdp) } else { 0 }];
        let fits = self.has_room(&way, 0, asked[0], own[0]);
        let sent = self.within(at, "INVITE", &sdp);
        let Some(invited) = sent.iter().find(|sent| sent.start().starts_with("INVITE")).cloned() else {
            assert!(!fits && sent.iter().any(|sent| sent.start().starts_with("SIP/2.0 488")), "{sent:#?}");
            return;
        };
        assert!(fits, "{way:?} {asked:?} {own:?}");
        let granted = self.granted(&way, &invited, asked, own);
        // As long as either may hold, both have their place.
        self.talks[at].cost = [own[0].max(granted[0]), own[1].max(granted[1])];
        self.check();
        if agreed {
            self.talks[at].cost = granted;
            self.taken(at, &invited, true);
        } else {
            self.talks[at].cost = own;
            let refused = invited.answer("488 Not Acceptable Here", "bob", "");
            self.house.hear(self.talks[at].to.1, &refused);
        }
    }

    fn check(&self) {
        for (at, link) in self.house.front.links().iter().enumerate() {
            for (class, used) in [(0, &link.audio), (1, &link.video)] {
                let counted = link.video.capacity.is_some() || class == 0;
                let expected = if counted { self.used(at, class) } else { 0 };
                let seen = if counted { used.reserved } else { 0 };
                assert_eq!(seen, u64::from(expected), "{} {class}", link.name);
                assert!(expected <= MOST[at][class], "{} {class}: {expected}", link.name);
            }
        }
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    let begin = (0..CALLERS.len(), 0..USERS.len(), 0..OFFERS.len());
    prop_oneof![
        4 => begin.prop_map(|(from, to, offer)| Deed::Begin { from, to, offer }),
        3 => (0..100usize, any::<bool>()).prop_map(|(call, sees)| Deed::Answer { call, sees }),
        1 => (0..100usize).prop_map(|call| Deed::Refuse { call }),
        1 => (0..100usize).prop_map(|call| Deed::Cancel { call }),
        1 => (0..100usize).prop_map(|call| Deed::HangUp { call }),
        2 => (0..100usize, 0..OFFERS.len(), any::<bool>())
            .prop_map(|(call, offer, agreed)| Deed::Change { call, offer, agreed }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_reserved_is_what_calls_cost_whatever_they_do(deeds in proptest::collection::vec(deed(), 1..60)) {
        let mut world = World::new();
        for deed in deeds {
            world.does(deed);
            world.check();
        }
        while let Some(at) = world.talks.iter().position(|talk| talk.rings.is_none()) {
            world.hang_up(at);
        }
        world.house.wait(Duration::from_secs(600));
        world.talks.clear();
        world.check();
    }
}
