//! Bursts and gaps of loss (RFC 3611, 4.7.2): the same share of loss is worse in clusters.

/// Good packets in a row that end a burst (RFC 3611, 4.7.2 recommends it).
pub(crate) const GMIN: u8 = 16;

/// Counts one stream, packet by packet in playing order.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bursts {
    /// Good packets since the last bad one.
    good: u64,
    /// From the first bad packet to the last with fewer than [`GMIN`] good ones between.
    cluster: Part,
    bursts: u64,
    in_bursts: Part,
    in_gaps: Part,
    /// Bad packets, and runs of them without any good one between.
    bad: u64,
    runs: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Part {
    packets: u64,
    bad: u64,
}

/// What it comes to.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Clusters {
    /// Share of bad packets inside bursts, 0 to 1.
    pub burst_density: f64,
    /// Share of bad packets in gaps, 0 to 1.
    pub gap_density: f64,
    /// Mean length of a burst, packets.
    pub burst_packets: f64,
    /// Mean length of a gap, packets.
    pub gap_packets: f64,
    /// How much longer runs of bad packets are than random loss would make them; 1 or more (BurstR of G.107, 3.6).
    pub ratio: f64,
}

impl Bursts {
    /// The next packet was heard.
    pub fn good(&mut self) {
        self.good += 1;
    }

    /// The next packet was not heard: lost, or discarded because it was late.
    pub fn bad(&mut self) {
        self.runs += u64::from(self.good > 0 || self.bad == 0);
        self.bad += 1;
        if self.good >= u64::from(GMIN) || self.cluster.bad == 0 {
            self.close();
        }
        self.cluster.packets += self.good + 1;
        self.cluster.bad += 1;
        self.good = 0;
    }

    /// What it comes to so far.
    pub fn clusters(&self) -> Clusters {
        let mut ended = *self;
        ended.close();
        let all = ended.in_bursts.packets + ended.in_gaps.packets;
        let received = share(all - ended.bad, all);
        Clusters {
            burst_density: share(ended.in_bursts.bad, ended.in_bursts.packets),
            gap_density: share(ended.in_gaps.bad, ended.in_gaps.packets),
            burst_packets: share(ended.in_bursts.packets, ended.bursts),
            gap_packets: share(ended.in_gaps.packets, ended.bursts + 1),
            // Random loss of a share p makes runs of 1 / (1 - p).
            ratio: (share(ended.bad, ended.runs) * received).max(1.0),
        }
    }

    /// The cluster is over, and a gap with what was good since: a bad packet alone lies in the gap.
    fn close(&mut self) {
        let cluster = std::mem::take(&mut self.cluster);
        let part = if cluster.bad > 1 { &mut self.in_bursts } else { &mut self.in_gaps };
        part.packets += cluster.packets;
        part.bad += cluster.bad;
        self.bursts += u64::from(cluster.bad > 1);
        self.in_gaps.packets += std::mem::take(&mut self.good);
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(script: &str) -> Clusters {
        let mut bursts = Bursts::default();
        for step in script.chars() {
            if step == '.' { bursts.good() } else { bursts.bad() }
        }
        bursts.clusters()
    }

    fn good(count: usize) -> String {
        ".".repeat(count)
    }

    #[test]
    fn no_loss_is_one_gap() {
        let clusters = heard(&good(100));
        let expected = Clusters { gap_packets: 100.0, ratio: 1.0, ..Clusters::default() };
        assert_eq!(clusters, expected);
        assert_eq!(Bursts::default().clusters().ratio, 1.0);
    }

    #[test]
    fn a_loss_alone_lies_in_the_gap() {
        let clusters = heard(&format!("{}x{}", good(50), good(49)));
        assert_eq!((clusters.gap_density, clusters.burst_density), (0.01, 0.0));
        assert_eq!((clusters.gap_packets, clusters.burst_packets), (100.0, 0.0));
    }

    #[test]
    fn losses_with_fewer_than_sixteen_packets_between_are_one_burst() {
        let clusters = heard(&format!("{}x{}xx{}", good(20), good(15), good(42)));
        assert_eq!((clusters.burst_density, clusters.burst_packets), (3.0 / 18.0, 18.0));
        assert_eq!((clusters.gap_density, clusters.gap_packets), (0.0, 31.0));
        let apart = heard(&format!("{}x{}xx{}", good(20), good(16), good(42)));
        assert_eq!((apart.burst_density, apart.burst_packets), (1.0, 2.0));
        assert_eq!(apart.gap_density, 1.0 / 79.0);
    }

    #[test]
    fn a_burst_at_the_very_start_and_end_counts() {
        let clusters = heard("...xx");
        assert_eq!((clusters.burst_density, clusters.burst_packets), (1.0, 2.0));
        assert_eq!(clusters.gap_packets, 1.5);
    }

    #[test]
    fn clustered_loss_has_a_higher_ratio_than_the_same_loss_spread() {
        let spread = heard(&format!("x{}", good(9)).repeat(20));
        let clustered = heard(&format!("xxxx{}", good(36)).repeat(5));
        assert_eq!(spread.ratio, 1.0);
        assert!((clustered.ratio - 3.6).abs() < 1e-9, "{clustered:?}");
    }
}
