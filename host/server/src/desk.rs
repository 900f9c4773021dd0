//! How other threads reach the turn: they leave an order, and the turn carries it out between two messages.
//!
//! Nothing else is shared between the threads but [`Health`], which must answer even when the turn is stuck.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::Waker;
use tokio::sync::oneshot;

use crate::turn::Server;

/// Orders that may wait; more are refused.
const ROOM: usize = 256;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a loop is told to do.
pub(crate) type Order<S> = Box<dyn FnOnce(&mut S) + Send>;
/// Ends the waiting of a loop, however it waits.
type Wake = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// What every loop does when it is told to.
pub(crate) trait Service: 'static {
    /// Reads configuration, certificates and plan again; says in the log what came of it.
    fn reload(&mut self);
    /// Ends in good order; at once if told a second time.
    fn stop(&mut self);
}

/// A service that those who watch ask about.
pub(crate) trait Watched: Service + Sized {
    /// What everybody may know of a trouble.
    const TROUBLE: &'static str;
    /// Comes back while the service answers.
    fn beat(desk: &Desk<Self>) -> impl Future<Output = Result<(), Busy>> + Send;
    /// Numbers for Prometheus.
    fn metrics(desk: &Desk<Self>) -> impl Future<Output = Result<String, Busy>> + Send;
}

/// Where orders are left.
pub struct Desk<S: ?Sized = Server> {
    orders: SyncSender<Order<S>>,
    wake: Wake,
    health: Arc<Health>,
}

/// Where the turn finds them.
pub(crate) struct Orders<S: ?Sized = Server> {
    inbox: Receiver<Order<S>>,
    /// One that was taken out to see whether there is one.
    next: Option<Order<S>>,
    health: Arc<Health>,
}

/// The server did not answer in time: it is stuck or has too much to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy;

/// Whether the service does what it should.
#[derive(Debug, Default)]
pub struct Health {
    trouble: Mutex<Option<String>>,
    stopping: AtomicBool,
    /// Stops for which the desk had no room.
    stops: AtomicU32,
}

impl<S: ?Sized + 'static> Desk<S> {
    /// A desk, and the turn's side of it.
    pub(crate) fn new(waker: Arc<Waker>, health: Arc<Health>) -> (Desk<S>, Orders<S>) {
        Desk::woken_by(move || waker.wake(), health)
    }

    /// The same for a loop that waits in another way.
    pub(crate) fn woken_by(
        wake: impl Fn() -> io::Result<()> + Send + Sync + 'static,
        health: Arc<Health>,
    ) -> (Desk<S>, Orders<S>) {
        let (orders, inbox) = sync_channel(ROOM);
        (Desk { orders, wake: Arc::new(wake), health: health.clone() }, Orders { inbox, next: None, health })
    }

    /// Whether the service does what it should.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Has the turn do something and waits for what it says.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        self.leave(move |server| drop(answer.send(order(server))))?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Err(Busy),
        }
    }

    /// Has the turn do something, later.
    pub(crate) fn leave(&self, order: impl FnOnce(&mut S) + Send + 'static) -> Result<(), Busy> {
        self.orders.try_send(Box::new(order)).map_err(|_| Busy)?;
        (self.wake)().map_err(|_| Busy)
    }

    /// Reads configuration, certificates and plan again.
    pub(crate) fn reload(&self)
    where
        S: Service,
    {
        if self.leave(S::reload).is_err() {
            tracing::error!("the server is too busy to reload");
        }
    }

    /// Ends the service: at once if asked a second time, otherwise after running calls have ended.
    pub(crate) fn stop(&self)
    where
        S: Service,
    {
        self.health.stopping.store(true, Ordering::Relaxed);
        // A full desk means that there is much to do. The stop goes before it.
        if self.orders.try_send(Box::new(S::stop)).is_err() {
            self.health.stops.fetch_add(1, Ordering::Relaxed);
        }
        // A loop that can't be woken looks again by itself.
        let _ = (self.wake)();
    }
}

impl<S: ?Sized> Clone for Desk<S> {
    fn clone(&self) -> Desk<S> {
        Desk { orders: self.orders.clone(), wake: self.wake.clone(), health: self.health.clone() }
    }
}

impl<S: ?Sized + Service> Orders<S> {
    /// Whether there is one.
    pub(crate) fn are_waiting(&mut self) -> bool {
        self.next = self.take();
        self.next.is_some()
    }

    /// The next one.
    pub(crate) fn take(&mut self) -> Option<Order<S>> {
        let held = self.next.take().or_else(|| self.stop());
        held.or_else(|| self.inbox.try_recv().ok())
    }

    /// A stop that found no room at the desk.
    fn stop(&self) -> Option<Order<S>> {
        let one_less = |stops: u32| stops.checked_sub(1);
        let found = self.health.stops.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        found.is_ok().then(|| Box::new(S::stop) as Order<S>)
    }
}

impl Service for Server {
    fn reload(&mut self) {
        drop(Server::reload(self));
    }

    fn stop(&mut self) {
        Server::stop(self);
    }
}

impl Watched for Server {
    const TROUBLE: &'static str = "nothing can be saved; the log says why";

    async fn beat(desk: &Desk) -> Result<(), Busy> {
        desk.ask(|_| ()).await
    }

    async fn metrics(desk: &Desk) -> Result<String, Busy> {
        desk.ask(|server| Server::metrics(server)).await
    }
}

impl Health {
    /// What is wrong, if something is.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the service is being stopped.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server does not answer: it is stuck or has too much to do; its log says more")
    }
}

impl std::error::Error for Busy {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Bell {
        rung: usize,
        stopped: usize,
    }

    impl Service for Bell {
        fn reload(&mut self) {}

        fn stop(&mut self) {
            self.stopped += 1;
        }
    }

    /// SIGTERM comes once. What is left at a desk in the meantime is no reason to lose it.
    #[test]
    fn a_stop_is_heard_though_the_desk_is_full() {
        let (desk, mut orders) = Desk::<Bell>::woken_by(|| Ok(()), Arc::default());
        let left = (0..2 * ROOM).filter(|_| desk.leave(|bell| bell.rung += 1).is_ok()).count();
        desk.stop();
        let mut bell = Bell::default();
        assert!(orders.are_waiting());
        while let Some(order) = orders.take() {
            order(&mut bell);
        }
        assert_eq!((left, bell.rung, bell.stopped), (ROOM, ROOM, 1));
        desk.stop();
        orders.take().into_iter().for_each(|order| order(&mut bell));
        assert_eq!(bell.stopped, 2);
    }
}
