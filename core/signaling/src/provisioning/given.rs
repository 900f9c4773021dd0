//! What a client is given: the plan's answer for its site, with who decided each value.

use carillon_qos::plan::{Origin, Problem, RolePolicy, Scope};
use carillon_qos::{Plan, PortRange, Role, TrafficClass};
use carillon_wire::ip::Dscp;

use crate::dialect::settings::{settings, without_marks};
use crate::relays::RelayService;

/// Ranges and marks for one client, as the provisioning document carries them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provisioned {
    /// Which plan, and whose values of it. Unknown if a server sent nothing but Microsoft's keys.
    pub source: Option<Source>,
    /// Whether the plan is in force. If not, the classes say so too: any port from 1024 on, and no mark.
    pub enabled: bool,
    /// What each class may use; in the order of [`TrafficClass::ALL`], at most once each.
    pub classes: Vec<Given>,
    /// The one range of old clients that know only one for all media.
    pub legacy: Option<PortRange>,
    /// The mark of desk phones for voice; none: nothing is said of it.
    pub phone: Option<Dscp>,
    /// Microsoft's keys for what the management shell sets, with their values: `qosEnabled`, `ucPC2PCAVEncryption` and others.
    pub settings: Vec<(&'static str, String)>,
    /// The relays, and what opens them, for this user.
    pub relays: Option<RelayService>,
}

/// Where the values come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The plan's name.
    pub plan: String,
    /// The plan's version: one number for ranges and marks together.
    pub version: u64,
    /// Whose values these are: `global` or `site:NAME`.
    pub scope: String,
    /// Who says whether the plan is in force.
    pub enabled: String,
}

/// One class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// Which.
    pub class: TrafficClass,
    /// Its ports; none: the plan names no range.
    pub ports: Option<PortRange>,
    /// The scope that decided the ports: `default`, `global`, `site:NAME`; empty if unknown.
    pub ports_from: String,
    /// Its mark.
    pub mark: Dscp,
    /// The scope that decided the mark.
    pub mark_from: String,
}

impl Provisioned {
    /// What a client of this site is given.
    pub fn of(plan: &Plan, version: u64, site: Option<&str>) -> Provisioned {
        let known = site.filter(|site| plan.sites().any(|known| known == *site));
        let scope = Scope { site: known.map(str::to_owned), service: None };
        let (policy, enabled) = (plan.policy(Role::Client, &scope), plan.enabled_in(&scope));
        let class = |class| {
            let of = policy.class(class);
            Given {
                class,
                ports: of.ports.value,
                ports_from: from(&of.ports.origin),
                mark: of.mark.value,
                mark_from: from(&of.mark.origin),
            }
        };
        let any_port = (!enabled.value).then_some(PortRange::UNRESTRICTED);
        Provisioned {
            source: Some(Source {
                plan: plan.name().to_owned(),
                version,
                scope: known.map_or("global".to_owned(), |site| format!("site:{site}")),
                enabled: from(&enabled.origin),
            }),
            enabled: enabled.value,
            classes: TrafficClass::ALL.map(class).to_vec(),
            legacy: any_port.or_else(|| plan.legacy_ports(Role::Client, &scope).map(|ports| ports.value)),
            phone: Some(plan.policy(Role::Phone, &scope).mark(TrafficClass::Audio)),
            settings: settings(plan, known, enabled.value),
            relays: None,
        }
    }

    /// The same for a client that takes no part, as mobile ones: no ranges and no marks, whatever the plan has.
    pub(crate) fn without_part(self) -> Provisioned {
        let source = self.source.map(|source| Source { enabled: "mobile".to_owned(), ..source });
        let settings = without_marks(self.settings);
        Provisioned {
            source,
            enabled: false,
            classes: Vec::new(),
            legacy: None,
            phone: None,
            settings,
            ..self
        }
    }

    /// What was given for a class.
    pub fn class(&self, class: TrafficClass) -> Option<&Given> {
        self.classes.iter().find(|given| given.class == class)
    }

    /// The same as a policy, as port leases want it.
    ///
    /// # Errors
    /// What a plan with these values would be refused for.
    pub fn policy(&self) -> Result<RolePolicy, Vec<Problem>> {
        let marks = self.classes.iter().map(|given| format!("{} = {}\n", given.class, given.mark.value()));
        let media = self.classes.iter().filter(|given| given.class.is_media());
        let ports = media.filter_map(|given| Some(format!("{} = \"{}\"\n", given.class, given.ports?)));
        let (marks, ports): (String, String) = (marks.collect(), ports.collect());
        let enabled = self.enabled;
        let plan =
            format!("name = \"provisioned\"\nenabled = {enabled}\n[classes]\n{marks}[roles.client]\n{ports}");
        Ok(Plan::from_toml(&plan)?.policy(Role::Client, &Scope::default()))
    }
}

fn from(origin: &Origin) -> String {
    match origin {
        Origin::Default { .. } => "default".to_owned(),
        Origin::Set { scope, .. } => scope.clone(),
    }
}
