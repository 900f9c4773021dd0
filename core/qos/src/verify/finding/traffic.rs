//! Causes that lie in the capture, in the network or in foreign traffic, not in a sender's configuration.

use std::collections::BTreeSet;

use carillon_wire::ip::{Dscp, Ecn};

use super::super::cause::Cause;
use super::super::judge::over_tcp;
use super::super::report::Content;
use super::super::row::Row;
use super::{Case, flows};
use crate::{Role, TrafficClass};

/// Less loss than this, in percent, is no finding.
const LOSS_PERCENT: f64 = 1.0;
/// Fewer packets with a foreign mark are no finding.
const ROGUE_PACKETS: u64 = 5;

/// UDP frames that stand for several packets.
pub(super) fn before_segmentation(case: &mut Case<'_>) {
    let suspicious = |row: &&Row| {
        let loopback = row.out.src == row.out.dst || row.out.src.is_loopback();
        row.aggregated.is_some() || (row.oversized.is_some() && !loopback)
    };
    let rows: Vec<usize> = case.rows.iter().filter(suspicious).map(|row| row.out.id).collect();
    let first = rows.iter().filter_map(|&row| case.rows[row].aggregated.or(case.rows[row].oversized)).min();
    let Some(frame) = first else { return };
    for &row in &rows {
        case.rows[row].unjudge_loss();
    }
    let text = format!(
        "frame {frame} holds several RTP packets or is longer than the link allows ({}): captured before \
         segmentation, loss and jitter could not be judged",
        flows(rows.len())
    );
    case.add(Cause::CapturedBeforeSegmentation, &rows, Some(frame), text);
}

/// Datagrams whose fragments disagree.
pub(super) fn fragments(case: &mut Case<'_>) {
    let rows = case.unexplained(|row| row.mixed_fragments.is_some());
    let Some(&first) = rows.first() else { return };
    let frame = case.rows[first].mixed_fragments;
    let text = format!(
        "fragments of {} carry another mark than the first one (frame {})",
        case.rows[first].path(),
        frame.unwrap_or_default()
    );
    for &row in &rows {
        case.rows[row].mark_cause = Some(Cause::FragmentsUnmarked);
    }
    case.add(Cause::FragmentsUnmarked, &rows, frame, text);
}

/// Packets of no class with a mark that only our media should have.
pub(super) fn rogue(case: &mut Case<'_>) {
    let Some(policies) = &case.ground.policies else { return };
    let prized: Vec<Dscp> = [TrafficClass::Audio, TrafficClass::Video]
        .into_iter()
        .map(|class| policies.mark(Role::Client, class))
        .filter(|&mark| mark != Dscp::DEFAULT)
        .collect();
    let known: BTreeSet<_> = case.rows.iter().filter(|row| row.is_media()).map(conversation).collect();
    let rogue = |row: &&Row| {
        let foreign =
            row.out.class.is_none() && !matches!(row.out.content, Content::Unconfirmed | Content::Stun);
        let marked: u64 = row.out.marks.iter().filter(|m| prized.contains(&m.dscp)).map(|m| m.packets).sum();
        // Fax and data that a call describes are of no class, but ours.
        let ours = || {
            let ground = case.ground;
            known.contains(&conversation(row)) || ground.is_announced(row) || ground.is_sealed_with_relay(row)
        };
        foreign && marked >= ROGUE_PACKETS && !ours()
    };
    let rows: Vec<usize> = case.rows.iter().filter(rogue).map(|row| row.out.id).collect();
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let mark = row.out.marks.iter().find(|m| prized.contains(&m.dscp));
    let frame = mark.map(|m| m.first_frame);
    let text = format!(
        "{} carries {} marked {}: no media of ours, and it competes with voice ({}, senders: {})",
        row.path(),
        row.out.protocol,
        mark.map_or_else(String::new, |m| crate::dscp::label(m.dscp)),
        flows(rows.len()),
        case.names(&case.senders(&rows))
    );
    case.add(Cause::RogueMarked, &rows, frame, text);
}

fn conversation(row: &Row) -> (std::net::SocketAddr, std::net::SocketAddr) {
    let src = std::net::SocketAddr::new(row.out.src, row.out.src_port);
    let dst = std::net::SocketAddr::new(row.out.dst, row.out.dst_port);
    (src.min(dst), src.max(dst))
}

/// ECN bits where nobody negotiated ECN. CE alone on capable packets is a router doing its work.
pub(super) fn ecn(case: &mut Case<'_>) {
    let abused = |row: &&Row| {
        let [plain, capable1, _, congestion] = row.out.ecn;
        let explained = row.mark_cause == Some(Cause::Unshifted);
        row.is_media() && !explained && (capable1 > 0 || (congestion > 0 && plain > 0))
    };
    let rows: Vec<usize> = case.rows.iter().filter(abused).map(|row| row.out.id).collect();
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let text = format!(
        "{} sets ECN bits on media: {} packets {:?}, {} packets {:?} of {}",
        row.path(),
        row.out.ecn[1],
        Ecn::Capable1,
        row.out.ecn[3],
        Ecn::Congestion,
        row.out.frames
    );
    let frame = Some(row.out.first_frame);
    case.add(Cause::EcnAbused, &rows, frame, text);
}

/// Two classes of the plan in one queue of the switch whose map was given.
pub(super) fn shared_queue(case: &mut Case<'_>) {
    let (Some(policies), Some(map)) = (&case.ground.policies, case.queues) else { return };
    let mark = |class| policies.mark(Role::Client, class);
    let pairs = [
        (TrafficClass::Audio, TrafficClass::Video),
        (TrafficClass::Audio, TrafficClass::Signaling),
        (TrafficClass::Audio, TrafficClass::Sharing),
        (TrafficClass::Video, TrafficClass::Sharing),
    ];
    let shared: Vec<String> = pairs
        .into_iter()
        .filter(|&(a, b)| mark(a) != mark(b))
        .filter_map(|(a, b)| {
            let queue = map.shared(mark(a), mark(b))?;
            Some(format!("{a} ({}) and {b} ({}) share queue {queue}", mark(a).value(), mark(b).value()))
        })
        .collect();
    if !shared.is_empty() {
        case.add(Cause::SharedQueue, &[], None, format!("the switch map: {}", shared.join("; ")));
    }
}

/// Loss although the marks are right: not a matter of marks.
pub(super) fn loss(case: &mut Case<'_>) {
    let lossy = |row: &&Row| {
        let rtp = row.out.rtp.as_ref().filter(|rtp| rtp.loss_judged && rtp.loss_percent >= LOSS_PERCENT);
        row.is_media() && row.is_marked_right() && rtp.is_some()
    };
    let rows: Vec<usize> = case.rows.iter().filter(lossy).map(|row| row.out.id).collect();
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let lost = row.out.rtp.as_ref().map_or((0, 0.0), |rtp| (rtp.lost, rtp.loss_percent));
    let text = format!(
        "{} loses {} packets ({:.1} %) although it is marked as planned ({} in all)",
        row.path(),
        lost.0,
        lost.1,
        flows(rows.len())
    );
    let frame = Some(row.out.first_frame);
    case.add(Cause::LossWithoutMarkFault, &rows, frame, text);
}

/// Media over a relay between ends that have no NAT before them.
pub(super) fn avoidable_relaying(case: &mut Case<'_>) {
    let ends = |row: &Row| case.ground.direct_ends(row).filter(|_| row.is_media());
    let rows: Vec<usize> = case.rows.iter().filter(|row| ends(row).is_some()).map(|row| row.out.id).collect();
    let Some((&first, (near, far))) = rows.first().and_then(|first| Some((first, ends(&case.rows[*first])?)))
    else {
        return;
    };
    let text = format!(
        "{} goes over a relay although no NAT is between {near} and {far} ({})",
        case.rows[first].path(),
        flows(rows.len())
    );
    let frame = Some(case.rows[first].out.first_frame);
    case.add(Cause::AvoidableRelaying, &rows, frame, text);
}

/// Media inside TCP connections.
pub(super) fn tcp_fallback(case: &mut Case<'_>) {
    let rows: Vec<usize> = case.rows.iter().filter(|row| over_tcp(row)).map(|row| row.out.id).collect();
    let Some(&first) = rows.first() else { return };
    let text = format!("{} runs over TCP ({})", case.rows[first].path(), flows(rows.len()));
    let frame = Some(case.rows[first].out.first_frame);
    case.add(Cause::TcpFallback, &rows, frame, text);
}
