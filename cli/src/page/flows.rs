//! The table of flows.

use carillon_qos::verify::report::{FlowReport, Report};

use super::markup::{Html, html};
use super::{kind, word, worst_first};
use crate::words::{self, count, endpoint, off_mark};

/// A page with more rows than this helps nobody; JSON has them all.
const MOST: usize = 1000;

const HEADS: [&str; 11] =
    ["verdict", "flow", "class", "from", "to", "planned", "mark found", "packets", "loss", "jitter", "MOS"];

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
    html!(page, "<tr class=\"{}\" id=\"flow-{}\"><td class=\"v\">{}", kind(flow), flow.id, word(flow));
    if let Some(frame) = flow.first_offending {
        html!(page, " <small>frame {}</small>", frame);
    }
    html!(page, "</td><td>{}</td><td>{}", flow.id, words::class(flow));
    let told = flow.class_by.map_or("", words::evidence);
    html!(page, " <small>{} {}</small></td>", flow.codec.as_deref().unwrap_or(""), told);
    let outside = if flow.in_range == Some(false) { "off" } else { "" };
    html!(page, "<td class=\"{}\">{}", outside, endpoint(flow.src, flow.src_port));
    html!(page, " <small>{}</small></td><td>{}</td>", flow.role, endpoint(flow.dst, flow.dst_port));
    html!(page, "<td>{}", flow.expected.map_or(String::new(), words::mark));
    html!(page, " <small>{}</small></td>", flow.range.map_or(String::new(), |range| range.to_string()));
    html!(
        page,
        "<td class=\"{}\">{}</td>",
        if off_mark(flow) { "off" } else { "" },
        words::marks(&flow.marks)
    );
    html!(page, "<td class=\"n\">{}</td><td class=\"n\">{}</td>", count(flow.packets), words::loss(rtp));
    html!(page, "<td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n", words::jitter(rtp), words::mos(rtp));
}
