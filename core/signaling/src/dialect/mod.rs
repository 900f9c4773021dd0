//! The Lync client dialect: a second rendering of what was decided elsewhere, and nothing that is decided.

pub(crate) mod provisioning;
pub(crate) mod settings;
