//! The findings: cause, what was seen, fix, and where to look.

use carillon_qos::verify::cause::Severity;
use carillon_qos::verify::report::{Finding, Report};

use super::capture_of;
use super::markup::{Html, html};
use crate::words::{self, some};

pub(super) fn section(page: &mut Html, report: &Report) {
    page.fixed("<section>\n<h2>Findings</h2>\n");
    if report.findings.is_empty() {
        let words = match report.plan {
            Some(_) => "Nothing was found that needs a fix.",
            None => "Without a plan no causes are looked for.",
        };
        html!(page, "<p class=\"card\">{}</p>\n", words);
    }
    for (at, finding) in report.findings.iter().enumerate() {
        card(page, report, at + 1, finding);
    }
    page.fixed("</section>\n");
}

fn card(page: &mut Html, report: &Report, number: usize, finding: &Finding) {
    let (kind, word) = match finding.severity {
        Severity::Error => ("bad", "error"),
        Severity::Unjudged => ("doubt", "not judged"),
        Severity::Advice => ("advice", "advice"),
    };
    let info = finding.cause.info();
    html!(page, "<article class=\"card finding {}\">\n", kind);
    html!(page, "<h3><span class=\"pill\">{}</span> {}. {}</h3>\n", word, number, info.summary);
    html!(
        page,
        "<p>{}</p>\n<p class=\"fix\"><b>Fix</b> {}</p>\n<p class=\"where\">",
        finding.text,
        finding.fix
    );
    html!(page, "<code>{}</code>", info.name);
    if let Some(frame) = finding.frame {
        html!(page, " · look at <code>frame.number == {}</code>", frame);
        let flow = finding.flow.and_then(|flow| report.flows.get(flow));
        if let Some(file) = flow.and_then(|flow| capture_of(report, flow)) {
            html!(page, " in {}", file);
        }
    }
    if let Some(flow) = finding.flow.and_then(|flow| report.flows.get(flow)) {
        html!(page, " · <a href=\"#flow-{}\">flow {}</a>", flow.id, flow.id);
        html!(page, " <code>{}</code>", words::wireshark_filter(flow));
    }
    if finding.flows.len() > 1 {
        html!(page, " · {} concerned", some(finding.flows.len() as u64, "flow", "flows"));
    }
    html!(
        page,
        "</p>\n<details><summary>When this may be wrong</summary><p>{}</p></details>\n",
        info.wrong_when
    );
    page.fixed("</article>\n");
}
