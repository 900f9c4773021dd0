//! How it was judged: what an engineer needs to trust, or to doubt, the verdict.

use carillon_qos::verify::report::{Evidence, Report};

use super::markup::{Html, html};
use super::{Context, VERSION};
use crate::words::{self, count, some};

pub(super) fn section(page: &mut Html, report: &Report, context: &Context) {
    page.fixed("<section>\n<h2>How it was judged</h2>\n<div class=\"card\"><dl>\n");
    plan(page, report, context);
    captures(page, report);
    evidence(page, report);
    assumptions(page, report);
    html!(page, "<dt>Program</dt><dd>carillon {}</dd>\n</dl>\n", VERSION);
    if let Some(text) = &context.plan_text {
        html!(page, "<details><summary>The plan as a file</summary><pre>{}</pre></details>\n", text);
    }
    page.fixed("</div>\n</section>\n");
}

fn plan(page: &mut Html, report: &Report, context: &Context) {
    page.fixed("<dt>Plan</dt><dd>");
    match &report.plan {
        Some(plan) => html!(page, "<b>{}</b> {}", plan, context.plan_title.as_deref().unwrap_or("")),
        None => page.fixed("none was given"),
    }
    if !report.fit.is_empty() {
        page.fixed("<table class=\"fit\"><tr><th>preset</th><th>fits</th><th>ports</th><th>marks</th></tr>");
        for fit in &report.fit {
            html!(page, "<tr><td>{}</td><td class=\"n\">{}</td>", fit.plan, words::percent(fit.score));
            let (ports, marks) = (words::percent(fit.ports), words::percent(fit.marks));
            html!(page, "<td class=\"n\">{}</td><td class=\"n\">{}</td></tr>", ports, marks);
        }
        page.fixed("</table>");
    }
    page.fixed("</dd>\n");
}

fn captures(page: &mut Html, report: &Report) {
    page.fixed("<dt>Captures</dt><dd>");
    for point in &report.points {
        html!(page, "{} (interface {})<br/>", point.name, point.interface);
    }
    let totals = &report.totals;
    html!(page, "{}, {} with IP", some(totals.frames, "frame", "frames"), count(totals.ip));
    let rest = [
        (totals.unclassified, "like media, but of no class: not judged"),
        (totals.tunneled, "tunnels (what they carry was not looked into)"),
        (totals.orphan_fragments, "fragments without the first one of their datagram"),
        (totals.undecoded, "not decoded (no IP, cut or broken)"),
        (totals.fragments, "fragments, put together again"),
        (totals.icmp, "ICMP errors (what they quote is no traffic)"),
        (totals.beyond_limit, "of flows beyond the limit, only counted"),
    ];
    for (number, what) in rest.into_iter().filter(|(number, _)| *number > 0) {
        html!(page, "; {} {}", count(number), what);
    }
    page.fixed(". Frames are numbered from 1 in each file, as in Wireshark.</dd>\n");
}

fn evidence(page: &mut Html, report: &Report) {
    let by = |evidence| report.flows.iter().filter(|flow| flow.class_by == Some(evidence)).count() as u64;
    let rows = [
        (Evidence::Sdp, "the call's own description names address and port"),
        (Evidence::Port, "the port lies in a planned range or is well known"),
        (Evidence::Shape, "sizes and rhythm of the packets: the weakest evidence"),
    ];
    page.fixed("<dt>Class told</dt><dd>");
    for (evidence, meaning) in rows {
        html!(
            page,
            "{}: {} ({})<br/>",
            words::evidence(evidence),
            some(by(evidence), "flow", "flows"),
            meaning
        );
    }
    page.fixed("</dd>\n");
}

fn assumptions(page: &mut Html, report: &Report) {
    let rtp = || report.flows.iter().filter_map(|flow| flow.rtp.as_ref());
    let assumed = rtp().filter(|rtp| rtp.clock_assumed).count() as u64;
    let unjudged = rtp().filter(|rtp| !rtp.loss_judged).count() as u64;
    let encrypted = report.flows.iter().filter(|flow| flow.encrypted).count() as u64;
    page.fixed(
        "<dt>Measured</dt><dd>Loss and jitter after RFC 3550, voice quality by the E-model (ITU-T G.107).",
    );
    let notes = [
        (assumed, "with an assumed clock rate (jitter marked ~)"),
        (unjudged, "whose loss could not be judged (marked ?)"),
        (encrypted, "with encrypted media, judged by headers only"),
    ];
    for (number, what) in notes.into_iter().filter(|(number, _)| *number > 0) {
        html!(page, " {} {}.", some(number, "stream", "streams"), what);
    }
    let mut quality: Vec<&str> = rtp().filter_map(|rtp| rtp.mos_note.as_deref()).collect();
    quality.sort_unstable();
    quality.dedup();
    quality.iter().take(8).for_each(|note| html!(page, "<br/>Voice quality: {}.", note));
    page.fixed("</dd>\n");
}
