//! What the server was told to be, as it holds now.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use carillon_qos::plan::{RolePolicy, Scope};
use carillon_qos::{Plan, Role, TrafficClass};
use carillon_signaling::Listener;
use carillon_store::{Author, Error, PlanSource, Store};
use carillon_wire::ip::Dscp;

use crate::config::{Config, ConfiguredPlan, ListenerConfig};
use crate::users::Rules;

/// Configuration, plan and listeners.
pub(crate) struct Estate {
    pub(crate) config: Config,
    /// Where it is read from again; `None` for one that was made up (`--dev`).
    pub(crate) file: Option<PathBuf>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) plan_version: u64,
    pub(crate) listeners: Vec<Bound>,
    /// What SIP sockets carry.
    pub(crate) mark: Dscp,
}

/// A listener that is open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bound {
    pub(crate) config: ListenerConfig,
    /// With the real port.
    pub(crate) address: SocketAddr,
}

impl Estate {
    /// The listeners as the Front End knows them.
    pub(crate) fn front_end_listeners(&self) -> Vec<Listener> {
        self.listeners.iter().map(|bound| bound.listener(&self.config.name)).collect()
    }

    /// Who may be a user.
    pub(crate) fn rules(&self) -> Rules {
        Rules::new(&self.config, &self.plan)
    }
}

impl Bound {
    pub(crate) fn listener(&self, name: &str) -> Listener {
        Listener {
            transport: self.config.transport,
            address: self.address,
            advertised: self.config.advertised(name, self.address),
            algorithms: self.config.algorithms,
        }
    }
}

/// What the plan says of a Front End.
pub(crate) fn policy(plan: &Plan) -> RolePolicy {
    plan.policy(Role::Conferencing, &Scope::default())
}

/// The mark of SIP.
pub(crate) fn signaling_mark(policy: &RolePolicy) -> Dscp {
    policy.mark(TrafficClass::Signaling)
}

/// The plan that holds: whichever changed last, that of the configuration or one that an administrator put. A plan of the
/// configuration that is not the one seen last becomes a new version.
pub(crate) fn adopt_plan(
    store: &mut Store,
    configured: &ConfiguredPlan,
    author: &Author,
) -> Result<(Arc<Plan>, u64), Error> {
    let seen = store.configured_plan()?.is_some_and(|seen| seen.toml == configured.toml);
    if let Some(newest) = store.plan()?.filter(|_| seen) {
        match Plan::from_toml(&newest.toml) {
            Ok(plan) => return Ok((Arc::new(plan), newest.version)),
            Err(problems) => tracing::error!(
                version = newest.version,
                problems = problems.len(),
                "this program refuses the newest version of the plan; that of the configuration holds instead"
            ),
        }
    }
    let version = store.put_plan(&configured.toml, PlanSource::Configuration, author)?;
    Ok((configured.plan.clone(), version))
}
