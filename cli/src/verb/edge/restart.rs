//! `carillon edge restart`: one service anew, while the others go on.

use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use carillon_server::admin::{AnyStatus, Client, ClientError};
use carillon_server::edge::Unit;
use carillon_server::edge::status::{UnitRow, UnitState};

use crate::answer::{Answer, Failure};
use crate::args::EdgeRestart;
use crate::style::{BAD, GOOD};
use crate::verb::user::reach::{self, connect};
use crate::words::clean;

/// How often it is looked whether the service has let go of what ran.
const EVERY: Duration = Duration::from_millis(100);

/// Has it restarted, and waits until it runs; no if it could not be started.
pub(super) fn run(args: &EdgeRestart, out: &mut dyn Write) -> Result<Answer, Failure> {
    let failed = |error: ClientError| Failure::new("cannot restart it", error);
    let mut client = connect(&reach::socket(&args.server)?)?;
    let mut row = client.restart_unit(args.unit, args.now).map_err(failed)?;
    while row.state == UnitState::Stopping {
        sleep(EVERY);
        row = now(&mut client, args.unit)?;
    }
    let (service, note) = (&row.service, clean(row.note.as_deref().unwrap_or_default()));
    if row.state == UnitState::Running {
        writeln!(out, "{GOOD}the {service} runs{GOOD:#}")?;
        return Ok(Answer::Yes);
    }
    writeln!(out, "{BAD}the {service} does not run: {note}{BAD:#}")?;
    Ok(Answer::No)
}

fn now(client: &mut Client, unit: Unit) -> Result<UnitRow, Failure> {
    let asked = client.any_status().map_err(|error| Failure::new("cannot ask the Edge", error))?;
    let AnyStatus::Edge(status) = asked else { return Err(Failure::Message("that is no Edge".to_owned())) };
    let row = status.units.into_iter().find(|row| row.unit == unit);
    row.ok_or_else(|| Failure::Message(format!("the Edge knows no {}", unit.name())))
}
