//! Causes that mix classes up: one class sent with the mark or from the ports of another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use carillon_wire::ip::Dscp;

use super::super::cause::Cause;
use super::super::judge::one_beyond;
use super::super::report::Content;
use super::super::row::Row;
use super::{Case, flows};
use crate::TrafficClass;

/// One application, one mark: two classes or more are wrong in the same way.
pub(super) fn one_mark_for_all(case: &mut Case<'_>) {
    let mut wrong: BTreeMap<(IpAddr, Dscp), BTreeSet<TrafficClass>> = BTreeMap::new();
    let mut all: BTreeMap<(IpAddr, Dscp), BTreeSet<TrafficClass>> = BTreeMap::new();
    for row in case.rows.iter().filter(|row| row.out.expected.is_some()) {
        let (Some(class), Some(mark)) = (row.out.class, row.steady_mark()) else { continue };
        if mark == Dscp::DEFAULT {
            continue;
        }
        all.entry((row.out.src, mark)).or_default().insert(class);
        if row.wrong_marks > 0 && row.mark_cause.is_none() {
            wrong.entry((row.out.src, mark)).or_default().insert(class);
        }
    }
    // Video alone with the audio mark is a smaller matter, named elsewhere; signaling in it is not.
    let lumped = |key: &(IpAddr, Dscp), classes: &BTreeSet<TrafficClass>| {
        let others = all.get(key).map_or(0, BTreeSet::len);
        classes.len() >= 2 || (others >= 2 && classes.contains(&TrafficClass::Signaling))
    };
    let senders: BTreeSet<(IpAddr, Dscp)> =
        wrong.iter().filter(|(key, classes)| lumped(key, classes)).map(|(key, _)| *key).collect();
    let Some(&(_, mark)) = senders.first() else { return };
    let rows = case.unexplained(|row| row.steady_mark().is_some_and(|m| senders.contains(&(row.out.src, m))));
    let classes: BTreeSet<&str> =
        senders.iter().filter_map(|key| all.get(key)).flatten().map(|c| c.name()).collect();
    let text = format!(
        "{} marks {} alike, with {}",
        case.names(&senders.iter().map(|(sender, _)| *sender).collect()),
        classes.into_iter().collect::<Vec<_>>().join(", "),
        crate::dscp::label(mark)
    );
    case.explain_marks(Cause::OneMarkForAll, &rows, text);
}

/// Video with the audio mark or from the audio range; audio with the mark of another class.
pub(super) fn confused(case: &mut Case<'_>) {
    video_in_audio(case);
    let Some(policies) = &case.ground.policies else { return };
    let rows = case.unexplained(|row| {
        let other = |class: TrafficClass| {
            let mark = policies.mark(row.out.role, class);
            mark != Dscp::DEFAULT && row.steady_mark() == Some(mark)
        };
        let others = [TrafficClass::Video, TrafficClass::Sharing, TrafficClass::Signaling];
        row.out.class == Some(TrafficClass::Audio) && others.into_iter().any(other)
    });
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let text = format!(
        "{} is audio marked {} ({})",
        row.path(),
        row.steady_mark().map_or_else(String::new, crate::dscp::label),
        flows(rows.len())
    );
    case.explain_marks(Cause::AudioInOtherClass, &rows, text);
}

fn video_in_audio(case: &mut Case<'_>) {
    let Some(policies) = &case.ground.policies else { return };
    let audio_mark = |row: &Row| policies.mark(row.out.role, TrafficClass::Audio);
    let is_video = |row: &Row| row.out.class == Some(TrafficClass::Video) && row.out.content == Content::Rtp;
    let marks = case.unexplained(|row| is_video(row) && row.steady_mark() == Some(audio_mark(row)));
    let ports = case.unexplained_ports(|row| {
        let range = policies.range(row.out.role, TrafficClass::Audio);
        let one_off = row.out.range.is_some_and(|own| one_beyond(own) == Some(row.out.src_port));
        is_video(row) && !one_off && range.is_some_and(|range| range.contains(row.out.src_port))
    });
    let marked: BTreeSet<usize> = marks.iter().copied().collect();
    let rows: Vec<usize> =
        marks.iter().chain(ports.iter().filter(|row| !marked.contains(row))).copied().collect();
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let text = format!(
        "{} is video{} with the mark or the ports of audio ({})",
        row.path(),
        row.out.class_by.map_or_else(String::new, |by| format!(" by {by:?}").to_lowercase()),
        flows(rows.len())
    );
    let frame = rows.iter().filter_map(|&row| case.rows[row].out.first_offending).min();
    for &row in &marks {
        case.rows[row].mark_cause = Some(Cause::VideoInAudioClass);
    }
    for &row in &ports {
        case.rows[row].port_cause = Some(Cause::VideoInAudioClass);
    }
    case.add(Cause::VideoInAudioClass, &rows, frame, text);
}

/// A count taken for an end: the first port behind the range.
pub(super) fn one_beyond_range(case: &mut Case<'_>) {
    let beyond = |row: &Row| row.out.range.and_then(one_beyond);
    let rows = case.unexplained_ports(|row| beyond(row) == Some(row.out.src_port));
    let Some(&first) = rows.first() else { return };
    let senders = case.senders(&rows);
    // RTCP is on the next port, for the same reason.
    let reports = case.unexplained_ports(|row| {
        let next = beyond(row).and_then(|port| port.checked_add(1));
        row.out.content == Content::Rtcp && next == Some(row.out.src_port) && senders.contains(&row.out.src)
    });
    let frame = rows.iter().map(|&row| case.rows[row].out.first_frame).min();
    let row = &case.rows[first];
    let range = row.out.range.map_or_else(String::new, |range| range.to_string());
    let text = format!(
        "{} leaves from port {}, one beyond {range} ({})",
        row.path(),
        row.out.src_port,
        flows(rows.len())
    );
    let rows: Vec<usize> = rows.into_iter().chain(reports).collect();
    for &row in &rows {
        let row = &mut case.rows[row];
        row.port_cause = Some(Cause::RangeExceededByOne);
        // The policy that marks by port leaves this one out: its wrong mark has the same cause.
        if row.wrong_marks > 0 {
            row.mark_cause.get_or_insert(Cause::RangeExceededByOne);
        }
    }
    case.add(Cause::RangeExceededByOne, &rows, frame, text);
}

/// RTCP without the mark of its RTP.
pub(super) fn rtcp(case: &mut Case<'_>) {
    let marked: BTreeSet<IpAddr> = case
        .rows
        .iter()
        .filter(|row| row.out.content == Content::Rtp && row.is_marked_right())
        .map(|row| row.out.src)
        .collect();
    let rows = case.unexplained(|row| row.out.content == Content::Rtcp && marked.contains(&row.out.src));
    let Some(&first) = rows.first() else { return };
    let row = &case.rows[first];
    let text = format!(
        "RTCP {} carries {} in {} of {} packets, while the RTP of {} is marked as planned",
        row.path(),
        row.wrong_labels(),
        row.wrong_marks,
        row.out.frames,
        case.names(&case.senders(&rows))
    );
    case.explain_marks(Cause::RtcpUnmarked, &rows, text);
}

/// Signaling without any mark.
pub(super) fn signaling(case: &mut Case<'_>) {
    let rows = case.unexplained(|row| row.out.class == Some(TrafficClass::Signaling) && row.is_unmarked());
    let Some(&first) = rows.first() else { return };
    let expected = case.rows[first].out.expected;
    let nobody =
        !case.rows.iter().any(|row| row.out.class == Some(TrafficClass::Signaling) && row.is_marked_right());
    let text = format!(
        "{} carries DSCP 0; the plan declares {} ({})",
        if nobody {
            "all signaling".to_string()
        } else {
            format!("signaling from {}", case.names(&case.senders(&rows)))
        },
        expected.map_or_else(String::new, crate::dscp::label),
        flows(rows.len())
    );
    case.explain_marks(Cause::SignalingUnmarked, &rows, text);
}
