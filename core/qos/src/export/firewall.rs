//! Firewalls: the smallest set of rules between any two roles.

use super::Target;

pub(super) const TARGETS: &[Target] = &[];
