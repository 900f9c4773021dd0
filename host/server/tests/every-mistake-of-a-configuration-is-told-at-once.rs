//! What is wrong with a configuration comes back whole, in the order of lines, each with what would be right.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::path::Path;
use std::time::Duration;

use carillon_server::config::{
    Certificate, Config, Limits, ListenerConfig, Registrations, Section, ServerRole, Setting, Unset, sample,
};
use carillon_signaling::Algorithms;
use carillon_wire::sip::Transport;

const GOOD: &str = "domains = [\"Example.com\"]\nplan = \"lync-kloud\"\nname = \"sip.example.com\"\n";

fn read(text: &str) -> Result<Config, String> {
    Config::from_toml(text, Path::new("/etc/carillon/carillon.toml"))
        .map_err(|refusal| refusal.to_string().replace("/etc/carillon/carillon.toml: ", ""))
}

/// The same where every file that is named says this.
fn read_with(text: &str, content: &'static str) -> Result<Config, String> {
    let read = |_: &Path| Ok(content.as_bytes().to_vec());
    Config::from_toml_with(text, Path::new("/etc/carillon/carillon.toml"), &read)
        .map_err(|refusal| refusal.to_string().replace("/etc/carillon/carillon.toml: ", ""))
}

/// The mistakes of a good file with this behind it.
fn wrong(text: &str) -> String {
    read(&format!("{GOOD}{text}")).unwrap_err()
}

#[test]
fn the_shortest_file_means_tls_on_every_address_and_nothing_plain() {
    let config = read(GOOD).unwrap();
    let address = "[::]:5061".parse().unwrap();
    let tls =
        ListenerConfig { transport: Transport::Tls, address, advertised: None, algorithms: Algorithms::Md5 };
    assert_eq!(config.listeners, [tls]);
    assert_eq!((config.domains, config.realm.as_str()), (vec!["example.com".to_owned()], "example.com"));
    assert_eq!(config.certificate, Certificate::Authority("/var/lib/carillon/authority".into()));
    assert_eq!(config.registrations, Registrations { min: 60, default: 3600, max: 86_400 });
    assert_eq!((config.metrics, config.drain), (None, Duration::from_secs(30)));
    let limits = Limits {
        connections: 20_000,
        unproven_per_source: 1000,
        calls: 50_000,
        transactions: 500_000,
        waiting: 256 << 20,
        body: 1 << 20,
    };
    assert_eq!(config.limits, limits);
    assert_eq!(config.store, Path::new("/var/lib/carillon/carillon.db"));
    assert_eq!(config.admin_socket, Path::new("/run/carillon/admin.sock"));
    assert_eq!((config.log.level.as_str(), config.log.json), ("info", false));
}

#[test]
fn plain_listeners_are_switched_on_one_by_one() {
    let blocks = "[[listeners]]\ntransport = \"udp\"\naddress = \"192.0.2.1\"\ndigest = \"both\"\n\
                  [[listeners]]\ntransport = \"tls\"\nport = 15061\nadvertised = \"[2001:db8::1]:5061\"\n";
    let config = read(&format!("{GOOD}{blocks}")).unwrap();
    let shown: Vec<_> =
        config.listeners.iter().map(|l| (l.transport, l.address.to_string(), l.algorithms)).collect();
    let expected = [
        (Transport::Udp, "192.0.2.1:5060".to_owned(), Algorithms::Both),
        (Transport::Tls, "[::]:15061".to_owned(), Algorithms::Md5),
    ];
    assert_eq!(shown, expected);
    let advertised: Vec<_> = config.listeners.iter().map(|l| l.advertised(&config.name, l.address)).collect();
    assert_eq!(advertised, ["sip.example.com:5060", "[2001:db8::1]:5061"]);
}

#[test]
fn relays_are_told_by_place_and_port_with_what_opens_them() {
    let text = format!(
        "{GOOD}[relay]\nservers = [\"edge.example.com\", \"2001:db8::5\"]\nsecret = \"s\"\nlifetime = 60\n\
         tls = 5349\nvideo = 4480\n[https]\nlisten = \"[::]:8443\"\n"
    );
    let config = read_with(&text, "a secret of the test\n").unwrap();
    let relays = config.relays.clone().unwrap();
    let uris: Vec<String> = relays.servers.iter().map(|server| server.uri.to_string()).collect();
    let of = |host: &str| {
        [
            format!("turn:{host}:3478?transport=udp"),
            format!("turn:{host}:3479?transport=udp"),
            format!("turn:{host}:4480?transport=udp"),
            format!("turn:{host}:3481?transport=udp"),
            format!("turn:{host}:443?transport=tcp"),
            format!("turns:{host}:5349?transport=tcp"),
        ]
    };
    assert_eq!(uris, [of("edge.example.com"), of("[2001:db8::5]")].concat());
    assert_eq!(
        (relays.secret.0.as_str(), relays.lifetime),
        ("a secret of the test", Duration::from_secs(60))
    );
    assert!(!format!("{config:?}").contains("a secret of"), "no secret in a debug text");
    assert_eq!(read(GOOD).unwrap().relays, None);
    assert_eq!(read(GOOD).unwrap().differs_until_restart(&config), ["https"], "relays change by a reload");
}

const DIRECTORY: &str = "[directory]\nname = \"dc.example.com\"\naddresses = [\"10.0.0.9:636\", \"10.0.0.10:636\"]\n\
    authorities = [\"ca\"]\nbind = \"cn=c\"\nsecret = \"s\"\nbase = \"dc=x\"\n";
const OPENID: &str = "[https]\nlisten = \"[::]:8443\"\norigins = [\"https://p\"]\n\
    [openid]\nissuer = \"https://login.example.com\"\nclient = \"c\"\nauthorities = \"ca\"\n";

#[test]
fn a_directory_and_a_provider_are_as_they_are_written() {
    let config = read_with(&format!("{GOOD}{DIRECTORY}{OPENID}"), "hush\n").unwrap();
    let directory = config.directory.clone().unwrap();
    assert_eq!(
        (directory.addresses.len(), directory.secret.0.as_str(), directory.start_tls),
        (2, "hush", false)
    );
    assert_eq!(
        (directory.attributes.id.as_str(), directory.interval),
        ("objectGUID", Duration::from_secs(300))
    );
    let openid = config.openid.clone().unwrap();
    assert_eq!(openid.redirect, "https://sip.example.com:8443/openid/return");
    assert_eq!((openid.claim.as_str(), openid.create, openid.secret), ("sub", false, None));
    assert!(!format!("{config:?}").contains("hush"), "no secret in a debug text");
    assert_eq!(read(GOOD).unwrap().differs_until_restart(&config), ["https", "directory", "openid"]);
    let person = format!(
        "{GOOD}{DIRECTORY}kind = \"inetorgperson\"\nnumber = [\"mobile\"]\nsecurity = \"start-tls\"\n"
    );
    let directory = read_with(&person, "hush\n").unwrap().directory.unwrap();
    assert_eq!((directory.attributes.id.as_str(), directory.start_tls), ("entryUUID", true));
    assert_eq!(directory.attributes.number, ["mobile"]);
    let lockout = (directory.lockout.locks_at, directory.lockout.resets_after);
    assert_eq!(lockout, (5, Duration::from_secs(1800)));
    let passwords =
        read(&format!("{GOOD}[passwords]\nlength = 12\nattempts = 3\nlocked = 60\n")).unwrap().passwords;
    assert_eq!((passwords.rules.length, passwords.lock_out.attempts), (12, 3));
    assert_eq!(passwords.lock_out.lasts, Duration::from_secs(60));
}

#[test]
fn a_directory_or_a_provider_that_could_not_be_asked_is_refused() {
    for (from, to, expected) in [
        (
            "10.0.0.9:636",
            "10.0.0.9",
            "line 6: directory.addresses: \"10.0.0.9\" is no ADDRESS:PORT, such as 10.0.0.9:636",
        ),
        ("dc.example.com", "d c", "line 5: directory.name: \"d c\" is neither a host name nor an IP address"),
        (
            "base = \"dc=x\"",
            "base = \"dc=x\"\nfilter = \"(mail=*\"",
            "line 11: directory.filter: \"(mail=*\" is no filter such as \"(&(objectClass=person)(mail=*))\" (RFC 4515)",
        ),
        (
            "bind = \"cn=c\"\n",
            "",
            "line 4: directory.bind: is missing; for example bind = \"cn=carillon,ou=services,dc=example,dc=com\"",
        ),
        (
            "base = \"dc=x\"",
            "base = \"dc=x\"\nlocks-at = 1",
            "line 11: directory.locks-at: the first wrong password would lock an account: let the directory forgive one at least",
        ),
        (
            "https://login",
            "http://login",
            "line 15: openid.issuer: \"http://login.example.com\" is no https:// URL without query",
        ),
        (
            "origins = [\"https://p\"]\n",
            "",
            "line 13: openid: needs `https.origins`: pages at which sign-ins end",
        ),
    ] {
        let text = format!("{GOOD}{DIRECTORY}{OPENID}").replace(from, to);
        assert_eq!(read_with(&text, "hush\n").unwrap_err(), expected);
    }
    let empty = read_with(&format!("{GOOD}{DIRECTORY}"), "\n").unwrap_err();
    assert_eq!(empty, "line 9: directory.secret: `/etc/carillon/s` holds no line of text");
}

#[test]
fn relays_that_nobody_could_use_are_refused() {
    let secret = "secret = \"s\"\n";
    for (text, content, expected) in [
        (
            "[relay]\nservers = [\"e\"]\n".to_owned(),
            "",
            "line 5: relay.servers: needs a `secret` beside it: without one no credential can be made",
        ),
        (
            format!("[relay]\n{secret}"),
            "",
            "line 5: relay.secret: needs `servers` beside it: where the relays are",
        ),
        (
            format!("[relay]\nservers = [\"e\"]\n{secret}"),
            "too short\n",
            "line 6: relay.secret: `/etc/carillon/s` holds less than 16 characters",
        ),
        (
            format!("[relay]\nservers = [\"e:3478\"]\n{secret}"),
            "a secret of the test",
            "line 5: relay.servers: \"e:3478\" is neither a host name nor an IP address (ports have keys of their own)",
        ),
        (
            "[https]\nlisten = \"[::]:8443\"\n".to_owned(),
            "",
            "line 5: https.listen: has nothing to give: [relay] names no `servers`, no listener speaks wss or ws, there is no [directory] or [openid], and `administration` is off",
        ),
        (
            format!("[relay]\nservers = [\"e\"]\n{secret}[https]\nlisten = \"8443\"\n"),
            "a secret of the test",
            "line 8: https.listen: \"8443\" is no ADDRESS:PORT, such as [::]:8443",
        ),
        (
            format!(
                "[relay]\nservers = [\"e\"]\n{secret}[https]\nlisten = \"[::]:8443\"\norigins = [\"example.com\"]\n"
            ),
            "a secret of the test",
            "line 9: https.origins: \"example.com\" is no origin such as \"https://example.com\" (scheme and host, no path)",
        ),
        (
            format!(
                "[relay]\nservers = [\"e\"]\n{secret}[https]\nlisten = \"[::]:8443\"\ntrusted-proxies = [\"10.0.0.0/8\"]\n"
            ),
            "a secret of the test",
            "line 9: https.trusted-proxies: \"10.0.0.0/8\" is no IP address; each proxy is named by its own",
        ),
    ] {
        assert_eq!(read_with(&format!("{GOOD}{text}"), content).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn every_limit_can_be_set() {
    let text = "[limits]\nconnections = 1\nunproven-per-source = 2\ncalls = 3\ntransactions = 4\nwaiting = 5\nbody = 6\n";
    let limits = Limits {
        connections: 1,
        unproven_per_source: 2,
        calls: 3,
        transactions: 4,
        waiting: 5 << 20,
        body: 6,
    };
    let config = read(&format!("{GOOD}{text}")).unwrap();
    assert_eq!(config.limits, limits);
    assert_eq!(read(GOOD).unwrap().differs_until_restart(&config), ["limits"]);
}

#[test]
fn all_mistakes_come_back_in_the_order_of_lines() {
    let text = "\
domains = [\"exa mple.com\"]
plan = \"lync-klaud\"
naem = \"sip.example.com\"
[[listeners]]
transport = \"sctp\"
adress = \"::\"
[[listeners]]
transport = \"tls\"
address = \"sip.example.com\"
port = 70000
[tls]
certificate = \"/nowhere/a.pem\"
[registrations]
min = 7200
[log]
level = \"loud\"
[metric]
";
    let expected = "\
line 1: name: is missing; for example name = \"sip.example.com\"
line 1: domains: \"exa mple.com\" is no domain name
line 2: plan: \"lync-klaud\" is no preset, and no file that can be read (No such file or directory (os error 2)); did you mean the preset `lync-kloud`?
line 3: naem: unknown key; did you mean `name`?
line 5: listeners[0].transport: expected one of \"tls\", \"tcp\", \"udp\", \"wss\", \"ws\", found \"sctp\"
line 6: listeners[0].adress: unknown key; did you mean `address`?
line 9: listeners[1].address: \"sip.example.com\" is no IP address (ports have keys of their own)
line 10: listeners[1].port: expected a whole number from 1 to 65535, found 70000
line 12: tls.certificate: needs a `key` beside it
line 14: registrations.default: 3600 does not lie between min (7200) and max (86400)
line 16: log.level: expected one of \"error\", \"warn\", \"info\", \"debug\", \"trace\", found \"loud\"
line 17: metric: unknown key; did you mean `metrics`?";
    assert_eq!(read(text).unwrap_err(), expected);
}

#[test]
fn every_single_mistake_has_its_own_words() {
    for (text, expected) in [
        (
            "x-y-z = 1\n",
            "line 4: x-y-z: unknown key; known are role, domains, plan, name, realm, store, listeners, tls, registrations, passwords, directory, openid, presence, history, records, calls, dialling, limits, relay, https, edge, director, replicas, admin, metrics, log, service",
        ),
        ("store = 7\n", "line 4: store: expected a text in quotes, found 7"),
        ("store = \"\"\n", "line 4: store: expected a text in quotes, found \"\""),
        (
            "[log]\nlevel = true\n",
            "line 5: log.level: expected one of \"error\", \"warn\", \"info\", \"debug\", \"trace\", found true",
        ),
        (
            "[limits]\nconnections = 0\n",
            "line 5: limits.connections: expected a whole number from 1 to 1000000, found 0",
        ),
        (
            "[limits]\nconnections = 1.5\n",
            "line 5: limits.connections: expected a whole number from 1 to 1000000, found a TOML float",
        ),
        (
            "[limits]\ncall = 5\nbody = 67108865\n",
            "line 5: limits.call: unknown key; did you mean `calls`?\nline 6: limits.body: expected a whole number from 1 to 67108864, found 67108865",
        ),
        ("listeners = 5\n", "line 4: listeners: write it as [[listeners]], with the keys below"),
        ("listeners = [5]\n", "line 4: listeners[0]: write it as [[listeners]], with the keys below"),
        ("[[tls]]\n", "line 4: tls: write it as [tls], with the keys below"),
        (
            "[[listeners]]\nport = 5061\n",
            "line 4: listeners[0].transport: is missing; for example transport = \"tls\"",
        ),
        (
            "[[listeners]]\ntransport = \"tls\"\nadvertised = \"sip.example.com\"\n",
            "line 6: listeners[0].advertised: \"sip.example.com\" is no NAME:PORT, and no address with a port",
        ),
        (
            "[[listeners]]\ntransport = \"tls\"\n[[listeners]]\ntransport = \"tcp\"\nport = 5061\n",
            "line 6: listeners[1].port: [::]:5061 is taken by listeners[0]",
        ),
        (
            "[tls]\ntrusted = [\"/nowhere/peers.pem\"]\n",
            "line 5: tls.trusted: `/nowhere/peers.pem` cannot be read: No such file or directory (os error 2)",
        ),
        ("[tls]\nkey = \"a.pem\"\n", "line 5: tls.key: needs a `certificate` beside it"),
        (
            "[tls]\nkey = \"a.pem\"\ncertificate = \"/nowhere/b.pem\"\n",
            "line 5: tls.key: `/etc/carillon/a.pem` cannot be read: No such file or directory (os error 2)\nline 6: tls.certificate: `/nowhere/b.pem` cannot be read: No such file or directory (os error 2)",
        ),
        (
            "[registrations]\ndefault = 90000\n",
            "line 5: registrations.default: 90000 does not lie between min (60) and max (86400)",
        ),
        (
            "[metrics]\nlisten = \"localhost\"\n",
            "line 5: metrics.listen: \"localhost\" is no ADDRESS:PORT, such as 127.0.0.1:9061",
        ),
        ("[log\n", "line 4: unclosed table, expected `]`"),
    ] {
        assert_eq!(wrong(text), expected, "{text}");
    }
}

#[test]
fn a_name_is_a_host_or_an_address_without_a_port() {
    let named = |name: &str| read(&GOOD.replace("sip.example.com", name));
    for good in ["pbx", "192.0.2.1", "2001:db8::1"] {
        assert_eq!(named(good).unwrap().name, good);
    }
    for bad in ["sip.example.com:5061", "-x.example.com", "a..b", "ex_ample.com"] {
        let expected =
            format!("line 3: name: {bad:?} is neither a host name nor an IP address (and has no port)");
        assert_eq!(named(bad).unwrap_err(), expected);
    }
}

#[test]
fn mistakes_of_the_plan_stand_behind_those_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (file, plan) = (folder.path().join("carillon.toml"), folder.path().join("plan.toml"));
    std::fs::write(&plan, "name = \"mine\"\nbase = \"lync-klaud\"\n").unwrap();
    std::fs::write(&file, GOOD.replace("lync-kloud", "plan.toml") + "stroe = \"x\"\n").unwrap();
    let told = Config::load(&file).unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "");
    let (config, plan_part) = told.split_once('\n').unwrap();
    assert_eq!(config, "/carillon.toml: line 4: stroe: unknown key; did you mean `store`?");
    assert!(plan_part.starts_with("/plan.toml: line 2: base: "), "{plan_part}");
    std::fs::write(&plan, "name = \"mine\"\ntitle = \"Mine\"\nbase = \"lync-kloud\"\n").unwrap();
    std::fs::write(&file, GOOD.replace("lync-kloud", "plan.toml")).unwrap();
    assert_eq!(Config::load(&file).unwrap().plan.plan.name(), "mine");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let told = Config::load(Path::new("/nowhere/carillon.toml")).unwrap_err().to_string();
    let expected =
        "/nowhere/carillon.toml: line 1: the file cannot be read: No such file or directory (os error 2)";
    assert_eq!(told, expected);
}

#[test]
fn the_sample_is_a_good_file_and_says_what_holds_without_it() {
    let text = sample(ServerRole::FrontEnd);
    let config = read(&text).unwrap();
    let bare = "domains = [\"example.com\"]\nplan = \"lync-kloud\"\nname = \"sip.example.com\"\n";
    assert_eq!(config, read(bare).unwrap());
    for (section, setting) in settings(ServerRole::FrontEnd) {
        let (Unset::Required(value) | Unset::Default(value) | Unset::Follows { example: value, .. }) =
            setting.unset;
        assert!(text.contains(&format!("{} = {value}\n", setting.key)), "{}.{}", section.name, setting.key);
    }
}

fn settings(role: ServerRole) -> impl Iterator<Item = (&'static Section, &'static Setting)> {
    role.sections().iter().flat_map(|section| section.settings.iter().map(move |setting| (section, setting)))
}

/// With every "#" before a key removed it is read as well: each default is what its own key would say.
#[test]
fn the_sample_with_every_key_set_is_a_good_file_too() {
    let keys: Vec<&str> = settings(ServerRole::FrontEnd).map(|(_, setting)| setting.key).collect();
    let set: Vec<String> = sample(ServerRole::FrontEnd)
        .lines()
        .map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let is_key = bare.split_once(" = ").is_some_and(|(key, _)| keys.contains(&key));
            let is_head = bare.starts_with('[') && bare.ends_with(']');
            if is_key || is_head { bare.to_owned() } else { line.to_owned() }
        })
        .collect();
    // Of the Edge and the Director a Front End has one: its file says so, and which it is makes no other difference.
    let text = set.join("\n");
    let mistakes = read_with(&text, "of sixteen letters").unwrap_err();
    assert!(mistakes.to_string().contains("stands in the place of [edge]"), "{mistakes}");
    let (before, after) = text.split_once("\n[director]\n").unwrap();
    let (director, others) = after.split_once("\n[[replicas]]\n").unwrap();
    let (front, edge) = before.split_once("\n[edge]\n").unwrap();
    let text = format!("{front}\n[edge]\n{edge}\n[[replicas]]\n{others}");
    let config = read_with(&text, "of sixteen letters").unwrap();
    assert!(!config.edge.unwrap().is_director);
    let text = format!("{front}\n[director]\n{director}\n[[replicas]]\n{others}");
    let config = read_with(&text, "of sixteen letters").unwrap();
    assert!(config.edge.unwrap().is_director);
    assert_eq!(config.metrics, Some("127.0.0.1:9061".parse().unwrap()));
    assert_eq!(config.listeners.first().unwrap().advertised.as_deref(), Some("sip.example.com:5061"));
}

#[test]
fn the_packaged_samples_are_those_that_the_program_prints() {
    let packaged = include_str!("../../../packaging/carillon.toml");
    assert_eq!(
        packaged,
        sample(ServerRole::FrontEnd),
        "run: carillon check-config --sample > packaging/carillon.toml"
    );
    let packaged = include_str!("../../../packaging/edge.toml");
    assert_eq!(
        packaged,
        sample(ServerRole::Edge),
        "run: carillon check-config --sample edge > packaging/edge.toml"
    );
    let packaged = include_str!("../../../packaging/director.toml");
    assert_eq!(
        packaged,
        sample(ServerRole::Director),
        "run: carillon check-config --sample director > packaging/director.toml"
    );
}

#[test]
fn rules_for_dialled_numbers_are_read_in_order_and_their_mistakes_are_told() {
    let rules = "[calls]\nvoicemail = \"Voicemail@example.com\"\n\
        [[dialling]]\nsite = \"Berlin\"\ndialled = \"^([1-9][0-9]{3})$\"\nnumber = \"+4930123456$1\"\n\
        [[dialling]]\ndialled = \"^0([1-9][0-9]+)$\"\nnumber = \"+49$1\"\n";
    let calls = read(&format!("{GOOD}{rules}")).unwrap().calls;
    assert_eq!(calls.voicemail.as_deref(), Some("voicemail@example.com"));
    let number = |site, dialled| {
        calls.dialling.number_of(site, dialled).map(|(number, rule)| (number.to_string(), rule))
    };
    assert_eq!(number(Some("Berlin"), "7042"), Ok(("+49301234567042".to_owned(), Some(0))));
    assert_eq!(number(Some("Prague"), "0301234"), Ok(("+49301234".to_owned(), Some(1))));
    assert!(number(Some("Prague"), "7042").is_err());
    let mistakes = wrong(
        "[calls]\nvoicemail = \"box\"\n[[dialling]]\ndialled = \"0\"\nnumber = \"+49\"\n\
         [[dialling]]\nsite = \"a\"\ncontext = \"+49\"\ndialled = \"^0$\"\nnumber = \"+49\"\n\
         [[dialling]]\ndialled = \"^0$\"\n[[dialling]]\ndialled = \"^(0)$\"\nnumber = \"+49$2\"\n",
    );
    let expected = "line 5: calls.voicemail: \"box\" is no address such as voicemail@example.com\n\
        line 7: dialling[0]: \"0\" does not say where it begins and ends: write ^ in front and $ behind\n\
        line 14: dialling[2].number: is missing; for example number = \"+49$1\"\n\
        line 17: dialling[3]: \"+49$2\" makes no number: there is no group `2` in the pattern";
    assert_eq!(mistakes, expected);
}

#[test]
fn histories_have_one_block_for_everybody_for_each_site_and_for_each_user() {
    use carillon_signaling::{HistoryLimits, HistoryPolicy};
    let limits =
        |days: u64, messages| Some(HistoryLimits { age: Duration::from_secs(days * 86_400), messages });
    assert_eq!(read(GOOD).unwrap().history, HistoryPolicy::default(), "nothing is kept unless it is said");
    let text = "[[history]]\n[[history]]\nsite = \"Oslo\"\ndays = 365\nmessages = 7\n\
                [[history]]\nusers = [\"Alice@Example.com\"]\nkeep = \"off\"\n";
    let policy = read(&format!("{GOOD}{text}")).unwrap().history;
    assert_eq!(policy.everybody, limits(30, 10_000));
    assert_eq!(policy.sites.into_iter().collect::<Vec<_>>(), [("Oslo".to_owned(), limits(365, 7))]);
    assert_eq!(policy.users.into_iter().collect::<Vec<_>>(), [("alice@example.com".to_owned(), None)]);
    let text = "[[history]]\nusers = [\"alice\", \"b@c.d\", \"B@c.d\"]\n[[history]]\nkeep = \"of\"\n[[history]]\nusers = [\"e@c.d\"]\n\
                site = \"x\"\n[[history]]\nsite = \"x\"\n[[history]]\nsite = \"x\"\n[[history]]\n[[history]]\n";
    let expected = "line 5: history[0].users: \"alice\" is no address such as alice@example.com\n\
                    line 5: history[0].users: \"B@c.d\" is there twice\n\
                    line 7: history[1].keep: expected one of \"on\", \"off\", found \"of\"\n\
                    line 12: history[3].site: \"x\" has a block already\n\
                    line 14: history[4].site: \"x\" has a block already\n\
                    line 16: history[6]: there is a block for everybody already";
    assert_eq!(wrong(text), expected);
}
