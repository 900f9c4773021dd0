//! What the management shell of Lync prints and is fed: listings of `Get-Cs…`, lines of `Set-Cs…`.

use super::Format;

pub(super) const FORMATS: &[Format] = &[];
