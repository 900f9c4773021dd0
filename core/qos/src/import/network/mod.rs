//! Configurations of switches and routers.

use super::Format;

pub(super) const FORMATS: &[Format] = &[];
