//! Causes that touch the whole estate or everything that one kind of device sends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use carillon_wire::ip::Dscp;

use super::super::cause::Cause;
use super::super::row::Row;
use super::{Case, flows};
use crate::TrafficClass;

/// Audio with a mark of these is another matter than a mark of the sender's own.
const OTHER_CLASSES: [TrafficClass; 3] =
    [TrafficClass::Video, TrafficClass::Sharing, TrafficClass::Signaling];
/// What Lync Phone Edition and Windows' guaranteed service type send, whatever their ports.
const LEGACY_VOICE: u8 = 40;
/// Share of packets outside the ranges, in percent, from which the ranges are not in force.
const RANDOM_PORTS_PERCENT: u64 = 60;

/// The DSCP was written into the traffic byte without the shift: 46 arrives as 11 with ECN bits.
pub(super) fn unshifted(case: &mut Case<'_>) {
    let rows = case.unexplained(|row| {
        let expected = row.out.expected.map_or(0, Dscp::value);
        expected >= 4 && row.main_byte == expected
    });
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let text = format!(
        "{} writes {} as the whole traffic byte, which is DSCP {} with ECN bits {:02b} ({})",
        case.names(&case.senders(&rows)),
        row.main_byte,
        Dscp::from_traffic_byte(row.main_byte).value(),
        row.main_byte & 3,
        flows(rows.len())
    );
    case.explain_marks(Cause::Unshifted, &rows, text);
}

/// All media is unmarked: with random ports nothing is in force, with planned ones the marks are missing.
pub(super) fn nothing_in_force(case: &mut Case<'_>) {
    let media: Vec<&Row> = case.rows.iter().filter(|row| row.is_media()).collect();
    let all_unmarked =
        !media.is_empty() && media.iter().all(|row| row.is_unmarked() && row.mark_cause.is_none());
    if !all_unmarked {
        return;
    }
    let packets = |rows: &mut dyn Iterator<Item = &&Row>| rows.map(|row| row.out.packets).sum::<u64>();
    let ranged = packets(&mut media.iter().filter(|row| row.out.in_range.is_some()));
    let outside = packets(&mut media.iter().filter(|row| row.out.in_range == Some(false)));
    let spread = spread(&media);
    let senders = case.names(&media.iter().map(|row| row.out.src).collect());
    let random = ranged > 0 && outside * 100 >= ranged * RANDOM_PORTS_PERCENT;
    // Beside unmarked media, signaling without a mark is part of the same.
    let rows = case.unexplained(|row| row.is_unmarked());
    if random {
        for row in case.unexplained_ports(|_| true) {
            case.rows[row].port_cause = Some(Cause::NoPlanInForce);
        }
        let text =
            format!("every media packet carries DSCP 0 and source ports are {spread} (senders: {senders})");
        case.explain_marks(Cause::NoPlanInForce, &rows, text);
    } else {
        let text =
            format!("every media packet carries DSCP 0, on source ports {spread} (senders: {senders})");
        case.explain_marks(Cause::PlanMarksRemoved, &rows, text);
    }
}

fn spread(media: &[&Row]) -> String {
    let ports: BTreeSet<u16> = media.iter().map(|row| row.out.src_port).collect();
    match (ports.first(), ports.last()) {
        (Some(low), Some(high)) if low != high => format!("{} between {low} and {high}", ports.len()),
        (Some(only), _) => only.to_string(),
        _ => String::new(),
    }
}

/// Marks with only the precedence bits left: one hop's doing if it strikes several classes or everybody, some
/// devices' own default if others send the planned mark.
pub(super) fn two_audio_marks_or_neighbour(case: &mut Case<'_>) {
    let cut = case.unexplained(is_cut);
    let expected: BTreeSet<Dscp> = cut.iter().filter_map(|&row| case.rows[row].out.expected).collect();
    if expected.len() < 2 {
        two_audio_marks(case);
    }
    let cut = case.unexplained(is_cut);
    let Some(&first) = cut.first() else { return };
    let row = &case.rows[first];
    let found = row.out.marks.first().map_or(0, |mark| mark.dscp.value());
    let (from, to) = (row.out.expected.map_or(0, Dscp::value), found);
    let text = format!(
        "{} arrives marked {to} instead of {from}: the drop bits are gone, only the precedence is left ({}, senders: {})",
        row.path(),
        flows(cut.len()),
        case.names(&case.senders(&cut))
    );
    case.explain_marks(Cause::NeighbourClass, &cut, text);
}

/// Whether every mark is what is left of one that would be right here.
fn is_cut(row: &Row) -> bool {
    let rest = |mark: Dscp| row.accepted.iter().any(|right| right.value() & 0b11_1000 == mark.value());
    row.out.marks.iter().all(|found| found.dscp != Dscp::DEFAULT && rest(found.dscp))
}

/// Some senders mark audio as planned, others steadily otherwise.
fn two_audio_marks(case: &mut Case<'_>) {
    let Some(policies) = &case.ground.policies else { return };
    let mut senders: BTreeMap<IpAddr, AudioHabit> = BTreeMap::new();
    for row in case.rows.iter().filter(|row| row.is_media() && row.out.class == Some(TrafficClass::Audio)) {
        let other_class = |class: TrafficClass| row.steady_mark() == Some(policies.mark(row.out.role, class));
        let steady = row.steady_mark().filter(|mark| *mark != Dscp::DEFAULT);
        let legacy = steady.is_some_and(|mark| mark.value() == LEGACY_VOICE);
        // From foreign ports too, it is a device that nobody configured.
        let configured = row.out.in_range != Some(false) || legacy;
        let strange = row.wrong_marks > 0 && row.mark_cause.is_none() && configured;
        let habit = match steady {
            _ if row.is_marked_right() => AudioHabit::Planned,
            Some(mark) if strange && !OTHER_CLASSES.into_iter().any(other_class) => AudioHabit::Other(mark),
            _ => AudioHabit::Unsteady,
        };
        let known = senders.entry(row.out.src).or_insert(habit);
        *known = if *known == habit { habit } else { AudioHabit::Unsteady };
    }
    let planned: BTreeSet<IpAddr> = senders
        .iter()
        .filter(|(_, habit)| **habit == AudioHabit::Planned)
        .map(|(sender, _)| *sender)
        .collect();
    let wrong = case.unexplained(|row| {
        let mark = row.steady_mark().map(AudioHabit::Other);
        row.out.class == Some(TrafficClass::Audio)
            && mark.is_some()
            && senders.get(&row.out.src) == mark.as_ref()
    });
    let Some(&first) = wrong.first().filter(|_| !planned.is_empty()) else { return };
    let mut others: BTreeMap<Dscp, BTreeSet<IpAddr>> = BTreeMap::new();
    for row in wrong.iter().map(|&row| &case.rows[row]) {
        others.entry(row.steady_mark().unwrap_or_default()).or_default().insert(row.out.src);
    }
    let label = crate::dscp::label;
    let others =
        others.iter().map(|(mark, senders)| format!("{} marks audio {}", case.names(senders), label(*mark)));
    let text = format!(
        "{}, {} marks it {}",
        others.collect::<Vec<_>>().join(", "),
        case.names(&planned),
        case.rows[first].out.expected.map_or_else(String::new, label),
    );
    case.explain_marks(Cause::TwoAudioMarks, &wrong, text);
}

/// How a sender marks all its audio.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AudioHabit {
    Planned,
    Other(Dscp),
    Unsteady,
}

/// IPv6 media unmarked beside marked IPv4 media.
pub(super) fn ipv6(case: &mut Case<'_>) {
    let v4_right = case.rows.iter().any(|row| row.is_media() && !row.key.is_v6() && row.is_marked_right());
    let v6_right = case.rows.iter().any(|row| row.is_media() && row.key.is_v6() && row.is_marked_right());
    let rows = case.unexplained(|row| row.key.is_v6() && row.is_unmarked());
    if !v4_right || v6_right || rows.is_empty() {
        return;
    }
    let text = format!(
        "IPv4 media is marked as planned, but all IPv6 media carries DSCP 0 ({}, senders: {})",
        flows(rows.len()),
        case.names(&case.senders(&rows))
    );
    case.explain_marks(Cause::Ipv6Unmarked, &rows, text);
}
