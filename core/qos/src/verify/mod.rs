//! The verdict: a pure function over captured packets, with bounded memory.
//!
//! The first pass ([`Verifier::observe`]) counts every frame in its flow. The second ([`Verifier::report`])
//! joins session descriptions, relays and capture points, gives every flow a class, judges it against the plan
//! and names causes. What a packet meant is decided in the second pass only, so that a description that comes
//! late, or lies in another shard, counts as well as one that came first.

mod calls;
pub mod cause;
mod facts;
mod finding;
mod fit;
mod flow;
mod ground;
pub mod jitter;
mod judge;
mod key;
mod marks;
mod observe;
mod phone;
pub mod quality;
mod relays;
pub mod report;
mod roles;
mod row;
mod segmentation;
pub mod sequence;
mod shard;
mod stream;
mod tcp;
pub mod timeline;
mod unjudged;

pub use observe::{Frame, Limits, Share, Verifier};
pub use roles::RoleAssignment;

use cause::{Cause, Severity};
use facts::Facts;
use ground::Ground;
use report::{Finding, Point, Report, Totals, Verdict};
use row::Row;
use shard::Shard;

use crate::Plan;
use crate::plan::{QueueMap, Scope};

/// What to judge against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The plan; without one, presets are compared and nothing is judged.
    pub plan: Option<Plan>,
    /// Site and service whose values hold.
    pub scope: Scope,
    /// Roles that are known; others are told from ports.
    pub roles: Vec<RoleAssignment>,
    /// A switch's map, if it is to be judged too; without one, the plan's own.
    pub queues: Option<QueueMap>,
    /// Judge the marks of STUN and DTLS too, not only of media and signaling.
    pub strict: bool,
    /// Names of the files, in order.
    pub files: Vec<String>,
    /// Files that ended in the middle of a packet or were damaged: what happened.
    pub damaged: Vec<String>,
}

impl Verifier {
    /// The verdict over everything observed and merged.
    pub fn report(mut self, options: &Options) -> Report {
        self.end_of_file();
        let mut rows = row::rows(&self.shards);
        let ground = self.ground(options, &rows);
        judge::judge(&mut rows, &ground, options.strict);
        let queues = options.queues.as_ref().or(options.plan.as_ref().and_then(Plan::queue_map));
        let mut findings = finding::findings(&mut rows, &ground, queues);
        let beyond = self.shards.iter().map(Shard::beyond_limit).sum();
        findings.extend(limits(beyond, ground.facts_lost, &rows, &options.damaged));
        let mut totals = totals(self.totals, &rows, beyond);
        totals.unclassified = unjudged::unclassified(&rows, &ground);
        let unjudged = unjudged::reasons(options, &rows, &totals, &findings);
        let fit = if options.plan.is_none() { fit::fit(&rows) } else { Vec::new() };
        let points = points(&mut rows, &options.files);
        let flows: Vec<_> = rows.into_iter().map(|row| row.out).collect();
        let broken = findings.iter().any(|finding| finding.severity == Severity::Error)
            || flows.iter().any(|flow| flow.verdict == Verdict::Fail);
        let verdict = match () {
            () if broken => Verdict::Fail,
            () if !unjudged.is_empty() => Verdict::Unjudged,
            () => Verdict::Pass,
        };
        let plan = options.plan.as_ref().map(|plan| plan.name().to_string());
        Report { verdict, unjudged, plan, fit, points, totals, flows, findings }
    }

    fn ground(&mut self, options: &Options, rows: &[Row]) -> Ground {
        let mut facts = Facts::default();
        for shard in &mut self.shards {
            facts.absorb(std::mem::take(&mut shard.facts));
        }
        facts.sort();
        let plan = options.plan.as_ref().map(|plan| (plan, &options.scope));
        Ground::new(plan, facts, &options.roles, rows)
    }
}

/// Findings about the capture as a whole: what is damaged, and what there was no room for.
fn limits(beyond: u64, facts: u64, rows: &[Row], damaged: &[String]) -> Vec<Finding> {
    let finding = |cause: Cause, text: String| Finding {
        cause,
        severity: cause.info().severity,
        text,
        fix: cause.info().fix.to_string(),
        flow: None,
        flows: Vec::new(),
        frame: None,
    };
    let full = (beyond > 0).then(|| {
        finding(
            Cause::LimitReached,
            format!("{beyond} frames belong to flows beyond the limit and were only counted"),
        )
    });
    let descriptions = (facts > 0).then(|| {
        finding(Cause::LimitReached, format!("{facts} session descriptions and relay messages were not kept"))
    });
    // One point needs no comparing.
    let points =
        rows.iter().any(|row| (row.key.file, row.key.interface) != (rows[0].key.file, rows[0].key.interface));
    let cut = rows.iter().filter(|row| points && row.runs_incomplete).count();
    let runs = (cut > 0).then(|| {
        finding(Cause::LimitReached, format!("{cut} flows were compared between points in part only"))
    });
    let damaged = damaged.iter().map(|what| finding(Cause::CaptureTruncated, what.clone()));
    damaged.chain(full).chain(descriptions).chain(runs).collect()
}

fn totals(mut totals: Totals, rows: &[Row], beyond: u64) -> Totals {
    totals.beyond_limit = beyond;
    for row in rows.iter().filter(|row| row.out.expected.is_some()) {
        totals.judged += row.out.frames;
        totals.wrong_mark += row.wrong_marks;
        totals.out_of_range += if row.out.in_range == Some(false) { row.out.frames } else { 0 };
    }
    totals
}

/// Names the capture points and gives every row its point.
fn points(rows: &mut [Row], files: &[String]) -> Vec<Point> {
    let mut places: Vec<(u16, u32)> = rows.iter().map(|row| (row.key.file, row.key.interface)).collect();
    places.sort_unstable();
    places.dedup();
    for row in rows.iter_mut() {
        row.out.point = places.binary_search(&(row.key.file, row.key.interface)).unwrap_or_default();
    }
    let name = |file: u16| files.get(usize::from(file)).cloned().unwrap_or_default();
    places.iter().map(|&(file, interface)| Point { file, name: name(file), interface }).collect()
}
