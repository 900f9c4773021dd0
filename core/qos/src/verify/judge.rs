//! Rows against the plan: class, expected mark and range, quality, verdict per flow.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use carillon_wire::ip::Dscp;
use carillon_wire::sdp::codec::static_payload;

use super::ground::{Ground, MEDIA, Policies};
use super::phone;
use super::quality;
use super::report::{Content, Direction, Evidence, Verdict};
use super::row::Row;
use super::stream::Wrap;
use crate::{PortRange, Role, TrafficClass};

/// Gives every row its class and judges it.
pub(super) fn judge(rows: &mut [Row], ground: &Ground, strict: bool) {
    borrow_shapes(rows);
    for row in rows.iter_mut().filter(|row| row.out.content == Content::Rtp) {
        classify_media(row, ground);
    }
    let media = Media::of(rows);
    for row in rows.iter_mut() {
        if row.out.content != Content::Rtp {
            classify_companion(row, ground, &media);
        }
        row.out.role = role(row, ground);
        row.out.direction = direction(row, ground);
        if let Some(policies) = &ground.policies {
            expect(row, ground, policies, &media, strict);
        }
        measure(row, ground, &media);
        conclude(row);
    }
}

/// A sender that sent too little here to have a shape has the one it shows elsewhere: before ICE settled on
/// another path, at another capture point, or behind a relay.
fn borrow_shapes(rows: &mut [Row]) {
    let shapes: BTreeMap<u32, TrafficClass> =
        rows.iter().filter_map(|row| Some((row.out.ssrc?, row.shape?))).collect();
    for row in rows.iter_mut().filter(|row| row.shape.is_none()) {
        row.shape = row.out.ssrc.and_then(|ssrc| shapes.get(&ssrc).copied());
    }
}

fn classify_media(row: &mut Row, ground: &Ground) {
    if let Some((class, by)) = ground.media_class(row) {
        (row.out.class, row.out.class_by) = (Some(class), Some(by));
    }
}

/// Classes of media between two ends: RTCP, STUN and DTLS are of the class of the media they serve.
struct Media {
    classes: BTreeMap<(IpAddr, u16, IpAddr, u16), Vec<TrafficClass>>,
    /// Ends between which keys were exchanged by DTLS.
    keyed: BTreeSet<(IpAddr, u16, IpAddr, u16)>,
}

impl Media {
    fn of(rows: &[Row]) -> Media {
        let mut media = Media { classes: BTreeMap::new(), keyed: BTreeSet::new() };
        for row in rows {
            let ends = (row.out.src, row.out.src_port, row.out.dst, row.out.dst_port);
            let back = (row.out.dst, row.out.dst_port, row.out.src, row.out.src_port);
            if let (Content::Rtp, Some(class)) = (row.out.content, row.out.class) {
                for ends in [ends, back] {
                    let classes = media.classes.entry(ends).or_default();
                    if !classes.contains(&class) {
                        classes.push(class);
                    }
                }
            }
            if row.out.content == Content::Dtls {
                media.keyed.extend([ends, back]);
            }
        }
        media
    }

    /// Classes on the same ports, or (RTCP) on the even ports below (RFC 3550, 11).
    fn beside(&self, row: &Row) -> &[TrafficClass] {
        let (src, dst) = (row.out.src, row.out.dst);
        let at = |a: u16, b: u16| self.classes.get(&(src, a, dst, b)).map(Vec::as_slice);
        let same = at(row.out.src_port, row.out.dst_port);
        let below = || match row.out.content {
            Content::Rtcp => at(row.out.src_port.checked_sub(1)?, row.out.dst_port.checked_sub(1)?),
            _ => None,
        };
        same.or_else(below).unwrap_or_default()
    }
}

fn classify_companion(row: &mut Row, ground: &Ground, media: &Media) {
    let signaling_port = |port| ground.policies.as_ref().is_some_and(|p| p.is_signaling(port));
    let on_signaling_port = signaling_port(row.out.src_port) || signaling_port(row.out.dst_port);
    let found = match row.out.content {
        Content::Sip => Some((TrafficClass::Signaling, Evidence::Shape)),
        Content::Tls | Content::Other if on_signaling_port && row.out.protocol == "tcp" => {
            Some((TrafficClass::Signaling, Evidence::Port))
        }
        Content::Rtcp | Content::Stun | Content::Dtls | Content::Relayed => media
            .beside(row)
            .first()
            .map(|&class| (class, Evidence::Shape))
            .or_else(|| ground.media_class(row)),
        Content::Unconfirmed => {
            ground.media_class(row).filter(|&(class, by)| certain(row, ground, class, by))
        }
        Content::Other | Content::Tls => ground.class_of_other(row).map(|class| (class, Evidence::Port)),
        Content::Rtp | Content::Quic | Content::Cut => None,
    };
    if let Some((class, by)) = found {
        (row.out.class, row.out.class_by) = (Some(class), Some(by));
    }
}

/// Single packets that look like RTP are media if a description or a narrow range says so.
fn certain(row: &Row, ground: &Ground, class: TrafficClass, by: Evidence) -> bool {
    let role = ground.role(row.out.src, row.out.src_port);
    by == Evidence::Sdp || (by == Evidence::Port && ground.is_narrow(role, class))
}

fn role(row: &Row, ground: &Ground) -> Role {
    if ground.is_of_relay_service(row) { Role::Edge } else { ground.role(row.out.src, row.out.src_port) }
}

fn direction(row: &Row, ground: &Ground) -> Direction {
    let server = |role: Role| !matches!(role, Role::Client | Role::Phone);
    let (from, to) = match (row.out.class, &ground.policies) {
        (Some(TrafficClass::Signaling), Some(policies)) => {
            (policies.is_signaling(row.out.src_port), policies.is_signaling(row.out.dst_port))
        }
        _ => (server(row.out.role), server(ground.role(row.out.dst, row.out.dst_port))),
    };
    match (from, to) {
        (false, true) => Direction::ToServer,
        (true, false) => Direction::FromServer,
        _ => Direction::Peer,
    }
}

/// What the plan expects of a row. STUN and DTLS set media up; only a strict verdict asks for their marks.
fn expect(row: &mut Row, ground: &Ground, policies: &Policies, media: &Media, strict: bool) {
    let Some(class) = row.out.class else { return };
    let role = row.out.role;
    let phone = ground.phone(row.out.src, role);
    let mark = |class| {
        phone.and_then(|phone| phone::mark(phone, class)).unwrap_or_else(|| policies.mark(role, class))
    };
    if MEDIA.contains(&class) && !ground.is_of_relay_service(row) {
        let own = phone.and_then(|phone| phone::range(phone, class, row.out.src_port));
        row.out.range = own.or_else(|| policies.range(role, class));
        let odd_one = row.out.content == Content::Unconfirmed;
        row.out.in_range = row.out.range.filter(|_| !odd_one).map(|range| range.contains(row.out.src_port));
    }
    if matches!(row.out.content, Content::Stun | Content::Dtls) && !strict {
        row.out.in_range = None;
        return;
    }
    if role == Role::Edge && !policies.has_edge {
        return;
    }
    let marks = media.beside(row).iter().map(|&class| mark(class));
    row.accepted = if row.out.content == Content::Rtp { Vec::new() } else { marks.collect() };
    let expected = mark(class);
    row.out.expected = Some(expected);
    row.accepted.push(expected);
    let wrong = row.out.marks.iter().filter(|mark| !row.accepted.contains(&mark.dscp));
    row.wrong_marks = wrong.map(|mark| mark.packets).sum();
}

/// Codec, clock, jitter and score.
fn measure(row: &mut Row, ground: &Ground, media: &Media) {
    let last_jitter = row.jitter.as_ref().map_or(0.0, |jitter| jitter.least_ms());
    if let Some(timeline) = row.timeline.take() {
        row.out.timeline = timeline.buckets(row.out.expected, last_jitter);
    }
    let ends = (row.out.src, row.out.src_port, row.out.dst, row.out.dst_port);
    row.out.encrypted = ground.is_encrypted(row) || media.keyed.contains(&ends);
    let format = ground.format(row).map(|format| (format.codec.clone(), format.clock_rate));
    let fixed = row.out.payload_type.and_then(static_payload).map(|fixed| fixed.codec);
    let known = format.or_else(|| fixed.map(|codec| (codec.name.to_string(), codec.clock)));
    let (Some(rtp), Some(jitter)) = (&mut row.out.rtp, &row.jitter) else { return };
    let lane = known.as_ref().and_then(|(_, clock)| jitter.at(*clock));
    rtp.clock_assumed = known.is_none();
    let lane = lane.or_else(|| jitter.best().filter(|_| known.is_none()));
    rtp.clock_rate = known.as_ref().map(|(_, clock)| *clock).or(lane.map(|lane| lane.rate));
    rtp.jitter_mean_ms = lane.map(|lane| lane.mean_ms);
    rtp.jitter_max_ms = lane.map(|lane| lane.max_ms);
    row.out.codec = known.map(|(name, _)| name);
    score(row);
}

fn score(row: &mut Row) {
    let Some(rtp) = &mut row.out.rtp else { return };
    let quality = row.out.codec.as_deref().map(|name| (name, quality::codec_quality(name)));
    let (mos, note) = match (row.out.class, quality) {
        (Some(TrafficClass::Audio), _) if !rtp.loss_judged => {
            (None, Some("loss could not be judged".to_string()))
        }
        (Some(TrafficClass::Audio), Some((_, Some(quality)))) => {
            // The jitter buffer must hold back what arrives unevenly: twice the mean jitter.
            let delay = 2.0 * rtp.jitter_mean_ms.unwrap_or(0.0);
            let mos = quality::mos(quality, delay, rtp.loss_percent, 1.0);
            (Some(mos), Some("network delay unknown, taken as 0".to_string()))
        }
        (Some(TrafficClass::Audio), Some((name, None))) => {
            (None, Some(format!("no published values for {name}")))
        }
        (Some(TrafficClass::Audio), None) => {
            (None, Some("codec unknown: dynamic payload type without SDP".to_string()))
        }
        _ => (None, None),
    };
    (rtp.mos, rtp.mos_note) = (mos, note);
}

fn conclude(row: &mut Row) {
    let out = &mut row.out;
    let outside = out.in_range == Some(false);
    if row.wrong_marks > 0 {
        let found: Vec<_> = out.marks.iter().map(|mark| mark.dscp).collect();
        out.reasons.push(wrong_mark_reason(row.wrong_marks, out.frames, out.expected, &found));
    }
    if let (true, Some(range)) = (outside, out.range) {
        out.reasons.push(format!("source port {} outside {range}", out.src_port));
    }
    let loss_unjudged = out.rtp.as_ref().is_some_and(|rtp| !rtp.loss_judged);
    if loss_unjudged {
        out.reasons.push("loss could not be judged".to_string());
    }
    if out.class.is_none() {
        out.reasons.push("no class of the plan".to_string());
    }
    out.verdict = match () {
        () if row.wrong_marks > 0 || outside => Verdict::Fail,
        () if out.expected.is_none() || loss_unjudged => Verdict::Unjudged,
        () => Verdict::Pass,
    };
    let of_port = outside.then_some(row.out.first_frame);
    row.out.first_offending =
        [row.first_wrong_mark().filter(|_| row.wrong_marks > 0), of_port].into_iter().flatten().min();
}

fn wrong_mark_reason(wrong: u64, frames: u64, expected: Option<Dscp>, found: &[Dscp]) -> String {
    let found: Vec<_> = found.iter().map(|dscp| dscp.value().to_string()).collect();
    let expected = expected.map_or(0, Dscp::value);
    format!("{wrong} of {frames} packets not marked {expected} (found {})", found.join(", "))
}

/// Whether media runs over TCP, where UDP would do.
pub(super) fn over_tcp(row: &Row) -> bool {
    let media = matches!(row.out.content, Content::Rtp | Content::Relayed);
    row.out.protocol == "tcp"
        && (media || row.wrap == Wrap::Framed)
        && row.out.class != Some(TrafficClass::Sharing)
}

/// The first port behind a range, if there is one.
pub(super) fn one_beyond(range: PortRange) -> Option<u16> {
    range.end().checked_add(1)
}
