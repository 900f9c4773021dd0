//! `carillon edge probe`: knocks at every listener of an Edge as a stranger does. What it means stands in `carillon_qos::probe`.

mod knock;

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::thread;

use carillon_net::tls::{CertificateDer, ServerName, load_certificates};
use carillon_qos::check::Facts;
use carillon_qos::probe::{self, Listener, Manner, Meaning, listeners};
use serde::Serialize;

use knock::Heard;

use super::check::facts;
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
    /// Of the certificate that was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Shown>,
}

/// A certificate, for whoever compares what is shown in two places.
#[derive(Serialize)]
struct Shown {
    issuer: String,
    names: Vec<String>,
    key: String,
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
    let trusted = trusted(args)?;
    let name = ServerName::try_from(args.name.as_ref().unwrap_or(&args.host).clone());
    let name = name.unwrap_or(ServerName::from(address.ip()));
    let ask = |(listener, port): &(Listener, u16)| {
        knock::at(SocketAddr::new(address.ip(), *port), listener, &name, args.wait())
    };
    let heard: Vec<Heard> = thread::scope(|scope| {
        let ask = &ask;
        let asked: Vec<_> = wanted.iter().map(|one| scope.spawn(move || ask(one))).collect();
        // A thread that has panicked has said so.
        asked.into_iter().map(|thread| thread.join().unwrap_or((probe::Heard::Nothing, Vec::new()))).collect()
    });
    let rows = wanted.iter().zip(heard).map(|(one, heard)| row(args, *one, &heard, trusted.as_deref()));
    let rows: Vec<Row> = rows.collect();
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

/// Who makes certificates for the Edge, if anybody says.
fn trusted(args: &EdgeProbe) -> Result<Option<Vec<CertificateDer<'static>>>, Failure> {
    let read = |file: &PathBuf| {
        load_certificates(file).map_err(|error| {
            let text = format!("`{}` has no certificates: {error}", file.display());
            Failure::new(text, "give a file with the authority of the Edge, as PEM")
        })
    };
    args.trusted.as_ref().map(read).transpose()
}

fn row(
    args: &EdgeProbe,
    (listener, port): (Listener, u16),
    (heard, chain): &Heard,
    trusted: Option<&[CertificateDer<'static>]>,
) -> Row {
    let facts = facts(chain, trusted).ok();
    let name = args.name.as_deref();
    let wrong = |facts: &Facts| listener.judge_certificate(args.side, port, facts, name);
    let meaning = listener.judge(args.side, port, heard);
    // What is wrong without it is wrong with it too.
    let other = facts.as_ref().and_then(wrong).filter(|_| meaning.well != Some(false));
    let certificate = facts.map(|Facts { issuer, names, key, .. }| Shown { issuer, names, key });
    Row {
        service: listener.service,
        transport: listener.over.name(),
        port,
        heard: heard.name(),
        meaning: other.unwrap_or(meaning),
        certificate,
    }
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
        let by = row.certificate.as_ref().filter(|_| row.meaning.well == Some(true));
        let by = by.map_or_else(String::new, |shown| format!("; by a certificate of {}", shown.issuer));
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
            format!("{}{by}", row.meaning.text).into(),
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
