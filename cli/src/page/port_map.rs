//! The port map: the plan's ranges as bands, the source ports seen as dots, red where they lie outside.
//!
//! 40 ports among 65535 would be invisible, so the axis is cut at the borders of ranges: each stretch gets
//! a width by the logarithm of its ports, and stretches that hold nothing become short.

use std::collections::BTreeMap;

use carillon_qos::verify::report::Report;
use carillon_qos::{PortRange, Role, TrafficClass};

use super::Context;
use super::markup::{Html, html};
use crate::words;

/// A range that the plan gives to a class and some roles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Band {
    /// The class.
    pub class: TrafficClass,
    /// The roles that have this range.
    pub roles: Vec<Role>,
    /// The range.
    pub range: PortRange,
}

const LEFT: f64 = 112.0;
const RIGHT: f64 = 988.0;
const ROW: f64 = 54.0;
const TOP: f64 = 8.0;
/// More dots than this only make the file larger; those with the most packets stay.
const MOST_DOTS: usize = 2000;

pub(super) fn section(page: &mut Html, report: &Report, context: &Context) {
    let dots = dots(report);
    let bands: Vec<&Band> = context.bands.iter().filter(|band| concerns(report, band)).collect();
    let rows: Vec<TrafficClass> = TrafficClass::ALL
        .into_iter()
        .filter(|class| {
            bands.iter().any(|band| band.class == *class) || dots.iter().any(|dot| dot.class == *class)
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let axis = Axis::new(&bands, &dots);
    page.fixed("<section>\n<h2>Ports</h2>\n<figure class=\"card\">\n");
    let height = TOP + ROW * rows.len() as f64 + 44.0;
    html!(page, "<svg class=\"map\" viewBox=\"0 0 1000 {}\" role=\"img\" ", px(height));
    page.fixed("aria-label=\"Planned port ranges and the source ports seen\">\n");
    for (at, class) in rows.iter().enumerate() {
        let y = TOP + ROW * at as f64;
        row(page, *class, y);
        bands.iter().filter(|band| band.class == *class).for_each(|band| draw_band(page, &axis, band, y));
        dots.iter().filter(|dot| dot.class == *class).for_each(|dot| draw_dot(page, &axis, dot, y));
        name_strays(page, &axis, dots.iter().filter(|dot| dot.class == *class && dot.outside), y);
    }
    axis.draw(page, TOP + ROW * rows.len() as f64 + 4.0);
    page.fixed("</svg>\n<figcaption>");
    if let Some(plan) = &context.bands_of {
        let fits = if report.plan.is_none() { ", the preset that fits best" } else { "" };
        html!(page, "Bands: the ranges of {}{}. ", plan, fits);
    }
    page.fixed(
        "Dots: source ports of media, larger with more packets, <b class=\"off\">red</b> outside the range. ",
    );
    page.fixed("Dashed stretches are shortened.</figcaption>\n</figure>\n</section>\n");
}

/// Clients and servers always; the other roles if somebody plays them.
fn concerns(report: &Report, band: &Band) -> bool {
    let plays = |role| {
        matches!(role, Role::Client | Role::Conferencing) || report.flows.iter().any(|f| f.role == role)
    };
    band.roles.iter().any(|role| plays(*role))
}

/// All packets of one class from one port.
struct Dot {
    class: TrafficClass,
    port: u16,
    outside: bool,
    packets: u64,
    senders: Vec<String>,
}

fn dots(report: &Report) -> Vec<Dot> {
    let mut found: BTreeMap<(TrafficClass, u16, bool), (u64, Vec<String>)> = BTreeMap::new();
    for flow in &report.flows {
        let Some(class) = flow.class.filter(|class| class.is_media()) else { continue };
        let (packets, senders) =
            found.entry((class, flow.src_port, flow.in_range == Some(false))).or_default();
        *packets = packets.saturating_add(flow.packets);
        let sender = flow.src.to_string();
        if senders.len() < 3 && !senders.contains(&sender) {
            senders.push(sender);
        }
    }
    let dot = |((class, port, outside), (packets, senders))| Dot { class, port, outside, packets, senders };
    let mut dots: Vec<Dot> = found.into_iter().map(dot).collect();
    dots.sort_by_key(|dot| std::cmp::Reverse(dot.packets));
    dots.truncate(MOST_DOTS);
    // Red ones are drawn last, over the others.
    dots.sort_by_key(|dot| dot.outside);
    dots
}

fn row(page: &mut Html, class: TrafficClass, y: f64) {
    html!(page, "<text class=\"row\" x=\"{}\" y=\"{}\">{}</text>", px(LEFT - 14.0), px(y + 30.0), class);
    html!(page, "<path class=\"guide\" d=\"M{} {}H{}\"/>\n", px(LEFT), px(y + 26.0), px(RIGHT));
}

fn draw_band(page: &mut Html, axis: &Axis, band: &Band, y: f64) {
    let (from, to) = axis.span(band.range);
    let roles: Vec<&str> = band.roles.iter().map(|role| role.name()).collect();
    let (start, end) = (band.range.start(), band.range.end());
    html!(page, "<g class=\"band {}\"><rect x=\"{}\" y=\"{}\" ", band.class, px(from), px(y + 8.0));
    html!(page, "width=\"{}\" height=\"36\" rx=\"4\"/>", px((to - from).max(2.0)));
    let first = roles.first().copied().unwrap_or_default();
    let short = if roles.len() > 1 { format!("{first} +{}", roles.len() - 1) } else { first.to_owned() };
    // A letter of the small print is about six units wide.
    let fitting = [roles.join(", "), short].into_iter().find(|label| label.len() as f64 * 6.0 < to - from);
    if let Some(label) = fitting {
        html!(page, "<text x=\"{}\" y=\"{}\">{}</text>", px(from + 5.0), px(y + 19.0), label);
    }
    html!(page, "<title>{} of {}: {} to {}</title></g>\n", band.class, roles.join(", "), start, end);
}

fn draw_dot(page: &mut Html, axis: &Axis, dot: &Dot, y: f64) {
    let radius = (2.0 + (dot.packets.max(1) as f64).log10() * 1.3).min(10.0);
    let place = if dot.outside { "outside the planned range" } else { "as planned" };
    let class = if dot.outside { "dot off" } else { "dot" };
    html!(page, "<circle class=\"{} {}\" cx=\"{}\" ", class, dot.class, px(axis.x(dot.port)));
    html!(page, "cy=\"{}\" r=\"{}\"><title>", px(y + 29.0), px(radius));
    let packets = words::some(dot.packets, "packet", "packets");
    html!(
        page,
        "port {}, {}: {} from {}</title></circle>\n",
        dot.port,
        place,
        packets,
        dot.senders.join(", ")
    );
}

/// The numbers of ports outside, where there is room for them.
fn name_strays<'a>(page: &mut Html, axis: &Axis, strays: impl Iterator<Item = &'a Dot>, y: f64) {
    let mut places: Vec<(u16, f64)> = strays.map(|dot| (dot.port, axis.x(dot.port))).collect();
    places.sort_by_key(|(port, _)| *port);
    let mut taken = f64::MIN;
    for (port, x) in places {
        if x - taken >= 36.0 {
            taken = x;
            html!(page, "<text class=\"stray\" x=\"{}\" y=\"{}\">{}</text>\n", px(x), px(y + 50.0), port);
        }
    }
}

/// The axis: stretches of ports with their place.
struct Axis {
    stretches: Vec<Stretch>,
}

struct Stretch {
    /// First port, and the first port after it.
    ports: (u32, u32),
    /// Where it begins and ends in the picture.
    x: (f64, f64),
    planned: bool,
}

impl Axis {
    fn new(bands: &[&Band], dots: &[Dot]) -> Axis {
        let lowest = dots.iter().map(|dot| u32::from(dot.port)).min().unwrap_or(1024).min(1024);
        let mut borders = vec![lowest, 65_536];
        for band in bands {
            borders.extend([u32::from(band.range.start()), u32::from(band.range.end()) + 1]);
        }
        borders.retain(|border| *border >= lowest);
        borders.sort_unstable();
        borders.dedup();
        let parts: Vec<((u32, u32), f64, bool)> = borders
            .windows(2)
            .filter_map(|pair| Some((*pair.first()?, *pair.last()?)))
            .map(|ports| {
                let planned = bands.iter().any(|band| covers(band.range, ports));
                let used = dots.iter().any(|dot| inside(ports, dot.port));
                (ports, weight(ports, planned, used), planned)
            })
            .collect();
        let total: f64 = parts.iter().map(|(_, weight, _)| weight).sum();
        let mut x = LEFT;
        let stretches = parts.into_iter().map(|(ports, weight, planned)| {
            let from = x;
            x += weight / total * (RIGHT - LEFT);
            Stretch { ports, x: (from, x), planned }
        });
        Axis { stretches: stretches.collect() }
    }

    /// The middle of a port's place.
    fn x(&self, port: u16) -> f64 {
        let stretch = self.stretches.iter().find(|stretch| inside(stretch.ports, port));
        stretch.map_or(LEFT, |Stretch { ports: (from, to), x: (left, right), .. }| {
            left + (f64::from(port) + 0.5 - f64::from(*from)) / f64::from(to - from) * (right - left)
        })
    }

    /// Where a range begins and ends.
    fn span(&self, range: PortRange) -> (f64, f64) {
        let touched = || self.stretches.iter().filter(|stretch| covers(range, stretch.ports));
        let from = touched().map(|stretch| stretch.x.0).fold(RIGHT, f64::min);
        let to = touched().map(|stretch| stretch.x.1).fold(LEFT, f64::max);
        (from, to)
    }

    fn draw(&self, page: &mut Html, y: f64) {
        for Stretch { x, planned, .. } in &self.stretches {
            let class = if *planned { "axis" } else { "axis short" };
            html!(page, "<path class=\"{}\" d=\"M{} {}H{}\"/>", class, px(x.0), px(y), px(x.1));
        }
        // Two lines of labels; what fits in neither is told by the band's own text.
        let mut taken = [f64::MIN; 2];
        for (port, x) in self.labels() {
            let Some(line) = taken.iter().position(|taken| x - taken >= 38.0) else { continue };
            if let Some(taken) = taken.get_mut(line) {
                *taken = x;
            }
            let below = y + 15.0 + line as f64 * 14.0;
            html!(page, "<path class=\"axis\" d=\"M{} {}V{}\"/>", px(x), px(y - 3.0), px(below - 10.0));
            let class = if port == 65_535 { "port last" } else { "port" };
            html!(page, "<text class=\"{}\" x=\"{}\" y=\"{}\">{}</text>\n", class, px(x), px(below), port);
        }
    }

    /// The first port of each stretch that begins a range, the last one of what ends before a gap, and the ends.
    fn labels(&self) -> Vec<(u32, f64)> {
        let mut labels = Vec::new();
        let mut after_plan = false;
        for stretch in &self.stretches {
            match (after_plan, stretch.planned) {
                (_, true) => labels.push((stretch.ports.0, stretch.x.0)),
                (true, false) => labels.push((stretch.ports.0 - 1, stretch.x.0)),
                (false, false) => labels.push((stretch.ports.0, stretch.x.0)),
            }
            after_plan = stretch.planned;
        }
        labels.push((65_535, RIGHT));
        labels
    }
}

fn weight((from, to): (u32, u32), planned: bool, used: bool) -> f64 {
    let ports = f64::from(to - from);
    match (planned, used) {
        (true, _) => 2.0 + ports.ln() * 0.45,
        (false, true) => 2.0 + ports.ln() * 0.2,
        (false, false) => 0.8,
    }
}

fn inside((from, to): (u32, u32), port: u16) -> bool {
    (from..to).contains(&u32::from(port))
}

fn covers(range: PortRange, (from, to): (u32, u32)) -> bool {
    u32::from(range.start()) <= from && to <= u32::from(range.end()) + 1
}

/// A coordinate with one digit after the point.
fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(start: u16, count: u32) -> Band {
        let range = PortRange::from_count(start, count).unwrap();
        Band { class: TrafficClass::Audio, roles: vec![Role::Client], range }
    }

    #[test]
    fn a_port_is_drawn_inside_its_range_and_its_neighbour_outside() {
        let axis = Axis::new(&[&band(20000, 40), &band(20040, 40), &band(49152, 8348)], &[]);
        let (from, to) = axis.span(band(20000, 40).range);
        assert!(to - from > 60.0, "40 ports are visible: {from} to {to}");
        for (port, expected) in [(19999, false), (20000, true), (20039, true), (20040, false), (65535, false)]
        {
            assert_eq!((from..to).contains(&axis.x(port)), expected, "{port}");
        }
    }

    #[test]
    fn the_axis_runs_over_all_ports_in_order() {
        let axis = Axis::new(&[&band(1, 65535), &band(6000, 25)], &[]);
        let places: Vec<f64> = (1..=65535).map(|port| axis.x(port)).collect();
        assert!(places.is_sorted());
        assert!(places.first() >= Some(&LEFT) && places.last() <= Some(&RIGHT));
    }
}
