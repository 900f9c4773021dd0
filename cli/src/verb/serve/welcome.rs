//! What `serve --dev` prints once phones may come: who may sign in, and what to type into a softphone.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;

use carillon_server::Ready;
use carillon_server::dev::Prepared;
use carillon_wire::sip::Transport;

use crate::answer::Failure;
use crate::style::{DOUBT, FAINT, NAME, STRONG};
use crate::table::{Cell, Column, Table, terminal_width};

/// Prints it, and lets it be seen at once.
pub(super) fn print(prepared: &Prepared, ready: &Ready, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "{STRONG}Carillon serves.{STRONG:#} Type into a softphone:\n")?;
    users(prepared, out)?;
    writeln!(out)?;
    ways(prepared, ready, out)?;
    writeln!(out)?;
    notes(prepared, ready, out)?;
    out.flush()?;
    Ok(())
}

fn users(prepared: &Prepared, out: &mut dyn Write) -> Result<(), Failure> {
    let mut table =
        Table::new([Column::left("SIP ADDRESS"), Column::left("USER NAME"), Column::left("PASSWORD")]);
    for (name, password) in &prepared.users {
        let address = format!("sip:{name}@{}", host(prepared));
        table.row([Cell::styled(address, NAME), name.into(), Cell::styled(password, NAME)]);
    }
    Ok(table.print(out, terminal_width())?)
}

/// One row for each transport, with all its addresses.
fn ways(prepared: &Prepared, ready: &Ready, out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([
        Column::left("TRANSPORT"),
        Column::left("SERVER OR OUTBOUND PROXY"),
        Column::left("LISTENS ON").spare(1),
    ]);
    let mut ways: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (transport, address) in &ready.listeners {
        ways.entry(*transport).or_default().push(*address);
    }
    // The safest way first.
    for (transport, addresses) in ways.iter().rev() {
        let port = addresses.first().map_or(0, |address| address.port());
        let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let server = Cell::styled(format!("{}:{port}", host(prepared)), NAME);
        table.row([transport.name().into(), server, all.join(", ").into()]);
    }
    Ok(table.print(out, terminal_width())?)
}

/// The server as it stands in an address.
fn host(prepared: &Prepared) -> String {
    match prepared.config.name.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => prepared.config.name.clone(),
    }
}

fn notes(prepared: &Prepared, ready: &Ready, out: &mut dyn Write) -> Result<(), Failure> {
    let authority = prepared.authority.display();
    writeln!(out, "For TLS the phone must trust {NAME}{authority}{NAME:#}")?;
    let outside = ready.listeners.iter().any(|(_, address)| !address.ip().is_loopback());
    let note = match (prepared.plain, outside) {
        (true, false) => {
            "UDP and TCP are open on this machine only; others would be served over TLS (--listen ADDRESS)."
        }
        (true, true) => {
            "UDP and TCP are open to others, as you asked: whoever reads the network reads passwords' proofs and calls."
        }
        (false, _) => "TLS only: plain SIP beyond this machine must be asked for (--plain).",
    };
    writeln!(out, "{DOUBT}{note}{DOUBT:#}")?;
    if let Some(metrics) = ready.metrics {
        writeln!(
            out,
            "Health and numbers: {NAME}http://{metrics}/health{NAME:#} and {NAME}/metrics{NAME:#}"
        )?;
    }
    let socket = ready.admin_socket.display();
    writeln!(out, "{FAINT}carillon status and carillon user reach it by {socket}; Ctrl-C ends it.{FAINT:#}")?;
    debug_assert!(ready.listeners.iter().any(|(transport, _)| *transport == Transport::Tls));
    Ok(())
}
