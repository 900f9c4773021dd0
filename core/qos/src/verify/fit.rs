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
    // The Edge marks nothing by default: its 0 must not explain everybody's.
    let roles = Role::ALL.iter().filter(|&&role| role != Role::Edge);
    let policies: Vec<_> = roles.map(|&role| plan.planned(role, &Scope::default())).collect();
    let (mut media, mut inside, mut weighed, mut all, mut marked) = (0, 0, 0.0, 0, 0);
    for row in
        rows.iter().filter(|row| matches!(row.out.content, Content::Rtp | Content::Rtcp | Content::Sip))
    {
        let Some(class) = row.out.class else { continue };
        let expected: Vec<_> = policies.iter().map(|policy| policy.mark(class)).collect();
        all += row.out.frames;
        marked += row.out.marks.iter().filter(|m| expected.contains(&m.dscp)).map(|m| m.packets).sum::<u64>();
        if row.out.content == Content::Rtp {
            let ranges = policies.iter().filter_map(|policy| policy.ports(class));
            let holding =
                ranges.filter(|range| range.contains(row.out.src_port)).map(weight).reduce(f64::max);
            media += row.out.packets;
            inside += if holding.is_some() { row.out.packets } else { 0 };
            weighed += holding.unwrap_or_default() * row.out.packets as f64;
        }
    }
    let percent = |part: f64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * part / whole as f64 };
    let (ports, marks) = (percent(inside as f64, media), percent(marked as f64, all));
    let score = (percent(weighed, media) + marks) / 2.0;
    PlanFit { plan: plan.name().to_string(), score, ports, marks }
}

/// What it says that a port lies in a range: everything in a range of a hundred ports, nothing in all ports.
fn weight(range: PortRange) -> f64 {
    let (least, most) = (100f64.log2(), 65_536f64.log2());
    let width = f64::from(range.count()).log2().max(least);
    1.0 - (width - least) / (most - least)
}
