//! `carillon cert list`.

use std::io::Write;

use carillon_server::CertificateFacts;
use carillon_server::admin::AnyStatus;
use serde::Serialize;

use super::time;
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{BAD, DOUBT, GOOD};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;
use crate::verb::user::reach::{self, connect};
use crate::words::clean;

#[derive(Serialize)]
struct Row {
    r#use: String,
    #[serde(flatten)]
    facts: CertificateFacts,
    /// What must be said of it.
    warning: Option<String>,
}

/// Lists them; yes if there is nothing to warn of.
pub(super) fn run(args: &args::CertList, out: &mut dyn Write) -> Result<Answer, Failure> {
    let socket = reach::socket(&args.server)?;
    let status = connect(&socket)?.any_status();
    let status = status.map_err(|error| Failure::new("cannot ask the server", error))?;
    let rows: Vec<Row> = used(status).into_iter().map(row).collect();
    let answer = if rows.iter().all(|row| row.warning.is_none()) { Answer::Yes } else { Answer::No };
    if args.json {
        print_json(&rows)?;
    } else {
        print(&rows, out)?;
    }
    Ok(answer)
}

/// What a certificate is used for, and the certificate.
fn used(status: AnyStatus) -> Vec<(String, CertificateFacts)> {
    match status {
        AnyStatus::FrontEnd(status) => {
            let facts = status.certificate.unwrap_or_default();
            status.certificate_uses.into_iter().map(|of| (of, facts.clone())).collect()
        }
        AnyStatus::Edge(status) => {
            let shown = status.listeners.into_iter().filter_map(|row| Some((row.service, row.certificate?)));
            let mut used: Vec<_> = shown.collect();
            used.dedup();
            used
        }
    }
}

fn row((r#use, facts): (String, CertificateFacts)) -> Row {
    let warning = facts.warning(time(None));
    Row { r#use, facts, warning }
}

fn print(rows: &[Row], out: &mut dyn Write) -> Result<(), Failure> {
    if rows.is_empty() {
        writeln!(out, "TLS is spoken nowhere: there is no certificate")?;
        return Ok(());
    }
    let mut table = Table::new([
        Column::left("USE"),
        Column::left("THUMBPRINT"),
        Column::left("HOLDS UNTIL"),
        Column::left("FOR"),
        Column::left("ISSUER").spare(1),
    ]);
    let now = time(None);
    for Row { r#use, facts, warning } in rows {
        let style = match warning {
            None => GOOD,
            Some(_) if facts.ends().is_some_and(|ends| ends > now) => DOUBT,
            Some(_) => BAD,
        };
        table.row([
            r#use.as_str().into(),
            facts.thumbprint.as_str().into(),
            Cell::styled(&facts.not_after, style),
            clean(&facts.names.join(", ")).into(),
            clean(&facts.issuer).into(),
        ]);
    }
    table.print(out, terminal_width())?;
    let mut warnings: Vec<&String> = rows.iter().filter_map(|row| row.warning.as_ref()).collect();
    warnings.dedup();
    for warning in warnings {
        writeln!(out, "{DOUBT}{}{DOUBT:#}", clean(warning))?;
    }
    Ok(())
}
