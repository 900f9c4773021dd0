//! How other threads reach the turn: they leave an order, and the turn carries it out between two messages.
//!
//! Nothing else is shared between the threads but [`Health`], which must answer even when the turn is stuck.

use std::sync::atomic::{AtomicBool, Ordering};
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

type Order<S> = Box<dyn FnOnce(&mut S) + Send>;

/// What every loop does when it is told to.
pub(crate) trait Service: 'static {
    /// Reads configuration, certificates and plan again; says in the log what came of it.
    fn reload(&mut self);
    /// Ends in good order; at once if told a second time.
    fn stop(&mut self);
    /// Numbers for Prometheus.
    fn metrics(&self) -> String;
}

/// Where orders are left.
pub struct Desk<S = Server> {
    orders: SyncSender<Order<S>>,
    waker: Arc<Waker>,
    health: Arc<Health>,
}

/// Where the turn finds them.
pub(crate) struct Orders<S = Server> {
    inbox: Receiver<Order<S>>,
    /// One that was taken out to see whether there is one.
    next: Option<Order<S>>,
}

/// The server did not answer in time: it is stuck or has too much to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy;

/// Whether the service does what it should.
#[derive(Debug, Default)]
pub struct Health {
    trouble: Mutex<Option<String>>,
    stopping: AtomicBool,
}

impl<S: 'static> Desk<S> {
    /// A desk, and the turn's side of it.
    pub(crate) fn new(waker: Arc<Waker>, health: Arc<Health>) -> (Desk<S>, Orders<S>) {
        let (orders, inbox) = sync_channel(ROOM);
        (Desk { orders, waker, health }, Orders { inbox, next: None })
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
        self.waker.wake().map_err(|_| Busy)
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
        // A full desk means that the turn is stuck, and then it looks at `stopping`.
        let _ = self.leave(S::stop);
    }
}

impl<S> Clone for Desk<S> {
    fn clone(&self) -> Desk<S> {
        Desk { orders: self.orders.clone(), waker: self.waker.clone(), health: self.health.clone() }
    }
}

impl<S> Orders<S> {
    /// Whether there is one.
    pub(crate) fn are_waiting(&mut self) -> bool {
        self.next = self.take();
        self.next.is_some()
    }

    /// The next one.
    pub(crate) fn take(&mut self) -> Option<Order<S>> {
        self.next.take().or_else(|| self.inbox.try_recv().ok())
    }
}

impl Service for Server {
    fn reload(&mut self) {
        drop(Server::reload(self));
    }

    fn stop(&mut self) {
        Server::stop(self);
    }

    fn metrics(&self) -> String {
        Server::metrics(self)
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
