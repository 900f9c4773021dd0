//! The reference in docs/plan.md keeps up with the code, and its examples are plans.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use carillon_qos::plan::{FAMILIES, PRESETS, QueueMap, lint::KINDS};
use carillon_qos::{Plan, Role, TrafficClass};

const REFERENCE: &str = include_str!("../../../docs/plan.md");

#[test]
fn the_reference_names_everything_that_a_plan_may_say() {
    let roles = Role::ALL.map(Role::name);
    let classes = TrafficClass::ALL.map(TrafficClass::name);
    let families = FAMILIES.map(|family| family.name);
    let presets = PRESETS.map(|preset| preset.name);
    let names = roles.iter().chain(&classes).chain(&families).chain(&presets);
    for name in names.chain(&QueueMap::PRESETS) {
        assert!(
            REFERENCE.contains(&format!("`{name}`")) || REFERENCE.contains(&format!("`\"{name}\"`")),
            "{name}"
        );
    }
    for kind in KINDS {
        let level = format!("{:?}", kind.level).to_lowercase();
        let row = format!("| `{}` | {level} | {} |", kind.code, kind.about);
        assert!(REFERENCE.contains(&row), "{row}");
    }
}

#[test]
fn every_key_that_an_error_lists_is_in_the_reference() {
    let problems = Plan::from_toml("qqqqqqqqqq = 1\n[edge]\nqqqqqqqqqqqqq = 1\n").unwrap_err();
    let keys = problems.iter().filter_map(|problem| problem.text.split("known are ").nth(1));
    let keys: Vec<&str> = keys.flat_map(|list| list.split(", ")).collect();
    assert!(keys.len() > 20, "{keys:?}");
    for key in keys {
        assert!(REFERENCE.contains(key), "{key}");
    }
}

#[test]
fn the_shortest_plan_of_the_reference_lints_without_errors() {
    let example = REFERENCE.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let plan = Plan::from_toml(example).unwrap();
    let errors =
        plan.lint().into_iter().filter(|lint| lint.level == carillon_qos::plan::Level::Error).count();
    assert_eq!((plan.name(), errors), ("head-office", 0));
}
