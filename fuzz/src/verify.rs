//! The verdict over whole captures.

use std::sync::LazyLock;

use carillon_qos::Plan;
use carillon_qos::plan::{PRESETS, QueueMap};
use carillon_qos::verify::report::{FlowReport, Report};
use carillon_qos::verify::{Frame, Limits, Options, Share, Verifier, timeline};
use carillon_wire::capture::Decoder;

use crate::traffic;

/// A capture file behind a byte that chooses the plan and how to judge.
pub fn verify(data: &[u8]) {
    let Some((&choice, file)) = data.split_first() else { return };
    let (mut decoder, mut rest, mut frames) = (Decoder::new(), file, Vec::new());
    while let Ok(Some(record)) = decoder.next(&mut rest) {
        frames.push(Frame {
            number: record.frame,
            time: record.time,
            file: 0,
            interface: record.interface,
            link: record.link,
            original_len: record.original_len,
            data: record.data,
        });
    }
    judge(choice, &frames);
}

/// Traffic as `traffic::frames` reads it, behind a byte that chooses the plan, how to judge, and whether time is
/// about to end: what lies deep behind valid headers.
pub fn verify_packets(data: &[u8]) {
    let Some((&choice, script)) = data.split_first() else { return };
    let start = if choice & 0x40 == 0 { 0 } else { i64::MAX - 1_000_000_000 };
    let frames = traffic::frames(script, start);
    judge(choice, &frames.iter().map(traffic::Built::frame).collect::<Vec<_>>());
}

/// Every preset, and no plan at all.
static PLANS: LazyLock<Vec<Option<Plan>>> =
    LazyLock::new(|| PRESETS.iter().map(|preset| Plan::preset(preset.name)).chain([None]).collect());

/// One worker and three come to the same report, and its numbers agree with each other.
fn judge(choice: u8, frames: &[Frame<'_>]) {
    // The smallest limits put one flow into a shard, so that the second has to wait or to push it out.
    let limits = if choice & 0x80 == 0 { Limits::default() } else { Limits { flows: 16, fragments: 2 } };
    let options = Options {
        plan: PLANS[usize::from(choice & 0x0f) % PLANS.len()].clone(),
        queues: (choice & 0x20 != 0).then(|| QueueMap::uniform(1)),
        strict: choice & 0x10 != 0,
        files: vec!["a".to_owned(), "b".to_owned()],
        ..Options::default()
    };
    let report = observed(frames, 1, limits).report(&options);
    let one = serde_json::to_string(&report).unwrap_or_default();
    assert!(!one.is_empty());
    let three = serde_json::to_string(&observed(frames, 3, limits).report(&options)).unwrap_or_default();
    assert_eq!(one, three);
    agrees(&report, frames);
}

fn observed(frames: &[Frame<'_>], workers: usize, limits: Limits) -> Verifier {
    let mut verifiers = (0..workers).map(|index| {
        let mut verifier = Verifier::new(limits, Share { index, of: workers });
        frames.iter().for_each(|frame| verifier.observe(frame));
        verifier
    });
    let first = verifiers.next().unwrap_or_else(|| Verifier::new(limits, Share::ALL));
    verifiers.fold(first, |mut all, other| {
        all.merge(other);
        all
    })
}

fn agrees(report: &Report, frames: &[Frame<'_>]) {
    let totals = &report.totals;
    assert_eq!(totals.frames, frames.len() as u64);
    assert!(totals.ip + totals.undecoded <= totals.frames && totals.icmp <= totals.ip);
    assert!(totals.fragments <= totals.ip && totals.wrong_mark.max(totals.out_of_range) <= totals.judged);
    let kept: u64 = report.flows.iter().map(|flow| flow.frames).sum();
    assert!(totals.judged <= kept && kept <= totals.ip, "{totals:?}");
    // A forgotten sender of a TCP connection counts by its packets, of which a segment may carry several.
    let is_udp = |flow: &FlowReport| flow.protocol == "udp";
    assert!(kept + totals.beyond_limit <= totals.ip || !report.flows.iter().all(is_udp), "{totals:?}");
    assert!(totals.orphan_fragments <= totals.fragments && totals.tunneled <= totals.ip, "{totals:?}");
    assert!(report.fit.iter().flat_map(|fit| [fit.score, fit.ports, fit.marks]).all(is_percent));
    for (id, flow) in report.flows.iter().enumerate() {
        assert!(flow.id == id && flow.point < report.points.len());
        flow_agrees(flow);
    }
    for finding in &report.findings {
        assert!(!finding.text.is_empty() && !finding.fix.is_empty());
        let mut flows = finding.flows.iter().chain(&finding.flow);
        assert!(flows.all(|flow| *flow < report.flows.len()), "{finding:?}");
        assert!(finding.frame.is_none_or(|frame| frames.iter().any(|known| known.number == frame)));
    }
}

fn flow_agrees(flow: &FlowReport) {
    // Segments that carry packets of several senders count with one of them.
    let shares_frames = flow.protocol == "tcp" && flow.ssrc.is_some();
    assert!((flow.frames > 0 || shares_frames) && flow.start_ns <= flow.end_ns, "{flow:?}");
    assert_eq!(flow.marks.iter().map(|mark| mark.packets).sum::<u64>(), flow.frames);
    assert_eq!(flow.ecn.iter().sum::<u64>(), flow.frames);
    assert!(
        (flow.packets <= flow.frames || shares_frames) && flow.expected.is_none_or(|_| flow.class.is_some())
    );
    assert!(flow.timeline.len() <= timeline::BUCKETS, "{} slices", flow.timeline.len());
    assert!(flow.timeline.iter().all(|slice| slice.jitter_ms.is_finite() && slice.jitter_ms >= 0.0));
    let Some(rtp) = &flow.rtp else { return };
    assert_eq!(flow.timeline.iter().map(|slice| slice.packets).sum::<u64>(), flow.packets);
    assert!(is_percent(rtp.loss_percent), "{rtp:?}");
    assert_eq!(rtp.expected as i64 - rtp.lost, (flow.packets - rtp.duplicates) as i64, "{rtp:?}");
    assert!(rtp.reordered < flow.packets && rtp.duplicates < flow.packets);
    let times =
        [rtp.max_gap_ms, rtp.talk_time_s].into_iter().chain(rtp.jitter_mean_ms).chain(rtp.jitter_max_ms);
    assert!(times.into_iter().all(|time| time.is_finite() && time >= 0.0), "{rtp:?}");
    assert!(rtp.mos.is_none_or(|mos| (1.0..=4.5).contains(&mos)), "{rtp:?}");
}

fn is_percent(number: f64) -> bool {
    (0.0..=100.0).contains(&number)
}
