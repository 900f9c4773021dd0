//! Call records on their way to their file: gathered over some turns, written in one transaction behind what has left.
//!
//! Calls never wait for them. If they can't be written they are kept for a while and tried again, and then lost, counted.

mod names;

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_signaling::records::{CallLeg, QualityReport, Record, Side};
use carillon_store::{CallRecords, Retention};

use crate::config::CallRecordsConfig;
pub(crate) use names::Pseudonyms;

/// How long a record may wait: what a crash may lose.
const WAIT: Duration = Duration::from_millis(250);
/// How many are written at once: a turn is held up for a few milliseconds at most.
const MANY: usize = 256;
/// How many are kept when they can't be written.
const MOST: usize = 50_000;
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(5);
/// How often what is old is looked for; and when that was not all of it.
const CLEANING: Duration = Duration::from_secs(600);
const MORE: Duration = Duration::from_secs(1);

/// What waits to be written.
pub(crate) struct RecordBook {
    file: CallRecords,
    keep: Retention,
    names: Pseudonyms,
    /// Legs as they are last known: one that begins and ends meanwhile is written once.
    legs: BTreeMap<(u64, Side), CallLeg>,
    reports: Vec<QualityReport>,
    write_at: Option<Duration>,
    clean_at: Duration,
    pub(crate) counts: RecordCounts,
}

/// What became of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RecordCounts {
    /// Legs and reports written, each time counted.
    pub(crate) written: u64,
    /// Transactions of the file that failed.
    pub(crate) failures: u64,
    /// Lost because nothing could be written for too long.
    pub(crate) lost: u64,
    /// Reports of calls that are not known.
    pub(crate) unknown: u64,
}

impl RecordBook {
    /// Opens the file.
    pub(crate) fn open(
        config: &CallRecordsConfig,
        seed: [u8; 32],
        now: Duration,
    ) -> Result<RecordBook, carillon_store::Error> {
        Ok(RecordBook {
            file: CallRecords::open(&config.file)?,
            keep: config.keep,
            names: Pseudonyms::new(config.names, seed),
            legs: BTreeMap::new(),
            reports: Vec::new(),
            write_at: None,
            clean_at: now,
            counts: RecordCounts::default(),
        })
    }

    /// Takes a record.
    pub(crate) fn add(&mut self, now: Duration, record: Record) {
        if self.waiting() >= MOST {
            self.counts.lost += 1;
            return;
        }
        match record {
            Record::Leg(mut leg) => {
                (leg.user, leg.peer) = (self.names.shown(&leg.user), self.names.shown(&leg.peer));
                self.legs.insert((leg.call, leg.side), leg);
            }
            Record::Report(mut report) => {
                report.user = self.names.shown(&report.user);
                self.reports.push(report);
            }
        }
        self.write_at.get_or_insert(now + WAIT);
    }

    /// When [`RecordBook::settle`] is to be called, at the latest.
    pub(crate) fn next(&self) -> Duration {
        self.write_at.map_or(self.clean_at, |at| at.min(self.clean_at))
    }

    /// Writes what has waited for long enough, or is much; deletes what is old.
    pub(crate) fn settle(&mut self, now: Duration) {
        let is_due = self.write_at.is_some_and(|at| at <= now);
        if is_due || self.waiting() >= MANY && self.counts.failures == 0 {
            self.write(now);
        }
        if self.clean_at <= now {
            self.clean(now);
        }
    }

    /// Writes all that waits, when nobody waits for anything else.
    pub(crate) fn finish(&mut self, now: Duration) {
        let failures = self.counts.failures;
        while self.waiting() > 0 && self.counts.failures == failures {
            self.write(now);
        }
    }

    /// Writes some of what waits; reports when all legs are there that they may be of.
    fn write(&mut self, now: Duration) {
        let keys: Vec<(u64, Side)> = self.legs.keys().take(MANY).copied().collect();
        let is_last = keys.len() == self.legs.len();
        let reports = if is_last { self.reports.as_slice() } else { &[] };
        match self.file.write(now, self.legs.values().take(MANY), reports) {
            Ok(unknown) => {
                self.counts.written += (keys.len() + reports.len()) as u64;
                self.counts.unknown += unknown as u64;
                keys.iter().for_each(|key| drop(self.legs.remove(key)));
                if is_last {
                    self.reports.clear();
                }
                self.write_at = (!is_last).then_some(now);
            }
            Err(error) => self.failed(now, &error),
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.legs.len() + self.reports.len()
    }

    fn clean(&mut self, now: Duration) {
        match self.file.forget(now, self.keep) {
            Ok(0) => self.clean_at = now + CLEANING,
            Ok(_) => self.clean_at = now + MORE,
            Err(error) => {
                self.failed(now, &error);
                self.clean_at = now + CLEANING;
            }
        }
    }

    fn failed(&mut self, now: Duration, error: &carillon_store::Error) {
        self.counts.failures += 1;
        self.write_at = Some(now + RETRY);
        tracing::error!(
            waiting = self.waiting(),
            "call records wait until this works: {}",
            crate::chain(error)
        );
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use carillon_store::{CallQuery, CallReader};
    use carillon_wire::sip::Transport;

    use super::*;
    use crate::config::Names;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn leg(call: u64) -> Record {
        Record::Leg(CallLeg {
            call: NOW.as_micros() as u64 + call,
            side: Side::Caller,
            call_id: "c".into(),
            user: "alice@example.com".into(),
            peer: "bob@example.com".into(),
            address: Some(IpAddr::from([10, 1, 0, 1])),
            site: None,
            transport: Transport::Udp,
            through_edge: false,
            begun: NOW,
            rung: None,
            answered: None,
            end: None,
            over_budget: None,
            audio: None,
            video: None,
        })
    }

    fn book(folder: &tempfile::TempDir, names: Names) -> RecordBook {
        let keep = Retention { age: Duration::from_secs(86_400), legs: 100 };
        let config = CallRecordsConfig { file: folder.path().join("records.db"), keep, names };
        RecordBook::open(&config, [7; 32], NOW).unwrap()
    }

    fn users(folder: &tempfile::TempDir) -> Vec<String> {
        let reader = CallReader::open(&folder.path().join("records.db")).unwrap();
        let page = reader.page(&CallQuery { limit: 10, ..CallQuery::default() }).unwrap();
        page.rows.iter().map(|row| row.text("user")).collect()
    }

    #[test]
    fn what_is_recorded_waits_for_more_but_not_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = book(&folder, Names::Cut);
        book.settle(NOW);
        book.add(NOW, leg(1));
        book.add(NOW, leg(1));
        book.add(NOW, leg(2));
        assert_eq!((book.waiting(), book.next()), (2, NOW + WAIT), "a leg is written as it is last known");
        book.settle(NOW + WAIT - Duration::from_millis(1));
        assert_eq!(users(&folder), [""; 0]);
        book.settle(NOW + WAIT);
        assert_eq!(users(&folder), ["alxxx@example.com", "alxxx@example.com"]);
        assert_eq!((book.waiting(), book.next() > NOW + WAIT), (0, true));
    }

    #[test]
    fn what_cannot_be_written_is_tried_again_and_never_grows_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = book(&folder, Names::Whole);
        let file = rusqlite::Connection::open(folder.path().join("records.db")).unwrap();
        let full = "CREATE TRIGGER full BEFORE INSERT ON legs BEGIN SELECT RAISE(ABORT, 'disk full'); END";
        file.execute_batch(full).unwrap();
        (0..MOST as u64 + 3).for_each(|call| book.add(NOW, leg(call)));
        book.settle(NOW + WAIT);
        assert_eq!((book.counts.failures, book.counts.lost, book.waiting()), (1, 3, MOST));
        file.execute_batch("DROP TRIGGER full").unwrap();
        book.settle(NOW + WAIT);
        assert_eq!(book.waiting(), MOST, "not before its time");
        book.settle(NOW + WAIT + RETRY);
        assert_eq!((book.waiting(), book.next()), (MOST - MANY, NOW + WAIT + RETRY), "some at a time");
        book.finish(NOW + WAIT + RETRY);
        assert_eq!((book.waiting(), book.counts.written), (0, MOST as u64));
    }
}
