//! Files of phones, gateways, switches and routers are read back: plan to file to the same facts, and files of others.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::{BTreeMap, BTreeSet};

use carillon_qos::drift::{self, State};
use carillon_qos::export::{Order, PhoneWanted, Target, network_rules, open_network_rules, phone_wanted};
use carillon_qos::import::{self, Deployed, Mark, Reach, What};
use carillon_qos::plan::{PhoneFamily, Scope};
use carillon_qos::{MarkingRule, Plan, PortRange, Protocol, Role, TrafficClass, dscp};
use carillon_wire::ip::Dscp;
use proptest::prelude::*;

/// Targets whose files are read back as rules and settings.
const IMPORTABLE: [&str; 15] = [
    "windows-reg",
    "windows-pol",
    "nftables",
    "cisco",
    "junos",
    "aruba-switch",
    "aruba-controller",
    "queue-table",
    "netgear",
    "polycom",
    "yealink",
    "snom",
    "audiocodes-gateway",
    "cisco-gateway",
    "asterisk-gateway",
];

/// What is neither as planned nor beyond what can be told. That marks share a queue, where there are few, is no matter
/// of reading.
fn wrong(lines: &[drift::Line]) -> Vec<&drift::Line> {
    let settled = |line: &&drift::Line| matches!(line.state, State::Match | State::Cannot);
    lines.iter().filter(|line| !settled(line) && !line.what.starts_with("queue ")).collect()
}

/// Marks by which a class is known.
fn known_marks(estate: &Estate) -> bool {
    estate.marks == [24, 46, 34, 18, 10]
}

/// Every file of a target, read.
fn read_back(plan: &Plan, target: &str) -> Vec<Deployed> {
    let files = (Target::named(target).unwrap().make)(&Order { plan, scope: Scope::default() }).unwrap();
    files.into_iter().map(|file| import::read(&file.path, &file.bytes).unwrap()).collect()
}

fn facts(files: &[Deployed]) -> Vec<What> {
    files.iter().flat_map(|file| file.facts.iter().map(|fact| fact.what.clone())).collect()
}

fn errors(text: &str) -> Vec<String> {
    import::read("x", text.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
}

fn read(text: &str) -> Deployed {
    import::read("x", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// A fact about phones in one line: `audio 6000-6047 46`.
fn phone(what: &What) -> String {
    let What::Phone { family, class, start, end, mark } = what else { panic!("{what:?}") };
    let number = |value: Option<u16>| value.map_or("-".to_owned(), |value| value.to_string());
    let mark = mark.map_or("-".to_owned(), |Mark(mark)| mark.value().to_string());
    format!("{family} {class} {}-{} {mark}", number(*start), number(*end))
}

fn phones(file: &Deployed) -> Vec<String> {
    file.facts.iter().map(|fact| format!("{}: {}", fact.place, phone(&fact.what))).collect()
}

/// Who gets which mark, port by port: independent of how ranges are cut and named.
fn coverage(rules: &[MarkingRule]) -> BTreeMap<(u8, &'static str, bool), Vec<PortRange>> {
    let mut ranges: BTreeMap<_, Vec<PortRange>> = BTreeMap::new();
    for rule in rules {
        for (protocol, other) in [("udp", Protocol::Tcp), ("tcp", Protocol::Udp)] {
            let both = [(true, rule.source_ports), (false, rule.destination_ports)];
            for (source, ports) in both.into_iter().filter(|_| rule.protocol != other) {
                if let Some(ports) = ports {
                    ranges.entry((rule.mark.value(), protocol, source)).or_default().push(ports);
                }
            }
        }
    }
    ranges.into_iter().map(|(key, ranges)| (key, PortRange::merged(ranges))).collect()
}

fn rules(whats: &[What]) -> Vec<MarkingRule> {
    whats
        .iter()
        .filter_map(|what| match what {
            What::Rule(rule) => Some(rule.clone()),
            What::Queue { .. } => None,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// A legal plan: four client ranges and three server ranges, end to end or apart, and any marks.
#[derive(Debug, Clone)]
struct Estate {
    clients: [PortRange; 4],
    servers: [PortRange; 3],
    gateway: PortRange,
    marks: [u8; 5],
}

const CLASSES: [&str; 5] = ["signaling", "audio", "video", "sharing", "file-transfer"];

impl Estate {
    fn toml(&self) -> String {
        let mut text = "name = \"estate\"\nenabled = true\n[classes]\n".to_owned();
        for (class, mark) in CLASSES.iter().zip(self.marks) {
            text += &format!("{class} = {mark}\n");
        }
        for (role, ranges) in [("client", self.clients.as_slice()), ("conferencing", &self.servers)] {
            text += &format!("[roles.{role}]\n");
            for (class, range) in CLASSES[1..].iter().zip(ranges) {
                text += &format!("{class} = \"{range}\"\n");
            }
        }
        text + &format!("[roles.gateway]\naudio = \"{}\"\n", self.gateway)
    }

    fn mark(&self, class: TrafficClass) -> Dscp {
        let at = CLASSES.iter().position(|name| *name == class.name()).unwrap();
        Dscp::new(self.marks[at]).unwrap()
    }
}

/// Ranges one behind the other, with gaps.
fn ranges<const N: usize>(
    first: std::ops::Range<u16>,
    counts: std::ops::Range<u16>,
) -> impl Strategy<Value = [PortRange; N]> {
    (first, prop::array::uniform::<_, N>((counts, 0u16..3))).prop_map(|(mut start, parts)| {
        parts.map(|(count, gap)| {
            let range = PortRange::from_count(start, count.into()).unwrap();
            start += count + gap;
            range
        })
    })
}

fn estate() -> impl Strategy<Value = Estate> {
    let marks = prop_oneof![Just([24, 46, 34, 18, 10]), prop::array::uniform5(0u8..64)];
    let marks = marks.prop_filter("something is marked", |marks| marks.iter().any(|mark| *mark > 0));
    // 25 ports have room for a phone's 24 from an even one on.
    (ranges(6000..20000, 25..300), ranges(30000..40000, 100..3000), ranges::<1>(6000..20000, 20..3000), marks)
        .prop_map(|(clients, servers, [gateway], marks)| Estate {
            clients,
            servers,
            gateway: shifted(gateway),
            marks,
        })
}

/// Out of the way of the other servers.
fn shifted(gateway: PortRange) -> PortRange {
    PortRange::from_count(gateway.start() / 4 + 50_000, gateway.count()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn phones_say_what_the_plan_says(estate in estate()) {
        use TrafficClass::{Audio, Signaling, Video};
        let plan = Plan::from_toml(&estate.toml()).unwrap();
        let line = |family: &str, class, ports: &str| format!("{family} {class} {ports} {}", estate.mark(class).value());
        let fixed = |planned: PortRange| {
            let start = planned.start() + planned.start() % 2;
            format!("{start}-{}", planned.end().min(start + 47))
        };
        let said = |target| facts(&read_back(&plan, target)).iter().map(phone).collect::<Vec<_>>();
        let [audio, video, ..] = estate.clients;
        prop_assert_eq!(said("polycom"), [
            line("vvx", Signaling, "---"), line("vvx", Audio, &fixed(audio)), line("vvx", Video, &fixed(video)),
        ]);
        prop_assert_eq!(said("yealink"), [
            line("yealink", Signaling, "---"), line("yealink", Audio, &audio_text(audio)), line("yealink", Video, "---"),
        ]);
        prop_assert_eq!(said("snom"), [line("snom", Signaling, "---"), line("snom", Audio, &audio_text(audio))]);
        let base = estate.gateway.start().next_multiple_of(10);
        prop_assert_eq!(said("audiocodes-gateway"), [
            line("audiocodes-gateway", Signaling, "---"), line("audiocodes-gateway", Audio, &format!("{base}--")),
        ]);
        for target in ["polycom", "yealink", "snom", "audiocodes-gateway"] {
            for fact in facts(&read_back(&plan, target)) {
                let What::Phone { family, class, start, end, mark } = fact else { panic!("{fact:?}") };
                let said = PhoneWanted { start, end, mark: mark.map(|mark| mark.0) };
                let order = Order { plan: &plan, scope: Scope::default() };
                prop_assert_eq!(phone_wanted(&order, PhoneFamily::named(family).unwrap(), class).unwrap(), said);
            }
            let notes: Vec<_> = read_back(&plan, target).into_iter().flat_map(|file| file.notes).collect();
            // A byte such as 184 says nothing; one that could be a DSCP is asked about.
            prop_assert!(notes.is_empty() || target == "snom", "{target}: {notes:?}");
        }
    }

    #[test]
    fn gateways_say_what_the_plan_says(estate in estate()) {
        let plan = Plan::from_toml(&estate.toml()).unwrap();
        let role = Role::Gateway;
        let mark = |class| What::Mark { role, class, mark: estate.mark(class) };
        let expected = [TrafficClass::Signaling, TrafficClass::Audio, TrafficClass::Video].map(mark);
        let ports = What::Ports {
            scope: "global".into(), role, class: Some(TrafficClass::Audio), ports: estate.gateway,
        };
        for target in ["cisco-gateway", "asterisk-gateway"] {
            let said = facts(&read_back(&plan, target));
            prop_assert_eq!(said.len(), 4);
            for fact in expected.iter().chain([&ports]) {
                prop_assert!(said.contains(fact), "{}: {:?} lacks {:?}", target, said, fact);
            }
        }
    }

    #[test]
    fn networks_mark_what_the_plan_marks(estate in estate()) {
        let plan = Plan::from_toml(&estate.toml()).unwrap();
        let planned = open_network_rules(&Order { plan: &plan, scope: Scope::default() }).unwrap();
        for target in ["cisco", "junos", "aruba-switch"] {
            let files = read_back(&plan, target);
            let said = rules(&facts(&files));
            prop_assert_eq!(coverage(&said), coverage(&planned), "{}", target);
            prop_assert!(files[0].notes.is_empty(), "{:?}", files[0].notes);
        }
        // What is not cut differently is the same rule by rule.
        let unnamed = |rules: &[MarkingRule]| -> BTreeSet<MarkingRule> {
            rules.iter().map(|rule| MarkingRule { name: String::new(), ..rule.clone() }).collect()
        };
        prop_assert_eq!(unnamed(&rules(&facts(&read_back(&plan, "cisco")))), unnamed(&planned));
        prop_assert_eq!(unnamed(&rules(&facts(&read_back(&plan, "junos")))), unnamed(&planned));
        let to: Vec<MarkingRule> = planned.into_iter().filter(|rule| rule.destination_ports.is_some()).collect();
        prop_assert_eq!(coverage(&rules(&facts(&read_back(&plan, "aruba-controller")))), coverage(&to));
    }

    /// What holds at servers' addresses only is read as that, and is what the plan wants of them.
    #[test]
    fn what_is_marked_at_servers_addresses_is_what_the_plan_wants(estate in estate()) {
        let text = estate.toml();
        let plan = Plan::from_toml(&format!("{text}[servers]\nnetworks = [\"10.1.0.0/24\", \"10.2.0.7\", \"2001:db8::/64\"]\n"));
        let plan = plan.unwrap();
        let servers = estate.marks[1..4].iter().any(|mark| *mark > 0);
        for target in ["cisco", "junos", "aruba-controller", "aruba-switch"] {
            let files = read_back(&plan, target);
            let tied = |reach| matches!(reach, Reach::Sources | Reach::Destinations);
            let narrowed =
                files[0].facts.iter().flat_map(|fact| &fact.caveats).any(|caveat| tied(caveat.reach));
            prop_assert_eq!(narrowed, servers && target != "aruba-switch", "{}", target);
            // A switch that knows no addresses is told nothing of servers.
            let lines = drift::compare(&plan, &Scope::default(), None, &files);
            // To which interface it is bound is not in such a file, and is said.
            let open = if target == "aruba-switch" { 0 } else { files[0].facts.len() };
            prop_assert_eq!(
                lines.iter().filter(|line| line.state == State::Cannot && line.fix.is_some()).count(),
                files[0].facts.iter().filter(|fact| matches!(fact.what, What::Rule(_))).count().min(open),
                "{}",
                target
            );
            prop_assert!(wrong(&lines).is_empty(), "{}: {:?}", target, wrong(&lines));
        }
    }

    /// A plan that is made of a file has nothing against that file.
    #[test]
    fn what_was_imported_is_as_planned(estate in estate()) {
        let networks = "[servers]\nnetworks = [\"10.1.0.0/24\", \"10.2.0.7\", \"2001:db8::/64\"]\n";
        for text in [estate.toml(), format!("{}{networks}", estate.toml())] {
            let plan = Plan::from_toml(&text).unwrap();
            for target in IMPORTABLE {
                let order = Order { plan: &plan, scope: Scope::default() };
                let Ok(exported) = (Target::named(target).unwrap().make)(&order) else { continue };
                for file in exported {
                    let Ok(file) = import::read(&file.path, &file.bytes) else { continue };
                    let (text, _) = drift::plan_from(std::slice::from_ref(&file));
                    let again = Plan::from_toml(&text).unwrap();
                    let lines = drift::compare(&again, &Scope::default(), None, std::slice::from_ref(&file));
                    prop_assert!(wrong(&lines).is_empty(), "{target} {}: {:#?}\n{text}", file.source, wrong(&lines));
                }
            }
        }
    }

    /// Plan to file to plan: the phones are told the same again.
    #[test]
    fn phones_are_told_the_same_by_the_plan_that_is_made_of_their_files(estate in estate()) {
        let plan = Plan::from_toml(&estate.toml()).unwrap();
        for target in ["polycom", "yealink", "snom", "lync-phone-edition", "audiocodes-gateway", "cisco-gateway", "asterisk-gateway"] {
            let files = read_back(&plan, target);
            let (text, _) = drift::plan_from(&files);
            let again = Plan::from_toml(&text).unwrap();
            prop_assert_eq!(facts(&read_back(&again, target)), facts(&files), "{}\n{}", target, text);
        }
    }

    /// What switches were told of clients and of servers comes back from their files.
    #[test]
    fn a_plan_that_is_made_of_a_switch_marks_the_same(estate in estate().prop_filter("known marks", known_marks)) {
        let text = format!("{}[servers]\nnetworks = [\"10.1.0.0/24\", \"10.2.0.7\"]\n", estate.toml());
        let plan = Plan::from_toml(&text).unwrap();
        let marked = |plan: &Plan| {
            coverage(&network_rules(&Order { plan, scope: Scope::default() }).unwrap())
        };
        for target in ["cisco", "junos", "aruba-controller"] {
            let (text, _) = drift::plan_from(&read_back(&plan, target));
            let again = Plan::from_toml(&text).unwrap();
            prop_assert_eq!(marked(&again), marked(&plan), "{}\n{}", target, text);
            prop_assert_eq!(again.server_networks(), plan.server_networks(), "{}", target);
        }
    }

    #[test]
    fn no_two_classes_share_a_queue_while_there_are_enough(estate in estate()) {
        let plan = Plan::from_toml(&estate.toml()).unwrap();
        for (target, file, count) in [("queue-table", 0, 4), ("queue-table", 1, 8), ("netgear", 0, 4)] {
            let What::Queues(map) = &read_back(&plan, target)[file].facts[0].what else { panic!("no queues") };
            let mut marks: Vec<Dscp> = Vec::new();
            for class in ["audio", "video", "signaling", "sharing", "file-transfer"] {
                let mark = estate.mark(TrafficClass::from_name(class).unwrap());
                if mark != Dscp::DEFAULT && !marks.contains(&mark) {
                    marks.push(mark);
                }
            }
            let queues: Vec<u8> = marks.iter().map(|mark| map.queue(*mark)).collect();
            let expected: Vec<u8> = (0..marks.len()).map(|at| (count - 1u8).saturating_sub(at as u8)).collect();
            prop_assert_eq!(queues, expected, "{} {}", target, count);
        }
    }

    #[test]
    fn no_damage_panics(at in 0usize..4000, with in "[<>/\"=!{};\\[\\] \n0-9a-z–]{0,4}", target in 0usize..8) {
        let plan = Plan::preset("lync-kloud").unwrap();
        let name = ["polycom", "yealink", "snom", "cisco", "junos", "aruba-switch", "aruba-controller", "netgear"][target];
        for file in (Target::named(name).unwrap().make)(&Order { plan: &plan, scope: Scope::default() }).unwrap() {
            let mut text = String::from_utf8(file.bytes).unwrap();
            text.insert_str(at.min(text.len()), &with);
            let _ = import::read("x", text.as_bytes());
        }
    }
}

fn audio_text(range: PortRange) -> String {
    format!("{}-{}", range.start(), range.end())
}

#[test]
fn the_article_s_file_is_read_in_spite_of_its_comment() {
    let file = read(
        "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\n<!–Schertz Home Lab\nShared configuration file –>\n  \
         <qos qos.ip.rtp.dscp=\"46\" qos.ip.rtp.video.dscp=\"34\" qos.ip.callControl.dscp=\"24\" \
         tcpIpApp.port.rtp.mediaPortRangeStart=\"6000\" tcpIpApp.port.rtp.videoPortRange.enable=\"1\" \
         tcpIpApp.port.rtp.videoPortRangeStart=\"6025\"></qos>\n",
    );
    assert_eq!(file.format, "Polycom XML");
    assert_eq!(
        phones(&file),
        ["line 4: vvx signaling --- 24", "line 4: vvx audio 6000-- 46", "line 4: vvx video 6025-- 34"]
    );
    assert_eq!(file.notes.len(), 1);
    assert!(file.notes[0].to_string().starts_with("line 2: a comment is written `<!–`"), "{:?}", file.notes);
}

#[test]
fn elements_side_by_side_curly_quotes_and_blanks_are_mended_and_named() {
    let file = read(
        "\n <?xml version=\"1.0\"?>\n<qos qos.ip.rtp.dscp=“EF”/>\n<tcpIpApp tcpIpApp.port.rtp.videoPortRangeStart='6050'/>\n",
    );
    assert_eq!(phones(&file), ["line 3: vvx audio --- 46"]);
    let notes: Vec<String> = file.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 4, "{notes:?}");
    for (note, says) in
        notes.iter().zip(["line 3: quotes are curly", "line 1: blanks", "line 1: several", "line 4: "])
    {
        assert!(note.starts_with(says), "{note}");
    }
    assert!(notes[3].contains("no effect without"), "{}", notes[3]);
}

#[test]
fn hostile_xml_is_refused_with_its_place() {
    let bomb = "<?xml version=\"1.0\"?>\n<!DOCTYPE x [<!ENTITY a \"&b;&b;\"><!ENTITY b \"&a;\">]>\n\
                <x qos.ip.rtp.dscp=\"&a;\"/>";
    assert!(errors(bomb)[0].starts_with("line 2: no XML that"), "{:?}", errors(bomb));
    let external = "<!DOCTYPE x SYSTEM \"file:///etc/passwd\">\n<x qos.ip.rtp.dscp=\"46\"/>";
    assert!(errors(external)[0].starts_with("line 1: no XML"));
    assert!(errors("<x qos.ip.rtp.dscp=\"46\">\n<!– never closed")[0].starts_with("line 2: a comment"));
    let many = format!("<x qos.ip.rtp.dscp=\"46\">{}</x>", "<!––>".repeat(200_000));
    assert!(read(&many).notes.len() <= 20);
    assert!(
        import::read("x", b"<x qos.ip.rtp.dscp=\"\xff\"/>").unwrap_err()[0].to_string().contains("UTF-8")
    );
}

#[test]
fn values_that_no_phone_takes_are_all_named() {
    let text = "<x qos.ip.rtp.dscp=\"184\"\nqos.ip.callControl.dscp=\"0x18\"\ntcpIpApp.port.rtp.mediaPortRangeStart=\"0\"\n\
                tcpIpApp.port.rtp.videoPortRange.enable=\"1\" tcpIpApp.port.rtp.videoPortRangeStart=\"65536\"/>";
    let errors = errors(text);
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors[0].contains("as a TOS byte it is DSCP EF (46)"), "{}", errors[0]);
    let twice =
        "<a><x qos.ip.rtp.dscp=\"46\"/>\n<x qos.ip.rtp.dscp=\"EF\"/>\n<x qos.ip.rtp.dscp=\"40\"/></a>";
    assert_eq!(
        self::errors(twice),
        ["line 3: qos.ip.rtp.dscp says 40, line 1 says 46; which one counts is not known"]
    );
}

#[test]
fn snom_is_read_in_both_spellings_and_asked_about_a_dscp() {
    let xml = read(
        "<?xml version=\"1.0\"?>\n<settings><phone-settings>\n<codec_tos perm=\"RW\">184</codec_tos>\n\
                    <rtp_port_start perm=\"\">6000</rtp_port_start></phone-settings></settings>",
    );
    assert_eq!(phones(&xml), ["lines 3, 4: snom audio 6000-- 46"]);
    let text = read(
        "# from the phone\ncodec_tos$: 160\nsignaling_tos!: 24\nrtp_port_start: 6000\nrtp_port_end&: 6047\n",
    );
    assert_eq!(phones(&text), ["line 3: snom signaling --- 6", "lines 2, 4, 5: snom audio 6000-6047 40"]);
    assert_eq!(text.notes.len(), 1);
    assert!(text.notes[0].to_string().contains("if DSCP 24 was meant, write 96"), "{:?}", text.notes);
}

#[test]
fn both_generations_of_yealink_and_the_ini_of_audiocodes_are_read() {
    let old = read(
        "#!version:1.0.0.1\nnetwork.qos.rtptos = 46\nnetwork.qos.signaltos=26\nnetwork.port.min_rtpport = 11780\n\
                    network.port.max_rtpport = 11800\naccount.1.enable = 1\n",
    );
    assert_eq!(
        phones(&old),
        ["line 3: yealink signaling --- 26", "lines 2, 4, 5: yealink audio 11780-11800 46"]
    );
    let ini = read(
        "; saved\n[VOICE Engine Params]\nBaseUDPport = 6000 ; first\nUdpPortSpacing = 10\n\
                    PremiumServiceClassControlDiffServ = 40\n[ CpMediaRealm ]\nCpMediaRealm 0 = \"x\", 0;\n",
    );
    assert_eq!(
        phones(&ini),
        ["line 5: audiocodes-gateway signaling --- 40", "line 3: audiocodes-gateway audio 6000-- -"]
    );
    assert!(ini.notes[0].to_string().starts_with("line 7: CpMediaRealm states"), "{:?}", ini.notes);
    assert!(errors("UdpPortSpacing = 7\n")[0].contains("none of 4, 5, 10"));
    assert!(
        errors("static.network.port.min_rtpport = 9\nstatic.network.port.max_rtpport = 8\n")[0]
            .contains("lies before")
    );
}

#[test]
fn a_configuration_of_cisco_is_read_as_the_router_prints_it() {
    let file = read(
        "hostname r1\n!\nclass-map match-any VOICE\n match access-group name VOICE-ACL\nclass-map match-all ODD\n \
         match access-group 101\n match dscp ef\n!\npolicy-map IN\n class VOICE\n  set dscp ef\n class ODD\n  set ip dscp 34\n \
         class LOST\n  set dscp cs3\n class class-default\n  set dscp default\n!\ninterface Gi0/1\n service-policy input IN\n!\n\
         ip access-list extended VOICE-ACL\n 10 permit udp any range 20000 20039 any\n 20 permit tcp any range 20000 20039 any\n \
         25 deny tcp any any eq 22\n 30 permit udp host 10.0.0.1 any\n 40 permit udp any any eq 3478 3479\n!\nipv6 access-list V6\n \
         sequence 10 permit udp any range 20000 20039 any\n!\naccess-list 101 permit udp any any\n",
    );
    let said: Vec<String> = file
        .facts
        .iter()
        .map(|fact| match &fact.what {
            What::Rule(rule) => {
                let ports =
                    |range: Option<PortRange>| range.map_or("any".to_owned(), |range| range.to_string());
                let (from, to) = (ports(rule.source_ports), ports(rule.destination_ports));
                format!(
                    "{}: {} {} {from} {to} {}",
                    fact.place,
                    rule.name,
                    rule.protocol.name(),
                    dscp::name(rule.mark)
                )
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        said,
        [
            "lines 23, 24: VOICE both 20000-20039 any EF",
            "line 26: VOICE udp any any EF",
            "line 27: VOICE udp any 3478 EF",
            "line 27: VOICE udp any 3479 EF"
        ]
    );
    let notes: Vec<String> = file.notes.iter().map(ToString::to_string).collect();
    assert_eq!(file.facts[1].caveats[0].text, "only from 10.0.0.1");
    assert_eq!(notes.len(), 4, "{notes:#?}");
    for says in [
        "line 25: access list VOICE-ACL denies",
        "line 13: class map ODD asks for more",
        "line 15: class map LOST is not in the file",
        "line 17: marks all that no class",
    ] {
        assert!(notes.iter().any(|note| note.starts_with(says)), "{says}: {notes:#?}");
    }
    let broken = errors(
        "ip access-list extended X\n permit udp any range 9 5 any\npolicy-map P\n class C\n  set dscp 64\n",
    );
    assert_eq!(broken.len(), 2);
    assert!(broken[0].starts_with("line 2:") && broken[1].starts_with("line 5:"), "{broken:?}");
}

/// What earlier exports did: servers' ranges marked for everybody.
#[test]
fn servers_ranges_that_are_open_to_everybody_are_found() {
    let file = read(
        "ip access-list extended CARILLON-SERVERS-EF\n permit udp any range 49152 57500 any\n!\nclass-map match-any \
         CARILLON-SERVERS-EF\n match access-group name CARILLON-SERVERS-EF\n!\npolicy-map P\n class CARILLON-SERVERS-EF\n  \
         set dscp ef\n",
    );
    let plan = Plan::preset("lync-kloud").unwrap();
    let lines = drift::compare(&plan, &Scope::default(), None, &[file]);
    assert_eq!(lines[0].state, State::Different, "{lines:?}");
    assert!(lines[0].fix.as_ref().unwrap().starts_with("hold it to the servers' addresses"), "{lines:?}");
}

#[test]
fn one_list_in_many_classes_ends_somewhere() {
    let mut text = "ip access-list extended L\n".to_owned() + &" permit udp any any\n".repeat(2000);
    for number in 0..1000 {
        text += &format!("class-map match-any C{number}\n match access-group name L\n");
    }
    text += "policy-map P\n";
    for number in 0..1000 {
        text += &format!(" class C{number}\n  set dscp ef\n");
    }
    assert!(errors(&text)[0].contains("more than 100000 rules"));
}

#[test]
fn a_file_of_errors_is_told_in_part() {
    let errors = errors(&"tos_audio=nothing\n".repeat(5000));
    assert_eq!((errors.len(), errors[200].as_str()), (201, "file: 4800 more errors like these"));
}

/// The table that the article found on its switch.
#[test]
fn a_table_of_queues_is_read_with_or_without_its_headline() {
    for text in [
        "DSCP,Queue\n24,1\n34,2\n46,2\n",
        "# x\nCS3 1\nAF41 2\nEF 2\n",
        "011000 -> 1\n100010 -> 2\n101110 -> 2\n",
    ] {
        let What::Queues(map) = &read(text).facts[0].what else { panic!("{text}") };
        assert_eq!(map.shared(Dscp::EF, Dscp::new(34).unwrap()), Some(2), "{text}");
        assert_eq!(map.queue(Dscp::new(24).unwrap()), 1);
    }
    assert_eq!(errors("EF 3\nAF44 2\n").len(), 1);
    assert!(errors("EF 3\nAF44 2\n")[0].starts_with("line 2: "));
}
