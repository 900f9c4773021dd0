//! What is told while running, on standard error.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;

use crate::config;

/// Sets it up for the whole process; the second time nothing happens.
pub(crate) fn begin(log: &config::Log) {
    let level = LevelFilter::from_str(&log.level).unwrap_or(LevelFilter::INFO);
    let lines =
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // Colours only where somebody sees them.
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let _ = if log.json { lines.json().try_init() } else { lines.with_ansi(colours).try_init() };
}
