//! Desk phones and gateways: what each family can be told, and nothing that it cannot.

use super::Target;

pub(super) const TARGETS: &[Target] = &[];
