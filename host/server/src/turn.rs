//! The turn: the way of every SIP message through the server. Read this file first.
//!
//! One turn is **receive → decide → mark → save → send**:
//!
//! ```text
//!    receive ───► decide ───► mark ───► save ───► send
//!    host/net     core/       core/qos  host/store host/net
//!    sockets      signaling   the plan  SQLite     sockets
//! ```
//!
//! There is one thread, and it owns everything below outright: no locks, nothing that waits but the one `poll` in
//! `receive` and the disk in `save`. Media never takes a turn: only ports are opened in one, and threads begun.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::lease::Leases;
use carillon_net::transports::{Incoming, Transports};
use carillon_qos::plan::RolePolicy;
use carillon_signaling::{Change, Event, FrontEnd, Output};
use carillon_store::Store;
use carillon_wire::ip::Dscp;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use crate::bridges::Bridges;
use crate::certificate::is_ours;
use crate::clock::Clock;
use crate::desk::{Health, Orders};
use crate::directory::{Directory, DirectoryStatus};
use crate::estate::Estate;
use crate::history::Sweep;
use crate::openid::OpenId;
use crate::records::RecordBook;
use crate::replication::EdgeRow;
use crate::warnings::Warned;

/// How long to wait before a failed commit is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// After what time nobody waits for a message any more: what it belongs to has timed out (RFC 3261, timers B, F and H).
const FORGOTTEN: Duration = Duration::from_secs(32);

/// A running server.
pub struct Server {
    /// Sockets: bytes in, bytes out.
    pub(crate) transports: Transports,
    /// The SIP core: messages in, wishes out. Knows no socket, no clock, no file.
    pub(crate) front_end: FrontEnd,
    /// What the plan says about this server's own ports and marks.
    pub(crate) policy: RolePolicy,
    /// Media ports, for whatever in this server has media.
    pub(crate) leases: Leases,
    /// Calls between browsers and phones, each on a thread of its own.
    pub(crate) bridges: Bridges,
    /// What must outlive the process.
    pub(crate) store: Store,
    /// Records of calls, which nothing waits for.
    pub(crate) records: RecordBook,
    /// What the server was told to be: configuration, plan, listeners.
    pub(crate) estate: Estate,
    /// The mark of health and metrics, for the thread that serves them.
    pub(crate) management: watch::Sender<Dscp>,
    /// The version of the plan, for the thread that sends it to Edges.
    pub(crate) versions: watch::Sender<u64>,
    /// What Edges have of it.
    pub(crate) edges: Vec<EdgeRow>,
    /// The directory that names users, for the threads that ask it.
    pub(crate) directory: Option<Arc<Directory>>,
    /// The OpenID provider, for the thread that asks it.
    pub(crate) openid: Option<Arc<OpenId>>,
    /// What came of reading the directory.
    pub(crate) directory_status: DirectoryStatus,
    /// What connections over HTTPS are greeted with, for the same thread.
    pub(crate) greeting: watch::Sender<Option<Arc<ServerConfig>>>,
    pub(crate) clock: Clock,
    pub(crate) health: Arc<Health>,
    /// What administrators want, see `desk`.
    pub(crate) orders: Orders,
    pub(crate) counts: TurnCounts,
    /// Set when the service is being stopped: until when running calls are waited for.
    pub(crate) until: Option<Duration>,
    /// What has to be saved, and what may leave once it is.
    pub(crate) changes: Vec<Change>,
    pub(crate) leaving: Vec<Output>,
    /// What administrators have been warned of.
    pub(crate) warned: Warned,
    /// What looks for messages that have been kept for long enough.
    pub(crate) sweep: Sweep,
    /// Set as long as saving fails.
    pub(crate) unsaved: Option<Unsaved>,
}

/// What waits for the disk.
pub(crate) struct Unsaved {
    /// When to try again.
    next: Duration,
    /// How many of the changes have failed; those behind them are new.
    changes: usize,
    /// What was to leave in the turns that made them, and since when.
    leaving: Vec<(Duration, Output)>,
}

/// What only the turn can count.
#[derive(Clone, Debug, Default)]
pub(crate) struct TurnCounts {
    pub(crate) turns: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// What was no SIP, by the name of its counter.
    pub(crate) garbage: BTreeMap<&'static str, u64>,
    /// Messages that did not leave because their class has another mark than the sockets.
    pub(crate) unmarkable: u64,
    /// Registrations that could not be read when the server started.
    pub(crate) unreadable: u64,
    /// What happened, by the name of the event.
    pub(crate) events: BTreeMap<&'static str, u64>,
}

impl Server {
    /// Turns until the service is stopped and running calls have ended. An error ends the service too: the sockets
    /// can't be waited for any more.
    pub fn run(mut self) -> io::Result<()> {
        while !self.is_over() {
            self.turn()?;
        }
        self.records.finish(self.clock.now());
        Ok(())
    }

    pub(crate) fn turn(&mut self) -> io::Result<()> {
        self.receive()?;
        self.decide();
        self.mark();
        self.save();
        self.send();
        Ok(())
    }

    /// 1. **Receive.** Waits for the first message, for a deadline of the core, or for an order, and takes all messages
    ///    that are there. Each is whole, and is shown to the core where it lies in the receive buffer: nothing is copied.
    fn receive(&mut self) -> io::Result<()> {
        let (clock, core, counts) = (&self.clock, &mut self.front_end, &mut self.counts);
        let bridges = &mut self.bridges;
        let disk = self.unsaved.as_ref().map(|unsaved| unsaved.next);
        let others = [self.records.next(), self.warned.next(), self.sweep.next()];
        let next = [core.poll_timeout(), self.until, disk].into_iter().flatten().chain(others).min();
        let wait = next.map(|at| at.saturating_sub(clock.now()));
        let wait = if self.orders.are_waiting() { Some(Duration::ZERO) } else { wait };
        counts.turns += 1;
        self.transports.poll(wait, &mut |incoming| {
            let now = clock.now();
            match incoming {
                Incoming::Message { flow, bytes } => {
                    counts.received += 1;
                    core.handle_input(now, flow, bytes);
                }
                Incoming::Wrong { flow, bytes, answer } => core.handle_wrong(flow, bytes, answer),
                Incoming::Garbage { counter } => *counts.garbage.entry(counter).or_default() += 1,
                Incoming::Connected { flow, certificate } => {
                    let names: Vec<String> = core.names().map(str::to_owned).collect();
                    core.handle_connected(flow, &proven(certificate, &names, is_ours));
                }
                Incoming::Closed { flow } => core.handle_closed(now, flow),
                Incoming::Failed { transport, remote } => core.handle_failed(now, transport, remote),
                Incoming::Woken => {}
            }
            bridges.serve(core);
        })
    }

    /// 2. **Decide.** The core has seen the messages; now come deadlines and one order: the next waits for a turn of its
    ///    own, so that administrators never hold up calls. Then all of the core's wishes are taken, and sorted into what
    ///    must be saved and what is to leave. Their order within each stays as it is.
    fn decide(&mut self) {
        if let Some(order) = self.orders.take() {
            order(self);
        }
        let now = self.clock.now();
        if self.front_end.poll_timeout().is_some_and(|at| at <= now) {
            self.front_end.handle_timeout(now);
        }
        self.bridges.serve(&mut self.front_end);
        while let Some(output) = self.front_end.poll_output() {
            match output {
                Output::Save(change) => self.changes.push(change),
                Output::Event(event) => self.note(&event),
                Output::Record(record) => self.records.add(now, *record),
                Output::Transmit(_) | Output::Trust(_) | Output::Close(_) => self.leaving.push(output),
            }
        }
    }

    /// 3. **Mark.** The core names classes; only the plan turns a class into a mark. SIP sockets carry the mark of
    ///    signaling from their first packet on, so a message of a class with another mark has no way out.
    fn mark(&mut self) {
        let (policy, sockets) = (&self.policy, self.estate.mark);
        let before = self.leaving.len();
        self.leaving.retain(|output| match output {
            Output::Transmit(message) => policy.mark(message.class) == sockets,
            _ => true,
        });
        self.counts.unmarkable += (before - self.leaving.len()) as u64;
    }

    /// 4. **Save.** Every change of the turn in one transaction: under load, hundreds of registrations share one commit.
    ///    If it fails nothing of the turn leaves: a phone that hears no 200 asks again, one that was told a lie would not.
    ///    Until it succeeds the service counts as unhealthy, and the core promises nothing more that would have to be
    ///    kept; calls go on.
    fn save(&mut self) {
        let now = self.clock.now();
        if self.changes.is_empty() {
            return;
        }
        if self.unsaved.as_ref().is_none_or(|unsaved| unsaved.next <= now) {
            match self.store.apply(&self.changes) {
                Ok(()) => return self.saved(now),
                Err(error) => self.failed(now, &crate::chain(&error)),
            }
        }
        if let Some(unsaved) = self.unsaved.as_mut().filter(|unsaved| unsaved.changes < self.changes.len()) {
            unsaved.changes = self.changes.len();
            unsaved.leaving.extend(self.leaving.drain(..).map(|output| (now, output)));
        }
    }

    fn saved(&mut self, now: Duration) {
        self.changes.clear();
        if let Some(unsaved) = self.unsaved.take() {
            tracing::info!("what had waited for the disk is saved");
            let wanted = |(since, output): (Duration, Output)| {
                let late = now.saturating_sub(since) > FORGOTTEN && matches!(output, Output::Transmit(_));
                (!late).then_some(output)
            };
            self.leaving.splice(..0, unsaved.leaving.into_iter().filter_map(wanted));
            self.front_end.set_keeping(true);
        }
        self.health.set_trouble(None);
    }

    /// Says so once, not at every try.
    fn failed(&mut self, now: Duration, trouble: &str) {
        if self.unsaved.is_none() {
            tracing::error!(
                changes = self.changes.len(),
                "cannot save: registrations, publications and messages that would have to wait are refused until this works: {trouble}"
            );
        }
        self.health.set_trouble(Some(trouble.to_owned()));
        self.front_end.set_keeping(false);
        let unsaved = self.unsaved.get_or_insert(Unsaved { next: now, changes: 0, leaving: Vec::new() });
        unsaved.next = now + RETRY;
    }

    /// 5. **Send.** Only now. What can't be delivered comes back as `Closed` or `Failed` with the next turn.
    fn send(&mut self) {
        for output in self.leaving.drain(..) {
            match output {
                Output::Transmit(message) => {
                    self.counts.sent += 1;
                    self.transports.send(message.to, message.bytes);
                }
                Output::Trust(flow) => self.transports.trust(flow),
                Output::Close(flow) => self.transports.close(flow),
                Output::Save(_) | Output::Event(_) | Output::Record(_) => {}
            }
        }
        self.transports.flush();
        // What has happened is recorded when nobody waits for it any more.
        self.records.settle(self.clock.now());
        self.forget_old_messages();
        self.warn();
    }

    /// Names and addresses are told to those who look for a fault (debug), never to everybody's log.
    fn note(&mut self, event: &Event) {
        tracing::debug!(?event);
        if matches!(event, Event::LockedOut { .. }) {
            tracing::warn!("somebody has given too many wrong passwords for a user and is locked out of it");
        }
        *self.counts.events.entry(name(event)).or_default() += 1;
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= self.clock.now() || self.is_quiet())
    }

    /// No call is up, and nobody waits for an answer: a call is over with its BYE, whose 200 is still to come.
    fn is_quiet(&self) -> bool {
        let counts = self.front_end.counts();
        counts.calls == 0 && counts.unanswered == 0
    }
}

/// Those of the names that a certificate is for.
pub(crate) fn proven<'a>(
    certificate: Option<&CertificateDer<'_>>,
    names: &'a [String],
    is_for: fn(&CertificateDer<'_>, &str) -> bool,
) -> Vec<&'a str> {
    let Some(certificate) = certificate else { return Vec::new() };
    names.iter().map(String::as_str).filter(|name| is_for(certificate, name)).collect()
}

/// The name under which an event is counted.
fn name(event: &Event) -> &'static str {
    match event {
        Event::Registered { .. } => "registered",
        Event::Unregistered { .. } => "unregistered",
        Event::Denied { .. } => "denied",
        Event::LockedOut { .. } => "locked_out",
        Event::Provisioned { .. } => "provisioned",
        Event::CallStarted { .. } => "call_started",
        Event::CallEnded { .. } => "call_ended",
        _ => "other",
    }
}

#[cfg(test)]
pub(crate) mod tests;
