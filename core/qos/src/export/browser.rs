//! Browsers: the range from which WebRTC sends, as a policy of the browser.

use super::Target;

pub(super) const TARGETS: &[Target] = &[];
