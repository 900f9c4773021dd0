//! Windows: policy-based QoS for clients and servers.

mod registry;

use super::Target;

pub(super) const TARGETS: &[Target] = &[registry::TARGET];
