//! From the configuration of an Edge to an A/V Edge that is ready for its first packet: plan, sockets, core.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::addresses;
use carillon_net::forward::{Budgets, Coalescing, Forwarder, InKernel, NoKernel, Settings, Strangers};
use carillon_net::lease::Leases;
use carillon_qos::TrafficClass;
use carillon_qos::plan::{RolePolicy, Scope};
use carillon_relay::{Access, Limits, Listener, Marking, Peers, Rate, Relay, Transport, User, planned_ports};
use carillon_wire::ip::Dscp;

use super::places::Places;
use super::translation::Translation;
use super::{AvEdge, Counts};
use crate::certificate::external_tls;
use crate::certificate_facts::CertificateFacts;
use crate::clock::Clock;
use crate::config::{self, Addresses, EdgeConfig, Listening};
use crate::desk::{Desk, Health};
use crate::edge::start::{StartError, policy};
use crate::edge::unit::{Context, Opened, Unit};

/// What an A/V Edge was told to be, as it holds now.
pub(crate) struct Estate {
    pub(crate) config: EdgeConfig,
    /// Where the next configuration is.
    pub(super) context: Context,
    /// What the machine had on its interfaces when it was looked at last.
    pub(super) own: BTreeSet<IpAddr>,
    /// In the order of the core's configuration.
    pub(crate) listeners: Vec<Listening>,
    /// The certificate that those over TLS show.
    pub(crate) shown: Option<CertificateFacts>,
}

/// Where relay ports of a family are opened.
pub(crate) struct Side {
    pub(crate) address: IpAddr,
    /// What peers are told instead.
    pub(crate) told: IpAddr,
    pub(crate) leases: Leases,
}

/// Opens everything.
pub(in crate::edge) fn open(context: &Context) -> Result<Opened, StartError> {
    let (clock, config) = (Clock::start(), EdgeConfig::clone(&context.config.borrow()));
    let policy = policy(&config.plan.plan);
    let mut forwarder = Forwarder::new(settings(&config.relay, &policy)).map_err(StartError::Kernel)?;
    let (mut places, mut listeners) = (Places::default(), Vec::new());
    let shown = config.certificate.as_ref().map(|_| external_tls(&config)).transpose();
    let shown = shown.map_err(StartError::Certificate)?;
    for wanted in config.listening(Unit::Av) {
        let id = match wanted.transport {
            Transport::Udp => forwarder.listen(wanted.address, Dscp::DEFAULT),
            Transport::Tcp => forwarder.listen_for_streams(wanted.address, None, Dscp::DEFAULT),
            Transport::Tls => {
                let tls = shown.as_ref().map(|shown| shown.tls.clone());
                forwarder.listen_for_streams(wanted.address, tls, Dscp::DEFAULT)
            }
        };
        let id = id.map_err(StartError::Bind)?;
        let address = forwarder.listener(id).unwrap_or(wanted.address);
        places.add_listener(id, wanted.transport);
        listeners.push(Listening { address, ..wanted });
    }
    let no_kernel = config.relay.in_kernel.then(|| use_kernel(&mut forwarder, &listeners, &config)).flatten();
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    let own = own_addresses();
    let relay = Relay::new(core(&config, &own, &listeners), seed, clock.now());
    let sides = sides(&config.addresses, &policy, clock.now());
    warn_of_overlaps(&sides);
    let (desk, orders) = Desk::new(forwarder.waker(), Arc::new(Health::default()));
    let edge = AvEdge {
        forwarder,
        no_kernel,
        relay,
        places,
        translation: Translation::of(sides.iter().map(|side| (side.told, side.address))),
        sides,
        policy,
        estate: Estate {
            config,
            context: context.clone(),
            own,
            listeners,
            shown: shown.map(|shown| shown.facts),
        },
        clock,
        orders,
        counts: Counts::default(),
        refused: BTreeMap::new(),
        dials: BTreeMap::new(),
        silent_until: clock.now(),
        quota_told_until: BTreeMap::new(),
        noise_told_until: clock.now(),
        measure_at: clock.now(),
        until: None,
    };
    Ok(Opened { desk, run: Box::new(move || edge.run()) })
}

/// The core's part of the configuration. No relay reaches anything that the machine has on its interfaces, or that routers and the
/// configuration know it by.
pub(crate) fn core(
    config: &EdgeConfig,
    own: &BTreeSet<IpAddr>,
    listeners: &[Listening],
) -> carillon_relay::Config {
    let (plan, addresses, relay) = (&config.plan.plan, &config.addresses, &config.relay);
    let secrets = config.secrets.iter().map(|secret| secret.0.clone()).collect();
    let users = config.users.iter();
    let users = users.map(|user| (user.name.clone(), User { password: user.password.clone(), class: None }));
    carillon_relay::Config {
        realm: config.realm.clone(),
        listeners: listeners.iter().map(|bound| Listener { class: bound.class }).collect(),
        access: Access { users: users.collect(), secrets, ..Access::default() },
        peers: Peers {
            inside: addresses.inside.clone(),
            ports: planned_ports(plan, &Scope::default()),
            allowed: relay.peers.clone(),
            denied: relay.denied.clone(),
            own: own.iter().copied().chain(addresses.all()).collect(),
            relayed: [Some(addresses.public), addresses.external6].into_iter().flatten().collect(),
        },
        marking: Marking::of(plan, &Scope::default(), addresses.inside.clone()),
        forbids_fragments: true,
        channels_of_rfc5766: true,
        limits: Limits {
            ports: relay.allocations,
            ports_per_user: relay.allocations_per_user,
            ports_per_site: relay.allocations_per_site.unwrap_or(u32::MAX),
            answers: four_seconds_of(relay.requests_per_source),
            bindings: four_seconds_of(relay.requests_per_source),
            proofs: four_seconds_of(relay.requests_per_source.saturating_mul(10)),
            ..Limits::default()
        },
    }
}

/// So often each second; after a rest, as often as in four of them.
fn four_seconds_of(per_second: u32) -> Rate {
    Rate { per_second, at_once: per_second.saturating_mul(4) }
}

/// What the machine has on its interfaces.
fn own_addresses() -> BTreeSet<IpAddr> {
    addresses::of_this_machine().unwrap_or_else(|error| {
        tracing::warn!(
            "the addresses of this machine can't be read, so that relays are kept away from the configured ones only; the \
             service needs AF_NETLINK: {error}"
        );
        BTreeSet::default()
    })
}

/// What each relay port, each user, each site, and what is marked as audio may carry.
pub(crate) fn budgets(relay: &config::Relay, policy: &RolePolicy) -> Budgets {
    let audio = policy.mark(TrafficClass::Audio);
    Budgets {
        port: NonZeroU64::new(relay.bandwidth),
        account: NonZeroU64::new(relay.bandwidth_per_user),
        group: relay.bandwidth_per_site.and_then(NonZeroU64::new),
        policed: NonZeroU64::new(relay.audio_bandwidth)
            .map(|rate| (audio, rate))
            .filter(|_| audio != Dscp::DEFAULT),
    }
}

fn settings(relay: &config::Relay, policy: &RolePolicy) -> Settings {
    let coalescing = relay.coalesce.map(|pause| Coalescing { pause, ..Coalescing::default() });
    let per_source = relay.requests_per_source.saturating_mul(10);
    // What one source may send, all together may: else the setting would end where their limit does.
    let together = Strangers::default().together.max(per_source);
    let strangers =
        Strangers { per_source, together, connections: relay.requests_per_source, ..Strangers::default() };
    Settings { coalescing, strangers, budgets: budgets(relay, policy), ..Settings::default() }
}

/// Has the kernel carry what it can; why it can't, which is no reason not to serve.
fn use_kernel(forwarder: &mut Forwarder, listeners: &[Listening], config: &EdgeConfig) -> Option<String> {
    let listening = listeners.iter().filter(|bound| bound.transport == Transport::Udp);
    let mut addresses: Vec<IpAddr> = listening.map(|bound| bound.address.ip()).collect();
    addresses.push(config.addresses.external);
    addresses.extend(config.addresses.external6);
    match forwarder.use_kernel(&addresses) {
        Ok(()) => carried(forwarder),
        Err(why) => {
            tracing::warn!("sockets carry all media, for the fast path in the kernel can't be had: {why}");
            Some(why.to_string())
        }
    }
}

/// Says whether the kernel, which may carry media, does so now; why it doesn't.
pub(super) fn carried(forwarder: &Forwarder) -> Option<String> {
    let InKernel { interfaces, has_ipsec, .. } = forwarder.in_kernel().unwrap_or_default();
    let why = has_ipsec.then(|| NoKernel::Ipsec.to_string());
    match &why {
        None => tracing::info!(interfaces, "the kernel carries media of bound channels"),
        Some(why) => {
            tracing::warn!("sockets carry all media, for the fast path in the kernel can't be had: {why}")
        }
    }
    why
}

/// Ports that the kernel gives to anybody are not the relay's alone.
fn warn_of_overlaps(sides: &[Side]) {
    for side in sides {
        let parts: BTreeSet<_> = side.leases.overlaps_ephemeral().into_iter().map(|(_, part)| part).collect();
        for part in parts {
            tracing::warn!(
                "relay ports {part} lie in net.ipv4.ip_local_port_range, where this machine gives them to any program that asks: \
                 reserve them in net.ipv4.ip_local_reserved_ports"
            );
        }
    }
}

fn sides(addresses: &Addresses, policy: &RolePolicy, now: Duration) -> Vec<Side> {
    let seed = now.as_nanos() as u64;
    let side = |address, told| Side { address, told, leases: Leases::new(policy, address, seed) };
    let first = side(addresses.external, addresses.public);
    [Some(first), addresses.external6.map(|address| side(address, address))].into_iter().flatten().collect()
}
