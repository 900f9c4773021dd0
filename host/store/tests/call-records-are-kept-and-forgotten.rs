//! Records of calls: what was written is read back, what is old goes, and sums say what the rows say.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use carillon_signaling::records::{self, CallLeg, End, Ending, Quality, QualityReport, Side, Stream};
use carillon_store::{COLUMNS, CallQuery, CallReader, CallRecords, CallRow, Relayed, Retention};
use carillon_wire::sip::Transport;

const BEGUN: Duration = Duration::from_secs(1_800_000_000);

/// A leg of a call that began so many seconds later and is over after three.
fn leg(call: u64, side: Side, ending: Option<Ending>) -> CallLeg {
    let begun = BEGUN + Duration::from_secs(call);
    let end = |ending| End { at: begun + Duration::from_secs(3), ending, code: None, by: Some(side) };
    CallLeg {
        call: begun.as_micros() as u64,
        side,
        call_id: format!("c{call}").into(),
        user: format!("{}@example.com", side.name()).into(),
        peer: format!("{}@example.com", side.other().name()).into(),
        address: Some(IpAddr::from([10, 1, 0, 1])),
        site: Some("Rome".into()),
        transport: Transport::Tls,
        through_edge: false,
        begun,
        rung: None,
        answered: Some(begun),
        end: ending.map(end),
        over_budget: None,
        audio: Some(Stream {
            address: Some("10.1.0.1:50000".parse().unwrap()),
            codec: Some("G722".to_owned()),
            rate: Some(16_000),
            encrypted: true,
            path: None,
            in_range: Some(true),
            mark: Some(46),
        }),
        video: None,
    }
}

fn report(call: u64, user: &str, side: Option<Side>, path: records::Path) -> QualityReport {
    let quality =
        Quality { path: Some(path), loss: Some(0.5), marks_sent: vec![(46, 9)], ..Quality::default() };
    QualityReport { call_id: format!("c{call}").into(), user: user.into(), side, quality }
}

fn rows(file: &Path, query: &CallQuery) -> Vec<CallRow> {
    CallReader::open(file).unwrap().page(query).unwrap().rows
}

fn all() -> CallQuery {
    CallQuery { limit: 1000, ..CallQuery::default() }
}

#[test]
fn a_leg_is_one_row_however_often_it_is_written_and_keeps_what_phones_report() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    let mut records = CallRecords::open(&file).unwrap();
    records.write(BEGUN, &[leg(1, Side::Caller, None), leg(1, Side::Callee, None)], &[]).unwrap();
    let reports = [
        report(1, "caller@example.com", Some(Side::Caller), records::Path::Reflexive),
        report(1, "mallory@example.com", None, records::Path::Relayed),
        report(9, "caller@example.com", None, records::Path::Relayed),
    ];
    assert_eq!(
        records.write(BEGUN, &[], &reports).unwrap(),
        2,
        "of a stranger, and of a call that nobody knows"
    );
    records.write(BEGUN, &[leg(1, Side::Caller, Some(Ending::Busy))], &[]).unwrap();
    let [callee, caller] = &rows(&file, &all())[..] else { panic!() };
    assert_eq!((callee.text("ending"), callee.text("audio_path")), (String::new(), String::new()));
    let texts = ["ending", "audio_codec", "audio_path", "marks_sent"].map(|name| caller.text(name));
    assert_eq!(texts, ["busy", "G722", "reflexive", "46:9"]);
    let numbers = ["audio_rate", "audio_in_range", "audio_mark", "loss"].map(|name| caller.number(name));
    assert_eq!(numbers, [Some(16_000.0), Some(1.0), Some(46.0), Some(0.5)]);
    let json = serde_json::to_value(caller).unwrap();
    assert_eq!(&CallRow::of_json(&json), caller, "by way of JSON nothing is lost");
}

#[test]
fn what_was_open_when_the_server_was_lost_ended_when_it_was_last_heard_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    let mut records = CallRecords::open(&file).unwrap();
    records
        .write(BEGUN, &[leg(1, Side::Caller, Some(Ending::HungUp)), leg(2, Side::Caller, None)], &[])
        .unwrap();
    records.write(BEGUN + Duration::from_secs(60), &[], &[]).unwrap();
    drop(records);
    drop(CallRecords::open(&file).unwrap());
    let [second, first] = &rows(&file, &all())[..] else { panic!() };
    assert_eq!(
        (first.text("ending"), second.text("ending")),
        ("hung-up".to_owned(), "server-lost".to_owned())
    );
    assert_eq!(second.number("ended"), Some((BEGUN.as_millis() + 60_000) as f64));
    assert_eq!(second.text("ended_by"), "server");
}

#[test]
fn the_oldest_go_by_age_and_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    let mut records = CallRecords::open(&file).unwrap();
    let legs: Vec<CallLeg> = (0..10).map(|call| leg(call, Side::Caller, Some(Ending::HungUp))).collect();
    records.write(BEGUN, &legs, &[]).unwrap();
    let calls = || rows(&file, &all()).iter().map(|row| row.text("call_id")).collect::<Vec<_>>();
    let day = Duration::from_secs(86_400);
    assert_eq!(records.forget(BEGUN + day, Retention { age: day, legs: 100 }).unwrap(), 0);
    assert_eq!(
        records.forget(BEGUN + day + Duration::from_secs(4), Retention { age: day, legs: 100 }).unwrap(),
        4
    );
    assert_eq!(calls(), ["c9", "c8", "c7", "c6", "c5", "c4"]);
    assert_eq!(records.forget(BEGUN, Retention { age: day, legs: 2 }).unwrap(), 4);
    assert_eq!(calls(), ["c9", "c8"]);
    records
        .write(BEGUN, &[leg(9, Side::Caller, Some(Ending::Busy)), leg(11, Side::Caller, None)], &[])
        .unwrap();
    assert_eq!(
        records.forget(BEGUN, Retention { age: day, legs: 2 }).unwrap(),
        1,
        "a row that is written again is not counted twice"
    );
    assert_eq!(calls(), ["c11", "c9"]);
}

#[test]
fn a_query_chooses_by_time_ending_user_and_page() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    let mut records = CallRecords::open(&file).unwrap();
    let endings = [Ending::HungUp, Ending::Busy, Ending::Busy, Ending::Cancelled];
    let legs: Vec<CallLeg> =
        (0..4).zip(endings).map(|(call, ending)| leg(call, Side::Caller, Some(ending))).collect();
    records.write(BEGUN, &legs, &[]).unwrap();
    let calls =
        |query: CallQuery| rows(&file, &query).iter().map(|row| row.text("call_id")).collect::<Vec<_>>();
    let after = |seconds| Some(BEGUN + Duration::from_secs(seconds));
    assert_eq!(calls(CallQuery { since: after(1), until: after(3), ..all() }), ["c2", "c1"]);
    assert_eq!(calls(CallQuery { ending: Some("busy".to_owned()), since: after(2), ..all() }), ["c2"]);
    assert_eq!(
        calls(CallQuery { user: Some("callee@example.com".to_owned()), ..all() }).len(),
        4,
        "at the other end"
    );
    assert_eq!(calls(CallQuery { user: Some("nobody@example.com".to_owned()), ..all() }), [""; 0]);
    let reader = CallReader::open(&file).unwrap();
    let first = reader.page(&CallQuery { limit: 3, ..all() }).unwrap();
    assert_eq!(first.rows.len(), 3);
    assert_eq!(calls(CallQuery { before: first.next, ..all() }), ["c0"]);
    assert_eq!(reader.page(&all()).unwrap().next, None);
}

/// Both legs of an answered call, and what they report of their paths.
fn call(
    number: u64,
    sites: [&str; 2],
    edge: bool,
    paths: [Option<records::Path>; 2],
) -> (Vec<CallLeg>, Vec<QualityReport>) {
    let sides = [Side::Caller, Side::Callee];
    let mut legs: Vec<CallLeg> = sides.map(|side| leg(number, side, Some(Ending::HungUp))).to_vec();
    legs.iter_mut().zip(sites).for_each(|(leg, site)| leg.site = Some(site.into()));
    legs[1].through_edge = edge;
    let said = |(side, path): (Side, Option<records::Path>)| {
        Some(report(number, &format!("{}@example.com", side.name()), Some(side), path?))
    };
    (legs, sides.into_iter().zip(paths).filter_map(said).collect())
}

#[test]
fn calls_inside_that_took_a_relay_are_told_by_their_sites_and_those_from_outside_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    let mut records = CallRecords::open(&file).unwrap();
    let (host, relayed) = (Some(records::Path::Host), Some(records::Path::Relayed));
    for (number, sites, edge, paths) in [
        (1, ["Rome", "Oslo"], false, [host, host]),
        (2, ["Oslo", "Rome"], false, [host, relayed]),
        (3, ["Rome", "Oslo"], false, [None, None]),
        (4, ["Rome", "Rome"], false, [host, None]),
        (5, ["Rome", "Oslo"], true, [relayed, relayed]),
    ] {
        let (legs, reports) = call(number, sites, edge, paths);
        assert_eq!(records.write(BEGUN, &legs, &reports).unwrap(), 0);
    }
    records.write(BEGUN, &[leg(6, Side::Caller, Some(Ending::NotFound))], &[]).unwrap();
    let summary = CallReader::open(&file).unwrap().summary(&all()).unwrap();
    let pair = |sites: [&str; 2], calls, known, relayed| Relayed {
        sites: sites.map(str::to_owned),
        calls,
        known,
        relayed,
    };
    assert_eq!(summary.relayed, [pair(["Oslo", "Rome"], 3, 2, 1), pair(["Rome", "Rome"], 1, 1, 0)]);
    assert_eq!(summary.endings, [("hung-up".to_owned(), 5), ("not-found".to_owned(), 1)]);
    assert_eq!(summary.calls, 6, "the sum of the endings");
}

#[test]
fn csv_has_no_formulas_and_quotes_what_it_must() {
    let mut odd = leg(1, Side::Caller, None);
    (odd.user, odd.peer) = ("=cmd|' /C calc'!A0@x".into(), "a,\"b\"\n@x".into());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    CallRecords::open(&file).unwrap().write(BEGUN, &[odd], &[]).unwrap();
    let line = rows(&file, &all())[0].csv();
    assert!(line.contains(",'=cmd|' /C calc'!A0@x,\"a,\"\"b\"\"\n@x\","), "{line}");
    assert_eq!(CallRow::csv_header().matches(',').count() + 1, COLUMNS.len());
}

#[test]
fn the_page_about_records_has_every_column_and_every_ending() {
    let page = include_str!("../../../docs/admin/records.md");
    for column in COLUMNS {
        assert!(page.contains(&format!("| `{}` | {} |", column.name, column.about)), "{}", column.name);
    }
    for ending in Ending::ALL {
        assert!(page.contains(&format!("| `{}` | ", ending.name())), "{}", ending.name());
    }
}

#[test]
fn a_file_of_another_kind_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carillon.db");
    drop(carillon_store::Store::open(&file).unwrap());
    let refused = CallRecords::open(&file).unwrap_err().to_string();
    assert!(refused.contains("is no store of Carillon"), "{refused}");
    assert!(carillon_store::Store::open(&file).is_ok());
}
