//! The verdict follows the plan, value by value [requirements 6, 24, 25, 63, 64, 213].

mod support;

use carillon_qos::Role;
use carillon_qos::verify::cause::Cause;
use carillon_qos::verify::report::{Report, Verdict};
use support::{call, tcp};

const PLAN: &str = r#"
name = "office"
[classes]
signaling = "CS3"
audio = "EF"
[roles.client]
audio = "6000-6024"
[signaling]
ports = [5061]
"#;

#[test]
fn one_wrong_packet_of_many_fails_with_its_frame_number() {
    let mut packets = call(6010, 46, 0);
    packets[31][1] = 0;
    let report = judged(PLAN, &[packets]);
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!((report.totals.judged, report.totals.wrong_mark), (50, 1));
    assert_eq!(report.flows[0].first_offending, Some(32));
    assert_eq!(report.findings[0].frame, Some(32));
}

#[test]
fn another_mark_in_the_plan_is_another_mark_expected() {
    let plan = PLAN.replace("\"EF\"", "40");
    assert_eq!(judged(&plan, &[call(6010, 40, 0)]).verdict, Verdict::Pass);
    assert_eq!(judged(&plan, &[call(6010, 46, 0)]).verdict, Verdict::Fail);
}

#[test]
fn a_class_that_the_plan_leaves_unmarked_is_expected_unmarked() {
    let plan = PLAN.replace("signaling = \"CS3\"", "signaling = \"unmarked\"");
    let signaling = |dscp| vec![tcp(40000, 5061, dscp); 5];
    assert_eq!(judged(&plan, &[call(6010, 46, 0), signaling(0)]).verdict, Verdict::Pass);
    assert_eq!(judged(&plan, &[call(6010, 46, 0), signaling(24)]).verdict, Verdict::Fail);
}

#[test]
fn while_the_plan_is_disabled_nothing_may_be_marked_and_any_port_will_do() {
    let plan = PLAN.replace("[classes]", "enabled = false\n[classes]");
    assert_eq!(judged(&plan, &[call(31000, 0, 0)]).verdict, Verdict::Pass);
    assert_eq!(judged(&plan, &[call(6010, 46, 0)]).verdict, Verdict::Fail);
}

#[test]
fn without_a_plan_the_presets_are_compared_and_nothing_is_judged() {
    let report = judged("", &[call(50005, 46, 0)]);
    assert_eq!((report.verdict, report.totals.judged), (Verdict::Unjudged, 0));
    assert_eq!(
        (report.fit[0].plan.as_str(), report.fit[0].marks, report.fit[0].ports),
        ("teams", 100.0, 100.0)
    );
    let baseline = judged(PLAN, &[call(31000, 0, 0), call(40002, 0, 0)]);
    assert_eq!(baseline.findings[0].cause, Cause::NoPlanInForce);
    assert!(baseline.findings[0].text.contains("2 between 31000 and 40002"), "{}", baseline.findings[0].text);
}

#[test]
fn every_flow_has_one_class_at_most_and_says_how_it_was_told() {
    let report =
        judged(PLAN, &[call(6010, 46, 0), vec![tcp(40000, 5061, 24); 5], vec![tcp(40001, 80, 0); 5]]);
    let told: Vec<_> =
        report.flows.iter().map(|flow| (flow.class.is_some(), flow.class_by.is_some())).collect();
    assert_eq!(told, [(true, true), (true, true), (false, false)]);
}

fn judged(plan: &str, calls: &[Vec<Vec<u8>>]) -> Report {
    support::judged(plan, Role::Client, calls)
}
