//! Ranges against each other, against listeners, against the servers.

use super::super::phones::PortControl;
use super::super::{Plan, Scope};
use super::kinds::*;
use super::{Findings, Level};
use crate::class::TrafficClass;
use crate::ports::PortRange;
use crate::reference::Service;
use crate::role::Role;

/// `net.ipv4.ip_local_port_range` of Linux as installed.
const LINUX_EPHEMERAL: (u16, u16) = (32768, 60999);

const LEAST_PORTS: u32 = 20;
const LEAST_LEGACY_PORTS: u32 = 40;
const SANE_CLIENT_PORTS: u32 = 100;

/// A range with its name for messages: `audio`, `legacy`.
type NamedRange = (&'static str, PortRange);

impl Plan {
    pub(super) fn check_ports(&self, role: Role, scope: &Scope, findings: &mut Findings) {
        let ranges = self.own_ranges(role, scope);
        self.check_overlaps(role, scope, &ranges, findings);
        for (name, range) in &ranges {
            self.check_listeners(role, name, *range, findings);
            self.check_edge_range(role, name, *range, findings);
            check_ephemeral(role, name, *range, findings);
        }
        self.check_documented_ends(role, scope, findings);
        if role == Role::Client {
            self.check_client_ports(scope, &ranges, findings);
        }
    }

    pub(super) fn check_roles_together(&self, scope: &Scope, findings: &mut Findings) {
        for (class, client, server) in self.client_and_server_ranges(scope) {
            if !server.covers(client) {
                let text = format!("client {class} {client} is not inside conferencing {class} {server}");
                findings.add(CLIENT_OUTSIDE, text);
            }
            let (ports, enough) = (server.count(), client.count());
            if ports < enough {
                let text = format!(
                    "conferencing {class} {server} has {ports} ports, client {class} {client} has {enough}"
                );
                findings.add(SERVER_SMALL, text);
            }
        }
        let [servers, applications] =
            [Role::Conferencing, Role::Application].map(|role| self.planned(role, scope));
        let sharing = (servers.ports(TrafficClass::Sharing), applications.ports(TrafficClass::Sharing));
        if let (Some(conferencing), Some(application)) = sharing
            && conferencing != application
        {
            let text =
                format!("sharing is {conferencing} for conferencing and {application} for application");
            findings.add(SHARING_MISMATCH, text);
        }
    }

    /// The media ranges of a role, but not those that it merely takes from another place of the plan.
    fn own_ranges(&self, role: Role, scope: &Scope) -> Vec<NamedRange> {
        let policy = self.planned(role, scope);
        let borrowed = match role {
            Role::Phone => Some(self.planned(Role::Client, scope)),
            _ => None,
        };
        let own = |class: &TrafficClass| match (role, &borrowed) {
            (Role::Edge, _) => policy.ports(*class) != self.edge_ports(),
            (_, Some(client)) => policy.ports(*class) != client.ports(*class),
            _ => true,
        };
        let media = TrafficClass::MEDIA.into_iter().filter(own);
        let media = media.filter_map(|class| Some((class.name(), policy.ports(class)?)));
        let legacy = self.legacy_ports(role, scope).map(|ports| ("legacy", ports.value));
        media.chain(legacy).collect()
    }

    fn check_overlaps(&self, role: Role, scope: &Scope, ranges: &[NamedRange], findings: &mut Findings) {
        let idle = matches!(role, Role::Client | Role::Phone) && !self.enabled_in(scope).value;
        let (level, note) = match idle {
            true => (Level::Advice, "; change this before the plan is enabled"),
            false => (Level::Error, ""),
        };
        let media: Vec<&NamedRange> = ranges.iter().filter(|(name, _)| *name != "legacy").collect();
        let all_alike = media.len() > 2 && media.windows(2).all(|pair| matches!(pair, [a, b] if a.1 == b.1));
        if all_alike {
            let list: Vec<String> = media.iter().map(|(name, range)| format!("{name} {range}")).collect();
            let text = format!("{} are the same ports{note}", list.join(", "));
            return findings.add_for(role.name(), DEFAULT_RANGES, level, text);
        }
        for (at, (name, range)) in ranges.iter().enumerate() {
            for (other_name, other) in ranges.iter().skip(at + 1) {
                if let Some(shared) = range.intersection(*other) {
                    let text = format!("{name} {range} and {other_name} {other} share {shared}{note}");
                    findings.add_for(role.name(), RANGES_OVERLAP, level, text);
                }
            }
        }
    }

    fn check_listeners(&self, role: Role, name: &str, range: PortRange, findings: &mut Findings) {
        for service in Service::everywhere().filter(|service| range.contains(service.first)) {
            let text = format!("{name} {range} contains {} ({})", service.first, service.name);
            findings.add_for(role.name(), CONTAINS_LISTENER, Level::Error, text);
        }
        for listener in self.signaling_ports() {
            let known = Service::everywhere().any(|service| service.ports() == Some(*listener));
            if let Some(shared) = range.intersection(*listener).filter(|_| !known) {
                let text = format!("{name} {range} and signaling {listener} share {shared}");
                findings.add_for(role.name(), CONTAINS_LISTENER, Level::Error, text);
            }
        }
    }

    fn check_edge_range(&self, role: Role, name: &str, range: PortRange, findings: &mut Findings) {
        let Some(edge) = self.edge_ports() else { return };
        if let Some(shared) = range.intersection(edge) {
            let (level, note) = match role {
                Role::Edge => (Level::Error, "on the same host"),
                _ => (Level::Advice, "on another host, so calls work"),
            };
            let text = format!("{name} {range} and the Edge's {edge} share {shared}, {note}");
            findings.add_for(role.name(), OVERLAPS_EDGE, level, text);
        }
    }

    fn check_documented_ends(&self, role: Role, scope: &Scope, findings: &mut Findings) {
        let policy = self.planned(role, scope);
        for class in TrafficClass::MEDIA {
            let (Some(range), Some(end)) = (policy.ports(class), policy.class(class).documented_end) else {
                continue;
            };
            let Some(documented) = PortRange::from_ends(range.start(), end) else { continue };
            let (word, off) = match end > range.end() {
                true => ("longer", documented.minus(range).next()),
                false => ("shorter", range.minus(documented).next()),
            };
            let Some(off) = off else { continue };
            let ports = if off.count() == 1 { "1 port".to_owned() } else { format!("{} ports", off.count()) };
            let text = format!("{class} {range}, in documents {documented}: {ports} {word} ({off})");
            findings.add_for(role.name(), DOCUMENTED_END, Level::Warning, text);
        }
    }

    fn check_client_ports(&self, scope: &Scope, ranges: &[NamedRange], findings: &mut Findings) {
        for (name, range) in ranges {
            match *name {
                "legacy" if range.count() < LEAST_LEGACY_PORTS => findings.add(
                    LEGACY_SMALL,
                    format!("client: legacy {range} has {} ports of {LEAST_LEGACY_PORTS}", range.count()),
                ),
                "legacy" => {}
                _ if range.count() < LEAST_PORTS => findings.add(
                    TOO_FEW,
                    format!("client: {name} {range} has {} ports of {LEAST_PORTS}", range.count()),
                ),
                _ => {}
            }
        }
        if self.enabled_in(scope).value {
            self.check_all_planned(scope, findings);
        }
        let firewall = self.firewall(Role::Client, scope);
        let list: Vec<String> = firewall.ranges.iter().map(ToString::to_string).collect();
        if list.len() > 1 {
            let text = format!("client: {} firewall ranges: {}", list.len(), list.join(", "));
            findings.add(NOT_CONTIGUOUS, text);
        }
        if firewall.ports > SANE_CLIENT_PORTS {
            let text = format!("client: {} ports to open: {}", firewall.ports, list.join(", "));
            findings.add(MANY_PORTS, text);
        }
    }

    fn check_all_planned(&self, scope: &Scope, findings: &mut Findings) {
        let policy = self.planned(Role::Client, scope);
        let unset = TrafficClass::MEDIA.into_iter().filter(|class| !policy.class(*class).ports_planned);
        let unset: Vec<&str> = unset.map(TrafficClass::name).collect();
        if !unset.is_empty() {
            let text =
                format!("client: no ports for {}; write a range, or \"any\" on purpose", unset.join(", "));
            findings.add(MODALITY_UNSET, text);
        }
    }

    pub(super) fn check_estate(&self, findings: &mut Findings) {
        if let Some(ports) = &self.voicemail
            && ports.value == PortRange::UNRESTRICTED
            && self.enabled()
        {
            findings.add(VOICEMAIL, format!("voicemail uses {}", ports.value));
        }
        let gateways = self.phones().iter().filter(|phone| phone.family.ports == PortControl::BaseAndSpacing);
        for phone in gateways {
            if self.planned(Role::Gateway, &Scope::default()).ports(TrafficClass::Audio).is_none() {
                let text = format!("{}: state its ports as roles.gateway.audio", phone.family.name);
                findings.add(PHONE_UNCONFIGURED, text);
            }
        }
    }
}

fn check_ephemeral(role: Role, name: &str, range: PortRange, findings: &mut Findings) {
    let (start, end) = LINUX_EPHEMERAL;
    let shared = PortRange::from_ends(start, end).and_then(|ephemeral| range.intersection(ephemeral));
    if let Some(shared) = shared {
        let text = format!("{name} {range} and Linux's ephemeral {start}-{end} share {shared}");
        findings.add_for(role.name(), EPHEMERAL, Level::Advice, text);
    }
}
