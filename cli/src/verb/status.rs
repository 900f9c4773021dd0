//! `carillon status`: what the server is doing.

mod edge;

use std::io::Write;

use carillon_qos::dscp;
use carillon_server::admin::AnyStatus;
use carillon_server::status::{LinkClass, ListenerStatus, Status};
use carillon_wire::ip::Dscp;

use super::print_json;
use super::user::reach::{self, connect};
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{BAD, DOUBT, FAINT, GOOD, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::words::{clean, some};

/// Asks the server; yes if all is as it should be.
pub fn run(args: &args::Status, out: &mut dyn Write) -> Result<Answer, Failure> {
    let socket = reach::socket(&args.server)?;
    let asked = connect(&socket)?.any_status();
    let status = match asked.map_err(|error| Failure::new("cannot ask the server", error))? {
        AnyStatus::Edge(status) => {
            if args.json { print_json(&status).map(drop) } else { edge::print(&status, out) }?;
            return Ok(if edge::is_well(&status) { Answer::Yes } else { Answer::No });
        }
        AnyStatus::FrontEnd(status) => status,
    };
    if args.json {
        print_json(&status)?;
    } else {
        print(&status, out)?;
    }
    let as_planned = status.listeners.iter().all(ListenerStatus::is_as_planned);
    let replicated = status.edges.iter().all(|edge| edge.error.is_none());
    Ok(if status.trouble.is_none() && as_planned && replicated { Answer::Yes } else { Answer::No })
}

fn print(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    let (style, word) = match (&status.trouble, status.stopping) {
        (Some(_), _) => (BAD, "in trouble"),
        (None, true) => (DOUBT, "stopping"),
        (None, false) => (GOOD, "serving"),
    };
    let domains = clean(&status.domains.join(", "));
    let (program, uptime) = (&status.program, duration(status.uptime));
    writeln!(out, "{style}{word}{style:#} {STRONG}{domains}{STRONG:#} for {uptime} (carillon {program})")?;
    if let Some(trouble) = &status.trouble {
        writeln!(out, "{BAD}{}{BAD:#}", clean(trouble))?;
    }
    for warning in &status.warnings {
        writeln!(out, "{DOUBT}{}{DOUBT:#}", clean(warning))?;
    }
    let bridged = match status.bridges {
        0 => String::new(),
        bridges => format!(" ({bridges} between browser and phone)"),
    };
    writeln!(
        out,
        "{} of {} signed in, {}{bridged}, {}\n",
        some(status.registrations as u64, "contact", "contacts"),
        some(status.users as u64, "user", "users"),
        some(status.calls as u64, "call", "calls"),
        some(status.connections as u64, "connection", "connections"),
    )?;
    listeners(status, out)?;
    writeln!(out)?;
    leases(status, out)?;
    writeln!(out)?;
    plan(status, out)?;
    links(status, out)?;
    next_hops(status, out)?;
    edges(status, out)
}

fn listeners(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("LISTENS"),
        Column::left("ADDRESS"),
        Column::left("PLANNED"),
        Column::left("IPV4 MARK"),
        Column::left("IPV6 MARK"),
        Column::left("TROUBLE"),
    ]);
    for listener in &status.listeners {
        let address = listener.address.to_string();
        let error = listener.error.as_deref().unwrap_or_default();
        table.row([
            listener.transport.as_str().into(),
            address.into(),
            mark(listener.planned).into(),
            read_back(listener.v4, listener.planned),
            read_back(listener.v6, listener.planned),
            Cell::styled(error, BAD),
        ]);
    }
    Ok(table.print(out, terminal_width())?)
}

fn read_back(found: Option<u8>, planned: u8) -> Cell {
    match found {
        None => "".into(),
        Some(found) => Cell::styled(mark(found), if found == planned { GOOD } else { BAD }),
    }
}

fn mark(value: u8) -> String {
    Dscp::new(value).map_or_else(|| value.to_string(), |mark| dscp::label(mark).to_string())
}

fn leases(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("MEDIA PORTS"),
        Column::left("RANGE"),
        Column::right("LEASED"),
        Column::right("RESTING"),
        Column::right("REFUSED"),
    ]);
    for lease in &status.leases {
        let range = lease.ports.map_or_else(|| "any".to_owned(), |(first, last)| format!("{first}-{last}"));
        let refused = Cell::styled(
            lease.refused.to_string(),
            if lease.refused > 0 { BAD } else { crate::style::PLAIN },
        );
        table.row([
            lease.class.as_str().into(),
            range.into(),
            lease.leased.to_string().into(),
            lease.resting.to_string().into(),
            refused,
        ]);
    }
    Ok(table.print(out, terminal_width())?)
}

/// A phone keeps what it was given until it registers again [46].
fn plan(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    let plan = &status.plan;
    let name = clean(&plan.name);
    write!(out, "plan {STRONG}{name}{STRONG:#}, version {}: ", plan.version)?;
    if plan.outdated == 0 {
        writeln!(out, "{GOOD}nobody has an older one{GOOD:#}")?;
        return Ok(());
    }
    let contacts = some(plan.outdated, "contact has", "contacts have");
    writeln!(out, "{DOUBT}{contacts} an older one{DOUBT:#}, until the next registration")?;
    for (user, version) in &plan.outdated_users {
        writeln!(out, "  {} {FAINT}version {version}{FAINT:#}", clean(user))?;
    }
    Ok(())
}

/// What calls have reserved of the links between sites.
fn links(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    if status.links.is_empty() {
        return Ok(());
    }
    let mut table = Table::new([
        Column::left("LINK"),
        Column::right("AUDIO"),
        Column::right("CALLS"),
        Column::right("REFUSED"),
        Column::right("VIDEO"),
        Column::right("CALLS"),
        Column::right("WITHOUT"),
    ]);
    for link in &status.links {
        let mut cells = vec![Cell::from(clean(&link.name))];
        for class in [&link.audio, &link.video] {
            cells.extend([reserved(class), class.calls.to_string().into(), turned_away(class.refused)]);
        }
        table.row(cells);
    }
    writeln!(out)?;
    table.print(out, terminal_width())?;
    writeln!(out, "{FAINT}kbit/s reserved of what calls may take, each way{FAINT:#}")?;
    Ok(())
}

fn reserved(class: &LinkClass) -> Cell {
    let Some(capacity) = class.capacity else { return "any".into() };
    let style = match class.reserved * 10 {
        tenths if tenths > u64::from(capacity) * 10 => BAD,
        tenths if tenths > u64::from(capacity) * 8 => DOUBT,
        _ => crate::style::PLAIN,
    };
    Cell::styled(format!("{} of {capacity}", class.reserved), style)
}

fn turned_away(calls: u64) -> Cell {
    Cell::styled(calls.to_string(), if calls > 0 { DOUBT } else { crate::style::PLAIN })
}

/// What Edges have of the plan.
fn next_hops(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    for hop in &status.next_hops {
        let (style, word) = if hop.established { (GOOD, "established") } else { (BAD, "not established") };
        writeln!(out, "next hop {}: {style}{word}{style:#}", hop.address)?;
    }
    Ok(())
}

fn edges(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    if status.edges.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["EDGE", "ADDRESS", "PLAN", "AFTER", "TROUBLE"].map(Column::left));
    for edge in &status.edges {
        let version =
            edge.version.map_or_else(|| "unknown".to_owned(), |version| format!("version {version}"));
        let style = if edge.version == Some(status.plan.version) { GOOD } else { DOUBT };
        table.row([
            clean(&edge.name).into(),
            edge.address.to_string().into(),
            Cell::styled(version, style),
            edge.lag.map_or_else(String::new, |lag| format!("{lag:.1} s")).into(),
            Cell::styled(clean(edge.error.as_deref().unwrap_or_default()), BAD),
        ]);
    }
    writeln!(out)?;
    Ok(table.print(out, terminal_width())?)
}

fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (1.., ..) => format!("{days} d {} h", hours % 24),
        (0, 1.., _) => format!("{hours} h {} min", minutes % 60),
        (0, 0, 1..) => format!("{minutes} min {} s", seconds % 60),
        _ => format!("{seconds} s"),
    }
}
