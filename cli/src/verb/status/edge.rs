//! What an Edge is doing.

use std::io::Write;

use carillon_server::edge::status::{EdgeListener, EdgeStatus};

use super::{duration, mark};
use crate::answer::Failure;
use crate::style::{DOUBT, FAINT, GOOD, STRONG};
use crate::table::{Column, Table, terminal_width};
use crate::words::{clean, some};

pub(super) fn print(status: &EdgeStatus, out: &mut dyn Write) -> Result<(), Failure> {
    let (style, word) = if status.stopping { (DOUBT, "draining") } else { (GOOD, "relaying") };
    let (name, uptime) = (clean(&status.name), duration(status.uptime));
    let program = &status.program;
    writeln!(out, "{style}{word}{style:#} as {STRONG}{name}{STRONG:#} for {uptime} (carillon {program})")?;
    let ports =
        status.relay_ports.map_or_else(String::new, |(first, last)| format!(", ports {first}-{last}"));
    writeln!(
        out,
        "{} of {}{ports}; {} packets to clients, {} to peers\n",
        some(status.allocations as u64, "allocation", "allocations"),
        some(status.users as u64, "user", "users"),
        status.relayed.packets_to_clients,
        status.relayed.packets_to_peers,
    )?;
    listeners(&status.listeners, out)?;
    writeln!(out, "\nplan {STRONG}{}{STRONG:#}", clean(&status.plan))?;
    let marks: Vec<String> =
        status.marks.iter().map(|(class, value)| format!("{class} {}", mark(*value))).collect();
    writeln!(out, "{FAINT}towards the inside: {}{FAINT:#}", marks.join(", "))?;
    for (name, number) in &status.dropped {
        writeln!(out, "{DOUBT}dropped: {number} {name}{DOUBT:#}")?;
    }
    Ok(())
}

fn listeners(listeners: &[EdgeListener], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new(["SERVICE", "LISTENS", "ADDRESS", "CLASS"].map(Column::left));
    for listener in listeners {
        let address = listener.address.to_string();
        let class = listener.class.as_deref().unwrap_or("any");
        let transport = listener.transport.as_str();
        table.row([listener.service.as_str().into(), transport.into(), address.into(), class.into()]);
    }
    Ok(table.print(out, terminal_width())?)
}
