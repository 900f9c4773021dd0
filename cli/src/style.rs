//! The few colours of the terminal. `anstream` removes them where nobody sees them.

use anstyle::{AnsiColor, Style};
use carillon_qos::plan::Level;
use carillon_qos::verify::cause::Severity;
use carillon_qos::verify::report::Verdict;

/// As planned.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What to do about it.
pub const FIX: Style = AnsiColor::Green.on_default();
/// Against the plan.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Could not be judged, or worth a look.
pub const DOUBT: Style = AnsiColor::Yellow.on_default().bold();
/// Titles and heads of tables.
pub const STRONG: Style = Style::new().bold();
/// Names to copy: causes, filters, presets.
pub const NAME: Style = AnsiColor::Cyan.on_default();
/// Less important than the rest.
pub const FAINT: Style = Style::new().dimmed();
/// As it comes.
pub const PLAIN: Style = Style::new();

/// The colour of a verdict.
pub fn verdict(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => GOOD,
        Verdict::Fail => BAD,
        Verdict::Unjudged => DOUBT,
    }
}

/// The colour of a finding.
pub fn severity(severity: Severity) -> Style {
    match severity {
        Severity::Error => BAD,
        Severity::Unjudged => DOUBT,
        Severity::Advice => NAME,
    }
}

/// The colour of a lint.
pub fn level(level: Level) -> Style {
    match level {
        Level::Error => BAD,
        Level::Warning => DOUBT,
        Level::Advice => NAME,
    }
}

/// The word for the level of a lint.
pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Advice => "advice",
    }
}
