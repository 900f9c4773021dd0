//! Which way leads to a phone, and what is left when its connection or the server ends.

use super::*;

#[test]
fn a_phone_that_comes_back_replaces_its_flow_and_the_old_connection_takes_nothing_with_it() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    let reply = alice.register(&mut world, tls(1), &outbound("sip:a@h:1", 1));
    let key = format!("{INSTANCE};reg-id=1");
    assert_eq!(values(&reply, "Require").collect::<Vec<_>>(), ["outbound"]);
    assert_eq!(values(&reply, "Flow-Timer").collect::<Vec<_>>(), ["120"]);
    assert_eq!(values(&reply, "Contact").collect::<Vec<_>>(), [format!("<sip:a@h:1>;expires=600;{key}")]);
    world.told();
    alice.calling("c2").register(&mut world, tls(2), &outbound("sip:a@h:2", 1));
    assert_eq!(world.told(), [format!("+{key}")]);
    world.registrar.closed(&tls(1), &mut world.out);
    assert_eq!(world.told(), Vec::<String>::new());
    let contacts = world.registrar.contacts(world.now, "alice@example.com");
    assert_eq!(
        contacts.iter().map(|b| destination(b)).collect::<Vec<_>>(),
        [Some(Destination::Flow(tls(2)))]
    );
    world.registrar.closed(&tls(2), &mut world.out);
    assert_eq!(world.told(), [format!("-{key}"), "unregistered".into()]);
}

#[test]
fn flows_with_other_reg_ids_stand_side_by_side() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), &outbound("sip:a@h", 1));
    alice.register(&mut world, tls(2), &outbound("sip:a@h", 2));
    assert_eq!(world.stored("alice@example.com").len(), 2);
    alice.register(&mut world, tls(3), "Contact: <sip:a@h>\r\n");
    assert_eq!(world.stored("alice@example.com").len(), 3, "a contact without reg-id is another one");
    let reply = alice.register(&mut world, tls(3), &format!("Contact: <sip:b@h>;{INSTANCE};reg-id=1\r\n"));
    assert_eq!(code(&reply), (403, "Too Many Contacts"), "reg-id counts only with outbound supported");
}

#[test]
fn outbound_is_not_agreed_over_udp_but_instances_are_told_apart() {
    let mut world = World::new();
    let udp = flow(Transport::Udp, 1);
    let mut alice = Phone::new("alice@example.com");
    let reply = alice.register(&mut world, udp, &outbound("sip:a@1", 1));
    assert_eq!(values(&reply, "Require").count() + values(&reply, "Flow-Timer").count(), 0);
    alice.register(&mut world, udp, &outbound("sip:a@2", 1));
    assert_eq!(world.contacts("alice@example.com"), ["sip:a@2"]);
}

#[test]
fn after_a_restart_datagrams_still_reach_phones_and_connections_do_not() {
    let mut world = World::new();
    let (udp, mut alice) = (flow(Transport::Udp, 4), Phone::new("alice@example.com"));
    alice.register(&mut world, udp, "Contact: <sip:a@udp>\r\n");
    alice.register(&mut world, tls(5), &outbound("sip:a@tls", 1));
    let proxied = "Contact: <sip:a@far>\r\nPath: <sip:192.0.2.7:5070;transport=tcp;lr>, <sip:edge;lr>\r\n";
    let reply = alice.register(&mut world, tls(5), proxied);
    assert_eq!(
        values(&reply, "Path").collect::<Vec<_>>(),
        ["<sip:192.0.2.7:5070;transport=tcp;lr>, <sip:edge;lr>"]
    );
    let mut again = World::restarted(world.stored("alice@example.com"), world.now);
    let ways = |world: &World| {
        let contacts = world.registrar.contacts(world.now, "alice@example.com");
        contacts.iter().map(|b| (b.contact.to_string(), destination(b).unwrap())).collect::<Vec<_>>()
    };
    let to = |transport, remote: &str, local| Destination::Address {
        transport,
        remote: remote.parse().unwrap(),
        local,
    };
    let udp_way = to(Transport::Udp, "192.0.2.7:40004", Some("192.0.2.1:5061".parse().unwrap()));
    let path_way = to(Transport::Tcp, "192.0.2.7:5070", None);
    // The way whose connection is gone comes last.
    assert_eq!(ways(&again), [("sip:a@udp".into(), udp_way), ("sip:a@far".into(), path_way)]);
    // What was acknowledged is still there and gives way to what leads somewhere.
    assert_eq!(again.registrar.counts(), (3, 3));
    again.registrar.closed(&tls(5), &mut again.out);
    assert_eq!(again.told(), Vec::<String>::new());
    let mut alice = Phone::new("alice@example.com").calling("c9");
    alice.register(&mut again, tls(1), "Contact: <sip:a@new>\r\n");
    assert_eq!(again.told()[0], format!("-{INSTANCE};reg-id=1"));
    assert_eq!(ways(&again).len(), 3);
    again.pass(3601);
    assert_eq!((again.registrar.counts(), again.registrar.poll_timeout()), ((3, 0), None));
}

#[test]
fn a_contact_behind_a_proxy_outlives_the_proxys_connection() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(
        &mut world,
        tls(1),
        "Contact: <sip:a@far>\r\nPath: <sip:192.0.2.7:5061;transport=tls;lr>\r\n",
    );
    alice.register(&mut world, tls(1), "Contact: <sip:a@near>\r\n");
    world.registrar.closed(&tls(1), &mut world.out);
    let ways: Vec<_> =
        world.registrar.contacts(world.now, "alice@example.com").iter().map(|b| destination(b)).collect();
    let remote = "192.0.2.7:5061".parse().unwrap();
    assert_eq!(ways, [Some(Destination::Address { transport: Transport::Tls, remote, local: None })]);
}

#[test]
fn nobody_sends_us_to_others_by_a_path() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    let path = "Contact: <sip:a@far>\r\nPath: <sip:203.0.113.9:25;transport=tcp;lr>\r\n";
    alice.register(&mut world, tls(1), path);
    assert_eq!(world.registrar.contacts(world.now, "alice@example.com").len(), 1);
    world.registrar.closed(&tls(1), &mut world.out);
    assert_eq!(world.registrar.contacts(world.now, "alice@example.com"), []);
}
