//! The Web Conferencing Edge: connections of web conferences pass from outside to the servers inside, TLS on both sides.
//!
//! What is said there is the servers' business, and so is who may say it. Here it is decided who may connect at all, to whom
//! that leads, and how packets are marked.

mod guests;
mod inside;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use carillon_net::secured::{Accepted, Arrived, Connected, Marker, SecuredListener};
use tokio::io::copy_bidirectional;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use self::guests::{Guests, Seat};
use self::inside::{Inside, Rules};
use super::inbox::Inbox;
use super::start::StartError;
use super::status::{ConferencingStatus, EdgeListener};
use super::unit::{Context, Facts, Opened, Part, Unit};
use crate::config::{EdgeConfig, Listening};
use crate::desk::Service;
use crate::metrics::Page;

/// Who has not finished the handshake by then is cut off.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the servers inside are asked whether they answer.
const PROBE: Duration = Duration::from_secs(30);
/// Before the next connection is taken after one could not be.
const REST: Duration = Duration::from_millis(100);

/// The unit.
struct Conferencing {
    context: Context,
    config: Arc<EdgeConfig>,
    inbox: Inbox,
    hall: Arc<Hall>,
    listeners: Vec<(Listening, Arc<SecuredListener>)>,
    /// What takes connections.
    doors: JoinSet<()>,
    /// Set when it is being stopped: until when connections are waited for.
    until: Option<Instant>,
}

/// What all connections share.
struct Hall {
    rules: watch::Sender<Arc<Rules>>,
    guests: Guests,
    inside: Inside,
}

/// Opens its listeners.
pub(super) fn open(context: &Context) -> Result<Opened, StartError> {
    let config = context.config.borrow().clone();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Kernel)?;
    let within = runtime.enter();
    let rules = Rules::of(&config).map_err(StartError::Certificate)?;
    let mut listeners = Vec::new();
    for listening in config.listening(Unit::WebConferencing) {
        let listener =
            SecuredListener::listen(listening.address, rules.outside_mark).map_err(StartError::Bind)?;
        listeners.push((listening, Arc::new(listener)));
    }
    drop(within);
    let guests = Guests::new(rules.connections, rules.connections_per_source);
    let hall = Hall { rules: watch::Sender::new(Arc::new(rules)), guests, inside: Inside::default() };
    let (desk, inbox) = Inbox::new();
    let (context, hall, doors) = (context.clone(), Arc::new(hall), JoinSet::new());
    let unit = Conferencing { context, config, inbox, hall, listeners, doors, until: None };
    Ok(Opened { desk, run: Box::new(move || run(unit, &runtime)) })
}

fn run(mut unit: Conferencing, runtime: &Runtime) -> io::Result<()> {
    runtime.block_on(async {
        for (_, listener) in &unit.listeners {
            unit.doors.spawn(take(listener.clone(), unit.hall.clone()));
        }
        let mut probes = interval(PROBE);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !unit.is_over() {
            let until = unit.until;
            tokio::select! {
                order = unit.inbox.next() => order(&mut unit),
                _ = probes.tick() => {
                    let hall = unit.hall.clone();
                    tokio::spawn(async move { hall.inside.probe(&hall.held()).await });
                }
                () = unit.hall.guests.left(), if until.is_some() => {}
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            }
        }
    });
    Ok(())
}

/// Takes connections for as long as the unit does.
async fn take(listener: Arc<SecuredListener>, hall: Arc<Hall>) {
    loop {
        match listener.accept().await {
            Ok(arrived) => {
                if let Some(seat) = hall.guests.seat(arrived.remote.ip()) {
                    tokio::spawn(serve(hall.clone(), arrived, seat));
                }
            }
            Err(error) => {
                tracing::debug!("a connection can't be taken: {error}");
                sleep(REST).await;
            }
        }
    }
}

/// The life of a connection. A server inside is only bothered by who has finished the handshake.
async fn serve(hall: Arc<Hall>, arrived: Arrived, seat: Seat) {
    let held = hall.held();
    let Ok(Ok(outer)) = timeout(HANDSHAKE, arrived.secure(held.greeting.tls.clone())).await else {
        return seat.refuse("handshake");
    };
    let Some(inner) = hall.inside.reach(&held).await else {
        return seat.refuse("unreachable");
    };
    seat.welcome();
    // Ends of connections are many, and none of them is ours.
    let _ = pass(hall.rules.subscribe(), outer, inner).await;
}

/// Both ways until both have ended; by another plan both ends are marked anew at once.
async fn pass(
    mut rules: watch::Receiver<Arc<Rules>>,
    mut outer: Accepted,
    mut inner: Connected,
) -> io::Result<()> {
    let (outside, inside) = (Marker::of_accepted(&outer)?, Marker::of_connected(&inner)?);
    let passing = copy_bidirectional(&mut outer, &mut inner);
    tokio::pin!(passing);
    loop {
        tokio::select! {
            ended = &mut passing => return ended.map(drop),
            changed = rules.changed() => {
                if changed.is_err() {
                    return passing.await.map(drop);
                }
                let held = rules.borrow_and_update().clone();
                outside.set(held.outside_mark)?;
                inside.set(held.inside_mark)?;
            }
        }
    }
}

impl Hall {
    fn held(&self) -> Arc<Rules> {
        self.rules.borrow().clone()
    }
}

impl Conferencing {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now() || self.hall.guests.count() == 0)
    }

    fn obey(&mut self, config: Arc<EdgeConfig>, rules: Rules) {
        self.config = config;
        self.hall.guests.limit(rules.connections, rules.connections_per_source);
        for (_, listener) in &self.listeners {
            if let Err(error) = listener.set_mark(rules.outside_mark) {
                tracing::error!("web conferences keep their old mark towards the outside: {error}");
            }
        }
        self.hall.rules.send_replace(Arc::new(rules));
    }

    fn status(&self) -> ConferencingStatus {
        let held = self.hall.held();
        ConferencingStatus {
            connections: self.hall.guests.count(),
            served: self.hall.guests.served(),
            refused: self.hall.guests.refused(),
            inside: self.hall.inside.rows(&held),
        }
    }
}

impl Service for Conferencing {
    fn reload(&mut self) {
        let config = self.context.config.borrow().clone();
        match Rules::of(&config) {
            Ok(rules) => self.obey(config, rules),
            Err(error) => tracing::error!("the Web Conferencing Edge keeps its old settings: {error}"),
        }
    }

    /// No new connections; ends when those that are open have ended; at once if asked again.
    fn stop(&mut self) {
        self.doors.abort_all();
        self.listeners.clear();
        let drain = if self.until.is_some() { Duration::ZERO } else { self.config.drain };
        self.until = Some(Instant::now() + drain);
    }
}

impl Part for Conferencing {
    fn facts(&self) -> Facts {
        let status = self.status();
        let answers = status.inside.iter().any(|row| row.error.is_none());
        let facts = self.hall.held().greeting.facts.clone();
        let listener = |listening| EdgeListener::of(listening).showing(&facts);
        let listeners = self.listeners.iter().map(|(listening, _)| listener(listening)).collect();
        Facts {
            listeners,
            impaired: (!answers).then(|| "no server inside answers".to_owned()),
            conferencing: Some(status),
            ..Facts::default()
        }
    }

    fn metrics(&self) -> String {
        let (mut page, status) = (Page(String::new()), self.status());
        let (connections, served) = (status.connections, status.served);
        page.one("conferencing_connections", "gauge", "Connections of web conferences.", connections);
        page.one("conferencing_served_total", "counter", "Connections that reached the inside.", served);
        let refused = status.refused.iter();
        page.many("conferencing_refused_total", "counter", "Connections that did not.", "reason", refused);
        let up = status.inside.iter().map(|row| (row.address, u8::from(row.error.is_none())));
        page.many("conferencing_inside_up", "gauge", "1 while this server inside answers.", "address", up);
        page.0
    }
}
