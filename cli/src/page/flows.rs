//! The table of flows.

use carillon_qos::verify::report::{FlowReport, Report};

use super::markup::{Html, html};
use super::{kind, word, worst_first};
use crate::words::{self, count, endpoint};

/// A page with more rows than this helps nobody; JSON has them all.
const MOST: usize = 1000;

const HEADS: [&str; 13] = [
    "flow", "class", "from", "to", "planned ports", "mark", "found", "packets", "loss", "jitter", "codec", "MOS",
    "verdict",
];

pub(super) fn section(page: &mut Html, report: &Report) {
    let flows = worst_first(report);
    page.fixed("<section>\n<h2>All flows</h2>\n<div class=\"card wide\"><table>\n<thead><tr>");
    HEADS.iter().for_each(|head| html!(page, "<th>{}</th>", head));
    page.fixed("</tr></thead>\n<tbody>\n");
    flows.iter().take(MOST).for_each(|flow| row(page, flow));
    page.fixed("</tbody>\n</table></div>\n");
    if flows.len() > MOST {
        let left = words::some((flows.len() - MOST) as u64, "flow", "flows");
        html!(page, "<p class=\"note\">{} more: see <code>carillon verify --json</code>.</p>\n", left);
    }
    page.fixed("</section>\n");
}

fn row(page: &mut Html, flow: &FlowReport) {
    let rtp = flow.rtp.as_ref();
    html!(page, "<tr class=\"{}\"><td>{}</td><td>{}", kind(flow), flow.id, words::class(flow));
    if let Some(evidence) = flow.class_by {
        html!(page, " <small>{}</small>", words::evidence(evidence));
    }
    html!(page, "</td><td>{}", endpoint(flow.src, flow.src_port));
    html!(page, " <small>{}</small></td><td>{}</td>", flow.role, endpoint(flow.dst, flow.dst_port));
    let outside = if flow.in_range == Some(false) { "off" } else { "" };
    html!(page, "<td class=\"{}\">{}</td>", outside, flow.range.map_or(String::new(), |range| range.to_string()));
    html!(page, "<td>{}</td>", flow.expected.map_or(String::new(), words::mark));
    let wrong = flow.expected.is_some() && flow.marks.iter().any(|found| Some(found.dscp) != flow.expected);
    html!(page, "<td class=\"{}\">{}</td>", if wrong { "off" } else { "" }, words::marks(&flow.marks));
    html!(page, "<td class=\"n\">{}</td>", count(flow.packets));
    html!(page, "<td class=\"n\">{}</td><td class=\"n\">{}</td>", words::loss(rtp), words::jitter(rtp));
    html!(page, "<td>{}</td>", flow.codec.as_deref().unwrap_or(""));
    html!(page, "<td class=\"n\">{}</td><td class=\"v\">{}", words::mos(rtp), word(flow));
    if let Some(frame) = flow.first_offending {
        html!(page, " <small>frame {}</small>", frame);
    }
    page.fixed("</td></tr>\n");
}
