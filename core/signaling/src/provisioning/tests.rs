//! Clients that ask for the document, and what they read in it.

use carillon_qos::plan::Scope;
use carillon_qos::{PortRange, Role, TrafficClass};
use carillon_wire::sip::Transport;
use proptest::prelude::*;

use super::*;
use crate::contract::{Binding, Change, Destination, Event, Listener};
use crate::dialect::provisioning::write;
use crate::events::Package;
use crate::registrar::Settings;
use crate::user::{Algorithms, Ha1, User};

const START: Duration = Duration::from_secs(1_800_000_000);

const PLAN: &str = r#"
name = "contoso & <sons>"
enabled = true
[classes]
signaling = "CS3"
audio = "EF"
video = "AF41"
[roles.client]
audio = "20000-20039"
video = "20040-20079"
sharing = "20080-20119"
file-transfer = "any"
legacy-ports = "20000-20119"
[roles.phone.audio]
dscp = 40
[sites.Redmond]
classes.audio = 44
roles.client.audio = { start = 30000, count = 40 }
[sites.Quiet]
enabled = false
"#;

fn plan() -> Arc<Plan> {
    Arc::new(Plan::from_toml(PLAN).unwrap())
}

fn user(name: &str, site: Option<&str>) -> User {
    let aor = format!("{name}@example.com");
    User { ha1: Ha1::of(&aor, "r", "p"), aor, algorithms: None, site: site.map(str::to_owned), number: None }
}

const REDMOND: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<provisionGroupList xmlns="http://schemas.microsoft.com/2006/09/sip/provisiongrouplist-notification">
<provisionGroup name="ServerConfiguration">
<ucPortRangeEnabled>true</ucPortRangeEnabled>
<ucMinMediaPort>20000</ucMinMediaPort>
<ucMaxMediaPort>20119</ucMaxMediaPort>
<ucMinAudioPort>30000</ucMinAudioPort>
<ucMaxAudioPort>30039</ucMaxAudioPort>
<ucMinVideoPort>20040</ucMinVideoPort>
<ucMaxVideoPort>20079</ucMaxVideoPort>
<ucMinAppSharingPort>20080</ucMinAppSharingPort>
<ucMaxAppSharingPort>20119</ucMaxAppSharingPort>
<ucDiffServVoice>44</ucDiffServVoice>
<ucVoice802_1p>5</ucVoice802_1p>
<qosEnabled>true</qosEnabled>
<ucPC2PCAVEncryption>SupportEncryption</ucPC2PCAVEncryption>
</provisionGroup>
<qos xmlns="urn:carillon:qos:1" plan="contoso &amp; &lt;sons>" version="7" scope="site:Redmond" enabled="true" enabled-from="global">
<class name="signaling" ports-from="default" dscp="24" dscp-from="global"/>
<class name="audio" min="30000" max="30039" ports-from="site:Redmond" dscp="44" dscp-from="site:Redmond"/>
<class name="video" min="20040" max="20079" ports-from="global" dscp="34" dscp-from="global"/>
<class name="sharing" min="20080" max="20119" ports-from="global" dscp="0" dscp-from="default"/>
<class name="file-transfer" ports-from="global" dscp="0" dscp-from="default"/>
<class name="management" ports-from="default" dscp="0" dscp-from="default"/>
</qos>
</provisionGroupList>
"#;

#[test]
fn a_user_of_a_site_is_given_the_sites_values_and_who_decided_them() {
    let given = Provisioned::of(&plan(), 7, Some("Redmond"));
    assert_eq!(write(&given), REDMOND);
    assert_eq!(parse(REDMOND).unwrap(), given);
    let nowhere = Provisioned::of(&plan(), 7, Some("Unknown"));
    assert_eq!(nowhere, Provisioned::of(&plan(), 7, None));
    assert_eq!(nowhere.source.as_ref().unwrap().scope, "global");
    let audio = nowhere.class(TrafficClass::Audio).unwrap();
    assert_eq!((audio.ports, audio.mark.value()), (PortRange::parse("20000-20039"), 46));
    assert_eq!(nowhere.phone.unwrap().value(), 40, "desk phones have a mark of their own");
}

/// Rows 24 and 25 of the requirements: the switch wins over every range.
#[test]
fn where_the_plan_is_not_in_force_any_port_and_no_mark_is_given() {
    let document = write(&Provisioned::of(&plan(), 7, Some("Quiet")));
    for line in [
        "<ucPortRangeEnabled>false</ucPortRangeEnabled>",
        "<ucMinAudioPort>1024</ucMinAudioPort>",
        "<ucMaxAudioPort>65535</ucMaxAudioPort>",
        "<ucDiffServVoice>0</ucDiffServVoice>",
        "<ucVoice802_1p>0</ucVoice802_1p>",
        "<qosEnabled>false</qosEnabled>",
        "scope=\"site:Quiet\" enabled=\"false\" enabled-from=\"site:Quiet\"",
        "<class name=\"audio\" min=\"1024\" max=\"65535\" ports-from=\"site:Quiet\" dscp=\"0\" dscp-from=\"site:Quiet\"/>",
        "<class name=\"signaling\" ports-from=\"default\" dscp=\"0\" dscp-from=\"site:Quiet\"/>",
    ] {
        assert!(document.contains(line), "{line}\n{document}");
    }
    let policy = parse(&document).unwrap().policy().unwrap();
    assert_eq!(policy.ports(TrafficClass::Video), Some(PortRange::UNRESTRICTED));
    let lied = parse(
        &REDMOND
            .replace("ucPortRangeEnabled>true", "ucPortRangeEnabled>false")
            .replace("urn:carillon", "urn:other"),
    );
    let lied = lied.unwrap();
    assert_eq!(lied.class(TrafficClass::Audio).unwrap().ports, Some(PortRange::UNRESTRICTED));
    assert_eq!((lied.enabled, lied.phone.unwrap().value()), (false, 0));
}

/// What the management shell keeps, with a collection of a site that has values of its own.
const MANAGED: &str = r#"
[management.MediaConfiguration.global]
EnableQoS = false
EncryptionLevel = "RequireEncryption"
MaxVideoRateAllowed = "Hd720p15M"
[management.MediaConfiguration."site:Redmond"]
EnableQoS = true
[management.UCPhoneConfiguration.global]
PhoneLockTimeout = "00:15:30"
MinPhonePinLength = 8
[management.ConferencingConfiguration.global]
ClientSipDynamicPort = 7200
"#;

#[test]
fn what_the_management_shell_sets_reaches_the_document() {
    let plan = Plan::from_toml(&format!("{PLAN}{MANAGED}")).unwrap();
    let keys = |site| {
        let document = write(&Provisioned::of(&plan, 7, site));
        assert_eq!(parse(&document).unwrap(), Provisioned::of(&plan, 7, site));
        let behind = document.lines().skip_while(|line| !line.starts_with("<qosEnabled>"));
        behind.take_while(|line| *line != "</provisionGroup>").map(str::to_owned).collect::<Vec<_>>()
    };
    let of_phones = [
        "<ucPhoneTimeout>15</ucPhoneTimeout>",
        "<ucMinPinLength>8</ucMinPinLength>",
        "<ucMinSipDynamicPort>7200</ucMinSipDynamicPort>",
        "<ucMaxSipDynamicPort>7202</ucMaxSipDynamicPort>",
    ];
    let global = [
        "<qosEnabled>false</qosEnabled>",
        "<ucPC2PCAVEncryption>RequireEncryption</ucPC2PCAVEncryption>",
        "<ucMaxVideoRateAllowed>Hd720p-1.5M</ucMaxVideoRateAllowed>",
    ];
    assert_eq!(keys(None), [&global[..], &of_phones].concat());
    // The site's collection is one of its own: what it does not say is the documented default, not the global value.
    let redmond = [
        "<qosEnabled>true</qosEnabled>",
        "<ucPC2PCAVEncryption>RequireEncryption</ucPC2PCAVEncryption>",
        "<ucMaxVideoRateAllowed>VGA-600K</ucMaxVideoRateAllowed>",
    ];
    assert_eq!(keys(Some("Redmond")), [&redmond[..], &of_phones].concat());
    // A plan that is not in force still says what the shell has set.
    assert_eq!(keys(Some("Quiet"))[0], "<qosEnabled>false</qosEnabled>");
}

#[test]
fn what_is_given_makes_the_policy_that_the_plan_has() {
    for site in [None, Some("Redmond"), Some("Quiet")] {
        let scope = Scope { site: site.map(str::to_owned), service: None };
        let (given, planned) = (Provisioned::of(&plan(), 7, site), plan().policy(Role::Client, &scope));
        let policy = parse(&write(&given)).unwrap().policy().unwrap();
        for class in TrafficClass::ALL {
            assert_eq!(
                (policy.mark(class), policy.ports(class)),
                (planned.mark(class), planned.ports(class)),
                "{class}"
            );
        }
    }
    for preset in ["lync", "lync-kloud", "technet", "schertz-vvx", "teams", "cisco", "rfc8837"] {
        let plan = Plan::preset(preset).unwrap();
        let given = Provisioned::of(&plan, 1, None);
        assert_eq!(parse(&write(&given)).as_ref(), Ok(&given), "{preset}");
        given.policy().unwrap();
    }
}

#[test]
fn a_server_that_has_microsofts_keys_only_is_understood() {
    let text = "<provisionGroupList><provisionGroup name='other'/><provisionGroup name='ServerConfiguration'>\
        <UCPortRangeEnabled>true</UCPortRangeEnabled><ucMinAudioPort>50020</ucMinAudioPort>\
        <ucMaxAudioPort> 50039 </ucMaxAudioPort><ucMinVideoPort>0</ucMinVideoPort><ucMaxVideoPort>0</ucMaxVideoPort>\
        <ucDiffServVoice>46</ucDiffServVoice></provisionGroup></provisionGroupList>";
    let given = parse(text).unwrap();
    let audio = given.class(TrafficClass::Audio).unwrap();
    assert_eq!((audio.ports, audio.mark.value()), (PortRange::parse("50020-50039"), 46));
    assert_eq!(given.class(TrafficClass::Video).unwrap().ports, None);
    assert_eq!((given.source, given.legacy), (None, None));
}

#[test]
fn documents_that_cannot_be_are_refused_and_nothing_is_expanded() {
    let spoilt = |from: &str, to: &str| REDMOND.replace(from, to);
    let bomb = format!(
        "<!DOCTYPE x [<!ENTITY a \"{}\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>{}",
        "z".repeat(1000),
        spoilt("<?xml version=\"1.0\" encoding=\"utf-8\"?>", "").replace("SupportEncryption", "&b;")
    );
    let file = "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><x>&a;</x>".to_owned();
    for (text, why) in [
        (String::new(), "root"),
        ("x".repeat(70_000), "70000 bytes, at most 65536 are read"),
        (bomb, "DTD"),
        (file, "DTD"),
        ("<a>".repeat(10_000), "nodes limit"),
        (format!("<a>{}</a>", "<b/>".repeat(10_000)), "nodes limit"),
        ("<a/>".to_owned(), "no group ServerConfiguration"),
        (spoilt("ServerConfiguration", "meetingPolicy"), "no group ServerConfiguration"),
        (
            spoilt("<ucMaxAudioPort>30039", "<ucMaxAudioPort>29999"),
            "Audio: `30000` to `29999` is no range of ports",
        ),
        (spoilt("<ucMaxAudioPort>30039</ucMaxAudioPort>", ""), "Audio: a range with one end"),
        (
            spoilt("ucDiffServVoice>44", "ucDiffServVoice>64"),
            "ucDiffServVoice: `64` is no DSCP, which is 0 to 63",
        ),
        (spoilt("min=\"30000\"", "min=\"70000\""), "audio: `70000` to `30039` is no range of ports"),
        (spoilt("min=\"30000\"", "min=\"-1\""), "audio: `-1` to `30039` is no range of ports"),
        (spoilt("dscp=\"44\"", "dscp=\"184\""), "audio: `184` is no DSCP, which is 0 to 63"),
        (spoilt("dscp=\"44\"", "mark=\"44\""), "class audio without `dscp`"),
        (spoilt("name=\"video\"", "name=\"audio\""), "class audio is there twice"),
        (spoilt("version=\"7\"", "version=\"new\""), "version `new` is no number"),
        (spoilt(" plan=", " name="), "qos without `plan`"),
        (spoilt("enabled=\"true\"", "enabled=\"yes\""), "enabled is `yes`, neither true nor false"),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.starts_with("provisioning document: ") && error.contains(why), "{why}: {error}");
    }
    let later = spoilt("name=\"management\"", "name=\"holograms\"");
    assert_eq!(parse(&later).unwrap().class(TrafficClass::Management), None);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[<>/a-z\"=&;! ]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&REDMOND.replace("30000", &text));
        let _ = parse(&REDMOND.replace("SupportEncryption", &text));
    }

    #[test]
    fn names_of_any_letters_come_through(plan in "\\PC{0,20}", scope in "\\PC{0,20}") {
        let mut given = Provisioned::of(&self::plan(), u64::MAX, None);
        given.source = given.source.map(|source| Source { plan, scope, ..source });
        prop_assert_eq!(parse(&write(&given)), Ok(given));
    }
}

struct World {
    provisioning: Provisioning,
    registrar: Registrar,
    listener: Listener,
    now: Duration,
    out: VecDeque<Output>,
}

fn flow(id: u64) -> Flow {
    let (local, remote) = ("192.0.2.1:5061".parse().unwrap(), "192.0.2.7:4001".parse().unwrap());
    Flow { transport: Transport::Tls, id, local, remote }
}

const ALICE: &str = "alice@example.com";

/// Headers of a client; `cseq` counts them.
fn subscribe(cseq: u32, to_tag: &str, fields: &str) -> String {
    format!(
        "SUBSCRIBE sip:{ALICE} SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK{cseq}\r\nFrom: \"A\" <sip:{ALICE}>;tag=theirs\r\n\
         To: <sip:{ALICE}>{to_tag}\r\nCall-ID: c\r\nCSeq: {cseq} SUBSCRIBE\r\nEvent: vnd-microsoft-provisioning-v2\r\n\
         {fields}Content-Length: 0\r\n\r\n"
    )
}

const CONTACT: &str = "Contact: <sip:alice@192.0.2.7:4001;transport=tls>\r\n";

impl World {
    fn new() -> World {
        let settings = Settings {
            domains: vec!["example.com".into()],
            realm: "r".into(),
            expires: 60..=3600,
            default_expires: 3600,
            contacts: 10,
            nonce: Duration::from_secs(300),
        };
        let listener = Listener {
            transport: Transport::Tls,
            address: "0.0.0.0:5061".parse().unwrap(),
            advertised: "sip.example.com:5061".into(),
            algorithms: Algorithms::Md5,
        };
        let users = vec![user("alice", Some("Redmond")), user("bob", None)];
        let mut registrar = Registrar::new(settings, users, Vec::new(), [1; 32], START);
        let binding = Binding {
            aor: Arc::from(ALICE),
            key: "sip:a@h".into(),
            contact: "sip:a@h".into(),
            flow: flow(1),
            path: Vec::new(),
            call_id: "r".into(),
            cseq: 1,
            q: 1000,
            expires: START + Duration::from_secs(9_999_999),
            user_agent: "".into(),
            plan_version: None,
        };
        registrar.bind(binding);
        World {
            provisioning: Provisioning::new(plan(), 7, &["example.com".to_owned()]),
            registrar,
            listener,
            now: START,
            out: VecDeque::new(),
        }
    }

    fn send(&mut self, id: u64, tag: &str, text: &str) -> Reply {
        self.send_as(ALICE, id, tag, text)
    }

    fn send_as(&mut self, aor: &str, id: u64, tag: &str, text: &str) -> Reply {
        let request = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(Package::of(&request), Some(Package::Provisioning));
        let World { provisioning, registrar, listener, now, out } = self;
        let (flow, aor) = (&flow(id), &Arc::from(aor));
        let asked = Asked { flow, listener, request: &request, tag, aor };
        provisioning.subscribe(*now, Subscribe { asked, registrar, out })
    }

    fn notify(&mut self) -> Option<String> {
        self.provisioning.poll_notify().map(|notify| String::from_utf8(notify.bytes).unwrap())
    }

    fn answer(&mut self, tag: &str, code: u16) {
        let World { provisioning, registrar, now, out, .. } = self;
        provisioning.notify_answered(*now, tag, code, registrar, out);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.provisioning.handle_timeout(self.now, &self.registrar);
    }

    fn told(&mut self) -> Vec<String> {
        let told = |output| match output {
            Output::Save(Change::Bind(binding)) => format!("saved {:?}", binding.plan_version),
            Output::Event(Event::Provisioned { version, .. }) => format!("provisioned {version}"),
            other => format!("{other:?}"),
        };
        self.out.drain(..).map(told).collect()
    }
}

fn head(notify: &str) -> Vec<&str> {
    notify.split("\r\n\r\n").next().unwrap().split("\r\n").collect()
}

#[test]
fn who_asks_once_has_the_document_in_the_200_and_the_version_in_the_binding() {
    let mut world = World::new();
    let reply = world.send(1, "ours", &subscribe(1, "", "Expires: 0\r\n"));
    assert_eq!(reply.answer.code, 200);
    assert_eq!(
        reply.fields,
        [
            ("Expires", "0"),
            ("Contact", "<sip:sip.example.com:5061;transport=tls>"),
            ("Event", "vnd-microsoft-provisioning-v2"),
            ("Subscription-State", "terminated;reason=timeout"),
            ("ms-piggyback-cseq", "1"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    );
    let document = Some(("application/vnd-microsoft-roaming-provisioning-v2+xml", REDMOND.to_owned()));
    assert_eq!(reply.body, document);
    assert_eq!(world.told(), ["saved Some(7)", "provisioned 7"]);
    assert_eq!((world.provisioning.len(), world.notify()), (0, None));
}

/// Row 40 of the requirements.
#[test]
fn a_mobile_client_is_given_no_ranges_and_no_marks_and_its_user_s_other_clients_are() {
    let mut world = World::new();
    let mobile = "Expires: 600\r\nUser-Agent: UCCAPI/5.0 AndroidLync/5.2\r\n";
    world.send(1, "ours", &subscribe(1, "", &format!("{mobile}{CONTACT}")));
    let told = world.notify().unwrap();
    let document = told.split("\r\n\r\n").nth(1).unwrap();
    for says in
        ["ucPortRangeEnabled>false<", "qosEnabled>false<", "enabled=\"false\" enabled-from=\"mobile\""]
    {
        assert!(document.contains(says), "{says}: {document}");
    }
    for silent in ["ucMin", "ucMax", "ucDiffServVoice", "ucVoice802_1p", "dscp", "<class"] {
        assert!(!document.contains(silent), "{silent}: {document}");
    }
    let read = parse(document).unwrap();
    let given = Provisioned::of(&plan(), 7, Some("Redmond")).without_part();
    assert_eq!(read, Provisioned { legacy: Some(PortRange::UNRESTRICTED), ..given }, "any port will do");
    let policy = read.policy().unwrap();
    assert_eq!(policy.mark(TrafficClass::Audio).value(), 0);
    assert_eq!(policy.ports(TrafficClass::Audio), Some(PortRange::UNRESTRICTED));
    // Another plan does not make it take part.
    world.answer("ours", 200);
    let Provisioning { plan, .. } = &world.provisioning;
    let plan = Arc::clone(plan);
    world.provisioning.plan_changed(world.now, plan, 8);
    world.pass(Duration::ZERO);
    assert!(world.notify().unwrap().contains("enabled-from=\"mobile\""));
    let desk = world.send(2, "desk", &subscribe(2, "", "Expires: 0\r\n")).body.unwrap().1;
    assert!(desk.contains("<ucDiffServVoice>44</ucDiffServVoice>"), "{desk}");
}

#[test]
fn a_subscriber_gets_a_notify_at_once_and_another_when_the_plan_changes() {
    let mut world = World::new();
    let routes = "Record-Route: <sip:p1;lr>,\r\n <sip:p2;lr>\r\n";
    let reply = world.send(1, "ours", &subscribe(1, "", &format!("Expires: 600\r\n{CONTACT}{routes}")));
    assert_eq!((reply.answer.code, &reply.body), (200, &None));
    // The dialog runs through whoever recorded itself (RFC 6665, 4.2.1.2; RFC 3261, 12.1.1).
    let recorded = ["<sip:p1;lr>", "<sip:p2;lr>"].map(|route| ("Record-Route", route.to_owned()));
    assert_eq!(reply.fields[..2], recorded);
    assert_eq!(reply.fields[2], ("Expires", "600".to_owned()));
    let notify = world.provisioning.poll_notify().unwrap();
    assert_eq!((&*notify.subscription, notify.to), ("ours", Destination::Flow(flow(1))));
    let notify = String::from_utf8(notify.bytes).unwrap();
    assert_eq!(
        head(&notify),
        [
            "NOTIFY sip:alice@192.0.2.7:4001;transport=tls SIP/2.0",
            "Route: <sip:p1;lr>",
            "Route: <sip:p2;lr>",
            "Max-Forwards: 70",
            "From: <sip:alice@example.com>;tag=ours",
            "To: <sip:alice@example.com>;tag=theirs",
            "Call-ID: c",
            "CSeq: 1 NOTIFY",
            "Contact: <sip:sip.example.com:5061;transport=tls>",
            "Event: vnd-microsoft-provisioning-v2",
            "Subscription-State: active;expires=600",
            "Content-Type: application/vnd-microsoft-roaming-provisioning-v2+xml",
            &format!("Content-Length: {}", REDMOND.len()),
        ]
    );
    assert!(notify.ends_with(REDMOND));
    assert_eq!(world.told(), Vec::<String>::new(), "not given before it is acknowledged");
    world.answer("ours", 200);
    assert_eq!(world.told(), ["saved Some(7)", "provisioned 7"]);

    world.provisioning.plan_changed(world.now, Arc::new(Plan::preset("lync").unwrap()), 8);
    assert_eq!(world.provisioning.poll_timeout(), Some(world.now));
    world.pass(Duration::from_secs(10));
    let notify = world.notify().unwrap();
    assert!(notify.contains("CSeq: 2 NOTIFY") && notify.contains("active;expires=590"), "{notify}");
    assert!(notify.contains("version=\"8\" scope=\"global\" enabled=\"false\""), "{notify}");
    // A change while an answer is awaited is told after it, and only once.
    world.provisioning.plan_changed(world.now, plan(), 9);
    world.provisioning.plan_changed(world.now, plan(), 10);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.notify(), None);
    world.answer("ours", 200);
    assert_eq!(world.told(), ["saved Some(8)", "provisioned 8"]);
    world.pass(Duration::from_secs(1));
    assert!(world.notify().unwrap().contains("version=\"10\""));
    world.answer("ours", 200);
    assert_eq!(
        (world.told(), world.notify()),
        (vec!["saved Some(10)".to_owned(), "provisioned 10".to_owned()], None)
    );
}

#[test]
fn a_client_that_wants_the_first_notification_in_the_200_has_it_there() {
    let mut world = World::new();
    let fields = format!(
        "{CONTACT}Supported: ms-benotify\r\nSupported: ms-piggyback-first-notify\r\nExpires: 600\r\n"
    );
    let reply = world.send(1, "ours", &subscribe(1, "", &fields));
    assert_eq!(reply.body.unwrap().1, REDMOND);
    assert!(reply.fields.contains(&("Subscription-State", "active;expires=600".to_owned())));
    assert_eq!((world.notify(), world.provisioning.len()), (None, 1));
    assert_eq!(world.told(), ["saved Some(7)", "provisioned 7"]);
}

#[test]
fn a_subscription_is_refreshed_and_ended_by_its_client() {
    let mut world = World::new();
    world.send(1, "ours", &subscribe(1, "", CONTACT));
    world.notify().unwrap();
    world.answer("ours", 200);
    world.pass(Duration::from_secs(100));
    let again = subscribe(2, ";tag=ours", "Contact: <sip:a@192.0.2.8>\r\nExpires: 99999999\r\n");
    let reply = world.send(2, "unused", &again);
    assert_eq!((reply.answer.code, reply.fields[0].1.as_str()), (200, "28800"));
    assert!(world.notify().unwrap().starts_with("NOTIFY sip:a@192.0.2.8 SIP/2.0"));
    world.answer("ours", 200);
    assert_eq!(world.provisioning.poll_timeout(), Some(world.now + Duration::from_secs(28800)));
    // The old connection has nothing to do with it any more.
    world.provisioning.closed(&flow(1));
    for (text, code) in [
        (again.clone(), 500),
        (again.replace("tag=ours", "tag=other"), 481),
        (again.replace("tag=theirs", "tag=other").replace("CSeq: 2", "CSeq: 3"), 481),
        (again.replace("Call-ID: c", "Call-ID: d").replace("CSeq: 2", "CSeq: 3"), 481),
        (again.replace("99999999", "59").replace("CSeq: 2", "CSeq: 3"), 423),
    ] {
        assert_eq!(world.send(2, "unused", &text).answer.code, code, "{text}");
    }
    let other = subscribe(3, ";tag=ours", CONTACT);
    assert_eq!(world.send_as("bob@example.com", 2, "unused", &other).answer.code, 481);
    let reply = world.send(2, "unused", &subscribe(3, ";tag=ours", "Expires: 0\r\n"));
    assert_eq!((reply.answer.code, reply.body), (200, None));
    let last = world.notify().unwrap();
    assert!(
        last.contains("Subscription-State: terminated;reason=timeout") && last.contains("Content-Length: 0")
    );
    assert_eq!((world.provisioning.len(), world.provisioning.poll_timeout()), (0, None));
}

#[test]
fn subscriptions_end_with_their_time_their_connection_their_user_and_a_refusal() {
    let mut world = World::new();
    for tag in ["a", "b", "c", "d"] {
        let id = if tag == "b" { 2 } else { 1 };
        world.send(id, tag, &subscribe(1, "", &format!("{CONTACT}Expires: 60\r\n")));
        world.notify().unwrap();
    }
    world.answer("a", 481);
    assert_eq!((world.provisioning.len(), world.notify(), world.told()), (3, None, Vec::new()));
    world.provisioning.closed(&flow(2));
    assert_eq!((world.provisioning.len(), world.notify()), (2, None));
    world.pass(Duration::from_secs(59));
    assert_eq!(world.provisioning.len(), 2);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.provisioning.len(), 0);
    for _ in 0..2 {
        assert!(world.notify().unwrap().contains("terminated;reason=timeout"));
    }
    world.send(1, "e", &subscribe(1, "", CONTACT));
    world.notify().unwrap();
    world.provisioning.user_removed(ALICE);
    assert!(world.notify().unwrap().contains("terminated;reason=noresource"));
    world.answer("e", 200);
    assert_eq!((world.provisioning.len(), world.told()), (0, Vec::new()));
}

#[test]
fn a_user_has_ten_subscriptions_and_the_oldest_gives_way() {
    let mut world = World::new();
    for n in 0..12 {
        let fields = format!("{CONTACT}Supported: ms-piggyback-first-notify\r\n");
        world.send(1, &format!("t{n:02}"), &subscribe(1, "", &fields));
    }
    assert_eq!(world.provisioning.len(), 10);
    for tag in ["t00", "t01"] {
        let notify = world.notify().unwrap();
        assert!(
            notify.contains(&format!(";tag={tag}\r\n")) && notify.contains("terminated;reason=rejected"),
            "{notify}"
        );
    }
    assert_eq!(world.notify(), None);
}

#[test]
fn many_clients_are_told_one_batch_after_the_other() {
    let mut world = World::new();
    let users: Vec<String> = (0..250).map(|n| format!("u{n:03}")).collect();
    for name in &users {
        world.registrar.put_user(user(name, None));
        let text = subscribe(1, "", &format!("{CONTACT}Supported: ms-piggyback-first-notify\r\n"))
            .replace("alice@example", &format!("{name}@example"));
        assert_eq!(world.send_as(&format!("{name}@example.com"), 1, name, &text).answer.code, 200);
    }
    world.provisioning.plan_changed(world.now, plan(), 8);
    let mut told = Vec::new();
    while world.provisioning.poll_timeout().is_some_and(|at| at < world.now + Duration::from_secs(1)) {
        let pause = world.provisioning.poll_timeout().unwrap().saturating_sub(world.now);
        world.pass(pause);
        told.push((pause.as_millis(), std::iter::from_fn(|| world.provisioning.poll_notify()).count()));
    }
    assert_eq!(told, [(0, 100), (100, 100), (100, 50)]);
}

#[test]
fn a_user_who_moves_to_another_site_is_told_the_new_values() {
    let mut world = World::new();
    world.send(1, "ours", &subscribe(1, "", &format!("{CONTACT}Supported: ms-piggyback-first-notify\r\n")));
    world.registrar.put_user(user("alice", None));
    world.provisioning.user_changed(world.now, ALICE);
    world.pass(Duration::ZERO);
    assert!(world.notify().unwrap().contains("version=\"7\" scope=\"global\""));
}

#[test]
fn others_and_hostile_requests_are_refused() {
    let mut world = World::new();
    let long = "x".repeat(600);
    let route = format!("Record-Route: <sip:{};lr>\r\n", &long[..300]);
    for (text, code) in [
        (subscribe(1, "", CONTACT).replace("To: <sip:alice@", "To: <sip:bob@"), 403),
        (subscribe(1, "", &format!("{CONTACT}Accept: text/plain, application/pidf+xml\r\n")), 406),
        (subscribe(1, "", &format!("{CONTACT}Expires: 59\r\n")), 423),
        (subscribe(1, "", ""), 400),
        (subscribe(1, "", "Contact: <tel:+1>\r\n"), 400),
        (subscribe(1, "", &format!("Contact: <sip:{long}@h>\r\n")), 400),
        (subscribe(1, "", &format!("{CONTACT}{}", route.repeat(7))), 400),
        (subscribe(1, "", CONTACT).replace("tag=theirs", &format!("tag={long}")), 400),
    ] {
        assert_eq!(world.send(1, "ours", &text).answer.code, code, "{text}");
    }
    assert_eq!((world.provisioning.len(), world.notify(), world.told()), (0, None, Vec::new()));
    for accept in
        ["*/*", "application/*", "Application/vnd-microsoft-roaming-provisioning-v2+xml;q=1", "text/plain"]
    {
        let fields = format!("Expires: 0\r\nAccept: {accept}\r\n");
        let code = if accept == "text/plain" { 406 } else { 200 };
        assert_eq!(world.send(1, "ours", &subscribe(1, "", &fields)).answer.code, code, "{accept}");
    }
}
