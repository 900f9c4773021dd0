//! Switches and routers: marking, queues, and the table from mark to queue.

use super::Target;

pub(super) const TARGETS: &[Target] = &[];
