//! The turn with what administrators do beside it, in one process.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use carillon_net::authority::Authority;
use carillon_net::tls::{Identity, server_config};
use carillon_net::transports::{Incoming, Limits, Transports};
use carillon_net::udp::UdpPort;
use carillon_qos::{Plan, TrafficClass};
use carillon_signaling::{Binding, Change, Output, Transmit};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Flow, Transport};

use super::Server;
use crate::admin::{self, Client, ClientError};
use crate::dev::{Options, prepare};
use crate::users::NewUser;
use crate::{Desk, start};

/// Long enough for everything here; who waits for it has failed.
const NEVER: Duration = Duration::from_secs(60);

/// A server of `--dev` in a folder of its own.
pub(crate) fn server(folder: &tempfile::TempDir) -> (Server, Desk) {
    let plan = Arc::new(Plan::preset("lync-kloud").unwrap());
    let metrics = Some("127.0.0.1:0".parse().unwrap());
    let directory = folder.path().to_owned();
    let log = "error".to_owned();
    let options = Options { listen: None, port: 0, plain: false, plan, directory, metrics, log };
    let (mut server, desk) = start(prepare(&options).unwrap().config, None).unwrap();
    server.until = Some(server.clock.now() + NEVER);
    (server, desk)
}

/// Has the server take turns while an administrator imports users from u0 on; what he hears.
fn import(server: &mut Server, desk: &Desk, users: usize) -> Result<usize, ClientError> {
    import_these(server, desk, (0..users).map(user).collect())
}

fn import_these(server: &mut Server, desk: &Desk, users: Vec<NewUser>) -> Result<usize, ClientError> {
    let config = server.estate.config.clone();
    let _admin = admin::of_front_end(&config, server, desk.clone()).unwrap();
    let (told, heard) = channel();
    let desk = desk.clone();
    std::thread::spawn(move || {
        let imported = Client::connect(&config.admin_socket).unwrap().put_users(&users);
        told.send(imported.map(|imported| imported.stored())).unwrap();
        desk.leave(|_| ()).unwrap();
    });
    loop {
        server.turn().unwrap();
        assert!(server.until.unwrap() > server.clock.now());
        if let Ok(imported) = heard.try_recv() {
            return imported;
        }
    }
}

fn user(number: usize) -> NewUser {
    NewUser {
        name: format!("u{number}"),
        password: "open-sesame".to_owned(),
        site: None,
        number: None,
        digest: None,
    }
}

#[test]
fn an_order_has_a_turn_of_its_own_and_the_next_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, desk) = server(&folder);
    let (did, done) = channel();
    for order in 0..3 {
        let did = did.clone();
        desk.leave(move |_| did.send(order).unwrap()).unwrap();
    }
    for order in 0..3 {
        server.turn().unwrap();
        assert_eq!(done.try_iter().collect::<Vec<_>>(), [order]);
    }
    assert!(server.until.unwrap() > server.clock.now(), "no turn waited for a message");
}

#[test]
fn a_long_list_of_users_leaves_turns_for_calls() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, desk) = server(&folder);
    assert_eq!(import(&mut server, &desk, 10_000).unwrap(), 10_000);
    assert!(server.counts.turns >= 10, "{} turns", server.counts.turns);
    assert_eq!(server.front_end.counts().users, 10_002);
}

#[test]
fn a_password_that_is_tried_first_is_refused_whoever_sets_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, desk) = server(&folder);
    for (password, why) in [
        ("sesame", "the password has 6 characters; it takes 8"),
        ("Passw0rd", "the password is one of those that are tried first"),
        ("u1-u1-u1", ""),
        ("localhost1", "the password is the user's own name, or that of the domain or the server"),
    ] {
        let users = vec![user(0), NewUser { password: password.to_owned(), ..user(1) }];
        let told = import_these(&mut server, &desk, users).err().map(|error| error.to_string());
        assert_eq!(told.unwrap_or_default(), why, "{password}");
    }
}

#[test]
fn an_import_that_is_interrupted_says_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, desk) = server(&folder);
    let store = rusqlite::Connection::open(folder.path().join("carillon.db")).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON users WHEN new.aor = 'u2500@localhost'
                BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    store.execute_batch(full).unwrap();
    let told = import(&mut server, &desk, 5000).unwrap_err().to_string();
    let stored = "the first 2000 of 5000 users are stored, the next 1000 perhaps: send the same list again when this works";
    assert!(told.starts_with("cannot save users: disk full") && told.ends_with(stored), "{told}");
    assert_eq!((server.store.count_users().unwrap(), server.front_end.counts().users), (2002, 2002));
}

#[test]
fn a_registration_that_cannot_be_read_does_not_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    drop(server(&folder));
    let store = rusqlite::Connection::open(folder.path().join("carillon.db")).unwrap();
    let spoiled = "INSERT INTO bindings VALUES
        ('alice@localhost', 'k', '', 'CARRIER PIGEON', 1, '', '', '', '', 1, 1, 9e15, '', NULL)";
    store.execute(spoiled, []).unwrap();
    let (server, _) = server(&folder);
    assert_eq!((server.counts.unreadable, server.front_end.counts().registrations), (1, 0));
    assert!(server.metrics().contains("\ncarillon_bindings_unreadable 1\n"));
}

#[test]
fn a_registration_saved_by_a_clock_that_was_ahead_lasts_no_longer_than_any() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ahead, _) = server(&folder);
    wish(&mut ahead, TrafficClass::Signaling);
    ahead.save();
    drop(ahead);
    let (server, _) = server(&folder);
    assert_eq!(server.front_end.counts().registrations, 1);
    let longest = Duration::from_secs(u64::from(server.estate.config.registrations.max));
    assert!(server.front_end.poll_timeout().unwrap() <= server.clock.now() + longest);
}

/// A wish of the core to save a binding and to send a message, as after a REGISTER.
fn wish(server: &mut Server, class: TrafficClass) {
    let remote = "127.0.0.1:9".parse().unwrap();
    let flow = Flow { transport: Transport::Udp, id: 1, local: remote, remote };
    let binding = Binding {
        aor: "alice@localhost".into(),
        key: "k".into(),
        contact: "sip:alice@127.0.0.1:9".into(),
        flow,
        path: Vec::new(),
        call_id: "c".into(),
        cseq: 1,
        q: 1000,
        expires: server.clock.now() + 1_000_000 * NEVER,
        user_agent: "".into(),
        plan_version: None,
    };
    server.changes.push(Change::Bind(Arc::new(binding)));
    send(server, class);
}

/// A wish of the core to send a message.
fn send(server: &mut Server, class: TrafficClass) {
    let remote = "127.0.0.1:9".parse().unwrap();
    let to = Destination::Address { transport: Transport::Udp, remote, local: None };
    server.leaving.push(Output::Transmit(Transmit { to, class, bytes: b"SIP/2.0 200 OK\r\n\r\n".to_vec() }));
}

/// A store in which nothing can be added to a table.
fn full(folder: &tempfile::TempDir, table: &str) -> rusqlite::Connection {
    let store = rusqlite::Connection::open(folder.path().join("carillon.db")).unwrap();
    let trigger =
        format!("CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    store.execute_batch(&trigger).unwrap();
    store
}

#[test]
fn nothing_leaves_that_was_not_saved_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, desk) = server(&folder);
    let store = full(&folder, "bindings");
    let turn = |server: &mut Server| {
        desk.leave(|_| ()).unwrap();
        server.turn().unwrap();
    };
    wish(&mut server, TrafficClass::Signaling);
    turn(&mut server);
    assert_eq!((server.counts.sent, server.store.commits().failures), (0, 1));
    assert!(server.health.trouble().unwrap().contains("disk full"));
    // What depends on nothing new leaves.
    send(&mut server, TrafficClass::Signaling);
    turn(&mut server);
    assert_eq!(server.counts.sent, 1);
    wish(&mut server, TrafficClass::Signaling);
    turn(&mut server);
    assert_eq!(server.counts.sent, 1);
    store.execute_batch("DROP TRIGGER full").unwrap();
    std::thread::sleep(super::RETRY);
    turn(&mut server);
    // What could not be saved before was not forgotten, nor what waited for it.
    assert_eq!((server.counts.sent, server.health.trouble()), (3, None));
    assert_eq!((server.store.commits().transactions, server.store.commits().changes), (1, 2));
}

#[test]
fn a_message_whose_class_has_another_mark_than_the_sockets_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, desk) = server(&folder);
    wish(&mut server, TrafficClass::Audio);
    desk.leave(|_| ()).unwrap();
    server.turn().unwrap();
    assert_eq!((server.counts.sent, server.counts.unmarkable), (0, 1));
}

#[test]
fn a_reload_that_fails_at_its_last_step_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, _) = server(&folder);
    let file = folder.path().join("carillon.toml");
    let listener = "[[listeners]]\ntransport = \"udp\"\naddress = \"127.0.0.1\"\nport = 0\n";
    let text = format!("domains = [\"localhost\"]\nplan = \"cisco\"\nname = \"localhost\"\n{listener}")
        .replace("port = 0", &format!("port = {}", free_port()));
    std::fs::write(&file, text).unwrap();
    server.estate.file = Some(file);
    let store = full(&folder, "plans");
    let places = |server: &Server| -> Vec<_> {
        server.transports.listening().iter().map(|l| (l.transport, l.address)).collect()
    };
    let picture = |server: &Server| {
        let estate = &server.estate;
        (places(server), estate.listeners.clone(), estate.config.clone(), estate.plan_version, estate.mark)
    };
    let before = picture(&server);
    let refused = server.reload().unwrap_err();
    assert!(refused[0].starts_with("cannot save the plan: disk full"), "{refused:?}");
    assert_eq!(picture(&server), before);
    store.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(server.reload().unwrap().plan_version, 2);
    assert_eq!((places(&server).len(), server.estate.plan.name()), (1, "cisco"));
}

fn free_port() -> u16 {
    UdpPort::bind("127.0.0.1:0".parse().unwrap(), Dscp::DEFAULT).unwrap().local().port()
}

/// What became of a message that this server sent to a TLS server with that certificate: whether it came.
fn reaches(server: &mut Server, peer: &Identity) -> bool {
    let mut other = Transports::new(Dscp::DEFAULT, Limits::default()).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let remote = other.listen(Transport::Tls, address, Some(server_config(peer).unwrap())).unwrap();
    comes(server, &mut other, remote)
}

/// Whether a message of this server comes to another one.
fn comes(server: &mut Server, other: &mut Transports, remote: SocketAddr) -> bool {
    let to = Destination::Address { transport: Transport::Tls, remote, local: None };
    server.transports.send(to, b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n".to_vec());
    let (mut came, mut failed) = (false, false);
    while !came && !failed {
        assert!(server.until.unwrap() > server.clock.now());
        let wait = Some(Duration::from_millis(5));
        other.poll(wait, &mut |incoming| came |= matches!(incoming, Incoming::Message { .. })).unwrap();
        let failure = |incoming: Incoming<'_>| matches!(incoming, Incoming::Failed { .. });
        server.transports.poll(Some(Duration::ZERO), &mut |incoming| failed |= failure(incoming)).unwrap();
    }
    came
}

#[test]
fn a_tls_connection_of_the_server_trusts_its_own_authority_and_those_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = server(&folder);
    let own = Authority::open(folder.path(), "").unwrap();
    let [given, stranger] = [(); 2].map(|()| Authority::create("Carillon test").unwrap());
    let config = server.estate.config.clone();
    std::fs::write(folder.path().join("peers.pem"), given.pem()).unwrap();
    let trusted = vec![folder.path().join("peers.pem")];
    let (mut server, _) = start(crate::config::Config { trusted, ..config }, None).unwrap();
    server.until = Some(server.clock.now() + NEVER);
    let here =
        |authority: &Authority| authority.issue(&["localhost"], &["127.0.0.1".parse().unwrap()]).unwrap();
    assert!(reaches(&mut server, &here(&own)) && reaches(&mut server, &here(&given)));
    assert!(!reaches(&mut server, &here(&stranger)));
    let elsewhere = given.issue(&["localhost", "sip.example.com"], &["192.0.2.1".parse().unwrap()]).unwrap();
    assert!(!reaches(&mut server, &elsewhere), "it must prove the address");
}

#[test]
fn an_edge_is_proven_to_as_before_until_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = server(&folder);
    let authority = Authority::create("Carillon test").unwrap();
    std::fs::write(folder.path().join("peers.pem"), authority.pem()).unwrap();
    let config = first.estate.config.clone();
    let config = crate::config::Config { trusted: vec![folder.path().join("peers.pem")], ..config };
    drop(first);
    let edge = |address| carillon_signaling::Edge {
        name: "edge.example.com".to_owned(),
        addresses: vec![address],
        is_director: false,
    };
    let identity = authority.issue(&["edge.example.com"], &[]).unwrap();
    let moved = "127.0.0.1:9".parse().unwrap();
    for changed in [edge(moved), carillon_signaling::Edge { is_director: true, ..edge(moved) }]
        .map(Some)
        .into_iter()
        .chain([None])
    {
        let mut there = Transports::new(Dscp::DEFAULT, Limits::default()).unwrap();
        let tls = Some(server_config(&identity).unwrap());
        let remote = there.listen(Transport::Tls, "127.0.0.1:0".parse().unwrap(), tls).unwrap();
        let held = crate::config::Config { edge: Some(edge(remote)), ..config.clone() };
        let (mut server, _) = start(held.clone(), None).unwrap();
        server.until = Some(server.clock.now() + NEVER);
        let reloaded = server.change_to(crate::config::Config { edge: changed, ..held }).unwrap();
        assert_eq!(reloaded.after_restart, ["edge, director"]);
        assert!(comes(&mut server, &mut there, remote));
    }
}

/// Waits for another thread.
fn until(holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < NEVER);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn another_plan_marks_health_and_metrics_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, desk) = server(&folder);
    let config = server.estate.config.clone();
    let admin = admin::of_front_end(&config, &server, desk).unwrap();
    assert_eq!(admin.metrics_mark(), Some(Dscp::DEFAULT));
    for (mark, value) in [("CS2", 16), ("CS1", 8)] {
        let toml = format!("base = \"lync-kloud\"\n[classes]\nmanagement = {{ dscp = \"{mark}\" }}\n");
        let seen = server.estate.plan_version;
        server.put_plan(&toml, seen, "uid 7").map_err(|refused| refused.to_string()).unwrap();
        until(|| admin.metrics_mark() == Dscp::new(value));
    }
}

#[test]
fn a_plan_that_cannot_be_stored_leaves_the_old_marks() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, _) = server(&folder);
    let store = full(&folder, "plans");
    let marks = |server: &Server| -> Vec<_> {
        let marks = server.transports.listening().into_iter().map(|listening| listening.marks.unwrap().v4);
        marks.chain([Some(server.estate.mark)]).collect()
    };
    let (before, toml) =
        (marks(&server), "base = \"lync-kloud\"\n[classes]\nsignaling = { dscp = \"CS5\" }\n");
    let refused = server.put_plan(toml, 1, "uid 7").unwrap_err().to_string();
    assert!(refused.starts_with("cannot save the plan: disk full"), "{refused}");
    assert_eq!(marks(&server), before);
    store.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(server.put_plan(toml, 1, "uid 7").map_err(|refused| refused.to_string()), Ok(2));
    assert_eq!(marks(&server), vec![Dscp::new(40); before.len()]);
}
