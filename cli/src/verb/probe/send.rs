//! The side that asks: reaches the listener, sweeps the ports, prints what became of them.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use carillon_net::probe::Conversation;
use carillon_qos::TrafficClass;
use carillon_qos::probe::{Hello, Key, Reply, Request, Service, Side, Tested, Token};
use carillon_wire::ip::Dscp;

use super::sweep::{Side as Ours, Sweep};
use super::table;
use super::trouble::Trouble;
use crate::answer::{Answer, Failure};
use crate::args;
use crate::style::{BAD, FIX};
use crate::verb::print_json;

/// How long the listener may take to answer, beyond what its questions take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tests and judges: yes if every port passes with its mark both ways.
pub(super) fn run(args: &args::ProbeSend, out: &mut dyn Write) -> Result<Answer, Failure> {
    let (plan, policy) = super::policy(&args.plan)?;
    let ours = super::offers(&policy);
    let outcome = reach(args, policy.mark(TrafficClass::Management), super::random()?)
        .and_then(|(line, key)| sweep(args, line, key, ours));
    match outcome {
        Ok(tests) if tests.is_empty() => {
            let hint = "give the class ranges in both roles, or name another with --class";
            Err(Failure::new(
                format!("no class of plan `{}` has ports on both sides to test", plan.name()),
                hint,
            ))
        }
        Ok(tests) => table::print(&args.host, &tests, args.json, out),
        Err(trouble) if args.json => print_json(&trouble.as_json()).map(|_| Answer::Unknown),
        Err(trouble) => {
            writeln!(out, "{BAD}{}{BAD:#}  {}", trouble.name(), trouble.text())?;
            writeln!(out, "  {FIX}fix:{FIX:#} {}", trouble.fix())?;
            Ok(Answer::Unknown)
        }
    }
}

fn sweep(
    args: &args::ProbeSend,
    mut line: Conversation,
    key: Key,
    ours: Vec<carillon_qos::probe::Offer>,
) -> Result<Vec<Tested>, Trouble> {
    let theirs = match ask(&mut line, &Request::Offer, PATIENCE)? {
        Reply::Offer(theirs) => theirs,
        other => return Err(Trouble::Broken(format!("the listener offers nothing: {other}"))),
    };
    let sweep = Sweep {
        line,
        key,
        every: args.every,
        wait: Duration::from_secs_f64(args.wait),
        transports: args.transport.map_or(vec![args::PROBE_UDP, args::PROBE_TCP], |only| vec![only]),
        classes: args.classes.clone(),
    };
    sweep.run(&Ours { ours, theirs })
}

fn reach(args: &args::ProbeSend, mark: Dscp, nonce: [u8; 16]) -> Result<(Conversation, Key), Trouble> {
    let wait = Duration::from_secs_f64(args.wait).max(Duration::from_secs(3));
    converse(resolve(args)?, &args.token, mark, nonce, wait)
}

/// Connects, and proves on both sides that the token is known.
pub(super) fn converse(
    to: SocketAddr,
    token: &Token,
    mark: Dscp,
    nonce: [u8; 16],
    wait: Duration,
) -> Result<(Conversation, Key), Trouble> {
    let mut line = Conversation::connect(to, mark, wait).map_err(|error| Trouble::of_connect(to, error))?;
    let broken = |error: std::io::Error| Trouble::Broken(format!("{to} ends the conversation: {error}"));
    line.tell(&Hello::Greeting(nonce)).map_err(broken)?;
    let said = line.hear(wait).unwrap_or_default();
    let Some(theirs) = super::greeting(&said) else {
        return Err(foreign(&mut line, to, said, wait));
    };
    let key = super::key(token, &nonce, &theirs);
    line.tell(&Hello::Proof(key.proof(Side::Sender))).map_err(broken)?;
    let said = line.hear(wait).map_err(broken)?;
    match std::str::from_utf8(&said).ok().and_then(Hello::read) {
        Some(Hello::Proof(proof)) if key.proves(Side::Listener, &proof) => Ok((line, key)),
        _ => Err(Trouble::Token),
    }
}

/// What answers there instead: a web server wants an empty line before it speaks.
fn foreign(line: &mut Conversation, to: SocketAddr, said: Vec<u8>, wait: Duration) -> Trouble {
    let said = match said.is_empty() {
        true => line.tell(&"\r\n").and_then(|()| line.hear(wait)).unwrap_or_default(),
        false => said,
    };
    Trouble::Foreign(to, Service::of(&said))
}

fn resolve(args: &args::ProbeSend) -> Result<SocketAddr, Trouble> {
    let unknown = |error| Trouble::Name(args.host.clone(), error);
    let name = args.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&args.host);
    let found: Vec<SocketAddr> = (name, args.control).to_socket_addrs().map_err(unknown)?.collect();
    let wanted =
        |address: &&SocketAddr| (!args.ipv4 || address.is_ipv4()) && (!args.ipv6 || address.is_ipv6());
    let none = std::io::Error::other("it has no address of that family");
    found.iter().find(wanted).copied().ok_or_else(|| unknown(none))
}

/// A request and its reply.
pub(super) fn ask(line: &mut Conversation, request: &Request, wait: Duration) -> Result<Reply, Trouble> {
    let broken = |error: std::io::Error| Trouble::Broken(format!("the listener is gone: {error}"));
    line.tell(request).map_err(broken)?;
    let said = line.hear(wait + PATIENCE).map_err(broken)?;
    let text = String::from_utf8_lossy(&said);
    match Reply::read(&text) {
        Some(Reply::Refused(reason)) => Err(Trouble::Broken(format!("the listener refuses: {reason}"))),
        Some(reply) => Ok(reply),
        None => Err(Trouble::Broken(format!("the listener says `{}`", crate::words::clean(&text)))),
    }
}
