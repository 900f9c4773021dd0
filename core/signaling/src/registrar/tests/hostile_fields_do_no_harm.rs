//! What is not understood is refused, what is too long is cut, and what is kept is small.

use super::*;

#[test]
fn an_extension_that_is_not_known_is_refused_by_its_name() {
    let mut world = World::new();
    let reply =
        world.send(tls(1), &Phone::new("alice@example.com").text("Require: path, gruu\r\nRequire: x\r\n"));
    assert_eq!(
        (code(&reply), reply.fields),
        ((420, "Bad Extension"), vec![("Unsupported", "gruu, x".to_owned())])
    );
}

#[test]
fn hostile_fields_are_refused_or_cut_and_nothing_grows() {
    let mut world = World::new();
    let mut alice = Phone::new("alice@example.com");
    let long = "x".repeat(2000);
    for fields in [
        format!("Contact: <sip:a@{long}>\r\n"),
        "Contact: <sip:a\0@h>\r\n".to_owned(),
        "Contact: <tel:+49123>\r\n".to_owned(),
        "Contact: <sip:a@h>;expires=\"\r\n".to_owned(),
        format!("Contact: <sip:a@h>\r\nPath: <sip:{long};lr>\r\n"),
    ] {
        assert_eq!(alice.register(&mut world, tls(1), &fields).answer.code, 400, "{fields}");
    }
    let text = alice.text("Contact: <sip:a@h>\r\n").replace("Call-ID: c1", &format!("Call-ID: {long}"));
    assert_eq!(code(&world.send(tls(1), &text)), (400, "Call-ID Too Long"));
    let odd = format!(
        "Contact: <sip:a@h>;q=9;+sip.instance=\"a\\\"b\";reg-id=1\r\n{OUTBOUND}User-Agent: \0{long}\r\n"
    );
    assert_eq!(code(&alice.register(&mut world, tls(1), &odd)), (200, "OK"));
    let [binding] = &world.stored("alice@example.com")[..] else { panic!() };
    assert_eq!((&*binding.user_agent, &*binding.key, binding.q), (&long[..128], "sip:a@h", 1000));
    for cut in 0..odd.len().min(120) {
        alice.register(&mut world, tls(1), &format!("{}\r\n", odd[..cut].replace(['\r', '\n'], "")));
    }
}

/// What one binding costs, in bytes: the value, its counter, its texts, and its places in the indexes, with a third for
/// what trees and the allocator leave empty.
#[test]
fn a_binding_costs_less_than_a_kilobyte() {
    let mut world = World::new();
    let agent = "User-Agent: Linphone Desktop/4.2.5 (Debian) LinphoneSDK/5.0.37\r\n";
    let contact =
        "sip:alice@203.0.113.200:54321;transport=tls;gr=urn:uuid:4e0d5f3a-9df4-0026-b8f9-0f2f2b3c6c7e";
    let fields = format!("{agent}{}", outbound(contact, 1));
    Phone::new("alice@example.com").calling("Zq1~wO5uV-Bc7KkEAjw4fVvXAoHmZ2bQ").register(
        &mut world,
        tls(1),
        &fields,
    );
    let [binding] = &world.stored("alice@example.com")[..] else { panic!() };
    // What phones call themselves is one text for all of a kind.
    let texts = [&*binding.key, &*binding.contact, &*binding.call_id].map(|text| text.len() + 16);
    let texts: usize = texts.iter().sum();
    let indexes =
        size_of::<Arc<Binding>>() * 4 + size_of::<(Duration, Arc<str>)>() + size_of::<(u64, Arc<str>)>();
    let cost = (size_of::<Binding>() + 16 + texts + indexes) * 4 / 3;
    assert!(cost <= 900, "{cost}");
}

#[test]
fn a_text_that_two_fields_or_two_phones_have_is_there_once() {
    let mut world = World::new();
    let fields = |place: &str| format!("User-Agent: a phone\r\nContact: <sip:{place}>\r\n");
    let mut alice = Phone::new("alice@example.com");
    alice.register(&mut world, tls(1), &fields("alice@h"));
    let [before] = &world.stored("alice@example.com")[..] else { panic!() };
    assert!(Arc::ptr_eq(&before.key, &before.contact));
    alice.register(&mut world, tls(1), &fields("alice@h"));
    Phone::new("bob@example.com").register(&mut world, tls(2), &fields("bob@h"));
    let [again] = &world.stored("alice@example.com")[..] else { panic!() };
    assert!(
        Arc::ptr_eq(&before.contact, &again.contact) && Arc::ptr_eq(&before.key, &again.key),
        "refreshed"
    );
    let [bob] = &world.stored("bob@example.com")[..] else { panic!() };
    assert!(Arc::ptr_eq(&before.user_agent, &bob.user_agent) && !Arc::ptr_eq(&bob.key, &again.key));
    // Only where it is the same text: an instance is a key of its own, and a URI may be written otherwise.
    let mut world = World::new();
    alice.register(&mut world, tls(3), &outbound("sip:alice@h", 1));
    let [binding] = &world.stored("alice@example.com")[..] else { panic!() };
    assert!(binding.key.starts_with("+sip.instance=") && &*binding.contact == "sip:alice@h");
}
