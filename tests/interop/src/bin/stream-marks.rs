//! Both ends of what `tests/stream-marks.rs` captures, and the server that `tests/tls-foreign.rs` talks to. A place is
//! `TLS/[::1]:5061`.
//!
//!   stream-marks serve DIRECTORY PLACE...      answers every message and marks with CS3. Writes its authority into the
//!                                              directory, and tells where it listens
//!   stream-marks call DIRECTORY MARK PLACE...  one connection to every place; the body of its message says which end
//!                                              closes. Tells each flow: own end, other end
//!   stream-marks remark DIRECTORY MARK PLACE   lets the server mark everything otherwise, in the middle of a
//!                                              connection that marks with CS3. Tells the flow too

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use carillon_interop::Result;
use carillon_net::authority::Authority;
use carillon_net::tls;
use carillon_net::transports::{Incoming, Limits, Transports};
use carillon_wire::ip::Dscp;
use carillon_wire::sip::{Destination, Flow, Transport};

const NAME: &str = "sip.example.com";
const LIMIT: Duration = Duration::from_secs(20);
/// Larger than a segment and than a record of TLS.
const ANSWER: usize = 40_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", directory, places @ ..] => serve(directory.as_ref(), places),
        ["call", directory, value, places @ ..] => call(directory.as_ref(), mark(value)?, places),
        ["remark", directory, value, place] => remark(directory.as_ref(), mark(value)?, place),
        _ => {
            Err("serve DIRECTORY PLACE... | call DIRECTORY MARK PLACE... | remark DIRECTORY MARK PLACE"
                .into())
        }
    }
}

/// What one poll has brought.
#[derive(Default)]
struct Seen {
    messages: Vec<(Flow, String)>,
    closed: BTreeSet<Flow>,
    failed: Vec<String>,
}

fn turn(transports: &mut Transports) -> Result<Seen> {
    let mut seen = Seen::default();
    transports.poll(Some(LIMIT), &mut |incoming| match incoming {
        Incoming::Message { flow, bytes } => {
            let text = String::from_utf8_lossy(bytes);
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            seen.messages.push((flow, body.to_owned()));
        }
        Incoming::Connected { .. } => {}
        Incoming::Closed { flow } => drop(seen.closed.insert(flow)),
        other => seen.failed.push(format!("{other:?}")),
    })?;
    Ok(seen)
}

fn serve(directory: &Path, places: &[&str]) -> Result<()> {
    let authority = Authority::open(directory, "Carillon interop")?;
    let places: Vec<(Transport, SocketAddr)> =
        places.iter().map(|text| place(text)).collect::<Result<_>>()?;
    let addresses: Vec<_> = places.iter().map(|(_, address)| address.ip()).collect();
    let config = tls::server_config(&authority.identity(directory, &[NAME], &addresses)?)?;
    let mut transports = Transports::new(mark("24")?, Limits::default())?;
    for (transport, address) in places {
        let config = (transport == Transport::Tls).then(|| config.clone());
        let address = transports.listen(transport, address, config)?;
        writeln!(std::io::stdout(), "listens {transport}/{address}")?;
    }
    loop {
        for (flow, body) in turn(&mut transports)?.messages {
            if let Some(value) = body.strip_prefix("mark ") {
                transports.set_mark(mark(value)?)?;
            }
            transports.send(Destination::Flow(flow), message(&"x".repeat(ANSWER)));
            if body == "you close" {
                transports.close(flow);
            }
        }
        transports.flush();
    }
}

fn call(directory: &Path, mark: Dscp, places: &[&str]) -> Result<()> {
    let mut transports = client(directory, mark)?;
    for text in places {
        for body in ["I close", "you close"] {
            let flow = answered(&mut transports, address(text)?, body)?;
            if body == "I close" {
                transports.close(flow);
            }
            tell_end(&mut transports, flow)?;
        }
    }
    Ok(())
}

fn remark(directory: &Path, other: Dscp, text: &str) -> Result<()> {
    let mut transports = client(directory, mark("24")?)?;
    let flow = answered(&mut transports, address(text)?, &format!("mark {}", other.value()))?;
    answered(&mut transports, Destination::Flow(flow), "you close")?;
    tell_end(&mut transports, flow)
}

fn client(directory: &Path, mark: Dscp) -> Result<Transports> {
    let mut transports = Transports::new(mark, Limits::default())?;
    let trusted = tls::load_certificates(&directory.join("ca.pem"))?;
    transports.set_client_tls(tls::client_config(&trusted)?, Some(NAME.try_into()?));
    Ok(transports)
}

/// Sends a message; returns the flow that its answer came on.
fn answered(transports: &mut Transports, to: Destination, body: &str) -> Result<Flow> {
    transports.send(to, message(body));
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        let seen = turn(transports)?;
        if !seen.failed.is_empty() {
            return Err(format!("{to:?}: {:?}", seen.failed).into());
        }
        if let Some((flow, _)) = seen.messages.into_iter().find(|(_, answer)| answer.len() == ANSWER) {
            return Ok(flow);
        }
    }
    Err(format!("{to:?}: no answer within {LIMIT:?}").into())
}

/// Waits for the end of a connection and tells its ends.
fn tell_end(transports: &mut Transports, flow: Flow) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if turn(transports)?.closed.contains(&flow) {
            return Ok(writeln!(std::io::stdout(), "{} {}", flow.local, flow.remote)?);
        }
    }
    Err(format!("{flow:?}: no end within {LIMIT:?}").into())
}

fn message(body: &str) -> Vec<u8> {
    format!("MESSAGE sip:{NAME} SIP/2.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn address(text: &str) -> Result<Destination> {
    let (transport, remote) = place(text)?;
    Ok(Destination::Address { transport, remote, local: None })
}

fn place(text: &str) -> Result<(Transport, SocketAddr)> {
    let (transport, address) = text.split_once('/').ok_or_else(|| format!("{text}: TRANSPORT/ADDRESS"))?;
    let transport =
        Transport::from_name(transport.as_bytes()).ok_or_else(|| format!("no transport {text}"))?;
    Ok((transport, address.parse()?))
}

fn mark(value: &str) -> Result<Dscp> {
    Dscp::new(value.parse()?).ok_or_else(|| format!("no DSCP: {value}").into())
}
