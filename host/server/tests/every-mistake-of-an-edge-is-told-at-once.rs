//! The configuration of an Edge: what it means, and every mistake of it with its line, at once.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::io;
use std::path::Path;
use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_server::config::{Configuration, EdgeConfig, Refusal, ServerRole, sample};

const SECRET: &[u8] = b"0123456789abcdef\n";

fn read(text: &str) -> Result<EdgeConfig, Refusal> {
    let files = |path: &Path| match path.to_str() {
        Some("/etc/carillon/relay-secret") => Ok(SECRET.to_vec()),
        Some("/etc/carillon/fullchain.pem" | "/etc/carillon/privkey.pem") => Ok(Vec::new()),
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
    assert_eq!(config.secrets.first().unwrap().0, "0123456789abcdef", "without the end of the line");
}

#[test]
fn every_mistake_is_told() {
    let text = "role = \"edge\"\nplan = \"teams\"\nname = \"edge.example.com\"\n[addresses]\nexternal = \"0.0.0.0\"\n\
                inside = [\"10.0.0.0/33\", \"10.0.0.0/8\"]\n[relay]\naudio = 3478\n[credentials]\n\
                secrets = [\"short\", \"nowhere\"]\n[[relay-users]]\nname = \"a\"\npassword = \"b\"\n\
                [[relay-users]]\nname = \"a\"\npassword = \"c\"\n[listeners]\n";
    let expected = [
        "line 2: plan: teams has no relay ports: it needs `ports` in its section [edge]",
        "line 5: addresses.external: 0.0.0.0 is not the address of one machine",
        "line 6: addresses.inside: '10.0.0.0/33' is no network: write an address, or address/prefix as in 10.0.0.0/8",
        "line 8: relay.audio: 3478 is the port of another class too",
        "line 10: credentials.secrets: `/etc/carillon/short` holds less than 16 characters",
        "line 10: credentials.secrets: `/etc/carillon/nowhere` cannot be read: entity not found",
        "line 15: relay-users[1].name: \"a\" is there twice",
        "line 17: listeners: unknown key; known are role, plan, name, realm, addresses, relay, tls, credentials, relay-users, \
         admin, metrics, log, service",
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
        "line 6: addresses.internal: is the external address too; leave it out where there is only one",
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
            line.strip_prefix("# ").filter(|bare| is_key(bare) || bare.starts_with("[[")).unwrap_or(line)
        })
        .collect();
    let config = read(&set.join("\n")).unwrap();
    assert_eq!(config.addresses.inside, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(config.users.len(), 1);
}

#[test]
fn secrets_are_in_no_debug_text() {
    let shown = format!(
        "{:?}",
        read(&format!("{BARE}[[relay-users]]\nname = \"a\"\npassword = \"hush\"\n")).unwrap()
    );
    assert!(!shown.contains("hush") && !shown.contains("0123456789abcdef"), "{shown}");
}
