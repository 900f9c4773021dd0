//! Desk phones are judged by what their family can do [requirements 163, 165, 166, 171].

mod support;

use carillon_qos::Role;
use carillon_qos::verify::report::{Report, Verdict};
use support::{call, tcp};

const PLAN: &str = r#"
name = "office"
[classes]
signaling = "CS3"
audio = "EF"
video = "AF41"
[roles.client]
audio = "6000-6024"
video = "6050-6074"
[phones.vvx]
audio-start = 6000
audio = "EF"
[signaling]
ports = [5061]
"#;

#[test]
fn a_phone_may_use_either_reading_of_its_fixed_range() {
    let narrow = judged(PLAN, &[call(6010, 46, 0)]);
    assert_eq!(narrow.verdict, Verdict::Pass, "{:?}", narrow.findings);
    assert_eq!(narrow.flows[0].range.unwrap().to_string(), "6000-6023");
    let wide = judged(PLAN, &[call(6040, 46, 0)]);
    assert_eq!(wide.verdict, Verdict::Pass, "{:?}", wide.findings);
    assert_eq!(wide.flows[0].range.unwrap().to_string(), "6000-6047");
    let outside = judged(PLAN, &[call(6048, 46, 0)]);
    assert_eq!(outside.verdict, Verdict::Fail);
}

#[test]
fn without_a_video_mark_of_its_own_a_phone_marks_video_as_audio() {
    let report = judged(PLAN, &[call(6060, 46, 34)]);
    let video = &report.flows[0];
    assert_eq!(video.expected.unwrap().value(), 46, "{:?}", report.findings);
}

#[test]
fn lync_phone_edition_is_not_blamed_for_unmarked_signaling() {
    let plan =
        PLAN.replace("[phones.vvx]\naudio-start = 6000\naudio = \"EF\"", "[phones.lpe]\naudio = \"EF\"");
    let signaling: Vec<Vec<u8>> = (0..20).map(|_| tcp(49152, 5061, 0)).collect();
    let report = judged(&plan, &[call(6010, 46, 0), signaling]);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.findings);
}

#[test]
fn its_factory_default_of_40_is_no_excuse() {
    let plan = PLAN.replace("[phones.vvx]\naudio-start = 6000\naudio = \"EF\"", "[phones.lpe]");
    let report = judged(&plan, &[call(6010, 40, 0)]);
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(report.flows[0].expected.unwrap().value(), 46);
}

fn judged(plan: &str, calls: &[Vec<Vec<u8>>]) -> Report {
    support::judged(plan, Role::Phone, calls)
}
