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
