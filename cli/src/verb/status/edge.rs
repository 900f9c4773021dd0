//! What an Edge is doing.

use std::io::Write;

use carillon_server::edge::status::{
    AccessStatus, ConferencingStatus, DirectorStatus, EdgeListener, EdgeStatus, FastPathStatus, GroupRow,
    RelayStatus, UnitRow, UnitState,
};

use super::{duration, mark};
use crate::answer::Failure;
use crate::style::{BAD, DOUBT, FAINT, GOOD, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words::{clean, some};

/// Whether every service does what it should.
pub(super) fn is_well(status: &EdgeStatus) -> bool {
    let is_bad = |state| matches!(state, UnitState::Failed | UnitState::Stuck | UnitState::Impaired);
    let failed = status.units.iter().any(|row| is_bad(row.state));
    let cut_off = status.access.as_ref().is_some_and(|access| {
        let no_inside = !access.next_hops.iter().any(|server| server.answers);
        no_inside || access.partners.iter().any(|partner| partner.cause.is_some())
    });
    let out_of_reach = status.director.as_ref().is_some_and(|director| {
        let reached = |group: &GroupRow| group.servers.iter().any(|server| server.established);
        !director.groups.iter().all(reached)
    });
    !failed && !cut_off && !out_of_reach
}

pub(super) fn print(status: &EdgeStatus, out: &mut dyn Write) -> Result<(), Failure> {
    let (style, word) = match (is_well(status), status.stopping) {
        (false, _) => (BAD, "in trouble"),
        (true, true) => (DOUBT, "draining"),
        (true, false) => (GOOD, "serving"),
    };
    let (name, uptime) = (clean(&status.name), duration(status.uptime));
    let program = &status.program;
    writeln!(out, "{style}{word}{style:#} as {STRONG}{name}{STRONG:#} for {uptime} (carillon {program})")?;
    for warning in &status.warnings {
        writeln!(out, "{DOUBT}{}{DOUBT:#}", clean(warning))?;
    }
    writeln!(out)?;
    units(&status.units, out)?;
    writeln!(out)?;
    listeners(&status.listeners, out)?;
    writeln!(out, "\nplan {STRONG}{}{STRONG:#}{}", clean(&status.plan), replicated(status))?;
    status.relay.as_ref().map_or(Ok(()), |relay| relaying(relay, out))?;
    status.access.as_ref().map_or(Ok(()), |access| connecting(access, out))?;
    status.director.as_ref().map_or(Ok(()), |director| directing(director, out))?;
    status.conferencing.as_ref().map_or(Ok(()), |conferencing| conferences(conferencing, out))
}

fn units(units: &[UnitRow], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("SERVICE"),
        Column::left("NAME"),
        Column::left("STATE"),
        Column::right("FOR"),
        Column::right("STARTS"),
        Column::left("NOTE"),
    ]);
    for row in units {
        let (word, style) = match row.state {
            UnitState::Off => ("off", FAINT),
            UnitState::Running => ("running", GOOD),
            UnitState::Impaired => ("impaired", BAD),
            UnitState::Stuck => ("stuck", BAD),
            UnitState::Stopping => ("stopping", DOUBT),
            UnitState::Stopped => ("stopped", DOUBT),
            UnitState::Failed => ("failed", BAD),
        };
        table.row([
            row.service.as_str().into(),
            row.unit.word().into(),
            Cell::styled(word, style),
            duration(row.since).into(),
            row.starts.to_string().into(),
            row.note.as_deref().unwrap_or_default().into(),
        ]);
    }
    Ok(table.print(out, terminal_width())?)
}

/// Where the plan comes from, if there is a Replica.
fn replicated(status: &EdgeStatus) -> String {
    match status.settings.as_ref().map(|settings| (settings.version, settings.lag)) {
        None => String::new(),
        Some((None, _)) => ", of the configuration: the Replica has taken none yet".to_owned(),
        Some((Some(version), None)) => format!(", version {version}, kept since before the start"),
        Some((Some(version), Some(lag))) => format!(", version {version}, {lag:.1} s after the Front End"),
    }
}

fn conferences(conferencing: &ConferencingStatus, out: &mut dyn Write) -> Result<(), Failure> {
    let connections = some(conferencing.connections as u64, "connection", "connections");
    writeln!(out, "web conferences: {connections}, {} since the start", conferencing.served)?;
    for (reason, number) in &conferencing.refused {
        writeln!(out, "{DOUBT}refused: {number} {reason}{DOUBT:#}")?;
    }
    for row in &conferencing.inside {
        if let Some(error) = &row.error {
            writeln!(out, "{BAD}{} does not answer: {}{BAD:#}", row.address, clean(error))?;
        }
    }
    Ok(())
}

fn relaying(relay: &RelayStatus, out: &mut dyn Write) -> Result<(), Failure> {
    let marks: Vec<String> =
        relay.marks.iter().map(|(class, value)| format!("{class} {}", mark(*value))).collect();
    writeln!(out, "{FAINT}towards the inside: {}{FAINT:#}", marks.join(", "))?;
    let ports = relay.relay_ports.map_or_else(String::new, |(first, last)| format!(", ports {first}-{last}"));
    writeln!(
        out,
        "{} of {}{ports}; {} packets to clients, {} to peers",
        some(relay.allocations as u64, "allocation", "allocations"),
        some(relay.users as u64, "user", "users"),
        relay.relayed.packets_to_clients,
        relay.relayed.packets_to_peers,
    )?;
    fast_path(&relay.fast_path, out)?;
    if relay.shared_addresses > 0 {
        let requests = some(relay.shared_addresses, "request", "requests");
        writeln!(
            out,
            "{BAD}{requests} from the address and port of another user: addresses are translated before the Edge{BAD:#}"
        )?;
    }
    for (quota, number) in &relay.quotas {
        writeln!(out, "{DOUBT}refused: {number} by the limit of allocations of a {quota}{DOUBT:#}")?;
    }
    for (name, number) in &relay.dropped {
        writeln!(out, "{DOUBT}dropped: {number} {name}{DOUBT:#}")?;
    }
    Ok(())
}

/// What the kernel carries, or why it carries nothing.
fn fast_path(path: &FastPathStatus, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(why) = &path.why_not {
        writeln!(out, "{DOUBT}sockets carry all media, not the kernel: {}{DOUBT:#}", clean(why))?;
    }
    if path.path == "kernel" {
        writeln!(
            out,
            "the kernel carries {} of {}, at {}; of these packets {} to clients, {} to peers",
            path.rules,
            some(path.rules_of_all as u64, "channel", "channels"),
            some(path.interfaces as u64, "interface", "interfaces"),
            path.packets_to_clients,
            path.packets_to_peers,
        )?;
    }
    Ok(())
}

/// The servers and domains that the Access Edge connects.
fn connecting(access: &AccessStatus, out: &mut dyn Write) -> Result<(), Failure> {
    let clients = some(access.signed_in as u64, "client is", "clients are");
    writeln!(out, "\n{clients} signed in through the Access Edge")?;
    let mut table = Table::new(["WHO", "SERVER", "STATE", "IN", "OUT"].map(Column::left));
    let word = |answers| if answers { Cell::styled("answers", GOOD) } else { Cell::styled("silent", BAD) };
    for server in &access.next_hops {
        let address = server.address.to_string();
        table.row(["inside".into(), address.into(), word(server.answers), "".into(), "".into()]);
    }
    for partner in &access.partners {
        let servers: Vec<String> = partner.servers.iter().map(|server| server.address.to_string()).collect();
        let style = if partner.cause.is_some() { BAD } else { GOOD };
        table.row([
            clean(&partner.domain).into(),
            servers.join(", ").into(),
            Cell::styled(partner.state.as_str(), style),
            partner.incoming.to_string().into(),
            partner.outgoing.to_string().into(),
        ]);
    }
    table.print(out, terminal_width())?;
    for partner in &access.partners {
        if let (Some(cause), Some(fix)) = (&partner.cause, &partner.fix) {
            writeln!(out, "{BAD}{}{BAD:#}: {cause}\n  {fix}", clean(&partner.domain))?;
        }
    }
    Ok(())
}

/// The Edges and Front Ends that a Director connects.
fn directing(director: &DirectorStatus, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out)?;
    let mut table = Table::new([
        Column::left("NEXT HOP"),
        Column::left("IS"),
        Column::left("SERVER"),
        Column::left("STATE"),
        Column::right("FOR"),
        Column::right("USERS"),
    ]);
    for group in &director.groups {
        for server in &group.servers {
            let state = match server.established {
                true => Cell::styled("established", GOOD),
                false => Cell::styled("not reached", BAD),
            };
            table.row([
                clean(&group.name).into(),
                group.is.as_str().into(),
                server.address.to_string().into(),
                state,
                server.since.map_or_else(String::new, duration).into(),
                group.users.map_or_else(String::new, |users| users.to_string()).into(),
            ]);
        }
    }
    table.print(out, terminal_width())?;
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
