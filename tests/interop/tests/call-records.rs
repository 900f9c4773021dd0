//! sipp and other people's phones make calls whose endings are known; what is recorded of them adds up, and python and sqlite3 read it.

use std::process::Command;
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::phones::{Account, baresip::Baresip, own::Own};
use carillon_interop::process::{run, wait_until};
use carillon_interop::scenario::possible;
use carillon_interop::servers::carillon::{Carillon, Settings};
use carillon_interop::sipp::{Row, Sipp};
use carillon_interop::site::{DOMAIN, Site};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
const PASSWORD: &str = "as-everybody-here";
const USERS: &[(&str, &str)] = &[("alice", PASSWORD), ("bob", PASSWORD)];
const CALL: Row<'_> = ("alice", PASSWORD, "bob");
const BOB: Row<'_> = ("bob", PASSWORD, "");

struct Stage {
    site: Site,
    server: Carillon,
    work: tempfile::TempDir,
}

impl Stage {
    fn set(programs: &[&str]) -> Result<Option<Stage>> {
        if !possible("call-records", programs)? {
            return Ok(None);
        }
        let work = tempfile::tempdir()?;
        let site = Site::with_phones(&["a", "b"])?;
        let server =
            Carillon::start(&site, &Settings { users: USERS, digest: "md5", more: "" }, work.path())?;
        Ok(Some(Stage { site, server, work }))
    }

    fn sipp(&self, phone: usize, port: u16) -> Sipp<'_> {
        let server = self.server.address("udp");
        Sipp { host: &self.site.phones[phone], server, transport: "udp", port, work: self.work.path() }
    }

    /// What is recorded is written a moment later.
    fn wait_for_calls(&self, count: u64, ending: &str) -> Result<()> {
        wait_until("records", LIMIT, || {
            let summary = self.server.records_json(&["summary"])?;
            Ok(summary["endings"][ending].as_u64() == Some(count))
        })
    }

    /// What python's own CSV reader makes of the export.
    fn python(&self, program: &str) -> Result<String> {
        let file = self.work.path().join("export.csv");
        std::fs::write(&file, self.server.records(&["export", "--csv"])?)?;
        let head =
            "import csv, sys\nrows = list(csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8')))\n";
        Ok(run(Command::new("python3").args(["-c", &format!("{head}{program}")]).arg(&file))?
            .trim()
            .to_owned())
    }

    /// What sqlite3 says of the file while the server writes to it.
    fn sqlite(&self, sql: &str) -> Result<String> {
        Ok(run(Command::new("sqlite3").arg(self.work.path().join("records.db")).arg(sql))?.trim().to_owned())
    }
}

#[test]
fn the_sum_of_records_is_the_sum_of_calls_by_every_ending() -> Result<()> {
    let Some(mut stage) = Stage::set(&["sipp", "python3", "sqlite3"])? else { return Ok(()) };
    for (takes, calls, ending) in [
        ("answers", "call", "hung-up"),
        ("busy", "call-refused", "busy"),
        ("rings", "call-cancelled", "cancelled"),
    ] {
        let _bob = stage.sipp(1, 5080).callee(takes, BOB, &[])?;
        stage.sipp(0, 5080).run(calls, &[CALL], 20, &["-r", "20"])?;
        stage.wait_for_calls(20, ending)?;
    }
    let summary = stage.server.records_json(&["summary"])?;
    assert_eq!(summary["endings"], json!({ "hung-up": 20, "busy": 20, "cancelled": 20 }));
    assert_eq!((&summary["calls"], &summary["answered"]), (&json!(60), &json!(20)));
    // Those that were answered have two legs.
    let counted = "print(len(rows), len({r['call'] for r in rows}), sum(r['ending'] == 'busy' and r['code'] == '486' for r in rows))";
    assert_eq!(stage.python(counted)?, "80 60 20");
    assert_eq!(stage.sqlite("SELECT count(*) FROM legs WHERE ended >= begun AND side = 'callee'")?, "20");
    let busy = stage.server.records_json(&["list", "--ending", "busy", "--limit", "7"])?;
    assert_eq!(busy.as_array().map(Vec::len), Some(7));

    // A call is up when the server is lost; who has started it again learns that it was.
    let _bob = stage.sipp(1, 5080).callee("answers", BOB, &[])?;
    let mut up = stage.sipp(0, 5080).start("call-long", &[CALL], &["-m", "1"])?;
    stage.wait_for_calls(1, "open")?;
    stage.server.kill()?;
    up.terminate(LIMIT)?;
    let offline = stage.server.records_json(&["summary"])?;
    assert_eq!(offline["endings"]["open"], json!(1), "the file is read where no server runs");
    stage.server.restart(&stage.site)?;
    stage.wait_for_calls(1, "server-lost")?;
    assert_eq!(stage.server.records_json(&["summary"])?["calls"], json!(61));
    stage.server.assert_unharmed()
}

#[test]
fn phones_report_what_they_heard_and_the_plan_is_beside_it() -> Result<()> {
    let Some(stage) = Stage::set(&["baresip", "python3", "sqlite3"])? else { return Ok(()) };
    let account = |user: &str, ports| Account {
        user: user.to_owned(),
        password: PASSWORD.to_owned(),
        server: stage.server.address("tls"),
        transport: "tls",
        ca: stage.server.ca.clone(),
        codec: "G722/16000/1",
        srtp: false,
        ports,
        ice: false,
    };
    let [own, other] = [&stage.site.phones[0], &stage.site.phones[1]];
    let mut carillon =
        Own::start(own, &account("bob", 50_000), &["--answer", "--once", "--ring", "0"], stage.work.path())?;
    wait_until("signing in", LIMIT, || Ok(stage.server.counted("registrations")? == 1))?;
    let mut baresip = Baresip::sign_in(other, &account("alice", 50_010), stage.work.path())?;
    baresip.call(&format!("sip:bob@{DOMAIN}"))?;
    // Some report after five seconds of RTCP, and in their BYE.
    std::thread::sleep(Duration::from_secs(8));
    baresip.hang_up()?;
    carillon.process.wait_for_success(LIMIT)?;
    stage.wait_for_calls(1, "hung-up")?;
    let reported = || stage.sqlite("SELECT count(*) FROM legs WHERE packets_received > 0");
    wait_until("both reports", LIMIT, || Ok(reported()? == "2"))?;
    let rows = stage.server.records_json(&["list"])?;
    let leg = |side: &str| {
        let mut legs = rows.as_array().into_iter().flatten();
        legs.find(|row| row["side"] == side).cloned().unwrap_or_default()
    };
    let (caller, callee) = (leg("caller"), leg("callee"));
    assert_eq!(callee["user"], json!(format!("bob@{DOMAIN}")));
    for leg in [&caller, &callee] {
        let heard = [
            &leg["audio_codec"],
            &leg["audio_rate"],
            &leg["audio_in_range"],
            &leg["audio_mark"],
            &leg["ended_by"],
        ];
        assert_eq!(heard, [&json!("G722"), &json!(16_000), &json!(1), &json!(46), &json!("caller")], "{leg}");
    }
    let only_46 =
        |marks: &Value| marks.as_str().is_some_and(|marks| marks.starts_with("46:") && !marks.contains(','));
    assert!(only_46(&callee["marks_sent"]) && only_46(&callee["marks_received"]), "{callee}");
    assert!(
        callee["packets_sent"].as_u64() > Some(200) && caller["packets_sent"].as_u64() > Some(200),
        "{rows}"
    );
    assert_eq!((&callee["audio_path"], &callee["loss"]), (&json!("host"), &json!(0.0)));
    stage.server.assert_unharmed()
}
