//! The marking rules that the hosts of one role need: decided here once, spelt by every target.

use std::collections::BTreeSet;

use carillon_wire::ip::Dscp;

use super::{Order, Unfit};
use crate::class::TrafficClass;
use crate::plan::RolePolicy;
use crate::ports::PortRange;
use crate::role::Role;
use crate::rule::{MarkingRule, Protocol};

/// The relay's program on an Edge.
const RELAY: &str = "MediaRelaySvc.exe";

/// The rules of one role. Unmarked classes have none: the absence of a rule is no mark.
///
/// Clients mark their own programs by source port, so that media is marked whatever port the other side uses, and
/// signaling by destination, whose source port is random. Servers mark by source port, whatever the program: media, as
/// the published sets do, and SIP where the plan states the signaling mark of that role. The Edge has one port for all
/// classes and marks towards the inside by the destination's port.
///
/// # Errors
/// A plan that is not in force in this scope has nothing to install.
pub fn of_role(order: &Order<'_>, role: Role) -> Result<Vec<MarkingRule>, Unfit> {
    let (plan, scope) = (order.plan, &order.scope);
    if !plan.enabled_in(scope).value {
        return Err(Unfit(format!(
            "plan `{}` is not in force here, so there is nothing to install; set `enabled = true`",
            plan.name()
        )));
    }
    let policy = plan.policy(role, scope);
    Ok(distinct(match role {
        Role::Client | Role::Phone => client(order, &policy),
        Role::Conferencing | Role::Application | Role::Gateway => {
            server(order, &policy, &TrafficClass::MEDIA)
        }
        Role::Mediation => server(order, &policy, &[TrafficClass::Audio]),
        Role::Edge => edge(order),
    }))
}

fn client(order: &Order<'_>, policy: &RolePolicy) -> Vec<MarkingRule> {
    let programs: Vec<Option<&str>> = match order.plan.executables() {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    let mut rules = Vec::new();
    for program in programs {
        let named = |class: TrafficClass| name(Role::Client, class, program);
        for (class, ports) in media(policy) {
            rules.push(MarkingRule {
                application: program.map(str::to_owned),
                source_ports: Some(ports),
                ..rule(named(class), policy.mark(class))
            });
        }
        let mark = policy.mark(TrafficClass::Signaling);
        let listeners = signaling_ports(order);
        for ports in listeners.iter().filter(|_| mark != Dscp::DEFAULT) {
            let base = named(TrafficClass::Signaling);
            rules.push(MarkingRule {
                application: program.map(str::to_owned),
                protocol: Protocol::Tcp,
                destination_ports: Some(*ports),
                ..rule(if listeners.len() == 1 { base } else { format!("{base} {ports}") }, mark)
            });
        }
    }
    rules
}

/// Where SIP listens, each range once.
fn signaling_ports(order: &Order<'_>) -> Vec<PortRange> {
    let mut ports: Vec<PortRange> = Vec::new();
    for range in order.plan.signaling_ports() {
        if !ports.contains(range) {
            ports.push(*range);
        }
    }
    ports
}

fn server(order: &Order<'_>, policy: &RolePolicy, classes: &[TrafficClass]) -> Vec<MarkingRule> {
    let of_class = |(class, ports)| MarkingRule {
        source_ports: Some(ports),
        ..rule(name(policy.role(), class, None), policy.mark(class))
    };
    let media = media(policy).filter(|(class, _)| classes.contains(class)).map(of_class);
    media.chain(sip(order, policy)).collect()
}

/// What to say of a role whose SIP gets no rule although the plan marks signaling.
pub fn unmarked_signaling(order: &Order<'_>, role: Role) -> Option<String> {
    let server = matches!(role, Role::Conferencing | Role::Application | Role::Mediation | Role::Gateway);
    let mark = order.plan.policy(role, &order.scope).mark(TrafficClass::Signaling);
    let apart = order.plan.marks_apart(role, TrafficClass::Signaling, &order.scope);
    (server && mark != Dscp::DEFAULT && !apart).then(|| {
        format!(
            "SIP that these servers send has no rule here, as in the published sets. To have it marked by its port, write `signaling = {{ dscp = {} }}` under `[roles.{role}]` in the plan.",
            mark.value()
        )
    })
}

/// SIP of a server: what it answers where SIP listens, and what it asks of other servers there. Published sets have no
/// such rules, so that a plan asks for them by stating the signaling mark of the role.
fn sip(order: &Order<'_>, policy: &RolePolicy) -> Vec<MarkingRule> {
    let (role, class) = (policy.role(), TrafficClass::Signaling);
    let mark = policy.mark(class);
    if mark == Dscp::DEFAULT || !order.plan.marks_apart(role, class, &order.scope) {
        return Vec::new();
    }
    let listeners = signaling_ports(order);
    let of_ports = |ports: &PortRange| {
        let base = name(role, class, None);
        let name = if listeners.len() == 1 { base } else { format!("{base} {ports}") };
        let asked = format!("{name} to servers");
        let tcp = |name, source_ports, destination_ports| MarkingRule {
            protocol: Protocol::Tcp,
            source_ports,
            destination_ports,
            ..rule(name, mark)
        };
        [tcp(name, Some(*ports), None), tcp(asked, None, Some(*ports))]
    };
    listeners.iter().flat_map(of_ports).collect()
}

/// Audio and video towards clients and towards conferencing servers, by their ports and with their marks.
fn edge(order: &Order<'_>) -> Vec<MarkingRule> {
    let mut rules = Vec::new();
    for class in [TrafficClass::Audio, TrafficClass::Video] {
        for role in [Role::Client, Role::Conferencing] {
            let policy = order.plan.policy(role, &order.scope);
            let Some((_, ports)) = media(&policy).find(|(other, _)| *other == class) else { continue };
            rules.push(MarkingRule {
                application: Some(RELAY.to_owned()),
                destination_ports: Some(ports),
                ..rule(format!("{} to {role}", name(Role::Edge, class, None)), policy.mark(class))
            });
        }
    }
    rules
}

/// The media classes that have a range and a mark. Where the product's documents print another end than the product
/// has, rules use the printed one: it is what estates have deployed, and the port more belongs to no other class.
fn media(policy: &RolePolicy) -> impl Iterator<Item = (TrafficClass, PortRange)> + '_ {
    TrafficClass::MEDIA.into_iter().filter_map(|class| {
        let of_class = policy.class(class);
        let ports = policy.ports(class).filter(|_| of_class.mark.value != Dscp::DEFAULT)?;
        let end = of_class.documented_end.unwrap_or(ports.end());
        Some((class, PortRange::from_ends(ports.start(), end).unwrap_or(ports)))
    })
}

fn rule(name: String, mark: Dscp) -> MarkingRule {
    MarkingRule {
        name,
        application: None,
        protocol: Protocol::Both,
        source_ports: None,
        destination_ports: None,
        mark,
    }
}

/// Longest program name that a rule's name carries, in characters.
const MAX_PROGRAM: usize = 80;

/// `Carillon client audio (lync.exe)`: only characters that no device gives a meaning, whatever the program is called.
fn name(role: Role, class: TrafficClass, program: Option<&str>) -> String {
    let Some(program) = program else { return format!("Carillon {role} {class}") };
    let file = program.rsplit(['\\', '/']).next().unwrap_or(program);
    let plain = |c: char| if c.is_ascii_alphanumeric() || " .-_".contains(c) { c } else { '_' };
    let file: String = file.chars().take(MAX_PROGRAM).map(plain).collect();
    format!("Carillon {role} {class} ({file})")
}

/// Each rule once, and no name twice: devices keep rules by name, most of them whatever the case.
fn distinct(rules: Vec<MarkingRule>) -> Vec<MarkingRule> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut kept: Vec<MarkingRule> = Vec::new();
    for mut rule in rules {
        if kept.iter().any(|other| other.same_traffic(&rule) && other.mark == rule.mark) {
            continue;
        }
        let base = rule.name.clone();
        let mut count = 1;
        while !names.insert(rule.name.to_lowercase()) {
            count += 1;
            rule.name = format!("{base} {count}");
        }
        kept.push(rule);
    }
    kept
}
