//! The Lync client dialect: a second rendering of what was decided elsewhere, and nothing that is decided.

pub(crate) mod diagnostics;
pub(crate) mod media_relay;
pub(crate) mod provisioning;
pub(crate) mod relays;
pub(crate) mod settings;
