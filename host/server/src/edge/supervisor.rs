//! An Edge: five units, each on a thread of its own, and what looks after them.
//!
//! A unit that fails, by an error or by a panic, is started again after a pause that grows; the others don't notice. No
//! packet passes here.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carillon_net::notify::reloading;
use carillon_qos::TrafficClass;
use carillon_qos::plan::RolePolicy;
use carillon_relay::{Credential, issue_at};
use carillon_wire::ip::Dscp;
use mio::{Events, Poll, Token, Waker};
use tokio::sync::watch;

use super::reload::Reloaded;
use super::settings::{Held, kept, with_held};
use super::start::{StartError, policy};
use super::unit::{Context, Opened, Part, Source, Unit, Units};
use crate::clock::Clock;
use crate::config::EdgeConfig;
use crate::desk::{Desk, Health, Orders, Service};
use crate::service::tell;

/// The first pause before a unit that failed is started again. Each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a stop may take beyond what calls are waited for.
const RESERVE: Duration = Duration::from_secs(30);

/// A running Edge.
pub struct Edge {
    poll: Poll,
    waker: Arc<Waker>,
    orders: Orders<Edge>,
    health: Arc<Health>,
    pub(super) clock: Clock,
    /// The configuration that holds.
    pub(super) config: watch::Sender<Arc<EdgeConfig>>,
    /// What the Replica has taken.
    pub(super) held: Option<Held>,
    /// With which the process was started: what only another process changes.
    pub(super) first: Arc<EdgeConfig>,
    /// Where it is read from again.
    pub(super) file: Option<PathBuf>,
    /// The mark of health and metrics, for the thread that serves them.
    pub(crate) management: watch::Sender<Dscp>,
    context: Context,
    source: Box<dyn Source>,
    pub(super) slots: Vec<Slot>,
}

/// The place of a unit.
pub(super) struct Slot {
    pub(super) unit: Unit,
    pub(super) state: State,
    /// Since when it is in this state.
    pub(super) since: Duration,
    /// How often it was started.
    pub(super) starts: u64,
    /// How long it is waited after the next failure.
    pause: Duration,
}

/// What a unit is doing.
pub(super) enum State {
    /// The configuration does not ask for it.
    Off,
    /// It runs.
    Running(Running),
    /// It has been told to stop; it may be wanted again.
    Stopping { running: Running, again: bool },
    /// It was stopped, with the whole Edge.
    Stopped,
    /// It ended for this reason, and is started again then.
    Failed { why: String, retry: Duration },
}

/// A unit with its thread.
pub(super) struct Running {
    pub(super) desk: Desk<dyn Part>,
    /// With which it was opened.
    pub(super) config: Arc<EdgeConfig>,
    /// How it ended; only then its sockets are closed.
    ended: Arc<OnceLock<Result<(), String>>>,
}

/// Why a unit is not restarted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NotRestarted(pub(crate) String);

impl Edge {
    /// Starts every unit that is asked for. An error if not one of them can be started.
    pub(crate) fn start(
        config: EdgeConfig,
        file: Option<PathBuf>,
        source: Box<dyn Source>,
    ) -> Result<(Edge, Desk<Edge>), StartError> {
        let poll = Poll::new().map_err(StartError::Kernel)?;
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).map_err(StartError::Kernel)?);
        let health = Arc::new(Health::default());
        let (desk, orders) = Desk::new(waker.clone(), health.clone());
        let held = kept(&config);
        let config = with_held(config, held.as_ref());
        let management = watch::Sender::new(management(&config));
        let (clock, first) = (Clock::start(), Arc::new(config));
        let config = watch::Sender::new(first.clone());
        let context = Context { config: config.subscribe(), edge: desk.clone() };
        let slots = first.units().map(|unit| Slot {
            unit,
            state: State::Off,
            since: clock.now(),
            starts: 0,
            pause: FIRST_PAUSE,
        });
        let slots = slots.collect();
        let mut edge = Edge {
            poll,
            waker,
            orders,
            health,
            clock,
            config,
            held,
            first,
            file,
            management,
            context,
            source,
            slots,
        };
        edge.start_all()?;
        Ok((edge, desk))
    }

    /// Until the service is stopped and every unit has ended. An error if nothing can be waited for.
    pub fn run(mut self) -> io::Result<()> {
        while !self.is_over() {
            self.wait()?;
            if let Some(order) = self.orders.take() {
                order(&mut self);
            }
            self.look_after();
            self.health.set_trouble(self.trouble());
        }
        Ok(())
    }

    /// Stops a unit, at once or as it stops in good order, and starts it again by the configuration that holds.
    pub(crate) fn restart(&mut self, unit: Unit, at_once: bool) -> Result<(), NotRestarted> {
        if self.health.is_stopping() {
            return Err(NotRestarted("the Edge is being stopped".to_owned()));
        }
        let Some(at) = self.slots.iter().position(|slot| slot.unit == unit) else { return Ok(()) };
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        match std::mem::replace(&mut slot.state, State::Off) {
            State::Running(running) | State::Stopping { running, .. } => {
                tracing::info!(unit = unit.word(), "restarting");
                running.stop(at_once);
                slot.enter(State::Stopping { running, again: true }, self.clock.now());
            }
            State::Off | State::Stopped | State::Failed { .. } => self.launch(at),
        }
        match self.slots.get(at).map(|slot| &slot.state) {
            Some(State::Off) => Err(NotRestarted(format!("the {} is off: {}", unit.name(), off(unit)))),
            _ => Ok(()),
        }
    }

    /// A credential of the first secret; `None` without one.
    pub(crate) fn credential(
        &self,
        (user, site): (&str, Option<&str>),
        class: Option<TrafficClass>,
        lifetime: Duration,
    ) -> Option<Credential> {
        let config = self.config.borrow();
        let secret = config.secrets.first()?;
        Some(issue_at(&secret.0, user, site, class, self.clock.wall() + lifetime))
    }

    /// The units that run, and where they take orders.
    pub(crate) fn desks(&self) -> Vec<(Unit, Desk<dyn Part>)> {
        let running = self.slots.iter().filter_map(|slot| Some((slot.unit, slot.running()?.desk.clone())));
        running.collect()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.health.is_stopping()
    }

    fn start_all(&mut self) -> Result<(), StartError> {
        let mut first = None;
        for at in 0..self.slots.len() {
            if let Err(error) = self.try_to_launch(at) {
                first.get_or_insert(error);
            }
        }
        match first {
            Some(error) if !self.slots.iter().any(|slot| slot.running().is_some()) => Err(error),
            _ => Ok(()),
        }
    }

    /// Until an order, the end of a unit, or the end of a pause.
    fn wait(&mut self) -> io::Result<()> {
        if self.orders.are_waiting() {
            return Ok(());
        }
        let now = self.clock.now();
        let retries = self.slots.iter().filter_map(|slot| match slot.state {
            State::Failed { retry, .. } => Some(retry.saturating_sub(now)),
            _ => None,
        });
        let wait = retries.min();
        match self.poll.poll(&mut Events::with_capacity(1), wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Notes which units have ended, and starts those whose time it is.
    fn look_after(&mut self) {
        let now = self.clock.now();
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(at) else { continue };
            let due = match slot.ended() {
                Some(outcome) => slot.end(outcome, self.health.is_stopping(), now),
                None => matches!(slot.state, State::Failed { retry, .. } if retry <= now),
            };
            if due {
                self.launch(at);
            }
        }
    }

    fn launch(&mut self, at: usize) {
        // What went wrong stands in the log and in the slot.
        let _ = self.try_to_launch(at);
    }

    fn try_to_launch(&mut self, at: usize) -> Result<(), StartError> {
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        let (unit, now, config) = (slot.unit, self.clock.now(), self.config.borrow().clone());
        if !self.source.wants(unit, &config) {
            slot.enter(State::Off, now);
            return Ok(());
        }
        let opened = self.source.open(unit, &self.context);
        let run = |opened| running(unit, opened, config, self.waker.clone()).map_err(StartError::Kernel);
        match opened.and_then(run) {
            Ok(running) => {
                slot.starts += 1;
                slot.enter(State::Running(running), now);
                tracing::info!(unit = unit.word(), "started");
                Ok(())
            }
            Err(error) => {
                slot.fail(crate::chain(&error), now);
                Err(error)
            }
        }
    }

    /// By another configuration: what is no longer wanted stops, what is wanted now starts, the others hear of it. So do those that
    /// stop: what they wait for may last a day, and what is forbidden is forbidden to it too.
    pub(super) fn tell_units(&mut self) {
        let (config, now) = (self.config.borrow().clone(), self.clock.now());
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(at) else { continue };
            let wanted = self.source.wants(slot.unit, &config);
            match std::mem::replace(&mut slot.state, State::Off) {
                state @ (State::Running(_) | State::Stopping { .. }) if wanted => {
                    slot.state = state;
                    slot.running().into_iter().for_each(|running| running.desk.reload());
                }
                State::Running(running) => {
                    running.stop(false);
                    // What is started again without being wanted is off.
                    slot.enter(State::Stopping { running, again: true }, now);
                }
                state @ (State::Stopping { .. } | State::Stopped) => slot.state = state,
                State::Off | State::Failed { .. } => self.launch(at),
            }
        }
    }

    /// What everybody should know who runs this Edge.
    fn trouble(&self) -> Option<String> {
        let failed = self.slots.iter().filter_map(|slot| match &slot.state {
            State::Failed { why, .. } => Some(format!("the {} has failed: {why}", slot.unit.name())),
            _ => None,
        });
        let failed: Vec<String> = failed.collect();
        (!failed.is_empty()).then(|| failed.join("; "))
    }

    fn is_over(&self) -> bool {
        self.health.is_stopping() && self.slots.iter().all(|slot| slot.running().is_none())
    }
}

impl Service for Edge {
    fn reload(&mut self) {
        tell(&reloading());
        match Edge::reload(self) {
            Ok(Reloaded { after_restart }) if after_restart.is_empty() => {
                tracing::info!("configuration reloaded");
            }
            Ok(Reloaded { after_restart }) => {
                tracing::warn!(keys = after_restart.join(", "), "reloaded; some keys need a restart");
            }
            Err(reasons) => {
                reasons.iter().for_each(|reason| tracing::error!("{reason}"));
                tracing::error!("the configuration is refused; the old one stays in force");
            }
        }
        tell("READY=1");
    }

    /// Every unit; at once if asked again.
    fn stop(&mut self) {
        let now = self.clock.now();
        // However long calls are waited for, the manager does not cut them before.
        let patience = self.config.borrow().drain + RESERVE;
        tell(&format!("EXTEND_TIMEOUT_USEC={}", patience.as_micros()));
        for slot in &mut self.slots {
            match std::mem::replace(&mut slot.state, State::Stopped) {
                State::Running(running) | State::Stopping { running, .. } => {
                    running.desk.stop();
                    slot.enter(State::Stopping { running, again: false }, now);
                }
                State::Off => slot.state = State::Off,
                State::Stopped | State::Failed { .. } => {}
            }
        }
    }
}

impl Slot {
    /// The unit, while it has a thread.
    pub(super) fn running(&self) -> Option<&Running> {
        match &self.state {
            State::Running(running) | State::Stopping { running, .. } => Some(running),
            State::Off | State::Stopped | State::Failed { .. } => None,
        }
    }

    fn enter(&mut self, state: State, now: Duration) {
        (self.state, self.since) = (state, now);
    }

    fn ended(&self) -> Option<Result<(), String>> {
        self.running()?.ended.get().cloned()
    }

    /// Notes the end of its thread; whether it is to be started again now.
    fn end(&mut self, outcome: Result<(), String>, everything_ends: bool, now: Duration) -> bool {
        let again = matches!(self.state, State::Stopping { again: true, .. }) && !everything_ends;
        let told = matches!(self.state, State::Stopping { .. });
        let why = match outcome {
            Ok(()) if told => None,
            Ok(()) => Some("it ended by itself".to_owned()),
            Err(why) => Some(why),
        };
        match why {
            Some(why) if !told => self.fail(why, now),
            why => {
                if let Some(why) = why {
                    tracing::error!(unit = self.unit.word(), "ended badly: {why}");
                }
                self.enter(State::Stopped, now);
            }
        }
        again
    }

    /// The pause begins anew after a unit has run longer than the longest one.
    fn fail(&mut self, why: String, now: Duration) {
        if self.running().is_some() && now.saturating_sub(self.since) > LONGEST_PAUSE {
            self.pause = FIRST_PAUSE;
        }
        let retry = now + self.pause;
        tracing::error!(unit = self.unit.word(), retry_seconds = self.pause.as_secs(), "failed: {why}");
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.enter(State::Failed { why, retry }, now);
    }
}

impl Running {
    /// In good order, or at once: what is told twice does not wait.
    fn stop(&self, at_once: bool) {
        self.desk.stop();
        if at_once {
            self.desk.stop();
        }
    }
}

/// Why a unit is off.
pub(super) fn off(unit: Unit) -> String {
    if unit == Unit::Av {
        return "the profile is im-only".to_owned();
    }
    format!("no [{}] section", unit.word())
}

/// The mark of health and metrics.
pub(super) fn management(config: &EdgeConfig) -> Dscp {
    let policy: RolePolicy = policy(&config.plan.plan);
    policy.mark(TrafficClass::Management)
}

/// A unit on its thread.
fn running(unit: Unit, opened: Opened, config: Arc<EdgeConfig>, waker: Arc<Waker>) -> io::Result<Running> {
    let Opened { desk, run } = opened;
    let ended = Arc::new(OnceLock::new());
    let told = ended.clone();
    std::thread::Builder::new().name(unit.word().to_owned()).spawn(move || {
        // What the unit owned is gone by then, whichever way it ended.
        let outcome = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(outcome) => outcome.map_err(|error| crate::chain(&error)),
            Err(panic) => Err(format!("it panicked: {}", words(&*panic))),
        };
        let _ = told.set(outcome);
        let _ = waker.wake();
    })?;
    Ok(Running { desk, config, ended })
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

/// Opens everything. `file` is where the configuration is read from again on reload.
pub fn start(config: EdgeConfig, file: Option<PathBuf>) -> Result<(Edge, Desk<Edge>), StartError> {
    Edge::start(config, file, Box::new(Units))
}

#[cfg(test)]
mod tests;
