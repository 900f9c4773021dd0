//! The configuration of an Edge: what it means, and every mistake of it with its line, at once.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::io;
use std::path::Path;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_server::config::{Configuration, EdgeConfig, Refusal, ServerRole, sample};
use carillon_server::edge::Unit;

const SECRET: &[u8] = b"0123456789abcdef\n";

fn read(text: &str) -> Result<EdgeConfig, Refusal> {
    let files = |path: &Path| match path.to_str() {
        Some("/etc/carillon/relay-secret") => Ok(SECRET.to_vec()),
        Some("/etc/carillon/fullchain.pem" | "/etc/carillon/privkey.pem") => Ok(Vec::new()),
        Some("/etc/carillon/internal.pem" | "/etc/carillon/internal.key") => Ok(Vec::new()),
        Some(
            "/etc/carillon/inside-ca.pem" | "/etc/carillon/ca.pem" | "/etc/ssl/certs/ca-certificates.crt",
        ) => Ok(Vec::new()),
        Some("/etc/carillon/short") => Ok(b"short\n".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    match Configuration::from_toml(text, Path::new("/etc/carillon/edge.toml"), &files)? {
        Configuration::Edge(edge) => Ok(edge),
        Configuration::FrontEnd(_) => panic!("it says role = \"edge\""),
    }
}

fn told(text: &str) -> Vec<String> {
    read(text).unwrap_err().0.iter().map(|mistake| mistake.problem.to_string()).collect()
}

const BARE: &str = "role = \"edge\"\nplan = \"lync-kloud\"\nname = \"edge.example.com\"\n\
                    addresses.external = \"203.0.113.5\"\ncredentials.secrets = [\"relay-secret\"]\n";

#[test]
fn what_is_not_said_follows() {
    let config = read(BARE).unwrap();
    assert_eq!((config.realm.as_str(), config.drain), ("edge.example.com", Duration::from_secs(30)));
    assert_eq!(config.addresses.public, config.addresses.external);
    let classes = [None, Some(TrafficClass::Audio), Some(TrafficClass::Video), Some(TrafficClass::Sharing)];
    assert_eq!(config.relay.udp, (3478..).zip(classes).collect::<Vec<_>>());
    assert_eq!((config.relay.bandwidth, config.relay.coalesce), (375_000, Some(Duration::from_micros(200))));
    assert!(!config.relay.in_kernel);
    // Of these, what goes before all others; and a browser that gathers on every way has room.
    assert_eq!((config.relay.audio_bandwidth, config.relay.allocations_per_user), (32_000, 100));
    assert_eq!((config.relay.allocations_per_site, config.relay.bandwidth_per_site), (None, None));
    let sites = "relay.allocations-per-site = 500\nrelay.bandwidth-per-site = 80000\n";
    let relay = read(&format!("{BARE}{sites}")).unwrap().relay;
    assert_eq!((relay.allocations_per_site, relay.bandwidth_per_site), (Some(500), Some(10_000_000)));
    assert_eq!(config.secrets.first().unwrap().0, "0123456789abcdef", "without the end of the line");
}

#[test]
fn every_mistake_is_told() {
    let text = "role = \"edge\"\nplan = \"teams\"\nname = \"edge.example.com\"\n[addresses]\nexternal = \"0.0.0.0\"\n\
                inside = [\"10.0.0.0/33\", \"10.0.0.0/8\"]\n[relay]\naudio = 3478\n[credentials]\n\
                secrets = [\"short\", \"nowhere\"]\n[[relay-users]]\nname = \"a\"\npassword = \"b\"\n\
                [[relay-users]]\nname = \"a\"\npassword = \"c\"\n[service]\nalternates = [\"198.51.100.6\"]\n[listeners]\n";
    let expected = [
        "line 2: plan: teams has no relay ports: it needs `ports` in its section [edge]",
        "line 5: addresses.external: 0.0.0.0 is not the address of one machine",
        "line 6: addresses.inside: '10.0.0.0/33' is no network: write an address, or address/prefix as in 10.0.0.0/8",
        "line 8: relay.audio: 3478 is the port of another class too",
        "line 10: credentials.secrets: `/etc/carillon/short` holds less than 16 characters",
        "line 10: credentials.secrets: `/etc/carillon/nowhere` cannot be read: entity not found",
        "line 15: relay-users[1].name: \"a\" is there twice",
        "line 18: service.alternates: \"198.51.100.6\" is no address with a port, as in 198.51.100.6:3478",
        "line 19: listeners: unknown key; known are role, plan, name, profile, realm, addresses, relay, access, partners, tls, \
         internal-tls, web-conferencing, replica, credentials, authentication, relay-users, admin, metrics, log, service",
    ];
    assert_eq!(told(text), expected);
}

#[test]
fn a_relay_for_nobody_and_addresses_of_the_wrong_family_are_mistakes() {
    let text = BARE.replace("credentials.secrets = [\"relay-secret\"]\n", "");
    let expected = "line 1: credentials.secrets: is missing, and there is no [[relay-users]]: nobody could use the relay";
    assert_eq!(told(&text), [expected]);
    let text = format!("{BARE}addresses.external6 = \"192.0.2.1\"\naddresses.public = \"2001:db8::1\"\n");
    let expected = [
        "line 6: addresses.external6: 192.0.2.1 must be of another family than `external`, 203.0.113.5",
        "line 7: addresses.public: 2001:db8::1 must be of the same family as `external`, 203.0.113.5",
    ];
    assert_eq!(told(&text), expected);
}

#[test]
fn half_a_certificate_and_one_address_for_both_sides_are_mistakes() {
    let text =
        format!("{BARE}addresses.internal = \"203.0.113.5\"\nrelay.tls = 443\ntls.key = \"privkey.pem\"\n");
    let expected = [
        "line 6: addresses.internal: is an external address too; leave it out where there is only one",
        "line 7: relay.tls: 443 is the port of TCP too",
        "line 8: tls.key: needs a `certificate` beside it",
    ];
    assert_eq!(told(&text), expected);
}

/// With every "#" before a key removed it is read as well: each default is what its own key would say.
#[test]
fn the_sample_is_a_good_file_as_it_is_and_with_every_key_set() {
    let text = sample(ServerRole::Edge);
    let bare = read(&text.replace("# secrets = ", "secrets = ")).unwrap();
    assert_eq!(bare, read(&BARE.replace("\"relay-secret\"", "\"/etc/carillon/relay-secret\"")).unwrap());
    let is_key = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let set: Vec<&str> = text
        .lines()
        .map(|line| {
            let is_head = |bare: &str| bare.starts_with('[') && bare.ends_with(']');
            line.strip_prefix("# ").filter(|bare| is_key(bare) || is_head(bare)).unwrap_or(line)
        })
        .collect();
    let config = read(&set.join("\n")).unwrap();
    assert_eq!(config.addresses.inside, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(config.users.len(), 1);
    assert_eq!(config.authentication.as_ref().unwrap().servers, ["sip.example.com"]);
    let listening =
        |unit| config.listening(unit).iter().map(|row| row.address.to_string()).collect::<Vec<_>>();
    assert_eq!(listening(Unit::WebConferencing), ["203.0.113.7:444"], "as it says");
    assert_eq!(listening(Unit::Replica), ["10.0.0.5:4443"]);
}

#[test]
fn the_credential_service_needs_an_inside_a_secret_and_servers() {
    let section = "[internal-tls]\ncertificate = \"internal.pem\"\nkey = \"internal.key\"\n\
                   trusted = [\"inside-ca.pem\"]\n[authentication]\nservers = [\"sip.example.com:5061\"]\n";
    assert_eq!(
        told(&format!("{BARE}{section}")),
        ["line 10: authentication.port: needs `addresses.internal`: nobody outside may ask"]
    );
    let inside = format!("{BARE}addresses.internal = \"10.0.0.5\"\n");
    let expected = ["line 12: authentication.servers: \"sip.example.com:5061\" is no host name"];
    assert_eq!(told(&format!("{inside}{section}")), expected);
    let user = "[[relay-users]]\nname = \"a\"\npassword = \"b\"\n";
    let without = inside.replace("credentials.secrets = [\"relay-secret\"]\n", "");
    let expected =
        ["line 10: authentication.port: needs `credentials.secrets`: without one no credential can be made"];
    assert_eq!(told(&format!("{without}{section}{user}")), expected);
    let alone = section.split("[authentication]").last().unwrap().replace(":5061", "");
    let expected = ["line 7: authentication: needs a section [internal-tls]"];
    assert_eq!(told(&format!("{inside}[authentication]{alone}")), expected);
    let config = read(&format!("{inside}{}", section.replace(":5061", ""))).unwrap();
    let places: Vec<_> =
        config.listening(Unit::Authentication).iter().map(|row| row.address.to_string()).collect();
    assert_eq!(places, ["10.0.0.5:5062"]);
}

#[test]
fn secrets_are_in_no_debug_text() {
    let shown = format!(
        "{:?}",
        read(&format!("{BARE}[[relay-users]]\nname = \"a\"\npassword = \"hush\"\n")).unwrap()
    );
    assert!(!shown.contains("hush") && !shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn on_one_address_every_service_has_a_port_of_its_own_and_on_three_all_have_443() {
    let ports = |more: &str| {
        let addresses = read(&format!("{BARE}{more}")).unwrap().addresses;
        [Unit::Av, Unit::Access, Unit::WebConferencing].map(|unit| addresses.outside_port(unit))
    };
    assert_eq!(ports(""), [443, 5061, 444]);
    let access = "addresses.access = [\"203.0.113.6\"]\n";
    assert_eq!(ports(access), [443, 443, 444]);
    assert_eq!(ports(&format!("{access}addresses.web-conferencing = [\"203.0.113.7\"]\n")), [443, 443, 443]);
    assert_eq!(ports(&format!("{access}addresses.web-conferencing = [\"203.0.113.6\"]\n")), [443, 443, 444]);
}

#[test]
fn a_place_that_two_services_want_is_a_mistake_that_names_both() {
    let text = format!("{BARE}metrics.listen = \"0.0.0.0:443\"\n");
    let expected = "line 1: relay.tcp: 203.0.113.5:443 (TCP) is wanted by the A/V Edge and by metrics.listen";
    assert_eq!(told(&text), [expected]);
}

const INTERNAL: &str = "addresses.internal = \"10.0.0.5\"\naddresses.inside = [\"10.0.0.0/8\"]\n\
                        internal-tls.certificate = \"internal.pem\"\ninternal-tls.key = \"internal.key\"\n\
                        internal-tls.trusted = [\"inside-ca.pem\"]\n\
                        tls.certificate = \"fullchain.pem\"\ntls.key = \"privkey.pem\"\n";
const CONFERENCING: &str =
    "web-conferencing.inside = [\"10.0.0.20:8057\"]\nweb-conferencing.name = \"pool.example.com\"\n";

#[test]
fn a_section_switches_its_service_on_and_its_port_follows_from_the_addresses() {
    let text = format!("{BARE}{INTERNAL}{CONFERENCING}");
    let ports = |text: &str| -> Vec<String> {
        let rows = read(text).unwrap().listening(Unit::WebConferencing);
        rows.iter().map(|row| row.address.to_string()).collect()
    };
    assert!(ports(&format!("{BARE}{INTERNAL}")).is_empty());
    assert_eq!(ports(&text), ["203.0.113.5:444"]);
    let own = "addresses.web-conferencing = [\"203.0.113.7\", \"2001:db8::7\"]\n";
    assert_eq!(ports(&format!("{text}{own}")), ["203.0.113.7:443", "[2001:db8::7]:443"]);
}

#[test]
fn a_place_that_two_services_want_is_a_mistake_at_the_second() {
    let text = format!("{BARE}{INTERNAL}{CONFERENCING}web-conferencing.port = 443\n");
    let expected = "line 15: web-conferencing.port: 203.0.113.5:443 (TCP) is wanted by the Web Conferencing Edge and by the \
                    A/V Edge (relay.tcp)";
    assert_eq!(told(&text), [expected]);
}

#[test]
fn services_towards_the_inside_need_its_certificate_its_address_and_its_networks() {
    let text = format!("{BARE}{CONFERENCING}replica.from = [\"sip.example.com\", \"not a name\"]\n");
    let expected = [
        "line 6: web-conferencing: needs a section [internal-tls]",
        "line 6: web-conferencing: needs the `certificate` of [tls]",
        "line 6: web-conferencing.inside: 10.0.0.20 is in no network of `addresses.inside`",
        "line 8: replica: needs a section [internal-tls]",
        "line 8: replica: needs `addresses.internal`: nobody outside may reach it",
        "line 8: replica.from: \"not a name\" is no host name",
    ];
    assert_eq!(told(&text), expected);
}

#[test]
fn an_edge_for_messages_only_has_no_relay_and_wants_nothing_that_is_for_media() {
    let text = BARE
        .replace("plan = \"lync-kloud\"\n", "plan = \"teams\"\nprofile = \"im-only\"\n")
        .replace("credentials.secrets = [\"relay-secret\"]\n", "");
    let access = "addresses.internal = \"10.0.0.5\"\n[tls]\ncertificate = \"fullchain.pem\"\nkey = \"privkey.pem\"\n\
                  [internal-tls]\ncertificate = \"internal.pem\"\nkey = \"internal.key\"\ntrusted = [\"inside-ca.pem\"]\n\
                  [access]\ndomains = [\"example.com\"]\nnext-hop = \"pool.example.com\"\nservers = [\"10.0.0.10:5061\"]\n";
    let config = read(&format!("{text}{access}")).unwrap();
    assert!(!config.access.as_ref().unwrap().media);
    assert!(
        config.listeners().iter().all(|listening| listening.unit == Unit::Access),
        "{:?}",
        config.listeners()
    );
    assert!(read(BARE).unwrap().listeners().iter().all(|listening| listening.unit == Unit::Av));
    let expected = [
        "line 3: profile: `im-only` needs a section [access]: there is nothing else that such an Edge carries",
        "line 6: relay-users[0]: is for media, and the profile is `im-only`: take one of them out",
    ];
    assert_eq!(told(&format!("{text}[[relay-users]]\nname = \"a\"\npassword = \"b\"\n")), expected);
}
