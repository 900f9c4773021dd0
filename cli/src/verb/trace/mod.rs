//! `carillon trace`: which hop takes the mark away. Sends marked probes with rising time to live, and reads the header
//! that each error quotes.
//!
//! What is sent when, and what the answers mean, stands in `carillon_qos::path`; sockets in `carillon_net::tracer`.

mod rows;
mod words;

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use carillon_net::tracer::{Heard, Tracer};
use carillon_qos::path::{About, Answer as Told, Flow, Hop, Limits, Outcome, Verdict, Walk, judge};
use carillon_qos::plan::RolePolicy;
use carillon_qos::{Role, TrafficClass};
use carillon_wire::icmp;
use carillon_wire::ip::Dscp;
use serde_json::json;

use self::rows::Rows;
use super::print_json;
use crate::answer::{Answer, Failure};
use crate::{args, plans};

/// Where probes go if neither the plan nor the caller names a port: where traceroute has always sent them.
const USUAL_PORT: u16 = 33434;

/// Walks the path and says who changed the mark.
pub fn run(args: &args::Trace, out: &mut dyn Write) -> Result<Answer, Failure> {
    let plan = plans::load(&args.plan)?;
    let policy = plan.policy(args.role, &plans::scope(&plan, &args.scope)?);
    let remote = resolve(args, port(args, &policy))?;
    let mut trace = Trace::open(args, &policy, remote)?;
    let mut rows = Rows::new(trace.sent, args.json);
    rows.head(&trace, plan.name(), out)?;
    trace.walk(|hops| rows.show(hops, out))?;
    let verdict = judge(trace.sent, trace.walk.complete());
    if args.json {
        print_json(&as_json(&trace, plan.name(), &verdict))?;
    } else {
        words::print(&trace, &verdict, out)?;
    }
    Ok(match verdict.outcome {
        Outcome::Kept => Answer::Yes,
        Outcome::Changed => Answer::No,
        Outcome::Untold => Answer::Unknown,
    })
}

/// A trace that runs.
struct Trace<'a> {
    host: &'a str,
    class: TrafficClass,
    role: Role,
    sent: Dscp,
    flow: Flow,
    tracer: Tracer,
    walk: Walk,
    /// Errors about our probes that quote too little to say about which.
    unnumbered: u32,
    /// Whether the host has answered with a datagram.
    answered: bool,
}

impl<'a> Trace<'a> {
    fn open(args: &'a args::Trace, policy: &RolePolicy, remote: SocketAddr) -> Result<Trace<'a>, Failure> {
        let attempt = |error| Failure::new(format!("cannot trace `{}`", args.host), error);
        let tracer = Tracer::open(policy, args.class, remote).map_err(attempt)?;
        let limits = Limits {
            max_hops: args.max_hops,
            queries: args.queries,
            wait: Duration::from_secs_f64(args.wait),
        };
        Ok(Trace {
            host: &args.host,
            class: args.class,
            role: args.role,
            sent: policy.mark(args.class),
            flow: Flow { local: tracer.local(), remote },
            tracer,
            walk: Walk::new(limits),
            unnumbered: 0,
            answered: false,
        })
    }

    /// Asks until all is known that will be, and shows what is known so far after each step.
    fn walk(&mut self, mut show: impl FnMut(&[Hop]) -> Result<(), Failure>) -> Result<(), Failure> {
        while !self.walk.is_done() {
            let now = self.tracer.now();
            while let Some(probe) = self.walk.poll_probe(now) {
                self.tracer.send(probe.ttl, probe.number).map_err(|error| {
                    Failure::new(
                        format!("cannot send to {} from {}", self.flow.remote, self.flow.local),
                        error,
                    )
                })?;
            }
            if let Some(until) = self.walk.poll_timeout() {
                self.listen(until.saturating_sub(now))?;
            }
            show(self.walk.complete())?;
        }
        Ok(())
    }

    fn listen(&mut self, wait: Duration) -> Result<(), Failure> {
        let (flow, walk) = (self.flow, &mut self.walk);
        let mut heard = Vec::new();
        let attempt = |error| Failure::new("cannot hear what comes back", error);
        self.tracer
            .receive(wait, |what| match what {
                Heard::Icmp(message) => {
                    let Some(error) = icmp::decode(message.protocol, message.bytes) else { return };
                    heard.push((message.from, Some(error.reason), flow.about(&error)));
                }
                Heard::Datagram(from) if from == flow.remote.ip() => heard.push((from, None, About::Others)),
                Heard::Datagram(_) => {}
            })
            .map_err(attempt)?;
        let now = self.tracer.now();
        for (from, reason, about) in heard {
            let told = |after, quoted| Told { from, reason, after, quoted };
            match about {
                About::Probe(number, quoted) => {
                    let after = now.saturating_sub(walk.sent_at(number).unwrap_or(now));
                    walk.handle_answer(now, number, told(after, Some(quoted)));
                }
                About::OneOfOurs(quoted) => {
                    if !walk.handle_unnumbered(now, |after| told(after, Some(quoted))) {
                        self.unnumbered += 1;
                    }
                }
                About::Others if reason.is_none() => {
                    self.answered = true;
                    walk.handle_unnumbered(now, |after| told(after, None));
                }
                About::Others => {}
            }
        }
        Ok(())
    }
}

/// The last port of the class: where its media goes, and seldom in use. A closed port answers best.
fn port(args: &args::Trace, policy: &RolePolicy) -> u16 {
    args.port.unwrap_or_else(|| policy.ports(args.class).map_or(USUAL_PORT, |ports| ports.end()))
}

fn resolve(args: &args::Trace, port: u16) -> Result<SocketAddr, Failure> {
    let attempt =
        |reason: String| Failure::new(format!("cannot find the address of `{}`", args.host), reason);
    let name = args.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&args.host);
    let found: Vec<SocketAddr> =
        (name, port).to_socket_addrs().map_err(|error| attempt(error.to_string()))?.collect();
    let wanted = |address: &&SocketAddr| match (args.ipv4, args.ipv6) {
        (true, _) => address.is_ipv4(),
        (_, true) => address.is_ipv6(),
        _ => true,
    };
    let family = if args.ipv4 { "IPv4 address" } else { "IPv6 address" };
    found.iter().find(wanted).copied().ok_or_else(|| attempt(format!("it has no {family}")))
}

fn as_json(trace: &Trace<'_>, plan: &str, verdict: &Verdict) -> serde_json::Value {
    json!({
        "host": trace.host,
        "plan": plan,
        "role": trace.role,
        "class": trace.class,
        "sent": trace.sent.value(),
        "local": trace.flow.local,
        "remote": trace.flow.remote,
        "hops": trace.walk.complete().iter().map(rows::as_json).collect::<Vec<_>>(),
        "unnumbered": trace.unnumbered,
        "verdict": verdict,
        "text": words::sentences(trace, verdict),
        "fix": words::fix(trace, verdict),
    })
}
