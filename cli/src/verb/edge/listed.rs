//! `carillon edge ports --from FILE`: what tools of the system have printed, each socket with its service.

use std::io::{Read, Write};
use std::path::Path;

use carillon_qos::listening::{By, List, Socket, read};
use serde_json::json;

use crate::answer::{Answer, Failure};
use crate::style::{BAD, DOUBT, FAINT};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;
use crate::words::clean;

/// Larger lists are not read.
const LARGEST: u64 = 64 << 20;

/// Attributes each socket; no if a place is waited for twice, or by another program.
pub(super) fn run(file: &Path, as_json: bool, out: &mut dyn Write) -> Result<Answer, Failure> {
    let bytes =
        bytes(file).map_err(|error| Failure::new(format!("cannot read {}", file.display()), error))?;
    let list =
        read(&bytes).map_err(|why| Failure::new(format!("{} is no list of sockets", file.display()), why))?;
    match as_json {
        true => {
            print_json(&shown(&list))?;
        }
        false => print(&list, out)?,
    }
    Ok(match (list.is_of_an_edge(), list.findings.is_empty()) {
        (false, _) => Answer::Unknown,
        (true, true) => Answer::Yes,
        (true, false) => Answer::No,
    })
}

fn bytes(file: &Path) -> std::io::Result<Vec<u8>> {
    let source: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(file)?),
    };
    let mut bytes = Vec::new();
    source.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn shown(list: &List) -> serde_json::Value {
    let row = |socket: &Socket| {
        let service = socket.service.map(|(service, _)| service);
        json!({
            "line": socket.line,
            "transport": transport(socket),
            "address": socket.address,
            "program": socket.program,
            "service": service.map(|service| service.name()),
            "service_name": service.map(|service| service.service_name()),
            "by": socket.service.map(|(_, by)| by),
            "established": socket.established,
        })
    };
    let missing: Vec<&str> = list.missing().map(|service| service.service_name()).collect();
    let sockets: Vec<_> = list.sockets.iter().map(row).collect();
    json!({ "format": list.format, "sockets": sockets, "missing": missing, "findings": list.findings })
}

fn print(list: &List, out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("TRANSPORT"),
        Column::left("ADDRESS"),
        Column::left("SERVICE"),
        Column::left("NAME"),
        Column::left("PROGRAM"),
        Column::left("KNOWN BY"),
        Column::right("ESTABLISHED"),
    ]);
    for socket in &list.sockets {
        let service = socket.service.map(|(service, _)| service);
        let by = match socket.service {
            Some((_, By::Program)) => "program",
            Some((_, By::Port)) => "port",
            None => "",
        };
        let established = if socket.established > 0 { socket.established.to_string() } else { String::new() };
        table.row([
            transport(socket).into(),
            socket.address.to_string().into(),
            service.map_or_else(|| Cell::styled("none of an Edge", FAINT), |service| service.name().into()),
            service.map_or("", |service| service.service_name()).into(),
            clean(socket.program.as_deref().unwrap_or_default()).into(),
            by.into(),
            established.into(),
        ]);
    }
    table.print(out, terminal_width())?;
    for service in list.missing().filter(|_| list.is_of_an_edge()) {
        let (name, windows) = (service.name(), service.service_name());
        writeln!(
            out,
            "{DOUBT}the {name} ({windows}) waits nowhere: it is not installed, or does not run{DOUBT:#}"
        )?;
    }
    if !list.is_of_an_edge() {
        writeln!(out, "{DOUBT}no socket is of a service of an Edge{DOUBT:#}")?;
    }
    for finding in &list.findings {
        writeln!(out, "{BAD}{}{BAD:#}", clean(finding))?;
    }
    Ok(())
}

fn transport(socket: &Socket) -> &'static str {
    if socket.is_stream { "tcp" } else { "udp" }
}
