//! Named causes for what is wrong, the root cause first.
//!
//! Detectors run in the order of root causes. Each explains rows; what one has explained, later and more
//! general ones leave alone, so that one fault gives one finding.

mod class;
mod estate;
mod path;
mod sender;
mod sighting;
mod traffic;

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::cause::Cause;
use super::ground::Ground;
use super::report::Finding;
use super::row::Row;
use crate::plan::QueueMap;

/// What detectors look at, and what they found.
pub(super) struct Case<'a> {
    pub(super) rows: &'a mut [Row],
    pub(super) ground: &'a Ground,
    pub(super) queues: Option<&'a QueueMap>,
    findings: Vec<Finding>,
}

/// Looks for every cause.
pub(super) fn findings(rows: &mut [Row], ground: &Ground, queues: Option<&QueueMap>) -> Vec<Finding> {
    let mut case = Case { rows, ground, queues, findings: Vec::new() };
    traffic::before_segmentation(&mut case);
    path::between_points(&mut case);
    path::across_relay(&mut case);
    path::seen_twice(&mut case);
    traffic::fragments(&mut case);
    estate::unshifted(&mut case);
    estate::nothing_in_force(&mut case);
    class::one_mark_for_all(&mut case);
    estate::two_audio_marks_or_neighbour(&mut case);
    estate::ipv6(&mut case);
    sender::return_path(&mut case);
    sender::unmarked(&mut case);
    path::changes_mid_flow(&mut case);
    class::confused(&mut case);
    class::one_beyond_range(&mut case);
    class::rtcp(&mut case);
    class::signaling(&mut case);
    sender::not_configured(&mut case);
    sender::wrong_mark(&mut case);
    sender::outside_range(&mut case);
    traffic::rogue(&mut case);
    traffic::ecn(&mut case);
    traffic::shared_queue(&mut case);
    traffic::loss(&mut case);
    traffic::avoidable_relaying(&mut case);
    traffic::tcp_fallback(&mut case);
    let mut findings = case.findings;
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.cause, finding.flow));
    findings
}

impl Case<'_> {
    /// Adds a finding over these rows.
    fn add(&mut self, cause: Cause, rows: &[usize], frame: Option<u64>, text: String) {
        let info = cause.info();
        self.findings.push(Finding {
            cause,
            severity: info.severity,
            text,
            fix: info.fix.to_string(),
            flow: rows.first().copied(),
            flows: rows.to_vec(),
            frame,
        });
    }

    /// Adds a finding that explains the wrong marks of these rows.
    fn explain_marks(&mut self, cause: Cause, rows: &[usize], text: String) {
        if rows.is_empty() {
            return;
        }
        for &row in rows {
            self.rows[row].mark_cause = Some(cause);
        }
        let frame = rows.iter().filter_map(|&row| self.rows[row].first_wrong_mark()).min();
        self.add(cause, rows, frame, text);
    }

    /// Rows whose wrong marks nothing explains yet and that this is true of.
    fn unexplained(&self, what: impl Fn(&Row) -> bool) -> Vec<usize> {
        let open = |row: &&Row| row.wrong_marks > 0 && row.mark_cause.is_none() && what(row);
        self.rows.iter().filter(open).map(|row| row.out.id).collect()
    }

    /// Rows whose port outside the range nothing explains yet and that this is true of.
    fn unexplained_ports(&self, what: impl Fn(&Row) -> bool) -> Vec<usize> {
        let open = |row: &&Row| row.out.in_range == Some(false) && row.port_cause.is_none() && what(row);
        self.rows.iter().filter(open).map(|row| row.out.id).collect()
    }

    /// Senders of these rows.
    fn senders(&self, rows: &[usize]) -> BTreeSet<IpAddr> {
        rows.iter().map(|&row| self.rows[row].out.src).collect()
    }

    /// Senders of rows of which this is true.
    fn senders_where(&self, what: impl Fn(&Row) -> bool) -> BTreeSet<IpAddr> {
        self.rows.iter().filter(|row| what(row)).map(|row| row.out.src).collect()
    }

    /// "10.0.0.1 (Polycom VVX)", or the first of several.
    fn name(&self, address: IpAddr) -> String {
        match self.ground.agent(address) {
            Some(agent) => format!("{address} ({agent})"),
            None => address.to_string(),
        }
    }

    /// "10.0.0.1, 10.0.0.2 and 7 more"
    fn names(&self, addresses: &BTreeSet<IpAddr>) -> String {
        let shown: Vec<_> = addresses.iter().take(3).map(|&address| self.name(address)).collect();
        match addresses.len().saturating_sub(3) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }
}

/// "1 flow", "3 flows"
fn flows(count: usize) -> String {
    format!("{count} flow{}", if count == 1 { "" } else { "s" })
}
