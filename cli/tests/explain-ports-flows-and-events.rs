//! `carillon explain port`, `flow` and `event`: what people paste from event logs, captures and firewall requests.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::process::{Command, Output};

use serde_json::Value;

fn explain(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carillon")).arg("explain").args(words).output().unwrap()
}

fn text(words: &[&str], status: i32) -> String {
    let output = explain(words);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
    said
}

fn json(words: &[&str]) -> Value {
    serde_json::from_slice(&explain(&[words, &["--json"]].concat()).stdout).unwrap()
}

#[test]
fn a_port_is_told_with_every_server_that_listens_there_and_what_breaks_without_it() {
    let said = text(&["port", "8057"], 0);
    assert!(said.contains("web conferencing  tcp 8057, Front End: listens"), "{said}");
    assert!(said.contains("Web Conferencing Edge (DataProxy.exe)  tcp 8057, Edge, internal"), "{said}");
    assert!(said.contains("if closed  no whiteboard, polls or uploads in meetings"), "{said}");
    let asked_about = text(&["port", "8061"], 0);
    assert!(
        asked_about.contains("In no listener table of the Edge, and not needed from the Internet"),
        "{asked_about}"
    );
}

#[test]
fn a_port_of_the_plan_is_told_with_its_range_and_mark() {
    let said = text(&["port", "20003"], 0);
    assert_eq!(said, "audio of client or phone  inside 20000-20039 of plan lync-kloud, marked EF (46)\n");
    let teams = json(&["port", "50003", "--plan", "teams"]);
    assert_eq!((&teams["planned"][0]["class"], &teams["planned"][0]["mark"]), (&"audio".into(), &46.into()));
}

#[test]
fn a_port_that_nobody_knows_is_no_and_names_its_neighbours() {
    let said = text(&["port", "8059"], 1);
    assert!(said.contains("the nearest known ports are 8058 and 8060"), "{said}");
    assert!(text(&["port", "eighty"], 2).contains("write a number from 1 to 65535"));
}

#[test]
fn a_flow_has_a_class_and_a_mark_in_each_direction() {
    let said = json(&["flow", "10.1.0.7:20003", "[2001:db8::9]:20045", "udp"]);
    let of = |way: &str| (said[way][0]["class"].clone(), said[way][0]["mark"].clone());
    assert_eq!((of("there"), of("back")), (("audio".into(), 46.into()), ("video".into(), 34.into())));
    let named = ["flow", "10.1.0.7:50003", "10.1.0.9:20045", "udp", "--role", "conferencing=10.1.0.7"];
    assert_eq!(json(&named)["there"][0]["roles"], serde_json::json!(["conferencing"]));
    let signaling = json(&["flow", ":50003", ":5061", "tcp"]);
    assert_eq!(
        (&signaling["there"][0]["class"], &signaling["back"][0]["class"]),
        (&"signaling".into(), &"signaling".into())
    );
    assert!(text(&["flow", ":1", ":2", "udp"], 1).contains("no class of the plan"));
    assert!(text(&["flow", "nobody", ":2", "udp"], 2).contains("write ADDRESS:PORT"));
}

#[test]
fn the_number_of_a_service_that_does_not_start_is_decoded() {
    let said = text(&["event", "-2147014848"], 0);
    assert!(
        said.starts_with(
            "WSAEADDRINUSE  10048 (Windows sockets)\nAnother program holds the address and port"
        ),
        "{said}"
    );
    assert!(
        said.contains("-2147014848 or 2147952448, 0x80072740")
            && said.contains("facility 7 (Win32), code 10048")
    );
    assert!(said.contains("fix: find who holds it"), "{said}");
}

#[test]
fn an_unknown_number_is_taken_apart_and_a_misspelt_name_gets_the_nearest() {
    let said = text(&["event", "0xC3E93F6B"], 1);
    assert!(said.starts_with("not known here") && said.contains("facility 1001, code 16235"), "{said}");
    assert!(text(&["event", "WSAEADRINUSE"], 2).contains("did you mean `WSAEADDRINUSE`?"));
}
