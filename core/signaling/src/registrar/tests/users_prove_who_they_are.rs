//! Challenges, and what answers them.

use super::*;

#[test]
fn a_phone_is_challenged_proves_itself_and_is_found() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    let first = world.send(tls(1), &alice.text("Contact: <sip:alice@192.0.2.7:5061>\r\n"));
    assert_eq!(code(&first), (401, "Unauthorized"));
    let [(name, value)] = first.fields.as_slice() else { panic!("{first:?}") };
    assert_eq!(*name, "WWW-Authenticate");
    assert!(value.starts_with("Digest realm=\"example.com\", nonce=\""), "{value}");
    assert!(value.ends_with("\", algorithm=MD5, qop=\"auth\""), "{value}");
    assert_eq!(world.told(), Vec::<String>::new());

    alice.challenge = Some(challenge(&first));
    let second =
        world.send(tls(1), &alice.text("Contact: <sip:alice@192.0.2.7:5061>;q=0.5\r\nExpires: 300\r\n"));
    assert_eq!(code(&second), (200, "OK"));
    assert_eq!(
        second.fields,
        [
            ("Contact", "<sip:alice@192.0.2.7:5061>;expires=300;q=0.500".into()),
            ("Supported", "outbound, path".into())
        ]
    );
    assert_eq!(world.told(), ["+sip:alice@192.0.2.7:5061", "registered"]);
    assert_eq!(world.contacts("alice@example.com"), ["sip:alice@192.0.2.7:5061"]);
    assert_eq!(world.registrar.poll_timeout(), Some(START + Duration::from_secs(300)));
    assert_eq!(world.contacts("alice@example.net"), Vec::<String>::new());
}

/// Else a challenge would tell who exists.
#[test]
fn the_order_of_challenges_is_the_listeners_for_everybody() {
    let mut world = World::new();
    world.registrar.put_user(User { algorithms: Some(Algorithms::Sha256), ..user("alice@example.com") });
    world.registrar.put_user(User { algorithms: Some(Algorithms::Md5), ..user("bob@example.com") });
    for (algorithms, expected) in [
        (Algorithms::Md5, &["MD5"][..]),
        (Algorithms::Both, &["SHA-256", "MD5"]),
        (Algorithms::Sha256, &["SHA-256"]),
    ] {
        world.listener.algorithms = algorithms;
        for aor in ["alice@example.com", "bob@example.com", "alice@example.net", "nobody@example.com"] {
            let reply = world.send(tls(1), &Phone::new(aor).text(""));
            let of = |v: &str| v.split("algorithm=").nth(1).unwrap().split(',').next().unwrap().to_owned();
            let offered: Vec<_> = values(&reply, "WWW-Authenticate").map(of).collect();
            assert_eq!(offered, expected, "{aor}");
        }
    }
}

#[test]
fn a_user_may_be_held_to_one_algorithm_of_those_that_are_offered() {
    let mut world = World::new();
    for (offered, own, proven) in [
        (Algorithms::Both, Some(Algorithms::Sha256), true),
        (Algorithms::Both, Some(Algorithms::Md5), false),
        (Algorithms::Both, None, true),
        (Algorithms::Md5, Some(Algorithms::Both), true),
        (Algorithms::Md5, Some(Algorithms::Sha256), false),
    ] {
        world.listener.algorithms = offered;
        world.registrar.put_user(User { algorithms: own, ..user("alice@example.com") });
        // The phone takes the strongest.
        let reply = Phone::new("alice@example.com").register(&mut world, tls(1), "");
        assert_eq!(reply.answer.code == 200, proven, "{offered:?} {own:?}");
        assert_eq!(world.told(), if proven { vec![] } else { vec!["Unfit".to_owned()] });
    }
}

#[test]
fn an_algorithm_that_was_not_offered_proves_nothing() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    world.listener.algorithms = Algorithms::Sha256;
    let offered = challenge(&world.send(tls(1), &alice.text("")));
    world.listener.algorithms = Algorithms::Md5;
    alice.challenge = Some(offered);
    assert_eq!(world.send(tls(1), &alice.text("")).answer.code, 401);
    assert_eq!(world.told(), ["Unfit"]);
}

/// Credentials, spoiled in one way each.
#[test]
fn what_is_wrong_is_told_to_the_administrator_and_not_to_the_phone() {
    type Spoil = (&'static str, fn(&mut Phone), fn(String) -> String);
    let spoil: [Spoil; 9] = [
        ("WrongPassword", |phone| phone.password = "other".into(), |text| text),
        ("WrongUser", |phone| phone.name = "bob", |text| text),
        ("WrongUser", |phone| phone.name = "alice@example.com", |text| text),
        ("UnknownUser", |phone| (phone.name, phone.aor) = ("carol", "carol@example.com"), |text| text),
        ("Unfit", |_| (), |text| text.replace(", qop=auth", "")),
        ("Unfit", |_| (), |text| text.replace("qop=auth", "qop=auth-int")),
        ("Unfit", |_| (), |text| text.replace("uri=\"sip:example.com\"", "uri=\"sip:elsewhere.com\"")),
        ("Unfit", |_| (), |text| text.replace("nc=00000001", "nc=+0000001")),
        ("WrongPassword", |_| (), |text| text.replace("nc=00000001", "nc=00000002")),
    ];
    for (why, phone, text) in spoil {
        let mut world = World::new();
        let mut alice = Phone::new("alice@example.com");
        phone(&mut alice);
        let unproven = world.send(tls(1), &alice.text(""));
        alice.challenge = Some(challenge(&unproven));
        let sent = text(alice.text("Contact: <sip:alice@h>\r\n"));
        let reply = world.send(tls(1), &sent);
        assert_eq!((reply.answer, reply.fields.len()), (unproven.answer, unproven.fields.len()), "{why}");
        assert!(!challenge(&reply).is_stale(), "{why}");
        assert_eq!(world.told(), [why]);
        assert_eq!(world.registrar.denied().values().sum::<u64>(), 1);
    }
}

#[test]
fn a_method_of_another_request_is_not_proven() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.challenge = Some(challenge(&world.send(tls(1), &alice.text(""))));
    let invite =
        alice.text("").replace("REGISTER", "MESSAGE").replace("Authorization", "Proxy-Authorization");
    let message = Message::parse(invite.as_bytes()).unwrap();
    let World { registrar, listener, now, out } = &mut world;
    let reply =
        registrar.authenticate(*now, &tls(1), listener, &message, Asking::alone(true), out).unwrap_err();
    assert_eq!(code(&reply), (407, "Proxy Authentication Required"));
    assert_eq!(reply.fields[0].0, "Proxy-Authenticate");
    assert_eq!(registrar.denied().get(&Failure::WrongPassword), Some(&1));
}

#[test]
fn a_listeners_own_address_stands_for_the_first_domain() {
    let mut world = World::new();
    for host in ["192.0.2.1", "sip.example.com:5061", "EXAMPLE.com"] {
        let mut alice = Phone::new("alice@example.com");
        let at_host = |text: String| {
            text.replace("alice@example.com", &format!("alice@{host}"))
                .replace("REGISTER sip:example.com", &format!("REGISTER sip:{host}"))
        };
        let text = at_host(alice.text(""));
        alice.challenge = Some(challenge(&world.send(tls(1), &text)));
        // The phone still writes the domain into its credentials, which names us as well.
        assert_eq!(code(&world.send(tls(1), &at_host(alice.text("")))), (200, "OK"), "{host}");
    }
    let text = Phone::new("alice@example.com")
        .text("")
        .replace("REGISTER sip:example.com", "REGISTER sip:example.org");
    assert_eq!(code(&world.send(tls(1), &text)), (404, "No Such Domain Here"));
}

#[test]
fn a_replay_is_refused_with_a_new_nonce_and_changes_nothing() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:alice@a>\r\n");
    let sent = alice.text("Contact: *\r\nExpires: 0\r\n");
    assert_eq!(code(&world.send(tls(1), &sent)), (200, "OK"));
    alice.register(&mut world, tls(1), "Contact: <sip:alice@a>\r\n");
    world.told();
    let replayed = world.send(tls(2), &sent);
    assert_eq!(replayed.answer.code, 401);
    assert!(challenge(&replayed).is_stale());
    assert_eq!(world.told(), ["Replay"]);
    assert_eq!(world.contacts("alice@example.com"), ["sip:alice@a"]);
}

#[test]
fn counts_may_overtake_each_other() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.challenge = Some(challenge(&world.send(tls(1), &alice.text(""))));
    let sent: Vec<String> = (0..3).map(|_| alice.text("")).collect();
    let codes: Vec<u16> = [2, 0, 1, 1].map(|at: usize| world.send(tls(1), &sent[at]).answer.code).to_vec();
    assert_eq!(codes, [200, 200, 200, 401]);
}

#[test]
fn an_expired_nonce_is_stale_and_no_failure() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "");
    world.pass(301);
    let reply = world.send(tls(1), &alice.text(""));
    assert!(challenge(&reply).is_stale());
    alice.challenge = Some(challenge(&reply));
    alice.nc = 0;
    assert_eq!(code(&world.send(tls(1), &alice.text(""))), (200, "OK"));
    assert_eq!(world.told(), Vec::<String>::new());
}

/// Else a nonce of somebody else would be good for trying passwords with.
#[test]
fn with_a_nonce_that_is_not_good_nobody_learns_whether_the_password_is() {
    let mut alice = Phone::new("alice@example.com");
    let mut other = World::new();
    other.registrar = Registrar::new(settings(), users(), Vec::new(), [8; 32], START);
    alice.challenge = Some(challenge(&other.send(tls(1), &alice.text(""))));
    let mut world = World::new();
    for password in ["secret of alice@example.com", "guessed"] {
        alice.password = password.into();
        assert!(challenge(&world.send(tls(1), &alice.text(""))).is_stale(), "{password}");
    }
    assert_eq!(world.told(), ["ForeignNonce", "ForeignNonce"]);
}

/// Whoever writes another address into its datagrams would have calls sent there.
#[test]
fn a_nonce_of_one_address_proves_nothing_at_another_and_a_new_one_is_given() {
    let mut world = World::new();
    let (here, port) = (flow(Transport::Udp, 4), flow(Transport::Udp, 5));
    let there = Flow { remote: "198.51.100.9:5060".parse().unwrap(), ..here };
    let mut alice = Phone::new("alice@example.com");
    alice.challenge = Some(challenge(&world.send(here, &alice.text(""))));
    let spoofed = world.send(there, &alice.text("Contact: <sip:a@h>\r\n"));
    assert_eq!((code(&spoofed), challenge(&spoofed).is_stale()), ((401, "Unauthorized"), true));
    assert_eq!((world.told(), world.registrar.counts()), (Vec::<String>::new(), (3, 0)));
    let same = world.send(port, &alice.text("Contact: <sip:a@h>\r\n"));
    assert_eq!(code(&same), (200, "OK"), "a NAT may choose another port");
    (alice.challenge, alice.nc) = (Some(challenge(&spoofed)), 0);
    assert_eq!(code(&world.send(there, &alice.text(""))), (200, "OK"), "it was there");
}

#[test]
fn nobody_registers_for_somebody_else() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "");
    let text = alice.text("Contact: <sip:alice@h>\r\n").replace("To: <sip:alice@", "To: <sip:bob@");
    assert_eq!(code(&world.send(tls(1), &text)), (403, "Not Your Address"));
    assert_eq!(world.registrar.counts(), (3, 0));
}
