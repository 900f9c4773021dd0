//! From what a file says to what it means: presets inherited, origins kept, references checked.

use std::collections::BTreeMap;

use super::layer::Layer;
use super::phones::Phone;
use super::preset;
use super::problem::{Problem, suggest};
use super::raw::{At, RawLayer, RawPhone, RawPlan};
use super::{Edge, Origin, Plan, Setting};
use crate::ports::PortRange;

/// Where SIP over TLS listens unless a plan says more.
const SIP_TLS: u16 = 5061;

/// The plan that a file means. Problems are added to those found while reading; with any, it is void.
pub(super) fn resolve(raw: RawPlan, problems: &mut Vec<Problem>) -> Plan {
    let base = raw.base.as_ref().and_then(|base| {
        let found = preset::as_base(&base.value);
        if found.is_none() {
            let known = preset::PRESETS.map(|preset| preset.name);
            let text = format!("unknown preset {:?}{}", base.value, suggest(&base.value, known));
            problems.push(Problem { line: base.line, path: "base".to_owned(), text });
        }
        found
    });
    if raw.base.is_none() && raw.name.is_none() {
        let text = "a plan needs a `name`, or a `base` to take it from";
        problems.push(Problem { line: 1, path: String::new(), text: text.to_owned() });
    }
    let mut plan = alone(raw);
    if let Some(base) = base {
        inherit(&mut plan, base);
    }
    plan
}

/// What the file means without its base.
fn alone(raw: RawPlan) -> Plan {
    let name = raw.name.map(|name| name.value).unwrap_or_default();
    let global = "global";
    let sites = raw.sites.into_iter().map(|(name, raw)| (name.clone(), layer(raw, &format!("site:{name}"))));
    let services =
        raw.services.into_iter().map(|(name, raw)| (name.clone(), layer(raw, &format!("service:{name}"))));
    let phones: Vec<Phone> = raw.phones.into_iter().map(phone).collect();
    Plan {
        title: raw.title.map(|title| title.value).unwrap_or_default(),
        base: raw.base.map(|base| base.value),
        global: layer(raw.global, global),
        sites: sites.collect(),
        services: services.collect(),
        signaling: raw.signaling.map_or_else(sip_tls, |ports| set(ports, global)),
        families: phones.iter().map(|phone| phone.family).collect(),
        phones,
        edge: Edge {
            ports: raw.edge.ports.map(|ports| set(ports, global)),
            mark_internal: raw.edge.mark_internal.map(|mark| set(mark, global)),
            external: raw.edge.external.map(|external| set(external, global)),
        },
        queues: raw.queues.map(|queues| set(queues, global)),
        executables: raw.executables.map(|names| set(names, global)),
        servers: raw.servers.map(|networks| set(networks, global)),
        voicemail: raw.voicemail.map(|ports| set(ports, global)),
        video_kbps: raw.video_kbps.map(|rate| set(rate, global)),
        wifi: raw.wifi.map(|wifi| set(wifi, global)),
        rules: raw.rules.map(|rules| set(rules, global)),
        management: raw.management,
        name,
    }
}

/// Takes from the base what the plan leaves open. The rules that a guide deploys are its own; another
/// estate states those that it has.
fn inherit(plan: &mut Plan, base: Plan) {
    if plan.name.is_empty() {
        plan.name = base.name;
    }
    if plan.title.is_empty() {
        plan.title = base.title;
    }
    plan.global.inherit(base.global);
    for (name, layer) in base.sites {
        plan.sites.entry(name).or_default().inherit(layer);
    }
    for (name, layer) in base.services {
        plan.services.entry(name).or_default().inherit(layer);
    }
    if plan.signaling == sip_tls() {
        plan.signaling = base.signaling;
    }
    for theirs in base.phones {
        match plan.phones.iter_mut().find(|mine| mine.family.name == theirs.family.name) {
            Some(mine) => {
                mine.audio_start = mine.audio_start.take().or(theirs.audio_start);
                mine.video_start = mine.video_start.take().or(theirs.video_start);
                for (class, mark) in theirs.marks {
                    mine.marks.entry(class).or_insert(mark);
                }
            }
            None => plan.phones.push(theirs),
        }
    }
    plan.phones.sort_by_key(|phone| phone.family.name);
    plan.families = plan.phones.iter().map(|phone| phone.family).collect();
    plan.edge.ports = plan.edge.ports.take().or(base.edge.ports);
    plan.edge.mark_internal = plan.edge.mark_internal.take().or(base.edge.mark_internal);
    plan.edge.external = plan.edge.external.take().or(base.edge.external);
    plan.queues = plan.queues.take().or(base.queues);
    plan.executables = plan.executables.take().or(base.executables);
    plan.servers = plan.servers.take().or(base.servers);
    plan.voicemail = plan.voicemail.take().or(base.voicemail);
    plan.video_kbps = plan.video_kbps.take().or(base.video_kbps);
    plan.wifi = plan.wifi.take().or(base.wifi);
}

/// Makes every value of a plan a default with that source, as seen from a plan that inherits it.
pub(super) fn all_default(plan: &mut Plan, describe: impl Fn(Option<&str>) -> String) {
    for origin in origins(plan) {
        if let Origin::Set { source, .. } = origin {
            *origin = Origin::Default { source: describe(source.as_deref()) };
        }
    }
}

fn origins(plan: &mut Plan) -> impl Iterator<Item = &mut Origin> {
    fn of<T>(setting: &mut Option<Setting<T>>) -> Option<&mut Origin> {
        setting.as_mut().map(|setting| &mut setting.origin)
    }
    let layers = std::iter::once(&mut plan.global).chain(plan.sites.values_mut());
    let layers = layers.chain(plan.services.values_mut()).flat_map(Layer::origins);
    let phones = plan.phones.iter_mut().flat_map(|phone| {
        let starts = of(&mut phone.audio_start).into_iter().chain(of(&mut phone.video_start));
        starts.chain(phone.marks.values_mut().map(|mark| &mut mark.origin))
    });
    let edge = [of(&mut plan.edge.ports), of(&mut plan.edge.mark_internal), of(&mut plan.edge.external)];
    let rest = [
        of(&mut plan.queues),
        of(&mut plan.executables),
        of(&mut plan.servers),
        of(&mut plan.voicemail),
        of(&mut plan.video_kbps),
        of(&mut plan.wifi),
        of(&mut plan.rules),
    ];
    let singles = edge.into_iter().chain(rest).flatten().chain([&mut plan.signaling.origin]);
    layers.chain(phones).chain(singles)
}

fn sip_tls() -> Setting<Vec<PortRange>> {
    let source = "RFC 3261: SIP over TLS".to_owned();
    let ports = PortRange::from_count(SIP_TLS, 1).into_iter().collect();
    Setting { value: ports, origin: Origin::Default { source } }
}

fn set<T>(at: At<T>, scope: &str) -> Setting<T> {
    let origin = Origin::Set { scope: scope.to_owned(), line: at.line, source: at.source };
    Setting { value: at.value, origin }
}

fn all<K: Ord, T>(values: BTreeMap<K, At<T>>, scope: &str) -> BTreeMap<K, Setting<T>> {
    values.into_iter().map(|(key, value)| (key, set(value, scope))).collect()
}

fn layer(raw: RawLayer, scope: &str) -> Layer {
    Layer {
        enabled: raw.enabled.map(|enabled| set(enabled, scope)),
        marks: all(raw.marks, scope),
        role_marks: all(raw.role_marks, scope),
        role_ports: all(raw.role_ports, scope),
        legacy_ports: all(raw.legacy_ports, scope),
    }
}

fn phone(raw: RawPhone) -> Phone {
    Phone {
        family: raw.family,
        audio_start: raw.audio_start.map(|start| set(start, "global")),
        video_start: raw.video_start.map(|start| set(start, "global")),
        marks: all(raw.marks, "global"),
    }
}
