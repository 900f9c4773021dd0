//! Which caveats of a file matter to a plan: a line that takes packets towards a port where no such call goes takes
//! nothing.

use carillon_wire::ip::Dscp;

use crate::class::TrafficClass;
use crate::export::Order;
use crate::import::{Caveat, Deployed, Reach, What};
use crate::ports::PortRange;
use crate::role::Role;

/// More ports than any list of services has: who takes these takes what answers to clients.
const MANY: u32 = 1024;

/// The files with the caveats that take something away from this plan's calls.
pub(super) fn weighed(order: &Order<'_>, files: &[Deployed]) -> Vec<Deployed> {
    let media = media(order);
    let mut files = files.to_vec();
    for fact in files.iter_mut().flat_map(|file| &mut file.facts) {
        let mark = match &fact.what {
            What::Rule(rule) => Some(rule.mark),
            _ => None,
        };
        fact.caveats.retain_mut(|caveat| keep(&media, mark, caveat));
    }
    files
}

/// The ports at which media of any role begins or ends, with the mark.
fn media(order: &Order<'_>) -> Vec<(Dscp, PortRange)> {
    let policies = Role::ALL.map(|role| order.plan.policy(role, &order.scope));
    let of =
        |class| policies.iter().filter_map(move |policy| Some((policy.mark(class), policy.ports(class)?)));
    TrafficClass::MEDIA.into_iter().flat_map(of).collect()
}

/// Media goes to media of its kind: between ports of two classes the plan has no calls.
fn keep(media: &[(Dscp, PortRange)], mark: Option<Dscp>, caveat: &mut Caveat) -> bool {
    let Reach::OtherEnd(ports) = caveat.reach else { return true };
    caveat.reach = Reach::Part;
    let mut open = vec![ports];
    for (other, range) in media {
        if Some(*other) == mark && range.intersection(ports).is_some() {
            return true;
        }
        open = open.into_iter().flat_map(|open| open.minus(*range).collect::<Vec<_>>()).collect();
    }
    open.iter().map(|range| range.count()).sum::<u32>() >= MANY
}
