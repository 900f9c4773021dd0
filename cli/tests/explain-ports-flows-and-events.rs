//! `carillon explain port`, `flow` and `event`: what people paste from event logs, captures and firewall requests.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod support;

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
        asked_about.contains("Not in the listener table of the Edge; not needed from the Internet"),
        "{asked_about}"
    );
    let old = text(&["port", "7100"], 0);
    assert!(old.contains("ClientSipDynamicPort 7100") && old.contains("tcp 7100-7102, client"), "{old}");
}

#[test]
fn the_last_port_that_only_documents_have_is_told_as_such() {
    let said = text(&["port", "57500"], 0);
    assert!(
        said.contains(
            "audio of conferencing, application or mediation  57500 is the last port in the product's documents; the \
             product ends at 57499."
        ),
        "{said}"
    );
    assert_eq!(json(&["port", "57500"])["planned"][0]["printed_only"], true);
    let used = text(&["port", "57499"], 0);
    assert!(used.contains("audio of conferencing, application or mediation  inside 49152-57499"), "{used}");
    assert!(used.contains("audio of edge  inside 50000-59999 of plan lync-kloud, not marked"), "{used}");
    assert!(json(&["port", "57499"])["planned"][0]["printed_only"].is_null());
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
fn sip_between_servers_says_that_no_export_marks_it_unless_the_plan_asks_for_it() {
    let roles = ["--role", "conferencing=10.1.0.0/24"];
    let ask = |plan: &str| {
        json(&[&["flow", "10.1.0.1:40000", "10.1.0.2:5061", "TCP", "--plan", plan][..], &roles].concat())
    };
    let silent = ask("lync-kloud")["there"][0].clone();
    assert_eq!(
        (&silent["class"], &silent["roles"]),
        (&"signaling".into(), &serde_json::json!(["conferencing"]))
    );
    assert!(
        silent["unruled"]
            .as_str()
            .unwrap()
            .starts_with("by Carillon's own servers alone. SIP that these servers send has no rule"),
        "{silent}"
    );
    let folder = support::Folder::new("explain-sip");
    let plan = folder.file(
        "p.toml",
        "name = \"p\"\nbase = \"lync-kloud\"\n[roles.conferencing]\nsignaling = { dscp = 24 }\n",
    );
    let asked = ask(&plan)["there"][0].clone();
    assert_eq!((&asked["mark"], &asked["unruled"]), (&24.into(), &Value::Null));
}

/// A relay has one port for all classes: where it goes tells the class.
#[test]
fn what_an_edge_relays_is_told_by_its_destination() {
    let there = |words: &[&str]| json(&[&["flow"], words].concat())["there"].clone();
    let edge = there(&["10.9.0.1:3478", "10.1.0.7:20045", "udp", "--role", "edge=10.9.0.1"]);
    assert_eq!(edge.as_array().unwrap().len(), 1, "{edge}");
    assert_eq!((&edge[0]["class"], &edge[0]["mark"]), (&"video".into(), &34.into()));
    assert_eq!(edge[0]["because"], "the Edge's rule: its destination port lies in 20040-20079");
    // Towards a conferencing server too, with the end that the rules have; and unnamed, by the relay's own ports.
    assert_eq!(there(&[":443", ":57500", "tcp"])[0]["mark"], 46);
    assert_eq!(
        there(&["10.1.0.9:3478", ":20003", "udp", "--role", "client=10.1.0.0/16"]),
        Value::Array(vec![])
    );
    let between_clients = there(&[":20003", ":20045", "udp"]);
    assert!(between_clients.to_string().contains("audio") && !between_clients.to_string().contains("Edge"));
    assert_eq!(there(&["10.9.0.1:3478", ":9", "udp", "--role", "edge=10.9.0.1"]), Value::Array(vec![]));
}

#[test]
fn events_of_qos_policies_are_told_and_a_number_is_told_once() {
    for (number, says) in [
        ("16505", "receive windows at the least (64 KB)"),
        ("16508", "the largest (16 MB)"),
        ("16704", "longer than allowed"),
        ("16707", "empty name"),
        ("16710", "names the value and the policy"),
        ("16711", "names the value and the policy"),
    ] {
        let said = text(&["event", number], 0);
        assert!(said.contains(says), "{said}");
        assert!(said.contains(&format!("as a number    {number}, 0x0000")), "{said}");
    }
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
