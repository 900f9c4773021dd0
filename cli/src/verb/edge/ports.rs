//! `carillon edge ports`: the kernel's truth, explained.

use std::io::Write;

use carillon_server::edge::status::{AllocationRow, PortRow};

use super::listed;
use crate::answer::{Answer, Failure};
use crate::args::EdgePorts;
use crate::style::BAD;
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;
use crate::verb::user::reach::{self, connect};
use crate::words::{clean, some};

/// Lists every socket of the process; no if one belongs to no service.
pub(super) fn run(args: &EdgePorts, out: &mut dyn Write) -> Result<Answer, Failure> {
    if let Some(file) = &args.from {
        return listed::run(file, args.json, out);
    }
    let mut client = connect(&reach::socket(&args.server)?)?;
    let mut rows = client.ports().map_err(|error| Failure::new("cannot ask the Edge", error))?;
    let unexplained = rows.iter().filter(|row| row.service.is_none()).count();
    if args.dynamic {
        rows.retain(|row| row.allocation.is_some());
        rows.sort_by(|one, other| order(one).cmp(&order(other)));
    }
    if args.json {
        print_json(&rows)?;
    } else {
        print(&rows, out)?;
        if unexplained > 0 {
            let sockets = some(unexplained as u64, "socket belongs", "sockets belong");
            writeln!(out, "{BAD}{sockets} to no service; please report it{BAD:#}")?;
        }
    }
    Ok(if unexplained == 0 { Answer::Yes } else { Answer::No })
}

/// UDP and TCP apart, then by user and client.
fn order(row: &PortRow) -> (bool, Option<(&str, std::net::SocketAddr)>, std::net::SocketAddr) {
    let of = |allocation: &'_ AllocationRow| allocation.client;
    let whose = row.allocation.as_ref().map(|allocation| (allocation.user.as_str(), of(allocation)));
    (row.transport != "udp", whose, row.address)
}

/// The user, and the site that it counts on too.
fn whose(allocation: &AllocationRow) -> String {
    let site = allocation.site.as_deref().map_or_else(String::new, |site| format!(" ({})", clean(site)));
    format!("{}{site}", clean(&allocation.user))
}

fn print(rows: &[PortRow], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("TRANSPORT"),
        Column::left("ADDRESS"),
        Column::left("SERVICE"),
        Column::left("CLASS"),
        Column::left("USER"),
        Column::left("CLIENT"),
        Column::right("PEERS"),
        Column::right("PACKETS IN"),
        Column::right("PACKETS OUT"),
        Column::right("ENDS IN"),
    ]);
    for row in rows {
        let of = |text: fn(&AllocationRow) -> String| row.allocation.as_ref().map(text).unwrap_or_default();
        table.row([
            row.transport.as_str().into(),
            row.address.to_string().into(),
            row.service.as_deref().map_or_else(|| Cell::styled("nobody", BAD), Cell::from),
            row.class.as_deref().unwrap_or_default().into(),
            of(whose).into(),
            of(|allocation| allocation.client.to_string()).into(),
            of(|allocation| allocation.permissions.to_string()).into(),
            of(|allocation| allocation.carried.packets_to_clients.to_string()).into(),
            of(|allocation| allocation.carried.packets_to_peers.to_string()).into(),
            of(|allocation| format!("{} s", allocation.ends_in)).into(),
        ]);
    }
    Ok(table.print(out, terminal_width())?)
}
