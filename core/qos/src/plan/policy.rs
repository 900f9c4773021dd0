//! What one role does in one scope: the answer that sockets, exports and verdicts are made from.

use carillon_wire::ip::Dscp;
use serde::Serialize;

use super::layer::{Layer, Ports, Scope};
use super::{Origin, Plan, Setting};
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::role::Role;

/// What one role does with one class.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ClassPolicy {
    /// The mark; [`Dscp::DEFAULT`] when the class stays unmarked.
    #[serde(serialize_with = "mark_as_number")]
    pub mark: Setting<Dscp>,
    /// The ports; `None` when the class has no range (any port, or none planned).
    pub ports: Setting<Option<PortRange>>,
    /// The end that the product's documents print, where it differs from what the product does.
    pub documented_end: Option<u16>,
    /// Whether the plan says anything about the ports; `false` tells "nobody planned it" from "any port".
    pub ports_planned: bool,
}

/// What one role does with every class.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RolePolicy {
    role: Role,
    classes: [ClassPolicy; 6],
}

impl RolePolicy {
    /// Whose policy this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Everything about one class.
    pub fn class(&self, class: TrafficClass) -> &ClassPolicy {
        let [signaling, audio, video, sharing, file_transfer, management] = &self.classes;
        match class {
            TrafficClass::Signaling => signaling,
            TrafficClass::Audio => audio,
            TrafficClass::Video => video,
            TrafficClass::Sharing => sharing,
            TrafficClass::FileTransfer => file_transfer,
            TrafficClass::Management => management,
        }
    }

    /// The mark of one class.
    pub fn mark(&self, class: TrafficClass) -> Dscp {
        self.class(class).mark.value
    }

    /// The range of one class, if it has one.
    pub fn ports(&self, class: TrafficClass) -> Option<PortRange> {
        self.class(class).ports.value
    }

    /// The classes whose range holds this port: one in a sound plan, several where ranges overlap.
    pub fn classes_of_port(&self, port: u16) -> impl Iterator<Item = TrafficClass> + '_ {
        TrafficClass::MEDIA
            .into_iter()
            .filter(move |class| self.ports(*class).is_some_and(|ports| ports.contains(port)))
    }
}

impl Plan {
    /// What this role does. While the plan is not in force nobody marks, and clients and phones use any
    /// port from 1024 on, whatever ranges are set; servers keep their ranges, which no switch turns off.
    pub fn policy(&self, role: Role, scope: &Scope) -> RolePolicy {
        let mut policy = self.planned(role, scope);
        let enabled = self.enabled_in(scope);
        if !enabled.value {
            for (class, of_class) in TrafficClass::ALL.into_iter().zip(&mut policy.classes) {
                of_class.mark = Setting { value: Dscp::DEFAULT, origin: enabled.origin.clone() };
                if class.is_media() && matches!(role, Role::Client | Role::Phone) {
                    of_class.ports =
                        Setting { value: Some(PortRange::UNRESTRICTED), origin: enabled.origin.clone() };
                    of_class.documented_end = None;
                }
            }
        }
        policy
    }

    /// What this role would do if the plan were in force.
    pub fn planned(&self, role: Role, scope: &Scope) -> RolePolicy {
        RolePolicy { role, classes: TrafficClass::ALL.map(|class| self.class_policy(role, class, scope)) }
    }

    /// Whether the mark of a role's class is said for that role, and not for the class as a whole.
    pub fn marks_apart(&self, role: Role, class: TrafficClass, scope: &Scope) -> bool {
        self.layers(scope).iter().any(|named| named.layer.role_marks.contains_key(&(role, class)))
    }

    /// Whether the plan is in force in this scope, and who says so.
    pub fn enabled_in(&self, scope: &Scope) -> Setting<bool> {
        let said = self.layers(scope).into_iter().find_map(|named| named.layer.enabled.clone());
        said.unwrap_or_else(|| Setting { value: true, origin: Origin::unset() })
    }

    /// The single range of old clients that know only one for all media.
    pub fn legacy_ports(&self, role: Role, scope: &Scope) -> Option<Setting<PortRange>> {
        self.layers(scope).into_iter().find_map(|named| named.layer.legacy_ports.get(&role).cloned())
    }

    fn class_policy(&self, role: Role, class: TrafficClass, scope: &Scope) -> ClassPolicy {
        let layers = self.layers(scope);
        let said = layers.iter().find_map(|named| ports_in(named.layer, role, class));
        let said = said.cloned().or_else(|| self.edge_relay_ports(role, class));
        let documented_end = said.as_ref().and_then(|ports| match ports.value {
            Ports::Range { documented_end, .. } => documented_end,
            Ports::Any => None,
        });
        let ports_planned = said.is_some();
        let ports = match said {
            Some(ports) => ports.map(Ports::range),
            None => Setting { value: None, origin: Origin::unset() },
        };
        ClassPolicy { mark: self.mark_of(role, class, scope), ports, documented_end, ports_planned }
    }

    fn mark_of(&self, role: Role, class: TrafficClass, scope: &Scope) -> Setting<Dscp> {
        let layers = self.layers(scope);
        let said = layers.iter().find_map(|named| mark_in(named.layer, role, class)).cloned();
        match (&self.edge.mark_internal, role) {
            (Some(mark), Role::Edge) if !mark.value => {
                Setting { value: Dscp::DEFAULT, origin: mark.origin.clone() }
            }
            (None, Role::Edge) => {
                let source = "the Edge neither keeps nor sets marks unless edge.mark-internal = true";
                Setting { value: Dscp::DEFAULT, origin: Origin::Default { source: source.to_owned() } }
            }
            _ => said.unwrap_or_else(|| Setting { value: Dscp::DEFAULT, origin: Origin::unset() }),
        }
    }

    /// The relay does not sort its external ports by class: one range serves all media.
    fn edge_relay_ports(&self, role: Role, class: TrafficClass) -> Option<Setting<Ports>> {
        let ports = self.edge.ports.clone().filter(|_| role == Role::Edge && class.is_media())?;
        Some(ports.map(|range| Ports::Range { range, documented_end: None }))
    }
}

/// Roles whose values apply, the winner first: a phone follows the clients unless told otherwise.
pub(crate) fn role_chain(role: Role) -> &'static [Role] {
    match role {
        Role::Phone => &[Role::Phone, Role::Client],
        Role::Client => &[Role::Client],
        Role::Conferencing => &[Role::Conferencing],
        Role::Application => &[Role::Application],
        Role::Mediation => &[Role::Mediation],
        Role::Edge => &[Role::Edge],
        Role::Gateway => &[Role::Gateway],
    }
}

fn ports_in(layer: &Layer, role: Role, class: TrafficClass) -> Option<&Setting<Ports>> {
    role_chain(role).iter().find_map(|role| layer.role_ports.get(&(*role, class)))
}

fn mark_in(layer: &Layer, role: Role, class: TrafficClass) -> Option<&Setting<Dscp>> {
    let of_role = role_chain(role).iter().find_map(|role| layer.role_marks.get(&(*role, class)));
    of_role.or_else(|| layer.marks.get(&class))
}

fn mark_as_number<S: serde::Serializer>(mark: &Setting<Dscp>, serializer: S) -> Result<S::Ok, S::Error> {
    Setting { value: mark.value.value(), origin: mark.origin.clone() }.serialize(serializer)
}
