//! Configuration files of desk phones and gateways.

use super::Format;

pub(super) const FORMATS: &[Format] = &[];
