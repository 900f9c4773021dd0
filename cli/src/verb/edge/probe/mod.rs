//! `carillon edge probe`: knocks at every listener of an Edge as a stranger does. What it means stands in `carillon_qos::probe`.

mod knock;

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;

use carillon_qos::probe::{Heard, Listener, Manner, Meaning, listeners};
use serde::Serialize;

use crate::answer::{Answer, Failure};
use crate::args::EdgeProbe;
use crate::style::{BAD, DOUBT, FIX, GOOD};
use crate::table::{Cell, Column, Table, terminal_width};
use crate::verb::print_json;

/// What was heard at a port, and what it means.
#[derive(Serialize)]
struct Row {
    service: &'static str,
    transport: &'static str,
    port: u16,
    heard: &'static str,
    #[serde(flatten)]
    meaning: Meaning,
}

/// Knocks everywhere at once; no if something is not as it should be.
pub(super) fn run(args: &EdgeProbe, out: &mut dyn Write) -> Result<Answer, Failure> {
    let address = (args.host.as_str(), 0).to_socket_addrs().ok().and_then(|mut all| all.next());
    let Some(address) = address else {
        let hint = format!(
            "look at the spelling and at DNS here (`getent hosts {}`), or give the address",
            args.host
        );
        return Err(Failure::new(format!("the name `{}` is not resolved", args.host), hint));
    };
    let wanted = wanted(args);
    let ask = |(listener, port): &(Listener, u16)| {
        knock::at(SocketAddr::new(address.ip(), *port), listener, args.wait())
    };
    let heard: Vec<Heard> = thread::scope(|scope| {
        let ask = &ask;
        let asked: Vec<_> = wanted.iter().map(|one| scope.spawn(move || ask(one))).collect();
        // A thread that has panicked has said so.
        asked.into_iter().map(|thread| thread.join().unwrap_or(Heard::Nothing)).collect()
    });
    let rows: Vec<Row> = wanted.iter().zip(heard).map(|(one, heard)| row(args, *one, &heard)).collect();
    let well = rows.iter().all(|row| row.meaning.well != Some(false));
    match args.json {
        true => {
            print_json(&serde_json::json!({ "host": args.host, "well": well, "listeners": rows }))?;
        }
        false => print(&rows, out)?,
    }
    Ok(if well { Answer::Yes } else { Answer::No })
}

/// The listeners of that side, each with the ports that are tried.
fn wanted(args: &EdgeProbe) -> Vec<(Listener, u16)> {
    let is_wanted = |listener: &&Listener| {
        let mut only = args.only.iter().map(|unit| unit.word());
        args.only.is_empty() || listener.word.is_empty() || only.any(|word| word == listener.word)
    };
    let ports = |listener: &Listener| match listener.manner {
        Manner::Relayed if !args.relayed.is_empty() => args.relayed.clone(),
        Manner::Relayed => vec![listener.first, listener.first.midpoint(listener.last), listener.last],
        _ => vec![listener.first],
    };
    let all = listeners(args.side).iter().filter(is_wanted);
    all.flat_map(|listener| ports(listener).into_iter().map(|port| (*listener, port))).collect()
}

fn row(args: &EdgeProbe, (listener, port): (Listener, u16), heard: &Heard) -> Row {
    let meaning = listener.judge(args.side, port, heard);
    Row { service: listener.service, transport: listener.over.name(), port, heard: heard.name(), meaning }
}

fn print(rows: &[Row], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("SERVICE"),
        Column::left("OVER"),
        Column::right("PORT"),
        Column::left("HEARD"),
        Column::left("MEANS").spare(1),
    ]);
    for row in rows {
        let style = match row.meaning.well {
            Some(true) => GOOD,
            Some(false) => BAD,
            None => DOUBT,
        };
        table.row([
            row.service.into(),
            row.transport.into(),
            row.port.to_string().into(),
            Cell::styled(row.heard, style),
            row.meaning.text.as_str().into(),
        ]);
    }
    table.print(out, terminal_width())?;
    for row in rows.iter().filter(|row| row.meaning.well == Some(false)) {
        let Row { service, transport, port, meaning, .. } = row;
        writeln!(out, "{BAD}{service}, {transport} {port}{BAD:#}: {}", meaning.text)?;
        if !meaning.breaks.is_empty() {
            writeln!(out, "  what breaks: {}", meaning.breaks)?;
        }
        writeln!(out, "  {FIX}fix:{FIX:#} {}", meaning.fix)?;
    }
    Ok(())
}
