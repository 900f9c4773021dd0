//! Linux hosts: marks by nftables, classes by tc, and the units that load them.

use super::Target;

pub(super) const TARGETS: &[Target] = &[];
