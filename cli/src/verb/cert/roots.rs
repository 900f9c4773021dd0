//! `carillon cert roots`.

use std::io::Write;

use carillon_qos::trust::{Root, roots};
use serde::Serialize;

use super::{DAY, time};
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{BAD, DOUBT, GOOD};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;
use crate::words::some;

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    root: Root,
    expired: bool,
    weakness: Option<String>,
}

/// Lists them.
pub(super) fn run(args: &args::CertRoots, out: &mut dyn Write) -> Result<Answer, Failure> {
    let today = time(args.at) / DAY;
    let held = roots().filter(|root| args.firmware.is_none_or(|firmware| firmware.holds(root)));
    let rows: Vec<Row> =
        held.map(|root| Row { root, expired: root.has_expired(today), weakness: root.weakness() }).collect();
    if args.json {
        return print_json(&rows);
    }
    let mut table = Table::new([
        Column::left("SINCE"),
        Column::left("VENDOR").spare(2),
        Column::left("NAME"),
        Column::left("EXPIRES"),
        Column::left("STATE"),
        Column::left("THUMBPRINT").spare(1),
    ]);
    for Row { root, expired, weakness } in &rows {
        let state = match (expired, weakness) {
            (true, _) => Cell::styled("expired", BAD),
            (_, Some(why)) => Cell::styled(why, DOUBT),
            _ => Cell::styled("good", GOOD),
        };
        let since = root.added.to_string();
        table.row([
            since.into(),
            root.vendor.into(),
            root.name.into(),
            root.expires.into(),
            state,
            root.thumbprint.into(),
        ]);
    }
    table.print(out, terminal_width())?;
    let expired = rows.iter().filter(|row| row.expired).count();
    writeln!(out, "{}, {expired} expired", some(rows.len() as u64, "root", "roots"))?;
    Ok(Answer::Yes)
}
