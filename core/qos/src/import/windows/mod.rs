//! Windows: `.reg`, `Registry.pol`, and what `Get-NetQosPolicy` prints.

use super::Format;

pub(super) const FORMATS: &[Format] = &[];
