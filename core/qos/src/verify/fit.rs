//! Without a plan: which preset explains best what was seen.

use super::report::{Content, PlanFit};
use super::row::Row;
use crate::plan::{PRESETS, Scope};
use crate::{Plan, PortRange, Role};

/// Presets by score, best first. A preset that names no ports can't score with them.
pub(super) fn fit(rows: &[Row]) -> Vec<PlanFit> {
    let mut fits: Vec<PlanFit> = PRESETS
        .iter()
        .filter_map(|preset| Plan::preset(preset.name))
        .map(|plan| fit_of(&plan, rows))
        .collect();
    fits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.plan.cmp(&b.plan)));
    fits
}

fn fit_of(plan: &Plan, rows: &[Row]) -> PlanFit {
    let policies: Vec<_> = Role::ALL.iter().map(|&role| plan.planned(role, &Scope::default())).collect();
    let (mut media, mut inside, mut all, mut marked) = (0u64, 0u64, 0u64, 0u64);
    for row in rows {
        let Some(class) = row.out.class else { continue };
        if !matches!(row.out.content, Content::Rtp | Content::Rtcp | Content::Sip) {
            continue;
        }
        all += row.out.frames;
        let expected = policies.iter().map(|policy| policy.mark(class));
        let expected: Vec<_> = expected.collect();
        marked += row.out.marks.iter().filter(|m| expected.contains(&m.dscp)).map(|m| m.packets).sum::<u64>();
        if row.out.content == Content::Rtp {
            media += row.out.packets;
            let ranges = policies.iter().filter_map(|policy| policy.ports(class));
            let holds =
                |range: PortRange| range != PortRange::UNRESTRICTED && range.contains(row.out.src_port);
            inside += if ranges.into_iter().any(holds) { row.out.packets } else { 0 };
        }
    }
    let percent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    let (ports, marks) = (percent(inside, media), percent(marked, all));
    PlanFit { plan: plan.name().to_string(), score: (ports + marks) / 2.0, ports, marks }
}
