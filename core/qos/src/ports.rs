//! Port ranges: a start and a count, as servers are configured; the end is inclusive.

use serde::Serialize;

/// A range of ports that cannot be empty and cannot pass 65535. 6000 + 25 ends at 6024.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(into = "PortRangeText")]
pub struct PortRange {
    start: u16,
    end: u16,
}

#[derive(Serialize)]
struct PortRangeText {
    start: u16,
    count: u32,
    end: u16,
}

impl From<PortRange> for PortRangeText {
    fn from(range: PortRange) -> Self {
        PortRangeText { start: range.start, count: range.count(), end: range.end }
    }
}

impl PortRange {
    /// What a client uses while no range is in force.
    pub const UNRESTRICTED: PortRange = PortRange { start: 1024, end: 65535 };

    /// `count` ports from `start` on; `None` if there are none or they pass 65535.
    pub const fn from_count(start: u16, count: u32) -> Option<PortRange> {
        if start == 0 || count == 0 || start as u32 + count - 1 > 65535 {
            return None;
        }
        Some(PortRange { start, end: (start as u32 + count - 1) as u16 })
    }

    /// From `start` to `end`, both included; `None` if the end lies before the start.
    pub const fn from_ends(start: u16, end: u16) -> Option<PortRange> {
        if start == 0 || end < start { None } else { Some(PortRange { start, end }) }
    }

    /// First port.
    pub const fn start(self) -> u16 {
        self.start
    }

    /// Last port, included.
    pub const fn end(self) -> u16 {
        self.end
    }

    /// How many ports.
    pub const fn count(self) -> u32 {
        self.end as u32 - self.start as u32 + 1
    }

    /// Whether the port lies inside.
    #[inline]
    pub const fn contains(self, port: u16) -> bool {
        self.start <= port && port <= self.end
    }

    /// Whether the other range lies wholly inside.
    pub const fn covers(self, other: PortRange) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The ports both ranges have.
    pub fn intersection(self, other: PortRange) -> Option<PortRange> {
        PortRange::from_ends(self.start.max(other.start), self.end.min(other.end))
    }

    /// The ports that the other range does not have: those before it, those after it.
    pub fn minus(self, other: PortRange) -> impl Iterator<Item = PortRange> {
        let before = PortRange::from_ends(self.start, self.end.min(other.start.saturating_sub(1)));
        let after =
            other.end.checked_add(1).and_then(|next| PortRange::from_ends(self.start.max(next), self.end));
        before.into_iter().chain(after)
    }

    /// Reads `20000-20039`, the colon of Windows policies `20000:20039`, or a single port.
    pub fn parse(text: &str) -> Option<PortRange> {
        let port = |digits: &str| match digits.trim() {
            d if !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()) => d.parse::<u16>().ok(),
            _ => None,
        };
        match text.split_once(['-', ':', '\u{2013}']) {
            Some((start, end)) => PortRange::from_ends(port(start)?, port(end)?),
            None => PortRange::from_ends(port(text)?, port(text)?),
        }
    }

    /// The fewest ranges that hold exactly these ports: what a firewall needs.
    pub fn merged(ranges: impl IntoIterator<Item = PortRange>) -> Vec<PortRange> {
        let mut sorted: Vec<PortRange> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut merged: Vec<PortRange> = Vec::new();
        for range in sorted {
            match merged.last_mut() {
                Some(last) if u32::from(range.start) <= u32::from(last.end) + 1 => {
                    last.end = last.end.max(range.end);
                }
                _ => merged.push(range),
            }
        }
        merged
    }

    /// Sessions of one modality that fit: every port with rtcp-mux; without, RTP sits on an even port and
    /// RTCP on the next odd one inside the same range (RFC 3550, 11), so an odd border port is lost.
    pub fn sessions(self, rtcp_mux: bool) -> u32 {
        if rtcp_mux {
            return self.count();
        }
        let first_even = u32::from(self.start) + u32::from(self.start) % 2;
        (u32::from(self.end) + 1).saturating_sub(first_even) / 2
    }
}

impl std::fmt::Display for PortRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.start == self.end {
            return f.pad(&self.start.to_string());
        }
        f.pad(&format!("{}-{}", self.start, self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str) -> PortRange {
        PortRange::parse(text).unwrap()
    }

    #[test]
    fn the_start_counts_as_the_first_port() {
        assert_eq!(PortRange::from_count(6000, 25).unwrap().end(), 6024);
        assert_eq!(PortRange::from_count(20000, 40).unwrap().end(), 20039);
        assert_eq!(PortRange::from_count(40803, 8348).unwrap().end(), 49150);
        assert_eq!(range("49152-57500").count(), 8349);
        assert_eq!(range("57501-65535").count(), 8035);
        assert_eq!(PortRange::UNRESTRICTED.count(), 64512);
    }

    #[test]
    fn a_range_without_mux_loses_an_odd_border() {
        assert_eq!((range("6025-6049").sessions(true), range("6025-6049").sessions(false)), (25, 12));
        assert_eq!(range("6000-6024").sessions(false), 12);
        assert_eq!(range("6000-6023").sessions(false), 12);
        assert_eq!(range("6001-6024").sessions(false), 11);
        assert_eq!(range("65535").sessions(false), 0);
    }

    #[test]
    fn texts_of_windows_and_of_people_are_read() {
        assert_eq!(range("20000:20039"), range(" 20000 - 20039 "));
        for wrong in ["", "-", "0-5", "5-4", "1-65536", "+1-2", "a-b", "1-2-3"] {
            assert_eq!(PortRange::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn neighbours_become_one_firewall_range() {
        let ranges = ["6050-6074", "6000-6024", "6025-6049", "6100-6110", "6105-6120"].map(range);
        assert_eq!(PortRange::merged(ranges), vec![range("6000-6074"), range("6100-6120")]);
    }

    proptest! {
        #[test]
        fn start_plus_count_minus_one_is_the_end(start in 1u16.., count in 1u32..70_000) {
            match PortRange::from_count(start, count) {
                Some(r) => {
                    prop_assert_eq!(u32::from(r.start()) + r.count() - 1, u32::from(r.end()));
                    prop_assert_eq!(r.count(), count);
                    prop_assert_eq!(PortRange::parse(&r.to_string()), Some(r));
                }
                None => prop_assert!(u32::from(start) + count > 65536),
            }
        }

        #[test]
        fn minus_and_intersection_share_out_the_ports(a in 1u16..60, b in 1u16..60, n in 1u32..60, m in 1u32..60) {
            for base in [0, 65416] {
                let (Some(x), Some(y)) =
                    (PortRange::from_count(a + base, n), PortRange::from_count(b + base, m)) else { continue };
                for port in base..=base + 119 {
                    let minus = x.minus(y).filter(|r| r.contains(port)).count();
                    prop_assert_eq!(minus == 1, x.contains(port) && !y.contains(port));
                    let both = x.intersection(y).is_some_and(|r| r.contains(port));
                    prop_assert_eq!(both, x.contains(port) && y.contains(port));
                }
            }
        }

        #[test]
        fn merging_keeps_every_port_once(pairs in prop::collection::vec((1u16..200, 1u32..20), 0..8)) {
            let ranges: Vec<_> = pairs.iter().filter_map(|(s, c)| PortRange::from_count(*s, *c)).collect();
            let merged = PortRange::merged(ranges.clone());
            for port in 0..300 {
                let before = ranges.iter().any(|r| r.contains(port));
                prop_assert_eq!(merged.iter().filter(|r| r.contains(port)).count(), usize::from(before));
            }
        }
    }
}
