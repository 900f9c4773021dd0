//! Files of devices, in every spelling that is read.

use carillon_qos::drift;
use carillon_qos::export::{Order, Target, rules};
use carillon_qos::import::{self, Deployed, What};
use carillon_qos::plan::{Plan, Scope};
use carillon_qos::{MarkingRule, Role};

/// A file of a device. Refused with places and reasons, or read; what was read makes a plan that can be read, and the
/// rules of that plan, exported, read back as they are.
pub fn import(data: &[u8]) {
    let read = match import::read("file", data) {
        Ok(read) => read,
        Err(notes) => {
            assert!(!notes.is_empty() && notes.len() <= 1000, "{} errors", notes.len());
            return assert!(notes.iter().all(|note| !note.place.is_empty() && !note.text.is_empty()));
        }
    };
    let files = [read];
    let (text, _) = drift::plan_from(&files);
    let plan = match Plan::from_toml(&text) {
        Ok(plan) => plan,
        Err(problems) => panic!("{problems:?}\n{text}"),
    };
    let scope = Scope::default();
    let lines = drift::compare(&plan, &scope, None, &files);
    let sound = |line: &drift::Line| match line.state {
        drift::State::Match => line.fix.is_none(),
        drift::State::Cannot => line.fix.is_some() || line.note.is_some(),
        _ => line.fix.is_some(),
    };
    assert!(lines.iter().all(sound), "{lines:?}");
    drift::lints(&plan, &scope, None, &files);
    let order = Order { plan: &plan, scope };
    for target in ["windows-reg", "windows-pol"] {
        let Some(target) = Target::named(target) else { continue };
        let Ok(exported) = (target.make)(&order) else { continue };
        for role in [Role::Client, Role::Conferencing, Role::Mediation, Role::Edge] {
            let wanted = rules::of_role(&order, role).unwrap_or_default();
            let install = [format!("windows/{role}.reg"), format!("windows/{role}/Registry.pol")];
            for file in exported.iter().filter(|file| install.contains(&file.path)) {
                let again = import::read(&file.path, &file.bytes).unwrap_or_else(|notes| panic!("{notes:?}"));
                let again = rules_of(&again);
                // Programs that Windows cannot have are not exported to it.
                assert!(again.iter().all(|rule| wanted.contains(rule)), "{again:?}\n{wanted:?}");
            }
        }
    }
}

fn rules_of(file: &Deployed) -> Vec<MarkingRule> {
    let rule = |what: &What| match what {
        What::Rule(rule) => Some(rule.clone()),
        _ => None,
    };
    file.facts.iter().filter_map(|fact| rule(&fact.what)).collect()
}
