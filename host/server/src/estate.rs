//! What the server was told to be, as it holds now.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use carillon_qos::plan::{RolePolicy, Scope};
use carillon_qos::{Plan, Role, TrafficClass};
use carillon_signaling::{Bearer, Issuer, Listener, RelayCredential, Relays};
use carillon_store::{Error, Store};
use carillon_wire::ip::Dscp;

use crate::certificate_facts::CertificateFacts;
use crate::clock::Clock;
use crate::config::{Config, ConfiguredPlan, ListenerConfig, UserRelays};
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
    /// What phones see over TLS; none where nothing speaks it.
    pub(crate) certificate: Option<CertificateFacts>,
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

    /// The relays of the users, as the Front End gives them.
    pub(crate) fn relays(&self, clock: Clock) -> Option<Relays> {
        self.config.relays.as_ref().map(|config| relays(config, clock))
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

/// Relays with credentials made of a secret; relays judge them by the clock on the wall.
fn relays(config: &UserRelays, clock: Clock) -> Relays {
    let secret = config.secret.clone();
    let issue = move |Bearer { user, site }: Bearer<'_>, class, expires| {
        let made = carillon_relay::issue_at(&secret.0, user, site, class, clock.on_the_wall(expires));
        RelayCredential { class, username: made.username, password: made.password }
    };
    Relays { servers: config.servers.clone(), lifetime: config.lifetime, issuer: Issuer(Arc::new(issue)) }
}

/// What the plan says of a Front End.
pub(crate) fn policy(plan: &Plan) -> RolePolicy {
    plan.policy(Role::Conferencing, &Scope::default())
}

/// The mark of SIP.
pub(crate) fn signaling_mark(policy: &RolePolicy) -> Dscp {
    policy.mark(TrafficClass::Signaling)
}

/// The plan that should hold: whichever changed last, that of the configuration or one that an administrator put; with its
/// version, unless it is a new one that is still to be stored.
pub(crate) fn choose_plan(
    store: &Store,
    configured: &ConfiguredPlan,
) -> Result<(Arc<Plan>, Option<u64>), Error> {
    let seen = store.configured_plan()?.is_some_and(|seen| seen.toml == configured.toml);
    if let Some(newest) = store.plan()?.filter(|_| seen) {
        match Plan::from_toml(&newest.toml) {
            Ok(plan) => return Ok((Arc::new(plan), Some(newest.version))),
            Err(problems) => tracing::error!(
                version = newest.version,
                problems = problems.len(),
                "this program refuses the newest version of the plan; that of the configuration holds instead"
            ),
        }
    }
    Ok((configured.plan.clone(), None))
}

/// Sets another mark, or after an error the old one again.
pub(crate) fn change_mark(
    old: Dscp,
    new: Dscp,
    mut set: impl FnMut(Dscp) -> io::Result<()>,
) -> io::Result<()> {
    set(new).inspect_err(|_| {
        if let Err(error) = set(old) {
            tracing::error!("some sockets keep the mark of a plan that does not hold: {error}");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_which_one_refuses_a_mark_carry_the_old_one() {
        let mut sockets = [Dscp::DEFAULT; 3];
        let mut change = |old, new, refused: Option<Dscp>| {
            let mut set = |mark| {
                sockets[..2].fill(mark);
                if refused == Some(mark) {
                    return Err(io::Error::other("refused"));
                }
                sockets[2] = mark;
                Ok(())
            };
            let changed = change_mark(old, new, &mut set).is_ok();
            (changed, sockets)
        };
        assert_eq!(change(Dscp::DEFAULT, Dscp::EF, None), (true, [Dscp::EF; 3]));
        assert_eq!(change(Dscp::EF, Dscp::DEFAULT, Some(Dscp::DEFAULT)), (false, [Dscp::EF; 3]));
    }
}
