//! Plans as operators write them.

use carillon_qos::plan::{Plan, Scope};
use carillon_qos::role::Role;

/// A plan file. Refused with reasons that name lines of the file, or resolved the same way each time, with an
/// answer for every role in every scope.
pub fn plan(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let resolved = Plan::from_toml(text);
    assert_eq!(resolved, Plan::from_toml(text));
    let plan = match resolved {
        Ok(plan) => plan,
        Err(problems) => {
            let lines = text.split('\n').count().max(1);
            assert!(!problems.is_empty());
            assert!(
                problems.iter().all(|problem| (1..=lines).contains(&(problem.line as usize))),
                "{problems:?}"
            );
            assert!(problems.iter().all(|problem| !problem.text.is_empty()));
            return;
        }
    };
    let sites = std::iter::once(None).chain(plan.sites().map(Some));
    for site in sites.take(4) {
        let scope =
            Scope { site: site.map(str::to_owned), service: plan.services().next().map(str::to_owned) };
        for role in Role::ALL {
            assert_eq!(plan.policy(role, &scope).role(), role);
        }
    }
}
