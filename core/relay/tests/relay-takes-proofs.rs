//! Who may allocate: passwords, time-limited credentials, nonces, and the algorithms of RFC 8489.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use carillon_qos::TrafficClass;
use carillon_relay::{Access, Algorithms, Config, Credential, Event, Limits, Output, Request, User, issue};
use carillon_wire::stun::{Builder, Class, Message, Method, kind};
use support::{Client, Edge, PEER, REALM, START, answer, code, config, seal_sha1, seal_sha256};

const SECOND: Duration = Duration::from_secs(1);
const SHA256_THEN_MD5: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

fn limited() -> Config {
    let secrets = vec!["north".to_owned(), "south".to_owned()];
    Config { access: Access { secrets, ..config().access }, ..config() }
}

fn holder(credential: &Credential) -> Client {
    Client::new(&credential.username, &credential.password)
}

fn plain(builder: Builder) -> Builder {
    builder
}

#[test]
fn whoever_proves_nothing_is_challenged_and_nothing_is_kept() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    for method in [Method::Allocate, Method::Refresh, Method::CreatePermission, Method::ChannelBind] {
        let bytes = alice.bare(method, |b| b.requested_transport(17));
        let answered = answer(&edge.hear(alice.flow, &bytes)).unwrap();
        let message = Message::parse(&answered).unwrap();
        assert_eq!((message.class(), message.method(), code(&answered)), (Class::Error, method, 401));
        assert_eq!(message.realm(), Some(REALM));
        assert!(message.nonce().unwrap().starts_with("obMatJos2AAAD"));
        assert_eq!(message.attribute(kind::PASSWORD_ALGORITHMS).unwrap().value, SHA256_THEN_MD5);
        assert_eq!((message.username(), message.message_integrity()), (None, None));
        assert_eq!(answered.len(), 92, "anybody can have it sent to anybody");
    }
    edge.assert_empty();
}

#[test]
fn a_wrong_password_an_unknown_user_and_a_changed_request_are_challenged_again() {
    let mut edge = Edge::new();
    for (user, password) in
        [("alice", "wrong"), ("alice", ""), ("carol", "wonder"), ("", ""), ("bob", "wonder")]
    {
        assert_eq!(Client::new(user, password).try_allocate(&mut edge, plain), 401, "{user} {password}");
    }
    let mut alice = Client::alice();
    alice.fetch_nonce(&mut edge);
    let mut bytes =
        alice.seal(Builder::new(Class::Request, Method::Allocate, [9; 12]).requested_transport(17));
    bytes = bytes.attribute(kind::SOFTWARE, b"behind the seal nothing counts");
    let sealed = bytes.finish().unwrap();
    let mut changed = sealed.clone();
    changed[24] ^= 1;
    assert_eq!(code(&answer(&edge.hear(alice.flow, &changed)).unwrap()), 401);
    assert_eq!(edge.relay.counts().denied["wrong-password"], 4);
    edge.assert_empty();
    assert_eq!(code(&answer(&edge.hear(alice.flow, &sealed)).unwrap()), 0);
}

#[test]
fn a_proof_that_lacks_a_part_is_a_bad_request() {
    let mut edge = Edge::new();
    let mut alice = Client::alice();
    alice.fetch_nonce(&mut edge);
    let nonce = alice.nonce.clone();
    for parts in [[false, true, true], [true, false, true], [true, true, false]] {
        let mut builder = Builder::new(Class::Request, Method::Allocate, [5; 12]).requested_transport(17);
        let values = [(kind::USERNAME, "alice"), (kind::REALM, REALM), (kind::NONCE, &nonce)];
        for ((kind, value), _) in values.into_iter().zip(parts).filter(|(_, is_there)| *is_there) {
            builder = builder.attribute(kind, value.as_bytes());
        }
        let bytes = seal_sha1(builder, &[0; 16]).finish().unwrap();
        assert_eq!(code(&answer(&edge.hear(alice.flow, &bytes)).unwrap()), 400, "{parts:?}");
    }
}

#[test]
fn a_nonce_ends_with_its_time_and_is_good_at_its_address_only() {
    let (mut edge, mut alice) = (Edge::new(), Client::alice());
    alice.allocate(&mut edge);
    edge.wait(SECOND * 500);
    assert_eq!(alice.refresh(&mut edge, 600), 0);
    edge.wait(SECOND * 101);
    let answered = alice.ask(&mut edge, Method::Refresh, plain);
    let message = Message::parse(&answered).unwrap();
    assert_eq!(code(&answered), 438);
    let fresh = message.nonce().unwrap().to_owned();
    assert_ne!(fresh, alice.nonce);
    alice.nonce = fresh;
    assert_eq!(alice.refresh(&mut edge, 600), 0);
    let mut elsewhere = alice.clone().from("7.7.7.8:1234");
    assert_eq!(elsewhere.try_allocate(&mut edge, plain), 438);
    let mut behind_the_same_nat = alice.from("7.7.7.7:4321");
    assert_eq!(behind_the_same_nat.try_allocate(&mut edge, plain), 0);
}

#[test]
fn the_answer_is_sealed_as_the_request_was() {
    for strong in [false, true] {
        let mut edge = Edge::new();
        let mut alice = Client { strong, ..Client::alice() };
        alice.fetch_nonce(&mut edge);
        let answered = alice.ask(&mut edge, Method::Allocate, |b| b.requested_transport(17));
        let message = Message::parse(&answered).unwrap();
        assert_eq!(code(&answered), 0);
        assert_eq!(message.message_integrity().is_some(), !strong);
        assert_eq!(message.message_integrity_sha256().map(|seal| seal.mac.len()), strong.then_some(32));
    }
}

#[test]
fn who_hides_the_better_algorithm_is_found_out() {
    use md5::{Digest, Md5};
    let mut edge = Edge::new();
    let mut alice = Client::alice();
    alice.fetch_nonce(&mut edge);
    let key = Md5::digest(format!("alice:{REALM}:wonder"));
    for (chosen, echoed, expected) in [
        (Some(1), Some(&SHA256_THEN_MD5[..]), 0),
        // As it arrives if somebody on the way has offered MD5 only.
        (Some(1), Some(&[0, 1, 0, 0][..]), 400),
        (Some(1), None, 400),
        (None, Some(&SHA256_THEN_MD5[..]), 400),
        (Some(3), Some(&SHA256_THEN_MD5[..]), 400),
    ] {
        let mut builder = Builder::new(Class::Request, Method::Allocate, [5; 12])
            .requested_transport(17)
            .attribute(kind::USERNAME, b"alice")
            .attribute(kind::REALM, REALM.as_bytes())
            .attribute(kind::NONCE, alice.nonce.as_bytes());
        if let Some(chosen) = chosen {
            builder = builder.attribute(kind::PASSWORD_ALGORITHM, &[0, chosen, 0, 0]);
        }
        if let Some(echoed) = echoed {
            builder = builder.attribute(kind::PASSWORD_ALGORITHMS, echoed);
        }
        let bytes = seal_sha1(builder, &key).finish().unwrap();
        assert_eq!(code(&answer(&edge.hear(alice.flow, &bytes)).unwrap()), expected, "{chosen:?} {echoed:?}");
    }
}

#[test]
fn where_only_sha_256_is_taken_md5_is_challenged() {
    let access = Access { algorithms: Algorithms::Sha256, ..config().access };
    let mut edge = Edge::with(Config { access, ..config() });
    assert_eq!(Client::alice().try_allocate(&mut edge, plain), 401);
    let access = Access { algorithms: Algorithms::Md5, ..config().access };
    let mut edge = Edge::with(Config { access, ..config() });
    let mut alice = Client::alice();
    let bytes = alice.bare(Method::Allocate, |b| b.requested_transport(17));
    let answered = answer(&edge.hear(alice.flow, &bytes)).unwrap();
    assert_eq!(Message::parse(&answered).unwrap().attribute(kind::PASSWORD_ALGORITHMS), None);
    assert_eq!(alice.try_allocate(&mut edge, plain), 0);
}

#[test]
fn a_user_may_stay_unnamed_where_there_is_a_list_of_users() {
    use sha2::{Digest, Sha256};
    for (config, features, expected) in [(config(), "obMatJos2AAAD", 0), (limited(), "obMatJos2AAAB", 0)] {
        let mut edge = Edge::with(config);
        let mut alice = Client::alice();
        alice.fetch_nonce(&mut edge);
        assert!(alice.nonce.starts_with(features));
        let builder = Builder::new(Class::Request, Method::Allocate, [5; 12])
            .requested_transport(17)
            .attribute(kind::USERHASH, &Sha256::digest(format!("alice:{REALM}")))
            .attribute(kind::REALM, REALM.as_bytes())
            .attribute(kind::NONCE, alice.nonce.as_bytes())
            .attribute(kind::PASSWORD_ALGORITHM, &[0, 2, 0, 0])
            .attribute(kind::PASSWORD_ALGORITHMS, &SHA256_THEN_MD5);
        let key = Sha256::digest(format!("alice:{REALM}:wonder"));
        let bytes = seal_sha256(builder, &key).finish().unwrap();
        assert_eq!(code(&answer(&edge.hear(alice.flow, &bytes)).unwrap()), expected);
    }
}

#[test]
fn time_limited_credentials_are_taken_until_they_end() {
    let mut edge = Edge::with(limited());
    let ends = START + SECOND * 1000;
    let good = [
        issue("north", "alice@edge.test", None, ends),
        issue("south", "carol", Some(TrafficClass::Video), ends),
        issue("north", "", None, ends),
    ];
    for (number, credential) in good.iter().enumerate() {
        let mut client = holder(credential).from(&format!("7.7.7.7:{}", 5000 + number));
        assert_eq!(client.try_allocate(&mut edge, plain), 0, "{credential:?}");
    }
    let mut users: Vec<_> = edge.relay.allocations().map(|view| (view.user.to_owned(), view.class)).collect();
    users.sort();
    let unnamed = format!("{}:", ends.as_secs());
    assert_eq!(
        users,
        [(unnamed, None), ("alice@edge.test".into(), None), ("carol".into(), Some(TrafficClass::Video))]
    );
    let forged = Credential { username: format!("{}:mallory", ends.as_secs()), ..good[0].clone() };
    for bad in [issue("east", "alice", None, ends), issue("north", "alice", None, START), forged] {
        assert_eq!(holder(&bad).try_allocate(&mut edge, plain), 401, "{bad:?}");
    }
    assert_eq!(edge.relay.counts().denied["expired-credential"], 1);
}

/// No call is cut because a credential ends in its middle; nothing new is made with it.
#[test]
fn a_call_goes_on_with_the_credential_that_made_it_for_so_long_and_no_other_does() {
    let hour = SECOND * 3600;
    let limits = Limits { after_expiry: hour, nonce_lifetime: hour * 100, ..Limits::default() };
    let mut edge = Edge::with(Config { limits, ..limited() });
    let ends = START + SECOND * 1000;
    let mut alice = holder(&issue("north", "alice", None, ends));
    alice.allocate(&mut edge);
    edge.wait(SECOND * 500);
    assert_eq!(alice.refresh(&mut edge, 3600), 0);
    edge.wait(SECOND * 501);
    assert_eq!(
        (alice.refresh(&mut edge, 600), alice.permit(&mut edge, PEER), alice.bind(&mut edge, 0x4000, PEER)),
        (0, 0, 0)
    );
    let mut again = alice.clone().from("7.7.7.7:2");
    assert_eq!(again.try_allocate(&mut edge, plain), 401, "nothing new");
    let mut other = holder(&issue("north", "alice", None, ends - SECOND));
    (other.flow, other.nonce) = (alice.flow, alice.nonce.clone());
    assert_eq!(other.refresh(&mut edge, 600), 401, "another that has ended too");
    let lifetime = |answered: &[u8]| Message::parse(answered).unwrap().lifetime();
    let asked = |b: Builder| b.u32(kind::LIFETIME, 3600);
    assert_eq!(
        lifetime(&alice.ask(&mut edge, Method::Refresh, asked)),
        Some(3599),
        "to the end and no longer"
    );
    edge.wait(hour - SECOND);
    edge.assert_empty();
}

/// A machine that was started with a wrong clock, which has been set since.
#[test]
fn credentials_end_by_the_clock_on_the_wall() {
    let mut edge = Edge::with(limited());
    let alice = holder(&issue("north", "alice", None, START + SECOND * 1000));
    edge.request(Request::Clock(START + SECOND * 2000));
    assert_eq!(alice.clone().try_allocate(&mut edge, plain), 401);
    edge.request(Request::Clock(START + SECOND * 900));
    assert_eq!(alice.clone().try_allocate(&mut edge, plain), 0);
    edge.wait(SECOND * 101);
    assert_eq!(alice.from("7.7.7.7:2").try_allocate(&mut edge, plain), 401);
}

#[test]
fn a_user_with_a_new_credential_keeps_the_allocation_and_another_user_does_not_get_it() {
    let mut edge = Edge::with(limited());
    let mut alice = holder(&issue("north", "alice", None, START + SECOND * 400));
    alice.allocate(&mut edge);
    let renewed = issue("south", "alice", None, START + SECOND * 9000);
    (alice.user, alice.password) = (renewed.username, renewed.password);
    assert_eq!(alice.refresh(&mut edge, 3600), 0);
    edge.wait(SECOND * 3599);
    assert_eq!(edge.relay.counts().allocations, 1);
    let mut bob = Client { transaction: 50, ..Client::new("bob", "builder") };
    bob.fetch_nonce(&mut Edge::with(limited()));
    bob.nonce = fresh_nonce(&mut edge, &alice);
    for (method, expected) in [
        (Method::Refresh, 441),
        (Method::CreatePermission, 441),
        (Method::ChannelBind, 441),
        (Method::Allocate, 437),
    ] {
        let answered = bob.ask(&mut edge, method, |b| b.requested_transport(17).channel_number(0x4000));
        assert_eq!(code(&answered), expected, "{method:?}");
    }
}

#[test]
fn a_static_user_named_by_digits_is_no_expired_credential() {
    let user = User { password: "p".to_owned(), class: Some(TrafficClass::Audio) };
    let mut config = limited();
    config.access.users.insert("1001".to_owned(), user);
    let mut edge = Edge::with(config);
    assert_eq!(Client::new("1001", "p").try_allocate(&mut edge, plain), 0);
    assert_eq!(edge.relay.allocations().next().unwrap().class, Some(TrafficClass::Audio));
}

/// Anything without proof on the flow of an allocation is challenged as everywhere.
fn fresh_nonce(edge: &mut Edge, client: &Client) -> String {
    let bytes = client.clone().bare(Method::Refresh, plain);
    let answered = answer(&edge.hear(client.flow, &bytes)).unwrap();
    assert_eq!(code(&answered), 401);
    Message::parse(&answered).unwrap().nonce().unwrap().to_owned()
}

/// Their packets can't be told apart, but their proofs.
#[test]
fn two_users_from_one_address_and_port_are_noticed() {
    let (mut edge, mut alice, mut bob) = (Edge::new(), Client::alice(), Client::new("bob", "builder"));
    alice.allocate(&mut edge);
    bob.fetch_nonce(&mut edge);
    let shared = Output::Event(Event::SharedAddress { flow: alice.flow });
    let methods = [(Method::Allocate, 437), (Method::Refresh, 441), (Method::CreatePermission, 441)];
    for (method, expected) in methods {
        let bytes = bob.proven(method, |b| b.requested_transport(17));
        let outputs = edge.hear(bob.flow, &bytes);
        assert!(outputs.contains(&shared), "{method:?}: {outputs:?}");
        assert_eq!(code(&answer(&outputs).unwrap()), expected, "{method:?}");
    }
    // Who has an allocation already is told so, and shares nothing with anybody.
    assert_eq!((alice.try_allocate(&mut edge, |b| b), alice.refresh(&mut edge, 600)), (437, 0));
    assert_eq!(edge.relay.counts().shared_addresses, 3);
}
