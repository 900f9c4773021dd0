//! Windows: policy-based QoS for clients and servers, in every way in which it is installed.
//!
//! Which rules a role has is decided in `rules`; here is what of them Windows can be told, and its spellings.

mod gpo;
mod guides;
mod intune;
mod netqos;
mod pol;
mod policy;
mod registry;
pub(super) mod xml;

use super::{Order, Target, Unfit, rules};
use crate::role::Role;
use crate::rule::MarkingRule;

pub(super) const TARGETS: &[Target] =
    &[registry::TARGET, pol::TARGET, gpo::TARGET, netqos::TARGET, intune::TARGET];

/// The roles that Windows hosts play.
const ROLES: [Role; 4] = [Role::Client, Role::Conferencing, Role::Mediation, Role::Edge];

/// What the hosts of one role get.
struct Hosts {
    role: Role,
    /// For people: plan, site, role.
    title: String,
    rules: Vec<MarkingRule>,
    /// What has to be said of SIP that stays unmarked.
    unmarked_signaling: Option<String>,
    /// Programs of the plan that no Windows can have.
    left_out: Vec<String>,
}

/// What each of these roles gets; those that get nothing are left out.
fn hosts(order: &Order<'_>, roles: &[Role]) -> Result<Vec<Hosts>, Unfit> {
    let mut all = Vec::new();
    for role in roles {
        let (wanted, others): (Vec<MarkingRule>, Vec<MarkingRule>) = rules::of_role(order, *role)?
            .into_iter()
            .partition(|rule| rule.application.as_deref().is_none_or(is_program));
        let mut left_out: Vec<String> = others.into_iter().filter_map(|rule| rule.application).collect();
        left_out.sort_unstable();
        left_out.dedup();
        if !wanted.is_empty() {
            let unmarked_signaling = rules::unmarked_signaling(order, *role);
            all.push(Hosts {
                role: *role,
                title: title(order, *role),
                rules: wanted,
                unmarked_signaling,
                left_out,
            });
        }
    }
    if all.is_empty() {
        return Err(Unfit(format!(
            "plan `{}` gives Windows nothing to mark: a rule needs a class with a range and a mark, and programs \
             in `clients.executables` end in .exe",
            order.plan.name()
        )));
    }
    Ok(all)
}

/// `Carillon QoS lync-kloud client`, with the site or service where it is one's own; letters, digits and blanks only,
/// whatever a plan is called.
fn title(order: &Order<'_>, role: Role) -> String {
    let scope = [&order.scope.site, &order.scope.service].into_iter().flatten().map(String::as_str);
    let words = ["Carillon QoS", order.plan.name()].into_iter().chain(scope).chain([role.name()]);
    words.map(plain).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Longest part of a title, in characters.
const MAX_WORD: usize = 60;

fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || " .-_".contains(c) { c } else { '_' };
    text.trim().chars().take(MAX_WORD).map(plain).collect()
}

/// Whether Windows can have a program of that name or path, and takes it in a policy (event 16610 else).
fn is_program(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && !"<>\"|?*/".contains(c) && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let ends = name.to_ascii_lowercase().ends_with(".exe") && name.len() > ".exe".len();
    ends && name.chars().all(fits) && !name.starts_with(r"\\") && name.encode_utf16().count() < 260
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_windows_cannot_have_are_told_apart() {
        for name in ["lync.exe", r"%ProgramFiles%\A\B.EXE", "a'b$(x);`].exe", "ü.exe"] {
            assert!(is_program(name), "{name}");
        }
        for name in
            [".exe", "linphone", "a\"b.exe", "a\u{1}.exe", r"\\server\share\x.exe", "a/b.exe", "a|b.exe"]
        {
            assert!(!is_program(name), "{name}");
        }
    }
}
