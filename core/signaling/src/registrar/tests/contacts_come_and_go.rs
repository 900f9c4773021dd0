//! What a REGISTER changes, and for how long.

use super::*;

#[test]
fn several_phones_of_a_user_are_found_by_preference_the_newest_first() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@desk>;q=0.5, <sip:a@old>\r\n");
    alice.calling("c2").register(&mut world, tls(2), "Contact: <sip:a@new>\r\n");
    assert_eq!(world.contacts("alice@example.com"), ["sip:a@new", "sip:a@old", "sip:a@desk"]);
}

#[test]
fn a_contact_more_than_allowed_changes_nothing() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@1>, <sip:a@2>\r\n");
    world.told();
    let reply = alice.register(&mut world, tls(1), "Contact: <sip:a@3>, <sip:a@4>\r\n");
    assert_eq!(code(&reply), (403, "Too Many Contacts"));
    let thousand: String = (0..1000).map(|n| format!("Contact: <sip:a@h{n}>\r\n")).collect();
    assert_eq!(code(&alice.register(&mut world, tls(1), &thousand)), (403, "Too Many Contacts"));
    assert_eq!(world.told(), Vec::<String>::new());
    assert_eq!(world.contacts("alice@example.com").len(), 2);
}

#[test]
fn durations_are_bounded_and_too_brief_ones_refused() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    for (fields, granted) in [
        ("Contact: <sip:a@h>;expires=60\r\nExpires: 900\r\n", "60"),
        ("Contact: <sip:a@h>\r\nExpires: 900\r\n", "900"),
        ("Contact: <sip:a@h>\r\n", "600"),
        ("Contact: <sip:a@h>;expires=4294967296000\r\n", "3600"),
        ("Contact: <sip:a@h>;expires=soon\r\n", "600"),
    ] {
        let reply = alice.register(&mut world, tls(1), fields);
        assert_eq!(values(&reply, "Contact").collect::<Vec<_>>(), [format!("<sip:a@h>;expires={granted}")]);
    }
    let reply = alice.register(&mut world, tls(1), "Contact: <sip:b@h>, <sip:a@h>;expires=59\r\n");
    assert_eq!(code(&reply), (423, "Interval Too Brief"));
    assert_eq!(values(&reply, "Min-Expires").collect::<Vec<_>>(), ["60"]);
    assert_eq!(world.contacts("alice@example.com"), ["sip:a@h"]);
}

#[test]
fn a_star_removes_all_and_stands_alone() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@1>, <sip:a@2>\r\n");
    world.told();
    for fields in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 10\r\n",
        "Contact: *, <sip:a@1>\r\nExpires: 0\r\n",
        "Contact: *\r\nContact: *\r\nExpires: 0\r\n",
    ] {
        assert_eq!(alice.register(&mut world, tls(1), fields).answer.code, 400, "{fields}");
    }
    assert_eq!(world.told(), Vec::<String>::new());
    let reply = alice.register(&mut world, tls(1), "Contact: *\r\nExpires: 0\r\n");
    assert_eq!((code(&reply), values(&reply, "Contact").count()), ((200, "OK"), 0));
    assert_eq!(world.told(), ["-sip:a@1", "unregistered", "-sip:a@2", "unregistered"]);
    assert_eq!(world.registrar.poll_timeout(), None);
}

#[test]
fn what_was_sent_before_does_not_undo_what_was_sent_after() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "");
    let early = [alice.text("Contact: <sip:a@h>;expires=0\r\n"), alice.text("Contact: *\r\nExpires: 0\r\n")];
    alice.register(&mut world, tls(1), "Contact: <sip:a@h>\r\n");
    world.told();
    for text in early {
        assert_eq!(code(&world.send(tls(1), &text)), (500, "CSeq Out of Order"));
    }
    let twice = Phone { cseq: alice.cseq - 1, ..alice.clone() }.text("Contact: <sip:a@h>;expires=0\r\n");
    alice.nc += 1;
    assert_eq!(code(&world.send(tls(1), &twice)), (500, "CSeq Out of Order"), "the same number again");
    assert_eq!(world.told(), Vec::<String>::new());
    let other = alice.calling("c2").register(&mut world, tls(1), "Contact: <sip:a@h>;expires=0\r\n");
    assert_eq!(
        (code(&other), world.told()),
        ((200, "OK"), vec!["-sip:a@h".to_owned(), "unregistered".to_owned()])
    );
}

#[test]
fn a_refresh_is_saved_and_keeps_the_binding() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@h;transport=tls>\r\n");
    let aor = Arc::from("alice@example.com");
    world.registrar.provisioned(&aor, &tls(1), 7, &mut world.out);
    world.told();
    world.pass(100);
    alice.register(&mut world, tls(1), "Contact: <sip:a@H;Transport=TLS>;expires=700\r\n");
    assert_eq!(world.told(), ["+sip:a@h;transport=tls"]);
    let [binding] = &world.stored("alice@example.com")[..] else { panic!() };
    assert_eq!(&*binding.contact, "sip:a@H;Transport=TLS");
    assert_eq!((binding.expires, binding.plan_version), (START + Duration::from_secs(800), Some(7)));
}

/// RFC 3261, 19.1.4: `;p=1` and `;p=2` are not the same, and what says nothing of `p` is the same as either; a URI that
/// contradicts itself is not even the same as itself.
#[test]
fn no_two_bindings_have_the_same_key() {
    for (uris, keys, contacts) in [
        (&["a@h;p=1", "a@h", "a@h;p=2", "a@h;p=1"][..], &["a@h;p=1"][..], &["a@h;p=1"][..]),
        (&["a@h;p=1", "a@h;p=2"], &["a@h;p=1", "a@h;p=2"], &["a@h;p=1", "a@h;p=2"]),
        (&["a@h;p=1", "a@h;p=2", "a@h"], &["a@h;p=2"], &["a@h"]),
        (&["a@h;p=1;p=2", "a@h;p=1;p=2"], &["a@h;p=1;p=2"], &["a@h;p=1;p=2"]),
    ] {
        let mut world = World::new();
        let mut alice = Phone::new("alice@example.com");
        for uri in uris {
            alice.register(&mut world, tls(1), &format!("Contact: <sip:{uri}>\r\n"));
        }
        let stored = world.stored("alice@example.com");
        let read = |texts: &[&str]| texts.iter().map(|text| format!("sip:{text}")).collect::<Vec<_>>();
        assert_eq!(stored.iter().map(|b| b.key.to_string()).collect::<Vec<_>>(), read(keys), "{uris:?}");
        assert_eq!(
            stored.iter().map(|b| b.contact.to_string()).collect::<Vec<_>>(),
            read(contacts),
            "{uris:?}"
        );
    }
}

#[test]
fn bindings_end_when_their_time_is_over_and_not_before() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@1>;expires=60, <sip:a@2>;expires=90\r\n");
    world.told();
    world.pass(59);
    assert_eq!((world.told().len(), world.contacts("alice@example.com").len()), (0, 2));
    world.pass(1);
    assert_eq!(world.told(), ["-sip:a@1", "unregistered"]);
    assert_eq!(world.registrar.poll_timeout(), Some(START + Duration::from_secs(90)));
    world.now += Duration::from_secs(30);
    assert_eq!(world.contacts("alice@example.com"), Vec::<String>::new());
}

#[test]
fn a_removed_user_is_gone_with_all_bindings_and_a_changed_one_keeps_them() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), "Contact: <sip:a@h>\r\n");
    world.told();
    world.registrar.put_user(User { site: Some("Redmond".into()), ..user("alice@example.com") });
    assert_eq!(world.registrar.user("alice@example.com").unwrap().site.as_deref(), Some("Redmond"));
    assert_eq!(world.registrar.counts(), (3, 1));
    world.registrar.remove_user("alice@example.com", &mut world.out);
    assert_eq!(world.told(), ["-sip:a@h", "unregistered"]);
    assert!(!world.registrar.knows("alice@example.com"));
    assert_eq!(alice.register(&mut world, tls(1), "").answer.code, 401);
}
