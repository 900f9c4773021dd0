//! What happened to each flow over time: marks, loss and jitter, one under the other.

use carillon_qos::verify::report::{FlowReport, Report, TimelineBucket};

use super::markup::{Html, html};
use super::{capture_of, kind, word, worst_first};
use crate::words::{self, count, endpoint};

/// More strips than this are no picture any more.
const MOST: usize = 60;

/// Width of a strip in its own units; the page stretches it.
const WIDTH: f64 = 1000.0;

pub(super) fn section(page: &mut Html, report: &Report) {
    let flows: Vec<_> = worst_first(report).into_iter().filter(|flow| !flow.timeline.is_empty()).collect();
    if flows.is_empty() {
        return;
    }
    page.fixed("<section>\n<h2>Over time</h2>\n<p class=\"note legend\">Marks: <i class=\"planned\"></i> as planned ");
    page.fixed("<i class=\"unmarked\"></i> unmarked <i class=\"other\"></i> another mark <i class=\"free\"></i> not judged");
    page.fixed(". Each strip runs from a flow's first packet to its last.</p>\n");
    flows.iter().take(MOST).for_each(|flow| strip(page, report, flow));
    if flows.len() > MOST {
        let shown = words::some(MOST as u64, "flow", "flows");
        html!(
            page,
            "<p class=\"note\">{} of {} are drawn, the worst first.</p>\n",
            shown,
            count(flows.len() as u64)
        );
    }
    page.fixed("</section>\n");
}

fn strip(page: &mut Html, report: &Report, flow: &FlowReport) {
    html!(page, "<article class=\"card flow {}\">\n", kind(flow));
    html!(page, "<h3><span class=\"pill\">{}</span> {} ", word(flow), words::class(flow));
    let (from, to) = (endpoint(flow.src, flow.src_port), endpoint(flow.dst, flow.dst_port));
    html!(page, "<span class=\"path\">{} \u{2192} {}</span></h3>\n", from, to);
    if !flow.reasons.is_empty() {
        html!(page, "<p>{}</p>\n", flow.reasons.join("; "));
    }
    page.fixed("<div class=\"strips\">");
    marks(page, flow);
    if flow.rtp.is_some() {
        loss(page, flow);
        jitter(page, flow);
    }
    page.fixed("</div>\n");
    facts(page, report, flow);
    page.fixed("</article>\n");
}

fn facts(page: &mut Html, report: &Report, flow: &FlowReport) {
    page.fixed("<p class=\"where\">");
    html!(page, "<a href=\"#flow-{}\">flow {}</a> · ", flow.id, flow.id);
    html!(page, "from {}", words::date(flow.start_ns));
    html!(page, " for {}", words::duration(flow.end_ns.saturating_sub(flow.start_ns)));
    html!(page, " · {}", words::some(flow.packets, "packet", "packets"));
    if let Some(vlan) = flow.vlan {
        html!(page, " · VLAN {}", vlan);
    }
    if let Some(relayed) = &flow.relayed {
        html!(page, " · relayed: {}", relayed);
    }
    if let Some(evidence) = flow.class_by {
        html!(page, " · class told {}", words::evidence(evidence));
    }
    html!(page, " · <code>{}</code>", words::wireshark_filter(flow));
    if let Some(frame) = flow.first_offending {
        html!(page, " · first wrong packet <code>frame.number == {}</code>", frame);
    }
    if let Some(file) = capture_of(report, flow) {
        html!(page, " in {}", file);
    }
    page.fixed("</p>\n");
}

fn marks(page: &mut Html, flow: &FlowReport) {
    page.fixed("<span>marks</span>");
    open(page, 16);
    for (bucket, x, width) in placed(flow) {
        let class = match (flow.expected.map(|mark| mark.value()), bucket.dscp) {
            (None, _) => "free",
            (Some(planned), found) if planned == found => "planned",
            (Some(_), 0) => "unmarked",
            (Some(_), _) => "other",
        };
        rect(page, class, (x, 0.0, width, 16.0), &bucket_title(bucket));
        let off = ratio(bucket.off_mark, bucket.packets);
        if class == "planned" && off > 0.0 {
            let height = (off * 16.0).max(4.0);
            rect(page, "other", (x, 16.0 - height, width, height), &bucket_title(bucket));
        }
    }
    page.fixed("</svg>");
    html!(page, "<span>{}</span>", words::marks(&flow.marks));
}

fn loss(page: &mut Html, flow: &FlowReport) {
    page.fixed("<span>loss</span>");
    open(page, 20);
    let share = |bucket: &TimelineBucket| ratio(bucket.lost, bucket.lost.saturating_add(bucket.packets));
    // Under 5 % the scale stays, so that one lost packet does not look like a disaster.
    let full = flow.timeline.iter().map(share).fold(0.05, f64::max);
    for (bucket, x, width) in placed(flow).filter(|(bucket, ..)| bucket.lost > 0) {
        let height = (share(bucket) / full * 20.0).max(2.0);
        rect(page, "lost", (x, 20.0 - height, width, height), &bucket_title(bucket));
    }
    page.fixed("</svg>");
    html!(page, "<span>{}</span>", words::loss(flow.rtp.as_ref()));
}

fn jitter(page: &mut Html, flow: &FlowReport) {
    page.fixed("<span>jitter</span>");
    open(page, 28);
    let full =
        flow.timeline.iter().map(|bucket| bucket.jitter_ms).filter(|ms| ms.is_finite()).fold(5.0, f64::max);
    page.fixed("<path class=\"jitter\" d=\"M0 28");
    for (bucket, x, width) in placed(flow).filter(|(bucket, ..)| bucket.jitter_ms.is_finite()) {
        let y = 28.0 - bucket.jitter_ms / full * 27.0;
        html!(page, " L{} {}", short(x), short(y));
        html!(page, " L{} {}", short(x + width), short(y));
    }
    html!(page, " L{} 28 Z\"><title>{}</title></path></svg>", short(WIDTH), jitter_title(flow));
    html!(page, "<span>{}</span>", words::jitter(flow.rtp.as_ref()));
}

fn jitter_title(flow: &FlowReport) -> String {
    match flow.rtp.as_ref().and_then(|rtp| rtp.jitter_max_ms) {
        Some(most) => format!("at most {}", words::milliseconds(most)),
        None => "no clock rate is known".to_owned(),
    }
}

fn open(page: &mut Html, height: u32) {
    html!(
        page,
        "<svg viewBox=\"0 0 1000 {}\" height=\"{}\" preserveAspectRatio=\"none\" role=\"img\">",
        height,
        height
    );
}

fn rect(page: &mut Html, class: &str, (x, y, width, height): (f64, f64, f64, f64), title: &str) {
    html!(page, "<rect class=\"{}\" x=\"{}\" y=\"{}\" ", class, short(x), short(y));
    html!(page, "width=\"{}\" height=\"{}\"><title>{}</title></rect>", short(width), short(height), title);
}

/// Every slice with its place on the strip.
fn placed(flow: &FlowReport) -> impl Iterator<Item = (&TimelineBucket, f64, f64)> {
    let ends = flow.timeline.iter().skip(1).map(|next| next.at_ms);
    let lasted = flow.end_ns.saturating_sub(flow.start_ns).max(0) as u64 / 1_000_000;
    let last = flow.timeline.last().map_or(0, |bucket| bucket.at_ms);
    let total = lasted.max(last + 1) as f64;
    flow.timeline.iter().zip(ends.chain(std::iter::once(lasted.max(last + 1)))).map(move |(bucket, end)| {
        let x = bucket.at_ms as f64 / total * WIDTH;
        (bucket, x, (end.saturating_sub(bucket.at_ms) as f64 / total * WIDTH).max(1.0))
    })
}

fn bucket_title(bucket: &TimelineBucket) -> String {
    let mark = carillon_wire::ip::Dscp::new(bucket.dscp).map_or(String::new(), carillon_qos::dscp::label);
    let at = words::duration(bucket.at_ms.min(i64::MAX as u64 / 1_000_000) as i64 * 1_000_000);
    format!(
        "after {at}: {}, {mark}, {} with another mark than planned, {} lost, jitter {}",
        words::some(bucket.packets, "packet", "packets"),
        count(bucket.off_mark),
        count(bucket.lost),
        words::milliseconds(bucket.jitter_ms),
    )
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A coordinate with one digit after the point.
fn short(value: f64) -> String {
    format!("{value:.1}")
}
