//! A plan with mistakes is refused with all of them, each with its line.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use carillon_qos::Plan;

fn problems(text: &str) -> Vec<String> {
    Plan::from_toml(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_comes_back_at_once_in_the_order_of_lines() {
    let text = r#"
nmae = "x"
base = "lync-klaud"
[classes]
audoi = "EF"
video = "AF44"
sharing = 184
[roles.client]
audio = "20039-20000"
video = { start = 65500, count = 100 }
sharing = { ports = "1-2", prots = 3 }
signaling = "5061"
legacy-port = 5
[roles.clinet]
audio = "1-2"
[edge]
external = "nothing"
mark-internal = "yes"
[phones.vvxx]
[queues]
EF = 99
[[rules]]
name = "r"
dscp = 3
"#;
    let found = problems(text);
    let expected = [
        "line 2: nmae: unknown key; did you mean `name`?",
        "line 3: base: unknown preset \"lync-klaud\"; did you mean `lync-kloud`?",
        "line 5: classes.audoi: unknown class \"audoi\"; did you mean `audio`?",
        "line 6: classes.video: `AF44` is no DSCP",
        "line 7: classes.sharing: 184 is no DSCP: the largest is 63; as a TOS byte it is DSCP EF (46)",
        "line 9: roles.client.audio: expected a port range",
        "line 10: roles.client.video: needs start and either count or end, inside 1 to 65535",
        "line 11: roles.client.sharing.prots: unknown key; did you mean `ports`?",
        "line 12: roles.client.signaling: signaling has no media ports",
        "line 13: roles.client.legacy-port: unknown key; did you mean `legacy-ports`?",
        "line 14: roles.clinet: unknown role \"clinet\"; did you mean `client`?",
        "line 17: edge.external: unknown word \"nothing\"; known are none, plan",
        "line 18: edge.mark-internal: expected true or false, found \"yes\"",
        "line 19: phones.vvxx: unknown phone family \"vvxx\"; did you mean `vvx`?",
        "line 21: queues.EF: expected a queue from 0 to 15, found 99",
        "line 22: rules[0]: needs a `role`",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "\n{found}\n{expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn broken_toml_is_a_problem_with_its_line() {
    let found = problems("name = \"x\"\n[classes\naudio = \"EF\"\n");
    assert!(found[0].starts_with("line 2"), "{found:?}");
    assert!(problems("")[0].contains("needs a `name`"));
    assert!(problems("name = \"a\"\nname = \"b\"\n")[0].starts_with("line 2"));
}

#[test]
fn a_mark_named_twice_and_two_bases_of_a_queue_map_are_refused() {
    let found = problems("name = \"x\"\n[queues]\n46 = 1\nEF = 2\npreset = \"netgear-gs110tp\"\nother = 1\n");
    assert_eq!(
        found,
        [
            "line 4: queues.EF: EF (46) is named twice",
            "line 6: queues.other: either `preset` or `other`, not both"
        ]
    );
}

#[test]
fn a_rule_or_a_class_that_lacks_its_mark_is_refused() {
    let found = problems("name = \"x\"\n[classes.audio]\nsource = \"s\"\n[[rules]]\nname = \"r\"\n");
    assert!(found[0].starts_with("line 2: classes.audio: needs a `dscp`"), "{found:?}");
    assert!(found.iter().any(|p| p == "line 4: rules[0]: needs a `role`"), "{found:?}");
    assert!(found.iter().any(|p| p == "line 4: rules[0]: needs a `dscp`"), "{found:?}");
}
