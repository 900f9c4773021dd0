//! Dialled numbers become users, and calls go where the rules of a user send them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use carillon_signaling::{CallRules, DialRule, Dialling, Goal, Ha1, Number, Request, Undialled, User};
use carillon_wire::sip::{Method, Transport};
use support::*;

fn dialling() -> Dialling {
    let rule = |site: &str, context: &str, dialled: &str, number: &str| {
        let some = |text: &'static str| (!text.is_empty()).then_some(text);
        let (site, context) = (site.to_owned().leak(), context.to_owned().leak());
        DialRule::new(some(site), some(context), dialled, number).unwrap()
    };
    Dialling::new(vec![
        rule("Berlin", "", r"^([1-9]\d{3})$", "+4930123456$1"),
        rule("Berlin", "", "^(11[02])$", "+4930$1"),
        rule("", "", r"^00(\d+)$", "+$1"),
        rule("Berlin", "", r"^0([1-9]\d+)$", "+49$1"),
        rule("London", "", r"^(\d{4})$", "+44207946$1"),
        rule("London", "", r"^0(\d+)$", "+44$1"),
        rule("", "+4930", r"^(\d{4})$", "+4930123456$1"),
    ])
}

/// The table of `numbers/dialled.txt`: each line is a site, what is dialled, and what comes out.
#[test]
fn what_is_dialled_becomes_a_number_by_the_first_rule_of_the_site_that_fits() {
    let rules = dialling();
    let table = include_str!("numbers/dialled.txt");
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let mut read = 0;
    for line in lines {
        // What is dialled may hold a space.
        let (site, rest) = line.split_once(' ').unwrap();
        let (rest, rule) = rest.trim().rsplit_once(' ').unwrap();
        let (dialled, number) = rest.trim().rsplit_once(' ').unwrap();
        let site = Some(site).filter(|site| *site != "-");
        let came = rules.number_of(site, dialled.trim());
        let came = came.map(|(number, rule)| (number.to_string(), rule));
        let expected = (number != "-").then(|| (number.to_owned(), rule.parse().ok()));
        assert_eq!(came.ok(), expected, "{line}");
        read += 1;
    }
    assert_eq!(read, 21);
    assert_eq!(rules.number_of(Some("Berlin"), "00123456789012345678"), Err(Undialled::NoNumber(2)));
    assert_eq!(rules.number_of(Some("Berlin"), "12345"), Err(Undialled::NoRule));
}

#[test]
fn a_rule_that_could_mean_something_else_is_refused() {
    let refused = |dialled: &str, number: &str| DialRule::new(None, None, dialled, number).unwrap_err();
    for (dialled, number, why) in [
        (
            r"0(\d+)",
            "+49$1",
            r#""0(\\d+)" does not say where it begins and ends: write ^ in front and $ behind"#,
        ),
        (r"^0(\d+)$", "49$1", r#""49$1" makes no number: it does not begin with +"#),
        (r"^0(\d+)$", "+49$2", r#""+49$2" makes no number: there is no group `2` in the pattern"#),
        (r"^0(\d+)$", "+49$1000", r#""+49$1000" makes no number: there is no group `1000` in the pattern"#),
        (
            r"^0(\d+)$",
            "+49${1}-1",
            r#""+49${1}-1" makes no number: `-` is neither a digit nor a group such as $1"#,
        ),
        ("^0$", "+49$0", r#""+49$0" makes no number: there is no group `0` in the pattern"#),
    ] {
        assert_eq!(refused(dialled, number), why);
    }
    assert!(refused("^0(1$", "+49").starts_with("\"^0(1$\" is no regular expression: "));
    assert!(refused(r"^((\d{1,500}){1,500})$", "+1").contains("size limit"));
    // Alternatives are as long as what was dialled, each of them.
    let rule = DialRule::new(None, None, "^110|112$", "+49110").unwrap();
    assert!(Dialling::new(vec![rule.clone()]).number_of(None, "1109").is_err());
    assert!(Dialling::new(vec![rule]).number_of(None, "112").is_ok());
}

/// Bob has a number, and London is where carol is.
fn house() -> House {
    let mut house = House::new();
    let request =
        Request::SetDialling { dialling: dialling(), voicemail: Some("voicemail@example.com".into()) };
    house.front.handle_request(house.now, request);
    for (name, site, number) in [
        ("alice", Some("Berlin"), None),
        ("bob", Some("Berlin"), Some("+49301234567042")),
        ("carol", Some("London"), Some("+442079460000")),
        ("voicemail", None, None),
        ("dave", None, None),
    ] {
        let ha1 = Ha1::of(name, "example.com", "secret");
        let number = number.map(|number| Number::parse(number).unwrap());
        let site = site.map(str::to_owned);
        let user = User { aor: format!("{name}@example.com"), ha1, algorithms: None, site, number };
        house.front.handle_request(house.now, Request::PutUser(user));
    }
    house
}

fn set(house: &mut House, user: &str, rules: CallRules) {
    let aor = format!("{user}@example.com");
    house.front.handle_request(house.now, Request::SetRules { aor, rules });
}

fn to(user: &str) -> Option<Goal> {
    Some(Goal::Address(format!("{user}@example.com").into()))
}

/// Who has which phone: bob 2, carol 3, voicemail 4, dave 5.
fn sign_in(house: &mut House, users: &[&str]) {
    for user in users {
        house.register(user, phone(user), "");
    }
    house.wait(PATIENCE);
}

fn phone(user: &str) -> carillon_wire::sip::Flow {
    let known = ["alice", "ann", "bob", "carol", "voicemail", "dave"];
    udp(known.iter().position(|known| *known == user).unwrap() as u8)
}

/// Ann, of another domain, calls this.
fn call(house: &mut House, uri: &str) -> Vec<Sent> {
    let head = format!("Contact: <{}>\r\n", contact("ann", udp(1)));
    house.hear(udp(1), &request("INVITE", uri, udp(1), "i1", 1, "", &head))
}

/// What went to whom: start lines without their `SIP/2.0`, and the name of the user whose phone it is.
fn went(sent: &[Sent]) -> Vec<(String, &'static str)> {
    let users = ["alice", "ann", "bob", "carol", "voicemail", "dave"];
    let name = |sent: &Sent| *users.iter().find(|user| phone(user).remote == sent.to).unwrap();
    let short = |start: &str| start.trim_start_matches("SIP/2.0 ").split(' ').next().unwrap().to_owned();
    sent.iter().map(|sent| (short(sent.start()), name(sent))).collect()
}

fn expect(sent: &[Sent], expected: &[(&str, &str)]) {
    let came = went(sent);
    let came: Vec<(&str, &str)> = came.iter().map(|(what, to)| (what.as_str(), *to)).collect();
    assert_eq!(came, expected);
}

/// Alice dials it at her phone in Berlin and proves who she is.
fn dial(house: &mut House, method: &str, uri: &str) -> Vec<Sent> {
    let head = format!("Contact: <{}>\r\n", contact("alice", udp(9)));
    let text = |branch: &str, more: &str| {
        let text = request(method, uri, udp(9), branch, 1, "", &format!("{head}{more}"));
        let text = text.replace("<sip:ann@other.org>;tag=ann", "<sip:alice@example.com>;tag=alice");
        match method {
            "MESSAGE" => text.replace("h: 0\r\n\r\n", "h: 2\r\nContent-Type: text/plain\r\n\r\nhi"),
            _ => text,
        }
    };
    let challenged = house.hear(udp(9), &text("d1", ""));
    let proving = if method == "INVITE" { Method::Invite } else { Method::Message };
    let proof = authorization("alice", &challenged[0].text, proving, uri);
    house.hear(udp(9), &text("d2", &proof))
}

#[test]
fn a_dialled_number_of_a_user_rings_the_users_phones() {
    for uri in [
        "sip:7042@example.com",
        "sip:7042@example.com;user=phone",
        "sip:030-123456-7042@example.com",
        "sip:+49301234567042@192.0.2.1",
        "tel:+49-30-1234567042",
        "tel:7042;phone-context=example.com",
        "tel:7042;phone-context=+4930",
        "sip:7042;phone-context=+4930@example.com;user=phone",
    ] {
        let mut house = house();
        sign_in(&mut house, &["bob"]);
        let sent = dial(&mut house, "INVITE", uri);
        assert_eq!(sent.len(), 2, "{uri} {sent:?}");
        assert_eq!(sent[1].start(), "INVITE sip:bob@198.51.100.2:5060;transport=udp SIP/2.0", "{uri}");
        let history = [format!("<{uri}>;index=1"), "<sip:bob@example.com>;index=1.1;mp=1".to_owned()];
        assert_eq!(sent[1].all("History-Info"), history, "{uri}");
        // Who calls is not touched.
        assert_eq!(sent[1].get("From"), "<sip:alice@example.com>;tag=alice");
    }
}

#[test]
fn what_is_nobodys_number_is_refused_with_the_reason() {
    for (uri, start, reason) in [
        (
            "sip:12345@example.com",
            "SIP/2.0 484 Address Incomplete",
            "Q.850;cause=28;text=\"no rule for dialled numbers fits\"",
        ),
        (
            "tel:12345",
            "SIP/2.0 484 Address Incomplete",
            "Q.850;cause=28;text=\"no rule for dialled numbers fits\"",
        ),
        (
            "tel:7042;phone-context=+4940",
            "SIP/2.0 484 Address Incomplete",
            "Q.850;cause=28;text=\"no rule for dialled numbers fits\"",
        ),
        (
            "sip:00123456789012345678@example.com",
            "SIP/2.0 484 Address Incomplete",
            "Q.850;cause=28;text=\"the rule that fits makes no number of it\"",
        ),
        (
            "sip:0301234@example.com",
            "SIP/2.0 404 Not Found",
            "Q.850;cause=1;text=\"nobody here has this number\"",
        ),
        ("tel:+49301234", "SIP/2.0 404 Not Found", "Q.850;cause=1;text=\"nobody here has this number\""),
        ("sip:eve@example.com", "SIP/2.0 404 Not Found", ""),
    ] {
        let mut house = house();
        let sent = dial(&mut house, "INVITE", uri);
        assert_eq!((sent.len(), sent[0].start(), sent[0].get("Reason")), (1, start, reason), "{uri}");
    }
}

/// The number moves with its user, and ends with it.
#[test]
fn a_number_is_its_users_as_long_as_the_user_has_it() {
    let mut house = house();
    sign_in(&mut house, &["bob"]);
    let ha1 = Ha1::of("bob", "example.com", "secret");
    let bob = |number: Option<&str>| User {
        aor: "bob@example.com".into(),
        ha1: ha1.clone(),
        algorithms: None,
        site: None,
        number: number.map(|number| Number::parse(number).unwrap()),
    };
    house.front.handle_request(house.now, Request::PutUser(bob(Some("+4930999"))));
    assert_eq!(call(&mut house, "sip:+49301234567042@example.com")[0].start(), "SIP/2.0 404 Not Found");
    assert_eq!(call(&mut house, "sip:+4930999@example.com").len(), 2);
    house.front.handle_request(house.now, Request::RemoveUser("bob@example.com".into()));
    let text = request("INVITE", "sip:+4930999@example.com", udp(1), "i2", 2, "", "");
    assert_eq!(house.hear(udp(1), &text).last().unwrap().start(), "SIP/2.0 404 Not Found");
}

#[test]
fn a_message_to_a_number_waits_for_its_user() {
    let mut house = house();
    let sent = dial(&mut house, "MESSAGE", "sip:7042@example.com");
    assert_eq!(sent[0].start(), "SIP/2.0 202 Accepted");
    let delivered = house.register_and_hear("bob", phone("bob"), "");
    assert!(delivered.iter().any(|sent| sent.start().starts_with("MESSAGE sip:bob@")), "{delivered:?}");
}

#[test]
fn always_goes_before_the_users_own_phones() {
    let mut house = house();
    sign_in(&mut house, &["bob", "carol"]);
    set(&mut house, "bob", CallRules { always: to("carol"), ..CallRules::default() });
    let sent = call(&mut house, "sip:bob@example.com");
    expect(&sent, &[("100", "ann"), ("181", "ann"), ("INVITE", "carol")]);
    assert_eq!(sent[1].start(), "SIP/2.0 181 Call Is Being Forwarded");
    assert_eq!(sent[2].get("To"), "<sip:bob@example.com>");
    let history = ["<sip:bob@example.com>;index=1", "<sip:carol@example.com;cause=302>;index=1.1;mp=1"];
    assert_eq!(sent[2].all("History-Info"), history);
    let taken = house.hear(phone("carol"), &sent[2].answer("200 OK", "c", ""));
    expect(&taken, &[("200", "ann")]);
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn busy_goes_on_and_says_so_and_the_former_answer_is_forgotten() {
    for refused in ["486 Busy Here", "600 Busy Everywhere", "603 Decline"] {
        let mut house = house();
        sign_in(&mut house, &["bob", "carol"]);
        set(
            &mut house,
            "bob",
            CallRules {
                busy: Some(Goal::Number(Number::parse("+442079460000").unwrap())),
                ..CallRules::default()
            },
        );
        let sent = call(&mut house, "sip:bob@example.com");
        expect(&sent, &[("100", "ann"), ("INVITE", "bob")]);
        assert!(sent[1].all("History-Info").is_empty());
        let next = house.hear(phone("bob"), &sent[1].answer(refused, "b", ""));
        expect(&next, &[("ACK", "bob"), ("181", "ann"), ("INVITE", "carol")]);
        let history = [
            "<sip:bob@example.com?Reason=SIP%3Bcause%3D486>;index=1",
            "<sip:carol@example.com;cause=486>;index=1.1;mp=1",
        ];
        assert_eq!(next[2].all("History-Info"), history);
        let over = house.hear(phone("carol"), &next[2].answer("480 Gone", "c", ""));
        expect(&over, &[("ACK", "carol"), ("480", "ann")]);
    }
}

#[test]
fn what_says_nothing_of_where_the_user_is_is_the_callers_to_know() {
    let mut house = house();
    sign_in(&mut house, &["bob", "carol"]);
    let rules = CallRules {
        busy: to("carol"),
        no_answer: to("carol"),
        unreachable: to("carol"),
        ..CallRules::default()
    };
    set(&mut house, "bob", rules);
    let sent = call(&mut house, "sip:bob@example.com");
    let over = house.hear(phone("bob"), &sent[1].answer("488 Not Acceptable Here", "b", ""));
    expect(&over, &[("ACK", "bob"), ("488", "ann")]);
}

#[test]
fn nobody_answers_in_time_and_voicemail_is_told_for_whom_and_why() {
    let mut house = house();
    sign_in(&mut house, &["bob", "voicemail"]);
    let patience = Duration::from_secs(12);
    set(&mut house, "bob", CallRules { no_answer: Some(Goal::Voicemail), patience, ..CallRules::default() });
    let sent = call(&mut house, "sip:bob@example.com");
    house.hear(phone("bob"), &sent[1].answer("180 Ringing", "b", ""));
    assert!(house.wait(patience - MS).is_empty());
    let next: Vec<Sent> = house.wait(MS).into_iter().map(|(_, sent)| sent).collect();
    expect(&next, &[("CANCEL", "bob"), ("181", "ann"), ("INVITE", "voicemail")]);
    assert_eq!(next[0].get("Reason"), "SIP;cause=408;text=\"Call forwarded\"");
    let uri = "sip:voicemail@198.51.100.4:5060;transport=udp;target=sip:bob%40example.com;cause=408";
    assert_eq!(next[2].start(), format!("INVITE {uri} SIP/2.0"));
    let history = [
        "<sip:bob@example.com?Reason=SIP%3Bcause%3D408>;index=1",
        "<sip:voicemail@example.com;cause=408>;index=1.1;mp=1",
    ];
    assert_eq!(next[2].all("History-Info"), history);
    // What the phone says that was let go is nothing to the caller.
    house.hear(phone("bob"), &next[0].answer("200 OK", "b", ""));
    let late = house.hear(phone("bob"), &sent[1].answer("487 Request Terminated", "b", ""));
    expect(&late, &[("ACK", "bob")]);
    let taken = house.hear(phone("voicemail"), &next[2].answer("200 OK", "v", ""));
    expect(&taken, &[("200", "ann")]);
    house.wait(PATIENCE);
    house.assert_quiet();
}

#[test]
fn who_answers_at_the_last_moment_has_the_call() {
    let mut house = house();
    sign_in(&mut house, &["bob", "carol"]);
    set(&mut house, "bob", CallRules { no_answer: to("carol"), ..CallRules::default() });
    let sent = call(&mut house, "sip:bob@example.com");
    house.hear(phone("bob"), &sent[1].answer("180 Ringing", "b", ""));
    let next: Vec<Sent> = house.wait(Duration::from_secs(20)).into_iter().map(|(_, sent)| sent).collect();
    expect(&next, &[("CANCEL", "bob"), ("181", "ann"), ("INVITE", "carol")]);
    let taken = house.hear(phone("bob"), &sent[1].answer("200 OK", "b", ""));
    expect(&taken, &[("200", "ann")]);
    let ringing = house.hear(phone("carol"), &next[2].answer("180 Ringing", "c", ""));
    expect(&ringing, &[("CANCEL", "carol")]);
}

#[test]
fn a_phone_that_gives_up_ringing_has_not_answered_and_one_that_never_rang_was_not_there() {
    for (rings, expected) in [(true, "carol"), (false, "dave")] {
        let mut house = house();
        sign_in(&mut house, &["bob", "carol", "dave"]);
        let rules = CallRules { no_answer: to("carol"), unreachable: to("dave"), ..CallRules::default() };
        set(&mut house, "bob", rules);
        let sent = call(&mut house, "sip:bob@example.com");
        if rings {
            house.hear(phone("bob"), &sent[1].answer("180 Ringing", "b", ""));
        }
        let next = house.hear(phone("bob"), &sent[1].answer("480 Temporarily Unavailable", "b", ""));
        expect(&next, &[("ACK", "bob"), ("181", "ann"), ("INVITE", expected)]);
    }
}

#[test]
fn who_is_not_signed_in_is_reached_where_the_rules_say() {
    let mut house = house();
    sign_in(&mut house, &["voicemail"]);
    set(&mut house, "bob", CallRules { unreachable: Some(Goal::Voicemail), ..CallRules::default() });
    let sent = call(&mut house, "sip:bob@example.com");
    expect(&sent, &[("100", "ann"), ("181", "ann"), ("INVITE", "voicemail")]);
    assert!(sent[2].start().contains(";target=sip:bob%40example.com;cause=503 "), "{}", sent[2].start());
    set(&mut house, "bob", CallRules::default());
    let text = request("INVITE", "sip:bob@example.com", udp(1), "i2", 2, "", "");
    assert_eq!(house.hear(udp(1), &text)[0].start(), "SIP/2.0 480 Temporarily Unavailable");
}

#[test]
fn others_ring_along_and_know_for_whom_and_the_caller_does_not() {
    let mut house = house();
    sign_in(&mut house, &["bob", "carol", "dave", "voicemail"]);
    let along = vec![to("carol").unwrap(), to("bob").unwrap()];
    set(
        &mut house,
        "bob",
        CallRules { along, delegates: vec!["dave@example.com".into()], ..CallRules::default() },
    );
    let sent = call(&mut house, "sip:bob@example.com");
    expect(&sent, &[("100", "ann"), ("INVITE", "bob"), ("INVITE", "carol"), ("INVITE", "dave")]);
    assert!(sent[1].all("History-Info").is_empty());
    let along = |place| ["<sip:bob@example.com>;index=1".to_owned(), place];
    assert_eq!(sent[2].all("History-Info"), along("<sip:carol@example.com>;index=1.1;mp=1".to_owned()));
    assert_eq!(sent[3].all("History-Info"), along("<sip:dave@example.com>;index=1.2;mp=1".to_owned()));
    for (user, invite) in [("bob", &sent[1]), ("carol", &sent[2]), ("dave", &sent[3])] {
        house.hear(phone(user), &invite.answer("180 Ringing", user, ""));
    }
    let taken = house.hear(phone("dave"), &sent[3].answer("200 OK", "d", ""));
    expect(&taken, &[("200", "ann"), ("CANCEL", "bob"), ("CANCEL", "carol")]);
}

#[test]
fn rules_that_send_a_call_round_end_it() {
    let mut house = house();
    sign_in(&mut house, &["bob", "carol", "dave"]);
    for (user, next) in [("bob", "carol"), ("carol", "dave"), ("dave", "bob")] {
        set(&mut house, user, CallRules { always: to(next), ..CallRules::default() });
    }
    let sent = call(&mut house, "sip:bob@example.com");
    expect(&sent, &[("480", "ann")]);
    // And where each phone is busy in turn.
    for (user, next) in [("bob", "carol"), ("carol", "bob")] {
        set(&mut house, user, CallRules { busy: to(next), ..CallRules::default() });
    }
    let text = request("INVITE", "sip:bob@example.com", udp(1), "i2", 2, "", "");
    let sent = house.hear(udp(1), &text);
    let next = house.hear(phone("bob"), &sent[1].answer("486 Busy Here", "b", ""));
    let over = house.hear(phone("carol"), &next[2].answer("486 Busy Here", "c", ""));
    expect(&over, &[("ACK", "carol"), ("486", "ann")]);
}

#[test]
fn a_call_that_has_been_at_ten_stations_goes_nowhere_else() {
    for (before, goes) in [(8, true), (9, false)] {
        let mut house = house();
        sign_in(&mut house, &["bob", "carol"]);
        set(&mut house, "bob", CallRules { always: to("carol"), ..CallRules::default() });
        let told: Vec<String> =
            (1..=before).map(|n| format!("<sip:u{n}@other.org>;index=1{}", ".1".repeat(n - 1))).collect();
        let head = format!("History-Info: {}\r\n", told.join(", "));
        let sent = house.hear(udp(1), &request("INVITE", "sip:bob@example.com", udp(1), "i1", 1, "", &head));
        assert_eq!(sent.last().unwrap().start().starts_with("INVITE"), goes, "{before}");
        if goes {
            let last = format!(
                "<sip:carol@example.com;cause=302>;index=1{0};mp=1{1}",
                ".1".repeat(9),
                ".1".repeat(8)
            );
            assert_eq!(sent[2].all("History-Info").last(), Some(&last.as_str()));
        }
    }
}

#[test]
fn who_gives_up_is_not_sent_anywhere_else() {
    let mut house = house();
    sign_in(&mut house, &["bob", "carol"]);
    let rules = CallRules { busy: to("carol"), no_answer: to("carol"), ..CallRules::default() };
    set(&mut house, "bob", rules);
    let sent = call(&mut house, "sip:bob@example.com");
    house.hear(phone("bob"), &sent[1].answer("180 Ringing", "b", ""));
    let cancel = house.hear(udp(1), &request("CANCEL", "sip:bob@example.com", udp(1), "i1", 1, "", ""));
    expect(&cancel, &[("200", "ann"), ("CANCEL", "bob")]);
    let over = house.hear(phone("bob"), &sent[1].answer("486 Busy Here", "b", ""));
    expect(&over, &[("ACK", "bob"), ("486", "ann")]);
    let ack = request("ACK", "sip:bob@example.com", udp(1), "i1", 1, "b", "");
    house.hear(udp(1), &ack);
    assert!(house.wait(Duration::from_secs(60)).iter().all(|(_, sent)| !sent.start().starts_with("INVITE")));
    house.assert_quiet();
}

#[test]
fn a_secure_call_is_forwarded_to_secure_phones_only() {
    let mut house = house();
    sign_in(&mut house, &["carol"]);
    house.register("dave", stream(Transport::Tls, 7, 5), "");
    let rules = |goal| CallRules { always: to(goal), ..CallRules::default() };
    set(&mut house, "bob", rules("carol"));
    expect(&call(&mut house, "sips:bob@example.com"), &[("480", "ann")]);
    set(&mut house, "bob", rules("dave"));
    let text = request("INVITE", "sips:bob@example.com", udp(1), "i2", 2, "", "");
    let sent = house.hear(udp(1), &text);
    assert_eq!(sent.last().unwrap().to, stream(Transport::Tls, 7, 5).remote);
}

/// Who calls with whose From and whose password: what comes of it.
fn called_as(from: &str, login: &str, method: Method<'_>) -> String {
    let mut house = house();
    sign_in(&mut house, &["carol"]);
    let delegates = vec!["dave@example.com".into()];
    set(&mut house, "bob", CallRules { delegates, ..CallRules::default() });
    let text = |branch: &str, more: &str| {
        let uri = "sip:carol@example.com";
        let text = request(&method.to_string(), uri, udp(9), branch, 1, "", more);
        text.replace("<sip:ann@other.org>;tag=ann", &format!("<sip:{from}@example.com>;tag=x"))
    };
    let challenged = house.hear(udp(9), &text("d1", ""));
    let proof = authorization(login, &challenged[0].text, method, "sip:carol@example.com");
    let sent = house.hear(udp(9), &text("d2", &proof));
    let from = format!("<sip:{from}@example.com>;tag=x");
    assert!(sent.iter().all(|sent| sent.get("From") == from), "{sent:?}");
    sent.last().unwrap().start().split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_delegate_calls_on_behalf_of_who_said_so_and_does_nothing_else() {
    let carols = "sip:carol@198.51.100.3:5060;transport=udp";
    assert_eq!(called_as("bob", "dave", Method::Invite), format!("INVITE {carols}"));
    assert_eq!(called_as("bob", "bob", Method::Invite), format!("INVITE {carols}"));
    for (from, login, method) in [
        ("dave", "bob", Method::Invite),
        ("bob", "alice", Method::Invite),
        ("alice", "dave", Method::Invite),
        ("bob", "dave", Method::Message),
    ] {
        assert_eq!(called_as(from, login, method), "SIP/2.0 407", "{from} {login} {method}");
    }
}
