//! Things to store, and a folder of its own for each test.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]

use std::sync::Arc;
use std::time::Duration;

use carillon_signaling::{Algorithms, Binding, Change, Ha1, User};
use carillon_store::Author;
use carillon_wire::sip::{Flow, Transport};

pub const NOW: Duration = Duration::from_secs(1_800_000_000);

pub fn author() -> Author {
    Author { who: "uid 7".to_owned(), time: NOW }
}

pub fn user(name: &str) -> User {
    let ha1 = Ha1::of(name, "example.com", "secret");
    User {
        aor: format!("{name}@example.com"),
        ha1,
        algorithms: Some(Algorithms::Both),
        site: Some("Prague".into()),
        number: None,
    }
}

pub fn binding(name: &str, key: u64) -> Binding {
    Binding {
        aor: Arc::from(format!("{name}@example.com")),
        key: format!("<urn:uuid:{key}>;1").into(),
        contact: format!("sip:{name}@[2001:db8::7]:5060;transport=tls").into(),
        flow: Flow {
            transport: Transport::Tls,
            id: u64::MAX - key,
            local: "[2001:db8::1]:5061".parse().unwrap(),
            remote: "[2001:db8::7]:40000".parse().unwrap(),
        },
        path: vec!["<sip:edge.example.com;lr>".to_owned(), "<sip:\"x\",;lr>".to_owned()],
        call_id: format!("call-{key}@phone").into(),
        cseq: u32::MAX,
        q: 700,
        expires: NOW + Duration::from_millis(3_600_001),
        user_agent: "a \"phone\"".into(),
        plan_version: Some(3),
    }
}

pub fn bind(name: &str, key: u64) -> Change {
    Change::Bind(Arc::new(binding(name, key)))
}
