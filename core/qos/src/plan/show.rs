//! What `plan show` prints, as data: a table per role, firewall ranges, phones.

use serde::Serialize;

use super::layer::Scope;
use super::phones::PhoneFamily;
use super::policy::ClassPolicy;
use super::{EdgeExternal, Origin, Plan, QueueMap};
use crate::class::TrafficClass;
use crate::dscp;
use crate::ports::PortRange;
use crate::role::Role;

/// A plan as tables. Ranges and marks are those that the plan sets, also while it is not in force.
#[derive(Clone, Debug, Serialize)]
pub struct PlanView {
    /// Short name.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The preset it inherits from.
    pub base: Option<String>,
    /// Whether it is in force in this scope.
    pub enabled: bool,
    /// A table for each role about whose ports the plan says something.
    pub roles: Vec<RoleView>,
    /// Where SIP listens.
    pub signaling: Vec<PortRange>,
    /// The Edge.
    pub edge: EdgeView,
    /// The phone families named in the plan.
    pub phones: Vec<PhoneFamily>,
    /// The switch's queues.
    pub queues: Option<QueueMap>,
    /// Names of the client programs.
    pub executables: Vec<String>,
    /// Whether every client range lies inside the conferencing server's range of the same class; `None`
    /// if the plan has no server ranges to compare with.
    pub clients_inside_servers: Option<bool>,
}

/// One role.
#[derive(Clone, Debug, Serialize)]
pub struct RoleView {
    /// The role.
    pub role: Role,
    /// A row for each class.
    pub rows: Vec<Row>,
    /// The single range of old clients.
    pub legacy: Option<PortRange>,
    /// What a firewall has to open for it.
    pub firewall: Firewall,
}

/// One class of a role.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The class.
    pub class: TrafficClass,
    /// The mark in decimal.
    pub dscp: u8,
    /// The mark's name, or its value where it has none.
    pub mark: String,
    /// Where the mark comes from.
    pub mark_origin: Origin,
    /// First port, count and inclusive end.
    pub ports: Option<PortRange>,
    /// Where the ports come from.
    pub ports_origin: Origin,
    /// The end that documents print, where it differs.
    pub documented_end: Option<u16>,
    /// Sessions that fit with RTP and RTCP on one port.
    pub sessions_with_mux: Option<u32>,
    /// Sessions that fit with RTP on even ports and RTCP on odd ones.
    pub sessions_without_mux: Option<u32>,
}

/// The fewest ranges that cover a role.
#[derive(Clone, Debug, Serialize)]
pub struct Firewall {
    /// The ranges, for UDP and TCP.
    pub ranges: Vec<PortRange>,
    /// Ports in them.
    pub ports: u32,
    /// Whether one range covers all.
    pub contiguous: bool,
}

/// The Edge.
#[derive(Clone, Debug, Serialize)]
pub struct EdgeView {
    /// External relay ports.
    pub ports: Option<PortRange>,
    /// Whether it marks towards the inside.
    pub mark_internal: bool,
    /// What it does with marks towards the Internet.
    pub external: EdgeExternal,
}

impl Plan {
    /// The plan as tables, as one scope sees it.
    pub fn view(&self, scope: &Scope) -> PlanView {
        PlanView {
            name: self.name.clone(),
            title: self.title.clone(),
            base: self.base.clone(),
            enabled: self.enabled_in(scope).value,
            roles: Role::ALL.into_iter().filter_map(|role| self.role_view(role, scope)).collect(),
            signaling: self.signaling_ports().to_vec(),
            edge: EdgeView {
                ports: self.edge_ports(),
                mark_internal: self.edge_marks_internal(),
                external: self.edge_external(),
            },
            phones: self.families.clone(),
            queues: self.queue_map().cloned(),
            executables: self.executables().to_vec(),
            clients_inside_servers: self.clients_inside_servers(scope),
        }
    }

    /// The fewest firewall ranges for a role's media.
    pub fn firewall(&self, role: Role, scope: &Scope) -> Firewall {
        let policy = self.planned(role, scope);
        let ranges = PortRange::merged(TrafficClass::MEDIA.into_iter().filter_map(|c| policy.ports(c)));
        let ports = ranges.iter().map(|range| range.count()).sum();
        Firewall { contiguous: ranges.len() == 1, ports, ranges }
    }

    fn clients_inside_servers(&self, scope: &Scope) -> Option<bool> {
        let pairs = self.client_and_server_ranges(scope);
        (!pairs.is_empty()).then(|| pairs.iter().all(|(_, client, server)| server.covers(*client)))
    }

    /// Client ranges beside the conferencing server's ranges of the same class.
    pub(crate) fn client_and_server_ranges(
        &self,
        scope: &Scope,
    ) -> Vec<(TrafficClass, PortRange, PortRange)> {
        let [clients, servers] = [Role::Client, Role::Conferencing].map(|role| self.planned(role, scope));
        let pair = |class| Some((class, clients.ports(class)?, servers.ports(class)?));
        TrafficClass::MEDIA.into_iter().filter_map(pair).collect()
    }

    fn role_view(&self, role: Role, scope: &Scope) -> Option<RoleView> {
        let policy = self.planned(role, scope);
        let planned = TrafficClass::MEDIA.into_iter().any(|class| policy.class(class).ports_planned);
        planned.then(|| RoleView {
            role,
            rows: TrafficClass::ALL.into_iter().map(|class| row(class, policy.class(class))).collect(),
            legacy: self.legacy_ports(role, scope).map(|ports| ports.value),
            firewall: self.firewall(role, scope),
        })
    }
}

fn row(class: TrafficClass, policy: &ClassPolicy) -> Row {
    let ports = policy.ports.value;
    Row {
        class,
        dscp: policy.mark.value.value(),
        mark: dscp::name(policy.mark.value),
        mark_origin: policy.mark.origin.clone(),
        ports,
        ports_origin: policy.ports.origin.clone(),
        documented_end: policy.documented_end,
        sessions_with_mux: ports.map(|ports| ports.sessions(true)),
        sessions_without_mux: ports.map(|ports| ports.sessions(false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str) -> RoleView {
        let view = Plan::preset(name).unwrap().view(&Scope::default());
        view.roles.into_iter().find(|view| view.role == Role::Client).unwrap()
    }

    #[test]
    fn the_phone_article_needs_one_firewall_range() {
        let firewall = client("schertz-vvx").firewall;
        assert!(firewall.contiguous);
        assert_eq!((firewall.ranges[0].to_string().as_str(), firewall.ports), ("6000-6099", 100));
    }

    #[test]
    fn rows_show_start_count_inclusive_end_and_both_session_counts() {
        let audio = client("technet").rows.into_iter().find(|row| row.class == TrafficClass::Audio).unwrap();
        let ports = audio.ports.unwrap();
        assert_eq!((ports.start(), ports.count(), ports.end()), (50020, 20, 50039));
        assert_eq!((audio.sessions_with_mux, audio.sessions_without_mux), (Some(20), Some(10)));
    }

    #[test]
    fn only_the_documents_example_lies_inside_the_server_ranges() {
        let inside = |name| Plan::preset(name).unwrap().view(&Scope::default()).clients_inside_servers;
        let found = ["technet", "lync-kloud", "schertz-vvx", "teams"].map(inside);
        assert_eq!(found, [Some(true), Some(false), Some(false), None]);
    }

    #[test]
    fn a_view_serialises_with_start_count_end_and_labels() {
        let view = Plan::preset("lync").unwrap().view(&Scope::default());
        let value = toml::Value::try_from(&view).unwrap();
        let conferencing = value["roles"].as_array().unwrap().iter();
        let conferencing = conferencing.filter(|role| role["role"].as_str() == Some("conferencing"));
        let audio = &conferencing.collect::<Vec<_>>()[0]["rows"][1];
        let ports = ["start", "count", "end"].map(|key| audio["ports"][key].as_integer().unwrap());
        assert_eq!(ports, [49152, 8348, 57499]);
        assert_eq!(audio["documented_end"].as_integer(), Some(57500));
        assert!(audio["ports_origin"]["default"]["source"].as_str().unwrap().contains("AudioPortStart"));
        assert_eq!(audio["dscp"].as_integer(), Some(0));
    }

    #[test]
    fn no_default_client_plan_opens_more_than_a_hundred_and_sixty_ports() {
        let ports =
            ["lync", "lync-kloud", "technet", "schertz-vvx", "teams"].map(|name| client(name).firewall.ports);
        assert_eq!(ports, [40, 160, 80, 100, 60]);
    }
}
