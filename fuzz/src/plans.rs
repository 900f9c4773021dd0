//! Plans and queue maps as operators write them.

use carillon_qos::plan::{Plan, QueueMap, Scope};
use carillon_qos::role::Role;
use carillon_wire::ip::Dscp;

/// A plan file. Refused with reasons that name lines of the file, or resolved the same way each time, with an
/// answer for every role in every scope; printed and read again, it is the same plan.
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
    let printed = plan.to_toml();
    let again = Plan::from_toml(&printed);
    assert_eq!(again.as_ref(), Ok(&plan), "{printed}");
    let sites = std::iter::once(None).chain(plan.sites().map(Some));
    for site in sites.take(4) {
        let scope =
            Scope { site: site.map(str::to_owned), service: plan.services().next().map(str::to_owned) };
        for role in Role::ALL {
            assert_eq!(plan.policy(role, &scope).role(), role);
        }
    }
}

/// A switch's list of marks and queues. Refused with a reason per wrong line, or a queue for every mark; the list
/// of all its marks is the same map.
pub fn queues(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let map = match QueueMap::from_list(text) {
        Ok(map) => map,
        Err(wrong) => return assert!((1..=text.lines().count()).contains(&wrong.len())),
    };
    let (usual, exceptions) = map.exceptions();
    assert!(exceptions.len() < 64 && exceptions.iter().all(|(mark, queue)| map.queue(*mark) == *queue));
    let mut list = String::new();
    for mark in (0..64).filter_map(Dscp::new) {
        assert!(map.queue(mark) < 16);
        assert_eq!(map.queue(mark) == usual, !exceptions.iter().any(|(other, _)| *other == mark));
        assert_eq!(map.shared(mark, Dscp::DEFAULT).is_some(), map.queue(mark) == map.queue(Dscp::DEFAULT));
        list += &format!("{} {}\n", mark.value(), map.queue(mark));
    }
    assert_eq!(QueueMap::from_list(&list), Ok(map));
}
