//! `carillon probe`: two hosts prove that the plan's ports pass the firewalls between them, before anything is
//! installed. One listens, the other sends.
//!
//! What they say and what it means stands in `carillon_qos::probe`; sockets in `carillon_net::probe`.

mod listen;
mod send;
mod sweep;
mod table;
mod trouble;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_net::probe::Conversation;
use carillon_qos::plan::RolePolicy;
use carillon_qos::probe::{Hello, Key, Nonce, Offer, Reply, Request, Token};
use carillon_qos::{Plan, TrafficClass};
use carillon_wire::ip::Dscp;

use crate::answer::{Answer, Failure};
use crate::{args, plans};

/// Listens or sends.
pub fn run(what: &args::Probe, out: &mut dyn Write) -> Result<Answer, Failure> {
    match what {
        args::Probe::Listen(args) => listen::run(args, out),
        args::Probe::Send(args) => send::run(args, out),
    }
}

/// A conversation with somebody who listens, for other verbs. An error says what happened and what to do.
pub(super) fn converse(
    to: SocketAddr,
    token: &Token,
    mark: Dscp,
    wait: Duration,
) -> Result<(Conversation, Key), String> {
    let nonce = random().map_err(|_| "cannot draw random numbers".to_owned())?;
    send::converse(to, token, mark, nonce, wait).map_err(told)
}

/// A request and its reply.
pub(super) fn request(line: &mut Conversation, request: &Request) -> Result<Reply, String> {
    send::ask(line, request, Duration::ZERO).map_err(told)
}

fn told(trouble: trouble::Trouble) -> String {
    format!("{}\n{}", trouble.text(), trouble.fix())
}

/// The plan of one side, and what its role does.
fn policy(args: &args::ProbePlan) -> Result<(Plan, RolePolicy), Failure> {
    let plan = plans::load(&args.plan)?;
    let policy = plan.policy(args.role, &plans::scope(&plan, &args.scope)?);
    Ok((plan, policy))
}

/// The media classes that the plan gives ports to. One with any port is not offered: it cannot be tested.
fn offers(policy: &RolePolicy) -> Vec<Offer> {
    let offer = |class: TrafficClass| {
        let ports = policy.ports(class).filter(|ports| *ports != carillon_qos::PortRange::UNRESTRICTED)?;
        Some(Offer { class, ports, mark: policy.mark(class) })
    };
    TrafficClass::MEDIA.into_iter().filter_map(offer).collect()
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new("cannot draw random numbers", error))?;
    Ok(bytes)
}

/// A line as text; what is none stays as it came.
fn greeting(line: &[u8]) -> Option<Nonce> {
    match Hello::read(std::str::from_utf8(line).ok()?)? {
        Hello::Greeting(nonce) => Some(nonce),
        _ => None,
    }
}

/// The key of a conversation between these two.
fn key(token: &Token, sender: &Nonce, listener: &Nonce) -> Key {
    token.key(sender, listener)
}
