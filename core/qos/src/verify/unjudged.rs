//! What keeps a verdict from being whole: what could not be judged is never called good.

use std::collections::BTreeMap;

use carillon_wire::ip::protocol;

use super::Options;
use super::cause::Severity;
use super::ground::Ground;
use super::key::FlowKey;
use super::report::{Content, Finding};
use super::row::Row;
use crate::Role;

/// Packets that look like media without a class: fewer are the crumbs of any call (probes, first packets).
const FEW: u64 = 10;
/// The same as a share of the media judged, in percent.
const FEW_PERCENT: u64 = 2;

/// Packets that look like media but have no class: the plan's ranges, session descriptions and shape leave them open.
pub(super) fn unclassified(rows: &[Row], ground: &Ground) -> u64 {
    let mut by_flow: BTreeMap<FlowKey, u64> = BTreeMap::new();
    for row in rows {
        *by_flow.entry(row.key).or_default() += row.out.packets;
    }
    let like_media = |row: &&Row| match row.out.content {
        Content::Rtp => true,
        // Random bytes look like RTP one time in four.
        Content::Unconfirmed => by_flow.get(&row.key).is_some_and(|&all| row.out.packets * 2 >= all),
        Content::Cut => row.key.protocol == protocol::UDP,
        Content::Other | Content::Quic => row.key.protocol == protocol::UDP && ground.is_described(row),
        _ => false,
    };
    let open = rows.iter().filter(|row| row.out.class.is_none()).filter(like_media);
    open.map(|row| row.out.packets).sum()
}

/// Why no full verdict can be given, if so.
pub(super) fn reasons(
    options: &Options,
    rows: &[Row],
    unclassified: u64,
    findings: &[Finding],
) -> Vec<String> {
    if options.plan.is_none() {
        return vec!["no plan was given".to_string()];
    }
    let mut reasons = Vec::new();
    let judged = |row: &&Row| row.out.expected.is_some() && row.out.content != Content::Stun;
    if !rows.iter().any(|row| judged(&row)) {
        reasons.push("no packet of any class of the plan was found".to_string());
    }
    let media: u64 = rows.iter().filter(judged).map(|row| row.out.packets).sum();
    if unclassified >= FEW && unclassified * 100 >= (media + unclassified) * FEW_PERCENT {
        reasons.push(format!(
            "{unclassified} packets look like media of no class: no session description, range or shape tells which"
        ));
    }
    let relayed = |row: &&Row| row.out.role == Role::Edge && row.is_media() && row.out.expected.is_none();
    if rows.iter().any(|row| relayed(&row)) {
        reasons.push("a relay sends media, and the plan has no [edge] that says how it marks".to_string());
    }
    let open = findings.iter().filter(|finding| finding.severity == Severity::Unjudged);
    reasons.extend(open.map(|finding| finding.cause.info().summary.to_string()));
    reasons
}
