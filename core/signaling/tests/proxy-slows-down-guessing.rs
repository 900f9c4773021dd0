//! Who guesses passwords waits, and nobody else does.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use carillon_signaling::digest::{Challenge, Login};
use carillon_signaling::{Event, Failure, LockOut, Request};
use carillon_wire::sip::{Flow, Method, Transport};
use support::*;

/// The password as a phone of `user` on `flow` says it, with a challenge that it got there. What it is told, without the
/// challenge.
fn tries(house: &mut House, flow: Flow, user: &str, password: &str) -> String {
    let at = house.front.counts().requests.values().sum::<u64>();
    let register = |cseq: u64, more: &str| {
        request("REGISTER", "sip:example.com", flow, &format!("{user}{at}x{cseq}"), cseq as u32, "", more)
            .replace("sip:ann@other.org", &format!("sip:{user}@example.com"))
            .replace("sip:bob@example.com", &format!("sip:{user}@example.com"))
            .replace("call-1", &format!("call-{}", flow.remote))
    };
    let challenged = house.hear(flow, &register(2 * at + 1, "")).remove(0);
    let challenge = Challenge::strongest([challenged.get("WWW-Authenticate").as_bytes()]).unwrap();
    let login = Login { user, password, cnonce: "0a4f113b" };
    let proof = challenge.answer(&login, Method::Register, b"sip:example.com", 1);
    let contact = format!("Contact: <{}>\r\nAuthorization: {proof}\r\n", contact(user, flow));
    let told = house.hear(flow, &register(2 * at + 2, &contact)).remove(0);
    let wait = told.get("Retry-After").to_owned();
    format!("{} {wait}", told.start().split(' ').nth(1).unwrap()).trim_end().to_owned()
}

#[test]
fn after_some_wrong_passwords_the_right_one_has_to_wait_too() {
    let mut house = House::closed();
    let phone = stream(Transport::Tls, 6, 2);
    for _ in 0..5 {
        assert_eq!(tries(&mut house, phone, "bob", "wrong"), "401");
        house.wait(SECOND);
    }
    assert_eq!(tries(&mut house, phone, "bob", "wrong"), "503 1");
    assert_eq!(tries(&mut house, phone, "bob", "secret"), "503 1");
    assert_eq!(house.trusted, []);
    house.wait(SECOND);
    assert_eq!(tries(&mut house, phone, "bob", "secret"), "200");
    let denied = house.front.counts().denied;
    let counted: Vec<_> = denied.iter().map(|(why, number)| (why.name(), *number)).collect();
    assert_eq!(counted, [("wrong-password", 5), ("too-soon", 2)]);
}

#[test]
fn what_somebody_guesses_elsewhere_keeps_no_user_out() {
    let mut house = House::closed();
    for host in 10..250 {
        tries(&mut house, udp(host), "bob", "wrong");
    }
    assert_eq!(tries(&mut house, udp(2), "bob", "secret"), "200");
    // Nor what is guessed where the user is signed in already.
    for _ in 0..10 {
        tries(&mut house, udp(2), "alice", "wrong");
        tries(&mut house, stream(Transport::Tcp, 9, 2), "bob", "wrong");
    }
    assert_eq!(tries(&mut house, udp(2), "alice", "secret"), "503 1");
    assert_eq!(tries(&mut house, udp(2), "bob", "secret"), "200");
}

/// Guesses of every kind count together; who goes on is not looked at any more, and only there.
#[test]
fn who_goes_on_guessing_is_locked_out_until_somebody_helps() {
    let mut house = House::closed();
    let (office, home) = (stream(Transport::Tls, 6, 2), stream(Transport::Tls, 7, 3));
    house.register("bob", office, "");
    let aor = "bob@example.com";
    let locked = |house: &House| house.front.locks(house.now, aor).len();
    for attempt in 0..10 {
        assert_eq!(locked(&house), 0);
        match attempt % 2 {
            0 => assert_eq!(tries(&mut house, home, "bob", "wrong"), "401"),
            // Where somebody else has checked the password.
            _ => {
                assert_eq!(house.front.may_try(house.now, aor, home.remote), Ok(()));
                house.front.tried(house.now, aor, home.remote, Err(Failure::WrongPassword));
            }
        }
        house.wait(SECOND * 120);
    }
    assert_eq!((locked(&house), house.front.count_locks(house.now)), (1, 1));
    assert_eq!(tries(&mut house, home, "bob", "secret"), "503 780");
    assert_eq!(house.front.may_try(house.now, aor, home.remote), Err(SECOND * 780));
    assert_eq!(tries(&mut house, home, "alice", "secret"), "200", "another user");
    assert_eq!(tries(&mut house, stream(Transport::Tls, 8, 4), "bob", "secret"), "200", "from elsewhere");
    assert_eq!(tries(&mut house, office, "bob", "secret"), "200", "where bob is signed in");
    assert_eq!(house.front.counts().denied[&Failure::Locked], 2);
    let told = |event: &Event| matches!(event, Event::LockedOut { aor, .. } if aor == "bob@example.com");
    assert_eq!(house.events.iter().filter(|event| told(event)).count(), 1);
    house.front.handle_request(house.now, Request::Unlock(aor.to_owned()));
    assert_eq!(tries(&mut house, home, "bob", "secret"), "200");
    assert_eq!(locked(&house), 0);
    // A rule of the administrator's own, and an end by itself.
    let rule = LockOut { attempts: 2, lasts: SECOND * 60 };
    house.front.handle_request(house.now, Request::SetLockOut(rule));
    for _ in 0..2 {
        tries(&mut house, udp(9), "carol", "wrong");
    }
    assert_eq!(tries(&mut house, udp(9), "carol", "secret"), "503 60");
    house.wait(SECOND * 60);
    assert_eq!(tries(&mut house, udp(9), "carol", "secret"), "200");
}

#[test]
fn what_was_not_looked_at_or_may_have_been_right_is_no_guess() {
    let mut house = House::closed();
    let (office, home) = (stream(Transport::Tls, 6, 2), stream(Transport::Tls, 7, 3));
    house.register("bob", office, "");
    let aor = "bob@example.com";
    assert!(house.front.is_at_home(aor, office.remote) && !house.front.is_at_home(aor, home.remote));
    assert!(!house.front.is_at_home("alice@example.com", office.remote));
    for why in [Failure::Withheld, Failure::Barred] {
        for _ in 0..20 {
            house.front.tried(house.now, aor, home.remote, Err(why));
        }
        assert_eq!(house.front.counts().denied[&why], 20);
    }
    assert_eq!(house.front.may_try(house.now, aor, home.remote), Ok(()));
    assert_eq!(tries(&mut house, home, "bob", "secret"), "200");
}

/// A guesser learns as little of who exists from the wait as from the answer.
#[test]
fn users_who_do_not_exist_are_guessed_at_as_slowly() {
    let mut house = House::closed();
    let told = |house: &mut House, user: &str, host: u8| -> Vec<String> {
        (0..8).map(|_| tries(house, udp(host), user, "wrong")).collect()
    };
    let (bob, nobody) = (told(&mut house, "bob", 2), told(&mut house, "nobody", 3));
    assert_eq!(bob, nobody);
    assert_eq!(bob[4..], ["503 1", "503 1", "503 1", "503 1"]);
}

/// Whoever writes another address into its datagrams would have that one locked out.
#[test]
fn nobody_guesses_in_the_name_of_another_address() {
    let mut house = House::closed();
    let (guesser, victim) = (udp(9), udp(2));
    let register = |cseq: u32, flow: Flow, more: &str| {
        request("REGISTER", "sip:example.com", flow, &format!("g{cseq}"), cseq, "", more)
            .replace("sip:ann@other.org", "sip:bob@example.com")
    };
    for cseq in 0..20 {
        let challenged = house.hear(guesser, &register(2 * cseq + 1, guesser, "")).remove(0);
        let proof = authorization("nobody", &challenged.text, Method::Register, "sip:example.com");
        let told = house.hear(victim, &register(2 * cseq + 2, victim, &proof)).remove(0);
        assert!(told.get("WWW-Authenticate").ends_with("stale=true"), "{}", told.text);
    }
    assert_eq!(tries(&mut house, victim, "bob", "secret"), "200");
}
