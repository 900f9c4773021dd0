//! What is wrong with deployed rules, queue maps and phones as such: the lints of a plan that states them.

use super::adopt::{phone_tables, queue_table, quoted, rule_table};
use super::{marks_in_between, role_of, rules_of};
use crate::export::Order;
use crate::import::{Deployed, Fact, Marker, What};
use crate::plan::{Lint, Plan, Scope};
use crate::role::Role;
use crate::rule::MarkingRule;

/// Findings that deployed things give rise to; what is wrong with the plan alone is for [`Plan::lint`].
const CODES: [&str; 12] = [
    "rule-two-sided",
    "edge-rule-source-3478",
    "rule-range-differs",
    "rule-mark-differs",
    "rule-without-ports",
    "rule-any-program",
    "rule-one-protocol",
    "signaling-rule-by-source",
    "outdated-executable",
    "two-audio-marks",
    "queue-shared",
    "queue-order",
];

/// Lints of what is deployed: a rule that loses traffic or covers too much, a range a port off, a program of an older
/// generation, two audio marks in one estate, two classes in one queue. Roles are found as in [`super::compare`].
pub fn lints(plan: &Plan, scope: &Scope, role: Option<Role>, files: &[Deployed]) -> Vec<Lint> {
    let order = Order { plan, scope: scope.clone() };
    // What is read back is what was printed, so this holds; a plan that failed here would have no lints of files.
    let Ok(estate) = Plan::from_toml(&stated(&order, role, files)) else { return Vec::new() };
    let before = plan.lint();
    let news = estate.lint().into_iter().filter(|lint| CODES.contains(&lint.code));
    let programs = files.iter().any(|file| file.marker == Marker::Host);
    news.filter(|lint| lint.code.starts_with("rule-") || !before.contains(lint))
        .filter(|lint| programs || lint.code != "rule-any-program")
        .collect()
}

/// The plan as a file, with the deployed things in the place of its own.
fn stated(order: &Order<'_>, role: Option<Role>, files: &[Deployed]) -> String {
    let mut text = order.plan.to_toml();
    // Rules come last in a printed plan.
    text.truncate(text.find("\n[[rules]]\n").unwrap_or(text.len()));
    if let Some(map) = files.iter().flat_map(|file| &file.facts).find_map(|fact| match &fact.what {
        What::Queues(map) => Some(map),
        _ => None,
    }) {
        text = without(&text, "queues");
        text.push_str(&queue_table(map));
    }
    for (family, table) in phone_tables(files) {
        text = without(&text, &format!("phones.{family}"));
        text.push_str(&table);
    }
    text.extend(role_marks(files));
    for file in files {
        let deployed = rules_of(file);
        let role = role_of(order, role, file, &deployed);
        // Lints are about what hosts do with their own traffic.
        if marks_in_between(file, role) {
            continue;
        }
        let role = role.unwrap_or(Role::Client);
        for (place, rule) in deployed {
            let named = MarkingRule { name: format!("{} ({place})", rule.name), ..rule.clone() };
            text.push_str(&rule_table(role, &named));
        }
    }
    text
}

/// Marks told to devices, each as a site that follows the plan in all else: the lint sees both.
fn role_marks(files: &[Deployed]) -> Vec<String> {
    let facts = files.iter().flat_map(|file| file.facts.iter().map(move |fact| (file, fact)));
    let table = |(number, (file, fact)): (usize, (&Deployed, &Fact))| {
        let What::Mark { role, class, mark } = &fact.what else { return None };
        let site = quoted(&format!("{}, {}, {}", file.source, fact.place, number + 1));
        Some(format!("\n[sites.{site}.roles.{role}.{class}]\ndscp = {}\n", mark.value()))
    };
    facts.enumerate().filter_map(table).collect()
}

/// A printed plan without a table: from its header to the next.
fn without(text: &str, table: &str) -> String {
    let header = format!("[{table}]");
    let mut inside = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == header;
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}
