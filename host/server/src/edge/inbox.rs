//! The desk of a unit that waits by a runtime instead of a loop of its own.

use std::sync::Arc;

use tokio::sync::Notify;

use super::unit::Part;
use crate::desk::{Desk, Order, Orders};

/// The unit's side of its desk.
pub(super) struct Inbox {
    orders: Orders<dyn Part>,
    bell: Arc<Notify>,
}

impl Inbox {
    /// A desk, and the unit's side of it.
    pub(super) fn new() -> (Desk<dyn Part>, Inbox) {
        let bell = Arc::new(Notify::new());
        let rung = bell.clone();
        let ring = move || {
            rung.notify_one();
            Ok(())
        };
        let (desk, orders) = Desk::woken_by(ring, Arc::default());
        (desk, Inbox { orders, bell })
    }

    /// Waits for the next order. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Order<dyn Part> {
        loop {
            if let Some(order) = self.orders.take() {
                return order;
            }
            self.bell.notified().await;
        }
    }
}
