//! The verdict as one HTML file: for a manager to understand and for an engineer to trust.
//!
//! No scripts and nothing from elsewhere; pictures are SVG inside the page. Judges nothing itself.

pub mod exports;
mod findings;
mod flows;
pub mod markup;
mod method;
mod port_map;
#[cfg(test)]
pub mod sample;
mod timelines;

use carillon_qos::verify::report::{FlowReport, Report, Verdict};

use crate::words::{self, count};
use markup::{Html, html};
pub use port_map::Band;

/// What the page shows besides the report.
#[derive(Debug, Default)]
pub struct Context {
    /// The plan's line for people.
    pub plan_title: Option<String>,
    /// The plan as a file.
    pub plan_text: Option<String>,
    /// Whose ranges the port map shows: the plan's, or those of the preset that fits best.
    pub bands_of: Option<String>,
    /// These ranges.
    pub bands: Vec<Band>,
}

/// The whole page.
pub fn render(report: &Report, context: &Context) -> String {
    let mut page = Html::default();
    head(&mut page, report);
    verdict(&mut page, report, context);
    numbers(&mut page, report);
    findings::section(&mut page, report);
    port_map::section(&mut page, report, context);
    timelines::section(&mut page, report);
    flows::section(&mut page, report);
    method::section(&mut page, report, context);
    end(&mut page);
    page.into_string()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn head(page: &mut Html, report: &Report) {
    begin(page, &format!("{}: {}", words::verdict(report.verdict), sources(report)));
}

/// Everything before the content.
fn begin(page: &mut Html, title: &str) {
    page.fixed("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n");
    page.fixed("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    // Even if something slipped through the escaping, no browser would run or fetch it.
    page.fixed("<meta http-equiv=\"Content-Security-Policy\" ");
    page.fixed("content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n");
    page.fixed("<meta name=\"color-scheme\" content=\"light dark\"/>\n");
    html!(page, "<title>{}</title>\n", title);
    page.fixed("<style>\n");
    page.fixed(include_str!("page.css"));
    page.fixed("</style>\n</head>\n<body>\n<main>\n");
}

/// Everything after it.
fn end(page: &mut Html) {
    html!(
        page,
        "<footer>Made by Carillon {}. No scripts, nothing loaded from elsewhere.</footer>\n",
        VERSION
    );
    page.fixed("</main>\n</body>\n</html>\n");
}

fn verdict(page: &mut Html, report: &Report, context: &Context) {
    let (kind, words, meaning) = match report.verdict {
        Verdict::Pass => (
            "good",
            "The plan is kept",
            "Every packet that was judged carries its planned mark, so switches and routers can prefer it where a link is busy.",
        ),
        Verdict::Fail => (
            "bad",
            "The plan is not kept",
            "Packets without their planned mark wait behind everything else where a link is busy: calls stutter although there seems to be bandwidth left. The findings below say where it starts, and how to fix it.",
        ),
        Verdict::Unjudged => (
            "doubt",
            if report.plan.is_none() { "There was no plan to judge by" } else { "It could not be judged" },
            "The reasons are listed below. What could be seen is shown, but it is no verdict on the whole.",
        ),
    };
    html!(
        page,
        "<header class=\"verdict {}\">\n<p class=\"stamp\">{}</p>\n",
        kind,
        words::verdict(report.verdict)
    );
    html!(page, "<h1>{}</h1>\n<p class=\"lead\">{}</p>\n", words, words::headline(report));
    html!(page, "<p>{}</p>\n", meaning);
    if !report.unjudged.is_empty() {
        page.fixed("<ul class=\"reasons\">\n");
        report.unjudged.iter().for_each(|reason| html!(page, "<li>{}</li>\n", reason));
        page.fixed("</ul>\n");
    }
    html!(page, "<p class=\"source\">{}", sources(report));
    if report.totals.frames > 0 {
        let long = report.totals.end_ns.saturating_sub(report.totals.start_ns);
        html!(page, " · {} · {}", words::date(report.totals.start_ns), words::duration(long));
    }
    if let Some(title) = &context.plan_title {
        html!(page, " · plan: {}", title);
    }
    page.fixed("</p>\n</header>\n");
}

/// The four numbers that are worth a glance.
fn numbers(page: &mut Html, report: &Report) {
    let totals = &report.totals;
    page.fixed("<section class=\"numbers\">\n");
    let of_frames = format!("of {}", words::some(totals.frames, "packet", "packets"));
    number(page, "", &count(totals.judged), "packets judged", &of_frames);
    broken(page, (totals.wrong_mark, totals.judged), "with a wrong mark", "every mark as planned");
    broken(page, (totals.out_of_range, totals.judged), "from a port outside", "every port as planned");
    quality(page, report);
    page.fixed("</section>\n");
}

fn broken(page: &mut Html, (broken, judged): (u64, u64), what: &str, none: &str) {
    match (broken, judged) {
        (_, 0) => number(page, "", "\u{2013}", what, "nothing was judged"),
        (0, _) => number(page, "good", "0", what, none),
        _ => {
            let share = format!("{} of those judged", words::share(broken, judged));
            number(page, "bad", &count(broken), what, &share);
        }
    }
}

fn number(page: &mut Html, kind: &str, value: &str, what: &str, more: &str) {
    html!(
        page,
        "<div class=\"{}\"><b>{}</b><span>{}</span><small>{}</small></div>\n",
        kind,
        value,
        what,
        more
    );
}

/// The fourth number: the worst call quality, or the worst loss where no quality could be computed.
fn quality(page: &mut Html, report: &Report) {
    let rtp = || report.flows.iter().filter_map(|flow| flow.rtp.as_ref());
    if let Some(worst) = rtp().filter_map(|rtp| rtp.mos).min_by(f64::total_cmp) {
        let kind = if worst >= 4.0 {
            "good"
        } else if worst >= 3.6 {
            "doubt"
        } else {
            "bad"
        };
        let word = match worst {
            4.0.. => "users are satisfied",
            3.6..4.0 => "some users are dissatisfied",
            3.1..3.6 => "many users are dissatisfied",
            _ => "nearly all users are dissatisfied",
        };
        return number(page, kind, &format!("{worst:.1}"), "worst voice quality (MOS)", word);
    }
    let losses = rtp().filter(|rtp| rtp.loss_judged).map(|rtp| rtp.loss_percent);
    match losses.max_by(f64::total_cmp) {
        Some(worst) => {
            let kind = if worst > 1.0 { "bad" } else { "good" };
            number(
                page,
                kind,
                &words::percent(worst.max(0.0)),
                "worst loss of a stream",
                "lost before this point",
            );
        }
        None => number(page, "", "\u{2013}", "voice quality", "no audio stream to judge it by"),
    }
}

/// The names of the captures.
fn sources(report: &Report) -> String {
    let mut names: Vec<&str> = Vec::new();
    for point in &report.points {
        if !names.contains(&point.name.as_str()) {
            names.push(&point.name);
        }
    }
    names.join(", ")
}

/// The name of the capture a flow is in, if there are several.
fn capture_of<'a>(report: &'a Report, flow: &FlowReport) -> Option<&'a str> {
    let point = report.points.get(flow.point)?;
    report.points.iter().any(|other| other.file != point.file).then_some(point.name.as_str())
}

/// The flows to show first: those that break the plan, then those not judged, the longest first in each.
fn worst_first(report: &Report) -> Vec<&FlowReport> {
    let mut flows: Vec<&FlowReport> = report.flows.iter().collect();
    let rank = |flow: &FlowReport| match (flow.verdict, flow.expected) {
        (Verdict::Fail, _) => 0,
        (Verdict::Unjudged, _) => 1,
        (Verdict::Pass, Some(_)) => 2,
        (Verdict::Pass, None) => 3,
    };
    flows.sort_by_key(|flow| (rank(flow), std::cmp::Reverse(flow.packets), flow.id));
    flows
}

/// `good`, `bad`, `doubt`: the class that colours a flow.
fn kind(flow: &FlowReport) -> &'static str {
    match (flow.verdict, flow.expected) {
        (Verdict::Pass | Verdict::Unjudged, None) => "none",
        (Verdict::Pass, Some(_)) => "good",
        (Verdict::Fail, _) => "bad",
        (Verdict::Unjudged, Some(_)) => "doubt",
    }
}

/// The word for a flow's verdict: traffic that the plan says nothing about has passed nothing.
fn word(flow: &FlowReport) -> &'static str {
    match (flow.verdict, flow.expected) {
        (Verdict::Pass | Verdict::Unjudged, None) => "not judged",
        (verdict, _) => words::verdict(verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kept for a look: `CARILLON_KEEP_PAGE=page.html cargo nextest run -p carillon the_page_tells`.
    fn keep(page: &str) {
        if let Ok(path) = std::env::var("CARILLON_KEEP_PAGE") {
            std::fs::write(path, page).unwrap();
        }
    }

    #[test]
    fn the_page_tells_verdict_findings_and_frames() {
        let page = render(&sample::report(), &sample::context());
        keep(&page);
        for part in [
            "FAIL",
            "2 of 4 judged flows break plan lync-kloud.",
            "One direction is marked, the return path is not.",
            "frame.number == 14",
            "rtp.ssrc == 0x1d0c77a1",
            "ipv6.src == 2001:db8::7:31 &amp;&amp; tcp.srcport == 51544",
            "port 2230, outside the planned range: 2,000 packets from 10.1.7.200",
            "by shape",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn nothing_on_the_page_comes_from_elsewhere_or_runs() {
        let page = render(&sample::report(), &sample::context());
        for forbidden in ["<script", "http://", "https://", "src=", "<link", "@import", "url("] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn text_from_a_capture_cannot_become_markup() {
        const HOSTILE: &str = "</pre><script>alert(1)</script>\"' onload='x' \u{1b}[2J\0";
        let mut report = sample::report();
        report.points.iter_mut().for_each(|point| point.name = HOSTILE.into());
        report.plan = Some(HOSTILE.into());
        report.unjudged = vec![HOSTILE.into()];
        report.fit.iter_mut().for_each(|fit| fit.plan = HOSTILE.into());
        for flow in &mut report.flows {
            flow.codec = Some(HOSTILE.into());
            flow.relayed = Some(HOSTILE.into());
            flow.reasons = vec![HOSTILE.into()];
            if let Some(rtp) = &mut flow.rtp {
                rtp.mos_note = Some(HOSTILE.into());
            }
        }
        for finding in &mut report.findings {
            finding.text = HOSTILE.into();
            finding.fix = HOSTILE.into();
        }
        let context = Context {
            plan_title: Some(HOSTILE.into()),
            plan_text: Some(HOSTILE.into()),
            bands_of: Some(HOSTILE.into()),
            bands: sample::context().bands,
        };
        let page = render(&report, &context);
        assert!(!page.contains("<script") && !page.contains("onload='") && !page.contains("</pre><script"));
        assert!(!page.contains(|c: char| c.is_control() && c != '\n'));
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_page_over_very_many_flows_stays_readable() {
        let mut report = sample::report();
        report.flows = (0..5000).map(sample::flow).collect();
        let page = render(&report, &sample::context());
        assert!(page.len() < 3_000_000, "{}", page.len());
        assert!(page.contains("4,000 flows more") && page.contains("60 flows of 5,000"));
    }

    #[test]
    fn a_capture_without_anything_makes_a_page_too() {
        let report = Report {
            verdict: Verdict::Unjudged,
            unjudged: vec!["no packet".into()],
            plan: None,
            fit: Vec::new(),
            points: Vec::new(),
            totals: Default::default(),
            flows: Vec::new(),
            findings: Vec::new(),
        };
        let page = render(&report, &Context::default());
        assert!(page.contains("There was no plan to judge by") && page.contains("no packet"));
    }
}
