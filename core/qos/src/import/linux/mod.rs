//! nftables rule sets.

use super::Format;

pub(super) const FORMATS: &[Format] = &[];
